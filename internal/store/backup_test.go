package store

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"cpacman/internal/rollout"
)

// halfway is a rollout with a host in each of some states.
func halfway(id string, state rollout.RolloutState, hosts ...rollout.State) rollout.Snapshot {
	s := rollout.Snapshot{Rollout: rollout.Rollout{ID: id, PlanID: "plan-" + id, State: state, User: "ann", CreatedAt: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}}
	s.Waves = []rollout.WaveRecord{{State: rollout.WaveRunning}}
	for i, st := range hosts {
		s.Hosts = append(s.Hosts, rollout.HostRecord{Host: string(rune('a' + i)), State: st, Attempt: 1})
	}
	return s
}

// site is a store with an open and a finished rollout, and a backup of it.
func site(t *testing.T) (dir, file string, s *Store) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "state")
	ctx := context.Background()
	s, err := Open(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	for _, snap := range []rollout.Snapshot{
		halfway("open", rollout.RolloutRunning, rollout.StateOK, rollout.StateTransacting, rollout.StatePending),
		halfway("done", rollout.RolloutDone, rollout.StateOK, rollout.StateTxFailed),
	} {
		if err := s.Create(ctx, snap, false); err != nil {
			t.Fatal(err)
		}
	}
	file = filepath.Join(t.TempDir(), "backup.db")
	if _, err := s.Backup(ctx, file, "test", false); err != nil {
		t.Fatal(err)
	}
	return dir, file, s
}

func TestBackupWhileWriting(t *testing.T) {
	dir, _, s := site(t)
	ctx := context.Background()
	stop, done := make(chan struct{}), make(chan error)
	go func() { // another process, as far as SQLite is concerned
		other, err := Open(ctx, dir)
		for i := 0; err == nil; i++ {
			select {
			case <-stop:
				done <- other.Close()
				return
			default:
				err = other.PutFacts(ctx, sample("h", "d", int64(i)))
			}
		}
		done <- err
	}()
	for i := range 5 {
		file := filepath.Join(t.TempDir(), "b.db")
		m, err := s.Backup(ctx, file, "v1", false)
		if err != nil {
			t.Fatal(i, err)
		}
		if len(m.Open) != 1 || m.Open[0].ID != "open" || m.Format != formats(t) || m.Program != "v1" {
			t.Errorf("manifest %+v", m)
		}
		if sum, n, err := digestFile(file); err != nil || sum != m.SHA256 || n != m.Bytes {
			t.Errorf("%s %d %v, manifest %+v", sum, n, err, m)
		}
		if _, err := s.Backup(ctx, file, "v1", false); !errors.Is(err, fs.ErrExist) {
			t.Errorf("an existing file: %v", err)
		}
		if _, err := s.Backup(ctx, file, "v2", true); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := s.Backup(ctx, s.path, "v1", true); err == nil {
		t.Error("the database was replaced by its copy")
	}
}

func formats(t *testing.T) int {
	t.Helper()
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

func TestBackupHasTheTrailsHead(t *testing.T) {
	ctx := context.Background()
	_, _, s := site(t)
	want, err := s.TrailHead(ctx)
	if err != nil || want.Seq == 0 {
		t.Fatalf("head %v, %v: a site with rollouts has lines", want, err)
	}
	m, err := s.Backup(ctx, filepath.Join(t.TempDir(), "b"), "", false)
	if err != nil || m.TrailHead != want {
		t.Errorf("head %q, want %q, %v", m.TrailHead, want, err)
	}
}

// TestModes: SEC-3: everything is for its owner, also where the umask would let others read.
func TestModes(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	dir, file, s := site(t)
	if err := s.backup(context.Background(), s.path+".before-format-9"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(context.Background(), dir, file, RestoreOptions{}); err != nil {
		t.Fatal(err)
	}
	s, err := Open(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.PutFacts(context.Background(), sample("a", "d", 1)); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("state directory %v, %v", info.Mode(), err)
	}
	seen := 0
	for _, d := range []string{dir, filepath.Dir(file)} {
		entries, err := os.ReadDir(d)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v", e.Name(), info.Mode(), err)
			}
			seen++
		}
	}
	if seen < 6 { // database, log, index, two copies, backup and manifest
		t.Errorf("only %d files were looked at", seen)
	}
}

func TestRestore(t *testing.T) {
	dir, file, s := site(t)
	ctx := context.Background()
	if err := s.PutFacts(ctx, sample("later", "d", 1)); err != nil {
		t.Fatal(err)
	}
	was, err := s.TrailHead(ctx)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	before, _, err := digestFile(filepath.Join(dir, FileName))
	if err != nil {
		t.Fatal(err)
	}
	out, err := Restore(ctx, dir, file, RestoreOptions{DryRun: true})
	if err != nil || out.Kept != "" || len(out.Unreconciled) != 1 || out.Hosts != 2 || out.Manifest == nil || len(out.Warnings) != 0 {
		t.Errorf("dry run %+v, %v", out, err)
	}
	if after, _, _ := digestFile(filepath.Join(dir, FileName)); after != before {
		t.Error("the dry run changed the database")
	}
	if out, err = Restore(ctx, dir, file, RestoreOptions{User: "ann"}); err != nil {
		t.Fatal(err)
	}
	if got, _ := filepath.Glob(filepath.Join(dir, FileName+"*")); len(got) != 2 || out.Kept == "" {
		t.Errorf("in the state directory: %q, kept %q", got, out.Kept)
	}
	if got, _ := filepath.Glob(filepath.Join(dir, ".*restore*")); len(got) != 0 {
		t.Errorf("left over: %q", got)
	}
	s, err = Open(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, lines := told(t, s, TrailFilter{Actor: "ann", From: out.Manifest.TrailHead.Seq + 1})
	if len(lines) != 1 || lines[0].Action != LineRestored || !strings.Contains(string(lines[0].Body), was.Digest) ||
		!strings.Contains(string(lines[0].Body), out.Manifest.SHA256) {
		t.Errorf("the audit trail tells of the restore: %+v", lines)
	}
	if _, err := s.Facts(ctx, "later"); !errors.Is(err, ErrNotFound) {
		t.Errorf("what came after the backup: %v", err)
	}
	open, err := s.Load(ctx, "open")
	if err != nil || !open.Rollout.Unreconciled || open.Hosts[0].Unasked != 2 || open.Hosts[1].Unasked != 1 || open.Hosts[2].Unasked != 1 {
		t.Errorf("%+v, %v", open, err)
	}
	done, err := s.Load(ctx, "done")
	if err != nil || done.Rollout.Unreconciled || done.Hosts[1].Unasked != 2 {
		t.Errorf("%+v, %v", done, err)
	}
	events, err := s.Events(ctx, "open", 0)
	if err != nil || len(events) != 1 || events[0].Reason.Code != rollout.ReasonRestored {
		t.Errorf("events %+v, %v", events, err)
	}
	if _, err := s.Acquire(ctx, "open", rollout.Owner{User: "ann"}); err != nil {
		t.Error(err)
	}
	// What was kept can be restored again: the way back.
	s.Close()
	if out, err = Restore(ctx, dir, out.Kept, RestoreOptions{Force: true, Now: func() time.Time { return time.Now().Add(time.Minute) }}); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(ctx, dir); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Facts(ctx, "later"); err != nil {
		t.Errorf("the way back: %v", err)
	}
	if _, err := s.Acquire(ctx, "open", rollout.Owner{User: "ann"}); err != nil {
		t.Errorf("an engine on what was kept once: %v", err)
	}
}

// TestRestoreUnderAnEngine: refused while the engine lives; by force, the engine's next write is refused.
func TestRestoreUnderAnEngine(t *testing.T) {
	dir, file, s := site(t)
	ctx := context.Background()
	host, _ := os.Hostname()
	epoch, err := s.Acquire(ctx, "open", rollout.Owner{User: "ann", Host: host, PID: os.Getpid(), BootID: BootID()})
	if err != nil {
		t.Fatal(err)
	}
	var held *rollout.LeaseHeldError
	for _, dry := range []bool{true, false} {
		if _, err := Restore(ctx, dir, file, RestoreOptions{DryRun: dry}); !errors.As(err, &held) || held.Rollout != "open" {
			t.Fatalf("dry run %v: %v", dry, err)
		}
	}
	if err := s.Append(ctx, "open", epoch, rollout.Change{}); err != nil {
		t.Fatalf("the refused restore disturbed the engine: %v", err)
	}
	out, err := Restore(ctx, dir, file, RestoreOptions{Force: true})
	if err != nil || !strings.Contains(strings.Join(out.Warnings, "\n"), "is run by ann") {
		t.Fatalf("%+v, %v", out, err)
	}
	if err := s.Append(ctx, "open", epoch, rollout.Change{}); !errors.Is(err, rollout.ErrLeaseLost) {
		t.Errorf("the old engine writes on: %v", err)
	}
	if err := s.Renew(ctx, "open", epoch); !errors.Is(err, rollout.ErrLeaseLost) {
		t.Errorf("the old engine keeps its lease: %v", err)
	}
	if _, err := s.Acquire(ctx, "open", rollout.Owner{}); err == nil || !strings.Contains(err.Error(), "replaced by cpacman state restore") {
		t.Errorf("a process that has the old database open can run a rollout: %v", err)
	}
	fresh, err := Open(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer fresh.Close()
	var verdict string
	if err := fresh.db.QueryRow("PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity %s, %v", verdict, err)
	}
	if _, err := fresh.Acquire(ctx, "open", rollout.Owner{}); err != nil {
		t.Errorf("an engine on the restored database: %v", err)
	}
}

func TestRestoreRefuses(t *testing.T) {
	ctx := context.Background()
	exec := func(t *testing.T, file, sql string) {
		t.Helper()
		db, err := connect(file, "")
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.Exec(sql); err != nil {
			t.Fatal(err)
		}
	}
	unsigned := func(t *testing.T, file string) {
		t.Helper()
		if err := os.Remove(file + ManifestSuffix); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		spoil func(t *testing.T, dir, file string)
		want  string
	}{
		"another content": {func(t *testing.T, _, f string) { exec(t, f, "DELETE FROM contacts; DELETE FROM rollout_hosts") }, "not what was backed up"},
		"another schema":  {func(t *testing.T, _, f string) { unsigned(t, f); exec(t, f, "CREATE TABLE more (x)") }, "its schema has"},
		"a trigger": {func(t *testing.T, _, f string) {
			unsigned(t, f)
			exec(t, f, "CREATE TRIGGER t AFTER INSERT ON facts BEGIN SELECT 1; END")
		}, "its schema has"},
		"a table is missing": {func(t *testing.T, _, f string) { unsigned(t, f); exec(t, f, "DROP TABLE transactions") }, "its schema"},
		"no cpacman database": {func(t *testing.T, _, f string) {
			unsigned(t, f)
			os.Remove(f)
			exec(t, f, "CREATE TABLE t (x)")
		}, "no database of cpacman"},
		"no database": {func(t *testing.T, _, f string) {
			unsigned(t, f)
			os.WriteFile(f, []byte(strings.Repeat("text ", 500)), 0o600)
		}, "no database"},
		"cut short": {func(t *testing.T, _, f string) { unsigned(t, f); os.Truncate(f, 8192) }, "damaged|malformed"},
		"not there": {func(t *testing.T, _, f string) { os.Remove(f) }, "no such file"},
		"the manifest is no JSON": {func(t *testing.T, _, f string) {
			os.WriteFile(f+ManifestSuffix, []byte("{"), 0o600)
		}, "manifest"},
		"open elsewhere": {func(t *testing.T, dir, _ string) {
			s, err := Open(ctx, dir)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
		}, "has the state database open"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, file, s := site(t)
			s.Close()
			c.spoil(t, dir, file)
			before, _, err := digestFile(filepath.Join(dir, FileName))
			if err != nil {
				t.Fatal(err)
			}
			_, err = Restore(ctx, dir, file, RestoreOptions{})
			match := false
			for _, w := range strings.Split(c.want, "|") {
				match = match || err != nil && strings.Contains(err.Error(), w)
			}
			if !match {
				t.Fatalf("%v, want %s", err, c.want)
			}
			if after, _, _ := digestFile(filepath.Join(dir, FileName)); after != before && name != "open elsewhere" {
				t.Error("the database was changed")
			}
			if left, _ := filepath.Glob(filepath.Join(dir, ".*restore*")); len(left) > 0 {
				t.Errorf("left over: %q", left)
			}
		})
	}
	t.Run("newer", func(t *testing.T) {
		dir, file, s := site(t)
		s.Close()
		unsigned(t, file)
		exec(t, file, "PRAGMA user_version = 999")
		var newer *NewerError
		if _, err := Restore(ctx, dir, file, RestoreOptions{Force: true}); !errors.As(err, &newer) || newer.Path != file || newer.Have != 999 {
			t.Error(err)
		}
	})
	t.Run("without a manifest it says so", func(t *testing.T) {
		dir, file, s := site(t)
		s.Close()
		unsigned(t, file)
		out, err := Restore(ctx, dir, file, RestoreOptions{})
		if err != nil || len(out.Warnings) != 1 || out.Manifest != nil {
			t.Errorf("%+v, %v", out, err)
		}
	})
	t.Run("a damaged database is replaced by force", func(t *testing.T) {
		dir, file, s := site(t)
		s.Close()
		os.WriteFile(filepath.Join(dir, FileName), []byte(strings.Repeat("noise ", 4000)), 0o600)
		if _, err := Restore(ctx, dir, file, RestoreOptions{}); err == nil || !strings.Contains(err.Error(), "cannot be read") {
			t.Fatal(err)
		}
		out, err := Restore(ctx, dir, file, RestoreOptions{Force: true})
		if err != nil || len(out.Warnings) == 0 {
			t.Fatalf("%+v, %v", out, err)
		}
		if _, err := os.Stat(out.Kept); err != nil {
			t.Error(err)
		}
	})
	t.Run("where only a log is left, it is put aside", func(t *testing.T) {
		dir, file, s := site(t)
		if err := s.PutFacts(ctx, sample("later", "d", 1)); err != nil {
			t.Fatal(err)
		}
		log, err := os.ReadFile(s.path + "-wal")
		if err != nil || len(log) == 0 {
			t.Fatal("there is no log", err)
		}
		s.Close()
		os.Remove(s.path)
		os.WriteFile(s.path+"-wal", log, 0o600)
		if _, err := Restore(ctx, dir, file, RestoreOptions{}); err != nil {
			t.Fatal(err)
		}
		if s, err = Open(ctx, dir); err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if _, err := s.Facts(ctx, "later"); !errors.Is(err, ErrNotFound) {
			t.Errorf("the stray log was taken for the new database's: %v", err)
		}
	})
	t.Run("into an empty directory", func(t *testing.T) {
		_, file, s := site(t)
		s.Close()
		out, err := Restore(ctx, filepath.Join(t.TempDir(), "new", "state"), file, RestoreOptions{})
		if err != nil || out.Kept != "" {
			t.Errorf("%+v, %v", out, err)
		}
	})
}

func TestManifestIsJSON(t *testing.T) {
	_, file, _ := site(t)
	b, err := os.ReadFile(file + ManifestSuffix)
	if err != nil {
		t.Fatal(err)
	}
	var m Manifest
	if err := json.Unmarshal(b, &m); err != nil || m.SHA256 == "" || m.CreatedAt.IsZero() {
		t.Errorf("%s %v", b, err)
	}
}
