package rollout

import (
	"strings"
	"testing"
)

// TestChangedWhileItWaited: what another rollout does to a host between our first look and our transaction leads to what it would have
// led to before that look, and to no failure.
func TestChangedWhileItWaited(t *testing.T) {
	for k, want := range map[kind]struct {
		state  State
		reason string // of the host
		starts int
	}{
		peerSame:     {StateOK, "", 1},
		peerInTest:   {StateOK, "", 1},
		peerMidTest:  {StateOK, "", 1},
		peerNothing:  {StateNoop, "what the plan wants is there", 0},
		peerChanged:  {StateHeld, "changed since the plan, by transaction peer of bob on ops2: bar 1 → 2", 0},
		peerLate:     {StateHeld, "nothing was changed here: by transaction peer; rollout retry reads it again", 1},
		peerRestless: {StateHeld, "does not come to rest", 0},
	} {
		sim(t, string(k), func(t *testing.T) {
			r := newRig(t)
			r.host("broad", "a", k)
			r.host("broad", "b", plain)
			r.s.Levels[1].Waves = amounts(t, "100%") // and no failure is allowed
			r.build()
			exit := ExitDone
			if want.state == StateHeld {
				exit = ExitFailed
			}
			out := r.mustStart(exit)
			r.is(map[string]State{"a": want.state, "b": StateOK})
			rec, host := r.j.record("a"), r.w.hosts["a"]
			if !strings.Contains(rec.Reason.Text, want.reason) || want.state == StateHeld && rec.Reason.Code != ReasonChanged {
				t.Errorf("reason %+v", rec.Reason)
			}
			if host.starts != want.starts || host.owner != "" {
				t.Errorf("%d starts, locked by %q", host.starts, host.owner)
			}
			if want.state == StateOK && !rec.has(FlagRechecked) {
				t.Errorf("flags %v", rec.Flags)
			}
			if out.Rollout.State != RolloutDone {
				t.Errorf("the rollout is %s", out.Rollout.State)
			}
		})
	}
}

// TestRetryAfterChange: a host that changed after its last look is read again by a retry, or follows an amendment.
func TestRetryAfterChange(t *testing.T) {
	sim(t, "the same set", func(t *testing.T) {
		r := newRig(t)
		r.host("broad", "a", peerLate)
		r.build()
		r.mustStart(ExitFailed)
		r.j.command(Command{Kind: CommandRetry})
		r.mustResume(ExitDone)
		r.is(map[string]State{"a": StateOK})
		if rec := r.j.record("a"); rec.Attempt != 2 || !rec.has(FlagRechecked) {
			t.Errorf("%+v", rec)
		}
	})
	sim(t, "amended", func(t *testing.T) {
		r := newRig(t)
		r.host("broad", "a", peerLate)
		r.build()
		r.mustStart(ExitFailed)
		p := r.amendPlan(false, "a")
		p.Hosts[0].InstalledDigest = "peer1"
		r.amend("ann", p)
		r.j.command(Command{Kind: CommandRetry})
		r.mustResume(ExitDone)
		if rec := r.j.record("a"); rec.State != StateOK || rec.has(FlagRechecked) {
			t.Errorf("%+v", rec)
		}
	})
}

// TestChangedWhileItWaitedAgain: at a later attempt only health is left where a peer has done the work, and an emergency keeps its lock
// from its second look on.
func TestChangedWhileItWaitedAgain(t *testing.T) {
	sim(t, "health is left", func(t *testing.T) {
		r := newRig(t)
		r.host("broad", "a", testFails)
		r.s.Levels[1].MaxFailures, r.s.Rollout.MaxFailures = amount(t, "100%"), amount(t, "100%")
		r.build()
		r.mustStart(ExitFailed)
		r.w.hosts["a"].kind = peerNothing
		r.j.command(Command{Kind: CommandRetry})
		r.mustResume(ExitDone)
		r.is(map[string]State{"a": StateOK})
	})
	sim(t, "an emergency", func(t *testing.T) {
		r := newRig(t)
		r.host("broad", "a", peerSame)
		r.host("broad", "b", peerChanged)
		r.hurry()
		r.build()
		r.req.Reason = r.s.Emergency.Reason
		r.mustStart(ExitFailed)
		if r.w.hosts["a"].owner != "" || r.w.hosts["b"].owner != "" {
			t.Error("a lock was not given back")
		}
	})
}
