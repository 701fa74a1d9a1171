package rollout

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Known implements Transactor.
func (f *fakeWorker) Known(ctx context.Context) ([]int, error) {
	unlock, err := f.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	var out []int
	for id := range f.h.tx {
		if n, ok := AttemptOf(id, f.job.Rollout, f.job.Host); ok {
			out = append(out, n)
		}
	}
	return out, nil
}

// backingUp is a journal that makes a backup after one of its writes.
type backingUp struct {
	*memJournal
	at, n  int
	backup *Snapshot
}

func (b *backingUp) Append(ctx context.Context, id string, epoch int64, c Change) error {
	err := b.memJournal.Append(ctx, id, epoch, c)
	if b.n++; b.n == b.at && err == nil {
		s, _ := b.memJournal.Load(ctx, id)
		b.backup = &s
	}
	return err
}

// restore puts a backup in the place of the journal.
func (r *rig) restore(s Snapshot) {
	r.t.Helper()
	if !MarkRestored(&s) {
		r.t.Fatal("nothing was marked")
	}
	r.j.revive()
	r.j.ro, r.j.waves, r.j.approvals, r.j.hosts = s.Rollout, s.Waves, s.Approvals, map[string]HostRecord{}
	for _, h := range s.Hosts {
		r.j.hosts[h.Host] = h
	}
}

// TestRestoreAtEveryWrite makes a backup after each write of the journal, lets the rollout go on for a while or to its end,
// restores the backup and resumes: every host ends as in an undisturbed run, and none has a second transaction.
func TestRestoreAtEveryWrite(t *testing.T) {
	var want map[string]State
	writes := 0
	synctest.Test(t, func(t *testing.T) {
		r := everyKind(t)
		r.mustStart(ExitFailed)
		want, writes = r.j.states(), r.j.writes
	})
	for n := 1; n < writes; n++ {
		if testing.Short() && n%7 != 0 {
			continue
		}
		synctest.Test(t, func(t *testing.T) { restoreAndResume(t, n, want) })
		if t.Failed() {
			t.Fatalf("backup after write %d of %d", n, writes)
		}
	}
}

func restoreAndResume(t *testing.T, n int, want map[string]State) {
	r := everyKind(t)
	b := &backingUp{memJournal: r.j, at: n}
	r.cfg.Journal = b
	if n%3 > 0 { // the control host dies some time after the backup; else the rollout ends
		r.j.dieAt = n + n%3*40
	}
	if _, err := r.start(); err != nil && !errors.Is(err, errDead) {
		t.Fatal(err)
	}
	if b.backup == nil {
		return // this run needed fewer writes
	}
	r.cfg.Journal = r.j
	r.restore(*b.backup)
	if n%5 == 0 { // and once more, in the middle of asking
		r.j.dieAt = 1 + n%30
		if _, err := r.resume(); err != nil && !errors.Is(err, errDead) {
			t.Fatal(err)
		}
		r.j.revive()
	}
	if b.backup.Rollout.State == RolloutDone {
		return
	}
	r.mustResume(ExitFailed)
	got := r.j.states()
	for _, h := range b.backup.Hosts {
		// A baseline that was taken after the backup is lost with the journal: nothing says any more that the check was red before.
		if r.kinds[h.Host] == redAlways && h.Baseline == nil && got[h.Host] == StateHealthFailed {
			got[h.Host] = want[h.Host]
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ends differently (-undisturbed +restored):\n%s", diff)
	}
	for name, h := range r.w.hosts {
		if len(h.tx) > 1 {
			t.Errorf("%s had %d transactions", name, len(h.tx))
		}
	}
	if r.j.ro.Unreconciled {
		t.Error("still unreconciled")
	}
}

// TestRestoredHostIsAsked takes each state that a backup can have for a host that is not at an end, with a host that has since
// then run the next attempt: the host is believed.
func TestRestoredHostIsAsked(t *testing.T) {
	for _, from := range []State{StatePending, StateDeferred, StateHeld, StateUnreachable, StateUnreconciled, StateLost,
		StateConnecting, StatePreflight, StateStaging, StateTesting, StateReady, StateWaitingLock,
		StateTransacting, StateVerifying, StateChecking, StateRestarting, StateRebooting, StateConfirming, StateRollingBack} {
		for _, attempt := range []int{1, 2} {
			if attempt == 1 && (from == StateRebooting || from == StateConfirming || from == StateRollingBack) {
				continue // the same attempt is taken up where it is, as after a crash
			}
			t.Run(fmt.Sprint(from, attempt), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { restoredHost(t, from, attempt) })
			})
		}
	}
}

func restoredHost(t *testing.T, from State, attempt int) {
	r := newRig(t)
	r.hosts("canary", 2, plain)
	r.build()
	s := newSnapshot(r.req, r.cfg.Owner, time.Now())
	s.Rollout.State, s.Rollout.QuorumMet, s.Waves[0].State = RolloutRunning, true, WaveRunning
	rec := &s.Hosts[0]
	if from == StateUnreachable { // in a wave that is still open resume tries it again by itself
		s.Waves[0].State, s.Waves[0].PassedAt = WavePassed, time.Now()
	}
	rec.State, rec.Reason = from, Reason{ReasonChanged, "as in the backup"}
	if from.Info().Touched {
		rec.TxID, rec.Began, rec.TxAt = TxID("r1", rec.Host, 1), true, time.Now()
	}
	if err := r.j.Create(context.Background(), s, true); err != nil {
		t.Fatal(err)
	}
	r.w.hosts[rec.Host].tx[TxID("r1", rec.Host, attempt)] = &fakeTx{ends: time.Now()}
	r.restore(s)
	for _, h := range r.j.hosts {
		if shown, why := h.Shown(r.j.ro); shown != StateUnreconciled || !strings.Contains(why.Text, string(h.State)) {
			t.Errorf("%s is shown as %s (%s)", h.Host, shown, why.Text)
		}
	}
	r.mustResume(ExitDone)
	r.is(map[string]State{"canary00": StateOK, "canary01": StateOK})
	if got := r.j.hosts["canary00"]; got.Attempt != attempt || got.TxID != TxID("r1", "canary00", attempt) || got.Unasked != 0 {
		t.Errorf("record %+v", got)
	}
	if n := r.w.hosts["canary00"].starts; n != 0 {
		t.Errorf("its transaction was asked for %d times", n)
	}
}

// TestRestoredNothingIsAdmittedBefore: hosts whose transactions run longer than the others take to be asked do not hold the
// others up, but no host is admitted before every host was asked.
func TestRestoredNothingIsAdmittedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.hosts("canary", 6, plain)
		r.build()
		r.w.slow = map[string]time.Duration{"canary05": time.Minute}
		s := newSnapshot(r.req, r.cfg.Owner, time.Now())
		if err := r.j.Create(context.Background(), s, true); err != nil {
			t.Fatal(err)
		}
		r.restore(s)
		asked := false
		r.j.script = func(j *memJournal, ev Event) {
			asked = asked || ev.Kind == EventRollout && strings.HasPrefix(ev.Reason.Text, "reconciled")
			if ev.On == OnAdmitted && !asked {
				t.Errorf("%s was admitted before every host was asked", ev.Host)
			}
		}
		r.mustResume(ExitDone)
		if !asked {
			t.Error("nobody was asked")
		}
	})
}

// TestRestoredAwayIsAskedLater: a host that cannot be asked at the resume is asked once it can be, before a transaction.
func TestRestoredAwayIsAskedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.host("canary", "first", plain)
		r.host("broad", "back", away)
		r.host("broad", "midway", away)
		r.s.Rollout.MaxUnreachable = amount(t, "5")
		r.s.Levels[1].Waves = amounts(t, "100%")
		r.host("broad", "plain", plain)
		r.build()
		s := newSnapshot(r.req, r.cfg.Owner, time.Now())
		s.Rollout.State, s.Rollout.QuorumMet = RolloutRunning, true
		for i := range s.Hosts {
			if s.Hosts[i].Host == "midway" {
				s.Hosts[i].State = StateStaging
			}
		}
		if err := r.j.Create(context.Background(), s, true); err != nil {
			t.Fatal(err)
		}
		for _, h := range []string{"back", "midway"} {
			r.w.hosts[h].tx[TxID("r1", h, 1)] = &fakeTx{ends: time.Now()}
		}
		r.restore(s)
		r.mustResume(ExitUnreachable)
		r.is(map[string]State{"first": StateOK, "back": StateUnreachable, "midway": StateUnreachable})
		if r.j.ro.Unreconciled || r.j.hosts["back"].Unasked == 0 {
			t.Errorf("rollout %+v, host %+v", r.j.ro, r.j.hosts["back"])
		}
		for _, h := range []string{"back", "midway"} {
			r.w.hosts[h].fixed = true
		}
		r.mustResume(ExitDone)
		for _, h := range []string{"back", "midway"} {
			if r.w.hosts[h].starts != 0 || r.j.hosts[h].State != StateOK {
				t.Errorf("%s: %d starts, %+v", h, r.w.hosts[h].starts, r.j.hosts[h])
			}
		}
	})
}

// TestRestoredEndsAreAskedOnRetry: the backup has a failed host; since then it was retried with success. A retry on the restored
// journal finds that.
func TestRestoredEndsAreAskedOnRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.host("canary", "a", nothingDone)
		r.build()
		r.mustStart(ExitStopped)
		backup, _ := r.j.Load(context.Background(), "r1")
		r.w.hosts["a"].fixed = true
		r.j.command(Command{Kind: CommandRetry, Host: "a"})
		r.mustResume(ExitDone)
		r.restore(backup)
		r.j.commands = nil
		starts := r.w.hosts["a"].starts
		r.j.command(Command{Kind: CommandRetry, Host: "a"})
		r.mustResume(ExitDone)
		r.is(map[string]State{"a": StateOK})
		if r.w.hosts["a"].starts != starts {
			t.Error("its second attempt was asked for again")
		}
	})
}

// TestRestoredAbort: of an aborted rollout only hosts that were at work are open; nothing new starts.
func TestRestoredAbort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.hosts("canary", 3, plain)
		r.build()
		s := newSnapshot(r.req, r.cfg.Owner, time.Now())
		s.Rollout.State, s.Rollout.Stop.Text = RolloutAborted, "by ann"
		s.Waves[0].State, s.Hosts[0].State, s.Hosts[1].State = WaveRunning, StateReady, StateReady
		if err := r.j.Create(context.Background(), s, true); err != nil {
			t.Fatal(err)
		}
		r.w.hosts[s.Hosts[0].Host].tx[TxID("r1", s.Hosts[0].Host, 1)] = &fakeTx{ends: time.Now()}
		r.restore(s)
		r.mustResume(ExitFailed)
		r.is(map[string]State{s.Hosts[0].Host: StateOK, s.Hosts[1].Host: StateSkipped, s.Hosts[2].Host: StateSkipped})
		s.Hosts[0].State, s.Hosts[1].State, s.Hosts[2].State = StateOK, StateSkipped, StateSkipped
		s.Rollout.Unreconciled = false
		if MarkRestored(&s); s.Rollout.Unreconciled {
			t.Error("an aborted rollout whose hosts are all at an end has nothing to be asked")
		}
		s.Rollout.DryRun = true
		if MarkRestored(&s) {
			t.Error("a dry run has no transactions")
		}
	})
}

// TestNewStartAfterRestore: the restored journal has never heard of the rollout of a plan; started again, hosts that have what
// the plan wants are left alone, and a host whose set cannot be the plan's any more is held.
func TestNewStartAfterRestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.hosts("canary", 3, plain)
		r.build()
		r.mustStart(ExitDone)
		r.j.revive()
		r.j.hosts = nil // as if never recorded
		r.req.RolloutID = "r2"
		out, err := New(r.cfg).Start(context.Background(), r.req)
		r.want(out, err, ExitDone)
		for h, f := range r.w.hosts {
			if len(f.tx) != 1 || r.j.hosts[h].State != StateNoop {
				t.Errorf("%s: %d transactions, %s", h, len(f.tx), r.j.hosts[h].State)
			}
		}
	})
}

// TestRestoredCommandsWait: a skip that was given before the hosts were asked is carried out after it.
func TestRestoredCommandsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.hosts("canary", 2, plain)
		r.build()
		s := newSnapshot(r.req, r.cfg.Owner, time.Now())
		if err := r.j.Create(context.Background(), s, true); err != nil {
			t.Fatal(err)
		}
		r.restore(s)
		r.j.command(Command{Kind: CommandSkip, Host: "canary01"})
		r.mustResume(ExitDone)
		r.is(map[string]State{"canary00": StateOK, "canary01": StateSkipped})
	})
}

// TestRestoredFleet: many more hosts than connections are asked, and no more of them at once than those.
func TestRestoredFleet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.hosts("broad", 500, plain)
		r.s.Levels[1].Waves = amounts(t, "100%")
		r.build()
		s := newSnapshot(r.req, r.cfg.Owner, time.Now())
		s.Rollout.State, s.Rollout.QuorumMet = RolloutRunning, true
		if err := r.j.Create(context.Background(), s, true); err != nil {
			t.Fatal(err)
		}
		for i := 0; i < 500; i += 2 {
			h := s.Hosts[i].Host
			r.w.hosts[h].tx[TxID("r1", h, 1)] = &fakeTx{ends: time.Now().Add(time.Minute)}
		}
		r.restore(s)
		r.mustResume(ExitDone)
		for name, h := range r.w.hosts {
			if len(h.tx) != 1 {
				t.Errorf("%s had %d transactions", name, len(h.tx))
			}
		}
	})
}

func TestAttemptOf(t *testing.T) {
	for id, want := range map[string]int{
		"r1/web01/1": 1, "r1/web01/12": 12, "r1/web01/0": 0, "r1/web01/01": 0, "r1/web01/-1": 0, "r1/web01/": 0, "r1/web01": 0,
		"r1/web01/1/2": 0, "r2/web01/1": 0, "r1/web011/1": 0, "": 0,
	} {
		if got, ok := AttemptOf(id, "r1", "web01"); got != want || ok != (want > 0) {
			t.Errorf("%q: %d, %v", id, got, ok)
		}
	}
}
