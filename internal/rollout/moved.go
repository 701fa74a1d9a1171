package rollout

// A host is read at the beginning of its attempt, and its transaction may come much later: it waits for a slot, and for the lock that
// another rollout holds, which may change it meanwhile. Who gets the lock looks once more. A host that changed goes back to its preflight,
// lock in hand, so that the same is decided as for one that changed before: its set, computed again, is the same and it goes on, or
// there is nothing left to do, or it is held and can be amended (PLAN-10). None of it is a failure.

// maxMoves bounds how often one attempt reads a host again: what changes it then has no regard for cpacman's lock.
const maxMoves = 5

// still looks, under the host's lock, whether it has what its preflight has read.
func (h *hostRun) still() bool {
	moved, err := h.w.Moved(h.ctx())
	switch {
	case err != nil:
		return h.failed(err, OnRefused, ReasonChanged)
	case moved:
		return h.moved("changed while it waited for its transaction")
	}
	return true
}

// moved sends a host that changed since it was read back to its preflight. Always false.
func (h *hostRun) moved(text string) bool {
	if h.moves++; h.moves > maxMoves {
		return h.end(OnRefused, Reason{ReasonChanged, "it does not come to rest: " + text})
	}
	h.again = h.advanceFor(OnMoved, Reason{ReasonChanged, text + "; it is read again"}, nil)
	return false
}

// changedText says that a host changed since the plan, and by what of cpacman's where that is known.
func changedText(pf Preflight) string {
	if pf.ChangedBy == "" {
		return "changed since the plan"
	}
	return "changed since the plan, by " + pf.ChangedBy
}
