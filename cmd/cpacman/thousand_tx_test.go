package main

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"cpacman/internal/rpm"
)

// hostTx is a transaction in the ledger of a scripted host.
type hostTx struct {
	id       string
	order    hostOrder
	sender   string
	token    string
	packages map[string]*hostFile // by digest: what was there when it was accepted

	accepted  time.Time
	takes     time.Duration
	boot      int
	end       string // "": not at an end; done, verified or refused
	detail    string // why it was refused
	changed   time.Time
	runs      int // of rpm that changed packages
	restarted bool
}

// hostOrder is an order as its host reads it.
type hostOrder struct {
	id, machine, set string
	count, elements  int
	upgrade          []orderedFile
}

type orderedFile struct{ digest, name string }

// parseOrder reads an order. Steps that this test does not ask for are refused.
func parseOrder(text []byte) (hostOrder, error) {
	var o hostOrder
	for line := range strings.Lines(string(text)) {
		w := strings.Fields(line)
		switch {
		case len(w) < 2:
			return o, refuse("argument", "line %q", line)
		case w[0] == "id":
			o.id = w[1]
		case w[0] == "machine":
			o.machine = w[1]
		case w[0] == "expect" && len(w) == 3:
			o.count, _ = strconv.Atoi(w[1])
			o.set = w[2]
		case w[0] == "elements":
			o.elements, _ = strconv.Atoi(w[1])
		case w[0] == "u" && len(w) == 4:
			o.upgrade = append(o.upgrade, orderedFile{w[1], w[3]})
		case w[0] == "cpacman-order" && w[1] == "1", w[0] == "level", w[0] == "lockwait":
		default:
			return o, refuse("argument", "this host cannot do %q", strings.TrimSpace(line))
		}
	}
	return o, nil
}

// uploaded takes an order that was uploaded, by the digest of its bytes.
func (h *scriptedHost) uploaded(drop, digest string) (hostOrder, error) {
	f := h.files[drop+"/"+digest+".order"]
	if f == nil {
		return hostOrder{}, refuse("digest", "the order is missing")
	}
	if f.sha256() != digest {
		return hostOrder{}, refuse("digest", "the order has other bytes")
	}
	return parseOrder(f.data)
}

// pack takes names of its own for the packages of an order. What is missing shows when they are proven.
func (h *scriptedHost) pack(own string, o hostOrder) map[string]*hostFile {
	out := map[string]*hostFile{}
	for _, f := range o.upgrade {
		for _, name := range []string{own + "/" + f.digest + ".rpm", spooled(f.digest)} {
			if there := h.files[name]; there != nil {
				out[f.digest] = there
				break
			}
		}
	}
	return out
}

// prove reads the packages of an order as rpm does, once their bytes are those of their digests. bad is the first of which they are not.
func (h *scriptedHost) prove(o hostOrder, packages map[string]*hostFile) (read []hostPackage, bad string) {
	for _, f := range o.upgrade {
		file := packages[f.digest]
		if file == nil || file.sha256() != f.digest {
			return nil, f.name
		}
		p, err := readHostPackage(file.data)
		if err != nil {
			return nil, f.name
		}
		read = append(read, p)
	}
	return read, ""
}

// readHostPackage is what rpm would list of a package file.
func readHostPackage(data []byte) (hostPackage, error) {
	file, err := rpm.ReadPackageFile(bytes.NewReader(data))
	if err != nil {
		return hostPackage{}, err
	}
	p, err := file.Package()
	if err != nil {
		return hostPackage{}, err
	}
	return hostPackage{name: p.Name, version: p.Version, release: p.Release, arch: p.Arch, header: p.Header}, nil
}

// rpmTest is rpm -U --test: the problems, in rpm's words.
func (h *scriptedHost) rpmTest(packages []hostPackage) []string {
	var out []string
	for _, p := range packages {
		if have, ok := h.installed[p.name+"."+p.arch]; ok && rpm.Compare(have.evr(), p.evr()) >= 0 {
			out = append(out, "\tpackage "+have.nevra()+" is already installed")
		}
	}
	return out
}

// test is test.sh: whose uploads, the drop directory, the order's digest.
func (h *scriptedHost) test(t *talk) error {
	own := h.uploads(t.arg(0))
	o, err := h.uploaded(t.arg(1), t.arg(2))
	if err != nil {
		return err
	}
	if o.machine != "" && o.machine != h.machine() {
		return refuse("machine", "the order is for another machine: %s", o.machine)
	}
	packages, bad := h.prove(o, h.pack(own, o))
	if bad != "" {
		return refuse("digest", "staged package is missing or has other bytes: %s", bad)
	}
	if count, set := h.set(); o.set != "" && (count != o.count || set != o.set) {
		t.say("changed %d %s", count, set)
	}
	problems := h.rpmTest(packages)
	t.say("test %d", len(problems))
	for _, p := range problems {
		t.say("out %s", p)
	}
	t.WriteByte('\n')
	return nil
}

// start is start.sh without a dead man's switch: whose uploads, the drop directory, the order's digest, the id, the lock owner's token,
// install, the runner.
func (h *scriptedHost) start(t *talk) error {
	own, id, token := h.uploads(t.arg(0)), t.arg(3), t.arg(4)
	names, _ := hostProgramNames()
	switch {
	case h.lock.id == "" || h.lock.id != token:
		return refuse("notlocked", "%s holds the lock", h.lock.id)
	case t.arg(5) != "install" || len(t.args) > 7 || names[t.arg(6)] != "runner":
		return refuse("argument", "this host can do no more than install")
	case h.ledger[id] != nil:
		return refuse("replay", "%s", id)
	}
	if other := h.running(); other != "" {
		return refuse("busy", "%s", other)
	}
	o, err := h.uploaded(t.arg(1), t.arg(2))
	if err != nil {
		return err
	}
	if o.id != id {
		return refuse("argument", "the order is for %s", o.id)
	}
	delete(h.files, t.arg(1)+"/"+t.arg(2)+".order")
	now := time.Now()
	h.ledger[id] = &hostTx{id: id, order: o, sender: own, token: token, packages: h.pack(own, o), boot: h.boot, accepted: now, changed: now, takes: h.site.duration(h)}
	t.say("started systemd")
	return nil
}

// running is a transaction that is under way.
func (h *scriptedHost) running() string {
	for id, tx := range h.ledger {
		if tx.end == "" && tx.boot == h.boot {
			return id
		}
	}
	return ""
}

// settle lets time pass for the transactions that are under way: what a runner does when nobody looks. Called with mu held.
func (h *scriptedHost) settle() {
	for _, tx := range h.ledger {
		if over := tx.accepted.Add(tx.takes); tx.end == "" && tx.boot == h.boot && !time.Now().Before(over) {
			h.transact(tx, over)
		}
	}
}

// transact is the runner.
func (h *scriptedHost) transact(tx *hostTx, at time.Time) {
	finish := func(end, format string, args ...any) {
		tx.end, tx.detail, tx.changed = end, fmt.Sprintf(format, args...), at
	}
	if o := tx.order; o.machine != "" && o.machine != h.machine() {
		finish("refused", "machine %s", h.machine())
		return
	}
	if count, set := h.set(); tx.order.set != "" && (count != tx.order.count || set != tx.order.set) {
		finish("refused", "changed %d %s", count, set)
		return
	}
	packages, bad := h.prove(tx.order, tx.packages)
	if bad != "" {
		finish("refused", "digest %s", bad)
		return
	}
	if problems := h.rpmTest(packages); len(problems) > 0 {
		finish("refused", "test %d", len(problems))
		return
	}
	for _, p := range packages {
		p.at = at
		h.installed[p.name+"."+p.arch] = p
	}
	tx.runs++
	h.runs++
	h.changed, h.stale = at, true
	// What was sent for it is used up.
	maps.DeleteFunc(h.files, func(name string, _ *hostFile) bool { return strings.HasPrefix(name, tx.sender+"/") })
	delete(h.dirs, tx.sender)
	tx.packages = nil
	finish("done", "")
}

// state is the phase of a transaction, and what of it is alive.
func (h *scriptedHost) state(tx *hostTx) (phase, alive string) {
	since := time.Since(tx.accepted)
	switch {
	case tx.end != "":
		return tx.end, "no"
	case since < tx.takes/4:
		phase, alive = "accepted", "starting"
	case since < tx.takes/2:
		phase, alive = "testing", "runner"
	default:
		phase, alive = "running", "runner"
	}
	if tx.boot != h.boot {
		alive = "no"
	}
	return phase, alive
}

// poll is poll.sh: the id.
func (h *scriptedHost) poll(t *talk) error {
	tx := h.ledger[t.arg(0)]
	if tx == nil {
		return refuse("unknown", "%s", t.arg(0))
	}
	phase, alive := h.state(tx)
	t.say("now %d", time.Now().Unix())
	t.say("boot %s", h.bootID())
	t.say("alive %s", alive)
	for _, line := range []string{"protocol 1", "phase " + phase, "mode install", "token " + tx.token, "pid 4711", "start 1", fmt.Sprintf("boot %08x-0000-4000-8000-%012x", tx.boot, h.n),
		fmt.Sprintf("time %d", tx.changed.Unix())} {
		t.say("s %s", line)
	}
	if phase == "running" || tx.runs > 0 {
		t.say("s began %d", tx.accepted.Unix())
	}
	if tx.detail != "" {
		t.say("s detail %s", tx.detail)
	}
	if tx.runs > 0 {
		t.say("rc u 0")
	}
	t.say("elements %d", tx.order.elements)
	t.say("expect %d %s", tx.order.count, tx.order.set)
	return nil
}

// after is after.sh: the id, and "verified" when the control host is content.
func (h *scriptedHost) after(t *talk) error {
	tx := h.ledger[t.arg(0)]
	if tx == nil {
		return refuse("unknown", "%s", t.arg(0))
	}
	if t.arg(1) == "verified" && tx.end == "done" {
		tx.end = "verified"
	}
	return nil
}

// listLedger is ledger.sh.
func (h *scriptedHost) listLedger(t *talk) error {
	for _, id := range slices.Sorted(maps.Keys(h.ledger)) {
		tx := h.ledger[id]
		phase, alive := h.state(tx)
		t.say("entry %s %s %s %d %08x", id, phase, alive, tx.changed.Unix(), tx.boot)
	}
	t.say("boot %s", h.bootID())
	return nil
}
