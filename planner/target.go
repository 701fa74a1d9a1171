package planner

import (
	"slices"
	"strings"

	"cpacman/internal/rpm"
)

// target is the installed set that a rollback or a lock plan leads to: what a host had, or what another host has (PLAN-12).
type target struct {
	set  map[rpm.NEVRA]bool
	keys map[rpm.NameArch]bool
	lock bool

	names map[string][]rpm.NEVRA
}

func newTarget(r *Request) *target {
	t := &target{set: map[rpm.NEVRA]bool{}, keys: map[rpm.NameArch]bool{}, names: map[string][]rpm.NEVRA{}, lock: r.Type == TypeLock}
	for _, n := range r.Target {
		if n.Name != "gpg-pubkey" {
			t.set[n] = true
			t.names[n.Name] = append(t.names[n.Name], n)
			t.keys[n.NameArch()] = true
		}
	}
	return t
}

// drops lets only the target's builds come in. They are asked for one by one: priorities and automatic use do not count. A rollback takes
// back what was there, whatever was excluded or retracted since; a lock obeys both.
func (t *target) drops(p *problem, r *nameRule, c *candidate) (rule, because string) {
	switch {
	case !t.set[c.NEVRA]:
		return ruleTarget, "the target does not have it"
	case firstMatch(p.r.Filter.Exclude, c.NEVRA) != "":
		return ruleExclude, "excluded by the request: " + firstMatch(p.r.Filter.Exclude, c.NEVRA)
	case !t.lock:
		return "", ""
	case p.refused != "":
		return ruleRelease, p.refused
	}
	if because := p.excluded(&p.u.sources[c.source], c.NEVRA); because != "" {
		return ruleExclude, because
	}
	if l := lockedOut(r.locks, c.NEVRA); l != nil {
		return ruleHold, l.Text
	}
	if id, ok := p.u.retracted(c.NEVRA); ok {
		return ruleRetracted, "retracted by " + id
	}
	if !p.u.sources[c.source].allows(c.Name) {
		return ruleOnly, "repository " + p.u.sources[c.source].ID + " is limited to other names"
	}
	return r.drops(c.Package, len(r.installed) > 0)
}

// freeToLeave tells whether an installed package may leave by rpm -e because the target does not have it.
func (p *problem) freeToLeave(n int32) bool {
	if p.target == nil || p.refused != "" || int(n) >= p.installed || p.target.set[p.nodes[n].pkg.NEVRA] || firstMatch(p.r.Filter.Exclude, p.nodes[n].pkg.NEVRA) != "" {
		return false
	}
	r := p.name(p.nodes[n].pkg.Name)
	if key := p.nodes[n].pkg.NameArch(); p.target.keys[key] && !p.nodes[n].only && !slices.ContainsFunc(r.installed, func(m int32) bool {
		return p.nodes[m].pkg.Arch == key.Arch && p.target.set[p.nodes[m].pkg.NEVRA]
	}) {
		return false // it leaves for the build that the target has, if that can be had
	}
	return r.heldBecause == "" && (r.stays == "" || p.oneTooMany(n)) && !p.mustRun(n)
}

// standsFor lists the builds of the target that an installed package has taken the place of by Obsoletes and that are not there: it leaves only when they
// come, since what they had would be gone from the host.
func (p *problem) standsFor(n int32) (out []rpm.NEVRA) {
	for _, d := range p.nodes[n].pkg.Obsoletes {
		for _, t := range p.target.names[d.Name] {
			there := slices.ContainsFunc(p.name(t.Name).installed, func(m int32) bool { return p.nodes[m].pkg.Arch == t.Arch })
			if !there && t.Name != p.nodes[n].pkg.Name && rpm.Overlap(d.Sense, d.EVR, rpm.Equal, t.EVR) && !slices.Contains(out, t) {
				out = append(out, t)
			}
		}
	}
	return out
}

// buildsOf lists the candidates that are a build.
func (p *problem) buildsOf(n rpm.NEVRA) (out []int32) {
	for _, id := range p.name(n.Name).eligible {
		if p.u.cands[id].NEVRA == n {
			out = append(out, p.node(id))
		}
	}
	return out
}

// oneTooMany tells whether the target has another installed build in the place of one, as a transaction that was cut leaves two: what keeps the name from
// leaving keeps the other. A lock that keeps the other out keeps both.
func (p *problem) oneTooMany(n int32) bool {
	r := p.name(p.nodes[n].pkg.Name)
	return !p.nodes[n].only && r.pin == nil && slices.ContainsFunc(r.installed, func(m int32) bool {
		q := p.nodes[m].pkg.NEVRA
		return m != n && p.target.set[q] && sameFiles(q, p.nodes[n].pkg.NEVRA) && lockedOut(r.locks, q) == nil
	})
}

// mustRun tells whether an installed package is, or may be, the running kernel.
func (p *problem) mustRun(n int32) bool {
	return p.nodes[n].only && p.h.mayRun(p.nodes[n].pkg)
}

// mayVanish tells whether an installed package may leave with nothing in its place.
func (p *problem) mayVanish(n int32) bool {
	return p.freeToLeave(n) || len(p.duplicates(n)) > 0
}

// duplicates lists, in a repair, the other builds that are installed in the place of one (sameFiles): one of them is enough (PLAN-16).
func (p *problem) duplicates(n int32) []int32 {
	spared := func(m int32) bool { return firstMatch(p.r.Filter.Exclude, p.nodes[m].pkg.NEVRA) != "" }
	if p.r.Type != TypeRepair || p.nodes[n].only || int(n) >= p.installed || p.name(p.nodes[n].pkg.Name).heldBecause != "" || spared(n) {
		return nil
	}
	var out []int32
	for _, m := range p.name(p.nodes[n].pkg.Name).installed {
		if m != n && sameFiles(p.nodes[m].pkg.NEVRA, p.nodes[n].pkg.NEVRA) && !spared(m) {
			out = append(out, m)
		}
	}
	return out
}

// unless is the literal that a node is not in the way of the transaction itself: what leaves by rpm -e after it still is.
func (p *problem) unless(n int32) lit {
	if int(n) >= p.installed || p.target != nil || len(p.duplicates(n)) == 0 {
		return neg(n)
	}
	x := p.sat.newVar() // true only when something of the transaction erases it
	p.sat.add(p.because(whyStays, n, -1, rpm.Dep{}), append(kept(p.erasers(n)), neg(x))...)
	p.sat.add(p.because(whyRich, n, -1, rpm.Dep{}), neg(x), neg(n))
	return pos(x)
}

// leaveTogether is the literal that an installed build and what it needs both leave as builds too many, in one step: a transaction that was cut leaves
// two builds of both, and each of the older ones keeps the other.
func (p *problem) leaveTogether(n, q int32) lit {
	x := p.sat.newVar()
	p.sat.add(p.because(whyRich, n, -1, rpm.Dep{}), neg(x), neg(n))
	for _, e := range p.erasers(q) {
		p.sat.add(p.because(whyRich, n, -1, rpm.Dep{}), neg(x), neg(e)) // what the transaction takes out is gone before the build that needs it
	}
	return pos(x)
}

// mend makes a fault that the host has a goal of a repair: the literals are what would end it.
func (p *problem) mend(kind reasonKind, a, b int32, d rpm.Dep, lits []lit) {
	if p.r.Type != TypeRepair {
		return
	}
	x := pos(p.sat.newVar())
	p.sat.add(p.because(kind, a, b, d), append(lits, x.not())...)
	p.mended = append(p.mended, x)
}

// mendDuplicates adds the goals that of builds in one place one is left, the newest before others.
func (p *problem) mendDuplicates() {
	for n := range int32(p.installed) {
		for _, m := range p.duplicates(n) {
			if n < m {
				p.mend(whyOneBuild, n, m, rpm.Dep{}, []lit{neg(n), neg(m)})
				goes, stays := n, m
				if rpm.Compare(p.nodes[n].pkg.EVR, p.nodes[m].pkg.EVR) > 0 {
					goes, stays = m, n
				}
				if locks := p.name(p.nodes[n].pkg.Name).locks; lockedOut(locks, p.nodes[stays].pkg.NEVRA) != nil && lockedOut(locks, p.nodes[goes].pkg.NEVRA) == nil {
					goes = stays // the host locks the newer one out
				}
				p.leave = append(p.leave, goes)
			}
		}
	}
	slices.Sort(p.leave)
	p.leave = slices.Compact(p.leave)
}

// gone lists the target's builds that no repository of the view has and that are not installed.
func (p *problem) gone() []rpm.NEVRA {
	if p.target == nil {
		return nil
	}
	have := map[rpm.NEVRA]bool{}
	for n := range p.installed {
		have[p.nodes[n].pkg.NEVRA] = true
	}
	var out []rpm.NEVRA
	for n := range p.target.set {
		if have[n] || archRank(p.h.Arch, n.Arch) < 0 {
			continue
		}
		if !slices.ContainsFunc(p.u.named(n.Name), func(id int32) bool { return p.u.cands[id].NEVRA == n }) {
			out = append(out, n)
		}
	}
	slices.SortFunc(out, rpm.CompareNEVRA)
	return out
}

// before splits what leaves by rpm -e: true for what has to go ahead of the transaction, because rpm would refuse it otherwise (design
// 5, Rollback).
func (s *solution) before(removed []int32) map[int32]bool {
	first := map[int32]bool{}
	here := func(q int32) bool { // after the transaction
		return s.model[q] && !s.laterStep(q) || slices.Contains(removed, q) && !first[q]
	}
	for changed := true; changed; {
		changed = false
		for _, n := range removed {
			if !first[n] && (s.inTheWay(n) || s.breaksThen(n, here) || s.minded(n, here)) {
				first[n], changed = true, true
			}
		}
	}
	return first
}

// inTheWay tells whether something that comes in and a package that leaves do not stand each other.
func (s *solution) inTheWay(n int32) bool {
	pkg := s.nodes[n].pkg
	for m := range int32(len(s.nodes)) {
		q := s.nodes[m].pkg
		if !s.model[m] || int(m) < s.installed && !s.moves[q.NEVRA] { // what is installed comes in where it is put in again
			continue
		}
		switch {
		case q.Name == pkg.Name && !s.nodes[m].only && !disjoint(q, pkg) && q.Arch != pkg.Arch, obsoletes(pkg, q),
			s.nodes[m].only && obsoletes(q, pkg), // rpm -i follows no Obsoletes
			s.clash(n, m), s.clash(m, n), s.sharesFiles(n, m):
			return true
		}
	}
	return false
}

// sharesFiles tells whether what comes in has a file that an installed package has too, and that is another one. Files move between the packages of one
// source package without a word, where each needs the other or none does.
func (s *solution) sharesFiles(n, m int32) bool {
	leaves, c := s.nodes[n].pkg, s.copyOf(m)
	if int(m) >= s.installed {
		c = &s.u.cands[s.nodes[m].cand]
	}
	source := sourceName(leaves.SourceRPM)
	return s.u.clash != nil && c != nil && source != "" && source == sourceName(c.SourceRPM) && s.u.clash(leaves, c.Candidate, s.u.sources[c.source].ID)
}

// sourceName is the name in NAME-VERSION-RELEASE.src.rpm; "" where there is none.
func sourceName(file string) string {
	for range 2 {
		file = file[:max(strings.LastIndexByte(file, '-'), 0)]
	}
	return file
}

// clash tells whether a conflicts with b, or may: boolean expressions are taken for conflicts with all they name.
func (s *solution) clash(a, b int32) bool {
	for _, d := range s.nodes[a].pkg.Conflicts {
		leaves := []rpm.Dep{d}
		if d.IsRich() {
			leaves = nil
			if r, err := rpm.ParseRich(d.Name); err == nil {
				r.Leaves(func(l rpm.Dep) { leaves = append(leaves, rpm.Dep{Name: l.Name}) })
			}
		}
		for _, l := range leaves {
			if slices.Contains(s.providersOf(l), b) {
				return true
			}
		}
	}
	return false
}

// minded tells whether a boolean requirement of what is there afterwards names a package that leaves and does not hold until it has, "a if b", or
// a boolean conflict holds until then, "a and b".
func (s *solution) minded(n int32, here func(int32) bool) bool {
	then := s.among(here)
	for m := range int32(len(s.nodes)) {
		if !s.model[m] || s.laterStep(m) {
			continue
		}
		for _, rich := range richDeps(s.nodes[m].pkg) {
			broken := int(m) < s.installed && s.holdsNow(m, rich.rich) != rich.wanted
			if evalRich(rich.rich, then) == rich.wanted || broken && evalRich(rich.rich, s.there) != rich.wanted {
				continue // what was broken and stays so is not touched: againClauses
			}
			named := false
			rich.rich.Leaves(func(leaf rpm.Dep) { named = named || slices.Contains(s.providersOf(leaf), n) })
			if named {
				return true
			}
		}
	}
	return false
}

// breaksThen tells whether a package that leaves later would miss something until then, or not stand what is there.
func (s *solution) breaksThen(n int32, here func(int32) bool) bool {
	then := s.among(here)
	for _, d := range s.nodes[n].pkg.Requires {
		if !isRpmlib(d.Name) && !d.IsRich() && len(s.installedFor(d)) > 0 && len(then(d)) == 0 {
			return true
		}
	}
	return slices.ContainsFunc(richDeps(s.nodes[n].pkg), func(d richDep) bool { return evalRich(d.rich, then) != d.wanted }) // broken before counts: againClauses
}
