package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"cpacman/internal/host"
	"cpacman/internal/repo"
	"cpacman/internal/rpm"
	"cpacman/internal/store"
	"cpacman/inventory"
	"cpacman/planner"
)

// CannotPlan tells that a host cannot be planned from its stored facts, and why.
type CannotPlan struct {
	Host   string
	Status planner.HostStatus
	Detail string
}

// Error names the host and its status.
func (e *CannotPlan) Error() string {
	return fmt.Sprintf("host %s cannot be planned (%s): %s", e.Host, e.Status, e.Detail)
}

// IsDamage tells whether an error is damage of a repository.
func IsDamage(err error) bool {
	var d *repo.Damage
	return errors.As(err, &d)
}

// Input is one host as the planner gets it.
type Input struct {
	Facts    *host.Facts // without packages
	View     []inventory.Repo
	Universe *planner.Universe
	Host     planner.Host
	List     *List
}

// Inputs prepares hosts for the planner from what is stored, reading everything that they share once.
type Inputs struct {
	fleet     *Fleet
	repos     *Repos
	installed *Installed
	facts     map[string]*host.Facts
	contacts  map[string]store.Contact
}

// NewInputs reads the stored facts and contacts.
func (f *Fleet) NewInputs(ctx context.Context, repos *Repos) (*Inputs, error) {
	facts, err := f.StoredFacts(ctx)
	if err != nil {
		return nil, err
	}
	contacts, err := f.Store.Contacts(ctx)
	if err != nil {
		return nil, err
	}
	return &Inputs{fleet: f, repos: repos, installed: f.NewInstalled(repos), facts: facts, contacts: contacts}, nil
}

// newest is when the newest facts are of, which is what ages are counted back from.
func (i *Inputs) newest() (at time.Time) {
	for _, f := range i.facts {
		if f.CollectedAt.After(at) {
			at = f.CollectedAt
		}
	}
	return at
}

// Host prepares one host. The error is *CannotPlan when its facts do not serve; with current set they do not either when the host
// did not answer since.
func (i *Inputs) Host(ctx context.Context, h *inventory.Host, current bool) (*Input, error) {
	f, facts := i.fleet, i.facts[h.Name]
	contact, asked := i.contacts[h.Name]
	// A host in maintenance is in no plan and stays in reports, so its facts are all that counts here.
	if status, detail := f.FactsStatus(f.now(), h, facts, contact, asked, current); status != planner.StatusPlanned {
		return nil, &CannotPlan{h.Name, status, detail}
	}
	in := &Input{Facts: facts, View: f.View(h, facts)}
	if len(in.View) == 0 {
		return nil, &CannotPlan{h.Name, planner.StatusNoView, "no repository of the site matches this host"}
	}
	var err error
	if in.Universe, err = i.repos.Universe(ctx, in.View); err != nil {
		return nil, err
	}
	in.List, err = i.installed.List(ctx, facts.InstalledDigest, func() ([]host.Package, error) { return f.Store.Installed(ctx, facts.InstalledDigest) })
	if err != nil {
		return nil, err
	}
	if in.Host, err = f.plannerHost(f.now(), h, facts); err != nil {
		return nil, &CannotPlan{h.Name, planner.StatusPolicy, err.Error()}
	}
	in.Host.Installed = in.List.Packages
	return in, nil
}

// Explain says why a package of a host moves, stays or comes (PLAN-13), from stored facts.
func (f *Fleet) Explain(ctx context.Context, repos *Repos, h *inventory.Host, req PlanRequest, pkg string) (planner.Explanation, error) {
	inputs, err := f.NewInputs(ctx, repos)
	if err != nil {
		return planner.Explanation{}, err
	}
	in, err := inputs.Host(ctx, h, false)
	if err != nil {
		return planner.Explanation{}, err
	}
	inputs.installed.Save()
	req.Request.At = inputs.newest()
	r, ok := requestFor(&candidate{host: h, settings: f.Site.Settings(h)}, req)
	if !ok {
		return planner.Explanation{}, &CannotPlan{h.Name, planner.StatusNoTarget, noTarget(req, h.Name)}
	}
	if slices.ContainsFunc(in.Host.Policies, func(r planner.Rule) bool { return r.Action == planner.ActionSameEverywhere }) {
		if in.Host, err = f.agreed(ctx, repos, inputs, h, in.Host, req); err != nil {
			return planner.Explanation{}, err
		}
	}
	e, err := in.Universe.Explain(in.Host, r, pkg)
	if errors.As(err, new(*planner.PolicyConflict)) { // about what is installed, which only the planner knows
		return e, &CannotPlan{h.Name, planner.StatusPolicy, err.Error()}
	}
	if err != nil {
		return e, err
	}
	sayLeftOut(&e, in.List.leavesOut(pkg))
	e.Status, e.Detail, err = f.outOfPlan(ctx, h, in, r)
	return e, err
}

// outOfPlan says why a plan leaves out a host whose facts serve, as the plan itself says it: maintenance, a second name of one machine, a broken package
// database, packages that too little is known of. The status is empty where the host is planned.
func (f *Fleet) outOfPlan(ctx context.Context, h *inventory.Host, in *Input, r planner.Request) (planner.HostStatus, string, error) {
	contacts, ids, err := f.beside(ctx)
	if err != nil {
		return "", "", err
	}
	contact, asked := contacts[h.Name]
	if status, detail := f.Status(f.now(), ids, h, in.Facts, contact, asked, false); status != planner.StatusPlanned {
		return status, detail, nil
	}
	entry := planner.PlanHost{Status: planner.StatusPlanned}
	g := &group{list: in.List}
	g.result, g.err = in.Universe.Solve(in.Host, r)
	describe(&candidate{host: h, facts: in.Facts, settings: f.Site.Settings(h), entry: &entry}, g, &answer{impact: &planner.Impact{}})
	if entry.Status == planner.StatusPlanned || entry.Status == planner.StatusNothing {
		return "", "", nil
	}
	return entry.Status, entry.Detail, nil
}

// sayLeftOut corrects what is said of packages that are installed and were left out of the comparison.
func sayLeftOut(e *planner.Explanation, out []rpm.NEVRA) {
	for _, n := range out {
		e.Items = slices.DeleteFunc(e.Items, func(it planner.ExplainedItem) bool {
			return it.State == planner.ExplainUnknown || it.Name == n.NameArch().String() && len(it.Installed) == 0
		})
		e.Items = append(e.Items, planner.ExplainedItem{Name: n.NameArch().String(), Installed: []rpm.NEVRA{n}, State: planner.ExplainLeftOut, Because: []string{
			"its epoch or its dependencies are not known, and no repository has that build: nothing is planned for it"}})
	}
}

// agreed is a host with what its policies of one version everywhere come to, in a plan of every host of theirs (PLAN-9).
func (f *Fleet) agreed(ctx context.Context, repos *Repos, inputs *Inputs, h *inventory.Host, own planner.Host, req PlanRequest) (planner.Host, error) {
	req.Facts, req.Hosts = inputs.facts, []*inventory.Host{h}
	for _, r := range own.Policies {
		p := f.Site.Policy(r.Policy)
		if r.Action != planner.ActionSameEverywhere || p == nil {
			continue
		}
		for _, other := range f.Site.PolicyHosts(p, FactsOf(inputs.facts)) {
			if !slices.Contains(req.Hosts, other) {
				req.Hosts = append(req.Hosts, other)
			}
		}
	}
	candidates, err := f.candidates(ctx, req)
	if err != nil {
		return own, err
	}
	req.Request.At = candidates.at
	groups, err := f.group(ctx, repos, req, candidates.list)
	if err != nil {
		return own, err
	}
	if err := f.solve(ctx, repos, groups); err != nil {
		return own, err
	}
	if err := f.sameEverywhere(ctx, req, candidates.list, groups); err != nil {
		return own, err
	}
	for _, g := range groups {
		for _, c := range g.members {
			if c.host == h {
				return g.input, g.err
			}
		}
	}
	return own, nil
}

// UnknownName tells of an advisory or CVE that no repository of the site knows.
type UnknownName struct {
	Kind, Name string
	Silent     []string // repositories without updateinfo
}

// Error names it.
func (e *UnknownName) Error() string {
	text := fmt.Sprintf("%s %q is in no repository of the site", e.Kind, e.Name)
	if len(e.Silent) > 0 {
		text += "; " + SilentWords(e.Silent)
	}
	return text
}

// SilentWords says of repositories that they have no updateinfo.
func SilentWords(ids []string) string {
	verb := " has"
	if len(ids) > 1 {
		verb = " have"
	}
	return strings.Join(ids, ", ") + verb + " no advisories at all"
}

// told names a repository, and the directory that is read in its place.
func (r *Repos) told(id string) string {
	if at := r.Moved(id); at != "" {
		return id + " at " + at
	}
	return id
}

// Silent names the repositories, of some, that have no updateinfo: of what they have nobody knows which is a fix.
func (r *Repos) Silent(ctx context.Context, ids []string) ([]string, error) {
	repos, err := r.OpenAll(ctx, ids)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, one := range repos {
		if !one.HasAdvisories() {
			out = append(out, r.told(one.ID()))
		}
	}
	return out, nil
}

// CheckNames refuses advisories and CVEs, in whatever case, that no repository knows: a typo must not look like "nothing to fix".
func (r *Repos) CheckNames(ctx context.Context, advisories, cves []string) error {
	if len(advisories)+len(cves) == 0 {
		return nil
	}
	repos, err := r.OpenAll(ctx, r.IDs())
	if err != nil {
		return err
	}
	known := map[string]bool{}
	silent, err := r.Silent(ctx, r.IDs())
	if err != nil {
		return err
	}
	for _, one := range repos {
		list, err := one.Advisories()
		if err != nil {
			return err
		}
		for _, a := range list {
			known[strings.ToLower("advisory "+a.ID)] = true
			for _, c := range a.CVEs {
				known[strings.ToLower("CVE "+c)] = true
			}
		}
	}
	for _, id := range advisories {
		if !known[strings.ToLower("advisory "+id)] {
			return &UnknownName{"advisory", id, silent}
		}
	}
	for _, id := range cves {
		if !known[strings.ToLower("CVE "+id)] {
			return &UnknownName{"CVE", id, silent}
		}
	}
	return nil
}
