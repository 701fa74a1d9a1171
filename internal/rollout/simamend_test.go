package rollout

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cpacman/internal/rpm"
	"cpacman/planner"
)

// Amendments in simulations (PLAN-10): between two runs of the engine an operator gives hosts that changed, and some that have not begun,
// other sets. Approvals come late, or for what was approved before.

// TestAmendKilledAnywhere: an engine that dies at any write after an amendment, before or after it is on disk, is followed by one with which
// the rollout ends as without a death: the amended hosts with their new sets, once, and nothing before its approval.
func TestAmendKilledAnywhere(t *testing.T) {
	rigged := func(t *testing.T) *rig {
		r := changedRig(t)
		r.s.Classes[0].Approve, r.s.Levels[1].Approve = 1, 1
		r.build()
		r.mustStart(ExitWaiting)
		r.approve("class prod")
		r.mustResume(ExitWaiting)
		r.amend("cat", r.amendPlan(false, "b")) // one that was held, and one that was not looked at yet
		r.amend("cat", r.amendPlan(true, "d"))
		r.j.command(Command{Kind: CommandRetry, Host: "b"})
		r.j.revive()
		return r
	}
	goOn := func(r *rig) {
		r.mustResume(ExitWaiting)
		if n := r.w.hosts["b"].starts; n != 0 {
			r.t.Fatalf("b began %d times before its amendment was approved", n)
		}
		r.approve("class prod")
		r.approve("level prod/broad")
		r.mustResume(ExitDone)
	}
	var want map[string]State
	writes := 0
	sim(t, "undisturbed", func(t *testing.T) {
		r := rigged(t)
		goOn(r)
		want, writes = r.j.states(), r.j.writes
		r.is(map[string]State{"a": StateOK, "b": StateOK, "c": StateOK, "d": StateNoop, "e": StateOK})
	})
	if writes < 20 {
		t.Fatalf("only %d writes; the test would prove little", writes)
	}
	for at := 1; at <= writes; at++ {
		for _, after := range []bool{false, true} {
			sim(t, fmt.Sprint(at, after), func(t *testing.T) {
				r := rigged(t)
				r.j.dieAt, r.j.dieAfter = at, after
				for _, approve := range []bool{false, true} {
					if approve {
						r.approve("class prod")
						r.approve("level prod/broad")
					}
					if _, err := r.resume(); err == nil {
						continue
					} else if !errors.Is(err, errDead) {
						t.Fatal(err)
					}
					r.j.revive()
					if out, err := r.resume(); err != nil || !approve && out.Exit != ExitWaiting {
						t.Fatal(out.Exit, err)
					}
				}
				r.promises()
				if diff := cmp.Diff(want, r.j.states()); diff != "" {
					t.Errorf("ends differently (-undisturbed +resumed):\n%s", diff)
				}
				for name, h := range r.w.hosts {
					if len(h.tx) > 1 {
						t.Errorf("%s had %d transactions", name, len(h.tx))
					}
				}
			})
		}
	}
}

// approvals are what operators say at the beginning of a run: most often to what is to be run, at times to what it was before.
func (r *rig) approvals(rng *rand.Rand, run int) {
	j := r.j
	digest := r.req.Schedule.Digest
	if j.ro.Digest != "" {
		digest = j.ro.Digest
	}
	if n := len(j.schedule.Amended); n > 0 && run < 20 && rng.IntN(2) == 0 {
		digest = j.schedule.Amended[rng.IntN(n)].Before
	}
	for _, l := range r.req.Schedule.Levels {
		j.command(Command{Kind: CommandApprove, Digest: digest, Scope: l.Scope()})
		if l.ClassApprove > 0 {
			j.command(Command{Kind: CommandApprove, Digest: digest, Scope: l.ClassScope()})
		}
	}
}

// amendSome amends hosts of the rollout at times, as `rollout amend` does: no engine runs it then, and all of it is written at once. The
// engine that comes next dies soon, half of the time.
func (r *rig) amendSome(run int) {
	r.t.Helper()
	rng := r.rng
	if r.amending == 0 || run > 15 || rng.Float64() >= r.amending {
		return
	}
	snap, err := r.j.Load(context.Background(), "r1")
	if err != nil {
		return // it died before there was a rollout
	}
	p := r.newPlan(snap, rng)
	if len(p.Hosts) == 0 {
		return
	}
	before := snap.Rollout.Digest
	a, err := Amend(snap, AmendRequest{Plan: p, User: "cat", Person: "cat", Reason: "it changed", WithoutSwitch: true}, r.s, time.Now())
	var refused *PlanError
	switch {
	case errors.As(err, &refused) && MayAmend(snap, time.Now()) != nil:
		return
	case err != nil:
		r.t.Fatalf("amend %s: %v", p.ID, err)
	case a.Schedule.Digest == before || a.Rollout.Digest != a.Schedule.Digest || !a.Schedule.Valid():
		r.t.Errorf("the amendment %s has digest %s, before it was %s", p.ID, a.Schedule.Digest, before)
	}
	if _, err := a.Schedule.Reviewed(); err != nil {
		r.t.Error(err)
	}
	r.j.amend(a)
	if rng.IntN(2) == 0 { // whoever had made ready for what it was before does nothing
		writes := r.j.written
		if _, err := New(r.cfg).Resume(context.Background(), "r1", ResumeRequest{User: "ann", Digest: before}); !errors.Is(err, ErrAmended) || r.j.written != writes {
			r.t.Errorf("an engine for the digest of before the amendment: %v", err)
		}
	}
	for _, h := range p.Hosts {
		if rng.IntN(3) > 0 {
			r.j.command(Command{Kind: CommandRetry, Host: h.Host})
		}
	}
	if r.dieNext = 0; rng.IntN(2) == 0 {
		r.dieNext = 1 + rng.IntN(25)
	}
}

// newPlan plans again for most hosts that are held because they changed, and for some that have not begun.
func (r *rig) newPlan(s Snapshot, rng *rand.Rand) *planner.Plan {
	p := &planner.Plan{Format: planner.PlanFormat, ID: fmt.Sprintf("amend-%d", len(s.Schedule.Amended)+1), Type: r.plan.Type, ExpiresAt: s.Rollout.ExpiresAt,
		Sets:      []planner.Set{{ID: "s2", Upgrade: []planner.Move{{From: rpm.NEVRA{Name: "bar"}, To: rpm.NEVRA{Name: "bar"}}}}, {ID: "s3"}},
		Rollbacks: r.plan.Rollbacks}
	slices.SortFunc(s.Hosts, func(a, b HostRecord) int { return strings.Compare(a.Host, b.Host) })
	for _, rec := range s.Hosts {
		changed := rec.State == StateHeld && rec.Reason.Code == ReasonChanged
		if rec.Amendable() != "" || changed && rng.IntN(4) == 0 || !changed && rng.IntN(6) > 0 {
			continue
		}
		i := slices.IndexFunc(r.plan.Hosts, func(h planner.PlanHost) bool { return h.Host == rec.Host })
		h := r.plan.Hosts[i]
		h.Set, h.Status, h.InstalledDigest = "s2", planner.StatusPlanned, r.w.installed(rec.Host)
		if rng.IntN(4) == 0 {
			h.Set, h.Status = "s3", planner.StatusNothing
		}
		p.Hosts = append(p.Hosts, h)
	}
	return p
}

// installed is what Preflight would read of a host.
func (w *world) installed(host string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return (&fakeWorker{w: w, job: Job{Host: host}, h: w.hosts[host]}).reads()
}

// amend writes an amendment, in one piece.
func (j *memJournal) amend(a Amendment) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.held != nil {
		panic("amended while an engine runs")
	}
	j.ro, j.schedule = a.Rollout, a.Schedule
	for _, h := range a.Hosts {
		j.hosts[h.Host] = h
	}
	j.events = append(j.events, a.Event)
}
