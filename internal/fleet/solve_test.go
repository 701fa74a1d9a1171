package fleet

import (
	"testing"

	"cpacman/planner"
)

// What is the same in many answers is there once; a build that came from another repository stays its own.
func TestSharedSets(t *testing.T) {
	result := func(id, source string) *planner.Result {
		return &planner.Result{Set: planner.Set{ID: id, Upgrade: []planner.Move{{}}}, Packages: []planner.Used{{Source: source}}, Faults: []string{source}}
	}
	known := sharedSets{of: map[string]*planner.Result{}}
	first, same, elsewhere, other := result("a", "x"), result("a", "x"), result("a", "y"), result("b", "x")
	for _, r := range []*planner.Result{first, same, elsewhere, other} {
		known.share(r)
	}
	one := func(a, b *planner.Result) (set, packages bool) {
		return &a.Set.Upgrade[0] == &b.Set.Upgrade[0], &a.Packages[0] == &b.Packages[0]
	}
	if set, packages := one(first, same); !set || !packages {
		t.Errorf("of the same: set %t, packages %t", set, packages)
	}
	if set, packages := one(first, elsewhere); !set || packages || elsewhere.Packages[0].Source != "y" || elsewhere.Faults[0] != "y" {
		t.Errorf("of another repository: set %t, packages %t: %+v", set, packages, elsewhere)
	}
	if set, packages := one(first, other); set || packages {
		t.Errorf("of another set: set %t, packages %t", set, packages)
	}
}
