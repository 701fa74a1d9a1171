package planner

import (
	"slices"

	"cpacman/internal/rpm"
)

// again reports the faults of a stage that were there before and that rpm looks at again, because what they name came or went.
func (c *checker) again(broken map[Fault]richDep, faults []Fault, was []*rpm.Package, s stage) {
	came, went := without(s.pkgs, was), without(was, s.pkgs)
	for _, f := range faults {
		if b, known := broken[f]; known && b.touched(came, went) {
			c.faults = append(c.faults, Fault{f.Kind, s.when + ": " + b.text() + ", and rpm looks at it again"})
		}
	}
}

// brokenRich gives the faults of the host that are boolean dependencies.
func (c *checker) brokenRich(before map[Fault]bool) map[Fault]richDep {
	if len(before) == 0 {
		return nil
	}
	out := map[Fault]richDep{}
	for _, p := range c.start {
		for _, b := range richDeps(p) {
			if f := b.fault(); before[f] {
				out[f] = b
			}
		}
	}
	return out
}

// without lists the packages of a that are not in b.
func without(a, b []*rpm.Package) (out []*rpm.Package) {
	in := make(map[*rpm.Package]bool, len(b))
	for _, p := range b {
		in[p] = true
	}
	for _, p := range a {
		if !in[p] {
			out = append(out, p)
		}
	}
	return out
}

// richDep is a boolean dependency of a package: wanted for a requirement, its opposite for a conflict.
type richDep struct {
	of     *rpm.Package
	rich   *rpm.Rich
	dep    rpm.Dep
	wanted bool
}

// richDeps lists the boolean dependencies of a package that can be read.
func richDeps(p *rpm.Package) (out []richDep) {
	add := func(list []rpm.Dep, wanted bool) {
		for _, d := range list {
			if d.IsRich() {
				if r, err := rpm.ParseRich(d.Name); err == nil {
					out = append(out, richDep{p, r, d, wanted})
				}
			}
		}
	}
	add(p.Requires, true)
	add(p.Conflicts, false)
	return out
}

// touched tells whether what came or went makes rpm look at a dependency again (againClauses).
func (b *richDep) touched(came, went []*rpm.Package) bool {
	found := false
	b.rich.Names(func(leaf rpm.Dep, condition bool) {
		moved := went
		if condition == b.wanted {
			moved = came
		}
		found = found || slices.ContainsFunc(moved, func(q *rpm.Package) bool { return q != b.of && names(q, leaf.Name) })
	})
	return found
}

// fault is what world.faults says of the dependency when it is broken.
func (b *richDep) fault() Fault {
	if b.wanted {
		return unmet(b.of, &b.dep)
	}
	return Fault{"conflicts", b.text()}
}

func (b *richDep) text() string {
	if b.wanted {
		return requirement(b.of, &b.dep)
	}
	return conflict(b.of, &b.dep)
}

// names tells whether a package provides a name or a path, in any version.
func names(p *rpm.Package, name string) bool {
	return p.Name == name || slices.ContainsFunc(p.Provides, func(d rpm.Dep) bool { return d.Name == name }) || slices.Contains(p.Files, name)
}
