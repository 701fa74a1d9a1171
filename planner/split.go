package planner

import (
	"slices"

	"cpacman/internal/rpm"
)

// What a package was split into: several builds with one Obsoletes entry for it. rpm takes the package out for any of them, and so they come together.

// splitting is what replaces an item with one Obsoletes entry.
type splitting struct {
	entry depKey
	lists [][]int32 // for each name its candidates, best first
}

// takes tells whether the entry is about an installed build: of several builds it may leave some.
func (g *splitting) takes(pkg *rpm.Package) bool {
	return rpm.Overlap(g.entry.sense, g.entry.evr, rpm.Equal, pkg.EVR)
}

// findParts finds what an item was split into: its newest build says so itself, by obsoleting its own old versions, and what has the same entry is a part;
// or other names alone have one entry. Parts come together whatever the request asks for: what they took out of the package would be gone from the host.
// What has no such entry any more in its newest build is none: it would not be asked for once that is there.
func (p *problem) findParts(it *item, names [][]int32) {
	var lists [][]int32
	for _, l := range names {
		l = slices.DeleteFunc(slices.Clone(l), func(n int32) bool {
			return slices.ContainsFunc(it.inst, func(i int32) bool { return p.overtaken(p.nodes[n].cand, p.nodes[i].pkg) })
		})
		if len(l) == 0 {
			continue
		}
		lists = append(lists, l)
		if len(it.cands) == 0 {
			continue
		}
		if part := p.partIn(it, it.cands[0], l); part != nil {
			it.parts = append(it.parts, part)
		}
	}
	for _, g := range p.group(it, lists) {
		g.lists = slices.DeleteFunc(g.lists, func(l []int32) bool { return !p.stillPart(l[0], []depKey{g.entry}) })
		if len(g.lists) > 1 {
			it.together = append(it.together, g)
		}
	}
	for _, n := range it.cands {
		if slices.ContainsFunc(it.parts, func(l []int32) bool { return p.sharesEntry(it, n, l[0]) }) {
			it.split = append(it.split, n)
			for _, part := range it.parts {
				it.brings = append(it.brings, brought{n, part})
			}
			continue
		}
		for _, l := range lists { // the newest build is not split any more; where it cannot come, an older one comes whole all the same
			if part := p.partIn(it, n, l); part != nil {
				it.brings = append(it.brings, brought{n, part})
			}
		}
	}
}

// partIn lists the builds of one name that are a part of what a build of an item was split into, best first; nil where there are none, or they are none any more.
func (p *problem) partIn(it *item, build int32, name []int32) []int32 {
	entries := p.entries(it, build)
	if len(entries) == 0 {
		return nil
	}
	part := slices.DeleteFunc(slices.Clone(name), func(n int32) bool { return !p.isPartOf(it, n, build) })
	if len(part) == 0 || !p.stillPart(part[0], entries) {
		return nil
	}
	return part
}

// brought is a build that was split, and the builds of one of its parts, best first: it brings one of them.
type brought struct {
	with int32
	part []int32
}

// stillPart tells whether the newest build of a candidate's name and arch has one of some Obsoletes entries.
func (p *problem) stillPart(n int32, entries []depKey) bool {
	pkg := p.nodes[n].pkg
	for _, id := range p.name(pkg.Name).eligible { // newest first
		if c := &p.u.cands[id]; c.Arch == pkg.Arch {
			p.effort.spend(len(c.Obsoletes))
			return slices.ContainsFunc(c.Obsoletes, func(d rpm.Dep) bool { return slices.Contains(entries, keyOf(d)) })
		}
	}
	return false
}

// isPart tells whether a candidate of another name is a part of an item that its newest build was split into.
func (p *problem) isPart(it *item, n int32) bool {
	return len(it.cands) > 0 && p.isPartOf(it, n, it.cands[0])
}

// isPartOf tells whether a candidate of another name is a part of an item that one of its builds was split into.
func (p *problem) isPartOf(it *item, n, build int32) bool {
	return !obsoletes(p.nodes[n].pkg, p.nodes[build].pkg) && p.sharesEntry(it, n, build)
}

// sharesEntry tells whether two nodes have an Obsoletes entry in common that matches what is installed of an item.
func (p *problem) sharesEntry(it *item, a, b int32) bool {
	have := p.entries(it, b)
	return slices.ContainsFunc(p.entries(it, a), func(e depKey) bool { return slices.Contains(have, e) })
}

// entries lists the Obsoletes of a node that match what is installed of an item.
func (p *problem) entries(it *item, n int32) []depKey {
	var out []depKey
	p.effort.spend(len(p.nodes[n].pkg.Obsoletes))
	for _, d := range p.nodes[n].pkg.Obsoletes {
		if d.Name == it.key.Name && slices.ContainsFunc(it.inst, func(i int32) bool {
			return rpm.Overlap(d.Sense, d.EVR, rpm.Equal, p.nodes[i].pkg.EVR)
		}) {
			out = append(out, keyOf(d))
		}
	}
	return out
}

// group finds the alternatives among what replaces an item: packages with the same entry are a split and come together, those with
// different ones exclude nothing and one is enough (libsolv, yumobsoletes).
func (p *problem) group(it *item, lists [][]int32) (groups []splitting) {
	var seen []depKey
	for _, l := range lists {
		for _, n := range l {
			for _, e := range p.entries(it, n) {
				if !slices.Contains(seen, e) {
					seen = append(seen, e)
					groups = append(groups, splitting{e, p.withEntry(it, lists, e)})
				}
			}
		}
	}
	return groups
}

// withEntry lists, by name, what replaces an item with one entry.
func (p *problem) withEntry(it *item, lists [][]int32, e depKey) [][]int32 {
	var out [][]int32
	for _, l := range lists {
		var same []int32
		for _, n := range l {
			if slices.Contains(p.entries(it, n), e) {
				same = append(same, n)
			}
		}
		if len(same) > 0 {
			out = append(out, same)
		}
	}
	return out
}

// partClauses states that what a package was split into comes together: what a part took out of it would be gone from the host.
func (p *problem) partClauses() {
	with := func(n int32, part []int32) {
		p.sat.add(p.because(whySplit, n, part[0], rpm.Dep{}), append(kept(part), neg(n))...)
	}
	for _, it := range p.items {
		for _, b := range it.brings {
			with(b.with, b.part)
		}
		for _, g := range it.together {
			for i, l := range g.lists {
				for _, n := range l {
					for j, part := range g.lists {
						if i != j {
							with(n, part)
						}
					}
				}
			}
		}
	}
}

// withPart returns a literal that implies that a build which was split comes with one of the nodes.
func (p *problem) withPart(it *item, nodes []int32) lit {
	x := p.sat.newVar()
	for _, n := range it.split {
		p.sat.add(p.because(whyGoal, n, -1, rpm.Dep{}), append(kept(nodes), neg(n), neg(x))...)
	}
	return pos(x)
}

// partOf tells whether a candidate is a part that the newest build of an installed package was split into: it comes beside that, and takes the place of
// nothing by itself (replacers).
func (p *problem) partOf(c, pkg *rpm.Package) bool {
	for _, id := range p.name(pkg.Name).eligible {
		if own := p.u.cands[id].Package; own.Arch == pkg.Arch {
			return !obsoletes(c, own) && slices.ContainsFunc(c.Obsoletes, func(d rpm.Dep) bool {
				return d.Name == pkg.Name && rpm.Overlap(d.Sense, d.EVR, rpm.Equal, pkg.EVR) &&
					slices.ContainsFunc(own.Obsoletes, func(e rpm.Dep) bool { return keyOf(d) == keyOf(e) })
			})
		}
	}
	return false
}

// splitOf names the installed build that two candidates are parts of.
func (s *solution) splitOf(a, b int32) string {
	for _, it := range s.items {
		if s.sharesEntry(it, a, b) {
			return s.highest(it).NEVRA.String()
		}
	}
	return ""
}

// lostParts says of a package that was split which parts do not come because rules keep them out: what they have is gone from the host.
func (s *solution) lostParts(it *item) []string {
	lead := s.lead(it)
	if lead < 0 || s.target != nil {
		return nil
	}
	entries := s.entries(it, lead)
	if len(entries) == 0 {
		return nil
	}
	var out []string
	seen := map[string]bool{it.key.Name: true, s.nodes[lead].pkg.Name: true}
	for _, ref := range s.u.obsoleting(it.key.Name) {
		c := &s.u.cands[ref.id]
		if seen[c.Name] || len(s.name(c.Name).installed) > 0 || !slices.Contains(entries, keyOf(c.Obsoletes[ref.dep])) || !mayObsolete(s.h.Arch, c.Arch, it.key.Arch) {
			continue
		}
		told := s.told(c.Name)
		if i := slices.IndexFunc(told, func(d drop) bool { return d.cand == ref.id }); i >= 0 && !s.brings(c.Name) {
			seen[c.Name] = true
			out = append(out, s.nodes[lead].pkg.NEVRA.String()+" comes without "+c.NEVRA.String()+", another part of "+s.highest(it).NEVRA.String()+": "+told[i].because)
		}
	}
	return out
}

// lead returns what comes in the place of an item: its own newest build, or the first that obsoletes it; -1 where neither does.
func (s *solution) lead(it *item) int32 {
	if len(it.cands) > 0 && s.model[it.cands[0]] {
		return it.cands[0]
	}
	if it.only || s.remains(it) || slices.ContainsFunc(it.cands, func(n int32) bool { return s.model[n] }) {
		return -1
	}
	for _, id := range s.obsoleters(s.nodes[it.inst[0]].pkg) {
		if n, ok := s.nodeOf[id]; ok && int(n) < len(s.model) && s.model[n] {
			return n
		}
	}
	return -1
}

// brings tells whether a build of a name comes in.
func (s *solution) brings(name string) bool {
	return slices.ContainsFunc(s.u.named(name), func(id int32) bool {
		n, ok := s.nodeOf[id]
		return ok && int(n) < len(s.model) && s.model[n] // explaining may make nodes
	})
}
