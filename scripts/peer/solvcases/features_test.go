package solvcases

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestFeatures(t *testing.T) {
	dir := filepath.Join(dataDir(t, "solver-cases"), "ci-dnf-stack-features")
	table, err := ReadTable("expected.tsv")
	if err != nil {
		t.Fatal(err)
	}
	c := newTally()
	var files []string
	err = filepath.WalkDir(dir, func(p string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(p, ".feature") {
			files = append(files, p)
		}
		return err
	})
	if err != nil || len(files) == 0 {
		t.Fatalf("no features in %s: %v", dir, err)
	}
	scenarios := 0
	for _, f := range files {
		rel, _ := filepath.Rel(dir, f)
		feature := strings.TrimSuffix(filepath.ToSlash(rel), ".feature")
		list, err := ReadFeature(feature, readText(t, f))
		if err != nil {
			t.Error(err)
		}
		scenarios += len(list)
		for i := range list {
			c.scenario(t, &list[i], table)
		}
	}
	c.stale(t, "dnf/", table)
	t.Logf("dnf: %d scenarios; %s", scenarios, c)
}

// scenario asks the commands of one scenario.
func (c *tally) scenario(t *testing.T, sc *Scenario, table map[string]Difference) {
	if slices.Contains(sc.Tags, "@xfail") {
		c.read++
		c.out["marked as failing in dnf itself"]++
		return
	}
	asked := Play(sc, "fixtures")
	if len(asked) == 0 {
		c.read++
		c.out["no upgrade and no install with a transaction"]++
	}
	for _, a := range asked {
		c.read++
		name := fmt.Sprintf("dnf/%s: %s#%d", sc.Feature, sc.Name, a.Number)
		var out *OutOfDomain
		if errors.As(a.Skip, &out) {
			c.out[out.Reason]++
			continue
		}
		if a.Skip != nil {
			t.Errorf("%s: %v", name, a.Skip)
			continue
		}
		got, _, err := Ask(a.Question)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		c.judge(t, name, got, a.Want, featureRule(a.Question, got, a.Want), table)
	}
}

// featureRule looks for a rule behind a difference with the packages that the question has.
func featureRule(q *Question, got, want Outcome) string {
	if got.Agrees(want) {
		return ""
	}
	t := &Trial{Repos: []Repo{{Packages: q.Host.Installed}}}
	for _, s := range q.View.Sources {
		r := Repo{Name: s.ID}
		for _, p := range s.Packages {
			r.Packages = append(r.Packages, p.Package)
		}
		t.Repos = append(t.Repos, r)
	}
	return Explain(t, got, want)
}
