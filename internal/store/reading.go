package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	sqlite "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Unwritable tells whether Open failed because nothing can be written where the database is: its disk is full, or mounted read-only. What is
// there can be looked at nevertheless, by OpenCopy.
func Unwritable(err error) bool {
	var noRoom *FullError
	var e *sqlite.Error
	return errors.As(err, &noRoom) || errors.Is(err, syscall.EROFS) ||
		errors.As(err, &e) && (e.Code()&0xff == sqlite3.SQLITE_READONLY || e.Code()&0xff == sqlite3.SQLITE_CANTOPEN)
}

// copyTries is how often a copy is begun anew because the database changed in it.
const copyTries = 10

// OpenCopy opens a copy of the database in dir, made in the directory for temporary files: SQLite cannot read a database with a log where it may
// not write. What is written to it is lost. Close removes it.
func OpenCopy(ctx context.Context, dir string) (*Store, error) {
	temp, err := os.MkdirTemp("", "cpacman-state-")
	if err != nil {
		return nil, fmt.Errorf("copy the state to look at it: %w", err)
	}
	s, err := openCopy(ctx, dir, temp)
	if err != nil {
		os.RemoveAll(temp) //nolint:errcheck // the first error counts
		return nil, fmt.Errorf("copy the state to look at it: %w", err)
	}
	return s, nil
}

func openCopy(ctx context.Context, dir, temp string) (*Store, error) {
	from, to := filepath.Join(dir, FileName), filepath.Join(temp, FileName)
	if there, err := findDatabase(dir); err != nil {
		return nil, err
	} else if !there {
		return nil, fmt.Errorf("%s: %w", from, os.ErrNotExist)
	}
	steady := false
	for try := 0; try < copyTries && !steady; try++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		before := looks(from) + looks(from+"-wal")
		for _, suffix := range []string{"", "-wal"} {
			if err := copyFile(from+suffix, to+suffix); err != nil {
				return nil, err
			}
		}
		if steady = before == looks(from)+looks(from+"-wal"); !steady {
			time.Sleep(100 * time.Millisecond)
		}
	}
	if !steady {
		return nil, fmt.Errorf("%s changes all the time: an engine is at work", from)
	}
	db, err := connect(to, pragmas)
	if err != nil {
		return nil, err
	}
	s := &Store{db: db, path: to, now: time.Now, temp: temp}
	if err := s.migrate(ctx, migrateCopy); err != nil {
		db.Close()
		return nil, err
	}
	return s, nil
}

// looks is what tells one state of a file from another; "" where there is none.
func looks(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	return fmt.Sprint(info.Size(), info.ModTime().UnixNano(), " ")
}

// copyFile copies a file; none is none.
func copyFile(from, to string) error {
	in, err := os.Open(from)
	if errors.Is(err, os.ErrNotExist) {
		os.Remove(to) //nolint:errcheck // of an earlier try, or not there
		return nil
	}
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
