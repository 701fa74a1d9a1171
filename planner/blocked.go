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
	s.noteUnfixed()
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

// noteUnfixed notes what nobody has a fix of: each where it was asked for by its name, else how many there are.
func (s *solution) noteUnfixed() {
	var all []string
	for _, it := range s.items {
		all = append(all, s.unfixed(it)...)
	}
	f := &s.r.Filter
	if len(all) > maxUnfixed && len(f.Advisories)+len(f.CVEs) == 0 {
		s.note("%d fixes that are asked for are in no repository of the view, the first: %s", len(all), all[0])
		return
	}
	for _, text := range all {
		s.note("%s", text)
	}
}

// maxUnfixed is how many fixes that nobody has are noted one by one, where they were not asked for by name.
const maxUnfixed = 3

// unfixed says which advisories that are asked for an item lacks because no repository of the view has a build that is new enough.
func (s *solution) unfixed(it *item) []string {
	f := &s.r.Filter
	if s.target != nil || !f.ByAdvisory() || len(f.Packages) > 0 && !s.named(it) || !s.remains(it) {
		return nil
	}
	have := s.highest(it)
	var out []string
	for _, l := range s.u.listed(it.key.Name) {
		if l.nevra.Arch != it.key.Arch || !s.selects(l) || rpm.Compare(l.nevra.EVR, have.EVR) <= 0 ||
			slices.ContainsFunc(s.u.named(it.key.Name), func(id int32) bool {
				c := &s.u.cands[id]
				return c.Arch == it.key.Arch && rpm.Compare(c.EVR, l.nevra.EVR) >= 0
			}) {
			continue
		}
		out = append(out, l.advisory.ID+" is fixed by "+l.nevra.String()+", and no repository of the view has that or a newer build: "+have.NEVRA.String()+" stays")
	}
	slices.Sort(out)
	return slices.Compact(out)
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

// told lists what rules took away of a name, each build once: a copy of what may come in is nothing to tell of, and of several copies that one counts
// which got furthest.
func (s *solution) told(name string) []drop {
	r := s.name(name)
	if len(r.dropped) == 0 {
		return nil
	}
	far := func(rule string) int { // the rules about a repository are asked for each copy, in this order
		return 1 + slices.Index([]string{ruleOnly, ruleAuto, rulePriority}, rule)
	}
	may, at := map[rpm.NEVRA]bool{}, map[rpm.NEVRA]int{}
	for _, id := range r.eligible {
		may[s.u.cands[id].NEVRA] = true
	}
	var out []drop
	for _, d := range r.dropped {
		n := s.u.cands[d.cand].NEVRA
		i, again := at[n]
		switch {
		case may[n]:
		case !again:
			at[n], out = len(out), append(out, d)
		case far(out[i].rule) > 0 && (far(d.rule) == 0 || far(d.rule) > far(out[i].rule)):
			out[i] = d
		}
	}
	return out
}

// blockedItem lists the blocked updates of one item; of those that a condition holds for, unless it is nil.
func (s *solution) blockedItem(it *item, asked func(*item, *candidate) bool) []Blocked {
	have, better := s.highest(it), s.better(it, asked)
	var out []Blocked
	for _, d := range s.told(it.key.Name) {
		c := &s.u.cands[d.cand]
		if !s.concerns(d, it) || !better(c.EVR) || asked != nil && !asked(it, c) {
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

// concerns tells whether a build of an item's name that a rule took away is one that the item would go to without it.
func (s *solution) concerns(d drop, it *item) bool {
	c := &s.u.cands[d.cand]
	return c.Arch == it.key.Arch || d.rule == ruleArch || s.changesArch(c.Package) && archRank(s.h.Arch, c.Arch) == 0
}

// better tells which builds an item would go to rather than to what it may have, were there no rule: newer ones, or, where a plan takes it down, newer
// ones below what is installed, or any where no repository has that.
func (s *solution) better(it *item, asked func(*item, *candidate) bool) func(rpm.EVR) bool {
	have := s.highest(it).EVR
	below, all := s.lowers(), s.lowers() || s.lost(it)
	limit := rpm.EVR{}
	if !all {
		limit = have
	}
	for _, n := range it.cands {
		e := s.nodes[n].pkg.EVR
		if below && rpm.Compare(e, have) >= 0 || asked != nil && !asked(it, &s.u.cands[s.nodes[n].cand]) {
			continue
		}
		if all || rpm.Compare(e, limit) > 0 {
			limit, all = e, false
		}
	}
	return func(e rpm.EVR) bool {
		return (all || rpm.Compare(e, limit) > 0) && (!below || rpm.Compare(e, have) < 0)
	}
}

// lowers tells whether what is asked for by name is to go down, whatever the view has.
func (s *solution) lowers() bool { return s.r.Type == TypeDowngrade && len(s.r.Filter.Packages) > 0 }

// lost tells whether the view is to be followed down and has no copy of what is installed, not even one that a rule took away.
func (s *solution) lost(it *item) bool {
	have := s.highest(it).EVR
	return s.abandoned(s.name(it.key.Name), it.key.Arch) && !slices.ContainsFunc(s.u.named(it.key.Name), func(id int32) bool {
		c := &s.u.cands[id]
		return c.Arch == it.key.Arch && rpm.Compare(c.EVR, have) == 0
	})
}

// blockedElse adds what keeps an item from being replaced, and a pin below what is installed.
func (s *solution) blockedElse(it *item, have *rpm.Package, asked func(*item, *candidate) bool, out []Blocked) []Blocked {
	r := s.name(it.key.Name)
	known := func(rule string) bool {
		return slices.ContainsFunc(out, func(b Blocked) bool { return b.Rule == rule })
	}
	if r.pin != nil && !pinned(r.pin.Value, have.EVR) && r.pin.Because == "" && r.downgrade == nil && s.r.Type != TypeDowngrade && !known(rulePin) {
		for _, id := range s.u.named(it.key.Name) {
			if c := &s.u.cands[id]; c.Arch == it.key.Arch && pinned(r.pin.Value, c.EVR) && rpm.Compare(c.EVR, have.EVR) < 0 {
				out = append(out, Blocked{have.NEVRA, c.NEVRA, rulePin, r.decision.stays() + "; going down takes allow_downgrade"})
				break
			}
		}
	}
	if s.lowers() {
		return out // nothing replaces what goes down by name
	}
	for _, ref := range s.u.obsoleting(it.key.Name) {
		c := &s.u.cands[ref.id]
		if c.Name == it.key.Name || !obsoletes(c.Package, have) || s.past(c) || asked != nil && !asked(it, c) {
			continue
		}
		if rule, because := s.replacesNot(it, have, c, ref.id); rule != "" && !known(rule) {
			out = append(out, Blocked{have.NEVRA, c.NEVRA, rule, because})
		}
	}
	return out
}

// past tells whether what is installed of a candidate's own name is as new or newer, so that it would not come whatever the rules say.
func (s *solution) past(c *candidate) bool {
	r := s.name(c.Name)
	return !s.mayLower(r) && slices.ContainsFunc(r.installed, func(n int32) bool { return rpm.Compare(s.nodes[n].pkg.EVR, c.EVR) >= 0 })
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
		return r.holdRule(), r.heldBecause
	case rule == "" && s.partOf(c.Package, have): // it comes beside, and lostParts says where it does not
		return "", ""
	case r.pin != nil:
		return r.keeps()
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
	told := s.told(c.Name)
	if at := slices.IndexFunc(told, func(d drop) bool { return d.cand == id }); at >= 0 {
		return told[at].rule, "it obsoletes " + have.Name + ": " + told[at].because
	}
	return "", ""
}
