package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cpacman/transport/sshtest"

	"golang.org/x/crypto/ssh"
)

const (
	thousand      = 1000
	thousandDying = thousand / 20
	// thousandMemory is what the control process may use for them, in bytes.
	thousandMemory = 300 << 20
	// thousandPackages is how many packages a host lists.
	thousandPackages = 413
)

// TestThousandHosts asks a thousand hosts at once for their facts, each an SSH server of its own in this process, by a cpacman in another
// one: every answer arrives and is stored under the host that gave it, in less than 300 MB. Then 5 % of the hosts die, each in a way and at
// a moment of its own: those and no others are missing, and nothing hangs.
func TestThousandHosts(t *testing.T) {
	if testing.Short() {
		t.Skip("needs half a minute of processor time")
	}
	f := newThousand(t)

	t.Run("all answer", func(t *testing.T) {
		f.await(thousand)
		status, peak := f.cpacman(t, "facts", "--output", "csv", "all")
		if status != 0 {
			t.Errorf("exit status %d", status)
		}
		f.check(t, peak, nil)
		if most := f.atOnce.most.Load(); most != thousand {
			t.Errorf("at most %d hosts were asked at once, want all %d", most, thousand)
		}
	})

	t.Run("some die", func(t *testing.T) {
		dying := f.kill(rand.New(rand.NewPCG(11, 5)))
		f.await(thousand - len(dying))
		status, peak := f.cpacman(t, "facts", "--force", "--output", "csv", "all")
		if status != statusUnreachable {
			t.Errorf("exit status %d, want %d: only unreachable hosts are missing", status, statusUnreachable)
		}
		f.check(t, peak, dying)
	})
}

// thousandHosts are the servers, and a site that knows them.
type thousandHosts struct {
	control
	t       *testing.T
	hosts   []*thousandHost
	atOnce  gauge
	barrier atomic.Pointer[barrier]
}

// control is where cpacman is run.
type control struct {
	site   string
	env    []string // more of the environment
	out    string   // of the last run
	errout string
}

// thousandHost is a scripted host: it knows the marks of a command and its answer, and no shell.
type thousandHost struct {
	all    *thousandHosts
	n      int
	name   string
	server *sshtest.Server
	death  atomic.Int64
	after  atomic.Int64 // bytes of its answer, when it dies in it
}

// gauge counts what goes on at once.
type gauge struct{ now, most atomic.Int64 }

func (g *gauge) enter() {
	n := g.now.Add(1)
	for m := g.most.Load(); n > m && !g.most.CompareAndSwap(m, n); m = g.most.Load() {
	}
}

// barrier holds answers back until as many hosts have been asked.
type barrier struct {
	want int64
	n    atomic.Int64
	open chan struct{}
	once sync.Once
}

func newBarrier(want int) *barrier { return &barrier{want: int64(want), open: make(chan struct{})} }

func (b *barrier) wait() {
	if b.n.Add(1) >= b.want {
		b.once.Do(func() { close(b.open) })
	}
	select {
	case <-b.open:
	case <-time.After(100 * time.Second): // who waits longer fails the test by what is missing
	}
}

// await makes hosts answer only when that many have been asked.
func (f *thousandHosts) await(n int) {
	f.barrier.Store(newBarrier(n))
}

func newThousand(t *testing.T) *thousandHosts {
	t.Helper()
	f := &thousandHosts{t: t, control: control{site: t.TempDir()}, hosts: make([]*thousandHost, thousand)}
	pub := f.identity(t)
	servers := make([]*sshtest.Server, thousand)
	for i := range f.hosts {
		h := &thousandHost{all: f, n: i, name: hostName(i)}
		var err error
		if h.server, err = sshtest.Start(sshtest.Config{Authorized: []ssh.PublicKey{pub}, Exec: h.exec, OnAccept: h.accept}); err != nil {
			t.Fatal(err)
		}
		f.hosts[i], servers[i] = h, h.server
	}
	t.Cleanup(func() {
		var work sync.WaitGroup
		for _, s := range servers {
			work.Go(s.Close)
		}
		work.Wait()
	})
	f.write(t, servers, fmt.Sprintf("[limits]\nconnections = %d\nstarts = 64\n[[level]]\nname = \"all\"\n", thousand))
	return f
}

func hostName(n int) string { return fmt.Sprintf("h%04d", n) }

// identity makes the directory of the site fit for one, and the key that its hosts let in.
func (c *control) identity(t *testing.T) ssh.PublicKey {
	t.Helper()
	if err := os.Chmod(c.site, 0o700); err != nil {
		t.Fatal(err)
	}
	pub, err := sshtest.WriteIdentity(filepath.Join(c.site, "id"))
	if err != nil {
		t.Fatal(err)
	}
	return pub
}

// write writes the site: servers are its hosts, by number, all in one class and one level. more follows the table ssh, and goes on with it
// until it begins another.
func (c *control) write(t *testing.T, servers []*sshtest.Server, more string) {
	t.Helper()
	known, err := sshtest.KnownHosts(c.site, servers...)
	if err != nil {
		t.Fatal(err)
	}
	var inventory strings.Builder
	for i, s := range servers {
		name := hostName(i)
		fmt.Fprintf(&inventory, "[host.%s]\naddress = \"127.0.0.1\"\nclass = \"prod\"\nlevel = \"all\"\n[host.%s.ssh]\nport = %d\n", name, name, s.Port())
	}
	config := fmt.Sprintf("[ssh]\nidentity = [%q]\nknown_hosts = %q\n", filepath.Join(c.site, "id"), known)
	for name, text := range map[string]string{"cpacman.toml": config + more + "[[class]]\nname = \"prod\"\n", "inventory/hosts.toml": inventory.String()} {
		path := filepath.Join(c.site, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
}

// kill chooses hosts that die, and how each does.
func (f *thousandHosts) kill(rng *rand.Rand) map[string]bool {
	dying := map[string]bool{}
	for i, n := range rng.Perm(thousand)[:thousandDying] {
		h := f.hosts[n]
		dying[h.name] = true
		how := death(1 + i%int(cutInAnswer))
		if how == refuses {
			h.server.Close()
		}
		h.after.Store(int64(rng.IntN(30_000)))
		h.death.Store(int64(how))
	}
	return dying
}

// accept decides what becomes of a connection.
func (h *thousandHost) accept(_ int, c net.Conn) bool {
	return death(h.death.Load()).accept(h.all.t, c, time.Duration(h.after.Load())*time.Millisecond/100)
}

// The marks of transport, in two halves, and that of internal/host behind the program.
var (
	frameMarks = regexp.MustCompile(`printf '%s-%s<' ([0-9a-f]{12}) ([0-9a-f]{12});`)
	answerMark = regexp.MustCompile(`' cpacman ([0-9a-f]{16})[ )]`)
)

// decoded is the program that a login shell gets from transport, without the encoding for shells that know more than sh.
func decoded(line string) string {
	const head, tail = `exec /bin/sh -c 'eval "$(printf %b "`, `")"'`
	text, encoded := strings.CutPrefix(line, head)
	if !encoded {
		return line
	}
	text = strings.TrimSuffix(text, tail)
	var b strings.Builder
	b.Grow(len(text))
	for {
		i := strings.IndexByte(text, '\\')
		if i < 0 || len(text) < i+5 {
			b.WriteString(text)
			return b.String()
		}
		n, _ := strconv.ParseUint(text[i+2:i+5], 8, 8)
		b.WriteString(text[:i])
		b.WriteByte(byte(n))
		text = text[i+5:]
	}
}

// exec answers a command as a host would.
func (h *thousandHost) exec(line string, _ io.Reader, stdout, stderr io.Writer) int {
	f := h.all
	f.atOnce.enter()
	defer f.atOnce.now.Add(-1)
	program := decoded(line)
	frame, mark := frameMarks.FindStringSubmatch(program), answerMark.FindStringSubmatch(program)
	if frame == nil || mark == nil {
		fmt.Fprintln(stderr, "this is no command of cpacman")
		return 127
	}
	answer, wait := h.facts(mark[1]), f.barrier.Load()
	begin, end := frame[1]+"-"+frame[2]+"<", frame[1]+"-"+frame[2]+">0;"
	whole := begin + answer + end
	how := death(h.death.Load())
	if how == cutAtCommand {
		h.server.CutAll()
		return -1
	}
	io.WriteString(stderr, begin+end) //nolint:errcheck // who does not read is missing
	if how == cutInAnswer {
		io.WriteString(stdout, whole[:min(int(h.after.Load()), len(whole)-1)]) //nolint:errcheck // it dies anyway
		h.server.CutAll()
		return -1
	}
	if wait != nil {
		wait.wait()
	}
	io.WriteString(stdout, whole) //nolint:errcheck // who does not read is missing
	return 0
}

// facts is what facts.sh prints on this host. Ten hosts each have the same packages.
func (h *thousandHost) facts(mark string) string {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, "@"+mark+" "+format+"\n", args...) }
	say("uid 0")
	say("machine %032x", h.n+1)
	say(`os ID="rocky"`)
	say(`os VERSION_ID="9.4"`)
	say("kernel 5.14.0-%d.el9.x86_64", h.n)
	say("boot 00000000-0000-4000-8000-%012x", h.n)
	say("btime 1700000000")
	say("now 1800000000")
	say("db /var/lib/rpm")
	say("cpu x86_64")
	say("rpm RPM version 4.16.1.3")
	say("fp /var/lib/rpm/rpmdb.sqlite 1 2 t 900")
	say("begin")
	for i := range thousandPackages {
		version := "1.0"
		if i == 0 {
			version = fmt.Sprintf("1.%d", h.n/10)
		}
		// No digest of its header, as from an rpm before 4.14 whose packages are not signed: else headers would be asked for too.
		fmt.Fprintf(&b, "@%s p\tpackage-of-the-distribution-%d\t0\t%s\t%d.el9\tx86_64\t\t1700000000\t0\t@%s:vA vendor of packages\n",
			mark, i, version, i, mark)
	}
	say("rc 0")
	fmt.Fprintln(&b, thousandPackages+1)
	say("listed")
	say("lock free ")
	say("end")
	var packed bytes.Buffer // as facts.sh does where there is gzip
	fmt.Fprintf(&packed, "@%s packed\n", mark)
	z, _ := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	io.WriteString(z, b.String()) //nolint:errcheck // a buffer
	z.Close()
	return packed.String()
}

// cpacman runs the command in a process of its own, and gives its exit status and the most memory that it had.
func (c *control) cpacman(t *testing.T, args ...string) (status int, peak int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "cpacman", append([]string{"--site", c.site}, args...)...)
	cmd.Env = append(append(os.Environ(), "SSH_AUTH_SOCK=", "NO_COLOR=1"), c.env...)
	var out, errout bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errout
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	var err error
	for running := true; running; {
		peak = max(peak, peakOf(cmd.Process.Pid))
		select {
		case err = <-done:
			running = false
		case <-time.After(10 * time.Millisecond):
		}
	}
	c.out, c.errout = out.String(), errout.String()
	var ee *exec.ExitError
	if errors.As(err, &ee) {
		status = ee.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	took := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	t.Logf("cpacman %s: exit status %d after %v, %v of processor time, %d MB at most", strings.Join(args, " "), status,
		time.Since(begin).Round(100*time.Millisecond), took.Round(100*time.Millisecond), peak>>20)
	if ctx.Err() != nil {
		t.Fatalf("it does not end; stderr ends with %q", c.tail())
	}
	return status, peak
}

// peakOf is the most memory that a process has had so far, in bytes; 0 when it is gone. What wait says of a child is no use: it has the
// memory of its parent before exec in it.
func peakOf(pid int) int64 {
	file, err := os.Open("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if w := strings.Fields(lines.Text()); len(w) == 3 && w[0] == "VmHWM:" {
			n, _ := strconv.ParseInt(w[1], 10, 64)
			return n << 10
		}
	}
	return 0
}

// tail is the end of what the last run said.
func (c *control) tail() string {
	return c.errout[max(0, len(c.errout)-2000):]
}

// small fails the test when the control process needed more memory than it may.
func small(t *testing.T, peak int64) {
	t.Helper()
	if peak == 0 || peak > thousandMemory {
		t.Errorf("%d MB of memory were used at most, the limit is %d MB", peak>>20, thousandMemory>>20)
	}
}

// check accounts for every host in what was printed: those that live with their own facts, those that died as not reached.
func (f *thousandHosts) check(t *testing.T, peak int64, dying map[string]bool) {
	t.Helper()
	small(t, peak)
	rows, err := csv.NewReader(strings.NewReader(f.out)).ReadAll()
	if err != nil || len(rows) != thousand+1 {
		t.Fatalf("%d lines, want one for each of %d hosts: %v; stderr: %.2000s", len(rows), thousand, err, f.errout)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	for i, row := range rows[1:] {
		h := f.hosts[i]
		get := func(name string) string { return row[column[name]] }
		if get("host") != h.name {
			t.Fatalf("line %d is of host %q, want %s", i+1, get("host"), h.name)
		}
		told := strings.Contains("\n"+f.errout, "\n"+h.name+": ")
		if dying[h.name] {
			if get("state") != "unreachable" || !told {
				t.Errorf("%s died (%d) and is %q (%s); told on stderr: %v", h.name, h.death.Load(), get("state"), get("detail"), told)
			}
			continue
		}
		if get("state") != "ok" || told {
			t.Errorf("%s lives and is %q (%s); told on stderr: %v", h.name, get("state"), get("detail"), told)
		}
		if want := fmt.Sprintf("5.14.0-%d.el9.x86_64", h.n); get("kernel") != want || get("packages") != strconv.Itoa(thousandPackages) {
			t.Errorf("%s has kernel %q and %s packages, want %q and %d: an answer of another host?", h.name, get("kernel"), get("packages"), want, thousandPackages)
		}
	}
}
