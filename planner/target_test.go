package planner

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"cpacman/internal/rpm"
)

// simulate gives the packages after a set by its lines alone, whoever made them.
func simulate(u *Universe, h Host, set *Set) []rpm.NEVRA {
	var out []rpm.NEVRA
	gone := map[rpm.NEVRA]bool{}
	for _, m := range slices.Concat(set.Upgrade, set.Downgrade) {
		gone[m.From] = true
	}
	for _, r := range set.Remove {
		gone[r.NEVRA] = true
	}
	for _, p := range h.Installed {
		if !gone[p.NEVRA] {
			out = append(out, p.NEVRA)
		}
	}
	out = append(out, set.Incoming()...)
	slices.SortFunc(out, rpm.CompareNEVRA)
	return slices.Compact(out)
}

// TestRollbackLeadsBack plans an update of a whole host, and then the way back with the packages that were there before: what comes out
// is the set of before, or the plan says what is in the way.
func TestRollbackLeadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v, h, r := drawWorld(t)
		r.Type, h.Hold, h.Policies = TypeUpdate, nil, nil
		for _, name := range tinyNames { // a policy that allows more is in nobody's way
			if rapid.IntRange(0, 3).Draw(t, "may change") == 0 {
				h.Policies = append(h.Policies, Rule{Pattern: name, Action: ActionAllowArchChange, Policy: "p"})
			}
			if rapid.IntRange(0, 9).Draw(t, "may go down") == 0 {
				h.Policies = append(h.Policies, Rule{Pattern: name, Action: ActionAllowDowngrade, Policy: "p"})
			}
		}
		u, err := NewUniverse(v)
		if err != nil {
			t.Fatal(err)
		}
		res, err := u.Solve(h, r)
		if err != nil {
			t.Fatal(err)
		}
		var before []rpm.NEVRA
		back := View{Sources: []Source{{ID: "kept", Priority: 99, Auto: true}}}
		for _, p := range h.Installed {
			before = append(before, p.NEVRA)
			back.Sources[0].Packages = append(back.Sources[0].Packages, Candidate{Package: p, Path: p.NEVRA.String() + ".rpm"})
		}
		slices.SortFunc(before, rpm.CompareNEVRA)
		w, err := NewUniverse(back)
		if err != nil {
			t.Fatal(err)
		}
		after := perform(u, h, r, res)
		for _, kind := range []PlanType{TypeRollback, TypeLock} {
			undo, err := w.Solve(after, Request{Type: kind, Target: before})
			if err != nil {
				t.Fatalf("%s: %v\n%s\nafter %v", kind, err, describe(v, h, r), written(res))
			}
			got := simulate(w, after, &undo.Set)
			if len(res.Faults) == 0 && len(undo.Set.Blocked)+len(undo.Set.Held) == 0 && !slices.Equal(got, before) {
				t.Fatalf("%s: from %v back to %v, not %v: %v\n%s", kind, written(res), got, before, written(undo), describe(v, h, r))
			}
			if len(res.Faults) == 0 && !slices.Equal(got, before) && h.RunningKernel == "" {
				t.Fatalf("%s: %v", kind, written(undo))
			}
		}
	})
}

// TestRepair plans repairs of hosts that may be broken in any way: nothing new breaks, nothing goes down, and what is left is not repaired
// by a second plan either.
func TestRepair(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v, h, _ := drawWorld(t)
		u, err := NewUniverse(v)
		if err != nil {
			t.Fatal(err)
		}
		r := Request{Type: TypeRepair}
		res, err := u.Solve(h, r)
		if errors.As(err, new(*PolicyConflict)) {
			t.Skip("the policies disagree")
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, describe(v, h, r))
		}
		after := perform(u, h, r, res)
		faults := PreBroken(after)
		for _, f := range faults {
			if !slices.Contains(res.Faults, f.Text) {
				t.Fatalf("%s is new: %v\n%s", f.Text, written(res), describe(v, h, r))
			}
		}
		if len(res.Faults) == 0 && !res.Set.Empty() {
			t.Fatalf("a whole host is repaired: %v\n%s", written(res), describe(v, h, r))
		}
		again, err := u.Solve(after, r)
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(res.Set.Install, func(i Install) bool { return i.InstallOnly }) {
			t.Skip("what needs the new kernel may follow in a second plan")
		}
		if linked(res, again) {
			t.Skip("a chain of Obsoletes takes a plan for each link, as with dnf")
		}
		if !again.Set.Empty() && len(again.Faults) > 0 && len(PreBroken(perform(u, after, r, again))) < len(faults) && len(res.Set.Remove) == 0 {
			t.Fatalf("first %v, then %v\n%s", written(res), written(again), describe(v, h, r))
		}
	})
}
