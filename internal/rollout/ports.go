package rollout

import (
	"context"
	"time"
)

// Fleet opens workers.
//
// Both methods are called from many goroutines at once, at most Limits.Connections of them at a time. They return when ctx
// ends. The implementation retries what its transport calls retryable (a dropped handshake) before it answers; the engine
// retries hosts, not handshakes. Errors are *Error: KindUnreachable for no connection, KindHeld for a host that answers and
// must not be touched (host key, identity refused); any other error counts as unreachable.
type Fleet interface {
	// Open dials the host of a job. The worker belongs to one goroutine.
	Open(ctx context.Context, job Job) (Worker, error)
	// Reach tells whether a connection can be made, as cheaply as can be: for the quorum.
	Reach(ctx context.Context, host string) error
}

// Job is what a worker is for.
type Job struct {
	Rollout string // also the owner of the lock on the host, together with the host's name
	PlanID  string
	Host    string
	Attempt int
	TxID    string // of this attempt
	// Arm is the time of the dead man's switch that Start arms with the transaction; 0: none.
	Arm time.Duration
	// BootOnce makes Start set up a new kernel so that it is booted once, and Confirm make it the default; with BootAnyway a host that
	// cannot do that boots what the packages have made the default.
	BootOnce, BootAnyway bool
	// NoRestart are globs of the units that Restart leaves alone.
	NoRestart []string
}

// Worker is one connection to one host for one attempt. It is used by one goroutine at a time and may be replaced by a new
// worker of the same job after the connection was lost: nothing that must survive may live in it.
//
// Every method returns when ctx ends. Errors are *Error; an error of another type means a failure before the start of the
// transaction and "not known, ask again" after it.
type Worker interface {
	Preparer
	Locker
	Transactor
	Reverter
	Rebooter
	Restarter
	Servicer
	// Close ends the connection. What runs on the host goes on. It may be called twice.
	Close() error
}

// Preparer is what happens before the transaction. None of it changes what is installed. All of it may be repeated.
type Preparer interface {
	// Preflight reads the host. KindHeld is final for the attempt.
	Preflight(ctx context.Context) (Preflight, error)
	// Stage sends what is missing and proves all of it on the host; progress is called with bytes, in the calling goroutine
	// or another, never after Stage has returned.
	Stage(ctx context.Context, progress func(done, total int64)) error
	// Test runs rpm's own test on the host. KindMoved: the host has other packages than Preflight read.
	Test(ctx context.Context) error
	// Moved tells whether the host has other packages than Preflight read over this connection, as cheaply as can be: true may also mean
	// that it cannot tell. It is asked with the lock held, and after a test that failed. The host itself compares once more before its transaction (TxMoved).
	Moved(ctx context.Context) (bool, error)
	// Discard removes what Stage sent for this rollout.
	Discard(ctx context.Context) error
}

// Locker is the host's lock of ours (PUSH-5). Its owner is the rollout and the host, not the connection: it outlives a lost
// connection, and taking it again by the same owner succeeds at once.
type Locker interface {
	// Lock waits up to wait; KindLocked names the holder.
	Lock(ctx context.Context, wait time.Duration) error
	// Unlock gives it back; not holding it is no error.
	Unlock(ctx context.Context) error
}

// Transactor is the transaction. The id is Job.TxID.
type Transactor interface {
	// Start asks the host to run the transaction, detached, and returns when the host has written that it knows the id. The
	// host refuses to run an id twice: Start of a known id does nothing and succeeds. The engine has journalled the id
	// before it calls, and calls again only after Poll said TxUnknown, perhaps over another connection. After any error the engine polls.
	Start(ctx context.Context) error
	// Poll asks the host over this connection what became of the id. It may be called at any time, by any number of engines.
	Poll(ctx context.Context) (TxStatus, error)
	// Known asks the host which attempts of this rollout its ledger has for it, whatever Job.Attempt is, in any order.
	Known(ctx context.Context) ([]int, error)
	// Verify compares the installed set with the expected one, before or after step (c). It may be repeated.
	Verify(ctx context.Context) (Verification, error)
	// Erase runs step (c) and returns when it ended: removals by keep-N and remove policies, if the set has any. It does
	// nothing the second time. KindFailed: not all of it was done. KindLocked: somebody else has the host.
	Erase(ctx context.Context) error
}

// Reverter takes a host back to the packages it had before Job.TxID (ROLL-7, ROLL-8). The way back has an id of its own on the host,
// and may begin anywhere: what is there already is not done again.
type Reverter interface {
	// Confirm tells the host, over this connection, that it can be reached and is to stay as it is. GoneBack: its switch decided
	// otherwise before, or the host does not run the new kernel that it has booted once. The host's word is final: it is never inferred.
	Confirm(ctx context.Context) (Confirmation, error)
	// StartBack sends what is missing and asks the host to go back, detached; the host's own switch may have begun it. It may be
	// repeated: one that has begun is left alone. KindLocked: it has not begun, and somebody else has the host. KindFailed: it cannot go
	// back, or another transaction has changed it since, which the way back could undo.
	StartBack(ctx context.Context) error
	// PollBack asks what became of the way back.
	PollBack(ctx context.Context) (TxStatus, error)
	// VerifyBack compares the installed set with the one before the transaction: VerifyExpected when it is that.
	VerifyBack(ctx context.Context) (Verification, error)
}

// Confirmation is the answer to Confirm.
type Confirmation struct {
	Verdict SwitchVerdict
	Why     string // the host's own reason to go back; "" when it was not confirmed in time
}

// SwitchVerdict is what a host's dead man's switch came to.
type SwitchVerdict string

// The verdicts of a switch.
const (
	SwitchNone      SwitchVerdict = "none" // none was armed
	SwitchConfirmed SwitchVerdict = "confirmed"
	SwitchGoneBack  SwitchVerdict = "back"
)

// Rebooter boots a host, with proof.
type Rebooter interface {
	// Boot names the boot the host is in: its boot id, or the time of its boot where it has none.
	Boot(ctx context.Context) (string, error)
	// Reboot asks the host to boot, unless it is in another boot than the given one by now. The connection may break in it.
	Reboot(ctx context.Context, from string) error
}

// Restarter restarts services that still run what the transaction replaced (ROLL-9).
type Restarter interface {
	// Restart looks for processes that run files which are gone, restarts the services they belong to where that may be done, and
	// returns when that has ended. It may be repeated: what runs new files is left alone. KindFailed: it could not be done.
	Restart(ctx context.Context) (Restarted, error)
}

// Restarted is what came of it. All names are of units.
type Restarted struct {
	Done   []string // restarted
	Failed []string // did not come back
	Reboot []string // run files that are gone, and only a reboot helps
	Kept   []string // run files that are gone and are not to be restarted: the site says so, or people are logged in there
	Detail string   // for people: what else is to be known, as that there is no systemd
	Due    bool     // something runs files that are gone and no reboot is needed for it
}

// Hooks runs the programs of operators before and after steps (ROLL-9). An error means that the hook failed or could not be run.
//
// Called from many goroutines. A run may be repeated with the same id after the engine died in it.
type Hooks interface {
	RunHook(ctx context.Context, run HookRun) error
}

// HookRun is one run of one hook.
type HookRun struct {
	Hook    HookPlan
	ID      string // the same again when it is run again
	Rollout string
	Host    string // "" for hooks of waves, levels and the rollout
	Class   string
	Level   string
	Wave    int   // from 1
	State   State // of the host, or "" ; after-hooks learn how it ended
	Flags   []Flag
}

// Preflight is what a host answered before anything is sent.
type Preflight struct {
	MachineID       string
	InstalledDigest string
	Refusals        []Reason // key missing, no space, unfinished transaction, shutdown due: any holds the host
	Flags           []Flag
	// Busy: all that Refusals say is that another transaction is under way, which ends by itself. An emergency waits for it.
	Busy  bool
	Facts any // opaque to the engine, handed to Rechecker
	// ChangedBy names for people which transaction of another rollout has changed the host since the plan, where the host or the wait for
	// its lock tells; "" otherwise. It explains and decides nothing.
	ChangedBy string

	Boot      string // the boot the host is in, as Rebooter.Boot names it
	RebootDue string // why the host says that it is to be booted; "" when it does not
}

// TxPhase is what a host says of a transaction id.
type TxPhase string

// The phases of a transaction on the host.
const (
	TxUnknown     TxPhase = "unknown"     // the host has never heard of the id
	TxRunning     TxPhase = "running"     // accepted or at work: its process lives
	TxDone        TxPhase = "done"        // ended by itself; what it did is for Verify to say
	TxRefused     TxPhase = "refused"     // the test under the lock failed; nothing was changed
	TxMoved       TxPhase = "moved"       // the host had other packages than the attempt had read; nothing was changed
	TxLocked      TxPhase = "locked"      // the rpm lock stayed with somebody else; nothing was changed
	TxInterrupted TxPhase = "interrupted" // its process is gone, or the host has booted since, and it had not ended
)

// TxStatus is the answer to Poll.
type TxStatus struct {
	Phase  TxPhase
	Detail string // for people: log tail, holder of a lock; bounded by MaxText
	Waits  string // for people: what a running transaction waits for before it changes anything; "" when it does not wait
}

// VerifyOutcome compares installed sets.
type VerifyOutcome string

// The outcomes.
const (
	VerifyExpected VerifyOutcome = "expected"
	VerifyOld      VerifyOutcome = "old"     // nothing was changed
	VerifyPartial  VerifyOutcome = "partial" // neither
	VerifyBack     VerifyOutcome = "back"    // the host's dead man's switch has decided to go back: nothing else counts
)

// Verification is the answer to Verify.
type Verification struct {
	Outcome VerifyOutcome
	Flags   []Flag
	Detail  string
	Erase   bool // step (c) has something to do
	Reboot  bool // what was updated becomes effective only after a boot
}

// Rechecker computes the set of a host that changed since the plan, from the plan's own snapshots (PLAN-10).
//
// Called from many goroutines. No retry: an error holds the host.
type Rechecker interface {
	Recheck(ctx context.Context, host string, facts any) (RecheckResult, error)
}

// RecheckVerdict compares the recomputed set with the plan's.
type RecheckVerdict string

// The verdicts.
const (
	RecheckSame    RecheckVerdict = "same"
	RecheckNothing RecheckVerdict = "nothing" // the recomputed set is empty: what the plan wants is there
	RecheckChanged RecheckVerdict = "changed"
)

// RecheckResult is a verdict with its explanation.
type RecheckResult struct {
	Verdict RecheckVerdict
	Detail  string
}

// Health runs checks once each. Interval, passes, deadline, baseline and soak are the engine's.
//
// Called from many goroutines, at most Limits.Connections at a time. It returns one result for each name, in order; a check
// that could not be run is Unknown with the cause as output, never an error. Every run makes a fresh connection where it
// needs one. baseline holds earlier results of the same checks, of which only Evidence is of use; it is nil when the baseline
// itself is being taken, and empty but not nil when there is none.
type Health interface {
	RunChecks(ctx context.Context, host string, checks []string, baseline []CheckResult) []CheckResult
}

// Availability tells of members of a cluster that this rollout is not working on: pending ones, those that are done, and
// hosts that are not part of it (INV-5).
//
// Called from many goroutines, while the lock of another member is held. Not reachable, red, drained, in maintenance, or
// locked by another cpacman are all unavailable: why is not empty. An error counts as unavailable too: unknown is not green.
// Because each engine locks its own host first and asks then, two engines cannot both find the other's host free.
type Availability interface {
	Unavailable(ctx context.Context, host string) (why string, err error)
}

// Journal is the durable record. Every method returns after its write is on disk, or returns an error and has written
// nothing. Any error from Append stops the engine at once: nothing takes effect that is not recorded.
//
// The engine calls it from one goroutine at a time. It does not retry.
type Journal interface {
	// Create records a new rollout. A plan starts once: unless again, *PlanStartedError when a rollout of the plan that was
	// no dry run exists.
	Create(ctx context.Context, s Snapshot, again bool) error
	// Append writes one change. epoch is that of the lease; ErrLeaseLost when it is no longer the current one.
	Append(ctx context.Context, rollout string, epoch int64, c Change) error
	// Load reads a rollout; ErrNotFound.
	Load(ctx context.Context, rollout string) (Snapshot, error)
}

// Commands is how operators at other terminals reach the engine. The engine asks about once in Settings.CommandPoll; that a
// command was taken is recorded in Rollout.CommandSeq in the same write as its effect.
type Commands interface {
	// Pending lists the commands after a sequence number, in order, at most 1000 of them.
	Pending(ctx context.Context, rollout string, after int64) ([]Command, error)
}

// Leases let one engine at a time work on a rollout.
//
// A lease is stale when its owner ran on this boot of this machine and its process is gone, or when it was not renewed for
// LeaseTTL. Each Acquire gives a larger epoch, so that a late writer is refused by Append.
type Leases interface {
	// Acquire takes the lease, or *LeaseHeldError with its owner.
	Acquire(ctx context.Context, rollout string, owner Owner) (epoch int64, err error)
	// Renew is the heartbeat; ErrLeaseLost when another has taken over. Other errors are tried again until LeaseTTL is over.
	Renew(ctx context.Context, rollout string, epoch int64) error
	// Release gives it back; a lost lease is no error.
	Release(ctx context.Context, rollout string, epoch int64) error
}

// LeaseTTL is how long a lease lives without a heartbeat; heartbeats come every third of it.
const LeaseTTL = 60 * time.Second

// Observer sees events as they happen, after they are in the journal, in their order, one at a time. It is called with the
// engine's lock held: it must return at once and must not call the engine.
type Observer interface {
	Observe(Event)
}

// Clock is time. SystemClock is the real one.
type Clock interface {
	// Now is when it is, on a clock that can be set: for records, windows and the end of a plan.
	Now() time.Time
	// Steady goes on evenly whatever the clock is set to: for how long something lasts. It is compared only with itself, in one
	// process.
	Steady() time.Time
	// After delivers the time once, after d; a channel nobody reads any more costs nothing.
	After(d time.Duration) <-chan time.Time
}

// SystemClock is package time: real time, or virtual time inside a testing/synctest bubble.
type SystemClock struct{}

// Now is time.Now in UTC.
func (SystemClock) Now() time.Time { return time.Now().UTC() } // UTC drops the monotonic reading

// Steady is time.Now with its monotonic reading, which comparisons between two of these go by.
func (SystemClock) Steady() time.Time { return time.Now() }

// After is time.After.
func (SystemClock) After(d time.Duration) <-chan time.Time { return time.After(d) }
