package rollout

import (
	"strings"
	"testing"
	"time"

	"cpacman/internal/rpm"
	"cpacman/inventory"
	"cpacman/planner"
)

// TestWaveThatProvedNothing: a last wave whose hosts were all held did not pass in the words that people read.
func TestWaveThatProvedNothing(t *testing.T) {
	sim(t, "", func(t *testing.T) {
		r := newRig(t)
		r.s.Levels[1].Waves = amounts(t, "100%")
		r.hosts("broad", 2, noKey)
		r.build()
		r.mustStart(ExitFailed)
		w := r.j.waves[0]
		if got := WaveWord(w.State, w.Verdict); got != "unproven" || !strings.Contains(w.Verdict.Text, "no host of it was updated") {
			t.Errorf("wave is %q: %s", got, w.Verdict.Text)
		}
		for _, ev := range r.j.events {
			if ev.Kind == EventWave && ev.To == string(WavePassed) && WaveWord(WavePassed, ev.Reason) != "unproven" {
				t.Errorf("told as %+v", ev)
			}
		}
	})
	for _, s := range []WaveState{WavePending, WaveRunning, WaveSoaking, WavePassed, WaveFailed} {
		if got := WaveWord(s, Reason{}); got != string(s) {
			t.Errorf("%s: %s", s, got)
		}
	}
}

// TestWhyNoBack: a host without a way back always has a reason, whatever the policy, and the command that is refused says it.
func TestWhyNoBack(t *testing.T) {
	for _, mode := range []inventory.RollbackMode{inventory.RollbackNever, inventory.RollbackHost} {
		for _, missing := range []bool{false, true} {
			sim(t, string(mode), func(t *testing.T) {
				r := newRig(t)
				r.host("canary", "a", plain)
				r.s.Rollout.Rollback = mode
				if missing {
					r.plan.Hosts[0].Rollback = planner.RollbackInfo{Missing: []rpm.NEVRA{{Name: "foo"}}}
				}
				r.build()
				for _, h := range []string{"a", "stranger"} {
					if r.req.Schedule.Host[h].Back == "" && r.req.Schedule.WhyNoBack(h) == "" {
						t.Errorf("%s, missing %v: no reason for %s", mode, missing, h)
					}
				}
				r.mustStart(ExitDone)
				r.j.mu.Lock()
				r.j.command(Command{Kind: CommandBack, Host: "a", User: "ann"})
				r.j.mu.Unlock()
				if _, err := r.resume(); err != nil {
					t.Fatal(err)
				}
				last := ""
				for _, ev := range r.j.events {
					if ev.Refused {
						last = ev.Reason.Text
					}
				}
				if !strings.Contains(last, "no way back in this rollout (") || strings.Contains(last, "()") {
					t.Errorf("%s, missing %v: refused with %q", mode, missing, last)
				}
			})
		}
	}
}

// goingBack is a way back that changes something.
func goingBack(id string) planner.Set {
	return planner.Set{ID: id, Remove: []planner.Remove{{NEVRA: rpm.NEVRA{Name: "lib", EVR: rpm.EVR{Version: "1", Release: "1"}, Arch: "noarch"}}}}
}

// TestNothingComesBack: a host that packages only leave has no way back, and no switch is armed for one with nothing in it, which the host
// would refuse. That is said before the start.
func TestNothingComesBack(t *testing.T) {
	gone := []planner.Remove{{NEVRA: rpm.NEVRA{Name: "openssh-server", EVR: rpm.EVR{Version: "1", Release: "1"}, Arch: "noarch"}, Rule: "repair"}}
	for name, back := range map[string]planner.Set{"nothing": {ID: "b1"}, "something": goingBack("b1")} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.host("canary", "a", plain)
			r.s.Rollout.Rollback, r.s.Rollout.Confirm, r.s.Rollout.ConfirmFor = inventory.RollbackHost, time.Minute, []string{"openssh*"}
			r.plan.Sets[0].Remove = gone
			r.plan.Rollbacks = []planner.Set{back}
			r.plan.Hosts[0].Rollback = planner.RollbackInfo{Complete: true, Set: "b1"}
			sched, err := Resolve(r.plan, r.s)
			if err != nil {
				t.Fatal(err)
			}
			h := sched.Host["a"]
			if some := name == "something"; h.Confirm != some || (h.Back != "") != some || (h.NoBack == "") != some || (len(sched.Unarmed) == 0) != some {
				t.Errorf("%+v, unarmed %+v", h, sched.Unarmed)
			}
		})
	}
}
