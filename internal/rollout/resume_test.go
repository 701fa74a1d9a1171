package rollout

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"cpacman/inventory"
)

// everyKind is a rollout with one host of each kind that ends the same way whenever the engine dies.
func everyKind(t *testing.T) *rig {
	r := newRig(t)
	r.host("canary", "canary", plain)
	for i, k := range []kind{plain, upToDate, sameSet, changed, rebuilt, noKey, stageFails, testFails, retestFails, rpmLocked,
		nothingDone, partial, red, redAlways, away, awayOnce, dropStart, dropStarted, noStart, erases, scriptlets,
		peerSame, peerNothing, peerChanged, peerInTest, peerMidTest, peerLate} {
		r.host("broad", fmt.Sprintf("h%02d", i), k)
	}
	for i := range 3 {
		r.host("broad", fmt.Sprintf("web%d", i), plain, "front")
	}
	r.s.Levels[1].MaxFailures, r.s.Rollout.MaxFailures = inventory.Count(30), inventory.Count(30)
	r.s.Rollout.MaxUnreachable = inventory.Count(5)
	r.build()
	return r
}

// TestDeathAtEveryWrite kills the engine at each write of the journal, before and after it reached the disk, and resumes: the
// end must be that of an undisturbed run, and no transaction may run, or be asked for, twice.
func TestDeathAtEveryWrite(t *testing.T) {
	var want map[string]State
	writes := 0
	synctest.Test(t, func(t *testing.T) {
		r := everyKind(t)
		r.mustStart(ExitFailed)
		want, writes = r.j.states(), r.j.writes
	})
	if writes < 150 {
		t.Fatalf("only %d writes; the test would prove little", writes)
	}
	for _, after := range []bool{false, true} {
		for n := 1; n <= writes; n++ {
			if testing.Short() && n%7 != 0 {
				continue
			}
			synctest.Test(t, func(t *testing.T) { dieAndResume(t, n, after, want) })
			if t.Failed() {
				t.Fatalf("write %d of %d, on disk %v", n, writes, after)
			}
		}
	}
}

func dieAndResume(t *testing.T, n int, after bool, want map[string]State) {
	r := everyKind(t)
	r.j.dieAt, r.j.dieAfter = n, after
	out, err := r.start()
	if err == nil {
		return // this run needed fewer writes
	}
	if !errors.Is(err, errDead) || out.Exit != ExitInterrupted {
		t.Fatalf("exit %s, %v", out.Exit, err)
	}
	time.Sleep(time.Duration(n%5) * time.Minute)
	// Half of the resumed runs die once more.
	r.j.revive()
	if n%2 == 0 {
		r.j.dieAt, r.j.dieAfter = 1+n%40, !after
		if _, err := r.resume(); err != nil && !errors.Is(err, errDead) {
			t.Fatal(err)
		}
		r.j.revive()
	}
	r.mustResume(ExitFailed)
	if diff := cmp.Diff(want, r.j.states()); diff != "" {
		t.Errorf("ends differently (-undisturbed +resumed):\n%s", diff)
	}
	for name, h := range r.w.hosts {
		if len(h.tx) > 1 {
			t.Errorf("%s had %d transactions", name, len(h.tx))
		}
	}
}
