package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"cpacman/internal/host"
	"cpacman/internal/rollout"
	"cpacman/internal/rpm"
	"cpacman/internal/store"
	"cpacman/inventory"
	"cpacman/planner"
)

// backOrder turns the way back of a host into the order that the host gets. False: the plan has none.
func (d *Deployment) backOrder(h *inventory.Host, tx host.Transaction) (host.Transaction, bool) {
	plan := d.planOf(h.Name)
	entry, _ := plan.Host(h.Name)
	set, ok := plan.Rollback(entry)
	if !ok {
		return host.Transaction{}, false
	}
	back := host.Transaction{ID: host.BackID(tx.ID), MachineID: tx.MachineID, VerifyLevel: tx.VerifyLevel, LockWait: tx.LockWait,
		Deadline: tx.Deadline, OldPackage: true, UndoKeys: !entry.Keys.Empty()}
	d.addFiles(&back, set, plan.RollbackPackagesFor(set))
	for _, r := range set.Remove {
		switch r.Rule {
		case planner.RuleTargetFirst:
			back.First = append(back.First, r.NEVRA)
		case planner.RuleObsoleted:
		default:
			back.Erase = append(back.Erase, r.NEVRA)
		}
	}
	return back, true
}

// backFiles are the packages that a way back needs.
func backFiles(back host.Transaction) []host.File {
	return append(slices.Clone(back.Upgrade), back.InstallOnly...)
}

// Confirm implements rollout.Reverter.
func (w *worker) Confirm(ctx context.Context) (rollout.Confirmation, error) {
	d, why, err := w.s.Confirm(ctx, host.BackID(w.job.TxID))
	if err != nil {
		return rollout.Confirmation{}, stepError(err, rollout.ReasonTransaction)
	}
	switch d {
	case host.Confirmed:
		return rollout.Confirmation{Verdict: rollout.SwitchConfirmed}, nil
	case host.GoesBack:
		return rollout.Confirmation{Verdict: rollout.SwitchGoneBack, Why: clean(why)}, nil
	}
	return rollout.Confirmation{Verdict: rollout.SwitchNone}, nil
}

// StartBack implements rollout.Reverter.
func (w *worker) StartBack(ctx context.Context) error {
	if !w.hasBack {
		return rollout.Failed(rollout.ReasonRollback, "the plan has no way back for this host")
	}
	for _, f := range backFiles(w.back) {
		if f.SHA256 == "" {
			return rollout.Failed(rollout.ReasonRollback, fmt.Sprintf("package %s to go back to could not be proven on the control host", f.NEVRA))
		}
	}
	// What has begun by itself needs no lock, which others may have by now.
	if st, err := w.s.Poll(ctx, host.BackID(w.job.TxID), host.PollOptions{}); err == nil && st.Phase != host.Armed && st.Phase != host.Interrupted {
		return nil
	}
	if _, err := w.s.Acquire(ctx, w.lockOwner()); err != nil {
		return stepError(err, rollout.ReasonLocked)
	}
	if _, err := w.s.Stage(ctx, backFiles(w.back), nil); err != nil {
		if errors.Is(err, host.ErrNoSpace) { // it answers: to ask again makes no room
			return rollout.Failed(rollout.ReasonSpace, err.Error())
		}
		return stepError(err, rollout.ReasonStage)
	}
	if err := w.overtaken(ctx); err != nil {
		return err
	}
	if err := w.s.StartBack(ctx, w.back); err != nil && !errors.Is(err, host.ErrReplay) {
		return stepError(err, rollout.ReasonRollback)
	}
	return nil
}

// PollBack implements rollout.Reverter.
func (w *worker) PollBack(ctx context.Context) (rollout.TxStatus, error) {
	st, err := w.s.Poll(ctx, host.BackID(w.job.TxID), host.PollOptions{Deadline: w.tx.Deadline})
	if errors.Is(err, host.ErrUnknownTransaction) {
		return rollout.TxStatus{Phase: rollout.TxUnknown}, nil
	}
	if err != nil {
		return rollout.TxStatus{}, stepError(err, rollout.ReasonTransaction)
	}
	return txStatus(st), nil
}

// VerifyBack implements rollout.Reverter. What step (c) erased before does not come back.
func (w *worker) VerifyBack(ctx context.Context) (rollout.Verification, error) {
	before, err := w.d.fleet.Store.Before(ctx, w.job.TxID)
	if errors.Is(err, store.ErrNotFound) {
		return rollout.Verification{}, rollout.Failed(rollout.ReasonForgotten, "the record of what the host had before is not in the state database")
	}
	if err != nil {
		return rollout.Verification{}, rollout.Failed(rollout.ReasonInternal, err.Error())
	}
	back := host.Transaction{ID: host.BackID(w.job.TxID)}
	v, err := w.s.Verify(ctx, back, &host.Facts{Host: w.host.Name, Packages: before.Packages, InstalledDigest: before.Digest}, before.Unmet, false)
	if err != nil {
		return rollout.Verification{}, stepError(err, rollout.ReasonTransaction)
	}
	if err := w.d.fleet.Store.PutAfter(ctx, back.ID, w.job.TxID, v.After); err != nil {
		return rollout.Verification{}, rollout.Failed(rollout.ReasonInternal, err.Error())
	}
	v.Missing = slices.DeleteFunc(v.Missing, func(n rpm.NEVRA) bool { return slices.Contains(w.tx.Erase, n) })
	out := rollout.Verification{Outcome: rollout.VerifyPartial, Detail: verifyDetail(v, host.Status{})}
	if len(v.Missing)+len(v.Unexpected)+len(v.NewUnmet) == 0 {
		out.Outcome = rollout.VerifyExpected
	}
	return out, nil
}

// decided tells whether the host's switch has decided to go back.
func (w *worker) decided(ctx context.Context) (bool, error) {
	if w.job.Arm <= 0 {
		return false, nil
	}
	st, err := w.s.Poll(ctx, host.BackID(w.job.TxID), host.PollOptions{})
	if errors.Is(err, host.ErrUnknownTransaction) {
		return false, nil
	}
	if err != nil {
		return false, stepError(err, rollout.ReasonTransaction)
	}
	return st.Phase != host.Armed, nil
}

// Boot implements rollout.Rebooter.
func (w *worker) Boot(ctx context.Context) (string, error) {
	b, err := w.s.Boot(ctx)
	if err != nil {
		return "", stepError(err, rollout.ReasonReboot)
	}
	return b, nil
}

// Reboot implements rollout.Rebooter.
func (w *worker) Reboot(ctx context.Context, from string) error {
	if err := w.s.Reboot(ctx, from); err != nil {
		return stepError(err, rollout.ReasonReboot)
	}
	return nil
}

// rebootDue tells whether what a transaction brought becomes effective only after a boot.
func rebootDue(v host.Verification, tx host.Transaction) (bool, string) {
	if v.After.Reboot == nil {
		return false, ""
	}
	for _, reason := range v.After.Reboot.Reasons {
		for _, f := range backFiles(tx) {
			if strings.Contains(reason, f.NEVRA.String()) {
				return true, reason
			}
		}
	}
	return false, ""
}
