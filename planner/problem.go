package planner

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"cpacman/internal/rpm"
)

// node is one package build that may be on the host afterwards; its index is its variable in the search.
type node struct {
	pkg  *rpm.Package
	cand int32 // index into Universe.cands, -1 when installed
	only bool  // install-only

	requires []demandID // problem.requires gives them
}

// depKey is a dependency without what does not matter here.
type depKey struct {
	name  string
	sense rpm.Sense
	evr   rpm.EVR
}

func keyOf(d rpm.Dep) depKey { return depKey{d.Name, d.Sense, d.EVR} }

// problem is one host's planning: the part of the universe that can be reached, as numbers. Used by one goroutine, once.
type problem struct {
	u *Universe
	h *Host
	r *Request

	nodes      []node
	installed  int // nodes[:installed] are installed
	nodeOf     map[int32]int32
	instByName map[string][]int32
	instProv   *capabilities
	instFiles  map[string][]int32
	names      map[string]*nameRule
	locks      locks
	asked      map[string][]int32 // answers of the file sources, as candidates
	demandIDs  map[depKey]demandID
	demands    []demand
	items      []*item
	itemOf     []*item // of each installed node

	target   *target         // TypeRollback and TypeLock
	refused  string          // why nothing may be upgraded: the release that the set would lead to
	conflict *PolicyConflict // found on the way
	wishes   []*wish         // what policies install, and what a target has new
	removals map[int32]*Rule // installed nodes that a policy removes
	leave    []int32         // installed nodes that had better go
	mended   []lit           // TypeRepair: a fault is gone

	sat     *sat
	reasons []reason
	effort  *effort
	at      int32 // the node whose dependencies are looked at
}

// newProblem sets up a host: installed packages in canonical order, so that the order of the facts changes nothing.
func newProblem(u *Universe, h *Host, r *Request) *problem { return newRefused(u, h, r, "") }

// newRefused sets up a host where nothing may come in, and says why.
func newRefused(u *Universe, h *Host, r *Request, refused string) *problem {
	p := &problem{
		refused: refused,
		u:       u, h: h, r: r, locks: newLocks(h.Locks), nodeOf: map[int32]int32{},
		instFiles: map[string][]int32{}, asked: map[string][]int32{}, demandIDs: map[depKey]demandID{},
		effort: new(effort),
	}
	p.sat = newSAT(p.effort)
	list := sortedInstalled(h)
	p.names, p.nodes = make(map[string]*nameRule, len(list)), make([]node, 0, 2*len(list))
	p.instByName = make(map[string][]int32, len(list))
	for _, pkg := range list {
		p.instByName[pkg.Name] = append(p.instByName[pkg.Name], int32(len(p.nodes)))
		p.nodes = append(p.nodes, node{pkg: pkg, cand: -1})
	}
	p.installed = len(p.nodes)
	p.itemOf = make([]*item, p.installed)
	if r.Type == TypeRollback || r.Type == TypeLock {
		p.target = newTarget(r)
	}
	p.instProv = newCapabilities(list)
	p.findFiles()
	for n := range p.nodes {
		p.nodes[n].only = p.name(p.nodes[n].pkg.Name).only
	}
	return p
}

// findFiles notes who has the files that somebody's dependencies name.
func (p *problem) findFiles() {
	paths := map[string]bool{}
	for n := range p.nodes {
		collectPaths(p.nodes[n].pkg, paths)
	}
	named, offered := newPathFilter(paths), p.u.required()
	for n := range p.nodes {
		for _, f := range p.nodes[n].pkg.Files {
			if named.may(f) && paths[f] || offered.may(f) && p.u.requires(f) {
				p.instFiles[f] = append(p.instFiles[f], int32(n))
			}
		}
	}
}

// sortedInstalled returns the host's packages by NEVRA and header, without keys and without exact repetitions.
func sortedInstalled(h *Host) []*rpm.Package {
	out := make([]*rpm.Package, 0, len(h.Installed))
	for _, p := range h.Installed {
		if p != nil && p.Name != "gpg-pubkey" {
			out = append(out, p)
		}
	}
	slices.SortStableFunc(out, func(a, b *rpm.Package) int {
		if c := rpm.CompareNEVRA(a.NEVRA, b.NEVRA); c != 0 {
			return c
		}
		return cmp.Or(strings.Compare(a.NEVRA.String(), b.NEVRA.String()), cmp.Compare(a.Header, b.Header), cmp.Compare(a.BuildTime, b.BuildTime))
	})
	return out
}

// node returns the node of a candidate, making it when it is reached for the first time.
func (p *problem) node(id int32) int32 {
	if n, ok := p.nodeOf[id]; ok {
		return n
	}
	n := int32(len(p.nodes))
	p.nodes = append(p.nodes, node{pkg: p.u.cands[id].Package, cand: id, only: p.name(p.u.cands[id].Name).only})
	p.nodeOf[id] = n
	return n
}

// reach grows the nodes from what is installed: every update that may be taken, every package that replaces an installed one by
// Obsoletes, and whatever could be needed by those.
func (p *problem) reach() error {
	for n := 0; n < p.installed; n++ {
		pkg := p.nodes[n].pkg
		for _, id := range p.name(pkg.Name).eligible {
			p.node(id)
		}
		for _, id := range p.obsoleters(pkg) {
			p.node(id)
		}
	}
	for _, w := range p.wanted() {
		for _, id := range w.cands {
			p.node(id)
		}
	}
	for n := 0; n < len(p.nodes); n++ { // grows while it runs
		pkg := p.nodes[n].pkg
		p.at = int32(n)
		for _, id := range p.requires(int32(n)) {
			if err := p.reachDemand(id); err != nil {
				return err
			}
		}
		for i := range pkg.Conflicts {
			d := &pkg.Conflicts[i]
			if !d.IsRich() {
				if err := p.askFiles(*d); err != nil {
					return err
				}
			} else if err := p.reachDemand(p.demand(d)); err != nil { // what comes in may lift it: "a unless b"
				return err
			}
		}
		if p.r.Weak && n >= p.installed {
			if err := p.reachWeak(pkg); err != nil {
				return err
			}
		}
	}
	return nil
}

// candidatesFor returns all candidates that provide d, whatever the rules say of them. Who looks at them makes them ready first: most are only counted.
func (p *problem) candidatesFor(d rpm.Dep) []int32 {
	var out []int32
	offers := p.u.providing(d.Name)
	p.effort.spend(1 + compareSteps*len(offers))
	for i := range offers {
		if offers[i].fulfils(&d) {
			out = append(out, offers[i].id)
		}
	}
	if strings.HasPrefix(d.Name, "/") {
		out = append(out, p.u.listing(d.Name)...)
		out = append(out, p.asked[d.Name]...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// providesDep tells whether one provide of a package (its own name when i < 0) fulfils a dependency of the same name.
func providesDep(pkg *rpm.Package, i int32, d *rpm.Dep) bool {
	if d.Sense == 0 {
		return true
	}
	if i < 0 {
		return rpm.Overlap(rpm.Equal, pkg.EVR, d.Sense, d.EVR)
	}
	pr := &pkg.Provides[i]
	return rpm.Overlap(pr.Sense, pr.EVR, d.Sense, d.EVR)
}

// installedFor returns the installed nodes that provide d.
func (p *problem) installedFor(d rpm.Dep) []int32 {
	var out []int32
	for ref := range p.instProv.named(d.Name) {
		p.effort.spend(compareSteps)
		if p.instProv.provides(ref, &d) {
			out = append(out, ref.id)
		}
	}
	if strings.HasPrefix(d.Name, "/") {
		out = append(out, p.instFiles[d.Name]...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// alwaysMet tells of a dependency that installed nodes and some candidates fulfil whether an installed name.arch does so now and in every version
// that it could go to, and cannot leave: then it holds in every result and needs no clause. Most requirements are of this kind.
func (p *problem) alwaysMet(have, cands []int32) bool {
	for _, n := range have {
		pkg := p.nodes[n].pkg
		if p.obsoletable(pkg) || p.mayVanish(n) {
			continue
		}
		if p.nodes[n].only || p.groupProvides(pkg, have, cands) {
			return true
		}
	}
	return false
}

// groupProvides tells whether every installed and eligible build of a name.arch is among the providers.
func (p *problem) groupProvides(pkg *rpm.Package, have, cands []int32) bool {
	r := p.name(pkg.Name)
	p.effort.spend(len(r.installed)*len(have) + len(r.eligible))
	for _, n := range r.installed {
		if p.nodes[n].pkg.Arch == pkg.Arch && (!slices.Contains(have, n) || p.obsoletable(p.nodes[n].pkg)) {
			return false
		}
	}
	for _, id := range r.eligible {
		if p.u.cands[id].Arch == pkg.Arch || r.archChange != nil {
			if _, found := slices.BinarySearch(cands, id); !found {
				return false
			}
		}
	}
	return true
}

// askFiles asks the filelists about a path that is required and that primary metadata leaves open. Paths that createrepo always
// lists are asked for only when nothing is known to carry them.
func (p *problem) askFiles(d rpm.Dep) error {
	if !strings.HasPrefix(d.Name, "/") {
		return nil
	}
	if _, done := p.asked[d.Name]; done {
		return nil
	}
	found, err := p.u.filesFor(d.Name)
	if err != nil {
		return err
	}
	p.asked[d.Name] = found
	return nil
}

// filesFor returns the candidates that carry a path by their filelists.
func (u *Universe) filesFor(path string) ([]int32, error) {
	if primaryPath(path) && len(u.listing(path))+len(u.providing(path)) > 0 {
		return nil, nil
	}
	var out []int32
	for si := range u.sources {
		src := &u.sources[si]
		if src.Files == nil {
			continue
		}
		ids, err := src.Files.Providers(path)
		if err != nil {
			return nil, fmt.Errorf("repository %s: who carries %q: %w", src.ID, path, err)
		}
		for _, i := range ids {
			id, err := u.numbered(si, i)
			if err != nil {
				return nil, err
			}
			if id >= 0 {
				out = append(out, id)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// obsoleters returns the candidates that may take the place of an installed package by Obsoletes.
func (p *problem) obsoleters(pkg *rpm.Package) []int32 {
	own := p.name(pkg.Name)
	if own.heldBecause != "" || own.only && p.h.mayRun(pkg) || p.target != nil && p.target.set[pkg.NEVRA] {
		return nil
	}
	var out []int32
	for _, ref := range p.u.obsoleting(pkg.Name) {
		p.effort.spend(2 * compareSteps)
		c := &p.u.cands[ref.id]
		d := &c.Obsoletes[ref.dep]
		if c.Name == pkg.Name || !mayObsolete(p.h.Arch, c.Arch, pkg.Arch) || !rpm.Overlap(d.Sense, d.EVR, rpm.Equal, pkg.EVR) {
			continue
		}
		r := p.name(c.Name)
		p.effort.spend(len(r.eligible))
		if r.only || !slices.Contains(r.eligible, ref.id) || p.foreignObsoletes(c, pkg) != "" || own.stays != "" && !p.partOf(c.Package, pkg) {
			continue
		}
		out = append(out, ref.id)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// bestObsoleters returns those of the obsoleters of an installed package that are to be asked for, best first within a name: one that
// another of them obsoletes is left out, as libsolv does, unless that one is overtaken itself.
func (p *problem) bestObsoleters(pkg *rpm.Package) []int32 {
	all := slices.DeleteFunc(p.obsoleters(pkg), func(id int32) bool { return p.outranks(&p.u.cands[id], pkg) != "" })
	out := slices.DeleteFunc(slices.Clone(all), func(id int32) bool {
		return slices.ContainsFunc(all, func(by int32) bool {
			p.effort.spend(1 + len(p.u.cands[by].Obsoletes) + len(p.u.cands[id].Obsoletes))
			return by != id && p.u.obsoletesPackage(by, id) && !p.u.obsoletesPackage(id, by) && !p.overtaken(by, pkg)
		})
	})
	slices.SortFunc(out, p.u.better)
	return out
}

// foreignObsoletes says why a candidate may not replace a package of another origin: its repository is limited to other names, the vendor would change
// (PLAN-15), or a modular one by one that is not (PLAN-6).
func (p *problem) foreignObsoletes(c *candidate, pkg *rpm.Package) string {
	switch {
	case p.target != nil:
		return ""
	case !p.u.sources[c.source].allows(pkg.Name):
		return ruleOnly
	case p.h.ForbidVendorChange && !p.h.sameVendor(pkg.Vendor, c.Vendor):
		return ruleVendor
	case p.u.leavesStream(c.Package, pkg):
		return ruleModule
	}
	return ""
}

// outranks names the repository of better priority that has an installed package, or a newer build of it: what obsoletes the package elsewhere is no choice
// then, as for dnf and zypper, which take what may replace a package and its own builds for one list. What is needed may come and replace it all the same.
func (p *problem) outranks(by *candidate, pkg *rpm.Package) string {
	if p.target != nil {
		return ""
	}
	r := p.name(pkg.Name)
	for _, id := range p.u.named(pkg.Name) {
		c := &p.u.cands[id]
		if src := &p.u.sources[c.source]; src.Priority < p.u.sources[by.source].Priority && c.Arch == pkg.Arch && rpm.Compare(c.EVR, pkg.EVR) >= 0 &&
			!slices.ContainsFunc(r.dropped, func(d drop) bool { return d.cand == id }) {
			return src.ID
		}
	}
	return ""
}

// obsoletesPackage tells whether candidate a obsoletes candidate b of another name.
func (u *Universe) obsoletesPackage(a, b int32) bool {
	pa, pb := u.cands[a].Package, u.cands[b].Package
	return pa.Name != pb.Name && obsoletes(pa, pb)
}

// obsoletes tells whether one of a's Obsoletes matches b's name and EVR; provides do not count (rpm, libsolv).
func obsoletes(a, b *rpm.Package) bool {
	for i := range a.Obsoletes {
		if d := &a.Obsoletes[i]; d.Name == b.Name && rpm.Overlap(d.Sense, d.EVR, rpm.Equal, b.EVR) {
			return true
		}
	}
	return false
}

// better orders candidates: by name, newest first, then arch, then as in Universe.byName.
func (u *Universe) better(a, b int32) int {
	ca, cb := &u.cands[a], &u.cands[b]
	return cmp.Or(cmp.Compare(ca.Name, cb.Name), rpm.Compare(cb.EVR, ca.EVR), cmp.Compare(ca.Arch, cb.Arch),
		cmp.Compare(u.sources[ca.source].Priority, u.sources[cb.source].Priority), cmp.Compare(a, b))
}
