package rollout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"cpacman/internal/rpm"
	"cpacman/inventory"
	"cpacman/planner"
)

func (f *fakeWorker) Confirm(ctx context.Context) (Confirmation, error) {
	unlock, err := f.lock(ctx)
	if err != nil {
		return Confirmation{}, err
	}
	defer unlock()
	f.h.tick()
	if f.h.sw == nil {
		return Confirmation{Verdict: SwitchNone}, nil
	}
	if f.h.sw.decision == "" && f.is(deadKernel) && f.job.BootOnce {
		f.h.sw.decision, f.h.sw.why = SwitchGoneBack, "its new kernel 2 did not come up: it booted with 1"
	}
	if f.h.sw.decision == "" {
		f.h.sw.decision = SwitchConfirmed
	}
	return Confirmation{f.h.sw.decision, f.h.sw.why}, nil
}

func (f *fakeWorker) StartBack(ctx context.Context) error {
	unlock, err := f.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if rec := f.w.journal.record(f.job.Host); rec.State != StateRollingBack || rec.TxID != f.job.TxID {
		f.w.break_("%s: sent back while the journal has %s", f.job.Host, rec.State)
	}
	if f.h.back == nil && f.peer() {
		return Locked("bob on ops2")
	}
	if f.is(goneBack) {
		return Disconnected(errors.New("reset"))
	}
	if f.is(backRefused) {
		return Failed(ReasonStage, "the old package is gone")
	}
	f.h.owner = f.job.Rollout
	if f.h.sw != nil && f.h.sw.decision == "" {
		f.h.sw.decision = SwitchGoneBack
	}
	if f.h.back == nil {
		f.h.back = &fakeTx{ends: time.Now().Add(10 * time.Second)}
		f.h.backs++
	}
	return nil
}

func (f *fakeWorker) PollBack(ctx context.Context) (TxStatus, error) {
	unlock, err := f.lock(ctx)
	if err != nil {
		return TxStatus{}, err
	}
	defer unlock()
	f.h.tick()
	switch {
	case f.h.back == nil:
		return TxStatus{Phase: TxUnknown}, nil
	case f.is(backCut) && f.h.backs == 1:
		f.h.back = nil
		return TxStatus{Phase: TxInterrupted}, nil
	case time.Now().Before(f.h.back.ends):
		return TxStatus{Phase: TxRunning}, nil
	}
	return TxStatus{Phase: TxDone}, nil
}

func (f *fakeWorker) VerifyBack(ctx context.Context) (Verification, error) {
	unlock, err := f.lock(ctx)
	if err != nil {
		return Verification{}, err
	}
	defer unlock()
	if f.h.tick(); f.h.updated || f.is(backPartial) {
		return Verification{Outcome: VerifyPartial, Detail: "foo-1 is missing"}, nil
	}
	return Verification{Outcome: VerifyExpected}, nil
}

func (f *fakeWorker) Boot(ctx context.Context) (string, error) {
	unlock, err := f.lock(ctx)
	if err != nil {
		return "", err
	}
	defer unlock()
	return fmt.Sprintf("boot-%d", f.h.boots), nil
}

func (f *fakeWorker) Reboot(ctx context.Context, from string) error {
	f.w.checkBootInside(f.job, f.h)
	unlock, err := f.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if from != fmt.Sprintf("boot-%d", f.h.boots) {
		return nil
	}
	if rec := f.w.journal.record(f.job.Host); rec.State != StateRebooting {
		f.w.break_("%s: booted while the journal has %s", f.job.Host, rec.State)
	}
	f.w.checkReboot(f.job, f.h)
	f.h.boots++
	f.h.bootEnd = time.Now().Add(40 * time.Second)
	n := 0
	for _, h := range f.w.hosts {
		if time.Now().Before(h.bootEnd) {
			n++
		}
	}
	f.w.booting = max(f.w.booting, n)
	return Disconnected(errors.New("connection closed"))
}

// checkReboot checks what must hold at the moment a host is booted in a rollout of reboots. Called with the world's lock held.
func (w *world) checkReboot(job Job, h *fakeHost) {
	if !w.bootOnly {
		return
	}
	h.updated = true
	j := w.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.ro.DryRun:
		w.break_("%s: booted in a dry run", job.Host)
	case h.owner != job.Rollout:
		w.break_("%s: booted without the lock", job.Host)
	case h.boots > 0 && j.hosts[job.Host].Attempt == 1:
		w.break_("%s: booted twice in one attempt", job.Host)
	}
	j.seen.floors(job, j.hosts[job.Host].Updated)
}

// checkBootInside: a host is told to boot only within its windows; how long that takes, and that it is told again, does not matter.
func (w *world) checkBootInside(job Job, h *fakeHost) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.journal.mu.Lock()
	defer w.journal.mu.Unlock()
	if why := w.journal.seen.outside(job.Host); why != "" && w.bootOnly && h.told != job.Attempt {
		w.break_("%s: told to boot at %s, %s", job.Host, time.Now().UTC(), why)
	}
	h.told = job.Attempt
}

func (f *fakeWorker) Restart(ctx context.Context) (Restarted, error) {
	unlock, err := f.lock(ctx)
	if err != nil {
		return Restarted{}, err
	}
	defer unlock()
	if rec := f.w.journal.record(f.job.Host); rec.State != StateRestarting {
		f.w.break_("%s: services restarted while the journal has %s", f.job.Host, rec.State)
	}
	f.h.renewed++
	switch {
	case f.is(stale):
		return Restarted{Done: []string{"web.service"}, Failed: []string{"cache.service (failed)"}}, nil
	case f.is(staleBoot) && f.h.boots == 0:
		return Restarted{Done: []string{"web.service"}, Reboot: []string{"dbus.service"}}, nil
	case f.is(staleStays):
		return Restarted{Kept: []string{"docker.service"}}, nil
	case f.is(restartFails):
		return Restarted{}, Failed(ReasonRestart, "systemctl: bus is gone")
	case f.is(goneRestart):
		return Restarted{}, Disconnected(errors.New("reset"))
	}
	return Restarted{}, nil
}

// checkArmed: no more switches wait at once than hosts may fail, and never less than one may. Called with the world's lock held.
func (w *world) checkArmed() {
	n := 0
	for _, h := range w.hosts {
		if h.tick(); h.sw != nil && h.sw.decision == "" {
			n++
		}
	}
	if n > w.maxArmed && w.maxArmed > 0 {
		w.break_("%d dead man's switches are armed at once, at most %d may be", n, w.maxArmed)
	}
}

// hookRuns are the runs of hooks in a world, in order.
type hookRuns struct {
	runs  []string // "NAME HOST|wave N STATE"
	fails map[string]bool
	takes time.Duration
	flags []string // of the runs for hosts
	only  string   // the hook that takes time; "": all
}

func (w *world) RunHook(ctx context.Context, run HookRun) error {
	takes := w.hooks.takes
	if w.hooks.only != "" && run.Hook.Name != w.hooks.only {
		takes = 0
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(takes):
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	who := run.Host
	if who == "" {
		who = fmt.Sprintf("wave %d", run.Wave)
	}
	if run.Host != "" {
		var flags []string
		for _, f := range run.Flags {
			flags = append(flags, string(f))
		}
		w.hooks.flags = append(w.hooks.flags, strings.Join(flags, ","))
	}
	w.hooks.runs = append(w.hooks.runs, run.Hook.Name+" "+who)
	if w.hooks.fails[run.Hook.Name] || w.hooks.fails[run.Hook.Name+" "+who] {
		return errors.New("exit status 1")
	}
	return nil
}

// record gives what the journal has of a host.
func (j *memJournal) record(host string) HostRecord {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.hosts[host]
}

// reversible gives the plan a way back, and the site a policy.
func (r *rig) reversible(mode inventory.RollbackMode) {
	r.s.Rollout.Rollback = mode
	r.plan.Rollbacks = []planner.Set{goingBack("b1")}
	for i := range r.plan.Hosts {
		r.plan.Hosts[i].Rollback = planner.RollbackInfo{Complete: true, Set: "b1"}
	}
}

// armed makes the plan one that can cut hosts off.
func (r *rig) armed(after time.Duration) {
	r.reversible(r.s.Rollout.Rollback)
	r.s.Rollout.Confirm, r.s.Rollout.ConfirmFor = after, []string{"sshd"}
	r.plan.Sets[0].Upgrade = []planner.Move{{From: rpm.NEVRA{Name: "sshd"}, To: rpm.NEVRA{Name: "sshd"}}}
}

// hook adds a hook, to all hosts when it is one of hosts.
func (r *rig) hook(name string, when inventory.HookWhen) {
	if r.s.Hooks == nil {
		r.s.Hooks = map[string]HookSettings{}
	}
	r.s.Hooks[name] = HookSettings{When: when, Definition: []byte(`{}`)}
	for h, hs := range r.s.Hosts {
		switch when {
		case inventory.BeforeHost:
			hs.Before = append(slices.Clone(hs.Before), name)
		case inventory.AfterHost:
			hs.After = append(slices.Clone(hs.After), name)
		}
		r.s.Hosts[h] = hs
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
