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
	if r.reattachAll(); r.ro.State != RolloutAborted && !r.ro.Unreconciled {
		r.reattachLost("")
	}
}

// reattachAll asks the hosts at work what became of them, and after a restore all that are not at an end. Called with mu held.
func (r *run) reattachAll() {
	if r.ro.Unreconciled {
		r.reconcile()
		return
	}
	for _, h := range sortedKeys(r.hosts) {
		switch {
		case r.hosts[h].State == StateRollingBack: // there may be a whole level of them
			r.backQueue = append(r.backQueue, h)
		case atWork(r.m.info[r.hosts[h].State]):
			r.put(h, (*hostRun).reattach)
		}
	}
	r.settleHosts()
}

// release lets a rollout that rests go on, in one write. seq is that of the command, 0 for none. Called with mu held.
func (r *run) release(user string, seq int64) bool {
	var c Change
	was := r.ro.State
	if was == RolloutStopped && r.owesBack() {
		// What a stop takes back is finished first; whoever wants to go on after that resumes again.
		ro := r.ro
		ro.CommandSeq = max(ro.CommandSeq, seq)
		return r.commit(Change{Rollout: &ro, Events: []Event{{Kind: EventRollout, Wave: r.current, From: string(was), To: string(was), User: user,
			Reason: Reason{ReasonRollback, "hosts are still on their way back"}}}}) == nil
	}
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

// takeCommands carries out what operators at other terminals want. False: some of it waits until hosts have answered, and is to be asked for
// again as soon as they have.
func (r *run) takeCommands() bool {
	r.mu.Lock()
	after := r.ro.CommandSeq
	r.mu.Unlock()
	cmds, err := r.cfg.Commands.Pending(r.ctx, r.id, after)
	if err != nil {
		if r.ctx.Err() == nil {
			r.observe(Event{Kind: EventWarning, Wave: -1, Reason: Reason{ReasonInternal, "could not read commands: " + err.Error()}})
		}
		return true
	}
	for _, c := range cmds {
		v, known := r.hear(c)
		if !known {
			return true // it is asked for again
		}
		r.mu.Lock()
		// What is to become of single hosts is decided once they were asked what became of them, and have what they are owed.
		later := (r.unasked > 0 || len(r.settling) > 0) && (c.Kind == CommandRetry || c.Kind == CommandSkip)
		if !later && c.Seq > r.ro.CommandSeq {
			r.take(c, v)
		}
		r.mu.Unlock()
		if later {
			return false
		}
	}
	return true
}

// take carries out one command; that it was taken is part of the same write. v is what hear said of an approval. Called with mu
// held.
func (r *run) take(cmd Command, v verdict) {
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
		if ok, text = r.approve(v, &c); ok {
			why = Reason{ReasonOperator, c.Approval.words()}.bounded()
		}
	case CommandRetry, CommandSkip:
		ok, text = r.redo(cmd, why, &c)
	case CommandBack:
		ok, text = r.backOn(cmd, why, &c)
	default:
		text = "unknown command"
	}
	ev := Event{Kind: EventCommand, Wave: -1, Host: cmd.Host, User: cmd.User, From: string(r.ro.State), To: string(ro.State), Reason: why}
	if !ok {
		ev.Refused = true
		ev.Reason.Text = fmt.Sprintf("refused %s by %s: not possible while the rollout is %s", cmd.Kind, cmd.User, r.ro.State)
		if text != "" {
			ev.Reason.Text = fmt.Sprintf("refused %s by %s: %s", cmd.Kind, cmd.User, text)
		}
		c = Change{Rollout: &ro}
	}
	c.Events = append(c.Events, ev)
	if r.commit(c) != nil || !ok {
		return
	}
	switch cmd.Kind {
	case CommandRetry:
		r.reattachLost(cmd.Host)
	case CommandBack:
		r.sendBack()
	}
}

// backOn takes hosts back by command: one, or all that the rollout has changed. Nothing new starts with it.
func (r *run) backOn(cmd Command, why Reason, c *Change) (bool, string) {
	if rec, known := r.hosts[cmd.Host]; cmd.Host != "" && !known {
		return false, fmt.Sprintf("host %q is no part of this rollout", cmd.Host)
	} else if r.sched.RebootOnly {
		return false, "it only boots hosts, and a reboot cannot be taken back"
	} else if r.sched.Services != nil {
		return false, "it changes no package; what it stopped, cpacman rollout service start brings back"
	} else if cmd.Host != "" && r.sched.Host[cmd.Host].Back == "" {
		return false, fmt.Sprintf("host %s has no way back in this rollout (%s); plan --undo makes one", cmd.Host, r.sched.WhyNoBack(cmd.Host))
	} else if cmd.Host != "" && r.atWork[cmd.Host] {
		return false, fmt.Sprintf("host %s is %s; pause, and wait until it is at rest", cmd.Host, rec.State)
	}
	why.Code = ReasonRollback
	n := r.takeBack(c, why, cmd.User, func(rec HostRecord) bool { return cmd.Host == "" || rec.Host == cmd.Host })
	if n == 0 {
		return false, "there is no host that was changed and has a way back; plan --undo makes one"
	}
	if cmd.Host == "" && c.Rollout.State != RolloutDone && c.Rollout.State != RolloutAborted {
		c.Rollout.State, c.Rollout.Stop, c.Rollout.WaitingFor = RolloutStopped, StopReason{Scope: "rollout", Reason: why}, ""
	}
	return true, ""
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
	if rec.TxID != "" && rec.Remark != "" { // else it would be read as what is now
		rec.Remark = boundText(fmt.Sprintf("attempt %d: %s", rec.Attempt, rec.Remark))
	}
	rec.Attempt++
	rec.Touched = rec.Touched || rec.TxID != ""
	rec.TxID, rec.TxAt, rec.Began, rec.Cut, rec.Deferred = "", time.Time{}, false, false, 0
	rec.Erasing, rec.Checks, rec.Started = false, nil, time.Time{}
	rec.Back, rec.BackWhy, rec.Boot = false, Reason{}, ""
	return rec
}

// reattachLost asks lost hosts again. No host is admitted until they have answered or are lost once more: a lost host stops
// the rollout. Called with mu held.
func (r *run) reattachLost(host string) {
	for _, h := range sortedKeys(r.hosts) {
		if host != "" && h != host || r.hosts[h].State != StateLost || r.atWork[h] {
			continue
		}
		on := OnReattach
		switch {
		case r.hosts[h].Back:
			on = OnReattachBack
		case r.sched.RebootOnly:
			on = OnReattachBoot
		case r.sched.Services != nil:
			on = OnReattachServices
		}
		if r.stepLocked(h, on, Reason{}, nil) != nil {
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
