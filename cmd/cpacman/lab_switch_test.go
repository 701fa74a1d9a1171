package main

import (
	"strings"
	"syscall"
	"testing"

	"cpacman/internal/lab"
)

// svcCheck is a check that sees the sick version of the lab service on any host.
const svcCheck = `[health.svc]
command = ["/usr/bin/labsvc-check"]
interval = "1s"
deadline = "10s"
`

// TestLabBack: hosts go back by themselves, by policy and by their dead man's switch, with systemd and with cron.
func TestLabBack(t *testing.T) {
	lab.Need(t)
	t.Parallel()
	l := labUp(t, lab.Options{Hosts: 10, Systemd: 4, SlowSeconds: slowSeconds})
	var units, plain []string
	for _, h := range l.Hosts() {
		if h.Systemd {
			units = append(units, h.Name)
		} else {
			plain = append(plain, h.Name)
		}
	}
	t.Run("Policy", func(t *testing.T) { t.Parallel(); backByPolicy(t, l, units[0], plain[0], plain[1]) })
	t.Run("Switch", func(t *testing.T) { t.Parallel(); backBySwitch(t, l, units[1], plain[2], plain[3]) })
	t.Run("ControlHostGone", func(t *testing.T) { t.Parallel(); backWithoutControlHost(t, l, units[2], plain[4]) })
	t.Run("Reboot", func(t *testing.T) { t.Parallel(); backAfterReboot(t, l, units[3]) })
}

// A version that falls over is taken back on the host, with the wave, or by an operator; everything else about the host is what it was.
func backByPolicy(t *testing.T, l *lab.Lab, unit, plain, other string) {
	level := strings.Replace(levelTOML("canary", "100%", "0", "0s"), `"basic"`, `"basic", "svc"`, 1)
	o := deskOptions{places: []place{{host: unit}, {host: plain}}, rollout: `rollback = "host"`, levels: level, more: svcCheck}
	d := newDesk(t, l, o)
	before := map[string]string{}
	for _, h := range []string{unit, plain, other} {
		before[h] = d.on(h, "rpm -qa | sort")
	}
	plan := d.plan("svc", "labsvc", "lab-tools")
	out := d.run(3, "rollout", "start", plan)
	d.says(out, "rolling_back", "rolled_back")
	for _, h := range []string{unit, plain} {
		d.reason(d.host(h, "rolled_back"), "has the packages it had", "check svc is red")
		if now := d.on(h, "rpm -qa | sort"); now != before[h] {
			d.Errorf("%s has now\n%s\nand had\n%s", h, now, before[h])
		}
		d.on(h, "/usr/bin/labsvc-check")
		d.unlocked(h)
	}

	// One is well and one is not: with "wave" both go back. Then an operator takes a good one back by hand.
	d = newDesk(t, l, deskOptions{places: []place{{host: plain}, {host: other}}, rollout: `rollback = "wave"`, levels: levelTOML("canary", "100%", "0", "0s") +
		levelTOML("broad", "100%", "0", "0s"), more: svcCheck})
	d.run(3, "rollout", "start", d.plan("mixed", "lab-badpre", "lab-tools"))
	for _, h := range []string{plain, other} {
		if now := d.on(h, "rpm -qa | sort"); now != before[h] {
			d.Errorf("%s has now\n%s\nand had\n%s", h, now, before[h])
		}
	}
	d.run(0, "rollout", "start", d.plan("tools", "lab-tools"))
	d.installed(plain, "lab-tools", "1.2")
	d.says(d.run(0, "rollout", "rollback", "--yes", "--reason", "not today", d.newest(), plain), "rolled_back")
	d.installed(plain, "lab-tools", "1.0")
	d.installed(other, "lab-tools", "1.2")
}

// An SSH server that refuses to start: hosts come back by themselves. Where nothing could fire after a boot, nothing is started.
func backBySwitch(t *testing.T, l *lab.Lab, unit, cron, bare string) {
	d := newDesk(t, l, deskOptions{places: []place{{host: unit, level: "canary"}, {host: cron, level: "broad"}, {host: bare, level: "broad"}},
		rollout: "confirm = \"15s\"\nmax_failures = \"100%\"", levels: levelTOML("canary", "100%", "100%", "0s") + levelTOML("broad", "100%", "100%", "0s")})
	d.on(cron, "/usr/sbin/cron")
	plan := d.plan("ssh", "openssh-server")
	d.says(d.run(0, "plan", "show", plan, unit), "rollback possible")
	d.run(3, "rollout", "start", plan)
	d.reason(d.host(unit, "rolled_back"), "dead man's switch")
	d.installed(unit, "openssh-server", "8.7p1")
	d.noSwitch(unit, "/etc/systemd/system")

	// The others by a plan of their own: the first level has shown that it is bad.
	d = newDesk(t, l, deskOptions{places: []place{{host: cron}, {host: bare}}, rollout: "confirm = \"15s\"\nmax_failures = \"100%\"",
		levels: levelTOML("canary", "100%", "100%", "0s")})
	d.run(1, "rollout", "start", d.plan("ssh", "openssh-server"))
	d.reason(d.host(cron, "rolled_back"), "dead man's switch")
	d.installed(cron, "openssh-server", "8.7p1")
	d.noSwitch(cron, "/etc/cron.d")
	d.reason(d.host(bare, "held"), "neither systemd nor a cron daemon")
	d.installed(bare, "openssh-server", "8.7p1")

	// A good update of the same name is confirmed, and stays.
	d = newDesk(t, l, deskOptions{places: []place{{host: cron}, {host: unit}}, rollout: "confirm = \"20s\""})
	good := "openssh-server-8.7p1-38.lab9.x86_64"
	d.run(0, "rollout", "start", d.plan("good", good, "openssh"))
	for _, h := range []string{cron, unit} {
		d.host(h, "ok")
		d.noSwitch(h, "/etc/cron.d")
		d.noSwitch(h, "/etc/systemd/system")
		if got := d.on(h, "sleep 25; rpm -q openssh-server"); !strings.Contains(got, "8.7p1-38") {
			d.Errorf("%s has %s", h, got)
		}
	}
}

// noSwitch wants no switch left on a host.
func (d *desk) noSwitch(host, dir string) {
	d.Helper()
	d.until(host+" to be without a switch in "+dir, func() bool {
		return d.on(host, "ls "+dir+" | grep cpacman-switch || :") == ""
	})
}

// The control process is killed while a host is cut off: the host comes back by itself, and resume tells what it did.
func backWithoutControlHost(t *testing.T, l *lab.Lab, unit, plain string) {
	d := newDesk(t, l, deskOptions{places: []place{{host: unit}, {host: plain}}, rollout: "confirm = \"10s\"\nmax_failures = \"100%\"",
		levels: levelTOML("canary", "100%", "100%", "0s")})
	d.on(plain, "/usr/sbin/cron")
	p := d.start("rollout", "start", d.plan("ssh", "openssh-server"))
	p.until(unit + ": transacting")
	p.signal(syscall.SIGKILL)
	for _, h := range []string{unit, plain} {
		d.until(h+" to come back, or to have never begun", func() bool {
			return strings.Contains(d.on(h, "rpm -q openssh-server"), "8.7p1") && !strings.Contains(d.on(h, "cat /var/lib/cpacman/ledger/*-back/state 2>/dev/null || :"), "phase armed")
		})
	}
	d.run(1, "rollout", "resume")
	d.reason(d.host(unit, "rolled_back"), "dead man's switch")
	d.installed(unit, "openssh-server", "8.7p1")
	d.installed(plain, "openssh-server", "8.7p1")
}

// The host boots while it is cut off: its switch is armed still, and takes it back.
func backAfterReboot(t *testing.T, l *lab.Lab, unit string) {
	d := newDesk(t, l, deskOptions{places: []place{{host: unit}}, rollout: "confirm = \"20s\"\nmax_failures = \"100%\"", levels: levelTOML("canary", "100%", "100%", "0s")})
	p := d.start("rollout", "start", d.plan("ssh", "openssh-server"))
	d.until("the new server to be installed", func() bool {
		return strings.Contains(d.on(unit, "rpm -q openssh-server; cat /var/lib/cpacman/ledger/*/state 2>/dev/null || :"), "9.9p1") &&
			strings.Contains(d.on(unit, "cat /var/lib/cpacman/ledger/*/state"), "phase done")
	})
	d.must(l.Reboot(d.ctx(), unit))
	p.wait(1)
	d.reason(d.host(unit, "rolled_back"), "dead man's switch")
	d.installed(unit, "openssh-server", "8.7p1")
	d.noSwitch(unit, "/etc/systemd/system")
}
