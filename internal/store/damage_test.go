package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestDamagedDatabases: what cannot be what cpacman left is refused with what to do, and not begun anew.
func TestDamagedDatabases(t *testing.T) {
	write := func(t *testing.T, path, text string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	// used makes a site with a history, and a backup of it.
	used := func(t *testing.T) (dir, backup string) {
		t.Helper()
		dir, backup = filepath.Join(t.TempDir(), "state"), filepath.Join(t.TempDir(), "keep.db")
		s, err := Open(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Backup(t.Context(), backup, "test", false); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		return dir, backup
	}
	for name, c := range map[string]struct {
		damage func(t *testing.T, dir, backup string)
		want   []string // in error and hint; none: it opens
	}{
		"empty": {func(t *testing.T, dir, backup string) { write(t, filepath.Join(dir, FileName), "") }, []string{"is empty (0 bytes)", "state restore BACKUP --force"}},
		"empty, and nothing is known of a backup": {func(t *testing.T, dir, backup string) {
			write(t, filepath.Join(dir, FileName), "")
			write(t, filepath.Join(dir, "cache", "x"), "")
			_ = os.Remove(filepath.Join(dir, lastBackupName))
		}, []string{"is empty", "state restore FILE --force", "none is known"}},
		"empty, and the backup is gone": {func(t *testing.T, dir, backup string) {
			write(t, filepath.Join(dir, FileName), "")
			_ = os.Remove(backup)
		}, []string{"is empty", "none is known"}},
		"empty, with a newer copy beside": {func(t *testing.T, dir, backup string) {
			write(t, filepath.Join(dir, FileName), "")
			write(t, filepath.Join(dir, FileName+".before-format-9"), "x")
			later := time.Now().Add(time.Hour)
			_ = os.Chtimes(filepath.Join(dir, FileName+".before-format-9"), later, later)
		}, []string{"is empty", FileName + ".before-format-9 --force"}},
		"missing": {func(t *testing.T, dir, backup string) { _ = os.Remove(filepath.Join(dir, FileName)) }, []string{"is missing, and was there", "state restore BACKUP"}},
		"missing, with its log": {func(t *testing.T, dir, backup string) {
			_ = os.Remove(filepath.Join(dir, FileName))
			_ = os.Remove(filepath.Join(dir, lastBackupName))
			write(t, filepath.Join(dir, FileName+"-wal"), "x")
		}, []string{"is missing", "cpacman.db-wal"}},
		"no database": {func(t *testing.T, dir, backup string) {
			write(t, filepath.Join(dir, FileName), strings.Repeat("this is no database ", 1000))
		}, []string{"is damaged", "not a database", "state restore BACKUP"}},
		"overwritten": {func(t *testing.T, dir, backup string) {
			b, _ := os.ReadFile(filepath.Join(dir, FileName))
			copy(b[100:], strings.Repeat("\xff", 4000))
			write(t, filepath.Join(dir, FileName), string(b))
		}, []string{"is damaged", "state restore BACKUP"}},
		"somebody else's": {func(t *testing.T, dir, backup string) {
			_ = os.Remove(filepath.Join(dir, FileName))
			db, err := connect(filepath.Join(dir, FileName), "")
			if err == nil {
				_, err = db.Exec("CREATE TABLE x (y)")
			}
			if err := errors.Join(err, db.Close()); err != nil {
				t.Fatal(err)
			}
		}, []string{"nothing in it is of cpacman", "state restore BACKUP"}},
		"whole":                {func(t *testing.T, dir, backup string) {}, nil},
		"the site begins anew": {func(t *testing.T, dir, backup string) { _ = os.RemoveAll(dir) }, nil},
		"an empty one of a new site": {func(t *testing.T, dir, backup string) {
			_ = os.RemoveAll(dir)
			write(t, filepath.Join(dir, FileName), "")
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			dir, backup := used(t)
			c.damage(t, dir, backup)
			s, err := Open(t.Context(), dir)
			if err == nil {
				_, err = s.Rollouts(t.Context())
				err = errors.Join(Damaged(dir, err), s.Close())
			}
			if len(c.want) == 0 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var damaged *DamagedError
			if !errors.As(err, &damaged) {
				t.Fatalf("%v", err)
			}
			text := err.Error() + "\n" + damaged.Hint()
			for _, want := range c.want {
				if want = strings.ReplaceAll(want, "BACKUP", backup); !strings.Contains(text, want) {
					t.Errorf("%q is not in %q", want, text)
				}
			}
			if _, err := OpenCopy(t.Context(), dir); err == nil {
				t.Error("a copy of it is shown")
			}
			if _, err := os.Stat(backup); err != nil {
				return
			}
			if out, err := Restore(t.Context(), dir, backup, RestoreOptions{Force: true}); err != nil {
				t.Errorf("restore: %v %+v", err, out)
			}
			if s, err = Open(t.Context(), dir); err != nil {
				t.Fatalf("after the restore: %v", err)
			}
			_ = s.Close()
		})
	}
}

// TestNewSite: of many processes that make the database of a new site at once all get the same one.
func TestNewSite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s, err := Open(t.Context(), dir)
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := s.Rollouts(t.Context()); err != nil {
				t.Error(err)
			}
			_ = s.Close()
		})
	}
	wg.Wait()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			t.Errorf("left behind: %s", e.Name())
		}
	}
}
