package planner

import (
	"slices"

	"cpacman/internal/rpm"
)

// Check judges a set without the search: it executes it as rpm will, by name (PLAN-3), looks at the host after each step, and
// derives every requirement, conflict, duplicate, arch, lockstep and removal rule afresh. It returns what the set adds to the faults
// that the host already has; none means that the set may be offered. It runs on every result.
func Check(u *Universe, h Host, r Request, set Set) (added []Fault) {
	var err error
	defer func() {
		if err != nil {
			added = []Fault{{"effort", err.Error()}}
		}
	}()
	defer giveUp(&err)
	h.Arch = h.machine()
	u.assumeStreams(&h)
	_, added = check(u, &h, &r, &set)
	return added
}

// check returns the faults that the host has before, and what Check returns.
func check(u *Universe, h *Host, r *Request, set *Set) (before, added []Fault) {
	before, added, _ = beginCheck(u, h, r)(set)
	return before, added
}

// beginCheck begins with what does not depend on the set: what is wrong with the host as it is. What it returns is called once, and tells beside what Check
// does the faults of before that are left in the end.
func beginCheck(u *Universe, h *Host, r *Request) func(set *Set) (before, added, left []Fault) {
	c := &checker{u: u, h: h, r: r, locks: newLocks(h.Locks), byNEVRA: map[rpm.NEVRA]*rpm.Package{}}
	type begun struct {
		faults []Fault
		err    error
	}
	state := make(chan begun, 1)
	go func() {
		installed := sortedInstalled(h) // c.start is not ours any more once the state is told
		c.start = installed
		// From the end, since the search begins at the beginning: each finds what the other has read already.
		for _, p := range slices.Backward(c.start) {
			c.isOnly(p)
		}
		faults, err := c.judged(c.start)
		state <- begun{faults, err}
		u.readAhead(installed)
	}()
	return func(set *Set) (before, added, left []Fault) {
		b := <-state
		if b.err != nil {
			panic(tooMuch{b.err})
		}
		before = b.faults
		c.set, c.left = set, before
		before, added = c.check(before)
		return before, added, c.left
	}
}

// judged is state in a goroutine of its own, which no panic may leave.
func (c *checker) judged(pkgs []*rpm.Package) (faults []Fault, err error) {
	defer giveUp(&err)
	return c.state(pkgs), nil
}
