package store

import (
	"context"
	"sync"
	"time"

	"cpacman/internal/rollout"
	"cpacman/planner"
)

// tinyFleet is hosts on which everything works; ran are those that have had their transaction.
type tinyFleet struct {
	mu      sync.Mutex
	ran     map[string]bool
	started []string
}

type tinyWorker struct {
	f   *tinyFleet
	job rollout.Job
}

func (f *tinyFleet) Open(_ context.Context, job rollout.Job) (rollout.Worker, error) {
	return &tinyWorker{f, job}, nil
}
func (f *tinyFleet) Reach(context.Context, string) error                 { return nil }
func (f *tinyFleet) Unavailable(context.Context, string) (string, error) { return "", nil }
func (f *tinyFleet) Recheck(context.Context, string, any) (rollout.RecheckResult, error) {
	return rollout.RecheckResult{Verdict: rollout.RecheckChanged}, nil
}

func (f *tinyFleet) RunChecks(_ context.Context, _ string, checks []string, _ []rollout.CheckResult) []rollout.CheckResult {
	out := make([]rollout.CheckResult, len(checks))
	for i, c := range checks {
		out[i] = rollout.CheckResult{Check: c, Verdict: rollout.Green}
	}
	return out
}

func (w *tinyWorker) Preflight(context.Context) (rollout.Preflight, error) {
	return rollout.Preflight{MachineID: "m-" + w.job.Host, InstalledDigest: "old"}, nil
}
func (w *tinyWorker) Services(context.Context, planner.Services, bool) (rollout.ServicesState, error) {
	return rollout.ServicesState{}, nil
}
func (w *tinyWorker) Stage(context.Context, func(done, total int64)) error { return nil }
func (w *tinyWorker) Test(context.Context) error                           { return nil }
func (w *tinyWorker) Moved(context.Context) (bool, error)                  { return false, nil }
func (w *tinyWorker) Discard(context.Context) error                        { return nil }
func (w *tinyWorker) Lock(context.Context, time.Duration) error            { return nil }
func (w *tinyWorker) Unlock(context.Context) error                         { return nil }
func (w *tinyWorker) Erase(context.Context) error                          { return nil }
func (w *tinyWorker) Close() error                                         { return nil }

func (w *tinyWorker) Known(context.Context) ([]int, error) {
	w.f.mu.Lock()
	defer w.f.mu.Unlock()
	if w.f.ran[w.job.Host] {
		return []int{1}, nil
	}
	return nil, nil
}

func (w *tinyWorker) Start(context.Context) error {
	w.f.mu.Lock()
	defer w.f.mu.Unlock()
	w.f.started = append(w.f.started, w.job.TxID)
	w.f.ran[w.job.Host] = true
	return nil
}

func (w *tinyWorker) Poll(context.Context) (rollout.TxStatus, error) {
	w.f.mu.Lock()
	defer w.f.mu.Unlock()
	if w.f.ran[w.job.Host] {
		return rollout.TxStatus{Phase: rollout.TxDone}, nil
	}
	return rollout.TxStatus{Phase: rollout.TxUnknown}, nil
}

func (w *tinyWorker) Verify(context.Context) (rollout.Verification, error) {
	return rollout.Verification{Outcome: rollout.VerifyExpected}, nil
}
