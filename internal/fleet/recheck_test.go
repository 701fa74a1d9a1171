package fleet

import (
	"strings"
	"testing"

	"cpacman/internal/rollout"
	"cpacman/internal/rpm"
	"cpacman/planner"
)

// That nothing is left to do is "already there" only where it is.
func TestRecheckOfNothing(t *testing.T) {
	n := func(text string) rpm.NEVRA {
		t.Helper()
		parsed, err := rpm.ParseNEVRA(text)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	planned := planner.Set{
		Upgrade: []planner.Move{{From: n("foo-1-1.noarch"), To: n("foo-2-1.noarch")}},
		Install: []planner.Install{{NEVRA: n("kernel-2-1.x86_64"), InstallOnly: true}, {NEVRA: n("new-2-1.noarch")}},
		Remove:  []planner.Remove{{NEVRA: n("old-1-1.noarch"), Rule: planner.RuleObsoleted}},
	}
	for _, c := range []struct {
		installed string
		verdict   rollout.RecheckVerdict
		says      string
	}{
		{"foo-2-1.noarch kernel-1-1.x86_64 kernel-2-1.x86_64 new-2-1.noarch", rollout.RecheckNothing, ""},
		{"foo-3-1.noarch kernel-3-1.x86_64 new-2-1.noarch", rollout.RecheckNothing, ""},
		{"kernel-2-1.x86_64", rollout.RecheckNothing, ""}, // others went without us
		{"foo-1-1.noarch kernel-2-1.x86_64 new-2-1.noarch", rollout.RecheckChanged, "no longer: upgrade foo-1-1.noarch to 2-1"},
		{"foo-2-1.noarch kernel-1-1.x86_64 new-2-1.noarch", rollout.RecheckChanged, "no longer: install kernel-2-1.x86_64"},
		{"foo-1-1.noarch foo-2-1.noarch kernel-2-1.x86_64 new-2-1.noarch", rollout.RecheckChanged, "foo-1-1.noarch and foo-2-1.noarch are both installed"},
		{"foo-2-1.noarch kernel-2-1.x86_64 new-2-1.noarch old-1-1.noarch", rollout.RecheckChanged, "old-1-1.noarch is installed, and so is what obsoletes it"},
	} {
		var installed []*rpm.Package
		for _, one := range strings.Fields(c.installed) {
			installed = append(installed, &rpm.Package{NEVRA: n(one)})
		}
		if got := recheck(planned, planner.Set{}, installed); got.Verdict != c.verdict || !strings.Contains(got.Detail, c.says) {
			t.Errorf("%s: %s, %s", c.installed, got.Verdict, got.Detail)
		}
	}
}
