package fleet

import (
	"context"
	"errors"
	"strings"

	"cpacman/internal/host"
	"cpacman/internal/rollout"
	"cpacman/internal/store"
)

// Known implements rollout.Transactor: the host's ledger is read in one round trip, however many attempts there were.
func (w *worker) Known(ctx context.Context) ([]int, error) {
	entries, err := w.s.Ledger(ctx)
	if err != nil {
		return nil, stepError(err, rollout.ReasonTransaction)
	}
	return attempts(entries, w.job.Rollout, w.job.Host), nil
}

// attempts picks those of one host of one rollout out of a ledger. The host spells ids as names of directories.
func attempts(entries []host.LedgerEntry, id, name string) []int {
	var out []int
	head := host.LedgerID(id + "/" + name + "/")
	for _, e := range entries {
		digits, ok := strings.CutPrefix(e.ID, head)
		if !ok {
			continue
		}
		if n, ok := rollout.AttemptOf(id+"/"+name+"/"+digits, id, name); ok {
			out = append(out, n)
		}
	}
	return out
}

// beforeTx is what the host had before its transaction. Where the record is lost with the journal (OPS-1), the order in the host's
// ledger says from which installed set the transaction was to begin, and the host had refused any other; its packages are in the
// store when facts of it were. recorded is false then: which dependencies were unmet is not known.
func (w *worker) beforeTx(ctx context.Context, st host.Status) (b store.Before, recorded bool, err error) {
	b, err = w.d.fleet.Store.Before(ctx, w.job.TxID)
	if err == nil {
		return b, true, nil
	}
	if !errors.Is(err, store.ErrNotFound) {
		return b, false, rollout.Failed(rollout.ReasonInternal, err.Error())
	}
	lost := "the record of what the host had before is not in the state database"
	if st.Before == "" {
		return b, false, rollout.Failed(rollout.ReasonForgotten, lost)
	}
	b.Digest = st.Before
	b.Packages, err = w.d.fleet.Store.Installed(ctx, st.Before)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return b, false, rollout.Failed(rollout.ReasonForgotten, lost+", nor is the installed set that its order names")
	case err != nil:
		return b, false, rollout.Failed(rollout.ReasonInternal, err.Error())
	}
	return b, false, nil
}
