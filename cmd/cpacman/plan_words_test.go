package main

import (
	"testing"

	"cpacman/internal/rpm"
	"cpacman/planner"
)

// TestPlanWords covers the cells of plan show that name a second package.
func TestPlanWords(t *testing.T) {
	for want, by := range map[string][]string{
		"replaces bar-1-1.noarch SA-1":                              {"obsoletes bar-1-1.noarch"},
		"recommended by foo-2-1.noarch SA-1":                        {"recommended by foo-2-1.noarch"},
		"needed by foo-2-1.noarch; supplements bar-1-1.noarch SA-1": {"foo-2-1.noarch", "supplements bar-1-1.noarch"},
		"needed by foo-2-1.noarch; replaces bar-1-1.noarch SA-1":    {"foo-2-1.noarch", "obsoletes bar-1-1.noarch"},
		"requested SA-1": {"requested"},
		"needed by foo-2-1.noarch, policy p SA-1": {"foo-2-1.noarch", "policy p", "requested"},
		"the target has it SA-1":                  {"the target"},
	} {
		if got := neededBy(planner.Install{NeededBy: by}, "SA-1"); got != want {
			t.Errorf("%q: got %q, want %q", by, got, want)
		}
	}
	ex, err := rpm.ParseNEVRA("ex-1-1.noarch")
	if err != nil {
		t.Fatal(err)
	}
	for to, want := range map[string]string{"ex-2-1.noarch": "2-1", "newex-7-1.noarch": "newex-7-1.noarch", "ex-2-1.x86_64": "ex-2-1.x86_64"} {
		n, err := rpm.ParseNEVRA(to)
		if err != nil {
			t.Fatal(err)
		}
		if got := toward(ex, n); got != want {
			t.Errorf("%s: got %s, want %s", to, got, want)
		}
	}
}
