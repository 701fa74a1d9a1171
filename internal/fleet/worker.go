package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"cpacman/internal/host"
	"cpacman/internal/rollout"
	"cpacman/inventory"
	"cpacman/planner"
	"cpacman/transport"
)

// worker is one connection to one host for one attempt. What must survive it is on the host or in the store.
type worker struct {
	d    *Deployment
	host *inventory.Host
	job  rollout.Job
	tx   host.Transaction
	back host.Transaction // the way back, where hasBack
	conn *transport.Conn
	s    *host.Session

	hasBack  bool
	keyLines planner.KeyLines
	before   *host.Facts  // read by Preflight; its packages without install times
	list     *packageList // that before has its packages of
	unmet    []string
	sent     []string    // digests that Stage sent
	awaited  *host.Owner // who had the lock that was waited for
}

// varTmpNeed is what rpm must find in /var/tmp for its scriptlets, in bytes; rpm --test does not look.
const varTmpNeed = 1 << 20

// Close implements rollout.Worker.
func (w *worker) Close() error { return w.conn.Close() }

// stepError says what a failed step before the transaction means: a lost connection, a refusal, or the failure of the step.
func stepError(err error, code rollout.ReasonCode) error {
	var locked *host.LockedError
	var space *host.SpaceError
	switch {
	case errors.As(err, &locked):
		return rollout.Locked(strings.TrimPrefix(locked.Error(), "host is locked by "))
	case errors.Is(err, host.ErrNotLocked):
		return rollout.Locked("somebody else, who has taken the lock over: " + err.Error())
	case errors.As(err, &space):
		return rollout.Held(rollout.ReasonSpace, err.Error())
	case errors.Is(err, host.ErrBusy):
		return rollout.Held(rollout.ReasonBusy, err.Error())
	}
	switch transport.KindOf(err) {
	case transport.KindUnreachable, transport.KindTimeout, transport.KindPenalised, transport.KindCanceled:
		return rollout.Disconnected(err)
	case transport.KindSudo, transport.KindAuth:
		return rollout.Held(rollout.ReasonAuth, err.Error())
	case transport.KindSpace:
		return rollout.Held(rollout.ReasonSpace, err.Error())
	}
	return rollout.Failed(code, err.Error())
}

// Preflight implements rollout.Preparer.
func (w *worker) Preflight(ctx context.Context) (rollout.Preflight, error) {
	p, err := w.s.Preflight(ctx, host.PreflightOptions{Keys: w.d.signers(w.tx), Unmet: true, DNF: w.tx.DNF})
	if err != nil {
		return rollout.Preflight{}, heldWhenFailed(stepError(err, rollout.ReasonInternal))
	}
	w.remember(p)
	if err := w.d.fleet.Store.PutFacts(ctx, p.Facts); err != nil {
		return rollout.Preflight{}, rollout.Held(rollout.ReasonInternal, err.Error())
	}
	entry, _ := w.d.planOf(w.host.Name).Host(w.host.Name)
	if p.Facts.InstalledDigest != entry.InstalledDigest && !w.d.plan.Type.PackageFree() {
		// The recheck will want the dependencies of what is new on the host.
		if _, err := w.d.shares.take(ctx, w.conn, p.Facts); err != nil {
			w.d.fleet.log.Debug("headers did not come", "host", w.host.Name, "error", err)
		}
	}
	keys, err := w.keyRefusals(ctx, p)
	if err != nil {
		return rollout.Preflight{}, heldWhenFailed(err)
	}
	kernel, err := w.kernelRefusals(ctx)
	if err != nil {
		return rollout.Preflight{}, heldWhenFailed(err)
	}
	out := rollout.Preflight{MachineID: p.Facts.MachineID, InstalledDigest: p.Facts.InstalledDigest, Facts: p.Facts, Refusals: slices.Concat(w.refusals(p), keys, kernel)}
	out.Busy = p.OtherTransaction != "" && len(out.Refusals) == 1
	if len(p.Unmet) > 0 {
		out.Flags = append(out.Flags, rollout.FlagPreBroken)
	}
	if p.Facts.InstalledDigest != entry.InstalledDigest {
		out.ChangedBy = w.changedBy(ctx)
	}
	out.Boot = bootOf(p.Facts)
	if r := p.Facts.Reboot; r != nil && r.Needed {
		out.RebootDue = strings.Join(r.Reasons, "; ")
	}
	return out, nil
}

// remember keeps what a preflight has read, for the transaction.
func (w *worker) remember(p host.Preflight) {
	before := *p.Facts
	w.list = w.d.lists.share(before.InstalledDigest, before.Packages)
	before.Packages = w.list.packages
	w.before, w.unmet = &before, p.Unmet
}

// freeWords says what is free on the file systems of a host.
func freeWords(f *host.Facts) string {
	words := make([]string, len(f.Disk))
	for i, d := range f.Disk {
		words[i] = fmt.Sprintf("%s has %s free", d.Mount, inventory.Bytes(d.FreeBytes))
	}
	return strings.Join(words, ", ")
}

// heldWhenFailed makes a refusal of a failure: a host that cannot be read is not touched.
func heldWhenFailed(err error) error {
	var e *rollout.Error
	if errors.As(err, &e) && e.Kind == rollout.KindFailed {
		return rollout.Held(e.Reason.Code, e.Reason.Text)
	}
	return err
}

// refusals lists why the host must not be touched now.
func (w *worker) refusals(p host.Preflight) []rollout.Reason {
	var out []rollout.Reason
	add := func(code rollout.ReasonCode, format string, args ...any) {
		out = append(out, rollout.Reason{Code: code, Text: fmt.Sprintf(format, args...)})
	}
	if left, ok := w.d.fleet.leftOut(w.host); ok {
		add(rollout.ReasonMaintenance, "%s", left.Detail)
	}
	if w.tx.DNF && p.DNF == "" {
		text := "there is no dnf on the host, and executor = \"dnf\" of class " + w.host.Class + " wants it: install it, or use executor = \"rpm\""
		if len(p.Instead) > 0 {
			text += "; it has " + strings.Join(p.Instead, ", ") + ", which does not serve: yum 3 and microdnf cannot install exactly given files"
		}
		add(rollout.ReasonExecutor, "%s", text)
	}
	if p.OtherTransaction != "" {
		who := ""
		if p.HostLock != nil {
			who = ", which is locked by " + p.HostLock.Owner.String()
		}
		add(rollout.ReasonBusy, "transaction %s is under way on the host%s", p.OtherTransaction, who)
	}
	if p.PendingShutdown != "" {
		add(rollout.ReasonBusy, "a shutdown is due on the host: %s", p.PendingShutdown)
	}
	if w.d.plan.Type == planner.TypeReboot {
		if l := p.Facts.Lock; l != nil && l.Held {
			add(rollout.ReasonBusy, "rpm is at work on the host (process %d: %s): a reboot would cut it", l.PID, l.Command)
		}
		return out
	}
	if w.d.plan.Type.PackageFree() {
		return out
	}
	if why := w.forbidden(p.Facts); why != "" {
		add(rollout.ReasonChanged, "%s; a new plan, or cpacman rollout amend, heeds it", why)
	}
	if p.FreeVarTmp >= 0 && p.FreeVarTmp < varTmpNeed {
		add(rollout.ReasonSpace, "/var/tmp has %s free; rpm writes scriptlets there", inventory.Bytes(p.FreeVarTmp))
	}
	return out
}

// forbidden says what of the host's set its locks, excludes and protected names do not allow by now; "" for nothing.
func (w *worker) forbidden(facts *host.Facts) string {
	plan := w.d.planOf(w.host.Name)
	entry, _ := plan.Host(w.host.Name)
	set, found := plan.Set(entry.Set)
	switch {
	case !found || set.Empty() || plan.Type == planner.TypeRollback, facts.InstalledDigest != entry.InstalledDigest:
		return "" // of a host that changed the set is computed again, with what is locked now
	case facts.Holds == nil:
		return "the locks and excludes of the host's package manager cannot be read any more"
	}
	var now planner.Host
	addHolds(&now, facts.Holds)
	if why := planner.Forbids(&now, plan.Type, &plan.Requested.Filter, &set); why != "" {
		return "set on the host since the plan: " + why
	}
	return ""
}

// Stage implements rollout.Preparer.
func (w *worker) Stage(ctx context.Context, progress func(done, total int64)) error {
	files := backFiles(w.tx)
	if w.job.Arm > 0 {
		// What a dead man's switch needs is there before it is armed.
		for _, f := range backFiles(w.back) {
			if !slices.ContainsFunc(files, func(o host.File) bool { return o.SHA256 == f.SHA256 }) {
				files = append(files, f)
			}
		}
	}
	var mu sync.Mutex // files are sent side by side
	var total, done int64
	at := map[string]int64{}
	for _, f := range files {
		if f.SHA256 == "" {
			return rollout.Held(rollout.ReasonStage, fmt.Sprintf("package %s could not be proven on the control host: nothing is sent", f.NEVRA))
		}
		total += f.Size
	}
	stats, err := w.s.Stage(ctx, files, func(f host.File, sent int64) {
		mu.Lock()
		defer mu.Unlock()
		done += sent - at[f.SHA256]
		at[f.SHA256] = sent
		progress(done, total)
	})
	w.sent = stats.Sent
	if err != nil {
		return stepError(err, rollout.ReasonStage)
	}
	for _, digest := range stats.Damaged {
		w.d.fleet.log.Warn("a staged package had other bytes and was sent again", "host", w.host.Name, "sha256", digest)
	}
	return nil
}

// Test implements rollout.Preparer.
func (w *worker) Test(ctx context.Context) error {
	r, err := w.s.Test(ctx, w.transaction())
	if err != nil {
		var remote *host.RemoteError
		switch {
		case errors.As(err, &remote) && remote.Code == "space": // the disk filled since the packages came
			return rollout.Held(rollout.ReasonSpace, err.Error())
		case errors.As(err, &remote) && remote.Code == "database":
			return rollout.Held(rollout.ReasonInternal, err.Error())
		}
		return stepError(err, rollout.ReasonTest)
	}
	switch {
	case r.OK:
		return nil
	case len(r.MissingKeys) > 0:
		return rollout.Held(rollout.ReasonKeyMissing, "the host's rpm does not have the key "+strings.Join(r.MissingKeys, ", ")+": plan again with --keys to import it")
	case r.Changed:
		return rollout.Moved("the installed packages changed between two looks")
	case r.SpaceShort:
		return rollout.Held(rollout.ReasonSpace, strings.Join(r.Problems, "; "))
	}
	return rollout.Failed(rollout.ReasonTest, "rpm --test: "+strings.Join(r.Problems, "; "))
}

// transaction is the order with what the host must still have: what Preflight of this attempt has read.
func (w *worker) transaction() host.Transaction {
	tx := w.tx
	if w.before != nil {
		tx.ExpectBefore, tx.ExpectCount = w.before.InstalledDigest, len(w.before.Packages)
	}
	return tx
}

// Discard implements rollout.Preparer: what this rollout sent is removed; what was there before stays, and what others count on.
func (w *worker) Discard(ctx context.Context) error {
	if _, err := w.s.Clean(ctx, host.CleanOptions{What: host.CleanFiles, Files: w.sent}); err != nil {
		return stepError(err, rollout.ReasonStage)
	}
	w.sent = nil
	return nil
}

// lockOwner is who holds the host's lock: the rollout, so that a resumed one finds its locks.
func (w *worker) lockOwner() host.Owner {
	return host.Owner{ID: w.job.Rollout, Control: w.d.owner.Host, User: w.d.owner.User, Rollout: w.job.Rollout}
}

// lockEvery is how often a lock that somebody holds is asked for again.
const lockEvery = 3 * time.Second

// Lock implements rollout.Locker.
func (w *worker) Lock(ctx context.Context, wait time.Duration) error {
	deadline := time.Now().Add(wait)
	for {
		broken, err := w.s.Acquire(ctx, w.lockOwner())
		if err == nil {
			if broken != "" {
				w.d.fleet.log.Warn("took over the lock of an owner that is gone", "host", w.host.Name, "owner", broken)
			}
			return nil
		}
		var held *host.LockedError
		if !errors.As(err, &held) || time.Until(deadline) <= 0 {
			return stepError(err, rollout.ReasonLocked)
		}
		w.awaited = &held.Owner
		select {
		case <-ctx.Done():
			return stepError(err, rollout.ReasonLocked)
		case <-time.After(min(lockEvery, time.Until(deadline))):
		}
	}
}

// Unlock implements rollout.Locker.
func (w *worker) Unlock(ctx context.Context) error {
	if err := w.s.Release(ctx, w.lockOwner()); err != nil {
		return stepError(err, rollout.ReasonLocked)
	}
	return nil
}
