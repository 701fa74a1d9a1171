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
	inst      []int32     // installed nodes, oldest first
	wanted    bool        // the request asks for it
	targets   []int32     // candidates that the request accepts, in the order they are preferred
	cands     []int32     // all eligible candidates, newest first
	obsoleted [][]int32   // for each name that may replace it: its candidates, best first
	groups    []splitting // alternatives among them: what has the same Obsoletes entry comes together
	parts     [][]int32   // for each name that its own newest build was split into: its candidates, best first
	split     []int32     // its own builds that were split so
	brings    []brought   // what these and older builds that were split bring
	together  []splitting // what else is a split: builds of several other names
	instead   [][]int32   // replacements that only serve when no build of its own can come, by name
	spare     []splitting // alternatives among them
	whole     []lit       // one for each of the groups: all of it comes in
	goal      lit         // true when one of the targets, or a replacement, comes in
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
	items, inst := make([]item, 0, p.installed), make([]int32, p.installed)
	for n := range inst { // sorted: those of one name and arch stand together
		inst[n] = int32(n)
		pkg := p.nodes[n].pkg
		if last := len(items) - 1; last < 0 || items[last].key != pkg.NameArch() {
			items = append(items, item{key: pkg.NameArch(), only: p.nodes[n].only, inst: inst[n:n]})
		}
		it := &items[len(items)-1]
		it.inst = inst[n-len(it.inst) : n+1 : n+1]
	}
	for i := range items {
		it := &items[i]
		p.items = append(p.items, it)
		for _, n := range it.inst {
			p.itemOf[n] = it
		}
		inst := p.nodes[it.inst[0]].pkg
		for _, id := range p.name(it.key.Name).eligible {
			if p.succeeds(p.u.cands[id].Package, inst) {
				it.cands = append(it.cands, p.node(id))
			}
		}
		change := func(c *rpm.Package) int { // what a policy lets it change: nothing, to an arch that is there, to another
			switch {
			case c.Arch == it.key.Arch:
				return 0
			case p.hasArch(p.name(c.Name), c.Arch):
				return 1
			}
			return 2
		}
		slices.SortStableFunc(it.cands, func(a, b int32) int {
			pa, pb := p.nodes[a].pkg, p.nodes[b].pkg
			return cmp.Or(rpm.Compare(pb.EVR, pa.EVR), cmp.Compare(change(pa), change(pb)))
		})
		p.choose(it)
	}
}

// preferred lists the candidates that an item should go to, the best first: what is newer, or, where the view is to be followed down or a
// pin says so, whatever there is.
func (p *problem) preferred(it *item) []int32 {
	have := p.highest(it).EVR
	r := p.name(it.key.Name)
	if r.pin != nil && r.downgrade != nil && !pinned(r.pin.Value, have) || p.abandoned(r, it.key.Arch) {
		return it.cands
	}
	return slices.DeleteFunc(slices.Clone(it.cands), func(n int32) bool { return rpm.Compare(p.nodes[n].pkg.EVR, have) <= 0 })
}

// abandoned tells whether the view is to be followed down, and does not have what is installed of a name and an arch.
func (p *problem) abandoned(r *nameRule, arch string) bool {
	return p.r.Type == TypeDowngrade && !slices.Contains(r.present, arch)
}

// choose applies the request to one item.
func (p *problem) choose(it *item) {
	f := &p.r.Filter
	switch {
	case p.target != nil:
		p.chooseTarget(it)
		return
	case p.removed(it):
		return
	}
	names := p.obsoleterNames(it)
	p.findParts(it, names)
	if p.r.Type == TypeRepair {
		return
	}
	base := p.preferred(it)
	if len(f.Packages) > 0 {
		it.targets, it.obsoleted = p.byPackage(it, base, names)
	} else {
		it.targets, it.obsoleted = base, names
	}
	if f.ByAdvisory() {
		it.targets = p.fixing(it, it.targets)
		for i := range it.obsoleted {
			it.obsoleted[i] = p.fixing(it, it.obsoleted[i])
		}
	}
	p.passOver(it)
	p.sortOut(it)
	it.groups, it.spare = p.group(it, it.obsoleted), p.group(it, it.instead)
	it.wanted = len(it.targets)+len(it.obsoleted)+len(it.instead) > 0
}

// chooseTarget wants what the target has of an item, and rid of what it does not have.
func (p *problem) chooseTarget(it *item) {
	it.targets = it.cands
	it.wanted = len(it.targets) > 0
	for _, n := range it.inst {
		if p.freeToLeave(n) && (it.only || len(it.cands) == 0) {
			p.leave = append(p.leave, n)
		}
	}
}

// removed tells whether a policy takes every build of an item away.
func (p *problem) removed(it *item) bool {
	return !slices.ContainsFunc(it.inst, func(n int32) bool { return p.removals[n] == nil })
}

// sortOut keeps as replacements those that also obsolete the newest build of the item, as libsolv does; the others serve only where no newer
// build can come. Whoever asks for a part asks for the build that was split.
func (p *problem) sortOut(it *item) {
	all := it.obsoleted
	it.obsoleted = nil
	part := false
	for _, l := range all {
		var keep []int32
		for _, n := range l {
			switch {
			case len(it.cands) == 0 || obsoletes(p.nodes[n].pkg, p.nodes[it.cands[0]].pkg):
				keep = append(keep, n)
			case p.isPart(it, n):
				part = true
			default:
				p.standBy(it, n)
			}
		}
		if len(keep) > 0 {
			it.obsoleted = append(it.obsoleted, keep)
		}
	}
	if part && len(it.targets) == 0 {
		it.targets = slices.DeleteFunc(slices.Clone(p.preferred(it)), func(n int32) bool { return !slices.Contains(it.split, n) })
	}
}

// standBy notes a replacement that only serves when no build of the item itself can come.
func (p *problem) standBy(it *item, n int32) {
	i := slices.IndexFunc(it.instead, func(l []int32) bool { return p.nodes[l[0]].pkg.Name == p.nodes[n].pkg.Name })
	if i < 0 {
		i, it.instead = len(it.instead), append(it.instead, nil)
	}
	it.instead[i] = append(it.instead[i], n)
}

// obsoleterNames lists what may replace an item, by name.
func (p *problem) obsoleterNames(it *item) [][]int32 {
	var out [][]int32
	last := ""
	var ids []int32
	for _, n := range it.inst {
		for _, id := range p.bestObsoleters(p.nodes[n].pkg) {
			if !p.comesBack(it, id) && !p.unwelcome(p.u.cands[id].Package) {
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

// comesBack tells whether the item, or a newer build of it, obsoletes what would replace it, or the newest build of that: a name that was
// given up and taken again. Following both would never end.
func (p *problem) comesBack(it *item, id int32) bool {
	builds := []*rpm.Package{p.u.cands[id].Package}
	for _, other := range p.name(builds[0].Name).eligible {
		if c := p.u.cands[other].Package; c.Arch == builds[0].Arch {
			builds = append(builds, c)
			break
		}
	}
	undoes := func(n int32) bool {
		return slices.ContainsFunc(builds, func(by *rpm.Package) bool { return by.Name != it.key.Name && obsoletes(p.nodes[n].pkg, by) })
	}
	return slices.ContainsFunc(it.cands, undoes) || slices.ContainsFunc(it.inst, undoes)
}

// passOver takes what is overtaken out of the replacements of an item. Where the item has newer builds it has still moved when it is replaced so.
func (p *problem) passOver(it *item) {
	for i, l := range it.obsoleted {
		it.obsoleted[i] = slices.DeleteFunc(l, func(n int32) bool {
			over := slices.ContainsFunc(it.inst, func(i int32) bool { return p.overtaken(p.nodes[n].cand, p.nodes[i].pkg) })
			if over && len(it.targets) > 0 {
				p.standBy(it, n)
			}
			return over
		})
	}
	it.obsoleted = slices.DeleteFunc(it.obsoleted, func(l []int32) bool { return len(l) == 0 })
}

// overtaken tells whether a build that would replace a package is of a name that is installed and asked for, and a newer one of that name does
// not replace it any more: the host would stop short of that one, and lose a package that nobody wants gone today. libsolv does either, by
// the order of the names.
func (p *problem) overtaken(id int32, pkg *rpm.Package) bool {
	c := p.u.cands[id].Package
	r := p.name(c.Name)
	if len(r.installed) == 0 || r.only {
		return false
	}
	newer := func(d *rpm.Package) bool {
		asked := len(p.r.Filter.Packages) == 0 || p.asksFor(d.NEVRA)
		return asked && d.Arch == c.Arch && rpm.Compare(d.EVR, c.EVR) > 0 && !obsoletes(d, pkg)
	}
	return obsoletes(c, pkg) && (slices.ContainsFunc(r.eligible, func(id int32) bool { return newer(p.u.cands[id].Package) }) ||
		!p.abandoned(r, c.Arch) && slices.ContainsFunc(r.installed, func(n int32) bool { return newer(p.nodes[n].pkg) }))
}

func (p *problem) archCost(n int32) int { return archRank(p.h.Arch, p.nodes[n].pkg.Arch) }

// byPackage applies --package: a glob that names the installed package takes all its candidates, else those candidates, or
// replacements, that it names.
func (p *problem) byPackage(it *item, base []int32, names [][]int32) (targets []int32, obsoleted [][]int32) {
	if p.r.Type == TypeDowngrade { // what is named goes down, whether or not the view has what is installed
		have := p.highest(it).EVR
		base = slices.DeleteFunc(slices.Clone(it.cands), func(n int32) bool { return rpm.Compare(p.nodes[n].pkg.EVR, have) >= 0 })
		names = nil
	}
	for _, g := range p.r.Filter.Packages {
		if matchGlob(g, it.key.Name) || matchGlob(g, it.key.String()) {
			return base, names
		}
	}
	keep := func(in []int32) (out []int32) {
		for _, n := range in {
			if p.asksFor(p.nodes[n].pkg.NEVRA) {
				out = append(out, n)
			}
		}
		return out
	}
	targets = keep(base)
	for _, l := range names {
		if k := keep(l); len(k) > 0 {
			obsoleted = append(obsoleted, k)
		}
	}
	return targets, obsoleted
}

// asksFor tells whether --package names a build. Without its epoch a text may name several: the one that is written so in full, which has no
// epoch, goes before the others.
func (p *problem) asksFor(n rpm.NEVRA) bool {
	return matchAny(p.r.Filter.Packages, func(g string) bool {
		return matchNamed(g, n) && (n.Epoch == 0 || g == n.String() || !p.writtenInFull(g))
	})
}

// writtenInFull tells whether the view has a build whose NEVRA, to the letter, is what --package says.
func (p *problem) writtenInFull(text string) bool {
	n, err := rpm.ParseNEVRA(text)
	return err == nil && slices.ContainsFunc(p.u.named(n.Name), func(id int32) bool { return p.u.cands[id].NEVRA.String() == text })
}

// ByAdvisory tells whether the filter takes updates by what they fix: kinds of advisories, severities, IDs or CVEs.
func (f *Filter) ByAdvisory() bool {
	return f.Security || f.Bugfix || len(f.Severities)+len(f.Advisories)+len(f.CVEs) > 0
}

// selects tells whether the filter takes an advisory. Kinds are joined by or, as in dnf; severities narrow nothing else.
func (f *Filter) selects(a *Advisory) bool {
	if strings.EqualFold(a.Status, "retracted") {
		return false
	}
	return f.Security && strings.EqualFold(a.Type, "security") || f.Bugfix && (strings.EqualFold(a.Type, "bugfix") || strings.EqualFold(a.Type, "recommended")) || // SUSE's word
		a.Severity != "" && holds(f.Severities, a.Severity) || f.names(a)
}

// selects tells whether the request takes an advisory for a build that it lists, and the host has a stream enabled that it is about. Notices of Rocky and
// Oracle do not say so; then it is about the streams that the build is of.
func (p *problem) selects(l listed) bool {
	p.effort.spend(1 + len(l.advisory.CVEs)*len(p.r.Filter.CVEs))
	return p.r.Filter.selects(l.advisory) && p.u.about(l, p.h.Modules)
}

// names tells whether the filter asks for an advisory by its ID or a CVE.
func (f *Filter) names(a *Advisory) bool {
	return holds(f.Advisories, a.ID) || slices.ContainsFunc(a.CVEs, func(c string) bool { return holds(f.CVEs, c) })
}

// holds tells whether a list has a word, in any case.
func holds(list []string, word string) bool {
	return slices.ContainsFunc(list, func(x string) bool { return strings.EqualFold(x, word) })
}

// fixing keeps the candidates that fix something selected and orders them: more fixes first, then the least version that has
// them; with --newest the newest first (PLAN-7). A candidate fixes an advisory when it is at least the version listed.
func (p *problem) fixing(it *item, in []int32) []int32 {
	if len(in) == 0 {
		return nil
	}
	fixes := map[int32]int{}
	var out []int32
	for _, n := range in {
		if count := len(p.fixedBy(it, p.nodes[n].pkg.NEVRA)); count > 0 {
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

// fixedBy lists the selected advisories that a build has of an item: it is at least the version listed, and what is installed is not.
func (p *problem) fixedBy(it *item, n rpm.NEVRA) []*Advisory {
	have := p.highest(it).EVR
	var out []*Advisory
	p.effort.spend(len(p.u.listed(n.Name)))
	for _, l := range p.u.listed(n.Name) {
		if l.nevra.Arch == n.Arch && p.selects(l) && (n.Name != it.key.Name || rpm.Compare(l.nevra.EVR, have) > 0) && rpm.Compare(n.EVR, l.nevra.EVR) >= 0 {
			out = append(out, l.advisory)
		}
	}
	return out
}
