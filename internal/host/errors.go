package host

import (
	"errors"
	"fmt"
	"time"
)

// What callers decide by.
var (
	// ErrUnreadable: the rpm database could not be read, or reads as empty. Never "nothing installed".
	ErrUnreadable = errors.New("rpm database is unreadable")
	// ErrNoRPM: there is no rpm on the host.
	ErrNoRPM = errors.New("no rpm")
	// ErrProtocol: the host's answer is incomplete or damaged.
	ErrProtocol = errors.New("answer of the host is incomplete")
	// ErrHeaderFormat: the host's rpm can not print headers.
	ErrHeaderFormat = errors.New("rpm on the host can not print headers")
	// ErrReplay: the transaction's id was used before. Poll tells how it stands.
	ErrReplay = errors.New("transaction id was used before")
	// ErrNotLocked: the host lock is not held by this session.
	ErrNotLocked = errors.New("host lock is not held")
	// ErrBusy: another cpacman transaction runs on the host.
	ErrBusy = errors.New("another transaction runs on the host")
	// ErrIntegrity: bytes on the host are not those of the plan.
	ErrIntegrity = errors.New("digest does not match")
	// ErrUnsafe: a directory on the host is not root's alone.
	ErrUnsafe = errors.New("directory on the host is not safe")
	// ErrNoSpace: a file system on the host is full. A *SpaceError is one too.
	ErrNoSpace = errors.New("no space on the host")
	// ErrVersion: a cpacman of another runner protocol wrote what is in the host's ledger (OPS-2).
	ErrVersion = errors.New("the host's ledger is of another runner protocol")
	// ErrUnknownTransaction: the ledger does not have the id.
	ErrUnknownTransaction = errors.New("transaction is not in the host's ledger")
)

// LockedError says who holds the host lock (PUSH-5).
type LockedError struct {
	Owner Owner
	Since time.Time // by the host's clock
	Seen  time.Time // last heartbeat, by the host's clock
	// Why the lock can not be broken though its owner is silent: "transaction", "rpm", "switch", or "" when it is not expired.
	Why string
}

// Error names the owner.
func (e *LockedError) Error() string {
	s := fmt.Sprintf("host is locked by %s since %s", e.Owner, e.Since.UTC().Format(time.RFC3339))
	switch e.Why {
	case "transaction":
		s += "; its transaction still runs"
	case "rpm":
		s += "; rpm still runs"
	case "switch":
		s += "; its dead man's switch has not decided: resume that rollout, or wait until the host has gone back"
	}
	return s
}

// SpaceError says that a file system on the host is too small.
type SpaceError struct {
	Path       string
	Need, Free int64 // bytes
}

// Error names the directory and both sizes.
func (e *SpaceError) Error() string {
	return fmt.Sprintf("no space in %s: %d bytes needed, %d free", e.Path, e.Need, e.Free)
}

// Is makes it an ErrNoSpace.
func (e *SpaceError) Is(target error) bool { return target == ErrNoSpace }

// RemoteError is a refusal or failure of a program on the host that has no type of its own.
type RemoteError struct {
	Op     string // what was being done
	Code   string // word of the program, "" if it ended without one
	Text   string // bounded, as the host sent it
	Status int    // exit status
}

// Error gives code and text, quoted since they come from the host.
func (e *RemoteError) Error() string {
	if e.Code == "" {
		return fmt.Sprintf("%s: exit status %d: %q", e.Op, e.Status, e.Text)
	}
	return fmt.Sprintf("%s: %s: %q", e.Op, e.Code, e.Text)
}

// Unwrap gives the typed error of the code, so that errors.Is works.
func (e *RemoteError) Unwrap() error {
	switch e.Code {
	case "norpm":
		return ErrNoRPM
	case "rpm":
		return ErrUnreadable
	case "replay":
		return ErrReplay
	case "notlocked":
		return ErrNotLocked
	case "busy":
		return ErrBusy
	case "digest":
		return ErrIntegrity
	case "space":
		return ErrNoSpace
	case "unsafe":
		return ErrUnsafe
	case "version":
		return ErrVersion
	case "unknown":
		return ErrUnknownTransaction
	}
	return nil
}
