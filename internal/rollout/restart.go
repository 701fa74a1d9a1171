package rollout

import (
	"errors"
	"strings"

	"cpacman/inventory"
)

// restart restarts the services of a host that run files which the transaction has replaced, and then confirms over a new connection:
// the SSH server may be one of them. What could not be restarted is told and left to the checks.
func (h *hostRun) restart() bool {
	var did Restarted
	err := h.persist(func(w Worker) (err error) {
		did, err = w.Restart(h.ctx())
		return err
	})
	switch {
	case errors.Is(err, errDetached):
		return false
	case kindOf(err) == KindFailed:
		did = Restarted{Due: true, Detail: "services could not be restarted: " + err.Error()}
	case err != nil:
		return h.unanswered(err)
	}
	reboot := len(did.Reboot) > 0 && h.r.sched.Reboot == inventory.RebootNeeded
	edit := func(rec *HostRecord) {
		if len(did.Reboot) > 0 && !reboot {
			rec.Flags = addFlags(rec.Flags, FlagRebootDue)
		}
		if did.Due || len(did.Kept) > 0 {
			rec.Flags = addFlags(rec.Flags, FlagRestartDue)
		}
		if len(did.Failed) > 0 {
			rec.Flags = addFlags(rec.Flags, FlagRestartFailed)
		}
		if text := did.words(); text != "" {
			rec.Remark = boundText(strings.TrimPrefix(rec.Remark+"; "+text, "; "))
		}
	}
	why := Reason{}
	if text := did.words(); text != "" {
		why = Reason{ReasonRestart, text}
	}
	if reboot {
		return h.reboot(why, edit) && h.confirm()
	}
	return h.r.step(h.host, OnRestarted, why, edit) == nil && h.confirm()
}

// words tells what came of a restart; "" when nothing was to be done.
func (d Restarted) words() string {
	var parts []string
	list := func(what string, units []string) {
		if n := len(units); n > 0 {
			const shown = 10
			text := what + ": " + strings.Join(units[:min(n, shown)], ", ")
			if n > shown {
				text += ", …"
			}
			parts = append(parts, text)
		}
	}
	list("restarted, as they ran files that are gone", d.Done)
	list("did not come back from their restart", d.Failed)
	list("run files that are gone until the next reboot", d.Reboot)
	list("run files that are gone and were left alone", d.Kept)
	if d.Detail != "" {
		parts = append(parts, d.Detail)
	}
	return strings.Join(parts, "; ")
}
