package transport

import (
	"context"
	"fmt"
	"strings"
	"sync"
)

// SudoReason says why sudo did not let us.
type SudoReason string

// The reasons.
const (
	SudoWrongPassword    SudoReason = "wrong_password"
	SudoRefusedBefore    SudoReason = "refused_before" // not tried again after a wrong one
	SudoPasswordRequired SudoReason = "password_required"
	SudoNeedsTTY         SudoReason = "needs_tty"
	SudoNotPermitted     SudoReason = "not_permitted"
	SudoMissing          SudoReason = "missing"
	SudoNoAnswer         SudoReason = "no_answer" // the caller had no password to give
	SudoOther            SudoReason = "other"
)

// SudoError is the cause inside an Error of KindSudo.
type SudoError struct {
	Reason SudoReason
	Text   string // what sudo said, escaped and bounded
	Err    error  // of SudoPassword, for SudoNoAnswer
}

// Error says what to do about it.
func (e *SudoError) Error() string {
	var s string
	switch e.Reason {
	case SudoWrongPassword:
		s = "sudo refused the password; it is not tried again on this host"
	case SudoRefusedBefore:
		s = "sudo refused the password before; not tried again"
	case SudoPasswordRequired:
		s = `sudo asks for a password: use sudo mode "password", or allow /bin/sh with NOPASSWD`
	case SudoNeedsTTY:
		s = "sudo wants a terminal: remove requiretty for this account in sudoers"
	case SudoNotPermitted:
		s = "sudoers does not allow this account to run /bin/sh"
	case SudoMissing:
		s = "there is no sudo in the account's PATH"
	case SudoNoAnswer:
		return fmt.Sprintf("sudo asks for a password and none was given: %v", e.Err)
	default:
		s = "sudo failed"
	}
	if e.Text != "" {
		s += " (it said: " + e.Text + ")"
	}
	return s
}

// Unwrap gives the error of SudoPassword, if that was the cause.
func (e *SudoError) Unwrap() error { return e.Err }

// classifySudo reads sudo's messages, in the C locale. Source: sudo's plugins
// sudoers/{check,logging,sudoers}.c and auth/sudo_auth.c, and sudo-rs.
func classifySudo(status int, text string, passwordSent bool) *SudoError {
	has := func(parts ...string) bool {
		for _, p := range parts {
			if strings.Contains(text, p) {
				return true
			}
		}
		return false
	}
	e := &SudoError{Reason: SudoOther, Text: SanitizeLine(strings.TrimSpace(text), 400)}
	switch {
	case has("must have a tty", "no tty present"):
		e.Reason = SudoNeedsTTY
	case has("not in the sudoers", "is not allowed to execute", "is not allowed to run sudo", "may not run sudo", "I'm sorry "):
		e.Reason = SudoNotPermitted
	case passwordSent && has("incorrect password", "Sorry, try again", "no password was provided",
		"Authentication failed", "incorrect authentication"):
		e.Reason = SudoWrongPassword
	case has("password is required", "terminal is required", "authentication is required", "authentication required"):
		e.Reason = SudoPasswordRequired
	case status == 127, has("sudo: not found", "sudo: command not found", "Unknown command"):
		e.Reason = SudoMissing
	}
	return e
}

// compose writes the program the host's /bin/sh runs.
type compose struct {
	marks marks
	sudo  SudoMode // never when the command does not want it
	body  string   // sh code of the command itself
	stdin bool     // pass standard input to the body
}

// core is what prints the marks; it runs with the final rights, so that a begin
// mark proves that sudo let us.
func (c compose) core() string {
	input := " </dev/null"
	if c.stdin {
		input = ""
	}
	return "LC_ALL=C;export LC_ALL;" +
		c.marks.print("<", "") + ";" + c.marks.print("<", "") + " >&2;" +
		c.body + input + ";r=$?;" +
		c.marks.print(">%d;", "$r") + ";" + c.marks.print(">%d;", "$r") + " >&2;exit $r"
}

// program is core, with what sudo needs around it. The one command that sudoers
// has to allow is /bin/sh.
func (c compose) program() string {
	core := c.core()
	switch c.sudo {
	case SudoNoPasswd:
		return "LC_ALL=C;export LC_ALL;exec sudo -n -- /bin/sh -c " + quoteAlways(core)
	case SudoPassword:
		// sudo -n tells whether a password is needed before one is sent: with a
		// cached or NOPASSWD sudo nobody would read it. The prompt is a random mark
		// too, so that it can never be taken for output.
		return "LC_ALL=C;export LC_ALL;c=" + quoteAlways(core) + ";" +
			"e=$(sudo -n -- /bin/sh -c : 2>&1 </dev/null) && exec sudo -n -- /bin/sh -c \"$c\" </dev/null;r=$?;" +
			"case $e in *'password is required'*|*'terminal is required'*|*'authentication is required'*) " +
			c.marks.print("?", "") + ";exec sudo -S -p " + c.marks.right + c.marks.left + " -- /bin/sh -c \"$c\";;esac;" +
			"printf '%s\\n' \"$e\" >&2;exit $r"
	}
	return core
}

// quoteAlways is Quote for text known to need quotes and to be free of NUL.
func quoteAlways(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// sudoGate is what is known about the password on one host.
type sudoGate struct {
	turn    chan struct{} // holds one token
	mu      sync.Mutex
	good    bool
	refused bool
}

func newSudoGate() *sudoGate {
	g := &sudoGate{turn: make(chan struct{}, 1)}
	g.turn <- struct{}{}
	return g
}

// enter waits until nobody else is trying an unproven password. The function it
// gives may be called more than once.
func (g *sudoGate) enter(ctx context.Context) (leave func(), err error) {
	if g.proven() {
		return func() {}, nil
	}
	select {
	case <-g.turn:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	leave = sync.OnceFunc(func() { g.turn <- struct{}{} })
	g.mu.Lock()
	refused := g.refused
	g.mu.Unlock()
	if refused {
		leave()
		return nil, &SudoError{Reason: SudoRefusedBefore}
	}
	return leave, nil
}

func (g *sudoGate) proven() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.good && !g.refused
}

func (g *sudoGate) prove() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.good = true
}

func (g *sudoGate) refuse() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refused = true
}
