package rollout

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cpacman/inventory"
)

// TestResumedEndsAsUninterrupted runs random fleets, whose faults belong to the hosts and not to the moment, once in peace and once with
// engines that die at random writes, are left alone, and are told to stop: both must end in the same states, with as many transactions.
func TestResumedEndsAsUninterrupted(t *testing.T) {
	n := 60
	if testing.Short() {
		n = 8
	}
	deaths := 0
	for seed := range uint64(n) {
		diff, died := resumed(t, seed, nil)
		if deaths += died; diff != "" {
			t.Errorf("seed %d ends differently (-uninterrupted +resumed):\n%s", seed, diff)
		}
	}
	t.Logf("%d engines died", deaths)
	if deaths < 2*n {
		t.Errorf("only %d engines died: this proves little", deaths)
	}
}

// TestResumedDifferently: an engine that begins hosts anew instead of asking them is noticed.
func TestResumedDifferently(t *testing.T) {
	for seed := range uint64(40) {
		diff, _ := resumed(t, seed, func(rules *rules) {
			rules.reattach = func(h *hostRun) { // what was under way is believed to have gone well
				h.locked = true
				if h.r.record(h.host).State == StateVerifying {
					_ = h.r.step(h.host, OnVerified, Reason{}, nil)
				}
				if h.r.record(h.host).State == StateChecking {
					_ = h.r.step(h.host, OnHealthy, Reason{}, nil)
					h.finish()
					return
				}
				h.askAgain()
			}
		})
		if diff != "" {
			return
		}
	}
	t.Error("nobody notices an engine that believes its journal")
}

// ending is what a rollout came to.
type ending struct {
	States  map[string]State
	Tx      map[string]int // transactions that a host has run
	Updated map[string]bool
	Erased  map[string]int
	Exit    Exit
}

// resumed compares the two, and tells how many engines died.
func resumed(t *testing.T, seed uint64, spoil func(*rules)) (diff string, deaths int) {
	var want, got ending
	sim(t, fmt.Sprintf("seed %d in peace", seed), func(t *testing.T) {
		r := steadyRig(t, seeded(seed))
		out, err := r.start()
		if err != nil {
			t.Fatal(err)
		}
		r.promises()
		want = r.ending(out)
	})
	sim(t, fmt.Sprintf("seed %d resumed", seed), func(t *testing.T) {
		r := steadyRig(t, seeded(seed))
		r.spoil = spoil
		out, n := r.manyDeaths(rand.New(rand.NewPCG(seed, 7)))
		if deaths = n; spoil == nil {
			r.promises()
		}
		got = r.ending(out)
	})
	return cmp.Diff(want, got), deaths
}

func (r *rig) ending(out Outcome) ending {
	e := ending{States: r.j.states(), Tx: map[string]int{}, Updated: map[string]bool{}, Erased: map[string]int{}, Exit: out.Exit}
	for name, h := range r.w.hosts {
		h.tick()
		e.Tx[name], e.Updated[name], e.Erased[name] = len(h.tx), h.updated, h.erased
	}
	return e
}

// manyDeaths runs a rollout to its end: each engine but the last dies at a write, detaches, or drains.
func (r *rig) manyDeaths(rng *rand.Rand) (out Outcome, deaths int) {
	var err error
	for run := range 40 {
		e := New(r.cfg)
		if r.spoil != nil {
			r.spoil(&e.rules)
		}
		if run < 12 {
			switch rng.IntN(4) {
			case 0:
				time.AfterFunc(time.Duration(rng.IntN(600))*time.Second, e.Detach)
			case 1:
				time.AfterFunc(time.Duration(rng.IntN(600))*time.Second, e.Drain)
			default:
				r.j.dieAt, r.j.dieAfter = 1+rng.IntN(120), rng.IntN(2) == 0
			}
		}
		ctx, end := context.WithTimeout(context.Background(), longestRun)
		if run == 0 {
			out, err = e.Start(ctx, r.req)
		} else {
			out, err = e.Resume(ctx, "r1", ResumeRequest{User: "ann"})
		}
		if ctx.Err() != nil {
			r.t.Fatalf("run %d does not end in %v: %v", run, longestRun, r.j.states())
		}
		end()
		if err != nil && !errors.Is(err, errDead) {
			r.t.Fatal(err)
		}
		if err == nil && out.Rollout.State == RolloutDone && out.Exit != ExitInterrupted {
			return out, deaths
		}
		deaths++
		r.j.revive()
		time.Sleep(time.Duration(rng.IntN(20)) * time.Minute)
	}
	r.t.Fatalf("does not come to an end: %s %+v, %v", out.Exit, out.Rollout.Stop, r.j.states())
	return out, deaths
}

// steadyRig makes a fleet whose hosts end as they do whenever they are asked: no budget stops it, and what depends on who comes first is left
// out.
func steadyRig(t testing.TB, rng *rand.Rand) *rig {
	r := newRig(t)
	kinds := []kind{upToDate, sameSet, changed, rebuilt, noKey, stageFails, testFails, retestFails, rpmLocked, lockedByPeer, nothingDone, partial,
		red, redLate, redAlways, blind, away, awayOnce, dropStart, dropStarted, noStart, erases, scriptlets, wantsBoot, eraseFails, backCut}
	for i := range 2 + rng.IntN(40) {
		level := []string{"canary", "broad", "broad"}[rng.IntN(3)]
		if rng.IntN(3) == 0 {
			r.host(level, fmt.Sprintf("h%02d", i), kinds[rng.IntN(len(kinds))])
			continue
		}
		var clusters []string
		if rng.IntN(3) == 0 {
			clusters = []string{fmt.Sprintf("c%d", rng.IntN(3))}
		}
		r.host(level, fmt.Sprintf("h%02d", i), plain, clusters...)
	}
	r.host("canary", "first", plain) // so that the level proves something
	r.host("broad", "last", plain)
	if rng.IntN(2) == 0 {
		r.reversible(inventory.RollbackHost)
	}
	r.s.Rollout.Reboot = []inventory.RebootMode{inventory.RebootNever, inventory.RebootNeeded}[rng.IntN(2)]
	for _, when := range []inventory.HookWhen{inventory.BeforeHost, inventory.AfterHost, inventory.BeforeWave, inventory.AfterRollout} {
		if rng.IntN(3) == 0 {
			r.hook(string(when), when)
		}
	}
	all := amount(t, "100%")
	r.s.Rollout.MaxFailures, r.s.Rollout.MaxUnreachable, r.s.Rollout.Quorum = all, all, amount(t, "0")
	r.s.Rollout.Strict = rng.IntN(4) == 0
	for i := range r.s.Levels {
		r.s.Levels[i].MaxFailures, r.s.Levels[i].Soak = all, time.Duration(rng.IntN(10))*time.Minute
		if rng.IntN(2) == 0 { // one wave; else a wave may have none that shows something
			r.s.Levels[i].Waves = amounts(t, "100%")
		}
	}
	r.s.Levels[0].Waves = amounts(t, "100%")
	r.s.Limits = Limits{Connections: 2 + rng.IntN(20), Transfers: 1 + rng.IntN(5), Transactions: 1 + rng.IntN(10), LockWait: time.Minute}
	r.build()
	r.w.rng = rand.New(rand.NewPCG(rng.Uint64(), 1))
	r.w.sleepOps, r.w.txTime = true, time.Duration(rng.IntN(10))*time.Minute
	return r
}
