package planner

import (
	"slices"

	"cpacman/internal/rpm"
)

// again reports boolean dependencies that were broken before and that rpm looks at again, because what they name comes or goes.
func (c *checker) again(before map[Fault]bool, stages []stage) {
	broken := c.brokenRich(before)
	was := c.start
	for i := 0; i < len(stages) && len(broken) > 0; i++ {
		now, err := newWorld(stages[i].pkgs, c.isOnly, c.carries)
		if err != nil {
			c.faults = append(c.faults, Fault{"files", err.Error()})
			return
		}
		came, went := without(stages[i].pkgs, was), without(was, stages[i].pkgs)
		broken = slices.DeleteFunc(broken, func(b richDep) bool { return slices.Contains(went, b.of) })
		for _, b := range broken {
			if b.holds(now) != b.wanted && b.touched(came, went) {
				f := b.fault()
				c.faults = append(c.faults, Fault{f.Kind, stages[i].when + ": " + f.Text + ", and rpm looks at it again"})
			}
		}
		was = stages[i].pkgs
	}
}

// brokenRich lists the boolean dependencies that are faults of the host.
func (c *checker) brokenRich(before map[Fault]bool) (out []richDep) {
	if len(before) == 0 {
		return nil
	}
	for _, p := range c.start {
		out = appendRich(out, p, p.Requires, true)
		out = appendRich(out, p, p.Conflicts, false)
	}
	if len(out) == 0 {
		return nil
	}
	start, err := newWorld(c.start, c.isOnly, c.carries)
	if err != nil {
		return nil // newWorld of a stage says so
	}
	return slices.DeleteFunc(out, func(b richDep) bool { return b.holds(start) == b.wanted })
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

// richDep is a boolean dependency of an installed package: wanted for a requirement, its opposite for a conflict.
type richDep struct {
	of     *rpm.Package
	rich   *rpm.Rich
	dep    rpm.Dep
	wanted bool
}

// appendRich adds the boolean dependencies of a list that can be read.
func appendRich(out []richDep, p *rpm.Package, list []rpm.Dep, wanted bool) []richDep {
	for _, d := range list {
		if d.IsRich() {
			if r, err := rpm.ParseRich(d.Name); err == nil {
				out = append(out, richDep{p, r, d, wanted})
			}
		}
	}
	return out
}

func (b *richDep) holds(w *world) bool { return evalRich(b.rich, w.providers) }

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

func (b *richDep) fault() Fault {
	if b.wanted {
		return Fault{"requires", b.of.NEVRA.String() + " requires " + b.dep.String()}
	}
	return Fault{"conflicts", b.of.NEVRA.String() + " conflicts with " + b.dep.String()}
}

// names tells whether a package provides a name or a path, in any version.
func names(p *rpm.Package, name string) bool {
	return p.Name == name || slices.ContainsFunc(p.Provides, func(d rpm.Dep) bool { return d.Name == name }) || slices.Contains(p.Files, name)
}
