package rollout

import (
	"fmt"
	"slices"
	"time"

	"cpacman/inventory"
)

// runChecks runs checks once. What Health leaves out is unknown.
func (r *run) runChecks(host string, checks []string, baseline []CheckResult) []CheckResult {
	if len(checks) == 0 {
		return nil
	}
	got := r.cfg.Health.RunChecks(r.ctx, host, checks, baseline)
	out := make([]CheckResult, 0, len(checks))
	for i, name := range checks {
		res := CheckResult{Check: name, Verdict: Unknown, Output: "the check gave no result"}
		if i < len(got) && got[i].Check == name {
			res = got[i]
		}
		if res.Verdict != Green && res.Verdict != Red {
			res.Verdict = Unknown
		}
		res.Output, res.At = boundText(res.Output), r.cfg.Clock.Now()
		out = append(out, res)
	}
	return out
}

// judgement is one check on its way to a verdict.
type judgement struct {
	check  Check
	last   CheckResult
	passes int
	due    time.Time
	done   bool
}

// judge repeats the checks of a host, each by its interval, until each has passed as often in a row as it must, or is not
// green by its deadline. The reason is empty when all are green; a check that was red before the update is reported, and does
// not blame it. Unknown is not green.
func (r *run) judge(host string, names []string, baseline []CheckResult) ([]CheckResult, Reason) {
	if baseline == nil {
		baseline = []CheckResult{} // nil would mean that the baseline is being taken
	}
	begin := r.cfg.Clock.Steady()
	js := make([]*judgement, len(names))
	for i, n := range names {
		c, _ := r.sched.Check(n)
		js[i] = &judgement{check: c, due: begin, last: CheckResult{Check: n, Verdict: Unknown}}
	}
	for {
		now := r.cfg.Clock.Steady()
		var due []string
		var next time.Time
		for _, j := range js {
			switch {
			case j.done:
			case !j.due.After(now):
				due = append(due, j.check.Name)
			default:
				next = earlier(next, j.due)
			}
		}
		if len(due) > 0 {
			results := r.runChecks(host, due, baseline)
			if r.ctx.Err() != nil {
				return nil, Reason{}
			}
			failed := false
			for _, res := range results {
				j := js[slices.Index(names, res.Check)]
				j.take(res, baseline, begin, r.cfg.Clock.Steady())
				failed = failed || j.failed()
			}
			if failed { // nothing that the others say can help
				return conclude(js)
			}
			continue
		}
		if next.IsZero() {
			return conclude(js)
		}
		if r.sleep(next.Sub(now)) != nil {
			return nil, Reason{}
		}
	}
}

// failed tells whether the verdict is final and blames the update.
func (j *judgement) failed() bool { return j.done && j.last.Verdict != Green && !j.last.RedBefore }

// take adds one run of the check.
func (j *judgement) take(res CheckResult, baseline []CheckResult, begin, now time.Time) {
	j.last = res
	if res.Verdict == Green {
		j.passes++
		j.done = j.passes >= max(j.check.Passes, 1)
	} else {
		j.passes = 0
		if res.Verdict == Red && redIn(baseline, res.Check) {
			j.last.RedBefore, j.done = true, true
		}
	}
	j.due = now.Add(max(j.check.Interval, time.Millisecond))
	if !j.done && j.due.After(begin.Add(j.check.Deadline)) {
		j.done = true
		if res.Verdict == Green {
			j.last.Verdict = Unknown
			j.last.Output = fmt.Sprintf("green %d times in a row by the deadline, %d were asked for", j.passes, j.check.Passes)
		}
	}
}

func redIn(baseline []CheckResult, check string) bool {
	for _, b := range baseline {
		if b.Check == check {
			return b.Verdict == Red
		}
	}
	return false
}

// conclude gives the results, and the first whose verdict is final and not green as the reason.
func conclude(js []*judgement) ([]CheckResult, Reason) {
	var out []CheckResult
	var why Reason
	for _, j := range js {
		out = append(out, j.last)
		if !j.failed() || why.Code != "" {
			continue
		}
		why = Reason{ReasonHealth, "check " + j.last.Check + " is red: " + j.last.Output}
		if j.last.Verdict == Unknown {
			why = Reason{ReasonHealthUnknown, "check " + j.last.Check + " is unknown, which is not green: " + j.last.Output}
		}
	}
	return out, why
}

// soak keeps checking the hosts of a wave until its soak is over and a round that began after that was green (ROLL-2, ROLL-4).
// Called with mu held.
func (r *run) soak(w int) {
	if r.background > 0 {
		return
	}
	rec := r.waves[w]
	now := r.cfg.Clock.Steady()
	if r.tally.waves[w].ended < r.tally.waves[w].total {
		return // a host goes back
	}
	end := r.soakEnd(rec)
	if !rec.SoakUntil.IsZero() && !r.roundAt.Before(end) {
		r.gate(w)
		return
	}
	if now.Before(r.nextSoak) && now.Before(end) {
		return
	}
	var hosts []string
	for _, h := range r.sched.Waves[w].Hosts {
		if r.hosts[h].State == StateOK {
			hosts = append(hosts, h)
		}
	}
	r.background++
	r.goBackground(func() {
		r.each(hosts, r.soakHost)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.background--
		r.nextSoak = r.cfg.Clock.Steady().Add(r.soakEvery(w))
		if r.ctx.Err() == nil {
			r.roundAt = now
		}
		r.e.poke()
	})
}

// soakClock is the end of a soak on the steady clock.
type soakClock struct {
	wave  int
	until time.Time // the end as recorded
	end   time.Time // steady
}

// soakEnd is when the soak of a wave ends on the steady clock: the record has a time of the clock, which may be set meanwhile. What
// is left is taken from that once, and is never more than the whole soak. Called with mu held.
func (r *run) soakEnd(rec WaveRecord) time.Time {
	if s := r.soaking; s.wave != rec.Index || !s.until.Equal(rec.SoakUntil) || s.end.IsZero() {
		left := rec.SoakUntil.Sub(r.cfg.Clock.Now())
		left = min(max(left, 0), r.sched.Levels[r.sched.Waves[rec.Index].Level].Soak)
		r.soaking = soakClock{rec.Index, rec.SoakUntil, r.cfg.Clock.Steady().Add(left)}
	}
	return r.soaking.end
}

// soakHost checks one host once; what is not green is tried again as after the update before it counts.
func (r *run) soakHost(host string) {
	rec := r.record(host)
	checks := r.sched.Host[host].Checks
	good := true
	for _, res := range r.runChecks(host, checks, append([]CheckResult{}, rec.Baseline...)) {
		good = good && (res.Verdict == Green || res.Verdict == Red && redIn(rec.Baseline, res.Check))
	}
	if good || r.ctx.Err() != nil {
		return
	}
	results, bad := r.judge(host, checks, rec.Baseline)
	if r.ctx.Err() != nil || bad.Code == "" {
		return
	}
	bad.Text = "during the soak: " + bad.Text
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hosts[host].State != StateOK {
		return
	}
	on := OnSoakRed
	if r.sched.Rollback != inventory.RollbackNever && r.mayGoBack(*r.hosts[host]) {
		on = OnRollBack
	}
	if r.stepLocked(host, on, bad, func(rec *HostRecord) {
		rec.Checks = results
		if on == OnRollBack {
			rec.Back, rec.BackWhy = true, bad
		}
	}) == nil {
		r.sendBack()
	}
}
