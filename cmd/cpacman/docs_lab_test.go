package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"cpacman/internal/lab"
)

// expected is how a document says that a command does not end with status 0.
var expected = regexp.MustCompile(`^(.*?)\s+# exit status (\d+)$`)

// script turns the console blocks of a page into one sh program, so that variables and directories last from one command to
// the next. It stops at the first command that ends with another status than the page says.
func script(page string) (program string, commands int) {
	var b strings.Builder
	for _, m := range fence.FindAllStringSubmatch(page, -1) {
		if m[1] != "console" {
			continue
		}
		for _, line := range strings.Split(m[2], "\n") {
			command, ok := strings.CutPrefix(line, "$ ")
			if !ok {
				continue
			}
			want := "0"
			if found := expected.FindStringSubmatch(command); found != nil {
				command, want = found[1], found[2]
			}
			commands++
			quoted := "'" + strings.ReplaceAll(command, "'", `'\''`) + "'"
			fmt.Fprintf(&b, "printf '%%s\\n' %s\n%s\nstatus=$?\n", "'$ '"+quoted, command)
			fmt.Fprintf(&b, "[ $status = %s ] || { printf 'exit status %%s, the page says %s: %%s\\n' $status %s; exit 99; }\n", want, want, quoted)
		}
	}
	return b.String(), commands
}

// TestDocsTutorial runs every command of the tutorial on a lab of its own, and holds its exit status to what the page says.
func TestDocsTutorial(t *testing.T) {
	lab.Need(t)
	t.Parallel()
	program, commands := script(page(t, "docs/tutorial.md"))
	if commands < 20 {
		t.Fatalf("only %d commands found", commands)
	}
	dir := t.TempDir()
	bin := filepath.Join(dir, "bin")
	build := exec.Command("go", "build", "-o", bin+"/", "./cmd/cpacman", "./cmd/cpacman-lab")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	work := filepath.Join(dir, "work")
	if err := os.Mkdir(work, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// The page takes its lab down; this is for a page that stopped halfway.
		if err := exec.Command(filepath.Join(bin, "cpacman-lab"), "down", "--dir", filepath.Join(work, "lab")).Run(); err != nil {
			t.Errorf("take the lab down: %v", err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", program)
	cmd.Dir = work
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "NO_COLOR=1", "CPACMAN_SITE=", "CPACMAN_LAB_DIR=")
	cmd.WaitDelay = 10 * time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v; the page printed:\n%s", err, out)
	}
}
