package fleet

import (
	"context"
	"errors"
	"io"
	"log/syslog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"cpacman/internal/store"
	"cpacman/internal/trail"
	"cpacman/inventory"
)

const headLine = "2026-03-01T02:03:04Z cpacman audit trail head=x@1"

func allowed(string) error { return nil }

// program writes an executable.
func program(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestHeadGoesToFileProgramAndSyslog(t *testing.T) {
	dir := t.TempDir()
	got, log := filepath.Join(dir, "got"), filepath.Join(dir, "heads")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "log"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	s := HeadSender{
		Trail:         inventory.Trail{File: log, Command: []string{program(t, `echo "$1 $CPACMAN_SECRET" >"$2"; cat >>"$2"`), "an argument; $(false)", got}, Syslog: true},
		VerifyProgram: allowed,
		Syslog: func() (io.WriteCloser, error) {
			return syslog.Dial("unixgram", conn.LocalAddr().String(), syslog.LOG_NOTICE|syslog.LOG_AUTHPRIV, "cpacman")
		},
	}
	t.Setenv("CPACMAN_SECRET", "of the caller")
	for range 2 {
		if out := s.Send(context.Background(), headLine); len(out.Failed) > 0 || len(out.To) != 3 {
			t.Fatalf("sent %+v", out)
		}
	}
	if b, _ := os.ReadFile(log); string(b) != headLine+"\n"+headLine+"\n" {
		t.Errorf("file: %q", b)
	}
	if info, err := os.Stat(log); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if b, _ := os.ReadFile(got); string(b) != "an argument; $(false) \n"+headLine+"\n" {
		t.Errorf("program got %q", b)
	}
	buf := make([]byte, 4096)
	n, err := conn.Read(buf)
	if err != nil || !strings.Contains(string(buf[:n]), "cpacman") || !strings.Contains(string(buf[:n]), headLine) || !strings.HasPrefix(string(buf[:n]), "<85>") {
		t.Errorf("syslog got %q, %v", buf[:n], err)
	}
}

func TestAHeadThatCannotBeSentIsAWarning(t *testing.T) {
	dir := t.TempDir()
	pipe, link := filepath.Join(dir, "pipe"), filepath.Join(dir, "link")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "target"), link); err != nil {
		t.Fatal(err)
	}
	marker := filepath.Join(dir, "survived")
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	for name, c := range map[string]struct {
		s    HeadSender
		want string
	}{
		"no directory":             {HeadSender{Trail: inventory.Trail{File: dir + "/no/file"}}, "no such file"},
		"a pipe nobody reads":      {HeadSender{Trail: inventory.Trail{File: pipe}}, "file: "},
		"a link":                   {HeadSender{Trail: inventory.Trail{File: link}}, "file: "},
		"a directory":              {HeadSender{Trail: inventory.Trail{File: dir}}, "file: "},
		"a file system that hangs": {HeadSender{Trail: inventory.Trail{File: "x"}, Open: func(string) (*os.File, error) { <-hang; return nil, errors.New("late") }}, "no answer within"},
		"a program that others may write": {HeadSender{Trail: inventory.Trail{Command: []string{program(t, "")}},
			VerifyProgram: func(string) error { return errors.New("not safe to use") }}, "not safe to use"},
		"a program that fails":   {HeadSender{Trail: inventory.Trail{Command: []string{program(t, "printf 'no \\033[31mroute'; exit 3")}}}, `exit status 3: no \x1b[31mroute`},
		"a program that is gone": {HeadSender{Trail: inventory.Trail{Command: []string{dir + "/gone"}}}, "no such file"},
		"a program that hangs, with its child": {HeadSender{Trail: inventory.Trail{Command: []string{
			program(t, "(sleep 1; touch "+marker+") & sleep 60")}}}, "too long"},
		"no syslog": {HeadSender{Trail: inventory.Trail{Syslog: true}, Syslog: func() (io.WriteCloser, error) { return nil, errors.New("no syslog") }}, "no syslog"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.s.Timeout = 500 * time.Millisecond
			if c.s.VerifyProgram == nil {
				c.s.VerifyProgram = allowed
			}
			began := time.Now()
			out := c.s.Send(context.Background(), headLine)
			if len(out.To) != 0 || len(out.Failed) != 1 || !strings.Contains(out.Failed[0], c.want) {
				t.Errorf("%+v, want %q", out, c.want)
			}
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
	t.Cleanup(func() {
		time.Sleep(time.Second)
		if _, err := os.Stat(marker); err == nil {
			t.Error("a child of the killed program went on")
		}
	})
}

// TestSentHeadsAreTold: what was sent proves the trail up to it, and the trail tells that it was sent.
func TestSentHeadsAreTold(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	st, err := store.Open(ctx, filepath.Join(dir, "state"))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if err := st.PutHostKey(ctx, "r1", "a", store.HostKey{Type: "ssh-ed25519"}); err != nil {
		t.Fatal(err)
	}
	site := &inventory.Site{Limits: inventory.Limits{Starts: 1}}
	f := New(site, st, Options{})
	defer f.Close()
	if failed := f.SendHead(ctx, "r1", "done"); failed != nil {
		t.Fatalf("nothing is configured: %v", failed)
	}
	before, _ := st.TrailHead(ctx)
	site.Trail = inventory.Trail{File: filepath.Join(dir, "heads"), Command: []string{"/nonexistent/program"}}
	failed := f.SendHead(ctx, "r1", "done")
	if len(failed) != 1 || !strings.Contains(failed[0], "/nonexistent/program") {
		t.Fatalf("failed: %v", failed)
	}
	b, err := os.ReadFile(site.Trail.File)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(b), " head=")
	word, _, ok2 := strings.Cut(rest, " ")
	head, err := trail.ParseHead(word)
	if !ok || !ok2 || err != nil || head != before {
		t.Fatalf("line %q: %v", b, err)
	}
	if res, err := st.CheckTrail(ctx, head); err != nil || res.Fault != nil || res.Head.Seq != head.Seq+1 {
		t.Errorf("%+v, %v", res, err)
	}
}
