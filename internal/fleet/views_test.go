package fleet

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cpacman/internal/repo"
	"cpacman/internal/rpm"
	"cpacman/planner"
)

// TestIndexPlansAsPackagesDo: on real repositories, looking into the index gives the planner's answers to the byte that having all packages
// gives, for hosts drawn at random, with several at once.
func TestIndexPlansAsPackagesDo(t *testing.T) {
	data := os.Getenv("CPACMAN_DATA")
	if data == "" {
		t.Skip("needs data: set CPACMAN_DATA to a directory with repositories of real distributions")
	}
	names, err := filepath.Glob(filepath.Join(data, "el7-72-to-73", "*", "repodata", "repomd.xml"))
	if err != nil {
		t.Fatal(err)
	}
	deeper, _ := filepath.Glob(filepath.Join(data, "el7-72-to-73", "*", "*", "repodata", "repomd.xml"))
	if names = append(names, deeper...); len(names) < 2 {
		t.Skip("needs data: no el7-72-to-73 with two repositories in CPACMAN_DATA")
	}
	cache := t.TempDir()
	opened := func() (out []*repo.Repo) {
		for _, n := range names {
			r, err := repo.Open(t.Context(), repo.Config{ID: filepath.Base(n), Path: filepath.Dir(filepath.Dir(n))}, repo.Options{CacheDir: cache})
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, r)
		}
		return out
	}
	var whole, lazy planner.View
	var all []*rpm.Package
	for i, r := range opened() {
		id := filepath.Base(filepath.Dir(filepath.Dir(names[i])))
		var list []planner.Candidate
		for _, p := range r.Packages() {
			list = append(list, planner.Candidate{Package: p.Package, Path: p.Location, Checksum: planner.Checksum(p.Checksum), Size: p.Size})
			all = append(all, p.Package)
		}
		whole.Sources = append(whole.Sources, planner.Source{ID: id, Priority: 99, Auto: true, Packages: list, Files: numbered{r}})
	}
	for i, r := range opened() {
		x := index{r.Lookup()}
		lazy.Sources = append(lazy.Sources, planner.Source{ID: whole.Sources[i].ID, Priority: 99, Auto: true, Index: x, Files: x})
	}
	from, err := planner.NewUniverse(whole)
	if err != nil {
		t.Fatal(err)
	}
	to, err := planner.NewUniverse(lazy)
	if err != nil {
		t.Fatal(err)
	}
	draw := rand.New(rand.NewPCG(3, 1))
	var wg sync.WaitGroup
	for n := range 6 {
		h := planner.Host{Arch: "x86_64"}
		for range 40 + 120*n {
			h.Installed = append(h.Installed, all[draw.IntN(len(all))])
		}
		wg.Go(func() {
			for _, ask := range []planner.Request{{}, {Weak: true}, {Filter: planner.Filter{Packages: []string{"k*"}}}} {
				a, errA := from.Solve(h, ask)
				b, errB := to.Solve(h, ask)
				if (errA == nil) != (errB == nil) || errA != nil && errA.Error() != errB.Error() {
					t.Errorf("host %d: %v, %v", n, errA, errB)
				}
				if d := cmp.Diff(text(t, a), text(t, b)); d != "" {
					t.Errorf("host %d:\n%s", n, d)
				}
			}
		})
	}
	wg.Wait()
}

func text(t *testing.T, v any) string {
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

// numbered answers with indexes into Packages.
type numbered struct{ r *repo.Repo }

func (f numbered) Providers(path string) ([]int, error) {
	found, err := f.r.ProvidersOf(path)
	var out []int
	for i, p := range f.r.Packages() {
		for _, q := range found {
			if p == q {
				out = append(out, i)
			}
		}
	}
	return out, err
}
