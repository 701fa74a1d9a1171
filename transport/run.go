package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// Command is what Run runs: either Argv or Script.
type Command struct {
	Argv   []string // program and arguments; each is quoted
	Script string   // a program for /bin/sh, at most about 80 KiB

	// Sudo runs it with root's rights by Target.Sudo; with SudoNever it runs as
	// the login account.
	Sudo bool

	// Stdin is given to the command; nil means /dev/null. Not possible where sudo
	// may ask for a password, which needs standard input for itself.
	Stdin []byte

	MaxStdout int64 // bytes kept; 0: 64 MiB
	MaxStderr int64 // bytes kept; 0: 1 MiB

	// Timeout ends the waiting, not the command: it gets no signal, because what
	// runs on a host is never killed from a distance. 0: only ctx bounds it.
	Timeout time.Duration
}

// Result is what a command left. Output is as the host sent it: bounded, not
// escaped.
type Result struct {
	Stdout, Stderr  []byte
	ExitStatus      int    // as sh sees it: 128+n after signal n
	Signal          string // when the shell itself was killed: "TERM", "KILL" …
	StdoutTruncated bool   // more than MaxStdout was printed; the rest was dropped
	StderrTruncated bool
}

// OK reports exit status 0 with complete output.
func (r Result) OK() bool {
	return r.ExitStatus == 0 && r.Signal == "" && !r.StdoutTruncated
}

// Run runs one command and waits for its end. An exit status other than 0 is no
// error. An error means that the command was not run (KindSudo, KindInternal,
// KindRemoteCommand) or that its end was not seen (KindUnreachable, KindTimeout,
// KindCanceled): then it may have run, and may still be running.
func (c *Conn) Run(ctx context.Context, cmd Command) (Result, error) {
	const op = "run a command"
	e, err := c.prepare(cmd)
	if err != nil {
		return Result{}, c.fail(ctx, op, KindInternal, err)
	}
	run := ctx
	if cmd.Timeout > 0 {
		var cancel context.CancelFunc
		run, cancel = context.WithTimeoutCause(ctx, cmd.Timeout, errCommandTimeout)
		defer cancel()
	}
	r, err := e.runGated(run)
	if err == nil {
		return r, nil
	}
	if ctx.Err() == nil && errors.Is(context.Cause(run), errCommandTimeout) {
		return r, &Error{Host: c.target.Name, Op: op, Kind: KindTimeout,
			Err: fmt.Errorf("no end after %v; it may still run on the host", cmd.Timeout)}
	}
	return r, c.fail(run, op, KindRemoteCommand, err)
}

var errCommandTimeout = errors.New("command timeout")

// execution is one command under way.
type execution struct {
	conn     *Conn
	line     string
	marks    marks
	sudo     SudoMode
	stdin    io.Reader // nil: none
	out, err *frame
	gate     *sudoGate // SudoPassword only
	held     bool      // the caller holds the permit
	channel  *channel  // set by run

	asked    chan struct{} // closed when sudo asks
	mu       sync.Mutex    // guards the rest
	sent     bool          // the password was sent
	askedErr error         // SudoPassword failed
	secret   []byte        // the password that was sent; never changed, and never told
}

// prepare turns a Command into the line to send.
func (c *Conn) prepare(cmd Command) (*execution, error) {
	m, err := newMarks(c.d.random)
	if err != nil {
		return nil, err
	}
	body, err := shellBody(cmd)
	if err != nil {
		return nil, err
	}
	comp := compose{marks: m, sudo: SudoNever, body: body, stdin: cmd.Stdin != nil}
	if cmd.Sudo {
		comp.sudo = c.target.Sudo
	}
	if comp.sudo == SudoPassword && cmd.Stdin != nil {
		return nil, errors.New("a command cannot have input where sudo may ask for a password: upload a file")
	}
	line, err := loginLine(comp.program())
	if err != nil {
		return nil, err
	}
	e := &execution{conn: c, line: line, marks: m, sudo: comp.sudo, asked: make(chan struct{})}
	if cmd.Stdin != nil {
		e.stdin = bytes.NewReader(cmd.Stdin)
	}
	var onAsk func()
	if comp.sudo == SudoPassword {
		e.gate = c.d.sudoGate(c.target)
		onAsk = func() { close(e.asked) }
	}
	e.out = newFrame(m, orDefault(cmd.MaxStdout, DefaultMaxStdout), onAsk)
	e.err = newFrame(m, orDefault(cmd.MaxStderr, DefaultMaxStderr), nil)
	return e, nil
}

func orDefault(n, d int64) int64 {
	if n <= 0 {
		return d
	}
	return n
}

// shellBody is the command as sh code. The subshell keeps "exit" and "exec" from
// ending the program before the end mark.
func shellBody(cmd Command) (string, error) {
	switch {
	case cmd.Script != "" && len(cmd.Argv) > 0:
		return "", errors.New("a command is either Argv or Script")
	case strings.IndexByte(cmd.Script, 0) >= 0:
		return "", errors.New("the script contains a NUL byte")
	case cmd.Script != "":
		return "/bin/sh -c " + quoteAlways(cmd.Script), nil
	case len(cmd.Argv) == 0 || cmd.Argv[0] == "":
		return "", errors.New("no command given")
	}
	for _, a := range cmd.Argv {
		if strings.IndexByte(a, 0) >= 0 {
			return "", errors.New("an argument contains a NUL byte")
		}
	}
	// The first word is always quoted: "if" must be a program, not syntax.
	line := quoteAlways(cmd.Argv[0])
	if len(cmd.Argv) > 1 {
		line += " " + quoteAll(cmd.Argv[1:])
	}
	return "(" + line + ")", nil
}

// runGated keeps commands of one host from offering an unproven password all at
// once: a mistyped one would lock the account.
func (e *execution) runGated(ctx context.Context) (Result, error) {
	if e.sudo == SudoPassword {
		leave, err := e.gate.enter(ctx)
		if err != nil {
			return Result{}, e.conn.fail(ctx, "sudo", KindSudo, err)
		}
		defer leave()
		e.out.onBegin = func() {
			e.mu.Lock()
			sent := e.sent
			e.mu.Unlock()
			if sent {
				e.gate.prove()
			}
			leave()
		}
	}
	return e.run(ctx)
}

// The buffers of the two streams, in bytes. They stand ready for as long as a command is silent, on every host that is asked at once; the 32 KiB
// of io.Copy would be 64 MB for a thousand hosts that have said nothing yet.
const (
	outBuffer = 8 << 10
	errBuffer = 1 << 10
)

// run sends the line, reads both streams, and returns when both end marks were
// seen or the channel is over.
func (e *execution) run(ctx context.Context) (Result, error) {
	c := e.conn
	ch, err := c.openChannel(ctx, !e.held, "exec", e.line)
	if err != nil {
		return Result{}, err
	}
	defer ch.release()
	e.channel, e.line = ch, "" // it was sent; a thousand hosts may take long to answer, and each line has 20 KB and more
	streams := make(chan struct{})
	var reading sync.WaitGroup
	for _, s := range []struct {
		f *frame
		r io.Reader
		n int
	}{{e.out, ch.Channel, outBuffer}, {e.err, ch.Stderr(), errBuffer}} {
		reading.Add(1)
		go func() {
			defer reading.Done()
			io.CopyBuffer(s.f, s.r, make([]byte, s.n)) //nolint:errcheck // the end of the stream says nothing; the marks do
		}()
	}
	c.work.Go(func() {
		reading.Wait()
		close(streams)
	})
	c.work.Go(func() { e.feed(ctx, ch) })
	if err := e.await(ctx, ch, streams); err != nil {
		return Result{}, err
	}
	return e.conclude(ch, streams)
}

// await returns nil when the outcome can be judged.
func (e *execution) await(ctx context.Context, ch *channel, streams <-chan struct{}) error {
	bothEnded := make(chan struct{})
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for _, f := range []*frame{e.out, e.err} {
			select {
			case <-f.ended:
			case <-stop:
				return
			}
		}
		close(bothEnded)
	}()
	select {
	case <-bothEnded:
		return nil
	case <-streams:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	// Both streams are over without the marks: the exit status follows, unless
	// the connection went with them.
	limit := time.NewTimer(closeGrace)
	defer limit.Stop()
	select {
	case <-ch.gone:
	case <-e.conn.life.Done():
	case <-limit.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// conclude judges what was read. The frames are ours alone from here: either
// both are complete, or their readers have ended.
func (e *execution) conclude(ch *channel, streams <-chan struct{}) (Result, error) {
	if e.out.complete() && e.err.complete() {
		return e.result(), nil
	}
	if !isClosed(streams) {
		return Result{}, errors.New("the output could not be read to its end")
	}
	e.out.finish()
	e.err.finish()
	if e.conn.Err() != nil {
		return Result{}, e.conn.Err()
	}
	var exit exitInfo
	if isClosed(ch.gone) {
		exit = ch.exit
	}
	if !exit.known {
		// sshd always sends one; without it the connection is on its way down.
		return Result{}, &Error{Host: e.conn.target.Name, Op: "run a command", Kind: KindUnreachable,
			Err: errors.New("the channel ended without an exit status")}
	}
	if !e.out.begun() {
		return Result{}, e.neverBegan(exit)
	}
	if exit.signal != "" || exit.status > 128 {
		r := e.result()
		r.ExitStatus, r.Signal = exit.status, exit.signal
		return r, nil
	}
	return e.result(), fmt.Errorf("the output ended before its end mark, exit status %d", exit.status)
}

func (e *execution) result() Result {
	return Result{
		Stdout: e.out.out.Bytes(), Stderr: e.err.out.Bytes(),
		ExitStatus:      e.out.status,
		StdoutTruncated: e.out.truncated, StderrTruncated: e.err.truncated,
	}
}

// neverBegan explains why the begin mark never came: sudo, or a login shell that
// does something else.
func (e *execution) neverBegan(exit exitInfo) error {
	said := strings.ReplaceAll(e.err.noise.String(), e.marks.right+e.marks.left, "")
	if e.sudo != SudoNever {
		e.mu.Lock()
		sent, askedErr, secret := e.sent, e.askedErr, e.secret
		e.mu.Unlock()
		if askedErr != nil {
			return e.conn.fail(context.Background(), "sudo", KindSudo, &SudoError{Reason: SudoNoAnswer, Err: askedErr})
		}
		se := classifySudo(exit.status, said, sent)
		if len(secret) > 0 { // SEC-3: a host that repeats the password does not get it into logs and journals
			se.Text = classifySudo(exit.status, strings.ReplaceAll(said, string(secret), "[password]"), sent).Text
		}
		if se.Reason == SudoWrongPassword {
			e.gate.refuse()
		}
		return e.conn.fail(context.Background(), "sudo", KindSudo, se)
	}
	if said == "" {
		said = e.out.noise.String()
	}
	return fmt.Errorf("the host ran something else (forced command, or a login shell without exec?), exit status %d: %w: %s",
		exit.status, errNotRun, SanitizeLine(strings.TrimSpace(said), 400))
}

// errNotRun: the account cannot run commands.
var errNotRun = errors.New("the command was not run")

// feed writes standard input: the command's, or the password when sudo asks.
func (e *execution) feed(ctx context.Context, ch *channel) {
	switch {
	case e.stdin != nil:
		io.Copy(ch.Channel, e.stdin) //nolint:errcheck // the command's end tells
	case e.sudo == SudoPassword:
		select {
		case <-e.asked:
			e.sendPassword(ctx, ch)
		case <-ch.gone:
			return
		case <-e.out.ended:
		case <-ctx.Done():
			return
		case <-e.conn.life.Done():
			return
		}
	}
	ch.CloseWrite() //nolint:errcheck // an error means that the channel is over
}

func (e *execution) sendPassword(ctx context.Context, ch *channel) {
	pw, err := e.conn.target.SudoPassword(ctx)
	if err == nil && bytes.ContainsAny(pw, "\n\r\x00") {
		err = errors.New("the password contains a line end or NUL")
	}
	e.mu.Lock()
	e.askedErr, e.sent, e.secret = err, err == nil, pw
	e.mu.Unlock()
	if err != nil {
		return
	}
	line := make([]byte, 0, len(pw)+1)
	line = append(append(line, pw...), '\n')
	ch.Write(line) //nolint:errcheck // sudo's answer tells
	clear(line)
}
