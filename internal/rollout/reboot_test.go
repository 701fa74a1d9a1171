package rollout

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"cpacman/inventory"
	"cpacman/planner"
)

// reboots makes the plan one of reboots; every host owes one by its own word.
func (r *rig) reboots() {
	r.plan.Type = planner.TypeReboot
	r.plan.Sets, r.plan.Rollbacks = []planner.Set{{ID: "s1"}}, nil
	for i := range r.plan.Hosts {
		r.plan.Hosts[i].Rollback = planner.RollbackInfo{}
		r.plan.Hosts[i].Reboot = &planner.OwedReboot{Boot: "boot-0", Host: []string{"kernel 2 is installed"}}
	}
}

// rebooting tells the world of it.
func (r *rig) rebooting() {
	r.w.bootOnly = true
	for h, real := range r.w.hosts {
		real.owes = r.kinds[h] != upToDate
	}
}

func newRebootRig(t *testing.T, add func(r *rig)) *rig {
	r := newRig(t)
	add(r)
	r.reboots()
	r.build()
	r.rebooting()
	return r
}

func TestRebootOnly(t *testing.T) {
	sim(t, "in waves, with proof, checks and soak", func(t *testing.T) {
		begin := time.Now()
		r := newRebootRig(t, func(r *rig) {
			r.host("canary", "a", plain)
			r.hosts("broad", 8, plain)
			r.host("broad", "up", upToDate)
			r.s.Limits.Reboots = 2
		})
		r.mustStart(ExitDone)
		r.is(map[string]State{"a": StateOK, "broad00": StateOK, "broad07": StateOK, "up": StateNoop})
		if r.w.booting != 2 {
			t.Errorf("%d hosts booted at once, want 2", r.w.booting)
		}
		if took := time.Since(begin); took < 15*time.Minute {
			t.Errorf("it took %s, less than its soaks", took)
		}
		for h, real := range r.w.hosts {
			if want := map[bool]int{true: 1}[h != "up"]; real.boots != want || real.starts != 0 {
				t.Errorf("%s booted %d times and began %d transactions", h, real.boots, real.starts)
			}
		}
		if rec := r.j.record("up"); rec.Reason.Code != ReasonNotDue {
			t.Errorf("up: %+v", rec.Reason)
		}
		if rec := r.j.record("a"); !strings.Contains(rec.Remark, "kernel 2 is installed") || rec.TxID != "" || rec.Boot != "" {
			t.Errorf("a: %+v", rec)
		}
	})
	sim(t, "a dry run boots nothing", func(t *testing.T) {
		r := newRebootRig(t, func(r *rig) { r.host("canary", "a", plain); r.host("broad", "up", upToDate) })
		r.req.DryRun = true
		r.mustStart(ExitDone)
		r.is(map[string]State{"a": StateNoop, "up": StateNoop})
		if why := r.j.record("a").Reason; why.Code != ReasonDryRun || !strings.Contains(why.Text, "kernel 2") || r.w.hosts["a"].boots != 0 {
			t.Errorf("%+v", why)
		}
	})
	sim(t, "what only the control host knows holds for one boot", func(t *testing.T) {
		for _, boots := range []int{0, 1} {
			r := newRig(t)
			r.host("canary", "a", plain)
			r.reboots()
			r.plan.Hosts[0].Reboot = &planner.OwedReboot{Boot: "boot-0", Recorded: []string{"rollout r0 left it due"}}
			r.build()
			r.w.bootOnly = true
			r.w.hosts["a"].boots = boots
			r.mustStart(ExitDone)
			r.is(map[string]State{"a": map[int]State{0: StateOK, 1: StateNoop}[boots]})
		}
	})
	sim(t, "red afterwards", func(t *testing.T) {
		r := newRebootRig(t, func(r *rig) {
			r.s.Rollout.Rollback = inventory.RollbackHost
			r.host("canary", "a", red)
			r.host("broad", "b", plain)
		})
		if len(r.req.Schedule.Warnings) > 0 {
			t.Errorf("warnings %q", r.req.Schedule.Warnings)
		}
		r.mustStart(ExitStopped)
		r.is(map[string]State{"a": StateHealthFailed, "b": StateHeld})
		// It has booted: another attempt judges its health and boots it no more.
		r.w.hosts["a"].fixed = true
		r.j.command(Command{Kind: CommandBack, Host: "a"})
		r.j.command(Command{Kind: CommandRetry, Host: "a"})
		r.mustResume(ExitDone)
		r.is(map[string]State{"a": StateOK, "b": StateOK})
		if n := r.w.hosts["a"].boots; n != 1 {
			t.Errorf("booted %d times", n)
		}
		if text := r.j.refusals(); !strings.Contains(text, "a reboot cannot be taken back") {
			t.Errorf("refused: %q", text)
		}
	})
	sim(t, "does not come back", func(t *testing.T) {
		r := newRebootRig(t, func(r *rig) {
			r.s.Rollout.RebootTimeout = 5 * time.Minute
			r.host("canary", "a", noReturn)
			r.host("broad", "b", plain)
		})
		r.mustStart(ExitStopped)
		r.is(map[string]State{"a": StateLost, "b": StateHeld})
		r.w.hosts["a"].fixed = true
		r.mustResume(ExitDone)
		r.is(map[string]State{"a": StateOK, "b": StateOK})
		if n := r.w.hosts["a"].boots; n != 1 {
			t.Errorf("booted %d times", n)
		}
	})
	sim(t, "hooks", func(t *testing.T) {
		r := newRig(t)
		r.host("canary", "a", plain)
		r.hook("drain", inventory.BeforeHost)
		r.hook("undrain", inventory.AfterHost)
		r.reboots()
		r.build()
		r.rebooting()
		r.mustStart(ExitDone)
		if got := strings.Join(r.w.hooks.runs, ","); got != "drain a,undrain a" {
			t.Errorf("hooks %s", got)
		}
	})
	sim(t, "one of a cluster at a time", func(t *testing.T) {
		r := newRebootRig(t, func(r *rig) {
			for _, h := range []string{"a", "b", "c"} {
				r.host("broad", h, plain, "web")
			}
		})
		r.mustStart(ExitDone)
		if r.w.booting != 1 {
			t.Errorf("%d booted at once", r.w.booting)
		}
	})
	sim(t, "the window closes while the host is drained", func(t *testing.T) {
		r := newRig(t)
		r.host("canary", "a", plain)
		r.hook("drain", inventory.BeforeHost)
		start := time.Now().UTC()
		r.s.Windows = map[string]WindowPlan{"w": {Rule: "FREQ=DAILY", Start: start.Format("15:04"), Duration: 10 * time.Minute, Zone: "UTC"}}
		hs := r.s.Hosts["a"]
		hs.Windows = []string{"w"}
		r.s.Hosts["a"] = hs
		r.reboots()
		r.build()
		r.rebooting()
		r.w.hooks.takes = 11 * time.Minute
		r.mustStart(ExitWaiting)
		r.is(map[string]State{"a": StatePending})
		r.w.hooks.takes = 0
		time.Sleep(time.Until(start.Add(24*time.Hour + time.Minute)))
		r.mustResume(ExitDone)
		r.is(map[string]State{"a": StateOK})
	})
}

// TestArmedAgain: a host whose window closed between its place among the armed ones and its transaction does not wait for itself the next day.
func TestArmedAgain(t *testing.T) {
	sim(t, "", func(t *testing.T) {
		r := newRig(t)
		r.host("canary", "a", plain)
		r.hook("drain", inventory.BeforeHost)
		start := time.Now().UTC()
		r.s.Windows = map[string]WindowPlan{"w": {Rule: "FREQ=DAILY", Start: start.Format("15:04"), Duration: 10 * time.Minute, Zone: "UTC"}}
		hs := r.s.Hosts["a"]
		hs.Windows = []string{"w"}
		r.s.Hosts["a"] = hs
		r.reversible(inventory.RollbackHost)
		r.armed(time.Minute)
		r.build()
		r.req.Wait = true
		r.w.hooks.takes = 11 * time.Minute
		ctx, end := context.WithTimeout(context.Background(), 72*time.Hour)
		defer end()
		time.AfterFunc(12*time.Minute, func() { r.w.mu.Lock(); r.w.hooks.takes = 0; r.w.mu.Unlock() })
		out, err := New(r.cfg).Start(ctx, r.req)
		r.want(out, err, ExitDone)
		r.is(map[string]State{"a": StateOK})
		if took := time.Since(start); took > 25*time.Hour {
			t.Errorf("it took %s", took)
		}
	})
}

// TestRebootAnnounced: what was announced and not yet told is not told any more where the rollout has been aborted meanwhile.
func TestRebootAnnounced(t *testing.T) {
	for _, drained := range []bool{false, true} {
		sim(t, map[bool]string{true: "drained", false: "not drained"}[drained], func(t *testing.T) {
			r := newRig(t)
			r.host("canary", "a", plain)
			if drained {
				r.hook("drain", inventory.BeforeHost)
			}
			r.reboots()
			r.build()
			r.rebooting()
			r.j.script = func(j *memJournal, ev Event) {
				if ev.To == string(StateRebooting) {
					j.command(Command{Kind: CommandAbort})
					j.dieAt, j.dieAfter = j.writes, true
				}
			}
			if _, err := r.start(); err == nil {
				t.Fatal("the engine lives")
			}
			r.j.script = nil
			r.j.revive()
			r.w.opTime = 5 * time.Second // the command is taken before the host answers
			r.mustResume(ExitFailed)
			r.is(map[string]State{"a": StateSkipped})
			if n := r.w.hosts["a"].boots; n != 0 {
				t.Errorf("booted %d times", n)
			}
		})
	}
}

// TestRestart: services that run what is gone are restarted before the checks, and it is told what came of it.
func TestRestart(t *testing.T) {
	for _, c := range []struct {
		kind    kind
		restart inventory.RestartMode
		reboot  inventory.RebootMode
		flags   []Flag
		boots   int
		remark  string
	}{
		{plain, inventory.RestartNeeded, inventory.RebootNever, nil, 0, ""},
		{stale, inventory.RestartNever, inventory.RebootNever, nil, 0, ""},
		{stale, inventory.RestartNeeded, inventory.RebootNever, []Flag{FlagRestartFailed}, 0, "web.service"},
		{staleBoot, inventory.RestartNeeded, inventory.RebootNever, []Flag{FlagRebootDue}, 0, "dbus.service"},
		{staleBoot, inventory.RestartNeeded, inventory.RebootNeeded, nil, 1, "dbus.service"},
		{staleStays, inventory.RestartNeeded, inventory.RebootNever, []Flag{FlagRestartDue}, 0, "docker.service"},
		{restartFails, inventory.RestartNeeded, inventory.RebootNever, []Flag{FlagRestartDue}, 0, "bus is gone"},
		{wantsBoot, inventory.RestartNeeded, inventory.RebootNeeded, nil, 1, ""},
		{wantsBoot, inventory.RestartNeeded, inventory.RebootNever, []Flag{FlagRebootDue}, 0, ""},
	} {
		sim(t, string(c.kind)+" "+string(c.restart)+" "+string(c.reboot), func(t *testing.T) {
			r := newRig(t)
			r.s.Rollout.Restart, r.s.Rollout.Reboot = c.restart, c.reboot
			r.host("canary", "a", c.kind)
			r.build()
			r.mustStart(ExitDone)
			rec := r.j.record("a")
			for _, f := range []Flag{FlagRestartDue, FlagRestartFailed, FlagRebootDue} {
				if want := slices.Contains(flagNames(c.flags), string(f)); rec.has(f) != want {
					t.Errorf("flag %s: %v, want %v", f, rec.has(f), want)
				}
			}
			if !strings.Contains(rec.Remark, c.remark) {
				t.Errorf("remark %q, want %q", rec.Remark, c.remark)
			}
			if n := r.w.hosts["a"].boots; n != c.boots {
				t.Errorf("booted %d times", n)
			}
		})
	}
	for k, want := range map[kind]State{goneRestart: StateLost, forgetsNow: StateUnreconciled, stale: StateOK} {
		sim(t, "the engine dies: "+string(k), func(t *testing.T) {
			r := newRig(t)
			r.s.Rollout.Restart = inventory.RestartNeeded
			r.host("canary", "a", k)
			r.build()
			r.j.script = func(j *memJournal, ev Event) {
				if ev.To == string(StateRestarting) {
					j.dieAt, j.dieAfter = j.writes, true
				}
			}
			if _, err := r.start(); err == nil {
				t.Fatal("the engine lives")
			}
			r.j.script = nil
			r.j.revive()
			if _, err := New(r.cfg).Resume(context.Background(), "r1", ResumeRequest{User: "ann"}); err != nil {
				t.Fatal(err)
			}
			r.promises()
			r.is(map[string]State{"a": want})
		})
	}
	sim(t, "within the time of the dead man's switch", func(t *testing.T) {
		r := newRig(t)
		r.s.Rollout.Restart = inventory.RestartNeeded
		r.host("canary", "a", stale)
		r.armed(time.Minute)
		r.build()
		r.mustStart(ExitDone)
		if h := r.w.hosts["a"]; h.sw == nil || h.sw.decision != SwitchConfirmed || h.renewed != 1 {
			t.Errorf("switch %+v, restarts %d", h.sw, h.renewed)
		}
	})
}

func flagNames(flags []Flag) []string {
	out := []string{}
	for _, f := range flags {
		out = append(out, string(f))
	}
	return out
}

// refusals are the texts of the commands that were refused.
func (j *memJournal) refusals() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	text := ""
	for _, ev := range j.events {
		if ev.Refused {
			text += ev.Reason.Text + "\n"
		}
	}
	return text
}
