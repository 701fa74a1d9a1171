package transport

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cpacman/transport/sshtest"

	"golang.org/x/crypto/ssh"
)

// realSSHD starts OpenSSH's server on loopback with a configuration and keys of
// its own. extra is added to the configuration; "NOSFTP" leaves the subsystem
// out.
func realSSHD(t *testing.T, extra string) *env {
	t.Helper()
	const bin = "/usr/sbin/sshd"
	if _, err := os.Stat(bin); err != nil {
		t.Skip("needs sshd: " + bin + " is not installed")
	}
	if os.Getuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Skip("needs sshd: " + err.Error())
		}
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	id, hostKey := filepath.Join(dir, "id"), filepath.Join(dir, "host_key")
	pub, err := sshtest.WriteIdentity(id)
	if err != nil {
		t.Fatal(err)
	}
	hostPub, err := sshtest.WriteIdentity(hostKey)
	if err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	subsystem := "Subsystem sftp internal-sftp"
	if strings.Contains(extra, "NOSFTP") {
		subsystem, extra = "", strings.ReplaceAll(extra, "NOSFTP", "")
	}
	config := fmt.Sprintf(`Port %d
ListenAddress 127.0.0.1
HostKey %s
AuthorizedKeysFile %s
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
UseDNS no
LogLevel VERBOSE
%s
%s
`, port, hostKey, filepath.Join(dir, "authorized"), subsystem, extra)
	known := filepath.Join(dir, "known_hosts")
	for file, text := range map[string]string{
		filepath.Join(dir, "config"):     config,
		filepath.Join(dir, "authorized"): string(ssh.MarshalAuthorizedKey(pub)),
		known:                            ScannedKey{Host: hostName("127.0.0.1", port), Key: hostPub}.Line() + "\n",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, "-D", "-e", "-f", filepath.Join(dir, "config"))
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Skip("needs sshd: " + err.Error())
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		log.Close()
		if t.Failed() {
			text, _ := os.ReadFile(filepath.Join(dir, "log"))
			t.Logf("sshd said:\n%s", Sanitize(string(text)))
		}
	})
	waitForPort(t, port)
	return &env{dir: dir, target: Target{
		Name: "web01", Address: "127.0.0.1", Port: port, User: me.Username,
		Identities: []string{id}, KnownHosts: []string{known},
	}}
}

func freePort(t *testing.T) int {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port
}

func waitForPort(t *testing.T, port int) {
	t.Helper()
	for range 200 {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			c.Close()
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("sshd does not listen")
}
