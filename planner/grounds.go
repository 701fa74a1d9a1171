package planner

import "slices"

// dropGroundless takes back the wishes of what has no reason of its own to be in a model any more: another package does since what it came for, and what it
// brought would keep it. It tells whether there were any.
func (p *problem) dropGroundless(strong, m model, rounds [][]weakWish) (dropped bool) {
	grounded := p.grounded(strong, m, rounds)
	groundless := func(w weakWish) bool {
		return slices.ContainsFunc(w.whose, func(n int32) bool { return m[n] && !grounded[n] })
	}
	for i, round := range rounds {
		rounds[i] = slices.DeleteFunc(round, groundless)
		dropped = dropped || len(rounds[i]) < len(round)
	}
	return dropped
}

// grounded tells which packages of a model have a reason to be there: they are there without wishes, or a grounded one wishes for or requires them. Of
// several that fulfil one requirement those that nothing else grounds are grounded only where none is.
func (p *problem) grounded(strong, m model, rounds [][]weakWish) map[int32]bool {
	g, wishes := grounds{there: m, grounded: map[int32]bool{}}, slices.Concat(rounds...)
	for n := range int32(len(m)) {
		if strong[n] {
			g.ground(n)
		}
	}
	for {
		for len(g.next) > 0 {
			n := g.next[0]
			g.next = g.next[1:]
			for _, d := range p.nodes[n].pkg.Requires {
				p.effort.spend(1)
				if d.IsRich() { // all that it names, rather than to weigh it
					g.ground(p.named(d)...)
				} else {
					g.need(p.named(d))
				}
			}
		}
		p.effort.spend(len(wishes) + len(g.several))
		for _, w := range wishes {
			if !slices.ContainsFunc(w.whose, func(n int32) bool { return !g.grounded[n] }) {
				g.ground(w.by...)
			}
		}
		if len(g.next) == 0 && !g.choose() {
			return g.grounded
		}
	}
}

// grounds is what is known so far of who has a reason to be in a model.
type grounds struct {
	there    model
	grounded map[int32]bool
	next     []int32   // grounded, and what they require is not
	several  [][]int32 // what fulfils one requirement each
}

// ground grounds what is there of some packages.
func (g *grounds) ground(l ...int32) {
	for _, n := range l {
		if g.there[n] && !g.grounded[n] {
			g.grounded[n] = true
			g.next = append(g.next, n)
		}
	}
}

// need grounds what alone fulfils a requirement, and keeps several for later.
func (g *grounds) need(providers []int32) {
	l := slices.DeleteFunc(slices.Clone(providers), func(n int32) bool { return !g.there[n] })
	if len(l) > 1 {
		g.several = append(g.several, l)
		return
	}
	g.ground(l...)
}

// choose grounds all that fulfil one requirement, the first of those for which nothing is grounded, and tells whether there was one.
func (g *grounds) choose() bool {
	for _, l := range g.several {
		if !slices.ContainsFunc(l, func(n int32) bool { return g.grounded[n] }) {
			g.ground(l...)
			return true
		}
	}
	return false
}
