package fleet

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"cpacman/internal/host"
	"cpacman/internal/rollout"
	"cpacman/internal/store"
)

// Start implements rollout.Transactor. What the host had is recorded before, for whoever verifies, and for a second try over another
// connection, which asks for exactly the same.
func (w *worker) Start(ctx context.Context) error {
	if err := w.recall(ctx); err != nil {
		return err
	}
	if err := w.d.fleet.Store.PutBefore(ctx, w.job.TxID, w.before, w.unmet); err != nil {
		return rollout.Failed(rollout.ReasonInternal, err.Error())
	}
	err := w.startOnce(ctx)
	if errors.Is(err, host.ErrNotLocked) { // this connection has not taken it yet, or it was silent for so long that another has
		if _, err = w.s.Acquire(ctx, w.lockOwner()); err == nil {
			err = w.startOnce(ctx)
		}
	}
	switch {
	case err == nil || errors.Is(err, host.ErrReplay):
		return nil
	case errors.Is(err, host.ErrNoSwitch):
		return rollout.Held(rollout.ReasonNoSwitch, err.Error())
	case errors.Is(err, host.ErrNoBootOnce):
		return rollout.Held(rollout.ReasonNoSwitch, noBootOnce(err))
	}
	return stepError(err, rollout.ReasonTransaction)
}

func (w *worker) startOnce(ctx context.Context) error {
	if w.job.Arm > 0 {
		return w.s.StartArmed(ctx, w.transaction(), host.Switch{Back: w.back, After: w.job.Arm, Boot: bootOnce(w.job)})
	}
	return w.s.Start(ctx, w.transaction())
}

// recall brings back what Preflight of this attempt has read where that was over another connection: from the record of the first start, or,
// where that connection was lost before, from the host, as long as it has what the plan was made for.
func (w *worker) recall(ctx context.Context) error {
	if w.before != nil {
		return nil
	}
	b, err := w.d.fleet.Store.Before(ctx, w.job.TxID)
	if err == nil {
		w.before = &host.Facts{Host: b.Host, MachineID: b.MachineID, Packages: b.Packages, InstalledDigest: b.Digest}
		w.unmet = b.Unmet
		return nil
	}
	if !errors.Is(err, store.ErrNotFound) {
		return rollout.Failed(rollout.ReasonInternal, err.Error())
	}
	p, err := w.s.Preflight(ctx, host.PreflightOptions{Unmet: true})
	if err != nil {
		return stepError(err, rollout.ReasonInternal)
	}
	if entry, _ := w.d.planOf(w.host.Name).Host(w.host.Name); p.Facts.InstalledDigest != entry.InstalledDigest {
		return rollout.Held(rollout.ReasonChanged, "the connection was lost right before its transaction, and the host does not have what the plan was made for: rollout retry reads it again")
	}
	w.remember(p)
	return nil
}

// Poll implements rollout.Transactor.
func (w *worker) Poll(ctx context.Context) (rollout.TxStatus, error) {
	st, err := w.status(ctx)
	if errors.Is(err, host.ErrUnknownTransaction) {
		return rollout.TxStatus{Phase: rollout.TxUnknown}, nil
	}
	if err != nil {
		return rollout.TxStatus{}, stepError(err, rollout.ReasonTransaction)
	}
	out := txStatus(st)
	if out.Phase == rollout.TxMoved {
		out.Detail = w.movedDetail(ctx)
	}
	return out, nil
}

func (w *worker) status(ctx context.Context) (host.Status, error) {
	return w.s.Poll(ctx, w.job.TxID, host.PollOptions{Deadline: w.tx.Deadline})
}

// txStatus puts the host's words into the engine's.
func txStatus(st host.Status) rollout.TxStatus {
	out := rollout.TxStatus{Detail: strings.Join(st.Log, "\n")}
	if st.Mode == "erase" {
		out.Phase = rollout.TxDone // step (c) comes after the transaction proper
		return out
	}
	switch st.Phase {
	case host.Done, host.Verified:
		out.Phase = rollout.TxDone
		// A way back that ended is not begun again: what it came to is compared.
		if text := killedWords(st); text != "" && st.Mode != "back" {
			out.Phase, out.Detail = rollout.TxInterrupted, strings.TrimSpace(text+"\n"+out.Detail)
		}
	case host.Interrupted:
		out.Phase = rollout.TxInterrupted
	case host.Refused:
		out.Phase = rollout.TxRefused
		out.Detail = strings.TrimSpace("refused by the host (" + st.Reason + "): " + st.Detail + "\n" + out.Detail)
		switch st.Reason {
		case host.RefusedChanged:
			out.Phase = rollout.TxMoved
		case host.RefusedLock:
			out.Phase = rollout.TxLocked
			out.Detail = "rpm's lock is held by " + st.LockHolder
		}
	default:
		out.Phase = rollout.TxRunning
		out.Detail = runningDetail(st)
		if st.Phase == host.WaitingLock {
			out.Waits = "nothing is changed yet: the host waits for rpm's lock, held by " + st.LockHolder
		}
	}
	return out
}

// killedWords says that a signal ended a step; "" for none.
func killedWords(st host.Status) string {
	step, signal := st.Killed()
	if step == "" {
		return ""
	}
	return fmt.Sprintf("signal %d ended %s", signal, stepWords[step])
}

// stepWords are the steps of a transaction as a person knows them.
var stepWords = map[string]string{
	"k": "the import of keys", "x": "rpm -e of what leaves first", "u": "rpm -U", "i": "rpm -i", "e": "rpm -e", "r": "the removal of keys", "units": "the start of services",
}

// runningDetail says what a transaction under way is doing; past its deadline with the processes on the host.
func runningDetail(st host.Status) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s", st.Phase)
	switch {
	case st.Phase == host.WaitingLock:
		fmt.Fprintf(&b, ": rpm's lock is held by %s", st.LockHolder)
	case st.Phase == host.Running:
		fmt.Fprintf(&b, ": %.0f %%", st.Percent)
	}
	if st.Overdue {
		b.WriteString("; overdue, left running; processes:")
		for _, p := range st.Tree {
			fmt.Fprintf(&b, "\n  %d %s %s", p.PID, p.State, p.Command)
		}
		for _, l := range st.Log {
			b.WriteString("\n  log: " + l)
		}
	}
	return b.String()
}
