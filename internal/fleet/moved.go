package fleet

import (
	"context"
	"strings"
	"time"

	"cpacman/internal/host"
	"cpacman/internal/rollout"
)

// Moved implements rollout.Preparer: by the fingerprint of the database of packages where that proves anything, else by its list.
func (w *worker) Moved(ctx context.Context) (bool, error) {
	if w.before == nil {
		return true, nil
	}
	same, err := w.s.Same(ctx, w.before)
	if err != nil {
		return false, heldWhenFailed(stepError(err, rollout.ReasonInternal))
	}
	return !same, nil
}

// changedBy names the last transaction of another rollout on the host since the plan was made, and who was waited for at its lock; "" when
// there is none. It explains and decides nothing, so that the host's clock may be wrong and its ledger unreadable.
func (w *worker) changedBy(ctx context.Context) string {
	entries, err := w.s.Ledger(ctx)
	if err != nil {
		w.d.fleet.log.Debug("the ledger could not be read", "host", w.host.Name, "error", err)
		return ""
	}
	e, ok := lastOther(entries, w.job.Rollout, w.host.Name, w.d.planOf(w.host.Name).CreatedAt)
	if !ok {
		return ""
	}
	text := entryWords(e, w.host.Name)
	if w.awaited != nil && host.LedgerID(w.awaited.Rollout) == entryRollout(e, w.host.Name) {
		text += " by " + w.awaited.User + "@" + w.awaited.Control
	}
	return text
}

// movedDetail says what changed a host that refused its transaction because it had changed.
func (w *worker) movedDetail(ctx context.Context) string {
	if by := w.changedBy(ctx); by != "" {
		return "by " + by
	}
	return "no transaction of cpacman in its ledger tells by what"
}

// changes tells whether a transaction in a ledger has changed its host, as far as its phase says: one that was cut may have.
func changes(e host.LedgerEntry) bool {
	switch e.Phase {
	case host.Done, host.Verified, host.Interrupted, host.Running:
		return true
	}
	return false
}

// lastOther picks the last transaction from a time on that changed the host and is not of one rollout on it. Times are the host's.
func lastOther(entries []host.LedgerEntry, id, name string, since time.Time) (last host.LedgerEntry, ok bool) {
	own := host.LedgerID(id + "/" + name + "/")
	for _, e := range entries {
		if !changes(e) || strings.HasPrefix(e.ID, own) || e.Changed.Before(since) || ok && e.Changed.Before(last.Changed) {
			continue
		}
		last, ok = e, true
	}
	return last, ok
}

// entryRollout is the rollout of a transaction, in the ledger's spelling; "" where the host has another name in that rollout.
func entryRollout(e host.LedgerEntry, name string) string {
	if i := strings.LastIndex(e.ID, host.LedgerID("/"+name+"/")); i > 0 {
		return e.ID[:i]
	}
	return ""
}

// entryWords names a transaction in a ledger to people.
func entryWords(e host.LedgerEntry, name string) string {
	text := "transaction " + e.ID
	if r := entryRollout(e, name); r != "" {
		text += " of rollout " + r
	}
	return text
}
