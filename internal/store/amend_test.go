package store

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cpacman/internal/rollout"
	"cpacman/internal/trail"
)

// amendment is one of host b of a rollout.
func amendment(snap rollout.Snapshot) rollout.Amendment {
	a := rollout.Amendment{Rollout: snap.Rollout, Schedule: snap.Schedule, Hosts: snap.Hosts[1:]}
	a.Schedule.Host = map[string]rollout.HostPlan{"b": {Plan: "p2", Set: "s2"}}
	a.Schedule.Amended = []rollout.Amended{{PlanID: "p2", Difference: "diff", Before: "d", User: "ann", Person: "ann", Reason: "by hand", At: at,
		Hosts: []rollout.AmendedHost{{Host: "b", Was: rollout.HostPlan{Set: "s1"}}}}}
	a.Schedule.Digest, a.Rollout.Digest, a.Rollout.UpdatedAt = "d2", "d2", at.Add(time.Hour)
	a.Hosts[0].Flags = []rollout.Flag{rollout.FlagAmended}
	a.Event = rollout.Event{Rollout: a.Rollout.ID, At: at, Kind: rollout.EventRollout, Wave: -1, User: "ann"}
	return a
}

// An amendment is written whole, once, and only while no engine runs the rollout.
func TestAmend(t *testing.T) {
	s, ctx := open(t), context.Background()
	epoch := start(t, s, "r1", "p1")
	snap, err := s.Load(ctx, "r1")
	if err != nil {
		t.Fatal(err)
	}
	want := amendment(snap)
	var held *rollout.LeaseHeldError
	if err := s.Amend(ctx, snap.Rollout, epoch, want, []byte("{}")); !errors.As(err, &held) {
		t.Fatalf("while an engine runs: %v", err)
	}
	if err := s.Release(ctx, "r1", epoch); err != nil {
		t.Fatal(err)
	}
	if err := s.Amend(ctx, snap.Rollout, epoch-1, want, []byte("{}")); !errors.Is(err, rollout.ErrAmended) {
		t.Fatalf("from before an engine ran: %v", err)
	}
	if _, err := s.Plan(ctx, "p2"); !errors.Is(err, ErrNotFound) {
		t.Fatalf("what was refused has left its plan: %v", err)
	}
	if err := s.Amend(ctx, snap.Rollout, epoch, want, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if err := s.Amend(ctx, snap.Rollout, epoch, want, []byte("{}")); !errors.Is(err, rollout.ErrAmended) {
		t.Errorf("twice from the same: %v", err)
	}
	got, err := s.Load(ctx, "r1")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want.Schedule, got.Schedule); d != "" {
		t.Errorf("schedule (-want +got):\n%s", d)
	}
	if d := cmp.Diff(want.Rollout, got.Rollout); d != "" {
		t.Errorf("rollout (-want +got):\n%s", d)
	}
	if d := cmp.Diff(want.Hosts[0], got.Hosts[1]); d != "" {
		t.Errorf("host (-want +got):\n%s", d)
	}
	if body, err := s.Plan(ctx, "p2"); err != nil || string(body) != "{}" {
		t.Errorf("its plan: %q, %v", body, err)
	}
	if ev, err := s.Events(ctx, "r1", 0); err != nil || len(ev) != 1 || ev[0].User != "ann" {
		t.Errorf("events %+v, %v", ev, err)
	}
	var last trail.Line
	if err := s.Trail(ctx, TrailFilter{Rollout: "r1"}, func(l trail.Line) error { last = l; return nil }); err != nil {
		t.Fatal(err)
	}
	var body AmendedBody
	if err := json.Unmarshal(last.Body, &body); err != nil || last.Action != LineAmended || last.Actor != "ann" {
		t.Fatalf("line %+v, %v", last, err)
	}
	if body.Before != "d" || body.After != "d2" || body.Difference != "diff" || body.PlanID != "p2" || len(body.PlanSHA256) != 64 ||
		strings.Join(body.Hosts, " ") != "b" || body.Reason != "by hand" || len(body.Overrides) != 0 {
		t.Errorf("body %+v", body)
	}
	if err := s.Amend(ctx, rollout.Rollout{ID: "none"}, 0, rollout.Amendment{Rollout: rollout.Rollout{ID: "none"}, Schedule: want.Schedule}, nil); !errors.Is(err, rollout.ErrNotFound) {
		t.Errorf("of no rollout: %v", err)
	}
}
