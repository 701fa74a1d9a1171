package planner

import (
	"bufio"
	"compress/gzip"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"cpacman/internal/rpm"
)

// A small reader of repository metadata for tests: the planner itself never sees a file.

type xmlDep struct {
	Name  string `xml:"name,attr"`
	Flags string `xml:"flags,attr"`
	Epoch string `xml:"epoch,attr"`
	Ver   string `xml:"ver,attr"`
	Rel   string `xml:"rel,attr"`
}

type xmlPackage struct {
	Name    string `xml:"name"`
	Arch    string `xml:"arch"`
	Version struct {
		Epoch string `xml:"epoch,attr"`
		Ver   string `xml:"ver,attr"`
		Rel   string `xml:"rel,attr"`
	} `xml:"version"`
	Location struct {
		Href string `xml:"href,attr"`
	} `xml:"location"`
	PkgID  string   `xml:"pkgid,attr"`
	File   []string `xml:"file"`
	Format struct {
		Provides  []xmlDep `xml:"provides>entry"`
		Requires  []xmlDep `xml:"requires>entry"`
		Conflicts []xmlDep `xml:"conflicts>entry"`
		Obsoletes []xmlDep `xml:"obsoletes>entry"`
		File      []string `xml:"file"`
	} `xml:"format"`
	Checksum string `xml:"checksum"`
}

func xmlDeps(in []xmlDep) []rpm.Dep {
	var out []rpm.Dep
	for _, d := range in {
		epoch, _ := strconv.ParseUint(d.Epoch, 10, 32)
		dep := rpm.Dep{Name: d.Name}
		switch d.Flags {
		case "EQ":
			dep.Sense = rpm.Equal
		case "LT":
			dep.Sense = rpm.Less
		case "GT":
			dep.Sense = rpm.Greater
		case "LE":
			dep.Sense = rpm.Less | rpm.Equal
		case "GE":
			dep.Sense = rpm.Greater | rpm.Equal
		}
		if dep.Sense != 0 {
			dep.EVR = rpm.EVR{Epoch: uint32(epoch), Version: d.Ver, Release: d.Rel}
		}
		out = append(out, dep)
	}
	return out
}

func openGzip(t testing.TB, path string) io.Reader {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	z, err := gzip.NewReader(bufio.NewReader(f))
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// eachPackage decodes the <package> elements of a file.
func eachPackage(t testing.TB, path string, f func(*xmlPackage)) {
	t.Helper()
	dec := xml.NewDecoder(openGzip(t, path))
	for {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if el, ok := tok.(xml.StartElement); ok && el.Name.Local == "package" {
			var p xmlPackage
			if err := dec.DecodeElement(&p, &el); err != nil {
				t.Fatal(err)
			}
			f(&p)
		}
	}
}

func readPrimary(t testing.TB, path string) (out []Candidate, ids map[string]int) {
	t.Helper()
	ids = map[string]int{}
	eachPackage(t, path, func(x *xmlPackage) {
		epoch, _ := strconv.ParseUint(x.Version.Epoch, 10, 32)
		ids[strings.TrimSpace(x.Checksum)] = len(out)
		out = append(out, Candidate{Path: x.Location.Href, Package: &rpm.Package{
			NEVRA:    rpm.NEVRA{Name: x.Name, Arch: x.Arch, EVR: rpm.EVR{Epoch: uint32(epoch), Version: x.Version.Ver, Release: x.Version.Rel}},
			Provides: xmlDeps(x.Format.Provides), Requires: xmlDeps(x.Format.Requires),
			Conflicts: xmlDeps(x.Format.Conflicts), Obsoletes: xmlDeps(x.Format.Obsoletes), Files: x.Format.File,
		}})
	})
	return out, ids
}

// lazyFiles reads filelists at the first question.
type lazyFiles struct {
	t     testing.TB
	path  string
	ids   map[string]int
	files map[string][]int
	asked []string
}

func (l *lazyFiles) Providers(path string) ([]int, error) {
	l.asked = append(l.asked, path)
	if l.files == nil {
		l.files = map[string][]int{}
		eachPackage(l.t, l.path, func(x *xmlPackage) {
			i, ok := l.ids[x.PkgID]
			if !ok {
				return
			}
			for _, f := range x.File {
				l.files[strings.TrimSpace(f)] = append(l.files[strings.TrimSpace(f)], i)
			}
		})
	}
	return l.files[path], nil
}

func glob1(t testing.TB, pattern string) string {
	t.Helper()
	l, err := filepath.Glob(pattern)
	if err != nil || len(l) != 1 {
		t.Fatalf("%s: %v %v", pattern, l, err)
	}
	return l[0]
}

func dataDir(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("CPACMAN_DATA")
	if dir == "" {
		t.Skip("needs data: CPACMAN_DATA names no directory with the reference repositories")
	}
	return dir
}

// rhel72 loads the host and the view of the reference case.
func rhel72(t testing.TB) (Host, View) {
	dir := filepath.Join(dataDir(t), "el7-72-to-73")
	var v View
	for _, id := range []string{"Server", "Server-optional"} {
		base := filepath.Join(dir, "rhel-7.3-beta", id, "repodata")
		pkgs, ids := readPrimary(t, glob1(t, base+"/*primary.xml.gz"))
		files := &lazyFiles{t: t, path: glob1(t, base+"/*filelists.xml.gz"), ids: ids}
		v.Sources = append(v.Sources, Source{ID: id, Priority: 99, Auto: true, Packages: pkgs, Files: files})
	}
	h := Host{Arch: "x86_64", KeepInstallOnly: 3}
	inst, _ := readPrimary(t, filepath.Join(dir, "installed", "rhel72-a.primary.xml.gz"))
	for _, c := range inst {
		h.Installed = append(h.Installed, c.Package)
	}
	return h, v
}

func TestReferenceHost(t *testing.T) {
	h, v := rhel72(t)
	start := time.Now()
	u, err := NewUniverse(v)
	if err != nil {
		t.Fatal(err)
	}
	built := time.Since(start)
	start = time.Now()
	if _, err := u.Solve(h, Request{}); err != nil {
		t.Fatal(err)
	}
	first := time.Since(start)
	start = time.Now()
	res, err := u.Solve(h, Request{})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("universe of %d in %v, first plan %v, second %v", len(u.cands), built, first, time.Since(start))
	t.Logf("%s; pre-broken: %q; notes %q", res.Set.Summary(), res.Faults, res.Notes)
	for _, s := range v.Sources {
		t.Logf("filelists of %s asked for %q", s.ID, s.Files.(*lazyFiles).asked)
	}
	want := map[string]bool{}
	raw, err := os.ReadFile(filepath.Join(dataDir(t), "el7-72-to-73", "expected", "rhel72-a.upgrade-all.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(raw)), "\n") {
		if !strings.HasPrefix(line, "Upgraded ") { // the build that leaves
			want[line] = true
		}
	}
	got := map[string]bool{}
	for _, i := range res.Set.Install {
		got["Install "+i.NEVRA.String()] = true
		t.Logf("install %s needed by %v", i.NEVRA, i.NeededBy)
	}
	for _, m := range res.Set.Upgrade {
		got["Upgrade "+m.To.String()] = true
	}
	for _, r := range res.Set.Remove {
		t.Logf("remove %+v", r)
	}
	for _, l := range res.Set.Held {
		t.Logf("held %s < %s: %q", l.NEVRA, l.Available, l.Because)
	}
	for _, b := range res.Set.Blocked {
		t.Logf("blocked %+v", b)
	}
	for k := range want {
		if !got[k] {
			t.Errorf("dnf does and we do not: %s", k)
		}
	}
	for k := range got {
		if !want[k] {
			t.Errorf("we do and dnf does not: %s", k)
		}
	}
}

func TestReferenceClosures(t *testing.T) {
	h, v := rhel72(t)
	u, err := NewUniverse(v)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dataDir(t), "el7-72-to-73", "expected", "rhel72-a.closures.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	same, all := 0, 0
	start := time.Now()
	for _, line := range strings.Split(strings.TrimSpace(string(raw)), "\n") {
		f := strings.Split(line, "\t")
		var want []string
		for _, w := range strings.Fields(f[2]) {
			if n, err := rpm.ParseNEVRA(w[1:]); err == nil {
				want = append(want, w[:1]+n.String())
			} else {
				t.Fatal(err)
			}
		}
		res, err := u.Solve(h, Request{Filter: Filter{Packages: []string{f[0]}}})
		if err != nil {
			t.Fatal(f[0], err)
		}
		var got []string
		for _, n := range res.Set.Incoming() {
			got = append(got, "+"+n.String())
		}
		for _, m := range res.Set.Upgrade {
			got = append(got, "-"+m.From.String())
		}
		for _, m := range res.Set.Remove {
			got = append(got, "-"+m.NEVRA.String())
		}
		slices.Sort(got)
		slices.Sort(want)
		all++
		if slices.Equal(got, want) {
			same++
			continue
		}
		diff := ""
		for _, g := range got {
			if !slices.Contains(want, g) {
				diff += fmt.Sprintf(" ours:%s", g)
			}
		}
		for _, g := range want {
			if !slices.Contains(got, g) {
				diff += fmt.Sprintf(" dnf:%s", g)
			}
		}
		t.Logf("%s:%s", f[0], diff)
	}
	t.Logf("%d of %d equal, %v each", same, all, time.Since(start)/time.Duration(all))
}
