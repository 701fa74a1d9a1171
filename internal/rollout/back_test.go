package rollout

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"cpacman/internal/rpm"
	"cpacman/inventory"
	"cpacman/planner"
)

// TestRollbackOfHosts: what fails after its packages were changed goes back by itself, and says why.
func TestRollbackOfHosts(t *testing.T) {
	for k, want := range map[kind]State{
		red: StateRolledBack, blind: StateRolledBack, redLate: StateRolledBack, partial: StateRolledBack, powerCut: StateRolledBack,
		backRefused: StateHealthFailed, nothingDone: StateTxFailed, testFails: StateTestFailed, plain: StateOK, eraseFails: StateTxPartial,
	} {
		sim(t, string(k), func(t *testing.T) {
			r := newRig(t)
			r.s.Levels[1].Waves, r.s.Levels[1].MaxFailures, r.s.Rollout.MaxFailures = amounts(t, "100%"), amount(t, "100%"), amount(t, "100%")
			r.host("broad", "a", k)
			r.host("broad", "b", plain)
			r.reversible(inventory.RollbackHost)
			if k == backRefused { // no way back was found when the plan was made
				r.kinds["a"] = red
				r.plan.Hosts[0].Rollback = planner.RollbackInfo{Missing: []rpm.NEVRA{{Name: "foo"}}}
			}
			r.build()
			exit := ExitFailed
			if want == StateOK {
				exit = ExitDone
			}
			r.mustStart(exit)
			r.is(map[string]State{"a": want, "b": StateOK})
			rec := r.j.record("a")
			if want == StateRolledBack && (r.w.hosts["a"].updated || !strings.Contains(rec.Reason.Text, "has the packages it had")) {
				t.Errorf("updated %v, reason %q", r.w.hosts["a"].updated, rec.Reason.Text)
			}
			if k == backRefused && !strings.Contains(rec.Remark, "in no repository") {
				t.Errorf("remark %q", rec.Remark)
			}
			if r.w.hosts["a"].owner != "" {
				t.Error("the lock was not given back")
			}
		})
	}
}

// TestRollbackFails: a way back that is not gone is the worst class.
func TestRollbackFails(t *testing.T) {
	for _, k := range []kind{backRefused, backPartial, goneBack} {
		sim(t, string(k), func(t *testing.T) {
			r := newRig(t)
			r.s.Levels[1].Waves, r.s.Levels[1].MaxFailures, r.s.Rollout.MaxFailures = amounts(t, "100%"), amount(t, "100%"), amount(t, "100%")
			r.host("broad", "a", k)
			r.host("broad", "b", plain)
			r.reversible(inventory.RollbackHost)
			r.build()
			r.w.red = map[string]bool{"a": true}
			r.mustStart(ExitStopped)
			if k != goneBack {
				r.is(map[string]State{"a": StateRollbackFailed})
				return
			}
			r.is(map[string]State{"a": StateLost})
			r.w.hosts["a"].fixed = true
			r.mustResume(ExitFailed)
			r.is(map[string]State{"a": StateRolledBack})
		})
	}
}

// TestRollbackCut: a way back that a power loss cut is gone again, from where it was.
func TestRollbackCut(t *testing.T) {
	sim(t, "", func(t *testing.T) {
		r := newRig(t)
		r.host("canary", "a", backCut)
		r.reversible(inventory.RollbackHost)
		r.build()
		r.w.red = map[string]bool{"a": true}
		r.mustStart(ExitStopped)
		r.is(map[string]State{"a": StateRolledBack})
		if n := r.w.hosts["a"].backs; n != 2 {
			t.Errorf("asked for %d times", n)
		}
	})
}

// TestRollbackOfWaveAndLevel: when a wave fails, what it and its level have updated goes back; what came before stays.
func TestRollbackOfWaveAndLevel(t *testing.T) {
	for mode, first := range map[inventory.RollbackMode]State{inventory.RollbackHost: StateOK, inventory.RollbackWave: StateOK, inventory.RollbackLevel: StateRolledBack} {
		sim(t, string(mode), func(t *testing.T) {
			r := newRig(t)
			r.s.Levels[1].Waves = amounts(t, "1", "3")
			r.host("canary", "c", plain)
			r.host("broad", "w1", plain)
			r.host("broad", "w2a", plain)
			r.host("broad", "w2b", red)
			r.host("broad", "w2c", plain)
			r.reversible(mode)
			r.build()
			r.w.slow = map[string]time.Duration{"w2c": 5 * time.Second} // at work still when the wave fails
			r.mustStart(ExitStopped)
			second := StateRolledBack
			if mode == inventory.RollbackHost {
				second = StateOK
			}
			r.is(map[string]State{"c": StateOK, "w1": first, "w2a": second, "w2b": StateRolledBack, "w2c": second})
		})
	}
}

// TestRollbackSurvivesTheEngine: an engine that dies at any write while a wave goes back leaves it to the next one, which finishes it before
// anything new begins.
func TestRollbackSurvivesTheEngine(t *testing.T) {
	for at := 20; at < 120; at += 3 {
		sim(t, "", func(t *testing.T) {
			r := newRig(t)
			r.s.Levels[0].Waves = amounts(t, "4")
			r.hosts("canary", 3, plain)
			r.host("canary", "bad", red)
			r.hosts("broad", 1, plain)
			r.reversible(inventory.RollbackWave)
			r.build()
			r.j.dieAt = at
			out, err := r.start()
			for range 3 {
				if err == nil && out.Exit == ExitStopped && !slices.Contains(statesOf(r), StateOK) && !slices.Contains(statesOf(r), StateRollingBack) {
					break
				}
				r.j.revive()
				out, err = r.resume()
			}
			if err != nil || out.Exit != ExitStopped {
				t.Fatalf("at write %d: %s, %v", at, out.Exit, err)
			}
			r.is(map[string]State{"canary00": StateRolledBack, "canary01": StateRolledBack, "canary02": StateRolledBack, "bad": StateRolledBack, "broad00": StateHeld})
			for h, f := range r.w.hosts {
				if f.backs > 1 || f.starts > 1 {
					t.Errorf("at write %d: %s was started %d times and sent back %d times", at, h, f.starts, f.backs)
				}
			}
			r.promises()
		})
	}
}

func statesOf(r *rig) (out []State) {
	for h, s := range r.j.states() {
		if h != "broad00" {
			out = append(out, s)
		}
	}
	return out
}

// TestRollbackByCommand: an operator takes one host back, then all.
func TestRollbackByCommand(t *testing.T) {
	sim(t, "", func(t *testing.T) {
		r := newRig(t)
		r.s.Levels[0].MaxFailures, r.s.Levels[1].MaxFailures, r.s.Rollout.MaxFailures = amount(t, "100%"), amount(t, "100%"), amount(t, "100%")
		r.hosts("canary", 2, plain)
		r.hosts("broad", 2, plain)
		r.reversible(inventory.RollbackHost)
		r.build()
		r.mustStart(ExitDone)
		r.j.mu.Lock()
		r.j.command(Command{Kind: CommandBack, Host: "canary01", User: "ann", Reason: "it smells"})
		r.j.mu.Unlock()
		r.mustResume(ExitFailed)
		r.is(map[string]State{"canary00": StateOK, "canary01": StateRolledBack, "broad00": StateOK})
		r.j.mu.Lock()
		r.j.command(Command{Kind: CommandBack, Host: "nobody"})
		r.j.command(Command{Kind: CommandBack, User: "ann", Reason: "all of it"})
		r.j.mu.Unlock()
		r.mustResume(ExitFailed)
		r.is(map[string]State{"canary00": StateRolledBack, "canary01": StateRolledBack, "broad00": StateRolledBack, "broad01": StateRolledBack})
		// and a retry brings one forward again
		r.j.mu.Lock()
		r.j.command(Command{Kind: CommandRetry, Host: "canary00"})
		r.j.mu.Unlock()
		r.mustResume(ExitFailed)
		r.is(map[string]State{"canary00": StateOK})
	})
}

// TestSwitch: a host that its update cuts off goes back by itself, and nothing but its own word decides what became of it.
func TestSwitch(t *testing.T) {
	for k, want := range map[kind]State{
		plain: StateOK, cutOff: StateRolledBack, late: StateRolledBack, partial: StateRolledBack, nothingDone: StateTxFailed,
		noSwitch: StateHeld, goneConfirm: StateLost, forgetsLate: StateOK, red: StateHealthFailed,
	} {
		sim(t, string(k), func(t *testing.T) {
			r := newRig(t)
			r.s.Levels[0].MaxFailures, r.s.Rollout.MaxFailures = amount(t, "100%"), amount(t, "100%")
			r.host("canary", "a", k)
			r.host("broad", "b", plain)
			r.armed(2 * time.Minute)
			r.build()
			_, _ = r.start()
			r.promises()
			r.is(map[string]State{"a": want})
			h := r.w.hosts["a"]
			switch {
			case want == StateRolledBack && h.updated, want == StateOK && (!h.updated || h.sw.decision != SwitchConfirmed):
				t.Errorf("updated %v, switch %+v", h.updated, h.sw)
			case k == nothingDone && h.sw.decision != SwitchConfirmed:
				t.Error("the switch was left armed")
			case k == goneConfirm:
				h.fixed = true
				r.mustResume(ExitStopped)
				r.is(map[string]State{"a": StateRolledBack})
			}
		})
	}
}

// TestSwitchGoneWhileConfirming: the switch decides between the comparison and the confirmation; and a host may forget.
func TestSwitchWhileConfirming(t *testing.T) {
	for _, onHost := range []SwitchVerdict{SwitchGoneBack, SwitchConfirmed, "forgotten"} {
		sim(t, string(onHost), func(t *testing.T) {
			r := newRig(t)
			r.host("canary", "a", plain)
			r.armed(2 * time.Minute)
			r.build()
			r.j.script = func(j *memJournal, ev Event) {
				if ev.To == string(StateConfirming) {
					j.dieAt, j.dieAfter = j.writes, true
				}
			}
			if _, err := r.start(); err == nil {
				t.Fatal("the engine lives")
			}
			r.j.script = nil
			r.j.revive()
			h := r.w.hosts["a"]
			want := StateOK
			switch onHost {
			case SwitchGoneBack:
				time.Sleep(10 * time.Minute)
				want = StateRolledBack
			case "forgotten":
				clear(h.tx)
				want = StateUnreconciled
			default:
				time.Sleep(30 * time.Second)
			}
			_, err := r.resume()
			if err != nil {
				t.Fatal(err)
			}
			r.is(map[string]State{"a": want})
			r.promises()
		})
	}
}

// TestArmedAtOnce: no more switches wait than hosts may fail, and a rollout that could arm none is refused unless somebody wants it.
func TestArmedAtOnce(t *testing.T) {
	sim(t, "at once", func(t *testing.T) {
		r := newRig(t)
		r.s.Levels[1].Waves, r.s.Levels[1].MaxFailures, r.s.Rollout.MaxFailures = amounts(t, "100%"), amount(t, "3"), amount(t, "3")
		r.s.Limits.Transactions = 8
		r.hosts("broad", 12, plain)
		r.armed(2 * time.Minute)
		r.build()
		r.w.maxArmed = 3
		r.mustStart(ExitDone)
	})
	sim(t, "none to be had", func(t *testing.T) {
		r := newRig(t)
		r.host("canary", "a", plain)
		r.armed(time.Minute)
		r.s.Rollout.NoRollback = []string{"ssh*"}
		r.build()
		_, err := r.start()
		if err == nil || !strings.Contains(err.Error(), "no_rollback names") {
			t.Fatalf("%v", err)
		}
		r.req.WithoutSwitch, r.req.Reason = true, "console is at hand"
		r.mustStart(ExitDone)
		if r.w.hosts["a"].sw != nil {
			t.Error("armed all the same")
		}
	})
}

// TestReboot: proof is another boot id; until then nothing goes on, and a host that does not come back is lost.
func TestReboot(t *testing.T) {
	for _, mode := range []inventory.RebootMode{inventory.RebootNeeded, inventory.RebootNever} {
		sim(t, string(mode), func(t *testing.T) {
			r := newRig(t)
			r.s.Rollout.Reboot = mode
			r.host("canary", "a", wantsBoot)
			r.host("broad", "b", plain)
			r.build()
			r.mustStart(ExitDone)
			want := 1
			if mode == inventory.RebootNever {
				want = 0
			}
			if n := r.w.hosts["a"].boots; n != want {
				t.Errorf("booted %d times", n)
			}
			if due := r.j.record("a").has(FlagRebootDue); due != (want == 0) {
				t.Errorf("reboot due: %v", due)
			}
		})
	}
	sim(t, "does not come back", func(t *testing.T) {
		r := newRig(t)
		r.s.Rollout.Reboot, r.s.Rollout.RebootTimeout = inventory.RebootNeeded, 5*time.Minute
		r.host("canary", "a", noReturn)
		r.host("broad", "b", plain)
		r.build()
		r.mustStart(ExitStopped)
		r.is(map[string]State{"a": StateLost, "b": StateHeld})
		r.w.hosts["a"].fixed = true
		r.mustResume(ExitDone)
		r.is(map[string]State{"a": StateOK, "b": StateOK})
	})
	sim(t, "the engine dies in it", func(t *testing.T) {
		r := newRig(t)
		r.s.Rollout.Reboot = inventory.RebootNeeded
		r.host("canary", "a", wantsBoot)
		r.build()
		r.j.script = func(j *memJournal, ev Event) {
			if ev.To == string(StateRebooting) {
				j.dieAt, j.dieAfter = j.writes, true
			}
		}
		if _, err := r.start(); err == nil {
			t.Fatal("the engine lives")
		}
		r.j.script = nil
		r.j.revive()
		r.mustResume(ExitDone)
		if n := r.w.hosts["a"].boots; n != 1 {
			t.Errorf("booted %d times", n)
		}
	})
}

// TestHooks: before-hooks come first and hold what they fail on, after-hooks are owed whatever becomes of it.
func TestHooks(t *testing.T) {
	for name, c := range map[string]struct {
		kind  kind
		fails string
		state State
		runs  []string
	}{
		"all is well": {plain, "", StateOK, []string{"open wave 1", "enter wave 1", "begin wave 1", "drain a", "undrain a", "end wave 1", "leave wave 1", "close wave 1"}},
		"host fails":  {red, "", StateHealthFailed, []string{"open wave 1", "enter wave 1", "begin wave 1", "drain a", "undrain a", "end wave 1", "leave wave 1", "close wave 1"}},
		"drain fails": {plain, "drain", StateHeld, []string{"open wave 1", "enter wave 1", "begin wave 1", "drain a", "undrain a", "end wave 1", "leave wave 1", "close wave 1"}},
		"wave fails":  {plain, "begin", StateHeld, []string{"open wave 1", "enter wave 1", "begin wave 1", "end wave 1", "leave wave 1", "close wave 1"}},
		"undrain":     {plain, "undrain", StateOK, []string{"open wave 1", "enter wave 1", "begin wave 1", "drain a", "undrain a", "end wave 1", "leave wave 1", "close wave 1"}},
		"never begun": {noKey, "", StateHeld, []string{"open wave 1", "enter wave 1", "begin wave 1", "end wave 1", "leave wave 1", "close wave 1"}},
	} {
		sim(t, name, func(t *testing.T) {
			r := hooked(t, c.kind)
			r.w.hooks.fails = map[string]bool{c.fails: true}
			_, err := r.start()
			if err != nil {
				t.Fatal(err)
			}
			r.promises()
			r.is(map[string]State{"a": c.state})
			if !slices.Equal(r.w.hooks.runs, c.runs) {
				t.Errorf("ran  %q\nwant %q", r.w.hooks.runs, c.runs)
			}
			if rec := r.j.record("a"); len(rec.Owed)+len(r.j.ro.Owed)+len(r.j.ro.OwedLevel)+len(r.j.waves[0].Owed) > 0 || rec.has(FlagHookFailed) != (c.fails == "undrain") {
				t.Errorf("owed %q, flags %q", rec.Owed, rec.Flags)
			}
		})
	}
}

func hooked(t *testing.T, k kind, more ...string) *rig {
	r := newRig(t)
	r.host("canary", "a", k)
	for _, h := range more {
		r.host("broad", h, plain)
	}
	for name, when := range map[string]inventory.HookWhen{"open": inventory.BeforeRollout, "close": inventory.AfterRollout, "enter": inventory.BeforeLevel,
		"leave": inventory.AfterLevel, "begin": inventory.BeforeWave, "end": inventory.AfterWave, "drain": inventory.BeforeHost, "undrain": inventory.AfterHost} {
		r.hook(name, when)
	}
	r.build()
	return r
}

// TestHooksSurviveTheEngine: an engine that dies at any write leaves its debts on disk; every after-hook runs at least once after the last
// of its before-hooks.
func TestHooksSurviveTheEngine(t *testing.T) {
	for at := 2; at < 40; at++ {
		for _, k := range []kind{plain, red} {
			sim(t, string(k), func(t *testing.T) {
				r := hooked(t, k, "b")
				r.j.dieAt = at
				_, err := r.start()
				for range 4 {
					if err == nil {
						break
					}
					r.j.revive()
					_, err = r.resume()
				}
				if err != nil {
					t.Fatalf("at write %d: %v", at, err)
				}
				r.promises()
				last := map[string]int{}
				for i, run := range r.w.hooks.runs {
					last[strings.Fields(run)[0]] = i + 1
				}
				for before, after := range map[string]string{"open": "close", "enter": "leave", "begin": "end", "drain": "undrain"} {
					if last[before] > 0 && last[after] < last[before] {
						t.Errorf("at write %d: %s without %s: %q", at, before, after, r.w.hooks.runs)
					}
				}
			})
		}
	}
}

// TestAbortRunsAfterHooks: an abort while hosts are drained pays its debts.
func TestAbortRunsAfterHooks(t *testing.T) {
	sim(t, "", func(t *testing.T) {
		r := hooked(t, plain)
		r.j.script = func(j *memJournal, ev Event) {
			if ev.To == string(StateTransacting) {
				j.command(Command{Kind: CommandAbort, User: "ann"})
			}
		}
		r.mustStart(ExitFailed)
		if got := strings.Join(r.w.hooks.runs, ","); !strings.HasSuffix(got, "undrain a,end wave 1,leave wave 1,close wave 1") {
			t.Error(got)
		}
	})
}

// TestAbortOwesHooks: an engine that dies after an abort leaves debts that a resume pays, though nothing else is left to do.
func TestAbortOwesHooks(t *testing.T) {
	owed := 0
	for at := 8; at < 40; at++ {
		sim(t, "", func(t *testing.T) {
			r := hooked(t, plain)
			r.j.script = func(j *memJournal, ev Event) {
				if ev.To == string(StateTransacting) {
					j.command(Command{Kind: CommandAbort, User: "ann"})
				}
			}
			r.j.dieAt = at
			if _, err := r.start(); err == nil {
				return
			}
			r.j.revive()
			if r.j.ro.State != RolloutAborted || anyOpen(must(r.j.Load(context.Background(), "r1")).Hosts) {
				return
			}
			owed++
			_, err := r.resume()
			if err != nil && (!errors.Is(err, ErrAborted) || len(r.j.ro.Owed) > 0) {
				t.Errorf("at write %d: %v, and the rollout is owed %q", at, err, r.j.ro.Owed)
			}
			if got := strings.Join(r.w.hooks.runs, ","); !strings.Contains(got, "undrain a") || !strings.HasSuffix(got, "close wave 1") {
				t.Errorf("at write %d: %s", at, got)
			}
		})
	}
	if owed == 0 {
		t.Error("no engine died after the last host had come to rest")
	}
}

// TestRollbackByCommandWithoutPolicy: hosts that can be cut off have a way back, which an operator may use without a policy.
func TestRollbackByCommandWithoutPolicy(t *testing.T) {
	for k, rests := range map[kind]State{red: StateHealthFailed, eraseFails: StateTxPartial} {
		sim(t, string(k), func(t *testing.T) {
			r := newRig(t)
			r.host("canary", "a", k)
			r.armed(time.Minute)
			r.build()
			r.mustStart(ExitStopped)
			r.is(map[string]State{"a": rests})
			r.j.mu.Lock()
			r.j.command(Command{Kind: CommandBack, Host: "a", User: "ann"})
			r.j.mu.Unlock()
			_, err := r.resume()
			if err != nil {
				t.Fatal(err)
			}
			r.is(map[string]State{"a": StateRolledBack})
			r.promises()
		})
	}
}

// TestRetryAfterFailedRollback: a person who has mended a host may try it again.
func TestRetryAfterFailedRollback(t *testing.T) {
	sim(t, "", func(t *testing.T) {
		r := newRig(t)
		r.host("canary", "a", backRefused)
		r.reversible(inventory.RollbackHost)
		r.build()
		r.w.red = map[string]bool{"a": true}
		r.mustStart(ExitStopped)
		r.w.red, r.w.hosts["a"].fixed = nil, true
		r.j.mu.Lock()
		r.j.command(Command{Kind: CommandRetry, Host: "a"})
		r.j.mu.Unlock()
		r.mustResume(ExitDone)
		r.is(map[string]State{"a": StateOK})
	})
}

// TestStopWhileDraining: a host whose before-hook still runs when the rollout stops is not touched, and gets its after-hook.
func TestStopWhileDraining(t *testing.T) {
	sim(t, "", func(t *testing.T) {
		r := newRig(t)
		r.s.Levels[1].Waves = amounts(t, "100%")
		r.host("broad", "a", plain)
		r.host("broad", "b", testFails)
		r.hook("drain", inventory.BeforeHost)
		r.hook("undrain", inventory.AfterHost)
		r.build()
		r.w.hooks.takes = 5 * time.Minute
		r.w.slow = map[string]time.Duration{"b": 20 * time.Second}
		r.mustStart(ExitStopped)
		r.is(map[string]State{"a": StateHeld, "b": StateTestFailed})
		if got := strings.Join(r.w.hooks.runs, ","); got != "drain a,undrain a" {
			t.Error(got)
		}
	})
}
