package rollout

import (
	"slices"
	"strings"
	"testing"
	"time"

	"cpacman/inventory"
)

// lockedRig is a rollout of one level whose first host is locked by somebody else at some time after its transaction.
func lockedRig(t *testing.T, k kind) *rig {
	r := newRig(t)
	r.s.Limits.LockWait = 5 * time.Minute
	r.s.Levels[1].Waves, r.s.Levels[1].MaxFailures, r.s.Rollout.MaxFailures = amounts(t, "100%"), amount(t, "100%"), amount(t, "100%")
	r.host("broad", "a", k)
	r.host("broad", "b", plain)
	return r
}

// told lists what the events of a host said with a word in it.
func (r *rig) told(host, word string) (out []string) {
	for _, ev := range r.j.events {
		if ev.Host == host && strings.Contains(ev.Reason.Text, word) {
			out = append(out, ev.Reason.Text)
		}
	}
	return out
}

// TestBackWaitsForTheLock: a way back that finds the host's lock with somebody else says so and waits, like any other step.
func TestBackWaitsForTheLock(t *testing.T) {
	sim(t, "", func(t *testing.T) {
		r := lockedRig(t, peerHasIt)
		r.reversible(inventory.RollbackHost)
		r.build()
		r.w.red = map[string]bool{"a": true}
		r.mustStart(ExitFailed)
		r.is(map[string]State{"a": StateRolledBack, "b": StateOK})
		if got := r.told("a", "waits for the host's lock: locked by bob on ops2"); len(got) != 1 {
			t.Errorf("said %q, want it once", got)
		}
	})
}

// TestBackStaysLocked: when the wait is over the host answers still: it is not lost, nothing was undone, and it says who has it. It can be
// asked for again once that has ended, and nothing but an operator does.
func TestBackStaysLocked(t *testing.T) {
	for _, mode := range []inventory.RollbackMode{inventory.RollbackHost, inventory.RollbackWave} {
		sim(t, string(mode), func(t *testing.T) {
			r := lockedRig(t, peerKeepsIt)
			r.reversible(mode)
			r.build()
			r.w.red = map[string]bool{"a": true}
			began := time.Now()
			r.mustStart(ExitStopped)
			r.is(map[string]State{"a": StateRollbackFailed})
			if took := time.Since(began); took < 5*time.Minute || took > 9*time.Minute {
				t.Errorf("took %s, and its lock is waited for for 5m", took)
			}
			why := r.j.record("a").Reason
			if why.Code != ReasonLocked || !strings.Contains(why.Text, "locked by bob on ops2") || !strings.Contains(why.Text, "nothing was undone") ||
				!strings.Contains(why.Text, "it was to go back because: ") {
				t.Errorf("reason %+v", why)
			}
			if !r.w.hosts["a"].updated || r.w.hosts["a"].backs > 0 {
				t.Error("it was taken back")
			}
			r.w.hosts["a"].fixed = true
			r.j.mu.Lock()
			r.j.command(Command{Kind: CommandBack, Host: "a", User: "ann"})
			r.j.mu.Unlock()
			if _, err := r.resume(); err != nil {
				t.Fatal(err)
			}
			r.is(map[string]State{"a": StateRolledBack})
			r.promises()
		})
	}
}

// TestEraseWaitsForTheLock: step (c) waits too; when the wait is over, the host is as it is, and says what was not done and why.
func TestEraseWaitsForTheLock(t *testing.T) {
	sim(t, "waits", func(t *testing.T) {
		r := lockedRig(t, peerErase)
		r.build()
		r.mustStart(ExitDone)
		r.is(map[string]State{"a": StateOK, "b": StateOK})
		if got := r.told("a", "waits for the host's lock: locked by bob on ops2"); len(got) != 1 || r.w.hosts["a"].erased != 1 {
			t.Errorf("said %q, erased %d times", got, r.w.hosts["a"].erased)
		}
	})
	sim(t, "stays", func(t *testing.T) {
		r := lockedRig(t, peerNoErase)
		r.build()
		r.mustStart(ExitFailed)
		r.is(map[string]State{"a": StateTxPartial, "b": StateOK})
		why := r.j.record("a").Reason
		if why.Code != ReasonLocked || !strings.Contains(why.Text, "locked by bob on ops2") || !strings.Contains(why.Text, "step (c)") || r.w.hosts["a"].erased > 0 {
			t.Errorf("reason %+v", why)
		}
	})
}

// TestStartFindsTheLockTakenOver: nothing was changed, and nobody has failed.
func TestStartFindsTheLockTakenOver(t *testing.T) {
	sim(t, "", func(t *testing.T) {
		r := lockedRig(t, peerStart)
		r.build()
		r.mustStart(ExitFailed)
		r.is(map[string]State{"a": StateHeld, "b": StateOK})
		if why := r.j.record("a").Reason; why.Code != ReasonLocked || !strings.Contains(why.Text, "bob on ops2") {
			t.Errorf("reason %+v", why)
		}
		if slices.Contains(statesOf(r), StateTxFailed) || r.w.hosts["a"].starts != 1 {
			t.Errorf("asked for %d times", r.w.hosts["a"].starts)
		}
	})
}
