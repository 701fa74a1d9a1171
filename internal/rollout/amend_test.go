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

	"cpacman/internal/rpm"
	"cpacman/inventory"
	"cpacman/planner"
)

// amendPlan is an amendment for hosts of a rig: set "s2", or an empty one.
func (r *rig) amendPlan(empty bool, hosts ...string) *planner.Plan {
	p := &planner.Plan{Format: planner.PlanFormat, ID: "amend-" + strings.Join(hosts, "-"), Type: r.plan.Type, ExpiresAt: r.plan.ExpiresAt,
		Sets: []planner.Set{{ID: "s2", Upgrade: []planner.Move{{From: rpm.NEVRA{Name: "bar"}, To: rpm.NEVRA{Name: "bar"}}}}}}
	status := planner.StatusPlanned
	if empty {
		p.Sets[0].Upgrade, status = nil, planner.StatusNothing
	}
	for _, name := range hosts {
		h := planner.PlanHost{Host: name, MachineID: "m-" + name, Class: "prod", Set: "s2", Status: status, InstalledDigest: "drifted"}
		for _, o := range r.plan.Hosts {
			if o.Host == name {
				h.Level = o.Level
			}
		}
		p.Hosts = append(p.Hosts, h)
	}
	return p
}

// amend amends hosts of the rollout in the journal.
func (r *rig) amend(user string, p *planner.Plan) {
	r.t.Helper()
	snap, err := r.j.Load(context.Background(), "r1")
	if err != nil {
		r.t.Fatal(err)
	}
	a, err := Amend(snap, AmendRequest{Plan: p, User: user, Person: user, Reason: "by hand"}, r.s, time.Now())
	if err != nil {
		r.t.Fatal(err)
	}
	r.j.amend(a)
}

func (r *rig) approve(scope string) {
	r.j.command(Command{Kind: CommandApprove, Scope: scope, Digest: r.j.ro.Digest, User: "bob"})
}

// changedRig has two hosts that changed, in a canary wave and in the last wave.
func changedRig(t *testing.T) *rig {
	r := newRig(t)
	r.host("canary", "a", plain)
	r.host("canary", "b", changed)
	r.host("broad", "c", plain)
	r.host("broad", "d", changed)
	r.host("broad", "e", plain)
	r.s.Levels[1].Waves = amounts(t, "1", "100%")
	return r
}

// TestAmendedHostGoesOn: without gates a retry carries the amendment out; a host with nothing left to do is a noop.
func TestAmendedHostGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := changedRig(t)
		r.build()
		r.mustStart(ExitFailed)
		r.is(map[string]State{"a": StateOK, "b": StateHeld, "c": StateOK, "d": StateHeld, "e": StateOK})
		reviewed := copySnapshot(Snapshot{Schedule: r.j.schedule}).Schedule
		r.amend("ann", r.amendPlan(false, "b"))
		if rec := r.j.hosts["b"]; rec.State != StateHeld || !rec.has(FlagAmended) || !strings.Contains(rec.Reason.Text, "rollout retry lets it begin") {
			t.Errorf("amended: %s %v %q", rec.State, rec.Flags, rec.Reason.Text)
		}
		r.amend("ann", r.amendPlan(true, "d"))
		back, err := r.j.schedule.Reviewed()
		if err != nil || cmp.Diff(reviewed, back) != "" {
			t.Errorf("%v; the schedule as reviewed (-want +got):\n%s", err, cmp.Diff(reviewed, back))
		}
		r.mustResume(ExitFailed) // held hosts are left alone until they are to be tried again
		r.is(map[string]State{"b": StateHeld, "d": StateHeld})
		r.j.command(Command{Kind: CommandRetry})
		r.mustResume(ExitDone)
		r.is(map[string]State{"b": StateOK, "d": StateNoop})
		if n := r.w.hosts["b"].starts; n != 1 {
			t.Errorf("b started %d transactions", n)
		}
	})
}

// TestAmendedHostChangesAgain: whatever it was amended to, a host that changed once more is held once more; one that has not begun can be
// amended ahead.
func TestAmendedHostChangesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := changedRig(t)
		r.s.Levels[1].Approve = 1
		r.build()
		r.mustStart(ExitWaiting)
		r.is(map[string]State{"b": StateHeld, "d": StatePending})
		p := r.amendPlan(true, "b")
		p.Hosts[0].InstalledDigest = "elsewhere"
		r.amend("ann", p)
		r.amend("ann", r.amendPlan(false, "d"))
		if rec := r.j.hosts["d"]; rec.State != StatePending || rec.Reason.Text != "" {
			t.Errorf("d: %s %q", rec.State, rec.Reason.Text)
		}
		r.j.command(Command{Kind: CommandRetry, Host: "b"})
		r.approve("level prod/broad")
		r.mustResume(ExitFailed)
		r.is(map[string]State{"b": StateHeld, "d": StateOK})
		if rec := r.j.hosts["b"]; rec.Reason.Code != ReasonChanged || rec.Attempt != 2 {
			t.Errorf("b: %+v", rec)
		}
	})
}

// TestAmendVoidsApprovals: each gate in front of a host that was amended, and of a wave that was not entered, is asked for anew.
func TestAmendVoidsApprovals(t *testing.T) {
	sim(t, "a wave that has passed", func(t *testing.T) {
		r := changedRig(t)
		r.s.Classes[0].Approve, r.s.Levels[1].Approve = 1, 1
		r.build()
		r.mustStart(ExitWaiting)
		r.approve("class prod")
		r.mustResume(ExitWaiting)
		r.approve("level prod/broad")
		r.mustResume(ExitFailed)
		r.is(map[string]State{"b": StateHeld, "d": StateHeld, "e": StateOK})

		r.amend("ann", r.amendPlan(false, "b"))
		snap, _ := r.j.Load(context.Background(), "r1")
		b := BallotOf(snap, nil)
		if got := fmt.Sprint(Gates(b)); b.Next() != "class prod" || got != "[class prod (0 of 1)]" {
			t.Errorf("next %q of %s", b.Next(), got) // the level of b has no gate
		}
		if v, _ := b.Votes("class prod"); len(v.Given) != 0 || len(v.Void) != 1 {
			t.Errorf("votes %+v", v)
		}
		r.j.command(Command{Kind: CommandRetry, Host: "b"})
		out := r.mustResume(ExitWaiting)
		if out.Rollout.WaitingFor != "class prod" {
			t.Errorf("waits for %q", out.Rollout.WaitingFor)
		}
		r.is(map[string]State{"b": StatePending})
		r.j.command(Command{Kind: CommandApprove, Scope: "class prod", Digest: snap.Schedule.Amended[0].Before, User: "bob"})
		r.mustResume(ExitWaiting) // for the digest of before
		r.approve("")
		r.mustResume(ExitFailed)
		r.is(map[string]State{"b": StateOK, "d": StateHeld})

		// The other one stands behind the gate of its level too. A second amendment voids what was said to the first.
		r.amend("ann", r.amendPlan(false, "d"))
		r.j.command(Command{Kind: CommandRetry, Host: "d"})
		r.approve("")
		if out := r.mustResume(ExitWaiting); out.Rollout.WaitingFor != "level prod/broad" {
			t.Errorf("waits for %q", out.Rollout.WaitingFor)
		}
		r.approve("level prod/broad")
		r.mustResume(ExitDone)
		r.is(map[string]State{"b": StateOK, "d": StateOK})
	})
	sim(t, "a wave in the middle of its level", func(t *testing.T) {
		r := newRig(t)
		r.host("broad", "a", plain)
		r.host("broad", "b", changed)
		r.host("broad", "c", plain)
		r.s.Levels[1].Waves, r.s.Levels[1].Approve = amounts(t, "2", "1"), 1
		r.build()
		r.mustStart(ExitWaiting)
		r.approve("")
		r.j.script = func(j *memJournal, ev Event) {
			if ev.Kind == EventWave && ev.To == string(WaveSoaking) {
				j.command(Command{Kind: CommandPause})
			}
		}
		r.mustResume(ExitWaiting)
		r.j.script = nil
		r.amend("ann", r.amendPlan(false, "b"))
		if out := r.mustResume(ExitWaiting); out.Rollout.WaitingFor != "level prod/broad" || r.j.waves[0].State != WavePassed {
			t.Errorf("a wave that was not entered begins on an approval of before: %+v", out.Rollout)
		}
		r.approve("")
		r.mustResume(ExitFailed)
		r.is(map[string]State{"a": StateOK, "b": StateHeld, "c": StateOK})
	})
}

// TestAmenderDoesNotCount: where the starter's yes does not count, neither does that of whoever amended.
func TestAmenderDoesNotCount(t *testing.T) {
	b := newBallot(newCrowd())
	b.Schedule.Levels[0].NotStarter = true
	b.Schedule.Amended = []Amended{{User: "bob", Person: "bob"}}
	_, err := b.Judge(context.Background(), asUser("bob"), noon)
	if err == nil || !strings.Contains(err.Error(), "bob amended the rollout") {
		t.Errorf("%v", err)
	}
	if _, err := b.Judge(context.Background(), asUser("dan"), noon); err != nil {
		t.Errorf("another: %v", err)
	}
	b.Schedule.Amended[0].Claimed = "dan"
	if _, err := b.Judge(context.Background(), asUser("dan"), noon); err == nil {
		t.Error("whom sudo names for the amender counts")
	}
}

// TestAmendExpired: what was amended in time does not begin late.
func TestAmendExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := changedRig(t)
		r.build()
		r.mustStart(ExitFailed)
		r.amend("ann", r.amendPlan(false, "b"))
		r.j.command(Command{Kind: CommandRetry, Host: "b"})
		time.Sleep(8 * 24 * time.Hour)
		if out := r.mustResume(ExitStopped); out.Rollout.Stop.Code != ReasonExpired {
			t.Errorf("stop %+v", out.Rollout.Stop)
		}
		if r.w.hosts["b"].starts != 0 {
			t.Error("b began after the plan had expired")
		}
	})
}

// TestAmendRefuses holds every reason why there is no amendment.
func TestAmendRefuses(t *testing.T) {
	type change struct {
		snap *Snapshot
		req  *AmendRequest
		s    *Settings
		now  *time.Time
		rec  func(string, func(*HostRecord))
	}
	for want, spoil := range map[string]func(change){
		"dry run":                func(c change) { c.snap.Rollout.DryRun = true },
		"aborted":                func(c change) { c.snap.Rollout.State = RolloutAborted },
		"restored":               func(c change) { c.snap.Rollout.Unreconciled = true },
		"expired at":             func(c change) { *c.now = c.snap.Rollout.ExpiresAt },
		"what a rollback plan":   func(c change) { c.snap.Rollout.PlanType = "rollback" },
		"damaged":                func(c change) { c.snap.Schedule.Quorum++ },
		"of type":                func(c change) { c.req.Plan.Type = planner.TypeDowngrade },
		"expire later":           func(c change) { c.req.Plan.ExpiresAt = c.req.Plan.ExpiresAt.Add(time.Second) },
		"files of the amendment": func(c change) { c.req.Plan.MissingFiles = []string{"x.rpm"} },
		"no host to amend":       func(c change) { c.req.Plan.Hosts = nil },
		"needs a --reason":       func(c change) { c.req.Reason = " " },
		"which no policy allows": func(c change) { c.req.Plan.Sets[0].Downgrade = []planner.Move{{}} },
		"no part of rollout":     func(c change) { c.req.Plan.Hosts[0].Host = "x" },
		"lists a host twice":     func(c change) { c.req.Plan.Hosts = append(c.req.Plan.Hosts, c.req.Plan.Hosts[0]) },
		"it is ok":               func(c change) { c.req.Plan.Hosts[0].Host = "a" },
		"it is held":             func(c change) { c.rec("b", func(h *HostRecord) { h.TxID, h.Reason.Code = "r1/b/1", ReasonLocked }) },
		"make a new plan for it": func(c change) { c.rec("b", func(h *HostRecord) { h.Reason.Code = ReasonRebuilt }) },
		"not asked since":        func(c change) { c.rec("b", func(h *HostRecord) { h.Unasked = 1 }) },
		"unreachable: gone": func(c change) {
			c.req.Plan.Hosts[0].Status, c.req.Plan.Hosts[0].Detail = planner.StatusUnreachable, "gone"
		},
		"has no set":              func(c change) { c.req.Plan.Hosts[0].Set = "s9" },
		"another machine answers": func(c change) { c.req.Plan.Hosts[0].MachineID = "m-x" },
		"the plan has it in":      func(c change) { c.req.Plan.Hosts[0].Level = "broad" },
		"--without-switch amends": func(c change) {
			c.snap.Schedule.Confirm, c.s.Rollout.ConfirmFor = time.Minute, []string{"bar"}
			c.snap.Schedule.Digest = c.snap.Schedule.digest()
		},
	} {
		sim(t, want, func(t *testing.T) {
			r := changedRig(t)
			r.build()
			r.mustStart(ExitFailed)
			snap, err := r.j.Load(context.Background(), "r1")
			if err != nil {
				t.Fatal(err)
			}
			req, now := AmendRequest{Plan: r.amendPlan(false, "b"), User: "ann", Reason: "by hand"}, time.Now()
			before := copySnapshot(snap)
			if _, err := Amend(snap, req, r.s, now); err != nil {
				t.Fatalf("before it is spoilt: %v", err)
			}
			if d := cmp.Diff(before, copySnapshot(snap)); d != "" {
				t.Errorf("Amend changed what it was given:\n%s", d)
			}
			spoil(change{&snap, &req, &r.s, &now, func(name string, f func(*HostRecord)) {
				for i := range snap.Hosts {
					if snap.Hosts[i].Host == name {
						f(&snap.Hosts[i])
					}
				}
			}})
			_, err = Amend(snap, req, r.s, now)
			var plan *PlanError
			if !errors.As(err, &plan) || !strings.Contains(err.Error(), want) {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestAmendKeepsTheRest: only what follows from the new set changes; the way back and the switch are decided for it.
func TestAmendKeepsTheRest(t *testing.T) {
	r := changedRig(t)
	r.s.Rollout.Rollback, r.s.Rollout.Confirm, r.s.Rollout.ConfirmFor = inventory.RollbackHost, time.Minute, []string{"sshd", "bar"}
	r.s.Hosts["b"] = HostSettings{Before: []string{"drain"}, After: []string{"undrain"}}
	r.s.Hooks = map[string]HookSettings{"drain": {When: inventory.BeforeHost}, "undrain": {When: inventory.AfterHost}}
	sched, err := Resolve(r.plan, r.s)
	if err != nil {
		t.Fatal(err)
	}
	snap := newSnapshot(StartRequest{RolloutID: "r1", Plan: r.plan, Schedule: sched}, Owner{User: "ann"}, time.Now())
	p := r.amendPlan(false, "b")
	r.s.Hosts["b"] = HostSettings{} // settings of hosts are those of the start
	req := AmendRequest{Plan: p, User: "ann", Reason: "by hand", WithoutSwitch: true}
	a, err := Amend(snap, req, r.s, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	was, now := sched.Host["b"], a.Schedule.Host["b"]
	if now.Plan != p.ID || now.Set != "s2" || now.InstalledDigest != "drifted" || now.Confirm || now.NoBack == "" || !a.Rollout.WithoutSwitch {
		t.Errorf("now %+v", now)
	}
	if fmt.Sprint(now.Before, now.After, now.Checks, now.Wave) != fmt.Sprint(was.Before, was.After, was.Checks, was.Wave) {
		t.Errorf("was %+v, now %+v", was, now)
	}
	if len(a.Schedule.Unarmed) != 1 || a.Schedule.Unarmed[0].Host != "b" || !a.Schedule.Valid() || a.Schedule.Digest == sched.Digest {
		t.Errorf("schedule %+v", a.Schedule.Unarmed)
	}
	// with a way back there is a switch, and the second amendment gives the first one's lack of it back
	p2 := r.amendPlan(false, "b")
	p2.ID, p2.Rollbacks = "amend-2", []planner.Set{goingBack("back")}
	p2.Hosts[0].Rollback = planner.RollbackInfo{Complete: true, Set: "back"}
	snap.Rollout, snap.Schedule = a.Rollout, a.Schedule
	req.Plan = p2
	two, err := Amend(snap, req, r.s, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if now = two.Schedule.Host["b"]; now.Back != "back" || !now.Confirm || len(two.Schedule.Unarmed) != 0 || !two.Schedule.Valid() {
		t.Errorf("second: %+v", now)
	}
	if got := fmt.Sprint(two.Schedule.Plans()); got != "[plan-1 amend-b amend-2]" {
		t.Errorf("plans %s", got)
	}
	forged := copySnapshot(Snapshot{Schedule: two.Schedule}).Schedule
	forged.Amended[0].Hosts[0].Was.Set = "s9"
	forged.Digest = forged.digest()
	if forged.Valid() {
		t.Error("a schedule whose amendment lies about what was before is valid")
	}
}

// TestResumeAfterAmendment: an engine that made ready for another digest does not begin.
func TestResumeAfterAmendment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := changedRig(t)
		r.build()
		r.mustStart(ExitFailed)
		before := r.j.ro.Digest
		r.amend("ann", r.amendPlan(false, "b"))
		_, err := New(r.cfg).Resume(context.Background(), "r1", ResumeRequest{User: "ann", Digest: before})
		if !errors.Is(err, ErrAmended) || r.j.held != nil {
			t.Errorf("%v, lease %v", err, r.j.held)
		}
		if _, err := New(r.cfg).Resume(context.Background(), "r1", ResumeRequest{User: "ann", Digest: r.j.ro.Digest}); err != nil {
			t.Error(err)
		}
	})
}
