package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// FileName is the database's name inside the state directory.
const FileName = "cpacman.db"

//go:embed migrations/*.sql
var migrations embed.FS

// ErrNotFound is returned where the thing asked for was never stored.
var ErrNotFound = errors.New("not stored")

// NewerError tells that the database was written by a newer cpacman (OPS-2).
type NewerError struct {
	Path        string
	Have, Known int
}

// Error names the file and both versions.
func (e *NewerError) Error() string {
	return fmt.Sprintf("open %s: it has format %d and this cpacman knows up to %d; use the newer cpacman that wrote it", e.Path, e.Have, e.Known)
}

// Store is one open database.
type Store struct {
	db   *sql.DB
	path string
	now  func() time.Time
	temp string // the directory of a copy, removed by Close; "" for the database itself
}

// Open opens the database in the state directory dir and brings its format up to date; both are made when absent. Before a
// migration of existing data a copy is left beside the file (OPS-2).
func Open(ctx context.Context, dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the state directory: %w", err)
	}
	if err := private(dir); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, FileName)
	there, err := findDatabase(dir)
	if err == nil && !there {
		err = create(ctx, dir)
	}
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the state database: %w", full(path, err))
	}
	info, err := f.Stat()
	how := migrateKeep
	if err == nil && info.Size() == 0 {
		how = migrateNew
	}
	if err == nil && info.Mode().Perm()&0o077 != 0 { // a copy that somebody put there; SQLite's logs get the same mode
		err = f.Chmod(0o600)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("open the state database: %w", err)
	}
	s, err := openFile(path)
	if err != nil {
		return nil, err
	}
	if err := s.migrate(ctx, how); err != nil {
		s.db.Close()
		return nil, Damaged(dir, err)
	}
	return s, nil
}

// OpenReady is Open where nothing has to be made or mended before; else, and where Open would fail, the error is ErrNotFound. It is for who may not need
// the state in the end.
func OpenReady(ctx context.Context, dir string) (*Store, error) {
	path := filepath.Join(dir, FileName)
	for _, name := range []string{dir, path} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm()&0o077 != 0 || info.Size() == 0 {
			return nil, ErrNotFound
		}
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil || f.Close() != nil {
		return nil, ErrNotFound
	}
	s, err := openFile(path)
	if err != nil {
		return nil, ErrNotFound
	}
	if have, known, err := s.format(ctx); err != nil || have != len(known) {
		s.db.Close()
		return nil, ErrNotFound
	}
	return s, nil
}

func openFile(path string) (*Store, error) {
	db, err := connect(path, pragmas)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(4)
	return &Store{db: db, path: path, now: time.Now}, nil
}

// pragmas of a database in use. Writers of other processes are waited for; a reader never blocks a writer in WAL mode
// (sqlite.org/wal.html).
const pragmas = "_pragma=busy_timeout(30000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&_pragma=trusted_schema(0)&_txlock=immediate"

// connect opens a database file; options are those of the driver.
func connect(path, options string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+options)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return db, nil
}

// private refuses a state directory that others may write: they could swap plans and journals. One that others may only read is
// closed to them (SEC-3).
func private(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("check the state directory: %w", err)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("state directory %s may be written by others (mode %04o); run: chmod go-w %s", dir, info.Mode().Perm(), dir)
	}
	if info.Mode().Perm()&0o077 != 0 {
		if err := os.Chmod(dir, 0o700); err != nil {
			return fmt.Errorf("close the state directory to others: %w", err)
		}
	}
	return nil
}

// Close closes the database, and removes a copy.
func (s *Store) Close() error {
	err := s.db.Close()
	if s.temp != "" {
		err = errors.Join(err, os.RemoveAll(s.temp))
	}
	return err
}

// Path is the database file.
func (s *Store) Path() string { return s.path }

// migration says what migrate does with a file.
type migration int

const (
	migrateKeep migration = iota // a database: a copy of it is left beside the file before
	migrateCopy                  // a copy of one
	migrateNew                   // a new file
)

// migrate applies the embedded scripts whose number is above the file's user_version, each in a transaction.
func (s *Store) migrate(ctx context.Context, how migration) error {
	have, names, err := s.format(ctx)
	if err != nil {
		var noRoom *FullError
		if err = full(s.path, err); errors.As(err, &noRoom) {
			return fmt.Errorf("open %s: %w", s.path, err)
		}
		return fmt.Errorf("open %s: %w (is it a cpacman state file?)", s.path, err)
	}
	if have > len(names) {
		return &NewerError{Path: s.path, Have: have, Known: len(names)}
	}
	if have == len(names) {
		return nil
	}
	if have == 0 && how != migrateNew {
		return &DamagedError{s.path, errors.New("nothing in it is of cpacman")}
	}
	if have > 0 && how == migrateKeep {
		if err := s.backup(ctx, fmt.Sprintf("%s.before-format-%d", s.path, len(names))); err != nil {
			return err
		}
	}
	for i := have; i < len(names); i++ {
		if err := s.apply(ctx, i, names[i]); err != nil {
			return err
		}
	}
	return nil
}

// format is how many migrations the file had, and the names of those there are.
func (s *Store) format(ctx context.Context) (have int, names []string, err error) {
	if names, err = fs.Glob(migrations, "migrations/*.sql"); err != nil {
		return 0, nil, fmt.Errorf("list migrations: %w", err)
	}
	sort.Strings(names)
	err = s.db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&have)
	return have, names, err
}

// apply runs one migration unless another process did meanwhile.
func (s *Store) apply(ctx context.Context, index int, name string) error {
	script, err := migrations.ReadFile(name)
	if err != nil {
		return fmt.Errorf("read migration %s: %w", name, err)
	}
	return s.write(ctx, "migrate "+s.path, func(tx *sql.Tx) error {
		var have int
		if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&have); err != nil {
			return err
		}
		if have > index {
			return nil
		}
		if _, err := tx.ExecContext(ctx, string(script)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		_, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", index+1))
		return err
	})
}

// backup writes a consistent copy to path, which is replaced.
func (s *Store) backup(ctx context.Context, path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("back up %s: %w", s.path, err)
	}
	// SQLite would make it readable for others until it is changed.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return fmt.Errorf("back up %s: %w", s.path, err)
	}
	if _, err := s.db.ExecContext(ctx, "VACUUM INTO ?", path); err != nil {
		return fmt.Errorf("back up %s to %s: %w", s.path, path, err)
	}
	if err := syncFile(path); err != nil {
		return fmt.Errorf("back up %s: %w", s.path, err)
	}
	return nil
}

// write runs fn in one transaction that holds the write lock from its start; what names the step in an error.
func (s *Store) write(ctx context.Context, what string, fn func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", what, full(s.path, err))
	}
	if err := fn(tx); err != nil {
		tx.Rollback() //nolint:errcheck // the first error is the one to tell
		return fmt.Errorf("%s: %w", what, full(s.path, err))
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("%s: %w", what, full(s.path, err))
	}
	return nil
}

// stamp writes a time as text that sorts: UTC, with nanoseconds, always of the same length.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000000Z") }

// parseStamp reads what stamp wrote; an empty text is the zero time.
func parseStamp(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.RFC3339Nano, s)
}

// marks returns "?,?,…" with n marks.
func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?,", n), ",") }
