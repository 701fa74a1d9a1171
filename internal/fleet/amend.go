package fleet

import (
	"context"
	"fmt"
	"slices"

	"cpacman/internal/host"
	"cpacman/internal/rpm"
	"cpacman/inventory"
	"cpacman/planner"
)

// Plans are what the hosts of one rollout follow: the plan that was reviewed, or an amendment of it.
type Plans struct {
	Reviewed *planner.Plan
	Amended  map[string]*planner.Plan // by host
}

// Of is the plan that a host follows.
func (p Plans) Of(name string) *planner.Plan {
	if a := p.Amended[name]; a != nil {
		return a
	}
	return p.Reviewed
}

// set is the set that a host has now.
func (p Plans) set(name string) (planner.Set, bool) {
	plan := p.Of(name)
	entry, ok := plan.Host(name)
	if !ok {
		return planner.Set{}, false
	}
	return plan.Set(entry.Set)
}

// AmendStatus says what became of one host when an amendment was computed.
type AmendStatus string

// The statuses.
const (
	AmendDiffers AmendStatus = "differs" // its set is another one now
	AmendSame    AmendStatus = "same"    // its set is what it was: it needs no amendment
	AmendRefused AmendStatus = "refused" // it cannot be amended, and Why says why
)

// AmendHost is what an amendment means for one host.
type AmendHost struct {
	Host        string               `json:"host"`
	Status      AmendStatus          `json:"status"`
	Why         string               `json:"why,omitempty"`
	Unreachable bool                 `json:"unreachable,omitempty"` // refused because it did not answer
	SetBefore   string               `json:"set_before,omitempty"`
	SetAfter    string               `json:"set_after,omitempty"`
	Empty       bool                 `json:"empty,omitempty"` // nothing is left to do
	Differences []planner.Difference `json:"differences"`
}

// AmendPlan is an amendment before anybody has said yes to it.
type AmendPlan struct {
	Plan  *planner.Plan // of the hosts whose set differs; nil: there is none
	Hosts []AmendHost   // all that were asked for, in that order
}

// Amend computes anew the sets of hosts of a rollout from their stored facts: from the snapshots of the reviewed plan, for what that
// asked for (PLAN-10). A repository that changed is *SnapshotError. The amendment expires with the plan. live tells that the hosts were
// asked just now.
func (f *Fleet) Amend(ctx context.Context, repos *Repos, plans Plans, hosts []*inventory.Host, live bool) (*AmendPlan, error) {
	if err := f.CheckSnapshots(ctx, repos, plans.Reviewed); err != nil {
		return nil, err
	}
	facts, err := f.StoredFacts(ctx)
	if err != nil {
		return nil, err
	}
	p := plans.Reviewed
	req := PlanRequest{Hosts: hosts, Selector: p.Requested.Selector, Facts: facts, Live: live, Amends: &plans, Keys: p.Requested.Keys,
		Request: planner.Request{Filter: p.Requested.Filter, Type: p.Type, Weak: p.Requested.Weak}}
	planned, err := f.Plan(ctx, repos, req)
	if err != nil {
		return nil, err
	}
	out := &AmendPlan{}
	var differ []*inventory.Host
	for _, h := range hosts {
		one, err := f.amendHost(ctx, plans, h, facts[h.Name], planned.Plan)
		if err != nil {
			return nil, err
		}
		if out.Hosts = append(out.Hosts, one); one.Status == AmendDiffers {
			differ = append(differ, h)
		}
	}
	if len(differ) == 0 {
		return out, nil
	}
	if len(differ) < len(hosts) {
		req.Hosts = differ
		if planned, err = f.Plan(ctx, repos, req); err != nil {
			return nil, err
		}
	}
	out.Plan = planned.Plan
	out.Plan.ExpiresAt = p.ExpiresAt
	if err := out.Plan.Seal(); err != nil {
		return nil, fmt.Errorf("the amendment: %w", err)
	}
	return out, nil
}

// amendHost compares the set of one host with the one it has, and says why it cannot be amended.
func (f *Fleet) amendHost(ctx context.Context, plans Plans, h *inventory.Host, facts *host.Facts, now *planner.Plan) (AmendHost, error) {
	out := AmendHost{Host: h.Name, Status: AmendRefused, Differences: []planner.Difference{}}
	refuse := func(format string, args ...any) (AmendHost, error) {
		out.Why = fmt.Sprintf(format, args...)
		return out, nil
	}
	was, planned := plans.Of(h.Name).Host(h.Name)
	before, known := plans.set(h.Name)
	entry, _ := now.Host(h.Name)
	after, solved := now.Set(entry.Set)
	switch {
	case !planned || !known:
		return refuse("it has no set in the plan")
	case entry.Status != planner.StatusPlanned && entry.Status != planner.StatusNothing:
		out.Unreachable = entry.Status == planner.StatusUnreachable
		return refuse("%s: %s", entry.Status, entry.Detail)
	case !solved:
		return refuse("it has no set now: %s", entry.Detail)
	case was.MachineID != "" && was.MachineID != entry.MachineID:
		return refuse("another machine answers under this name (machine-id %.12s, the plan was made for %.12s): make a new plan", entry.MachineID, was.MachineID)
	case was.Class != entry.Class || was.Level != entry.Level:
		return refuse("it is in class %q, level %q now, and the plan has it in class %q, level %q: make a new plan", entry.Class, entry.Level, was.Class, was.Level)
	}
	for _, r := range f.View(h, facts) {
		if !bound(plans.Reviewed, r.ID) {
			return refuse("repository %s is in its view now and was not in the plan: make a new plan", r.ID)
		}
	}
	if text, err := f.stillCut(ctx, facts, before, after); text != "" || err != nil {
		out.Why = text
		return out, err
	}
	out.SetBefore, out.SetAfter, out.Empty = before.ID, after.ID, after.Empty()
	out.Differences = planner.Differences(before, after)
	if why, err := f.leavesOthers(ctx, plans.Reviewed, h, facts, after); why != "" || err != nil {
		out.Why = why
		return out, err
	}
	if out.Status = AmendDiffers; len(out.Differences) == 0 {
		out.Status = AmendSame
	}
	return out, nil
}

// stillCut says what a transaction of the plan that was cut has left on a host and its set of now does not take away: a host that followed that set would
// count as updated. "" for nothing.
func (f *Fleet) stillCut(ctx context.Context, facts *host.Facts, before, after planner.Set) (string, error) {
	installed, err := f.Store.Installed(ctx, facts.InstalledDigest)
	if err != nil {
		return "", err
	}
	there := make(map[rpm.NEVRA]bool, len(installed))
	for _, n := range nevras(installed) {
		there[n] = true
	}
	for _, m := range slices.Concat(after.Upgrade, after.Downgrade) {
		delete(there, m.From)
	}
	for _, r := range after.Remove {
		delete(there, r.NEVRA)
	}
	return cutWords(before, there), nil
}

// bound tells whether a plan is bound to a repository.
func bound(p *planner.Plan, id string) bool {
	for _, r := range p.Repos {
		if r.ID == id {
			return true
		}
	}
	return false
}

// leavesOthers says which policy would be broken, because other hosts have or get what the plan said: "" for none (PLAN-9).
func (f *Fleet) leavesOthers(ctx context.Context, reviewed *planner.Plan, h *inventory.Host, facts *host.Facts, after planner.Set) (string, error) {
	resolved, _ := f.Site.Policies(h, oneHost(facts), f.now())
	for _, r := range resolved.Rules {
		if string(r.Action) != planner.ActionSameEverywhere {
			continue
		}
		installed, err := f.Store.Installed(ctx, facts.InstalledDigest)
		if err != nil {
			return "", err
		}
		if !planner.Agrees(r.Pattern, reviewed.Sets, nevras(installed), after) {
			return fmt.Sprintf("policy %s keeps %s at one version everywhere, and here it would be another than the plan's: make a new plan for all of its hosts", r.Policy, r.Pattern), nil
		}
	}
	return "", nil
}

// keepEverywhere plans the groups again with what a rule keeps at one version everywhere left as it is, where the plan moves it on no
// host; where it does, leavesOthers compares.
func keepEverywhere(plans Plans, rule planner.Rule, groups []*group) {
	for _, set := range plans.Reviewed.Sets {
		if set.Moves(rule.Pattern) {
			return
		}
	}
	for _, g := range groups {
		if g.err == nil && hasRule(g, rule) {
			holdEverywhere(rule, "it stays so in the plan that is amended", []*group{g})
		}
	}
}

func hasRule(g *group, rule planner.Rule) bool {
	for _, r := range g.input.Policies {
		if isSame(r, rule) {
			return true
		}
	}
	return false
}

// AlsoProvision proves the packages of another plan of the same rollout, those that are proven already left out. What is wrong is
// reported as Provision does, beside what is right.
func (f *Fleet) AlsoProvision(ctx context.Context, repos *Repos, p *planner.Plan, have *Provisioned) error {
	rest := *p
	rest.Packages, rest.RollbackPackages = have.without(p.Packages), have.without(p.RollbackPackages)
	more, err := f.Provision(ctx, repos, &rest)
	if more == nil {
		return err
	}
	for key, file := range more.files {
		have.files[key] = file
	}
	have.Bytes += more.Bytes
	have.NoBack = append(have.NoBack, more.NoBack...)
	have.Warnings = append(have.Warnings, more.Warnings...)
	return err
}

// without leaves the packages out that are proven.
func (p *Provisioned) without(list []planner.PlanPackage) []planner.PlanPackage {
	var out []planner.PlanPackage
	for _, one := range list {
		if have, ok := p.files[fileKey(one)]; !ok || have.NEVRA != one.NEVRA || one.SHA256 != "" && one.SHA256 != have.SHA256 {
			out = append(out, one)
		}
	}
	return out
}
