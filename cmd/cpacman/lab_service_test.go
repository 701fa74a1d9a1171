package main

import (
	"strings"
	"syscall"
	"testing"

	"cpacman/internal/lab"
)

// TestLabService: where there is no fix yet a service is stopped in waves, stays stopped through starts and boots, and is again as it was; on
// hosts with systemd, and told on those without.
func TestLabService(t *testing.T) {
	lab.Need(t)
	t.Parallel()
	l := labUp(t, lab.Options{Hosts: 3, Systemd: 2, SlowSeconds: slowSeconds})
	var units []string
	plain := ""
	for _, h := range l.Hosts() {
		if h.Systemd {
			units = append(units, h.Name)
		} else {
			plain = h.Name
		}
	}
	a, b := units[0], units[1]
	d := newDesk(t, l, deskOptions{places: []place{{host: a}, {host: b, level: "broad"}, {host: plain, level: "broad"}}})
	d.run(0, "facts", "all")
	for _, h := range units {
		d.on(h, `printf '[Service]\nExecStart=/bin/sleep 100000\n[Install]\nWantedBy=multi-user.target\n' >/etc/systemd/system/leaky.service &&
			printf '[Service]\nExecStart=/bin/sleep 100000\n' >/etc/systemd/system/idle.service && systemctl daemon-reload && systemctl enable --now leaky.service`)
	}
	state := func(host, unit string) string {
		return strings.TrimSpace(d.on(host, "systemctl is-active "+unit+"; true"))
	}
	stop := []string{"rollout", "service", "stop", "all", "--unit", "leaky", "--unit", "idle", "--unit", "missing", "--reason", "CVE-2026-1", "--yes"}

	d.says(d.run(1, append(stop, "--dry-run")...), "2 noop, 1 held", "nothing was changed")
	if s := state(a, "leaky"); s != "active" {
		t.Fatalf("a dry run: %s", s)
	}

	// The control host dies while the first is asked; resume asks it again and goes on.
	p := d.start(stop...)
	p.until(a + ": restarting")
	p.signal(syscall.SIGKILL)
	p.wait(-1)
	d.says(d.run(1, "rollout", "resume"), "2 ok, 1 held")
	d.says(d.run(0, "rollout", "status", "--hosts"), "there is no systemd on the host", "not on the host: missing.service")
	for _, h := range units {
		if rec := d.host(h, "ok"); rec.Attempt != 1 {
			t.Errorf("%s: %+v", h, rec)
		}
		d.unlocked(h)
		// Nobody starts it, and no boot does.
		d.on(h, "systemctl start leaky.service idle.service; true")
		if s := state(h, "leaky") + " " + state(h, "idle"); s != "inactive inactive" {
			t.Errorf("%s: %s after a start by hand", h, s)
		}
	}
	if err := l.Reboot(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	d.on(b, "for i in 1 2 3 4 5 6 7 8 9 10; do systemctl is-active multi-user.target >/dev/null && break; sleep 1; done")
	if s := state(b, "leaky"); s != "inactive" {
		t.Errorf("%s after a boot", s)
	}
	if failed := d.on(b, "systemctl list-units --state=failed --no-legend leaky.service idle.service"); strings.TrimSpace(failed) != "" {
		t.Errorf("failed: %s", failed)
	}
	d.says(d.run(1, stop...), "failed (2 noop, 1 held)") // nothing is left to do
	d.says(d.run(0, "audit", "trail", "--rollout", d.newest()), "rollout.created")

	// And back: what ran runs, what did not may.
	d.run(1, "rollout", "service", "start", "all", "--unit", "leaky", "--unit", "idle", "--reason", "fixed", "--yes")
	for _, h := range units {
		d.host(h, "ok")
		if s := state(h, "leaky") + " " + state(h, "idle"); s != "active inactive" {
			t.Errorf("%s: %s after the start", h, s)
		}
		if left := d.on(h, "ls -d /etc/systemd/system/leaky.service.d /etc/systemd/system/idle.service.d 2>/dev/null; true"); left != "" {
			t.Errorf("%s: left behind: %s", h, left)
		}
		d.on(h, "systemctl start idle.service")
	}
	d.says(d.run(0, "rollout", "service", "start", a, "--unit", "leaky", "--reason", "fixed", "--yes"), "not stopped by cpacman")
}
