package rollout

import (
	"fmt"
	"strconv"
)

// wouldTrip tells what stops the rollout once rec is taken, or nil. Called with mu held.
func (r *run) wouldTrip(rec HostRecord) *StopReason {
	old := r.hosts[rec.Host]
	if !r.m.info[rec.State].Stops && r.tally.counts(r.m.info[rec.State]) == CountsNeither {
		return nil
	}
	r.tally.add(rec.Host, rec.Wave, old.State, -1)
	r.tally.add(rec.Host, rec.Wave, rec.State, 1)
	stop := r.tripped(rec.Wave, false)
	r.tally.add(rec.Host, rec.Wave, rec.State, -1)
	r.tally.add(rec.Host, rec.Wave, old.State, 1)
	if stop != nil {
		blame(stop, rec)
	}
	return stop
}

// tripped tells which budget is exceeded, or nil. Called with mu held.
func (r *run) tripped(wave int, gate bool) *StopReason { return r.rules.tripped(r, wave, gate) }

// exceededBudget is tripped: from the worst class and the smallest scope up. At a gate every integer counts
// whatever the sample. A dry run has no budgets: it is to see every host. While a restored rollout is reconciled nothing starts
// anyway, and what the journal has of a host may be about to be corrected. Called with mu held.
func (r *run) exceededBudget(wave int, gate bool) *StopReason {
	if r.dryRun || r.unasked > 0 {
		return nil
	}
	w, t := r.sched.Waves[wave], r.tally
	gate = gate || r.sched.Strict // strict counts hosts one by one, so it has no use for a sample
	level := r.sched.Levels[w.Level]
	if t.all.stops > 0 {
		return &StopReason{Scope: "rollout", Reason: Reason{ReasonWorst, fmt.Sprintf("%d hosts are lost or contradict the journal", t.all.stops)}}
	}
	scopes := [...]struct {
		name func() string
		b    Budget
		c    *count
	}{
		{func() string { return fmt.Sprintf("wave %d", wave+1) }, w.Budget, &t.waves[wave]},
		{level.Scope, level.Budget, &t.levels[w.Level]},
		{func() string { return "rollout" }, r.sched.Budget, &t.all},
	}
	for _, s := range scopes {
		if exceeded(s.b, s.c.failures, s.c.ended, r.sched.MinSample, gate) {
			return &StopReason{Scope: s.name(), Reason: Reason{ReasonBudget,
				fmt.Sprintf("%d of %d hosts failed; %s allows %s", s.c.failures, s.c.total, s.name(), s.b)}}
		}
	}
	if b := r.sched.Unreached; exceeded(b, t.all.unreachable, t.all.ended, r.sched.MinSample, gate) {
		return &StopReason{Scope: "rollout", Reason: Reason{ReasonUnreachables,
			fmt.Sprintf("%d of %d hosts are unreachable; the rollout allows %s", t.all.unreachable, t.all.total, b)}}
	}
	return nil
}

// String is the integer, with what was written when that is something else.
func (b Budget) String() string {
	if text := strconv.Itoa(b.Max); b.Of != text {
		return text + " (" + b.Of + ")"
	}
	return strconv.Itoa(b.Max)
}

// blame names the host and, when a check is at fault, the check with its output (ROLL-2: status says which).
func blame(stop *StopReason, rec HostRecord) {
	stop.Host = rec.Host
	for _, c := range rec.Checks {
		if c.Verdict != Green && !c.RedBefore && rec.State == StateHealthFailed {
			stop.Check, stop.Output = c.Check, c.Output
			return
		}
	}
	stop.Output = rec.Reason.Text
}

// culprit finds the failure of a wave to blame at its gate: the latest one. Called with mu held.
func (r *run) culprit(wave int) (HostRecord, bool) {
	var best HostRecord
	for _, h := range r.sched.Waves[wave].Hosts {
		rec := r.hosts[h]
		if r.tally.counts(r.m.info[rec.State]) != CountsNeither && (best.Host == "" || rec.Updated.After(best.Updated)) {
			best = *rec
		}
	}
	return best, best.Host != ""
}

// stopIn adds the stop of the rollout to a change. A rollout that is stopped or aborted already stays what it is. Called with
// mu held.
func (r *run) stopIn(c *Change, stop StopReason) {
	switch r.ro.State {
	case RolloutStopped, RolloutAborted, RolloutDone:
		return
	}
	stop.Reason = stop.Reason.bounded()
	stop.Output = boundText(stop.Output)
	switch stop.Code {
	case ReasonBudget, ReasonWorst, ReasonHealth, ReasonHealthUnknown:
		stop.Back = r.backWaves(r.current)
	}
	ro := r.ro
	if c.Rollout != nil {
		ro = *c.Rollout
	}
	from := ro.State
	ro.State, ro.Stop, ro.WaitingFor = RolloutStopped, stop, ""
	c.Rollout = &ro
	c.Events = append(c.Events, Event{Kind: EventRollout, Wave: r.current, Host: stop.Host, From: string(from),
		To: string(RolloutStopped), Reason: stop.Reason})
}

// stop stops the rollout. Called with mu held.
func (r *run) stop(stop StopReason) error {
	var c Change
	r.stopIn(&c, stop)
	if c.Rollout == nil {
		return nil
	}
	return r.commit(c)
}
