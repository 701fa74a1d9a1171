package rollout

import (
	"cmp"
	"context"
	"time"

	"golang.org/x/sync/semaphore"
)

// hostRun works on one host, in one goroutine: connection, preflight, packages, test, transaction, verification, health.
// Each method does one part and returns false when the host has reached a state in which this attempt goes no further, or the
// run was cut.
type hostRun struct {
	r        *run
	host     string
	plan     HostPlan
	w        Worker // nil: not connected
	locked   bool
	missing  string // by missingNow, when floor allowed the host to begin
	slot     bool   // holds one of slots
	progress time.Time
	again    bool // the host changed and is read again
	moves    int  // how often it did
}

// begin is a whole attempt.
func (h *hostRun) begin() {
	defer h.finish()
	if !h.connect() || !h.recall() {
		return
	}
	for h.again = true; h.again; {
		h.again = false
		if !h.preflight() {
			return
		}
		if h.r.record(h.host).State == StateChecking {
			h.endSlot()
			h.check()
			return
		}
		switch {
		case h.r.sched.RebootOnly:
			h.rebootOnly()
			return
		case h.r.sched.Services != nil:
			h.servicesOnly()
			return
		}
		if (!h.stage() || !h.test() || !h.ready() || !h.lock() || !h.still()) && !h.again {
			return
		}
	}
	if !h.mayArm() || !h.drain() || !h.start() || !h.await(false) || !h.verify() {
		return
	}
	h.endSlot()
	h.check()
}

func (h *hostRun) job() Job {
	rec := h.r.record(h.host)
	j := Job{Rollout: h.r.id, PlanID: cmp.Or(h.plan.Plan, h.r.planID), Host: h.host, Attempt: rec.Attempt, TxID: TxID(h.r.id, h.host, rec.Attempt), NoRestart: h.r.sched.NoRestart}
	if h.plan.Confirm {
		j.Arm = h.r.sched.Confirm
		j.BootOnce, j.BootAnyway = h.plan.BootOnce, h.r.ro.WithoutSwitch
	}
	return j
}

func (h *hostRun) ctx() context.Context { return h.r.ctx }

// close ends the connection.
func (h *hostRun) close() {
	if h.w != nil {
		_ = h.w.Close()
		h.w = nil
	}
}

// slots bound how many hosts change at once: transactions, or reboots where there is nothing else to do.
func (h *hostRun) slots() *semaphore.Weighted {
	if h.r.sched.RebootOnly {
		return h.r.reboots
	}
	return h.r.transactions
}

func (h *hostRun) endSlot() {
	if h.slot {
		h.slots().Release(1)
		h.slot = false
	}
}

// giveBack returns what this attempt holds. After a detach the host's lock stays: it belongs to the rollout, and the
// transaction may be running.
func (h *hostRun) giveBack() {
	h.endSlot()
	rec := h.r.record(h.host)
	if h.ctx().Err() != nil || !rec.State.releasesLock() {
		return
	}
	if h.locked && !h.unlock() {
		return // the journal has it as locked still: whoever resumes gives it back
	}
	if rec.Locked && h.ctx().Err() == nil {
		h.r.unlocked(h.host)
	}
}

// unlock gives the host's lock back. One that cannot be is told; where nobody comes back to it, it goes stale on the host by itself.
func (h *hostRun) unlock() bool {
	h.locked = false
	ctx, cancel := h.r.e.settle(h.ctx())
	defer cancel()
	if h.w == nil {
		w, err := h.r.cfg.Fleet.Open(ctx, h.job())
		if err != nil {
			h.warn("could not give the lock back: " + err.Error())
			return false
		}
		h.w = w
	}
	if err := h.w.Unlock(ctx); err != nil {
		h.warn("could not give the lock back: " + err.Error())
		return false
	}
	return true
}

// unlocked records that a host at rest is locked no longer. It is no event: nobody waits for it but an engine that comes after a dead one.
func (r *run) unlocked(host string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec := *r.hosts[host]
	rec.Locked = false
	_ = r.commit(Change{Hosts: []HostRecord{rec}})
}

// releasesLock tells whether the lock on the host has no more use in that state. Where a transaction may still run, it has.
func (s State) releasesLock() bool {
	return s == StatePending || s == StateDeferred || s.Final() && s != StateLost && s != StateUnreconciled
}

func (h *hostRun) warn(text string) {
	h.r.observe(Event{Kind: EventWarning, Wave: h.plan.Wave, Host: h.host, Reason: Reason{ReasonInternal, text}.bounded()})
}

// advance takes a step before the transaction, unless the rollout was stopped or aborted meanwhile: then the host goes where
// that sends it, and advance returns false. Both are decided under one lock with the step itself.
func (h *hostRun) advance(on Trigger, edit func(*HostRecord)) bool {
	return h.advanceFor(on, Reason{}, edit)
}

// advanceFor is advance with a reason.
func (h *hostRun) advanceFor(on Trigger, why Reason, edit func(*HostRecord)) bool {
	r := h.r
	r.mu.Lock()
	defer r.mu.Unlock()
	switch r.ro.State {
	case RolloutStopped:
		_ = r.stepLocked(h.host, OnStopped, Reason{ReasonStopped, r.ro.Stop.Text}, nil)
		return false
	case RolloutAborted:
		_ = r.stepLocked(h.host, OnAborted, Reason{ReasonAborted, r.ro.Stop.Text}, nil)
		return false
	}
	if (on == OnSlot || on == OnDrain || on == OnStart || on == OnReboot) && r.leaveWindow(h.host) {
		return false
	}
	return r.stepLocked(h.host, on, why, edit) == nil
}

// end takes a step after which this attempt goes no further. Always false.
func (h *hostRun) end(on Trigger, why Reason) bool {
	_ = h.r.step(h.host, on, why, nil)
	return false
}

// away is what becomes of a host that cannot be reached before its transaction (ROLL-15). Always false.
func (h *hostRun) away(err error) bool {
	h.close()
	h.locked = false // it belongs to the rollout and is taken again by the next try
	why := reasonOf(err, ReasonUnreachable)
	r := h.r
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sched.Unreachable == "defer" && r.hosts[h.host].Deferred == 0 {
		_ = r.stepLocked(h.host, OnDeferred, why, func(rec *HostRecord) { rec.Deferred++ })
		return false
	}
	_ = r.stepLocked(h.host, OnGaveUp, why, nil)
	return false
}

// failed sorts an error of a step before the transaction. Always false.
func (h *hostRun) failed(err error, on Trigger, code ReasonCode) bool {
	if h.ctx().Err() != nil {
		return false
	}
	switch kindOf(err) {
	case KindUnreachable, KindLost:
		return h.away(err)
	case KindHeld:
		return h.end(OnRefused, reasonOf(err, code))
	}
	return h.end(on, reasonOf(err, code))
}

func (h *hostRun) connect() bool {
	w, err := h.r.cfg.Fleet.Open(h.ctx(), h.job())
	if err != nil {
		if h.ctx().Err() != nil {
			return false
		}
		if kindOf(err) == KindHeld {
			return h.end(OnRefused, reasonOf(err, ReasonInternal))
		}
		return h.away(err)
	}
	h.w = w
	return h.advance(OnConnected, nil)
}

// preflight reads the host and compares it with what the plan was made from (PLAN-10, INV-9).
func (h *hostRun) preflight() bool {
	if !h.afterOthers() {
		return false
	}
	pf, err := h.w.Preflight(h.ctx())
	for wait := h.patience(); err == nil && pf.Busy && wait(); {
		pf, err = h.w.Preflight(h.ctx())
	}
	if err != nil {
		return h.failed(err, OnRefused, ReasonInternal)
	}
	if pf.Busy && h.stoppedHere() {
		return false
	}
	if h.plan.MachineID != "" && pf.MachineID != h.plan.MachineID {
		return h.end(OnRefused, Reason{ReasonRebuilt, "another machine answers under this name: machine-id " + short(pf.MachineID) +
			", the plan was made for " + short(h.plan.MachineID)})
	}
	if len(pf.Refusals) > 0 {
		why := pf.Refusals[0]
		for _, more := range pf.Refusals[1:] {
			why.Text += "; " + more.Text
		}
		return h.end(OnRefused, why)
	}
	switch {
	case h.r.sched.RebootOnly:
		return h.owesReboot(pf)
	case h.r.sched.Services != nil:
		return h.owesServices(pf)
	}
	flags := pf.Flags
	rec := h.r.record(h.host)
	if h.plan.Empty && (h.plan.Plan == "" || pf.InstalledDigest == h.plan.InstalledDigest) {
		return h.nothing(rec)
	}
	if pf.InstalledDigest != h.plan.InstalledDigest {
		res, err := h.r.cfg.Rechecker.Recheck(h.ctx(), h.host, pf.Facts)
		switch {
		case h.ctx().Err() != nil:
			return false
		case err != nil:
			return h.end(OnRefused, Reason{ReasonChanged, changedText(pf) + ", and its set could not be computed again: " + err.Error()})
		case res.Verdict == RecheckNothing:
			return h.nothing(rec)
		case res.Verdict != RecheckSame:
			return h.end(OnRefused, Reason{ReasonChanged, changedText(pf) + ": " + res.Detail})
		}
		flags = addFlags(flags, FlagRechecked)
	}
	return h.advance(OnUnchanged, func(rec *HostRecord) { rec.Flags = addFlags(rec.Flags, flags...) })
}

// nothing is a host that already has what the plan wants. After an earlier attempt its health is still to be judged; else
// there is nothing to judge. It is the only way on for which advance returns true in state checking.
func (h *hostRun) nothing(rec HostRecord) bool {
	untouched := h.plan.Plan != "" && !rec.Touched && len(rec.Baseline) == 0 // it was held before anything began on it
	if rec.Attempt > 1 && !untouched && !h.r.dryRun {
		return h.advance(OnAlreadyThere, nil)
	}
	return h.end(OnNothingToDo, Reason{ReasonAlreadyUpdated, "what the plan wants is there"})
}

func (h *hostRun) stage() bool {
	if h.r.transfers.Acquire(h.ctx(), 1) != nil {
		return false
	}
	err := h.w.Stage(h.ctx(), h.report)
	h.r.transfers.Release(1)
	if err != nil {
		return h.failed(err, OnStageFailed, ReasonStage)
	}
	return h.advance(OnStaged, nil)
}

// report shows the bytes of a transfer, at most twice a second and at the end.
func (h *hostRun) report(done, total int64) {
	r := h.r
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.cfg.Clock.Steady()
	if done < total && now.Sub(h.progress) < 500*time.Millisecond {
		return
	}
	h.progress = now
	r.cfg.Observer.Observe(Event{At: r.cfg.Clock.Now(), Rollout: r.id, Kind: EventProgress, Wave: h.plan.Wave, Host: h.host, Done: done, Total: total})
}

func (h *hostRun) test() bool {
	err := h.w.Test(h.ctx())
	if h.r.dryRun && !h.r.keepStaged && h.ctx().Err() == nil {
		ctx, cancel := h.r.e.settle(h.ctx())
		defer cancel()
		if err := h.w.Discard(ctx); err != nil {
			h.warn("could not remove what was staged: " + err.Error())
		}
	}
	if kindOf(err) == KindMoved {
		return h.moved(err.Error())
	}
	if kindOf(err) == KindFailed {
		// Another rollout, or a person, may have changed the host under rpm's hands: then the set was not what failed.
		if moved, bad := h.w.Moved(h.ctx()); bad == nil && moved {
			return h.moved("changed while it was tested (" + err.Error() + ")")
		}
	}
	if err != nil {
		return h.failed(err, OnTestFailed, ReasonTest)
	}
	if h.r.dryRun {
		what := "the test passed; a dry run goes no further"
		if h.r.ro.Staging {
			what = "staged, and the test passed"
		}
		return h.end(OnDryRunPassed, Reason{ReasonDryRun, what})
	}
	return h.advance(OnTested, nil)
}

// ready waits for a transaction slot and takes the baseline as late as possible (ROLL-4).
func (h *hostRun) ready() bool {
	if !h.slot {
		if h.slots().Acquire(h.ctx(), 1) != nil {
			return false
		}
		h.slot = true
	}
	base := h.r.runChecks(h.host, h.plan.Checks, nil)
	if h.ctx().Err() != nil {
		return false
	}
	return h.advance(OnSlot, func(rec *HostRecord) { rec.Baseline = base })
}

// lock takes the host's lock and asks its clusters while it holds it: whoever locks first and asks then cannot, together with
// another engine, take one member too many.
func (h *hostRun) lock() bool {
	t := h.r.cfg.Timing
	deadline := h.r.cfg.Clock.Steady().Add(h.r.lockWait)
	for {
		err := h.w.Lock(h.ctx(), max(deadline.Sub(h.r.cfg.Clock.Steady()), 0))
		if kindOf(err) == KindLocked {
			return h.end(OnLockExpired, reasonOf(err, ReasonLocked))
		}
		if err != nil {
			return h.failed(err, OnRefused, ReasonLocked)
		}
		h.locked = true
		h.missing = h.r.missingNow(h.host)
		why := h.r.floor(h.host)
		if h.ctx().Err() != nil {
			return false
		}
		if why == "" {
			return true
		}
		if err := h.w.Unlock(h.ctx()); err != nil {
			return h.failed(err, OnRefused, ReasonLocked)
		}
		h.locked = false
		if !h.r.cfg.Clock.Steady().Before(deadline) {
			return h.end(OnRefused, Reason{ReasonClusterFloor, why})
		}
		if h.r.sleep(h.r.jittered(t.ClusterEvery)) != nil || h.haltedHere() {
			return false
		}
	}
}

// stoppedHere leaves a waiting host where a stop or an abort sends it.
func (h *hostRun) stoppedHere() bool {
	r := h.r
	r.mu.Lock()
	defer r.mu.Unlock()
	switch r.ro.State {
	case RolloutStopped:
		_ = r.stepLocked(h.host, OnStopped, Reason{ReasonStopped, r.ro.Stop.Text}, nil)
	case RolloutAborted:
		_ = r.stepLocked(h.host, OnAborted, Reason{ReasonAborted, r.ro.Stop.Text}, nil)
	default:
		return false
	}
	return true
}

// haltedHere leaves a waiting host where a stop, an abort or the end of its window sends it.
func (h *hostRun) haltedHere() bool {
	if h.stoppedHere() {
		return true
	}
	h.r.mu.Lock()
	defer h.r.mu.Unlock()
	return h.r.leaveWindow(h.host)
}
