package planner

import (
	"fmt"
	"slices"

	"cpacman/internal/rpm"
)

// Rollback computes what takes a host back after a result was carried out: the set, and whether it leads all the way (ROLL-7). It is
// solved and checked like any plan, from the packages that the host will have then. What leaves in the step that runs when health is
// green (old install-only builds, policies) is not brought back. Packages only: data, configuration and schemas stay as they are.
func (u *Universe) Rollback(h Host, done *Result) (*Result, RollbackInfo, error) {
	after, target := u.afterwards(h, done)
	info := RollbackInfo{Missing: []rpm.NEVRA{}}
	h.Installed = after
	back, err := u.Solve(h, Request{Type: TypeRollback, Target: target})
	if err != nil {
		info.Because = err.Error()
		return nil, info, fmt.Errorf("compute the way back: %w", err)
	}
	left := leftAfter(after, back)
	info.Missing = nevrasBeside(target, left)
	if extra := nevrasBeside(left, target); len(info.Missing) == 0 && len(extra) > 0 {
		info.Because = fmt.Sprintf("%s would stay", extra[0])
	}
	info.Complete = len(info.Missing) == 0 && info.Because == ""
	return back, info, nil
}

// afterwards lists what a host has once a result is carried out with all of its steps, and what of it a rollback leads to.
func (u *Universe) afterwards(h Host, done *Result) (after []*rpm.Package, target []rpm.NEVRA) {
	gone, erased := map[rpm.NEVRA]bool{}, map[rpm.NEVRA]bool{}
	again := map[rpm.NEVRA]bool{}
	for _, m := range done.Set.moves() {
		gone[m.From] = true
		again[m.To] = m.Again
		erased[m.From] = m.Again // one build of two is enough
	}
	for _, r := range done.Set.Remove {
		gone[r.NEVRA] = true
		erased[r.NEVRA] = r.Rule != ruleObsoleted && r.Rule != ruleFirst
	}
	for _, p := range h.Installed {
		if p.Name == "gpg-pubkey" {
			continue
		}
		if !gone[p.NEVRA] {
			after = append(after, p)
		}
		if !erased[p.NEVRA] {
			target = append(target, p.NEVRA)
		}
	}
	for i := range done.Packages {
		if p := done.Packages[i].Package; !again[p.NEVRA] {
			after = append(after, p)
		}
	}
	return after, target
}

// leftAfter lists what is installed after a set was carried out.
func leftAfter(installed []*rpm.Package, done *Result) []rpm.NEVRA {
	gone := map[rpm.NEVRA]bool{}
	for _, m := range done.Set.moves() {
		gone[m.From], gone[m.To] = true, true // the latter where it is put in again
	}
	for _, r := range done.Set.Remove {
		gone[r.NEVRA] = true
	}
	var out []rpm.NEVRA
	for _, p := range installed {
		if !gone[p.NEVRA] {
			out = append(out, p.NEVRA)
		}
	}
	return append(out, done.Set.Incoming()...)
}

// nevrasBeside lists, sorted, what a has and b has not.
func nevrasBeside(a, b []rpm.NEVRA) []rpm.NEVRA {
	have := make(map[rpm.NEVRA]bool, len(b))
	for _, n := range b {
		have[n] = true
	}
	out := []rpm.NEVRA{}
	for _, n := range a {
		if !have[n] {
			out = append(out, n)
		}
	}
	slices.SortFunc(out, rpm.CompareNEVRA)
	return slices.Compact(out)
}
