package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// patience is how long one contestant may take.
const patience = 5 * time.Minute

// sample is one run of a program.
type sample struct {
	wall time.Duration // from before its start until it was waited for
	cpu  time.Duration // of the program and the children it waited for, on the control side
	rss  int64         // peak resident memory of its largest process, in bytes
}

// program is what to run and what counts as success.
type program struct {
	argv []string
	env  []string // added to the environment
	// okStatus are exit statuses that mean success; none: 0.
	okStatus []int
	// check looks at what was printed; nil: exit status only.
	check func(stdout string) error
}

// line is the program as a person would type it.
func (p program) line() string {
	words := make([]string, 0, len(p.env)+len(p.argv))
	for _, w := range append(append([]string{}, p.env...), p.argv...) {
		if w == "" || strings.ContainsAny(w, " '\"$*;&|<>()") {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		words = append(words, w)
	}
	return strings.Join(words, " ")
}

// time runs a program with its output in files, so that nobody waits for this process to
// read, and so that this process stays small: the kernel lets a child's peak memory begin
// at that of the process that started it.
func (b *bench) time(ctx context.Context, name string, p program) (sample, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	outFile, errFile := filepath.Join(b.o.work, "out", name+".out"), filepath.Join(b.o.work, "out", name+".err")
	stdout, err := os.Create(outFile)
	if err != nil {
		return sample{}, fmt.Errorf("measure %s: %w", name, err)
	}
	defer stdout.Close()
	stderr, err := os.Create(errFile)
	if err != nil {
		return sample{}, fmt.Errorf("measure %s: %w", name, err)
	}
	defer stderr.Close()
	cmd := exec.CommandContext(ctx, p.argv[0], p.argv[1:]...)
	cmd.Env = append(b.environment(), p.env...)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.Dir = b.o.work
	start := time.Now()
	err = cmd.Run()
	s := sample{wall: time.Since(start)}
	if err := succeeded(ctx, err, p.okStatus); err != nil {
		return s, fmt.Errorf("%s: %w: %s: the command was: %s", name, err, tail(errFile, outFile), p.line())
	}
	s.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		s.rss = usage.Maxrss << 10 // Linux counts in KiB
	}
	if p.check != nil {
		if err := p.check(outFile); err != nil {
			return s, fmt.Errorf("%s ran and did not do its work: %w: %s", name, err, tail(errFile))
		}
	}
	return s, nil
}

// succeeded judges the end of a process.
func succeeded(ctx context.Context, err error, okStatus []int) error {
	if ctx.Err() != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return fmt.Errorf("not done after %v", patience)
		}
		return ctx.Err()
	}
	if len(okStatus) == 0 {
		return err
	}
	code := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		code = exit.ExitCode()
	case err != nil:
		return err
	}
	for _, ok := range okStatus {
		if code == ok {
			return nil
		}
	}
	return fmt.Errorf("exit status %d", code)
}

// environment is that of every contestant: nothing of the caller's that would let one of
// them use an agent, a site or a configuration of its own.
func (b *bench) environment() []string {
	env := []string{"LC_ALL=C.UTF-8", "HOME=" + filepath.Join(b.o.work, "home"), "PATH=" + os.Getenv("PATH")}
	for _, keep := range []string{"TMPDIR", "GODEBUG", "GOGC"} {
		if v, set := os.LookupEnv(keep); set {
			env = append(env, keep+"="+v)
		}
	}
	return env
}

// tail gives the last of what was printed, for a message.
func tail(files ...string) string {
	const most = 600
	for _, name := range files {
		data, err := readEnd(name, most)
		if text := strings.TrimSpace(string(data)); err == nil && text != "" {
			return strings.Join(strings.Fields(text), " ")
		}
	}
	return "it printed nothing"
}

func readEnd(name string, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(max(0, info.Size()-most), io.SeekStart); err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(f, most))
}

// countLines counts the lines of a file for which match holds, without reading it whole.
func countLines(name string, match func(line string) bool) (int, error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	n := 0
	r := bufio.NewReader(f)
	for {
		line, err := r.ReadString('\n')
		if line != "" && match(strings.TrimSuffix(line, "\n")) {
			n++
		}
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// atLeast checks that at least want lines match.
func atLeast(want int, what string, match func(line string) bool) func(string) error {
	return func(stdout string) error {
		n, err := countLines(stdout, match)
		if err != nil {
			return err
		}
		if n < want {
			return fmt.Errorf("%d %s, at least %d expected", n, what, want)
		}
		return nil
	}
}

// quick runs a program that is not measured and returns what it printed.
func (b *bench) quick(ctx context.Context, argv ...string) (string, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = b.environment()
	cmd.Dir = b.o.work
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(argv[:min(len(argv), 3)], " "), err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}
