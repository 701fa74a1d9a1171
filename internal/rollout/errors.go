package rollout

import (
	"errors"
	"fmt"
	"strings"
)

// Kind says what an error of a worker means for the host.
type Kind uint8

// The kinds.
const (
	KindUnreachable Kind = iota + 1 // no connection could be made
	KindLost                        // the connection broke; what was under way is not known
	KindHeld                        // the host must not be touched; the reason says why
	KindFailed                      // the step was carried out and failed
	KindLocked                      // the wait for a lock is over; the reason names the holder
	KindMoved                       // the host changed since it was read; it is to be read again
)

// Error is what workers and fleets return.
type Error struct {
	Kind   Kind
	Reason Reason
	Err    error // the cause, if any
}

func (e *Error) Error() string {
	switch {
	case e.Err == nil:
		return e.Reason.Text
	case e.Reason.Text == "":
		return e.Err.Error()
	}
	return e.Reason.Text + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// Unreachable says that no connection could be made.
func Unreachable(err error) error {
	return &Error{Kind: KindUnreachable, Reason: Reason{Code: ReasonUnreachable}, Err: err}
}

// Disconnected says that the connection broke in the middle.
func Disconnected(err error) error {
	return &Error{Kind: KindLost, Reason: Reason{Code: ReasonUnreachable}, Err: err}
}

// Held says that the host must not be touched.
func Held(code ReasonCode, text string) error {
	return &Error{Kind: KindHeld, Reason: Reason{Code: code, Text: text}}
}

// Failed says that a step failed for good.
func Failed(code ReasonCode, text string) error {
	return &Error{Kind: KindFailed, Reason: Reason{Code: code, Text: text}}
}

// Locked says that a lock stayed with its holder.
func Locked(holder string) error {
	return &Error{Kind: KindLocked, Reason: Reason{Code: ReasonLocked, Text: "locked by " + holder}}
}

// Moved says that the host changed since it was read.
func Moved(text string) error {
	return &Error{Kind: KindMoved, Reason: Reason{Code: ReasonChanged, Text: text}}
}

// kindOf gives the kind of an error, or 0 for one that is not ours.
func kindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return 0
}

// reasonOf makes a reason of an error; code is used where the error brings none.
func reasonOf(err error, code ReasonCode) Reason {
	r := Reason{Code: code, Text: err.Error()}
	var e *Error
	if errors.As(err, &e) && e.Reason.Code != "" {
		r.Code = e.Reason.Code
	}
	return r.bounded()
}

// bounded cuts the text to MaxText at a rune.
func (r Reason) bounded() Reason {
	r.Text = boundText(r.Text)
	return r
}

func boundText(s string) string {
	const more = " […]"
	if len(s) <= MaxText {
		return s
	}
	return strings.ToValidUTF8(s[:MaxText-len(more)], "") + more
}

// The errors a caller decides on.
var (
	ErrNotFound  = errors.New("no such rollout")
	ErrLeaseLost = errors.New("another engine has taken this rollout over")
	ErrAborted   = errors.New("the rollout was aborted and cannot go on; make a new plan")
	ErrAmended   = errors.New("the rollout was amended, or changed, meanwhile: nothing was done; try again")
)

// PlanStartedError says that a plan has been started before: a plan starts once (PLAN-10).
type PlanStartedError struct{ Plan, Rollout string }

func (e *PlanStartedError) Error() string {
	return fmt.Sprintf("plan %s was started as rollout %s; a plan starts once\nhint: resume that rollout, make a new plan, or give --again --reason", short(e.Plan), e.Rollout)
}

// LeaseHeldError says who runs the engine of a rollout.
type LeaseHeldError struct {
	Rollout string
	Owner   Owner
}

func (e *LeaseHeldError) Error() string {
	return fmt.Sprintf("rollout %s is run by %s on %s (process %d, since %s)", e.Rollout, e.Owner.User, e.Owner.Host, e.Owner.PID, e.Owner.Since.UTC().Format("2006-01-02 15:04:05Z"))
}

// PlanError says that a plan or a schedule cannot be started: invalid, expired, of a type that is not supported (exit status 4).
type PlanError struct{ Text string }

func (e *PlanError) Error() string { return e.Text }

// short cuts a digest for people.
func short(digest string) string {
	if len(digest) > 12 {
		return digest[:12]
	}
	return digest
}
