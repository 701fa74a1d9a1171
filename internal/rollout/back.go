package rollout

import (
	"errors"
	"slices"

	"cpacman/inventory"
)

// maxBackStarts bounds how often a way back is asked for that was cut on the host.
const maxBackStarts = 3

// mayGoBack tells whether a host can be taken back from where it is.
func (r *run) mayGoBack(rec HostRecord) bool {
	return r.sched.Host[rec.Host].Back != "" && rec.TxID != "" && (!rec.Erasing || rec.State.Final())
}

// ofItself tells whether a host is taken back without an operator who asks for it: not again where that has failed.
func ofItself(rec HostRecord) bool { return rec.State != StateRollbackFailed }

// fails records a failure of a host whose packages were changed, or takes it back where the policy says so. Always false.
func (h *hostRun) fails(on Trigger, why Reason, edit func(*HostRecord)) bool {
	if edit == nil {
		edit = func(*HostRecord) {}
	}
	// An armed switch would fire anyway; who answers now need not wait for it.
	armed := h.plan.Confirm && h.r.record(h.host).State == StateVerifying
	if !armed && h.r.sched.Rollback == inventory.RollbackNever || !h.r.mayGoBack(h.r.record(h.host)) {
		_ = h.r.step(h.host, on, why, func(rec *HostRecord) {
			edit(rec)
			if h.r.sched.Rollback != inventory.RollbackNever && h.plan.NoBack != "" {
				rec.Remark = boundText(rec.Remark + "; not taken back: " + h.plan.NoBack)
			}
		})
		return false
	}
	if h.r.step(h.host, OnRollBack, why, func(rec *HostRecord) {
		edit(rec)
		rec.Back, rec.BackWhy = true, why.bounded()
	}) == nil {
		h.back()
	}
	return false
}

// wentBack follows a host whose own switch decided, for a reason of its own or because nobody confirmed. Always false.
func (h *hostRun) wentBack(own string) bool {
	why := Reason{ReasonRollback, "it was not confirmed in time, and its dead man's switch took it back"}
	if own != "" {
		why = Reason{ReasonKernel, own}.bounded()
	}
	if h.r.step(h.host, OnWentBack, why, func(rec *HostRecord) { rec.Back, rec.BackWhy = true, why }) == nil {
		h.back()
	}
	return false
}

// back takes a host in rolling_back to its end: asked for, awaited, compared.
func (h *hostRun) back() {
	h.locked = true // whoever starts a way back takes the lock
	for starts := 1; ; starts++ {
		if err := h.underLock(func(w Worker) error { return w.StartBack(h.ctx()) }); err != nil {
			h.backFailed(err, "its way back did not begin: ")
			return
		}
		st, err := h.awaitBack()
		switch {
		case err != nil:
			h.backFailed(err, "")
			return
		case (st.Phase == TxInterrupted || st.Phase == TxUnknown) && starts < maxBackStarts:
			continue
		case st.Phase != TxDone:
			h.end(OnBackFailed, Reason{ReasonRollback, "the way back was not gone (" + string(st.Phase) + "): " + st.Detail})
			return
		}
		break
	}
	var v Verification
	err := h.persist(func(w Worker) (err error) {
		v, err = w.VerifyBack(h.ctx())
		return err
	})
	why := h.r.record(h.host).BackWhy
	switch {
	case err != nil:
		h.backFailed(err, "could not be compared with what it had: ")
	case v.Outcome == VerifyExpected:
		h.end(OnRolledBack, Reason{ReasonRollback, "has the packages it had: " + why.Text})
	default:
		h.end(OnBackFailed, Reason{ReasonRollback, "did not come back to what it had: " + v.Detail + "; it went back because: " + why.Text})
	}
}

// awaitBack asks until the way back has ended.
func (h *hostRun) awaitBack() (TxStatus, error) {
	wait := h.r.cfg.Timing.PollMin
	for {
		var st TxStatus
		err := h.persist(func(w Worker) (err error) {
			st, err = w.PollBack(h.ctx())
			return err
		})
		if err != nil || st.Phase != TxRunning {
			return st, err
		}
		if h.r.sleep(h.r.jittered(wait)) != nil {
			return st, errDetached
		}
		wait = min(2*wait, h.r.cfg.Timing.PollMax)
	}
}

// backFailed sorts an error on the way back.
func (h *hostRun) backFailed(err error, what string) {
	switch {
	case errors.Is(err, errDetached):
	case kindOf(err) == KindLocked:
		h.end(OnBackFailed, Reason{ReasonLocked, what + err.Error() + "; nothing was undone, and rollout rollback tries again; it was to go back because: " +
			h.r.record(h.host).BackWhy.Text}.bounded())
	case kindOf(err) == KindFailed:
		h.end(OnBackFailed, Reason{ReasonRollback, what + err.Error() + "; it was to go back because: " + h.r.record(h.host).BackWhy.Text})
	default:
		h.end(OnLost, Reason{ReasonUnanswered, "on its way back: " + err.Error()})
	}
}

// goBack takes a host back that rests, in a goroutine of its own.
func (h *hostRun) goBack() {
	defer h.finish()
	h.back()
}

// takeBack makes the steps of hosts that are to go back. Called with mu held; the hosts are put to work by sendBack once they are
// committed.
func (r *run) takeBack(c *Change, why Reason, user string, pick func(HostRecord) bool) int {
	n := 0
	for i := range r.sched.Waves {
		for _, h := range r.sched.Waves[i].Hosts {
			rec := *r.hosts[h]
			if _, possible := r.m.next[rec.State][OnRollBack]; !possible || r.atWork[h] || !r.mayGoBack(rec) || !pick(rec) {
				continue
			}
			next, ev, err := r.move(h, OnRollBack, why, func(rec *HostRecord) { rec.Back, rec.BackWhy = true, why.bounded() })
			if err != nil {
				return n
			}
			ev.User = user
			c.Hosts, c.Events = append(c.Hosts, next), append(c.Events, ev)
			n++
		}
	}
	return n
}

// sendBack puts hosts in rolling_back to work that nobody works on, as many at once as connections are allowed: a level may have more
// hosts than one process can have goroutines for. The dispatcher calls it again as hosts end. Called with mu held.
func (r *run) sendBack() {
	for len(r.backQueue) > 0 && len(r.atWork) < r.room {
		h := r.backQueue[0]
		r.backQueue = r.backQueue[1:]
		if r.hosts[h].State == StateRollingBack && !r.atWork[h] {
			r.put(h, (*hostRun).goBack)
		}
	}
}

// mayBackNow notes that a host has come to a state in which a stop may take it back. Called with mu held.
func (r *run) mayBackNow(s State) {
	if _, possible := r.m.next[s][OnRollBack]; possible {
		r.backDue = true
	}
}

// backWaves lists the waves whose hosts go back when the rollout stops at one: that wave, or all of its level up to it.
func (r *run) backWaves(wave int) []int {
	switch r.sched.Rollback {
	case inventory.RollbackWave:
		return []int{wave}
	case inventory.RollbackLevel:
		var out []int
		for i := range r.sched.Waves {
			if i <= wave && r.sched.Waves[i].Level == r.sched.Waves[wave].Level {
				out = append(out, i)
			}
		}
		return out
	}
	return nil
}

// owesBack tells whether a stop has hosts to take back that are not back yet. Called with mu held.
func (r *run) owesBack() bool {
	for _, rec := range r.hosts {
		_, possible := r.m.next[rec.State][OnRollBack]
		if rec.State == StateRollingBack || possible && rec.State.Final() && ofItself(*rec) && slices.Contains(r.ro.Stop.Back, rec.Wave) && r.mayGoBack(*rec) {
			return true
		}
	}
	return false
}

// stopBack takes back what a stop names, as hosts come to rest. True while there is something left to do. Called with mu held.
func (r *run) stopBack() bool {
	waves := r.ro.Stop.Back
	if r.ro.State != RolloutStopped || len(waves) == 0 {
		return r.tally.states[StateRollingBack] > 0
	}
	if !r.backDue {
		return r.tally.states[StateRollingBack] > 0
	}
	r.backDue = false
	var c Change
	why := Reason{ReasonRollback, "its wave was stopped: " + r.ro.Stop.Text}
	r.takeBack(&c, why, "", func(rec HostRecord) bool { return ofItself(rec) && slices.Contains(waves, rec.Wave) })
	if len(c.Hosts) > 0 && r.commit(c) != nil {
		return false
	}
	r.sendBack()
	return r.tally.states[StateRollingBack] > 0
}

// mayArm waits until one more dead man's switch may be armed: never more at once than hosts may fail, so that a control host that dies
// does not take a fleet back (ROLL-8).
func (h *hostRun) mayArm() bool {
	for h.plan.Confirm {
		if h.haltedHere() {
			return false
		}
		if h.r.armHere(h.host) {
			break
		}
		if h.r.sleep(h.r.jittered(h.r.cfg.Timing.PollMin)) != nil {
			return false
		}
	}
	return true
}

// armHere takes one of the places for armed hosts, if one is free.
func (r *run) armHere(host string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.armed, host) // of an attempt that ended before its switch was armed, as when its window closed
	for h := range r.armed {
		if rec := r.hosts[h]; !r.atWork[h] || rec.State == StateChecking || rec.State == StateRollingBack || rec.State.Final() {
			delete(r.armed, h) // its switch has been decided
		}
	}
	if len(r.armed) >= max(1, r.tally.room(r.hosts[host].Wave)-1) {
		return false
	}
	r.armed[host] = true
	return true
}
