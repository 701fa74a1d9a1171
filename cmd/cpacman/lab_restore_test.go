package main

import (
	"strings"
	"syscall"
	"testing"

	"cpacman/internal/lab"
)

// The control host is lost and its state comes back from a backup that is older than what the hosts have done since (OPS-1): one host is
// done, one is in the middle of its transaction, one fell silent. The hosts are asked, and none has a second transaction.
func scenarioRestore(t *testing.T, l *lab.Lab, hosts []string) {
	d := newDesk(t, l, deskOptions{places: []place{{host: hosts[0]}, {host: hosts[1], level: "broad"}, {host: hosts[2], level: "broad"}},
		rollout: "max_unreachable = \"2\""})
	keep := d.file("keep.db")
	plan := d.plan("restored", "lab-slow")
	p := d.start("rollout", "start", plan)
	d.slow(hosts[0], "post")
	// The backup is made while the first host is at work; the engine goes on.
	d.says(d.run(0, "state", "backup", keep), "is open (running)")
	d.says(d.run(1, "state", "restore", keep, "--yes"), "is run by root", "end that engine first")
	d.slow(hosts[1], "post")
	p.signal(syscall.SIGKILL)
	p.wait(-1)
	d.host(hosts[0], "ok")
	d.until("the transaction on "+hosts[1]+" to end by itself", func() bool {
		return strings.Contains(d.on(hosts[1], "cat /var/lib/cpacman/ledger/*/state"), "phase done")
	})

	out := d.run(0, "state", "restore", keep, "--yes")
	d.says(out, "kept as", "asks its hosts what they know")
	d.says(d.run(0, "rollout", "list"), "unreconciled (was running)")
	d.says(d.run(0, "rollout", "status"), "not asked since the journal was restored", "there it was pending")

	out = d.run(0, "rollout", "resume")
	d.says(out, "the host knows transaction", "reconciled: every host was asked", "done (3 ok)")
	for _, h := range hosts {
		d.ranOnce(h, "post")
		d.installed(h, "lab-slow", "2.0")
		d.unlocked(h)
		if rec := d.host(h, "ok"); rec.Attempt != 1 {
			d.Errorf("host %s needed %d attempts", h, rec.Attempt)
		}
	}
	d.says(d.run(0, "rollout", "list"), " done ")

	// The backup once more: now every host is done, and the plan can only be resumed, not started again.
	d.run(0, "state", "restore", keep, "--yes")
	d.says(d.run(4, "rollout", "start", plan), "was started as")
	d.says(d.run(0, "rollout", "resume"), "done (3 ok)")
	for _, h := range hosts {
		d.ranOnce(h, "post")
	}
}

// A state that is older than the rollout itself, or lost altogether: the plan starts again as another rollout. Hosts that have what it
// wants are left alone; their sets are compared under the lock, so nothing is repeated.
func scenarioForgottenRollout(t *testing.T, l *lab.Lab, hosts []string) {
	d := newDesk(t, l, deskOptions{places: []place{{host: hosts[0]}, {host: hosts[1]}}})
	keep := d.file("keep.db")
	plan := d.plan("forgotten", "lab-slow")
	d.run(0, "state", "backup", keep)
	d.run(0, "rollout", "start", plan)
	d.run(0, "state", "restore", keep, "--yes")
	d.says(d.run(0, "rollout", "start", plan), "done (2 noop)")
	for _, h := range hosts {
		d.ranOnce(h, "post")
		d.installed(h, "lab-slow", "2.0")
		d.unlocked(h)
	}
}

// Maintenance, seen from a rollout: a host that came into it after the plan was made is left out, and counts against its cluster.
func scenarioMaintenance(t *testing.T, l *lab.Lab, hosts []string) {
	d := newDesk(t, l, deskOptions{places: []place{{host: hosts[0]}, {host: hosts[1]}}, lockWait: "1s"})
	plan := d.plan("maintained", "lab-tools")
	inventory := deskInventory(t, l, deskOptions{places: []place{{host: hosts[0]}, {host: hosts[1]}}})
	d.write("inventory/hosts.toml", strings.Replace(inventory, "[host."+hosts[1]+"]\n", "[host."+hosts[1]+"]\nstate = \"maintenance\"\nreason = \"disks\"\n", 1))
	d.must(l.Cut(d.ctx(), hosts[1]))
	d.says(d.run(0, "facts"), hosts[1], "in maintenance: disks")
	d.must(l.Restore(d.ctx(), hosts[1]))
	d.says(d.run(0, "rollout", "start", plan), "not part of it: "+hosts[1]+": maintenance: in maintenance: disks", "done (1 ok)")
	d.installed(hosts[0], "lab-tools", "1.2")
	d.installed(hosts[1], "lab-tools", "1.0")

	front := "[cluster.front]\n" + strings.ReplaceAll(inventory, "level = ", "clusters = [\"front\"]\nlevel = ")
	d.write("inventory/hosts.toml", strings.Replace(front, "[host."+hosts[1]+"]\n", "[host."+hosts[1]+"]\nstate = \"maintenance\"\nreason = \"disks\"\n", 1))
	d.run(1, "rollout", "start", d.plan("floor", "lab-slow"))
	d.reason(d.host(hosts[0], "held"), "in maintenance: disks")
}
