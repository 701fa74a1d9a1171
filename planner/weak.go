package planner

import (
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

// follow adds to the best model what its packages recommend, and what supplements them, then the same of those, and so on.
func (p *problem) follow(m model) (model, error) {
	lacking := p.lacking()
	for {
		more := m
		var err error
		if l := p.supplementing(m, lacking); len(l) > 0 { // before what is recommended, as in dnf
			more, err = p.followOnce(m, func(t *sat) []lit { return p.supplementGoals(t, l) })
		}
		if err == nil && slices.Equal(m, more) {
			more, err = p.followOnce(m, func(t *sat) []lit { return p.weakGoals(t, m, lacking) })
		}
		if err != nil || slices.Equal(m, more) {
			return more, err
		}
		m = more
	}
}

// followOnce adds to a model what its packages recommend, or what supplements them, as far as nothing of that model has to change for it. What
// cannot come is left. Of what could be followed, preferences 4 and 5 choose.
func (p *problem) followOnce(m model, goals func(*sat) []lit) (model, error) {
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
	order = append(order, goals(t)...)
	p.worst(fresh)
	settled := map[int32]bool{}
	for _, l := range order {
		settled[l.variable()] = true
	}
	strong := p.sat
	p.sat = t
	defer func() { p.sat = strong }()
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
			if !d.IsRich() && len(p.installedFor(d)) == 0 {
				for _, q := range p.providersOf(d) {
					out[q] = true
				}
			}
		}
	}
	return out
}

// supplementGoals returns literals that imply that one of each list comes in.
func (p *problem) supplementGoals(t *sat, lists [][]int32) []lit {
	out := make([]lit, len(lists))
	for i, l := range lists {
		out[i] = pos(t.newVar())
		t.add(p.because(whyGoal, l[0], -1, rpm.Dep{}), append(kept(l), out[i].not())...)
	}
	return out
}

// weakGoals returns a literal for everything that the packages of a model recommend.
func (p *problem) weakGoals(t *sat, m model, lacking map[int32]bool) (out []lit) {
	for n := int32(p.installed); n < int32(len(m)); n++ {
		if m[n] {
			for _, d := range p.recommended(n) {
				out = append(out, p.weakGoal(t, n, d, lacking))
			}
		}
	}
	return out
}

// weakGoal returns a literal that implies that a recommendation is followed, if the package is there.
func (p *problem) weakGoal(t *sat, n int32, d rpm.Dep, lacking map[int32]bool) lit {
	x := t.newVar()
	var by []int32
	if !d.IsRich() {
		by = p.providersOf(d)
	} else if r, err := rpm.ParseRich(d.Name); err == nil { // one of the packages that an expression names is all that is asked
		r.Leaves(func(leaf rpm.Dep) { by = append(by, p.providersOf(leaf)...) })
	}
	lits := []lit{neg(x), neg(n)}
	for _, q := range by {
		if !lacking[q] && (int(q) < p.installed || !p.inferior(q)) {
			lits = append(lits, pos(q))
		}
	}
	t.add(p.because(whyGoal, n, -1, d), lits...)
	return pos(x)
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
			if slices.Contains(s.providersOf(d), n) {
				out = append(out, "recommended by "+s.nodes[m].pkg.NEVRA.String())
			}
		}
	}
	return out
}
