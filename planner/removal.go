package planner

import (
	"fmt"
	"slices"
	"strings"

	"cpacman/internal/rpm"
)

// findRemovals picks the installed packages that policies remove: all that are named, less those that something needs that stays, the
// running kernel, and what the host protects.
func (p *problem) findRemovals() {
	if !slices.ContainsFunc(p.h.Policies, func(r Rule) bool { return r.Action == ActionRemove }) {
		return
	}
	p.removals = map[int32]*Rule{}
	out := map[int32]bool{}
	for n := range int32(p.installed) {
		if r := p.removalRule(n); r != nil && p.keepsAnyway(n) == "" {
			out[n] = true
			p.removals[n] = r
		}
	}
	for changed := true; changed; {
		changed = false
		for m := range int32(p.installed) {
			if out[m] {
				continue
			}
			for _, d := range p.nodes[m].pkg.Requires {
				for _, n := range p.missedNow(d, out) {
					delete(out, n)
					delete(p.removals, n)
					changed = true
				}
			}
		}
	}
}

// removalRule returns the rule by which an installed package is to leave.
func (p *problem) removalRule(n int32) *Rule {
	pkg := p.nodes[n].pkg
	r := p.name(pkg.Name).remove
	if r == nil || !p.acts(pkg.Name) || !matchNamed(r.Pattern, pkg.NEVRA) || firstMatch(p.r.Filter.Exclude, pkg.NEVRA) != "" {
		return nil
	}
	return r
}

// unwelcome tells whether a policy removes a package wherever it can, so that it is not to come in, or to go on, as a replacement. What is
// needed may replace all the same.
func (p *problem) unwelcome(c *rpm.Package) bool {
	r := p.name(c.Name)
	return p.target == nil && r.remove != nil && matchNamed(r.remove.Pattern, c.NEVRA) &&
		!slices.ContainsFunc(r.installed, func(n int32) bool { return p.removals[n] == nil })
}

// keepsAnyway says what keeps a package whatever a policy wants.
func (p *problem) keepsAnyway(n int32) string {
	switch r := p.name(p.nodes[n].pkg.Name); {
	case r.heldBecause != "":
		return r.heldBecause
	case r.stays != "":
		return r.stays
	case p.mustRun(n):
		return mayRun
	}
	return ""
}

// missedNow returns the packages of a removal that a requirement of the installed set cannot do without.
func (p *problem) missedNow(d rpm.Dep, out map[int32]bool) []int32 {
	if isRpmlib(d.Name) {
		return nil
	}
	now := func(d rpm.Dep) []int32 { return p.installedFor(d) }
	left := func(d rpm.Dep) []int32 {
		return slices.DeleteFunc(p.installedFor(d), func(q int32) bool { return out[q] })
	}
	var all []int32
	if d.IsRich() {
		r, err := rpm.ParseRich(d.Name)
		if err != nil || evalRich(r, left) {
			return nil
		}
		all = leavingOf(r, true, now)
	} else {
		if all = now(d); len(all) == 0 || len(left(d)) > 0 {
			return nil
		}
	}
	return slices.DeleteFunc(all, func(q int32) bool { return !out[q] })
}

// policyRemovals writes the removals that the result bears, and why the others do not happen.
func (s *solution) policyRemovals() {
	if s.removals == nil {
		return
	}
	gone := map[rpm.NEVRA]bool{}
	for _, r := range s.result.Set.Remove {
		gone[r.NEVRA] = true
	}
	out := map[int32]bool{}
	for n := range int32(s.installed) {
		if s.removalRule(n) != nil && s.keepsAnyway(n) == "" && s.model[n] && !gone[s.nodes[n].pkg.NEVRA] {
			out[n] = true
		}
	}
	left := func(m int32) bool { return s.model[m] && !gone[s.nodes[m].pkg.NEVRA] }
	for changed := true; changed && len(out) > 0; {
		changed = false
		for m := range int32(len(s.nodes)) {
			if !left(m) || out[m] {
				continue
			}
			for n := s.breaksAny(m, out); n >= 0; n = s.breaksAny(m, out) {
				delete(out, n)
				changed = true
			}
		}
	}
	for n := range int32(s.installed) {
		rule := s.removalRule(n)
		if rule == nil || gone[s.nodes[n].pkg.NEVRA] {
			continue
		}
		pkg := s.nodes[n].pkg
		if out[n] {
			s.result.Set.Remove = append(s.result.Set.Remove, Remove{pkg.NEVRA, rulePolicy, "removed " + rule.by()})
			continue
		}
		because := s.keepsAnyway(n)
		if because == "" {
			because = s.neededStill(n, out)
		}
		s.result.Set.Blocked = append(s.result.Set.Blocked, Blocked{pkg.NEVRA, pkg.NEVRA, ruleRemove,
			fmt.Sprintf("to be removed %s; it stays: %s", rule.by(), because)})
	}
}

// rid solves again what policies remove and what was needed until the result: it goes, rather than to its newest build. Where something would keep it all the
// same, the first solution stands.
func (u *Universe) rid(s *solution) (*solution, error) {
	freed := s.freed()
	if len(freed) == 0 {
		return s, nil
	}
	again, err := u.attempt(s.h, s.r, "", freed)
	if err != nil {
		return nil, err
	}
	for _, n := range freed {
		if !slices.ContainsFunc(again.result.Set.Remove, func(r Remove) bool { return r.NEVRA == s.nodes[n].pkg.NEVRA && r.Rule == rulePolicy }) {
			return s, nil
		}
	}
	return again, nil
}

// freed lists the installed packages that policies remove and that go to another build, though nothing of the result needs that.
func (s *solution) freed() []int32 {
	if s.removals == nil {
		return nil // no policy removes anything
	}
	var moved []int32
	out, of := map[int32]bool{}, map[int32]int32{} // what may go, and for what it came in
	for n := range int32(s.installed) {
		switch {
		case s.nodes[n].only || s.removalRule(n) == nil || s.keepsAnyway(n) != "":
		case s.model[n]:
			out[n] = true
		default:
			for m := int32(s.installed); m < int32(len(s.nodes)); m++ {
				if s.model[m] && s.nodes[m].pkg.NameArch() == s.nodes[n].pkg.NameArch() {
					out[m], of[n] = true, m
				}
			}
			moved = append(moved, n)
		}
	}
	if len(of) == 0 {
		return nil
	}
	for changed := true; changed; {
		changed = false
		for m := range int32(len(s.nodes)) {
			if !s.model[m] || out[m] {
				continue
			}
			for n := s.breaksAny(m, out); n >= 0; n = s.breaksAny(m, out) {
				delete(out, n)
				changed = true
			}
		}
	}
	return slices.DeleteFunc(moved, func(n int32) bool { m, ok := of[n]; return !ok || !out[m] })
}

// neededStill names what needs a package, or its update, after the result.
func (s *solution) neededStill(n int32, out map[int32]bool) string {
	try := map[int32]bool{n: true}
	for m := range int32(len(s.nodes)) { // what takes its place counts as it
		if s.model[m] && s.nodes[m].pkg.NameArch() == s.nodes[n].pkg.NameArch() {
			try[m] = true
		}
	}
	var who []string
	for m := range int32(len(s.nodes)) {
		if !s.model[m] || out[m] || try[m] {
			continue
		}
		if s.breaksAny(m, try) >= 0 {
			who = append(who, s.nodes[m].pkg.NEVRA.String())
		}
	}
	const shown = 3
	switch {
	case len(who) == 0:
		return "another build of it is wanted"
	case len(who) > shown:
		return strings.Join(who[:shown], ", ") + fmt.Sprintf(" and %d more need it", len(who)-shown)
	case len(who) == 1:
		return who[0] + " needs it"
	}
	return strings.Join(who, ", ") + " need it"
}

// standsIn names the first build of the target that does not come and whose place an installed package has taken; "" for none.
func (s *solution) standsIn(n int32) string {
	for _, t := range s.standsFor(n) {
		if !slices.ContainsFunc(s.buildsOf(t), func(m int32) bool { return int(m) < len(s.model) && s.model[m] }) {
			return t.String()
		}
	}
	return ""
}

// blockedTarget lists what the target has and the host cannot get.
func (s *solution) blockedTarget() {
	line := func(n rpm.NEVRA, have rpm.NEVRA, rule, because string) {
		s.result.Set.Blocked = append(s.result.Set.Blocked, Blocked{have, n, rule, because})
	}
	have, there := map[rpm.NameArch]rpm.NEVRA{}, map[rpm.NEVRA]bool{}
	for n := range s.installed {
		have[s.nodes[n].pkg.NameArch()] = s.nodes[n].pkg.NEVRA
		there[s.nodes[n].pkg.NEVRA] = true // a rule keeps out no more what is installed
	}
	from := func(n rpm.NEVRA) rpm.NEVRA {
		if h, ok := have[n.NameArch()]; ok {
			return h
		}
		return n
	}
	for _, n := range s.gone() {
		line(n, from(n), ruleMissing, "no repository of the view has it")
	}
	names := map[string]bool{}
	for n := range s.target.set {
		names[n.Name] = true
	}
	for _, name := range sortedKeys(names) {
		for _, d := range s.told(name) {
			if c := &s.u.cands[d.cand]; s.target.set[c.NEVRA] && d.rule != ruleTarget && !there[c.NEVRA] {
				line(c.NEVRA, from(c.NEVRA), d.rule, d.because)
			}
		}
	}
	both := map[rpm.NameArch]bool{} // of these what the target has stays, so that another build is one too many
	for n := range s.installed {
		if pkg := s.nodes[n].pkg; s.model[n] && s.target.set[pkg.NEVRA] {
			both[pkg.NameArch()] = true
		}
	}
	for n := range int32(s.installed) {
		pkg := s.nodes[n].pkg
		if key := pkg.NameArch(); !s.model[n] || s.target.set[pkg.NEVRA] || s.target.keys[key] && !both[key] && !s.nodes[n].only {
			continue
		}
		switch because, g := s.keepsAnyway(n), firstMatch(s.r.Filter.Exclude, pkg.NEVRA); {
		case g != "":
			line(pkg.NEVRA, pkg.NEVRA, ruleTarget, "the target does not have it; it stays: excluded by the request: "+g)
		case because != "":
			line(pkg.NEVRA, pkg.NEVRA, ruleTarget, "the target does not have it; it stays: "+because)
		case s.standsIn(n) != "":
			line(pkg.NEVRA, pkg.NEVRA, ruleTarget, "the target does not have it; it stays: it took the place of "+s.standsIn(n)+", which does not come")
		default:
			line(pkg.NEVRA, pkg.NEVRA, ruleTarget, "the target does not have it; it stays: "+s.neededStill(n, nil))
		}
	}
}
