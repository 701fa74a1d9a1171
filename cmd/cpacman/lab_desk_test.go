package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cpacman/internal/lab"
)

// place puts a lab host into a class and a level of a desk's site.
type place struct{ host, class, level string }

// deskOptions are what a scenario wants different from the plain site; the zero value of each means the default.
type deskOptions struct {
	places     []place
	classes    string // TOML of [[class]]; default: production
	levels     string // TOML of [[level]]; default: canary and broad, all hosts of a level in one wave, no soak
	rollout    string // lines of [rollout]
	lockWait   string // default 30s
	limits     string // further lines of [limits]
	copyRepos  bool   // the repositories are this desk's own and may be damaged
	knownHosts string // contents; default: the lab's
	more       string // further tables of cpacman.toml
}

// desk is an operator with a site of their own, over some hosts of a lab. The command that runs is the real one, in a process
// of its own; what became of hosts is asked of the hosts themselves, not of cpacman.
type desk struct {
	*testing.T
	lab *lab.Lab
	dir string
}

// testLimit bounds every single command of a scenario.
const testLimit = 8 * time.Minute

func newDesk(t *testing.T, l *lab.Lab, o deskOptions) *desk {
	t.Helper()
	d := &desk{T: t, lab: l, dir: filepath.Join(t.TempDir(), "site")}
	d.must(os.MkdirAll(filepath.Join(d.dir, "inventory"), 0o700))
	repos := filepath.Join(l.SiteDir(), "repos")
	if o.copyRepos {
		repos = filepath.Join(d.dir, "repos")
		d.must(os.CopyFS(repos, os.DirFS(filepath.Join(l.SiteDir(), "repos"))))
	}
	if o.knownHosts == "" {
		b, err := os.ReadFile(filepath.Join(l.SiteDir(), "ssh", "known_hosts"))
		d.must(err)
		o.knownHosts = string(b)
	}
	d.write("known_hosts", o.knownHosts)
	d.write("cpacman.toml", deskSite(l, o, repos))
	d.write("inventory/hosts.toml", deskInventory(t, l, o))
	return d
}

func deskSite(l *lab.Lab, o deskOptions, repos string) string {
	or := func(s, def string) string {
		if s == "" {
			return def
		}
		return s
	}
	var b strings.Builder
	fmt.Fprintf(&b, "state = \"state\"\n[ssh]\nuser = \"root\"\nidentity = [%q]\nknown_hosts = \"known_hosts\"\nconnect_timeout = \"3s\"\n",
		filepath.Join(l.SiteDir(), "ssh", "id_ed25519"))
	if !strings.Contains(o.rollout, "without_switch") {
		o.rollout += "\nwithout_switch = \"allow\"" // whole updates of the lab change systemd and glibc
	}
	fmt.Fprintf(&b, "[limits]\nlock_wait = %q\n%s\n[rollout]\n%s\n", or(o.lockWait, "30s"), o.limits, o.rollout)
	for _, r := range []string{"labos-base", "labos-updates", "labos-trouble"} {
		fmt.Fprintf(&b, "[[repo]]\nid = %q\npath = %q\nkeys = [%q]\nauto = %t\n", r, filepath.Join(repos, r),
			filepath.Join(l.SiteDir(), "keys", "RPM-GPG-KEY-lab"), r != "labos-trouble")
	}
	b.WriteString(or(o.classes, "[[class]]\nname = \"production\"\n"))
	b.WriteString(or(o.levels, levelTOML("canary", "100%", "0", "0s")+levelTOML("broad", "100%", "0", "0s")))
	b.WriteString(o.more)
	return b.String()
}

// levelTOML is one level with its waves, as "1" or "25%,100%".
func levelTOML(name, waves, maxFailures, soak string) string {
	return fmt.Sprintf("[[level]]\nname = %q\nwaves = [\"%s\"]\nmax_failures = %q\nsoak = %q\nhealth = [\"basic\"]\n",
		name, strings.ReplaceAll(waves, ",", `", "`), maxFailures, soak)
}

func deskInventory(t *testing.T, l *lab.Lab, o deskOptions) string {
	t.Helper()
	var b strings.Builder
	for _, p := range o.places {
		h, err := l.Host(p.host)
		if err != nil {
			t.Fatal(err)
		}
		if p.class == "" {
			p.class = "production"
		}
		if p.level == "" {
			p.level = "canary"
		}
		fmt.Fprintf(&b, "[host.%s]\naddress = %q\nclass = %q\nlevel = %q\n", h.Name, h.Address, p.class, p.level)
		fmt.Fprintf(&b, "[host.%s.ssh]\nuser = %q\nsudo = %q\n", h.Name, h.User, h.Sudo)
		if h.Sudo == lab.SudoPassword {
			fmt.Fprintf(&b, "sudo_password_command = [\"/bin/cat\", %q]\n", filepath.Join(l.SiteDir(), "ssh", "sudo-password"))
		}
	}
	return b.String()
}

func (d *desk) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

func (d *desk) write(name, text string) {
	d.Helper()
	d.must(os.WriteFile(filepath.Join(d.dir, name), []byte(text), 0o600))
}

// file is a path beside the site.
func (d *desk) file(name string) string { return filepath.Join(filepath.Dir(d.dir), name) }

// command prepares the real command; the test's main registered it under its name.
func (d *desk) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "cpacman", append([]string{"--site", d.dir}, args...)...)
	cmd.Env = append(os.Environ(), "NO_COLOR=1", "SSH_AUTH_SOCK=", "CPACMAN_SITE=")
	return cmd
}

// output is what a command printed.
type output struct{ stdout, stderr string }

// run runs the command and demands an exit status.
func (d *desk) run(want int, args ...string) output {
	d.Helper()
	p := d.start(args...)
	return p.wait(want)
}

// process is a command under way.
type process struct {
	d    *desk
	args []string
	cmd  *exec.Cmd
	out  bytes.Buffer
	errs lockedBuffer
	done chan struct{}
	err  error
}

// lockedBuffer may be read while a process writes it.
type lockedBuffer struct {
	mu   sync.Mutex
	b    bytes.Buffer
	text string // what then waits for; "" after it was called
	then func()
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, err := l.b.Write(p)
	l.look()
	return n, err
}

// when has a function called at once when a text is written, or was. There is one such function at a time; it must not use the buffer.
func (l *lockedBuffer) when(text string, then func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text, l.then = text, then
	l.look()
}

func (l *lockedBuffer) look() {
	if l.text != "" && bytes.Contains(l.b.Bytes(), []byte(l.text)) {
		l.text = ""
		l.then()
	}
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start starts the command; what is left of it at the end of the test is killed.
func (d *desk) start(args ...string) *process {
	d.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testLimit)
	p := &process{d: d, args: args, done: make(chan struct{})}
	p.cmd = d.command(ctx, args...)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.errs
	d.must(p.cmd.Start())
	go func() {
		p.err = p.cmd.Wait()
		cancel()
		close(p.done)
	}()
	d.Cleanup(func() {
		cancel()
		<-p.done
	})
	return p
}

// wait waits for the end and demands an exit status.
func (p *process) wait(want int) output {
	p.d.Helper()
	<-p.done
	got := p.cmd.ProcessState.ExitCode()
	if got != want {
		p.d.Fatalf("cpacman %s: exit status %d (%v), want %d\nstdout: %s\nstderr: %s", strings.Join(p.args, " "), got, p.err, want, &p.out, &p.errs)
	}
	return output{p.out.String(), p.errs.String()}
}

// signal sends a signal to the command.
func (p *process) signal(s syscall.Signal) {
	p.d.Helper()
	p.d.must(p.cmd.Process.Signal(s))
}

// until waits for a text on stderr.
func (p *process) until(text string) {
	p.d.Helper()
	p.d.until("cpacman "+p.args[0]+" to say "+text, func() bool {
		select {
		case <-p.done:
			if !strings.Contains(p.errs.String(), text) {
				p.d.Fatalf("cpacman %s ended without saying %q:\n%s", strings.Join(p.args, " "), text, &p.errs)
			}
		default:
		}
		return strings.Contains(p.errs.String(), text)
	})
}

// until waits for something to become true.
func (d *desk) until(what string, ok func() bool) {
	d.Helper()
	for end := time.Now().Add(testLimit); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			d.Fatalf("waited %s in vain for %s", testLimit, what)
		}
	}
}

// plan makes a plan of some packages for all hosts of the desk, asking the hosts, and returns its file.
func (d *desk) plan(name string, packages ...string) string {
	d.Helper()
	file := d.file(name + ".json")
	args := []string{"plan", "all", "--out", file}
	for _, p := range packages {
		args = append(args, "--package", p)
	}
	d.run(0, args...)
	return file
}

// says demands texts in what a command printed for people.
func (d *desk) says(o output, texts ...string) {
	d.Helper()
	for _, text := range texts {
		if !strings.Contains(o.stderr+o.stdout, text) {
			d.Errorf("nothing says %q in:\n%s%s", text, o.stdout, o.stderr)
		}
	}
}

// hostRecord is a host in the JSON of rollout status.
type hostRecord struct {
	Host, State string
	Wave        int
	Attempt     int
	Flags       []string
	Reason      struct{ Code, Text string }
	TxID        string `json:"tx_id"`
	Checks      []struct{ Check, Verdict, Output string }
}

// rolloutStatus is the JSON of rollout status.
type rolloutStatus struct {
	Rollout struct {
		ID, State string
		Stop      struct {
			Scope, Host, Check, Output, Text string
		}
	}
	Engine *struct{ PID int }
	Hosts  []hostRecord
}

// status reads where a rollout stands.
func (d *desk) status(id ...string) rolloutStatus {
	d.Helper()
	out := d.run(0, append([]string{"rollout", "status", "--output", "json"}, id...)...)
	var s rolloutStatus
	if err := json.Unmarshal([]byte(out.stdout), &s); err != nil {
		d.Fatalf("rollout status is no JSON: %v\n%s", err, out.stdout)
	}
	return s
}

// host demands a state of one host in the newest open rollout, or the one named, and returns its record.
func (d *desk) host(name, state string, id ...string) hostRecord {
	d.Helper()
	for _, h := range d.status(id...).Hosts {
		if h.Host == name {
			if h.State != state {
				d.Errorf("host %s is %s (%s), want %s", name, h.State, h.Reason.Text, state)
			}
			return h
		}
	}
	d.Fatalf("host %s is not in the rollout", name)
	return hostRecord{}
}

// flagged demands a flag on a record.
func (d *desk) flagged(h hostRecord, flag string) {
	d.Helper()
	if !slices.Contains(h.Flags, flag) {
		d.Errorf("host %s has flags %q, want %s among them", h.Host, h.Flags, flag)
	}
}

// reason demands texts in the reason of a record.
func (d *desk) reason(h hostRecord, texts ...string) {
	d.Helper()
	for _, text := range texts {
		if !strings.Contains(h.Reason.Text, text) {
			d.Errorf("host %s is %s because of %q, want %q in it", h.Host, h.State, h.Reason.Text, text)
		}
	}
}

// on runs a shell script inside a host, not through cpacman, and returns its trimmed output; it must succeed.
func (d *desk) on(host, script string) string {
	d.Helper()
	out, errs, exit, err := d.lab.Exec(d.ctx(), host, "/bin/sh", "-c", script)
	if err != nil || exit != 0 {
		d.Fatalf("on %s: %s: exit status %d, %v: %s%s", host, script, exit, err, out, errs)
	}
	return strings.TrimSpace(string(out))
}

// ctx bounds a call into the lab.
func (d *desk) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), testLimit)
	d.Cleanup(cancel)
	return ctx
}

// installed demands the version that rpm itself shows on a host; several are divided by blanks.
func (d *desk) installed(host, name, version string) {
	d.Helper()
	got := d.on(host, `rpm -q --qf '%{version}\n' `+name+` | sort -u | tr '\n' ' '`)
	if strings.TrimSpace(got) != version {
		d.Errorf("%s has %s %q, want %q", host, name, got, version)
	}
}

// ranOnce demands that the slow scriptlet ran to its end, one time.
func (d *desk) ranOnce(host, which string) {
	d.Helper()
	got := d.on(host, `grep -c '^`+which+` begins' /var/log/lab-slow.log; grep -c '^`+which+` ends' /var/log/lab-slow.log`)
	if got != "1\n1" {
		d.Errorf("on %s %%%s began and ended %q times, want once each", host, which, got)
	}
}

// slow waits until the slow scriptlet of a host runs.
func (d *desk) slow(host, which string) {
	d.Helper()
	d.until("%"+which+" to run on "+host, func() bool {
		return d.on(host, `grep -c '^`+which+` begins' /var/log/lab-slow.log 2>/dev/null || :`) == "1"
	})
}

// unlocked demands that the host holds no lock of ours.
func (d *desk) unlocked(host string) {
	d.Helper()
	if got := d.on(host, `[ ! -e /var/lib/cpacman/lock ] || find /var/lib/cpacman/lock`); got != "" {
		d.Errorf("%s is still locked: %s", host, got)
	}
}
