package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cpacman/internal/host"
	"cpacman/internal/rpm"
	"cpacman/transport"
)

// TestScriptedHostRefuses: a host that would take anything would make the tests of thousands prove nothing.
func TestScriptedHostRefuses(t *testing.T) {
	s := newScriptedSite(t, 1)
	h, ctx := s.hosts[0], t.Context()
	s.publish(t, "2.0")
	conn := s.dial(t, h)
	session := host.NewSession(conn, host.SessionOptions{Host: h.name, Owner: host.Owner{ID: "r1"}})
	file := s.file(t, "app-2.0-1.el9.noarch.rpm")
	tx := host.Transaction{ID: "r1/" + h.name + "/1", Upgrade: []host.File{file}, VerifyLevel: "digest"}
	if err := session.Start(ctx, tx); !errors.Is(err, host.ErrNotLocked) {
		t.Errorf("a start without the lock on this side: %v", err)
	}
	refusesLock(t, session)
	if _, err := session.Test(ctx, tx); !errors.Is(err, host.ErrIntegrity) {
		t.Errorf("a test of what was not sent: %v", err)
	}
	s.damage(t, conn, h, file)
	if _, err := session.Stage(ctx, []host.File{file}, nil); err != nil {
		t.Fatal(err)
	}
	changed := tx
	changed.ExpectBefore, changed.ExpectCount = strings.Repeat("a", 64), 7
	if r, err := session.Test(ctx, changed); err != nil || r.OK || !r.Changed {
		t.Errorf("an order for another installed set: %+v, %v", r, err)
	}
	if r, err := session.Test(ctx, tx); err != nil || !r.OK {
		t.Fatalf("%+v, %v", r, err)
	}
	h.steal("r0")
	if err := session.Start(ctx, tx); !errors.Is(err, host.ErrNotLocked) || len(h.ledger) > 0 {
		t.Errorf("a start with the lock at somebody else: %v", err)
	}
	h.steal("r1")
	refusesTwice(t, session, h, tx)
	if _, err := session.Stage(ctx, []host.File{file}, nil); err != nil {
		t.Fatal(err)
	}
	second := tx
	second.ID = "r1/" + h.name + "/2"
	if r, err := session.Test(ctx, second); err != nil || r.OK || len(r.Problems) != 1 {
		t.Errorf("a package that is installed: %+v, %v", r, err)
	}
	if _, err := conn.Run(ctx, transport.Command{Argv: []string{"/bin/sh", "-c", "rm -rf /", "cpacman", strings.Repeat("0", 16)}}); err == nil {
		t.Error("a program that is none of cpacman's was taken")
	}
}

// steal gives the lock to somebody.
func (h *scriptedHost) steal(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lock.id = id
}

// refusesLock ends with the lock taken.
func refusesLock(t *testing.T, session *host.Session) {
	t.Helper()
	ctx := t.Context()
	other := host.Owner{ID: "other", Control: "c", User: "u", Rollout: "r0"}
	if _, err := session.Acquire(ctx, other); err != nil {
		t.Fatal(err)
	}
	var locked *host.LockedError
	if _, err := session.Acquire(ctx, host.Owner{ID: "r1"}); !errors.As(err, &locked) || locked.Owner.Rollout != "r0" {
		t.Errorf("the lock of somebody else: %v", err)
	}
	if err := session.Release(ctx, other); err != nil {
		t.Fatal(err)
	}
	if _, err := session.Acquire(ctx, host.Owner{ID: "r1"}); err != nil {
		t.Fatal(err)
	}
}

// refusesTwice starts a transaction: beside it, and under its id, nothing starts.
func refusesTwice(t *testing.T, session *host.Session, h *scriptedHost, tx host.Transaction) {
	t.Helper()
	ctx := t.Context()
	if err := session.Start(ctx, tx); err != nil {
		t.Fatal(err)
	}
	takes := func(d time.Duration) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.ledger["r1_"+h.name+"_1"].takes = d
	}
	takes(time.Hour)
	second := tx
	second.ID = "r1/" + h.name + "/2"
	if err := session.Start(ctx, second); !errors.Is(err, host.ErrBusy) {
		t.Errorf("a start beside another transaction: %v", err)
	}
	takes(0)
	if st, err := session.Poll(ctx, tx.ID, host.PollOptions{}); err != nil || st.Phase != host.Done {
		t.Fatalf("%+v, %v", st, err)
	}
	if err := session.Start(ctx, tx); !errors.Is(err, host.ErrReplay) {
		t.Errorf("an id that was used: %v", err)
	}
}

// damage puts other bytes where a package is expected, and has the host asked to take them for it.
func (s *scriptedSite) damage(t *testing.T, conn *transport.Conn, h *scriptedHost, file host.File) {
	t.Helper()
	ctx := t.Context()
	if _, err := host.NewSession(conn, host.SessionOptions{Host: h.name, Owner: host.Owner{ID: "r1"}}).Stage(ctx, nil, nil); err != nil {
		t.Fatal(err)
	}
	name := hostDir + "/in/r1/" + file.SHA256 + ".rpm"
	bad := []byte("no package")
	_, err := conn.Upload(ctx, []transport.Upload{{Path: name, Size: int64(len(bad)), Open: func() (io.ReadSeekCloser, error) {
		return struct {
			*strings.Reader
			io.Closer
		}{strings.NewReader(string(bad)), io.NopCloser(nil)}, nil
	}}})
	if err != nil {
		t.Fatal(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.admit(&talk{args: []string{"r1", hostDir + "/in/r1", file.SHA256}}); err == nil || h.files[spooled(file.SHA256)] != nil {
		t.Errorf("other bytes than those of the digest were taken: %v", err)
	}
}

// file is a package of the repository as a transaction names it.
func (s *scriptedSite) file(t *testing.T, name string) host.File {
	t.Helper()
	path := filepath.Join(s.site, "repo", name)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n, err := rpm.ParseNEVRA(strings.TrimSuffix(name, ".rpm"))
	if err != nil {
		t.Fatal(err)
	}
	return host.File{NEVRA: n, Name: name, SHA256: fmt.Sprintf("%x", sha256.Sum256(data)), Size: int64(len(data)), Local: path}
}

// dial connects to a host as cpacman does.
func (s *scriptedSite) dial(t *testing.T, h *scriptedHost) *transport.Conn {
	t.Helper()
	known, err := filepath.Glob(filepath.Join(s.site, "known_hosts.*"))
	if err != nil {
		t.Fatal(err)
	}
	dialer := transport.NewDialer(transport.Options{})
	t.Cleanup(func() { dialer.Close() })
	conn, err := dialer.Dial(t.Context(), transport.Target{Name: h.name, Address: "127.0.0.1", Port: h.server.Port(), User: "root",
		Identities: []string{filepath.Join(s.site, "id")}, KnownHosts: known})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}
