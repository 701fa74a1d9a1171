package solvcases

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cpacman/internal/rpm"
)

func readText(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// compareVersions checks one comparison by every way that internal/rpm has: as a version, as a release, and both ways round.
func compareVersions(t *testing.T, c Comparison) {
	t.Helper()
	for _, way := range [...]struct {
		a, b rpm.EVR
		want int
	}{
		{rpm.EVR{Version: c.A, Release: "1"}, rpm.EVR{Version: c.B, Release: "1"}, c.Want},
		{rpm.EVR{Version: c.B, Release: "1"}, rpm.EVR{Version: c.A, Release: "1"}, -c.Want},
		{rpm.EVR{Version: "1", Release: c.A}, rpm.EVR{Version: "1", Release: c.B}, c.Want},
		{rpm.EVR{Epoch: 1, Version: c.A, Release: "1"}, rpm.EVR{Version: c.B, Release: "1"}, 1},
	} {
		if got := rpm.Compare(way.a, way.b); got != way.want {
			t.Errorf("%s against %s: %d, want %d", way.a, way.b, got, way.want)
		}
		if ranks := rpm.RankEVRs([]rpm.EVR{way.a, way.b}); sign(int(ranks[0])-int(ranks[1])) != way.want {
			t.Errorf("ranks of %s and %s: %v, want %d", way.a, way.b, ranks, way.want)
		}
	}
}

func sign(n int) int { return max(-1, min(1, n)) }

func TestVersionTables(t *testing.T) {
	dir := dataDir(t, "vercmp")
	l, err := ReadVercmp(readText(t, filepath.Join(dir, "rpmvercmp.at")))
	if err != nil {
		t.Fatal(err)
	}
	trials, err := ReadTestCase(filepath.Join(dir, "libsolv-evrcmp", "caret.t"))
	if err != nil {
		t.Fatal(err)
	}
	caret := ReadEVRResults(trials)
	if len(l) < 80 || len(caret) < 30 {
		t.Fatalf("%d and %d comparisons: the tables were not understood", len(l), len(caret))
	}
	for _, c := range append(l, caret...) {
		compareVersions(t, c)
	}
	t.Logf("versions: %d comparisons of rpm, %d of libsolv", len(l), len(caret))
}

func TestDependencyTable(t *testing.T) {
	dir := dataDir(t, "vercmp")
	l, err := ReadDepmatch(readText(t, filepath.Join(dir, "rpmdepmatch.at")))
	if err != nil {
		t.Fatal(err)
	}
	if len(l) < 150 {
		t.Fatalf("%d pairs: the table was not understood", len(l))
	}
	for _, m := range l {
		if got := rpm.Satisfies(m.Provided, m.Required); got != m.Want {
			t.Errorf("%s provided, %s required: %v, want %v", m.Provided, m.Required, got, m.Want)
		}
	}
	t.Logf("dependencies: %d pairs of rpm", len(l))
}

// TestRangeTable reads libsolv's table of ranges: a package that conflicts with a range is installed, and what provides a range
// that overlaps is erased.
func TestRangeTable(t *testing.T) {
	dir := dataDir(t, "vercmp")
	trials, err := ReadTestCase(filepath.Join(dir, "libsolv-evrcmp", "testevr.t"))
	if err != nil {
		t.Fatal(err)
	}
	pairs := 0
	for i := range trials {
		trial := &trials[i]
		name := strings.TrimPrefix(trial.Jobs[0], "install name ")
		var conflict rpm.Dep
		for _, p := range trial.Repos[1].Packages {
			if p.Name == name {
				conflict = p.Conflicts[0]
			}
		}
		if conflict.Name == "" {
			t.Fatalf("trial %d: no package %s", trial.Number, name)
		}
		for _, p := range trial.Repos[0].Packages {
			pairs++
			want := slices.Contains(trial.Result, "erase "+p.NEVRA.String()+"@system")
			if got := rpm.Satisfies(p.Provides[0], conflict); got != want {
				t.Errorf("%s against %s: %v, want %v", p.Provides[0], conflict, got, want)
			}
		}
	}
	t.Logf("ranges: %d pairs of libsolv", pairs)
}
