package planner

import (
	"cmp"
	"slices"
	"strings"

	"cpacman/internal/rpm"
)

// item is one installed name.arch and what it could become.
type item struct {
	key       rpm.NameArch
	only      bool
	inst      []int32   // installed nodes, oldest first
	wanted    bool      // the request asks for it
	targets   []int32   // candidates that the request accepts, in the order they are preferred
	cands     []int32   // all eligible candidates, newest first
	obsoleted [][]int32 // for each name that may replace it: its candidates, best first
	instead   []int32   // replacements that only serve when no build of its own can come
	goal      lit       // true when one of the targets, or a replacement, comes in
	hasGoal   bool
}

// highest returns the newest installed build of an item.
func (p *problem) highest(it *item) *rpm.Package {
	best := p.nodes[it.inst[0]].pkg
	for _, n := range it.inst[1:] {
		if q := p.nodes[n].pkg; rpm.Compare(q.EVR, best.EVR) > 0 {
			best = q
		}
	}
	return best
}

// makeItems lists what is installed, by name.arch, with what the request wants of it.
func (p *problem) makeItems() {
	at := map[rpm.NameArch]*item{}
	for n := range int32(p.installed) {
		pkg := p.nodes[n].pkg
		it := at[pkg.NameArch()]
		if it == nil {
			it = &item{key: pkg.NameArch(), only: p.nodes[n].only}
			at[it.key] = it
			p.items = append(p.items, it)
		}
		it.inst = append(it.inst, n)
	}
	slices.SortFunc(p.items, func(a, b *item) int {
		return cmp.Or(cmp.Compare(a.key.Name, b.key.Name), cmp.Compare(a.key.Arch, b.key.Arch))
	})
	for _, it := range p.items {
		for _, id := range p.name(it.key.Name).eligible {
			if p.u.cands[id].Arch == it.key.Arch {
				it.cands = append(it.cands, p.node(id))
			}
		}
		p.choose(it)
	}
}

// choose applies the request to one item.
func (p *problem) choose(it *item) {
	f := &p.r.Filter
	names := p.obsoleterNames(it)
	if len(f.Packages) > 0 {
		it.targets, it.obsoleted = p.byPackage(it, names)
	} else {
		it.targets, it.obsoleted = it.cands, names
	}
	if f.advisoryKind() {
		it.targets = p.fixing(it, it.targets)
		for i := range it.obsoleted {
			it.obsoleted[i] = p.fixing(it, it.obsoleted[i])
		}
	}
	p.sortOut(it)
	it.wanted = len(it.targets)+len(it.obsoleted)+len(it.instead) > 0
}

// sortOut keeps as replacements those that also obsolete the newest build of the item, or all of them when that build says itself
// that the package was split (it obsoletes its own old versions), as libsolv does. The others serve only where no newer
// build can come.
func (p *problem) sortOut(it *item) {
	all := it.obsoleted
	it.obsoleted = nil
	for _, l := range all {
		var keep []int32
		for _, n := range l {
			if len(it.cands) == 0 || obsoletes(p.nodes[n].pkg, p.nodes[it.cands[0]].pkg) || p.splits(it) {
				keep = append(keep, n)
			} else {
				it.instead = append(it.instead, n)
			}
		}
		if len(keep) > 0 {
			it.obsoleted = append(it.obsoleted, keep)
		}
	}
}

// splits tells whether the newest build of an item obsoletes what is installed of it.
func (p *problem) splits(it *item) bool {
	return slices.ContainsFunc(it.inst, func(n int32) bool { return obsoletes(p.nodes[it.cands[0]].pkg, p.nodes[n].pkg) })
}

// obsoleterNames groups what may replace an item by name: yum and dnf bring all of them, a package that was split.
func (p *problem) obsoleterNames(it *item) [][]int32 {
	var out [][]int32
	last := ""
	var ids []int32
	for _, n := range it.inst {
		for _, id := range p.obsoleters(p.nodes[n].pkg) {
			if p.stillObsoletes(id, p.nodes[n].pkg) && !p.comesBack(it, id) {
				ids = append(ids, id)
			}
		}
	}
	slices.SortFunc(ids, p.u.better)
	for _, id := range slices.Compact(ids) {
		if name := p.u.cands[id].Name; len(out) == 0 || name != last {
			out, last = append(out, nil), name
		}
		out[len(out)-1] = append(out[len(out)-1], p.node(id))
	}
	other := func(n int32) int { // the same arch first, then native, then newest
		if p.nodes[n].pkg.Arch == it.key.Arch {
			return -1
		}
		return p.archCost(n)
	}
	for i := range out {
		slices.SortStableFunc(out[i], func(a, b int32) int { return cmp.Compare(other(a), other(b)) })
	}
	return out
}

// stillObsoletes tells whether the newest build that a candidate's name.arch could have obsoletes a package too: what newer builds no
// longer replace is not replaced (as in yum, which looks at the newest only).
func (p *problem) stillObsoletes(id int32, pkg *rpm.Package) bool {
	for _, newest := range p.name(p.u.cands[id].Name).eligible {
		if p.u.cands[newest].Arch == p.u.cands[id].Arch {
			return obsoletes(p.u.cands[newest].Package, pkg)
		}
	}
	return false
}

// comesBack tells whether the item, or a newer build of it, obsoletes what would replace it: a name that was given up and taken
// again. Following both would never end.
func (p *problem) comesBack(it *item, id int32) bool {
	by := p.u.cands[id].Package
	undoes := func(n int32) bool { return by.Name != it.key.Name && obsoletes(p.nodes[n].pkg, by) }
	return slices.ContainsFunc(it.cands, undoes) || slices.ContainsFunc(it.inst, undoes)
}

func (p *problem) archCost(n int32) int { return archRank(p.h.Arch, p.nodes[n].pkg.Arch) }

// byPackage applies --package: a glob that names the installed package takes all its candidates, else those candidates, or
// replacements, that it names.
func (p *problem) byPackage(it *item, names [][]int32) (targets []int32, obsoleted [][]int32) {
	for _, g := range p.r.Filter.Packages {
		if matchGlob(g, it.key.Name) || matchGlob(g, it.key.String()) {
			return it.cands, names
		}
	}
	named := func(n int32) bool { return firstMatch(p.r.Filter.Packages, p.nodes[n].pkg.NEVRA) != "" }
	keep := func(in []int32) (out []int32) {
		for _, n := range in {
			if named(n) {
				out = append(out, n)
			}
		}
		return out
	}
	targets = keep(it.cands)
	for _, l := range names {
		if k := keep(l); len(k) > 0 {
			obsoleted = append(obsoleted, k)
		}
	}
	return targets, obsoleted
}

// advisoryKind tells whether the filter selects by advisory.
func (f *Filter) advisoryKind() bool {
	return f.Security || f.Bugfix || len(f.Severities)+len(f.Advisories)+len(f.CVEs) > 0
}

// selects tells whether the filter takes an advisory. Kinds are joined by or, as in dnf; severities narrow nothing else.
func (f *Filter) selects(a *Advisory) bool {
	if strings.EqualFold(a.Status, "retracted") {
		return false
	}
	fold := func(l []string, s string) bool {
		return slices.ContainsFunc(l, func(x string) bool { return strings.EqualFold(x, s) })
	}
	return f.Security && strings.EqualFold(a.Type, "security") || f.Bugfix && strings.EqualFold(a.Type, "bugfix") ||
		fold(f.Severities, a.Severity) && a.Severity != "" || fold(f.Advisories, a.ID) ||
		slices.ContainsFunc(a.CVEs, func(c string) bool { return fold(f.CVEs, c) })
}

// fixing keeps the candidates that fix something selected and orders them: more fixes first, then the least version that has
// them; with --newest the newest first (PLAN-7). A candidate fixes an advisory when it is at least the version listed.
func (p *problem) fixing(it *item, in []int32) []int32 {
	if len(in) == 0 {
		return nil
	}
	have := p.highest(it).EVR
	key := p.nodes[in[0]].pkg.Name
	fixes := map[int32]int{}
	var out []int32
	for _, n := range in {
		pkg := p.nodes[n].pkg
		count := 0
		for _, fix := range p.u.fixesFor(key, pkg.Arch, &p.r.Filter) {
			if (pkg.Name != it.key.Name || rpm.Compare(fix, have) > 0) && rpm.Compare(pkg.EVR, fix) >= 0 {
				count++
			}
		}
		if count > 0 {
			fixes[n] = count
			out = append(out, n)
		}
	}
	if p.r.Filter.Newest {
		return out
	}
	slices.SortStableFunc(out, func(a, b int32) int {
		return cmp.Or(cmp.Compare(fixes[b], fixes[a]), rpm.Compare(p.nodes[a].pkg.EVR, p.nodes[b].pkg.EVR))
	})
	return out
}

// fixesFor returns the EVRs that the selected advisories list for a name.arch.
func (u *Universe) fixesFor(name, arch string, f *Filter) []rpm.EVR {
	var out []rpm.EVR
	for _, l := range u.byAdvisory[rpm.NameArch{Name: name, Arch: arch}] {
		if f.selects(&u.advisories[l.advisory]) {
			out = append(out, l.evr)
		}
	}
	return out
}
