package store

import (
	"errors"
	"fmt"
	"path/filepath"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// FullError tells that the state database cannot be written for want of room. Nothing new starts then (OPS-1).
type FullError struct {
	Dir string
	Err error
}

// Error says what to do; the cause stands behind it.
func (e *FullError) Error() string {
	return fmt.Sprintf("the file system of %s has no room for the journal: %v", e.Dir, e.Err)
}

// Unwrap gives the cause.
func (e *FullError) Unwrap() error { return e.Err }

// roomNeeded is below what SQLite cannot even make its log: 256 KiB, in bytes.
const roomNeeded = 256 << 10

// full makes a *FullError of an error that comes from a full disk. SQLite says so only for some of them; when it cannot make its log
// it speaks of an input or output error, so the file system is asked too.
func full(path string, err error) error {
	var already *FullError
	var e *sqlite.Error
	switch {
	case err == nil, errors.As(err, &already):
		return err
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
	case errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_FULL:
	case errors.As(err, &e) && (e.Code()&0xff == sqlite3.SQLITE_IOERR || e.Code()&0xff == sqlite3.SQLITE_CANTOPEN) && freeBytes(filepath.Dir(path)) < roomNeeded:
	default:
		return err
	}
	return &FullError{Dir: filepath.Dir(path), Err: err}
}
