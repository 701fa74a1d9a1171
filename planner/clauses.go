package planner

import (
	"slices"

	"cpacman/internal/rpm"
)

// reasonKind is the rule that a clause comes from.
type reasonKind uint8

const (
	whyRequires  reasonKind = iota // a requires dep
	whyConflicts                   // a conflicts with b
	whyObsoletes                   // a obsoletes b
	whyBeside                      // a is install-only and obsoletes b: rpm -i refuses it
	whyOneBuild                    // a and b are builds of one name.arch
	whyStays                       // a leaves only by an update or by Obsoletes
	whyLockstep                    // a and b are other arches of one name: rpm works by name
	whyRich                        // part of a boolean dependency: no line of its own
	whyGoal                        // a preference made into a clause
	whyBad                         // a has a dependency that cannot be read
	whyModule                      // the kernel a has no build of the out-of-tree module b
	whyAgain                       // a has a boolean dependency that is broken before, and rpm would look at it again
	whySplit                       // a comes only with b, another part of what it replaces
	whyStandsIn                    // a took the place of what the target has by the name and version of dep, and stays until that comes
)

// reason explains one clause in the words of packages.
type reason struct {
	kind reasonKind
	a, b int32 // nodes; b is -1 where there is none
	dep  rpm.Dep
}

// because stores a reason and returns its index.
func (p *problem) because(kind reasonKind, a, b int32, dep rpm.Dep) int32 {
	p.reasons = append(p.reasons, reason{kind, a, b, dep})
	return int32(len(p.reasons) - 1)
}

// laterStep tells whether a node comes in by rpm -i, after the upgrade: what is upgraded may not rely on it (design 5).
func (p *problem) laterStep(n int32) bool { return p.nodes[n].cand >= 0 && p.nodes[n].only }

// clauses states every rule over the nodes. What is installed satisfies all of them: faults that the host already has are left
// out (FACT-4).
func (p *problem) clauses() {
	p.reasons = slices.Grow(p.reasons, 2*len(p.nodes)) // mostly enough
	p.sat.reserve(2 * len(p.nodes))
	for range p.nodes {
		p.sat.newVar()
	}
	byName := make(map[string][]int32, len(p.nodes))
	for n := range int32(len(p.nodes)) {
		byName[p.nodes[n].pkg.Name] = append(byName[p.nodes[n].pkg.Name], n)
	}
	for n := range int32(len(p.nodes)) {
		p.requireClauses(n)
		p.conflictClauses(n)
		p.obsoleteClauses(n, byName)
	}
	for n := range int32(len(p.nodes)) {
		p.effort.spend(len(byName[p.nodes[n].pkg.Name]))
		for _, m := range byName[p.nodes[n].pkg.Name] {
			if n != m {
				p.nameClauses(n, m)
			}
		}
	}
	for n := range int32(p.installed) {
		p.stayClause(n)
	}
	p.partClauses()
	p.moduleClauses()
}

// requireClauses states what a node needs.
func (p *problem) requireClauses(n int32) {
	for i, id := range p.requires(n) {
		if p.demands[id].stated == n+1 {
			continue
		}
		p.demands[id].stated = n + 1
		switch d := p.nodes[n].pkg.Requires[i]; {
		case isRpmlib(d.Name):
			if int(n) >= p.installed && !rpmlibMet(d, p.h.RPMVersion) {
				p.sat.add(p.because(whyRequires, n, -1, d), neg(n))
			}
		case d.IsRich():
			p.richClauses(n, d, true)
		case p.demands[id].always:
		default:
			p.plainRequire(n, d, p.providers(id))
		}
	}
}

// plainRequire states one plain requirement. A provider that comes in only by the later step counts for nothing of the first.
func (p *problem) plainRequire(n int32, d rpm.Dep, providers []int32) {
	lits := []lit{p.unless(n)}
	met := false
	bar := p.alternatives(d)
	p.effort.spend(len(providers))
	for _, q := range providers {
		if q == n {
			return
		}
		met = met || int(q) < p.installed
		if p.laterStep(q) && !p.laterStep(n) || bar != nil && p.isNew(q) && !slices.Contains(bar, p.nodes[q].pkg.Name) {
			continue
		}
		lits = append(lits, pos(q))
	}
	if int(n) < p.installed && !met {
		lits[0] = neg(n)
		p.mend(whyRequires, n, -1, d, lits)
		return // broken before
	}
	for _, q := range providers {
		if int(n) < p.installed && int(q) < p.installed && len(p.duplicates(n)) > 0 && len(p.duplicates(q)) > 0 {
			lits = append(lits, p.leaveTogether(n, q))
		}
	}
	p.sat.add(p.because(whyRequires, n, -1, d), lits...)
}

// conflictClauses states what a node does not stand.
func (p *problem) conflictClauses(n int32) {
	for _, d := range p.nodes[n].pkg.Conflicts {
		if d.IsRich() {
			p.richClauses(n, d, false)
			continue
		}
		providers := p.providersOf(d)
		p.effort.spend(len(providers))
		for _, q := range providers {
			switch {
			case q == n:
			case int(n) < p.installed && int(q) < p.installed:
				p.mend(whyConflicts, n, q, d, []lit{neg(n), neg(q)})
			default:
				p.sat.add(p.because(whyConflicts, n, q, d), p.unless(n), p.unless(q))
			}
		}
	}
}

// obsoleteClauses states that what is obsoleted does not stay beside. rpm -i follows no Obsoletes: it refuses a package beside any that this one obsoletes, an
// older build of its own name too.
func (p *problem) obsoleteClauses(n int32, byName map[string][]int32) {
	pkg := p.nodes[n].pkg
	later := p.laterStep(n)
	kind := whyObsoletes
	if later {
		kind = whyBeside
	}
	for i := range pkg.Obsoletes {
		d := pkg.Obsoletes[i]
		if d.Name == pkg.Name && !later {
			continue
		}
		p.effort.spend(1 + len(byName[d.Name]))
		for _, q := range byName[d.Name] {
			if q == n || int(n) < p.installed && int(q) < p.installed {
				continue
			}
			if rpm.Overlap(d.Sense, d.EVR, rpm.Equal, p.nodes[q].pkg.EVR) {
				p.sat.add(p.because(kind, n, q, d), p.unless(n), p.unless(q))
			}
		}
	}
}

// nameClauses states what rpm does with two builds n and m of one name, n coming in.
func (p *problem) nameClauses(n, m int32) {
	if int(n) < p.installed {
		return
	}
	a, b := &p.nodes[n], &p.nodes[m]
	incoming := int(m) >= p.installed
	if incoming && m < n {
		return // the pair was stated the other way round
	}
	alone := incoming && (p.changesArch(a.pkg) || p.changesArch(b.pkg))
	if a.only {
		if alone || incoming && a.pkg.Arch == b.pkg.Arch { // one new build at a time
			p.sat.add(p.because(whyOneBuild, n, m, rpm.Dep{}), neg(n), neg(m))
		}
		return
	}
	switch {
	case alone, a.pkg.Arch == b.pkg.Arch:
		p.sat.add(p.because(whyOneBuild, n, m, rpm.Dep{}), neg(n), neg(m))
	case disjoint(a.pkg, b.pkg):
	case rpm.Compare(a.pkg.EVR, b.pkg.EVR) != 0, !incoming && !apart(a.pkg, b.pkg):
		p.sat.add(p.because(whyLockstep, n, m, rpm.Dep{}), neg(n), p.unless(m))
	}
}

// stayClause states that an installed package leaves only for its own update or for a package that obsoletes it, or by a rule that
// lets it go.
func (p *problem) stayClause(n int32) {
	if p.freeToLeave(n) {
		for _, t := range p.standsFor(n) {
			p.sat.add(p.because(whyStandsIn, n, -1, rpm.Dep{Name: t.Name, Sense: rpm.Equal, EVR: t.EVR}), append(kept(p.buildsOf(t)), pos(n))...)
		}
		return
	}
	lits := append([]lit{pos(n)}, kept(p.replacers(n))...)
	for _, m := range p.duplicates(n) {
		lits = append(lits, pos(m))
	}
	p.sat.add(p.because(whyStays, n, -1, rpm.Dep{}), lits...)
}

// changesArch tells whether a candidate comes in only because its name may change its arch: then it takes the place of all that is installed
// of the name, and no other build comes in beside it. Beside each other is what an arches rule, or a target, is for.
func (p *problem) changesArch(c *rpm.Package) bool {
	r := p.name(c.Name)
	return p.target == nil && r.archChange != nil && r.arches == nil && len(r.installed) > 0 && !p.hasArch(r, c.Arch)
}

// hasArch tells whether a name is installed in an arch.
func (p *problem) hasArch(r *nameRule, arch string) bool {
	return slices.ContainsFunc(r.installed, func(n int32) bool { return p.nodes[n].pkg.Arch == arch })
}

// erasers lists the nodes that take an installed package's place in the transaction itself.
func (p *problem) erasers(n int32) []int32 {
	pkg := p.nodes[n].pkg
	var out []int32
	if !p.nodes[n].only {
		for _, id := range p.name(pkg.Name).eligible {
			if p.succeeds(p.u.cands[id].Package, pkg) {
				out = append(out, p.node(id))
			}
		}
	}
	for _, id := range p.obsoleters(pkg) {
		out = append(out, p.node(id))
	}
	return out
}

// replacers lists the erasers that an installed package may leave for. A part that it was split into is none by itself: rpm takes the package out for the
// part, and the rest of it would be gone.
func (p *problem) replacers(n int32) []int32 {
	out, it := p.erasers(n), p.itemOf[n]
	if it == nil || p.target != nil {
		return out
	}
	return slices.DeleteFunc(out, func(m int32) bool { return p.nodes[m].pkg.Name != it.key.Name && p.isPart(it, m) })
}

// succeeds tells whether a build of the same name takes the place of an installed one: of the same arch, or of another where a policy
// allows that and no target has it in the arch that it is in.
func (p *problem) succeeds(c, pkg *rpm.Package) bool {
	if c.Arch == pkg.Arch {
		return true
	}
	if p.target != nil && p.target.keys[pkg.NameArch()] {
		return false
	}
	r := p.name(pkg.Name)
	return r.archChange != nil && archRank(p.h.Arch, c.Arch) == 0 && !apart(c, pkg) && rpm.Compare(c.EVR, pkg.EVR) != 0
}

// richClauses states a boolean dependency: wanted for a requirement, its opposite for a conflict.
func (p *problem) richClauses(n int32, d rpm.Dep, wanted bool) {
	r, err := rpm.ParseRich(d.Name)
	if err != nil {
		if int(n) >= p.installed && wanted {
			p.sat.add(p.because(whyBad, n, -1, d), neg(n))
		}
		return
	}
	if int(n) < p.installed && p.holdsNow(n, r) != wanted {
		if p.r.Type == TypeRepair {
			whole := encoder{p: p, why: p.because(whyRich, n, -1, d)}
			p.mend(whyRequires, n, -1, d, []lit{neg(n), whole.encode(r, wanted)})
		}
		p.againClauses(n, d, r, wanted)
		return // broken before
	}
	kind := whyRequires
	if !wanted {
		kind = whyConflicts
	}
	why := p.because(kind, n, -1, d)
	later := encoder{p: p, why: p.because(whyRich, n, -1, d)}
	p.sat.add(why, p.unless(n), later.encode(r, wanted))
	if p.laterStep(n) {
		return
	}
	// An expression may hold after both steps and not between them: both states are asked.
	first := encoder{p: p, why: later.why, first: true}
	r.Leaves(func(leaf rpm.Dep) {
		first.matters = first.matters || slices.ContainsFunc(p.providersOf(leaf), p.laterStep)
	})
	if first.matters {
		p.sat.add(why, p.unless(n), first.encode(r, wanted))
	}
}

// againClauses states that a boolean dependency that was broken before is not touched, unless it is mended or its package leaves: rpm looks at
// it again whenever what it names comes or goes (checkInstDeps in lib/depends.c), and refuses the transaction. Plain dependencies
// are looked at again only for what fulfilled them.
func (p *problem) againClauses(n int32, d rpm.Dep, r *rpm.Rich, wanted bool) {
	mended := map[bool]lit{} // after the last step, and after the first
	stated := map[int32]bool{n: true}
	r.Names(func(leaf rpm.Dep, condition bool) {
		for _, q := range p.providersOf(rpm.Dep{Name: leaf.Name}) {
			installed := int(q) < p.installed
			if stated[q] || installed == (condition == wanted) {
				continue
			}
			stated[q] = true
			first := !p.laterStep(q)
			if _, known := mended[first]; !known {
				whole := encoder{p: p, why: p.because(whyRich, n, -1, d), first: first}
				mended[first] = whole.encode(r, wanted)
			}
			untouched := neg(q)
			if installed {
				untouched = pos(q)
			}
			p.sat.add(p.because(whyAgain, n, -1, d), untouched, p.unless(n), mended[first])
		}
	})
}

// holdsNow evaluates an expression over what is installed. For a conflict the package itself does not count.
func (p *problem) holdsNow(n int32, r *rpm.Rich) bool {
	return evalRich(r, func(d rpm.Dep) []int32 { return p.installedFor(d) })
}

// encoder turns a boolean expression into clauses with one variable for each part.
type encoder struct {
	p       *problem
	why     int32
	first   bool // the state after the first step: what comes by rpm -i is not there
	matters bool // the two states differ

	made map[signed]lit
}

// signed is a part of an expression, or its opposite.
type signed struct {
	part *rpm.Rich
	want bool
}

// encode returns a literal that implies the expression, or its opposite. A condition is asked for both, so that one inside another, sixty deep, would be made
// 2^60 times if it were not remembered.
func (e *encoder) encode(r *rpm.Rich, want bool) lit {
	key := signed{r, want}
	x, ok := e.made[key]
	if !ok {
		if e.made == nil {
			e.made = map[signed]lit{}
		}
		x = e.literal(r, want)
		e.made[key] = x
	}
	return x
}

func (e *encoder) literal(r *rpm.Rich, want bool) lit {
	switch r.Op {
	case rpm.RichLeaf, rpm.RichWith, rpm.RichWithout:
		return e.set(e.members(r), want)
	case rpm.RichAnd, rpm.RichOr:
		parts := make([]lit, len(r.Args))
		for i, a := range r.Args {
			parts[i] = e.encode(a, want)
		}
		return e.join(parts, (r.Op == rpm.RichAnd) == want)
	}
	// if: (A or not B) and (C or B); unless: (A and not B) or (C and B). Both are built for the wanted sign.
	a, b, notB := e.encode(r.Args[0], want), e.encode(r.Args[1], true), e.encode(r.Args[1], false)
	if len(r.Args) < 3 {
		switch {
		case r.Op == rpm.RichIf && want:
			return e.join([]lit{a, notB}, false)
		case r.Op == rpm.RichIf:
			return e.join([]lit{a, b}, true)
		case want:
			return e.join([]lit{a, notB}, true)
		}
		return e.join([]lit{a, b}, false)
	}
	// with an else branch both mean a choice by B, and so does the opposite: B chooses A, or C, for if; C, or A, for unless
	c := e.encode(r.Args[2], want)
	if r.Op == rpm.RichUnless {
		a, c = c, a
	}
	return e.join([]lit{e.join([]lit{b, a}, true), e.join([]lit{notB, c}, true)}, false)
}

// join makes a literal that implies all of the parts, or one of them.
func (e *encoder) join(parts []lit, all bool) lit {
	x := e.p.sat.newVar()
	if all {
		for _, q := range parts {
			e.p.sat.add(e.why, neg(x), q)
		}
		return pos(x)
	}
	e.p.sat.add(e.why, append([]lit{neg(x)}, parts...)...)
	return pos(x)
}

// set makes a literal that implies that one of the nodes is there, or none. What leaves by rpm -e after the transaction is there until then.
func (e *encoder) set(nodes []int32, present bool) lit {
	var parts []lit
	for _, q := range nodes {
		if present {
			parts = append(parts, pos(q))
		} else {
			parts = append(parts, e.p.unless(q))
		}
	}
	return e.join(parts, !present)
}

// members returns the nodes that fulfil a leaf, or a with / without.
func (e *encoder) members(r *rpm.Rich) []int32 {
	return richMembers(r, func(d rpm.Dep) []int32 {
		l := e.p.providersOf(d)
		e.p.effort.spend(10 * len(l))
		if e.first {
			l = slices.DeleteFunc(slices.Clone(l), e.p.laterStep)
		}
		return l
	})
}

// richMembers evaluates leaves, with and without to the packages that fulfil them; or inside them joins.
func richMembers(r *rpm.Rich, providers func(rpm.Dep) []int32) []int32 {
	if r.Op == rpm.RichLeaf {
		return slices.Clone(providers(r.Dep))
	}
	out := richMembers(r.Args[0], providers)
	for _, a := range r.Args[1:] {
		other := richMembers(a, providers)
		has := make(map[int32]bool, len(other)) // thousands may provide one name
		for _, n := range other {
			has[n] = true
		}
		in := func(n int32) bool { return has[n] }
		switch r.Op {
		case rpm.RichWith, rpm.RichAnd:
			out = slices.DeleteFunc(out, func(n int32) bool { return !in(n) })
		case rpm.RichWithout:
			out = slices.DeleteFunc(out, in)
		default:
			out = append(out, other...)
		}
	}
	return out
}

// evalRich tells whether an expression holds, given who provides what.
func evalRich(r *rpm.Rich, providers func(rpm.Dep) []int32) bool {
	switch r.Op {
	case rpm.RichLeaf, rpm.RichWith, rpm.RichWithout:
		return len(richMembers(r, providers)) > 0
	case rpm.RichAnd, rpm.RichOr:
		for _, a := range r.Args {
			if evalRich(a, providers) != (r.Op == rpm.RichAnd) {
				return r.Op == rpm.RichOr
			}
		}
		return r.Op == rpm.RichAnd
	}
	cond := evalRich(r.Args[1], providers)
	alone := len(r.Args) < 3
	switch {
	case r.Op == rpm.RichIf && cond, r.Op == rpm.RichUnless && !cond:
		return evalRich(r.Args[0], providers)
	case alone:
		return r.Op == rpm.RichIf
	}
	return evalRich(r.Args[2], providers)
}
