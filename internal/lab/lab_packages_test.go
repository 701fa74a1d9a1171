package lab

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// send puts package files of a repository into a directory of a host.
func send(t *testing.T, l *Lab, host, repo string, keep func(name string) bool) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(l.SiteDir(), "repos", repo, "*.rpm"))
	if err != nil {
		t.Fatal(err)
	}
	inside(t, l, host, "rm -rf /tmp/send; mkdir /tmp/send")
	for _, f := range files {
		if !keep(filepath.Base(f)) {
			continue
		}
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.shell(t.Context(), host, bytes.NewReader(data), `cat >"/tmp/send/$1"`, filepath.Base(f)); err != nil {
			t.Fatal(err)
		}
	}
}

// testUpdateAll: all of labos-updates but what is held or changes its architecture is
// accepted by rpm, and the hosts are well afterwards.
func testUpdateAll(t *testing.T, l *Lab) {
	for _, h := range l.Hosts()[1:] {
		send(t, l, h.Name, repoUpdates, func(name string) bool {
			for _, not := range []string{"lab-held-", "lab-doc-", "lab-tools-1.1-"} {
				if strings.HasPrefix(name, not) {
					return false
				}
			}
			return h.Variant != variantLean || !strings.HasSuffix(name, ".i686.rpm")
		})
		out := inside(t, l, h.Name, `cd /tmp/send
rpm -U --test $(ls | grep -v ^kernel) 2>&1 | grep -v '^rpm: '
rpm -i --test --replacefiles kernel* linux-firmware* 2>&1 | grep -v '^rpm: '
rpm -U $(ls | grep -v ^kernel) 2>&1 | grep -v '^rpm: '
rpm -i kernel* 2>&1 | grep -v '^rpm: '
rpm -Va --nofiles --noscripts
i=0; until /usr/bin/labsvc-check >/dev/null; do i=$((i+1)); [ $i -lt 30 ] || break; sleep 0.1; done
/usr/bin/labsvc-check`)
		if out != "ok" {
			t.Errorf("%s: update of all: %s", h.Name, out)
		}
		if got := inside(t, l, h.Name, "rpm -q --qf '%{EVR} ' lab-old lab-new lab-epoch lab-candidate lab-snapshot labsvc || :"); !strings.HasSuffix(got, "2.0-1.lab9 1:4.0-1.lab9 2.0-1.lab9 1.0^20240501gitabc-1.lab9 1.1-1.lab9") {
			t.Errorf("%s: versions after the update: %s", h.Name, got)
		}
		if code, body := get(t, h); code != 200 || body != "ok\n" {
			t.Errorf("%s: service answers %d %q", h.Name, code, body)
		}
		if out, err := overSSH(t, h, "", "true"); err != nil {
			t.Errorf("%s: ssh after the update of sshd: %v: %s", h.Name, err, out)
		}
	}
}

func get(t *testing.T, h Host) (int, string) {
	t.Helper()
	client := http.Client{Timeout: 2 * time.Second}
	resp, err := client.Get(fmt.Sprintf("http://%s:%d/", h.Address, servicePort))
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1000))
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func testTrouble(t *testing.T, l *Lab) {
	for _, h := range l.Hosts()[2:] {
		send(t, l, h.Name, repoTrouble, func(name string) bool { return !strings.HasPrefix(name, lockHolder) })
		for _, tc := range []struct{ name, want, version string }{
			{"lab-badpost", "%post(lab-badpost-2.0-1.lab9.noarch) scriptlet failed", "2.0"},
			{"lab-badpre", "%prein(lab-badpre-2.0-1.lab9.noarch) scriptlet failed", "1.0"},
			{"lab-asks", "nobody answered", "2.0"},
			{"lab-slow", "", "2.0"},
			{"lab-unsigned", "does not verify: no signature", "1.0"},
			{"labsvc", "", "2.0"},
		} {
			out, _, _, err := l.Exec(t.Context(), h.Name, "sh", "-c", "rpm -U --define '_pkgverify_level all' /tmp/send/"+tc.name+"-2.0-* </dev/null 2>&1; rpm -q --qf '%{VERSION}' "+tc.name)
			if err != nil || !strings.Contains(string(out), tc.want) || !strings.HasSuffix(string(out), tc.version) {
				t.Errorf("%s: %s: %s (%v), want %q and version %s", h.Name, tc.name, out, err, tc.want, tc.version)
			}
		}
		if got := inside(t, l, h.Name, "cut -d' ' -f1,2 /var/log/lab-slow.log"); got != "post begins\npost ends" {
			t.Errorf("%s: trail of lab-slow: %q", h.Name, got)
		}
		if _, _, exit, err := l.Exec(t.Context(), h.Name, "labsvc-check"); err != nil || exit != 1 {
			t.Errorf("%s: labsvc-check of a sick service: exit status %d (%v)", h.Name, exit, err)
		}
		if h.Systemd {
			if out := inside(t, l, h.Name, "i=0; until systemctl is-failed --quiet labsvc; do i=$((i+1)); [ $i -lt 50 ] || break; sleep 0.1; done; systemctl --failed --no-legend --plain"); !strings.HasPrefix(out, "labsvc.service") {
				t.Errorf("%s: failed units: %q", h.Name, out)
			}
		} else if code, _ := get(t, h); code != 500 {
			t.Errorf("%s: sick service answers %d", h.Name, code)
		}
	}
}

func testReboot(t *testing.T, l *Lab) {
	identity := "cat /proc/sys/kernel/random/boot_id; cat /etc/machine-id; rpm -qa | wc -l"
	for _, h := range l.Hosts()[2:] {
		before := strings.Fields(inside(t, l, h.Name, identity+"; touch /var/kept /usr/kept /tmp/lost"))
		if err := l.Reboot(t.Context(), h.Name); err != nil {
			t.Fatal(err)
		}
		after := strings.Fields(inside(t, l, h.Name, identity+"; test -e /var/kept; test -e /usr/kept; test ! -e /tmp/lost"))
		if before[0] == after[0] {
			t.Errorf("%s: the boot id is the same after a reboot", h.Name)
		}
		if before[1] != after[1] || before[2] != after[2] {
			t.Errorf("%s: a reboot changed the machine: %v, %v", h.Name, before, after)
		}
		if release := inside(t, l, h.Name, "uname -r"); release != "5.14.0-427.13.1.lab9.x86_64" {
			t.Errorf("%s: kernel %s after a reboot, want the newest installed", h.Name, release)
		}
		// and by itself
		inside(t, l, h.Name, "reboot")
		deadline, again := time.Now().Add(time.Minute), time.Now().Add(15*time.Second)
		for {
			out, _, exit, err := l.Exec(t.Context(), h.Name, "cat", "/proc/sys/kernel/random/boot_id")
			if err == nil && exit == 0 && strings.TrimSpace(string(out)) != after[0] {
				break
			}
			if err == nil && exit == 0 && time.Now().After(again) { // on a machine that is busy with other labs the word has been seen to get lost
				again = again.Add(15 * time.Second)
				t.Logf("%s is told to reboot again", h.Name)
				inside(t, l, h.Name, "reboot")
			}
			if time.Now().After(deadline) {
				ps, _, _, _ := l.Exec(t.Context(), h.Name, "sh", "-c", "ps -ef; ls -l /run/lab; cat /run/lab/shutdown")
				t.Fatalf("%s did not reboot by itself: boot id %q, was %q, exit status %d, %v\n%s", h.Name, out, after[0], exit, err, ps)
			}
			time.Sleep(50 * time.Millisecond)
		}
		if err := l.WaitReady(t.Context(), h.Name); err != nil {
			t.Error(err)
		}
	}
}
