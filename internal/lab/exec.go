package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"time"
)

// ErrOff says that a host is not running.
var ErrOff = errors.New("host is off")

// command prepares a command inside a host, as root, without going through SSH.
func (l *Lab) command(ctx context.Context, host string, argv []string) (*exec.Cmd, error) {
	if _, err := l.Host(host); err != nil {
		return nil, err
	}
	if len(argv) == 0 {
		return nil, fmt.Errorf("%w: no command for host %s", ErrUsage, host)
	}
	pid := l.initOf(host)
	if pid == 0 {
		return nil, fmt.Errorf("run %s on %s: %w: `cpacman-lab fault restore %s` starts it", argv[0], host, ErrOff, host)
	}
	// The shell stands between nsenter and the command, outside of the host's PID namespace:
	// nsenter's own child would be stopped when systemd stops all processes for a shutdown,
	// nsenter would stop with it, and nobody would ever continue it.
	args := append([]string{"--target", strconv.Itoa(pid), "--all", "--no-fork", "--root", "--wd", "--",
		"/bin/sh", "-c", `"$@"; exit $?`, "sh"}, argv...)
	cmd := exec.CommandContext(ctx, "nsenter", args...)
	cmd.WaitDelay = 2 * time.Second // a process left behind may hold the output open
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "USER=root", "LC_ALL=C.UTF-8", "TERM=dumb"}
	return cmd, nil
}

// Exec runs a command inside a host as root. A command that ran and failed is no error: its
// exit status is returned. exit is -1 when it could not be run.
func (l *Lab) Exec(ctx context.Context, host string, argv ...string) (stdout, stderr []byte, exit int, err error) {
	return l.ExecInput(ctx, host, nil, argv...)
}

// ExecInput is Exec with standard input.
func (l *Lab) ExecInput(ctx context.Context, host string, stdin io.Reader, argv ...string) (stdout, stderr []byte, exit int, err error) {
	var out, errs bytes.Buffer
	exit, err = l.ExecStreams(ctx, host, stdin, &out, &errs, argv...)
	return out.Bytes(), errs.Bytes(), exit, err
}

// ExecStreams is Exec with the caller's streams.
func (l *Lab) ExecStreams(ctx context.Context, host string, stdin io.Reader, stdout, stderr io.Writer, argv ...string) (int, error) {
	cmd, err := l.command(ctx, host, argv)
	if err != nil {
		return -1, err
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && ctx.Err() == nil {
		return exit.ExitCode(), nil
	}
	if err != nil {
		return -1, fmt.Errorf("run %s on %s: %w", argv[0], host, err)
	}
	return 0, nil
}

// shell runs a script inside a host and makes an error of its failure.
func (l *Lab) shell(ctx context.Context, host string, stdin io.Reader, text string, args ...string) (string, error) {
	argv := append([]string{"/bin/sh", "-c", text, "sh"}, args...)
	stdout, stderr, exit, err := l.ExecInput(ctx, host, stdin, argv...)
	if err != nil {
		return "", err
	}
	if exit != 0 {
		return "", fmt.Errorf("on %s: exit status %d: %s", host, exit, bytes.TrimSpace(append(stderr, stdout...)))
	}
	return string(stdout), nil
}
