package planner

import (
	"fmt"
	"slices"

	"cpacman/internal/rpm"
)

// blocked lists the updates that a rule forbids: the newest for each installed package and rule, when it is newer than all that is
// allowed.
func (s *solution) blocked() {
	if s.r.Type == TypeRepair {
		return
	}
	if s.target != nil {
		s.blockedTarget()
		return
	}
	f := &s.r.Filter
	for _, it := range s.items {
		switch {
		case it.wanted, len(f.Packages) == 0 && !f.ByAdvisory(), s.named(it) && !f.ByAdvisory():
			s.result.Set.Blocked = append(s.result.Set.Blocked, s.blockedItem(it, nil)...)
		case !f.ByAdvisory(): // builds may be named
			s.result.Set.Blocked = append(s.result.Set.Blocked, s.keptOut(it)...)
		case len(f.Packages) == 0, s.named(it):
			s.result.Set.Blocked = append(s.result.Set.Blocked, s.blockedItem(it, s.fixes)...)
		}
	}
}

// named tells whether --package names an installed item.
func (s *solution) named(it *item) bool {
	return slices.ContainsFunc(s.r.Filter.Packages, func(g string) bool {
		return matchGlob(g, it.key.Name) || matchGlob(g, it.key.String())
	})
}

// fixes tells whether a build has what a selected advisory wants of an item, or is what one that is named has taken back.
func (s *solution) fixes(it *item, c *candidate) bool {
	return len(s.fixedBy(it, c.NEVRA)) > 0 || slices.ContainsFunc(s.u.listed(c.Name), func(l listed) bool {
		return l.advisory.retracted() && l.nevra == c.NEVRA && s.r.Filter.names(l.advisory) &&
			(c.Name != it.key.Name || rpm.Compare(c.EVR, s.highest(it).EVR) > 0)
	})
}

// blockedItem lists the blocked updates of one item; of those that a condition holds for, unless it is nil.
func (s *solution) blockedItem(it *item, asked func(*item, *candidate) bool) []Blocked {
	have := s.highest(it)
	limit := have.EVR
	for _, n := range it.cands {
		if e := s.nodes[n].pkg.EVR; rpm.Compare(e, limit) > 0 {
			limit = e
		}
	}
	var out []Blocked
	for _, d := range s.name(it.key.Name).dropped {
		c := &s.u.cands[d.cand]
		if (d.rule != ruleArch && c.Arch != it.key.Arch) || rpm.Compare(c.EVR, limit) <= 0 || asked != nil && !asked(it, c) {
			continue
		}
		at := slices.IndexFunc(out, func(b Blocked) bool { return b.Rule == d.rule })
		line := Blocked{NEVRA: have.NEVRA, Available: c.NEVRA, Rule: d.rule, Because: d.because}
		switch {
		case at < 0:
			out = append(out, line)
		case rpm.Compare(c.EVR, out[at].Available.EVR) > 0:
			out[at] = line
		}
	}
	return s.blockedElse(it, have, asked, out)
}

// blockedElse adds what keeps an item from being replaced, and a pin below what is installed.
func (s *solution) blockedElse(it *item, have *rpm.Package, asked func(*item, *candidate) bool, out []Blocked) []Blocked {
	r := s.name(it.key.Name)
	known := func(rule string) bool {
		return slices.ContainsFunc(out, func(b Blocked) bool { return b.Rule == rule })
	}
	if r.pin != nil && !pinned(r.pin.Value, have.EVR) && r.downgrade == nil && !known(rulePin) {
		for _, id := range s.u.named(it.key.Name) {
			if c := &s.u.cands[id]; c.Arch == it.key.Arch && pinned(r.pin.Value, c.EVR) && rpm.Compare(c.EVR, have.EVR) < 0 {
				out = append(out, Blocked{have.NEVRA, c.NEVRA, rulePin, r.decision.stays() + "; going down takes allow_downgrade"})
				break
			}
		}
	}
	for _, ref := range s.u.obsoleting(it.key.Name) {
		c := &s.u.cands[ref.id]
		if c.Name == it.key.Name || !obsoletes(c.Package, have) || asked != nil && !asked(it, c) {
			continue
		}
		if rule, because := s.replacesNot(it, have, c, ref.id); rule != "" && !known(rule) {
			out = append(out, Blocked{have.NEVRA, c.NEVRA, rule, because})
		}
	}
	return out
}

// replacesNot says which rule keeps a build from replacing, by Obsoletes, what is installed of an item; "" where none does.
func (s *solution) replacesNot(it *item, have *rpm.Package, c *candidate, id int32) (rule, because string) {
	r, n := s.name(it.key.Name), s.name(c.Name)
	if n.only {
		return "", ""
	}
	if !slices.Contains(n.eligible, id) || !mayObsolete(s.h.Arch, c.Arch, have.Arch) {
		if !s.remains(it) {
			return "", "" // it leaves all the same
		}
		return s.neverComes(have, c, id)
	}
	rule = s.foreignObsoletes(c, have)
	switch {
	case r.hold != nil || r.heldBecause != "":
		return ruleHold, r.heldBecause
	case r.pin != nil:
		return rulePin, r.stays
	case r.locked != nil:
		return ruleHold, r.stays
	case r.stays != "":
		return ruleProtected, r.stays
	case r.only && s.h.mayRun(have) && !it.wanted: // else it is held, by the chain of reasons
		return ruleProtected, mayRun
	case rule == "" && s.remains(it) && s.outranks(c, have) != "":
		return rulePriority, "it obsoletes " + it.key.Name + ", which repository " + s.outranks(c, have) + " has, of a better priority"
	case rule == ruleOnly:
		return rule, "repository " + s.u.sources[c.source].ID + " is limited to other names and may not obsolete " + it.key.Name
	case rule == "" && s.unwelcome(c.Package) && s.remains(it):
		return ruleRemove, "it obsoletes " + it.key.Name + " and is to be removed " + n.remove.by()
	case rule == ruleModule:
		return rule, "it obsoletes " + it.key.Name + "; " + notModular
	case rule == ruleVendor:
		return rule, fmt.Sprintf("it obsoletes %s; the vendor would change from %q to %q", it.key.Name, have.Vendor, c.Vendor)
	}
	return "", ""
}

// neverComes says which rule took a build away that would replace an installed package, where no other build of its name does and it is the newest.
func (s *solution) neverComes(have *rpm.Package, c *candidate, id int32) (rule, because string) {
	n := s.name(c.Name)
	for _, other := range s.u.named(c.Name) { // the newest first
		if o := &s.u.cands[other]; o.Arch == c.Arch {
			if !obsoletes(o.Package, have) {
				return "", ""
			}
			break
		}
	}
	if slices.ContainsFunc(n.eligible, func(e int32) bool {
		return obsoletes(s.u.cands[e].Package, have) && mayObsolete(s.h.Arch, s.u.cands[e].Arch, have.Arch)
	}) {
		return "", ""
	}
	if slices.Contains(n.eligible, id) {
		return ruleArch, "it obsoletes " + have.Name + ", and is of the foreign arch " + c.Arch
	}
	if at := slices.IndexFunc(n.dropped, func(d drop) bool { return d.cand == id }); at >= 0 {
		return n.dropped[at].rule, "it obsoletes " + have.Name + ": " + n.dropped[at].because
	}
	return "", ""
}
