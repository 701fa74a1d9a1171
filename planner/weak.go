package planner

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"cpacman/internal/rpm"
)

// recommended lists what a package that comes in recommends and what it replaces did not recommend already: dnf does not bring back what
// was left out once.
func (p *problem) recommended(n int32) []rpm.Dep {
	if int(n) < p.installed {
		return nil
	}
	pkg := p.nodes[n].pkg
	var out []rpm.Dep
	for _, d := range pkg.Recommends {
		known := slices.ContainsFunc(p.instByName[pkg.Name], func(i int32) bool { return slices.Contains(p.nodes[i].pkg.Recommends, d) })
		if !known && !isRpmlib(d.Name) {
			out = append(out, d)
		}
	}
	return out
}

// reachWeak adds what a package that comes in recommends, and what supplements it. Of its files only those count that primary metadata list.
func (p *problem) reachWeak(pkg *rpm.Package) error {
	for i := range pkg.Recommends {
		if err := p.reachDemand(p.demand(&pkg.Recommends[i])); err != nil {
			return err
		}
	}
	p.reachSupplements(pkg.Name)
	for i := range pkg.Provides {
		p.reachSupplements(pkg.Provides[i].Name)
	}
	for _, f := range pkg.Files {
		p.reachSupplements(f)
	}
	return nil
}

func (p *problem) reachSupplements(name string) {
	for _, id := range p.u.supplementing(name) {
		if r := p.name(p.u.cands[id].Name); !r.only && len(r.installed) == 0 && slices.Contains(r.eligible, id) {
			p.node(id)
		}
	}
}

// supplemented tells by which of its Supplements a package would come to a model, "" for none. What was fulfilled without what comes in is none:
// it was left out once.
func (p *problem) supplemented(n int32, m model) string {
	for _, d := range p.nodes[n].pkg.Supplements {
		r := &rpm.Rich{Dep: d}
		if d.IsRich() {
			var err error
			if r, err = rpm.ParseRich(d.Name); err != nil {
				continue
			}
		}
		if p.fulfilled(r, m) == byNew {
			return d.String()
		}
	}
	return ""
}

// fulfilment says how a model fulfils an expression.
type fulfilment int

const (
	unfulfilled fulfilment = iota
	byOld                  // by what stays alone
	byNew                  // by something that comes in, too
)

// fulfilled weighs an expression as dnf does: what comes in counts where it fulfils the expression itself, and as the condition of an else.
func (p *problem) fulfilled(r *rpm.Rich, m model) fulfilment {
	switch r.Op {
	case rpm.RichLeaf, rpm.RichWith, rpm.RichWithout:
		best := unfulfilled
		for _, q := range richMembers(r, p.providersOf) {
			if m[q] && int(q) < p.installed {
				best = max(best, byOld)
			} else if m[q] {
				best = byNew
			}
		}
		return best
	case rpm.RichAnd, rpm.RichOr:
		least, most := byNew, unfulfilled
		for _, a := range r.Args {
			f := p.fulfilled(a, m)
			least, most = min(least, f), max(most, f)
		}
		if r.Op == rpm.RichAnd && least == unfulfilled {
			return unfulfilled
		}
		return most
	}
	return p.conditional(r, m)
}

// conditional is fulfilled of "a if b", "a unless b", and both with an else.
func (p *problem) conditional(r *rpm.Rich, m model) fulfilment {
	holds, b := p.fulfilled(r.Args[0], m), p.fulfilled(r.Args[1], m)
	both := func(x fulfilment) fulfilment {
		if x == unfulfilled {
			return unfulfilled
		}
		return max(x, b)
	}
	switch unless, alone := r.Op == rpm.RichUnless, len(r.Args) < 3; {
	case unless && b == unfulfilled:
		return holds
	case unless && alone:
		return unfulfilled
	case unless:
		return both(p.fulfilled(r.Args[2], m))
	case alone && holds == unfulfilled && b == unfulfilled:
		return byOld
	case alone:
		return holds
	case b == unfulfilled:
		return p.fulfilled(r.Args[2], m)
	}
	return both(holds)
}

// supplementing lists, by name, the nodes that come to a model because they supplement something of it. One arch of a name is enough.
func (p *problem) supplementing(m model, lacking map[int32]bool) [][]int32 {
	byName, there := map[string][]int32{}, map[string]bool{}
	for n := range m {
		there[p.nodes[n].pkg.Name] = there[p.nodes[n].pkg.Name] || m[n]
	}
	for n := int32(p.installed); n < int32(len(m)); n++ {
		pkg := p.nodes[n].pkg
		if !there[pkg.Name] && len(pkg.Supplements) > 0 && !p.nodes[n].only && !lacking[n] && p.isNew(n) && !p.inferior(n) && p.supplemented(n, m) != "" {
			byName[pkg.Name] = append(byName[pkg.Name], n)
		}
	}
	out := make([][]int32, 0, len(byName))
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		out = append(out, byName[name])
	}
	return out
}

// weakWish is what somebody recommends, or what supplements something: one of some packages, beside those that it is for.
type weakWish struct {
	whose, by []int32
	dep       rpm.Dep
	not       []int32 // what a boolean expression names and nobody recommends
}

// follow adds to the best model what its packages recommend, and what supplements them, then the same of those, and so on. What a later round asks for
// changes nothing that an earlier one has, but what came for the sake of others: that is chosen anew, since it may now have another reason to come.
func (p *problem) follow(strong model) (model, error) {
	lacking, seen := p.lacking(), map[string]bool{}
	var rounds [][]weakWish
	for m := strong; ; {
		more, recommended := p.unseen(p.supplementWishes(strong, m, lacking), seen), p.recommendWishes(m, lacking)
		if len(more) > 0 {
			p.widen(more, recommended)
		} else { // what is recommended comes later, as in dnf
			more = p.unseen(recommended, seen)
		}
		if len(more) > 0 {
			rounds = append(rounds, more)
		} else if !p.dropGroundless(strong, m, rounds) {
			return m, nil
		}
		var err error
		if m, err = p.followed(strong, rounds); err != nil {
			return nil, err
		}
	}
}

// widen lets what supplements something come as any build that is recommended as well: it comes at its newest of those, though that supplements nothing.
func (p *problem) widen(supplements, recommended []weakWish) {
	byName := map[string][]int32{}
	for _, r := range recommended {
		if !r.dep.IsRich() {
			for _, n := range r.by {
				byName[p.nodes[n].pkg.Name] = append(byName[p.nodes[n].pkg.Name], n)
			}
		}
	}
	for i := range supplements {
		w := &supplements[i]
		for _, n := range byName[p.nodes[w.by[0]].pkg.Name] {
			if !slices.Contains(w.by, n) {
				w.by = append(w.by, n)
			}
		}
	}
}

// unseen returns the wishes that no round before had.
func (p *problem) unseen(wishes []weakWish, seen map[string]bool) []weakWish {
	var out []weakWish
	for _, w := range wishes {
		key := fmt.Sprint(w.whose, w.by, w.dep)
		p.effort.spend(len(w.by))
		if !seen[key] {
			seen[key] = true
			out = append(out, w)
		}
	}
	return out
}

// followed adds wishes to a model, as far as nothing of that model has to change for them. What cannot come is left. In each round first all that can be
// is there, then each at its newest build that can be. Of what they need, preferences 4 and 5 choose.
func (p *problem) followed(m model, rounds [][]weakWish) (model, error) {
	t := p.rules(p.effort)
	order := make([]lit, 0, len(m))
	for n := range int32(len(m)) { // what comes and what stays, then what leaves
		if m[n] {
			order = append(order, pos(n))
		}
	}
	for n := range int32(p.installed) {
		if !m[n] {
			order = append(order, neg(n))
		}
	}
	var fresh []int32
	for n := int32(p.installed); n < int32(len(m)); n++ {
		if m[n] {
			continue
		}
		if !p.isNew(n) || p.nodes[n].only { // nothing installed moves for it
			order = append(order, neg(n))
			continue
		}
		fresh = append(fresh, n)
	}
	strong := p.sat
	p.sat = t
	defer func() { p.sat = strong }()
	for _, wishes := range rounds {
		for _, w := range wishes {
			order = append(order, p.weakGoal(t, w, w.by))
		}
		for _, w := range wishes {
			order = append(order, p.newestFirst(t, w)...)
		}
	}
	p.worst(fresh)
	settled := map[int32]bool{}
	for _, l := range order {
		settled[l.variable()] = true
	}
	rest := append(negated(fresh), p.remaining()...)
	if err := p.leastDisliked(order, p.disliked(settled), rest); err != nil {
		return nil, err
	}
	if err := p.fewest(negated(fresh), rest, true); err != nil {
		return nil, err
	}
	out := make(model, len(m))
	for n := range out {
		out[n] = t.value[n] > 0
	}
	return out, nil
}

// inferior tells whether a candidate is of a foreign arch and the view has its name in a better one: nobody recommends the foreign one then, even
// where the better one cannot come.
func (p *problem) inferior(n int32) bool {
	pkg := p.nodes[n].pkg
	rank := archRank(p.h.Arch, pkg.Arch)
	return rank > 0 && slices.ContainsFunc(p.u.named(pkg.Name), func(id int32) bool {
		r := archRank(p.h.Arch, p.u.cands[id].Arch)
		return r >= 0 && r < rank
	})
}

// lacking tells of candidates that something installed recommends, or that supplement something installed, and that are not there: they were left
// out once, and nobody else's recommendation brings them either (dnf.conf(5), exclude_from_weak_autodetect).
func (p *problem) lacking() map[int32]bool {
	out := map[int32]bool{}
	for n := int32(p.installed); n < int32(len(p.nodes)); n++ {
		if slices.ContainsFunc(p.nodes[n].pkg.Supplements, func(d rpm.Dep) bool { return !d.IsRich() && len(p.installedFor(d)) > 0 }) {
			out[n] = true
		}
	}
	for n := range int32(p.installed) {
		for _, d := range p.nodes[n].pkg.Recommends {
			d = rpm.Dep{Name: d.Name} // at any version, as in dnf
			if !d.IsRich() && len(p.installedFor(d)) == 0 {
				for _, q := range p.providersOf(d) {
					out[q] = true
				}
			}
		}
	}
	return out
}

// supplementWishes lists what supplements something of a model, with what came weakly itself and has a part in that.
func (p *problem) supplementWishes(strong, m model, lacking map[int32]bool) []weakWish {
	var out []weakWish
	for _, l := range p.supplementing(m, lacking) {
		w := weakWish{by: l}
		for _, n := range l {
			if p.supplemented(n, strong) != "" {
				w.whose = nil
				break
			}
			for _, d := range p.nodes[n].pkg.Supplements {
				for _, q := range p.named(d) {
					if m[q] && !strong[q] && !slices.Contains(w.whose, q) {
						w.whose = append(w.whose, q)
					}
				}
			}
		}
		out = append(out, w)
	}
	return out
}

// recommendWishes lists what the packages of a model recommend, in the order of their names.
func (p *problem) recommendWishes(m model, lacking map[int32]bool) []weakWish {
	var whose []int32
	for n := int32(p.installed); n < int32(len(m)); n++ {
		if m[n] {
			whose = append(whose, n)
		}
	}
	slices.SortFunc(whose, func(a, b int32) int { return p.u.better(p.nodes[a].cand, p.nodes[b].cand) })
	var out []weakWish
	for _, n := range whose {
		for _, d := range p.recommended(n) {
			w := weakWish{whose: []int32{n}, dep: d}
			for _, q := range p.named(d) {
				if !lacking[q] && (int(q) < p.installed || !p.inferior(q)) {
					w.by = append(w.by, q)
				} else if d.IsRich() {
					w.not = append(w.not, q)
				}
			}
			out = append(out, w)
		}
	}
	return out
}

// named lists the providers of a dependency, of a boolean one those of all that it names.
func (p *problem) named(d rpm.Dep) (out []int32) {
	if !d.IsRich() {
		return p.providersOf(d)
	}
	if r, err := rpm.ParseRich(d.Name); err == nil {
		r.Leaves(func(leaf rpm.Dep) { out = append(out, p.providersOf(leaf)...) })
	}
	return out
}

// weakGoal returns a literal that implies that one of some packages comes for a wish, and that those that it is for are there: none leaves because what it
// recommends cannot come.
func (p *problem) weakGoal(t *sat, w weakWish, by []int32) lit {
	x, why := t.newVar(), int32(-1)
	if len(w.whose) > 0 {
		why = w.whose[0]
	}
	if r, err := rpm.ParseRich(w.dep.Name); w.dep.IsRich() && err == nil {
		whole := encoder{p: p, why: p.because(whyGoal, why, -1, w.dep)}
		t.add(whole.why, neg(x), whole.encode(r, true))
		for _, n := range w.not {
			t.add(whole.why, neg(x), neg(n))
		}
	} else {
		t.add(p.because(whyGoal, why, -1, w.dep), append(kept(by), neg(x))...)
	}
	for _, n := range w.whose {
		t.add(p.because(whyGoal, n, -1, w.dep), pos(n), neg(x))
	}
	return pos(x)
}

// newestFirst returns literals for a wish at a build that fewer and fewer newer ones are ahead of, of whatever arch: any of them is its newest.
func (p *problem) newestFirst(t *sat, w weakWish) (out []lit) {
	if w.dep.IsRich() { // preference 4 sees to it
		return nil
	}
	l := slices.DeleteFunc(slices.Clone(w.by), func(n int32) bool { return int(n) < p.installed })
	p.effort.spend(compareSteps * len(l))
	slices.SortFunc(l, func(a, b int32) int {
		x, y := p.nodes[a].pkg, p.nodes[b].pkg
		return cmp.Or(cmp.Compare(x.Name, y.Name), rpm.Compare(y.EVR, x.EVR))
	})
	ahead, most := map[int32]int{}, 0
	for i, n := range l {
		if i > 0 && p.nodes[l[i-1]].pkg.Name == p.nodes[n].pkg.Name {
			ahead[n] = ahead[l[i-1]]
			if rpm.Compare(p.nodes[l[i-1]].pkg.EVR, p.nodes[n].pkg.EVR) != 0 {
				ahead[n]++
			}
		}
		most = max(most, ahead[n])
	}
	for k := most - 1; k >= 0; k-- {
		out = append(out, p.weakGoal(t, w, slices.DeleteFunc(slices.Clone(w.by), func(n int32) bool { return ahead[n] > k })))
	}
	return out
}

// rules makes a search over the rules alone, without preferences that were fixed.
func (p *problem) rules(e *effort) *sat {
	t := newSAT(e)
	t.reserve(max(len(p.sat.value), len(p.sat.clauses)))
	for range p.sat.value {
		t.newVar()
	}
	for _, c := range p.sat.clauses {
		if c.why >= 0 && p.reasons[c.why].kind != whyGoal {
			t.add(c.why, c.lits...)
		}
	}
	return t
}

// recommendedBy lists who recommends a new package, where nobody needs it, or what it supplements.
func (s *solution) recommendedBy(n int32) []string {
	var out []string
	if d := s.supplemented(n, s.model); d != "" {
		out = append(out, "supplements "+d)
	}
	for m := int32(s.installed); m < int32(len(s.nodes)); m++ {
		if !s.model[m] || m == n {
			continue
		}
		for _, d := range s.recommended(m) {
			if slices.Contains(s.problem.named(d), n) {
				out = append(out, "recommended by "+s.nodes[m].pkg.NEVRA.String())
			}
		}
	}
	return out
}
