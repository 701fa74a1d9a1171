package rollout

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cpacman/inventory"
)

// A rollout that was recorded and is run by another engine ends as one that was started.
func TestRecordedRunsAsStarted(t *testing.T) {
	var want map[string]State
	sim(t, "started", func(t *testing.T) {
		r := everyKind(t)
		r.mustStart(ExitFailed)
		want = r.j.states()
	})
	sim(t, "recorded", func(t *testing.T) {
		r := everyKind(t)
		if err := New(r.cfg).Record(context.Background(), r.req); err != nil {
			t.Fatal(err)
		}
		if r.j.held != nil || r.j.writes != 0 || r.j.ro.State != RolloutCreated {
			t.Errorf("recording left lease %v, %d writes, state %s", r.j.held, r.j.writes, r.j.ro.State)
		}
		var started *PlanStartedError
		if err := New(r.cfg).Record(context.Background(), r.req); !errors.As(err, &started) {
			t.Errorf("a plan starts once, however: %v", err)
		}
		r.mustResume(ExitFailed)
		if diff := cmp.Diff(want, r.j.states()); diff != "" {
			t.Errorf("(-started +recorded):\n%s", diff)
		}
	})
	sim(t, "expired", func(t *testing.T) {
		r := everyKind(t)
		r.plan.ExpiresAt = time.Now()
		var plan *PlanError
		if err := New(r.cfg).Record(context.Background(), r.req); !errors.As(err, &plan) || r.j.hosts != nil {
			t.Errorf("got %v", err)
		}
	})
}

// What an operator had paused stays paused when another engine takes over; hosts at work are asked all the same, and what was
// running goes on.
func TestAdoptedAsItWas(t *testing.T) {
	adopt := func(r *rig, wait bool) (Outcome, error) {
		return New(r.cfg).Resume(context.Background(), "r1", ResumeRequest{User: "boot", Adopt: true, Wait: wait})
	}
	sim(t, "paused", func(t *testing.T) {
		r := newRig(t)
		r.hosts("broad", 12, plain)
		r.build()
		r.j.script = func(j *memJournal, ev Event) {
			if ev.Kind == EventHost && ev.To == string(StateTransacting) && len(j.commands) == 0 {
				j.command(Command{Kind: CommandPause, Reason: "lunch"})
			}
			if ev.Kind == EventCommand {
				j.dead = true // the engine dies while hosts are at work
			}
		}
		if _, err := r.start(); !errors.Is(err, errDead) || r.j.ro.State != RolloutPaused {
			t.Fatalf("%v, %s", err, r.j.ro.State)
		}
		r.j.revive()
		r.j.script = nil
		out, err := adopt(r, false)
		r.want(out, err, ExitWaiting)
		if r.j.ro.State != RolloutPaused || r.j.ro.Stop.Text == "" {
			t.Errorf("rollout %+v", r.j.ro)
		}
		for h, s := range r.j.states() {
			if atWork(table.info[s]) {
				t.Errorf("%s is still %s", h, s)
			}
		}
		if s := r.j.states(); s["broad11"] != StatePending {
			t.Errorf("a paused rollout went on: %v", s)
		}
		r.mustResume(ExitDone)
	})
	sim(t, "waiting", func(t *testing.T) {
		r := newRig(t)
		r.host("canary", "c", plain)
		r.host("broad", "b", plain)
		r.s.Levels[1].Approve = 1
		r.build()
		r.mustStart(ExitWaiting)
		out, err := adopt(r, false)
		r.want(out, err, ExitWaiting)
		go func() {
			time.Sleep(time.Hour)
			r.j.mu.Lock()
			defer r.j.mu.Unlock()
			r.j.command(Command{Kind: CommandApprove, Digest: r.req.Schedule.Digest})
		}()
		out, err = adopt(r, true)
		r.want(out, err, ExitDone)
	})
}

// Every death of an engine, followed by an adoption instead of an operator's resume, comes to the same end.
func TestDeathAndAdoption(t *testing.T) {
	build := func(t *testing.T) *rig {
		r := newRig(t)
		r.host("canary", "c", plain)
		r.hosts("broad", 6, plain)
		r.host("broad", "red", red)
		r.host("broad", "erases", erases)
		r.s.Levels[1].MaxFailures, r.s.Rollout.MaxFailures = inventory.Count(3), inventory.Count(3)
		r.build()
		return r
	}
	var want map[string]State
	writes := 0
	sim(t, "undisturbed", func(t *testing.T) {
		r := build(t)
		r.mustStart(ExitFailed)
		want, writes = r.j.states(), r.j.writes
	})
	for n := 1; n <= writes; n++ {
		sim(t, "death", func(t *testing.T) {
			r := build(t)
			r.j.dieAt, r.j.dieAfter = n, n%2 == 0
			if _, err := r.start(); err == nil {
				return
			}
			r.j.revive()
			out, err := New(r.cfg).Resume(context.Background(), "r1", ResumeRequest{User: "boot", Adopt: true, Wait: true})
			r.want(out, err, ExitFailed)
			if diff := cmp.Diff(want, r.j.states()); diff != "" {
				t.Errorf("write %d: (-undisturbed +adopted):\n%s", n, diff)
			}
		})
	}
}

func TestExitOf(t *testing.T) {
	sim(t, "as the engine says", func(t *testing.T) {
		r := everyKind(t)
		out := r.mustStart(ExitFailed)
		snap, err := r.j.Load(context.Background(), "r1")
		if err != nil {
			t.Fatal(err)
		}
		if got := ExitOf(snap); got != out.Exit {
			t.Errorf("%s, the engine said %s", got, out.Exit)
		}
		snap.Rollout.State = RolloutRunning
		if got := ExitOf(snap); got != ExitInterrupted {
			t.Errorf("running and without an engine: %s", got)
		}
	})
}

func TestGates(t *testing.T) {
	r := newRig(t)
	r.host("canary", "c", plain)
	r.hosts("broad", 4, plain)
	r.s.Classes[0].Approve, r.s.Levels[1].Approve = 1, 1
	sched, err := Resolve(r.plan, r.s)
	if err != nil {
		t.Fatal(err)
	}
	snap := newSnapshot(StartRequest{RolloutID: "r", Plan: r.plan, Schedule: sched}, Owner{User: "ann"}, time.Now())
	words := func() (out []string) {
		for _, g := range Gates(BallotOf(snap, nil)) {
			out = append(out, g.String())
		}
		return out
	}
	if diff := cmp.Diff([]string{"class prod (0 of 1)", "level prod/broad (0 of 1)"}, words()); diff != "" {
		t.Error(diff)
	}
	snap.Approvals = []Approval{{Scope: "class prod", User: "kim", Digest: "another"}}
	if len(words()) != 2 {
		t.Errorf("an approval of another digest counts: %v", words())
	}
	snap.Approvals[0].Digest = sched.Digest
	if diff := cmp.Diff([]string{"level prod/broad (0 of 1)"}, words()); diff != "" {
		t.Error(diff)
	}
	snap.Waves[1].State = WaveRunning
	if len(words()) != 0 {
		t.Errorf("a wave that began waits for nothing: %v", words())
	}
}

func TestNotes(t *testing.T) {
	ro := Rollout{User: "ann"}
	notes := []Note{{Kind: NoteEngine, Detached: true}, {Kind: NoteText, Text: "x"}}
	if user, h := Responsible(ro, notes); user != "ann" || h != nil || !Detached(notes) {
		t.Errorf("%s, %v", user, h)
	}
	notes = append(notes, Note{Kind: NoteHandover, To: "kim"}, Note{Kind: NoteHandover, To: "lee", Text: "night"}, Note{Kind: NoteEngine})
	if user, h := Responsible(ro, notes); user != "lee" || h == nil || h.Text != "night" || Detached(notes) {
		t.Errorf("%s, %v", user, h)
	}
}
