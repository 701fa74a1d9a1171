package main

import (
	"context"
	"path/filepath"
	"sync"
	"testing"

	"cpacman/internal/lab"
)

// scenario is one thing that goes wrong, or must go right, on hosts of its own.
type scenario struct {
	name  string
	hosts int
	run   func(t *testing.T, l *lab.Lab, hosts []string)
}

// slowSeconds is how long the slow scriptlets of the lab take.
const slowSeconds = 5

// crew is how many scenarios run at once: they wait for hosts most of the time.
const crew = 6

// TestLabScenarios brings up one lab, deals its hosts out, and lets every scenario work on its own.
func TestLabScenarios(t *testing.T) {
	lab.Need(t)
	t.Parallel()
	list := []scenario{
		{"KillNine", 3, scenarioKillNine},
		{"CtrlC", 2, scenarioCtrlC},
		{"KillOften", 2, scenarioKillOften},
		{"LinkCut", 2, scenarioLinkCut},
		{"RPMLock", 1, scenarioRPMLock},
		{"PowerLost", 1, scenarioPowerLost},
		{"OtherTerminal", 4, scenarioOtherTerminal},
		{"Plans", 1, scenarioPlans},
		{"GoingBack", 2, scenarioGoingBack},
		{"MovedFile", 1, scenarioMovedFile},
		{"CutBySignal", 2, scenarioCutBySignal},
		{"Policies", 2, scenarioPolicies},
		{"Repositories", 1, scenarioRepositories},
		{"DryRun", 3, scenarioDryRun},
		{"HostKey", 3, scenarioHostKey},
		{"DeadHost", 2, scenarioDeadHost},
		{"FullDisk", 1, scenarioFullDisk},
		{"ChangedHost", 4, scenarioChangedHost},
		{"Scriptlets", 3, scenarioScriptlets},
		{"StagedBytes", 1, scenarioStagedBytes},
		{"Approval", 2, scenarioApproval},
		{"Restore", 3, scenarioRestore},
		{"ForgottenRollout", 2, scenarioForgottenRollout},
		{"Maintenance", 2, scenarioMaintenance},
		{"Trail", 2, scenarioTrail},
		{"TwoApprove", 2, scenarioTwoApprove},
		{"Keys", 2, scenarioKeys},
		{"DNF", 2, scenarioDNF},
		{"NobodyReads", 1, scenarioNobodyReads},
	}
	total := 0
	for _, s := range list {
		total += s.hosts
	}
	l := labUp(t, lab.Options{Hosts: total, Systemd: -1, SlowSeconds: slowSeconds})
	work := make(chan func())
	var wg sync.WaitGroup
	for range crew {
		wg.Go(func() {
			for f := range work {
				f()
			}
		})
	}
	next := 0
	for _, s := range list {
		var hosts []string
		for _, h := range l.Hosts()[next : next+s.hosts] {
			hosts = append(hosts, h.Name)
		}
		next += s.hosts
		work <- func() { t.Run(s.name, func(t *testing.T) { s.run(t, l, hosts) }) }
	}
	close(work)
	wg.Wait()
}

// labUp brings a lab up and takes it away at the end of the test.
func labUp(t *testing.T, o lab.Options) *lab.Lab {
	t.Helper()
	o.Dir = filepath.Join(t.TempDir(), "lab")
	l, err := lab.Up(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Down(context.Background()); err != nil {
			t.Errorf("take the lab down: %v", err)
		}
	})
	return l
}
