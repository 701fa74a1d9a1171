package fleet

import (
	"context"
	"errors"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"cpacman/internal/repo"
	"cpacman/internal/report"
	"cpacman/internal/rpm"
	"cpacman/inventory"
	"cpacman/planner"
)

// Drift compares hosts with their views, and hosts that should be alike with each other, from stored facts (AUDIT-1).
func (f *Fleet) Drift(ctx context.Context, repos *Repos, hosts []*inventory.Host) ([]report.HostDrift, []report.Difference, error) {
	prepare, err := f.NewInputs(ctx, repos)
	if err != nil {
		return nil, nil, err
	}
	if _, err := repos.OpenAll(ctx, repos.IDs()); err != nil {
		return nil, nil, err
	}
	d := &drifter{fleet: f, repos: repos, offers: map[string]*report.Offer{}, everything: planner.Request{Type: planner.TypeUpdate, At: prepare.newest()}}
	out := make([]report.HostDrift, len(hosts))
	inputs := make([]*Input, len(hosts))
	for i, h := range hosts {
		if inputs[i], err = prepare.Host(ctx, h, true); err != nil {
			var cannot *CannotPlan
			if !errors.As(err, &cannot) {
				return nil, nil, err
			}
			out[i] = report.Incomparable(string(cannot.Status), cannot.Detail)
		}
	}
	if err := d.solve(ctx, inputs, out); err != nil {
		return nil, nil, err
	}
	for i, h := range hosts {
		out[i].Host, out[i].Class, out[i].Level = h.Name, h.Class, h.Level
		if facts := prepare.facts[h.Name]; facts != nil {
			at := facts.CollectedAt
			out[i].CollectedAt = &at
		}
	}
	return out, f.differences(hosts, inputs), nil
}

// drifter answers each configuration once.
type drifter struct {
	fleet  *Fleet
	repos  *Repos
	offers map[string]*report.Offer // by view

	everything planner.Request // that drift is measured by
}

func (d *drifter) solve(ctx context.Context, inputs []*Input, out []report.HostDrift) error {
	keys := make([]string, len(inputs))
	first := map[string]int{}
	for i, in := range inputs {
		if in == nil {
			continue
		}
		shell := in.Host
		shell.Installed = nil
		keys[i] = in.Facts.InstalledDigest + "\x00" + planner.Key(shell, ViewID(in.View), d.everything)
		if _, seen := first[keys[i]]; !seen {
			first[keys[i]] = i
		}
		if err := d.offer(ctx, in); err != nil {
			return err
		}
	}
	results := make([]report.HostDrift, len(inputs))
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(runtime.GOMAXPROCS(0))
	for _, i := range first {
		work.Go(func() (err error) {
			results[i], err = d.compare(ctx, inputs[i])
			return err
		})
	}
	if err := work.Wait(); err != nil {
		return err
	}
	for i, in := range inputs {
		if in != nil {
			out[i] = results[first[keys[i]]]
		}
	}
	return nil
}

// offer prepares the view of a host.
func (d *drifter) offer(ctx context.Context, in *Input) error {
	id := ViewID(in.View)
	if d.offers[id] != nil {
		return nil
	}
	var packages []*rpm.Package
	var advisories []planner.Advisory
	for _, cfg := range in.View {
		one, err := d.repos.Open(ctx, cfg.ID)
		if err != nil {
			return err
		}
		// Nobody is up to date by a mirror that was put back, or is not mounted.
		if _, _, err := d.fleet.compareLast(ctx, one); err != nil {
			return err
		}
		list, err := one.Advisories()
		if err != nil {
			return err
		}
		for i := range list {
			advisories = append(advisories, advisory(&list[i]))
		}
		if !cfg.Auto {
			continue // nothing comes from it by itself, so nobody is behind it
		}
		for _, p := range one.Packages() {
			packages = append(packages, p.Package)
		}
	}
	d.offers[id] = report.NewOffer(packages, advisories)
	return nil
}

// advisory turns one of a repository into the planner's words.
func advisory(a *repo.Advisory) planner.Advisory {
	out := planner.Advisory{ID: a.ID, Type: a.Type, Severity: a.Severity, Status: a.Status, CVEs: a.CVEs, Packages: make([]rpm.NEVRA, len(a.Packages))}
	for i := range a.Packages {
		out.Packages[i] = a.Packages[i].NEVRA
	}
	return out
}

func (d *drifter) compare(ctx context.Context, in *Input) (report.HostDrift, error) {
	known := func(n rpm.NEVRA) bool {
		at, err := d.repos.Find(ctx, n)
		return err == nil && len(at) > 0
	}
	result, err := in.Universe.Solve(in.Host, d.everything)
	if errors.As(err, new(*planner.PolicyConflict)) {
		return report.Incomparable(string(planner.StatusPolicy), err.Error()), nil
	}
	if err != nil {
		return report.Incomparable(string(planner.StatusUnsolved), err.Error()), nil
	}
	installOnly := func(p *rpm.Package) bool { return planner.IsInstallOnly(p, in.Host.InstallOnly) }
	out := d.offers[ViewID(in.View)].Compare(in.Host.Installed, known, installOnly, result)
	for _, m := range out.Missing { // an update is of every advisory that it steps over, and one that is held back is owed too
		out.Advisories = append(out.Advisories, in.Universe.Fixes(m.Installed, m.Available, in.Host.Modules)...)
	}
	if err := in.Universe.Err(); err != nil {
		return out, err
	}
	slices.Sort(out.Advisories)
	out.Advisories = slices.Compact(out.Advisories)
	out.Extra = append(out.Extra, in.List.Missing...)
	slices.SortFunc(out.Extra, rpm.CompareNEVRA)
	if out.Detail = in.List.Unknown(); out.Detail != "" {
		out.PreBroken = []string{} // nobody can tell
	}
	if why := in.List.LeftOut(); why != "" {
		out.Status, out.Detail = string(planner.StatusNoHeaders), why
	}
	return out, nil
}

// differences compares the hosts of each class and of each cluster.
func (f *Fleet) differences(hosts []*inventory.Host, inputs []*Input) []report.Difference {
	classes, clusters := map[string][]report.Member{}, map[string][]report.Member{}
	lists := map[*List][]rpm.NEVRA{}
	for i, h := range hosts {
		if inputs[i] == nil {
			continue
		}
		list := inputs[i].List
		if lists[list] == nil {
			for _, p := range list.Packages {
				lists[list] = append(lists[list], p.NEVRA)
			}
			lists[list] = append(lists[list], list.Missing...) // they are there, whatever else is not known
		}
		m := report.Member{Host: h.Name, Packages: lists[list]}
		if h.Class != "" {
			classes[h.Class] = append(classes[h.Class], m)
		}
		for _, c := range h.Clusters {
			clusters[c] = append(clusters[c], m)
		}
	}
	out := []report.Difference{}
	for _, c := range f.Site.Classes {
		out = append(out, report.Differences("class "+c.Name, classes[c.Name], false)...)
	}
	names := make([]string, 0, len(clusters))
	for name := range clusters {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		out = append(out, report.Differences("cluster "+name, clusters[name], true)...)
	}
	return out
}
