package solvcases

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cpacman/internal/rpm"
)

// readRepo reads a repository file in testtags form, without source packages.
func readRepo(t *testing.T, path string) []*rpm.Package {
	t.Helper()
	l, err := ParseTestTags(strings.Split(readText(t, path), "\n"))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return slices.DeleteFunc(l, func(p *rpm.Package) bool { return p.Arch == "src" })
}

// TestRepositoriesAgainstLibsolv asks libsolv's own program about repositories that come without an expected result: dnf's test
// repositories in every combination, and those of libzypp.
func TestRepositoriesAgainstLibsolv(t *testing.T) {
	if _, err := exec.LookPath("testsolv"); err != nil {
		t.Skip("needs testsolv: the package libsolv-tools")
	}
	dir := dataDir(t, "solver-cases")
	table, err := ReadTable("expected.tsv")
	if err != nil {
		t.Fatal(err)
	}
	c, tmp := newTally(), t.TempDir()
	ask := func(name string, tr *Trial) {
		c.read++
		want, err := AskTestsolv(t.Context(), tmp, tr, PeerFlags)
		if err != nil {
			t.Fatal(err)
		}
		got, err := answer(tr)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		rule := ""
		if !got.Agrees(want) {
			rule = Explain(tr, got, want)
		}
		c.judge(t, name, got, want, rule, table)
	}
	trial := func() *Trial {
		return &Trial{Arch: "x86_64", DistType: "rpm", System: "@System", Jobs: []string{"update all packages"}, Wants: []string{"transaction"}}
	}
	names := []string{"main", "updates", "distro", "third_party", "old_versions", "broken_deps", "multilib"}
	for mask := 1; mask < 1<<len(names); mask++ {
		tr := trial()
		tr.Repos = []Repo{{Name: "@System", Packages: readRepo(t, filepath.Join(dir, "dnf4-repos", "@System.repo"))}}
		var used []string
		for i, n := range names {
			if mask&(1<<i) != 0 {
				used = append(used, n)
				tr.Repos = append(tr.Repos, Repo{Name: n, Packages: readRepo(t, filepath.Join(dir, "dnf4-repos", n+".repo"))})
			}
		}
		ask("dnf4/"+strings.Join(used, "+"), tr)
	}
	for _, z := range [...]struct {
		name  string
		repos map[string]int // file: priority, the smaller the better
	}{
		{"TCdup", map[string]int{"update": 10}},
		{"TCNamespaceRecommends", map[string]int{"update": 99}},
		{"TCSelectable", map[string]int{"RepoHIGH": 10, "RepoMID": 50, "RepoLOW": 99}},
	} {
		tr := trial()
		tr.Repos = []Repo{{Name: "@System", Packages: readRepo(t, filepath.Join(dir, "libzypp", z.name, "@System.repo"))}}
		for _, n := range []string{"update", "RepoHIGH", "RepoMID", "RepoLOW"} {
			if p, ok := z.repos[n]; ok {
				tr.Repos = append(tr.Repos, Repo{Name: n, Priority: -p, Packages: readRepo(t, filepath.Join(dir, "libzypp", z.name, n+".repo"))})
			}
		}
		ask(fmt.Sprintf("libzypp/%s", z.name), tr)
	}
	c.stale(t, "dnf4/", table)
	c.stale(t, "libzypp/", table)
	t.Logf("repositories: %s", c)
}
