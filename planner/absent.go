package planner

import (
	"slices"
	"strings"

	"cpacman/internal/rpm"
)

// explainNew explains names that are not installed: pulled in, or only there to be had.
func (s *solution) explainNew(pkg string, done map[string]bool) []ExplainedItem {
	best := map[rpm.NameArch]rpm.NEVRA{}
	arrives := func(key rpm.NameArch) bool { // another arch of what is installed
		return slices.ContainsFunc(s.result.Set.Install, func(i Install) bool { return !i.InstallOnly && i.NEVRA.NameArch() == key })
	}
	s.u.fillAll()
	for id := range s.u.cands {
		c := &s.u.cands[id]
		if done[c.Name] && !arrives(c.NameArch()) || !matchPackage(pkg, c.NEVRA) {
			continue
		}
		if b, ok := best[c.NameArch()]; !ok || rpm.Compare(c.EVR, b.EVR) > 0 {
			best[c.NameArch()] = c.NEVRA
		}
	}
	for _, b := range s.result.Set.Blocked { // a target may have what no repository has
		if _, ok := best[b.Available.NameArch()]; !ok && s.target != nil && !done[b.Available.Name] && matchPackage(pkg, b.Available) {
			best[b.Available.NameArch()] = b.Available
		}
	}
	var out []ExplainedItem
	for key, newest := range best {
		out = append(out, s.explainAbsent(key, newest))
	}
	slices.SortFunc(out, func(a, b ExplainedItem) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// explainAbsent explains a name.arch that is not installed.
func (s *solution) explainAbsent(key rpm.NameArch, newest rpm.NEVRA) ExplainedItem {
	e := ExplainedItem{Name: key.String(), Installed: []rpm.NEVRA{}, Available: &newest, State: ExplainNotInstalled, Because: s.absent(key, newest)}
	for _, b := range s.result.Set.Blocked {
		switch {
		case b.Available.NameArch() != key:
		case b.NEVRA == b.Available: // new in a target
			e.Because = nil
			e.block([]Blocked{b})
		default:
			e.Because = []string{"it would take the place of " + b.NEVRA.String() + " (" + b.Rule + "): " + b.Because}
		}
	}
	for _, in := range s.result.Set.Install {
		if in.NEVRA.NameArch() == key {
			e.State, e.Taken, e.Because, e.Fixes = ExplainPulledIn, &in.NEVRA, nil, in.Fixes
			for _, by := range in.NeededBy {
				e.Because = append(e.Because, s.wantedWords(by))
			}
			e.Because = append(e.Because, s.passedOver(in.NEVRA)...)
		}
	}
	for _, d := range s.told(key.Name) {
		if c := &s.u.cands[d.cand]; c.NameArch() == key {
			e.Dropped = append(e.Dropped, Blocked{Available: c.NEVRA, NEVRA: c.NEVRA, Rule: d.rule, Because: d.because})
		}
	}
	return e
}

// wantedWords says in a sentence what Install.NeededBy has in a word.
func (s *solution) wantedWords(by string) string {
	_, err := rpm.ParseNEVRA(by)
	switch {
	case err == nil && !strings.Contains(by, " "):
		return s.neededWords(by)
	case strings.HasPrefix(by, "policy "):
		return by + " installs it"
	case by == "the target":
		return "the target has it"
	}
	return by
}

// neededWords says who needs a package, and that this one leaves in a step after it.
func (s *solution) neededWords(by string) string {
	for _, r := range s.result.Set.Remove {
		if r.NEVRA.String() == by && r.Rule != ruleObsoleted {
			return "needed by " + by + " until that leaves, in a step of its own after it (" + r.Rule + ")"
		}
	}
	return "needed by " + by
}

// absent says why a package is not there that no rule keeps out: a policy wants it and it cannot come, or it would replace something and cannot, or
// only what was broken before needs it, or nobody.
func (s *solution) absent(key rpm.NameArch, newest rpm.NEVRA) []string {
	names := []string{key.Name}
	for _, w := range s.wishes { // it may be what is taken instead of the name that a policy has
		if slices.ContainsFunc(w.targets, func(n int32) bool { return s.nodes[n].pkg.NameArch() == key }) {
			names = append(names, w.name)
		}
	}
	for _, note := range s.result.Notes {
		if slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(note, name+" is to be installed by ") }) {
			return []string{note}
		}
	}
	for _, l := range s.result.Set.Held {
		if l.Available.NameArch() == key {
			return append([]string{"it would take the place of " + l.NEVRA.String() + ", which is held:"}, l.Because...)
		}
	}
	if out := s.keptFrom(newest); len(out) > 0 {
		return out
	}
	if out := s.brokenWithout(newest); len(out) > 0 {
		return out
	}
	if text := s.replacesNothing(newest); text != "" {
		return []string{text}
	}
	return []string{"nothing that is installed or comes in needs it"}
}

// replacesNothing says which rule keeps a build from replacing what it obsoletes; "" where none does. A plan has one line for all that would.
func (s *solution) replacesNothing(newest rpm.NEVRA) string {
	if s.target != nil {
		return ""
	}
	for _, id := range s.u.named(newest.Name) {
		c := &s.u.cands[id]
		if c.NEVRA != newest {
			continue
		}
		for _, it := range s.items {
			have := s.highest(it)
			if c.Name == it.key.Name || !obsoletes(c.Package, have) {
				continue
			}
			if rule, because := s.replacesNot(it, have, c, id); rule != "" {
				return "it would take the place of " + have.NEVRA.String() + " (" + rule + "): " + because
			}
		}
	}
	return ""
}

// keptFrom says what a build would replace, and which rule forbids that. A plan has one line of a rule for each package, which may be of another build.
func (s *solution) keptFrom(newest rpm.NEVRA) []string {
	var out []string
	for _, it := range s.items {
		have := s.highest(it)
		for _, ref := range s.u.obsoleting(it.key.Name) {
			c := &s.u.cands[ref.id]
			if c.NEVRA != newest || c.Name == it.key.Name || !obsoletes(c.Package, have) {
				continue
			}
			if rule, because := s.replacesNot(it, have, c, ref.id); rule != "" {
				out = append(out, "it would take the place of "+have.NEVRA.String()+" ("+rule+"): "+because)
			}
		}
	}
	return slices.Compact(out)
}

// brokenWithout lists what is there and lacks a build that does not come: broken before, and so not for a plan that is no repair.
func (s *solution) brokenWithout(newest rpm.NEVRA) []string {
	var out []string
	for m := range int32(s.installed) {
		if !s.model[m] {
			continue
		}
		for _, d := range s.nodes[m].pkg.Requires {
			if isRpmlib(d.Name) || d.IsRich() || len(s.installedFor(d)) > 0 {
				continue
			}
			ids := s.candidatesFor(d)
			s.u.ready(ids)
			if slices.ContainsFunc(ids, func(id int32) bool { return s.u.cands[id].NEVRA == newest }) &&
				!slices.ContainsFunc(s.providersOf(d), func(q int32) bool { return s.model[q] }) {
				out = append(out, s.nodes[m].pkg.NEVRA.String()+" needs it: it had "+d.String()+" broken before, which only a plan of repairs mends")
			}
		}
	}
	return out
}
