package host

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// waits is a scriptlet that says that it has begun and goes on when it is told to.
const waits = "touch /opt/began" + untilTold

const untilTold = "; until [ -e /opt/go ]; do sleep 0.1; done\n"

// The connection dies while %post runs: the transaction goes on, completes, and a new session knows it.
func TestConnectionDiesInPost(t *testing.T) {
	t.Parallel()
	l := newLab(t, pkg{nevra: "app-1-1.noarch"})
	l.host.own = true
	tx, pre := l.start("r1/h1/1", Transaction{
		Upgrade: []File{build(t, l.key, pkg{nevra: "app-2-1.noarch", post: waits + "echo to a dead pipe; echo again; touch /opt/ended\n"})},
		Removes: nevras(t, "app-1-1.noarch"),
	})
	l.host.wait("/opt/began")
	for _, group := range l.host.groups { // everything the connection had started
		_ = syscall.Kill(-group, syscall.SIGKILL)
	}
	time.Sleep(1100 * time.Millisecond)
	again := NewSession(l.host, SessionOptions{Host: "h1"})
	if st, err := again.Poll(context.Background(), tx.ID, PollOptions{Deadline: time.Nanosecond}); err != nil || st.Phase != Running || st.Step != "u" || !st.Overdue {
		t.Errorf("while it runs: %+v, %v", st, err)
	} else if len(st.Tree) < 2 {
		t.Errorf("process tree %+v", st.Tree)
	}
	l.host.sh("touch /opt/go")
	if st := await(t, again, tx.ID, Done); st.Phase != Done || st.RC["u"] != 0 {
		t.Fatalf("status %+v", st)
	}
	if _, err := os.Stat(l.host.path("/opt/ended")); err != nil {
		t.Errorf("%%post did not end: %v", err)
	}
	v, err := again.Verify(context.Background(), tx, pre.Facts, pre.Unmet, false)
	if err != nil || !v.OK || len(v.FailedScriptlets) > 0 {
		t.Errorf("verify %+v, %v", v, err)
	}
}

// One %pre fails: rpm installs the rest, and Verify shows what is missing and what broke.
func TestPreFails(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	tx, pre := l.start("r1/h1/1", Transaction{Upgrade: []File{
		build(t, l.key, pkg{nevra: "bad-1-1.noarch", pre: "exit 1\n"}),
		build(t, l.key, pkg{nevra: "good-1-1.noarch", requires: []string{"bad"}}),
	}})
	if st := await(t, l.s, tx.ID, Done); st.Phase != Done || st.RC["u"] == 0 {
		t.Fatalf("status %+v", st)
	}
	v, err := l.s.Verify(context.Background(), tx, pre.Facts, pre.Unmet, false)
	if err != nil {
		t.Fatal(err)
	}
	if v.OK || v.Unchanged || len(v.Missing) != 1 || v.Missing[0].Name != "bad" || len(v.Unexpected) != 0 {
		t.Errorf("verify: missing %v, unexpected %v", v.Missing, v.Unexpected)
	}
	if len(v.FailedScriptlets) != 1 || len(v.NewUnmet) != 1 || !strings.HasPrefix(v.NewUnmet[0], "bad is needed by") {
		t.Errorf("scriptlets %q, unmet %q", v.FailedScriptlets, v.NewUnmet)
	}
	if st := await(t, l.s, tx.ID, Verified); st.Phase != Done {
		t.Errorf("a half done transaction became %s", st.Phase)
	}
}

// A scriptlet that asks finds no answer and fails, at once.
func TestQuestionFails(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	tx, pre := l.start("r1/h1/1", Transaction{Upgrade: []File{
		build(t, l.key, pkg{nevra: "ask-1-1.noarch", pre: "printf 'sure? '; read answer || exit 1\n[ -t 0 ] && exit 2\nread answer </dev/tty && exit 0\nexit 3\n"})}})
	begin := time.Now()
	st := await(t, l.s, tx.ID, Done)
	if st.Phase != Done || st.RC["u"] == 0 || time.Since(begin) > 30*time.Second {
		t.Errorf("status %+v after %v", st, time.Since(begin))
	}
	if v, err := l.s.Verify(context.Background(), tx, pre.Facts, nil, false); err != nil || !v.Unchanged || len(v.Missing) != 1 {
		t.Errorf("verify %+v, %v", v, err)
	}
}

// hold starts an rpm transaction of somebody else that holds rpm's lock until it is told to let go, and changes nothing.
func (l *lab) hold() (letGo func()) {
	l.t.Helper()
	f := build(l.t, l.key, pkg{nevra: "other-1-1.noarch", pre: "touch /opt/held" + untilTold + "exit 1\n"})
	b, err := os.ReadFile(f.Local)
	if err != nil {
		l.t.Fatal(err)
	}
	if err := os.WriteFile(l.host.path("/opt/other.rpm"), b, 0o600); err != nil {
		l.t.Fatal(err)
	}
	cmd := l.host.exec(context.Background(), "rpm", "-U", "/opt/other.rpm")
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	l.t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	l.host.wait("/opt/held")
	return func() { l.host.sh("touch /opt/go"); <-ended }
}

// rpm's lock is held by somebody: waited for, its holder shown, then the work is done.
func TestLockIsWaitedFor(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	tx, _ := l.prepare("r1/h1/1", Transaction{Upgrade: []File{build(t, l.key, pkg{nevra: "app-2-1.noarch"})}})
	letGo := l.hold()
	f, _, err := Collect(context.Background(), l.host, CollectOptions{})
	if err != nil || f.Lock == nil || !f.Lock.Held || !strings.Contains(f.Lock.Command, "rpm -U /opt/other.rpm") {
		t.Errorf("facts' lock %+v, %v", f.Lock, err)
	}
	if err := l.s.Start(context.Background(), tx); err != nil {
		t.Fatal(err)
	}
	if st := await(t, l.s, tx.ID, WaitingLock); st.Phase != WaitingLock || !strings.Contains(st.LockHolder, "rpm -U /opt/other.rpm") {
		t.Errorf("status %+v", st)
	}
	letGo()
	if st := await(t, l.s, tx.ID, Done); st.Phase != Done || st.RC["u"] != 0 {
		t.Errorf("status %+v", st)
	}
}

// It is not waited for beyond LockWait, and nothing was changed then.
func TestLockTimesOut(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	tx, _ := l.prepare("r1/h1/1", Transaction{LockWait: time.Second, Upgrade: []File{build(t, l.key, pkg{nevra: "app-2-1.noarch"})}})
	l.hold()
	if err := l.s.Start(context.Background(), tx); err != nil {
		t.Fatal(err)
	}
	st := await(t, l.s, tx.ID, Done)
	if st.Phase != Refused || st.Reason != RefusedLock || !strings.Contains(st.LockHolder, "/opt/other.rpm") || len(st.RC) != 0 {
		t.Errorf("status %+v", st)
	}
}

// What changed, or was changed, between plan and transaction is refused before anything is done.
func TestRefused(t *testing.T) {
	t.Parallel()
	stranger := newSigner(t)
	app := pkg{nevra: "app-2-1.noarch"}
	for name, c := range map[string]struct {
		p      pkg
		before func(*lab, Transaction)
		change func(*Transaction)
		reason string
	}{
		"host changed":    {p: app, reason: RefusedChanged, before: func(l *lab, _ Transaction) { l.install(pkg{nevra: "by-hand-1-1.noarch"}) }},
		"other machine":   {p: app, reason: RefusedMachine, change: func(tx *Transaction) { tx.MachineID = "0123" }},
		"unsigned":        {p: pkg{nevra: "app-2-1.noarch", unsigned: true}, reason: RefusedTest},
		"unknown key":     {p: pkg{nevra: "app-2-1.noarch", by: stranger}, reason: RefusedTest},
		"unmet":           {p: pkg{nevra: "app-2-1.noarch", requires: []string{"nobody"}}, reason: RefusedTest},
		"installed newer": {p: pkg{nevra: "base-0-1.noarch"}, reason: RefusedTest},
		"staged bytes": {p: app, reason: RefusedDigest, before: func(l *lab, tx Transaction) {
			l.host.sh("echo x >> /var/lib/cpacman/spool/" + tx.Upgrade[0].SHA256 + ".rpm")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			tx, pre := l.prepare("r1/h1/1", Transaction{Upgrade: []File{build(t, l.key, c.p)}})
			if c.change != nil {
				c.change(&tx)
			}
			if c.before != nil {
				c.before(l, tx)
			}
			if c.reason == RefusedTest {
				r, err := l.s.Test(context.Background(), tx)
				if err != nil || r.OK || len(r.Problems) == 0 || (name == "unknown key") != (len(r.MissingKeys) == 1) {
					t.Errorf("test %+v, %v", r, err)
				}
			}
			if err := l.s.Start(context.Background(), tx); err != nil {
				t.Fatal(err)
			}
			st := await(t, l.s, tx.ID, Done)
			if st.Phase != Refused || st.Reason != c.reason {
				t.Errorf("status %+v", st)
			}
			if name == "host changed" {
				return
			}
			f, _, err := Collect(context.Background(), l.host, CollectOptions{})
			if err != nil || f.InstalledDigest != pre.Facts.InstalledDigest {
				t.Errorf("the host changed, or %v", err)
			}
		})
	}
}

// The runner is killed: rpm works on, which Poll says; then the transaction is interrupted, and its id stays used.
func TestRunnerKilled(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	tx, _ := l.start("r1/h1/1", Transaction{Upgrade: []File{build(t, l.key, pkg{nevra: "app-2-1.noarch", post: waits})}})
	l.host.wait("/opt/began")
	st, err := l.s.Poll(context.Background(), tx.ID, PollOptions{})
	if err != nil {
		t.Fatal(err)
	}
	l.host.sh("kill -9 " + itoa(st.PID))
	if st, err = l.s.Poll(context.Background(), tx.ID, PollOptions{}); err != nil || st.Phase != Running || !st.RunnerLost {
		t.Errorf("while rpm runs: %+v, %v", st, err)
	}
	if _, err := l.s.Clean(context.Background(), CleanOptions{What: CleanAll}); !errors.Is(err, ErrBusy) {
		t.Errorf("clean under a running transaction: %v", err)
	}
	l.host.sh("touch /opt/go")
	if st := await(t, l.s, tx.ID, Interrupted); st.Phase != Interrupted {
		t.Errorf("afterwards: %+v", st)
	}
	if err := l.s.Start(context.Background(), tx); !errors.Is(err, ErrReplay) {
		t.Errorf("start again: %v", err)
	}
}

// A reboot in the middle is seen by the boot id.
func TestRebootInterrupts(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	tx, _ := l.start("r1/h1/1", Transaction{Upgrade: []File{build(t, l.key, pkg{nevra: "app-2-1.noarch", post: waits})}})
	l.host.wait("/opt/began")
	l.host.sh("echo 11111111-2222-3333-4444-555555555555 > /opt/boot && mount --bind /opt/boot /proc/sys/kernel/random/boot_id")
	if st, err := l.s.Poll(context.Background(), tx.ID, PollOptions{}); err != nil || st.Phase != Interrupted {
		t.Errorf("status %+v, %v", st, err)
	}
	if _, err := l.s.Poll(context.Background(), "r1/h1/2", PollOptions{}); !errors.Is(err, ErrUnknownTransaction) {
		t.Errorf("an id that never was: %v", err)
	}
}
