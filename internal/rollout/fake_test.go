package rollout

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// seen collects the lines of the table that any test has taken.
var seen sync.Map

// TestMain wants, after a complete run, that every line of the table was taken: what no test can reach is no contract.
func TestMain(m *testing.M) {
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if code == 0 && flag.Lookup("test.run").Value.String() == "" && !testing.Short() && flag.Lookup("test.skip").Value.String() == "" {
		for _, tr := range Transitions() {
			if _, ok := seen.Load([2]string{string(tr.From), string(tr.On)}); !ok {
				fmt.Fprintf(os.Stderr, "no test takes %s on %s to %s\n", tr.From, tr.On, tr.To)
				code = 1
			}
		}
	}
	os.Exit(code)
}

// kind is how a fake host behaves.
type kind string

const (
	plain        kind = "plain"
	upToDate     kind = "up to date since"
	sameSet      kind = "changed, same set"
	changed      kind = "changed"
	rebuilt      kind = "rebuilt"
	noKey        kind = "key missing"
	stageFails   kind = "stage fails"
	testFails    kind = "test fails"
	retestFails  kind = "retest fails"
	rpmLocked    kind = "rpm locked"
	lockedByPeer kind = "locked by a peer"
	nothingDone  kind = "transaction changes nothing"
	partial      kind = "partial"
	powerCut     kind = "power cut"
	powerCutHalf kind = "power cut, half done"
	red          kind = "red after"
	redLate      kind = "red in the soak"
	redAlways    kind = "red before and after"
	blind        kind = "unknown after"
	away         kind = "unreachable"
	awayOnce     kind = "unreachable once"
	dropStart    kind = "connection drops at the start, not begun"
	dropStarted  kind = "connection drops at the start, begun"
	gone         kind = "gone after the start"
	forgets      kind = "forgets the transaction"
	noStart      kind = "refuses to start"
	erases       kind = "has a step (c)"
	scriptlets   kind = "scriptlet errors"
	keepsConfig  kind = "configuration files kept"
	badKey       kind = "host key"
	heldStage    kind = "held while staging"
	heldTest     kind = "held while testing"
	goneDone     kind = "gone after the transaction"
	occupied     kind = "another transaction for half a minute"
	occupiedLong kind = "another transaction"
	goneErase    kind = "gone before step (c)"
	eraseFails   kind = "step (c) fails"
	cutOff       kind = "cut off by its update"
	backRefused  kind = "cannot go back"
	backPartial  kind = "does not come back to what it had"
	backCut      kind = "its way back is cut once"
	goneBack     kind = "gone on its way back"
	late         kind = "confirmed too late"
	wantsBoot    kind = "wants a reboot"
	noReturn     kind = "does not come back from its reboot"
	noSwitch     kind = "cannot arm a switch"
	newKernel    kind = "boots its new kernel once"
	deadKernel   kind = "its new kernel does not come up"
	noBootOnce   kind = "cannot boot a kernel once"
	goneConfirm  kind = "gone before it is confirmed"
	forgetsLate  kind = "forgets the transaction before it is confirmed"
	stale        kind = "a service runs what is gone"
	staleBoot    kind = "runs what is gone until it boots"
	staleStays   kind = "runs what is gone and is left alone"
	restartFails kind = "cannot restart its services"
	goneRestart  kind = "gone before its services are restarted"
	peerSame     kind = "changed by a peer while it waits, same set"
	peerNothing  kind = "updated by a peer while it waits"
	peerChanged  kind = "changed by a peer while it waits"
	peerInTest   kind = "changed by a peer before its test"
	peerMidTest  kind = "changed by a peer while rpm tests"
	peerLate     kind = "changed after its last look"
	peerRestless kind = "changed by a peer again and again"
	peerHasIt    kind = "locked by a peer for some minutes after its transaction"
	peerKeepsIt  kind = "locked by a peer after its transaction"
	peerErase    kind = "locked by a peer for some minutes before step (c)"
	peerNoErase  kind = "locked by a peer before step (c)"
	peerStart    kind = "lock taken over by a peer before the start"
	forgetsNow   kind = "forgets the transaction while its services are restarted"
)

// fakeTx is a transaction on a fake host.
type fakeTx struct {
	ends  time.Time
	moved bool // refused: the host had changed
}

// fakeHost is what the world knows of a host.
type fakeHost struct {
	kind     kind
	opens    int
	starts   int
	updated  bool
	erased   int
	erasedBy string // by which transaction
	tx       map[string]*fakeTx
	owner    string // of the lock
	deaf     int    // how many calls to give it back are lost
	fixed    bool   // behaves as plain from now on
	waits    string // what its transactions wait for
	sw       *fakeSwitch
	back     *fakeTx // its way back
	backs    int
	boots    int
	told     int       // the attempt that told it to boot
	renewed  int       // restarts of its services
	owes     bool      // it says itself that it owes a reboot, in a rollout of reboots
	stopped  bool      // its services, in a rollout of services
	stops    int       // how often they were
	asked    time.Time // the first preflight
	bootEnd  time.Time // when its reboot ends
	peers    int       // how often another rollout has changed it
}

// fakeSwitch is a dead man's switch on a fake host.
type fakeSwitch struct {
	fires    time.Time
	decision SwitchVerdict
	why      string
}

// tick lets the host do what it does by itself.
func (h *fakeHost) tick() {
	now := time.Now()
	if h.sw != nil && h.sw.decision == "" && now.After(h.sw.fires) {
		h.sw.decision = SwitchGoneBack
		h.back = &fakeTx{ends: h.sw.fires.Add(10 * time.Second)}
	}
	if h.back != nil && now.After(h.back.ends) && h.kind != backPartial {
		h.updated = false
	}
}

// world is a fleet, its health, its recheck and its neighbours, with the promises checked as things happen. It outlives
// engines, as real hosts do.
type world struct {
	mu       sync.Mutex
	hosts    map[string]*fakeHost
	journal  *memJournal
	outside  map[string]string // why a host is unavailable for reasons of its own
	txTime   time.Duration
	flaky    float64 // chance that any call loses its connection
	rng      *rand.Rand
	broken   []string // promises that were broken
	deaf     string   // what is not listened to
	onBreak  func()   // called for each of them; nil: nothing
	sleepOps bool
	opTime   time.Duration
	slow     map[string]time.Duration // more time for each call to a host
	dropIn   map[string]State         // where a host loses its connection
	drops    int                      // how often it does
	hooks    hookRuns
	red      map[string]bool // hosts that are red once updated, whatever else is wrong with them
	maxArmed int             // switches at once; 0: not looked at
	booting  int             // the most hosts that booted at once
	bootOnly bool            // the rollout boots hosts and installs nothing
}

func newWorld(kinds map[string]kind) *world {
	w := &world{hosts: map[string]*fakeHost{}, outside: map[string]string{}, txTime: 20 * time.Second, rng: rand.New(rand.NewPCG(1, 2))}
	for h, k := range kinds {
		w.hosts[h] = &fakeHost{kind: k, tx: map[string]*fakeTx{}}
	}
	return w
}

func (w *world) break_(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if w.deaf != "" && strings.Contains(text, w.deaf) {
		return
	}
	w.broken = append(w.broken, text)
	if w.onBreak != nil {
		w.onBreak()
	}
}

func (w *world) is(host string, k kind) bool {
	h := w.hosts[host]
	return h.kind == k && !h.fixed
}

// op takes time and may lose the connection.
func (w *world) op(ctx context.Context) error {
	w.mu.Lock()
	d := max(w.opTime, 10*time.Millisecond)
	if w.sleepOps {
		d = time.Duration(w.rng.IntN(3000)) * time.Millisecond
	}
	drop := w.rng.Float64() < w.flaky
	w.mu.Unlock()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
	}
	if drop {
		return Disconnected(errors.New("connection reset"))
	}
	return nil
}

func (w *world) Reach(ctx context.Context, host string) error {
	if err := w.op(ctx); err != nil {
		return Unreachable(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.is(host, away) {
		return Unreachable(errors.New("no route to host"))
	}
	return nil
}

func (w *world) Open(ctx context.Context, job Job) (Worker, error) {
	if err := w.op(ctx); err != nil {
		return nil, Unreachable(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	h := w.hosts[job.Host]
	h.opens++
	h.tick()
	rec := w.journal.record(job.Host)
	switch {
	case w.is(job.Host, cutOff) && h.starts > 0 && (h.back == nil || time.Now().Before(h.back.ends)),
		time.Now().Before(h.bootEnd),
		w.is(job.Host, goneConfirm) && rec.State == StateConfirming, w.is(job.Host, noReturn) && h.boots > 0:
		return nil, Unreachable(errors.New("no route to host"))
	}
	switch {
	case w.is(job.Host, away), w.is(job.Host, awayOnce) && h.opens == 1, w.is(job.Host, gone) && h.starts > 0:
		return nil, Unreachable(errors.New("no route to host"))
	}
	if w.is(job.Host, badKey) {
		return nil, Held(ReasonHostKey, "another host key")
	}
	return &fakeWorker{w: w, job: job, h: h}, nil
}

func (w *world) Recheck(_ context.Context, host string, _ any) (RecheckResult, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.is(host, upToDate), w.hosts[host].updated:
		return RecheckResult{Verdict: RecheckNothing}, nil
	case w.is(host, sameSet), w.hosts[host].peers > 0 && w.hosts[host].kind != peerChanged:
		return RecheckResult{Verdict: RecheckSame}, nil
	}
	return RecheckResult{Verdict: RecheckChanged, Detail: "bar 1 → 2"}, nil
}

func (w *world) RunChecks(ctx context.Context, host string, checks []string, baseline []CheckResult) []CheckResult {
	if w.op(ctx) != nil && ctx.Err() != nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	v, h := Green, w.hosts[host]
	switch {
	case w.is(host, redAlways), h.updated && (w.is(host, red) || w.red[host]):
		v = Red
	case h.updated && w.is(host, blind):
		v = Unknown
	case h.updated && w.is(host, redLate) && w.sinceTx(h) > 3*time.Minute:
		v = Red
	}
	var out []CheckResult
	for _, c := range checks {
		out = append(out, CheckResult{Check: c, Verdict: v, Output: "said " + string(v)})
	}
	return out
}

func (w *world) sinceTx(h *fakeHost) time.Duration {
	for _, t := range h.tx {
		return time.Since(t.ends)
	}
	return 0
}

func (w *world) Unavailable(ctx context.Context, host string) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.outside[host], nil
}

// fakeWorker is a connection to a fakeHost.
type fakeWorker struct {
	w      *world
	job    Job
	h      *fakeHost
	closed bool
	read   string // what Preflight read
}

func (f *fakeWorker) lock(ctx context.Context) (func(), error) {
	if f.closed {
		return nil, errors.New("used after close")
	}
	if d := f.w.slow[f.job.Host]; d > 0 {
		select {
		case <-ctx.Done():
		case <-time.After(d):
		}
	}
	if err := f.w.op(ctx); err != nil {
		return nil, err
	}
	f.w.mu.Lock()
	if s, ok := f.w.dropIn[f.job.Host]; ok && f.w.drops > 0 && f.w.journal.states()[f.job.Host] == s {
		f.w.drops--
		f.w.mu.Unlock()
		return nil, Disconnected(errors.New("reset"))
	}
	return f.w.mu.Unlock, nil
}

func (f *fakeWorker) is(k kind) bool { return f.w.is(f.job.Host, k) }

func (f *fakeWorker) Preflight(ctx context.Context) (Preflight, error) {
	unlock, err := f.lock(ctx)
	if err != nil {
		return Preflight{}, err
	}
	defer unlock()
	pf := Preflight{MachineID: "m-" + f.job.Host}
	if f.h.asked.IsZero() {
		f.h.asked = time.Now()
	}
	switch {
	case f.is(rebuilt):
		pf.MachineID = "other"
	case f.is(noKey):
		pf.Refusals = []Reason{{ReasonKeyMissing, "key 1234 is missing"}}
	case f.is(occupied) && time.Since(f.h.asked) < 30*time.Second, f.is(occupiedLong):
		pf.Refusals, pf.Busy = []Reason{{ReasonBusy, "transaction other is under way on the host"}}, true
	}
	if f.h.peers > 0 {
		pf.ChangedBy = "transaction peer of bob on ops2"
	}
	pf.InstalledDigest = f.reads()
	f.read = pf.InstalledDigest
	pf.Boot = fmt.Sprintf("boot-%d", f.h.boots)
	if f.h.owes && f.h.boots == 0 {
		pf.RebootDue = "kernel 2 is installed"
	}
	return pf, nil
}

func (f *fakeWorker) Stage(ctx context.Context, progress func(done, total int64)) error {
	unlock, err := f.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if f.is(heldStage) {
		return Held(ReasonSpace, "no room")
	}
	if f.is(stageFails) {
		return Failed(ReasonSpace, "no space left")
	}
	return nil
}

func (f *fakeWorker) Test(ctx context.Context) error {
	unlock, err := f.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if f.is(heldTest) {
		return Held(ReasonKeyMissing, "no key")
	}
	if f.is(peerInTest) && f.h.peers == 0 {
		f.h.peers++
		return Moved("the installed packages changed between two looks")
	}
	if f.is(peerMidTest) && f.h.peers == 0 {
		f.h.peers++
		return Failed(ReasonTest, "rpm --test: package foo is already installed")
	}
	if f.is(testFails) {
		return Failed(ReasonTest, "file conflict")
	}
	return nil
}

func (f *fakeWorker) Discard(ctx context.Context) error { return f.w.op(ctx) }

func (f *fakeWorker) Lock(ctx context.Context, wait time.Duration) error {
	unlock, err := f.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if f.is(lockedByPeer) || f.peer() {
		return Locked("bob on ops2")
	}
	switch {
	case f.w.journal.record(f.job.Host).State != StateWaitingLock:
	case f.h.peers == 0 && (f.is(peerSame) || f.is(peerChanged)):
		f.h.peers++
	case f.h.peers == 0 && f.is(peerNothing):
		f.h.peers, f.h.updated = 1, true
	}
	f.h.owner = f.job.Rollout
	return nil
}

// peer tells whether somebody else has the lock, which was given up by the host's owner, since its transaction. Called with the world's lock held.
func (f *fakeWorker) peer() bool {
	since := f.w.sinceTx(f.h)
	return since > 0 && (f.is(peerKeepsIt) || f.is(peerNoErase) || (f.is(peerHasIt) || f.is(peerErase)) && since < 3*time.Minute)
}

// Moved implements Preparer.
func (f *fakeWorker) Moved(ctx context.Context) (bool, error) {
	unlock, err := f.lock(ctx)
	if err != nil {
		return false, err
	}
	defer unlock()
	if f.h.owner != f.job.Rollout && f.w.journal.record(f.job.Host).State != StateTesting {
		f.w.break_("%s: looked at once more without the lock", f.job.Host)
	}
	if f.is(peerRestless) && f.h.peers < 50 {
		f.h.peers++
	}
	return f.read != f.reads(), nil
}

// reads is what Preflight reads. Called with the world's lock held.
func (f *fakeWorker) reads() string {
	switch {
	case f.h.updated:
		return "new"
	case f.h.peers > 0:
		return fmt.Sprint("peer", f.h.peers)
	case f.is(changed), f.is(sameSet), f.is(upToDate):
		return "drifted"
	}
	return "old"
}

func (f *fakeWorker) Unlock(ctx context.Context) error {
	unlock, err := f.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	for id, t := range f.h.tx {
		if time.Now().Before(t.ends) && id == f.job.TxID {
			f.w.break_("%s: unlocked while its transaction runs", f.job.Host)
		}
	}
	if f.h.deaf > 0 {
		f.h.deaf--
		return Disconnected(errors.New("reset"))
	}
	f.h.owner = ""
	return nil
}

func (f *fakeWorker) Start(ctx context.Context) error {
	f.w.checkInside(f.job.Host)
	unlock, err := f.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	f.w.journal.asked(f.job, f.h, f.reads())
	f.h.starts++
	if f.is(noSwitch) && f.job.Arm > 0 {
		return Held(ReasonNoSwitch, "neither systemd nor cron")
	}
	if f.is(noBootOnce) && f.job.BootOnce && !f.job.BootAnyway {
		return Held(ReasonNoSwitch, "no boot loader")
	}
	if f.is(peerStart) {
		return Locked("bob on ops2")
	}
	if f.is(noStart) {
		return Failed(ReasonSpace, "ledger: no space left on device")
	}
	if f.is(dropStart) && f.h.starts == 1 {
		return Disconnected(errors.New("reset"))
	}
	if t := f.h.tx[f.job.TxID]; t != nil {
		f.w.break_("%s: transaction %s asked for although the host knows it", f.job.Host, f.job.TxID)
		return nil
	}
	if f.is(peerLate) && f.h.peers == 0 {
		f.h.peers++
		f.h.tx[f.job.TxID] = &fakeTx{ends: time.Now(), moved: true}
		return nil
	}
	f.h.tx[f.job.TxID] = &fakeTx{ends: time.Now().Add(f.w.txTime)}
	f.h.sw, f.h.back = nil, nil
	if f.job.Arm > 0 {
		f.h.sw = &fakeSwitch{fires: time.Now().Add(f.w.txTime + f.job.Arm)}
		if f.is(late) {
			f.h.sw.fires = time.Now().Add(f.w.txTime)
		}
		f.w.checkArmed()
	}
	if f.is(dropStarted) && f.h.starts == 1 || f.is(gone) {
		return Disconnected(errors.New("reset"))
	}
	return nil
}

func (f *fakeWorker) Poll(ctx context.Context) (TxStatus, error) {
	unlock, err := f.lock(ctx)
	if err != nil {
		return TxStatus{}, err
	}
	defer unlock()
	t := f.h.tx[f.job.TxID]
	switch {
	case t == nil, f.is(forgets) && time.Now().After(t.ends), f.is(forgetsLate) && f.w.journal.record(f.job.Host).State == StateConfirming,
		f.is(forgetsNow) && f.w.journal.record(f.job.Host).State == StateRestarting:
		return TxStatus{Phase: TxUnknown}, nil
	case t.moved:
		return TxStatus{Phase: TxMoved, Detail: "by transaction peer"}, nil
	case f.is(retestFails):
		t.ends = time.Now()
		return TxStatus{Phase: TxRefused, Detail: "needs libfoo"}, nil
	case f.is(rpmLocked):
		t.ends = time.Now()
		return TxStatus{Phase: TxLocked, Detail: "yum, pid 7"}, nil
	case time.Now().Before(t.ends):
		return TxStatus{Phase: TxRunning, Waits: f.h.waits}, nil
	case f.is(powerCut), f.is(powerCutHalf):
		return TxStatus{Phase: TxInterrupted}, nil
	}
	if !f.is(nothingDone) && !f.is(partial) && f.h.back == nil {
		f.h.updated = true
	}
	return TxStatus{Phase: TxDone}, nil
}

func (f *fakeWorker) Verify(ctx context.Context) (Verification, error) {
	unlock, err := f.lock(ctx)
	if err != nil {
		return Verification{}, err
	}
	defer unlock()
	v := Verification{Outcome: VerifyExpected}
	if f.h.tick(); f.h.sw != nil && f.h.sw.decision == SwitchGoneBack {
		return Verification{Outcome: VerifyBack}, nil
	}
	switch {
	case (f.is(wantsBoot) || f.is(noReturn)) && f.h.boots == 0, f.job.BootOnce && (f.is(newKernel) || f.is(deadKernel)) && f.h.boots == 0:
		v.Reboot = true
	case f.is(nothingDone):
		v.Outcome = VerifyOld
	case f.is(partial), f.is(powerCutHalf):
		v.Outcome, v.Detail = VerifyPartial, "foo-2 is missing"
	case f.is(goneDone):
		return Verification{}, Disconnected(errors.New("reset"))
	case f.is(erases), f.is(goneErase), f.is(eraseFails), f.is(peerErase), f.is(peerNoErase):
		v.Erase = true
	case f.is(scriptlets):
		v.Flags, v.Detail = []Flag{FlagScriptletErrors}, "failed scriptlets: foo-2 %post"
	case f.is(keepsConfig):
		v.Flags, v.Detail = []Flag{FlagConfigFiles}, "configuration files: /etc/foo.conf.rpmnew"
	}
	return v, nil
}

func (f *fakeWorker) Erase(ctx context.Context) error {
	unlock, err := f.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if f.h.owner == "" {
		f.w.break_("%s: step (c) without the lock", f.job.Host)
	}
	switch {
	case f.is(goneErase):
		return Disconnected(errors.New("reset"))
	case f.is(eraseFails):
		return Failed(ReasonTransaction, "rpm -e failed")
	}
	if f.h.erasedBy != f.job.TxID { // the host's ledger: a step that has run is not run again
		f.h.erased++
		f.h.erasedBy = f.job.TxID
	}
	return nil
}

func (f *fakeWorker) Close() error { f.closed = true; return nil }

// checkInside: a host is asked for its transaction only within its windows; how long the question takes does not matter.
func (w *world) checkInside(host string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.journal.mu.Lock()
	defer w.journal.mu.Unlock()
	if why := w.journal.seen.outside(host); why != "" {
		w.break_("%s: transaction asked for at %s, %s", host, time.Now().UTC(), why)
	}
}
