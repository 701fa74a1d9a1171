package host

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// fakeSystemd lets a host look as if systemd ran it: systemctl writes down what it is asked for, and process 1 is in its scope.
func (h *realHost) fakeSystemd() {
	h.t.Helper()
	h.sh(`mkdir -p /run/systemd/system
cat >/usr/bin/systemctl <<'EOF'
#!/bin/sh
echo "$*" >>/opt/asked
case "$1 $3" in
"try-restart slow.service") sleep 2 ;;
"try-restart bad.service" | "try-restart auditd.service") echo "no $3" >&2; exit 1 ;;
"is-active bad.service") echo failed; exit 3 ;;
"is-active "*) echo active ;;
esac
EOF
cat >/usr/bin/systemd-run <<'EOF'
#!/bin/sh
while [ "$1" != /bin/sh ]; do [ "$1" != --help ] || exit 0; shift; done
setsid "$@" </dev/null >/dev/null 2>&1 &
EOF
chmod 755 /usr/bin/systemctl /usr/bin/systemd-run
mkdir -p /opt/cg
echo 0::/outer/init.scope >/opt/cg/1; mount --bind /opt/cg/1 /proc/1/cgroup`)
}

// daemon starts a process in a control group; its program is replaced, unless fresh.
func (h *realHost) daemon(name, cgroup string, fresh bool) int {
	h.t.Helper()
	replace := "cp /bin/sleep /usr/libexec/%[1]s.new; mv /usr/libexec/%[1]s.new /usr/libexec/%[1]s"
	if fresh {
		replace = ": %[1]s"
	}
	out := h.sh(fmt.Sprintf(`mkdir -p /usr/libexec; cp /bin/sleep /usr/libexec/%[1]s
setsid /usr/libexec/%[1]s 1000 </dev/null >/dev/null 2>&1 & pid=$!
until [ "$(cat /proc/$pid/comm)" = %[1]s ]; do sleep 0.05; done
`+replace+`
if [ -n '%[2]s' ]; then echo '%[2]s' >/opt/cg/$pid; mount --bind /opt/cg/$pid /proc/$pid/cgroup; fi
echo $pid`, name, cgroup))
	pid := 0
	if _, err := fmt.Sscan(strings.TrimSpace(out), &pid); err != nil {
		h.t.Fatalf("%q: %v", out, err)
	}
	return pid
}

// Processes that run what is gone are found with the unit they belong to, under each shell; those of containers and the call's own are not.
func TestStaleProcesses(t *testing.T) {
	t.Parallel()
	h := newRealHost(t)
	h.fakeSystemd()
	h.daemon("web", "0::/outer/system.slice/web.service", false)
	h.daemon("worker", "0::/outer/system.slice/system-job.slice/job@a\\x2db.service/extra", false)
	h.daemon("old", "3:cpu:/elsewhere\n1:name=systemd:/outer/system.slice/old.service\n0::/", false)
	h.daemon("inside", "0::/outer/machine.slice/docker-12.scope/system.slice/web.service", false)
	h.daemon("login", "0::/outer/user.slice/user-0.slice/session-1.scope", false)
	h.daemon("new", "0::/outer/system.slice/new.service", true)
	h.daemon("stray", "0::/outer", false)
	want := []string{"web web.service", `worker job@a\x2db.service`, "old old.service", "inside docker-12.scope", "login session-1.scope", "stray "}
	slices.Sort(want)
	s := NewSession(h, SessionOptions{Host: "h1"})
	for name, shell := range shells {
		h.shell = shell
		begin := time.Now()
		got, err := s.Stale(context.Background())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		t.Logf("%s: %s", name, time.Since(begin))
		var have []string
		for _, p := range got.Processes {
			have = append(have, p.Command+" "+p.Unit)
		}
		slices.Sort(have)
		if !got.Systemd || !slices.Equal(have, want) {
			t.Errorf("%s: systemd %v, %q, want %q", name, got.Systemd, have, want)
		}
	}
	h.sh("rmdir /run/systemd/system")
	if got, err := s.Stale(context.Background()); err != nil || got.Systemd || len(got.Processes) != len(want) {
		t.Errorf("without systemd: %+v, %v", got, err)
	}
}

// Services are restarted once for a transaction, detached, under each shell; what was cut is done again.
func TestRestartUnits(t *testing.T) {
	t.Parallel()
	for name, shell := range shells {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			h := newRealHost(t)
			h.shell = shell
			h.fakeSystemd()
			s := NewSession(h, SessionOptions{Host: "h1"})
			if _, err := s.PollRestart(ctx, "r1/h1/1"); err == nil {
				t.Error("an unknown transaction")
			}
			h.sh("umask 077; mkdir -p /var/lib/cpacman/ledger/r1_h1_1; echo phase done >/var/lib/cpacman/ledger/r1_h1_1/state")
			if st, err := s.PollRestart(ctx, "r1/h1/1"); err != nil || st.Phase != RestartNone {
				t.Fatalf("before: %+v, %v", st, err)
			}
			units := []string{"bad.service", `job@a\x2db.service`, "slow.service"}
			st, err := s.RestartUnits(ctx, "r1/h1/1", units)
			if err != nil || st.Phase != RestartRunning {
				t.Fatalf("asked: %+v, %v", st, err)
			}
			if st, err = s.RestartUnits(ctx, "r1/h1/1", units); err != nil || st.Phase != RestartRunning {
				t.Fatalf("asked twice: %+v, %v", st, err)
			}
			ended := func() RestartStatus {
				for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
					if st, err = s.PollRestart(ctx, "r1/h1/1"); err != nil || st.Phase != RestartRunning {
						break
					}
				}
				return st
			}
			want := []RestartedUnit{{"bad.service", false, "failed"}, {`job@a\x2db.service`, true, "active"}, {"slow.service", true, "active"}}
			if st = ended(); err != nil || st.Phase != RestartDone || !slices.Equal(st.Units, want) || !strings.Contains(strings.Join(st.Log, ""), "no bad.service") {
				t.Fatalf("ended: %+v, %v", st, err)
			}
			if st, err = s.RestartUnits(ctx, "r1/h1/1", units); err != nil || st.Phase != RestartDone {
				t.Errorf("asked again: %+v, %v", st, err)
			}
			if got := strings.Count(h.sh("cat /opt/asked"), "try-restart -- slow.service"); got != 1 {
				t.Errorf("restarted %d times", got)
			}

			// The host boots in the middle: it is to be asked for again.
			h.sh("cd /var/lib/cpacman/ledger/r1_h1_1/restart; rm done; echo 1 11111111-2222-3333-4444-555555555555 >asked")
			if st, err = s.PollRestart(ctx, "r1/h1/1"); err != nil || st.Phase != RestartCut {
				t.Fatalf("cut: %+v, %v", st, err)
			}
			if _, err = s.RestartUnits(ctx, "r1/h1/1", units[2:]); err != nil {
				t.Fatal(err)
			}
			if st = ended(); err != nil || st.Phase != RestartDone || len(st.Units) != 1 {
				t.Errorf("after the cut: %+v, %v", st, err)
			}
			for _, bad := range [][]string{nil, {"a b.service"}, {"-x.service"}, {"x.scope"}, {"x.service\nrm"}, {"$(x).service"}} {
				if _, err := s.RestartUnits(ctx, "r1/h1/1", bad); err == nil {
					t.Errorf("%q was taken", bad)
				}
			}
			h.sh("rmdir /run/systemd/system; rm -r /var/lib/cpacman/ledger/r1_h1_1/restart")
			if _, err := s.RestartUnits(ctx, "r1/h1/1", units); err == nil || !strings.Contains(err.Error(), "no systemd") {
				t.Errorf("without systemd: %v", err)
			}
		})
	}
}

// A host is not booted while somebody's rpm is at work.
func TestRebootWaitsForRPM(t *testing.T) {
	t.Parallel()
	for name, shell := range shells {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			l := newLab(t)
			h := l.host
			h.shell = shell
			h.sh(`rm -f /sbin/shutdown /usr/sbin/shutdown /sbin/reboot /usr/sbin/reboot
printf '#!/bin/sh\ntouch /opt/booted\n' >/usr/sbin/shutdown; chmod 755 /usr/sbin/shutdown`)
			s := NewSession(h, SessionOptions{Host: "h1"})
			boot, err := s.Boot(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Reboot(ctx, "another"); err != nil {
				t.Fatal(err)
			}
			letGo := l.hold()
			if err := s.Reboot(ctx, boot); err == nil || !strings.Contains(err.Error(), "rpm's lock") {
				t.Fatalf("while rpm works: %v", err)
			}
			h.sh("sleep 2; [ ! -e /opt/booted ]")
			letGo()
			if err := s.Reboot(ctx, boot); err != nil {
				t.Fatal(err)
			}
			h.wait("/opt/booted")
		})
	}
}

func TestTreat(t *testing.T) {
	for unit, want := range map[string]Treatment{
		"nginx.service": TreatRestart, "sshd.service": TreatRestart, "dbus.service": TreatReboot, "init.scope": TreatReboot,
		"systemd-logind.service": TreatReboot, "systemd-udevd.service": TreatRestart, "session-3.scope": TreatLeave, "user@0.service": TreatLeave,
		"getty@tty1.service": TreatLeave, "cpacman-engine-1.service": TreatLeave, "docker.service": TreatKeep, "pg@14.service": TreatKeep,
	} {
		if got := Treat(unit, []string{"docker", "pg@*.service"}); got != want {
			t.Errorf("%s: %s, want %s", unit, got, want)
		}
	}
}
