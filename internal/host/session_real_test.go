package host

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cpacman/transport"
)

// An unchanged database is not listed again; reading it, which changes the shared-memory file, does not count as a change.
func TestFingerprint(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	ctx := context.Background()
	collect := func(p *Facts, force bool) (*Facts, bool) {
		t.Helper()
		f, same, err := Collect(ctx, l.host, CollectOptions{Host: "h1", Previous: p, Force: force})
		if err != nil {
			t.Fatal(err)
		}
		return f, same
	}
	if f, _ := collect(nil, false); f.Database.Fingerprint != "" {
		t.Error("a fingerprint younger than two seconds is trusted")
	}
	l.host.sh("touch -d '10 seconds ago' /var/lib/rpm/* /var/lib/rpm /etc/rpm/macros")
	first, same := collect(nil, false)
	if same || first.Database.Fingerprint == "" || len(first.Packages) != 1 {
		t.Fatalf("first: %v %+v", same, first)
	}
	for _, shell := range shells {
		l.host.shell = shell
		l.host.sh("rpm -qa >/dev/null; [ ! -f /var/lib/rpm/rpmdb.sqlite-shm ] || touch /var/lib/rpm/rpmdb.sqlite-shm")
		f, same := collect(first, false)
		if !same {
			t.Fatalf("reading changed the fingerprint:\n%s", cmp.Diff(first.Database, f.Database))
		}
		if d := cmp.Diff(first.Packages, f.Packages); d != "" || f.InstalledDigest != first.InstalledDigest || f.Arch != first.Arch {
			t.Errorf("facts without listing differ: %s", d)
		}
	}
	if _, same := collect(first, true); same {
		t.Error("forced, and skipped")
	}
	l.install(pkg{nevra: "new-1-1.noarch"})
	if f, same := collect(first, false); same || len(f.Packages) != 2 {
		t.Errorf("a change was not seen: %v, %d packages", same, len(f.Packages))
	}
	l.host.sh("touch -d '10 seconds ago' /var/lib/rpm/* /var/lib/rpm /etc/rpm/macros")
	second, _ := collect(nil, false)
	l.host.sh("tr a-f b-g </etc/machine-id | tr g a >/opt/id; cat /opt/id >/etc/machine-id")
	if _, same := collect(second, false); same {
		t.Error("another machine behind the name was taken for the same")
	}
	l.host.sh("rm /var/lib/rpm/*; rpm --initdb")
	if _, _, err := Collect(ctx, l.host, CollectOptions{}); !errors.Is(err, ErrUnreadable) {
		t.Errorf("an empty database: %v", err)
	}
	l.host.sh("head -c 30000 /dev/urandom >/var/lib/rpm/rpmdb.sqlite")
	if _, _, err := Collect(ctx, l.host, CollectOptions{}); !errors.Is(err, ErrUnreadable) {
		t.Errorf("a broken database: %v", err)
	}
}

// What is collected, from a real host, with keys and headers.
func TestCollectAndHeaders(t *testing.T) {
	t.Parallel()
	l := newLab(t, pkg{nevra: "odd-3:1~rc1-1^git.noarch", provides: []string{"x"}})
	f, _, err := Collect(context.Background(), l.host, CollectOptions{Host: "h1"})
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Packages) != 2 || f.Packages[1].NEVRA().String() != "odd-3:1~rc1-1^git.noarch" || *f.Packages[1].Epoch != 3 || f.Packages[1].Vendor != "Lab" {
		t.Errorf("packages %+v", f.Packages)
	}
	if len(f.Keys) != 1 || !f.Keys[0].Matches(l.key.entity.PrimaryKey.KeyIdString()) {
		t.Errorf("keys %+v", f.Keys)
	}
	if f.Arch == "" || f.Kernel == "" || f.BootID == "" || f.BootTime == 0 || len(f.MachineID) != 32 || f.OS.ID == "" || len(f.Disk) == 0 ||
		f.Lock == nil || f.Lock.Held || f.RPMVersion == "" || f.FailedUnits != nil || f.Systemd {
		t.Errorf("facts %+v", f)
	}
	got, err := Headers(context.Background(), l.host, f.Packages, HeaderOptions{})
	if err != nil || len(got) != 2 {
		t.Errorf("headers: %d, %v", len(got), err)
	}
	lie := slices.Clone(f.Packages)
	lie[0].Header = strings.Repeat("0", 64)
	if got, err := Headers(context.Background(), l.host, lie, HeaderOptions{}); err != nil || len(got) != 1 {
		t.Errorf("a digest the host does not have: %d, %v", len(got), err)
	}
}

// A dry run writes only to the spool, and Clean leaves nothing (ROLL-13).
func TestDryRunLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, sudo := range []bool{false, true} {
		l := newLab(t)
		l.login(sudo)
		files := func() string { return l.host.sh("find /etc /var /home /opt /run -not -path '/var/lib/rpm/*' | sort") }
		before := files()
		ctx := context.Background()
		tx := Transaction{ID: "r1/h1/1", Upgrade: []File{build(t, l.key, pkg{nevra: "app-2-1.noarch"})}}
		st, err := l.s.Stage(ctx, tx.Upgrade, nil)
		if err != nil || len(st.Sent) != 1 {
			t.Fatalf("stage %+v, %v", st, err)
		}
		if again, err := l.s.Stage(ctx, tx.Upgrade, nil); err != nil || again.Present != 1 || len(again.Sent) != 0 {
			t.Errorf("again: %+v, %v", again, err)
		}
		if r, err := l.s.Test(ctx, tx); err != nil || !r.OK {
			t.Errorf("test %+v, %v", r, err)
		}
		r, err := l.s.Clean(ctx, CleanOptions{What: CleanFiles, Files: st.Sent})
		if err != nil || !r.Gone {
			t.Errorf("clean %+v, %v", r, err)
		}
		if d := cmp.Diff(strings.Split(before, "\n"), strings.Split(files(), "\n")); d != "" {
			t.Errorf("sudo %v, left behind: %s", sudo, d)
		}
	}
}

// login makes the session one of an account without root's rights.
func (l *lab) login(sudo bool) {
	l.t.Helper()
	if !sudo {
		return
	}
	l.host.sh("mkdir -p /home/op && chown 4711:4711 /home/op")
	l.host.uid = 4711
	l.s = NewSession(l.host, SessionOptions{Host: "h1", Sudo: true})
}

// An account with sudo uploads to its own directory, and the whole of a transaction works.
func TestSudoTransaction(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.login(true)
	tx, pre := l.start("r1/h1/1", Transaction{Upgrade: []File{build(t, l.key, pkg{nevra: "app-2-1.noarch"})}})
	if st := await(t, l.s, tx.ID, Done); st.Phase != Done {
		t.Fatalf("status %+v", st)
	}
	if v, err := l.s.Verify(context.Background(), tx, pre.Facts, nil, false); err != nil || !v.OK {
		t.Errorf("verify %+v, %v", v, err)
	}
	for _, u := range l.host.uploads {
		if !strings.HasPrefix(u, "/home/op/.cpacman-drop/") {
			t.Errorf("uploaded to %s", u)
		}
	}
	entries, err := l.s.Ledger(context.Background())
	if err != nil || len(entries) != 1 || entries[0].ID != "r1_h1_1" || entries[0].Phase != Verified {
		t.Errorf("ledger %+v, %v", entries, err)
	}
	if err := l.s.Release(context.Background(), l.own); err != nil {
		t.Fatal(err)
	}
	if r, err := l.s.Clean(context.Background(), CleanOptions{What: CleanAll}); err != nil || !r.Gone {
		t.Errorf("clean %+v, %v", r, err)
	}
}

// The working directory must be root's alone; a link, another owner or other rights are refused, as are swapped uploads.
func TestUnsafeDirectory(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	ctx := context.Background()
	files := []File{build(t, l.key, pkg{nevra: "app-2-1.noarch"})}
	for name, c := range map[string][2]string{
		"open":    {"mkdir -m 755 /var/lib/cpacman", "rmdir /var/lib/cpacman"},
		"foreign": {"mkdir -m 700 /var/lib/cpacman; chown 4711 /var/lib/cpacman", "rmdir /var/lib/cpacman"},
		"link":    {"mkdir -m 700 /opt/x; ln -s /opt/x /var/lib/cpacman", "rm /var/lib/cpacman"},
		"parent":  {"chmod o+w /var/lib", "chmod o-w /var/lib"},
		"spool":   {"mkdir -m 700 /var/lib/cpacman; ln -s /opt /var/lib/cpacman/spool", "rm -r /var/lib/cpacman"},
	} {
		l.host.sh(c[0])
		if _, err := l.s.Stage(ctx, files, nil); !errors.Is(err, ErrUnsafe) {
			t.Errorf("%s: %v", name, err)
		}
		l.host.sh(c[1])
	}
	l.login(true)
	l.host.sh("mkdir -m 700 /home/op/.cpacman-drop; chown 4712 /home/op/.cpacman-drop")
	if _, err := l.s.Stage(ctx, files, nil); !errors.Is(err, ErrUnsafe) {
		t.Errorf("foreign drop directory: %v", err)
	}
	l.host.sh("chown 4711 /home/op/.cpacman-drop; ln -s /etc/shadow /home/op/.cpacman-drop/" + files[0].SHA256 + ".rpm")
	if err := l.s.admit(ctx, "/home/op/.cpacman-drop", []string{files[0].SHA256}); !errors.Is(err, ErrIntegrity) {
		t.Errorf("a link in the drop directory: %v", err)
	}
}

// A staged package that was damaged is sent again; a file system that is too small is an error that says so.
func TestStage(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	ctx := context.Background()
	files := []File{build(t, l.key, pkg{nevra: "app-2-1.noarch"})}
	if _, err := l.s.Stage(ctx, files, nil); err != nil {
		t.Fatal(err)
	}
	l.host.sh("echo x >>/var/lib/cpacman/spool/" + files[0].SHA256 + ".rpm")
	var sent int64
	st, err := l.s.Stage(ctx, files, func(_ File, n int64) { sent = n })
	if err != nil || len(st.Damaged) != 1 || len(st.Sent) != 1 || sent != files[0].Size {
		t.Errorf("stage %+v, %v, %d bytes", st, err, sent)
	}
	l.host.sh("rm -r /var/lib/cpacman; mkdir -m 700 /var/lib/cpacman; mount -t tmpfs -o size=1m,mode=700 tmpfs /var/lib/cpacman")
	var se *SpaceError
	if _, err := l.s.Stage(ctx, files, nil); !errors.As(err, &se) || se.Free > 1<<20 || !errors.Is(err, ErrNoSpace) {
		t.Errorf("full disk: %v", err)
	}
	if got := l.host.sh("find /var/lib/cpacman/in -name '*.rpm' -o -name '*.part'"); got != "" {
		t.Errorf("something was sent to a full disk: %s", got)
	}
}

// The host lock names its owner, is kept alive by it, and is taken over only from one that is silent and whose work is over.
func TestHostLock(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	ctx := context.Background()
	first := Owner{ID: "r1@a", Control: "a", User: "ann", Rollout: "r1", TTL: time.Hour}
	second := Owner{ID: "r2@b", Control: "b", User: "bob", Rollout: "r2"}
	other := NewSession(l.host, SessionOptions{Host: "h1"})
	take := func(s *Session, o Owner) error { _, err := s.Acquire(ctx, o); return err }
	if err := take(l.s, first); err != nil {
		t.Fatal(err)
	}
	if err := take(l.s, first); err != nil {
		t.Errorf("its own lock: %v", err)
	}
	var le *LockedError
	if err := take(other, second); !errors.As(err, &le) || le.Owner.User != "ann" || le.Owner.Control != "a" || time.Since(le.Since) > time.Minute {
		t.Fatalf("second owner: %v", err)
	}
	if err := other.Release(ctx, second); err != nil {
		t.Fatal(err)
	}
	if err := take(other, second); !errors.As(err, &le) {
		t.Fatal("somebody else's lock was released")
	}
	if err := other.Start(ctx, Transaction{ID: "x", Erase: nevras(t, "a-1-1.noarch")}); !errors.Is(err, ErrNotLocked) {
		t.Errorf("start without the lock: %v", err)
	}
	letGo := l.hold()
	first.TTL = time.Second
	if err := take(l.s, first); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2100 * time.Millisecond)
	if err := take(other, second); !errors.As(err, &le) || le.Why != "rpm" {
		t.Errorf("while rpm runs: %v", err)
	}
	letGo()
	broken, err := other.Acquire(ctx, second)
	for end := time.Now().Add(time.Minute); err != nil && time.Now().Before(end); broken, err = other.Acquire(ctx, second) {
		time.Sleep(time.Second)
	}
	if err != nil || broken != first.ID {
		t.Errorf("silent owner: %q, %v", broken, err)
	}
	if err := take(l.s, first); !errors.As(err, &le) || le.Owner.User != "bob" {
		t.Errorf("the first comes back: %v", err)
	}
	if p, err := other.Preflight(ctx, PreflightOptions{Keys: []string{"DEADBEEFDEADBEEF"}}); err != nil || p.HostLock == nil || p.HostLock.Owner.ID != second.ID ||
		len(p.MissingKeys) != 1 || p.FreeSpool <= 0 || p.FreeVarTmp <= 0 {
		t.Errorf("preflight %+v, %v", p, err)
	}
}

// The clock of a host steps by a day, either way: a lock lives as long as its owner is heard of, measured by the uptime.
func TestHostLockClockSteps(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	ctx := context.Background()
	owner := Owner{ID: "r1@a", Control: "a", User: "ann", Rollout: "r1", TTL: 2 * time.Second}
	second := NewSession(l.host, SessionOptions{Host: "h1"})
	file := l.host.path("/var/lib/cpacman/lock")
	step := func(by time.Duration) { // as if the clock had been set since the lock was taken
		t.Helper()
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		seen := regexp.MustCompile(`(?m)^seen \d+$`)
		b = seen.ReplaceAll(b, []byte("seen "+strconv.FormatInt(time.Now().Add(-by).Unix(), 10)))
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, by := range []time.Duration{24 * time.Hour, -24 * time.Hour} {
		o := owner
		o.TTL = time.Hour
		if _, err := l.s.Acquire(ctx, o); err != nil {
			t.Fatal(err)
		}
		step(by)
		var le *LockedError
		if _, err := second.Acquire(ctx, Owner{ID: "r2@b"}); !errors.As(err, &le) {
			t.Errorf("clock set by %s: the lock of a living owner was broken: %v", by, err)
		}
		if _, err := l.s.Acquire(ctx, owner); err != nil {
			t.Fatal(err)
		}
		step(by)
		time.Sleep(3100 * time.Millisecond)
		if broken, err := second.Acquire(ctx, Owner{ID: "r2@b"}); err != nil || broken != owner.ID {
			t.Errorf("clock set by %s: the lock of a silent owner: %q, %v", by, broken, err)
		}
		if err := second.Release(ctx, Owner{ID: "r2@b"}); err != nil {
			t.Fatal(err)
		}
	}
}

// The runner's logs are bounded however much a scriptlet prints.
func TestLogIsBounded(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	tx, _ := l.start("r1/h1/1", Transaction{Upgrade: []File{build(t, l.key, pkg{nevra: "loud-2-1.noarch",
		post: "i=0; while [ $i -lt 20000 ]; do echo '@deadbeefdeadbeef fail me 0123456789012345678901234567890123456789012345678901234567890'; i=$((i+1)); done\n"})}})
	if st := await(t, l.s, tx.ID, Done); st.Phase != Done || st.RC["u"] != 0 {
		t.Fatalf("status %+v", st)
	}
	entries, err := filepath.Glob(l.host.path("/var/lib/cpacman/ledger/r1_h1_1/*"))
	if err != nil || len(entries) == 0 {
		t.Fatal(err)
	}
	for _, e := range entries {
		if st, err := os.Stat(e); err != nil || st.Size() > 300<<10 {
			t.Errorf("%s has %d bytes, %v", filepath.Base(e), st.Size(), err)
		}
	}
}

// rpm's lock is seen while other locks come and go. /proc/locks is no snapshot: read line by line it left out one lock of some hundred reads.
func TestLockIsSeenAmongOthers(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	letGo := l.hold()
	l.host.sh(`cat >/opt/others <<'END'
while [ -e /opt/held ]; do
	for n in 1 2 3 4 5 6 7 8 9; do
		flock -n /opt/lock$n true &
	done
	wait
done
END
setsid sh /opt/others </dev/null >/dev/null 2>&1 &`)
	prelude, err := os.ReadFile("scripts/prelude.sh")
	if err != nil {
		t.Fatal(err)
	}
	for name, shell := range shells {
		reads := 60 // the kernel is the same for all of them, and every read of what forks so much costs the tests beside it
		if name == "dash" {
			reads = 300
		}
		missed, err := l.host.exec(context.Background(), append(slices.Clone(shell), "-c", string(prelude)+`
n=0 free=0
while [ $n -lt "$1" ]; do
	n=$(($n + 1))
	lockholder /var/lib/rpm/.rpm.lock
	case $h in "held "*) ;; *) free=$(($free + 1)) ;; esac
done
echo $free`, "cpacman", "mark", strconv.Itoa(reads))...).CombinedOutput()
		if err != nil || string(missed) != "0\n" {
			t.Errorf("%s: the lock was not seen %s times of %d, %v", name, bytes.TrimSpace(missed), reads, err)
		}
	}
	l.host.sh("rm /opt/held")
	letGo()
}

// What an account without root's rights cannot see is not known, which is not "nobody".
func TestCollectWithoutRoot(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.login(true)
	l.hold()
	for _, sudo := range []bool{false, true} {
		f, _, err := Collect(context.Background(), l.host, CollectOptions{Host: "h1", Sudo: sudo})
		if err != nil {
			t.Fatal(err)
		}
		if len(f.Packages) != 1 || (f.Lock != nil) != sudo || (sudo && !f.Lock.Held) {
			t.Errorf("sudo %v: %d packages, lock %+v", sudo, len(f.Packages), f.Lock)
		}
	}
}

// The running kernel is never erased, whatever a plan says, and erasing what others need is refused.
func TestEraseRefused(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, reason := range []string{RefusedKernel, RefusedTest} {
		l := newLab(t, pkg{nevra: "needs-1-1.noarch", requires: []string{"base"}})
		erase := nevras(t, "base-1-1.noarch")
		if reason == RefusedKernel {
			l.install(pkg{nevra: "kernel-1-1.noarch"})
			erase = nevras(t, "kernel-1-1.noarch")
			// What the host says of its kernel: the runner's PATH begins with /usr/sbin.
			l.host.sh("printf '#!/bin/sh\\necho 1-1.noarch\\n' >/usr/sbin/uname; chmod 755 /usr/sbin/uname")
		}
		tx, pre := l.prepare("r1/h1/1", Transaction{Upgrade: []File{build(t, l.key, pkg{nevra: "app-2-1.noarch"})}, Erase: erase})
		if r, err := l.s.Test(ctx, tx); err != nil || !r.OK || (len(r.Erase) > 0) != (reason == RefusedTest) {
			t.Errorf("test %+v, %v", r, err)
		}
		if err := l.s.RunErase(ctx, tx); !errors.Is(err, ErrUnknownTransaction) {
			t.Errorf("erase before the rest: %v", err)
		}
		if err := l.s.Start(ctx, tx); err != nil {
			t.Fatal(err)
		}
		await(t, l.s, tx.ID, Done)
		if err := l.s.RunErase(ctx, tx); err != nil {
			t.Fatal(err)
		}
		if st := await(t, l.s, tx.ID, Done); st.Phase != Refused || st.Reason != reason || st.Mode != "erase" {
			t.Errorf("erase %+v", st)
		}
		if v, err := l.s.Verify(ctx, tx, pre.Facts, nil, false); err != nil || !v.OK {
			t.Errorf("verify %+v, %v", v, err)
		}
	}
}

// rpm -U works by name: with packages without ELF files it erases the other arch of a name, with status 0. Comparing the
// whole set sees it.
func TestSilentEraseIsSeen(t *testing.T) {
	t.Parallel()
	l := newLab(t, pkg{nevra: "lib-1-1.x86_64"}, pkg{nevra: "lib-1-1.noarch"})
	tx, pre := l.start("r1/h1/1", Transaction{Upgrade: []File{build(t, l.key, pkg{nevra: "lib-2-1.x86_64"})}, Removes: nevras(t, "lib-1-1.x86_64")})
	if st := await(t, l.s, tx.ID, Done); st.RC["u"] != 0 {
		t.Fatalf("status %+v", st)
	}
	v, err := l.s.Verify(context.Background(), tx, pre.Facts, nil, false)
	if err != nil || v.OK || len(v.Missing) != 1 || v.Missing[0].String() != "lib-1-1.noarch" {
		t.Errorf("verify %+v, %v", v, err)
	}
}

// headed puts sh code before each program.
type headed struct {
	Conn
	head string
	out  []byte
}

func (h *headed) Run(ctx context.Context, c transport.Command) (transport.Result, error) {
	c.Argv = slices.Clone(c.Argv)
	c.Argv[2] = h.head + "\n" + c.Argv[2]
	r, err := h.Conn.Run(ctx, c)
	h.out = r.Stdout
	return r, err
}

// The answer is packed where gzip works, and is the same where there is none or one that does not work.
func TestCollectPacked(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	ctx := context.Background()
	for _, shell := range shells {
		l.host.shell = shell
		var digests []string
		for head, packed := range map[string]bool{"": true, "gzip() { return 127; }": false, "gzip() { cat >/dev/null; return 1; }": false} {
			c := &headed{Conn: l.host, head: head}
			f, _, err := Collect(ctx, c, CollectOptions{Host: "h1"})
			if err != nil {
				t.Fatalf("%s, %q: %v", shell, head, err)
			}
			digests = append(digests, f.InstalledDigest)
			if strings.Contains(string(c.out), " packed\n") != packed || strings.Contains(string(c.out), " end\n") == packed {
				t.Errorf("%s, %q: packed is not %v: %.200q", shell, head, packed, c.out)
			}
		}
		if len(slices.Compact(digests)) != 1 {
			t.Errorf("%s: the listings differ: %q", shell, digests)
		}
		_, _, err := Collect(ctx, &headed{Conn: l.host, head: `gzip() { command gzip "$@" | head -c 120; }`}, CollectOptions{Host: "h1"})
		if !errors.Is(err, ErrProtocol) || !strings.Contains(err.Error(), "the packed answer does not end") {
			t.Errorf("%s, a gzip that dies: %v", shell, err)
		}
	}
}
