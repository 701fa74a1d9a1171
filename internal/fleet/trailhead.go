package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/syslog"
	"os"
	"os/exec"
	"syscall"
	"time"

	"cpacman/internal/store"
	"cpacman/internal/trail"
	"cpacman/inventory"
	"cpacman/transport"
)

// headTimeout is how long one place may take for a head.
const headTimeout = 10 * time.Second

// HeadSender sends the head of the audit trail to the places of [trail]. What fails is told and stops nothing: the head of the next
// run proves what this one would have.
type HeadSender struct {
	Trail         inventory.Trail
	VerifyProgram func(path string) error             // the site's rule for programs
	Syslog        func() (io.WriteCloser, error)      // nil: the local one
	Timeout       time.Duration                       // of each place; 0: 10 s
	Open          func(path string) (*os.File, error) // nil: appendable, made with mode 0600
}

// SendHead sends the head as it is now, and tells in the trail where it went. It returns what went wrong, for people; nothing
// configured is nothing to do.
func (f *Fleet) SendHead(ctx context.Context, rollout, state string) []string {
	t := f.Site.Trail
	if t.File == "" && len(t.Command) == 0 && !t.Syslog {
		return nil
	}
	head, err := f.Store.TrailHead(ctx)
	if err != nil {
		return []string{err.Error()}
	}
	sender := HeadSender{Trail: t, VerifyProgram: f.Site.VerifyProgram}
	body := sender.Send(ctx, HeadLine(f.now(), head, rollout, state))
	body.Head = head.String()
	failed := body.Failed
	if err := f.Store.PutHeadSent(ctx, rollout, body); err != nil {
		failed = append(failed, err.Error())
	}
	return failed
}

// HeadLine is what is sent: one line of words a program can cut apart, without its end.
func HeadLine(now time.Time, head trail.Head, rollout, state string) string {
	control, _ := os.Hostname()
	return transport.SanitizeLine(fmt.Sprintf("%s cpacman audit trail head=%s rollout=%s state=%s control=%s",
		now.UTC().Format(time.RFC3339), head, rollout, state, control), 1000)
}

// Send sends a line everywhere, side by side. A place that does not answer, as a dead network file system, is left behind.
func (s HeadSender) Send(ctx context.Context, line string) store.HeadSentBody {
	timeout := s.Timeout
	if timeout <= 0 {
		timeout = headTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	type place struct {
		name string
		set  bool
		send func(context.Context, string) error
		done chan error
	}
	places := []place{
		{"file", s.Trail.File != "", s.toFile, make(chan error, 1)},
		{"command", len(s.Trail.Command) > 0, s.toCommand, make(chan error, 1)},
		{"syslog", s.Trail.Syslog, s.toSyslog, make(chan error, 1)},
	}
	for _, p := range places {
		if p.set {
			go func() { p.done <- p.send(ctx, line) }()
		}
	}
	var out store.HeadSentBody
	for _, p := range places {
		if !p.set {
			continue
		}
		var err error
		select {
		case err = <-p.done:
		case <-ctx.Done():
			select {
			case err = <-p.done: // it ended because of the timeout, and says more
			case <-time.After(programGrace):
				err = fmt.Errorf("no answer within %s", timeout)
			}
		}
		if err != nil {
			out.Failed = append(out.Failed, transport.SanitizeLine(p.name+": "+err.Error(), 1000))
		} else {
			out.To = append(out.To, p.name)
		}
	}
	return out
}

// toFile appends the line and has it on disk. What is there must be a regular file: a pipe would block, a device swallow it.
func (s HeadSender) toFile(_ context.Context, line string) error {
	open := s.Open
	if open == nil {
		open = func(path string) (*os.File, error) {
			return os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0o600)
		}
	}
	f, err := open(s.Trail.File)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", s.Trail.File)
	}
	if err == nil {
		_, err = f.WriteString(line + "\n") // one write: lines of several processes do not mix
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// programGrace is how long a program's output is waited for after its end, and a place after the timeout.
const programGrace = time.Second

// toCommand runs the program with the line as its input. At the timeout it is killed together with its process group.
func (s HeadSender) toCommand(ctx context.Context, line string) error {
	args := s.Trail.Command
	if err := s.VerifyProgram(args[0]); err != nil {
		return err
	}
	said := &firstWords{}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	cmd.Stdin = bytes.NewReader([]byte(line + "\n"))
	cmd.Stdout, cmd.Stderr = said, said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	kill := func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Cancel, cmd.WaitDelay = kill, programGrace
	err := cmd.Run()
	switch {
	case errors.Is(err, exec.ErrWaitDelay):
		_ = kill() // what it left behind holds its output open
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s took too long and was killed", args[0])
	case err != nil:
		return fmt.Errorf("%s: %w: %s", args[0], err, said.b)
	}
	return nil
}

// firstWords keeps the first bytes of what a program says, and takes the rest without a word.
type firstWords struct{ b []byte }

func (o *firstWords) Write(p []byte) (int, error) {
	const kept = 300
	if room := kept - len(o.b); room > 0 {
		o.b = append(o.b, p[:min(room, len(p))]...)
	}
	return len(p), nil
}

// toSyslog writes the line to the local syslog.
func (s HeadSender) toSyslog(_ context.Context, line string) error {
	open := s.Syslog
	if open == nil {
		open = func() (io.WriteCloser, error) { return syslog.New(syslog.LOG_NOTICE|syslog.LOG_AUTHPRIV, "cpacman") }
	}
	w, err := open()
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, line+"\n")
	return errors.Join(err, w.Close())
}
