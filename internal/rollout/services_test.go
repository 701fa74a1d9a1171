package rollout

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"cpacman/inventory"
	"cpacman/planner"
)

// Services is what a fake host makes of a plan of services; it has "web.service" and no other unit.
func (f *fakeWorker) Services(ctx context.Context, want planner.Services, act bool) (ServicesState, error) {
	unlock, err := f.lock(ctx)
	if err != nil {
		return ServicesState{}, err
	}
	defer unlock()
	switch {
	case f.is(heldTest):
		return ServicesState{}, Held(ReasonServices, "there is no systemd on the host")
	case f.is(upToDate):
		return ServicesState{Absent: want.Units}, nil
	}
	start := want.Action == planner.ServiceStart
	if !act {
		if f.h.stopped != start {
			return ServicesState{Done: want.Units}, nil
		}
		return ServicesState{Due: want.Units}, nil
	}
	f.w.checkServices(f.job, f.h)
	switch {
	case f.is(goneRestart):
		return ServicesState{}, Disconnected(errors.New("reset"))
	case f.is(restartFails):
		return ServicesState{Failed: []string{"web.service (timeout)"}}, nil
	case f.is(eraseFails):
		return ServicesState{}, Failed(ReasonServices, "no space left")
	}
	f.h.stopped, f.h.updated = !start, true
	f.h.stops++
	if f.is(dropStarted) && f.h.stops == 1 {
		return ServicesState{}, Disconnected(errors.New("reset"))
	}
	return ServicesState{Done: want.Units}, nil
}

// checkServices checks what must hold at the moment services are changed. Called with the world's lock held.
func (w *world) checkServices(job Job, h *fakeHost) {
	j := w.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	switch rec := j.hosts[job.Host]; {
	case rec.State != StateRestarting:
		w.break_("%s: services changed while the journal has %s", job.Host, rec.State)
	case j.ro.DryRun:
		w.break_("%s: services changed in a dry run", job.Host)
	case h.owner != job.Rollout:
		w.break_("%s: services changed without the lock", job.Host)
	}
	j.seen.floors(job, j.hosts[job.Host].Updated)
}

// services makes the plan one of services.
func (r *rig) services(action planner.ServiceAction, without ...string) {
	r.plan.Type = planner.TypeServices
	r.plan.Sets, r.plan.Rollbacks = []planner.Set{{ID: "s1"}}, nil
	r.plan.Services = &planner.Services{Action: action, Units: []string{"web.service"}, WithoutChecks: without}
}

func newServicesRig(t *testing.T, add func(r *rig)) *rig {
	r := newRig(t)
	add(r)
	r.services(planner.ServiceStop)
	r.build()
	return r
}

func TestServices(t *testing.T) {
	sim(t, "in waves, with checks and soak", func(t *testing.T) {
		begin := time.Now()
		r := newServicesRig(t, func(r *rig) {
			r.s.Rollout.Rollback, r.s.Rollout.Restart = inventory.RollbackHost, inventory.RestartNeeded
			r.host("canary", "a", plain)
			r.hosts("broad", 8, plain)
			r.host("broad", "none", upToDate)
			r.host("broad", "init", heldTest)
		})
		if len(r.req.Schedule.Warnings) > 0 {
			t.Errorf("warnings %q", r.req.Schedule.Warnings)
		}
		r.mustStart(ExitFailed) // one was held
		r.is(map[string]State{"a": StateOK, "broad07": StateOK, "none": StateNoop, "init": StateHeld})
		if took := time.Since(begin); took < 15*time.Minute {
			t.Errorf("it took %s, less than its soaks", took)
		}
		for h, real := range r.w.hosts {
			if want := map[bool]int{true: 1}[h != "none" && h != "init"]; real.stops != want || real.starts != 0 || real.renewed != 0 {
				t.Errorf("%s: stopped %d times, %d transactions, %d restarts", h, real.stops, real.starts, real.renewed)
			}
		}
		if rec := r.j.record("a"); rec.Remark != "stopped: web.service" || rec.TxID != "" {
			t.Errorf("%+v", rec)
		}
		if rec := r.j.record("none"); rec.Reason.Code != ReasonNotDue || rec.Reason.Text != "not on the host: web.service" {
			t.Errorf("%+v", rec.Reason)
		}
	})
	sim(t, "and back", func(t *testing.T) {
		r := newServicesRig(t, func(r *rig) { r.host("canary", "a", plain) })
		r.services(planner.ServiceStart)
		r.build()
		r.w.hosts["a"].stopped = true
		r.mustStart(ExitDone)
		if r.is(map[string]State{"a": StateOK}); r.w.hosts["a"].stopped {
			t.Error("still stopped")
		}
	})
	sim(t, "a dry run stops nothing", func(t *testing.T) {
		r := newServicesRig(t, func(r *rig) { r.host("canary", "a", plain) })
		r.req.DryRun = true
		r.mustStart(ExitDone)
		r.is(map[string]State{"a": StateNoop})
		if why := r.j.record("a").Reason; why.Code != ReasonDryRun || !strings.Contains(why.Text, "to be stopped: web.service") {
			t.Errorf("%+v", why)
		}
	})
	sim(t, "what cannot be stopped stops the rollout, and another attempt does it", func(t *testing.T) {
		for _, k := range []kind{restartFails, eraseFails} {
			r := newServicesRig(t, func(r *rig) { r.host("canary", "a", k); r.host("broad", "b", plain) })
			r.mustStart(ExitStopped)
			r.is(map[string]State{"a": StateTxFailed, "b": StateHeld})
			if why := r.j.record("a").Reason; why.Code != ReasonServices || !strings.Contains(why.Text, map[kind]string{restartFails: "timeout", eraseFails: "no space"}[k]) {
				t.Errorf("%+v", why)
			}
			r.w.hosts["a"].fixed = true
			r.j.command(Command{Kind: CommandBack})
			r.j.command(Command{Kind: CommandRetry, Host: "a"})
			r.mustResume(ExitDone)
			r.is(map[string]State{"a": StateOK, "b": StateOK})
			if text := r.j.refusals(); !strings.Contains(text, "cpacman rollout service start") {
				t.Errorf("refused: %q", text)
			}
		}
	})
	sim(t, "red afterwards", func(t *testing.T) {
		r := newServicesRig(t, func(r *rig) { r.host("canary", "a", red); r.host("broad", "b", plain) })
		r.mustStart(ExitStopped)
		r.is(map[string]State{"a": StateHealthFailed, "b": StateHeld})
		r.w.hosts["a"].fixed = true
		r.j.command(Command{Kind: CommandRetry, Host: "a"})
		r.mustResume(ExitDone)
		if r.is(map[string]State{"a": StateOK}); r.w.hosts["a"].stops != 1 {
			t.Errorf("stopped %d times", r.w.hosts["a"].stops)
		}
	})
	sim(t, "the check that looks at it is left out", func(t *testing.T) {
		r := newRig(t)
		r.host("canary", "a", red)
		r.services(planner.ServiceStop, "web")
		r.build()
		if checks := r.req.Schedule.Host["a"].Checks; len(checks) != 0 {
			t.Errorf("checks %q", checks)
		}
		r.mustStart(ExitDone)
		for _, name := range []string{"other", inventory.BasicCheck} {
			r.services(planner.ServiceStop, name)
			if _, err := Resolve(r.plan, r.s); err == nil {
				t.Errorf("check %s is left out", name)
			}
		}
	})
	sim(t, "lost, and asked again", func(t *testing.T) {
		r := newServicesRig(t, func(r *rig) { r.host("canary", "a", goneRestart); r.host("broad", "b", plain) })
		r.mustStart(ExitStopped)
		r.is(map[string]State{"a": StateLost, "b": StateHeld})
		r.w.hosts["a"].fixed = true
		r.mustResume(ExitDone)
		r.is(map[string]State{"a": StateOK, "b": StateOK})
	})
	sim(t, "the connection breaks once it is done", func(t *testing.T) {
		r := newServicesRig(t, func(r *rig) { r.host("canary", "a", dropStarted) })
		r.mustStart(ExitDone)
		r.is(map[string]State{"a": StateOK})
	})
	sim(t, "one of a cluster at a time", func(t *testing.T) {
		r := newServicesRig(t, func(r *rig) {
			for _, h := range []string{"a", "b", "c"} {
				r.host("broad", h, plain, "web")
			}
		})
		r.mustStart(ExitDone)
	})
	sim(t, "an emergency", func(t *testing.T) {
		r := newRig(t)
		r.hosts("broad", 4, plain)
		r.services(planner.ServiceStop)
		r.hurry()
		r.plan.Requested.Filter = planner.Filter{}
		r.build()
		if e := r.req.Schedule.Emergency; e.For != "stop of web.service" {
			t.Errorf("%+v", e)
		}
		r.req.Reason = r.s.Emergency.Reason
		r.mustStart(ExitDone)
		r.plan.Services.Action = planner.ServiceStart
		if _, err := Resolve(r.plan, r.s); err == nil {
			t.Error("a start is an emergency")
		}
	})
}

// TestServicesKilled: an engine that dies at any write is followed by one that ends the same; a host that was told ends stopped, one that was
// not is left alone where the rollout was aborted meanwhile.
func TestServicesKilled(t *testing.T) {
	for _, abort := range []bool{false, true} {
		for _, after := range []bool{false, true} {
			for at := 2; at < 30; at++ {
				sim(t, fmt.Sprint(at, after, abort), func(t *testing.T) {
					r := newRig(t)
					r.host("canary", "a", plain)
					if at%2 == 0 {
						r.hook("drain", inventory.BeforeHost)
					}
					r.services(planner.ServiceStop)
					r.build()
					r.j.dieAt, r.j.dieAfter = at, after
					_, err := r.start()
					if err != nil {
						r.j.revive()
						if abort {
							r.j.command(Command{Kind: CommandAbort})
							r.w.opTime = 5 * time.Second // the command is taken before the host answers
						}
						_, err = r.resume()
					}
					if err != nil && !errors.Is(err, ErrAborted) {
						t.Fatal(err)
					}
					r.promises()
					rec := r.j.record("a")
					if done := rec.State == StateOK; done != r.w.hosts["a"].stopped || !abort && !done {
						t.Errorf("%s, and it is stopped: %v", rec.State, r.w.hosts["a"].stopped)
					}
					if r.w.hosts["a"].owner != "" || rec.Locked {
						t.Error("still locked")
					}
				})
			}
		}
	}
}

// TestRebootKilled: an engine that dies at any write of a rollout of reboots leaves no host locked behind the one that follows.
func TestRebootKilled(t *testing.T) {
	for _, after := range []bool{false, true} {
		for at := 2; at < 30; at++ {
			sim(t, fmt.Sprint(at, after), func(t *testing.T) {
				r := newRebootRig(t, func(r *rig) { r.host("canary", "a", plain) })
				r.j.dieAt, r.j.dieAfter = at, after
				if _, err := r.start(); err != nil {
					r.j.revive()
					r.mustResume(ExitDone)
				}
				if rec := r.j.record("a"); r.w.hosts["a"].owner != "" || rec.Locked || rec.State != StateOK || r.w.hosts["a"].boots != 1 {
					t.Errorf("%+v, locked by %q, %d boots", rec, r.w.hosts["a"].owner, r.w.hosts["a"].boots)
				}
			})
		}
	}
}
