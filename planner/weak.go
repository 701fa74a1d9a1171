package planner

import (
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

// follow adds to the best model what its packages recommend, then what those recommend, and so on.
func (p *problem) follow(m model) (model, error) {
	for {
		more, err := p.followOnce(m)
		if err != nil || slices.Equal(m, more) {
			return more, err
		}
		m = more
	}
}

// followOnce adds to a model what its packages recommend, as far as nothing of that model has to change for it. A recommendation that cannot
// be followed is none. Of what could be followed, preferences 4 and 5 choose.
func (p *problem) followOnce(m model) (model, error) {
	t := p.rules()
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
	lacking := p.lacking()
	for n := int32(p.installed); n < int32(len(m)); n++ {
		if m[n] {
			for _, d := range p.recommended(n) {
				order = append(order, p.weakGoal(t, n, d, lacking))
			}
		}
	}
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

// lacking tells of candidates that something installed recommends, and that are not there: they were left out once, and nobody else's recommendation
// brings them either (dnf.conf(5), exclude_from_weak_autodetect).
func (p *problem) lacking() map[int32]bool {
	out := map[int32]bool{}
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
		if !lacking[q] {
			lits = append(lits, pos(q))
		}
	}
	t.add(p.because(whyGoal, n, -1, d), lits...)
	return pos(x)
}

// rules makes a search over the rules alone, without preferences that were fixed.
func (p *problem) rules() *sat {
	t := newSAT()
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

// recommendedBy lists who recommends a new package, where nobody needs it.
func (s *solution) recommendedBy(n int32) []string {
	var out []string
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
