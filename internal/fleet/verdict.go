package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"cpacman/internal/host"
	"cpacman/internal/rollout"
)

// Verify implements rollout.Transactor.
func (w *worker) Verify(ctx context.Context) (rollout.Verification, error) {
	st, err := w.status(ctx)
	if err != nil {
		return rollout.Verification{}, stepError(err, rollout.ReasonTransaction)
	}
	if back, err := w.decided(ctx); err != nil || back {
		return rollout.Verification{Outcome: rollout.VerifyBack}, err
	}
	erased := st.Mode == "erase" && (st.Phase == host.Done || st.Phase == host.Verified)
	v, err := w.verify(ctx, st, erased)
	if err != nil {
		return rollout.Verification{}, err
	}
	out := verification(v, st, len(w.tx.Erase)+len(w.tx.Retire) > 0 && !erased)
	if faults := keyFaults(v.After.Keys, w.keyLines, erased); len(faults) > 0 {
		if out.Outcome == rollout.VerifyExpected {
			out.Outcome = rollout.VerifyPartial
			if v.Unchanged {
				out.Outcome = rollout.VerifyOld
			}
		}
		out.Detail = strings.TrimPrefix(out.Detail+"; "+strings.Join(faults, "; "), "; ")
	}
	due, why := rebootDue(v, w.tx)
	if out.Reboot = due; due {
		out.Detail = strings.TrimPrefix(out.Detail+"; needs a reboot: "+why, "; ")
	}
	judgeKernel(&out, st.Kernel)
	return out, nil
}

// verify compares the installed set with what the record of the start says it must be now.
func (w *worker) verify(ctx context.Context, st host.Status, erased bool) (host.Verification, error) {
	before, recorded, err := w.beforeTx(ctx, st)
	if err != nil {
		return host.Verification{}, err
	}
	facts := &host.Facts{Host: w.host.Name, Packages: before.Packages, InstalledDigest: before.Digest}
	v, err := w.s.Verify(ctx, w.tx, facts, before.Unmet, erased)
	if err != nil {
		return v, stepError(err, rollout.ReasonTransaction)
	}
	put := func() error { return w.d.fleet.Store.PutAfter(ctx, w.job.TxID, w.job.TxID, v.After) }
	if !recorded {
		v.NewUnmet = nil // nothing tells which of them are new, nor what the transaction changed
		put = func() error { return w.d.fleet.Store.PutFacts(ctx, v.After) }
	}
	if err := put(); err != nil {
		return v, rollout.Failed(rollout.ReasonInternal, err.Error())
	}
	return v, nil
}

// verification judges the installed set after a transaction.
func verification(v host.Verification, st host.Status, erase bool) rollout.Verification {
	out := rollout.Verification{Outcome: rollout.VerifyPartial, Erase: erase}
	switch {
	case v.OK && len(v.NewUnmet) == 0:
		out.Outcome = rollout.VerifyExpected
	case v.Unchanged:
		out.Outcome = rollout.VerifyOld
	}
	if len(v.FailedScriptlets) > 0 {
		out.Flags = append(out.Flags, rollout.FlagScriptletErrors)
	}
	if len(v.ConfigFiles) > 0 {
		out.Flags = append(out.Flags, rollout.FlagConfigFiles)
	}
	out.Detail = verifyDetail(v, st)
	return out
}

// verifyDetail tells what a person must know of the result.
func verifyDetail(v host.Verification, st host.Status) string {
	var parts []string
	list := func(what string, items []string) {
		if len(items) > 0 {
			parts = append(parts, what+": "+strings.Join(items[:min(len(items), 10)], ", "))
		}
	}
	missing, unexpected := make([]string, 0, len(v.Missing)), make([]string, 0, len(v.Unexpected))
	for _, n := range v.Missing {
		missing = append(missing, n.String())
	}
	for _, n := range v.Unexpected {
		unexpected = append(unexpected, n.String())
	}
	killed := killedWords(st)
	if killed != "" {
		parts = append(parts, killed)
	}
	list("not installed", missing)
	list("not expected", unexpected)
	list("new unmet dependencies", v.NewUnmet)
	list("failed scriptlets", v.FailedScriptlets)
	list("rpm's errors", v.Errors)
	list("configuration files made", v.ConfigFiles)
	list("services restarted", v.Restarted)
	if v.OK && killed == "" && len(v.FailedScriptlets)+len(v.Errors) == 0 {
		list("all is as it should be, but not every step ended with status 0", stepStatuses(st))
	}
	said := slices.DeleteFunc(saidBySteps(st.Log), func(l string) bool { return slices.Contains(v.FailedScriptlets, l) || slices.Contains(v.Errors, l) })
	if !v.OK && len(said) > 0 {
		list("log", said[max(0, len(said)-5):])
	}
	if !v.OK && len(parts) == 0 {
		list("rpm said nothing, and ended with a status other than 0", stepStatuses(st))
	}
	return strings.Join(parts, "; ")
}

// saidBySteps leaves out of a log the names of its parts, and what the tests before the transaction said: that is no cause of what it came to.
func saidBySteps(log []string) []string {
	var out []string
	test := false
	for _, l := range log {
		if part, ok := strings.CutPrefix(l, "== "); ok {
			test = strings.HasPrefix(part, "test.")
		} else if !test {
			out = append(out, l)
		}
	}
	return out
}

// stepStatuses are the exit statuses of steps that were not 0, with the last words of the program: dnf ends so where one of its plugins fails after
// the transaction.
func stepStatuses(st host.Status) []string {
	var out []string
	for _, step := range slices.Sorted(maps.Keys(st.RC)) {
		if rc := st.RC[step]; rc != 0 {
			out = append(out, fmt.Sprintf("step %s %d", step, rc))
		}
	}
	if said := saidBySteps(st.Log); len(out) > 0 && len(said) > 0 {
		out = append(out, "last line: "+said[len(said)-1])
	}
	return out
}

// eraseEvery is how often step (c) is asked whether it ended.
const eraseEvery = time.Second

// Erase implements rollout.Transactor.
func (w *worker) Erase(ctx context.Context) error {
	st, err := w.status(ctx)
	if err != nil {
		return stepError(err, rollout.ReasonTransaction)
	}
	if st.Mode != "erase" {
		if _, err := w.s.Acquire(ctx, w.lockOwner()); err != nil {
			return stepError(err, rollout.ReasonLocked)
		}
		if err := w.s.RunErase(ctx, w.tx); err != nil && !errors.Is(err, host.ErrReplay) {
			return stepError(err, rollout.ReasonTransaction)
		}
	}
	for {
		if st, err = w.status(ctx); err != nil {
			return stepError(err, rollout.ReasonTransaction)
		}
		if st.Mode == "erase" && st.Final() {
			break
		}
		select {
		case <-ctx.Done():
			return rollout.Disconnected(ctx.Err())
		case <-time.After(eraseEvery):
		}
	}
	return w.eraseVerdict(ctx, st)
}

// eraseVerdict judges step (c) by what is installed.
func (w *worker) eraseVerdict(ctx context.Context, st host.Status) error {
	v, err := w.verify(ctx, st, true)
	if err != nil {
		return err
	}
	if faults := keyFaults(v.After.Keys, w.keyLines, true); len(faults) > 0 {
		return rollout.Failed(rollout.ReasonTransaction, strings.Join(faults, "; ")+": "+verifyDetail(v, st))
	}
	if !v.OK {
		return rollout.Failed(rollout.ReasonTransaction, "step (c), the removal of old builds, was not completed: "+verifyDetail(v, st))
	}
	if text := killedWords(st); text != "" {
		return rollout.Failed(rollout.ReasonInterrupted, "step (c), the removal of old builds, was cut: "+text)
	}
	return nil
}
