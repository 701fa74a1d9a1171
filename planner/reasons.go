package planner

import (
	"cmp"
	"slices"
	"strings"

	"cpacman/internal/rpm"
)

// maxChain bounds the lines of one chain of reasons.
const maxChain = 24

// held writes what could go higher and does not because of dependencies.
func (s *solution) held() {
	for _, it := range s.items {
		if have, best, ok := s.missed(it); ok {
			s.result.Set.Held = append(s.result.Set.Held, Held{NEVRA: have.NEVRA, Available: s.nodes[best].pkg.NEVRA, Because: s.chain(best)})
		}
		for _, text := range s.lostParts(it) {
			s.note("%s", text)
		}
	}
}

// missed returns the installed build that should have gone and the node that it should have got: the item's first target, or a replacement
// by Obsoletes.
func (s *solution) missed(it *item) (have *rpm.Package, best int32, ok bool) {
	if !it.wanted {
		return nil, 0, false
	}
	gone := !s.remains(it)
	moved := slices.ContainsFunc(it.cands, func(n int32) bool { return s.model[n] })
	if gone && !moved && len(it.obsoleted) > 0 {
		return nil, 0, false
	}
	have = s.highest(it)
	switch {
	case len(it.targets) > 0:
		return have, it.targets[0], !s.model[it.targets[0]] && !s.beyond(it)
	case len(it.obsoleted) > 0:
		have, best = s.notReplaced(it)
		return have, best, have != nil && !moved
	}
	return have, it.instead[0][0], !gone && !s.model[it.instead[0][0]] // of several builds of a name it may have taken another
}

// remains tells whether an installed build of an item stays.
func (s *solution) remains(it *item) bool {
	return slices.ContainsFunc(it.inst, func(n int32) bool { return s.model[n] })
}

// beyond tells whether an item goes to more than the least that was asked for, and so has it too.
func (s *solution) beyond(it *item) bool {
	return s.r.Filter.ByAdvisory() && slices.ContainsFunc(it.targets, func(n int32) bool {
		return s.model[n] && rpm.Compare(s.nodes[n].pkg.EVR, s.nodes[it.targets[0]].pkg.EVR) > 0
	})
}

// notReplaced returns the newest build of an item that stays though something obsoletes it, and the first that does.
func (s *solution) notReplaced(it *item) (*rpm.Package, int32) {
	for _, n := range slices.Backward(it.inst) {
		if !s.model[n] {
			continue
		}
		for _, l := range it.obsoleted {
			for _, by := range l {
				if obsoletes(s.nodes[by].pkg, s.nodes[n].pkg) {
					return s.nodes[n].pkg, by
				}
			}
		}
	}
	return nil, 0
}

// chain explains why a node cannot come in: the clauses that exclude it, in the order in which they follow from it. When only the packages that were
// preferred to it exclude it, they are part of the chain.
func (s *solution) chain(n int32) []string {
	lines, err := s.follows(n)
	if err != nil {
		return []string{"why is too hard to tell"}
	}
	return lines
}

func (s *solution) follows(n int32) (lines []string, err error) {
	defer giveUp(&err)
	t := s.rulesOnly()
	assume := []lit{pos(n)}
	o, core, used := t.search(assume, s.remaining())
	if o == found {
		assume = append(assume, s.taken(n)...)
		o, core, used = t.search(assume, s.remaining())
	}
	if o != failed {
		return []string{"another update was preferred"}, nil
	}
	lines = s.tell(t, n, core)
	slices.Sort(used)
	for _, l := range used {
		m := l.variable()
		switch {
		case l != pos(m) || m == n:
		case int(m) >= s.installed:
			lines = append(lines, s.nodes[m].pkg.NEVRA.String()+" was preferred and comes in")
		case s.floats(m):
			lines = append(lines, s.nodes[m].pkg.NEVRA.String()+" does not go down: the repositories have it")
		}
	}
	return lines, nil
}

// floats tells whether an installed package could go down and does not, since the view has it.
func (s *solution) floats(n int32) bool {
	return slices.ContainsFunc(s.items, func(it *item) bool { return slices.Contains(it.inst, n) && len(s.below(it)) > 0 })
}

// rulesOnly makes a search over the rules without the preferences that were fixed, once.
func (s *solution) rulesOnly() *sat {
	if s.bare == nil {
		s.bare = s.rules(new(effort)) // a reason that is too hard to find costs no update
	}
	return s.bare
}

// taken lists what came in, what is preferred most first, then what stays, and what stays out. Other builds of the node's own name come last: that they
// exclude each other explains nothing.
func (s *solution) taken(n int32) []lit {
	var out, own []lit
	take := func(m int32) {
		if s.nodes[m].pkg.NameArch() == s.nodes[n].pkg.NameArch() {
			own = append(own, pos(m))
		} else {
			out = append(out, pos(m))
		}
	}
	for _, it := range s.items {
		for _, m := range it.cands {
			if s.model[m] && m != n {
				take(m)
			}
		}
	}
	for m := int32(s.installed); m < int32(len(s.nodes)); m++ { // what is new: a replacement by Obsoletes, what a policy installs
		if s.model[m] && !slices.Contains(out, pos(m)) && !slices.Contains(own, pos(m)) {
			take(m)
		}
	}
	for m := range int32(s.installed) {
		if s.model[m] {
			take(m)
		}
	}
	for m := int32(s.installed); m < int32(len(s.nodes)); m++ {
		if !s.model[m] && m != n {
			out = append(out, neg(m))
		}
	}
	return append(out, own...)
}

// tell puts the clauses of a core in order: each line after those it follows from, starting at what is asked about.
func (s *solution) tell(t *sat, n int32, core []int32) []string {
	known := map[lit]bool{pos(n): true}
	var lines []string
	left := slices.Clone(core)
	for len(left) > 0 && len(lines) <= maxChain {
		follows := func(id int32) bool {
			t.effort.spend(len(t.clauses[id].lits))
			return unit(t.clauses[id].lits, known)
		}
		about := func(id int32) bool { return touches(t.clauses[id].lits, known) }
		at := slices.IndexFunc(left, func(id int32) bool { return follows(id) && about(id) })
		if at < 0 { // one of several that are open: why each of them cannot be comes below
			at = slices.IndexFunc(left, about)
		}
		if at < 0 {
			at = max(0, slices.IndexFunc(left, follows))
		}
		c := t.clauses[left[at]]
		left = slices.Delete(left, at, at+1)
		for _, l := range c.lits {
			if !known[l.not()] {
				known[l] = true
			}
		}
		if text := s.line(c.why); text != "" && !slices.Contains(lines, text) {
			lines = append(lines, text)
		}
	}
	if len(lines) > maxChain {
		lines = append(lines[:maxChain-1], "…")
	}
	return lines
}

// unit tells whether all but at most one literal of a clause are known to be false.
func unit(lits []lit, known map[lit]bool) bool {
	open := 0
	for _, l := range lits {
		if !known[l.not()] {
			open++
		}
	}
	return open <= 1
}

// touches tells whether a clause is about something known.
func touches(lits []lit, known map[lit]bool) bool {
	return slices.ContainsFunc(lits, func(l lit) bool { return known[l.not()] })
}

// line says one rule in the words of packages.
func (s *solution) line(why int32) string {
	r := s.reasons[why]
	name := func(n int32) string { return s.nodes[n].pkg.NEVRA.String() }
	switch r.kind {
	case whyRequires:
		return name(r.a) + " requires " + r.dep.String() + s.offers(r)
	case whyConflicts:
		if r.b < 0 {
			return name(r.a) + " conflicts with " + r.dep.String() + s.met(r)
		}
		return name(r.a) + " conflicts with " + r.dep.String() + ", which " + name(r.b) + " provides"
	case whyObsoletes:
		return name(r.a) + " obsoletes " + name(r.b)
	case whyBeside:
		return "rpm installs " + name(r.a) + " beside older builds, and refuses it where " + name(r.b) + " is, which it obsoletes"
	case whyOneBuild:
		return name(r.a) + " and " + name(r.b) + " are builds of one package"
	case whyStays:
		return name(r.a) + s.stays(r.a)
	case whyLockstep:
		if rpm.Compare(s.nodes[r.a].pkg.EVR, s.nodes[r.b].pkg.EVR) == 0 {
			return name(r.a) + " would erase " + name(r.b) + ": rpm works by name, and no ELF files tell the two apart"
		}
		return name(r.a) + " and " + name(r.b) + " must have one version: rpm works by name"
	case whyModule:
		return s.moduleLine(r)
	case whyAgain:
		return name(r.a) + " has " + r.dep.String() + " broken already: rpm looks at it again when what it names comes or goes, and would refuse"
	case whySplit:
		return name(r.a) + " comes only with " + name(r.b) + ", another part of " + s.splitOf(r.a, r.b)
	case whyStandsIn:
		return name(r.a) + " leaves only for " + r.dep.String() + ", whose place it took"
	case whyBad:
		return name(r.a) + " has a requirement that cannot be read: " + r.dep.Name
	}
	return ""
}

// stays says what an installed package may leave for.
func (s *solution) stays(n int32) string {
	var who []string
	for _, m := range append(s.replacers(n), s.duplicates(n)...) {
		who = append(who, s.nodes[m].pkg.NEVRA.String())
	}
	if why := s.keepsAnyway(n); len(who) == 0 && why != "" {
		return " stays: " + why
	}
	if len(who) == 0 {
		return s.obstacle(n)
	}
	return " leaves only for " + strings.Join(who, " or ")
}

// obstacle says why nothing takes the place of an installed package: a rule keeps out what would, where there is such a thing.
func (s *solution) obstacle(n int32) string {
	nevra := s.nodes[n].pkg.NEVRA
	switch {
	case slices.ContainsFunc(s.result.Set.Remove, func(r Remove) bool { return r.NEVRA == nevra }):
		return " is removed in a step of its own after this one"
	case s.target != nil && s.target.set[nevra]:
		return " stays: the target has it"
	}
	if i := slices.IndexFunc(s.items, func(it *item) bool { return slices.Contains(it.inst, n) }); i >= 0 && s.target == nil && !s.nodes[n].only {
		if l := s.blockedItem(s.items[i], nil); len(l) > 0 {
			return " stays: " + l[0].Available.String() + " would take its place and may not (" + l[0].Rule + ": " + l[0].Because + ")"
		}
	}
	return " stays: nothing can take its place"
}

// offers says who provides a requirement, in short.
func (s *solution) offers(r reason) string {
	if isRpmlib(r.dep.Name) {
		return ", which the host's rpm does not have"
	}
	if r.dep.IsRich() {
		return s.lacking(r.dep)
	}
	var who []rpm.NEVRA
	for _, q := range s.providersOf(r.dep) {
		if !s.laterStep(q) || s.laterStep(r.a) {
			who = append(who, s.nodes[q].pkg.NEVRA)
		}
	}
	slices.SortFunc(who, rpm.CompareNEVRA)
	who = slices.Compact(who)
	switch {
	case len(who) == 0 && len(s.providersOf(r.dep)) > 0:
		return ", which only what is installed beside older builds provides, in a step after this one"
	case len(who) == 0:
		return s.nowhere(r.dep)
	case len(who) > 3:
		return ""
	}
	text := ", which "
	for i, n := range who {
		if i > 0 {
			text += " or "
		}
		text += n.String()
	}
	if len(who) == 1 {
		return text + " provides"
	}
	return text + " provide"
}

// met says of a boolean conflict which of the packages that it names are there.
func (s *solution) met(r reason) string {
	rich, err := rpm.ParseRich(r.dep.Name)
	if err != nil {
		return ""
	}
	var who []string
	rich.Leaves(func(leaf rpm.Dep) {
		for _, n := range s.there(leaf) {
			if s.nodes[n].pkg.NameArch() != s.nodes[r.a].pkg.NameArch() { // in whose place it would come
				who = append(who, s.nodes[n].pkg.NEVRA.String())
			}
		}
	})
	slices.Sort(who)
	switch who = slices.Compact(who); {
	case len(who) == 0 || len(who) > 3:
		return ""
	case len(who) == 1:
		return ", as " + who[0] + " is there"
	}
	return ", as " + strings.Join(who, " and ") + " are there"
}

// lacking says of a boolean requirement what it names and nobody provides.
func (s *solution) lacking(d rpm.Dep) string {
	rich, err := rpm.ParseRich(d.Name)
	if err != nil {
		return ""
	}
	var out []string
	rich.Names(func(leaf rpm.Dep, condition bool) {
		if condition || len(s.providersOf(leaf)) > 0 {
			return
		}
		if text := leaf.String() + s.nowhere(leaf); !slices.Contains(out, text) {
			out = append(out, text)
		}
	})
	if len(out) == 0 {
		return ""
	}
	return ": " + strings.Join(out, "; ")
}

// nowhere says why nobody provides a requirement: no candidate, or one that a rule dropped, or that is no news, or that the host cannot run.
func (s *solution) nowhere(d rpm.Dep) string {
	ids := s.candidatesFor(d)
	s.u.ready(ids)
	only, silent := "only ", ""
	if slices.ContainsFunc(ids, func(id int32) bool { return s.u.cands[id].NEVRA != s.u.cands[ids[0]].NEVRA }) {
		only = ""
	}
	for _, id := range ids {
		c := &s.u.cands[id]
		for _, drop := range s.told(c.Name) {
			if drop.cand == id {
				return ", which " + only + c.NEVRA.String() + " provides (" + drop.rule + ": " + drop.because + ")"
			}
		}
		if text := s.noNews(c.Package); silent == "" && text != "" {
			silent = ", which " + only + c.NEVRA.String() + " provides" + text
		}
	}
	return cmp.Or(silent, ", which nothing provides")
}

// noNews says of a candidate why it may not come in though no rule is told of it.
func (s *solution) noNews(c *rpm.Package) string {
	if archRank(s.h.Arch, c.Arch) < 0 {
		return ", of an arch that the host cannot run"
	}
	for _, n := range slices.Backward(s.name(c.Name).installed) {
		switch i := s.nodes[n].pkg; {
		case i.NEVRA == c.NEVRA:
			return " as a repository has it, and not as it is installed"
		case rpm.Compare(c.EVR, i.EVR) < 0:
			return ", older than " + i.NEVRA.String() + ", which is installed"
		}
	}
	return ""
}
