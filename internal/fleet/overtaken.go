package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"cpacman/internal/host"
	"cpacman/internal/rollout"
	"cpacman/internal/rpm"
	"cpacman/internal/store"
)

// overtaken refuses a way back, with the lock held and before it begins, where it could undo what came to the host after the transaction that
// it belongs to: the fix of an emergency, or what a person has put there. What the host is to have then, a person decides. A way
// back that the host has begun, or that its switch has decided on, is gone to its end.
func (w *worker) overtaken(ctx context.Context) error {
	st, err := w.s.Poll(ctx, host.BackID(w.job.TxID), host.PollOptions{})
	switch {
	case err == nil && st.Phase != host.Armed:
		return nil
	case err != nil && !errors.Is(err, host.ErrUnknownTransaction):
		return stepError(err, rollout.ReasonRollback)
	}
	entries, err := w.s.Ledger(ctx)
	if err != nil {
		return stepError(err, rollout.ReasonRollback)
	}
	var why []string
	if e, ok := lastOther(entries, w.job.Rollout, w.host.Name, ended(entries, w.job.TxID)); ok {
		why = append(why, entryWords(e, w.host.Name)+" changed the host after this one")
	}
	found, err := w.strangers(ctx)
	if err != nil {
		return err
	}
	if len(found) > 0 {
		why = append(why, nameNEVRAs(found)+" is neither what this rollout brought nor what was there before")
	}
	if len(why) == 0 {
		return nil
	}
	return rollout.Failed(rollout.ReasonRollback, "not tried, so that nothing else is undone: "+strings.Join(why, "; ")+"; a person has to decide what the host is to have")
}

// ended is when a transaction in a ledger ended, by the host's clock; the zero time when it is not there.
func ended(entries []host.LedgerEntry, id string) time.Time {
	for _, e := range entries {
		if e.ID == host.LedgerID(id) {
			return e.Changed
		}
	}
	return time.Time{}
}

// strangers lists packages on the host that the way back would replace although neither the transaction brought them nor were they there
// before it. It needs no clock. Without a record of what was there before, none are known.
func (w *worker) strangers(ctx context.Context) ([]rpm.NEVRA, error) {
	before, err := w.d.fleet.Store.Before(ctx, w.job.TxID)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, rollout.Failed(rollout.ReasonInternal, err.Error())
	}
	now, err := w.s.List(ctx)
	if err != nil {
		return nil, stepError(err, rollout.ReasonRollback)
	}
	return strangers(now.Packages, before.Packages, w.tx, w.back), nil
}

func strangers(now, before []host.Package, tx, back host.Transaction) []rpm.NEVRA {
	known, touched := map[rpm.NEVRA]bool{}, map[rpm.NameArch]bool{}
	for _, p := range before {
		known[p.NEVRA()] = true
	}
	for _, f := range backFiles(tx) {
		known[f.NEVRA] = true
	}
	for _, f := range slices.Concat(tx.Upgrade, back.Upgrade) {
		touched[f.NEVRA.NameArch()] = true
	}
	var out []rpm.NEVRA
	for _, p := range now {
		if n := p.NEVRA(); touched[n.NameArch()] && !known[n] {
			out = append(out, n)
		}
	}
	return out
}

// nameNEVRAs joins the first few of a list.
func nameNEVRAs(list []rpm.NEVRA) string {
	const shown = 5
	words := make([]string, 0, shown)
	for _, n := range list[:min(len(list), shown)] {
		words = append(words, n.String())
	}
	text := strings.Join(words, ", ")
	if more := len(list) - shown; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
