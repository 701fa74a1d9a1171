package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestFullDisk: with no room for the journal nothing new starts, the message says what to do, and once there is room the same
// command works (OPS-1).
func TestFullDisk(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	s := newSecretSite(t)
	s.mode("refuse")
	state := filepath.Join(s.dir, "state")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=3m,mode=0700", "tmpfs", state).CombinedOutput(); err != nil {
		t.Skipf("needs root: mount a small file system: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", state).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	plan := filepath.Join(s.dir, "plan.json")
	for _, args := range [][]string{
		{"facts", "--import", filepath.Join(s.dir, "listing"), "--host", "web01", "--import-os", "rocky9"},
		{"plan", "--stored", "all", "--out", plan},
	} {
		if status, text := s.run(args...); status != 0 {
			t.Fatal(text)
		}
	}
	fill := filepath.Join(state, "fill")
	for _, left := range []int64{0, 8 << 10, 40 << 10, 80 << 10} {
		f, err := os.OpenFile(fill, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		n := int64(0)
		for b := make([]byte, 4<<10); err == nil; n += int64(len(b)) {
			_, err = f.Write(b)
		}
		f.Truncate(max(n-left-4<<10, 0)) //nolint:errcheck // the exit status below tells
		f.Close()
		status, text := s.run("rollout", "start", plan, "--yes")
		if argv, _ := os.ReadFile(filepath.Join(s.record, "passwords")); len(argv) > 0 {
			t.Fatalf("with %d bytes left the host was worked on:\n%s", left, text)
		}
		if status == 0 || !strings.Contains(text, "has no room for the journal") || !strings.Contains(text, "free space in "+state) {
			t.Errorf("%d bytes left: status %d:\n%s", left, status, text)
		}
		s.canLook("no room for the journal", left == 0)
	}
	if out, err := exec.Command("mount", "-o", "remount,ro", state).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s.canLook("", true)
	if status, text := s.run("rollout", "start", plan, "--yes"); status == 0 {
		t.Errorf("started on a read-only disk:\n%s", text)
	}
	if out, err := exec.Command("mount", "-o", "remount,rw", state).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	// Where the room was enough to record the rollout and not for its first step, it is there and goes on.
	status, text := s.run("rollout", "resume")
	if strings.Contains(text, "no rollout was ever started") {
		status, text = s.run("rollout", "start", plan, "--yes")
	}
	if status != 1 || !strings.Contains(text, "1 held") {
		t.Errorf("with room again: status %d:\n%s", status, text)
	}
}

// canLook: who only looks is shown what is there, with a warning that says why nothing can be recorded.
func (s *secretSite) canLook(why string, warned bool) {
	s.t.Helper()
	for _, args := range [][]string{{"facts", "--stored", "all"}, {"rollout", "list"}, {"audit", "trail"}} {
		status, text := s.run(args...)
		if status != 0 || warned && (!strings.Contains(text, "this is a copy of the state") || !strings.Contains(text, why)) {
			s.t.Errorf("%q: status %d:\n%s", args, status, text)
		}
		if args[0] == "facts" && !strings.Contains(text, "web01") {
			s.t.Errorf("%q shows nothing of web01:\n%s", args, text)
		}
	}
	if left, err := filepath.Glob(filepath.Join(os.TempDir(), "cpacman-state-*")); err != nil || len(left) > 0 {
		s.t.Errorf("left behind: %q, %v", left, err)
	}
}
