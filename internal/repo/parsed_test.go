package repo

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cpacman/internal/rpm"
)

// TestParsed: what is kept is what was added, and a damaged cache holds nothing and is told.
func TestParsed(t *testing.T) {
	dir := t.TempDir()
	var log bytes.Buffer
	reopen := func() *Parsed { return OpenParsed(dir, slog.New(slog.NewTextHandler(&log, nil)), time.Now) }
	a := &rpm.Package{NEVRA: rpm.NEVRA{Name: "a", EVR: rpm.EVR{Epoch: 1, Version: "1", Release: "2"}, Arch: "noarch"}, Header: "aa", Vendor: "v",
		Provides: []rpm.Dep{{Name: "a", Sense: rpm.Equal, EVR: rpm.EVR{Version: "1"}}}, Requires: []rpm.Dep{{Name: "/bin/sh", Pre: true}},
		Files: []string{"/a", "/b"}, FilesComplete: true, Color: rpm.ELF64, ColorKnown: true}
	b := &rpm.Package{NEVRA: rpm.NEVRA{Name: "b", EVR: rpm.EVR{Version: "1", Release: "1"}, Arch: "noarch"}, Header: "bb"}
	for _, one := range []*rpm.Package{a, b} { // the second process keeps what the first one had
		p := reopen()
		p.Add(one)
		p.Save()
	}
	p := reopen()
	for _, want := range []*rpm.Package{a, b} {
		if d := cmp.Diff(want, p.Get(want.Header)); d != "" {
			t.Error(d)
		}
	}
	if got := p.Get("cc"); got != nil {
		t.Errorf("a header nobody added: %v", got)
	}
	if log.Len() > 0 {
		t.Error(log.String())
	}
	cutCache(t, dir, &log, func() bool { return reopen().Get("aa") != nil }, func() { reopen().Get("aa") })
}

// cutCache cuts the only cache file of a directory everywhere. Nothing may be found in what is left, which is told; with a checksum that is right
// anything may be, but for a panic.
func cutCache(t *testing.T, dir string, log *bytes.Buffer, found func() bool, resummed func()) {
	t.Helper()
	names, _ := filepath.Glob(filepath.Join(dir, "*"))
	if len(names) != 1 {
		t.Fatalf("cache files: %v", names)
	}
	whole, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(whole) {
		log.Reset()
		write(t, names[0], whole[:cut])
		if found() || !strings.Contains(log.String(), "cache file ignored") {
			t.Fatalf("cut at %d of %d: something is found: %s", cut, len(whole), log.String())
		}
		if cut > cacheHead {
			write(t, names[0], resum(whole[:cut]))
			resummed()
		}
	}
}

// TestLookup: the tables give what a walk over all packages gives, from the cache as without it.
func TestLookup(t *testing.T) {
	dir, opt := fullRepo(t), Options{CacheDir: t.TempDir()}
	open(t, dir, opt)
	all := open(t, dir, Options{}).Packages()
	for _, r := range []*Repo{open(t, dir, Options{}), open(t, dir, opt)} {
		l := r.Lookup()
		if l.Len() != len(all) || r.Len() != len(all) {
			t.Fatalf("%d packages, want %d", l.Len(), len(all))
		}
		names := map[string]int{}
		l.Names(func(n string) bool { names[n]++; return true })
		var paths []string
		l.Required(func(path string) { paths = append(paths, path) })
		for place := range int32(l.Len()) {
			p := l.At(place)
			if place > 0 && canonical(l.At(place-1), p) >= 0 {
				t.Errorf("%s stands after %s", p.NEVRA, l.At(place-1).NEVRA)
			}
			if got := l.Named(p.Name); len(got) != 1 || got[0] != place || names[p.Name] != 1 {
				t.Errorf("named %s: %v", p.Name, got)
			}
			if got, ok := l.Located(p.Location); !ok || got != p {
				t.Errorf("at %s: %v", p.Location, got)
			}
			for _, d := range p.Provides {
				found := false
				l.Provides(d.Name, func(at int32, has rpm.Dep) { found = found || at == place && has == d })
				if !found {
					t.Errorf("%s does not provide %s", p.NEVRA, d)
				}
			}
			for i, d := range p.Obsoletes {
				found := false
				l.Obsoletes(d.Name, func(at, dep int32) { found = found || at == place && int(dep) == i })
				if !found {
					t.Errorf("%s does not obsolete %s", p.NEVRA, d)
				}
			}
			for _, f := range p.Files {
				if got := l.Lists(f); len(got) == 0 {
					t.Errorf("nobody lists %s", f)
				}
			}
			p.NamedPaths(func(path string) {
				if !l.Requires(path) || !slices.Contains(paths, path) {
					t.Errorf("nobody requires %s", path)
				}
			})
		}
		for _, path := range paths {
			if !l.Requires(path) {
				t.Errorf("%s is said to be required", path)
			}
		}
		if l.Requires("/nobody") || len(l.Named("nobody"))+len(l.Lists("/nobody")) > 0 {
			t.Error("what is not there is found")
		}
		samePackages(t, all, r.Packages())
	}
	r := open(t, dir, opt) // file lists that nobody parsed yet, for packages that nobody read
	if got, err := r.Lookup().Carriers("/usr/share/x"); err != nil || len(got) != 2 {
		t.Errorf("carriers: %v, %v", got, err)
	}
}

// TestIndexDamagedBehindItsSum: a record that makes no sense is found when it is read; the packages come from the package list then, and
// the file is gone.
func TestIndexDamagedBehindItsSum(t *testing.T) {
	dir, opt := fullRepo(t), Options{CacheDir: t.TempDir()}
	open(t, dir, opt)
	want := open(t, dir, Options{}).Packages()
	names, _ := filepath.Glob(filepath.Join(opt.CacheDir, "packages-*"))
	r := open(t, dir, opt)
	if err := edit(names[0], func(b []byte) []byte {
		at := bytes.Index(b, r.ix.records)
		for i := range r.ix.records {
			b[at+i] = 0xff
		}
		return resum(b)
	}); err != nil {
		t.Fatal(err)
	}
	r = open(t, dir, opt)
	samePackages(t, want, r.Packages())
	if err := r.Lookup().Err(); err == nil || !strings.Contains(err.Error(), "try again") {
		t.Errorf("error: %v", err)
	}
	if _, err := os.Stat(names[0]); !os.IsNotExist(err) {
		t.Errorf("the damaged index is still there: %v", err)
	}
}

// TestIndexDamagedPairs: an entry that a package does not have is damage, whatever its number.
func TestIndexDamagedPairs(t *testing.T) {
	list := []*Package{{Package: &rpm.Package{NEVRA: rpm.NEVRA{Name: "foo"}, Provides: []rpm.Dep{{Name: "bar"}}, Obsoletes: []rpm.Dep{{Name: "bar"}}}}}
	for _, number := range []uint32{0, 3, 1 << 31, 1<<31 + 1, 1<<32 - 1} {
		for _, what := range []string{"provides", "obsoletes"} {
			x := newIndex(list)
			table := &x.provides
			if what == "obsoletes" {
				table = &x.obsoletes
			}
			from, to := table.span(&x.strings, "bar")
			if to-from != 2 {
				t.Fatalf("%d numbers of an entry", to-from)
			}
			table.posts.set(from+1, number)
			r := &Repo{ix: x, packages: make([]*Package, x.n), unread: x.n, md: &repomd{}, opt: Options{}, path: "/nowhere",
				cache: &cache{log: slog.New(slog.DiscardHandler)}}
			l, given := r.Lookup(), 0
			if what == "provides" {
				l.Provides("bar", func(int32, rpm.Dep) { given++ })
			} else {
				l.Obsoletes("bar", func(int32, int32) { given++ })
			}
			own := what == "provides" && number == 0 // the name of the package itself
			if (given == 1) != own || (l.Err() == nil) != own {
				t.Errorf("%s with number %d: %d given, %v", what, number, given, l.Err())
			}
		}
	}
}
