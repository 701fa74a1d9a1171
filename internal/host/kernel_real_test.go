package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// grubHead is what grub-mkconfig of GRUB 2.06 writes about the environment block, with GRUB_DEFAULT=saved.
const grubHead = `if [ -s $prefix/grubenv ]; then
  load_env
fi
if [ "${next_entry}" ] ; then
   set default="${next_entry}"
   set next_entry=
   save_env next_entry
   set boot_once=true
else
   set default="${saved_entry}"
fi
function savedefault {
  if [ -z "${boot_once}" ]; then
    saved_entry="${chosen}"
    save_env saved_entry
  fi
}
`

// bootSelf stands for the boot loader, which no test can run: it does what grub.cfg above says, on the environment block that the real
// grub-editenv keeps, and shows the kernel as the running one. Kernels in /opt/dead do not come up: somebody takes the power.
const bootSelf = `#!/bin/sh
for f in /proc/[0-9]*; do tr '\000' ' ' <$f/cmdline 2>/dev/null | grep -q 'watch.s[h]' && [ ${f#/proc/} != $PPID ] && kill -9 ${f#/proc/}; done
while :; do
	entry=$(grub-editenv /boot/grub/grubenv list | sed -n s/^next_entry=//p)
	[ -n "$entry" ] || entry=$(grub-editenv /boot/grub/grubenv list | sed -n s/^saved_entry=//p)
	grub-editenv /boot/grub/grubenv set next_entry=
	kernel=$(sh /opt/menu "$entry")
	grep -qx "$kernel" /opt/dead 2>/dev/null || break
done
echo "$kernel" >/run/osrelease
cat /proc/sys/kernel/random/uuid >/run/boot_id
echo "$entry" >>/opt/boots
`

// layouts are the two ways in which GRUB knows entries. menu prints the kernel of an entry, add is what a kernel's own programs do: the entry
// is made and becomes the default.
var layouts = map[string]struct{ cfg, menu, add, remove, entry string }{
	"bls": {
		cfg:    grubHead + "insmod blscfg\nblscfg\n",
		menu:   `sed -n 's,^linux /vmlinuz-,,p' "/boot/loader/entries/$1.conf"`,
		add:    `printf 'title Lab (%s)\nversion %s\nlinux /vmlinuz-%s\n' R R R >/boot/loader/entries/0123-R.conf; grub-editenv /boot/grub/grubenv set saved_entry=0123-R`,
		remove: `rm -f /boot/loader/entries/0123-R.conf`,
		entry:  "0123-%s",
	},
	// As on CentOS 7: what is added copies the id of the entry above, so that titles alone are sure.
	"menu": {
		cfg:  grubHead,
		menu: `awk -v t="$1" '/^menuentry/ { split($0, a, "\047"); hit = a[2] == t || a[4] == t } /linux16/ && hit { sub(".*vmlinuz-", ""); sub(" .*", ""); print; exit }' /boot/grub/grub.cfg`,
		add: `{ sed '/^### entries/q' /boot/grub/grub.cfg; printf "menuentry 'Lab (%s) 7 (Core)' --class os \$menuentry_id_option 'gnulinux-1-1.noarch-advanced-abc' {\n\tload_video\n\tlinux16 /vmlinuz-%s root=UUID=abc ro\n}\n" R R; sed '1,/^### entries/d' /boot/grub/grub.cfg; } >/boot/grub/new; mv /boot/grub/new /boot/grub/grub.cfg; ` +
			`grub-editenv /boot/grub/grubenv set "saved_entry=Lab (R) 7 (Core)"`,
		remove: `sed -i "/(R)/,/^}/d" /boot/grub/grub.cfg`,
		entry:  "Lab (%s) 7 (Core)",
	},
	// As on SUSE and Debian: the kernels are in a submenu, behind entries for the newest one.
	"submenu": {
		cfg:  grubHead,
		menu: `[ "${1%%>*}" = Advanced ] && awk -v t="${1#*>}" '/menuentry /{ split($0, a, "\047"); hit = a[2] == t } /linux[ \t]/ && hit { sub(".*vmlinuz-", ""); sub(" .*", ""); print; exit }' /boot/grub/grub.cfg`,
		add: `{ sed '/^### entries/q' /boot/grub/grub.cfg; printf "menuentry 'Lab' --class os \$menuentry_id_option 'gnulinux-simple-abc' {\n\tlinux\t/boot/vmlinuz-%s root=UUID=abc ro quiet\n}\nsubmenu 'Advanced' \$menuentry_id_option 'gnulinux-advanced-abc' {\n" R; ` +
			`for r in R $(sed -n 's/^\tmenuentry .Lab, with Linux \([^ ]*\)'"'"' .*/\1/p' /boot/grub/grub.cfg); do printf "\tmenuentry 'Lab, with Linux %s' --class os \$menuentry_id_option 'gnulinux-%s-advanced-abc' {\n\t\tlinux\t/boot/vmlinuz-%s root=UUID=abc ro quiet\n\t}\n\tmenuentry 'Lab, with Linux %s (recovery mode)' {\n\t\tlinux /boot/vmlinuz-%s root=UUID=abc single\n\t}\n" $r $r $r $r $r; done; printf '}\n'; } >/boot/grub/new; mv /boot/grub/new /boot/grub/grub.cfg; ` +
			`grub-editenv /boot/grub/grubenv set "saved_entry=Advanced>Lab, with Linux R"`,
		remove: `awk '/with Linux R/ { skip = 1 } !skip { print } skip && /^\t}/ { skip = 0 }' /boot/grub/grub.cfg >/boot/grub/new; mv /boot/grub/new /boot/grub/grub.cfg`,
		entry:  "Advanced>Lab, with Linux %s",
	},
}

// trial is a host with a boot loader and a transaction that installs a new kernel beside the running one.
type trial struct {
	*lab
	tx, back Transaction
	pre      Preflight
	entry    string
	nevra    string // of the new kernel's package
}

// kernelOf is a kernel package that puts itself into the boot loader as distributions' do.
func kernelOf(build, add, remove string) pkg {
	r := build + "-1.noarch"
	p := pkg{nevra: "kernel-" + r, files: map[string]string{"/boot/vmlinuz-" + r: "not a kernel", "/lib/modules/" + r + "/modules.builtin": ""}}
	if add != "" {
		p.post, p.preun = strings.ReplaceAll(add, "R", r), strings.ReplaceAll(remove, "R", r)
	}
	return p
}

func newTrial(t *testing.T, layout string, shell []string, boots bool) *trial {
	t.Helper()
	if _, err := exec.LookPath("grub-editenv"); err != nil && os.Getenv("CI") != "true" {
		t.Skip("needs grub-editenv: not installed")
	}
	y := layouts[layout]
	k := &trial{lab: newLab(t), entry: y.entry, nevra: "kernel-2-1.noarch"}
	k.host.sh("mkdir -p /etc/cron.d; mount -t tmpfs tmpfs /boot; mkdir -p /boot/grub /boot/loader/entries")
	k.host.sh("cat /proc/sys/kernel/random/boot_id >/run/boot_id; echo 1-1.noarch >/run/osrelease; mount --bind /run/boot_id /proc/sys/kernel/random/boot_id; mount --bind /run/osrelease /proc/sys/kernel/osrelease")
	k.put("/opt/menu", y.menu)
	k.host.sh("rm -f /usr/sbin/shutdown /sbin/shutdown")
	k.put("/usr/sbin/shutdown", bootSelf)
	if boots {
		if got := k.host.sh("grub-editenv /boot/grub/grubenv create 2>&1 || :"); strings.Contains(got, "canonical path") {
			t.Skip("needs grub-editenv before 2.14: that of the hosts writes only to a file system on a disk")
		}
		k.put("/boot/grub/grub.cfg", y.cfg+"### entries\n")
	}
	k.install(kernelOf("1", "", ""))
	k.host.shell = shell
	k.host.sh("ln -sf " + shell[0] + " /bin/sh")
	if boots {
		k.host.sh(strings.ReplaceAll(y.add, "R", "1-1.noarch"))
	}
	k.cron()
	return k
}

// transact prepares the transaction and starts it, armed.
func (k *trial) transact(add string, once BootOnce) error {
	k.t.Helper()
	return k.transactWith(add, layouts[k.layout()].remove, once)
}

func (k *trial) transactWith(add, remove string, once BootOnce) error {
	k.t.Helper()
	p := kernelOf("2", add, remove)
	p.nevra = k.nevra
	f := build(k.t, k.key, p)
	k.tx, k.pre = k.prepare("r1/h1/1", Transaction{InstallOnly: []File{f}})
	k.back = Transaction{ID: BackID(k.tx.ID), MachineID: k.tx.MachineID, OldPackage: true, LockWait: time.Minute, Erase: nevras(k.t, k.nevra)}
	return k.s.StartArmed(context.Background(), k.tx, Switch{Back: k.back, After: time.Hour, Boot: once})
}

func (k *trial) layout() string {
	for name, y := range layouts {
		if y.entry == k.entry {
			return name
		}
	}
	return ""
}

// begun is a trial whose transaction has ended.
func begun(t *testing.T, layout string, shell []string) *trial {
	t.Helper()
	return newTrial(t, layout, shell, true).begin(layout)
}

func (k *trial) begin(layout string) *trial {
	t := k.t
	t.Helper()
	if err := k.transact(layouts[layout].add, BootOnceNeeded); err != nil {
		t.Fatal(err)
	}
	if st := await(t, k.s, k.tx.ID, Done); st.RC["i"] != 0 || !st.Kernel.Due {
		t.Fatalf("%+v\n%s", st, k.host.sh("cat /var/lib/cpacman/ledger/*/once /var/lib/cpacman/ledger/*/kernel* /boot/grub/grub.cfg"))
	}
	k.env("1", "2")
	return k
}

// env wants the builds that are booted by default and the next time.
func (k *trial) env(saved, next string) {
	k.t.Helper()
	want := map[string]string{"saved_entry": saved, "next_entry": next}
	got := k.host.sh("grub-editenv /boot/grub/grubenv list")
	for name, build := range want {
		line := ""
		if build != "" {
			line = name + "=" + fmt.Sprintf(k.entry, build+"-1.noarch")
		}
		if line != "" && !strings.Contains(got, line+"\n") || line == "" && strings.Contains(strings.ReplaceAll(got, name+"=\n", ""), name+"=") {
			k.t.Errorf("want %s %q in\n%s", name, line, got)
		}
	}
}

// boots is a boot of the host, and what runs afterwards.
func (k *trial) boots(build string) {
	k.t.Helper()
	k.host.sh("sh /usr/sbin/shutdown")
	k.runs(build)
}

func (k *trial) runs(build string) {
	k.t.Helper()
	if got := strings.TrimSpace(k.host.sh("cat /proc/sys/kernel/osrelease")); got != build+"-1.noarch" {
		k.t.Errorf("runs %s, want build %s; boots:\n%s", got, build, k.host.sh("cat /opt/boots"))
	}
}

// booted waits for the nth boot, one that the host told itself.
func (k *trial) booted(n int) {
	k.t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if got := k.host.sh("cat /opt/boots"); strings.Count(got, "\n") >= n {
			return
		}
	}
	k.t.Fatalf("it does not boot:\n%s", k.host.sh("cat /var/lib/cpacman/ledger/*/kernel.log"))
}

// goneBack has the switch look until the way back has ended; cron may look too.
func (k *trial) goneBack() {
	k.t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		k.look()
		if st, err := k.s.Poll(context.Background(), k.back.ID, PollOptions{}); err != nil || st.Final() {
			return
		}
	}
}

// confirm wants a decision.
func (k *trial) confirm(want Decision, why string) {
	k.t.Helper()
	d, said, err := k.s.Confirm(context.Background(), k.back.ID)
	if err != nil || d != want || why == "" && said != "" || !strings.Contains(said, why) {
		k.t.Errorf("confirm: %s %q, %v; want %s %q", d, said, err, want, why)
	}
}

// The new kernel is booted once; confirmed, it is the default. Health may turn red later: then the host leaves it by a boot.
func TestBootOnceConfirmed(t *testing.T) {
	t.Parallel()
	for layout := range layouts {
		for name, shell := range shells {
			t.Run(layout+"/"+name, func(t *testing.T) {
				t.Parallel()
				k := begun(t, layout, shell)
				if _, _, err := k.s.Confirm(context.Background(), k.back.ID); err == nil || !strings.Contains(err.Error(), "has not booted") {
					t.Errorf("confirmed before its boot: %v", err)
				}
				k.boots("2")
				k.env("1", "")
				if st, err := k.s.Poll(context.Background(), k.tx.ID, PollOptions{}); err != nil || st.Kernel.Due {
					t.Errorf("%+v, %v", st, err)
				}
				for range 2 {
					k.confirm(Confirmed, "")
					k.env("2", "")
				}
				k.gone("/etc/cron.d/")
				k.boots("2")

				if err := k.s.StartBack(context.Background(), k.back); err != nil && !bootedUnder(err) {
					t.Fatal(err)
				}
				k.booted(3)
				k.goneBack() // the boot may not be through yet
				await(t, k.s, k.back.ID, Done)
				k.ended(t)
			})
		}
	}
}

// bootedUnder tells whether a call was cut by a boot of its host.
func bootedUnder(err error) bool {
	var re *RemoteError
	return errors.As(err, &re) && re.Status == -1
}

// ended wants everything as it was.
func (k *trial) ended(t *testing.T) {
	t.Helper()
	k.runs("1")
	k.env("1", "")
	k.asBefore(k.pre)
	k.gone("/etc/cron.d/")
}

// Nobody confirms: the host leaves the new kernel by a boot and has its packages back.
func TestBootOnceUnconfirmed(t *testing.T) {
	t.Parallel()
	k := begun(t, "bls", shells["dash"])
	k.boots("2")
	k.host.sh("echo 1 >/var/lib/cpacman/ledger/r1_h1_1-back/seconds")
	k.look() // notes the boot
	time.Sleep(1500 * time.Millisecond)
	k.look() // decides, and boots
	k.booted(2)
	k.runs("1")
	if st, err := k.s.Poll(context.Background(), k.back.ID, PollOptions{}); err != nil || st.Phase != Armed || st.Final() {
		t.Errorf("%+v, %v", st, err)
	}
	k.look()
	await(t, k.s, k.back.ID, Done)
	k.ended(t)
	k.confirm(GoesBack, "")
}

// The new kernel does not come up: the host boots what it had, says so, and goes back.
func TestBootOnceDead(t *testing.T) {
	t.Parallel()
	for _, asked := range []bool{true, false} {
		t.Run(fmt.Sprintf("asked %v", asked), func(t *testing.T) {
			t.Parallel()
			k := begun(t, "menu", shells["dash"])
			k.host.sh("echo 2-1.noarch >/opt/dead")
			k.boots("1")
			k.env("1", "")
			const why = "kernel 2-1.noarch did not come up: it booted with 1-1.noarch"
			if asked {
				k.confirm(GoesBack, why)
				k.confirm(GoesBack, why)
				if err := k.s.StartBack(context.Background(), k.back); err != nil && !errors.Is(err, ErrReplay) {
					t.Fatal(err)
				}
			} else { // the control host is gone
				k.host.sh("echo 1 >/var/lib/cpacman/ledger/r1_h1_1-back/seconds")
				k.goneBack()
			}
			await(t, k.s, k.back.ID, Done)
			k.ended(t)
			k.confirm(GoesBack, why)
		})
	}
}

// Power is lost between the packages' own programs and the runner, which made the new kernel the default; or between the confirmation's two steps,
// or before them: whatever runs, the host ends where it was.
func TestBootOnceCut(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ cut, runs string }{
		"before it is held":        {`rm $w/once; grub-editenv /boot/grub/grubenv unset next_entry; grub-editenv /boot/grub/grubenv set saved_entry=0123-2-1.noarch; sed -i 's/^phase .*/phase running/' ${w%-back}/state`, "2"},
		"before it is set to boot": {`rm $w/once; grub-editenv /boot/grub/grubenv unset next_entry; sed -i 's/^phase .*/phase running/' ${w%-back}/state`, "1"},
		"after it is set to boot":  {`rm $w/once; sed -i 's/^phase .*/phase running/' ${w%-back}/state`, "2"},
		"before it is decided":     {`sh /usr/sbin/shutdown; sh $w/kernel.sh - /var/lib/cpacman r1_h1_1-back keep`, "2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := begun(t, "bls", shells["dash"])
			k.host.sh("w=/var/lib/cpacman/ledger/r1_h1_1-back; " + c.cut)
			k.boots(c.runs)
			k.host.sh("echo 1 >/var/lib/cpacman/ledger/r1_h1_1-back/seconds")
			k.goneBack()
			k.ended(t)
			k.confirm(GoesBack, "")
		})
	}
}

// A loader that boots the new kernel again whatever it is told: the running kernel is not erased.
func TestBootOnceStuck(t *testing.T) {
	t.Parallel()
	for _, nevra := range []string{"kernel-2-1.noarch", "kernel-default-2.0-7.noarch"} { // SUSE's release is not that of the package
		t.Run(nevra, func(t *testing.T) {
			t.Parallel()
			k := newTrial(t, "bls", shells["dash"], true)
			k.nevra = nevra
			k.begin("bls")
			k.boots("2")
			k.put("/opt/menu", "echo 2-1.noarch")
			if err := k.s.StartBack(context.Background(), k.back); err != nil && !bootedUnder(err) {
				t.Fatal(err)
			}
			k.booted(2)
			k.goneBack() // who had the host boot may look still, and one look of ours find it there
			await(t, k.s, k.back.ID, Done)
			k.runs("2")
			if got := k.host.sh("rpm -qa"); !strings.Contains(got, nevra) {
				t.Errorf("the running kernel was erased: %s", got)
			}
		})
	}
}

// Where nothing can boot a kernel once, nothing is started, and the reason is told; where that is allowed, the packages decide as they do.
func TestBootOnceRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ spoil, why string }{
		"none":    {"rm -rf /boot/grub", "no boot loader was found"},
		"unsaved": {`sed -i 's/{saved_entry}"$/0/' /boot/grub/grub.cfg`, "GRUB_DEFAULT=saved"},
		"old":     {`sed -i /next_entry/d /boot/grub/grub.cfg`, "knows no next_entry"},
		"env":     {"rm /boot/grub/grubenv", "no environment block"},
		"tool":    {"rm /usr/bin/grub-editenv", "no grub-editenv"},
		"entry":   {"rm /boot/loader/entries/*", "no entry for kernel 1-1.noarch"},
		"two":     {"cp /boot/loader/entries/0123-1-1.noarch.conf /boot/loader/entries/4567-1-1.noarch.conf", "several entries"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newTrial(t, "bls", shells["dash"], true)
			if err := k.s.CanBootOnce(context.Background()); err != nil {
				t.Errorf("it can: %v", err)
			}
			k.host.sh(c.spoil)
			if err := k.s.CanBootOnce(context.Background()); !errors.Is(err, ErrNoBootOnce) || !strings.Contains(err.Error(), c.why) {
				t.Errorf("asked: %v", err)
			}
			if err := k.transact("", BootOnceNeeded); !errors.Is(err, ErrNoBootOnce) || !strings.Contains(err.Error(), c.why) {
				t.Fatalf("%v", err)
			}
			if got := k.host.sh("ls /var/lib/cpacman/ledger /etc/cron.d"); strings.Contains(got, "r1_h1_1") || strings.Contains(got, "cpacman-switch") {
				t.Errorf("left behind: %s", got)
			}
			if err := k.transact("", BootOnceWanted); err != nil {
				t.Fatal(err)
			}
			if st := await(t, k.s, k.tx.ID, Done); st.RC["i"] != 0 || !strings.Contains(st.Kernel.Not, c.why) || st.Kernel.Due {
				t.Errorf("%+v", st)
			}
			k.confirm(Confirmed, "")
		})
	}
}

// The new kernel's own programs fail to make an entry: the host keeps booting what it has, and says why.
func TestBootOnceWithoutEntry(t *testing.T) {
	t.Parallel()
	k := newTrial(t, "submenu", shells["dash"], true)
	if err := k.transact(`grub-editenv /boot/grub/grubenv set saved_entry=0`, BootOnceNeeded); err != nil {
		t.Fatal(err)
	}
	if st := await(t, k.s, k.tx.ID, Done); st.RC["i"] != 0 || !strings.Contains(st.Kernel.Failed, "no entry for kernel 2-1.noarch") {
		t.Errorf("%+v", st)
	}
	k.env("1", "")
	k.boots("1")
}

// cut takes the power away in the last program of the new kernel's package, when it has become the default, and gives it again.
func (k *trial) cut(layout string) {
	k.t.Helper()
	y := layouts[layout]
	if err := k.transactWith(y.add+"\ntouch /opt/at-the-end; sleep 1000", y.remove, BootOnceNeeded); err != nil {
		k.t.Fatal(err)
	}
	k.host.wait("/opt/at-the-end")
	if got := k.host.sh("grub-editenv /boot/grub/grubenv list"); !strings.Contains(got, "saved_entry="+fmt.Sprintf(k.entry, "2-1.noarch")+"\n") {
		k.t.Fatalf("the package has not made its kernel the default:\n%s", got)
	}
	k.host.sh("kill -s KILL -- -$(sed -n 's/^pid //p' /var/lib/cpacman/ledger/r1_h1_1/state)")
}

// The power is lost before the runner could say which kernel is to be booted: the one that ran is booted nevertheless, and from then on, so that
// a new one that does not come up does no harm; then the host goes back.
func TestBootOncePowerLost(t *testing.T) {
	t.Parallel()
	for layout := range layouts {
		t.Run(layout, func(t *testing.T) {
			t.Parallel()
			k := newTrial(t, layout, shells["dash"], true)
			k.cut(layout)
			k.boots("1")
			k.look()
			k.env("1", "")
			if t.Failed() {
				t.FailNow() // a host that boots what does not come up does not answer any more
			}
			k.host.sh("echo 2-1.noarch >/opt/dead")
			k.boots("1") // once more
			k.host.sh("echo 1 >/var/lib/cpacman/ledger/r1_h1_1-back/seconds")
			k.goneBack()
			k.ended(t)
			k.confirm(GoesBack, "")
		})
	}
}

// A transaction that is refused, or never begins, leaves the boot loader as it was.
func TestBootOnceRefusedLater(t *testing.T) {
	t.Parallel()
	for _, never := range []bool{false, true} {
		t.Run(fmt.Sprintf("never %v", never), func(t *testing.T) {
			t.Parallel()
			k := newTrial(t, "bls", shells["dash"], true)
			before := k.host.sh("grub-editenv /boot/grub/grubenv list")
			if never {
				k.host.sh("mkdir -p -m 700 /var/lib/cpacman/ledger/r1_h1_1; chmod 700 /var/lib/cpacman /var/lib/cpacman/ledger; printf 'protocol 1\\nphase done\\n' >/var/lib/cpacman/ledger/r1_h1_1/state") // its id was used before
			}
			f := build(t, k.key, kernelOf("2", layouts["bls"].add, layouts["bls"].remove))
			k.tx, k.pre = k.prepare("r1/h1/1", Transaction{InstallOnly: []File{f}})
			k.back = Transaction{ID: BackID(k.tx.ID), MachineID: k.tx.MachineID, OldPackage: true, LockWait: time.Minute, Erase: nevras(t, k.nevra)}
			k.tx.ExpectCount++ // the host has changed
			err := k.s.StartArmed(context.Background(), k.tx, Switch{Back: k.back, After: time.Hour, Boot: BootOnceNeeded})
			if never != errors.Is(err, ErrReplay) {
				t.Fatal(err)
			}
			if !never {
				if st := await(t, k.s, k.tx.ID, Refused); st.Reason != RefusedChanged {
					t.Fatalf("%+v", st)
				}
			}
			if got := k.host.sh("grub-editenv /boot/grub/grubenv list"); got != before {
				t.Errorf("the boot loader has\n%s\nand had\n%s", got, before)
			}
		})
	}
}
