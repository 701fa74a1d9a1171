package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cpacman/internal/lab"
)

// TestLabStory runs the main job on a lab's own site, as it stands: facts, plan, a rollout over two classes with every sudo mode
// with and without systemd, drift; then an update that makes a service sick, which the canary must stop.
func TestLabStory(t *testing.T) {
	lab.Need(t)
	t.Parallel()
	l := labUp(t, lab.Options{Hosts: 8, Systemd: 4, Soak: 500 * time.Millisecond,
		Classes: []string{"testing", "production"}, Levels: []string{"canary", "broad"}})
	d := &desk{T: t, lab: l, dir: filepath.Join(l.Dir(), "site")}
	kinds := map[string]bool{}
	for _, h := range l.Hosts() {
		kinds[string(h.Sudo)+map[bool]string{true: "+systemd"}[h.Systemd]] = true
	}
	if len(kinds) != 6 {
		t.Fatalf("the lab has only %d kinds of hosts: %v", len(kinds), kinds)
	}
	d.run(0, "inventory", "check")
	d.run(0, "facts", "all")
	storyUpdate(d)
	storySick(d)
}

// storyUpdate brings all hosts up to date.
func storyUpdate(d *desk) {
	d.Helper()
	tmp := d.TempDir()
	plan := filepath.Join(tmp, "update.json")
	d.says(d.run(0, "plan", "all", "--out", plan), "8 of 8 hosts have something to do")
	kernels := map[string]string{}
	for _, h := range d.lab.Hosts() {
		kernels[h.Name] = d.on(h.Name, "rpm -q kernel")
	}
	d.says(d.run(0, "rollout", "start", plan), "done (8 ok)")
	for _, h := range d.lab.Hosts() {
		for name, version := range map[string]string{"lab-app": "2.0", "lab-app-data": "2.0", "lab-new": "2.0", "lab-epoch": "4.0",
			"lab-candidate": "2.0", "lab-snapshot": "1.0^20240501gitabc", "lab-tools": "1.2", "openssh-server": "8.7p1", "labsvc": "1.1",
			"lab-held": "1.0", "lab-doc": "1.0", "lab-retracted": "1.0"} {
			d.installed(h.Name, name, version)
		}
		if got := d.on(h.Name, "rpm -q lab-old || :"); !strings.Contains(got, "not installed") {
			d.Errorf("%s still has %s, which is obsoleted", h.Name, got)
		}
		if got := d.on(h.Name, "rpm -q kernel"); !strings.HasPrefix(got, kernels[h.Name]) || !strings.Contains(got, "427.13.1") {
			d.Errorf("%s had the kernels %s and has %s", h.Name, kernels[h.Name], got)
		}
		if got := d.on(h.Name, "rpm -Va --nofiles 2>&1 || :"); got != "" {
			d.Errorf("rpm finds fault with %s: %s", h.Name, got)
		}
		d.unlocked(h.Name)
		if h.Systemd {
			if got := d.on(h.Name, "systemctl --failed --no-legend --plain"); got != "" {
				d.Errorf("%s has failed units: %s", h.Name, got)
			}
		}
	}
	d.says(d.run(0, "audit", "drift"), "8 with held or blocked updates only")
	d.says(d.run(0, "plan", "all", "--out", filepath.Join(tmp, "empty.json")), "0 of 8 hosts")
	d.says(d.run(4, "rollout", "start", filepath.Join(tmp, "empty.json")), "no host with something to do")
}

// storySick tries the sick version of the service: the canary shows it, and nobody else gets it.
func storySick(d *desk) {
	d.Helper()
	plan := filepath.Join(d.TempDir(), "sick.json")
	d.run(0, "plan", "all", "--package", "labsvc", "--out", plan)
	sums := map[string]string{}
	for _, h := range d.lab.Hosts() {
		sums[h.Name] = d.on(h.Name, "rpm -qa | sort; cat /etc/labsvc.conf; ls -R /var/lib/cpacman/spool")
	}
	out := d.run(3, "rollout", "start", plan)
	canary := d.lab.Hosts()[0].Name
	d.says(out, "stopped", canary, "check svc", "version 2.0 cannot read its data")
	rec := d.host(canary, "health_failed")
	d.reason(rec, "svc")
	d.installed(canary, "labsvc", "2.0")
	for _, h := range d.lab.Hosts() {
		if h.Name == canary {
			continue
		}
		d.host(h.Name, "held")
		if now := d.on(h.Name, "rpm -qa | sort; cat /etc/labsvc.conf; ls -R /var/lib/cpacman/spool"); now != sums[h.Name] {
			d.Errorf("%s was touched:\n%s", h.Name, difference(sums[h.Name], now))
		}
	}
	status := d.run(0, "rollout", "status")
	d.says(status, "stopped", canary, "check svc", "version 2.0 cannot read its data", "next: cpacman rollout")
	d.says(d.run(1, "health", canary), canary, "version 2.0 cannot read its data")
	d.says(d.run(0, "rollout", "abort", "--yes", "--reason", "2.0 is sick"), "aborted")
}
