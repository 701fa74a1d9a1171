package rollout

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestApproval(t *testing.T) {
	build := func(t *testing.T) *rig {
		r := newRig(t)
		r.host("canary", "c", plain)
		r.host("broad", "b", plain)
		r.s.Levels[1].Approve = 1
		r.build()
		return r
	}
	sim(t, "without waiting", func(t *testing.T) {
		r := build(t)
		out := r.mustStart(ExitWaiting)
		if out.Rollout.State != RolloutWaiting || out.Rollout.WaitingFor != "level prod/broad" {
			t.Errorf("rollout %+v", out.Rollout)
		}
		r.is(map[string]State{"c": StateOK, "b": StatePending})
		r.j.command(Command{Kind: CommandApprove, Digest: "another"})
		r.mustResume(ExitWaiting)
		r.j.command(Command{Kind: CommandApprove, Digest: r.req.Schedule.Digest, Reason: "CHG-1"})
		r.mustResume(ExitDone)
		if len(r.j.approvals) != 1 || r.j.approvals[0].User != "ann" || r.j.approvals[0].Reason != "CHG-1" {
			t.Errorf("approvals %+v", r.j.approvals)
		}
	})
	sim(t, "from another terminal", func(t *testing.T) {
		r := build(t)
		r.req.Wait = true
		r.j.script = func(j *memJournal, ev Event) {
			if ev.Kind == EventRollout && ev.To == string(RolloutWaiting) {
				go func() {
					time.Sleep(time.Hour)
					j.mu.Lock()
					j.command(Command{Kind: CommandApprove, Digest: r.req.Schedule.Digest})
					j.mu.Unlock()
				}()
			}
		}
		begin := time.Now()
		r.mustStart(ExitDone)
		if time.Since(begin) < time.Hour {
			t.Error("did not wait for the approval")
		}
	})
}

func TestOperators(t *testing.T) {
	build := func(t *testing.T, wait bool) *rig {
		r := newRig(t)
		r.hosts("broad", 12, plain)
		r.build()
		r.req.Wait = wait
		return r
	}
	// once runs f at the first event that matches.
	once := func(r *rig, on Trigger, f func(j *memJournal)) {
		done := false
		r.j.script = func(j *memJournal, ev Event) {
			if ev.On == on && !done {
				done = true
				f(j)
			}
		}
	}
	sim(t, "pause and resume", func(t *testing.T) {
		r := build(t, true)
		once(r, OnStart, func(j *memJournal) {
			j.command(Command{Kind: CommandPause, Reason: "phone call"})
			go func() {
				time.Sleep(3 * time.Hour)
				admitted := 0
				j.mu.Lock()
				for _, h := range j.hosts {
					if h.State != StatePending {
						admitted++
					}
				}
				if j.ro.State != RolloutPaused || admitted != 3 {
					t.Errorf("while paused: %s, %d hosts admitted", j.ro.State, admitted)
				}
				j.command(Command{Kind: CommandResume})
				j.mu.Unlock()
			}()
		})
		begin := time.Now()
		r.mustStart(ExitDone)
		if time.Since(begin) < 3*time.Hour {
			t.Error("was not paused")
		}
	})
	sim(t, "pause without waiting", func(t *testing.T) {
		r := build(t, false)
		once(r, OnStart, func(j *memJournal) { j.command(Command{Kind: CommandPause}) })
		r.mustStart(ExitWaiting)
		r.is(map[string]State{"broad00": StateOK, "broad11": StatePending})
		r.mustResume(ExitDone)
	})
	sim(t, "abort", func(t *testing.T) {
		r := build(t, false)
		once(r, OnStart, func(j *memJournal) { j.command(Command{Kind: CommandAbort, Reason: "wrong plan"}) })
		out := r.mustStart(ExitFailed)
		r.is(map[string]State{"broad00": StateOK, "broad11": StateSkipped})
		for _, w := range r.j.waves {
			if w.State == WaveRunning || w.State == WaveSoaking {
				t.Errorf("an aborted rollout left wave %d %s", w.Index, w.State)
			}
		}
		if out.Rollout.State != RolloutAborted || r.j.hosts["broad11"].Reason.Code != ReasonAborted {
			t.Errorf("rollout %s, %+v", out.Rollout.State, r.j.hosts["broad11"].Reason)
		}
		if _, err := r.resume(); !errors.Is(err, ErrAborted) {
			t.Errorf("resume after abort: %v", err)
		}
		if r.j.held != nil {
			t.Error("the refused resume kept the lease")
		}
	})
	sim(t, "skip and retry", func(t *testing.T) {
		r := newRig(t)
		r.hosts("broad", 4, plain)
		r.kinds["broad03"], r.kinds["broad00"] = changed, away
		r.s.Levels[1].Waves = amounts(t, "100%")
		r.build()
		r.j.command(Command{Kind: CommandSkip, Host: "broad02"})
		r.j.command(Command{Kind: CommandSkip, Host: "nobody"})
		r.mustStart(ExitFailed)
		r.is(map[string]State{"broad00": StateUnreachable, "broad02": StateSkipped, "broad03": StateHeld})
		for _, h := range r.w.hosts {
			h.fixed = true
		}
		r.j.command(Command{Kind: CommandRetry})
		r.mustResume(ExitDone)
		r.is(map[string]State{"broad00": StateOK, "broad02": StateSkipped, "broad03": StateOK})
		if r.j.hosts["broad03"].Attempt != 2 || r.j.hosts["broad03"].TxID != "r1/broad03/2" {
			t.Errorf("attempt %d, transaction %s", r.j.hosts["broad03"].Attempt, r.j.hosts["broad03"].TxID)
		}
	})
	sim(t, "lost, then found by resume", func(t *testing.T) {
		r := newRig(t)
		r.hosts("broad", 4, plain)
		r.kinds["broad00"] = gone
		r.build()
		out := r.mustStart(ExitStopped)
		r.is(map[string]State{"broad00": StateLost, "broad01": StateHeld})
		if out.Rollout.Stop.Code != ReasonWorst || out.Rollout.Stop.Host != "broad00" {
			t.Errorf("stop %+v", out.Rollout.Stop)
		}
		r.w.hosts["broad00"].fixed = true
		r.mustResume(ExitDone)
		r.is(map[string]State{"broad00": StateOK, "broad01": StateOK})
	})
}

func TestDrainAndDetach(t *testing.T) {
	build := func(t *testing.T) *rig {
		r := newRig(t)
		r.hosts("broad", 12, plain)
		r.build()
		return r
	}
	sim(t, "drain", func(t *testing.T) {
		r := build(t)
		e := New(r.cfg)
		time.AfterFunc(5*time.Second, e.Drain)
		out, err := e.Start(context.Background(), r.req)
		r.want(out, err, ExitWaiting)
		r.is(map[string]State{"broad00": StateOK, "broad11": StatePending})
		r.mustResume(ExitDone)
	})
	sim(t, "detach", func(t *testing.T) {
		r := build(t)
		e := New(r.cfg)
		time.AfterFunc(5*time.Second, e.Drain)
		time.AfterFunc(6*time.Second, e.Detach)
		begin := time.Now()
		out, err := e.Start(context.Background(), r.req)
		r.want(out, err, ExitInterrupted)
		if time.Since(begin) > 7*time.Second {
			t.Errorf("detached after %s", time.Since(begin))
		}
		r.is(map[string]State{"broad00": StateTransacting})
		time.Sleep(time.Hour)
		r.mustResume(ExitDone)
	})
	sim(t, "drain during a soak", func(t *testing.T) {
		r := newRig(t)
		r.host("broad", "b", plain)
		r.s.Levels[1].Soak = 10 * time.Hour
		r.build()
		e := New(r.cfg)
		time.AfterFunc(4*time.Hour, e.Drain)
		out, err := e.Start(context.Background(), r.req)
		r.want(out, err, ExitWaiting)
		time.Sleep(100 * time.Hour)
		begin := time.Now()
		r.mustResume(ExitDone)
		if d := time.Since(begin); d < 5*time.Hour || d > 7*time.Hour {
			t.Errorf("the soak went on for %s", d)
		}
	})
	sim(t, "crash during a soak", func(t *testing.T) {
		r := newRig(t)
		r.host("broad", "b", plain)
		r.s.Levels[1].Soak = 10 * time.Hour
		r.build()
		e := New(r.cfg)
		time.AfterFunc(4*time.Hour, e.Detach)
		out, err := e.Start(context.Background(), r.req)
		r.want(out, err, ExitInterrupted)
		time.Sleep(2 * time.Hour)
		begin := time.Now()
		r.mustResume(ExitDone)
		if d := time.Since(begin); d < 3*time.Hour || d > 5*time.Hour {
			t.Errorf("the soak went on for %s; its end is absolute", d)
		}
	})
}
