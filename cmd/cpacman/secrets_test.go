package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/crypto/ssh"

	"cpacman/transport/sshtest"
)

// secret is the sudo password of this test; nothing but sudo's standard input may ever have it.
const secret = `hunter2-Zq"7 x`

// secretSite is a site whose one host is an SSH server on loopback behind a sudo that wants a password. Every word of every command
// and its environment are recorded.
type secretSite struct {
	t      *testing.T
	dir    string // of the site
	record string // directory of the fakes: mode, argv, passwords
	out    bytes.Buffer
}

// fakeSudo notes its arguments and its environment. In mode "refuse" it reads the password and repeats it in its refusal, as a hostile
// or badly configured host may; in mode "accept" it runs the command.
const fakeSudo = `#!/bin/sh
d=$(dirname "$0")
{ printf '%s\n' "$0" "$@"; env; } >>"$d/argv"
case $1 in -n) echo 'sudo: a password is required' >&2; exit 1 ;; esac
[ "$1" = -S ] && [ "$2" = -p ] || exit 1
printf %s "$3" >&2
shift 4
IFS= read -r pw
printf '%s\n' "$pw" >>"$d/passwords"
case $(cat "$d/mode") in
accept) exec "$@" ;;
refuse) echo "web01: the password $pw is not good" >&2; echo 'Sorry, try again.' >&2; echo 'sudo: 1 incorrect password attempt' >&2; exit 1 ;;
esac
`

// fakeShell is the login shell: it notes what the SSH server is asked to run.
const fakeShell = `#!/bin/sh
d=$(dirname "$0")
{ printf '%s\n' "$0" "$@"; cat /proc/$$/cmdline; env; } >>"$d/argv"
PATH=$d:$PATH exec /bin/sh "$@"
`

func newSecretSite(t *testing.T) *secretSite {
	t.Helper()
	s := &secretSite{t: t, dir: filepath.Join(t.TempDir(), "site"), record: t.TempDir()}
	s.write(filepath.Join(s.record, "sudo"), fakeSudo, 0o755)
	s.write(filepath.Join(s.record, "shell"), fakeShell, 0o755)
	key, err := sshtest.WriteIdentity(filepath.Join(s.record, "id"))
	if err != nil {
		t.Fatal(err)
	}
	server, err := sshtest.Start(sshtest.Config{Authorized: []ssh.PublicKey{key}, Shell: []string{filepath.Join(s.record, "shell"), "-c"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	known, err := sshtest.KnownHosts(s.record, server)
	if err != nil {
		t.Fatal(err)
	}
	s.write(filepath.Join(s.dir, "cpacman.toml"), fmt.Sprintf(`
[ssh]
user = "tester"
identity = [%q]
known_hosts = %q
sudo = "password"
sudo_password_command = [%q]
[rollout]
quorum = "1"
[[class]]
name = "prod"
[[level]]
name = "all"
[[repo]]
id = "main"
path = "repo"
signed = "optional"
`, filepath.Join(s.record, "id"), known, filepath.Join(s.dir, "password")), 0o600)
	s.write(filepath.Join(s.dir, "inventory/hosts.toml"), fmt.Sprintf(`
[host.web01]
address = "127.0.0.1"
class = "prod"
level = "all"
os = "rocky9"
[host.web01.ssh]
port = %d
[[policy]]
name = "no-gone"
owner = "ann"
reason = "test"
remove = ["gone"]
`, server.Port()), 0o600)
	s.repo()
	s.write(filepath.Join(s.dir, "listing"), "gone-0:1.0-1.noarch\nkept-0:1.0-1.noarch\n", 0o600)
	s.passwordCommand("printf '%s\\n' '" + secret + "'")
	return s
}

func (s *secretSite) write(path, text string, mode os.FileMode) {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		s.t.Fatal(err)
	}
}

// repo is a repository that has what the host has, so that a removal can be planned.
func (s *secretSite) repo() {
	s.t.Helper()
	primary := `<metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="2">`
	for _, name := range []string{"gone", "kept"} {
		primary += `<package type="rpm"><name>` + name + `</name><arch>noarch</arch><version epoch="0" ver="1.0" rel="1"/>` +
			`<checksum type="sha256" pkgid="YES">` + fmt.Sprintf("%x", sha256.Sum256([]byte(name))) + `</checksum><size package="9" installed="9" archive="9"/>` +
			`<location href="` + name + `.rpm"/><format><rpm:header-range start="1" end="2"/><rpm:provides>` +
			`<rpm:entry name="` + name + `" flags="EQ" epoch="0" ver="1.0" rel="1"/></rpm:provides></format></package>`
	}
	s.write(filepath.Join(s.dir, "repo/repodata/primary.xml"), primary+"</metadata>", 0o600)
	if err := writeRepomd(filepath.Join(s.dir, "repo"), ""); err != nil {
		s.t.Fatal(err)
	}
}

func (s *secretSite) passwordCommand(body string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, "password"), []byte("#!/bin/sh\n"+body+"\n"), 0o700); err != nil {
		s.t.Fatal(err)
	}
}

func (s *secretSite) mode(word string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.record, "mode"), []byte(word), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// run runs a command line with -v; its output is kept.
func (s *secretSite) run(args ...string) (status int, output string) {
	var both lockedBuffer // a log line of a connection that ends may come at any time
	e := &env{ctx: context.Background(), stdin: strings.NewReader(""), stdout: &both, stderr: &both, now: time.Now,
		getenv: func(string) string { return "" }, interrupts: &interruptions{handle: func(int) {}}, width: 80}
	status = run(e, append([]string{"cpacman", "--site", s.dir, "-v"}, args...))
	s.out.Write([]byte(both.String()))
	return status, both.String()
}

// TestSecretsInNoSink: SEC-3: a password from a command goes to sudo's standard input and nowhere else: not into the state directory,
// the tables (packed ones too), output, logs, errors, or the words and environment of any command.
func TestSecretsInNoSink(t *testing.T) {
	s := newSecretSite(t)
	defer syscall.Umask(syscall.Umask(0)) // the modes of files are ours to set, whatever the account's umask is
	if status, text := s.run("facts", "--import", filepath.Join(s.dir, "listing"), "--host", "web01", "--import-os", "rocky9"); status != 0 {
		t.Fatal(text)
	}
	plan := filepath.Join(s.dir, "plan.json")
	if status, text := s.run("plan", "--stored", "all", "--out", plan); status != 0 || !strings.Contains(text, "1 of 1 hosts have something to do") {
		t.Fatal(text)
	}
	s.mode("refuse")
	for _, args := range [][]string{
		{"rollout", "start", plan, "--yes"}, {"facts", "all"}, {"facts", "all", "--output", "json"}, {"health", "all"}, {"clean", "all", "--yes"},
		{"inventory", "show", "web01"}, {"inventory", "show", "web01", "--output", "json"}, {"rollout", "status", "--output", "json"}, {"rollout", "watch", "--output", "json"},
		{"audit", "drift", "--output", "json"}, {"state", "backup", filepath.Join(s.dir, "state", "copy.db")},
	} {
		_, text := s.run(args...)
		if args[0] == "rollout" && args[1] == "start" && !strings.Contains(text, "[password]") {
			t.Errorf("what the host said is not told:\n%s", text)
		}
	}
	s.mode("accept")
	s.run("facts", "all", "--output", "json")
	s.run("health", "all", "--output", "json")
	for _, body := range []string{
		"printf '%s\\n' '" + secret + "'; printf '%s\\n' '" + secret + "' >&2; exit 3",
		"printf '%s\\n%s\\n' '" + secret + "' more",
		"sleep 0.1; printf '%s\\n' '" + secret + "' >&2",
	} {
		s.passwordCommand(body)
		if status, text := s.run("facts", "all"); status == 0 {
			t.Errorf("%q was taken for a password:\n%s", body, text)
		}
	}
	if b, err := os.ReadFile(filepath.Join(s.record, "passwords")); err != nil || strings.Count(string(b), secret) < 4 {
		t.Fatalf("sudo did not get the password, so this proves nothing: %q, %v", b, err)
	}
	s.search()
}

// search looks for the secret in every sink, and for something that each sink must have.
func (s *secretSite) search() {
	s.t.Helper()
	argv, err := os.ReadFile(filepath.Join(s.record, "argv"))
	if err != nil {
		s.t.Fatal(err)
	}
	sinks := map[string][]byte{"output, logs and errors": s.out.Bytes(), "words and environment of commands": argv, "tables": s.tables()}
	marks := map[string]string{"output, logs and errors": "web01", "words and environment of commands": "/bin/sh", "tables": "incorrect password attempt", "files": "SQLite format 3"}
	var files bytes.Buffer
	err = filepath.WalkDir(filepath.Join(s.dir, "state"), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := os.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			s.t.Errorf("%s has mode %04o, want %04o", path, info.Mode().Perm(), want)
		}
		if d.IsDir() {
			return nil
		}
		b, err := os.ReadFile(path)
		files.WriteString(path + "\n")
		files.Write(b)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	sinks["files"] = files.Bytes()
	for name, text := range sinks {
		if !bytes.Contains(text, []byte(marks[name])) {
			s.t.Errorf("%s: not even %q is there: nothing was searched", name, marks[name])
		}
		for _, form := range []string{secret, strings.ReplaceAll(secret, `"`, `\"`), "hunter2"} {
			if i := bytes.Index(text, []byte(form)); i >= 0 {
				s.t.Errorf("the password is in: %s: …%q…", name, text[max(0, i-200):min(len(text), i+100)])
				break
			}
		}
	}
}

// tables is every value of every table, packed ones unpacked.
func (s *secretSite) tables() []byte {
	s.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(s.dir, "state", "cpacman.db"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	unpack, err := zstd.NewReader(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	defer unpack.Close()
	var out bytes.Buffer
	read := func(query string, each func([]any)) {
		found, err := db.Query(query)
		if err != nil {
			s.t.Fatal(err)
		}
		defer found.Close()
		names, err := found.Columns()
		if err != nil {
			s.t.Fatal(err)
		}
		for found.Next() {
			values := make([]any, len(names))
			for i := range values {
				values[i] = new(any)
			}
			if err := found.Scan(values...); err != nil {
				s.t.Fatal(err)
			}
			each(values)
		}
	}
	var tables []string
	read("SELECT name FROM sqlite_schema WHERE type = 'table'", func(v []any) { tables = append(tables, fmt.Sprint(*v[0].(*any))) })
	for _, table := range tables {
		read("SELECT * FROM "+table, func(values []any) {
			for _, v := range values {
				b, ok := (*v.(*any)).([]byte)
				if !ok {
					b = fmt.Append(nil, *v.(*any))
				}
				if plain, err := unpack.DecodeAll(b, nil); err == nil && len(b) > 4 {
					b = plain
				}
				out.Write(b)
				out.WriteByte('\n')
			}
		})
	}
	return out.Bytes()
}
