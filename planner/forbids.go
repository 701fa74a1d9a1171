package planner

import "cpacman/internal/rpm"

// Forbids says what of a set the host's own package manager forbids, by the locks, excludes and protected names of h; "" for nothing. A set was computed
// under those of its time, so that what it breaks is newer. A rollback takes back what was there, whatever is locked since.
func Forbids(h *Host, t PlanType, f *Filter, set *Set) string {
	if t == TypeRollback {
		return ""
	}
	w := forbidding{h: h, f: f, locks: newLocks(h.Locks)}
	for _, m := range set.moves() {
		if because := w.move(m); because != "" {
			return because
		}
	}
	for _, in := range set.Install {
		if because := w.comes(in.NEVRA); because != "" {
			return because
		}
	}
	for _, r := range set.Remove {
		if because := w.goes(r); because != "" {
			return because
		}
	}
	return ""
}

type forbidding struct {
	h     *Host
	f     *Filter
	locks locks
}

func (w *forbidding) move(m Move) string {
	if w.f.overrides(m.From.Name) {
		return ""
	}
	locks := w.locks.of(m.From.Name)
	if l, whole := lockedIn(locks, m.From); whole {
		return m.From.String() + " would be replaced: " + l.Text
	}
	if m.Again { // of two builds that are there one is enough
		if l := lockedOut(locks, m.To); l != nil && lockedOut(locks, m.From) == nil {
			return m.From.String() + " would leave: " + l.Text
		}
		return ""
	}
	return w.comes(m.To)
}

func (w *forbidding) comes(n rpm.NEVRA) string {
	if w.f.overrides(n.Name) {
		return ""
	}
	if l := lockedOut(w.locks.of(n.Name), n); l != nil {
		return n.String() + " would come in: " + l.Text
	}
	if g := firstMatch(w.h.Exclude, n); g != "" {
		return n.String() + " would come in: excluded by " + w.h.excluder(g) + ": " + printable(g)
	}
	return ""
}

func (w *forbidding) goes(r Remove) string {
	if r.Rule == ruleKeepN || r.Rule == ruleRepair || w.f.overrides(r.NEVRA.Name) {
		return ""
	}
	if l, _ := lockedIn(w.locks.of(r.NEVRA.Name), r.NEVRA); l != nil {
		return r.NEVRA.String() + " would leave: " + l.Text
	}
	if matchAny(w.h.Protected, func(g string) bool { return matchGlob(g, r.NEVRA.Name) }) {
		return r.NEVRA.String() + " would leave, and the host protects it"
	}
	return ""
}
