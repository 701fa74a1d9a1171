package host

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMutexIsGivenBack: a program whose connection is cut ends by SIGPIPE at its next line, and must not leave the mutex to the
// next one, which would wait for a minute.
func TestMutexIsGivenBack(t *testing.T) {
	for name, shell := range shells {
		t.Run(name, func(t *testing.T) {
			if _, err := exec.LookPath(shell[0]); err != nil {
				t.Skipf("needs %s: %v", name, err)
			}
			dir := t.TempDir()
			text := program("mutex") + "dir=$1\nmutex\nwhile :; do\nsay more\nsleep 0.05\ndone\n"
			cmd := exec.Command(shell[0], append(shell[1:], "-c", text, "cpacman", "mark", dir)...)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(filepath.Join(dir, "holder")); err != nil {
				t.Fatal("the program does not hold the mutex: ", err)
			}
			out.Close()
			_ = cmd.Wait() // it has no other way to end than a failure
			if _, err := os.Stat(filepath.Join(dir, "holder")); !os.IsNotExist(err) {
				t.Errorf("the mutex is still there: %v", err)
			}
		})
	}
}

// TestMutexOfAnotherTime: a mutex that a loss of power has emptied, while another program was about to remove it, does not stay for as long as the
// clock was set back by.
func TestMutexOfAnotherTime(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]time.Duration{"clock set back": 24 * time.Hour, "old": -24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			holder, gone := filepath.Join(dir, "holder"), filepath.Join(dir, "holder.gone")
			if err := errors.Join(os.WriteFile(holder, nil, 0o600), os.Mkdir(gone, 0o700)); err != nil {
				t.Fatal(err)
			}
			for _, f := range []string{holder, gone} {
				if err := os.Chtimes(f, time.Now().Add(off), time.Now().Add(off)); err != nil {
					t.Fatal(err)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			out, err := exec.CommandContext(ctx, "/bin/sh", "-c", program("mutex")+"dir=$1\nmutex\nsay got it\n", "cpacman", "mark", dir).CombinedOutput()
			if err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

// TestMutexOfOthers: one whose holder is no more is passed over at once, also by many at the same time; one whose holder lives is waited
// for, however old it is.
func TestMutexOfOthers(t *testing.T) {
	t.Parallel()
	for name, shell := range shells {
		t.Run(name, func(t *testing.T) {
			if _, err := exec.LookPath(shell[0]); err != nil {
				t.Skipf("needs %s: %v", name, err)
			}
			t.Parallel()
			dir := t.TempDir()
			run := func(text string) *exec.Cmd {
				return exec.Command(shell[0], append(shell[1:], "-c", program("mutex")+"dir=$1\n"+text, "cpacman", "mark", dir)...)
			}
			cut := run("mutex\nkill -9 $$\n")
			if err := cut.Run(); err == nil {
				t.Fatal("it was not killed")
			}
			if _, err := os.Stat(filepath.Join(dir, "holder")); err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			const many = 8
			var all []*exec.Cmd
			for range many { // each adds its line while nobody else is inside
				c := run("mutex\n[ ! -e $dir/inside ] || echo two >>$dir/log\n: >$dir/inside\nsleep 0.1\nrm $dir/inside\necho one >>$dir/log\n")
				if err := c.Start(); err != nil {
					t.Fatal(err)
				}
				all = append(all, c)
			}
			for _, c := range all {
				if err := c.Wait(); err != nil {
					t.Error(err)
				}
			}
			if got, err := os.ReadFile(filepath.Join(dir, "log")); err != nil || string(got) != strings.Repeat("one\n", many) || time.Since(begin) > 30*time.Second {
				t.Errorf("after %s: %v, %q", time.Since(begin), err, got)
			}
			holder := run("mutex\necho held\nread l\n")
			in, err := holder.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := holder.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := holder.Start(); err != nil {
				t.Fatal(err)
			}
			if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			old := time.Now().Add(-time.Hour)
			if err := os.Chtimes(filepath.Join(dir, "holder"), old, old); err != nil {
				t.Fatal(err)
			}
			if err := run("enter && exit 7\nexit 0\n").Run(); err != nil {
				t.Errorf("the mutex of one who lives was taken: %v", err)
			}
			if _, err := fmt.Fprintln(in); err != nil {
				t.Fatal(err)
			}
			if err := holder.Wait(); err != nil {
				t.Fatal(err)
			}
		})
	}
}
