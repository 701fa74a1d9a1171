package main

import (
	"strings"
	"testing"
	"time"

	"cpacman/internal/lab"
)

// A host that shows another key than the one known is not spoken to, and one that no longer takes ours is left; others go on.
func scenarioHostKey(t *testing.T, l *lab.Lab, hosts []string) {
	good, bad, shut := hosts[0], hosts[1], hosts[2]
	o := deskOptions{places: []place{{host: good}, {host: bad}, {host: shut}}, rollout: `quorum = "30%"`,
		levels: levelTOML("canary", "100%", "0", "0s")}
	d := newDesk(t, l, o)
	plan := d.plan("tools", "lab-tools")
	g, err := l.Host(good)
	d.must(err)
	b, err := l.Host(bad)
	d.must(err)
	s, err := l.Host(shut)
	d.must(err)
	d.write("known_hosts", g.Address+" "+g.HostKey+"\n"+b.Address+" "+g.HostKey+"\n"+s.Address+" "+s.HostKey+"\n")
	d.on(shut, "for f in /root /home/*; do [ ! -e $f/.ssh/authorized_keys ] || mv $f/.ssh/authorized_keys $f/.ssh/away; done")
	d.says(d.run(1, "facts", bad, "or", shut), "host key", shut)
	d.run(1, "rollout", "start", plan)
	d.host(good, "ok")
	d.reason(d.host(bad, "held"), "host key")
	d.installed(good, "lab-tools", "1.2")
	d.installed(bad, "lab-tools", "1.0")
	d.reason(d.host(shut, "held"), "key")
	d.installed(shut, "lab-tools", "1.0")
	if got := d.on(bad, "ls /var/lib/cpacman 2>/dev/null || :"); got != "" {
		d.Errorf("%s was written to: %s", bad, got)
	}
}

// A host that cannot be reached is deferred, then unreachable, counted apart from failures.
func scenarioDeadHost(t *testing.T, l *lab.Lab, hosts []string) {
	o := deskOptions{places: []place{{host: hosts[0]}, {host: hosts[1]}}, rollout: "quorum = \"50%\"\nmax_unreachable = \"1\""}
	d := newDesk(t, l, o)
	plan := d.plan("tools", "lab-tools")
	config := d.plan("config", "lab-config")
	d.must(l.Cut(d.ctx(), hosts[1]))
	out := d.run(5, "rollout", "start", plan)
	d.says(out, hosts[1]+": deferred", hosts[1]+": unreachable")
	d.host(hosts[0], "ok")
	d.host(hosts[1], "unreachable")

	// none allowed to be missing: the rollout stops
	strict := newDesk(t, l, deskOptions{places: o.places, rollout: "quorum = \"50%\"\nmax_unreachable = \"0\""})
	d.says(strict.run(5, "facts", hosts[1]), hosts[1])
	strict.run(3, "rollout", "start", config)
	strict.says(strict.run(0, "rollout", "status"), "unreachable", hosts[1])

	// fewer than the quorum: nothing is started
	quorum := newDesk(t, l, deskOptions{places: o.places, rollout: `quorum = "100%"`})
	out = quorum.run(3, "rollout", "start", config)
	quorum.says(out, "1 of 2 hosts can be reached", "nothing was started", "it said: "+hosts[1]+": dial")

	d.must(l.Restore(d.ctx(), hosts[1]))
	d.says(d.run(0, "rollout", "resume", d.newest()), "done (2 ok)")
	d.installed(hosts[1], "lab-tools", "1.2")
	strict.run(0, "rollout", "resume")
	d.installed(hosts[1], "lab-config", "1.1")
}

// A host without room is held before anything is changed, and goes on when there is room again.
func scenarioFullDisk(t *testing.T, l *lab.Lab, hosts []string) {
	d := newDesk(t, l, deskOptions{places: []place{{host: hosts[0]}}})
	plan := d.plan("tools", "lab-tools")
	_, err := l.FillDisk(d.ctx(), hosts[0], "/var", 300<<10)
	d.must(err)
	d.run(1, "rollout", "start", plan)
	d.reason(d.host(hosts[0], "held"), "free")
	d.installed(hosts[0], "lab-tools", "1.0")
	// a disk that is full to the last byte must not hide the answer
	_, err = l.FillDisk(d.ctx(), hosts[0], "/var", 0)
	d.must(err)
	d.run(0, "rollout", "retry")
	d.run(1, "rollout", "resume")
	d.reason(d.host(hosts[0], "held"), "free")
	d.must(l.FreeDisk(d.ctx(), hosts[0]))
	d.run(0, "rollout", "retry")
	d.run(0, "rollout", "resume")
	d.installed(hosts[0], "lab-tools", "1.2")
}

// rpm's lock is held by somebody: for a while, which is waited for, and for too long.
func scenarioRPMLock(t *testing.T, l *lab.Lab, hosts []string) {
	d := newDesk(t, l, deskOptions{places: []place{{host: hosts[0]}}})
	plan := d.plan("tools", "lab-tools")
	d.must(l.HoldLock(d.ctx(), hosts[0], testLimit))
	p := d.start("rollout", "start", plan)
	p.until("waits for rpm's lock, held by")
	d.must(l.ReleaseLock(d.ctx(), hosts[0]))
	d.says(p.wait(0), "lab-lock-holder")
	d.installed(hosts[0], "lab-tools", "1.2")

	d = newDesk(t, l, deskOptions{places: []place{{host: hosts[0]}}, lockWait: "2s"})
	plan = d.plan("config", "lab-config")
	d.must(l.HoldLock(d.ctx(), hosts[0], testLimit))
	d.run(1, "rollout", "start", plan)
	d.reason(d.host(hosts[0], "held"), "rpm", "lab-lock-holder")
	d.installed(hosts[0], "lab-config", "1.0")
	d.unlocked(hosts[0])
	d.must(l.ReleaseLock(d.ctx(), hosts[0]))
	d.run(0, "rollout", "retry")
	d.run(0, "rollout", "resume")
	d.installed(hosts[0], "lab-config", "1.1")
}

// Hosts that changed between plan and rollout: beside the set, in the set, to just what the set wants, and into another machine.
func scenarioChangedHost(t *testing.T, l *lab.Lab, hosts []string) {
	beside, within, there, rebuilt := hosts[0], hosts[1], hosts[2], hosts[3]
	d := newDesk(t, l, deskOptions{places: []place{{host: beside}, {host: within}, {host: there}, {host: rebuilt}}})
	plan := d.plan("tools", "lab-tools")
	add := func(host, name string) {
		_, err := l.Add(d.ctx(), host, name)
		d.must(err)
	}
	add(beside, "lab-snapshot")
	add(within, "lab-tools-1.1-1.lab9")
	add(there, "lab-tools-1.2-1.lab9")
	d.on(rebuilt, "echo 0123456789abcdef0123456789abcdef >/etc/machine-id.new; mv /etc/machine-id.new /etc/machine-id")
	d.run(1, "rollout", "start", plan)
	d.flagged(d.host(beside, "ok"), "rechecked")
	d.installed(beside, "lab-tools", "1.2")
	d.reason(d.host(within, "held"), "changed since the plan", "lab-tools-1.0-1.lab9", "lab-tools-1.1-1.lab9")
	d.installed(within, "lab-tools", "1.1")
	d.host(there, "noop")
	d.reason(d.host(rebuilt, "held"), "another machine")
	d.installed(rebuilt, "lab-tools", "1.0")

	// A lock that somebody sets on the host after the plan counts, though no package has changed.
	file := d.file("locked.json")
	d.run(0, "plan", beside, "--package", "lab-config", "--out", file)
	d.on(beside, "mkdir -p /etc/dnf/plugins; echo 'lab-config-0:1.0-1.*' >/etc/dnf/plugins/versionlock.list")
	d.run(1, "rollout", "start", file)
	d.reason(d.host(beside, "held", d.newest()), "set on the host since the plan", "lab-config-1.1-1.lab9.noarch would come in", "/etc/dnf/plugins/versionlock.list")
	d.installed(beside, "lab-config", "1.0")
	d.on(beside, "rm /etc/dnf/plugins/versionlock.list")
	d.run(0, "rollout", "retry", d.newest())
	d.run(0, "rollout", "resume", d.newest())
	d.installed(beside, "lab-config", "1.1")
}

// Scriptlets that ask, that fail after the files are in place, and before.
func scenarioScriptlets(t *testing.T, l *lab.Lab, hosts []string) {
	d := newDesk(t, l, deskOptions{places: []place{{host: hosts[0]}, {host: hosts[1], level: "broad"}}})
	begin := time.Now()
	out := d.run(0, "rollout", "start", d.plan("post", "lab-asks", "lab-badpost"))
	if took := time.Since(begin); took > testLimit/3 {
		d.Errorf("took %s: something waited for an answer", took)
	}
	d.says(out, "failed scriptlets: ", "lab-asks", "lab-badpost")
	for _, h := range hosts[:2] {
		d.flagged(d.host(h, "ok", d.newest()), "scriptlet_errors")
		d.installed(h, "lab-asks", "2.0")
		d.installed(h, "lab-badpost", "2.0")
	}
	d.says(d.run(0, "rollout", "status", d.newest()), "scriptlet_errors", "lab-asks", "lab-badpost")

	// nothing of the set got in
	d.run(3, "rollout", "start", d.plan("pre", "lab-badpre"))
	d.reason(d.host(hosts[0], "tx_failed"), "lab-badpre")
	d.host(hosts[1], "held")
	d.installed(hosts[0], "lab-badpre", "1.0")
	d.unlocked(hosts[0])

	// a part of the set got in
	mixed := newDesk(t, l, deskOptions{places: []place{{host: hosts[2]}}})
	mixed.run(3, "rollout", "start", mixed.plan("mixed", "lab-badpre", "lab-tools"))
	mixed.reason(mixed.host(hosts[2], "tx_partial"), "not installed: lab-badpre-2.0-1.lab9")
	mixed.installed(hosts[2], "lab-tools", "1.2")
	mixed.installed(hosts[2], "lab-badpre", "1.0")
}

// Packages on the host whose bytes changed after they were sent: sent again when there is time, refused when there is none.
func scenarioStagedBytes(t *testing.T, l *lab.Lab, hosts []string) {
	d := newDesk(t, l, deskOptions{places: []place{{host: hosts[0]}}})
	plan := d.plan("tools", "lab-tools")
	d.run(0, "rollout", "start", "--dry-run", "--keep-staged", plan)
	_, err := l.Corrupt(d.ctx(), hosts[0], "*.rpm")
	d.must(err)
	d.says(d.run(0, "rollout", "start", plan), "other bytes", "sent again")
	d.installed(hosts[0], "lab-tools", "1.2")

	// while the transaction waits for rpm's lock, after it was tested
	plan = d.plan("config", "lab-config")
	d.must(l.HoldLock(d.ctx(), hosts[0], testLimit))
	p := d.start("rollout", "start", plan)
	d.until("the runner to wait for rpm's lock", func() bool {
		return strings.Contains(d.on(hosts[0], `cat /var/lib/cpacman/ledger/*/state 2>/dev/null || :`), "phase waiting_lock")
	})
	_, err = l.Corrupt(d.ctx(), hosts[0], "*.rpm")
	d.must(err)
	d.must(l.ReleaseLock(d.ctx(), hosts[0]))
	p.wait(3)
	d.reason(d.host(hosts[0], "test_failed"), "digest", "nothing was changed")
	d.installed(hosts[0], "lab-config", "1.0")
	d.run(0, "rollout", "retry")
	d.run(0, "rollout", "resume")
	d.installed(hosts[0], "lab-config", "1.1")
}
