package planner

import (
	"cmp"
	"fmt"
	"slices"

	"cpacman/internal/rpm"
)

// The preferences, in this order (design 7); everything that must hold is in the clauses.
//
//  1. in a repair, each fault is gone; each requested item that may go down moves at all; no other goes down that the view has; each other
//     requested item moves at all: a fix is in; what policies install and a target has new is in, what the target does not have is out
//  2. what is to be replaced by Obsoletes is replaced; what was split comes with the best builds of its parts, whoever asked for it
//  3. each requested item is at the first of its targets that can be: the newest, or the least that fixes; a replacement of its own arch is
//     among those that come
//  4. the fewest new or dragged-along packages at less than their newest build, those furthest behind first; then the fewest new ones of
//     a foreign arch
//  5. the fewest new packages
//  6. the fewest installed packages moved that nobody asked for
//  7. the order of the file: name, then what universe.better says
//
// 1 to 3 and 7 are lexicographic over items and packages in the order of names; 4 to 6 are counts.

// model is the state of every node after the search.
type model []bool

// goals makes the literals of preference 1.
func (p *problem) goals() {
	for _, it := range p.items {
		if !it.wanted {
			continue
		}
		lits := make([]lit, 0, 1+len(it.targets))
		it.goal, it.hasGoal = pos(p.sat.newVar()), true
		lits = append(lits, it.goal.not())
		for _, n := range it.targets {
			lits = append(lits, pos(n))
		}
		for _, g := range it.groups {
			it.whole = append(it.whole, p.allOf(g.lists))
		}
		lits = append(lits, it.whole...)
		for _, g := range it.spare {
			lits = append(lits, p.allOf(g.lists))
		}
		p.sat.add(p.because(whyGoal, it.inst[0], -1, rpm.Dep{}), lits...)
	}
	p.mendDuplicates()
}

// order lists the literals of preferences 1 to 3.
func (p *problem) order() []lit {
	var sinking, lowered, goals []lit
	for _, it := range p.items {
		lowered = append(lowered, negated(p.below(it))...)
		switch {
		case !it.hasGoal:
		case p.sinks(it):
			sinking = append(sinking, it.goal)
		default:
			goals = append(goals, it.goal)
		}
	}
	out := slices.Concat(p.mended, sinking, lowered, goals)
	for _, w := range p.wishes {
		for k := len(w.targets); k > 0; k-- { // any of them, then any of the better ones
			out = append(out, p.oneOf(w.targets[:k]))
		}
	}
	out = append(out, negated(p.leave)...)
	for _, it := range p.items {
		for _, l := range it.parts {
			for k := 1; k < len(l); k++ { // one of a name is enough, in several arches too
				out = append(out, p.withPart(it, l[:k]))
			}
		}
		for _, n := range it.inst { // each build of it: an entry may be about one of several
			var lits []lit
			for k := range it.whole {
				if it.groups[k].takes(p.nodes[n].pkg) {
					lits = append(lits, it.whole[k])
				}
			}
			if len(lits) > 0 {
				x := p.sat.newVar()
				p.sat.add(p.because(whyGoal, n, -1, rpm.Dep{}), append(lits, neg(x))...)
				out = append(out, pos(x))
			}
		}
	}
	for _, it := range p.items {
		several := p.severalArches(it)
		for k, n := range it.targets {
			if several { // a worse one is not wanted beside a better one
				out = append(out, p.oneOf(it.targets[:k+1]))
			} else { // and cannot come
				out = append(out, pos(n))
			}
		}
	}
	for _, it := range p.items {
		for _, l := range it.obsoleted {
			if p.nodes[l[0]].pkg.Arch == it.key.Arch {
				out = append(out, p.leads(l))
			}
			for k := len(l) - 1; k > 0; k-- {
				out = append(out, neg(l[k]))
			}
		}
	}
	return out
}

// sinks tells whether the request lets an item go down.
func (p *problem) sinks(it *item) bool {
	last := len(it.targets) - 1
	return p.target == nil && last >= 0 && rpm.Compare(p.nodes[it.targets[last]].pkg.EVR, p.highest(it).EVR) < 0
}

// below lists, the lowest first, the builds of an item that the view has which are older than that: they come only for the sake of what sinks.
func (p *problem) below(it *item) []int32 {
	r := p.name(it.key.Name)
	if !p.mayLower(r) || p.target != nil || it.only || p.sinks(it) || !slices.Contains(r.present, it.key.Arch) {
		return nil
	}
	have, out := p.highest(it).EVR, []int32(nil)
	for _, n := range slices.Backward(it.cands) {
		if rpm.Compare(p.nodes[n].pkg.EVR, have) < 0 {
			out = append(out, n)
		}
	}
	return out
}

// severalArches tells whether what an item should go to is not all of its own arch: of those more than one may come in.
func (p *problem) severalArches(it *item) bool {
	return slices.ContainsFunc(it.targets, func(n int32) bool { return p.nodes[n].pkg.Arch != it.key.Arch })
}

// allOf returns a literal that implies that one of each list comes in.
func (p *problem) allOf(lists [][]int32) lit {
	x := p.sat.newVar()
	for _, l := range lists {
		p.sat.add(p.because(whyGoal, l[0], -1, rpm.Dep{}), append(kept(l), neg(x))...)
	}
	return pos(x)
}

// oneOf returns a literal that implies that one of the nodes comes in.
func (p *problem) oneOf(nodes []int32) lit {
	if len(nodes) == 1 {
		return pos(nodes[0])
	}
	x := p.sat.newVar()
	p.sat.add(p.because(whyGoal, nodes[0], -1, rpm.Dep{}), append(kept(nodes), neg(x))...)
	return pos(x)
}

// leads returns a literal that implies that none of the nodes comes in without the first. rpm takes a library out in all of its arches for a build of one arch
// that obsoletes it.
func (p *problem) leads(nodes []int32) lit {
	x := p.sat.newVar()
	for _, n := range nodes[1:] {
		p.sat.add(p.because(whyGoal, n, -1, rpm.Dep{}), neg(x), neg(n), pos(nodes[0]))
	}
	return pos(x)
}

// isNew tells whether a node brings a name that is not installed, or, where a policy or a target has it so, another arch of one beside it.
func (p *problem) isNew(n int32) bool {
	if p.nodes[n].cand < 0 {
		return false
	}
	pkg := p.nodes[n].pkg
	return !slices.ContainsFunc(p.instByName[pkg.Name], func(i int32) bool { return p.succeeds(pkg, p.nodes[i].pkg) })
}

// worst orders nodes so that what is liked least comes first: it is decided away first.
func (p *problem) worst(nodes []int32) {
	behind := map[int32]int{}
	for _, n := range nodes {
		behind[n] = p.behind(n)
	}
	slices.SortFunc(nodes, func(a, b int32) int {
		na, nb := &p.nodes[a], &p.nodes[b]
		return cmp.Or(cmp.Compare(behind[b], behind[a]), cmp.Compare(p.archCost(b), p.archCost(a)), -p.compareCands(na, nb))
	})
}

func (p *problem) compareCands(a, b *node) int {
	return cmp.Or(cmp.Compare(p.sourceRank(a), p.sourceRank(b)), p.u.better(a.cand, b.cand))
}

// sourceRank is the place of a node's repository: priority, then order of the file.
func (p *problem) sourceRank(n *node) int64 {
	s := p.u.cands[n.cand].source
	return int64(p.u.sources[s].Priority)<<24 + int64(s)
}

// behind counts the eligible builds of the same name.arch that are newer than a node.
func (p *problem) behind(n int32) int {
	nd := &p.nodes[n]
	count := 0
	r := p.name(nd.pkg.Name)
	for _, i := range r.installed { // lower than what is there is worse than all that is not
		if q := p.nodes[i].pkg; q.Arch == nd.pkg.Arch && !r.only && rpm.Compare(q.EVR, nd.pkg.EVR) > 0 {
			count++
		}
	}
	p.effort.spend(len(r.eligible))
	for _, id := range r.eligible {
		if id == nd.cand {
			break
		}
		if c := &p.u.cands[id]; c.Arch == nd.pkg.Arch && rpm.Compare(c.EVR, nd.pkg.EVR) > 0 {
			count++
		}
	}
	return count
}

// search finds the best model.
func (p *problem) search() (model, error) {
	p.goals()
	first := p.order()
	ranked := map[int32]bool{}
	for _, l := range first {
		ranked[l.variable()] = true
	}
	var fresh, dragged, moved []int32
	disliked := p.disliked(ranked)
	for n := int32(p.installed); n < int32(len(p.nodes)); n++ {
		if p.isNew(n) {
			fresh = append(fresh, n)
		} else if !ranked[n] {
			dragged = append(dragged, n)
		}
	}
	for _, it := range p.items {
		if !it.wanted {
			moved = append(moved, it.inst...)
		}
	}
	p.worst(fresh)
	p.worst(dragged)
	rest := slices.Concat(negated(fresh), kept(moved), negated(dragged), p.remaining())
	if err := p.leastDisliked(first, disliked, rest); err != nil {
		return nil, err
	}
	if err := p.fewest(negated(fresh), rest, len(moved) == 0); err != nil {
		return nil, err
	}
	if len(moved) > 0 {
		if err := p.fewest(kept(moved), rest, true); err != nil {
			return nil, err
		}
	}
	out := make(model, len(p.nodes))
	for n := range out {
		out[n] = p.sat.value[n] > 0
	}
	return out, nil
}

// disliked lists what preference 4 would rather not have come in, the classes in its order: what is most builds behind, and last what
// is of a foreign arch.
func (p *problem) disliked(ranked map[int32]bool) [][]int32 {
	var byBehind [][]int32
	var foreign []int32
	for n := int32(p.installed); n < int32(len(p.nodes)); n++ {
		if ranked[n] {
			continue
		}
		if k := p.behind(n); k > 0 {
			byBehind = append(byBehind, make([][]int32, max(0, k-len(byBehind)))...)
			byBehind[k-1] = append(byBehind[k-1], n)
		}
		if p.isNew(n) && p.archCost(n) > 0 {
			foreign = append(foreign, n)
		}
	}
	slices.Reverse(byBehind)
	return slices.DeleteFunc(append(byBehind, foreign), func(l []int32) bool { return len(l) == 0 })
}

// leastDisliked finds a model that is best by the preferences 1 to 3, whose literals come first, and by 4, and fixes what these decide.
// Nearly always all that is disliked can be left out, and nothing is counted.
func (p *problem) leastDisliked(first []lit, disliked [][]int32, rest []lit) error {
	without := negated(slices.Concat(disliked...))
	if err := p.run(nil, slices.Concat(first, without, rest)); err != nil {
		return err
	}
	if p.lost(without) == 0 {
		p.fix(slices.Concat(first, without))
		return nil
	}
	p.fix(first)
	for i, class := range disliked {
		if err := p.fewest(negated(class), slices.Concat(negated(slices.Concat(disliked[i+1:]...)), rest), false); err != nil {
			return err
		}
	}
	return nil
}

// remaining lists every variable, so that no assignment is left to chance: installed packages stay, all else is out.
func (p *problem) remaining() []lit {
	out := make([]lit, 0, len(p.sat.value))
	for v := range int32(len(p.sat.value)) {
		if int(v) < p.installed {
			out = append(out, pos(v))
		} else {
			out = append(out, neg(v))
		}
	}
	return out
}

func negated(nodes []int32) []lit {
	out := make([]lit, len(nodes))
	for i, n := range nodes {
		out[i] = neg(n)
	}
	return out
}

func kept(nodes []int32) []lit {
	out := make([]lit, len(nodes))
	for i, n := range nodes {
		out[i] = pos(n)
	}
	return out
}

// run searches and turns the outcome into an error. There is always a model: the host as it is.
func (p *problem) run(assume, order []lit) error {
	switch o, _, _ := p.sat.search(assume, order); o {
	case found:
		return nil
	case stopped:
		return ErrTooHard
	}
	return fmt.Errorf("the rules exclude even the host as it is: a defect of the planner, please report it")
}

// fix makes the values that a list of literals has in the present model permanent.
func (p *problem) fix(lits []lit) {
	values := make([]int8, len(lits))
	for i, l := range lits {
		values[i] = p.sat.val(l)
	}
	p.sat.undo(0)
	why := p.because(whyGoal, -1, -1, rpm.Dep{})
	for i, l := range lits {
		if p.sat.val(l) != 0 {
			continue
		}
		if values[i] < 0 {
			l = l.not()
		}
		p.sat.add(why, l)
	}
}

// fewest finds, among the models of what was fixed, those with the fewest of the given literals false, and of these the first by
// the order. It leaves that model assigned and, unless this is the last preference, the count fixed.
func (p *problem) fewest(want, order []lit, last bool) error {
	p.sat.undo(0)
	if p.sat.propagate() >= 0 {
		return fmt.Errorf("fixed preferences contradict each other: a defect of the planner, please report it")
	}
	var open []lit
	for _, l := range want {
		if p.sat.val(l) == 0 {
			open = append(open, l)
		}
	}
	tail := slices.Concat(open, order)
	if err := p.run(nil, tail); err != nil {
		return err
	}
	count := p.lost(open)
	if count == 0 {
		p.fix(open)
		return p.run(nil, order)
	}
	bound := p.lowerBound(open, count)
	if last && bound == count {
		return p.run(nil, tail)
	}
	outputs := p.counter(open, count+1)
	for count > bound {
		o, _, _ := p.sat.search([]lit{outputs[count-1].not()}, tail)
		if o == failed {
			break
		}
		if o == stopped {
			return ErrTooHard
		}
		count = p.lost(open)
	}
	p.sat.undo(0)
	if count < len(outputs) {
		p.sat.add(p.because(whyGoal, -1, -1, rpm.Dep{}), outputs[count].not())
	}
	return p.run(nil, tail)
}

// lost counts the literals that are false.
func (p *problem) lost(lits []lit) int {
	n := 0
	for _, l := range lits {
		if p.sat.val(l) < 0 {
			n++
		}
	}
	return n
}

// lowerBound finds sets of literals that share no member and cannot all be true: at least one of each is lost. Choices between
// providers are mostly of this kind, and the bound then proves the count without a counter.
func (p *problem) lowerBound(lits []lit, stop int) int {
	left := slices.Clone(lits)
	rest := p.remaining()
	bound := 0
	for bound < stop {
		o, _, used := p.sat.search(left, rest)
		if o != failed {
			break
		}
		if len(used) == 0 {
			break
		}
		bound++
		p.effort.spend(len(left) * len(used) / 8)
		left = slices.DeleteFunc(left, func(l lit) bool { return slices.Contains(used, l) })
	}
	return bound
}

// counter adds a sequential counter over the negations of the literals; output k is true when more than k of them are false
// (C. Sinz, CP 2005, one direction).
func (p *problem) counter(lits []lit, width int) []lit {
	p.sat.undo(0)
	why := p.because(whyGoal, -1, -1, rpm.Dep{})
	var before []lit
	for _, l := range lits {
		row := make([]lit, min(len(before)+1, width))
		for k := range row {
			row[k] = pos(p.sat.newVar())
			if k < len(before) {
				p.sat.add(why, before[k].not(), row[k])
			}
			if k == 0 {
				p.sat.add(why, l, row[k])
			} else if k-1 < len(before) {
				p.sat.add(why, l, before[k-1].not(), row[k])
			}
		}
		before = row
	}
	return before
}
