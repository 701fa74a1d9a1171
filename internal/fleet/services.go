package fleet

import (
	"context"
	"errors"
	"slices"
	"strings"

	"cpacman/internal/host"
	"cpacman/internal/rollout"
	"cpacman/planner"
)

// ServicesRequest is what a plan of services is asked for.
type ServicesRequest struct {
	PlanRequest // Request and Targets are of no use
	Services    planner.Services
	Why         string // for the record
}

// PlanServices makes a plan that stops services where no fix exists yet, or lets them be again as they were (ROLL-11). Which hosts have them
// is for the hosts to say when it comes to them.
func (f *Fleet) PlanServices(ctx context.Context, req ServicesRequest) (*Planned, error) {
	candidates, err := f.candidates(ctx, req.PlanRequest)
	if err != nil {
		return nil, err
	}
	p := &planner.Plan{Format: planner.PlanFormat, Type: planner.TypeServices, Services: &req.Services,
		Requested: planner.Requested{Selector: req.Selector, Force: clean(req.Why)}}
	slices.Sort(req.Services.Units)
	req.Services.Units = slices.Compact(req.Services.Units)
	what := string(req.Services.Action) + " " + strings.Join(req.Services.Units, ", ")
	for _, c := range candidates.list {
		if c.entry.Status == planner.StatusPlanned {
			c.entry.Detail = what
		}
	}
	return packageFreePlan(p, candidates, req.Expiry)
}

// Services implements rollout.Servicer.
func (w *worker) Services(ctx context.Context, want planner.Services, act bool) (rollout.ServicesState, error) {
	var out rollout.ServicesState
	for _, u := range want.Units {
		if err := planner.CheckUnit(u); err != nil {
			return out, rollout.Held(rollout.ReasonServices, err.Error())
		}
	}
	units, err := w.s.Services(ctx, host.ServiceUnits{Start: want.Action == planner.ServiceStart, For: w.job.TxID, Units: want.Units}, act)
	var remote *host.RemoteError
	switch {
	case errors.As(err, &remote) && remote.Code == "nosystemd":
		return out, rollout.Held(rollout.ReasonServices, remote.Text)
	case err != nil:
		return out, stepError(err, rollout.ReasonServices)
	}
	for _, u := range units {
		switch u.State {
		case host.UnitDone:
			out.Done = append(out.Done, u.Name)
		case host.UnitDue:
			out.Due = append(out.Due, u.Name)
		case host.UnitAbsent:
			out.Absent = append(out.Absent, u.Name)
		case host.UnitFailed:
			out.Failed = append(out.Failed, u.Name+" ("+u.Detail+")")
		}
	}
	return out, nil
}
