package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"cpacman/internal/store"
	"cpacman/transport"
)

// The exit statuses; operators' scripts rely on them.
const (
	statusOK          = 0
	statusFailed      = 1   // failed, or ended with failures within budget, or a test is false
	statusUsage       = 2   // the command line is wrong
	statusGate        = 3   // a gate or budget stopped the rollout
	statusInput       = 4   // input is invalid, empty, expired or no longer matches
	statusUnreachable = 5   // only unreachable hosts are missing
	statusPaused      = 6   // paused, waiting, or drained by the first Ctrl-C
	statusInterrupted = 130 // interrupted; hosts go on, `rollout resume` picks up
)

// usageError is a wrong command line.
type usageError struct {
	err  error
	hint string
}

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }
func (e usageError) Hint() string  { return e.hint }

// inputError is input that is invalid, empty, expired or no longer matches.
type inputError struct {
	err  error
	hint string
}

func (e inputError) Error() string { return e.err.Error() }
func (e inputError) Unwrap() error { return e.err }
func (e inputError) Hint() string  { return e.hint }

// statusError carries an exit status of its own; without err nothing is printed, since the output already said it.
type statusError struct {
	status int
	err    error
	hint   string
}

func (e *statusError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.status)
	}
	return e.err.Error()
}
func (e *statusError) Unwrap() error { return e.err }
func (e *statusError) Hint() string  { return e.hint }

// usagef makes a usage error.
func usagef(format string, args ...any) error { return usageError{err: fmt.Errorf(format, args...)} }

// inputf makes an input error.
func inputf(format string, args ...any) error { return inputError{err: fmt.Errorf(format, args...)} }

// exitStatus is the one place where an error becomes an exit status.
func exitStatus(err error) int {
	var usage usageError
	var input inputError
	var status *statusError
	switch {
	case err == nil:
		return statusOK
	case errors.As(err, &status):
		return status.status
	case errors.As(err, &usage):
		return statusUsage
	case errors.As(err, &input):
		return statusInput
	case errors.Is(err, context.Canceled):
		return statusInterrupted
	}
	return statusFailed
}

// printError prints an error for people: one line, and what to do next where the error knows it.
func printError(w io.Writer, err error) {
	text := strings.ReplaceAll(err.Error(), context.Canceled.Error(), "interrupted")
	fmt.Fprintf(w, "cpacman: %s\n", shortened(transport.Sanitize(text)))
	var hinter interface{ Hint() string }
	var noRoom *store.FullError
	switch {
	case errors.As(err, &hinter) && hinter.Hint() != "":
		fmt.Fprintf(w, "hint: %s\n", transport.Sanitize(hinter.Hint()))
	case errors.As(err, &noRoom):
		fmt.Fprintf(w, "hint: nothing was started; free space in %s, then try again\n", transport.Sanitize(noRoom.Dir))
	}
}

// maxErrorBytes bounds a printed error: input that is echoed in one must not fill the screen.
const maxErrorBytes = 4 << 10

// shortened cuts a text that is too long to be read, and says so.
func shortened(text string) string {
	if len(text) <= maxErrorBytes {
		return text
	}
	half := maxErrorBytes / 2
	return strings.ToValidUTF8(text[:half], "") + fmt.Sprintf(" … %d bytes left out … ", len(text)-2*half) + strings.ToValidUTF8(text[len(text)-half:], "")
}
