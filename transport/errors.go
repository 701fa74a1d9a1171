package transport

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Kind says what sort of failure an Error is; callers branch on it.
type Kind string

// The kinds. A new one may be added; an unknown one is to be treated as
// KindInternal.
const (
	// KindUnreachable: no connection, or a connection that was lost.
	KindUnreachable Kind = "unreachable"
	// KindPenalised: sshd refuses this source address for a while
	// (PerSourcePenalties). Trying again at once makes it longer.
	KindPenalised Kind = "penalised"
	// KindAuth: no usable key, or none was accepted.
	KindAuth Kind = "auth"
	// KindHostKey: the host key is unknown, revoked or another one.
	KindHostKey Kind = "host_key"
	// KindRemoteCommand: the command could not be started, or its result could
	// not be read although the connection held.
	KindRemoteCommand Kind = "remote_command"
	// KindSudo: sudo did not let us; see SudoError.
	KindSudo Kind = "sudo"
	// KindSpace: the host's disk is full, or would be.
	KindSpace Kind = "space"
	// KindIntegrity: bytes are not what their digest says.
	KindIntegrity Kind = "integrity"
	// KindTimeout: Command.Timeout passed. The process may still run.
	KindTimeout Kind = "timeout"
	// KindCanceled: the caller's context ended.
	KindCanceled Kind = "canceled"
	// KindInternal: a mistake in the request, or a local failure.
	KindInternal Kind = "internal"
)

// Error is the error of every method of this package that talks to a host.
type Error struct {
	Host string // Target.Name
	Op   string // what was being done: "dial", "run", "upload …"
	Kind Kind
	Err  error
}

// Error is one line, safe for a terminal.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Host != "" {
		b.WriteString(SanitizeLine(e.Host, 256))
		b.WriteString(": ")
	}
	if e.Op != "" {
		b.WriteString(SanitizeLine(e.Op, 256))
		b.WriteString(": ")
	}
	if e.Err != nil {
		b.WriteString(SanitizeLine(e.Err.Error(), 4096))
	} else {
		b.WriteString(string(e.Kind))
	}
	return b.String()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf gives the kind of an error of this package; KindCanceled for a bare
// context error, KindInternal for any other, and "" for nil.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return KindCanceled
	}
	return KindInternal
}

// Retryable reports whether the same call may succeed later without anybody
// changing anything. Commands are not repeated by this package: whether a
// command may run twice only its author knows.
func Retryable(err error) bool {
	switch KindOf(err) {
	case KindUnreachable, KindTimeout, KindPenalised:
		return true
	}
	return false
}

// fail makes an Error, keeping the kind of an Error that is already inside and
// turning the end of ctx into KindCanceled.
func fail(ctx context.Context, host, op string, kind Kind, err error) error {
	var via *viaError
	var inner *Error
	if ctx.Err() == nil || errors.As(err, &via) || errors.As(err, &inner) {
		return failed(host, op, kind, err)
	}
	cause := context.Cause(ctx)
	if errors.Is(err, cause) {
		return &Error{Host: host, Op: op, Kind: KindCanceled, Err: err}
	}
	return &Error{Host: host, Op: op, Kind: KindCanceled, Err: fmt.Errorf("%w (%v)", cause, err)} //nolint:errorlint // its text is told; what it is must not decide the kind of this error
}

// failed is fail for what no context has ended.
func failed(host, op string, kind Kind, err error) error {
	var via *viaError
	if errors.As(err, &via) {
		return &Error{Host: host, Op: op, Kind: via.kind, Err: err}
	}
	var inner *Error
	if errors.As(err, &inner) {
		return err
	}
	return &Error{Host: host, Op: op, Kind: kind, Err: err}
}
