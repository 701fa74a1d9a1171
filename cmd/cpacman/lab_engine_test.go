package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"cpacman/internal/lab"
)

// TestLabEngines lets engines of their own work on real hosts, and on a control host with systemd.
func TestLabEngines(t *testing.T) {
	lab.Need(t)
	t.Parallel()
	l := labUp(t, lab.Options{Hosts: 3, Systemd: 1, SlowSeconds: slowSeconds})
	var plain []string
	systemd := ""
	for _, h := range l.Hosts() {
		if h.Systemd {
			systemd = h.Name
			continue
		}
		plain = append(plain, h.Name)
	}
	t.Run("KilledInTheTransaction", func(t *testing.T) {
		t.Parallel()
		scenarioEngineKilled(t, l, plain)
	})
	t.Run("SystemdAndReboot", func(t *testing.T) {
		t.Parallel()
		scenarioSystemdEngine(t, l, systemd)
	})
}

// An engine is killed while hosts are in their transaction; the one that replaces it repeats nothing and comes to the end.
func scenarioEngineKilled(t *testing.T, l *lab.Lab, hosts []string) {
	d := newDesk(t, l, deskOptions{places: []place{{host: hosts[0]}, {host: hosts[1], level: "broad"}}})
	plan := d.plan("slow", "lab-slow")
	out := d.run(0, "rollout", "start", "--detach", plan)
	d.says(out, "next: cpacman rollout watch")
	t.Cleanup(d.killEngines)
	d.slow(hosts[0], "post")
	first := d.engine("alive")
	d.must(syscall.Kill(first.Owner.PID, syscall.SIGKILL))
	d.gone(first.Owner.PID)
	d.says(d.run(0, "rollout", "status"), "engine: none", "next: cpacman rollout resume")
	d.run(0, "rollout", "engines", "--resume")
	d.says(d.run(0, "rollout", "watch", first.Rollout), "an engine takes over from one that is gone", "rollout: done")
	for _, h := range hosts {
		d.ranOnce(h, "post")
		d.installed(h, "lab-slow", "2.0")
		d.unlocked(h)
		if rec := d.host(h, "ok", first.Rollout); rec.Attempt != 1 {
			d.Errorf("host %s needed %d attempts", h, rec.Attempt)
		}
	}
	d.says(d.run(0, "rollout", "rehearse", plan), "by history: about", "median of 1 host") // what the death of the engine cut says nothing
	d.says(d.run(0, "rollout", "engines"), "every rollout is over")
}

// scenarioSystemdEngine has the control host itself be a machine with systemd: the engine is a unit, is replaced after SIGKILL, and
// comes back after a reboot.
func scenarioSystemdEngine(t *testing.T, l *lab.Lab, host string) {
	d := &desk{T: t, lab: l, dir: filepath.Join(t.TempDir(), "site")}
	d.must(os.MkdirAll(d.dir, 0o700))
	d.install(host)
	cpacman := func(args string) string { return d.on(host, "cpacman --site /root/site "+args+" 2>&1") }
	rows := func() engineRow {
		var list []engineRow
		text := d.on(host, "cpacman --site /root/site rollout engines --output json 2>/dev/null")
		d.must(json.Unmarshal([]byte(text), &list))
		if len(list) != 1 {
			d.Fatalf("engines: %s", text)
		}
		return list[0]
	}
	wait := func(engine, state string) engineRow {
		var row engineRow
		d.Helper()
		for end := time.Now().Add(2 * soonLimit); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
			if row = rows(); row.Engine == engine && string(row.State) == state {
				return row
			}
		}
		d.Fatalf("engine %s, rollout %s; want %s and %s:\n%s", row.Engine, row.State, engine, state, cpacman("rollout status "+row.Rollout)+cpacman("rollout watch "+row.Rollout))
		return row
	}
	text := cpacman("rollout start --detach /root/plan.json")
	if !strings.Contains(text, "unit cpacman-engine-") {
		t.Errorf("the engine is no unit:\n%s", text)
	}
	first := wait("alive", "waiting")
	unit := "cpacman-engine-" + first.Rollout + ".service"
	if got := d.on(host, "systemctl show -p MainPID "+unit); got != fmt.Sprintf("MainPID=%d", first.Owner.PID) {
		t.Errorf("%s, the lease says %d", got, first.Owner.PID)
	}
	d.on(host, fmt.Sprintf("kill -9 %d", first.Owner.PID))
	wait("dead", "waiting")
	if got := d.on(host, "systemctl list-units --failed --no-legend 'cpacman-*'"); got != "" {
		t.Errorf("a failed unit stays behind: %s", got)
	}
	cpacman("rollout engines --resume")
	second := wait("alive", "waiting")
	cpacman("rollout pause --reason lunch")
	wait("alive", "paused")
	d.on(host, "systemctl stop "+unit)
	wait("none", "paused")
	cpacman("rollout engines --resume")
	if third := wait("alive", "paused"); third.Owner.PID == second.Owner.PID {
		t.Errorf("the same process: %+v", third)
	}
	d.must(l.Reboot(d.ctx(), host))
	begin := time.Now()
	text = cpacman("rollout engines --resume")
	if fourth := wait("alive", "paused"); fourth.Owner.BootID == second.Owner.BootID {
		t.Errorf("the boot is the same: %+v", fourth)
	}
	t.Logf("after the reboot the engine was back in %s:\n%s", time.Since(begin).Round(time.Second), text)
	cpacman("rollout abort --yes")
	d.until("the unit to end", func() bool {
		return d.on(host, "systemctl is-active "+unit+" || :") != "active"
	})
}

// install puts the program, a site whose one host is the machine itself, and a plan for it onto a lab host.
func (d *desk) install(host string) {
	d.Helper()
	send := func(path, mode string, data []byte) {
		d.Helper()
		_, errs, exit, err := d.lab.ExecInput(d.ctx(), host, bytes.NewReader(data), "/bin/sh", "-c", `mkdir -p "${1%/*}" && cat >"$1" && chmod "$2" "$1"`, "sh", path, mode)
		if err != nil || exit != 0 {
			d.Fatalf("send %s: %d, %v: %s", path, exit, err, errs)
		}
	}
	program, err := exec.LookPath("cpacman") // the test's own binary, under the name it goes by
	d.must(err)
	read := func(path string) []byte {
		d.Helper()
		b, err := os.ReadFile(path)
		d.must(err)
		return b
	}
	send("/usr/local/bin/cpacman", "755", read(program))
	send("/root/site/id", "600", read(filepath.Join(d.lab.SiteDir(), "ssh", "id_ed25519")))
	send("/root/site/known_hosts", "600", []byte("127.0.0.1 "+d.on(host, "cat /etc/ssh/ssh_host_ed25519_key.pub")+"\n"))
	h, err := d.lab.Host(host)
	d.must(err)
	send("/root/site/cpacman.toml", "600", []byte("[ssh]\nuser = \""+h.User+"\"\nidentity = [\"id\"]\nknown_hosts = \"known_hosts\"\n"+
		"[[class]]\nname = \"production\"\napprove = 1\n[[level]]\nname = \"canary\"\n"))
	send("/root/site/inventory/hosts.toml", "600", []byte("[host.solo]\naddress = \"127.0.0.1\"\nclass = \"production\"\nlevel = \"canary\"\n"))
	d.on(host, "chmod 700 /root/site /root/site/inventory")
	send("/root/plan.json", "600", read(d.soloPlan()))
}
