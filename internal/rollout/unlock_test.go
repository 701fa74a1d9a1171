package rollout

import (
	"fmt"
	"testing"

	"cpacman/inventory"
)

// TestLockOfHostThatWentAway: a host whose lock could not be given back, since it went away right before, is not left with it: the journal has
// it as held, and whoever resumes gives it back, before a host is tried again too.
func TestLockOfHostThatWentAway(t *testing.T) {
	for _, retry := range []bool{false, true} {
		sim(t, fmt.Sprint("retry ", retry), func(t *testing.T) {
			r := newRig(t)
			r.hosts("broad", 3, plain)
			r.kinds["broad00"] = red
			r.s.Levels[1].Waves = amounts(t, "100%")
			r.s.Levels[1].MaxFailures, r.s.Rollout.MaxFailures = inventory.Count(3), inventory.Count(3)
			r.build()
			h := r.w.hosts["broad00"]
			h.deaf = 1
			r.mustStart(ExitFailed)
			if !r.j.hosts["broad00"].Locked || h.owner == "" {
				t.Errorf("the journal says locked %v, the host has %q", r.j.hosts["broad00"].Locked, h.owner)
			}
			want, exit := StateHealthFailed, ExitFailed
			if retry {
				h.fixed = true
				r.j.command(Command{Kind: CommandRetry})
				want, exit = StateOK, ExitDone
			}
			r.mustResume(exit)
			r.is(map[string]State{"broad00": want})
			if r.j.hosts["broad00"].Locked || h.owner != "" {
				t.Errorf("at the end: the journal says locked %v, the host has %q", r.j.hosts["broad00"].Locked, h.owner)
			}
		})
	}
}
