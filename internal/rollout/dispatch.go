package rollout

import (
	"fmt"
	"time"
)

// dispatch is the dispatcher: it takes commands, admits hosts and opens gates until there is nothing more to do. It returns
// false when the run was cut.
func (r *run) dispatch() bool {
	var asked time.Time
	waits := false // commands, for hosts that are to answer first
	for r.ctx.Err() == nil {
		if now := r.cfg.Clock.Steady(); waits || asked.IsZero() || now.Sub(asked) >= r.cfg.Timing.CommandPoll {
			asked, waits = now, !r.takeCommands()
		}
		done := r.advance()
		if r.ctx.Err() != nil {
			return false
		}
		if done && !waits {
			return true
		}
		if done {
			continue // those hosts have answered meanwhile
		}
		select {
		case <-r.e.wake:
		case <-r.cfg.Clock.After(r.cfg.Timing.CommandPoll):
		case <-r.ctx.Done():
		}
	}
	return false
}

// advance does all that can be done without waiting, and tells whether the run is over. Errors of commit end the run by
// themselves, so they are not looked at here.
func (r *run) advance() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	draining := r.e.draining()
	if draining {
		r.pause(Reason{ReasonOperator, "drained: no new hosts until resume"}, "")
	}
	r.sendBack()
	idle := func() bool { return len(r.atWork) == 0 && r.background == 0 }
	switch r.ro.State {
	case RolloutAborted:
		r.leave(OnAborted, Reason{ReasonAborted, r.ro.Stop.Text}, StatePending, StateDeferred, StateHeld, StateUnreachable)
		r.shut()
		return idle() && !r.settleHooks(true)
	case RolloutStopped:
		r.leave(OnStopped, Reason{ReasonStopped, r.ro.Stop.Text}, StatePending, StateDeferred)
		r.shut()
		return !r.stopBack() && idle() && !r.settleHooks(true)
	case RolloutPaused:
		return idle() && (!r.wait || draining)
	case RolloutDone:
		return idle() && !r.settleHooks(true)
	case RolloutCreated:
		r.begin()
		return false
	}
	return r.progress(idle, draining)
}

// progress works on the first wave that has not passed.
func (r *run) progress(idle func() bool, draining bool) bool {
	if r.unasked > 0 {
		return false // no gate opens on the word of a restored journal
	}
	w, ok := r.nextWave()
	if !ok {
		if !idle() {
			return false
		}
		r.finish()
		return false
	}
	if r.current != w {
		r.current, r.queueFor = w, -1
	}
	if r.settleHooks(false) {
		return false
	}
	if stop := r.tripped(w, false); stop != nil {
		r.stopAt(w, stop)
		return false
	}
	switch r.waves[w].State {
	case WavePending, WaveFailed:
		if !r.enter(w) {
			return r.ro.State == RolloutWaiting && idle() && (!r.wait || draining)
		}
		fallthrough
	case WaveRunning:
		if !r.amendedMayBegin(w) || !r.windowOpens(w) {
			return r.ro.State == RolloutWaiting && idle() && (!r.wait || draining)
		}
		if later, others := r.hooksTooEarly(w); idle() && len(later) > 0 && others == 0 {
			r.awaitWindow(w, later)
			return false
		}
		if r.prepare(w) {
			r.admit(w)
		}
	case WaveSoaking:
		r.soak(w)
	}
	return false
}

// nextWave is the first wave whose gate is not open. Called with mu held.
func (r *run) nextWave() (int, bool) { return r.rules.nextWave(r) }

// firstShut is nextWave. Called with mu held.
func (r *run) firstShut() (int, bool) {
	for r.firstOpen < len(r.waves) && r.waves[r.firstOpen].State == WavePassed {
		r.firstOpen++
	}
	if r.firstOpen == len(r.waves) {
		return 0, false
	}
	return r.firstOpen, true
}

// finish ends the rollout: every gate is open. Called with mu held.
func (r *run) finish() {
	ro := r.ro
	ro.State, ro.EndedAt, ro.Stop, ro.WaitingFor = RolloutDone, r.cfg.Clock.Now(), StopReason{}, ""
	_ = r.commit(Change{Rollout: &ro, Events: []Event{{Kind: EventRollout, Wave: -1, From: string(r.ro.State), To: string(RolloutDone)}}})
	r.e.poke()
}

// enter starts a wave, once its approvals are there. Called with mu held.
func (r *run) enter(w int) bool {
	if !r.dryRun {
		if !r.cfg.Clock.Now().Before(r.ro.ExpiresAt) {
			r.stopExpired(w)
			return false
		}
		if scope := r.missingApproval(w); scope != "" {
			r.waitFor(scope)
			return false
		}
	}
	rec := r.waves[w]
	from := rec.State
	rec.State, rec.Verdict = WaveRunning, Reason{}
	if rec.StartedAt.IsZero() {
		rec.StartedAt = r.cfg.Clock.Now()
	}
	c := Change{Waves: []WaveRecord{rec}, Events: []Event{{Kind: EventWave, Wave: w, From: string(from), To: string(WaveRunning)}}}
	if r.ro.State != RolloutRunning {
		ro := r.ro
		ro.State, ro.WaitingFor, ro.Stop = RolloutRunning, "", StopReason{}
		c.Rollout = &ro
		c.Events = append(c.Events, Event{Kind: EventRollout, Wave: w, From: string(r.ro.State), To: string(RolloutRunning)})
	}
	return r.commit(c) == nil
}

// stopExpired stops the rollout at a wave that comes too late. Called with mu held.
func (r *run) stopExpired(w int) {
	_ = r.stop(StopReason{Scope: fmt.Sprintf("wave %d", w+1), Reason: Reason{ReasonExpired,
		"the plan expired at " + r.ro.ExpiresAt.UTC().Format("2006-01-02 15:04Z") + "; make a new one for the hosts that are left"}})
	r.e.poke()
}

// missingApproval is the scope whose approval keeps a wave shut, or "". Called with mu held.
func (r *run) missingApproval(w int) string { return r.rules.unvoted(r, w) }

// withoutApproval is missingApproval. Called with mu held.
func (r *run) withoutApproval(w int) string { return r.ballot().Missing(w) }

// waitFor records that an approval is missing. Called with mu held.
func (r *run) waitFor(scope string) {
	why := Reason{ReasonApproval, r.waitText(scope)}
	if r.ro.State == RolloutWaiting && r.ro.WaitingFor == scope && r.ro.Stop.Text == why.Text {
		return
	}
	ro := r.ro
	ro.State, ro.WaitingFor, ro.Stop = RolloutWaiting, scope, StopReason{Scope: scope, Reason: why}
	_ = r.commit(Change{Rollout: &ro, Events: []Event{{Kind: EventRollout, Wave: r.current, From: string(r.ro.State), To: string(RolloutWaiting), Reason: why}}})
}

// gate looks at a wave whose hosts are all final: budgets, proof, then the soak. Called with mu held.
func (r *run) gate(w int) {
	if stop := r.tripped(w, true); stop != nil {
		r.stopAt(w, stop)
		return
	}
	level := r.tally.levels[r.sched.Waves[w].Level]
	if !r.dryRun && level.proven == 0 && r.tally.waves[w].skipped < r.tally.waves[w].total && w+1 < len(r.waves) {
		stop := &StopReason{Scope: fmt.Sprintf("wave %d", w+1), Reason: Reason{ReasonProvedNothing,
			"no host of this level has been updated so far, so nothing shows that the plan is good"}}
		r.stopAt(w, stop)
		return
	}
	rec := r.waves[w]
	soak := r.sched.Levels[r.sched.Waves[w].Level].Soak
	now := r.cfg.Clock.Now()
	if rec.State != WaveSoaking && soak > 0 && r.tally.waves[w].ok > 0 && !r.dryRun {
		rec.State, rec.SoakUntil, rec.SoakLeft = WaveSoaking, now.Add(soak), 0
		r.nextSoak, r.roundAt = r.cfg.Clock.Steady().Add(r.soakEvery(w)), time.Time{}
	} else {
		rec.State, rec.SoakUntil = WavePassed, time.Time{}
		if t := r.tally.waves[w]; t.ok == 0 && t.skipped < t.total && level.proven == 0 && !r.dryRun {
			rec.Verdict = Reason{ReasonProvedNothing, "no host of it was updated"}
		}
		if rec.PassedAt.IsZero() {
			rec.PassedAt = now
		}
	}
	_ = r.commit(Change{Waves: []WaveRecord{rec}, Events: []Event{{Kind: EventWave, Wave: w, From: string(r.waves[w].State), To: string(rec.State), Reason: rec.Verdict}}})
	r.e.poke()
}

// stopAt stops the rollout at a wave and names who is to blame. Called with mu held.
func (r *run) stopAt(w int, stop *StopReason) {
	if stop.Code == ReasonWorst {
		for _, h := range sortedKeys(r.hosts) {
			if rec := r.hosts[h]; r.m.info[rec.State].Stops {
				blame(stop, *rec)
				break
			}
		}
	} else if rec, ok := r.culprit(w); ok {
		blame(stop, rec)
	}
	_ = r.stop(*stop)
	r.e.poke()
}

// shut marks the wave that a stop or an abort caught as failed. Called with mu held.
func (r *run) shut() {
	for _, w := range r.waves {
		if w.State != WaveRunning && w.State != WaveSoaking {
			continue
		}
		from := w.State
		w.State, w.Verdict, w.SoakUntil, w.SoakLeft = WaveFailed, r.ro.Stop.Reason, time.Time{}, 0
		_ = r.commit(Change{Waves: []WaveRecord{w}, Events: []Event{{Kind: EventWave, Wave: w.Index, From: string(from), To: string(WaveFailed), Reason: w.Verdict}}})
	}
}

// leave takes all hosts in the given states out. Called with mu held.
func (r *run) leave(on Trigger, why Reason, states ...State) { r.rules.leave(r, on, why, states...) }

// takeOut is leave, in one write. Called with mu held.
func (r *run) takeOut(on Trigger, why Reason, states ...State) {
	n := 0
	for _, s := range states {
		n += r.tally.states[s]
	}
	if n == 0 {
		return
	}
	var c Change
	for i := range r.sched.Waves {
		for _, h := range r.sched.Waves[i].Hosts {
			if !contains(states, r.hosts[h].State) || r.atWork[h] {
				continue
			}
			rec, ev, err := r.move(h, on, why, nil)
			if err != nil {
				return
			}
			c.Hosts, c.Events = append(c.Hosts, rec), append(c.Events, ev)
		}
	}
	if len(c.Hosts) > 0 {
		_ = r.commit(c)
	}
}

func contains(states []State, s State) bool {
	for _, x := range states {
		if x == s {
			return true
		}
	}
	return false
}

// pause keeps new hosts back; a soak stands still meanwhile. Called with mu held.
func (r *run) pause(why Reason, user string) {
	switch r.ro.State {
	case RolloutCreated, RolloutRunning, RolloutWaiting:
	default:
		return
	}
	ro := r.ro
	ro.State, ro.Stop = RolloutPaused, StopReason{Reason: why}
	c := Change{Rollout: &ro, Events: []Event{{Kind: EventRollout, Wave: r.current, From: string(r.ro.State), To: string(RolloutPaused), Reason: why, User: user}}}
	r.haltSoak(&c)
	_ = r.commit(c)
}

// haltSoak takes what is left of a soak instead of its end. Called with mu held.
func (r *run) haltSoak(c *Change) {
	now := r.cfg.Clock.Steady()
	for _, w := range r.waves {
		if w.State == WaveSoaking && !w.SoakUntil.IsZero() {
			w.SoakLeft, w.SoakUntil = max(r.soakEnd(w).Sub(now), time.Nanosecond), time.Time{}
			c.Waves = append(c.Waves, w)
		}
	}
}
