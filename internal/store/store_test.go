package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cpacman/internal/host"
)

func open(t *testing.T) *Store {
	t.Helper()
	s, err := Open(context.Background(), filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func sample(name, digest string, times ...int64) *host.Facts {
	epoch := uint32(0)
	f := &host.Facts{
		Host: name, CollectedAt: time.Date(2026, 3, 1, 2, 3, 4, 5, time.UTC), MachineID: "m-" + name,
		InstalledDigest: digest, Keys: nil, FailedUnits: []string{}, Notes: []string{"a \x1b[31mnote"},
	}
	for i, at := range times {
		f.Packages = append(f.Packages, host.Package{Name: fmt.Sprintf("p%d", i), Epoch: &epoch, Version: "1", Release: "1", Arch: "noarch", InstallTime: at})
	}
	return f
}

func TestFactsComeBackAsStored(t *testing.T) {
	s, ctx := open(t), context.Background()
	want := []*host.Facts{sample("a", "same", 10, -1, 1<<40), sample("b", "same", 7, 8, 9), sample("empty", "none")}
	for _, f := range want {
		if err := s.PutFacts(ctx, f); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range want {
		got, err := s.Facts(ctx, f.Host)
		if err != nil {
			t.Fatal(err)
		}
		if len(f.Packages) == 0 {
			f.Packages = got.Packages[:0]
		}
		if d := cmp.Diff(f, got); d != "" {
			t.Errorf("facts of %s (-stored +read):\n%s", f.Host, d)
		}
	}
	var lists int
	if err := s.db.QueryRow("SELECT count(*) FROM installed").Scan(&lists); err != nil || lists != 2 {
		t.Errorf("%d package lists for three hosts with two sets (%v)", lists, err)
	}
	if _, err := s.Facts(ctx, "never"); !errors.Is(err, ErrNotFound) {
		t.Errorf("facts of a host never asked: %v", err)
	}
}

func TestContactsTellUnreachableFromOld(t *testing.T) {
	s, ctx := open(t), context.Background()
	f := sample("a", "d", 1)
	if err := s.PutFacts(ctx, f); err != nil {
		t.Fatal(err)
	}
	failed := Contact{Host: "a", TriedAt: f.CollectedAt.Add(time.Hour), Kind: "unreachable", Error: "dial: timeout"}
	if err := s.PutContact(ctx, failed); err != nil {
		t.Fatal(err)
	}
	got, err := s.Contacts(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]Contact{"a": failed}, got); d != "" {
		t.Error(d)
	}
}

func TestHeadersAreLookedUpInBatches(t *testing.T) {
	s, ctx := open(t), context.Background()
	put := map[string][]byte{}
	var ask []string
	for i := range 2*lookupBatch + 7 {
		digest := fmt.Sprintf("%064d", i)
		ask = append(ask, digest)
		if i%3 == 0 {
			put[digest] = []byte(strings.Repeat(digest, 3))
		}
	}
	if err := s.PutHeaders(ctx, put); err != nil {
		t.Fatal(err)
	}
	missing, err := s.MissingHeaders(ctx, ask)
	if err != nil {
		t.Fatal(err)
	}
	if len(missing) != len(ask)-len(put) {
		t.Errorf("%d missing of %d with %d stored", len(missing), len(ask), len(put))
	}
	for _, d := range missing {
		if put[d] != nil {
			t.Errorf("%s is stored and called missing", d)
		}
	}
	got, err := s.Header(ctx, ask[3])
	if err != nil || string(got) != string(put[ask[3]]) {
		t.Errorf("header: %q, %v", got, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	ctx := context.Background()
	t.Run("a file of a newer cpacman", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "state")
		s, err := Open(ctx, dir)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.db.Exec("PRAGMA user_version = 999"); err != nil {
			t.Fatal(err)
		}
		s.Close()
		var newer *NewerError
		if _, err := Open(ctx, dir); !errors.As(err, &newer) || newer.Have != 999 {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a directory others may write", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "state")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(ctx, dir); err == nil || !strings.Contains(err.Error(), "chmod go-w") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("not what others may only read: it is closed to them", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "state")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, FileName), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		s, err := Open(ctx, dir)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for path, want := range map[string]os.FileMode{dir: 0o700, s.Path(): 0o600, s.Path() + "-wal": 0o600} {
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
				t.Errorf("%s: %v, %v", path, info.Mode(), err)
			}
		}
	})
	t.Run("a file that is no database", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "state")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, FileName), []byte(strings.Repeat("not sqlite ", 200)), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(ctx, dir); err == nil {
			t.Error("opened")
		}
	})
}

func TestFilesAreForTheirOwner(t *testing.T) {
	s := open(t)
	if err := s.PutFacts(context.Background(), sample("a", "d", 1)); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Dir(s.Path()))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %04o", entry.Name(), info.Mode().Perm())
		}
	}
}

func TestUnchangedFactsKeepTheirPackages(t *testing.T) {
	s, ctx := open(t), context.Background()
	f := sample("a", "d", 10, 20)
	if err := s.PutFacts(ctx, f); err != nil {
		t.Fatal(err)
	}
	short, err := s.ShortFacts(ctx, "a")
	if err != nil || short.Packages != nil || short.InstalledDigest != "d" {
		t.Fatalf("short facts %+v, %v", short, err)
	}
	short.CollectedAt, short.Kernel = f.CollectedAt.Add(time.Hour), "newer"
	if err := s.PutUnchanged(ctx, short); err != nil {
		t.Fatal(err)
	}
	got, err := s.Facts(ctx, "a")
	if err != nil || len(got.Packages) != 2 || got.Packages[1].InstallTime != 20 || got.Kernel != "newer" {
		t.Errorf("facts %+v, %v", got, err)
	}
	short.InstalledDigest = "another"
	if err := s.PutUnchanged(ctx, short); !errors.Is(err, ErrNotFound) {
		t.Errorf("unchanged facts of another list: %v", err)
	}
}

// TestOpenReady: only what Open would leave as it is is opened, and nothing is made or changed for it.
func TestOpenReady(t *testing.T) {
	ctx := context.Background()
	ready := func(what, dir string, want bool) {
		t.Helper()
		before, _ := filepath.Glob(filepath.Join(dir, "*"))
		s, err := OpenReady(ctx, dir)
		if (err == nil) != want || err != nil && !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
		if err == nil {
			if facts, err := s.PlanFacts(ctx); err != nil || len(facts) != 1 {
				t.Errorf("%s: %d facts, %v", what, len(facts), err)
			}
			s.Close()
		}
		if after, _ := filepath.Glob(filepath.Join(dir, "*")); len(after) != len(before) {
			t.Errorf("%s: there were %q, and now there are %q", what, before, after)
		}
	}
	dir := filepath.Join(t.TempDir(), "state")
	ready("no directory", dir, false)
	if _, err := os.Stat(dir); err == nil {
		t.Error("a directory was made")
	}
	s, err := Open(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.PutFacts(ctx, sample("web01", "d", 1)); err != nil {
		t.Fatal(err)
	}
	s.Close()
	ready("as it should be", dir, true)
	for _, name := range []string{dir, filepath.Join(dir, FileName)} {
		if err := os.Chmod(name, 0o755); err != nil {
			t.Fatal(err)
		}
		ready("others may read "+filepath.Base(name), dir, false)
		if err := os.Chmod(name, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	ready("an older format", golden(t, "testdata/format-10.sql"), false)
	for what, text := range map[string]string{"no database": "not one", "empty": ""} {
		if err := os.WriteFile(filepath.Join(dir, FileName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		ready(what, dir, false)
	}
}
