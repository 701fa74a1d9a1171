package planner

import "slices"

// What brute force has to know of splits.

// onlyParts tells whether an installed package leaves for nothing but a part that its own newest build was split into.
func onlyParts(p *problem, in []int32) bool {
	if p.target != nil {
		return false
	}
	for n := range int32(p.installed) {
		parts, others := 0, 0
		for _, m := range in {
			q, it := p.nodes[m].pkg, p.itemOf[n]
			switch {
			case p.nodes[m].only:
			case q.Name == it.key.Name && p.succeeds(q, p.nodes[n].pkg):
				others++
			case q.Name == it.key.Name, !obsoletes(q, p.nodes[n].pkg):
			case p.isPart(it, m):
				parts++
			default:
				others++
			}
		}
		if parts > 0 && others == 0 {
			return true
		}
	}
	return false
}

// lostPart tells whether a build that was split comes without one of its parts.
func lostPart(p *problem, in []int32) bool {
	has := func(n int32) bool { return slices.Contains(in, n) }
	return slices.ContainsFunc(p.items, func(it *item) bool {
		lost := func(l []int32) bool { return !slices.ContainsFunc(l, has) }
		some := func(l []int32) bool { return slices.ContainsFunc(l, has) }
		return slices.ContainsFunc(it.split, has) && slices.ContainsFunc(it.parts, lost) ||
			slices.ContainsFunc(it.brings, func(b brought) bool { return has(b.with) && lost(b.part) }) ||
			slices.ContainsFunc(it.together, func(g splitting) bool {
				return slices.ContainsFunc(g.lists, some) && slices.ContainsFunc(g.lists, lost)
			})
	})
}
