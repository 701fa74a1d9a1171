package main

import (
	"os"
	"path/filepath"
	"testing"

	"cpacman/internal/lab"
)

// Taking hosts back starts nothing: a rollout that rests goes on resting, whether the hosts have a way back or not.
func TestLabRollbackRests(t *testing.T) {
	lab.Need(t)
	t.Parallel()
	l := labUp(t, lab.Options{Hosts: 2, Systemd: -1, SlowSeconds: slowSeconds})
	first, second := l.Hosts()[0].Name, l.Hosts()[1].Name
	paused := func(mode string) *desk {
		d := newDesk(t, l, deskOptions{places: []place{{host: first}, {host: second, level: "broad"}}, rollout: "rollback = \"" + mode + "\"",
			levels: levelTOML("canary", "1", "1", "8s") + levelTOML("broad", "100%", "1", "0s")})
		p := d.start("rollout", "start", d.plan("tools-"+mode, "lab-tools"))
		p.until("soaking")
		d.run(0, "rollout", "pause")
		p.wait(6)
		return d
	}

	// With a way back: the host goes back, and the other one is not begun.
	d := paused("host")
	d.says(d.run(0, "rollout", "rollback", d.newest(), first, "--yes", "--reason", "not today"), "rolled_back")
	d.installed(first, "lab-tools", "1.0")
	d.installed(second, "lab-tools", "1.0")
	d.host(second, "pending")
	d.says(d.run(4, "rollout", "rollback", d.newest(), second, "--yes"), "lab02 is pending: there is nothing to take back")

	// Without one: refused before anything is asked, recorded or run, and the other host is not begun either.
	d = paused("never")
	d.says(d.run(4, "rollout", "rollback", d.newest(), first), "host "+first+" has no way back in rollout", "hint: cpacman plan "+first+" --undo "+d.newest())
	d.says(d.run(4, "rollout", "rollback", "--yes"), "no host of rollout "+d.newest()+" has a way back", "hint: cpacman plan all --undo "+d.newest())
	d.says(d.run(4, "rollout", "rollback", first, first, "--yes"), "has no way back")
	d.host(second, "pending")
	d.installed(second, "lab-tools", "1.0")
}

// A way back that finds the host with another rollout says with which, waits, and gives up with the host as it is; when that is over it is
// asked for again.
func TestLabRollbackLocked(t *testing.T) {
	lab.Need(t)
	t.Parallel()
	l := labUp(t, lab.Options{Hosts: 1, Systemd: -1, SlowSeconds: slowSeconds})
	host, busy := l.Hosts()[0].Name, t.TempDir()
	d := newDesk(t, l, deskOptions{places: []place{{host: host}}, rollout: `rollback = "host"`, lockWait: "6s"})
	other := newDesk(t, l, deskOptions{places: []place{{host: host}}, more: "[hook.drain]\nwhen = \"before-host\"\n" +
		"program = [\"/bin/sh\", \"-c\", \"touch $0/begun; until [ -e $0/go-on ]; do sleep 0.1; done; exit 1\", \"" + busy + "\"]\n"})
	d.run(0, "rollout", "start", d.plan("tools", "lab-tools"))
	p := other.start("rollout", "start", other.plan("config", "lab-config"))
	d.until("the other to have the lock", func() bool { _, err := os.Stat(filepath.Join(busy, "begun")); return err == nil })

	d.says(d.run(1, "rollout", "rollback", d.newest(), host, "--yes"), "waits for the host's lock: locked by root@", "("+other.newest()+") since ")
	d.reason(d.host(host, "rollback_failed", d.newest()), "nothing was undone", "locked by root@", other.newest())
	d.installed(host, "lab-tools", "1.2")

	d.must(os.WriteFile(filepath.Join(busy, "go-on"), nil, 0o600))
	p.wait(1)
	d.says(d.run(0, "rollout", "rollback", d.newest(), host, "--yes"), "rolled_back")
	d.installed(host, "lab-tools", "1.0")
	d.unlocked(host)
}
