package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	sqlite "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// DamagedError tells of a state database that cannot be what cpacman left: empty, missing beside what belongs to it, or damaged. To begin a new
// one in its place would forget every rollout, and who holds the locks.
type DamagedError struct {
	Path string // of the database
	Err  error
}

// Error names the file.
func (e *DamagedError) Error() string { return fmt.Sprintf("the state database %s: %v", e.Path, e.Err) }

// Unwrap gives the cause.
func (e *DamagedError) Unwrap() error { return e.Err }

// Hint says what to do, and names the newest backup that is known.
func (e *DamagedError) Hint() string {
	const all = "nothing was done; "
	if b, ok := newestBackup(filepath.Dir(e.Path)); ok {
		return all + "the newest backup known here is of " + b.made.UTC().Format("2006-01-02 15:04Z") + ": cpacman state restore " + b.path + " --force"
	}
	return all + "cpacman state restore FILE --force puts a backup in its place; none is known here. A site that is to begin anew: move " + filepath.Dir(e.Path) + " away"
}

// Damaged makes a *DamagedError of an error by which SQLite says that the database of a state directory is damaged; other errors are given back
// as they are.
func Damaged(dir string, err error) error {
	var already *DamagedError
	var e *sqlite.Error
	if err == nil || errors.As(err, &already) || !errors.As(err, &e) {
		return err
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return &DamagedError{filepath.Join(dir, FileName), fmt.Errorf("it is damaged: %w", err)}
	}
	return err
}

// knownBackup is a file that state restore can take.
type knownBackup struct {
	path string
	made time.Time
}

// newestBackup is the newest of the last one that was written by state backup and of those that cpacman itself keeps beside the database.
func newestBackup(dir string) (newest knownBackup, ok bool) {
	take := func(path string) {
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() || info.Size() == 0 || ok && !info.ModTime().After(newest.made) {
			return
		}
		newest, ok = knownBackup{path, info.ModTime()}, true
	}
	kept, _ := filepath.Glob(filepath.Join(dir, FileName+".before-*")) //nolint:errcheck // the pattern is right
	for _, path := range kept {
		take(path)
	}
	var last lastBackup
	if text, err := os.ReadFile(filepath.Join(dir, lastBackupName)); err == nil && json.Unmarshal(text, &last) == nil {
		take(last.Path)
	}
	return newest, ok
}

// lastBackupName is the file beside the database that says where the last backup is: when the database is damaged it must not be asked.
const lastBackupName = "last-backup.json"

type lastBackup struct {
	Path string    `json:"path"` // absolute
	At   time.Time `json:"at"`
}

// noteBackup remembers where a backup was written.
func noteBackup(dir, path string, at time.Time) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	text, err := json.Marshal(lastBackup{path, at})
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "."+lastBackupName+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // gone after the rename
	_, err = f.Write(append(text, '\n'))
	return errors.Join(err, f.Close(), os.Rename(f.Name(), filepath.Join(dir, lastBackupName)))
}

// findDatabase tells whether the state directory has a database, and refuses an empty one, or none where there was one: that is no new site.
func findDatabase(dir string) (there bool, err error) {
	path := filepath.Join(dir, FileName)
	refuse := func(text string) error { return &DamagedError{path, errors.New(text)} }
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if traces := tracesOf(dir); traces != "" {
			return false, refuse("it is missing, and was there: " + traces + " is left of it")
		}
		return false, nil
	case err != nil:
		return false, err
	case info.Size() > 0:
		return true, nil
	case !alone(dir):
		return false, refuse("it is empty (0 bytes), as after a full disk or a copy that was cut; what it held is not in it")
	}
	return true, nil
}

// tracesOf names something that is only there where there was a database; "" if there is nothing.
func tracesOf(dir string) string {
	if info, err := os.Stat(filepath.Join(dir, FileName+"-wal")); err == nil && info.Size() > 0 {
		return FileName + "-wal"
	}
	for _, pattern := range []string{FileName + ".before-*", "engines/*.log", lastBackupName} {
		if found, err := filepath.Glob(filepath.Join(dir, pattern)); err == nil && len(found) > 0 {
			return strings.TrimPrefix(found[0], dir+string(filepath.Separator))
		}
	}
	return ""
}

// alone tells whether a state directory has nothing but the database: what an earlier cpacman left that was cut while it made the site's first.
func alone(dir string) bool {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		switch e.Name() {
		case FileName, FileName + "-wal", FileName + "-shm", FileName + "-journal":
			if info, err := e.Info(); err != nil || info.Size() > 0 && e.Name() != FileName+"-shm" {
				return false
			}
		default:
			return false
		}
	}
	return err == nil
}

// create makes the database of a new site under another name and gives it its own by link(2): there is never an empty one, and of two processes
// that make one the first wins.
func create(ctx context.Context, dir string) error {
	path := filepath.Join(dir, FileName)
	fail := func(err error) error { return fmt.Errorf("make the state database: %w", full(path, err)) }
	tmp, err := os.CreateTemp(dir, "."+FileName+".new-*")
	if err != nil {
		return fail(err)
	}
	defer removeDatabase(tmp.Name())
	if err := tmp.Close(); err != nil {
		return fail(err)
	}
	db, err := connect(tmp.Name(), "_pragma=journal_mode(DELETE)&_pragma=synchronous(OFF)&_pragma=foreign_keys(1)&_pragma=trusted_schema(0)&_txlock=immediate")
	if err != nil {
		return fail(err)
	}
	db.SetMaxOpenConns(1)
	s := &Store{db: db, path: tmp.Name(), now: time.Now}
	if err := errors.Join(s.migrate(ctx, migrateNew), db.Close(), syncFile(tmp.Name())); err != nil {
		return fail(err)
	}
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return fail(err)
	}
	return syncFile(dir)
}
