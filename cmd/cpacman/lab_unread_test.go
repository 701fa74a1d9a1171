package main

import (
	"context"
	"os"
	"testing"

	"cpacman/internal/lab"
)

// Whoever reads what a rollout says goes away (`| head -1`, or the `| tee log` that the same Ctrl-C ended): the rollout goes on to
// its end, as it would without a terminal.
func scenarioNobodyReads(t *testing.T, l *lab.Lab, hosts []string) {
	d := newDesk(t, l, deskOptions{places: []place{{host: hosts[0]}}})
	for _, step := range []struct {
		pkg  string
		args []string
	}{
		{"lab-tools", nil},
		{"lab-multi", []string{"--output", "json"}},
	} {
		plan := d.plan(step.pkg, step.pkg)
		ctx, cancel := context.WithTimeout(context.Background(), testLimit)
		defer cancel()
		cmd := d.command(ctx, append([]string{"rollout", "start", plan}, step.args...)...)
		reads, writes, err := os.Pipe()
		d.must(err)
		cmd.Stdout, cmd.Stderr = writes, writes
		d.must(reads.Close())
		if err := cmd.Run(); err != nil {
			d.Errorf("rollout start %v, unread: %v, want exit status 0", step.args, err)
		}
		d.must(writes.Close())
		d.host(hosts[0], "ok")
	}
}
