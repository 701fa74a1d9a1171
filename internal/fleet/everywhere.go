package fleet

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"cpacman/internal/host"
	"cpacman/inventory"
	"cpacman/planner"
)

// sameEverywhere follows the rules of that name: what a rule matches ends at one version on every host of its policy, or moves on none
// (PLAN-9). A host of the policy that this plan does not solve cannot move, so then nothing that the rule matches does.
func (f *Fleet) sameEverywhere(ctx context.Context, req PlanRequest, candidates []*candidate, groups []*group) error {
	rules := everywhereRules(groups)
	if len(rules) == 0 {
		return nil
	}
	if req.Amends != nil {
		for _, rule := range rules {
			keepEverywhere(*req.Amends, rule, groups)
		}
		return nil
	}
	facts, err := f.StoredFacts(ctx)
	if err != nil {
		return err
	}
	for _, rule := range rules {
		var mine []*group
		for _, g := range groups {
			if g.err == nil && slices.ContainsFunc(g.input.Policies, func(r planner.Rule) bool { return isSame(r, rule) }) {
				mine = append(mine, g)
			}
		}
		if absent := f.absent(rule, facts, candidates); absent != "" {
			holdEverywhere(rule, absent, mine)
		} else if err := agree(rule, mine); err != nil {
			return err
		}
	}
	return nil
}

func isSame(a, b planner.Rule) bool {
	return a.Action == planner.ActionSameEverywhere && a.Policy == b.Policy && a.Pattern == b.Pattern
}

// everywhereRules lists the rules of that kind over all groups, in a fixed order.
func everywhereRules(groups []*group) []planner.Rule {
	var out []planner.Rule
	for _, g := range groups {
		for _, r := range g.input.Policies {
			if r.Action == planner.ActionSameEverywhere && !slices.ContainsFunc(out, func(o planner.Rule) bool { return isSame(o, r) }) {
				out = append(out, r)
			}
		}
	}
	slices.SortFunc(out, func(a, b planner.Rule) int {
		return strings.Compare(a.Policy+"\x00"+a.Pattern, b.Policy+"\x00"+b.Pattern)
	})
	return out
}

// absent names a host of the rule's policy that this plan has no answer for, with the reason; "" for none.
func (f *Fleet) absent(rule planner.Rule, facts map[string]*host.Facts, candidates []*candidate) string {
	p := f.Site.Policy(rule.Policy)
	if p == nil {
		return ""
	}
	asked := map[string]*candidate{}
	for _, c := range candidates {
		asked[c.host.Name] = c
	}
	for _, h := range f.Site.PolicyHosts(p, FactsOf(facts)) {
		switch c := asked[h.Name]; {
		case c == nil:
			return fmt.Sprintf("host %s is not in this plan", h.Name)
		case c.group == nil:
			return fmt.Sprintf("host %s is %s", h.Name, c.entry.Status)
		case c.group.err != nil:
			return fmt.Sprintf("host %s cannot be solved", h.Name)
		case keptBack(c) != "":
			return fmt.Sprintf("host %s is %s", h.Name, keptBack(c))
		default:
			if out := c.group.list.leavesOut(rule.Pattern); len(out) > 0 {
				return fmt.Sprintf("host %s has %s, which is left out", h.Name, out[0])
			}
		}
	}
	return ""
}

// keptBack is the status of a host that is solved and will not be planned all the same, which describe decides later; "" for others.
func keptBack(c *candidate) planner.HostStatus {
	switch l := c.group.list; {
	case len(l.Missing) > 0 && c.facts.Source == "ssh":
		return planner.StatusNoHeaders
	case c.settings.PreBroken == inventory.PreBrokenHold && l.Unknown() == "" && c.group.result != nil && len(c.group.result.Faults) > 0:
		return planner.StatusPreBroken
	}
	return ""
}

// holdEverywhere plans the groups again with what the rule matches kept as it is.
func holdEverywhere(rule planner.Rule, because string, groups []*group) {
	for _, g := range groups {
		hold := planner.KeepEverywhere(rule, because)
		for _, r := range g.input.Policies {
			hold.Priority = max(hold.Priority, r.Priority+1)
		}
		g.input.Policies = append(slices.Clone(g.input.Policies), hold)
		g.result, g.err = g.universe.Solve(g.input, g.request)
		g.notes = append(g.notes, fmt.Sprintf("policy %s: %s stays as it is everywhere, because %s", rule.Policy, rule.Pattern, because))
	}
}

// name is what reasons call the hosts of a group.
func (g *group) name() string {
	first := g.members[0].host.Name
	if n := len(g.members); n > 1 {
		return fmt.Sprintf("%s (one of %d alike)", first, n)
	}
	return first
}

// agree lets the planner find the version that all groups can have.
func agree(rule planner.Rule, groups []*group) error {
	plans := make([]planner.HostPlan, len(groups))
	for i, g := range groups {
		plans[i] = planner.HostPlan{Name: g.name(), Universe: g.universe, Host: g.input, Request: g.request, Result: g.result}
	}
	plans, said, err := planner.SameEverywhere(rule, plans)
	if err != nil {
		return fmt.Errorf("policy %s: %w", rule.Policy, err)
	}
	for i, g := range groups {
		g.input, g.result = plans[i].Host, plans[i].Result
		for _, e := range said {
			if !e.Planned {
				g.notes = append(g.notes, fmt.Sprintf("policy %s: %s stays as it is everywhere: %s", rule.Policy, e.Name, strings.Join(e.Because, "; ")))
			}
		}
	}
	return nil
}
