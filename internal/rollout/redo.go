package rollout

import (
	"fmt"
	"time"
)

// MayRedo tells why a retry or a skip can have no effect on a rollout as it stands, and what to do instead; "" when it can have one. With an
// engine at work a host may move on meanwhile: what is recorded is judged once more by the engine that takes it.
func MayRedo(s Snapshot, cmd Command, now time.Time) (why, instead string) {
	ro := s.Rollout
	const anew = "cpacman plan makes a new plan for what is left"
	switch {
	case cmd.Kind != CommandRetry && cmd.Kind != CommandSkip || ro.Unreconciled: // after a restore the states are those of the backup
		return "", ""
	case ro.State == RolloutAborted:
		return "rollout " + ro.ID + " was aborted: nothing of it goes on", anew
	}
	found := false
	for _, h := range s.Hosts {
		if cmd.Host != "" && h.Host != cmd.Host || cmd.Host == "" && h.State == StateSkipped {
			continue
		}
		text, do := mayRedo(h, cmd.Kind, ro)
		switch {
		case text == "" && cmd.Kind == CommandRetry && h.State != StateLost && !now.Before(ro.ExpiresAt):
			return fmt.Sprintf("plan %s expired at %s: no host of it begins any more", short(ro.PlanID), ro.ExpiresAt.UTC().Format("2006-01-02 15:04Z")), anew
		case text == "":
			found = true
		case cmd.Host != "":
			return "host " + h.Host + " " + text, do
		}
	}
	switch {
	case found:
		return "", ""
	case cmd.Host != "":
		return fmt.Sprintf("host %q is not part of rollout %s", cmd.Host, ro.ID), ""
	}
	return "no host of rollout " + ro.ID + " has failed or was held: there is nothing to try again", anew
}

// mayRedo is MayRedo for one host.
func mayRedo(h HostRecord, kind CommandKind, ro Rollout) (why, instead string) {
	on := OnRetry
	if kind == CommandSkip {
		on = OnSkip
	}
	if _, possible := table.next[h.State][on]; possible || kind == CommandRetry && h.State == StateLost {
		return "", ""
	}
	is := "is " + string(h.State)
	switch info := table.info[h.State]; {
	case h.State == StatePending || h.State == StateDeferred:
		return is + ": it is tried anyway", "cpacman rollout resume " + ro.ID + " lets the rollout go on"
	case info.Phase == PhaseWay:
		return is + ": it is being worked on", "cpacman rollout watch " + ro.ID + " tells when it has come to rest"
	case h.State == StateSkipped:
		return is + " already", ""
	case kind == CommandSkip && info.Counts == CountsFailure:
		return is + ": only a host that was not begun can be left out", "cpacman rollout retry " + ro.ID + " " + h.Host + " tries it again"
	case kind == CommandSkip:
		return is + ": only a host that was not begun can be left out", ""
	}
	return is + ": there is nothing to try again", "cpacman plan " + h.Host + " makes a new plan for what has become newer"
}
