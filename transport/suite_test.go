package transport

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"cpacman/transport/sshtest"
)

// TestConformance is one suite for every kind of server: what holds on one holds
// on all.
func TestConformance(t *testing.T) {
	noise := "Welcome!\nlast login: never; printf '%s' x > y\n no newline at the end"
	all := []string{"run", "bounds", "many at once", "cancel", "background", "read file", "upload", "connection"}
	for name, tc := range map[string]struct {
		start func(t *testing.T) *env
		parts []string
	}{
		"in-process":    {func(t *testing.T) *env { return inProcess(t, sshtest.Config{}) }, all},
		"noisy profile": {func(t *testing.T) *env { return inProcess(t, sshtest.Config{Noise: noise}) }, []string{"run", "bounds", "upload"}},
		"bash": {func(t *testing.T) *env { return inProcess(t, sshtest.Config{Shell: []string{"/bin/bash", "-c"}}) },
			[]string{"run", "read file"}},
		"without SFTP":     {func(t *testing.T) *env { return inProcess(t, sshtest.Config{NoSFTP: true}) }, []string{"upload"}},
		"OpenSSH":          {func(t *testing.T) *env { return realSSHD(t, "") }, all},
		"OpenSSH, no SFTP": {func(t *testing.T) *env { return realSSHD(t, "NOSFTP") }, []string{"upload"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := tc.start(t)
			c := dial(t, newDialer(t, Options{}), e.target)
			for _, part := range tc.parts {
				t.Run(part, func(t *testing.T) {
					switch part {
					case "run":
						suiteRun(t, c)
					case "bounds":
						suiteBounds(t, c)
					case "many at once":
						suiteMany(t, c)
					case "cancel":
						suiteCancel(t, c)
					case "background":
						suiteBackground(t, c)
					case "read file":
						suiteReadFile(t, c, e)
					case "upload":
						suiteUpload(t, c, e)
					case "connection":
						suiteConn(t, c)
					default:
						t.Fatalf("no part %q", part)
					}
				})
			}
		})
	}
}

func suiteRun(t *testing.T, c *Conn) {
	ctx := testContext(t)
	nasty := "a b\n'c' \"d\" $HOME `id` \\ ! * ? ~ # % \xff \t; exit 3 &|<>(){}[]^="
	for _, tc := range []struct {
		name           string
		cmd            Command
		stdout, stderr string
		status         int
	}{
		{name: "argv", cmd: Command{Argv: []string{"printf", "%s|", "a", nasty, ""}}, stdout: "a|" + nasty + "||"},
		{name: "status", cmd: Command{Argv: []string{"/bin/sh", "-c", "exit 7"}}, status: 7},
		{name: "builtin that would end the shell", cmd: Command{Argv: []string{"exit", "5"}}, status: 5},
		{name: "not found", cmd: Command{Argv: []string{"/no/such/program"}}, status: 127},
		{name: "keyword", cmd: Command{Argv: []string{"if"}}, status: 127},
		{name: "script", cmd: Command{Script: "for i in 1 2; do\n echo \"l'ine $i\"; done\nprintf '%s' 'e!\\n' >&2\nexit 4"}, stdout: "l'ine 1\nl'ine 2\n", stderr: "e!\\n", status: 4},
		{name: "script with a syntax error", cmd: Command{Script: "echo one\nif ((("}, status: 2},
		{name: "locale", cmd: Command{Script: `printf %s "$LC_ALL"`}, stdout: "C"},
		{name: "no input", cmd: Command{Argv: []string{"cat"}}},
		{name: "input", cmd: Command{Argv: []string{"cat"}, Stdin: []byte("x\x00y\n")}, stdout: "x\x00y\n"},
		{name: "empty input", cmd: Command{Argv: []string{"cat"}, Stdin: []byte{}}},
		{name: "no newline at the end", cmd: Command{Script: "printf abc; printf def >&2"}, stdout: "abc", stderr: "def"},
		{name: "its own command line", cmd: Command{Script: "cat /proc/$PPID/cmdline >/dev/null; tr '\\0' '\\n' </proc/$PPID/cmdline | grep -c printf"}, stdout: "1\n"},
		{name: "killed", cmd: Command{Script: "kill -9 $$"}, status: 137},
		{name: "long script", cmd: Command{Script: "# " + strings.Repeat("x", 90000) + "\necho ok"}, stdout: "ok\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := c.Run(ctx, tc.cmd)
			if err != nil {
				t.Fatal(err)
			}
			if tc.status == 127 || tc.status == 2 || tc.status == 137 {
				tc.stdout, tc.stderr = string(r.Stdout), string(r.Stderr) // the shell's own words
			}
			if string(r.Stdout) != tc.stdout || string(r.Stderr) != tc.stderr || r.ExitStatus != tc.status {
				t.Errorf("got %q, %q, status %d; want %q, %q, %d", r.Stdout, r.Stderr, r.ExitStatus, tc.stdout, tc.stderr, tc.status)
			}
		})
	}
	for name, cmd := range map[string]Command{
		"nothing":    {},
		"both":       {Argv: []string{"true"}, Script: "true"},
		"nul":        {Argv: []string{"echo", "a\x00b"}},
		"nul script": {Script: "echo a\x00b"},
		"too long":   {Script: strings.Repeat("x", 200000)},
	} {
		if _, err := c.Run(ctx, cmd); KindOf(err) != KindInternal {
			t.Errorf("%s: got %v, want a refusal", name, err)
		}
	}
}

func suiteBounds(t *testing.T, c *Conn) {
	r, err := c.Run(testContext(t), Command{
		Script:    "yes 0123456789 | head -c 8000000; yes e | head -c 300000 >&2; exit 3",
		MaxStdout: 1000, MaxStderr: 10,
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Stdout) != 1000 || !r.StdoutTruncated || len(r.Stderr) != 10 || !r.StderrTruncated || r.ExitStatus != 3 || r.OK() {
		t.Errorf("got %d bytes (%v), %d bytes (%v), status %d", len(r.Stdout), r.StdoutTruncated, len(r.Stderr), r.StderrTruncated, r.ExitStatus)
	}
}

func suiteMany(t *testing.T, c *Conn) {
	ctx := testContext(t)
	var wg sync.WaitGroup
	for i := range 20 { // more than MaxSessions
		wg.Go(func() {
			r, err := c.Run(ctx, Command{Argv: []string{"echo", strconv.Itoa(i)}})
			if err != nil || string(r.Stdout) != strconv.Itoa(i)+"\n" {
				t.Errorf("command %d: %q, %v", i, r.Stdout, err)
			}
		})
	}
	wg.Wait()
}

func suiteCancel(t *testing.T, c *Conn) {
	ctx, cancel := context.WithTimeout(testContext(t), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := c.Run(ctx, Command{Argv: []string{"sleep", "4"}})
	wantKind(t, err, KindCanceled)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v does not wrap the context's error", err)
	}
	_, err = c.Run(testContext(t), Command{Argv: []string{"sleep", "4"}, Timeout: 50 * time.Millisecond})
	wantKind(t, err, KindTimeout)
	if d := time.Since(start); d > 3*time.Second {
		t.Errorf("giving up took %v", d)
	}
	if _, err := c.Run(testContext(t), Command{Argv: []string{"true"}}); err != nil {
		t.Errorf("the connection is of no use after a canceled command: %v", err)
	}
}

// suiteBackground: a process that keeps the output open does not keep Run.
func suiteBackground(t *testing.T, c *Conn) {
	start := time.Now()
	r, err := c.Run(testContext(t), Command{Script: "sleep 4 & echo started; exit 6"})
	if err != nil || string(r.Stdout) != "started\n" || r.ExitStatus != 6 {
		t.Fatalf("got %q, status %d, %v", r.Stdout, r.ExitStatus, err)
	}
	if d := time.Since(start); d > 3*time.Second {
		t.Errorf("waited %v for a background process", d)
	}
}

func suiteReadFile(t *testing.T, c *Conn, e *env) {
	ctx := testContext(t)
	file := filepath.Join(e.dir, "a file's $name")
	if err := os.WriteFile(file, []byte("one\x00two\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := c.ReadFile(ctx, file, 0)
	if err != nil || string(got) != "one\x00two\n" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := c.ReadFile(ctx, file, 7); KindOf(err) != KindRemoteCommand {
		t.Errorf("too long: %v", err)
	}
	if got, err := c.ReadFile(ctx, file, 8); err != nil || len(got) != 8 {
		t.Errorf("just as long: %q, %v", got, err)
	}
	if _, err := c.ReadFile(ctx, file+".absent", 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
}

func suiteConn(t *testing.T, c *Conn) {
	fp, typ := c.HostKey()
	if !strings.HasPrefix(fp, "SHA256:") || typ != "ssh-ed25519" {
		t.Errorf("host key %s %s", typ, fp)
	}
	if !strings.HasPrefix(c.ServerVersion(), "SSH-2.0-") {
		t.Errorf("version %q", c.ServerVersion())
	}
	if c.RTT() <= 0 || c.RTT() > time.Second {
		t.Errorf("round trip %v", c.RTT())
	}
	select {
	case <-c.Done():
		t.Error("done before it was closed")
	default:
	}
	c.Close()
	<-c.Done()
	_, err := c.Run(testContext(t), Command{Argv: []string{"true"}})
	wantKind(t, err, KindUnreachable)
	c.Close()
}

func suiteUpload(t *testing.T, c *Conn, e *env) {
	ctx := testContext(t)
	dir := filepath.Join(e.dir, "up load")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	var files []Upload
	var last []int64
	var mu sync.Mutex
	for i, size := range []int64{0, 1, 40000, mib, 3*mib + 5, 20*mib + 17} {
		local := writeLocal(t, size, byte(i+1))
		last = append(last, -1)
		files = append(files, Upload{Path: filepath.Join(dir, "f'"+strconv.Itoa(i)), Size: size, Local: local, Mode: 0o640,
			Progress: func(n int64) { mu.Lock(); last[i] = n; mu.Unlock() }})
	}
	st, err := c.Upload(ctx, files)
	if err != nil {
		t.Fatal(err)
	}
	var total int64
	for i, f := range files {
		sameFile(t, f.Local, f.Path)
		total += f.Size
		if info, err := os.Stat(f.Path); err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("%s: %v, %v", f.Path, info.Mode(), err)
		}
		if f.Size > 0 && last[i] != f.Size {
			t.Errorf("%s: progress ended at %d of %d", f.Path, last[i], f.Size)
		}
	}
	if st.Bytes != total || st.Files != len(files) || st.Skipped != 0 {
		t.Errorf("stats %+v, want %d bytes", st, total)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.part")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if st, err = c.Upload(ctx, files); err != nil || st.Skipped != len(files) || st.Bytes != 0 {
		t.Errorf("again: %+v, %v", st, err)
	}
	if err := os.WriteFile(files[3].Path, bytes.Repeat([]byte("x"), mib), 0o600); err != nil {
		t.Fatal(err)
	}
	if st, err = c.Upload(ctx, files); err != nil || st.Skipped != len(files)-1 || st.Bytes != mib {
		t.Errorf("one with the same size was changed: %+v, %v", st, err)
	}
	sameFile(t, files[3].Local, files[3].Path)
	_, err = c.Upload(ctx, []Upload{{Path: filepath.Join(dir, "absent", "f"), Size: 1, Local: files[1].Local}})
	wantKind(t, err, KindRemoteCommand)
}
