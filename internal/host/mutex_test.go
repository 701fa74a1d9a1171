package host

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
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
			text := program("lock") + "dir=$1\nmutex\nwhile :; do\nsay more\nsleep 0.05\ndone\n"
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
			if _, err := os.Stat(filepath.Join(dir, "mutex")); err != nil {
				t.Fatal("the program does not hold the mutex: ", err)
			}
			out.Close()
			_ = cmd.Wait() // it has no other way to end than a failure
			if _, err := os.Stat(filepath.Join(dir, "mutex")); !os.IsNotExist(err) {
				t.Errorf("the mutex is still there: %v", err)
			}
		})
	}
}

// TestMutexOfAnotherTime: a mutex that was left by a program that was cut does not stay for as long as the clock was set back by.
func TestMutexOfAnotherTime(t *testing.T) {
	for name, off := range map[string]time.Duration{"clock set back": 24 * time.Hour, "old": -24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			mutex := filepath.Join(dir, "mutex")
			if err := os.Mkdir(mutex, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(mutex, time.Now().Add(off), time.Now().Add(off)); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			out, err := exec.CommandContext(ctx, "/bin/sh", "-c", program("lock")+"dir=$1\nmutex\nsay got it\n", "cpacman", "mark", dir).CombinedOutput()
			if err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}
