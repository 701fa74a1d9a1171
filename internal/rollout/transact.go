package rollout

import (
	"errors"
	"slices"
	"time"

	"cpacman/inventory"
)

// maxStarts bounds how often one transaction is asked for while the host says that it does not know it.
const maxStarts = 3

// errSilent means that a host did not answer for Timing.LostAfter.
var errSilent = errors.New("the host does not answer")

// answered tells whether an error is the host's own answer: the step failed, or somebody else has the lock.
func answered(err error) bool { return kindOf(err) == KindFailed || kindOf(err) == KindLocked }

// ask calls f once over a connection, a new one if there is none. After an error that may be the connection's, it is closed.
func (h *hostRun) ask(f func(Worker) error) error {
	if h.w == nil {
		w, err := h.r.cfg.Fleet.Open(h.ctx(), h.job())
		if err != nil {
			return err
		}
		h.w = w
	}
	err := f(h.w)
	if err != nil && !answered(err) {
		h.close()
	}
	return err
}

// persist calls f over as many connections as it takes, with back-off, until it answers, which KindFailed and KindLocked are too, the run
// ends, or the host has been silent for too long (errSilent).
func (h *hostRun) persist(f func(Worker) error) error {
	t := h.r.cfg.Timing
	since, wait := h.r.cfg.Clock.Steady(), t.ReconnectMin
	for {
		err := h.ask(f)
		switch {
		case h.ctx().Err() != nil:
			return errDetached
		case err == nil || answered(err):
			return err
		case h.r.cfg.Clock.Steady().Sub(since) >= t.LostAfter:
			return errors.Join(errSilent, err)
		}
		if h.r.sleep(h.r.jittered(wait)) != nil {
			return errDetached
		}
		wait = min(2*wait, t.ReconnectMax)
	}
}

// underLock calls f, which takes the host's lock, until it gets it, or the wait for the lock is over: KindLocked. Who has it is told.
func (h *hostRun) underLock(f func(Worker) error) error {
	deadline := h.r.cfg.Clock.Steady().Add(h.r.lockWait)
	told := ""
	for {
		err := h.persist(f)
		if kindOf(err) != KindLocked || !h.r.cfg.Clock.Steady().Before(deadline) {
			return err
		}
		if text := "waits for the host's lock: " + err.Error(); text != told {
			told = text
			why := Reason{ReasonLocked, text}.bounded()
			if h.r.note(h.host, why, func(rec *HostRecord) { rec.Reason = why }) != nil {
				return errDetached
			}
		}
		if h.r.sleep(h.r.jittered(h.r.cfg.Timing.PollMax)) != nil {
			return errDetached
		}
	}
}

// unanswered records a host that fell silent after its transaction had been asked for: the worst class. Always false.
func (h *hostRun) unanswered(err error) bool {
	if errors.Is(err, errDetached) {
		return false
	}
	return h.end(OnLost, reasonWith(err, ReasonUnanswered))
}

// reasonWith is a reason with the code of the caller, whatever the error says.
func reasonWith(err error, code ReasonCode) Reason {
	return Reason{Code: code, Text: err.Error()}.bounded()
}

// spared asks the clusters again, where since the lock was taken another member has begun to go back, or was found red.
func (h *hostRun) spared() bool {
	if h.r.missingNow(h.host) == h.missing {
		return true
	}
	if why := h.r.floor(h.host); why != "" {
		return h.ctx().Err() == nil && h.end(OnRefused, Reason{ReasonClusterFloor, why})
	}
	return true
}

// start journals the transaction. From here on only the host knows what happened.
func (h *hostRun) start() bool {
	id, now := h.job().TxID, h.r.cfg.Clock.Now()
	return h.spared() && h.advance(OnStart, func(rec *HostRecord) {
		rec.TxID, rec.TxAt, rec.Began, rec.Cut = id, now, false, false
	})
}

// await asks for the transaction, unless it only reattaches, and polls until the host says that it ended.
func (h *hostRun) await(reattached bool) bool {
	var startErr error
	told := ""
	starts, wait := 0, h.r.cfg.Timing.PollMin
	if !reattached {
		starts++
		if startErr = h.send(); errors.Is(startErr, errDetached) {
			return false
		}
	}
	for {
		var st TxStatus
		err := h.persist(func(w Worker) (err error) {
			st, err = w.Poll(h.ctx())
			return err
		})
		if kindOf(err) == KindFailed {
			// The host answers and cannot say: only a person can find out.
			return h.end(OnLost, reasonWith(err, ReasonUnanswered))
		}
		if err != nil {
			return h.unanswered(err)
		}
		if st.Phase == TxUnknown && !h.r.record(h.host).Began {
			if reattached || h.r.halted() || h.outside() {
				return h.end(OnNeverStarted, Reason{})
			}
			if kindOf(startErr) == KindLocked {
				return h.end(OnLockExpired, Reason{ReasonLocked, "nothing was changed: its lock was taken over: " + startErr.Error()}.bounded())
			}
			if kindOf(startErr) == KindHeld {
				return h.end(OnRefused, reasonOf(startErr, ReasonTransaction))
			}
			if starts == maxStarts || startErr == nil || kindOf(startErr) == KindFailed {
				return h.end(OnStartFailed, startReason(startErr, st))
			}
			if h.r.sleep(h.r.jittered(h.r.cfg.Timing.ReconnectMin)) != nil {
				return false
			}
			starts++
			if startErr = h.send(); errors.Is(startErr, errDetached) {
				return false
			}
			continue
		}
		if st.Phase != TxRunning {
			return h.ended(st)
		}
		if st.Waits != "" && st.Waits != told {
			told = st.Waits
			why := Reason{ReasonLocked, told}.bounded()
			if h.r.note(h.host, why, func(rec *HostRecord) { rec.Began, rec.Reason = true, why }) != nil {
				return false
			}
		}
		if !h.running(st) || h.r.sleep(h.r.jittered(wait)) != nil {
			return false
		}
		wait = min(2*wait, h.r.cfg.Timing.PollMax)
	}
}

func startReason(err error, st TxStatus) Reason {
	if err == nil {
		return Reason{ReasonTransaction, "the host took the transaction and does not know it: " + st.Detail}
	}
	return reasonOf(err, ReasonTransaction)
}

// send asks for the transaction once. A success is recorded: from then on the host must know the id.
func (h *hostRun) send() error {
	err := h.ask(h.startInside)
	if h.ctx().Err() != nil {
		return errDetached
	}
	if err == nil && h.r.note(h.host, Reason{}, func(rec *HostRecord) { rec.Began = true }) != nil {
		return errDetached
	}
	return err
}

// running notes that the host knows the transaction, and that it takes long: overdue is shown, never acted on (PUSH-4).
func (h *hostRun) running(st TxStatus) bool {
	rec := h.r.record(h.host)
	overdue := h.r.cfg.Clock.Now().Sub(rec.TxAt) >= h.r.cfg.Timing.OverdueAfter && !rec.has(FlagOverdue)
	if rec.Began && !overdue {
		return true
	}
	why := Reason{}
	if overdue {
		why = Reason{ReasonTransaction, "the transaction takes longer than " + h.r.cfg.Timing.OverdueAfter.String() + ": " + st.Detail}
	}
	return h.r.note(h.host, why, func(rec *HostRecord) {
		rec.Began = true
		if overdue {
			rec.Flags = addFlags(rec.Flags, FlagOverdue)
			rec.Reason = why.bounded()
		}
	}) == nil
}

func (rec HostRecord) has(f Flag) bool {
	for _, x := range rec.Flags {
		if x == f {
			return true
		}
	}
	return false
}

// ended takes the host's word for how the transaction ended. True when what it did is to be verified.
func (h *hostRun) ended(st TxStatus) bool {
	began := func(rec *HostRecord) { rec.Began = true }
	switch st.Phase {
	case TxDone:
		return h.r.step(h.host, OnTxDone, Reason{}, began) == nil
	case TxInterrupted:
		return h.r.step(h.host, OnTxInterrupted, Reason{ReasonInterrupted, st.Detail}, func(rec *HostRecord) { rec.Began, rec.Cut = true, true }) == nil
	case TxRefused:
		return h.end(OnRetestFailed, Reason{ReasonTest, "the test under the lock failed, nothing was changed: " + st.Detail})
	case TxMoved:
		return h.end(OnRefused, Reason{ReasonChanged, "changed after its last look and before its transaction, nothing was changed here: " + st.Detail +
			"; rollout retry reads it again"})
	case TxLocked:
		return h.end(OnLockExpired, Reason{ReasonLocked, "nothing was changed: " + st.Detail})
	case TxUnknown:
		return h.end(OnTxUnknown, Reason{ReasonForgotten, "the host does not know transaction " + h.job().TxID + ", which had begun: it was rebuilt, restored or cleaned"})
	}
	return h.end(OnLost, Reason{ReasonUnanswered, "the host answered something that is no phase of a transaction: " + string(st.Phase)})
}

// verify compares what is installed with what was to be (PUSH-6).
func (h *hostRun) verify() bool {
	var v Verification
	err := h.persist(func(w Worker) (err error) {
		v, err = w.Verify(h.ctx())
		return err
	})
	if kindOf(err) == KindFailed {
		return h.end(OnVerifyPartial, reasonOf(err, ReasonTransaction))
	}
	if err != nil {
		return h.unanswered(err)
	}
	if v.Outcome == VerifyBack {
		return h.wentBack("")
	}
	return h.judgeSet(v)
}

// judgeSet takes the step that a comparison of the installed set leads to.
func (h *hostRun) judgeSet(v Verification) bool {
	cut := h.r.record(h.host).Cut
	note := func(rec *HostRecord) {
		rec.Flags, rec.EraseDue, rec.Remark = addFlags(rec.Flags, v.Flags...), v.Erase, boundText(v.Detail)
	}
	switch {
	case v.Outcome == VerifyOld:
		return h.unchanged(Reason{ReasonTransaction, "nothing was changed: " + v.Detail}, note)
	case v.Outcome == VerifyExpected && cut:
		// Every package is there, and a scriptlet may have been cut in the middle: nothing on the host can tell.
		text := "the packages are complete, but the transaction was cut: scriptlets may not have run"
		if v.Detail != "" {
			text += "; " + v.Detail
		}
		return h.fails(OnVerifyPartial, Reason{ReasonInterrupted, text}, note)
	case v.Outcome == VerifyExpected && h.r.sched.Scriptlets == inventory.ScriptletFail && slices.Contains(v.Flags, FlagScriptletErrors):
		return h.fails(OnVerifyPartial, Reason{ReasonTransaction, "every package is there, and scriptlet_errors is fail: " + v.Detail}, note)
	case v.Outcome == VerifyExpected && h.r.sched.ConfigFiles == inventory.ScriptletFail && slices.Contains(v.Flags, FlagConfigFiles):
		return h.fails(OnVerifyPartial, Reason{ReasonTransaction, "every package is there, and config_files is fail: " + v.Detail}, note)
	case v.Outcome == VerifyExpected:
		why := Reason{}
		if len(v.Flags) > 0 {
			why = Reason{ReasonTransaction, v.Detail}
		}
		return h.verified(v, why, note)
	case cut:
		return h.fails(OnVerifyPartial, Reason{ReasonInterrupted, "the transaction was cut, by a reboot or because its process was killed: " + v.Detail}, note)
	}
	return h.fails(OnVerifyPartial, Reason{ReasonTransaction, v.Detail}, note)
}

// unchanged ends a transaction that changed nothing. A switch that was armed with it has nothing to take back. Always false.
func (h *hostRun) unchanged(why Reason, note func(*HostRecord)) bool {
	if h.plan.Confirm {
		_ = h.ask(func(w Worker) error { // should it fail, the switch finds everything as it was
			_, err := w.Confirm(h.ctx())
			return err
		})
	}
	_ = h.r.step(h.host, OnVerifyOld, why, note)
	return false
}

// check judges the host's health, then runs step (c).
func (h *hostRun) check() {
	rec := h.r.record(h.host)
	if !rec.Erasing {
		results, bad := h.r.judge(h.host, h.plan.Checks, rec.Baseline)
		if h.ctx().Err() != nil {
			return
		}
		on := OnHealthy
		if rec.EraseDue {
			on = OnErase
		}
		note := func(rec *HostRecord) {
			rec.Checks, rec.Erasing = results, on == OnErase && bad.Code == ""
			if anyRedBefore(results) {
				rec.Flags = addFlags(rec.Flags, FlagRedBefore)
			}
		}
		if bad.Code != "" {
			h.fails(OnUnhealthy, bad, note)
			return
		}
		if h.r.step(h.host, on, bad, note) != nil || on != OnErase {
			return
		}
	}
	h.erase()
}

func anyRedBefore(results []CheckResult) bool {
	for _, c := range results {
		if c.RedBefore {
			return true
		}
	}
	return false
}

// erase runs step (c). It is an rpm transaction too, so it takes a slot and the host's lock.
func (h *hostRun) erase() {
	if !h.slot {
		if h.slots().Acquire(h.ctx(), 1) != nil {
			return
		}
		h.slot = true
	}
	err := h.underLock(func(w Worker) error {
		// It is ours already, except after a restore, or when this engine was gone for so long that another has taken it over.
		if err := w.Lock(h.ctx(), 0); err != nil {
			return err
		}
		h.locked = true
		return w.Erase(h.ctx())
	})
	switch {
	case kindOf(err) == KindFailed:
		h.end(OnEraseFailed, reasonOf(err, ReasonTransaction))
	case kindOf(err) == KindLocked:
		h.end(OnEraseFailed, Reason{ReasonLocked, "step (c), the removal of old builds, was not begun: " + err.Error() + "; all else is done, and a new plan finds what is left"}.bounded())
	case err != nil:
		h.unanswered(err)
	default:
		_ = h.r.step(h.host, OnHealthy, Reason{}, func(rec *HostRecord) { rec.EraseDue, rec.Erasing = false, false })
	}
}

// reattach takes a host up again after the engine was gone.
func (h *hostRun) reattach() { h.r.rules.reattach(h) }

// askAgain is reattach: the host is asked first and believed over the journal.
func (h *hostRun) askAgain() {
	defer h.finish()
	rec := h.r.record(h.host)
	if rec.State == StateChecking && (rec.TxID == "" || h.r.sched.packageFree()) { // nothing to reattach to: only health was left
		h.locked = rec.Locked
		h.check()
		return
	}
	if !h.r.m.info[rec.State].Touched && !h.reattachEarly() {
		return
	}
	// Who is at work had a slot when the engine went, and gets one back. Those above need none, and would take it from a host that boots.
	h.slot = h.slots().TryAcquire(1)
	h.locked = true
	switch h.r.record(h.host).State {
	case StateRollingBack:
		h.back()
		return
	case StateRebooting:
		if !h.awaitBoot(!h.r.sched.RebootOnly) || !h.confirm() {
			return
		}
	case StateRestarting:
		if h.r.sched.Services != nil {
			if !h.services() || !h.confirm() {
				return
			}
			break
		}
		if !h.known() || !h.restart() {
			return
		}
	case StateConfirming:
		if !h.r.sched.packageFree() && !h.known() || !h.confirm() {
			return
		}
	case StateTransacting:
		if !h.await(true) || !h.verify() {
			return
		}
	case StateVerifying:
		if !h.known() || !h.verify() {
			return
		}
	case StateChecking:
		if !h.known() {
			return
		}
	}
	h.endSlot()
	h.check()
}

// reattachEarly asks a host whose transaction the journal never announced. True when the host knows it nevertheless, as after
// a restored backup of the journal.
func (h *hostRun) reattachEarly() bool {
	var st TxStatus
	err := h.ask(func(w Worker) (err error) {
		st, err = w.Poll(h.ctx())
		return err
	})
	if h.ctx().Err() != nil {
		return false
	}
	if err != nil || st.Phase == TxUnknown {
		// Written ahead: what was not announced was not asked for. The host is read again from the start.
		h.locked = true
		return h.end(OnNeverStarted, Reason{})
	}
	id, now := h.job().TxID, h.r.cfg.Clock.Now()
	return h.r.step(h.host, OnReattach, Reason{}, func(rec *HostRecord) { rec.TxID, rec.TxAt, rec.Began = id, now, true }) == nil
}

// known makes sure that the host still knows a transaction that the journal has as ended.
func (h *hostRun) known() bool {
	for {
		var st TxStatus
		err := h.persist(func(w Worker) (err error) {
			st, err = w.Poll(h.ctx())
			return err
		})
		switch {
		case err != nil:
			return h.unanswered(err)
		case st.Phase == TxUnknown:
			return h.ended(st)
		case st.Phase != TxRunning:
			return true
		}
		if h.r.sleep(h.r.jittered(h.r.cfg.Timing.PollMax)) != nil {
			return false
		}
	}
}

// halted tells whether the rollout was stopped or aborted.
func (r *run) halted() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ro.State == RolloutStopped || r.ro.State == RolloutAborted
}

// earlier is the earlier of two times that are set.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}
