package rollout

import (
	"fmt"
	"time"
)

// resume takes a rollout up again: what the engine had held goes on, hosts that could not be reached are tried again where
// their wave is still open, and hosts at work are asked what became of them.
func (r *run) resume(user string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.release(user, 0) {
		return
	}
	r.reattachAll()
	if r.ro.State != RolloutAborted {
		r.reattachLost("")
	}
}

// reattachAll asks the hosts at work what became of them. Called with mu held.
func (r *run) reattachAll() {
	for _, h := range sortedKeys(r.hosts) {
		if atWork(r.m.info[r.hosts[h].State]) {
			r.put(h, (*hostRun).reattach)
		}
	}
}

// release lets a rollout that rests go on, in one write. seq is that of the command, 0 for none. Called with mu held.
func (r *run) release(user string, seq int64) bool {
	var c Change
	was := r.ro.State
	open := map[int]bool{}
	if was != RolloutAborted {
		for i := range r.sched.Waves {
			for _, h := range r.sched.Waves[i].Hosts {
				if !r.releasable(i, *r.hosts[h]) {
					continue
				}
				rec, ev, err := r.move(h, OnReleased, Reason{}, func(rec *HostRecord) { rec.Deferred = 0 })
				if err != nil {
					return false
				}
				c.Hosts, c.Events, open[i] = append(c.Hosts, rec), append(c.Events, ev), true
			}
		}
	}
	ro := r.ro
	ro.CommandSeq = max(ro.CommandSeq, seq)
	if was != RolloutAborted && (was != RolloutDone || len(c.Hosts) > 0) {
		ro.State, ro.Stop, ro.WaitingFor, ro.EndedAt = RolloutRunning, StopReason{}, "", time.Time{}
		if !ro.QuorumMet {
			ro.State = RolloutCreated
		}
	}
	c.Rollout = &ro
	c.Events = append(c.Events, Event{Kind: EventRollout, Wave: r.current, From: string(was), To: string(ro.State), User: user})
	r.reopen(&c, open, ro.State)
	return r.commit(c) == nil
}

// releasable tells whether resume lets a host go on. Called with mu held.
func (r *run) releasable(wave int, rec HostRecord) bool {
	switch rec.State {
	case StateHeld:
		return rec.Reason.Code == ReasonStopped
	case StateUnreachable:
		return r.waves[wave].State != WavePassed || r.ro.State == RolloutDone
	}
	return false
}

// reopen adds what a resume means for waves: those that failed run again, those that got hosts back too, and a soak that
// stood still goes on. Called with mu held.
func (r *run) reopen(c *Change, open map[int]bool, state RolloutState) {
	now := r.cfg.Clock.Now()
	for i, w := range r.waves {
		from := w.State
		switch {
		case w.State == WaveFailed, open[i] && (w.State == WavePassed || w.State == WaveSoaking):
			w.State, w.Verdict, w.SoakUntil, w.SoakLeft = WaveRunning, Reason{}, time.Time{}, 0
		case w.State == WaveSoaking && w.SoakLeft > 0 && state == RolloutRunning:
			w.SoakUntil, w.SoakLeft = now.Add(w.SoakLeft), 0
		default:
			continue
		}
		c.Waves = append(c.Waves, w)
		if from != w.State {
			c.Events = append(c.Events, Event{Kind: EventWave, Wave: i, From: string(from), To: string(w.State)})
		}
	}
}

// takeCommands carries out what operators at other terminals want.
func (r *run) takeCommands() {
	r.mu.Lock()
	after := r.ro.CommandSeq
	r.mu.Unlock()
	cmds, err := r.cfg.Commands.Pending(r.ctx, r.id, after)
	if err != nil {
		if r.ctx.Err() == nil {
			r.observe(Event{Kind: EventWarning, Wave: -1, Reason: Reason{ReasonInternal, "could not read commands: " + err.Error()}})
		}
		return
	}
	for _, c := range cmds {
		r.mu.Lock()
		if c.Seq > r.ro.CommandSeq {
			r.take(c)
		}
		r.mu.Unlock()
	}
}

// take carries out one command; that it was taken is part of the same write. Called with mu held.
func (r *run) take(cmd Command) {
	ro := r.ro
	ro.CommandSeq = cmd.Seq
	c := Change{Rollout: &ro}
	by := string(cmd.Kind) + " by " + cmd.User
	if cmd.Reason != "" {
		by += ": " + cmd.Reason
	}
	why := Reason{ReasonOperator, by}.bounded()
	ok, text := false, ""
	switch cmd.Kind {
	case CommandPause:
		if ok = ro.State == RolloutRunning || ro.State == RolloutWaiting || ro.State == RolloutCreated; ok {
			ro.State, ro.Stop = RolloutPaused, StopReason{Reason: why}
			r.haltSoak(&c)
		}
	case CommandResume:
		if ro.State == RolloutPaused || ro.State == RolloutStopped {
			r.release(cmd.User, cmd.Seq)
			return
		}
	case CommandAbort:
		if ok = ro.State != RolloutDone && ro.State != RolloutAborted; ok {
			ro.State, ro.Stop, ro.WaitingFor = RolloutAborted, StopReason{Reason: why}, ""
		}
	case CommandApprove:
		ok, text = r.approve(cmd, &c)
	case CommandRetry, CommandSkip:
		ok, text = r.redo(cmd, why, &c)
	default:
		text = "unknown command"
	}
	ev := Event{Kind: EventCommand, Wave: -1, Host: cmd.Host, User: cmd.User, From: string(r.ro.State), To: string(ro.State), Reason: why}
	if !ok {
		ev.Reason.Text = fmt.Sprintf("refused %s by %s: not possible while the rollout is %s", cmd.Kind, cmd.User, r.ro.State)
		if text != "" {
			ev.Reason.Text = fmt.Sprintf("refused %s by %s: %s", cmd.Kind, cmd.User, text)
		}
		c = Change{Rollout: &ro}
	}
	c.Events = append(c.Events, ev)
	if r.commit(c) == nil && ok && cmd.Kind == CommandRetry {
		r.reattachLost(cmd.Host)
	}
}

// approve adds an approval to a change. It holds for one digest: a plan or settings that changed need a new one.
func (r *run) approve(cmd Command, c *Change) (bool, string) {
	scope := cmd.Scope
	if scope == "" {
		scope = r.nextApproval()
	}
	switch {
	case scope == "":
		return false, "nothing waits for an approval; name the scope"
	case cmd.Digest != r.ro.Digest:
		return false, "the approval is for digest " + short(cmd.Digest) + ", the rollout has " + short(r.ro.Digest)
	case !r.sched.hasScope(scope):
		return false, fmt.Sprintf("%q is no class or level of this rollout that wants an approval", scope)
	}
	c.Approval = &Approval{Scope: scope, User: cmd.User, Reason: cmd.Reason, Digest: cmd.Digest, At: r.cfg.Clock.Now()}
	return true, ""
}

// nextApproval is the scope whose approval will be missing next, or "". Called with mu held.
func (r *run) nextApproval() string {
	for i := range r.waves {
		if r.waves[i].State != WavePending {
			continue
		}
		if scope := r.missingApproval(i); scope != "" {
			return scope
		}
	}
	return ""
}

func (s *Schedule) hasScope(scope string) bool {
	for _, l := range s.Levels {
		if l.ClassApprove > 0 && l.ClassScope() == scope || l.Approve > 0 && l.Scope() == scope {
			return true
		}
	}
	return false
}

// redo adds retries or skips to a change: of one host, or, for a retry without one, of all that failed or never started.
func (r *run) redo(cmd Command, why Reason, c *Change) (bool, string) {
	hosts := []string{cmd.Host}
	if cmd.Host == "" {
		if cmd.Kind == CommandSkip {
			return false, "name the host to skip"
		}
		hosts = sortedKeys(r.hosts)
	}
	if r.ro.State == RolloutAborted {
		return false, "the rollout was aborted"
	}
	open := map[int]bool{}
	lost := false
	for _, h := range hosts {
		rec, known := r.hosts[h]
		if !known {
			return false, fmt.Sprintf("host %q is no part of this rollout", h)
		}
		on := OnRetry
		if cmd.Kind == CommandSkip {
			on = OnSkip
		}
		lost = lost || cmd.Kind == CommandRetry && rec.State == StateLost
		_, possible := r.m.next[rec.State][on]
		if !possible || r.atWork[h] || cmd.Host == "" && rec.State == StateSkipped {
			if cmd.Host != "" && !lost {
				return false, fmt.Sprintf("host %s is %s", h, rec.State)
			}
			continue
		}
		next, ev, err := r.move(h, on, why, func(rec *HostRecord) {
			if on == OnRetry {
				*rec = again(*rec)
			}
		})
		if err != nil {
			return false, err.Error()
		}
		ev.User = cmd.User
		c.Hosts, c.Events = append(c.Hosts, next), append(c.Events, ev)
		open[rec.Wave] = on == OnRetry
	}
	if len(c.Hosts) == 0 && !lost {
		return false, "there is no host to " + string(cmd.Kind)
	}
	if cmd.Kind == CommandRetry {
		if s := r.ro.State; s == RolloutDone || s == RolloutWaiting {
			c.Rollout.State, c.Rollout.Stop, c.Rollout.WaitingFor, c.Rollout.EndedAt = RolloutRunning, StopReason{}, "", time.Time{}
		}
		r.reopen(c, open, RolloutPaused)
	}
	return true, ""
}

// again is a record at the beginning of a new attempt. What was asked to be erased, and the baseline from before the first
// transaction, stay.
func again(rec HostRecord) HostRecord {
	rec.Attempt++
	rec.TxID, rec.TxAt, rec.Began, rec.Cut, rec.Deferred = "", time.Time{}, false, false, 0
	rec.Erasing, rec.Checks, rec.Started = false, nil, time.Time{}
	return rec
}

// reattachLost asks lost hosts again. No host is admitted until they have answered or are lost once more: a lost host stops
// the rollout. Called with mu held.
func (r *run) reattachLost(host string) {
	for _, h := range sortedKeys(r.hosts) {
		if host != "" && h != host || r.hosts[h].State != StateLost || r.atWork[h] {
			continue
		}
		if r.stepLocked(h, OnReattach, Reason{}, nil) != nil {
			return
		}
		r.asking++
		r.put(h, func(hr *hostRun) {
			hr.reattach()
			r.mu.Lock()
			r.asking--
			r.mu.Unlock()
		})
	}
}
