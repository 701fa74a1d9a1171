package main

import (
	"context"
	"os"
	"slices"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"cpacman/internal/people"
	"cpacman/internal/rollout"
	"cpacman/internal/store"
	"cpacman/inventory"
	"cpacman/planner"
)

// cmdHeld records a rollout of a plan file that is done but for hosts that are held because they changed, as an engine that has ended
// leaves it: held SITE PLAN ID HOST… The gate of every class was approved by the user of this process.
func cmdHeld(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 {
		ts.Fatalf("usage: held SITE PLAN ID HOST…")
	}
	site, err := inventory.Load(ts.MkAbs(args[0]))
	ts.Check(err)
	settings, err := rollout.FromSite(site)
	ts.Check(err)
	body, err := os.ReadFile(ts.MkAbs(args[1]))
	ts.Check(err)
	plan, err := readPlan(ts.MkAbs(args[1]))
	ts.Check(err)
	sched, err := rollout.Resolve(plan, settings)
	ts.Check(err)
	me, now := people.ProcessUser(), time.Now().UTC()
	snap := rollout.Snapshot{Schedule: sched, Rollout: rollout.Rollout{
		ID: args[2], PlanID: plan.ID, PlanType: string(planner.TypeUpdate), Digest: sched.Digest, State: rollout.RolloutDone, User: me,
		Person: people.New(site, nil).Person(me), CreatedAt: now, UpdatedAt: now, EndedAt: now, ExpiresAt: plan.ExpiresAt, QuorumMet: true,
	}}
	for _, l := range sched.Levels {
		if l.ClassApprove > 0 {
			snap.Approvals = append(snap.Approvals, rollout.Approval{Scope: l.ClassScope(), User: me, Digest: sched.Digest, At: now})
		}
	}
	for i, w := range sched.Waves {
		snap.Waves = append(snap.Waves, rollout.WaveRecord{Index: i, State: rollout.WavePassed, PassedAt: now})
		for _, h := range w.Hosts {
			rec := rollout.HostRecord{Host: h, State: rollout.StateOK, Wave: i, Attempt: 1, Updated: now}
			if slices.Contains(args[3:], h) {
				rec.State, rec.Reason = rollout.StateHeld, rollout.Reason{Code: rollout.ReasonChanged, Text: "changed since the plan"}
			}
			snap.Hosts = append(snap.Hosts, rec)
		}
	}
	st, err := store.Open(context.Background(), site.StateDir)
	ts.Check(err)
	defer st.Close()
	ts.Check(st.PutPlan(context.Background(), plan.ID, now, body))
	ts.Check(st.Create(context.Background(), snap, true))
}
