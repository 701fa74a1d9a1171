package planner

import "slices"

// lit is a variable and its sign: variable<<1, plus 1 when it is negated.
type lit int32

func pos(v int32) lit         { return lit(v << 1) }
func neg(v int32) lit         { return lit(v<<1 | 1) }
func (l lit) not() lit        { return l ^ 1 }
func (l lit) variable() int32 { return int32(l >> 1) }

// maxConflicts bounds one search. The hardest real case seen needed a few hundred; a hostile repository must not hold the planner
// for ever.
const maxConflicts = 200_000

// clause is a disjunction. why names the rule it comes from (index into the problem's reasons); a learned clause has why < 0
// and from, the clauses it was derived from.
type clause struct {
	lits []lit
	why  int32
	from []int32
}

type watcher struct {
	clause  int32
	blocker lit
}

// sat is a CDCL search: unit propagation over two watched literals, first-UIP learning, backjumping. It decides in the order it
// is given and always takes the first open literal of that order, so the model it finds is the first in the lexicographic
// order of the preferences: what is not taken is excluded by the clauses together with what was preferred to it.
// It is used by one goroutine.
type sat struct {
	clauses   []clause
	watches   [][]watcher
	value     []int8 // by variable: 0 open, 1 true, -1 false
	level     []int32
	reason    []int32 // clause that implied it, -1 for decisions
	trail     []lit
	limits    []int32 // length of the trail at the start of each level
	orderAt   []int   // position in the order at the start of each level
	head      int
	seen      []bool
	conflicts int
	dead      int32 // the clause that makes everything false, -1 if none
	gaveUp    bool

	effort   *effort
	lits     []lit     // room for clauses, made for many at once
	watchers []watcher // room for the first watchers of literals
}

func newSAT(e *effort) *sat { return &sat{dead: -1, effort: e} }

// reserve makes room for so many variables and clauses.
func (s *sat) reserve(n int) {
	s.value, s.level, s.reason, s.seen = slices.Grow(s.value, n), slices.Grow(s.level, n), slices.Grow(s.reason, n), slices.Grow(s.seen, n)
	s.watches, s.clauses = slices.Grow(s.watches, 2*n), slices.Grow(s.clauses, n)
}

// newVar makes a variable.
func (s *sat) newVar() int32 {
	s.effort.store(variableCells)
	v := int32(len(s.value))
	s.value = append(s.value, 0)
	s.level = append(s.level, 0)
	s.reason = append(s.reason, -1)
	s.seen = append(s.seen, false)
	s.watches = append(s.watches, nil, nil)
	return v
}

func (s *sat) val(l lit) int8 {
	v := s.value[l>>1]
	if l&1 == 1 {
		return -v
	}
	return v
}

// add puts in a clause; only at level 0. Literals are made unique; a tautology is dropped.
func (s *sat) add(why int32, lits ...lit) {
	c := s.copied(lits)
	slices.Sort(c)
	c = slices.Compact(c)
	for i := 1; i < len(c); i++ {
		if c[i] == c[i-1].not() {
			return
		}
	}
	s.attach(clause{lits: c, why: why})
}

// copied is a copy of literals that the search may change.
func (s *sat) copied(lits []lit) []lit {
	if cap(s.lits)-len(s.lits) < len(lits) {
		s.lits = make([]lit, 0, max(1024, len(lits)))
	}
	from := len(s.lits)
	s.lits = append(s.lits, lits...)
	return s.lits[from:len(s.lits):len(s.lits)]
}

// attach stores a clause and watches two literals that are not false, if there are such.
func (s *sat) attach(c clause) int32 {
	s.effort.store(clauseCells + len(c.lits) + len(c.from))
	id := int32(len(s.clauses))
	open := 0
	for i := range c.lits {
		if s.val(c.lits[i]) >= 0 {
			c.lits[open], c.lits[i] = c.lits[i], c.lits[open]
			if open++; open == 2 {
				break
			}
		}
	}
	s.clauses = append(s.clauses, c)
	if len(c.lits) >= 2 {
		s.watch(c.lits[0], id, c.lits[1])
		s.watch(c.lits[1], id, c.lits[0])
	}
	switch {
	case open == 0:
		if s.dead < 0 {
			s.dead = id
		}
	case open == 1 && s.val(c.lits[0]) == 0:
		s.assign(c.lits[0], id)
	}
	return id
}

func (s *sat) watch(l lit, id int32, blocker lit) {
	if s.watches[l] == nil { // most get no more than two
		if len(s.watchers) < 2 {
			s.watchers = make([]watcher, 512)
		}
		s.watches[l], s.watchers = s.watchers[:0:2], s.watchers[2:]
	}
	s.watches[l] = append(s.watches[l], watcher{id, blocker})
}

func (s *sat) assign(l lit, reason int32) {
	v := l.variable()
	s.value[v] = 1
	if l&1 == 1 {
		s.value[v] = -1
	}
	s.level[v] = int32(len(s.limits))
	s.reason[v] = reason
	s.trail = append(s.trail, l)
}

// propagate follows all implications; it returns the clause that became false, or -1.
func (s *sat) propagate() int32 {
	for s.head < len(s.trail) {
		falsified := s.trail[s.head].not()
		s.head++
		ws := s.watches[falsified]
		s.effort.spend(1 + len(ws))
		keep := ws[:0]
		for i := 0; i < len(ws); i++ {
			w := ws[i]
			if s.val(w.blocker) > 0 {
				keep = append(keep, w)
				continue
			}
			c := s.clauses[w.clause].lits
			if c[0] == falsified {
				c[0], c[1] = c[1], c[0]
			}
			if s.val(c[0]) > 0 {
				keep = append(keep, watcher{w.clause, c[0]})
				continue
			}
			if s.rewatch(c, w.clause) {
				continue
			}
			keep = append(keep, watcher{w.clause, c[0]})
			if s.val(c[0]) < 0 {
				keep = append(keep, ws[i+1:]...)
				s.watches[falsified] = keep
				s.head = len(s.trail)
				return w.clause
			}
			s.assign(c[0], w.clause)
		}
		s.watches[falsified] = keep
	}
	return -1
}

// rewatch moves the second watch of a clause to a literal that is not false.
func (s *sat) rewatch(c []lit, id int32) bool {
	for k := 2; k < len(c); k++ {
		if s.val(c[k]) >= 0 {
			s.effort.spend(k)
			c[1], c[k] = c[k], c[1]
			s.watch(c[1], id, c[0])
			return true
		}
	}
	s.effort.spend(len(c))
	return false
}

// undo goes back to a level.
func (s *sat) undo(level int) {
	if len(s.limits) <= level {
		return
	}
	at := int(s.limits[level])
	for _, l := range s.trail[at:] {
		s.value[l.variable()] = 0
		s.reason[l.variable()] = -1
	}
	s.trail = s.trail[:at]
	s.limits, s.orderAt = s.limits[:level], s.orderAt[:level]
	s.head = at
}

func (s *sat) decide(l lit, at int) {
	s.limits = append(s.limits, int32(len(s.trail)))
	s.orderAt = append(s.orderAt, at)
	s.assign(l, -1)
}

// analyze derives the first-UIP clause of a conflict and the level to go back to.
func (s *sat) analyze(conflict int32) (learned clause, back int) {
	current := int32(len(s.limits))
	out := []lit{0}
	from := []int32{conflict}
	open, at := 0, len(s.trail)-1
	id := conflict
	var uip lit = -1
	for {
		s.effort.spend(len(s.clauses[id].lits))
		for _, q := range s.clauses[id].lits {
			v := q.variable()
			if q == uip || s.seen[v] {
				continue
			}
			s.seen[v] = true
			switch {
			case s.level[v] == current:
				open++
			default: // level 0 too: kept out of the clause below, but its reason belongs to the explanation
				out = append(out, q)
			}
		}
		for !s.seen[s.trail[at].variable()] {
			at--
		}
		uip = s.trail[at]
		at--
		open--
		if open == 0 {
			break
		}
		id = s.reason[uip.variable()]
		from = append(from, id)
	}
	s.clearSeen(conflict, from, out)
	out[0] = uip.not()
	kept := out[:1]
	for _, q := range out[1:] {
		if s.level[q.variable()] > 0 {
			kept = append(kept, q)
			if l := int(s.level[q.variable()]); l > back {
				back = l
			}
			continue
		}
		from = s.zeroReasons(q.variable(), from)
	}
	for i := 2; i < len(kept); i++ { // the second watch belongs to the highest level
		if s.level[kept[i].variable()] > s.level[kept[1].variable()] {
			kept[1], kept[i] = kept[i], kept[1]
		}
	}
	slices.Sort(from)
	return clause{lits: kept, why: -1, from: slices.Compact(from)}, back
}

// clearSeen resets the marks of an analysis.
func (s *sat) clearSeen(conflict int32, from []int32, out []lit) {
	for _, q := range s.clauses[conflict].lits {
		s.seen[q.variable()] = false
	}
	for _, id := range from {
		for _, q := range s.clauses[id].lits {
			s.seen[q.variable()] = false
		}
	}
	for _, q := range out[1:] {
		s.seen[q.variable()] = false
	}
}

// zeroReasons adds the clauses that fixed a variable at level 0.
func (s *sat) zeroReasons(v int32, from []int32) []int32 {
	stack := []int32{v}
	done := map[int32]bool{v: true}
	for len(stack) > 0 {
		v := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		id := s.reason[v]
		if id < 0 {
			continue
		}
		from = append(from, id)
		s.effort.spend(10 * len(s.clauses[id].lits)) // a map is slow
		for _, q := range s.clauses[id].lits {
			if w := q.variable(); !done[w] {
				done[w] = true
				stack = append(stack, w)
			}
		}
	}
	return from
}

// outcome of a search.
type outcome int8

const (
	found   outcome = 1
	failed  outcome = -1
	stopped outcome = 0 // at the bound
)

// search looks for the first model in the order, under the assumptions. After failed, core has the original clauses that together
// with the assumptions used exclude a model, and the assumptions used. After found the assignment stands until reset.
func (s *sat) search(assume, order []lit) (outcome, []int32, []lit) {
	s.undo(0)
	s.effort.spend(len(order))
	limit := s.conflicts + maxConflicts
	at := 0
	if s.dead >= 0 {
		return failed, s.origins([]int32{s.dead}, s.clauses[s.dead].lits), nil
	}
	for {
		if c := s.propagate(); c >= 0 {
			if len(s.limits) == 0 {
				s.dead = c
				return failed, s.origins([]int32{c}, s.clauses[c].lits), nil
			}
			if s.conflicts++; s.conflicts > limit {
				s.gaveUp = true
				return stopped, nil, nil
			}
			learned, back := s.analyze(c)
			at = s.orderAt[back]
			s.undo(back)
			s.attach(learned)
			continue
		}
		if n := len(s.limits); n < len(assume) {
			a := assume[n]
			if s.val(a) < 0 {
				core, used := s.assumptionCore(a)
				return failed, core, used
			}
			if s.val(a) > 0 { // an empty level keeps levels and assumptions in step
				s.limits = append(s.limits, int32(len(s.trail)))
				s.orderAt = append(s.orderAt, at)
				continue
			}
			s.decide(a, at)
			continue
		}
		for at < len(order) && s.val(order[at]) != 0 {
			at++
		}
		if at < len(order) {
			s.decide(order[at], at)
			continue
		}
		if !s.closeRest(at) {
			return found, nil, nil
		}
	}
}

// closeRest decides the lowest open variable false; it tells whether there was one.
func (s *sat) closeRest(at int) bool {
	for v := range s.value {
		if s.value[v] == 0 {
			s.decide(neg(int32(v)), at)
			return true
		}
	}
	return false
}

// assumptionCore explains why an assumption is false under those before it.
func (s *sat) assumptionCore(a lit) (core []int32, used []lit) {
	used = []lit{a}
	var from []int32
	done := map[int32]bool{}
	stack := []int32{a.variable()}
	for len(stack) > 0 {
		v := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if done[v] {
			continue
		}
		done[v] = true
		id := s.reason[v]
		if id < 0 {
			if s.level[v] > 0 {
				l := pos(v)
				if s.value[v] < 0 {
					l = neg(v)
				}
				used = append(used, l)
			}
			continue
		}
		from = append(from, id)
		s.effort.spend(10 * len(s.clauses[id].lits))
		for _, q := range s.clauses[id].lits {
			stack = append(stack, q.variable())
		}
	}
	return s.origins(from, nil), used
}

// origins follows learned clauses, and the level 0 reasons of the given literals, to original clauses: sorted, unique.
func (s *sat) origins(from []int32, lits []lit) []int32 {
	for _, q := range lits {
		from = s.zeroReasons(q.variable(), from)
	}
	done := map[int32]bool{}
	var out []int32
	for len(from) > 0 {
		id := from[len(from)-1]
		from = from[:len(from)-1]
		if done[id] {
			continue
		}
		done[id] = true
		if s.clauses[id].why >= 0 {
			out = append(out, id)
			continue
		}
		s.effort.spend(10 * len(s.clauses[id].from))
		from = append(from, s.clauses[id].from...)
	}
	slices.Sort(out)
	return out
}
