package planner

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// What the planning of one host, or one look at the packages of a host, may cost. Repositories and hosts are in bounds one by one, and what is made of them may not be: thousands
// of packages that conflict with a capability which all of them provide are millions of rules. A plan for a real host takes less than a
// hundredth of this. It is counted and not timed, so that the same facts give the same plan on any machine.
const (
	maxSteps  = 400_000_000 // things looked at, about as many as in some ten seconds
	maxCells  = 100_000_000 // numbers in clauses, learned ones too: about a gigabyte, or 2,200 builds of one name that all may come in
	maxFaults = 100_000     // of one state of a host; each is a line of the plan
)

// compareSteps is what a comparison of versions costs.
const compareSteps = 5

// Cells of a clause and of a variable beside the literals: what finds, watches and explains them.
const (
	clauseCells   = 40
	variableCells = 16
)

// effort counts the cost of one piece of work, in one goroutine.
type effort struct{ steps, cells int64 }

// tooMuch is what ends a piece of work at its bound; giveUp makes it an error again. It passes by a hundred functions that have no other one to give.
type tooMuch struct{ error }

// spend counts steps.
func (e *effort) spend(steps int) {
	if e.steps += int64(steps); e.steps > maxSteps {
		panic(tooMuch{ErrTooHard})
	}
}

// store counts what a clause or a variable keeps.
func (e *effort) store(cells int) {
	if e.cells += int64(cells); e.cells > maxCells {
		panic(tooMuch{ErrTooHard})
	}
}

// giveUp is deferred: it turns tooMuch into an error. Any other panic goes on.
func giveUp(err *error) {
	switch r := recover().(type) {
	case nil:
	case tooMuch:
		*err = r.error
	default:
		panic(r)
	}
}

// tooHard says which packages made a problem too hard: those that most rules are about, or, before there are rules, the one that was looked at last.
func (p *problem) tooHard() error {
	if len(p.sat.clauses) == 0 {
		if int(p.at) >= len(p.nodes) {
			return ErrTooHard
		}
		return fmt.Errorf("%w at what %s of %s asks for", ErrTooHard, p.nodes[p.at].pkg.NEVRA, p.origin(p.at))
	}
	cells, all := map[int32]int{}, 0
	for i := range p.sat.clauses {
		c := &p.sat.clauses[i]
		if c.why < 0 || p.reasons[c.why].kind == whyGoal {
			continue
		}
		n := len(c.lits) + clauseCells
		cells[p.reasons[c.why].a] += n
		all += n
	}
	origins := map[string]int{}
	for n, size := range cells {
		origins[p.origin(n)] += size
	}
	if all == 0 {
		return ErrTooHard
	}
	from, most := largest(origins), largest(cells)
	return fmt.Errorf("%w: %d %% of the rules are about packages of %s, and most of all about %s of %s", ErrTooHard,
		100*origins[from]/all, from, p.nodes[most].pkg.NEVRA, p.origin(most))
}

// origin says where a package comes from.
func (p *problem) origin(n int32) string {
	if p.nodes[n].cand < 0 {
		return "the host"
	}
	return "repository " + p.u.sources[p.u.cands[p.nodes[n].cand].source].ID
}

// largest gives the key of the largest number, the first of several.
func largest[K cmp.Ordered](m map[K]int) K {
	keys := slices.Sorted(maps.Keys(m))
	return slices.MaxFunc(keys, func(a, b K) int { return cmp.Or(cmp.Compare(m[a], m[b]), cmp.Compare(b, a)) })
}
