package main

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"cpacman/internal/lab"
)

// TestLabReboot: hosts that owe a reboot are booted in waves, services that run what is gone are restarted, on hosts with and without
// systemd.
func TestLabReboot(t *testing.T) {
	lab.Need(t)
	t.Parallel()
	l := labUp(t, lab.Options{Hosts: 5, Systemd: 2, SlowSeconds: slowSeconds})
	var units, plain []string
	for _, h := range l.Hosts() {
		if h.Systemd {
			units = append(units, h.Name)
		} else {
			plain = append(plain, h.Name)
		}
	}
	t.Run("Owed", func(t *testing.T) { t.Parallel(); rebootsOwed(t, l, units[0], plain[0], plain[1]) })
	t.Run("Restart", func(t *testing.T) { t.Parallel(); servicesRestarted(t, l, units[1], plain[2]) })
}

// boot is the boot that a host is in.
func (d *desk) boot(host string) string {
	return strings.TrimSpace(d.on(host, "cat /proc/sys/kernel/random/boot_id"))
}

// A rollout leaves reboots due; rollout reboot finds the hosts and boots them, once, with proof, whatever happens to the control host.
func rebootsOwed(t *testing.T, l *lab.Lab, unit, plain, other string) {
	d := newDesk(t, l, deskOptions{places: []place{{host: unit}, {host: plain, level: "broad"}, {host: other, level: "broad"}}})
	hosts := []string{unit, plain, other}
	before := map[string]string{}
	for _, h := range hosts {
		before[h] = d.boot(h)
	}
	d.says(d.run(0, "rollout", "reboot", "all", "--yes"), "0 of 3 hosts owe a reboot")
	d.run(0, "plan", unit+" or "+plain, "--package", "glibc", "--package", "systemd", "--out", d.file("base.json"))
	d.run(0, "rollout", "start", d.file("base.json"))
	for _, h := range []string{unit, plain} {
		d.flagged(d.host(h, "ok"), "reboot_due")
	}

	// What would be done is told, and nothing is done.
	d.says(d.run(2, "rollout", "reboot", "all"), "--yes")
	d.run(2, "rollout", "reboot", "all", "--force")
	d.says(d.run(0, "rollout", "reboot", "all", "--out", d.file("reboot.json")), "2 of 3 hosts owe a reboot", "was installed after the boot")
	d.says(d.run(0, "plan", "show", d.file("reboot.json"), unit), "needs a reboot", "left it due")
	d.says(d.run(0, "rollout", "rehearse", d.file("reboot.json")), unit, plain)
	d.says(d.run(0, "rollout", "reboot", "all", "--dry-run"), "done (2 noop)", "nothing was changed")
	for _, h := range hosts {
		if now := d.boot(h); now != before[h] {
			d.Fatalf("%s has booted", h)
		}
	}

	// The control host dies while the first is booting; resume asks it and goes on with the others.
	p := d.start("rollout", "start", d.file("reboot.json"))
	p.until(unit + ": rebooting")
	p.signal(syscall.SIGKILL)
	p.wait(-1)
	d.says(d.run(0, "rollout", "resume"), "done (2 ok)")
	for _, h := range []string{unit, plain} {
		rec := d.host(h, "ok")
		if rec.Attempt != 1 || rec.TxID != "" {
			d.Errorf("%s: %+v", h, rec)
		}
		if now := d.boot(h); now == before[h] {
			d.Errorf("%s has not booted", h)
		}
		d.unlocked(h)
		before[h] = d.boot(h)
	}
	if now := d.boot(other); now != before[other] {
		d.Errorf("%s has booted and owed nothing", other)
	}
	d.says(d.run(0, "audit", "trail", "--rollout", d.newest()), "reboot.asked", "reboot.ended")
	d.says(d.run(0, "rollout", "reboot", "all", "--yes"), "0 of 3 hosts owe a reboot")

	// Another tool wants a boot; and somebody wants one without need.
	d.on(other, "touch /run/reboot-needed")
	d.says(d.run(0, "rollout", "reboot", other+" or "+plain, "--yes"), "the host wants it: /run/reboot-needed", "1 of 2 hosts owes", "done (1 ok)")
	if now := d.boot(other); now == before[other] {
		d.Errorf("%s has not booted", other)
	}
	if now := d.boot(plain); now != before[plain] {
		d.Errorf("%s has booted and owed nothing", plain)
	}
	d.says(d.run(0, "rollout", "reboot", plain, "--force", "--reason", "firmware", "--yes"), "asked for: firmware", "done (1 ok)")
	if now := d.boot(plain); now == before[plain] {
		d.Errorf("%s has not booted", plain)
	}
	if os.Getenv("CPACMAN_TEST_VERBOSE") != "" {
		t.Log(d.run(0, "rollout", "status", "--hosts").stdout)
	}
}

// Services that run files which are gone are restarted before the checks; what may not be is left alone and told.
func servicesRestarted(t *testing.T, l *lab.Lab, unit, plain string) {
	d := newDesk(t, l, deskOptions{places: []place{{host: unit}, {host: plain}}, rollout: "restart = \"needed\"\nno_restart = [\"keep*\"]"})
	service := func(name string) {
		d.on(unit, `cp "$(readlink -f /bin/sleep)" /usr/libexec/`+name+` && printf '[Service]\nType=exec\nExecStart=/usr/libexec/`+name+` 100000\n' >/etc/systemd/system/`+name+
			`.service && systemctl daemon-reload && systemctl start `+name)
		d.on(unit, `cp /usr/libexec/`+name+` /usr/libexec/`+name+`.new && mv /usr/libexec/`+name+`.new /usr/libexec/`+name)
	}
	pid := func(name string) string { return d.on(unit, "systemctl show -p MainPID "+name) }
	service("gonesvc")
	service("keepsvc")
	gone, keep := pid("gonesvc"), pid("keepsvc")
	d.on(plain, `cp "$(readlink -f /bin/sleep)" /usr/libexec/stray && (setsid /usr/libexec/stray 100000 </dev/null >/dev/null 2>&1 &) && sleep 1 && cp /usr/libexec/stray /usr/libexec/stray.new && mv /usr/libexec/stray.new /usr/libexec/stray`)

	out := d.run(0, "rollout", "start", d.plan("tools", "lab-tools"))
	d.says(out, "restarting")
	rec := d.host(unit, "ok")
	if now := pid("gonesvc"); now == gone {
		d.Errorf("gonesvc was not restarted: %s", now)
	}
	if now := pid("keepsvc"); now != keep {
		d.Errorf("keepsvc was restarted: %s", now)
	}
	d.flagged(rec, "restart_due")
	d.flagged(d.host(plain, "ok"), "restart_due")
	shown := d.run(0, "rollout", "status", "--hosts", "--output", "json")
	d.says(shown, "gonesvc.service", "keepsvc.service", "there is no systemd on the host", "stray")
	d.says(d.run(0, "audit", "trail", "--rollout", d.newest()), "restart.asked", "restart.ended")
	d.unlocked(unit)

	// What only a reboot helps is booted where the site wants that, in the same rollout.
	service("dbus-daemon")
	d.on(unit, "systemctl stop keepsvc")
	before := d.boot(unit)
	d = newDesk(t, l, deskOptions{places: []place{{host: unit}}, rollout: "restart = \"needed\"\nreboot = \"needed\""})
	out = d.run(0, "rollout", "start", d.plan("slow", "lab-slow"))
	d.says(out, "restarting", "rebooting")
	d.host(unit, "ok")
	if d.boot(unit) == before {
		d.Errorf("%s was not booted", unit)
	}
	if left := d.run(0, "audit", "trail", "--rollout", d.newest()); !strings.Contains(left.stdout, "dbus-daemon.service") {
		d.Errorf("nothing says what it was booted for:\n%s", left.stdout)
	}
}
