package rollout

import (
	"errors"
	"time"

	"cpacman/inventory"
)

// verified takes a host on whose installed set is the expected one: to its reboot, to the restart of its services, to the confirmation of
// its switch, or to its checks.
func (h *hostRun) verified(v Verification, why Reason, note func(*HostRecord)) bool {
	reboot := v.Reboot && h.r.sched.Reboot == inventory.RebootNeeded
	edit := func(rec *HostRecord) {
		note(rec)
		if v.Reboot && !reboot {
			rec.Flags = addFlags(rec.Flags, FlagRebootDue)
		}
	}
	switch {
	case reboot:
		return h.reboot(why, edit) && h.confirm()
	case h.r.sched.Restart == inventory.RestartNeeded:
		return h.r.step(h.host, OnRestart, why, edit) == nil && h.restart()
	case h.plan.Confirm:
		return h.r.step(h.host, OnVerifiedArmed, why, edit) == nil && h.confirm()
	}
	return h.r.step(h.host, OnVerified, why, edit) == nil
}

// reboot notes the boot that the host is in, and boots it. It waits for its turn, unless a dead man's switch is running: that would fire.
func (h *hostRun) reboot(why Reason, edit func(*HostRecord)) bool {
	if !h.plan.Confirm {
		if h.r.reboots.Acquire(h.ctx(), 1) != nil {
			return false
		}
		defer h.r.reboots.Release(1)
	}
	var boot string
	if err := h.persist(func(w Worker) (err error) {
		boot, err = w.Boot(h.ctx())
		return err
	}); err != nil {
		return h.unanswered(err)
	}
	if h.r.step(h.host, OnReboot, why, func(rec *HostRecord) {
		edit(rec)
		rec.Boot = boot
	}) != nil {
		return false
	}
	return h.awaitBoot(true)
}

// owesReboot decides, in a rollout of reboots, whether a host that was read is to be booted. The host is believed over the plan; what
// only the control host knows holds as long as the host is in the boot that the plan saw.
func (h *hostRun) owesReboot(pf Preflight) bool {
	why := pf.RebootDue
	if why == "" && h.plan.Recorded != "" && pf.Boot == h.plan.Boot {
		why = h.plan.Recorded
	}
	switch rec := h.r.record(h.host); {
	case why == "" && rec.Attempt > 1 && !h.r.dryRun:
		return h.advance(OnAlreadyThere, nil) // an earlier attempt has booted it: only health is left
	case why == "" && pf.Boot != h.plan.Boot:
		return h.end(OnNothingToDo, Reason{ReasonNotDue, "it has booted since the plan was made and owes no reboot"})
	case why == "":
		return h.end(OnNothingToDo, Reason{ReasonNotDue, "it owes no reboot any more"})
	case pf.Boot == "":
		return h.end(OnRefused, Reason{ReasonReboot, "the host does not say which boot it is in, so nothing could prove that it has booted"})
	case h.r.dryRun:
		return h.end(OnDryRunPassed, Reason{ReasonDryRun, "it owes a reboot; a dry run goes no further: " + why})
	}
	return h.advance(OnRebootDue, func(rec *HostRecord) {
		rec.Flags, rec.Boot, rec.Remark = addFlags(rec.Flags, pf.Flags...), pf.Boot, boundText("booted because: "+why)
	})
}

// rebootOnly is the rest of an attempt in a rollout of reboots. A host that another has booted meanwhile is not booted again.
func (h *hostRun) rebootOnly() {
	if !h.ready() || !h.lock() || !h.drain() || !h.spared() || !h.advance(OnReboot, nil) || !h.awaitBoot(false) || !h.confirm() {
		return
	}
	h.endSlot()
	h.check()
}

// awaitBoot asks for the boot until the host says another one than before: the proof that it has booted. told: it may have been told to
// already. Until then a rollout of reboots that stops, or whose window closes, leaves the host alone.
func (h *hostRun) awaitBoot(told bool) bool {
	from := h.r.record(h.host).Boot
	limit := h.r.sched.RebootTimeout
	if limit <= 0 {
		limit = defaultRebootTimeout
	}
	deadline := h.r.cfg.Clock.Steady().Add(limit)
	var last error
	for {
		var boot string
		spared := false
		err := h.ask(func(w Worker) (err error) {
			if boot, err = w.Boot(h.ctx()); err != nil || boot != from {
				return err
			}
			if spared = !told && (h.r.halted() || h.outside()); spared {
				return nil
			}
			told = true
			return w.Reboot(h.ctx(), from)
		})
		switch {
		case h.ctx().Err() != nil:
			return false
		case err == nil && boot != "" && boot != from:
			h.close() // what follows proves itself over a new connection
			return h.r.step(h.host, OnRebooted, Reason{}, func(rec *HostRecord) { rec.Boot = "" }) == nil
		case spared, err != nil && !told && (h.r.halted() || h.outside()):
			return h.end(OnNeverStarted, Reason{})
		case kindOf(err) == KindFailed:
			return h.end(OnLost, Reason{ReasonReboot, "it could not be told to boot: " + err.Error()})
		}
		last = errors.Join(err)
		if !h.r.cfg.Clock.Steady().Before(deadline) {
			text := "it did not come back within " + limit.String() + " of its reboot"
			if last != nil {
				text += ": " + last.Error()
			}
			return h.end(OnLost, Reason{ReasonReboot, text})
		}
		if err == nil {
			h.close() // it was told: this connection goes with it
		}
		if h.r.sleep(h.r.jittered(h.r.cfg.Timing.PollMax)) != nil {
			return false
		}
	}
}

// defaultRebootTimeout is for schedules without one.
const defaultRebootTimeout = 15 * time.Minute

// confirm proves over a new connection that the host can be reached, which disarms its switch. A new kernel that was booted once becomes the
// default by it.
func (h *hostRun) confirm() bool {
	h.close()
	var answer Confirmation
	err := h.persist(func(w Worker) (err error) {
		answer, err = w.Confirm(h.ctx())
		return err
	})
	switch {
	case kindOf(err) == KindFailed:
		return h.end(OnLost, Reason{ReasonUnanswered, "it could not be confirmed: " + err.Error()})
	case err != nil:
		return h.unanswered(err)
	case answer.Verdict == SwitchGoneBack:
		return h.wentBack(answer.Why)
	}
	return h.r.step(h.host, OnConfirmed, Reason{}, nil) == nil
}
