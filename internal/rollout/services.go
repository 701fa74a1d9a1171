package rollout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"cpacman/inventory"
	"cpacman/planner"
)

// Servicer stops services where no fix exists yet, and starts them again (ROLL-11).
type Servicer interface {
	// Services changes units as a plan wants it, or with act false only tells what it would. It may be repeated: what is as it should be is
	// left alone. KindHeld: the host has no units. KindFailed: it could not be done.
	Services(ctx context.Context, want planner.Services, act bool) (ServicesState, error)
}

// ServicesState is how the units of a plan stand on a host. All names are of units.
type ServicesState struct {
	Due    []string // are to be changed; after they were: none
	Done   []string // are as the plan wants them
	Absent []string // the host does not have, or cpacman has not stopped
	Failed []string // could not be changed, with why
}

// words tells it; "" when there is nothing to tell.
func (s ServicesState) words(action planner.ServiceAction) string {
	was, due, absent := "stopped", "to be stopped", "not on the host"
	if action == planner.ServiceStart {
		was, due, absent = "as before they were stopped", "to be started", "not stopped by cpacman"
	}
	var parts []string
	for _, l := range []struct {
		what  string
		units []string
	}{{was, s.Done}, {due, s.Due}, {absent, s.Absent}, {"not changed", s.Failed}} {
		if len(l.units) > 0 {
			parts = append(parts, l.what+": "+nameSome(l.units, 10))
		}
	}
	return strings.Join(parts, "; ")
}

// packageFree tells that a rollout changes no package: nothing is staged or tested, and the host has no ledger entry of it.
func (s *Schedule) packageFree() bool { return s.RebootOnly || s.Services != nil }

// owesServices decides, in a rollout of services, whether there is something to do on a host that was read.
func (h *hostRun) owesServices(pf Preflight) bool {
	want := *h.r.sched.Services
	var now ServicesState
	if err := h.ask(func(w Worker) (err error) {
		now, err = w.Services(h.ctx(), want, false)
		return err
	}); err != nil {
		return h.failed(err, OnRefused, ReasonServices)
	}
	text := now.words(want.Action)
	switch rec := h.r.record(h.host); {
	case len(now.Due) == 0 && rec.Attempt > 1 && !h.r.dryRun:
		return h.advance(OnAlreadyThere, nil) // an earlier attempt did it: only health is left
	case len(now.Due) == 0:
		return h.end(OnNothingToDo, Reason{ReasonNotDue, text})
	case h.r.dryRun:
		return h.end(OnDryRunPassed, Reason{ReasonDryRun, "a dry run goes no further: " + text})
	}
	return h.advance(OnServicesDue, func(rec *HostRecord) { rec.Flags = addFlags(rec.Flags, pf.Flags...) })
}

// servicesOnly is the rest of an attempt in a rollout of services.
func (h *hostRun) servicesOnly() {
	if !h.ready() || !h.lock() || !h.drain() || !h.spared() || !h.advance(OnServices, nil) || !h.services() || !h.confirm() {
		return
	}
	h.endSlot()
	h.check()
}

// services asks the host to change its units. Until it has been asked, a rollout that stops or whose window closes leaves it alone; after a
// crash the units themselves tell whether it was.
func (h *hostRun) services() bool {
	want := *h.r.sched.Services
	var did ServicesState
	told, spared := false, false
	err := h.persist(func(w Worker) (err error) {
		if !told && (h.r.halted() || h.outside()) {
			now, err := w.Services(h.ctx(), want, false)
			if err != nil {
				return err
			}
			if spared = len(now.Done) == 0 && len(now.Failed) == 0; spared {
				return nil
			}
		}
		told = true
		if did, err = w.Services(h.ctx(), want, true); kindOf(err) == KindHeld {
			return Failed(ReasonServices, err.Error()) // it is too late to leave the host alone
		}
		return err
	})
	switch {
	case errors.Is(err, errDetached):
		return false
	case kindOf(err) == KindFailed:
		return h.end(OnServicesFailed, reasonWith(err, ReasonServices))
	case err != nil:
		return h.unanswered(err)
	case spared:
		return h.end(OnNeverStarted, Reason{})
	case len(did.Failed) > 0 || len(did.Due) > 0:
		return h.end(OnServicesFailed, Reason{ReasonServices, did.words(want.Action)}.bounded())
	}
	why := Reason{ReasonServices, did.words(want.Action)}.bounded()
	return h.r.step(h.host, OnRestarted, why, func(rec *HostRecord) { rec.Remark = why.Text }) == nil
}

// services takes over what a plan of services wants, without the checks that look at what it stops.
func (r *resolver) services() error {
	s := r.plan.Services
	if s == nil {
		return nil
	}
	r.out.Services = s
	for _, name := range s.WithoutChecks {
		if name == inventory.BasicCheck {
			return &PlanError{fmt.Sprintf("the plan leaves out health check %q, which always stays", name)}
		}
		if _, ok := r.s.Checks[name]; !ok {
			return &PlanError{fmt.Sprintf("the plan leaves out health check %q, which is not defined", name)}
		}
	}
	return nil
}

// without is a list of names less those that a plan of services leaves out.
func (r *resolver) without(checks []string) []string {
	if r.out.Services == nil {
		return checks
	}
	return slices.DeleteFunc(checks, func(name string) bool { return slices.Contains(r.out.Services.WithoutChecks, name) })
}
