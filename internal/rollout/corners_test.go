package rollout

import (
	"fmt"
	"testing"
	"time"

	"cpacman/inventory"
)

// TestResumeBelievesTheHost puts a host into each state in the journal and something else on the host.
func TestResumeBelievesTheHost(t *testing.T) {
	ends := func(d time.Duration) *fakeTx { return &fakeTx{ends: time.Now().Add(d)} }
	for _, s := range []State{StateConnecting, StatePreflight, StateStaging, StateTesting, StateReady, StateWaitingLock,
		StateDraining, StateTransacting, StateVerifying, StateConfirming, StateChecking} {
		for _, onHost := range []string{"unknown", "running", "done"} {
			sim(t, fmt.Sprintf("%s, %s on the host", s, onHost), func(t *testing.T) {
				r := newRig(t)
				r.hosts("broad", 2, plain)
				r.build()
				if err := r.j.Create(t.Context(), newSnapshot(r.req, Owner{}, time.Now()), false); err != nil {
					t.Fatal(err)
				}
				rec := r.j.hosts["broad00"]
				rec.State = s
				if s.Info().Touched {
					rec.TxID, rec.TxAt, rec.Began = TxID("r1", "broad00", 1), time.Now(), true
				}
				r.j.hosts["broad00"] = rec
				r.j.ro.State, r.j.ro.QuorumMet, r.j.waves[0].State = RolloutRunning, true, WaveRunning
				h := r.w.hosts["broad00"]
				switch onHost {
				case "running":
					h.tx[TxID("r1", "broad00", 1)] = ends(10 * time.Minute)
				case "done":
					h.tx[TxID("r1", "broad00", 1)] = ends(-10 * time.Minute)
				}
				want, exit := StateOK, ExitDone
				if onHost == "unknown" && s.Info().Touched {
					want, exit = StateUnreconciled, ExitStopped
				}
				r.mustResume(exit)
				r.is(map[string]State{"broad00": want})
				if n := h.starts; want == StateOK && onHost != "unknown" && n != 0 {
					t.Errorf("asked for %d times although the host knew it", n)
				}
			})
		}
	}
}

// TestAbortInEachState aborts while a host is in each state before its transaction.
func TestAbortInEachState(t *testing.T) {
	for _, s := range []State{StateConnecting, StatePreflight, StateStaging, StateTesting, StateReady, StateWaitingLock, StateDraining} {
		sim(t, string(s), func(t *testing.T) {
			r := newRig(t)
			r.hosts("broad", 3, plain)
			if s == StateDraining {
				r.hook("drain", inventory.BeforeHost)
			}
			r.build()
			r.w.opTime, r.w.hooks.takes = 5*time.Second, 5*time.Second
			r.j.script = func(j *memJournal, ev Event) {
				if ev.Kind == EventHost && ev.To == string(s) {
					j.command(Command{Kind: CommandAbort})
				}
			}
			r.mustStart(ExitFailed)
			r.is(map[string]State{"broad00": StateSkipped, "broad02": StateSkipped})
		})
	}
}

func TestDeferredHosts(t *testing.T) {
	for kind, want := range map[CommandKind]State{CommandAbort: StateSkipped, CommandSkip: StateSkipped, CommandPause: StateDeferred} {
		sim(t, string(kind), func(t *testing.T) {
			r := newRig(t)
			r.hosts("broad", 3, plain)
			r.kinds["broad00"] = awayOnce
			r.s.Levels[1].Waves = amounts(t, "100%")
			r.build()
			r.j.script = func(j *memJournal, ev Event) {
				if ev.On == OnDeferred {
					j.command(Command{Kind: kind, Host: "broad00"})
				}
			}
			if _, err := r.start(); err != nil {
				t.Fatal(err)
			}
			r.promises()
			r.is(map[string]State{"broad00": want, "broad01": StateOK})
		})
	}
}

// TestStopReachesWaitingHosts: a host that waits for its cluster, and one that was put off, are held by a stop.
func TestStopReachesWaitingHosts(t *testing.T) {
	sim(t, "", func(t *testing.T) {
		r := newRig(t)
		r.host("broad", "a", plain, "front")
		r.host("broad", "b", testFails)
		r.host("broad", "c", awayOnce)
		r.hosts("broad", 2, plain)
		r.s.Clusters["front"] = ClusterSettings{MaxUnavailable: inventory.Count(1), Members: []string{"a", "z"}}
		r.s.Levels[1].Waves = amounts(t, "100%")
		r.s.Limits.LockWait = time.Hour
		r.build()
		r.w.outside["z"] = "down"
		r.w.slow = map[string]time.Duration{"b": 10 * time.Second, "broad00": 40 * time.Second, "broad01": 12 * time.Second}
		out := r.mustStart(ExitStopped)
		r.is(map[string]State{"a": StateHeld, "b": StateTestFailed, "c": StateHeld, "broad00": StateHeld, "broad01": StateHeld})
		if why := r.j.hosts["a"].Reason.Code; why != ReasonStopped || out.Rollout.Stop.Host != "b" {
			t.Errorf("a is held because of %s, stopped by %s", why, out.Rollout.Stop.Host)
		}
	})
}

// TestConnectionLostBeforeTheTransaction: the host is put off once, and given up the second time.
func TestConnectionLostBeforeTheTransaction(t *testing.T) {
	for _, s := range []State{StatePreflight, StateStaging, StateTesting, StateWaitingLock} {
		for drops, want := range map[int]State{1: StateOK, 2: StateUnreachable} {
			sim(t, fmt.Sprintf("%s, %d times", s, drops), func(t *testing.T) {
				r := newRig(t)
				r.hosts("broad", 2, plain)
				r.s.Levels[1].Waves = amounts(t, "100%")
				r.build()
				r.w.dropIn, r.w.drops = map[string]State{"broad01": s}, drops
				r.mustStart(map[State]Exit{StateOK: ExitDone, StateUnreachable: ExitUnreachable}[want])
				r.is(map[string]State{"broad00": StateOK, "broad01": want})
			})
		}
	}
}

// TestOperatorsOnRestingHosts: what failed, or never started, can be tried again, left out, or ended with the rollout.
func TestOperatorsOnRestingHosts(t *testing.T) {
	build := func(t *testing.T, k kind) *rig {
		r := newRig(t)
		r.hosts("broad", 4, plain)
		r.kinds["broad00"] = k
		r.s.Levels[1].Waves = amounts(t, "100%")
		r.s.Levels[1].MaxFailures, r.s.Rollout.MaxFailures = inventory.Count(3), inventory.Count(3)
		r.build()
		return r
	}
	for _, k := range []kind{stageFails, testFails, nothingDone, partial, red, changed, forgets} {
		sim(t, "retry of "+string(k), func(t *testing.T) {
			r := build(t, k)
			if _, err := r.start(); err != nil {
				t.Fatal(err)
			}
			r.w.hosts["broad00"].fixed = true
			r.j.command(Command{Kind: CommandRetry, Host: "broad00"})
			r.mustResume(ExitDone)
			r.is(map[string]State{"broad00": StateOK})
			if n := r.j.hosts["broad00"].Attempt; n != 2 {
				t.Errorf("attempt %d", n)
			}
		})
	}
	sim(t, "retry in a wave that has passed", func(t *testing.T) {
		r := newRig(t)
		r.host("canary", "a", plain)
		r.host("canary", "b", away)
		r.host("broad", "z", plain)
		r.s.Levels[1].Approve = 1
		r.build()
		r.mustStart(ExitWaiting)
		r.is(map[string]State{"a": StateOK, "b": StateUnreachable, "z": StatePending})
		r.mustResume(ExitWaiting) // by itself a resume leaves the host of a passed wave alone
		r.is(map[string]State{"b": StateUnreachable})
		r.j.command(Command{Kind: CommandSkip, Host: "b"})
		r.mustResume(ExitWaiting)
		r.is(map[string]State{"b": StateSkipped})
		r.j.command(Command{Kind: CommandRetry, Host: "b"})
		r.mustResume(ExitWaiting)
		r.is(map[string]State{"b": StateUnreachable})
		r.w.hosts["b"].fixed = true
		r.j.command(Command{Kind: CommandRetry, Host: "b"})
		r.mustResume(ExitWaiting)
		r.is(map[string]State{"b": StateOK, "z": StatePending})
	})
	for k, want := range map[kind]State{changed: StateHeld, away: StateUnreachable} {
		sim(t, "skip of "+string(k), func(t *testing.T) {
			r := build(t, k)
			if _, err := r.start(); err != nil {
				t.Fatal(err)
			}
			r.is(map[string]State{"broad00": want})
			r.j.command(Command{Kind: CommandSkip, Host: "broad00"})
			r.mustResume(ExitDone)
			r.is(map[string]State{"broad00": StateSkipped})
			r.j.command(Command{Kind: CommandRetry, Host: "broad00"})
			r.w.hosts["broad00"].fixed = true
			r.mustResume(ExitDone)
			r.is(map[string]State{"broad00": StateOK})
		})
		sim(t, "abort with "+string(k), func(t *testing.T) {
			r := build(t, k)
			r.j.script = func(j *memJournal, ev Event) {
				if ev.Kind == EventWave && ev.To == string(WaveSoaking) {
					j.command(Command{Kind: CommandAbort})
				}
			}
			r.mustStart(ExitFailed)
			r.is(map[string]State{"broad00": StateSkipped, "broad01": StateOK})
		})
	}
}

// TestNoStartAfterAStop: hosts before their transaction are held, those after it finish.
func TestNoStartAfterAStop(t *testing.T) {
	sim(t, "", func(t *testing.T) {
		r := newRig(t)
		r.hosts("broad", 8, nothingDone)
		r.s.Levels[1].Waves = amounts(t, "100%")
		r.s.Limits.Transactions = 3
		r.build()
		out := r.mustStart(ExitStopped)
		if out.Hosts[StateTxFailed] != 3 || out.Hosts[StateHeld] != 5 {
			t.Errorf("%v; 3 transactions were at work when the first failed", out.Hosts)
		}
	})
}

// TestDeferredHostAtTheFloor: a member that went red meanwhile leaves no room for one that was put off.
func TestDeferredHostAtTheFloor(t *testing.T) {
	sim(t, "", func(t *testing.T) {
		r := newRig(t)
		r.host("broad", "a", plain, "front")
		r.host("broad", "b", plain, "front")
		r.s.Levels[1].Waves = amounts(t, "100%")
		r.s.Levels[1].MaxFailures, r.s.Rollout.MaxFailures = inventory.Count(1), inventory.Count(1)
		r.build()
		if err := r.j.Create(t.Context(), newSnapshot(r.req, Owner{}, time.Now()), false); err != nil {
			t.Fatal(err)
		}
		a, b := r.j.hosts["a"], r.j.hosts["b"]
		a.State, b.State = StateDeferred, StateHealthFailed
		r.j.hosts["a"], r.j.hosts["b"] = a, b
		r.j.ro.State, r.j.ro.QuorumMet, r.j.waves[0].State = RolloutRunning, true, WaveRunning
		r.mustResume(ExitFailed)
		r.is(map[string]State{"a": StateHeld})
		if r.j.hosts["a"].Reason.Code != ReasonClusterFloor || r.w.hosts["a"].opens != 0 {
			t.Errorf("%+v, opened %d times", r.j.hosts["a"].Reason, r.w.hosts["a"].opens)
		}
	})
}
