package host

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cpacman/transport"
)

// journey is a transaction over an Obsoletes with a dependency that comes in, and its way back.
func journey(t *testing.T, shell []string) (l *lab, tx, back Transaction, pre Preflight) {
	t.Helper()
	app, old := pkg{nevra: "app-1-1.noarch", files: map[string]string{"/opt/app": "1"}}, pkg{nevra: "old-1-1.noarch"}
	l = newLab(t, app, old, pkg{nevra: "user-1-1.noarch", requires: []string{"old"}})
	l.host.shell = shell
	l.host.sh("ln -sf " + shell[0] + " /bin/sh; mkdir -p /etc/cron.d")
	l.forgetful()
	tx, pre = l.prepare("r1/h1/1", Transaction{
		Upgrade: []File{
			build(t, l.key, pkg{nevra: "app-2-1.noarch", requires: []string{"lib"}, files: map[string]string{"/opt/app": "2"}}),
			build(t, l.key, pkg{nevra: "new-1^x-1.noarch", provides: []string{"old = 2"}, obsoletes: []string{"old"}}),
			build(t, l.key, pkg{nevra: "lib-1-1^git.noarch"}),
		},
		Removes: nevras(t, "app-1-1.noarch", "old-1-1.noarch"),
	})
	back = Transaction{
		ID: BackID(tx.ID), MachineID: tx.MachineID, OldPackage: true, LockWait: time.Minute,
		First: nevras(t, "new-1^x-1.noarch"), Upgrade: []File{build(t, l.key, app), build(t, l.key, old)}, Erase: nevras(t, "lib-1-1^git.noarch"),
	}
	if _, err := l.s.Stage(context.Background(), back.Upgrade, nil); err != nil {
		t.Fatal(err)
	}
	return l, tx, back, pre
}

// forgetful makes the host's rpm like those before 4.17: they read a ^ in what is asked for as the beginning of a line, and find nothing.
func (l *lab) forgetful() {
	l.t.Helper()
	l.host.sh(`mkdir /opt/real && mv /usr/bin/rpm /opt/real/rpm && cat >/usr/bin/rpm <<'END' && chmod 755 /usr/bin/rpm
#!/bin/sh
case $1 in -q | -e | -ql)
    for a; do
        case $a in
        */* | *%{*) ;;
        *[!\\]^*) echo "package $a is not installed"; exit 1 ;;
        esac
    done ;;
esac
exec /opt/real/rpm "$@"
END`)
}

// asBefore wants the installed set that the host had.
func (l *lab) asBefore(pre Preflight) {
	l.t.Helper()
	f, _, err := Collect(context.Background(), l.host, CollectOptions{Host: "h1", Force: true})
	if err != nil {
		l.t.Fatal(err)
	}
	names := func(list []Package) (out []string) {
		for _, p := range list {
			out = append(out, p.NEVRA().String())
		}
		return out
	}
	if diff := cmp.Diff(names(pre.Facts.Packages), names(f.Packages)); diff != "" {
		l.t.Errorf("installed packages (-before +now):\n%s", diff)
	}
}

// Going back over an Obsoletes, under each shell, and with nothing, a part, or all of the transaction done.
func TestGoBack(t *testing.T) {
	t.Parallel()
	for name, shell := range shells {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, tx, back, pre := journey(t, shell)
			ctx := context.Background()
			if err := l.s.Start(ctx, tx); err != nil {
				t.Fatal(err)
			}
			if st := await(t, l.s, tx.ID, Done); st.RC["u"] != 0 {
				t.Fatalf("%+v", st)
			}
			switch name { // the host may be anywhere on the way
			case "bash":
				l.host.sh("/usr/bin/rpm -e --nodeps new")
			case "busybox":
				l.host.sh("/usr/bin/rpm -e --nodeps new lib app")
			}
			if err := l.s.StartBack(ctx, back); err != nil {
				t.Fatal(err)
			}
			st := await(t, l.s, back.ID, Done)
			if st.Mode != "back" || st.RC["x"]+st.RC["u"]+st.RC["i"]+st.RC["e"] != 0 {
				t.Errorf("%+v", st)
			}
			l.asBefore(pre)
			if err := l.s.StartBack(ctx, back); !errors.Is(err, ErrReplay) {
				t.Errorf("second time: %v", err)
			}
			if d, _, err := l.s.Confirm(ctx, back.ID); err != nil || d != NoSwitch {
				t.Errorf("confirm: %s, %v", d, err)
			}
		})
	}
}

// Undo as a plan of its own: what is in the way leaves ahead of the transaction.
func TestFirst(t *testing.T) {
	t.Parallel()
	l, tx, back, pre := journey(t, shells["dash"])
	ctx := context.Background()
	if err := l.s.Start(ctx, tx); err != nil {
		t.Fatal(err)
	}
	await(t, l.s, tx.ID, Done)
	undo := back
	undo.ID, undo.ExpectBefore = "r2/h1/1", ""
	undo.Removes = nevras(t, "app-2-1.noarch")
	undo, now := l.prepare(undo.ID, undo)
	if res, err := l.s.Test(ctx, undo); err != nil || !res.OK {
		t.Fatalf("test: %+v, %v", res, err)
	}
	if err := l.s.Start(ctx, undo); err != nil {
		t.Fatal(err)
	}
	if st := await(t, l.s, undo.ID, Done); st.RC["x"]+st.RC["u"] != 0 {
		t.Fatalf("%+v", st)
	}
	if v, err := l.s.Verify(ctx, undo, now.Facts, now.Unmet, false); err != nil || !v.OK {
		t.Fatalf("%+v, %v", v, err)
	}
	if err := l.s.RunErase(ctx, undo); err != nil {
		t.Fatal(err)
	}
	await(t, l.s, undo.ID, Done)
	l.asBefore(pre)
}

// cron lets a process go by the name of a cron daemon: what fires after a boot, as far as arming can see. The watching process is real;
// a lab test has the real daemon.
func (l *lab) cron() {
	l.t.Helper()
	l.host.sh("cp /bin/sleep /opt/crond; setsid /opt/crond 100000 </dev/null >/dev/null 2>&1 &")
	l.host.wait("/opt/crond")
}

// armed starts a transaction on a host with a cron daemon, behind a switch.
func (l *lab) armed(tx, back Transaction, after time.Duration) {
	l.t.Helper()
	l.cron()
	if err := l.s.StartArmed(context.Background(), tx, Switch{Back: back, After: after}); err != nil {
		l.t.Fatal(err)
	}
}

// Nobody confirms: the host goes back by itself, once, and says so to whoever asks later.
func TestSwitchFires(t *testing.T) {
	t.Parallel()
	for name, shell := range shells {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, tx, back, pre := journey(t, shell)
			ctx := context.Background()
			l.armed(tx, back, 2*time.Second)
			if st := await(t, l.s, back.ID, Done); st.Phase != Done || st.Mode != "back" {
				t.Errorf("%+v", st)
			}
			l.asBefore(pre)
			if t.Failed() {
				l.ledger()
			}
			if d, _, err := l.s.Confirm(ctx, back.ID); err != nil || d != GoesBack {
				t.Errorf("confirm: %s, %v", d, err)
			}
			l.gone("/etc/cron.d/")
		})
	}
}

// A way back that begins while it is asked for is not one that was cut: state and processes are looked at one after the other.
func TestPollOfWhatBegins(t *testing.T) {
	t.Parallel()
	l, tx, back, _ := journey(t, shells["dash"])
	ctx := context.Background()
	l.armed(tx, back, time.Hour)
	await(t, l.s, tx.ID, Done)
	// The same states over and over, by a process that stays: armed, and begun by this process.
	l.host.sh(`cd /var/lib/cpacman/ledger/r1_h1_1-back && cat >/opt/begins <<'END'
cp state armed
set -- $(sed 's/.*) //' /proc/$$/stat)
shift 19
sed -e 's/^phase .*/phase testing/' -e "s/^pid .*/pid $$/" armed >testing
echo "start $1" >>testing
touch ready
while [ -e ready ]; do
	for f in armed testing; do
		ln -f $f new && mv -f new state
	done
done
END
setsid sh /opt/begins </dev/null >/dev/null 2>&1 &`)
	l.host.wait("/var/lib/cpacman/ledger/r1_h1_1-back/ready")
	seen := map[Phase]int{}
	for range 100 {
		st, err := l.s.Poll(ctx, back.ID, PollOptions{})
		if err != nil {
			t.Fatal(err)
		}
		seen[st.Phase]++
	}
	l.host.sh("rm /var/lib/cpacman/ledger/r1_h1_1-back/ready")
	if seen[Armed] == 0 || seen[Testing] == 0 || len(seen) > 2 {
		t.Errorf("seen: %v", seen)
	}
}

// The control host asks for the way back of a switch that has not decided. The switch stays on watch, and begins it where who was asked was cut.
func TestBackOfAnArmedSwitch(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]bool{"asked": false, "cut": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, tx, back, pre := journey(t, shells["dash"])
			ctx := context.Background()
			l.armed(tx, back, time.Hour)
			await(t, l.s, tx.ID, Done)
			letGo := l.hold()
			if cut {
				// Begun, and gone before its runner could say so, more than a minute ago.
				l.host.sh("cd /var/lib/cpacman/ledger/r1_h1_1-back && mkdir run-back && echo back >decision && sed -i 's/^phase .*/phase accepted/; s/^time .*/time 1/' state")
			} else if err := l.s.StartBack(ctx, back); err != nil {
				t.Fatal(err)
			}
			st := await(t, l.s, back.ID, WaitingLock)
			for end := time.Now().Add(20 * time.Second); st.Phase == Interrupted && time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
				st = await(t, l.s, back.ID, WaitingLock)
			}
			if st.Phase != WaitingLock {
				t.Errorf("%+v", st)
			}
			if got := l.host.sh("ls /etc/cron.d"); !strings.Contains(got, "cpacman-switch") {
				t.Error("nobody watches any more")
			}
			letGo()
			if st := await(t, l.s, back.ID, Done); st.Phase != Done || st.RC["x"]+st.RC["u"]+st.RC["e"] != 0 {
				t.Errorf("%+v", st)
			}
			l.asBefore(pre)
			l.gone("/etc/cron.d/")
		})
	}
}

// A way back is asked for right after the switch was confirmed: what it needs stays, though the switch clears up then, and who
// confirms again is told.
func TestBackAfterConfirming(t *testing.T) {
	t.Parallel()
	l, tx, back, pre := journey(t, shells["dash"])
	ctx := context.Background()
	l.armed(tx, back, time.Hour)
	await(t, l.s, tx.ID, Done)
	letGo := l.hold()
	if d, _, err := l.s.Confirm(ctx, back.ID); err != nil || d != Confirmed {
		t.Fatalf("confirm: %s, %v", d, err)
	}
	if err := l.s.StartBack(ctx, back); err != nil {
		t.Fatal(err)
	}
	if d, _, err := l.s.Confirm(ctx, back.ID); err != nil || d != GoesBack { // by whoever was away
		t.Errorf("confirm again: %s, %v", d, err)
	}
	time.Sleep(5 * time.Second) // the switch looks every three
	letGo()
	if st := await(t, l.s, back.ID, Done); st.Phase != Done || st.RC["x"]+st.RC["u"]+st.RC["e"] != 0 {
		t.Errorf("%+v", st)
	}
	l.asBefore(pre)
}

// Power is lost when all is done and the way back clears up: begun again after the boot it has nothing to do, and nothing that it misses.
func TestBackCutAtItsEnd(t *testing.T) {
	t.Parallel()
	l, tx, back, pre := journey(t, shells["dash"])
	l.host.sh(`cat >/usr/sbin/rm <<'END' && chmod 755 /usr/sbin/rm
#!/bin/sh
/bin/rm "$@"
case " $* " in *" p "*) grep -q '^mode back' state && [ ! -e /opt/cut ] && touch /opt/cut && kill -9 $PPID ;; esac
END`)
	ctx := context.Background()
	l.armed(tx, back, time.Second)
	l.host.wait("/opt/cut")
	l.gone("/etc/cron.d/")
	if st, err := l.s.Poll(ctx, back.ID, PollOptions{}); err != nil || st.Phase != Done || st.RC["x"]+st.RC["u"]+st.RC["e"] != 0 {
		t.Errorf("%+v, %v", st, err)
	}
	l.asBefore(pre)
	if got := l.host.sh("cd /var/lib/cpacman/ledger/r1_h1_1-back && ls"); strings.Contains(got, "\np\n") {
		t.Errorf("left:\n%s", got)
	}
}

// ledger prints what the host has written down of every transaction.
func (l *lab) ledger() {
	l.t.Helper()
	l.t.Log(l.host.sh("cd /var/lib/cpacman/ledger && ls -l --full-time . */ && cd / && for f in /var/lib/cpacman/ledger/*/*; do case $f in *.sh) continue ;; esac; [ -f $f ] && echo \"== $f\" && cat $f; done; true"))
}

// gone waits until no file of a switch is left in a directory.
func (l *lab) gone(dir string) {
	l.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		if !l.watchedIn(dir) {
			return
		}
		if time.Now().After(end) {
			l.t.Fatalf("a switch is left in %s", dir)
		}
	}
}

// watchedIn tells whether something of a switch is in a directory of cron or of systemd.
func (l *lab) watchedIn(dir string) bool {
	list, err := os.ReadDir(l.host.path(dir))
	return err == nil && strings.Contains(names(list), "cpacman-switch")
}

// look is one look of the switch of r1/h1/1, as cron has it every minute. A boot ends it.
func (l *lab) look() {
	_ = l.host.exec(context.Background(), "/bin/sh", "/var/lib/cpacman/ledger/r1_h1_1-back/watch.sh", "-", "/var/lib/cpacman", "r1_h1_1-back").Run()
}

// put makes a program, or another file, on the host.
func (l *lab) put(path, text string) {
	l.t.Helper()
	if err := os.WriteFile(l.host.path(path), []byte(text), 0o755); err != nil { //nolint:gosec // a program of a test host
		l.t.Fatal(err)
	}
}

func names(list []os.DirEntry) string {
	var b strings.Builder
	for _, e := range list {
		b.WriteString(e.Name() + " ")
	}
	return b.String()
}

// Confirmed in time: the host stays, also when the watching process is started again, as cron does.
func TestSwitchConfirmed(t *testing.T) {
	t.Parallel()
	l, tx, back, pre := journey(t, shells["dash"])
	ctx := context.Background()
	l.armed(tx, back, 5*time.Second)
	if st, err := l.s.Poll(ctx, back.ID, PollOptions{}); err != nil || st.Phase != Armed || st.Final() {
		t.Errorf("%+v, %v", st, err)
	}
	await(t, l.s, tx.ID, Done)
	if d, _, err := l.s.Confirm(ctx, back.ID); err != nil || d != Confirmed {
		t.Fatalf("confirm: %s, %v", d, err)
	}
	l.gone("/etc/cron.d/")
	time.Sleep(6 * time.Second)
	l.host.sh("/bin/sh /var/lib/cpacman/ledger/r1_h1_1-back/watch.sh - /var/lib/cpacman r1_h1_1-back")
	if v, err := l.s.Verify(ctx, tx, pre.Facts, pre.Unmet, false); err != nil || !v.OK {
		t.Errorf("%+v, %v", v, err)
	}
	// Health may turn red later: then the control host asks for the same way back.
	if err := l.s.StartBack(ctx, back); err != nil {
		t.Fatal(err)
	}
	await(t, l.s, back.ID, Done)
	l.asBefore(pre)
}

// The host boots after its transaction: the time counts anew, and then it goes back; what cut that is taken up again.
func TestSwitchAfterBoot(t *testing.T) {
	t.Parallel()
	l, tx, back, pre := journey(t, shells["dash"])
	ctx := context.Background()
	l.armed(tx, back, time.Hour)
	await(t, l.s, tx.ID, Done)
	l.host.sh(`for f in /proc/[0-9]*; do tr '\000' ' ' <$f/cmdline 2>/dev/null | grep -q 'watch.s[h]' && kill -9 ${f#/proc/}; done; :`)
	l.host.sh("cat /proc/sys/kernel/random/uuid >/tmp/boot; mount --bind /tmp/boot /proc/sys/kernel/random/boot_id; echo 2 >/var/lib/cpacman/ledger/r1_h1_1-back/seconds")
	look := func() {
		l.host.sh("/bin/sh /var/lib/cpacman/ledger/r1_h1_1-back/watch.sh - /var/lib/cpacman r1_h1_1-back")
	}
	look()
	if st, err := l.s.Poll(ctx, back.ID, PollOptions{}); err != nil || st.Phase != Armed {
		t.Errorf("right after the boot: %+v, %v", st, err)
	}
	time.Sleep(2500 * time.Millisecond)
	look()
	await(t, l.s, back.ID, Done)
	l.asBefore(pre)
	l.gone("/etc/cron.d/")
}

// Where nothing would fire after a boot, nothing is armed and nothing is started.
func TestNoSwitch(t *testing.T) {
	t.Parallel()
	l, tx, back, pre := journey(t, shells["dash"])
	ctx := context.Background()
	if err := l.s.StartArmed(ctx, tx, Switch{Back: back, After: time.Minute}); !errors.Is(err, ErrNoSwitch) || !strings.Contains(err.Error(), "cron") {
		t.Fatalf("%v", err)
	}
	if _, err := l.s.Poll(ctx, tx.ID, PollOptions{}); !errors.Is(err, ErrUnknownTransaction) {
		t.Errorf("%v", err)
	}
	l.asBefore(pre)
	if err := l.s.Start(ctx, tx); err != nil {
		t.Fatal(err)
	}
	await(t, l.s, tx.ID, Done)
}

// While a switch may still undo what comes next, nobody else gets the host, however long its owner is silent.
func TestSwitchKeepsTheLock(t *testing.T) {
	t.Parallel()
	l, tx, back, _ := journey(t, shells["dash"])
	l.cron()
	ctx := context.Background()
	brief := *l.s.owner
	brief.TTL = time.Second
	if _, err := l.s.Acquire(ctx, brief); err != nil {
		t.Fatal(err)
	}
	if err := l.s.StartArmed(ctx, tx, Switch{Back: back, After: time.Hour}); err != nil {
		t.Fatal(err)
	}
	await(t, l.s, tx.ID, Done)
	time.Sleep(2100 * time.Millisecond)
	other, second := NewSession(l.host, SessionOptions{Host: "h1"}), Owner{ID: "r2@b", Control: "b", User: "bob", Rollout: "r2"}
	var le *LockedError
	if _, err := other.Acquire(ctx, second); !errors.As(err, &le) || le.Why != "switch" || !strings.Contains(le.Error(), "dead man's switch") {
		t.Errorf("while it is armed: %v", err)
	}
	if d, _, err := l.s.Confirm(ctx, back.ID); err != nil || d != Confirmed {
		t.Fatalf("confirm: %s, %v", d, err)
	}
	if broken, err := other.Acquire(ctx, second); err != nil || broken != brief.ID {
		t.Errorf("once it is confirmed: %q, %v", broken, err)
	}
}

// vanishing is a host whose uploads' directory goes before the first file comes.
type vanishing struct {
	*realHost
	gone bool
}

func (v *vanishing) Upload(ctx context.Context, files []transport.Upload) (transport.UploadStats, error) {
	if !v.gone {
		v.gone = true
		v.sh("rm -rf /var/lib/cpacman/in")
	}
	return v.realHost.Upload(ctx, files)
}

// The way back of a switch ends while the control host sends the order for the same: its directory is made again.
func TestUploadsGoMeanwhile(t *testing.T) {
	t.Parallel()
	l, tx, _, _ := journey(t, shells["dash"])
	ctx := context.Background()
	s := NewSession(&vanishing{realHost: l.host}, SessionOptions{Host: "h1"})
	if _, err := s.Acquire(ctx, l.own); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(ctx, tx); err != nil {
		t.Fatal(err)
	}
	if st := await(t, l.s, tx.ID, Done); st.Phase != Done {
		t.Errorf("%+v", st)
	}
}
