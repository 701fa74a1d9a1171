package rollout

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cpacman/inventory"
)

// sim runs a test in virtual time.
func sim(t *testing.T, name string, f func(t *testing.T)) {
	t.Run(name, func(t *testing.T) {
		defer watch(t.Name(), simLimit)()
		synctest.Test(t, f)
	})
}

func TestHostOutcomes(t *testing.T) {
	for _, c := range []struct {
		kind   kind
		state  State
		reason ReasonCode
		exit   Exit
	}{
		{plain, StateOK, "", ExitDone},
		{upToDate, StateNoop, ReasonAlreadyUpdated, ExitDone},
		{sameSet, StateOK, "", ExitDone},
		{changed, StateHeld, ReasonChanged, ExitFailed},
		{rebuilt, StateHeld, ReasonRebuilt, ExitFailed},
		{noKey, StateHeld, ReasonKeyMissing, ExitFailed},
		{stageFails, StateStageFailed, ReasonSpace, ExitFailed},
		{testFails, StateTestFailed, ReasonTest, ExitFailed},
		{retestFails, StateTestFailed, ReasonTest, ExitFailed},
		{rpmLocked, StateHeld, ReasonLocked, ExitFailed},
		{lockedByPeer, StateHeld, ReasonLocked, ExitFailed},
		{nothingDone, StateTxFailed, ReasonTransaction, ExitFailed},
		{partial, StateTxPartial, ReasonTransaction, ExitFailed},
		{powerCut, StateTxPartial, ReasonInterrupted, ExitFailed},
		{powerCutHalf, StateTxPartial, ReasonInterrupted, ExitFailed},
		{red, StateHealthFailed, ReasonHealth, ExitFailed},
		{redLate, StateHealthFailed, ReasonHealth, ExitFailed},
		{redAlways, StateOK, "", ExitDone},
		{blind, StateHealthFailed, ReasonHealthUnknown, ExitFailed},
		{away, StateUnreachable, ReasonUnreachable, ExitUnreachable},
		{awayOnce, StateOK, "", ExitDone},
		{dropStart, StateOK, "", ExitDone},
		{dropStarted, StateOK, "", ExitDone},
		{gone, StateLost, ReasonUnanswered, ExitStopped},
		{forgets, StateUnreconciled, ReasonForgotten, ExitStopped},
		{noStart, StateTxFailed, ReasonSpace, ExitFailed},
		{erases, StateOK, "", ExitDone},
		{scriptlets, StateOK, "", ExitDone},
		{badKey, StateHeld, ReasonHostKey, ExitFailed},
		{heldStage, StateHeld, ReasonSpace, ExitFailed},
		{heldTest, StateHeld, ReasonKeyMissing, ExitFailed},
		{goneDone, StateLost, ReasonUnanswered, ExitStopped},
		{goneErase, StateLost, ReasonUnanswered, ExitStopped},
		{eraseFails, StateTxPartial, ReasonTransaction, ExitFailed},
	} {
		sim(t, string(c.kind), func(t *testing.T) {
			r := newRig(t)
			r.host("broad", "a", plain)
			r.host("broad", "b", c.kind)
			r.host("broad", "c", plain)
			r.s.Levels[1].Waves = amounts(t, "100%")
			r.s.Levels[1].MaxFailures, r.s.Rollout.MaxFailures = inventory.Count(1), inventory.Count(1)
			r.build()
			r.mustStart(c.exit)
			r.is(map[string]State{"a": StateOK, "b": c.state, "c": StateOK})
			if got := r.j.hosts["b"].Reason.Code; got != c.reason {
				t.Errorf("reason %q, want %q", got, c.reason)
			}
			if c.kind == erases && r.w.hosts["b"].erased != 1 {
				t.Errorf("step (c) ran %d times", r.w.hosts["b"].erased)
			}
			if h := r.w.hosts["b"]; h.owner != "" && c.exit != ExitStopped {
				t.Errorf("the lock is still held by %s", h.owner)
			}
		})
	}
}

func TestFlags(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.host("broad", "a", redAlways)
		r.host("broad", "b", sameSet)
		r.host("broad", "c", scriptlets)
		r.host("broad", "d", plain)
		r.build()
		r.w.txTime = time.Hour
		r.mustStart(ExitDone)
		for h, f := range map[string]Flag{"a": FlagRedBefore, "b": FlagRechecked, "c": FlagScriptletErrors, "d": FlagOverdue} {
			if !r.j.hosts[h].has(f) {
				t.Errorf("%s has flags %v, want %s", h, r.j.hosts[h].Flags, f)
			}
		}
		if got := r.j.hosts["c"].Remark; got != "failed scriptlets: foo-2 %post" {
			t.Errorf("what failed is not remembered: %q", got)
		}
	})
}

// While a transaction waits for rpm's lock the journal says for whom, once; when it goes on nothing of it is left.
func TestWaitingForRPMsLockIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.hosts("canary", 1, plain)
		r.build()
		r.w.hosts["canary00"].waits = "held by yum, pid 7"
		r.mustStart(ExitDone)
		said := 0
		for _, ev := range r.j.events {
			if ev.Kind == EventFlag && ev.Reason.Code == ReasonLocked && ev.Reason.Text == "held by yum, pid 7" {
				said++
			}
		}
		if said != 1 {
			t.Errorf("the lock's holder was said %d times", said)
		}
		if rec := r.j.hosts["canary00"]; rec.Reason.Text != "" {
			t.Errorf("a host that is ok still says %q", rec.Reason.Text)
		}
	})
}

// TestFailsByPolicy: what is only reported by default is a failure where the site says so.
func TestFailsByPolicy(t *testing.T) {
	for _, c := range []struct {
		kind    kind
		setting func(*RolloutSettings) *inventory.ScriptletMode
		flag    Flag
		says    string
	}{
		{scriptlets, func(s *RolloutSettings) *inventory.ScriptletMode { return &s.Scriptlets }, FlagScriptletErrors, "foo-2 %post"},
		{keepsConfig, func(s *RolloutSettings) *inventory.ScriptletMode { return &s.ConfigFiles }, FlagConfigFiles, "foo.conf.rpmnew"},
	} {
		for mode, want := range map[inventory.ScriptletMode]State{inventory.ScriptletReport: StateOK, inventory.ScriptletFail: StateTxPartial} {
			sim(t, string(c.kind)+" "+string(mode), func(t *testing.T) {
				r := newRig(t)
				r.host("broad", "a", c.kind)
				*c.setting(&r.s.Rollout) = mode
				r.hook("after", inventory.AfterHost)
				r.build()
				if _, err := r.start(); err != nil {
					t.Fatal(err)
				}
				got := r.j.hosts["a"]
				if got.State != want || !got.has(c.flag) || !strings.Contains(got.Reason.Text+got.Remark, c.says) {
					t.Errorf("%s with flags %v: %q", got.State, got.Flags, got.Reason.Text)
				}
				if r.w.hooks.flags[0] != string(c.flag) {
					t.Errorf("the after-hook was told %q", r.w.hooks.flags)
				}
			})
		}
	}
}

func TestCanaryStopsTheRollout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.hosts("canary", 2, plain)
		r.kinds["canary01"] = red
		r.hosts("broad", 8, plain)
		r.build()
		out := r.mustStart(ExitStopped)
		r.is(map[string]State{"canary00": StateOK, "canary01": StateHealthFailed, "broad00": StateHeld, "broad07": StateHeld})
		stop := out.Rollout.Stop
		if stop.Host != "canary01" || stop.Check != "web" || stop.Output != "said red" || stop.Code != ReasonBudget {
			t.Errorf("stop says %+v", stop)
		}
		for h, fh := range r.w.hosts {
			if strings.HasPrefix(h, "broad") && fh.opens > 0 {
				t.Errorf("%s of a later level was touched", h)
			}
		}
		// Resume alone changes nothing: the failure is still over the budget.
		r.j.revive()
		r.mustResume(ExitStopped)
		// Once the host is well and tried again, the rollout goes on.
		r.j.revive()
		r.w.hosts["canary01"].fixed = true
		r.j.command(Command{Kind: CommandRetry, Host: "canary01"})
		r.mustResume(ExitDone)
		r.is(map[string]State{"canary01": StateOK, "broad00": StateOK, "broad07": StateOK})
		if n := len(r.w.hosts["canary01"].tx); n != 1 {
			t.Errorf("canary01 had %d transactions; its packages were there, only health was left", n)
		}
	})
}

func TestSoakTakesItsTimeAndKeepsChecking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.host("canary", "c", plain)
		r.host("broad", "b", plain)
		r.s.Levels[0].Soak = 24 * time.Hour
		r.build()
		begin := time.Now()
		r.mustStart(ExitDone)
		if d := time.Since(begin); d < 24*time.Hour || d > 25*time.Hour {
			t.Errorf("took %s", d)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.host("canary", "c", redLate)
		r.host("broad", "b", plain)
		r.build()
		out := r.mustStart(ExitStopped)
		r.is(map[string]State{"c": StateHealthFailed, "b": StateHeld})
		if !strings.Contains(r.j.hosts["c"].Reason.Text, "during the soak") || out.Rollout.Stop.Check != "web" {
			t.Errorf("reason %+v, stop %+v", r.j.hosts["c"].Reason, out.Rollout.Stop)
		}
	})
}

func TestBudgets(t *testing.T) {
	for _, c := range []struct {
		name       string
		n, bad     int
		budget     string
		rollout    string
		strict     bool
		exit       Exit
		atMost     int // failures
		minSample  int
		transports int
	}{
		{name: "zero of one", n: 1, bad: 1, budget: "0", rollout: "100%", exit: ExitStopped, atMost: 1},
		{name: "one of two within", n: 2, bad: 1, budget: "1", rollout: "100%", exit: ExitFailed, atMost: 1},
		{name: "two of two over one", n: 2, bad: 2, budget: "1", rollout: "100%", exit: ExitStopped, atMost: 2},
		{name: "small percent gives one", n: 3, bad: 1, budget: "1%", rollout: "100%", exit: ExitFailed, atMost: 1},
		{name: "small percent, two fail, gate", n: 3, bad: 2, budget: "1%", rollout: "100%", exit: ExitStopped, atMost: 2},
		{name: "zero percent stays zero", n: 4, bad: 1, budget: "0%", rollout: "100%", exit: ExitStopped, atMost: 1},
		{name: "rollout budget", n: 40, bad: 40, budget: "100%", rollout: "2", exit: ExitStopped, atMost: 2 + 8},
		{name: "percent waits for the sample", n: 40, bad: 40, budget: "5%", rollout: "100%", exit: ExitStopped, atMost: 10 + 8},
		{name: "strict never exceeds by more than one", n: 40, bad: 40, budget: "3", rollout: "100%", strict: true, exit: ExitStopped, atMost: 4},
	} {
		sim(t, c.name, func(t *testing.T) {
			r := newRig(t)
			r.hosts("broad", c.n, plain)
			for i, h := range sortedKeys(r.kinds) {
				if i < c.bad {
					r.kinds[h] = testFails
				}
			}
			r.s.Levels[1].Waves = amounts(t, "100%")
			r.s.Levels[1].MaxFailures, r.s.Rollout.MaxFailures = amount(t, c.budget), amount(t, c.rollout)
			r.s.Rollout.Strict = c.strict
			r.build()
			out := r.mustStart(c.exit)
			if n := out.Hosts[StateTestFailed]; n > c.atMost {
				t.Errorf("%d hosts failed, want at most %d", n, c.atMost)
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	for _, c := range []struct {
		mode inventory.UnreachableMode
		exit Exit
	}{{inventory.UnreachableDefer, ExitUnreachable}, {inventory.UnreachableFail, ExitStopped}, {inventory.UnreachableIgnore, ExitUnreachable}} {
		sim(t, string(c.mode), func(t *testing.T) {
			r := newRig(t)
			r.hosts("broad", 4, plain)
			r.kinds["broad01"] = away
			r.s.Levels[1].Waves = amounts(t, "100%")
			r.s.Rollout.Unreachable = c.mode
			r.build()
			r.mustStart(c.exit)
			opens := r.w.hosts["broad01"].opens
			if want := map[inventory.UnreachableMode]int{inventory.UnreachableDefer: 2}[c.mode]; want > 0 && opens != want {
				t.Errorf("tried %d times, want %d", opens, want)
			}
		})
	}
	sim(t, "budget apart from failures", func(t *testing.T) {
		r := newRig(t)
		r.hosts("broad", 10, plain)
		for _, h := range []string{"broad01", "broad02"} {
			r.kinds[h] = away
		}
		r.s.Rollout.MaxFailures, r.s.Rollout.MaxUnreachable = inventory.Count(9), inventory.Count(1)
		r.build()
		if out := r.mustStart(ExitStopped); out.Rollout.Stop.Code != ReasonUnreachables {
			t.Errorf("stop %+v", out.Rollout.Stop)
		}
	})
	sim(t, "quorum", func(t *testing.T) {
		r := newRig(t)
		r.hosts("broad", 10, plain)
		for i, h := range sortedKeys(r.kinds) {
			if i < 6 {
				r.kinds[h] = away
			}
		}
		r.build()
		out := r.mustStart(ExitStopped)
		if out.Rollout.Stop.Code != ReasonQuorum || !strings.Contains(out.Rollout.Stop.Text, "4 of 10 hosts can be reached and the quorum is 5") || out.Rollout.Stop.Output == "" {
			t.Errorf("stop %+v", out.Rollout.Stop)
		}
		for h, fh := range r.w.hosts {
			if fh.opens > 0 {
				t.Errorf("%s was opened", h)
			}
		}
		r.j.revive()
		for _, h := range r.w.hosts {
			h.fixed = true
		}
		r.mustResume(ExitDone)
	})
	sim(t, "a canary that proves nothing", func(t *testing.T) {
		r := newRig(t)
		r.host("canary", "c", away)
		r.hosts("broad", 9, plain)
		r.build()
		if out := r.mustStart(ExitStopped); out.Rollout.Stop.Code != ReasonProvedNothing {
			t.Errorf("stop %+v", out.Rollout.Stop)
		}
		r.j.revive()
		r.j.command(Command{Kind: CommandSkip, Host: "c"})
		r.mustResume(ExitDone)
	})
}

func TestDryRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.hosts("canary", 2, testFails)
		r.hosts("broad", 6, plain)
		r.kinds["broad01"] = away
		r.build()
		r.req.DryRun = true
		out := r.mustStart(ExitFailed)
		if out.Hosts[StateNoop] != 5 || out.Hosts[StateTestFailed] != 2 || out.Hosts[StateUnreachable] != 1 {
			t.Errorf("hosts %v", out.Hosts)
		}
	})
}

func TestStartRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(r *rig)
		want  string
	}{
		"expired":          {func(r *rig) { time.Sleep(8 * 24 * time.Hour) }, "expired"},
		"format":           {func(r *rig) { r.plan.Format = 99 }, "format 99"},
		"other plan":       {func(r *rig) { r.req.Schedule.PlanID = "x" }, "not of"},
		"schedule touched": {func(r *rig) { r.req.Schedule.Quorum = 0 }, "digest"},
		"missing files":    {func(r *rig) { r.plan.MissingFiles = []string{"foo.rpm"} }, "foo.rpm"},
		"again":            {func(r *rig) { r.req.Again = true }, "--reason"},
		"no id":            {func(r *rig) { r.req.RolloutID = "" }, "id"},
	} {
		sim(t, name, func(t *testing.T) {
			r := newRig(t)
			r.hosts("broad", 2, plain)
			r.build()
			c.spoil(r)
			_, err := r.start()
			var pe *PlanError
			if !errors.As(err, &pe) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one about %q", err, c.want)
			}
			if r.j.hosts != nil || r.j.held != nil {
				t.Error("a refused start left something behind")
			}
		})
	}
	sim(t, "a plan starts once", func(t *testing.T) {
		r := newRig(t)
		r.hosts("broad", 2, plain)
		r.build()
		r.mustStart(ExitDone)
		_, err := r.start()
		var ps *PlanStartedError
		if !errors.As(err, &ps) || ps.Rollout != "r1" {
			t.Errorf("error %v", err)
		}
	})
	sim(t, "expired while paused", func(t *testing.T) {
		r := newRig(t)
		r.hosts("canary", 1, plain)
		r.hosts("broad", 2, plain)
		r.s.Levels[1].Approve = 1
		r.build()
		r.mustStart(ExitWaiting)
		time.Sleep(8 * 24 * time.Hour)
		if out := r.mustResume(ExitStopped); out.Rollout.Stop.Code != ReasonExpired {
			t.Errorf("stop %+v", out.Rollout.Stop)
		}
		r.is(map[string]State{"broad00": StateHeld})
	})
	sim(t, "one engine at a time", func(t *testing.T) {
		r := newRig(t)
		r.hosts("broad", 2, plain)
		r.build()
		time.AfterFunc(2*time.Second, func() {
			var held *LeaseHeldError
			if _, err := r.resume(); !errors.As(err, &held) || held.Owner.Host != "ops1" {
				t.Errorf("second engine: %v", err)
			}
		})
		r.mustStart(ExitDone)
	})
	sim(t, "a lease that was taken over", func(t *testing.T) {
		r := newRig(t)
		r.hosts("broad", 2, plain)
		r.build()
		time.AfterFunc(2*time.Second, func() {
			r.j.mu.Lock()
			r.j.epoch++
			r.j.mu.Unlock()
		})
		out, err := r.start()
		if !errors.Is(err, ErrLeaseLost) || out.Exit != ExitInterrupted {
			t.Errorf("%s, %v", out.Exit, err)
		}
	})
}

func TestClusters(t *testing.T) {
	build := func(t *testing.T, n int) *rig {
		r := newRig(t)
		for i := range n {
			r.host("broad", "web"+string(rune('a'+i)), plain, "front")
		}
		r.s.Levels[1].Waves = amounts(t, "100%")
		return r
	}
	sim(t, "one after the other", func(t *testing.T) {
		r := build(t, 5)
		r.build()
		r.mustStart(ExitDone)
	})
	sim(t, "the first alone, then two at a time", func(t *testing.T) {
		r := build(t, 6)
		c := r.s.Clusters["front"]
		c.MaxUnavailable = inventory.Count(2)
		r.s.Clusters["front"] = c
		r.build()
		r.mustStart(ExitDone)
		var running, most int
		var firstEnd, second int
		for i, ev := range r.j.events {
			switch {
			case ev.On == OnAdmitted:
				running++
				if running == 2 && second == 0 {
					second = i
				}
			case ev.On == OnHealthy:
				running--
				if firstEnd == 0 {
					firstEnd = i
				}
			}
			most = max(most, running)
		}
		if most != 2 || second < firstEnd {
			t.Errorf("%d at once; the second began at event %d, the first ended at %d", most, second, firstEnd)
		}
	})
	sim(t, "a member outside is down", func(t *testing.T) {
		r := build(t, 3)
		r.s.Clusters["front"] = ClusterSettings{MaxUnavailable: inventory.Count(1), Members: append(r.s.Clusters["front"].Members, "webz")}
		r.build()
		r.w.outside["webz"] = "in maintenance"
		r.mustStart(ExitFailed)
		for h, fh := range r.w.hosts {
			if len(fh.tx) > 0 {
				t.Errorf("%s was updated", h)
			}
		}
		if why := r.j.hosts["weba"].Reason; why.Code != ReasonClusterFloor || !strings.Contains(why.Text, "webz (in maintenance)") {
			t.Errorf("reason %+v", why)
		}
	})
	sim(t, "a red member keeps the others", func(t *testing.T) {
		r := build(t, 4)
		r.kinds["weba"] = red
		r.s.Levels[1].MaxFailures, r.s.Rollout.MaxFailures = inventory.Count(3), inventory.Count(3)
		r.build()
		r.mustStart(ExitFailed)
		r.is(map[string]State{"weba": StateHealthFailed, "webb": StateHeld, "webd": StateHeld})
	})
	sim(t, "one of each cluster first", func(t *testing.T) {
		r := newRig(t)
		for _, h := range []string{"a1", "a2", "a3", "b1", "b2"} {
			r.host("broad", h, plain, "cluster-"+h[:1])
		}
		r.host("broad", "z", plain)
		r.build()
		got := slices.Concat(r.req.Schedule.Waves[0].Hosts, r.req.Schedule.Waves[1].Hosts)
		if want := []string{"a1", "b1", "z", "a2", "b2", "a3"}; !slices.Equal(got, want) {
			t.Errorf("order %v, want %v", got, want)
		}
	})
}
