package main

import (
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"cpacman/internal/rpm"
	"cpacman/transport/sshtest"

	"golang.org/x/crypto/ssh"
)

// hostDir is cpacman's directory on hosts.
const hostDir = "/var/lib/cpacman"

// scriptedHost is a host without a shell, an rpm or a disk. It does what the programs of internal/host do, from a small state of its own, and
// refuses what they refuse: packages and orders that are not there with the bytes of their digests, a lock that somebody else has, an id
// that was used, a start without the lock or beside another transaction, an installed set that is not the order's.
type scriptedHost struct {
	site *scriptedSite
	n    int
	name string
	conf sshtest.Config

	closing sync.WaitGroup // of its server, when it dies
	mu      sync.Mutex     // guards the rest
	server  *sshtest.Server

	boot      int // counted
	installed map[string]hostPackage
	changed   time.Time // of the database of packages
	runs      int       // of rpm that changed packages
	stale     bool      // a service runs files that are gone
	lock      hostLock
	ledger    map[string]*hostTx
	dirs      map[string]bool // those of uploads
	files     map[string]*hostFile
	asked     map[string]int // commands, by name
	refused   []string       // what was refused

	gone        death
	fate        fate
	connections int
	runsBefore  int // when its fate was dealt out
}

// hostPackage is an installed package, as rpm lists it.
type hostPackage struct {
	name, version, release, arch, header string
	at                                   time.Time // installed
}

func (p hostPackage) nevra() string {
	return p.name + "-" + p.version + "-" + p.release + "." + p.arch
}

func (p hostPackage) evr() rpm.EVR { return rpm.EVR{Version: p.version, Release: p.release} }

// hostLock is who works on the host.
type hostLock struct {
	id, control, user, rollout string
	since, seen                time.Time
	ttl                        time.Duration
}

// newScriptedHost starts a host with packages.
func newScriptedHost(t *testing.T, site *scriptedSite, n int, login ssh.PublicKey, packages map[string]hostPackage) *scriptedHost {
	t.Helper()
	h := &scriptedHost{site: site, n: n, name: hostName(n), installed: maps.Clone(packages), changed: time.Now().Add(-time.Hour), ledger: map[string]*hostTx{},
		dirs: map[string]bool{}, files: map[string]*hostFile{}, asked: map[string]int{}}
	key, err := sshtest.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	h.conf = sshtest.Config{HostKeys: []ssh.Signer{key}, Authorized: []ssh.PublicKey{login}, Exec: h.exec, OnAccept: h.accept, Files: hostDisk{h}.handlers()}
	h.listen(t, "")
	return h
}

// listen starts the host's server at an address. Called with mu held once there is more than one goroutine.
func (h *scriptedHost) listen(t *testing.T, addr string) {
	t.Helper()
	var err error
	for range 50 { // somebody's outgoing connection may have the port for a moment
		h.conf.Addr = addr
		if h.server, err = sshtest.Start(h.conf); err == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("%s does not come back: %v", h.name, err)
}

// exec answers a command.
func (h *scriptedHost) exec(line string, _ io.Reader, stdout, stderr io.Writer) int {
	c, ok := parseCommand(line)
	name := ""
	if ok {
		name = c.name()
	}
	if name == "" {
		h.site.strange.Store(h.name, decoded(line))
		fmt.Fprintln(stderr, "this is no command that a host knows")
		return 127
	}
	if name == "start" {
		h.site.atStart.enter()
		defer h.site.atStart.now.Add(-1)
		if b := h.site.barrier.Load(); b != nil {
			b.wait()
		}
	}
	out, status := h.obey(c, name)
	if status < 0 {
		return status
	}
	io.WriteString(stderr, c.begin+c.end+strconv.Itoa(status)+";") //nolint:errcheck // who does not read is missing
	io.WriteString(stdout, c.begin+out)                            //nolint:errcheck // the same
	if h.goesAfter(name) {
		return -1
	}
	io.WriteString(stdout, c.end+strconv.Itoa(status)+";") //nolint:errcheck // the same
	return status
}

// obey carries a command out. A status below 0: the host is gone.
func (h *scriptedHost) obey(c hostCommand, name string) (out string, status int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.gone == lives && h.dies(name) {
		h.die()
	}
	if h.gone != lives {
		return "", -1
	}
	h.asked[name]++
	h.settle()
	switch name {
	case scriptSurvey:
		out = h.survey(c.words[2])
	case scriptDigests:
		out = h.digests(c.words[2])
	case scriptUnits:
		out = "begin\nend\n"
	default:
		out, status = h.program(name, c.words[4], c.words[5:])
	}
	if n, cut := h.answersNot(name); cut {
		out = out[:min(n, len(out))]
	}
	return out, status
}

// goesAfter has the host die in its answer, if that is its fate.
func (h *scriptedHost) goesAfter(command string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, cut := h.answersNot(command); !cut || h.gone != lives {
		return h.gone != lives
	}
	h.die()
	return true
}

// talk is one program of internal/host and what it answers.
type talk struct {
	strings.Builder
	mark string
	args []string // without the working directory
}

func (t *talk) say(format string, args ...any) {
	t.WriteString("@" + t.mark + " ")
	fmt.Fprintf(t, format, args...)
	t.WriteByte('\n')
}

func (t *talk) arg(n int) string {
	if n < len(t.args) {
		return t.args[n]
	}
	return ""
}

// refusal is what a program says with fail: a code that cpacman knows, and text.
type refusal struct{ code, text string }

func (r refusal) Error() string { return r.code + " " + r.text }

func refuse(code, format string, args ...any) error {
	return refusal{code, fmt.Sprintf(format, args...)}
}

// hostPrograms are the programs that this host can carry out.
var hostPrograms = map[string]func(*scriptedHost, *talk) error{
	"facts": (*scriptedHost).facts, "preflight": (*scriptedHost).preflight, "acquire": (*scriptedHost).acquire,
	"stage": (*scriptedHost).stage, "admit": (*scriptedHost).admit, "test": (*scriptedHost).test, "start": (*scriptedHost).start,
	"poll": (*scriptedHost).poll, "after": (*scriptedHost).after, "ledger": (*scriptedHost).listLedger, "stale": (*scriptedHost).listStale,
	"restart": (*scriptedHost).restart, "confirm": (*scriptedHost).confirm, "clean": (*scriptedHost).clean,
}

// program runs one of internal/host's. Called with mu held.
func (h *scriptedHost) program(name, mark string, args []string) (out string, status int) {
	t := &talk{mark: mark, args: args}
	run := hostPrograms[name]
	if run == nil {
		h.site.strange.Store(h.name, fmt.Sprintf("%s %q", name, args))
		return "", 127
	}
	if name != "facts" {
		if t.arg(0) != hostDir {
			h.site.strange.Store(h.name, "directory "+t.arg(0))
			return "", 127
		}
		t.args = t.args[1:]
	}
	err := run(h, t)
	if err != nil {
		h.refused = append(h.refused, name+": "+err.Error())
		t.say("fail %v", err)
		return t.String(), 3
	}
	t.say("end")
	if name == "facts" {
		return packed(mark, t.String()), 0
	}
	return t.String(), 0
}

// zips are writers that compress answers. Each has tables of a megabyte, and a thousand hosts answer at once.
var zips = sync.Pool{New: func() any { z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed); return z }}

// packed is an answer as facts.sh sends it where there is gzip.
func packed(mark, text string) string {
	var b strings.Builder
	b.WriteString("@" + mark + " packed\n")
	z := zips.Get().(*gzip.Writer) //nolint:errcheck // there is nothing else in it
	defer zips.Put(z)
	z.Reset(&b)
	io.WriteString(z, text) //nolint:errcheck // to memory
	z.Close()
	return b.String()
}

func (h *scriptedHost) bootID() string {
	return fmt.Sprintf("%08x-0000-4000-8000-%012x", h.boot, h.n)
}

func (h *scriptedHost) machine() string { return fmt.Sprintf("%032x", h.n+1) }

// fingerprint tells states of the database of packages apart.
func (h *scriptedHost) fingerprint() string {
	return fmt.Sprintf("/var/lib/rpm/rpmdb.sqlite %d %d t %d", 1<<20+h.runs, h.n+1, h.changed.Unix())
}

// facts is facts.sh: the fingerprint that cpacman has, then paths.
func (h *scriptedHost) facts(t *talk) error {
	t.say("uid 0")
	t.say("machine %s", h.machine())
	t.say(`os ID="rocky"`)
	t.say(`os VERSION_ID="9.4"`)
	t.say("kernel 5.14.0-%d.el9.x86_64", h.n)
	t.say("boot %s", h.bootID())
	t.say("btime 1700000000")
	t.say("disk 1 8388608 4096 1000000 /")
	t.say("systemd")
	t.say("unitsok")
	if t.arg(0) != "" && t.arg(0) == h.fingerprint() {
		t.say("same")
	} else {
		t.say("now %d", time.Now().Unix())
		t.say("db /var/lib/rpm")
		t.say("cpu x86_64")
		t.say("rpm RPM version 4.16.1.3")
		t.say("fp %s", h.fingerprint())
		t.say("begin")
		for _, name := range slices.Sorted(maps.Keys(h.installed)) {
			p := h.installed[name]
			fmt.Fprintf(t, "@%s p\t%s\t0\t%s\t%s\t%s\t%s\t%d\t0\t@%s:vLab OS\n", t.mark, p.name, p.version, p.release, p.arch, p.header, p.at.Unix(), t.mark)
		}
		t.say("rc 0")
		fmt.Fprintln(t, len(h.installed)+1)
		t.say("listed")
	}
	t.say("lock free ")
	return nil
}

// set is what the runner computes of the installed packages: their number and the digest of their list.
func (h *scriptedHost) set() (count int, digest string) {
	lines := make([]string, 0, len(h.installed))
	for _, p := range h.installed {
		lines = append(lines, p.nevra()+" "+p.header+"\n")
	}
	slices.Sort(lines)
	return len(lines), fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(lines, ""))))
}

func (h *scriptedHost) preflight(t *talk) error {
	for _, path := range []string{hostDir + "/spool", "/var/tmp"} {
		t.say("free 8388608 4096 %s", path)
	}
	if id := h.running(); id != "" {
		t.say("running %s", id)
	}
	h.lock.tell(t)
	return nil
}

func (l hostLock) tell(t *talk) {
	t.say("id %s", l.id)
	t.say("control %s", l.control)
	t.say("user %s", l.user)
	t.say("rollout %s", l.rollout)
	t.say("since %d", l.since.Unix())
	t.say("seen %d", l.seen.Unix())
	t.say("ttl %d", int(l.ttl.Seconds()))
}

// acquire is acquire.sh: take or release, token, control host, user, rollout, seconds to live.
func (h *scriptedHost) acquire(t *talk) error {
	now, held := time.Now(), h.lock.id
	if t.arg(0) == "release" {
		if held == t.arg(1) {
			h.lock = hostLock{}
		}
		return nil
	}
	since := now
	switch {
	case held == t.arg(1):
		since = h.lock.since
	case held != "":
		why := "alive"
		if now.Sub(h.lock.seen) > h.lock.ttl {
			if why = ""; h.running() != "" {
				why = "transaction"
			}
		}
		if why != "" {
			h.refused = append(h.refused, "acquire: held by "+held)
			t.say("held %s", why)
			h.lock.tell(t)
			return nil
		}
		t.say("broken %s", held)
	}
	ttl, err := strconv.Atoi(t.arg(5))
	if err != nil || t.arg(1) == "" {
		return refuse("argument", "%q", t.args)
	}
	h.lock = hostLock{id: t.arg(1), control: t.arg(2), user: t.arg(3), rollout: t.arg(4), since: since, seen: now, ttl: time.Duration(ttl) * time.Second}
	h.lock.tell(t)
	return nil
}

// uploads makes the directory of one owner of uploads and gives its path.
func (h *scriptedHost) uploads(sender string) string {
	own := hostDir + "/in/" + sender
	h.dirs[own] = true
	return own
}

func spooled(digest string) string { return hostDir + "/spool/" + digest + ".rpm" }

// stage is stage.sh: whose uploads, that in words, seconds that packages stay, then digests.
func (h *scriptedHost) stage(t *talk) error {
	own := h.uploads(t.arg(0))
	for _, digest := range t.args[3:] {
		name := own + "/" + digest + ".rpm"
		if h.files[name] == nil && h.files[spooled(digest)] != nil {
			h.files[name] = h.files[spooled(digest)]
		}
		switch f := h.files[name]; {
		case f == nil:
		case f.sha256() == digest:
			t.say("have %s", digest)
		default:
			delete(h.files, name)
			t.say("bad %s", digest)
		}
	}
	t.say("free 8388608 4096")
	return nil
}

// admit is admit.sh: whose uploads, where they are, then digests. All logins are root's here, so that uploads are where they belong.
func (h *scriptedHost) admit(t *talk) error {
	own := h.uploads(t.arg(0))
	if t.arg(1) != own {
		return refuse("argument", "uploads of root are in %s", t.arg(1))
	}
	for _, digest := range t.args[2:] {
		name := own + "/" + digest + ".rpm"
		f := h.files[name]
		if f == nil {
			return refuse("digest", "%s is missing or no plain file", name)
		}
		if sum := f.sha256(); sum != digest {
			delete(h.files, name)
			return refuse("digest", "%s has other bytes: %s", digest, sum)
		}
		h.files[spooled(digest)] = f
		t.say("admitted %s", digest)
	}
	return nil
}

// listStale is stale.sh: one service, from the transaction to its restart.
func (h *scriptedHost) listStale(t *talk) error {
	t.say("systemd")
	if h.stale {
		t.say("stale 321 app.service app")
	}
	return nil
}

// restart is restart.sh: the id, then the program that does it and the units.
func (h *scriptedHost) restart(t *talk) error {
	tx := h.ledger[t.arg(0)]
	names, _ := hostProgramNames()
	switch {
	case tx == nil:
		return refuse("unknown", "%s", t.arg(0))
	case len(t.args) > 2 && !tx.restarted:
		if id := h.running(); id != "" {
			return refuse("busy", "%s", id)
		}
		if names[t.arg(1)] != "restarter" {
			return refuse("argument", "a program that is not the restarter")
		}
		tx.restarted, h.stale = true, false
		t.say("started systemd")
	}
	if !tx.restarted {
		t.say("standing none")
		return nil
	}
	t.say("standing done")
	t.say("result 0 active app.service")
	return nil
}

// confirm is confirm.sh: no transaction here has a dead man's switch.
func (h *scriptedHost) confirm(t *talk) error {
	t.say("decision none")
	return nil
}

// clean is clean.sh: all, spool or files; the age of ledger entries; whose uploads; then digests or owners that are over.
func (h *scriptedHost) clean(t *talk) error {
	remove := func(name string) {
		t.say("removed 4 %s", name)
		delete(h.files, name)
	}
	if t.arg(0) == "files" {
		return refuse("argument", "nothing here makes a dry run")
	}
	if id := h.running(); id != "" {
		return refuse("busy", "%s", id)
	}
	for _, name := range slices.Sorted(maps.Keys(h.files)) {
		remove(name)
	}
	clear(h.dirs)
	if age, err := strconv.Atoi(t.arg(1)); err == nil && t.arg(0) == "all" {
		for id, tx := range h.ledger {
			if time.Since(tx.changed) >= time.Duration(age)*time.Second {
				delete(h.ledger, id)
			}
		}
	}
	if len(h.ledger) == 0 && h.lock.id == "" {
		t.say("gone")
	}
	return nil
}
