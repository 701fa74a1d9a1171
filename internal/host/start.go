package host

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Start hands the transaction to the host and returns; Poll tells what becomes of it. The host lock must be held (Acquire).
// An id that was used before is ErrReplay, whatever became of it: call Poll then. When the error is one of the connection, the
// transaction may have been accepted: Poll tells that too (ErrUnknownTransaction: it was not, and Start may be called again).
func (s *Session) Start(ctx context.Context, tx Transaction) error {
	return s.start(ctx, tx, "install")
}

// RunErase starts step (c) of a transaction whose other steps are done; Poll tells what becomes of it. It can be started once.
func (s *Session) RunErase(ctx context.Context, tx Transaction) error {
	if len(tx.Erase)+len(tx.Retire) == 0 {
		return fmt.Errorf("host %s: %w: nothing to erase", s.opt.Host, errTransaction)
	}
	return s.start(ctx, tx, "erase")
}

// runnerProgram is what carries a transaction out.
func runnerProgram() string { return program("guard", "steps", "keys", "executor", "runner") }

func (s *Session) start(ctx context.Context, tx Transaction, mode string) error {
	if s.owner == nil {
		return fmt.Errorf("host %s: start transaction %s: %w", s.opt.Host, tx.ID, ErrNotLocked)
	}
	if err := tx.Validate(); err != nil {
		return fmt.Errorf("host %s: %w", s.opt.Host, err)
	}
	drop, digest := "-", "-"
	if mode != "erase" { // whose order the host has
		var err error
		if drop, digest, err = s.sendOrder(ctx, tx); err != nil {
			return err
		}
		defer s.ordersUsed()
	}
	_, err := s.call(ctx, "start transaction "+tx.ID, startPrograms,
		s.sender(), drop, digest, hostID(tx.ID), s.owner.ID, mode, runnerProgram())
	return err
}

// Phase is how far a transaction is.
type Phase string

// The phases. Refused, done, verified and interrupted are final.
const (
	Armed       Phase = "armed"        // the way back of a dead man's switch: nothing was done
	Accepted    Phase = "accepted"     // in the ledger, the runner is starting
	Testing     Phase = "testing"      // comparing the installed set, rpm --test
	WaitingLock Phase = "waiting_lock" // somebody holds rpm's lock
	Running     Phase = "running"      // rpm is at work
	Done        Phase = "done"         // rpm ended; RC has its statuses, which prove nothing: Verify does
	Verified    Phase = "verified"     // Verify found what was expected
	Refused     Phase = "refused"      // nothing was changed; Reason says why
	Interrupted Phase = "interrupted"  // the runner died or the host was rebooted in the middle
)

// Reasons of a refusal.
const (
	RefusedChanged  = "changed"  // the installed set is not the one the plan was made for
	RefusedTest     = "test"     // rpm --test failed under the lock; Log has its words
	RefusedLock     = "lock"     // rpm's lock was held beyond LockWait; LockHolder has who
	RefusedDigest   = "digest"   // a staged package is missing or has other bytes
	RefusedDatabase = "database" // rpm cannot read all of its database, or passes over packages in it
	RefusedMachine  = "machine"  // another machine
	RefusedKey      = "key"      // a signing key of the order could not be imported, or one to retire not be kept
	RefusedKernel   = "kernel"   // step (c) would erase the running kernel
)

// Status of a transaction, as the host tells it.
type Status struct {
	ID         string
	Phase      Phase
	Step       string         // "k", "x", "u", "i", "e", "r" or "units" while running
	Mode       string         // "install", "erase" or "back": which part Phase is about
	RC         map[string]int // exit status of each step that ended
	Reason     string         // of a refusal: one of the constants above, or "rpm"
	Detail     string         // the rest of the refusal's text
	PID        int            // of the runner
	BootID     string         // the boot in which it ran
	Began      time.Time      // first rpm call, by the host's clock; zero before
	Changed    time.Time      // when Phase was set, by the host's clock
	HostNow    time.Time
	Kernel     KernelTrial // of a new kernel that is booted once
	Before     string      // InstalledDigest of the set that the transaction was to begin from; "" when its order did not say
	Percent    float64     // of packages done, while running
	LockHolder string      // "PID COMMAND" while waiting and when refused for it
	RunnerLost bool        // the runner is gone but its rpm still works: Phase is Running
	Overdue    bool        // beyond Deadline and not final
	Tree       []Process
	Log        []string // last lines of what rpm said, bounded
}

// KernelTrial is what became of a new kernel that was to be booted once and no more before it is confirmed.
type KernelTrial struct {
	Due    bool   // it is what the host boots next, and the host has not booted since
	Tried  bool   // the host has booted since
	Failed string // why it could not be set up so; the host boots what it booted before
	Not    string // why it was left to the packages which kernel is booted, where that was allowed
}

// Killed gives the step whose program a signal ended, as where memory was short, and the signal; "" for none. The program was cut then, although its
// runner lived on and calls it done. A shell says 128 more than the signal; dnf has 200 of its own, for its lock.
func (s Status) Killed() (step string, signal int) {
	for _, step := range slices.Sorted(maps.Keys(s.RC)) {
		if n := s.RC[step] - 128; n > 0 && n <= 64 {
			return step, n
		}
	}
	return "", 0
}

// Final tells whether the host will change nothing more by itself.
func (s Status) Final() bool {
	switch s.Phase {
	case Refused, Done, Verified, Interrupted:
		return true
	}
	return false
}

// Process is one of the transaction's processes.
type Process struct {
	PID, Parent int
	State       string
	Command     string
}

// PollOptions of Poll.
type PollOptions struct {
	Deadline time.Duration // after the first rpm call: then Overdue is set and Tree is filled; 0: never
	Tree     bool          // fill Tree in any case
}

// Poll asks how a transaction stands. ErrUnknownTransaction: the host never accepted it. Nothing is ever killed.
func (s *Session) Poll(ctx context.Context, id string, opt PollOptions) (Status, error) {
	st, err := s.poll(ctx, id, opt.Tree)
	if err != nil || st.Final() || opt.Deadline <= 0 || st.Began.IsZero() || st.HostNow.Sub(st.Began) < opt.Deadline {
		return st, err
	}
	if !opt.Tree {
		if again, err := s.poll(ctx, id, true); err == nil {
			st = again
		}
	}
	st.Overdue = !st.Final()
	return st, nil
}

func (s *Session) poll(ctx context.Context, id string, tree bool) (Status, error) {
	if !words(id, "._-/:") {
		return Status{}, fmt.Errorf("host %s: %w: id %q", s.opt.Host, errTransaction, id)
	}
	args := []string{hostID(id)}
	if tree {
		args = append(args, "tree")
	}
	a, err := s.call(ctx, "poll transaction "+id, []string{"poll"}, args...)
	if err != nil {
		return Status{}, err
	}
	return readStatus(id, a), nil
}

// readStatus makes a Status of the answer. An unfinished phase whose runner is not alive in this boot is Interrupted.
func readStatus(id string, a *answer) Status {
	f := map[string]string{}
	for _, l := range a.all("s") {
		k, v, _ := strings.Cut(l, " ")
		f[k] = bounded(v, 1000)
	}
	st := Status{ID: id, Phase: Phase(f["phase"]), Mode: f["mode"], BootID: f["boot"], RC: map[string]int{}, Began: hostTime(f["began"]),
		Changed: hostTime(f["time"]), HostNow: hostTime(a.get("now"))}
	st.PID, _ = strconv.Atoi(f["pid"])
	for _, l := range a.all("rc") {
		k, v, _ := strings.Cut(l, " ")
		if n, err := strconv.Atoi(v); err == nil {
			st.RC[k] = n
		}
	}
	st.readDetail(f["detail"])
	st.Kernel = readTrial(a.get("once"), a.get("boot"))
	if st.Phase == Armed {
		return st
	}
	if !slices.Contains([]Phase{Accepted, Testing, WaitingLock, Running, Refused, Done, Verified}, st.Phase) {
		st.Phase = Interrupted // a state file cut by a full disk says nothing better
	}
	if !st.Final() {
		switch a.get("alive") {
		case "runner", "starting":
		case "rpm":
			st.RunnerLost = true
		default:
			st.Phase = Interrupted
		}
	}
	if w := strings.Fields(a.get("expect")); len(w) == 2 && isDigest(w[1]) {
		st.Before = w[1]
	}
	n, _ := strconv.ParseFloat(a.get("ended"), 64)
	if total, err := strconv.ParseFloat(a.get("elements"), 64); err == nil && total > 0 {
		st.Percent = min(100, 100*n/total)
	}
	for _, l := range a.all("log") {
		st.Log = append(st.Log, bounded(l, 2000))
	}
	st.Tree = readTree(a)
	return st
}

// readTrial reads "WORD BOOT TEXT".
func readTrial(line, boot string) KernelTrial {
	word, rest, _ := strings.Cut(line, " ")
	at, text, _ := strings.Cut(rest, " ")
	switch text = bounded(text, 500); word {
	case "set":
		return KernelTrial{Due: at == boot, Tried: at != boot}
	case "failed":
		return KernelTrial{Failed: text}
	case "not":
		return KernelTrial{Not: text}
	}
	return KernelTrial{}
}

func (s *Status) readDetail(d string) {
	switch s.Phase {
	case Running:
		s.Step = d
	case WaitingLock:
		s.LockHolder = strings.TrimSpace(d)
	case Refused:
		s.Reason, s.Detail, _ = strings.Cut(d, " ")
		if s.Reason == RefusedLock {
			s.LockHolder = strings.TrimSpace(s.Detail)
		}
	}
}

// readTree reads "PID PPID STATE NAME<tab>COMMAND" lines.
func readTree(a *answer) []Process {
	var out []Process
	for _, l := range a.all("proc") {
		head, cmd, _ := strings.Cut(l, "\t")
		w := strings.SplitN(head, " ", 4)
		if len(w) < 4 || len(out) >= 1000 {
			continue
		}
		var p Process
		p.PID, _ = strconv.Atoi(w[0])
		p.Parent, _ = strconv.Atoi(w[1])
		p.State, p.Command = w[2], strings.TrimSpace(cmd)
		if p.Command == "" {
			p.Command = strings.TrimSpace(w[3])
		}
		out = append(out, p)
	}
	return out
}
