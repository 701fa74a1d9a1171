package main

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"cpacman/internal/lab"
)

const (
	oldKernel = "5.14.0-362.8.1.lab9.x86_64"
	newKernel = "5.14.0-427.13.1.lab9.x86_64"
)

// TestLabKernel: a new kernel is booted once, and is what a host boots from then on when it has been confirmed. The boot loader is a stand-in
// that does what GRUB does; its environment block and the tool that writes it are real.
func TestLabKernel(t *testing.T) {
	lab.Need(t)
	if _, err := exec.LookPath("grub-editenv"); err != nil && os.Getenv("CI") != "true" {
		t.Skip("needs grub-editenv: not installed")
	}
	t.Parallel()
	l := labUp(t, lab.Options{Hosts: 8, Systemd: 4, SlowSeconds: slowSeconds})
	var units, plain []string
	for _, h := range l.Hosts() {
		switch {
		case h.Variant == "kernels": // has an older one beside, which changes nothing; kept apart all the same
			continue
		case h.Systemd:
			units = append(units, h.Name)
		default:
			plain = append(plain, h.Name)
		}
	}
	if len(units) < 3 || len(plain) < 2 {
		t.Fatalf("hosts %v, %v", units, plain)
	}
	t.Run("Confirmed", func(t *testing.T) { t.Parallel(); kernelConfirmed(t, l, units[0], plain[0]) })
	t.Run("ControlHostGone", func(t *testing.T) { t.Parallel(); kernelUnconfirmed(t, l, units[1], plain[1]) })
	t.Run("PowerLost", func(t *testing.T) { t.Parallel(); kernelPowerLost(t, l, units[2]) })
}

// grub gives a host GRUB: a configuration that boots the saved entry, an environment block, and an entry for the kernel that runs.
func (d *desk) grub(host string) {
	d.Helper()
	if got := d.on(host, "mkdir -p /boot/grub; grub-editenv /boot/grub/grubenv create 2>&1 || :"); strings.Contains(got, "canonical path") {
		d.Skip("needs grub-editenv before 2.14: that of the hosts writes only to a file system on a disk")
	}
	d.on(host, `mkdir -p /boot/grub /boot/loader/entries && grub-editenv /boot/grub/grubenv create && cat >/boot/grub/grub.cfg <<'END'
load_env
if [ "${next_entry}" ] ; then
   set default="${next_entry}"
   set next_entry=
   save_env next_entry
   set boot_once=true
else
   set default="${saved_entry}"
fi
insmod blscfg
blscfg
END
id=$(cat /etc/machine-id)-$(uname -r)
printf 'title Lab OS\nversion %s\nlinux /vmlinuz-%s\n' "$(uname -r)" "$(uname -r)" >"/boot/loader/entries/$id.conf"
grub-editenv /boot/grub/grubenv set "saved_entry=$id"
test -x /etc/cron.d || mkdir -p /etc/cron.d
[ -d /run/systemd/system ] || /usr/sbin/cron`)
	d.kernel(host, oldKernel, oldKernel)
}

// kernel wants what a host runs, and what it boots by default.
func (d *desk) kernel(host, runs, boots string) {
	d.Helper()
	got := d.on(host, `uname -r; grub-editenv /boot/grub/grubenv list; echo end`)
	if !strings.HasPrefix(got, runs+"\n") || !strings.Contains(got, "saved_entry="+strings.TrimSpace(d.on(host, "cat /etc/machine-id"))+"-"+boots+"\n") || strings.Contains(strings.ReplaceAll(got, "next_entry=\n", ""), "next_entry=") {
		d.Errorf("%s: want kernel %s, and %s by default, in\n%s\nboots:\n%s", host, runs, boots, got, d.on(host, "cat /boot/booted 2>/dev/null || :"))
	}
}

// answers is what a host says to a script, nothing while it boots.
func (d *desk) answers(host, script string) string {
	out, _, _, _ := d.lab.Exec(d.ctx(), host, "/bin/sh", "-c", script) //nolint:dogsled // a host that boots gives an error
	return string(out)
}

// Booted once and confirmed, with systemd; on a host where it does not come up the old one runs, and the packages are what they were. Then an
// operator takes the first one back: it leaves the new kernel by a boot.
func kernelConfirmed(t *testing.T, l *lab.Lab, unit, plain string) {
	o := deskOptions{places: []place{{host: unit}, {host: plain, level: "broad"}}, rollout: "reboot = \"needed\"\nconfirm = \"60s\"\nmax_failures = \"100%\"\nwithout_switch = \"ask\"",
		levels: levelTOML("canary", "100%", "100%", "0s") + levelTOML("broad", "100%", "100%", "0s")}
	d := newDesk(t, l, o)
	plan := d.plan("kernel", "kernel")

	// Without a boot loader that can do it nothing is started.
	d.run(3, "rollout", "start", plan)
	d.reason(d.host(unit, "held"), "no boot loader was found", "--without-switch")
	if got := d.on(unit, "rpm -q kernel"); strings.Contains(got, "427.13.1") {
		d.Errorf("%s has %s", unit, got)
	}
	d.run(0, "rollout", "abort", "--yes", "--reason", "no boot loader", d.newest())

	d.grub(unit)
	d.grub(plain)
	d.on(plain, "echo "+newKernel+" >/boot/panics")
	before := d.on(plain, "rpm -qa | sort")
	d.run(1, "rollout", "start", "--again", "--reason", "they have a boot loader now", plan)
	d.host(unit, "ok")
	d.kernel(unit, newKernel, newKernel)
	d.noSwitch(unit, "/etc/systemd/system")
	d.reason(d.host(plain, "rolled_back"), "kernel "+newKernel+" did not come up: it booted with "+oldKernel)
	d.kernel(plain, oldKernel, oldKernel)
	if now := d.on(plain, "rpm -qa | sort"); now != before {
		d.Errorf("%s has now\n%s\nand had\n%s", plain, now, before)
	}
	if got := d.on(plain, "cat /boot/booted"); got != newKernel+"\n"+oldKernel {
		d.Errorf("boots:\n%s", got)
	}
	d.noSwitch(plain, "/etc/cron.d")

	d.says(d.run(0, "rollout", "rollback", "--yes", "--reason", "not today", d.newest(), unit), "rolled_back")
	d.kernel(unit, oldKernel, oldKernel)
	if got := d.on(unit, "rpm -q kernel"); strings.Contains(got, "427.13.1") {
		d.Errorf("%s has %s", unit, got)
	}
	d.noSwitch(unit, "/etc/systemd/system")
}

// The control process is killed when the hosts boot their new kernel: each goes back by itself to the kernel and the packages it had.
func kernelUnconfirmed(t *testing.T, l *lab.Lab, unit, plain string) {
	d := newDesk(t, l, deskOptions{places: []place{{host: unit}, {host: plain}}, rollout: "reboot = \"needed\"\nconfirm = \"20s\"\nmax_failures = \"100%\"",
		levels: levelTOML("canary", "100%", "100%", "0s")})
	d.grub(unit)
	d.grub(plain)
	p := d.start("rollout", "start", d.plan("kernel", "kernel"))
	p.until(unit + ": rebooting")
	d.until(unit+" to run its new kernel", func() bool { return strings.Contains(d.answers(unit, "uname -r"), newKernel) })
	p.signal(syscall.SIGKILL)
	p.wait(-1)
	d.until(unit+" to have gone back", func() bool {
		got := d.answers(unit, "uname -r; cat /var/lib/cpacman/ledger/*-back/state")
		return strings.HasPrefix(got, oldKernel+"\n") && strings.Contains(got, "phase done")
	})
	d.kernel(unit, oldKernel, oldKernel)
	d.until(unit+" to be disarmed", func() bool { return d.on(unit, "ls /etc/systemd/system | grep cpacman-switch || :") == "" })
	d.run(1, "rollout", "resume")
	d.reason(d.host(unit, "rolled_back"), "dead man's switch")
	if got := d.on(unit, "rpm -q kernel"); strings.Contains(got, "427.13.1") {
		d.Errorf("%s has %s", unit, got)
	}
	if got := d.on(unit, "cat /boot/booted"); got != newKernel+"\n"+oldKernel {
		d.Errorf("boots:\n%s", got)
	}
}

// cutAtDefault puts a program before grub-editenv that stops when the new kernel's package has made it the default.
const cutAtDefault = `mkdir -p /usr/libexec/real && mv /usr/bin/grub-editenv /usr/libexec/real/ && cat >/usr/bin/grub-editenv <<'END'
#!/bin/sh
/usr/libexec/real/grub-editenv "$@" || exit
case $* in *" set saved_entry="*-` + newKernel + `) mkdir /boot/cut 2>/dev/null && sleep 1000 ;; esac
:
END
chmod 755 /usr/bin/grub-editenv
echo ` + newKernel + ` >/boot/panics`

// The power is lost when the new kernel, which does not come up, has become the default, and before the host could put that right: it boots the kernel
// it had all the same, boots it from then on, and goes back.
func kernelPowerLost(t *testing.T, l *lab.Lab, unit string) {
	d := newDesk(t, l, deskOptions{places: []place{{host: unit}}, rollout: "reboot = \"needed\"\nconfirm = \"60s\"\nmax_failures = \"100%\"",
		levels: levelTOML("canary", "100%", "100%", "0s")})
	d.grub(unit)
	before := d.on(unit, "rpm -qa | sort")
	d.on(unit, cutAtDefault)
	p := d.start("rollout", "start", d.plan("kernel", "kernel"))
	d.until("the new kernel to be the default", func() bool { return d.on(unit, "[ ! -d /boot/cut ] || echo yes") == "yes" })
	if got := d.on(unit, "grub-editenv /boot/grub/grubenv list"); !strings.Contains(got, "-"+newKernel+"\n") {
		d.Errorf("the package has not made its kernel the default:\n%s", got)
	}
	d.must(l.Reboot(d.ctx(), unit))
	p.wait(1)
	d.host(unit, "rolled_back")
	d.kernel(unit, oldKernel, oldKernel)
	if got := d.on(unit, "cat /boot/booted"); strings.Contains(got, newKernel) {
		d.Errorf("boots:\n%s", got)
	}
	if now := d.on(unit, "rpm -qa | sort"); now != before {
		d.Errorf("%s has now\n%s\nand had\n%s", unit, now, before)
	}
	d.noSwitch(unit, "/etc/systemd/system")
}
