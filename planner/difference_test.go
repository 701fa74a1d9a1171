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
	if !was.Moves("curl") || was.Moves("old") {
		t.Error("Moves")
	}
}

func TestAgrees(t *testing.T) {
	n := func(s string) rpm.NEVRA { return nevraOf(t, s) }
	up := func(from, to string) Set { return Set{Upgrade: []Move{{From: n(from), To: n(to)}}} }
	plan := []Set{up("lib-1-1.noarch", "lib-2-1.noarch"), {}}
	for _, c := range []struct {
		name, pattern string
		installed     []rpm.NEVRA
		after         Set
		want          bool
	}{
		{"the same from elsewhere", "lib", []rpm.NEVRA{n("lib-1.5-1.noarch")}, up("lib-1.5-1.noarch", "lib-2-1.noarch"), true},
		{"has it already", "lib", []rpm.NEVRA{n("lib-2-1.noarch")}, Set{}, true},
		{"has no more of it", "lib", nil, Set{}, true},
		{"stays behind", "lib", []rpm.NEVRA{n("lib-1-1.noarch")}, Set{}, false},
		{"goes further", "l*", []rpm.NEVRA{n("lib-1-1.noarch")}, up("lib-1-1.noarch", "lib-3-1.noarch"), false},
		{"another name", "lib", []rpm.NEVRA{n("lib-2-1.noarch"), n("x-1-1.noarch")}, up("x-1-1.noarch", "x-2-1.noarch"), true},
		{"moves what nobody moves", "x", []rpm.NEVRA{n("x-1-1.noarch")}, up("x-1-1.noarch", "x-2-1.noarch"), false},
		{"keeps what nobody moves", "x", []rpm.NEVRA{n("x-1-1.noarch")}, Set{}, true},
		{"loses it", "lib", []rpm.NEVRA{n("lib-1-1.noarch")}, Set{Remove: []Remove{{NEVRA: n("lib-1-1.noarch")}}}, true},
	} {
		if got := Agrees(c.pattern, plan, c.installed, c.after); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}
