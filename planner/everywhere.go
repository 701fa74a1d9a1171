package planner

import (
	"errors"
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

// ruleEverywhere is the rule of what the holds and pins keep back that a same_everywhere rule comes to.
const ruleEverywhere = ActionSameEverywhere

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
	var all []failure
	for _, to := range tries[:min(len(tries), maxTries)] {
		next, failed, err := pinAll(rule, name, to, plans, all)
		if err != nil {
			return nil, Everywhere{}, err
		}
		if failed == "" {
			return next, Everywhere{Name: name, Planned: true, EVR: to, Because: because}, nil
		}
		all = append(all, failure{to, failed})
		because = append(because, failed)
	}
	next, err := holdAll(rule, name, plans, all)
	return next, Everywhere{Name: name, Because: because}, err
}

// failure is an EVR that not all hosts can have, with the host that cannot and why.
type failure struct {
	to      rpm.EVR
	because string
}

// KeepEverywhere is the hold that keeps what a same_everywhere rule matches as it is, with what people are told of it.
func KeepEverywhere(rule Rule, because string) Rule {
	return Rule{Action: ActionHold, Pattern: rule.Pattern, Policy: rule.Policy, Owner: rule.Owner, Reason: rule.Reason, Priority: rule.Priority,
		Because: keptBy(rule) + " as it is, because " + because}
}

// keptBy begins what is said of a package that a same_everywhere rule keeps back. The operator wrote neither a hold nor a pin.
func keptBy(rule Rule) string {
	text := "policy " + printable(rule.Policy) + " (" + ActionSameEverywhere
	if rule.Owner != "" {
		text += ", owner " + printable(rule.Owner)
	}
	if rule.Reason != "" {
		text += ": " + printable(rule.Reason)
	}
	return text + ") keeps it"
}

// obstacleOf says which host is in the way of what a host would go to by itself, and why: what was tried of that EVR, else of the newest.
func obstacleOf(p *HostPlan, name string, all []failure) string {
	if len(all) == 0 {
		return ""
	}
	_, after := ends(p, name)
	i := slices.IndexFunc(all, func(f failure) bool {
		return slices.ContainsFunc(after, func(e rpm.EVR) bool { return rpm.Compare(e, f.to) == 0 })
	})
	return ", because " + all[max(i, 0)].because
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

// pinAll plans every host that has a name with a pin to one EVR; failed says which host does not get there, and why. What failed before is for people.
func pinAll(rule Rule, name string, to rpm.EVR, plans []HostPlan, before []failure) (out []HostPlan, failed string, err error) {
	out = slices.Clone(plans)
	cannot := func(p *HostPlan, because string) string {
		return fmt.Sprintf("host %s cannot go to %s: %s", p.Name, to, because)
	}
	ahead := "" // where nothing is in the way, it is another host that has that version
	if len(before) == 0 {
		ahead = leader(name, to, plans)
	}
	for i := range out {
		now, after := ends(&out[i], name)
		if len(now) == 0 || len(after) == 1 && rpm.Compare(after[0], to) == 0 {
			continue
		}
		if because := ruledOut(&out[i], name, to); because != "" {
			return nil, cannot(&out[i], because), nil
		}
		text := keptBy(rule) + " at " + to.String() + obstacleOf(&plans[i], name, before) + ahead
		switch err := again(&out[i], Rule{Action: ActionPin, Pattern: name, Value: to.String(), Because: text}, rule); {
		case errors.Is(err, ErrTooHard): // no reason to plan nobody
			return nil, cannot(&out[i], err.Error()), nil
		case err != nil:
			return nil, "", err
		}
		if _, after = ends(&out[i], name); len(after) != 1 || rpm.Compare(after[0], to) != 0 {
			return nil, cannot(&out[i], why(&out[i], name, to, now, after)), nil
		}
	}
	return out, "", nil
}

// leader says which host ends at an EVR by itself; "" for none.
func leader(name string, to rpm.EVR, plans []HostPlan) string {
	for i := range plans {
		if _, after := ends(&plans[i], name); slices.ContainsFunc(after, func(e rpm.EVR) bool { return rpm.Compare(e, to) == 0 }) {
			return ", which is what host " + plans[i].Name + " ends at"
		}
	}
	return ""
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

// holdAll plans every host that has a name with a hold, since nothing that was tried will do.
func holdAll(rule Rule, name string, plans []HostPlan, tried []failure) ([]HostPlan, error) {
	out := slices.Clone(plans)
	for i := range out {
		now, _ := ends(&out[i], name)
		if len(now) == 0 {
			continue
		}
		text := keptBy(rule) + " at " + joinEVRs(now) + obstacleOf(&plans[i], name, tried)
		if err := again(&out[i], Rule{Action: ActionHold, Pattern: name, Because: text}, rule); err != nil {
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

// why says what keeps a host from an EVR that it was pinned to. What the pin itself keeps out is no reason.
func why(p *HostPlan, name string, to rpm.EVR, now, after []rpm.EVR) string {
	var blocked string
	for _, b := range p.Result.Set.Blocked {
		if b.NEVRA.Name == name && b.Rule != ruleEverywhere && rpm.Compare(b.Available.EVR, to) == 0 {
			blocked = b.Because
		}
	}
	for _, h := range p.Result.Set.Held {
		if h.NEVRA.Name == name && rpm.Compare(h.Available.EVR, to) == 0 {
			return strings.Join(h.Because, "; ")
		}
	}
	switch {
	case blocked != "":
		return blocked
	case !slices.ContainsFunc(now, func(e rpm.EVR) bool { return rpm.Compare(e, to) < 0 }):
		return "it has " + joinEVRs(now) + ", which is newer"
	case !slices.ContainsFunc(p.Universe.named(name), func(id int32) bool { return rpm.Compare(p.Universe.cands[id].EVR, to) == 0 }):
		return "no repository of its view has that"
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
