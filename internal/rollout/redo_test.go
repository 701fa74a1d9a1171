package rollout

import (
	"strings"
	"testing"
	"time"
)

// TestMayRedo: what is refused at once is what the engine would refuse, in each state of a host and of the rollout.
func TestMayRedo(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for _, kind := range []CommandKind{CommandRetry, CommandSkip} {
		on := map[CommandKind]Trigger{CommandRetry: OnRetry, CommandSkip: OnSkip}[kind]
		for _, i := range States() {
			for _, state := range []RolloutState{RolloutRunning, RolloutDone, RolloutStopped, RolloutAborted} {
				s := Snapshot{Rollout: Rollout{ID: "r1", State: state, ExpiresAt: now.Add(time.Hour)}, Hosts: []HostRecord{{Host: "a", State: i.State, Attempt: 1}}}
				_, possible := Next(i.State, on)
				possible = (possible || kind == CommandRetry && i.State == StateLost) && state != RolloutAborted
				why, _ := MayRedo(s, Command{Kind: kind, Host: "a"}, now)
				if (why == "") != possible {
					t.Errorf("%s of a host that is %s in a rollout that is %s: %q", kind, i.State, state, why)
				}
				r := &run{hosts: map[string]*HostRecord{"a": &s.Hosts[0]}, atWork: map[string]bool{}, m: newMachine(), cfg: &Config{Clock: SystemClock{}}, ro: s.Rollout,
					sched: &Schedule{Host: map[string]HostPlan{"a": {}}}}
				if ok, text := r.redo(Command{Kind: kind, Host: "a"}, Reason{}, &Change{Rollout: &s.Rollout}); ok != possible {
					t.Errorf("the engine on %s of a host that is %s in a rollout that is %s: %v %s", kind, i.State, state, ok, text)
				}
				s.Rollout.Unreconciled = true
				if why, _ := MayRedo(s, Command{Kind: kind, Host: "a"}, now); why != "" {
					t.Errorf("after a restore, when states are old: %s", why)
				}
			}
		}
	}
	held := Snapshot{Rollout: Rollout{ID: "r1", PlanID: "p", State: RolloutDone, ExpiresAt: now}, Hosts: []HostRecord{{Host: "a", State: StateHeld}, {Host: "b", State: StateLost}}}
	for want, cmd := range map[string]Command{
		"plan p expired at 2026-11-21 12:00Z": {Kind: CommandRetry, Host: "a"},
		"plan p expired":                      {Kind: CommandRetry},
		"":                                    {Kind: CommandRetry, Host: "b"}, // it is asked, and nothing begins
		`host "c" is not part`:                {Kind: CommandSkip, Host: "c"},
	} {
		if why, _ := MayRedo(held, cmd, now); !strings.Contains(why, want) || want == "" && why != "" {
			t.Errorf("%+v: %q, want %q", cmd, why, want)
		}
	}
	if why, _ := MayRedo(held, Command{Kind: CommandSkip, Host: "a"}, now); why != "" {
		t.Errorf("a skip needs no plan: %s", why)
	}
	done := Snapshot{Rollout: Rollout{ID: "r1", State: RolloutDone, ExpiresAt: now.Add(time.Hour)}, Hosts: []HostRecord{{Host: "a", State: StateOK}, {Host: "b", State: StateSkipped}}}
	if why, do := MayRedo(done, Command{Kind: CommandRetry}, now); !strings.Contains(why, "no host of rollout r1 has failed") || !strings.Contains(do, "cpacman plan") {
		t.Errorf("%q, %q", why, do)
	}
}
