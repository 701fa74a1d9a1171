package planner

import (
	"fmt"
	"slices"
	"strings"

	"cpacman/internal/rpm"
)

// HostPlan is one host, or one group of hosts with the same key, with its result: what SameEverywhere decides over.
type HostPlan struct {
	Name     string // of the host, for the reasons
	Universe *Universe
	Host     Host
	Request  Request
	Result   *Result // of Universe.Solve(Host, Request)
}

// Everywhere is what was decided for one package name of a same_everywhere rule (PLAN-9).
type Everywhere struct {
	Name    string  // of the package
	Planned bool    // all hosts that have it end at EVR; else it moves on none of them
	EVR     rpm.EVR // where Planned is set
	Because []string
}

// maxTries bounds the EVRs that SameEverywhere tries for a name.
const maxTries = 16

// SameEverywhere makes every package that the rule's Pattern names end at one EVR on all the hosts that have it installed, or move on
// none. It tries the EVRs that the hosts' results lead to, then those that they have now, the newest first, by planning again with
// a pin; where none will do, with a hold. The plans come back in the same order, with the rules that were added in Host.Policies; a
// plan that needed no change is returned as it was. It is pure, as Solve is; errors are those of Solve.
func SameEverywhere(rule Rule, plans []HostPlan) ([]HostPlan, []Everywhere, error) {
	out := slices.Clone(plans)
	var said []Everywhere
	for _, name := range namesIn(rule.Pattern, plans) {
		next, e, err := sameName(rule, name, out)
		if err != nil {
			return nil, nil, err
		}
		out, said = next, append(said, e)
	}
	return out, said, nil
}

// namesIn lists the installed names that a pattern means, sorted.
func namesIn(pattern string, plans []HostPlan) []string {
	names := map[string]bool{}
	for i := range plans {
		for _, p := range plans[i].Host.Installed {
			if p != nil && matchGlob(pattern, p.Name) {
				names[p.Name] = true
			}
		}
	}
	return sortedKeys(names)
}

// sameName decides one name.
func sameName(rule Rule, name string, plans []HostPlan) ([]HostPlan, Everywhere, error) {
	var tries []rpm.EVR
	var because []string
	differ := false
	for i := range plans {
		_, after := ends(&plans[i], name)
		tries = append(tries, after...)
		differ = differ || len(tries) > 0 && slices.ContainsFunc(after, func(e rpm.EVR) bool { return rpm.Compare(e, tries[0]) != 0 })
		if len(after) > 0 {
			because = append(because, fmt.Sprintf("%s would end at %s", plans[i].Name, joinEVRs(after)))
		}
	}
	switch {
	case !differ && len(tries) > 0:
		return plans, Everywhere{Name: name, Planned: true, EVR: tries[0]}, nil
	case !differ: // it leaves everywhere
		return plans, Everywhere{Name: name, Planned: true}, nil
	}
	for i := range plans {
		now, _ := ends(&plans[i], name)
		tries = append(tries, now...)
	}
	slices.SortFunc(tries, func(a, b rpm.EVR) int { return rpm.Compare(b, a) })
	tries = slices.CompactFunc(tries, func(a, b rpm.EVR) bool { return rpm.Compare(a, b) == 0 })
	for _, to := range tries[:min(len(tries), maxTries)] {
		next, failed, err := pinAll(rule, name, to, plans)
		if err != nil {
			return nil, Everywhere{}, err
		}
		if failed == "" {
			return next, Everywhere{Name: name, Planned: true, EVR: to, Because: because}, nil
		}
		because = append(because, failed)
	}
	next, err := holdAll(rule, name, plans)
	return next, Everywhere{Name: name, Because: because}, err
}

// ends lists the EVRs of a name that a host has before and after its result.
func ends(p *HostPlan, name string) (now, after []rpm.EVR) {
	gone := map[rpm.NEVRA]bool{}
	set := &p.Result.Set
	for _, m := range slices.Concat(set.Upgrade, set.Downgrade) {
		gone[m.From] = true
	}
	for _, r := range set.Remove {
		gone[r.NEVRA] = true
	}
	add := func(l []rpm.EVR, e rpm.EVR) []rpm.EVR {
		if slices.Contains(l, e) {
			return l
		}
		return append(l, e)
	}
	for _, i := range p.Host.Installed {
		if i == nil || i.Name != name {
			continue
		}
		now = add(now, i.EVR)
		if !gone[i.NEVRA] {
			after = add(after, i.EVR)
		}
	}
	if len(now) == 0 {
		return nil, nil
	}
	for _, n := range set.Incoming() {
		if n.Name == name {
			after = add(after, n.EVR)
		}
	}
	only := slices.ContainsFunc(set.Install, func(n Install) bool { return n.InstallOnly && n.NEVRA.Name == name }) ||
		slices.ContainsFunc(p.Host.Installed, func(i *rpm.Package) bool { return i != nil && i.Name == name && isInstallOnly(i, p.Host.InstallOnly) })
	if only { // its builds stand beside each other: the newest is what the host is at
		return newestOf(now), newestOf(after)
	}
	return now, after
}

// newestOf leaves the newest of some EVRs.
func newestOf(l []rpm.EVR) []rpm.EVR {
	if len(l) < 2 {
		return l
	}
	return []rpm.EVR{slices.MaxFunc(l, func(a, b rpm.EVR) int { return rpm.Compare(a, b) })}
}

// pinAll plans every host that has a name with a pin to one EVR; failed says which host does not get there, and why.
func pinAll(rule Rule, name string, to rpm.EVR, plans []HostPlan) (out []HostPlan, failed string, err error) {
	out = slices.Clone(plans)
	for i := range out {
		now, after := ends(&out[i], name)
		if len(now) == 0 || len(after) == 1 && rpm.Compare(after[0], to) == 0 {
			continue
		}
		if because := ruledOut(&out[i], name, to); because != "" {
			return nil, fmt.Sprintf("%s cannot go to %s: %s", out[i].Name, to, because), nil
		}
		if err := again(&out[i], Rule{Action: ActionPin, Pattern: name, Value: to.String()}, rule); err != nil {
			return nil, "", err
		}
		if _, after = ends(&out[i], name); len(after) != 1 || rpm.Compare(after[0], to) != 0 {
			return nil, fmt.Sprintf("%s cannot go to %s: %s", out[i].Name, to, why(&out[i], name, after)), nil
		}
	}
	return out, "", nil
}

// ruledOut says which policy of a host keeps a name from an EVR: planning again with a pin must not set it aside. "" where none does.
func ruledOut(p *HostPlan, name string, to rpm.EVR) string {
	var builds []rpm.NEVRA
	for _, i := range p.Host.Installed {
		if i != nil && i.Name == name {
			builds = append(builds, i.NEVRA)
		}
	}
	d, bad := decide(p.Request.Filter.rulesFor(p.Host.Policies, name), name, builds)
	switch {
	case bad != nil:
		return bad.Error()
	case d.hold != nil:
		return d.stays()
	}
	for _, n := range builds {
		n.EVR = to
		if _, because := d.drops(&rpm.Package{NEVRA: n}, true); because != "" {
			return because
		}
	}
	return ""
}

// holdAll plans every host that has a name with a hold.
func holdAll(rule Rule, name string, plans []HostPlan) ([]HostPlan, error) {
	out := slices.Clone(plans)
	for i := range out {
		if now, _ := ends(&out[i], name); len(now) == 0 {
			continue
		}
		if err := again(&out[i], Rule{Action: ActionHold, Pattern: name}, rule); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// again plans one host with one rule more, which wins over the others about that name.
func again(p *HostPlan, extra, of Rule) error {
	extra.Policy, extra.Owner, extra.Reason, extra.Priority = of.Policy, of.Owner, of.Reason, of.Priority
	for _, r := range p.Host.Policies {
		extra.Priority = max(extra.Priority, r.Priority+1)
	}
	p.Host.Policies = append(slices.Clone(p.Host.Policies), extra)
	res, err := p.Universe.Solve(p.Host, p.Request)
	p.Result = res
	return err
}

// why says what a host's plan reports about a name.
func why(p *HostPlan, name string, after []rpm.EVR) string {
	for _, h := range p.Result.Set.Held {
		if h.NEVRA.Name == name {
			return strings.Join(h.Because, "; ")
		}
	}
	for _, b := range p.Result.Set.Blocked {
		if b.NEVRA.Name == name {
			return b.Because
		}
	}
	return "it would stay at " + joinEVRs(after)
}

func joinEVRs(l []rpm.EVR) string {
	out := make([]string, len(l))
	for i, e := range l {
		out[i] = e.String()
	}
	return strings.Join(out, " and ")
}

// RollbackPossible says whether the packages to undo a set are at hand (PLAN-12): have tells whether a build can be had. Packages only: data,
// configuration and schemas stay as they are.
func RollbackPossible(s Set, have func(rpm.NEVRA) bool) RollbackInfo {
	info := RollbackInfo{Missing: []rpm.NEVRA{}}
	need := func(n rpm.NEVRA) {
		if !have(n) && !slices.Contains(info.Missing, n) {
			info.Missing = append(info.Missing, n)
		}
	}
	for _, m := range s.moves() {
		if !m.Again {
			need(m.From)
		}
	}
	for _, r := range s.Remove {
		need(r.NEVRA)
	}
	slices.SortFunc(info.Missing, rpm.CompareNEVRA)
	info.Complete = len(info.Missing) == 0
	return info
}
