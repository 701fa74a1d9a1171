package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestWeigh runs the tests of what explains a difference: whoever loosens a rule there is to hear of it.
func TestWeigh(t *testing.T) {
	const python = "/usr/bin/python3" // the system's: rpm is its module
	if err := exec.Command(python, "-c", "import rpm, solv").Run(); err != nil {
		t.Skipf("needs %s with python3-rpm and python3-solv: %v", python, err)
	}
	files, err := filepath.Glob("*.py")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files { // so that go test forgets what it knows of them when they change
		if _, err := os.ReadFile(f); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.Command(python, "weigh_test.py")
	c.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("weigh_test.py: %v\n%s", err, out)
	}
}
