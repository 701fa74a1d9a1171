package main

import (
	"strings"
	"testing"
	"time"

	"cpacman/internal/rollout"
	"cpacman/internal/rpm"
	"cpacman/planner"
)

// What a stopped rollout offers is what it takes, and hosts that were left in the middle are mended by a plan, not by a retry.
func TestWordsOfAStoppedRollout(t *testing.T) {
	now := time.Now()
	at := func(states ...rollout.State) rollout.Snapshot {
		snap := rollout.Snapshot{Rollout: rollout.Rollout{ID: "r1", State: rollout.RolloutStopped, ExpiresAt: now.Add(time.Hour)}}
		for i, s := range states {
			snap.Hosts = append(snap.Hosts, rollout.HostRecord{Host: "h" + string(rune('1'+i)), State: s})
		}
		return snap
	}
	for name, c := range map[string]struct {
		snap rollout.Snapshot
		want string
		not  string
	}{
		"half done": {at(rollout.StateTxPartial), "look at it (h1): cpacman plan h1 --repair, or cpacman plan h1 --undo r1\nit stands until somebody decides: cpacman rollout retry r1 HOST, ", "skip"},
		"held":      {at(rollout.StateOK, rollout.StateHeld), "cpacman rollout retry|skip r1 HOST, cpacman rollout resume r1, or cpacman rollout abort r1", "--repair"},
		"pending":   {at(rollout.StateOK, rollout.StatePending), "cpacman rollout skip r1 HOST", "retry"},
		"all well":  {at(rollout.StateOK), "decides: cpacman rollout resume r1", "HOST"},
	} {
		var lines []string
		for _, s := range nextSteps(c.snap, standing{now: now}) {
			lines = append(lines, s.String())
		}
		if got := strings.Join(lines, "\n"); !strings.Contains(got, c.want) || strings.Contains(got, c.not) {
			t.Errorf("%s:\n%s\nwant %s, and no %s", name, got, c.want, c.not)
		}
	}
}

// That the packages are there is said of hosts where they are.
func TestRemarkOfAScriptlet(t *testing.T) {
	failed := []rollout.Flag{rollout.FlagScriptletErrors}
	hosts := []rollout.HostRecord{{Host: "a", State: rollout.StateTxPartial, Flags: failed}, {Host: "b", State: rollout.StateTxFailed, Flags: failed}}
	if got := remarks(hosts); len(got) != 0 {
		t.Errorf("%q", got)
	}
	hosts = append(hosts, rollout.HostRecord{Host: "c", State: rollout.StateOK, Flags: failed})
	if got := strings.Join(remarks(hosts), "\n"); got != "on 1 host a scriptlet failed, and the packages are there: first c" {
		t.Errorf("%q", got)
	}
}

func TestRollbackWords(t *testing.T) {
	for want, missing := range map[string][]rpm.NEVRA{"1 package is not at hand": {{Name: "a"}}, "2 packages are not at hand": {{Name: "a"}, {Name: "b"}}} {
		if got := rollbackWords(planner.RollbackInfo{Missing: missing}); !strings.Contains(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := rollbackWords(planner.RollbackInfo{Because: "a-1-1.noarch would stay"}); got != "not possible: a-1-1.noarch would stay" {
		t.Errorf("%q", got)
	}
}
