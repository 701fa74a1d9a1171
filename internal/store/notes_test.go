package store

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cpacman/internal/rollout"
)

func TestNotesComeBackInOrder(t *testing.T) {
	s, ctx := open(t), context.Background()
	if err := s.PutNote(ctx, "r1", rollout.Note{Kind: rollout.NoteText}); !errors.Is(err, rollout.ErrNotFound) {
		t.Errorf("a note with no rollout: %v", err)
	}
	epoch := start(t, s, "r1", "p1")
	want := []rollout.Note{
		{Seq: 1, Kind: rollout.NoteEngine, User: "op", Detached: true, At: at},
		{Seq: 2, Kind: rollout.NoteText, User: "op", Text: "db01 is slow\ntoday", At: at},
		{Seq: 3, Kind: rollout.NoteHandover, User: "op", To: "kim", Text: "night shift", At: at},
	}
	for _, n := range want {
		n.Seq = 0
		if err := s.PutNote(ctx, "r1", n); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Notes(ctx, "r1")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	// Watchers see what concerns them, between the events of the engine, whose own numbers go on.
	if err := s.PutWarning(ctx, "r1", at, "nobody was told"); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(ctx, "r1", epoch, rollout.Change{Events: []rollout.Event{{Kind: rollout.EventWave, At: at}}}); err != nil {
		t.Fatal(err)
	}
	events, err := s.Events(ctx, "r1", 0)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []rollout.EventKind
	for _, ev := range events {
		kinds = append(kinds, ev.Kind)
	}
	if d := cmp.Diff([]rollout.EventKind{rollout.EventNote, rollout.EventNote, rollout.EventWarning, rollout.EventWave}, kinds); d != "" {
		t.Error(d)
	}
	if events[1].To != "kim" || events[1].Reason.Text != "night shift" {
		t.Errorf("handover: %+v", events[1])
	}
	if last, err := s.LastEvent(ctx, "r1"); err != nil || last != 4 {
		t.Errorf("last event %d, %v", last, err)
	}
}

func TestHistoryLeavesOutWhatWasCut(t *testing.T) {
	s, ctx := open(t), context.Background()
	epoch := start(t, s, "r1", "p1")
	host := func(name, to string, after time.Duration) rollout.Event {
		return rollout.Event{Kind: rollout.EventHost, Host: name, To: to, At: at.Add(after)}
	}
	events := []rollout.Event{
		host("a", "connecting", 0), host("b", "connecting", 0), host("a", "transacting", 10*time.Second),
		host("a", "verifying", 40*time.Second), host("b", "transacting", 20*time.Second), host("a", "ok", 50*time.Second),
		{Kind: rollout.EventRollout, From: "running", To: "running", At: at.Add(time.Hour)}, // the engine had died
		host("b", "verifying", time.Hour), host("b", "ok", time.Hour),
		host("c", "connecting", 0), host("c", "test_failed", time.Minute),
	}
	if err := s.Append(ctx, "r1", epoch, rollout.Change{Events: events}); err != nil {
		t.Fatal(err)
	}
	got, err := s.History(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]Took{{Transaction: 30 * time.Second, Host: 50 * time.Second}}, got); d != "" {
		t.Error(d)
	}
}

// A process that ended and was not looked at by its parent is dead, whatever /proc still shows.
func TestZombieHoldsNoLease(t *testing.T) {
	cmd := exec.Command("/bin/sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	l := Lease{Owner: me(), RenewedAt: time.Now()}
	l.Owner.PID = cmd.Process.Pid
	if !l.Live(time.Now()) {
		t.Error("a process that runs holds no lease")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); l.Live(time.Now()) && time.Now().Before(end); time.Sleep(time.Millisecond) {
	}
	if _, err := os.Stat("/proc/" + strconv.Itoa(l.Owner.PID)); err != nil {
		t.Fatalf("it was looked at already: %v", err)
	}
	if l.Live(time.Now()) {
		t.Error("a zombie holds the lease")
	}
	_ = cmd.Wait()
}

func TestLeaseOfAnEarlierBootSettles(t *testing.T) {
	now := time.Now()
	l := Lease{Owner: me(), RenewedAt: now}
	if got := l.Settles(now); !got.IsZero() {
		t.Errorf("a process of this boot: %s", got)
	}
	l.Owner.BootID = "another"
	if got := l.Settles(now); got.Sub(now) <= rollout.LeaseTTL || l.Live(got) {
		t.Errorf("an earlier boot: settles at %s, live then %t", got, l.Live(got))
	}
	l.Owner.Host = "elsewhere"
	if got := l.Settles(now); !got.IsZero() || !l.Live(now) {
		t.Errorf("another machine: %s", got)
	}
}

// TestLeaseOfTheFuture: after a boot with a clock that lags, an engine of before is not taken for a living one until the clock is there.
func TestLeaseOfTheFuture(t *testing.T) {
	name, _ := os.Hostname()
	now := time.Now()
	for _, c := range []struct {
		what  string
		owner rollout.Owner
		ahead time.Duration
		live  bool
	}{
		{"an earlier boot, a little ahead", rollout.Owner{Host: name, BootID: "before", PID: os.Getpid()}, rollout.LeaseTTL / 2, true},
		{"an earlier boot, a year ahead", rollout.Owner{Host: name, BootID: "before", PID: os.Getpid()}, 365 * 24 * time.Hour, false},
		{"another machine, a year ahead", rollout.Owner{Host: "elsewhere", BootID: "other", PID: 1}, 365 * 24 * time.Hour, false},
		{"a process of this boot, a year ahead", rollout.Owner{Host: name, BootID: BootID(), PID: os.Getpid()}, 365 * 24 * time.Hour, true},
	} {
		l := Lease{Epoch: 1, Owner: c.owner, RenewedAt: now.Add(c.ahead)}
		if got := l.Live(now); got != c.live {
			t.Errorf("%s: live %t", c.what, got)
		}
		if !c.live && !l.Settles(now).IsZero() {
			t.Errorf("%s: settles at %s", c.what, l.Settles(now))
		}
	}
}
