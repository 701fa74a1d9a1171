package planner

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestLookedUp: what is read when it is asked for gives the same explanations as what is in memory.
func TestLookedUp(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.case")
	for _, f := range files {
		for _, c := range readCases(t, f) {
			for _, g := range []string{"*", "*-*-*.*"} {
				same(t, c.view, c.host, c.request, g)
			}
			for _, s := range c.view.Sources {
				for _, p := range s.Packages {
					same(t, c.view, c.host, c.request, p.Name)
				}
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		v, h, r := drawWorld(t)
		for _, n := range []string{"a", "b", "c", "d", "*"} {
			same(t, v, h, r, n)
		}
	})
}

func same(t rapid.TB, v View, h Host, r Request, g string) {
	t.Helper()
	explained := func(u *Universe, err error) []string {
		if err != nil {
			t.Fatal(err)
		}
		e, err := u.Explain(h, r, g)
		if err != nil {
			return []string{err.Error()}
		}
		return e.Lines()
	}
	if diff := cmp.Diff(explained(NewUniverse(v)), explained(lookedUp(v))); diff != "" {
		t.Fatalf("%s: %s\n%s", g, strings.TrimSpace(diff), describe(v, h, r))
	}
}
