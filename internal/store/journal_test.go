package store

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cpacman/internal/host"
	"cpacman/internal/rollout"
)

var at = time.Date(2026, 3, 1, 2, 3, 4, 0, time.UTC)

func newSnapshot(id, plan string) rollout.Snapshot {
	return rollout.Snapshot{
		Rollout:  rollout.Rollout{ID: id, PlanID: plan, State: rollout.RolloutCreated, User: "op", CreatedAt: at, UpdatedAt: at},
		Schedule: rollout.Schedule{PlanID: plan, Hosts: 2, Digest: "d", Waves: []rollout.WavePlan{{Index: 0, Hosts: []string{"a", "b"}}}},
		Waves:    []rollout.WaveRecord{{Index: 0, State: rollout.WavePending}},
		Hosts: []rollout.HostRecord{
			{Host: "a", State: rollout.StatePending, Attempt: 1, Updated: at},
			{Host: "b", State: rollout.StatePending, Attempt: 1, Updated: at},
		},
	}
}

func me() rollout.Owner {
	name, _ := os.Hostname()
	return rollout.Owner{User: "op", Host: name, PID: os.Getpid(), BootID: BootID(), Since: at}
}

// start takes the lease and records a rollout, as an engine does.
func start(t *testing.T, s *Store, id, plan string) int64 {
	t.Helper()
	epoch, err := s.Acquire(context.Background(), id, me())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Create(context.Background(), newSnapshot(id, plan), false); err != nil {
		t.Fatal(err)
	}
	return epoch
}

func TestJournalComesBackWhole(t *testing.T) {
	s, ctx := open(t), context.Background()
	epoch := start(t, s, "r1", "p1")
	want := newSnapshot("r1", "p1")
	got, err := s.Load(ctx, "r1")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("after Create (-want +got):\n%s", d)
	}

	want.Rollout.State = rollout.RolloutRunning
	want.Hosts[1].State, want.Hosts[1].Reason = rollout.StateHeld, rollout.Reason{Code: "x", Text: "because \x1b"}
	want.Waves[0].State = rollout.WaveRunning
	want.Approvals = []rollout.Approval{{Scope: "class p", User: "u", Digest: "d", At: at}}
	change := rollout.Change{Rollout: &want.Rollout, Waves: want.Waves, Hosts: want.Hosts[1:], Approval: &want.Approvals[0],
		Events: []rollout.Event{{Rollout: "r1", Kind: rollout.EventHost, Host: "b", At: at}, {Rollout: "r1", Kind: rollout.EventWave, At: at}}}
	if err := s.Append(ctx, "r1", epoch, change); err != nil {
		t.Fatal(err)
	}
	if got, err = s.Load(ctx, "r1"); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("after Append (-want +got):\n%s", d)
	}
	events, err := s.Events(ctx, "r1", 1)
	if err != nil || len(events) != 1 || events[0].Seq != 2 || events[0].Kind != rollout.EventWave {
		t.Errorf("events after 1: %+v, %v", events, err)
	}
	if _, err := s.Load(ctx, "nothing"); !errors.Is(err, rollout.ErrNotFound) {
		t.Errorf("load of nothing: %v", err)
	}
}

func TestAppendWritesAllOrNothing(t *testing.T) {
	s, ctx := open(t), context.Background()
	epoch := start(t, s, "r1", "p1")
	change := rollout.Change{Hosts: []rollout.HostRecord{{Host: "a", State: rollout.StateOK}}, Events: []rollout.Event{{Host: "a"}}}
	if err := s.Append(ctx, "r1", epoch+1, change); !errors.Is(err, rollout.ErrLeaseLost) {
		t.Fatalf("append under another epoch: %v", err)
	}
	got, err := s.Load(ctx, "r1")
	if err != nil || got.Hosts[0].State != rollout.StatePending {
		t.Errorf("a refused append left %+v, %v", got.Hosts, err)
	}
	if events, _ := s.Events(ctx, "r1", 0); len(events) != 0 {
		t.Errorf("a refused append left events %+v", events)
	}
}

func TestPlanStartsOnce(t *testing.T) {
	s, ctx := open(t), context.Background()
	dry := newSnapshot("dry", "p1")
	dry.Rollout.DryRun = true
	if err := s.Create(ctx, dry, false); err != nil {
		t.Fatal(err)
	}
	start(t, s, "r1", "p1") // a dry run does not count
	var started *rollout.PlanStartedError
	if err := s.Create(ctx, newSnapshot("r2", "p1"), false); !errors.As(err, &started) || started.Rollout != "r1" {
		t.Errorf("second start: %v", err)
	}
	if err := s.Create(ctx, newSnapshot("r2", "p1"), true); err != nil {
		t.Errorf("second start with again: %v", err)
	}
}

func TestCommandsAreNumbered(t *testing.T) {
	s, ctx := open(t), context.Background()
	start(t, s, "r1", "p1")
	if err := s.PutCommand(ctx, "nothing", rollout.Command{}); !errors.Is(err, rollout.ErrNotFound) {
		t.Errorf("command for nothing: %v", err)
	}
	for _, k := range []rollout.CommandKind{rollout.CommandPause, rollout.CommandResume, rollout.CommandAbort} {
		if err := s.PutCommand(ctx, "r1", rollout.Command{Kind: k, User: "op", At: at}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Pending(ctx, "r1", 1)
	if err != nil || len(got) != 2 || got[0].Seq != 2 || got[0].Kind != rollout.CommandResume {
		t.Errorf("pending after 1: %+v, %v", got, err)
	}
}

func TestLeaseLetsOneEngineWork(t *testing.T) {
	s, ctx := open(t), context.Background()
	now := at
	s.now = func() time.Time { return now }
	elsewhere := rollout.Owner{User: "other", Host: "another-control-host", PID: 1, BootID: "b"}
	first, err := s.Acquire(ctx, "r1", elsewhere)
	if err != nil {
		t.Fatal(err)
	}
	var held *rollout.LeaseHeldError
	if _, err := s.Acquire(ctx, "r1", me()); !errors.As(err, &held) || held.Owner.User != "other" {
		t.Fatalf("second engine: %v", err)
	}
	now = now.Add(rollout.LeaseTTL / 2)
	if err := s.Renew(ctx, "r1", first); err != nil {
		t.Fatal(err)
	}
	now = now.Add(rollout.LeaseTTL + time.Second)
	second, err := s.Acquire(ctx, "r1", me())
	if err != nil || second <= first {
		t.Fatalf("takeover of a silent engine: epoch %d after %d, %v", second, first, err)
	}
	if err := s.Renew(ctx, "r1", first); !errors.Is(err, rollout.ErrLeaseLost) {
		t.Errorf("renewal by the late engine: %v", err)
	}
	if err := s.Release(ctx, "r1", second); err != nil {
		t.Fatal(err)
	}
	if third, err := s.Acquire(ctx, "r1", elsewhere); err != nil || third <= second {
		t.Errorf("after a release: epoch %d after %d, %v", third, second, err)
	}
}

func TestLeaseOfADeadProcessIsFreeAtOnce(t *testing.T) {
	if BootID() == "" {
		t.Skip("no boot id on this system")
	}
	s, ctx := open(t), context.Background()
	dead := me()
	dead.PID = 1 << 30 // above the kernel's largest pid, 2^22
	if _, err := s.Acquire(ctx, "r1", dead); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Acquire(ctx, "r1", me()); err != nil {
		t.Errorf("the owner's process is gone: %v", err)
	}
}

func TestStateBeforeATransactionStays(t *testing.T) {
	s, ctx := open(t), context.Background()
	first := sample("a", "d1", 1, 2)
	if err := s.PutBefore(ctx, "tx1", first, []string{"x needs y"}); err != nil {
		t.Fatal(err)
	}
	if err := s.PutBefore(ctx, "tx1", &host.Facts{Host: "a", InstalledDigest: "d2"}, nil); err != nil {
		t.Fatal(err)
	}
	b, err := s.Before(ctx, "tx1")
	if err != nil || b.Digest != "d1" || len(b.Packages) != 2 || len(b.Unmet) != 1 {
		t.Errorf("before: %+v, %v", b, err)
	}
	if _, err := s.Before(ctx, "tx2"); !errors.Is(err, ErrNotFound) {
		t.Errorf("before of an unknown id: %v", err)
	}
}
