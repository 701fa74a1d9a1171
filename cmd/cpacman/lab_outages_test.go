package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"cpacman/internal/lab"
)

// bigBytes is the size of lab-big where it is sent slowly, at slowly: long enough to be caught in the middle.
const (
	bigBytes = 24 << 20
	slowly   = `bandwidth = "3MB/s"`
)

// TestLabOutages: networks, disks and clocks fail while cpacman is at work, each on hosts of its own.
func TestLabOutages(t *testing.T) {
	lab.Need(t)
	t.Parallel()
	l := labUp(t, lab.Options{Hosts: 12, Systemd: 3, SlowSeconds: slowSeconds, Big: bigBytes})
	var roots, units, plain []string // login root; systemd; all others
	for _, h := range l.Hosts() {
		switch {
		case h.Systemd:
			units = append(units, h.Name)
		case h.Sudo == lab.SudoNever && len(roots) < 2:
			roots = append(roots, h.Name)
		default:
			plain = append(plain, h.Name)
		}
	}
	list := []struct {
		name  string
		hosts []string
		run   func(t *testing.T, l *lab.Lab, hosts []string)
	}{
		{"CutInUpload", plain[:1], outageCutInUpload}, // the first two wait for dead connections
		{"CutInProof", plain[1:2], outageCutInProof},
		{"FullInUpload", []string{roots[0], plain[2]}, outageFullInUpload},
		{"CutInPre", plain[3:4], outageCutInPre},
		{"WrongClock", []string{plain[4], units[0]}, outageWrongClock},
		{"ClockSteps", []string{plain[5], units[1]}, outageClockSteps},
		{"SecondControlHost", roots[1:], outageSecondControlHost},
		{"UploadsAtOnce", plain[6:7], outageUploadsAtOnce},
	}
	inCrew(len(list), func(i int) {
		t.Run(list[i].name, func(t *testing.T) { list[i].run(t, l, list[i].hosts) })
	})
}

// uploaded waits until so much of lab-big has arrived on a host.
func (d *desk) uploaded(host string, bytes int) {
	d.Helper()
	d.until("lab-big to arrive on "+host, func() bool {
		kib := d.on(host, `n=0
for f in /var/lib/cpacman/in/*/*.part /home/*/.cpacman-drop/*/*.part /root/.cpacman-drop/*/*.part; do
    [ ! -f "$f" ] || { k=$(du -k "$f" 2>/dev/null | cut -f1); n=$((n + ${k:-0})); }
done
echo $n`)
		n, err := strconv.Atoi(kib)
		d.must(err)
		return n<<10 >= bytes
	})
}

// received is how many bytes came in over a host's network card since it was made.
func (d *desk) received(host string) int {
	d.Helper()
	n, err := strconv.Atoi(d.on(host, "cat /sys/class/net/eth0/statistics/rx_bytes 2>/dev/null || awk '/eth0:/ {print $2}' /proc/net/dev"))
	d.must(err)
	return n
}

// sentOnce demands that a host has received lab-big once, and not what had arrived again: half of it had.
func (d *desk) sentOnce(host string, before int) {
	d.Helper()
	if n := d.received(host) - before; n < bigBytes || n > bigBytes+bigBytes/3 {
		d.Errorf("%s received %d bytes in all, lab-big has %d", host, n, bigBytes)
	}
}

// swept demands that nothing half done is left on a host.
func (d *desk) swept(host string) {
	d.Helper()
	d.unlocked(host)
	if got := d.on(host, "find /var/lib/cpacman /home /root -name '*.part' 2>/dev/null || :"); got != "" {
		d.Errorf("%s: left behind: %s", host, got)
	}
	if got := d.on(host, `rpm -qa --qf '%{name}.%{arch}\n' | grep -v -e ^kernel -e ^gpg-pubkey | sort | uniq -d`); got != "" {
		d.Errorf("%s has twice: %s", host, got)
	}
}

// The link is cut during an upload: the host is put off, and its next try goes on from what had arrived.
func outageCutInUpload(t *testing.T, l *lab.Lab, hosts []string) {
	d := newDesk(t, l, deskOptions{places: []place{{host: hosts[0]}}, limits: slowly})
	plan := d.plan("big", "lab-big")
	before := d.received(hosts[0])
	p := d.start("rollout", "start", plan)
	d.uploaded(hosts[0], bigBytes/2)
	d.must(l.Cut(d.ctx(), hosts[0]))
	p.until(hosts[0] + ": deferred")
	d.installed(hosts[0], "lab-big", "1.0")
	d.must(l.Restore(d.ctx(), hosts[0]))
	d.says(p.wait(0), "done (1 ok)")
	if rec := d.host(hosts[0], "ok", d.newest()); rec.Attempt != 1 {
		t.Errorf("attempt %d", rec.Attempt)
	}
	d.installed(hosts[0], "lab-big", "2.0")
	d.sentOnce(hosts[0], before)
	d.swept(hosts[0])
}

// holdProof puts a program before rpm that stops in its test until /run/lab/go-on is there.
const holdProof = `mkdir -p /usr/libexec/real
mv /usr/bin/rpm /usr/libexec/real/rpm
cat >/usr/bin/rpm <<'END'
#!/bin/sh
case " $* " in *" --test "*)
    mkdir /run/lab/in-proof 2>/dev/null && until [ -e /run/lab/go-on ]; do sleep 0.1; done ;;
esac
exec /usr/libexec/real/rpm "$@"
END
chmod 755 /usr/bin/rpm`

// The link is cut while rpm tests the set: nothing was begun, and the host is tried again.
func outageCutInProof(t *testing.T, l *lab.Lab, hosts []string) {
	d := newDesk(t, l, deskOptions{places: []place{{host: hosts[0]}}})
	plan := d.plan("tools", "lab-tools")
	d.on(hosts[0], holdProof)
	p := d.start("rollout", "start", plan)
	p.until(hosts[0] + ": testing")
	d.until("rpm to test the set", func() bool { return d.on(hosts[0], "[ ! -e /run/lab/in-proof ] || echo yes") == "yes" })
	d.must(l.Cut(d.ctx(), hosts[0]))
	p.until(hosts[0] + ": deferred")
	d.installed(hosts[0], "lab-tools", "1.0")
	d.on(hosts[0], "touch /run/lab/go-on")
	d.must(l.Restore(d.ctx(), hosts[0]))
	d.says(p.wait(0), "done (1 ok)")
	d.host(hosts[0], "ok", d.newest())
	d.installed(hosts[0], "lab-tools", "1.2")
	d.swept(hosts[0])
}

// The link is cut in %pre, and the connection is dead when it comes back: the transaction went on by itself, once.
func outageCutInPre(t *testing.T, l *lab.Lab, hosts []string) {
	d := newDesk(t, l, deskOptions{places: []place{{host: hosts[0]}}})
	p := d.start("rollout", "start", d.plan("pre", "lab-slowpre"))
	d.slow(hosts[0], "pre")
	d.must(l.Cut(d.ctx(), hosts[0]))
	d.must(l.KillSSHD(d.ctx(), hosts[0])) // nobody hears of it
	d.until("the transaction to end", func() bool {
		return strings.Contains(d.on(hosts[0], "cat /var/lib/cpacman/ledger/*/state"), "phase done")
	})
	d.installed(hosts[0], "lab-slowpre", "2.0")
	d.must(l.Restore(d.ctx(), hosts[0]))
	d.says(p.wait(0), "done (1 ok)")
	d.ranOnce(hosts[0], "pre")
	d.installed(hosts[0], "lab-slowpre", "2.0")
	d.swept(hosts[0])
}

// The disk of one host fills during its upload: it is held untouched with a reason that says so, the others go on, and with room again
// a retry sends only what is missing.
func outageFullInUpload(t *testing.T, l *lab.Lab, hosts []string) {
	full, other := hosts[0], hosts[1]
	d := newDesk(t, l, deskOptions{places: []place{{host: full}, {host: other}}, limits: slowly})
	plan := d.plan("big", "lab-big")
	before := d.received(full)
	p := d.start("rollout", "start", plan)
	d.uploaded(full, bigBytes/2)
	_, err := l.FillDisk(d.ctx(), full, "/var", 0)
	d.must(err)
	p.wait(1)
	d.reason(d.host(full, "held", d.newest()), "upload", "bytes free", "are needed")
	d.installed(full, "lab-big", "1.0")
	d.unlocked(full)
	d.installed(other, "lab-big", "2.0")
	d.must(l.FreeDisk(d.ctx(), full))
	d.run(0, "rollout", "retry", d.newest())
	d.run(0, "rollout", "resume", d.newest())
	d.host(full, "ok", d.newest())
	d.installed(full, "lab-big", "2.0")
	d.sentOnce(full, before)
	d.swept(full)
	d.swept(other)
}

// day is how wrong clocks are.
const day = 24 * time.Hour

// Clocks that are wrong by a day, both ways: everything goes its way, dead man's switch, reboot advice and change detection included, also
// when the clock is set right afterwards.
func outageWrongClock(t *testing.T, l *lab.Lab, hosts []string) {
	lab.NeedClock(t)
	ahead, behind := hosts[0], hosts[1]
	d := newDesk(t, l, deskOptions{places: []place{{host: ahead}, {host: behind}}, rollout: `confirm = "20s"`})
	d.must(l.Clock(d.ctx(), ahead, day))
	d.must(l.Clock(d.ctx(), behind, -day))
	for host, off := range map[string]time.Duration{ahead: day, behind: -day} {
		seconds, err := strconv.ParseInt(d.on(host, "date +%s"), 10, 64)
		d.must(err)
		if got := time.Until(time.Unix(seconds, 0)); (got - off).Abs() > time.Minute {
			t.Fatalf("the clock of %s is off by %s, want %s", host, got, off)
		}
	}
	// rpm with Sequoia passes over packages signed in what it takes for the future: such a host is not planned for, and told why
	if strings.Contains(d.on(behind, "rpm -qa 2>&1 >/dev/null || :"), "skipping h#") {
		d.says(d.run(1, "facts", "--force", behind), "rpm passes over", "its clock is off by -24h", "set it right")
		d.must(l.Clock(d.ctx(), behind, 0))
	}
	d.on(ahead, "/usr/sbin/cron")
	d.says(d.run(0, "rollout", "start", d.plan("ssh", "openssh-server-8.7p1-38.lab9.x86_64", "openssh", "kernel")), "done (2 ok)")
	for _, h := range hosts {
		d.flagged(d.host(h, "ok", d.newest()), "reboot_due")
		d.installed(h, "openssh-server", "8.7p1")
		d.noSwitch(h, "/etc/cron.d")
		d.noSwitch(h, "/etc/systemd/system")
		d.swept(h)
	}
	d.run(0, "facts", "all")
	for _, h := range hosts {
		d.must(l.Clock(d.ctx(), h, 0))
		_, err := l.Add(d.ctx(), h, "lab-snapshot")
		d.must(err)
	}
	d.run(0, "facts", "all") // a database that was written in the future, or in the past, is read again
	d.says(d.run(0, "rollout", "start", d.plan("after", "lab-tools", "lab-snapshot")), "done (2 ok)")
	time.Sleep(22 * time.Second) // a switch that is armed still would fire
	for _, h := range hosts {
		d.installed(h, "lab-tools", "1.2")
		d.swept(h)
		if got := d.on(h, "rpm -q openssh-server"); !strings.Contains(got, "8.7p1-38") {
			t.Errorf("%s has %s: its switch was not disarmed", h, got)
		}
	}
}

// The clock steps by a day while the transaction waits for rpm's lock: the wait is as long as it was to be, no more and no less.
func outageClockSteps(t *testing.T, l *lab.Lab, hosts []string) {
	lab.NeedClock(t)
	const wait = 20 * time.Second
	for i, off := range []time.Duration{day, -day} {
		host := hosts[i]
		d := newDesk(t, l, deskOptions{places: []place{{host: host}}, lockWait: wait.String()})
		plan := d.plan("tools", "lab-tools")
		d.must(l.HoldLock(d.ctx(), host, testLimit))
		p := d.start("rollout", "start", plan)
		d.until("the runner to wait for rpm's lock", func() bool {
			return strings.Contains(d.on(host, `cat /var/lib/cpacman/ledger/*/state 2>/dev/null || :`), "phase waiting_lock")
		})
		begin := time.Now()
		d.must(l.Clock(d.ctx(), host, off))
		if off > 0 { // it must not give up
			select {
			case <-p.done:
			case <-time.After(wait / 3):
			}
			d.must(l.ReleaseLock(d.ctx(), host))
			d.says(p.wait(0), "done (1 ok)")
			d.installed(host, "lab-tools", "1.2")
			continue
		}
		p.wait(1) // it must not wait for a day
		if took := time.Since(begin); took > testLimit/2 {
			t.Errorf("it gave up after %s", took)
		}
		d.reason(d.host(host, "held"), "lab-lock-holder")
		d.must(l.Clock(d.ctx(), host, 0)) // by the wrong one rpm itself may not see what is installed
		d.installed(host, "lab-tools", "1.0")
		d.swept(host)
		d.must(l.ReleaseLock(d.ctx(), host))
	}
}

// Three control hosts send the same package at once. One discards it, one leaves it staged while a person cleans, one is updated by it: none
// disturbs another.
func outageUploadsAtOnce(t *testing.T, l *lab.Lab, hosts []string) {
	host := hosts[0]
	site := func() *desk { return newDesk(t, l, deskOptions{places: []place{{host: host}}, limits: slowly}) }
	dry, stage, real, person := site(), site(), site(), site()
	discarded, staged, plan := dry.plan("big", "lab-big"), stage.plan("big", "lab-big"), real.plan("big", "lab-big")
	first := dry.start("rollout", "start", "--dry-run", discarded)
	dry.uploaded(host, bigBytes/4)
	second, third := stage.start("rollout", "stage", staged), real.start("rollout", "start", plan)
	stage.uploaded(host, bigBytes)
	person.says(person.run(0, "clean", host, "--spool", "--yes"), "what root@", "is left there")
	dry.says(first.wait(0), "done (1 noop)")
	second.wait(0)
	real.says(third.wait(0), "done (1 ok)")
	stage.host(host, "noop", stage.newest())
	real.host(host, "ok", real.newest())
	real.installed(host, "lab-big", "2.0")
	real.swept(host)
	person.run(0, "clean", host, "--older", "0s", "--yes")
}

// Two control hosts that know nothing of each other work on one host. While the first only has the lock, the second waits for its turn, or
// is told who has it; while a transaction runs it is told at once. Who waited looks at the host again: if its set is still the same it goes
// on, if it became another the host is held for an amendment and told what changed it; neither is a failure.
func outageSecondControlHost(t *testing.T, l *lab.Lab, hosts []string) {
	host := hosts[0]
	busy := t.TempDir()
	first := newDesk(t, l, deskOptions{places: []place{{host: host}}, more: "[hook.drain]\nwhen = \"before-host\"\n" +
		"program = [\"/bin/sh\", \"-c\", \"touch $0/begun; until [ -e $0/go-on ]; do sleep 0.1; done\", \"" + busy + "\"]\n"})
	hasty := newDesk(t, l, deskOptions{places: []place{{host: host}}, lockWait: "1s"})
	patient := newDesk(t, l, deskOptions{places: []place{{host: host}}, lockWait: "2m"})
	other := newDesk(t, l, deskOptions{places: []place{{host: host}}, lockWait: "2m"})
	plan, waits, differs := hasty.plan("hasty", "lab-tools"), patient.plan("patient", "lab-config"), other.plan("other", "lab-slow", "lab-tools")
	p := first.start("rollout", "start", first.plan("slow", "lab-slow"))
	first.until("the first to have the lock", func() bool { _, err := os.Stat(filepath.Join(busy, "begun")); return err == nil })
	second, third := patient.start("rollout", "start", waits), other.start("rollout", "start", differs)
	hasty.run(1, "rollout", "start", plan)
	hasty.reason(hasty.host(host, "held"), "locked by ", first.newest())
	second.until(host + ": waiting_lock")
	third.until(host + ": waiting_lock")
	first.on(host, "touch /run/lab-slow.stay") // until the hasty one has been told
	first.must(os.WriteFile(filepath.Join(busy, "go-on"), nil, 0o600))

	first.slow(host, "post")
	hasty.run(0, "rollout", "retry")
	hasty.run(1, "rollout", "resume")
	hasty.reason(hasty.host(host, "held"), "under way", "locked by ", first.newest())
	hasty.installed(host, "lab-tools", "1.0")
	first.on(host, "rm /run/lab-slow.stay")
	p.wait(0)
	second.wait(0)
	third.wait(1)
	first.ranOnce(host, "post")
	patient.flagged(patient.host(host, "ok"), "rechecked")
	patient.installed(host, "lab-config", "1.1")
	other.reason(other.host(host, "held"), "changed since the plan, by transaction ", "no longer: upgrade lab-slow")
	other.installed(host, "lab-tools", "1.0")
	other.says(other.run(0, "rollout", "status"), "cpacman rollout amend ")
	other.unlocked(host)
	hasty.run(0, "rollout", "retry")
	hasty.run(0, "rollout", "resume")
	hasty.installed(host, "lab-tools", "1.2")
	first.swept(host)
}
