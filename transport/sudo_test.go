package transport

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"cpacman/transport/sshtest"
)

// fakeSudo behaves as sudo 1.9 does, by the word in the file "mode", and notes
// every password it reads and every command it runs.
const fakeSudo = `#!/bin/sh
d=$(dirname "$0"); n=; s=; p='[sudo] password: '
while :; do case $1 in
  -n) n=1; shift;;
  -S) s=1; shift;;
  -p) p=$2; shift 2;;
  --) shift; break;;
  *) break;;
esac; done
run() { echo "run" >>"$d/runs"; FAKE_ROOT=1; export FAKE_ROOT; exec "$@"; }
case $(cat "$d/mode") in
nopasswd) run "$@";;
cached) run "$@";;
tty) echo 'sudo: sorry, you must have a tty to run sudo' >&2; exit 1;;
forbidden) echo 'tester is not in the sudoers file.' >&2; exit 1;;
password|strange|after)
  if [ "$n" ]; then echo 'sudo: a password is required' >&2; exit 1; fi
  [ "$s" ] || { echo 'sudo: a terminal is required to read the password' >&2; exit 1; }
  tries=0
  while [ $tries -lt 3 ]; do
    printf %s "$p" >&2
    if ! IFS= read -r pw; then
      [ $tries = 0 ] && echo 'sudo: no password was provided' >&2
      echo "sudo: $tries incorrect password attempts" >&2; exit 1
    fi
    echo "$pw" >>"$d/passwords"
    if [ "$pw" = 's3 cr"e$t' ]; then
      if [ "$(cat "$d/mode")" = after ]; then echo 'Sorry, user tester is not allowed to execute /bin/sh as root on web01.' >&2; exit 1; fi
      echo 'We trust you have received the usual lecture' >&2
      run "$@"
    fi
    tries=$((tries+1)); echo 'Sorry, try again.' >&2
  done
  echo 'sudo: 3 incorrect password attempts' >&2; exit 1;;
esac
`

// withSudo starts a server whose PATH begins with the fake.
func withSudo(t *testing.T, mode string) (*env, string) {
	t.Helper()
	dir := t.TempDir()
	e := inProcess(t, sshtest.Config{Env: []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "LC_ALL=de_DE.UTF-8"}})
	for file, text := range map[string]string{"sudo": fakeSudo, "mode": mode} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return e, dir
}

// syncBuffer may be written by several goroutines.
type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func count(t *testing.T, file string) int {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Count(string(text), "\n")
}

func TestSudo(t *testing.T) {
	t.Parallel()
	const right, wrong = `s3 cr"e$t`, "wrong"
	for _, tc := range []struct {
		name, sudo string
		mode       SudoMode
		password   string
		reason     SudoReason // "": it works
		read       int        // passwords that sudo read
	}{
		{name: "no password needed", sudo: "nopasswd", mode: SudoNoPasswd},
		{name: "a password is needed and not configured", sudo: "password", mode: SudoNoPasswd, reason: SudoPasswordRequired},
		{name: "right password", sudo: "password", mode: SudoPassword, password: right, read: 1},
		{name: "wrong password", sudo: "password", mode: SudoPassword, password: wrong, reason: SudoWrongPassword, read: 1},
		{name: "cached: the password is not sent", sudo: "cached", mode: SudoPassword, password: right},
		{name: "password mode, NOPASSWD host", sudo: "nopasswd", mode: SudoPassword, password: right},
		{name: "tty", sudo: "tty", mode: SudoPassword, password: right, reason: SudoNeedsTTY},
		{name: "tty, nopasswd", sudo: "tty", mode: SudoNoPasswd, reason: SudoNeedsTTY},
		{name: "not a sudoer", sudo: "forbidden", mode: SudoPassword, password: right, reason: SudoNotPermitted},
		{name: "not a sudoer, found out after the password", sudo: "after", mode: SudoPassword, password: right, reason: SudoNotPermitted, read: 1},
		{name: "no answer", sudo: "password", mode: SudoPassword, password: "", reason: SudoNoAnswer},
		{name: "a line end in it", sudo: "password", mode: SudoPassword, password: "a\nb", reason: SudoNoAnswer},
		{name: "never", sudo: "forbidden", mode: SudoNever},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e, dir := withSudo(t, tc.sudo)
			asked := 0
			e.target.Sudo = tc.mode
			e.target.SudoPassword = func(context.Context) ([]byte, error) {
				asked++
				if tc.password == "" {
					return nil, errors.New("nobody there")
				}
				return []byte(tc.password), nil
			}
			var log syncBuffer
			c := dial(t, newDialer(t, Options{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}), e.target)
			r, err := c.Run(testContext(t), Command{Sudo: true, Script: `echo "root=$FAKE_ROOT $LC_ALL"; cat; tr '\0' '\n' </proc/$$/environ; exit 3`})
			if tc.reason == "" {
				if err != nil {
					t.Fatal(err)
				}
				want := "root=1 C\n"
				if tc.mode == SudoNever {
					want = "root= C\n"
				}
				if !strings.HasPrefix(string(r.Stdout), want) || r.ExitStatus != 3 || len(r.Stderr) > 0 {
					t.Errorf("got %.200q, %q, status %d", r.Stdout, r.Stderr, r.ExitStatus)
				}
				if strings.Contains(string(r.Stdout), right) {
					t.Error("the password is in the command's input or environment")
				}
			} else {
				wantKind(t, err, KindSudo)
				var se *SudoError
				if !errors.As(err, &se) || se.Reason != tc.reason {
					t.Errorf("got %v, want reason %s", err, tc.reason)
				}
				if tc.password != "" && strings.Contains(err.Error(), tc.password) {
					t.Errorf("the password is in the message %q", err)
				}
			}
			c.Close()
			if text := log.String(); text == "" || tc.password != "" && strings.Contains(text, tc.password) {
				t.Errorf("the log is empty or has the password: %q", text)
			}
			if n := count(t, filepath.Join(dir, "passwords")); n != tc.read {
				t.Errorf("sudo read %d passwords, want %d", n, tc.read)
			}
			if tc.read == 0 && asked > 0 && tc.reason == "" {
				t.Error("asked for a password that nobody needed")
			}
		})
	}
}

// TestSudoWrongPasswordOnce: many commands at once, and on a new connection, offer
// a wrong password once in all.
func TestSudoWrongPasswordOnce(t *testing.T) {
	e, dir := withSudo(t, "password")
	e.target.Sudo = SudoPassword
	e.target.SudoPassword = func(context.Context) ([]byte, error) { return []byte("wrong"), nil }
	d := newDialer(t, Options{})
	c := dial(t, d, e.target)
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			_, err := c.Run(testContext(t), Command{Sudo: true, Argv: []string{"true"}})
			if KindOf(err) != KindSudo || Retryable(err) {
				t.Errorf("%v", err)
			}
		})
	}
	wg.Wait()
	_, err := dial(t, d, e.target).Run(testContext(t), Command{Sudo: true, Argv: []string{"true"}})
	var se *SudoError
	if !errors.As(err, &se) || se.Reason != SudoRefusedBefore {
		t.Errorf("%v", err)
	}
	if n := count(t, filepath.Join(dir, "passwords")); n != 1 {
		t.Errorf("the wrong password was offered %d times", n)
	}
	if _, err := c.Run(testContext(t), Command{Argv: []string{"true"}}); err != nil {
		t.Errorf("without sudo: %v", err)
	}
}

func TestSudoManyRight(t *testing.T) {
	e, _ := withSudo(t, "password")
	e.target.Sudo = SudoPassword
	e.target.SudoPassword = func(context.Context) ([]byte, error) { return []byte(`s3 cr"e$t`), nil }
	c := dial(t, newDialer(t, Options{}), e.target)
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			if r, err := c.Run(testContext(t), Command{Sudo: true, Argv: []string{"echo", "x"}}); err != nil || string(r.Stdout) != "x\n" {
				t.Errorf("%q, %v", r.Stdout, err)
			}
		})
	}
	wg.Wait()
	if _, err := c.Run(testContext(t), Command{Sudo: true, Argv: []string{"cat"}, Stdin: []byte("x")}); KindOf(err) != KindInternal {
		t.Errorf("input together with a password: %v", err)
	}
}

func TestSudoMissing(t *testing.T) {
	empty := t.TempDir()
	e := inProcess(t, sshtest.Config{Env: []string{"PATH=" + empty}})
	for _, mode := range []SudoMode{SudoNoPasswd, SudoPassword} {
		e.target.Sudo = mode
		e.target.SudoPassword = func(context.Context) ([]byte, error) { return []byte("x"), nil }
		_, err := dial(t, newDialer(t, Options{}), e.target).Run(testContext(t), Command{Sudo: true, Argv: []string{"true"}})
		var se *SudoError
		if !errors.As(err, &se) || se.Reason != SudoMissing {
			t.Errorf("%s: %v", mode, err)
		}
	}
}
