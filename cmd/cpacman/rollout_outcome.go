package main

import (
	"fmt"
	"slices"
	"strings"

	"cpacman/internal/rollout"
)

// outcome tells how a rollout ended and what to do next.
func (s *session) outcome(id string, o rollout.Outcome) error {
	snap, err := s.store.Load(s.ctx, id)
	if err != nil {
		return err
	}
	s.sayOutcome(snap, o)
	if status := o.Exit.Status(); status != 0 {
		return &statusError{status: status}
	}
	return nil
}

func (s *session) sayOutcome(snap rollout.Snapshot, o rollout.Outcome) {
	id := snap.Rollout.ID
	count := map[rollout.State]int{}
	for _, h := range snap.Hosts {
		count[h.State]++
	}
	ended := string(o.Exit)
	if state := snap.Rollout.State; state == rollout.RolloutPaused || state == rollout.RolloutAborted {
		ended = string(state)
	}
	s.say("rollout %s: %s (%s)", id, ended, stateCounts(count))
	if stop := snap.Rollout.Stop; stop.Text != "" || stop.Host != "" {
		s.say("%s", stopWords(snap.Rollout.State, stop))
	}
	for _, line := range remarks(snap.Hosts) {
		s.say("note: %s", line)
	}
	if snap.Rollout.State == rollout.RolloutAborted {
		s.say("next: cpacman rollout status %s --hosts; a new plan finds what is left to do", id)
		return
	}
	if snap.Rollout.Staging && snap.Rollout.State == rollout.RolloutDone {
		s.saysStaged(snap)
		return
	}
	if snap.Rollout.DryRun && snap.Rollout.State == rollout.RolloutDone {
		s.say("it was a dry run: nothing was changed; next: cpacman rollout status %s --hosts", id)
		return
	}
	switch o.Exit {
	case rollout.ExitDone:
		s.say("next: cpacman audit drift")
	case rollout.ExitWaiting:
		if snap.Rollout.WaitingFor != "" {
			s.say("next: cpacman rollout approve %s, then: cpacman rollout resume %s", id, id)
			return
		}
		if snap.Rollout.State == rollout.RolloutWaiting {
			s.say("next: %s", windowNext(id))
			return
		}
		s.say("next: cpacman rollout resume %s", id)
	case rollout.ExitInterrupted:
		s.say("next: cpacman rollout resume %s", id)
	default:
		s.say("next: cpacman rollout status %s tells what can be done", id)
	}
}

// saysStaged tells what a staging left.
func (s *session) saysStaged(snap rollout.Snapshot) {
	staged, there := 0, 0
	for _, h := range snap.Hosts {
		switch h.Reason.Code {
		case rollout.ReasonDryRun:
			staged++
		case rollout.ReasonAlreadyUpdated:
			there++
		}
	}
	s.say("staged and proven on %d of %d hosts (%d have it already); no package was changed", staged, len(snap.Hosts), there)
	if left := len(snap.Hosts) - staged - there; left > 0 {
		s.say("next: cpacman rollout status %s tells why %d are not staged; rollout start with the plan does what can be done", snap.Rollout.ID, left)
		return
	}
	s.say("next: cpacman rollout start with the plan; cpacman clean removes what was sent")
}

// remarks tells what a person should look at on hosts that may be ok all the same.
func remarks(hosts []rollout.HostRecord) []string {
	var out []string
	there := func(h rollout.HostRecord) bool {
		return h.State == rollout.StateOK || h.State == rollout.StateHealthFailed
	}
	for _, f := range []struct {
		flag rollout.Flag
		text string
	}{
		{rollout.FlagScriptletErrors, "a scriptlet failed, and the packages are there"},
		{rollout.FlagConfigFiles, "configuration files were kept beside new ones (.rpmnew, .rpmsave)"},
		{rollout.FlagRebootDue, "a reboot is due (cpacman rollout reboot)"},
		{rollout.FlagRestartFailed, "a service did not come back from its restart"},
		{rollout.FlagRestartDue, "services run files that are gone and were not restarted"},
		{rollout.FlagOverdue, "the transaction took longer than was allowed for"},
	} {
		var names []string
		for _, h := range hosts {
			// What is to know of a host that did not make it stands in its reason.
			if slices.Contains(h.Flags, f.flag) && (f.flag != rollout.FlagScriptletErrors || there(h)) {
				names = append(names, h.Host)
			}
		}
		if len(names) > 0 {
			slices.Sort(names)
			out = append(out, fmt.Sprintf("on %d %s %s: first %s", len(names), plural(len(names), "host", "hosts"), f.text, names[0]))
		}
	}
	return out
}

// stopWords is a stop in one line: where, which check on which host, and what it printed.
func stopWords(state rollout.RolloutState, stop rollout.StopReason) string {
	var b strings.Builder
	switch state {
	case rollout.RolloutPaused, rollout.RolloutWaiting, rollout.RolloutAborted:
		b.WriteString(string(state))
	default:
		b.WriteString("stopped")
	}
	if stop.Scope != "" {
		b.WriteString(" at " + stop.Scope)
	}
	if stop.Text != "" {
		b.WriteString(": " + stop.Text)
	}
	if stop.Host != "" && !strings.Contains(stop.Text, stop.Host) {
		b.WriteString("; host " + stop.Host)
	}
	if stop.Check != "" && !strings.Contains(stop.Text, stop.Check) {
		b.WriteString("; check " + stop.Check)
	}
	if stop.Output != "" && !strings.Contains(stop.Text, stop.Output) {
		b.WriteString("; it said: " + stop.Output)
	}
	return b.String()
}

// stateCounts lists states with their numbers in the order of the state table.
func stateCounts(count map[rollout.State]int) string {
	var parts []string
	for _, info := range rollout.States() {
		if n := count[info.State]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, info.State))
		}
	}
	return strings.Join(parts, ", ")
}
