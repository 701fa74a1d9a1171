package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"cpacman/transport"
)

// sender uploads as package transport does, through a part file and a rename, and stops in the middle of each file for as long as pause takes.
type sender struct {
	*realHost
	pause func()
}

func (s *sender) Upload(_ context.Context, files []transport.Upload) (transport.UploadStats, error) {
	st := transport.UploadStats{Files: len(files)}
	for _, f := range files {
		if f.Open != nil {
			if _, err := s.realHost.Upload(context.Background(), []transport.Upload{f}); err != nil {
				return st, err
			}
			continue
		}
		b, err := os.ReadFile(f.Local)
		if err != nil {
			return st, err
		}
		part := s.path(f.Path + "." + f.SHA256[:12] + ".part")
		w, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE, f.Mode)
		if err != nil {
			return st, err
		}
		defer w.Close()
		if _, err := w.Write(b[:len(b)/2]); err != nil {
			return st, err
		}
		if s.pause != nil {
			s.pause()
		}
		if _, err := w.Write(b[len(b)/2:]); err != nil {
			return st, err
		}
		if err := errors.Join(os.Chown(part, s.uid, s.uid), os.Rename(part, s.path(f.Path))); err != nil {
			return st, err
		}
		st.Bytes += f.Size
	}
	return st, nil
}

// rival is a session of another rollout from another control host, which stops in the middle of what it sends.
func (l *lab) rival(id string, pause func()) *Session {
	return NewSession(&sender{l.host, pause}, SessionOptions{Host: "h1", Sudo: l.host.uid != 0, Owner: Owner{ID: id, Control: "far", User: "bob", Rollout: id}})
}

// Whatever another rollout sends, discards or cleans meanwhile, with whatever login: what one has sent, or was told to be there, stays
// its own until it is through with it (PUSH-4, PUSH-8).
func TestUploadsAreTheirOwners(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, sudo := range []bool{false, true} {
		l := newLab(t)
		l.login(sudo)
		files := []File{build(t, l.key, pkg{nevra: "app-2-1.noarch"}), build(t, l.key, pkg{nevra: "lib-2-1.noarch"})}
		tx := func(id string) Transaction { return Transaction{ID: id, Upgrade: files} }
		dryRun := func(id string) {
			t.Helper()
			s := l.rival(id, nil)
			st, err := s.Stage(ctx, files, nil)
			if err != nil {
				t.Errorf("sudo %v: %s cannot send: %v", sudo, id, err)
				return
			}
			if r, err := s.Test(ctx, tx(id+"/h1/1")); err != nil || !r.OK {
				t.Errorf("sudo %v: %s: %+v, %v", sudo, id, r, err)
			}
			if _, err := s.Clean(ctx, CleanOptions{What: CleanFiles, Files: st.Sent}); err != nil {
				t.Errorf("sudo %v: %s cannot take back what it sent: %v", sudo, id, err)
			}
		}

		// In the middle of sending each of two files another one sends, tests and discards them, and a person cleans.
		n := 0
		slow := l.rival("slow", func() {
			n++
			dryRun(fmt.Sprint("quick", n))
			r, err := NewSession(l.host, SessionOptions{Host: "h1", Sudo: sudo}).Clean(ctx, CleanOptions{What: CleanSpool})
			if err != nil {
				t.Errorf("sudo %v: clean: %v", sudo, err)
			}
			if len(r.Kept) != 1 || !strings.Contains(r.Kept[0], "bob@far (slow)") {
				t.Errorf("sudo %v: clean does not say whom it has left alone: %q", sudo, r.Kept)
			}
		})
		if st, err := slow.Stage(ctx, files, nil); err != nil || len(st.Sent) != 2 || n != 2 {
			t.Errorf("sudo %v: the slow one: %+v, %v", sudo, st, err)
		}

		// What was there when it was asked for stays there, though whoever had sent it takes it back.
		first := l.rival("first", nil)
		st, err := first.Stage(ctx, files, nil)
		if err != nil {
			t.Fatal(err)
		}
		second := l.rival("second", nil)
		if st, err := second.Stage(ctx, files, nil); err != nil || st.Present != 2 {
			t.Errorf("sudo %v: the second: %+v, %v", sudo, st, err)
		}
		if _, err := first.Clean(ctx, CleanOptions{What: CleanFiles, Files: st.Sent}); err != nil {
			t.Error(err)
		}
		if r, err := second.Test(ctx, tx("second/h1/1")); err != nil || !r.OK {
			t.Errorf("sudo %v: the second, after the first has gone: %+v, %v", sudo, r, err)
		}
		if r, err := slow.Test(ctx, tx("slow/h1/1")); err != nil || !r.OK {
			t.Errorf("sudo %v: the slow one, after all others: %+v, %v", sudo, r, err)
		}

		// A person takes all of it away between the last test and the transaction of one that was heard of a moment ago.
		if _, err := second.Acquire(ctx, Owner{ID: "second"}); err != nil {
			t.Fatal(err)
		}
		if _, err := l.s.Clean(ctx, CleanOptions{What: CleanAll}); err != nil {
			t.Error(err)
		}
		if err := second.Start(ctx, tx("second/h1/1")); err != nil {
			t.Fatal(err)
		}
		if st := await(t, second, "second/h1/1", Done); st.Phase != Done || st.RC["u"] != 0 {
			t.Errorf("sudo %v: %+v", sudo, st)
		}
		if err := second.Release(ctx, Owner{ID: "second"}); err != nil {
			t.Fatal(err)
		}

		// When all are through, nothing is left.
		if _, err := slow.Clean(ctx, CleanOptions{What: CleanFiles, Files: st.Sent}); err != nil {
			t.Error(err)
		}
		if r, err := l.s.Clean(ctx, CleanOptions{What: CleanAll}); err != nil || !r.Gone || len(r.Kept) > 0 {
			t.Errorf("sudo %v: clean %+v, %v", sudo, r, err)
		}
		if got := l.host.sh("find /home /root -name '*.rpm' -o -name '*.part' -o -name '*.order' | grep cpacman || :"); got != "" {
			t.Errorf("sudo %v: left behind: %s", sudo, got)
		}
	}
}

// A dead man's switch needs its packages until it has decided: nobody takes them away.
func TestCleanSparesTheSwitch(t *testing.T) {
	t.Parallel()
	l, tx, back, pre := journey(t, shells["dash"])
	l.cron()
	ctx := context.Background()
	other := l.rival("other", nil)
	st, err := other.Stage(ctx, backFilesOf(back), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.s.StartArmed(ctx, tx, Switch{Back: back, After: 3 * time.Second}); err != nil {
		t.Fatal(err)
	}
	await(t, l.s, tx.ID, Done)
	if _, err := other.Clean(ctx, CleanOptions{What: CleanAll}); !errors.Is(err, ErrBusy) {
		t.Errorf("clean while a switch is armed: %v", err)
	}
	all := append(st.Sent, digestsOf(backFilesOf(back))...)
	if _, err := other.Clean(ctx, CleanOptions{What: CleanFiles, Files: all}); err != nil {
		t.Error(err)
	}
	l.host.sh("rm -f /var/lib/cpacman/spool/*.rpm")
	if st := await(t, l.s, back.ID, Done); st.Phase != Done {
		t.Fatalf("%+v", st)
	}
	l.asBefore(pre)
	if got := l.host.sh("find /var/lib/cpacman/ledger -name '*.rpm'"); got != "" {
		t.Errorf("packages stay in the ledger: %s", got)
	}
}

func backFilesOf(tx Transaction) []File {
	return append(append([]File{}, tx.Upgrade...), tx.InstallOnly...)
}

func digestsOf(files []File) (out []string) {
	for _, f := range files {
		out = append(out, f.SHA256)
	}
	return out
}

// Who is through takes empty directories away, also those that another one is about to use.
func TestSpoolGoesInBetween(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	l := newLab(t)
	l.host.sh(`mv /usr/bin/ln /usr/bin/ln.real; cat >/usr/bin/ln <<'END'; chmod 755 /usr/bin/ln
#!/bin/sh
[ -e /opt/went ] || rmdir /var/lib/cpacman/spool && touch /opt/went
exec /usr/bin/ln.real "$@"
END`)
	s := l.rival("slow", nil)
	if st, err := s.Stage(ctx, []File{build(t, l.key, pkg{nevra: "app-2-1.noarch"})}, nil); err != nil || len(st.Sent) != 1 {
		t.Errorf("%+v, %v", st, err)
	}
	l.host.sh("test -e /opt/went")

	// Uploads of a rollout that is known to be over go, though it was heard of a moment ago.
	if r, err := l.s.Clean(ctx, CleanOptions{What: CleanAll, Over: []string{"other"}}); err != nil || len(r.Kept) != 1 {
		t.Errorf("clean: %+v, %v", r, err)
	}
	if r, err := l.s.Clean(ctx, CleanOptions{What: CleanAll, Over: []string{"other", "slow"}}); err != nil || len(r.Kept) != 0 || !r.Gone {
		t.Errorf("clean: %+v, %v", r, err)
	}
}

// Packages that nothing counts on go after a while, when something is staged; what a way back holds stays (PUSH-8).
func TestStagedForAWhile(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	l := newLab(t)
	app, lib, old := build(t, l.key, pkg{nevra: "app-2-1.noarch"}), build(t, l.key, pkg{nevra: "lib-2-1.noarch"}), build(t, l.key, pkg{nevra: "old-2-1.noarch"})
	left := func() string { return l.host.sh("cd /var/lib/cpacman/spool && ls") }
	stage := func(keep time.Duration, want string, files ...File) {
		t.Helper()
		s := NewSession(l.host, SessionOptions{Host: "h1", Owner: Owner{ID: "later"}, Keep: keep})
		if _, err := s.Stage(ctx, files, nil); err != nil {
			t.Fatal(err)
		}
		if got := left(); got != want {
			t.Errorf("after %s the spool has\n%swant\n%s", keep, got, want)
		}
	}
	list := func(files ...File) string {
		var names []string
		for _, f := range files {
			names = append(names, f.SHA256+".rpm\n")
		}
		slices.Sort(names)
		return strings.Join(names, "")
	}
	if _, err := l.s.Stage(ctx, []File{app, lib, old}, nil); err != nil {
		t.Fatal(err)
	}
	l.host.sh("cd /var/lib/cpacman && mkdir -p ledger/r1_h1_1-back/p && ln spool/" + old.SHA256 + ".rpm ledger/r1_h1_1-back/p/")
	time.Sleep(2 * time.Second)
	stage(time.Second, list(app, lib, old)) // who has sent them has not said that it is through
	l.host.sh("rm -r /var/lib/cpacman/in")
	time.Sleep(2 * time.Second)
	stage(0, list(app, lib, old))
	stage(time.Hour, list(app, lib, old))
	stage(time.Second, list(lib, old), lib)
	l.host.sh("rm -r /var/lib/cpacman/in /var/lib/cpacman/ledger/*")
	time.Sleep(2 * time.Second)
	stage(time.Second, "")
}
