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

// drawCopies draws a repository that has some of what is installed.
func drawCopies(t *rapid.T, h Host) Source {
	s := Source{ID: "copies", Priority: 99, Auto: true}
	for _, p := range h.Installed {
		if rapid.Bool().Draw(t, "copy") {
			s.Packages = append(s.Packages, Candidate{Package: p, Path: p.NEVRA.String() + ".rpm"})
		}
	}
	return s
}

// TestHalfDone takes hosts with several builds of a name to one of each: what stays is put in again where it can be had, and nothing else comes in.
func TestHalfDone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		_, h, _ := drawWorld(t)
		h.Hold, h.Policies, h.Locks = nil, nil, nil
		v := View{Sources: []Source{drawCopies(t, h)}}
		u, err := NewUniverse(v)
		if err != nil {
			t.Fatal(err)
		}
		one := map[rpm.NameArch]rpm.NEVRA{}
		for _, p := range h.Installed {
			if _, ok := one[p.NameArch()]; !ok || rapid.Bool().Draw(t, "the later") {
				one[p.NameArch()] = p.NEVRA
			}
		}
		var target []rpm.NEVRA
		for _, n := range one {
			target = append(target, n)
		}
		slices.SortFunc(target, rpm.CompareNEVRA)
		for _, kind := range []PlanType{TypeRollback, TypeLock} {
			r := Request{Type: kind, Target: target}
			res, err := u.Solve(h, r)
			if err != nil {
				t.Fatalf("%s: %v\n%s", kind, err, describe(v, h, r))
			}
			for _, m := range res.Set.moves() {
				if !m.Again || !slices.Contains(target, m.To) {
					t.Fatalf("%v\n%s", written(res), describe(v, h, r))
				}
			}
			got := simulate(u, h, &res.Set)
			if len(res.Faults) == 0 && len(res.Set.Blocked)+len(res.Set.Held) == 0 && !slices.Equal(got, target) && h.RunningKernel == "" {
				t.Fatalf("%s: %v is %v, not %v\n%s", kind, written(res), got, target, describe(v, h, r))
			}
		}
	})
}

// TestRepair plans repairs of hosts that may be broken in any way: nothing new breaks, nothing goes down, and what is left is not repaired
// by a second plan either.
func TestRepair(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v, h, _ := drawWorld(t)
		v.Sources = append(v.Sources, drawCopies(t, h))
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
		if !again.Set.Empty() && len(again.Faults) > 0 && len(PreBroken(perform(u, after, r, again))) < len(faults) && len(res.Set.Remove) == 0 &&
			!slices.ContainsFunc(res.Set.moves(), func(m Move) bool { return m.Again }) {
			t.Fatalf("first %v, then %v\n%s", written(res), written(again), describe(v, h, r))
		}
	})
}
