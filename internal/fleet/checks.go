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
		out = append(out, checkFor(name, def, h))
	}
	return out
}

// checkFor makes a check one of a host.
func checkFor(name string, def *inventory.HealthCheck, h *inventory.Host) health.Check {
	c := def.For(h)
	return health.Check{
		Name: name, HTTP: c.HTTP, TCP: c.TCP, Command: c.Command, Program: c.Program, Systemd: c.Systemd,
		Status: c.Status, Body: c.Body, Timeout: c.Timeout,
	}
}

// Bind gives a Deployment the checks that its rollout was started with: an approval binds them, whatever the site has by the time they
// are run. It is called before the engine gets the Deployment.
func (d *Deployment) Bind(checks []rollout.Check) {
	d.checks = make(map[string]rollout.Check, len(checks))
	for _, c := range checks {
		d.checks[c.Name] = c
	}
}

// checksFor are the checks of a host. One whose record cannot be read is named in bad.
func (d *Deployment) checksFor(h *inventory.Host, names []string) (out []health.Check, bad map[string]error) {
	out, bad = d.fleet.Checks(h, names), map[string]error{}
	for i, name := range names {
		bound, ok := d.checks[name]
		if !ok || name == health.Basic {
			continue
		}
		def, err := bound.Recorded()
		if err != nil {
			bad[name] = err
			continue
		}
		out[i] = checkFor(name, def, h)
	}
	return out, bad
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
	defs, bad := d.checksFor(h, checks)
	for i, r := range d.fleet.Checker().Run(ctx, health.Host{Name: h.Name, Address: h.Address}, defs, before) {
		if err := bad[checks[i]]; err != nil {
			out[i] = rollout.CheckResult{Check: checks[i], Verdict: rollout.Unknown, Output: err.Error(), At: d.fleet.now()}
			continue
		}
		out[i] = rollout.CheckResult{Check: r.Check, Verdict: rollout.Verdict(r.Verdict), Output: r.Output, Evidence: r.Evidence,
			Took: r.Took.Round(time.Millisecond), At: d.fleet.now()}
	}
	return out
}
