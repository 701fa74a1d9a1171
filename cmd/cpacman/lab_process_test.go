package main

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"cpacman/internal/lab"
)

// cpacman is killed while two hosts are in their transaction: they go on, nobody else may touch them, and resume neither
// repeats anything nor misses anything.
func scenarioKillNine(t *testing.T, l *lab.Lab, hosts []string) {
	d := newDesk(t, l, deskOptions{places: []place{{host: hosts[0]}, {host: hosts[1]}, {host: hosts[2], level: "broad"}}})
	plan := d.plan("slow", "lab-slow")
	p := d.start("rollout", "start", plan)
	d.slow(hosts[0], "post")
	d.slow(hosts[1], "post")

	// while it runs: a second resume is told who has it, and the plan does not start twice
	out := d.run(0, "rollout", "resume")
	d.says(out, "told the engine of", "cpacman rollout watch")
	d.says(d.run(4, "rollout", "start", plan), "was started as", "--again")

	p.signal(syscall.SIGKILL)
	p.wait(-1)
	d.says(d.run(0, "rollout", "status"), "engine: none", "next: cpacman rollout resume")

	// another control host: the lock on the host outlives the process that took it, and the transaction too
	d.until("the transaction to end by itself", func() bool {
		return strings.Contains(d.on(hosts[0], "cat /var/lib/cpacman/ledger/*/state"), "phase done")
	})
	other := newDesk(t, l, deskOptions{places: []place{{host: hosts[0]}}, lockWait: "1s"})
	other.run(1, "rollout", "start", other.plan("other", "lab-tools"))
	other.reason(other.host(hosts[0], "held"), d.newest())
	other.installed(hosts[0], "lab-tools", "1.0")

	out = d.run(0, "rollout", "resume")
	d.says(out, "done (3 ok)")
	for _, h := range hosts {
		d.ranOnce(h, "post")
		d.installed(h, "lab-slow", "2.0")
		d.unlocked(h)
		if rec := d.host(h, "ok"); rec.Attempt != 1 {
			d.Errorf("host %s needed %d attempts", h, rec.Attempt)
		}
	}
	// and once everything is given back, the other one gets its turn
	other.run(0, "rollout", "retry")
	other.run(0, "rollout", "resume")
	other.installed(hosts[0], "lab-tools", "1.2")
}

// cpacman is killed again and again, wherever it happens to be: what a rollout does is done once, and it comes to its end.
func scenarioKillOften(t *testing.T, l *lab.Lab, hosts []string) {
	d := newDesk(t, l, deskOptions{places: []place{{host: hosts[0]}, {host: hosts[1], level: "broad"}}})
	p := d.start("rollout", "start", d.plan("often", "lab-slow"))
	p.until("rollout: running")
	const kills = 12
	for n, life := 0, 200*time.Millisecond; ; n, life = n+1, life+life/3 {
		if n == kills {
			life = testLimit
		}
		select {
		case <-p.done:
			p.wait(0)
			for _, h := range hosts {
				if rec := d.host(h, "ok"); rec.Attempt != 1 {
					d.Errorf("host %s needed %d attempts", h, rec.Attempt)
				}
				d.ranOnce(h, "post")
				d.installed(h, "lab-slow", "2.0")
				d.unlocked(h)
			}
			return
		case <-time.After(life):
			p.signal(syscall.SIGKILL)
			<-p.done
			p = d.start("rollout", "resume", d.newest())
		}
	}
}

// The first Ctrl-C drains, the second detaches; resume completes both.
func scenarioCtrlC(t *testing.T, l *lab.Lab, hosts []string) {
	d := newDesk(t, l, deskOptions{places: []place{{host: hosts[0]}, {host: hosts[1], level: "broad"}}})
	p := d.start("rollout", "start", d.plan("once", "lab-slow"))
	d.slow(hosts[0], "post")
	p.signal(syscall.SIGINT)
	out := p.wait(6)
	d.says(out, "draining", "next: cpacman rollout resume")
	d.host(hosts[0], "ok")
	d.host(hosts[1], "pending")
	d.installed(hosts[0], "lab-slow", "2.0")
	d.installed(hosts[1], "lab-slow", "1.0")
	d.says(d.run(0, "rollout", "resume"), "done (2 ok)")
	d.ranOnce(hosts[0], "post")
	d.installed(hosts[1], "lab-slow", "2.0")

	p = d.start("rollout", "start", d.plan("twice", "lab-slowpre"))
	d.slow(hosts[0], "pre")
	p.signal(syscall.SIGINT)
	p.until("draining")
	p.signal(syscall.SIGINT)
	d.says(p.wait(130), "detaching", "next: cpacman rollout resume")
	d.host(hosts[0], "transacting")
	d.installed(hosts[1], "lab-slowpre", "1.0")
	d.says(d.run(0, "rollout", "resume"), "done (2 ok)")
	for _, h := range hosts {
		d.ranOnce(h, "pre")
		d.installed(h, "lab-slowpre", "2.0")
		d.unlocked(h)
	}
}

// A host falls silent in %post, by its link on one host, by its sshd on the other: the transaction completes there, and
// cpacman knows it as soon as the host can be asked.
func scenarioLinkCut(t *testing.T, l *lab.Lab, hosts []string) {
	d := newDesk(t, l, deskOptions{places: []place{{host: hosts[0]}, {host: hosts[1]}}})
	p := d.start("rollout", "start", d.plan("cut", "lab-slow"))
	d.slow(hosts[0], "post")
	d.slow(hosts[1], "post")
	d.must(l.Cut(d.ctx(), hosts[0]))
	d.must(l.KillSSHD(d.ctx(), hosts[1]))
	for _, h := range hosts {
		d.until("%post to end on "+h, func() bool { return strings.Contains(d.on(h, "cat /var/log/lab-slow.log"), "post ends") })
	}
	d.must(l.Restore(d.ctx(), hosts[0]))
	d.must(l.StartSSHD(d.ctx(), hosts[1]))
	d.says(p.wait(0), "done (2 ok)")
	for _, h := range hosts {
		d.ranOnce(h, "post")
		d.installed(h, "lab-slow", "2.0")
		d.unlocked(h)
	}
}

// A host loses its power in %post: what it has then is neither trusted nor repeated.
func scenarioPowerLost(t *testing.T, l *lab.Lab, hosts []string) {
	d := newDesk(t, l, deskOptions{places: []place{{host: hosts[0]}}})
	p := d.start("rollout", "start", d.plan("power", "lab-slow"))
	d.slow(hosts[0], "post")
	d.must(l.Reboot(d.ctx(), hosts[0]))
	p.wait(3)
	rec := d.host(hosts[0], "tx_partial")
	d.reason(rec, "cut", "lab-slow-1.0-1.lab9.noarch")
	if got := d.on(hosts[0], "grep -c '^post begins' /var/log/lab-slow.log"); got != "1" {
		d.Errorf("%%post began %s times", got)
	}
}

// Another process pauses, skips, retries and aborts; the engine takes it within seconds.
func scenarioOtherTerminal(t *testing.T, l *lab.Lab, hosts []string) {
	d := newDesk(t, l, deskOptions{
		places:  []place{{host: hosts[0]}, {host: hosts[1], level: "broad"}, {host: hosts[2], level: "broad"}, {host: hosts[3], level: "late"}},
		levels:  levelTOML("canary", "1", "0", "8s") + levelTOML("broad", "100%", "1", "0s") + levelTOML("late", "100%", "0", "0s"),
		rollout: `max_failures = "2"`, lockWait: "1s",
	})
	p := d.start("rollout", "start", d.plan("tools", "lab-tools"))
	p.until("soaking")
	d.says(d.run(0, "rollout", "pause", "--reason", "lunch"), "pause: recorded")
	d.says(p.wait(6), "paused", "lunch", "next: cpacman rollout resume")
	d.says(d.run(0, "rollout", "list"), "paused", "none")
	d.says(d.run(0, "rollout", "pause"), "nothing to pause")

	// while nobody runs it: a host is left out, and one is busy
	d.says(d.run(4, "rollout", "skip", "nobody"), "nobody")
	d.says(d.run(2, "rollout", "skip"), "at least one host")
	d.says(d.run(0, "rollout", "skip", hosts[1]), "skip: recorded", "resume")
	d.must(l.HoldLock(d.ctx(), hosts[2], testLimit))
	d.run(3, "rollout", "resume")
	d.host(hosts[1], "skipped")
	d.reason(d.host(hosts[2], "held"), "rpm", "held by")
	d.host(hosts[3], "held")
	d.installed(hosts[1], "lab-tools", "1.0")
	d.installed(hosts[2], "lab-tools", "1.0")

	d.must(l.ReleaseLock(d.ctx(), hosts[2]))
	d.run(0, "rollout", "retry", hosts[2])
	d.run(0, "rollout", "resume")
	if rec := d.host(hosts[2], "ok"); rec.Attempt != 2 {
		d.Errorf("host %s: attempt %d, want 2", hosts[2], rec.Attempt)
	}
	d.installed(hosts[2], "lab-tools", "1.2")
	d.installed(hosts[3], "lab-tools", "1.2")
	d.installed(hosts[1], "lab-tools", "1.0")

	p = d.start("rollout", "start", d.plan("abort", "lab-config"))
	p.until("soaking")
	d.says(d.run(2, "rollout", "abort"), "--yes")
	d.says(d.run(0, "rollout", "abort", "--yes", "--reason", "wrong day"), "abort: recorded")
	d.says(p.wait(1), "wrong day")
	d.says(d.run(4, "rollout", "resume", d.newest()), "aborted")
	d.installed(hosts[0], "lab-config", "1.1")
	d.installed(hosts[3], "lab-config", "1.0")
	d.unlocked(hosts[0])
}

// newest is the id of the rollout that was started last.
func (d *desk) newest() string {
	d.Helper()
	lines := strings.Split(d.run(0, "rollout", "list", "--output", "csv").stdout, "\n")
	if len(lines) < 2 {
		d.Fatal("no rollouts")
	}
	id, _, _ := strings.Cut(lines[1], ",")
	return id
}

// A class whose gate wants a person is not entered without one.
func scenarioApproval(t *testing.T, l *lab.Lab, hosts []string) {
	d := newDesk(t, l, deskOptions{
		places:  []place{{host: hosts[0], class: "testing"}, {host: hosts[1], class: "production"}},
		classes: "[[class]]\nname = \"testing\"\n[[class]]\nname = \"production\"\napprove = 1\n",
	})
	d.says(d.run(6, "rollout", "start", d.plan("tools", "lab-tools")), "approve")
	d.installed(hosts[0], "lab-tools", "1.2")
	d.installed(hosts[1], "lab-tools", "1.0")
	d.says(d.run(0, "rollout", "status"), "class production", "next: cpacman rollout approve")
	d.says(d.run(6, "rollout", "resume"), "approve")
	d.installed(hosts[1], "lab-tools", "1.0")
	d.run(0, "rollout", "approve", "--reason", "seen in testing")
	d.says(d.run(0, "rollout", "resume"), "done (2 ok)")
	d.installed(hosts[1], "lab-tools", "1.2")
}
