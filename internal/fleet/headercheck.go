package fleet

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"cpacman/internal/rpm"
)

// compareHeader tells how what metadata says of a package differs from its signed header (PUSH-2): a mirror may not steer the
// solver by adding or hiding dependencies. Metadata made by createrepo_c leaves out some requirements on purpose
// (src/parsehdr.c): rpmlib() features, what the package provides itself, repetitions, and of libc.so's versions all but the
// highest; those are no difference.
func compareHeader(metadata, header *rpm.Package) []string {
	var out []string
	kinds := []struct {
		word     string
		metadata []rpm.Dep
		header   []rpm.Dep
		optional func(rpm.Dep) bool // may be in the header alone
	}{
		{"provides", metadata.Provides, header.Provides, nil},
		{"obsoletes", metadata.Obsoletes, header.Obsoletes, nil},
		{"conflicts", metadata.Conflicts, header.Conflicts, nil},
		{"requires", metadata.Requires, header.Requires, leftOut(header)},
	}
	for _, k := range kinds {
		said, signed := depSet(k.metadata), depSet(k.header)
		for _, d := range k.metadata {
			if !signed[depKey(d)] {
				out = append(out, fmt.Sprintf("metadata adds: %s %s", k.word, d))
			}
		}
		for _, d := range k.header {
			if !said[depKey(d)] && (k.optional == nil || !k.optional(d)) {
				out = append(out, fmt.Sprintf("metadata hides: %s %s", k.word, d))
			}
		}
	}
	out = append(out, addedWeak("recommends", metadata.Recommends, header.Recommends)...)
	out = append(out, addedWeak("supplements", metadata.Supplements, header.Supplements)...)
	if said, signed := plainWords(metadata.Vendor), plainWords(header.Vendor); said != signed && utf8.ValidString(header.Vendor) {
		out = append(out, fmt.Sprintf("metadata has the vendor %q, the header %q", said, signed))
	}
	out = append(out, addedFiles(metadata.Files, header.Files)...)
	slices.Sort(out)
	return slices.Compact(out)
}

// madeOlder tells where metadata says that a package was built before its signed header does: a plan goes by that age.
func madeOlder(metadata, header *rpm.Package) []string {
	if metadata.BuildTime >= header.BuildTime {
		return nil
	}
	day := func(p *rpm.Package) string { return time.Unix(p.BuildTime, 0).UTC().Format("2006-01-02 15:04:05Z") }
	return []string{fmt.Sprintf("metadata says that it was built on %s, the header on %s", day(metadata), day(header))}
}

// addedWeak lists weak dependencies that are in the metadata alone. Older createrepo leaves them out.
func addedWeak(word string, metadata, header []rpm.Dep) (out []string) {
	signed := depSet(header)
	for _, d := range metadata {
		if !signed[depKey(d)] {
			out = append(out, fmt.Sprintf("metadata adds: %s %s", word, d))
		}
	}
	return out
}

// addedFiles lists files that are in the metadata alone; those list but a part of a package's files. Names in other encodings are written anew by
// createrepo_c and are passed over: nothing requires such a file.
func addedFiles(metadata, header []string) (out []string) {
	if len(metadata) == 0 {
		return nil
	}
	signed := make(map[string]bool, len(header))
	for _, f := range header {
		signed[f] = true
	}
	for _, f := range metadata {
		if !signed[f] && !strings.ContainsFunc(f, func(r rune) bool { return r >= utf8.RuneSelf }) {
			out = append(out, "metadata adds: file "+f)
		}
	}
	return out
}

// plainWords is a text as XML keeps it.
func plainWords(s string) string { return strings.Join(strings.Fields(s), " ") }

// depKey is a dependency without what does not matter to a solver.
func depKey(d rpm.Dep) string {
	d.Pre = false
	return d.String()
}

func depSet(deps []rpm.Dep) map[string]bool {
	out := make(map[string]bool, len(deps))
	for _, d := range deps {
		out[depKey(d)] = true
	}
	return out
}

// leftOut tells which requirements createrepo_c does not write.
func leftOut(p *rpm.Package) func(rpm.Dep) bool {
	files := make(map[string]bool, len(p.Files))
	for _, f := range p.Files {
		files[f] = true
	}
	provided := depSet(p.Provides)
	return func(d rpm.Dep) bool {
		if strings.HasPrefix(d.Name, "rpmlib(") || strings.HasPrefix(d.Name, "libc.so.") || files[d.Name] {
			return true
		}
		return provided[depKey(d)] || d.Sense == 0 && slices.ContainsFunc(p.Provides, func(x rpm.Dep) bool { return x.Name == d.Name })
	}
}
