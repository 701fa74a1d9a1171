package rollout

import (
	"errors"
	"time"

	"cpacman/inventory"
)

// verified takes a host on whose installed set is the expected one: to its reboot, to the confirmation of its switch, or to its checks.
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
	case h.plan.Confirm:
		return h.r.step(h.host, OnVerifiedArmed, why, edit) == nil && h.confirm()
	}
	return h.r.step(h.host, OnVerified, why, edit) == nil
}

// reboot notes the boot that the host is in, and boots it.
func (h *hostRun) reboot(why Reason, edit func(*HostRecord)) bool {
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
	return h.awaitBoot()
}

// awaitBoot asks for the boot until the host says another one than before: the proof that it has booted.
func (h *hostRun) awaitBoot() bool {
	from := h.r.record(h.host).Boot
	limit := h.r.sched.RebootTimeout
	if limit <= 0 {
		limit = defaultRebootTimeout
	}
	deadline := h.r.cfg.Clock.Now().Add(limit)
	var last error
	for {
		var boot string
		err := h.ask(func(w Worker) (err error) {
			if boot, err = w.Boot(h.ctx()); err == nil && boot == from {
				err = w.Reboot(h.ctx(), from)
			}
			return err
		})
		switch {
		case h.ctx().Err() != nil:
			return false
		case err == nil && boot != "" && boot != from:
			h.close() // what follows proves itself over a new connection
			return h.r.step(h.host, OnRebooted, Reason{}, func(rec *HostRecord) { rec.Boot = "" }) == nil
		case kindOf(err) == KindFailed:
			return h.end(OnLost, Reason{ReasonReboot, "it could not be told to boot: " + err.Error()})
		}
		last = errors.Join(err)
		if !h.r.cfg.Clock.Now().Before(deadline) {
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

// confirm proves over a new connection that the host can be reached, which disarms its switch.
func (h *hostRun) confirm() bool {
	h.close()
	var verdict SwitchVerdict
	err := h.persist(func(w Worker) (err error) {
		verdict, err = w.Confirm(h.ctx())
		return err
	})
	switch {
	case kindOf(err) == KindFailed:
		return h.end(OnLost, Reason{ReasonUnanswered, "it could not be confirmed: " + err.Error()})
	case err != nil:
		return h.unanswered(err)
	case verdict == SwitchGoneBack:
		return h.wentBack()
	}
	return h.r.step(h.host, OnConfirmed, Reason{}, nil) == nil
}
