package rollout

import (
	"testing"

	"cpacman/planner"
)

// TestLeftOut: a host that came into maintenance after the plan was made is no part of the rollout, and so of no wave and no quorum.
func TestLeftOut(t *testing.T) {
	r := newRig(t)
	r.hosts("canary", 4, plain)
	r.s.Rollout.Quorum = amount(t, "100%")
	r.s.Left = map[string]Excluded{"canary01": {Host: "canary01", Status: planner.StatusMaintenance, Detail: "in maintenance: disks"}, "other": {Host: "other"}}
	got, err := Resolve(r.plan, r.s)
	if err != nil {
		t.Fatal(err)
	}
	if got.Hosts != 3 || got.Quorum != 3 || len(got.Waves) != 3 || len(got.Excluded) != 1 || got.Excluded[0] != r.s.Left["canary01"] {
		t.Errorf("%d hosts, quorum %d, %d waves, left out %v", got.Hosts, got.Quorum, len(got.Waves), got.Excluded)
	}
	if _, in := got.Host["canary01"]; in {
		t.Error("it is in the schedule")
	}
}
