package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cpacman/inventory"
)

// newLab makes a lab that goes away with the test.
func newLab(t *testing.T, o Options) *Lab {
	t.Helper()
	Need(t)
	dir, err := os.MkdirTemp("/var/tmp", "cpacman-lab-test-") // t.TempDir's names have characters that overlay options do not take
	if err != nil {
		t.Fatal(err)
	}
	o.Dir = filepath.Join(dir, "lab")
	l, err := Up(t.Context(), o)
	t.Cleanup(func() {
		if l != nil {
			if err := l.Down(context.Background()); err != nil {
				t.Errorf("down: %v", err)
			}
			checkGone(t, l.ID())
		}
		if err := os.Remove(dir); err != nil {
			t.Errorf("down left files: %v", err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// checkGone looks for anything a lab may have left on the machine.
func checkGone(t *testing.T, id string) {
	t.Helper()
	if pids, err := labProcesses(id); err != nil || len(pids) > 0 {
		t.Errorf("processes %v are left (%v)", pids, err)
	}
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range interfaces {
		if strings.Contains(i.Name, id) {
			t.Errorf("interface %s is left", i.Name)
		}
	}
	for _, file := range []string{"/proc/self/mountinfo", "/proc/1/mountinfo"} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, []byte("cpacman-lab-test")) || bytes.Contains(data, []byte(id)) {
			t.Errorf("a mount is left in %s", file)
		}
	}
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.Contains(path, "cpl-"+id) {
			t.Errorf("control group %s is left", path)
		}
		return nil
	})
}

// overSSH runs a command on a host with the machine's own ssh client.
func overSSH(t *testing.T, h Host, stdin, command string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ssh", "-i", h.IdentityFile, "-o", "UserKnownHostsFile="+h.KnownHosts, "-o", "BatchMode=yes",
		"-o", "ConnectTimeout=2", "-o", "StrictHostKeyChecking=yes", "-F", "none", h.User+"@"+h.Address, command)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// inside runs a shell script in a host and fails the test when that fails.
func inside(t *testing.T, l *Lab, host, text string) string {
	t.Helper()
	out, err := l.shell(t.Context(), host, nil, text)
	if err != nil {
		t.Fatalf("%s: %v", host, err)
	}
	return strings.TrimSpace(out)
}

func TestLab(t *testing.T) {
	l := newLab(t, Options{Hosts: 4, SlowSeconds: 1})
	t.Run("ssh and sudo", func(t *testing.T) { testSSH(t, l) })
	t.Run("databases", func(t *testing.T) { testDatabases(t, l) })
	t.Run("isolation", func(t *testing.T) { testIsolation(t, l) })
	t.Run("up twice", func(t *testing.T) {
		if _, err := Up(t.Context(), Options{Dir: l.Dir(), Hosts: 1}); !errors.Is(err, ErrExists) || !strings.Contains(err.Error(), "4 hosts is up") {
			t.Errorf("second up: %v", err)
		}
	})
	t.Run("site", func(t *testing.T) {
		site, err := inventory.Load(l.SiteDir())
		if err != nil {
			t.Fatal(err)
		}
		if problems := site.Check(); len(problems) > 0 || len(site.Hosts) != 4 {
			t.Errorf("the site has %d hosts and problems %v", len(site.Hosts), problems)
		}
	})
	t.Run("open", func(t *testing.T) {
		other, err := Open(l.Dir())
		if err != nil {
			t.Fatal(err)
		}
		if got, want := fmt.Sprint(other.Hosts()), fmt.Sprint(l.Hosts()); got != want {
			t.Errorf("hosts of the opened lab differ:\n%s\n%s", got, want)
		}
	})
	t.Run("cut", func(t *testing.T) { testCut(t, l) })
	t.Run("sshd", func(t *testing.T) { testSSHD(t, l) })
	t.Run("disk", func(t *testing.T) { testDisk(t, l) })
	t.Run("lock", func(t *testing.T) { testLock(t, l) })
	t.Run("packages by hand", func(t *testing.T) { testPackagesByHand(t, l) })
	t.Run("corrupt", func(t *testing.T) { testCorrupt(t, l) })
	t.Run("update all", func(t *testing.T) { testUpdateAll(t, l) })
	t.Run("trouble", func(t *testing.T) { testTrouble(t, l) })
	t.Run("reboot", func(t *testing.T) { testReboot(t, l) })
}

func testSSH(t *testing.T, l *Lab) {
	seen := map[SudoMode]bool{}
	systemd := 0
	for _, h := range l.Hosts() {
		seen[h.Sudo] = true
		out, err := overSSH(t, h, "", "hostname; id -un; cat /etc/machine-id; ps -o comm= -p 1")
		if want := fmt.Sprintf("%s\n%s\n%s\n", h.Name, h.User, h.MachineID); err != nil || !strings.HasPrefix(out, want) {
			t.Errorf("%s: %q (%v), want %q", h.Name, out, err, want)
		}
		if h.Systemd {
			systemd++
			if !strings.HasSuffix(out, "systemd\n") {
				t.Errorf("%s: process 1 is not systemd: %q", h.Name, out)
			}
			if state := inside(t, l, h.Name, "systemctl is-system-running"); state != "running" {
				t.Errorf("%s: systemd is %s", h.Name, state)
			}
		}
		password := ""
		switch h.Sudo {
		case SudoNever:
			out, err = overSSH(t, h, "", "id -u")
		case SudoNopasswd:
			out, err = overSSH(t, h, "", "sudo -n /bin/sh -c 'id -u'")
		case SudoPassword:
			if out, err := overSSH(t, h, "", "sudo -n /bin/sh -c 'id -u'"); err == nil {
				t.Errorf("%s: sudo asked for no password: %s", h.Name, out)
			}
			if out, err := overSSH(t, h, "wrong\n", "sudo -S -p '' /bin/sh -c 'id -u'"); err == nil {
				t.Errorf("%s: sudo took a wrong password: %s", h.Name, out)
			}
			password = h.SudoPassword
			out, err = overSSH(t, h, password+"\n", "sudo -S -p '' /bin/sh -c 'id -u'")
		}
		if err != nil || out != "0\n" {
			t.Errorf("%s: becoming root by %s: %q (%v)", h.Name, h.Sudo, out, err)
		}
		if h.Sudo != SudoNever {
			if out, err := overSSH(t, h, password+"\n", "sudo -S -p '' /usr/bin/id -u"); err == nil {
				t.Errorf("%s: sudo allows more than /bin/sh: %s", h.Name, out)
			}
			h.User = "root"
			if out, err := overSSH(t, h, "", "true"); err == nil {
				t.Errorf("%s: root may log in although there is sudo: %s", h.Name, out)
			}
		}
	}
	if len(seen) != 3 || systemd != 1 {
		t.Errorf("sudo modes %v and %d hosts with systemd, want all three and one", seen, systemd)
	}
}

func testDatabases(t *testing.T, l *Lab) {
	for _, h := range l.Hosts() {
		all := inside(t, l, h.Name, "rpm -qa | sort")
		for _, want := range []string{"lab-app-1.0-1.lab9.x86_64", "labsvc-1.0-1.lab9.x86_64", "lab-candidate-2.0~rc1-1.lab9.noarch", "gpg-pubkey-", "kernel-5.14.0-362.8.1.lab9.x86_64"} {
			if !strings.Contains(all, want) {
				t.Errorf("%s has no %s", h.Name, want)
			}
		}
		if got := strings.Contains(all, "glibc-2.34-60.lab9.i686"); got != (h.Variant != variantLean) {
			t.Errorf("%s, set %s: i686 library installed: %v", h.Name, h.Variant, got)
		}
		if got := strings.Count(all, "\nkernel-"); got != map[string]int{variantKernels: 2}[h.Variant]+map[bool]int{true: 0, false: 1}[h.Variant == variantKernels] {
			t.Errorf("%s, set %s: %d kernels", h.Name, h.Variant, got)
		}
		if out := inside(t, l, h.Name, "rpm -Va --noscripts"); out != "" {
			t.Errorf("%s: rpm -Va: %s", h.Name, out)
		}
		if release := inside(t, l, h.Name, "uname -r"); release != "5.14.0-362.8.1.lab9.x86_64" {
			t.Errorf("%s: kernel %s", h.Name, release)
		}
	}
	// every package but the unsigned one is signed by the key that hosts have
	h := l.Hosts()[0].Name
	files, err := filepath.Glob(filepath.Join(l.SiteDir(), "repos", "*", "*.rpm"))
	if err != nil || len(files) < 60 {
		t.Fatalf("%d packages (%v)", len(files), err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out, _, exit, err := l.ExecInput(t.Context(), h, bytes.NewReader(data), "/bin/sh", "-c", "cat >/tmp/p.rpm; rpm -K --define '_pkgverify_level all' /tmp/p.rpm")
		if err != nil {
			t.Fatal(err)
		}
		if ok := exit == 0; ok == strings.Contains(f, "lab-unsigned-2.0") {
			t.Errorf("rpm -K %s: exit status %d: %s", filepath.Base(f), exit, out)
		}
	}
}

func testIsolation(t *testing.T, l *Lab) {
	boots := map[string]bool{}
	for _, h := range l.Hosts() {
		boots[inside(t, l, h.Name, "cat /proc/sys/kernel/random/boot_id")] = true
		if out, _, exit, err := l.Exec(t.Context(), h.Name, "test", "-e", filepath.Join(l.SiteDir(), "ssh", identityFile)); err != nil || exit == 0 {
			t.Errorf("%s sees the lab's identity: %s (%v)", h.Name, out, err)
		}
		if _, _, exit, err := l.Exec(t.Context(), h.Name, "sh", "-c", "echo 1 >/proc/sys/kernel/panic"); err != nil || exit == 0 {
			t.Errorf("%s can change settings of the machine (%v)", h.Name, err)
		}
		if _, _, exit, err := l.Exec(t.Context(), h.Name, "test", "-e", "/var/lib/dpkg"); err != nil || exit == 0 {
			t.Errorf("%s sees the package database of the machine (%v)", h.Name, err)
		}
	}
	if len(boots) != len(l.Hosts()) {
		t.Errorf("%d boot ids for %d hosts", len(boots), len(l.Hosts()))
	}
}

func testCut(t *testing.T, l *Lab) {
	h := l.Hosts()[0]
	if err := l.Cut(t.Context(), h.Name); err != nil {
		t.Fatal(err)
	}
	dialer := net.Dialer{Timeout: 500 * time.Millisecond}
	_, err := dialer.DialContext(t.Context(), "tcp", h.Address+":22")
	var ne net.Error
	if !errors.As(err, &ne) || !ne.Timeout() {
		t.Errorf("connection over a cut link: %v, want a timeout", err)
	}
	list, err := l.Status(t.Context())
	if err != nil || list[0].State != "cut" || list[1].State != "up" {
		t.Errorf("status %v (%v)", list, err)
	}
	if err := l.Restore(t.Context(), h.Name); err != nil {
		t.Fatal(err)
	}
	if out, err := overSSH(t, h, "", "true"); err != nil {
		t.Errorf("after restore: %v: %s", err, out)
	}
}

func testSSHD(t *testing.T, l *Lab) {
	for _, h := range l.Hosts()[2:] { // one without systemd, one with
		if err := l.KillSSHD(t.Context(), h.Name); err != nil {
			t.Fatal(err)
		}
		time.Sleep(1200 * time.Millisecond) // nothing may bring it back by itself
		if _, err := net.DialTimeout("tcp", h.Address+":22", time.Second); err == nil || !strings.Contains(err.Error(), "refused") {
			t.Errorf("%s: connection to a killed sshd: %v, want refused", h.Name, err)
		}
		if err := l.StartSSHD(t.Context(), h.Name); err != nil {
			t.Fatal(err)
		}
		if out, err := overSSH(t, h, "", "true"); err != nil {
			t.Errorf("%s: after start: %v: %s", h.Name, err, out)
		}
	}
}

func testDisk(t *testing.T, l *Lab) {
	h := l.Hosts()[0].Name
	free, err := l.FillDisk(t.Context(), h, "", 8192)
	if err != nil || free < 0 || free > 8192 {
		t.Fatalf("%d bytes free (%v)", free, err)
	}
	if _, _, exit, err := l.Exec(t.Context(), h, "dd", "if=/dev/zero", "of=/var/tmp/x", "bs=64k", "count=1"); err != nil || exit == 0 {
		t.Errorf("could write on a full disk (%v)", err)
	}
	if err := l.FreeDisk(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	inside(t, l, h, "dd if=/dev/zero of=/var/tmp/x bs=64k count=1; rm /var/tmp/x")
	if _, err := l.FillDisk(t.Context(), h, "/usr", 0); err == nil || !strings.Contains(err.Error(), "machine below") {
		t.Errorf("filling the machine's own disk: %v", err)
	}
}

func testLock(t *testing.T, l *Lab) {
	h := l.Hosts()[1].Name
	before := inside(t, l, h, "rpm -qa | sort")
	if err := l.HoldLock(t.Context(), h, 30*time.Second); err != nil {
		t.Fatal(err)
	}
	out, _, exit, err := l.Exec(t.Context(), h, "sh", "-c", "rpm -e lab-held </dev/null 2>&1")
	if err != nil || exit == 0 || !strings.Contains(string(out), "transaction lock") {
		t.Errorf("rpm with a held lock: exit status %d, %s (%v)", exit, out, err)
	}
	if err := l.ReleaseLock(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	inside(t, l, h, "i=0; until rpm -U --test --replacepkgs --nodeps /nonexistent 2>&1 | grep -q 'open of'; do i=$((i+1)); [ $i -lt 50 ]; sleep 0.1; done")
	inside(t, l, h, "i=0; while pidof rpm >/dev/null; do i=$((i+1)); [ $i -lt 50 ] || exit 1; sleep 0.1; done")
	if after := inside(t, l, h, "rpm -qa | sort"); after != before {
		t.Error("holding the lock changed the installed packages")
	}
}

func testPackagesByHand(t *testing.T, l *Lab) {
	h := l.Hosts()[0].Name
	ctx := t.Context()
	check := func(want string, got string, err error) {
		t.Helper()
		if err != nil || got != want {
			t.Errorf("got %s (%v), want %s", got, err, want)
		}
	}
	nevra, err := l.Add(ctx, h, "lab-tools")
	check("lab-tools-1.2-1.lab9.x86_64", nevra, err)
	nevra, err = l.Downgrade(ctx, h, "lab-tools")
	check("lab-tools-1.1-1.lab9.x86_64", nevra, err)
	nevra, err = l.Downgrade(ctx, h, "lab-tools")
	check("lab-tools-1.0-1.lab9.x86_64", nevra, err)
	check("lab-tools-1.0-1.lab9.x86_64", inside(t, l, h, "rpm -q lab-tools"), nil)
	nevra, err = l.Add(ctx, h, "lab-epoch")
	check("lab-epoch-1:4.0-1.lab9.noarch", nevra, err)
	if _, err := l.Downgrade(ctx, h, "lab-tools"); !errors.Is(err, ErrUsage) {
		t.Errorf("downgrade below the oldest: %v", err)
	}
	if _, err := l.Add(ctx, h, "no-such-package"); !errors.Is(err, ErrUsage) {
		t.Errorf("unknown package: %v", err)
	}
	if err := l.Remove(ctx, h, "lab-lib", false); err == nil || !strings.Contains(err.Error(), "needed by") {
		t.Errorf("removal of a package that others need: %v", err)
	}
	if err := l.Remove(ctx, h, "lab-lib", true); err != nil {
		t.Error(err)
	}
	if out, _, _, _ := l.Exec(ctx, h, "rpm", "-Va", "--nofiles", "--noscripts"); !bytes.Contains(out, []byte("lab-lib")) {
		t.Errorf("the host is not broken: %s", out)
	}
	nevra, err = l.Add(ctx, h, "lab-lib-1.0-1.lab9")
	check("lab-lib-1.0-1.lab9.x86_64", nevra, err)
}

func testCorrupt(t *testing.T, l *Lab) {
	h := l.Hosts()[0].Name
	inside(t, l, h, "mkdir -p /var/lib/cpacman/x; head -c 10000 /dev/zero >/var/lib/cpacman/x/a.rpm; cp /var/lib/cpacman/x/a.rpm /var/lib/cpacman/x/b.txt")
	files, err := l.Corrupt(t.Context(), h, "*.rpm")
	if err != nil || len(files) != 1 || files[0] != "/var/lib/cpacman/x/a.rpm" {
		t.Fatalf("changed %v (%v)", files, err)
	}
	if got := inside(t, l, h, "cmp -l /var/lib/cpacman/x/a.rpm /var/lib/cpacman/x/b.txt | wc -l"); got != "1" {
		t.Errorf("%s bytes differ, want 1", got)
	}
	if _, err := l.Corrupt(t.Context(), h, "*.none"); err == nil {
		t.Error("no file matched, and no error")
	}
	inside(t, l, h, "rm -r /var/lib/cpacman")
}
