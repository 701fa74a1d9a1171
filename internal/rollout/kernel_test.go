package rollout

import (
	"context"
	"strings"
	"testing"
	"time"

	"cpacman/internal/rpm"
	"cpacman/inventory"
	"cpacman/planner"
)

// brings makes the plan one that installs a new kernel beside the running one, in a rollout that boots hosts.
func (r *rig) brings(kernel string) {
	r.armed(2 * time.Minute)
	r.s.Rollout.Reboot, r.s.Rollout.ConfirmFor = inventory.RebootNeeded, []string{"kernel", "kernel-core"}
	r.plan.Sets[0].Upgrade = nil
	r.plan.Sets[0].Install = []planner.Install{{NEVRA: rpm.NEVRA{Name: kernel}, InstallOnly: true}}
}

// TestBootOnce: a new kernel is the default when it is confirmed; a host that came up with the one it had fails, goes back, and says why;
// one that cannot boot a kernel once is not touched, unless that is allowed.
func TestBootOnce(t *testing.T) {
	for k, want := range map[kind]struct {
		state State
		boots int
		says  string
	}{
		newKernel: {StateOK, 1, ""}, deadKernel: {StateRolledBack, 1, "its new kernel 2 did not come up"}, noBootOnce: {StateHeld, 0, "no boot loader"},
	} {
		sim(t, string(k), func(t *testing.T) {
			r := newRig(t)
			r.host("canary", "a", k)
			r.brings("kernel-core")
			r.build()
			_, _ = r.start()
			r.promises()
			r.is(map[string]State{"a": want.state})
			if rec, h := r.j.record("a"), r.w.hosts["a"]; h.boots != want.boots || !strings.Contains(rec.Reason.Text, want.says) {
				t.Errorf("%d boots, %+v", h.boots, rec.Reason)
			}
		})
	}
	sim(t, "allowed without", func(t *testing.T) {
		r := newRig(t)
		r.host("canary", "a", noBootOnce)
		r.brings("kernel")
		r.build()
		r.req.WithoutSwitch, r.req.Reason = true, "console is at hand"
		r.mustStart(ExitDone)
		r.is(map[string]State{"a": StateOK})
	})
}

// TestBootOnceKilled: the engine dies while the host boots its new kernel, and while it is confirmed.
func TestBootOnceKilled(t *testing.T) {
	for _, at := range []State{StateRebooting, StateConfirming} {
		for k, want := range map[kind]State{newKernel: StateOK, deadKernel: StateRolledBack} {
			sim(t, string(at)+" "+string(k), func(t *testing.T) {
				r := newRig(t)
				r.host("canary", "a", k)
				r.brings("kernel")
				r.build()
				r.j.script = func(j *memJournal, ev Event) {
					if ev.To == string(at) {
						j.dieAt, j.dieAfter = j.writes, true
					}
				}
				if _, err := r.start(); err == nil {
					t.Fatal("the engine lives")
				}
				r.j.script = nil
				r.j.revive()
				if _, err := New(r.cfg).Resume(context.Background(), "r1", ResumeRequest{User: "ann"}); err != nil {
					t.Fatal(err)
				}
				r.promises()
				r.is(map[string]State{"a": want})
				if n := r.w.hosts["a"].boots; n != 1 {
					t.Errorf("%d boots", n)
				}
			})
		}
	}
}

// TestKernelArms: a new kernel gives a host a switch only where the rollout boots it, and then it is booted once.
func TestKernelArms(t *testing.T) {
	for name, c := range map[string]struct {
		edit          func(*rig)
		confirm, once bool
	}{
		"boots":        {func(*rig) {}, true, true},
		"never boots":  {func(r *rig) { r.s.Rollout.Reboot = inventory.RebootNever }, false, false},
		"not named":    {func(r *rig) { r.s.Rollout.ConfirmFor = []string{"sshd"} }, false, false},
		"no switch":    {func(r *rig) { r.s.Rollout.Confirm = 0 }, false, false},
		"with another": {func(r *rig) { r.s.Rollout.ConfirmFor = []string{"sshd"}; r.plan.Sets[0].Upgrade = sshd() }, true, false},
		"both":         {func(r *rig) { r.s.Rollout.ConfirmFor = []string{"sshd", "kernel"}; r.plan.Sets[0].Upgrade = sshd() }, true, true},
		"old build leaves": {func(r *rig) {
			r.plan.Sets[0].Install = nil
			r.plan.Sets[0].Remove = []planner.Remove{{NEVRA: rpm.NEVRA{Name: "kernel"}, Rule: planner.RuleKeepN}}
		}, false, false},
		"undone": {func(r *rig) {
			r.plan.Sets[0].Install = nil
			r.plan.Sets[0].Remove = []planner.Remove{{NEVRA: rpm.NEVRA{Name: "kernel-core"}, Rule: "target"}}
		}, false, false},
	} {
		sim(t, name, func(t *testing.T) {
			r := newRig(t)
			r.host("canary", "a", plain)
			r.brings("kernel")
			c.edit(r)
			r.build()
			if hp := r.req.Schedule.Host["a"]; hp.Confirm != c.confirm || hp.BootOnce != c.once {
				t.Errorf("confirm %v, once %v: %+v", hp.Confirm, hp.BootOnce, hp)
			}
		})
	}
}

func sshd() []planner.Move {
	return []planner.Move{{From: rpm.NEVRA{Name: "sshd"}, To: rpm.NEVRA{Name: "sshd"}}}
}
