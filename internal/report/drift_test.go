package report

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"cpacman/internal/rpm"
	"cpacman/planner"
)

func nevra(t *testing.T, s string) rpm.NEVRA {
	t.Helper()
	n, err := rpm.ParseNEVRA(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func packages(t *testing.T, names ...string) []*rpm.Package {
	var out []*rpm.Package
	for _, n := range names {
		out = append(out, &rpm.Package{NEVRA: nevra(t, n)})
	}
	return out
}

func TestCompare(t *testing.T) {
	n := func(s string) rpm.NEVRA { return nevra(t, s) }
	view := packages(t, "app-1-1.noarch", "app-2-1.noarch", "lib-1-1.x86_64", "took-1-1.noarch", "took-2-1.noarch", "kernel-1-1.x86_64", "kernel-2-1.x86_64")
	offer := NewOffer(view, []planner.Advisory{
		{ID: "R-1", Status: "retracted", Packages: []rpm.NEVRA{n("took-2-1.noarch")}},
		{ID: "S-1", Status: "final", Packages: []rpm.NEVRA{n("app-2-1.noarch")}},
	})
	installed := packages(t, "app-1-1.noarch", "lib-3-1.x86_64", "own-1-1.noarch", "elsewhere-1-1.noarch", "took-2-1.noarch",
		"kernel-1-1.x86_64", "kernel-2-1.x86_64", "twice-1-1.noarch", "twice-2-1.noarch")
	known := func(x rpm.NEVRA) bool { return x.Name == "elsewhere" || x.Name == "twice" }
	kernels := func(p *rpm.Package) bool { return p.Name == "kernel" }
	result := &planner.Result{
		Set: planner.Set{
			Upgrade: []planner.Move{{From: n("app-1-1.noarch"), To: n("app-2-1.noarch")}},
			Install: []planner.Install{{NEVRA: n("kernel-3-1.x86_64"), InstallOnly: true}, {NEVRA: n("dep-1-1.noarch")}},
			Held:    []planner.Held{{NEVRA: n("h-1-1.noarch"), Available: n("h-2-1.noarch")}},
			Blocked: []planner.Blocked{
				{NEVRA: n("doc-1-1.noarch"), Available: n("doc-2-1.x86_64"), Rule: "arch"},
				{NEVRA: n("x-1-1.noarch"), Available: n("x-2-1.noarch"), Rule: "exclude"},
				{NEVRA: n("asked-1-1.noarch"), Available: n("asked-2-1.noarch"), Rule: "auto"},
			},
		},
		Faults:   []string{"a needs b"},
		Packages: []planner.Used{{Advisories: []string{"S-1"}}, {Advisories: []string{"S-1"}}},
	}
	got := offer.Compare(installed, known, kernels, result)
	want := HostDrift{
		Status: StatusOK,
		Missing: []Missing{
			{Installed: n("app-1-1.noarch"), Available: n("app-2-1.noarch"), State: "installable"},
			{Installed: n("h-1-1.noarch"), Available: n("h-2-1.noarch"), State: "held"},
			{Installed: n("kernel-2-1.x86_64"), Available: n("kernel-3-1.x86_64"), State: "installable"},
			{Installed: n("x-1-1.noarch"), Available: n("x-2-1.noarch"), State: "blocked", Rule: "exclude"},
		},
		Newer:       []Newer{{n("lib-3-1.x86_64"), n("lib-1-1.x86_64")}, {n("took-2-1.noarch"), n("took-1-1.noarch")}},
		Extra:       []rpm.NEVRA{n("own-1-1.noarch")},
		ArchBlocked: []Newer{{n("doc-1-1.noarch"), n("doc-2-1.x86_64")}},
		Retracted:   []Retracted{{n("took-2-1.noarch"), "R-1"}},
		Duplicates:  []rpm.NEVRA{n("twice-2-1.noarch")},
		PreBroken:   []string{"a needs b"},
		Advisories:  []string{"S-1"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if got.Installable() != 2 {
		t.Errorf("%d installable", got.Installable())
	}
}

func TestDifferences(t *testing.T) {
	n := func(s string) rpm.NEVRA { return nevra(t, s) }
	members := []Member{
		{"a", []rpm.NEVRA{n("app-1-1.noarch"), n("same-1-1.noarch"), n("kernel-1-1.x86_64"), n("kernel-2-1.x86_64")}},
		{"b", []rpm.NEVRA{n("app-2-1.noarch"), n("same-1-1.noarch"), n("kernel-2-1.x86_64"), n("only-1-1.noarch")}},
		{"c", []rpm.NEVRA{n("app-2-1.noarch"), n("same-1-1.noarch"), n("kernel-2-1.x86_64")}},
	}
	app := Difference{"s", "app.noarch", []Version{{"2-1", []string{"b", "c"}}, {"1-1", []string{"a"}}}}
	if d := cmp.Diff([]Difference{app}, Differences("s", members, false)); d != "" {
		t.Errorf("class (-want +got):\n%s", d)
	}
	only := Difference{"s", "only.noarch", []Version{{Absent, []string{"a", "c"}}, {"1-1", []string{"b"}}}}
	if d := cmp.Diff([]Difference{app, only}, Differences("s", members, true)); d != "" {
		t.Errorf("cluster (-want +got):\n%s", d)
	}
}

// TestReplaced: a package that another name replaces is behind, once, however many it was split into.
func TestReplaced(t *testing.T) {
	n := func(s string) rpm.NEVRA { return nevra(t, s) }
	installed := packages(t, "old-1-1.noarch", "part-1-1.noarch", "unwanted-1-1.noarch", "whole-1-1.noarch")
	result := &planner.Result{Set: planner.Set{
		Upgrade: []planner.Move{{From: n("whole-1-1.noarch"), To: n("whole-2-1.noarch")}},
		Install: []planner.Install{
			{NEVRA: n("new-2-1.noarch"), NeededBy: []string{"new-extras-2-1.noarch", "obsoletes old-1-1.noarch"}},
			{NEVRA: n("new-extras-2-1.noarch"), NeededBy: []string{"obsoletes old-1-1.noarch"}},
		},
		Remove: []planner.Remove{
			{NEVRA: n("old-1-1.noarch"), Rule: "obsoleted"}, {NEVRA: n("part-1-1.noarch"), Rule: "obsoleted"}, {NEVRA: n("unwanted-1-1.noarch"), Rule: "policy"},
		},
	}}
	known := func(rpm.NEVRA) bool { return true }
	got := NewOffer(nil, nil).Compare(installed, known, func(*rpm.Package) bool { return false }, result)
	want := []Missing{
		{Installed: n("old-1-1.noarch"), Available: n("new-2-1.noarch"), State: "installable"},
		{Installed: n("whole-1-1.noarch"), Available: n("whole-2-1.noarch"), State: "installable"},
	}
	if d := cmp.Diff(want, got.Missing); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}
