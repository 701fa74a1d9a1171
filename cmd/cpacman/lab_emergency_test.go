package main

import (
	"strings"
	"syscall"
	"testing"

	"cpacman/internal/lab"
)

// An emergency begins while another rollout has a transaction under way on one of its hosts, and soaks for long on it afterwards: the
// transaction is waited for, the soak is not. What held the package yields because it is named. Then a package without a fix goes, by
// the same waves.
func TestLabEmergency(t *testing.T) {
	lab.Need(t)
	t.Parallel()
	l := labUp(t, lab.Options{Hosts: 2, Systemd: -1, SlowSeconds: slowSeconds})
	hosts := []string{l.Hosts()[0].Name, l.Hosts()[1].Name}
	d := newDesk(t, l, deskOptions{
		places:   []place{{host: hosts[0]}, {host: hosts[1]}},
		levels:   levelTOML("canary", "100%", "0", "30m"),
		rollout:  "order = \"inventory\"\nemergency_soak = \"2s\"",
		lockWait: "2m",
	})
	held := "[[policy]]\nname = \"vendor\"\nhosts = \"all\"\nowner = \"app\"\nreason = \"certified with 1.0\"\nhold = [\"lab-tools\"]\n"
	d.write("inventory/policy.toml", held)

	d.says(d.run(0, "plan", "all", "--advisory", "LABSA-2024:0001"), "nothing to do")
	fix := d.file("fix.json")
	d.says(d.run(0, "plan", "all", "--advisory", "LABSA-2024:0001", "--override-hold", "lab-tools", "--out", fix),
		"overridden for lab-tools", "by policy vendor (owner app): certified with 1.0", "only rollout start --emergency takes this plan")
	d.says(d.run(4, "rollout", "start", fix), "overrides holds (lab-tools), which only an emergency rollout may")
	d.says(d.run(2, "rollout", "start", fix, "--emergency"), "--emergency wants --reason")
	slow := d.file("slow.json")
	d.run(0, "plan", hosts[0], "--package", "lab-slow", "--out", slow)

	usual := d.start("rollout", "start", slow)
	d.slow(hosts[0], "post") // in its transaction
	first := d.newest()
	out := d.run(0, "rollout", "start", fix, "--emergency", "--reason", "CVE-2024-10001 is exploited")
	d.says(out, "emergency for advisory LABSA-2024:0001", "left out: first wave of one host: wave 1",
		"left out: soak of level production/canary: 2s instead of 30m", "left out: holds of package lab-tools",
		"rollout "+first+" has hosts of this one: "+hosts[0]+" at work", "done (2 ok)")
	for _, h := range hosts {
		d.installed(h, "lab-tools", "1.1")
	}
	d.ranOnce(hosts[0], "post")
	d.installed(hosts[0], "lab-slow", "2.0")

	status := d.run(0, "rollout", "status", first)
	d.says(status, "soaking", "emergency rollout ", "works on hosts of this one")
	trail := d.run(0, "audit", "trail")
	d.says(trail, "emergency for advisory LABSA-2024:0001", "soak of level production/canary: 2s instead of 30m", "CVE-2024-10001 is exploited")

	d.write("inventory/policy.toml", held+"[[policy]]\nname = \"cve\"\nhosts = \"all\"\nreason = \"no fix yet\"\nremove = [\"lab-slow\"]\n")
	gone := d.plan("gone", "lab-slow")
	out = d.run(0, "rollout", "start", gone, "--emergency", "--reason", "no fix yet")
	d.says(out, "emergency for removal of lab-slow", "has hosts of this one: "+hosts[0]+" soaking, its checks go on")
	for _, h := range hosts {
		if q := d.on(h, "rpm -q lab-slow || true"); !strings.Contains(q, "not installed") {
			t.Errorf("%s still has %s", h, q)
		}
		d.unlocked(h)
	}
	usual.signal(syscall.SIGINT)
	usual.wait(6)
	d.says(d.run(0, "rollout", "status", first), "soaking")
}

// An emergency fixes hosts on which another rollout soaks. Then that one goes back, by its policy and by an operator: what the emergency has
// brought stays, and a person is told which transaction is in the way.
func TestLabEmergencyStays(t *testing.T) {
	lab.Need(t)
	t.Parallel()
	l := labUp(t, lab.Options{Hosts: 2, Systemd: -1})
	over, beside := l.Hosts()[0].Name, l.Hosts()[1].Name
	d := newDesk(t, l, deskOptions{
		places:  []place{{host: over}, {host: beside}},
		levels:  strings.Replace(levelTOML("canary", "100%", "0", "30m"), `"basic"`, `"basic", "well"`, 1),
		rollout: "rollback = \"host\"\nemergency_soak = \"2s\"",
		more:    "[health.well]\ncommand = [\"/usr/bin/test\", \"!\", \"-e\", \"/run/lab-ill\"]\ninterval = \"1s\"\ndeadline = \"5s\"\n",
	})
	begin := func(host string, packages ...string) (*process, string) {
		t.Helper()
		args := []string{"plan", host, "--out", d.file(host + ".json")}
		for _, p := range packages {
			args = append(args, "--package", p)
		}
		d.run(0, args...)
		p := d.start("rollout", "start", d.file(host+".json"))
		p.until(host + ": ok")
		return p, d.newest()
	}
	soaking, first := begin(over, "lab-tools-1.1-1.lab9.x86_64") // what the emergency replaces
	other, second := begin(beside, "lab-config")                 // the emergency brings something else
	fix := d.file("fix.json")
	d.run(0, "plan", "all", "--advisory", "LABBA-2024:0002", "--out", fix)
	d.says(d.run(0, "rollout", "start", fix, "--emergency", "--reason", "it is exploited"), "done (2 ok)")
	emergency := d.newest()
	stays := func(host, id string) {
		t.Helper()
		d.reason(d.host(host, "rollback_failed", id), "not tried", "transaction ", "of rollout "+emergency)
		d.installed(host, "lab-tools", "1.2")
		d.unlocked(host)
	}

	d.on(over, "touch /run/lab-ill")
	d.says(soaking.wait(3), "rollback_failed", emergency)
	stays(over, first)
	d.on(over, "rm /run/lab-ill")

	other.signal(syscall.SIGINT)
	other.wait(6)
	d.run(3, "rollout", "rollback", "--yes", "--reason", "not today", second, beside)
	stays(beside, second)
	d.installed(beside, "lab-config", "1.1")
}
