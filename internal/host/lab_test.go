package host

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cpacman/transport"
)

// shells are the shells every program must run under.
var shells = map[string][]string{"dash": {"/bin/dash"}, "busybox": {"/bin/busybox", "sh"}, "bash": {"/bin/bash", "--posix"}}

// realHost is a throwaway host of its own: an overlay over this machine's root, or over the system that CPACMAN_LAB_ROOT names, its own mounts, processes, rpm database,
// machine and boot id. Commands run in it as sshd would run them, without a network.
type realHost struct {
	t     testing.TB
	init  int      // process 1 of the host, as seen from outside
	shell []string // what stands for /bin/sh
	uid   int      // login account; not 0: commands without Sudo run as it

	own      bool // each command in its own process group, which groups remembers
	groups   []int
	mu       sync.Mutex
	commands []transport.Command // everything sent
	uploads  []string
}

// hostSetup runs in the new mount namespace: $1 is a directory on another file system than the root.
const hostSetup = `set -e
mount -t tmpfs -o size=400m,mode=755 tmpfs "$1"
mkdir "$1/up" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=${CPACMAN_LAB_ROOT:-/},upperdir=$1/up,workdir=$1/work" "$1/root"
r=$1/root
mount -t proc proc "$r/proc"
mount -t tmpfs -o mode=755 tmpfs "$r/run"
mount -t tmpfs -o mode=1777 tmpfs "$r/var/tmp"
mount -t tmpfs -o mode=755 tmpfs "$r/opt"
mount --rbind /dev "$r/dev"
mkdir -p "$r/var/lib/rpm" "$r/etc/rpm" "$r/var/tmp"
rm -rf "$r/var/lib/cpacman"
echo '%_dbpath /var/lib/rpm' > "$r/etc/rpm/macros"
cat /proc/sys/kernel/random/uuid > "$1/boot"
mount --bind "$1/boot" "$r/proc/sys/kernel/random/boot_id"
tr -d - < "$1/boot" > "$r/etc/machine-id"
chroot "$r" rpm --initdb
# A shell that waits for something takes in whoever is left without a parent.
exec chroot "$r" /bin/sh -c 'echo ready; while :; do sleep 1; done'
`

// newRealHost skips where that is not possible, except in CI.
func newRealHost(t testing.TB) *realHost {
	t.Helper()
	need := func(ok bool, reason string) {
		if ok {
			return
		}
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s; in CI this may not be skipped", reason)
		}
		t.Skip(reason)
	}
	need(os.Geteuid() == 0, "needs root: namespaces and an overlay root")
	for _, p := range []string{"rpm", "unshare", "nsenter", "setsid"} {
		_, err := exec.LookPath(p)
		need(err == nil, "needs "+p+": not installed")
	}
	dir := t.TempDir()
	cmd := exec.Command("unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private", "/bin/sh", "-c", hostSetup, "setup", dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line := make([]byte, 6)
	_, err = io.ReadFull(out, line)
	if err != nil {
		said, _ := os.ReadFile(stderr.Name())
		need(false, "needs namespaces: "+string(said))
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", cmd.Process.Pid, cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	h := &realHost{t: t, shell: []string{"/bin/sh"}}
	if h.init, err = strconv.Atoi(strings.TrimSpace(string(b))); err != nil {
		t.Fatal(err)
	}
	// Whoever enters before process 1 has changed its root would stand on this machine itself.
	if root, err := os.Readlink(fmt.Sprintf("/proc/%d/root", h.init)); err != nil || root == "/" {
		t.Fatalf("the host's root is %q, %v", root, err)
	}
	return h
}

// path is a host's file as seen from outside.
func (h *realHost) path(p string) string { return fmt.Sprintf("/proc/%d/root%s", h.init, p) }

func (h *realHost) exec(ctx context.Context, argv ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{"-t", strconv.Itoa(h.init), "-m", "-p", "-r", "-w", "--"}, argv...)...)
	cmd.Env = []string{"HOME=/root", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	return cmd
}

// sh runs a line of shell as root and returns its output.
func (h *realHost) sh(line string) string {
	h.t.Helper()
	out, err := h.exec(context.Background(), "/bin/sh", "-c", line).CombinedOutput()
	if err != nil {
		h.t.Fatalf("%s: %v\n%s", line, err, out)
	}
	return string(out)
}

// Run is Conn.
func (h *realHost) Run(ctx context.Context, c transport.Command) (transport.Result, error) {
	h.mu.Lock()
	h.commands = append(h.commands, c)
	h.mu.Unlock()
	argv := append(append([]string{}, h.shell...), c.Argv[1:]...)
	if h.uid != 0 && !c.Sudo {
		id := strconv.Itoa(h.uid)
		argv = append([]string{"setpriv", "--reuid", id, "--regid", id, "--clear-groups"}, argv...)
	}
	cmd := h.exec(ctx, argv...)
	if h.uid != 0 && !c.Sudo {
		cmd.Env[0] = "HOME=/home/op"
	}
	if cut, ok := ctx.Value(cutKey{}).([2]string); ok && strings.Contains(c.Argv[2], cut[1]) {
		cmd.Env = append(cmd.Env, "STEP="+cut[0])
	}
	var out, errb bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errb
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: h.own}
	err := cmd.Start()
	if err == nil {
		h.mu.Lock()
		h.groups = append(h.groups, cmd.Process.Pid)
		h.mu.Unlock()
		err = cmd.Wait()
	}
	r := transport.Result{Stdout: out.Bytes(), Stderr: errb.Bytes()}
	var ee *exec.ExitError
	if errors.As(err, &ee) {
		r.ExitStatus, err = ee.ExitCode(), nil
	}
	return r, err
}

// Upload is Conn: it writes as the login account would, so the directory must be there and the account's.
func (h *realHost) Upload(_ context.Context, files []transport.Upload) (transport.UploadStats, error) {
	st := transport.UploadStats{Files: len(files)}
	for _, f := range files {
		var b []byte
		var err error
		if f.Open != nil {
			r, err := f.Open()
			if err != nil {
				return st, err
			}
			b, err = io.ReadAll(r)
			if err != nil {
				return st, err
			}
		} else if b, err = os.ReadFile(f.Local); err != nil {
			return st, err
		}
		d := sha256.Sum256(b)
		if hex.EncodeToString(d[:]) != f.SHA256 || int64(len(b)) != f.Size {
			return st, fmt.Errorf("upload %s: digest or size", f.Path)
		}
		h.mu.Lock()
		h.uploads = append(h.uploads, f.Path)
		h.mu.Unlock()
		if err := os.WriteFile(h.path(f.Path), b, f.Mode); err != nil {
			return st, err
		}
		if err := os.Chown(h.path(f.Path), h.uid, h.uid); err != nil {
			return st, err
		}
		st.Bytes += f.Size
		if f.Progress != nil {
			f.Progress(f.Size)
		}
	}
	return st, nil
}

// await polls until the transaction is final, or in the phase.
func await(t testing.TB, s *Session, id string, phase Phase) Status {
	t.Helper()
	var st Status
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		var err error
		if st, err = s.Poll(context.Background(), id, PollOptions{}); err != nil {
			t.Fatal(err)
		}
		if st.Phase == phase || st.Final() {
			return st
		}
	}
	t.Fatalf("transaction %s is still %+v", id, st)
	return st
}

// write puts a file on the control side.
func write(t testing.TB, name string, b []byte) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(p, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// wait until a file exists on the host.
func (h *realHost) wait(p string) {
	h.t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if _, err := os.Stat(h.path(p)); err == nil {
			return
		}
	}
	h.t.Fatalf("%s never appeared", p)
}

func itoa(n int) string { return strconv.Itoa(n) }
