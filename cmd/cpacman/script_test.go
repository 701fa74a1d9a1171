package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/google/rpmpack"
	"github.com/rogpeppe/go-internal/testscript"

	"cpacman/internal/people"
	"cpacman/internal/rollout"
)

var update = flag.Bool("update", false, "rewrite the expectations of scripts")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"cpacman": func() { os.Exit(mainStatus(shortTiming())) }})
}

// lostAfter is the variable that has a cpacman of tests give hosts up sooner than after ten minutes, as a duration.
const lostAfter = "CPACMAN_TEST_LOST_AFTER"

func shortTiming() rollout.Timing {
	var t rollout.Timing
	if d, err := time.ParseDuration(os.Getenv(lostAfter)); err == nil {
		t.LostAfter, t.ReconnectMax = d, d/4
	}
	return t
}

// TestScript runs the command line end to end: the scripts are its specification.
func TestScript(t *testing.T) {
	top, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	more := stateCommands(top)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("CPACMAN_SITE", "")
			e.Setenv("SSH_AUTH_SOCK", "")
			e.Setenv("NO_COLOR", "1")
			e.Setenv("ME", people.ProcessUser())
			e.Setenv("SUDO_USER", "")
			// A site is used only if nobody else can write it.
			return os.Chmod(e.WorkDir, 0o700)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status": cmdStatus,
			"repomd": cmdRepomd,
			"tight":  cmdTight,

			"goldenstate": more["goldenstate"],
			"sqlite":      more["sqlite"],
			"rollouts":    cmdRollouts,
			"sql":         cmdSQL,
			"waiting":     cmdWaiting,
			"held":        cmdHeld,
			"fill":        cmdFill,
			"rpm":         cmdRPM,
		},
	})
}

// cmdStatus runs a program and demands an exit status: status 4 cpacman plan …
func cmdStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N program args…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	switch err := ts.Exec(args[1], args[2:]...); {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// cmdRepomd writes the repomd.xml of the primary.xml and updateinfo.xml that a script wrote, with the
// time stamp that a word of digits before them gives: repomd [SECONDS] DIR…
func cmdRepomd(ts *testscript.TestScript, neg bool, args []string) {
	at := ""
	for _, arg := range args {
		if _, err := strconv.Atoi(arg); err == nil {
			at = "<timestamp>" + arg + "</timestamp>"
			continue
		}
		ts.Check(writeRepomd(ts.MkAbs(arg), at))
	}
}

// writeRepomd writes the repomd.xml of a directory's metadata.
func writeRepomd(dir, more string) error {
	text := `<?xml version="1.0"?><repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>1</revision>`
	for _, kind := range []string{"primary", "updateinfo", "filelists"} {
		b, err := os.ReadFile(filepath.Join(dir, "repodata", kind+".xml"))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		sum := sha256.Sum256(b)
		text += fmt.Sprintf(`<data type="%s"><checksum type="sha256">%x</checksum><open-checksum type="sha256">%x</open-checksum>`+
			`<location href="repodata/%s.xml"/><size>%d</size><open-size>%d</open-size>%s</data>`, kind, sum, sum, kind, len(b), len(b), more)
	}
	return os.WriteFile(filepath.Join(dir, "repodata", "repomd.xml"), []byte(text+"</repomd>\n"), 0o600)
}

// cmdRPM builds an unsigned package without files in a directory: rpm DIR NAME VERSION
func cmdRPM(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: rpm DIR NAME VERSION")
	}
	p, err := rpmpack.NewRPM(rpmpack.RPMMetaData{Name: args[1], Version: args[2], Release: "1", Arch: "x86_64", BuildTime: time.Unix(1, 0)})
	ts.Check(err)
	var b bytes.Buffer
	ts.Check(p.Write(&b))
	ts.Check(os.MkdirAll(ts.MkAbs(args[0]), 0o755))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+"/"+args[1]+"-"+args[2]+"-1.x86_64.rpm"), b.Bytes(), 0o644))
}

// cmdTight takes the write permission of others off files that the script's archive made: tight DIR…
func cmdTight(ts *testscript.TestScript, neg bool, args []string) {
	for _, dir := range args {
		ts.Check(exec.Command("chmod", "-R", "go-w", ts.MkAbs(dir)).Run())
	}
}
