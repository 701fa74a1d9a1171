package host

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"

	"cpacman/internal/rpm"
)

const (
	maxListing  = 64 << 20 // bytes of an imported listing
	maxWarnings = 1000
)

// ImportListing reads what `rpm -qa` printed on a host that cannot be reached: one package a line, with epochs
// ("name-1:2-3.noarch") or without, which leaves Epoch nil. Lines of gpg-pubkey become Keys. A line that is no package is
// reported as a warning and left out; a listing without any package is ErrUnreadable.
func ImportListing(r io.Reader, host string, at time.Time) (*Facts, []string, error) {
	f := &Facts{Host: host, CollectedAt: at.UTC(), Source: "import-listing", Keys: []Key{}}
	var warnings []string
	limited := &io.LimitedReader{R: r, N: maxListing + 1}
	sc := bufio.NewScanner(limited)
	sc.Buffer(make([]byte, 0, 64<<10), 1<<20)
	for n := 1; sc.Scan(); n++ {
		l := strings.TrimSpace(strings.TrimPrefix(sc.Text(), byteOrderMark))
		if l == "" {
			continue
		}
		if k, ok := listedKey(l); ok {
			f.Keys = append(f.Keys, k)
			continue
		}
		p, err := listedPackage(l)
		if err != nil {
			if len(warnings) < maxWarnings {
				warnings = append(warnings, fmt.Sprintf("line %d is left out: %s", n, bounded(err.Error(), 200)))
			}
			continue
		}
		if f.Packages = append(f.Packages, p); len(f.Packages) > maxPackages {
			return nil, warnings, fmt.Errorf("import listing of %s: more than %d packages", host, maxPackages)
		}
	}
	if err := sc.Err(); err != nil {
		return nil, warnings, fmt.Errorf("import listing of %s: %w", host, err)
	}
	if limited.N <= 0 {
		return nil, warnings, fmt.Errorf("import listing of %s: more than %d bytes", host, maxListing)
	}
	if len(f.Packages) == 0 {
		return nil, warnings, fmt.Errorf("import listing of %s: %w: it has no packages", host, ErrUnreadable)
	}
	sortPackages(f.Packages)
	if err := tooManyBuilds(f.Packages); err != nil {
		return nil, warnings, fmt.Errorf("import listing of %s: %w", host, err)
	}
	sortKeys(f.Keys)
	f.InstalledDigest = InstalledDigest(f.Packages)
	return f, warnings, nil
}

// listedKey reads "gpg-pubkey-VERSION-RELEASE", with or without ".(none)".
func listedKey(l string) (Key, bool) {
	rest, ok := strings.CutPrefix(l, "gpg-pubkey-")
	if !ok {
		return Key{}, false
	}
	rest = strings.TrimSuffix(rest, ".(none)")
	rest = strings.TrimPrefix(strings.TrimPrefix(rest, "(none):"), "0:")
	id, created, ok := strings.Cut(rest, "-")
	if !ok || !words(id, "") || !words(created, "") || len(rest) > 100 {
		return Key{}, false
	}
	return Key{ID: id, Created: created}, true
}

// byteOrderMark is what editors of another system put before the first line.
const byteOrderMark = "\ufeff"

// strange finds a character that no name, version or arch of a package has: white space, a comma, or one that does not show.
func strange(l string) (rune, bool) {
	for _, r := range l {
		if r == ',' || r == unicode.ReplacementChar || unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return r, true
		}
	}
	return 0, false
}

func listedPackage(l string) (Package, error) {
	if len(l) > maxField {
		return Package{}, fmt.Errorf("%q… is longer than %d bytes", l[:80], maxField)
	}
	n, err := rpm.ParseNEVRA(l)
	if err != nil {
		return Package{}, err
	}
	if r, found := strange(l); found {
		return Package{}, fmt.Errorf("%q has the character %U, which no package has", l, r)
	}
	if !knownArch(n.Arch) {
		return Package{}, fmt.Errorf("%q is no architecture in %q (list with --qf '%%{NAME}-%%{EPOCHNUM}:%%{VERSION}-%%{RELEASE}.%%{ARCH}\\n')", n.Arch, l)
	}
	p := Package{Name: n.Name, Version: n.Version, Release: n.Release, Arch: n.Arch}
	// Neither version nor release may have a colon, so one means that the epoch is known.
	if strings.Contains(l, ":") {
		p.Epoch = &n.Epoch
	}
	return p, nil
}

// knownArch tells rpm's architectures from the last part of a release: old rpm lists packages without one
// ("bash-3.2-32.el5").
func knownArch(a string) bool {
	if slices.Contains([]string{"noarch", "x86_64", "amd64", "ia32e", "athlon", "geode", "aarch64", "riscv64", "loongarch64", "ia64", "sh4", "m68k"}, a) {
		return true
	}
	for _, p := range []string{"x86_64_v", "i386", "i486", "i586", "i686", "armv", "ppc", "s390", "sparc", "alpha", "mips"} {
		if strings.HasPrefix(a, p) {
			return true
		}
	}
	return false
}
