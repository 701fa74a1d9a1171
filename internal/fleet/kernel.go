package fleet

import (
	"context"
	"errors"
	"strings"

	"cpacman/internal/host"
	"cpacman/internal/rollout"
)

// bootOnce says what is to become of a new kernel.
func bootOnce(job rollout.Job) host.BootOnce {
	switch {
	case !job.BootOnce:
		return host.BootAsPackaged
	case job.BootAnyway:
		return host.BootOnceWanted
	}
	return host.BootOnceNeeded
}

// noBootOnce says why a host with a new kernel is held, and what can be done.
func noBootOnce(err error) string {
	return clean(err.Error()) + "; --without-switch boots what its packages make the default"
}

// kernelRefusals asks the host, before anything is sent, whether it can boot its new kernel once.
func (w *worker) kernelRefusals(ctx context.Context) ([]rollout.Reason, error) {
	if bootOnce(w.job) != host.BootOnceNeeded {
		return nil, nil
	}
	switch err := w.s.CanBootOnce(ctx); {
	case errors.Is(err, host.ErrNoBootOnce):
		return []rollout.Reason{{Code: rollout.ReasonNoSwitch, Text: noBootOnce(err)}}, nil
	case err != nil:
		return nil, stepError(err, rollout.ReasonInternal)
	}
	return nil, nil
}

// judgeKernel adds what became of a new kernel that is to be booted once.
func judgeKernel(out *rollout.Verification, k host.KernelTrial) {
	add := func(text string) { out.Detail = strings.TrimPrefix(out.Detail+"; "+clean(text), "; ") }
	switch {
	case k.Due:
		out.Reboot = true
	case k.Tried: // another boot would be another kernel's
		out.Reboot = false
	case k.Not != "":
		add("the new kernel is not booted once: " + k.Not)
	case k.Failed != "":
		add(k.Failed)
		if out.Outcome == rollout.VerifyExpected {
			out.Outcome = rollout.VerifyPartial
		}
	}
}
