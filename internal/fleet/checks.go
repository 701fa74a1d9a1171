package fleet

import (
	"context"
	"time"

	"cpacman/internal/health"
	"cpacman/internal/rollout"
	"cpacman/inventory"
)

// Checker runs the site's health checks.
func (f *Fleet) Checker() *health.Checker {
	return &health.Checker{
		Dial: func(ctx context.Context, name string) (health.Conn, error) {
			conn, err := f.Dial(ctx, f.Site.Host(name))
			if err != nil {
				return nil, err
			}
			return conn, nil
		},
		VerifyProgram: f.Site.VerifyProgram,
	}
}

// Checks turns named checks of the site into those of one host.
func (f *Fleet) Checks(h *inventory.Host, names []string) []health.Check {
	out := make([]health.Check, 0, len(names))
	for _, name := range names {
		def := f.Site.Health[name]
		if def == nil {
			out = append(out, health.Check{Name: name}) // unknown: the checker says so
			continue
		}
		c := def.For(h)
		out = append(out, health.Check{
			Name: name, HTTP: c.HTTP, TCP: c.TCP, Command: c.Command, Program: c.Program, Systemd: c.Systemd,
			Status: c.Status, Body: c.Body, Timeout: c.Timeout,
		})
	}
	return out
}

// RunChecks implements rollout.Health.
func (d *Deployment) RunChecks(ctx context.Context, name string, checks []string, baseline []rollout.CheckResult) []rollout.CheckResult {
	h := d.fleet.Site.Host(name)
	out := make([]rollout.CheckResult, len(checks))
	if h == nil {
		for i, c := range checks {
			out[i] = rollout.CheckResult{Check: c, Verdict: rollout.Unknown, Output: "the host is no longer in the inventory", At: d.fleet.now()}
		}
		return out
	}
	var before []health.Result
	for _, b := range baseline {
		before = append(before, health.Result{Check: b.Check, Verdict: health.Verdict(b.Verdict), Output: b.Output, Evidence: b.Evidence, Took: b.Took})
	}
	for i, r := range d.fleet.Checker().Run(ctx, health.Host{Name: h.Name, Address: h.Address}, d.fleet.Checks(h, checks), before) {
		out[i] = rollout.CheckResult{Check: r.Check, Verdict: rollout.Verdict(r.Verdict), Output: r.Output, Evidence: r.Evidence,
			Took: r.Took.Round(time.Millisecond), At: d.fleet.now()}
	}
	return out
}
