package main

import (
	"time"

	"cpacman/internal/rollout"
	"cpacman/inventory"
	"cpacman/planner"
)

// printWindows tells, before anything starts, when hosts may begin, and what will not fit (ROLL-10).
func (s *session) printWindows(sch rollout.Schedule, p *planner.Plan, ignored bool) error {
	calendar, err := rollout.NewCalendar(&sch)
	if err != nil {
		return inputError{err: err}
	}
	now := s.now()
	lines := calendar.Describe(&sch, now)
	for _, line := range lines {
		s.say("  may begin: %s", line)
	}
	if ignored {
		s.say("warning: maintenance windows are ignored: hosts begin when their wave does")
		return nil
	}
	if sch.Emergency != nil && len(lines) > 0 {
		s.say("note: an emergency waits for maintenance windows too; rollout start --ignore-window does not")
	}
	for _, line := range calendar.Misfits(&sch, now, p.ExpiresAt) {
		s.say("warning: %s", line)
	}
	return nil
}

// windowNow says when work on a host may start: now, or from when on. "" when it has no windows.
func (s *session) windowNow(h *inventory.Host) string {
	windows := s.site.WindowsOf(h)
	if len(windows) == 0 {
		return ""
	}
	const layout = "Mon 2006-01-02 15:04 MST"
	zone := windows[0].Location()
	now := s.now()
	from, until, ok := windows.Next(now)
	switch {
	case !ok:
		return "never opens again"
	case from.After(now):
		return "opens " + from.In(zone).Format(layout) + " until " + until.In(zone).Format(layout)
	}
	if until.Sub(now) > 360*24*time.Hour { // it opens again before it closes, without an end
		return "open"
	}
	return "open until " + until.In(zone).Format(layout)
}

// windowWords gives what keeps a host from beginning: its window, where the rollout heeds windows and it is closed.
func windowWords(snap rollout.Snapshot, now time.Time) func(rollout.HostRecord) string {
	calendar, err := rollout.NewCalendar(&snap.Schedule)
	if err != nil || snap.Rollout.IgnoreWindow || snap.Rollout.DryRun || snap.Rollout.State == rollout.RolloutDone {
		return func(rollout.HostRecord) string { return "" }
	}
	return func(h rollout.HostRecord) string {
		if h.State.Final() || h.State.Info().Touched || calendar.Open(h.Host, now) {
			return ""
		}
		return calendar.Words(h.Host, now)
	}
}
