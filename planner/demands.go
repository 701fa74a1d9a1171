package planner

import (
	"slices"
	"strings"

	"cpacman/internal/rpm"
)

// demandID is the number of a dependency: most are those of many packages, and comparing their words each time is what a search would mostly do.
type demandID int32

// demand is what is known of one dependency.
type demand struct {
	dep       rpm.Dep
	asked     bool    // by reach: providers are given as candidates too
	always    bool    // met in every result: alwaysMet
	stated    int32   // the last node that a clause says it of, and one more
	cands     []int32 // who else could fulfil it, when asked and not always
	providers []int32 // nodes that fulfil it; made after reach
	listed    bool    // providers was made
}

// demand gives the number of a dependency.
func (p *problem) demand(d *rpm.Dep) demandID {
	key := keyOf(*d)
	id, known := p.demandIDs[key]
	if !known {
		id = demandID(len(p.demands)) //nolint:gosec // fewer than 2^31 dependencies
		p.demandIDs[key] = id
		p.demands = append(p.demands, demand{dep: *d})
	}
	return id
}

// requires gives the requirements of a node, in their order.
func (p *problem) requires(n int32) []demandID {
	if p.nodes[n].requires == nil {
		deps := p.nodes[n].pkg.Requires
		list := make([]demandID, len(deps))
		for i := range deps {
			list[i] = p.demand(&deps[i])
		}
		p.nodes[n].requires = list
	}
	return p.nodes[n].requires
}

// reachDemand adds whatever could fulfil a dependency, unless something that never leaves the host does.
func (p *problem) reachDemand(id demandID) error {
	if p.demands[id].asked {
		return nil
	}
	p.demands[id].asked = true
	d := p.demands[id].dep
	if isRpmlib(d.Name) {
		return nil
	}
	if d.IsRich() {
		return p.reachRich(d)
	}
	have, cands := p.installedFor(d), p.candidatesFor(d)
	always := p.alwaysMet(have, cands)
	if !always && strings.HasPrefix(d.Name, "/") {
		if err := p.askFiles(d); err != nil {
			return err
		}
		cands = p.candidatesFor(d) // a filelist may have said so
		always = p.alwaysMet(have, cands)
	}
	if p.demands[id].always = always; always {
		return nil
	}
	p.u.ready(cands)
	for _, c := range cands {
		r := p.name(p.u.cands[c].Name)
		p.effort.spend(len(r.eligible))
		if slices.Contains(r.eligible, c) {
			p.node(c)
		}
	}
	p.demands[id].cands = cands
	return nil
}

// reachRich is reachDemand of each part of a boolean dependency.
func (p *problem) reachRich(d rpm.Dep) (first error) {
	r, err := rpm.ParseRich(d.Name)
	if err != nil {
		return nil // never fulfilled: said where the clause is made
	}
	r.Leaves(func(leaf rpm.Dep) {
		id := p.demand(&leaf)
		if err := p.reachDemand(id); err != nil && first == nil {
			first = err
		}
		if p.demands[id].always && hasWith(r) { // one package is to fulfil several leaves, or not to fulfil one
			cands := p.candidatesFor(leaf)
			p.u.ready(cands)
			for _, c := range cands {
				p.effort.spend(len(p.name(p.u.cands[c].Name).eligible))
				if slices.Contains(p.name(p.u.cands[c].Name).eligible, c) {
					p.node(c)
				}
			}
		}
	})
	return first
}

// hasWith tells whether an expression has with or without.
func hasWith(r *rpm.Rich) bool {
	return r.Op == rpm.RichWith || r.Op == rpm.RichWithout || slices.ContainsFunc(r.Args, hasWith)
}

// providersOf returns the nodes that fulfil d.
func (p *problem) providersOf(d rpm.Dep) []int32 { return p.providers(p.demand(&d)) }

// providers is providersOf by number.
func (p *problem) providers(id demandID) []int32 {
	n := &p.demands[id]
	if n.listed {
		return n.providers
	}
	l, cands := p.installedFor(n.dep), n.cands
	if cands == nil {
		cands = p.candidatesFor(n.dep)
	}
	for _, c := range cands {
		if node, ok := p.nodeOf[c]; ok {
			l = append(l, node)
		}
	}
	n.providers, n.listed = l, true
	return l
}
