package health

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"time"
)

// programGrace is how long a program's output is waited for after its end: a child that it left may hold it open.
const programGrace = time.Second

// program runs a program on the control host: exit status 0 is green. It gets no standard input, hardly any environment, and
// the host as CPACMAN_HOST and CPACMAN_ADDRESS. At the timeout it is killed together with its process group.
func (c *Checker) program(ctx context.Context, check Check, host Host) Result {
	if c.VerifyProgram != nil {
		if err := c.VerifyProgram(check.Program[0]); err != nil {
			return Result{Verdict: Unknown, Output: err.Error()}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, check.timeout())
	defer cancel()
	var out opening
	cmd := exec.CommandContext(ctx, check.Program[0], check.Program[1:]...)
	cmd.Dir = "/"
	cmd.Env = []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C",
		"CPACMAN_HOST=" + host.Name, "CPACMAN_ADDRESS=" + host.Address,
	}
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	kill := func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Cancel = kill
	cmd.WaitDelay = programGrace
	err := cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) {
		// A child of the program holds its output open: end it, as nobody else will.
		_ = kill()
	}
	switch {
	case cmd.ProcessState == nil:
		return Result{Verdict: Unknown, Output: fmt.Sprintf("could not run: %v", err)}
	case ctx.Err() != nil && !cmd.ProcessState.Success():
		return Result{Verdict: Unknown, Output: fmt.Sprintf("no result within %s; killed: %s", check.timeout(), out.String())}
	case !cmd.ProcessState.Success():
		return Result{Verdict: Red, Output: fmt.Sprintf("%s: %s", cmd.ProcessState, out.String())}
	}
	return Result{Verdict: Green, Output: out.String()}
}

// opening keeps the first MaxOutput bytes and takes the rest without a word, so that a chatty program neither blocks nor fills
// the memory. exec calls Write from one goroutine when both streams are the same writer.
type opening struct{ b []byte }

func (t *opening) Write(p []byte) (int, error) {
	if room := MaxOutput - len(t.b); room > 0 {
		t.b = append(t.b, p[:min(room, len(p))]...)
	}
	return len(p), nil
}

func (t *opening) String() string { return string(t.b) }
