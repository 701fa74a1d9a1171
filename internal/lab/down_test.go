package lab

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// crashHelper names the directory in which this test program is to make a lab and be
// killed while doing so.
const crashHelper = "CPACMAN_LAB_TEST_CRASH"

// TestCrashHelper is the victim of TestDownAfterACrash; by itself it does nothing.
func TestCrashHelper(t *testing.T) {
	dir := os.Getenv(crashHelper)
	if dir == "" {
		t.Skip("only runs as a part of TestDownAfterACrash")
	}
	if _, err := Up(t.Context(), Options{Dir: dir, Hosts: 4}); err != nil {
		t.Fatal(err)
	}
}

// TestDownAfterACrash kills a program with SIGKILL while it makes a lab, in several places,
// and looks whether down still finds everything.
func TestDownAfterACrash(t *testing.T) {
	Need(t)
	for _, point := range []string{"make bridge", "start hosts"} {
		t.Run(point, func(t *testing.T) {
			parent, err := os.MkdirTemp("/var/tmp", "cpacman-lab-test-")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = os.Remove(parent) }()
			dir := filepath.Join(parent, "lab")
			cmd := exec.Command(os.Args[0], "-test.run=^TestCrashHelper$")
			cmd.Env = append(os.Environ(), crashHelper+"="+dir)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var id string
			deadline := time.Now().Add(time.Minute)
			for {
				if s, err := readState(dir); err == nil && strings.HasPrefix(s.Intent, point) {
					id = s.ID
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("the helper never came to %q", point)
				}
				time.Sleep(5 * time.Millisecond)
			}
			time.Sleep(100 * time.Millisecond) // into the middle of it
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			if _, err := Open(dir); err == nil {
				t.Error("a half-made lab could be opened")
			}
			if _, err := Up(t.Context(), Options{Dir: dir, Hosts: 1}); err == nil || !strings.Contains(err.Error(), "not complete") {
				t.Errorf("up over a half-made lab: %v", err)
			}
			for range 2 { // the second time there is nothing to do
				if err := Down(t.Context(), dir); err != nil {
					t.Fatal(err)
				}
			}
			checkGone(t, id)
			if _, err := os.Stat(dir); !os.IsNotExist(err) {
				t.Errorf("the directory is left: %v", err)
			}
		})
	}
}

// TestUpInterrupted ends Up's context while it works.
func TestUpInterrupted(t *testing.T) {
	Need(t)
	parent, err := os.MkdirTemp("/var/tmp", "cpacman-lab-test-")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.Remove(parent) }()
	dir := filepath.Join(parent, "lab")
	ctx, cancel := context.WithCancel(t.Context())
	var id string
	go func() {
		defer cancel()
		for range 6000 {
			if s, err := readState(dir); err == nil && s.Intent == "start hosts" {
				id = s.ID
				time.Sleep(50 * time.Millisecond)
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	l, err := Up(ctx, Options{Dir: dir, Hosts: 4})
	cancel()
	if err == nil {
		// it was quicker than we: take it down and say so, since nothing was tested
		_ = l.Down(context.Background())
		t.Skip("the lab was up before it could be interrupted")
	}
	if id == "" {
		t.Fatalf("failed before the interruption: %v", err)
	}
	checkGone(t, id)
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the directory is left: %v", err)
	}
}
