package rollout

import (
	"cmp"
	"fmt"
	"slices"

	"cpacman/inventory"
	"cpacman/planner"
)

// wayBack decides whether a host can go back by itself, and whether it gets a dead man's switch (ROLL-7, ROLL-8).
func (r *resolver) wayBack(h planner.PlanHost, set planner.Set, hp *HostPlan) {
	s := r.s.Rollout
	cuts, kernel := "", ""
	if s.Confirm > 0 {
		cuts = set.TouchesNow(s.ConfirmFor)
		// A new kernel cuts nothing off before it is booted.
		if s.Reboot == inventory.RebootNeeded {
			kernel = set.TouchesBeside(s.ConfirmFor)
		}
	}
	cuts = cmp.Or(cuts, kernel)
	if s.Rollback == inventory.RollbackNever && cuts == "" || hp.Empty || r.out.packageFree() {
		return
	}
	if back, ok := r.plan.Rollback(h); ok && back.Empty() && h.Keys.Empty() {
		hp.NoBack = "packages only leave it, in a step after its checks, and do not come back"
	} else if ok {
		hp.Back = back.ID
		for _, n := range back.Incoming() {
			if slices.Contains(r.s.NoBack, n.String()) {
				hp.Back, hp.NoBack = "", fmt.Sprintf("package %s to go back to could not be proven", n)
			}
		}
	}
	switch name := set.Touches(s.NoRollback); {
	case name != "":
		hp.Back, hp.NoBack = "", fmt.Sprintf("the set changes %s, which no_rollback names", name)
	case hp.Back != "" || hp.NoBack != "":
	case len(h.Rollback.Missing) > 0:
		hp.NoBack = fmt.Sprintf("%d packages to go back to are in no repository, first %s", len(h.Rollback.Missing), h.Rollback.Missing[0])
	case h.Rollback.Because != "":
		hp.NoBack = h.Rollback.Because
	default:
		hp.NoBack = "the plan was made without a way back; make it again"
	}
	if cuts == "" {
		return
	}
	hp.Confirm = hp.Back != ""
	hp.BootOnce = hp.Confirm && kernel != ""
	if !hp.Confirm {
		r.out.Unarmed = append(r.out.Unarmed, Unarmed{Host: h.Host, Package: cuts, Why: hp.NoBack})
	}
}

// WhyNoBack says why a host has no way back of its own in a rollout: always something.
func (s *Schedule) WhyNoBack(host string) string {
	switch hp, known := s.Host[host]; {
	case !known:
		return "it is no part of it"
	case hp.NoBack != "":
		return hp.NoBack
	case s.packageFree():
		return "no package is changed"
	case hp.Empty:
		return "nothing is changed on it"
	}
	return `rollback is "never", and the update arms no dead man's switch on it, so that none was made ready`
}

// warnBack says how many hosts cannot go back although the site wants it.
func (r *resolver) warnBack() {
	slices.SortFunc(r.out.Unarmed, func(a, b Unarmed) int {
		if a.Host < b.Host {
			return -1
		}
		return 1
	})
	if n := len(r.out.Unarmed); n > 0 {
		u := r.out.Unarmed[0]
		r.out.Warnings = append(r.out.Warnings, fmt.Sprintf("%d %s get no dead man's switch although their update can cut them off: first %s with %s: %s",
			n, hostsWord(n), u.Host, u.Package, u.Why))
	}
	if r.s.Rollout.Rollback == inventory.RollbackNever || r.out.packageFree() {
		return
	}
	n, first := 0, ""
	for h, hp := range r.out.Host {
		if hp.NoBack != "" {
			if n++; first == "" || h < first {
				first = h
			}
		}
	}
	if n > 0 {
		r.out.Warnings = append(r.out.Warnings, fmt.Sprintf("%d %s cannot go back by themselves: first %s: %s", n, hostsWord(n), first, r.out.Host[first].NoBack))
	}
}

func hostsWord(n int) string {
	if n == 1 {
		return "host"
	}
	return "hosts"
}

// hooks adds the hooks in use.
func (r *resolver) hooks() {
	used := map[string]bool{}
	for _, hp := range r.out.Host {
		for _, h := range slices.Concat(hp.Before, hp.After) {
			used[h] = true
		}
	}
	for _, name := range sortedKeys(r.s.Hooks) {
		h := r.s.Hooks[name]
		if h.When == inventory.BeforeHost || h.When == inventory.AfterHost {
			if !used[name] {
				continue
			}
		}
		r.out.Hooks = append(r.out.Hooks, HookPlan{Name: name, When: h.When, Definition: h.Definition, Digest: h.Digest})
	}
}
