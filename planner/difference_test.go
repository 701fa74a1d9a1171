package planner

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"cpacman/internal/rpm"
)

func nevraOf(t *testing.T, s string) rpm.NEVRA {
	t.Helper()
	n, err := rpm.ParseNEVRA(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestDifferences(t *testing.T) {
	n := func(s string) rpm.NEVRA { return nevraOf(t, s) }
	was := Set{
		ID:      "a",
		Upgrade: []Move{{From: n("bash-5.0-1.x86_64"), To: n("bash-5.1-1.x86_64")}, {From: n("curl-1-1.x86_64"), To: n("curl-2-1.x86_64")}, {From: n("same-1-1.noarch"), To: n("same-2-1.noarch")}},
		Install: []Install{{NEVRA: n("kernel-6-1.x86_64"), NeededBy: []string{"requested"}, InstallOnly: true}},
		Held:    []Held{{NEVRA: n("held-1-1.noarch")}},
	}
	now := Set{
		ID:        "b",
		Upgrade:   []Move{{From: n("bash-5.0-2.x86_64"), To: n("bash-5.1-1.x86_64")}, {From: n("same-1-1.noarch"), To: n("same-2-1.noarch")}},
		Downgrade: []Move{{From: n("move-2-1.noarch"), To: n("move-1-1.x86_64"), Policy: "p"}},
		Install:   []Install{{NEVRA: n("kernel-6-1.x86_64"), NeededBy: []string{"other"}, InstallOnly: true}, {NEVRA: n("kernel-7-1.x86_64"), InstallOnly: true}},
		Remove:    []Remove{{NEVRA: n("old-1:1-1.i686"), Rule: RuleObsoleted}},
	}
	want := []Difference{
		{DifferenceChanged, "bash.x86_64", "upgrade 5.0-1 to 5.1-1", "upgrade 5.0-2 to 5.1-1"},
		{DifferenceRemoved, "curl.x86_64", "upgrade 1-1 to 2-1", ""},
		{DifferenceChanged, "kernel.x86_64", "install 6-1", "install 6-1, install 7-1"},
		{DifferenceAdded, "move.noarch", "", "downgrade 2-1 to 1-1.x86_64"},
		{DifferenceAdded, "old.i686", "", "remove 1:1-1 (obsoleted)"},
	}
	if diff := cmp.Diff(want, Differences(was, now)); diff != "" {
		t.Error(diff)
	}
	if got := Differences(was, was); got == nil || len(got) != 0 {
		t.Errorf("a set and itself: %v", got)
	}
	for pattern, want := range map[string]bool{"bash": false, "curl": true, "kern*": true, "nothing": false, "old": true} {
		if DiffersIn(pattern, was, now) != want {
			t.Errorf("DiffersIn(%q) is %t", pattern, !want)
		}
	}
	if !was.Moves("curl") || was.Moves("old") {
		t.Error("Moves")
	}
}
