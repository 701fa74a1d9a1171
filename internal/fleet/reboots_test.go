package fleet

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cpacman/internal/host"
	"cpacman/internal/rollout"
	"cpacman/inventory"
	"cpacman/planner"
)

func TestOwesReboot(t *testing.T) {
	booted := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	no, yes := &host.Reboot{}, &host.Reboot{Needed: true, Reasons: []string{"kernel 1 runs\x1b[2J"}}
	left := func(after time.Duration) []rollout.HostRecord {
		return []rollout.HostRecord{{Host: "h1", TxID: "r1/h1/1", TxAt: booted.Add(after)}}
	}
	for name, c := range map[string]struct {
		facts  host.Facts
		left   []rollout.HostRecord
		force  string
		status planner.HostStatus
		want   *planner.OwedReboot
		detail string
	}{
		"nothing":         {host.Facts{BootID: "b", BootTime: booted.Unix(), Reboot: no}, nil, "", planner.StatusNothing, nil, "owes no reboot"},
		"by its own word": {host.Facts{BootID: "b", BootTime: booted.Unix(), Reboot: yes}, nil, "", planner.StatusPlanned, &planner.OwedReboot{Boot: "b", Host: []string{"kernel 1 runs [2J"}}, "kernel 1"},
		"left due": {host.Facts{BootID: "b", BootTime: booted.Unix(), Reboot: no}, left(time.Minute), "", planner.StatusPlanned,
			&planner.OwedReboot{Boot: "b", Recorded: []string{"rollout r1 left it due at 2026-11-20 12:01Z"}}, "r1"},
		"booted since":    {host.Facts{BootID: "b", BootTime: booted.Unix(), Reboot: no}, left(-time.Minute), "", planner.StatusNothing, nil, "owes no reboot"},
		"asked for":       {host.Facts{BootID: "b", Reboot: no}, nil, "firmware", planner.StatusPlanned, &planner.OwedReboot{Boot: "b", Recorded: []string{"asked for: firmware"}}, "firmware"},
		"without boot id": {host.Facts{BootTime: 100, Reboot: yes}, nil, "x", planner.StatusPlanned, &planner.OwedReboot{Boot: "time-100", Host: []string{"kernel 1 runs [2J"}, Recorded: []string{"asked for: x"}}, "and 1 more"},
		"imported":        {host.Facts{}, nil, "", planner.StatusUnreadable, nil, "do not tell"},
		"no proof":        {host.Facts{Reboot: yes}, nil, "", planner.StatusUnreadable, nil, "which boot"},
	} {
		cand := &candidate{host: &inventory.Host{Name: "h1"}, facts: &c.facts, entry: &planner.PlanHost{Host: "h1", Status: planner.StatusPlanned}}
		owesReboot(cand, c.left, c.force)
		if d := cmp.Diff(c.want, cand.entry.Reboot); d != "" || cand.entry.Status != c.status || !strings.Contains(cand.entry.Detail, c.detail) {
			t.Errorf("%s: %s %q %s", name, cand.entry.Status, cand.entry.Detail, d)
		}
	}
	away := &candidate{entry: &planner.PlanHost{Host: "h1", Status: planner.StatusUnreachable, Detail: "no route"}}
	if owesReboot(away, nil, "x"); away.entry.Status != planner.StatusUnreachable || away.entry.Reboot != nil {
		t.Errorf("unreachable: %+v", away.entry)
	}
}

// What came of the restart of services is judged by what still runs old files.
func TestJudgeRestart(t *testing.T) {
	w := &worker{job: rollout.Job{NoRestart: []string{"docker"}}}
	stale := func(units ...string) host.StaleProcesses {
		s := host.StaleProcesses{Systemd: true}
		for i, u := range units {
			s.Processes = append(s.Processes, host.Stale{PID: i + 1, Unit: u, Command: "x"})
		}
		return s
	}
	if got := w.toRestart(stale("web.service", "docker.service", "dbus.service", "web.service", "session-1.scope", "", "app.service")); !cmp.Equal(got, []string{"app.service", "web.service"}) {
		t.Errorf("to be restarted: %q", got)
	}
	done := host.RestartStatus{Phase: host.RestartDone, Units: []host.RestartedUnit{{Unit: "web.service", OK: true, Active: "active"},
		{Unit: "bad.service", Active: "failed"}, {Unit: "odd.service", Active: "active"}}}
	got := w.judgeRestart(done, stale("web.service", "docker.service", "docker.service", "init.scope", "session-1.scope", "new.service", ""))
	want := rollout.Restarted{Done: []string{"web.service"}, Failed: []string{"bad.service (failed)"}, Reboot: []string{"systemd"},
		Kept: []string{"docker.service", "new.service", "odd.service"}, Due: true, Detail: "1 process runs files that are gone outside of any service"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if got := w.judgeRestart(host.RestartStatus{Phase: host.RestartRunning}, stale()); !got.Due || !strings.Contains(got.Detail, "has not ended after 10m") {
		t.Errorf("hanging: %+v", got)
	}
	if got := w.withoutSystemd(stale("", "")); !got.Due || !strings.Contains(got.Detail, "no systemd") {
		t.Errorf("without systemd: %+v", got)
	}
	if got := w.withoutSystemd(stale()); got.Due || got.Detail != "" {
		t.Errorf("without systemd, nothing old: %+v", got)
	}
}
