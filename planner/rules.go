package planner

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"cpacman/internal/rpm"
)

// The rules of cpacman that drop a candidate before dependencies are looked at; the names stand in plans and in explain.
const (
	ruleArch      = "arch"
	ruleExclude   = "exclude"
	rulePriority  = "priority"
	ruleAuto      = "auto"
	ruleLockstep  = "lockstep"
	ruleRetracted = "retracted"
	ruleAge       = "age"
	ruleModule    = "module"
	ruleHold      = "hold"
	ruleObsoleted = "obsoleted"
	ruleKeepN     = "keep-n"
	rulePin       = "pin"
	ruleArches    = "arches"
	ruleInstead   = "instead"
	ruleRelease   = "release"
	ruleVendor    = "vendor"
	ruleOnly      = "only"
	ruleProtected = "protected"
	rulePolicy    = "policy"
	ruleRemove    = "remove"
	ruleTarget    = "target"
	ruleFirst     = "target-first"
	ruleRepair    = "repair"
	ruleMissing   = "missing"
)

// marksInstallOnly tells whether a name or a provide marks install-only packages (dnf, const.py, INSTALLONLYPKGS). dnf matches kernel and
// kernel-PAE as provides too, which takes in their debug variants.
func marksInstallOnly(name string) bool {
	switch name {
	case "kernel", "kernel-PAE", "installonlypkg(kernel)", "installonlypkg(kernel-module)", "installonlypkg(vm)", "multiversion(kernel)":
		return true
	}
	return false
}

// isInstallOnly tells whether a package is installed beside older builds of its name (PLAN-5).
func isInstallOnly(p *rpm.Package, globs []string) bool {
	if marksInstallOnly(p.Name) {
		return true
	}
	for i := range p.Provides {
		if marksInstallOnly(p.Provides[i].Name) {
			return true
		}
	}
	return matchAny(globs, func(g string) bool { return matchGlob(g, p.Name) })
}

// bare tells whether a glob says nothing: only such a one does not count as asking by name.
func bare(glob string) bool { return strings.Trim(glob, "*?.-") == "" }

// askedByName tells whether the request names this package (PLAN-8: what opens a repository with auto = false).
func askedByName(f *Filter, n rpm.NEVRA) bool {
	return matchAny(f.Packages, func(g string) bool { return !bare(g) && matchNamed(g, n) })
}

// nameRule is what is known of one package name on one host.
type nameRule struct {
	installed   []int32 // nodes
	only        bool    // install-only
	eligible    []int32 // candidates that may come in, newest first
	dropped     []drop
	heldBecause string   // the whole name stays
	locks       []*Lock  // of the host, about the name
	locked      *Lock    // that lets an installed build leave only for another build of the name
	stays       string   // nothing may replace it by Obsoletes: a hold, a pin, a protected package
	present     []string // arches: a repository has what is installed, in an arch that it may have
	decision             // of the policies
}

// drop is a candidate that a rule took away.
type drop struct {
	cand    int32
	rule    string
	because string
}

// name applies the rules to one package name, once.
func (p *problem) name(name string) *nameRule {
	if r, ok := p.names[name]; ok {
		return r
	}
	r := &nameRule{installed: p.instByName[name]}
	p.names[name] = r
	ids := p.u.named(name)
	p.decide(r, name)
	for _, n := range r.installed {
		r.only = r.only || isInstallOnly(p.nodes[n].pkg, p.h.InstallOnly)
		if g := firstMatch(p.r.Filter.hostGlobs(p.h.Hold, name), p.nodes[n].pkg.NEVRA); g != "" {
			r.heldBecause = "hold " + g
			r.stays = r.heldBecause
		}
	}
	p.lock(r, name)
	var open []int32
	best := 0
	for _, id := range ids {
		c := &p.u.cands[id]
		r.only = r.only || isInstallOnly(c.Package, p.h.InstallOnly)
		if archRank(p.h.Arch, c.Arch) < 0 {
			continue
		}
		if rule, because := p.dropRule(r, id); rule != "" {
			r.dropped = append(r.dropped, drop{id, rule, because})
			continue
		}
		if prio := p.u.sources[c.source].Priority; len(open) == 0 || prio < best {
			best = prio
		}
		open = append(open, id)
	}
	p.keepBest(r, open, best)
	return r
}

// outranked says which repository, of those that candidates of a name are from, goes before a source.
func (p *problem) outranked(src *Source, open []int32, best int) string {
	for _, id := range open {
		if first := &p.u.sources[p.u.cands[id].source]; first.Priority == best {
			return fmt.Sprintf("priority %d of repository %s goes before %d of %s, and it has ", best, first.ID, src.Priority, src.ID)
		}
	}
	return "another repository goes before " + src.ID + ", and it has "
}

// keepBest finishes a name: priority, the relation to what is installed, lockstep.
func (p *problem) keepBest(r *nameRule, open []int32, best int) {
	var seen map[rpm.NEVRA]bool
	if len(open) > 1 {
		seen = make(map[rpm.NEVRA]bool, len(open))
	}
	if p.target != nil { // each of its builds is asked for by itself, and comes from the best repository that has it
		slices.SortStableFunc(open, func(a, b int32) int {
			return cmp.Compare(p.u.sources[p.u.cands[a].source].Priority, p.u.sources[p.u.cands[b].source].Priority)
		})
	}
	for _, id := range open {
		c := &p.u.cands[id]
		src := &p.u.sources[c.source]
		switch {
		case src.Priority > best && p.target == nil:
			r.dropped = append(r.dropped, drop{id, rulePriority, p.outranked(src, open, best) + c.Name})
		case seen[c.NEVRA]:
		default:
			if rule, because := p.againstInstalled(r, c.Package); rule != "" {
				if because != "" {
					r.dropped = append(r.dropped, drop{id, rule, because})
				}
				continue // another copy may be of another vendor
			}
			if seen != nil {
				seen[c.NEVRA] = true
			}
			r.eligible = append(r.eligible, id)
		}
	}
	p.dropLockstep(r)
}

// dropRule applies the rules that need only the candidate itself.
func (p *problem) dropRule(r *nameRule, id int32) (rule, because string) {
	c := &p.u.cands[id]
	src := &p.u.sources[c.source]
	if p.target != nil {
		return p.target.drops(p, r, c)
	}
	if !src.allows(c.Name) {
		return ruleOnly, "repository " + src.ID + " is limited to other names"
	}
	if !src.Auto && !askedByName(&p.r.Filter, c.NEVRA) {
		return ruleAuto, "repository " + src.ID + " serves only what is asked for by name"
	}
	if because := ptfRule(p.u, p.h, &p.r.Filter, id); because != "" {
		return ruleAuto, because
	}
	if because := p.excluded(src, c.NEVRA); because != "" {
		return ruleExclude, because
	}
	if l := lockedOut(r.locks, c.NEVRA); l != nil {
		return ruleHold, l.Text
	}
	if id, ok := p.u.retracted(c.NEVRA); ok {
		return ruleRetracted, "retracted by " + id
	}
	if because := p.r.tooYoung(src, c.Package); because != "" {
		return ruleAge, because
	}
	if rule, because := p.u.moduleRule(c, p.h.Modules); rule != "" {
		return rule, because
	}
	if rule, because := p.policyDrops(r, c); rule != "" {
		return rule, because
	}
	if p.refused != "" {
		return ruleRelease, p.refused
	}
	return "", ""
}

// allows tells whether a repository may serve a name (PLAN-15).
func (s *Source) allows(name string) bool {
	return len(s.Only) == 0 || matchAny(s.Only, func(g string) bool { return matchGlob(g, name) })
}

// decide asks the policies about a name; the first conflict in the order of names is kept.
func (p *problem) decide(r *nameRule, name string) {
	if len(p.h.Policies) == 0 && len(p.h.Protected) == 0 {
		return
	}
	builds := make([]rpm.NEVRA, len(r.installed))
	for i, n := range r.installed {
		builds[i] = p.nodes[n].pkg.NEVRA
	}
	d, bad := decide(p.r.Filter.rulesFor(p.h.Policies, name), name, builds)
	if bad == nil {
		bad = p.pinTie(&d, name, builds)
	}
	if bad != nil && (p.conflict == nil || bad.Name < p.conflict.Name) {
		p.conflict = bad
	}
	if r.decision = d; len(r.installed) == 0 {
		return
	}
	if d.hold != nil {
		r.heldBecause = d.stays()
	}
	if r.stays = d.stays(); r.stays == "" && matchAny(p.h.Protected, func(g string) bool { return matchGlob(g, name) }) {
		r.stays = "protected on the host"
	}
}

// pinTie finds an exclusion of builds that leaves nothing of what a pin of its priority names. It is none where what is named is installed.
func (p *problem) pinTie(d *decision, name string, installed []rpm.NEVRA) (tie *PolicyConflict) {
	if d.pin == nil || len(d.excludes) == 0 || slices.ContainsFunc(installed, func(n rpm.NEVRA) bool { return d.pins(n.EVR) }) {
		return nil
	}
	for _, id := range p.u.named(name) {
		n := p.u.cands[id].NEVRA
		if archRank(p.h.Arch, n.Arch) < 0 || !d.pins(n.EVR) {
			continue
		}
		r := d.tiesOver(n)
		if r == nil {
			return nil
		}
		if tie == nil {
			tie = &PolicyConflict{name, *d.pin, *r}
		}
	}
	return tie
}

// excluded says who keeps a build of a repository out by name; "" where nobody does.
func (p *problem) excluded(src *Source, n rpm.NEVRA) string {
	if g := firstMatch(src.Exclude, n); g != "" {
		return "excluded by repository " + src.ID + ": " + g
	}
	if g := firstMatch(p.r.Filter.hostGlobs(p.h.Exclude, n.Name), n); g != "" {
		return "excluded by " + p.h.excluder(g) + ": " + printable(g)
	}
	if g := firstMatch(p.r.Filter.Exclude, n); g != "" {
		return "excluded by the request: " + g
	}
	return ""
}

// excluder says where an exclude of the host stands.
func (h *Host) excluder(glob string) string {
	if i := slices.Index(h.Exclude, glob); i < len(h.ExcludeFrom) {
		return h.ExcludeFrom[i]
	}
	return "the host"
}

// lock asks the host's locks about a name.
func (p *problem) lock(r *nameRule, name string) {
	if len(p.h.Locks) == 0 || p.r.Filter.overrides(name) {
		return
	}
	r.locks = p.locks.of(name)
	for _, n := range r.installed {
		switch l, whole := lockedIn(r.locks, p.nodes[n].pkg.NEVRA); {
		case whole && r.only: // others may stand beside it
			r.stays, r.locked = l.Text, l
		case whole:
			r.heldBecause, r.stays = l.Text, l.Text
		case l != nil && r.stays == "":
			r.stays, r.locked = l.Text, l
		}
	}
}

// firstMatch returns the first glob that names the package.
func firstMatch(globs []string, n rpm.NEVRA) string {
	for _, g := range globs {
		if matchPackage(g, n) {
			return g
		}
	}
	return ""
}

// againstInstalled compares a candidate with what is installed under its name. An empty because means: no news, not worth a line.
func (p *problem) againstInstalled(r *nameRule, c *rpm.Package) (rule, because string) {
	if len(r.installed) == 0 {
		return "", ""
	}
	if r.heldBecause != "" {
		return r.holdRule(), r.heldBecause
	}
	sameArch, same, older, modular := p.hasArch(r, c.Arch), false, false, false
	changes := p.changesArch(c)
	var beside, ahead *rpm.Package
	for _, n := range r.installed {
		i := p.nodes[n].pkg
		modular = modular || p.u.isModular(i)
		order := rpm.Compare(c.EVR, i.EVR)
		if order == 0 && (i.Arch == c.Arch || r.archChange != nil && archRank(p.h.Arch, c.Arch) == 0) {
			r.present = append(r.present, i.Arch)
		}
		if i.Arch == c.Arch || changes {
			same = same || order == 0
		}
		if i.Arch == c.Arch || changes || p.succeeds(c, i) {
			older = older || order < 0
		}
		switch {
		case r.only || i.Arch == c.Arch:
		case disjoint(i, c), changes && apart(c, i):
			if changes {
				beside = i
			}
		case order < 0 && !p.mayLower(r): // rpm asks before it looks at what leaves
			ahead = i
		}
	}
	switch {
	case !sameArch && !r.opens(p.h.Arch, c) && p.target == nil:
		var arches []string
		for _, n := range r.installed {
			arches = append(arches, p.nodes[n].pkg.Arch)
		}
		slices.Sort(arches)
		return ruleArch, c.Name + " is installed as " + strings.Join(slices.Compact(arches), " and ") + ", not as " + c.Arch
	case same, older && !p.mayLower(r):
		return ruleArch, ""
	case ahead != nil:
		return ruleLockstep, "rpm refuses it while " + ahead.NEVRA.String() + " is installed, which is newer"
	case beside != nil:
		return ruleArch, beside.NEVRA.String() + " would stay beside it"
	case modular && !p.u.isModular(c) && p.target == nil:
		return ruleModule, notModular
	}
	return p.vendorRule(r, c)
}

// mayLower tells whether builds of a name may come in that are older than the installed one (SEC-6). Install-only packages stand beside
// each other: an older one is no news.
func (p *problem) mayLower(r *nameRule) bool {
	return p.target != nil || !r.only && (p.r.Type == TypeDowngrade || r.downgrade != nil)
}

// vendorRule forbids a change of vendor where the host does (PLAN-15).
func (p *problem) vendorRule(r *nameRule, c *rpm.Package) (rule, because string) {
	if !p.h.ForbidVendorChange || p.target != nil {
		return "", ""
	}
	for _, n := range r.installed {
		if i := p.nodes[n].pkg; !p.h.sameVendor(i.Vendor, c.Vendor) {
			return ruleVendor, fmt.Sprintf("the vendor would change from %q to %q", i.Vendor, c.Vendor)
		}
	}
	return "", ""
}

// sameVendor tells whether two vendors count as one.
func (h *Host) sameVendor(a, b string) bool {
	in := func(globs []string, v string) bool {
		return matchAny(globs, func(g string) bool { return matchGlob(g, v) })
	}
	return a == b || slices.ContainsFunc(h.SameVendors, func(l []string) bool { return in(l, a) && in(l, b) })
}

// dropLockstep takes away candidates that rpm could install only by erasing another arch of the name (PLAN-3), because that arch
// has no candidate at the same EVR and nothing else may replace it.
func (p *problem) dropLockstep(r *nameRule) {
	if r.only || len(r.installed) == 0 {
		return
	}
	for changed := true; changed; {
		changed = false
		for k := 0; k < len(r.eligible); k++ {
			id := r.eligible[k]
			if other := p.leftBehind(r, p.u.cands[id].Package); other != nil {
				because := "rpm would erase " + other.NEVRA.String() + ", for which there is no candidate at " + p.u.cands[id].EVR.String()
				if rpm.Compare(other.EVR, p.u.cands[id].EVR) == 0 {
					because = "rpm would erase " + other.NEVRA.String() + ", which is at that version already and has no ELF files that tell the two apart"
				}
				r.dropped = append(r.dropped, drop{id, ruleLockstep, because})
				r.eligible = slices.Delete(r.eligible, k, k+1)
				changed = true
				k--
			}
		}
	}
}

// leftBehind returns an installed package of the same name that could not follow c.
func (p *problem) leftBehind(r *nameRule, c *rpm.Package) *rpm.Package {
	for _, n := range r.installed {
		i := p.nodes[n].pkg
		if i.Arch == c.Arch || disjoint(i, c) || rpm.Compare(i.EVR, c.EVR) == 0 && apart(c, i) || r.archChange != nil && archRank(p.h.Arch, c.Arch) == 0 && !apart(c, i) {
			continue
		}
		p.effort.spend(compareSteps * len(r.eligible))
		follows := slices.ContainsFunc(r.eligible, func(id int32) bool {
			q := p.u.cands[id].Package
			return q.Arch == i.Arch && (rpm.Compare(q.EVR, c.EVR) == 0 || disjoint(q, c))
		})
		if !follows && !p.obsoletable(i) && !p.freeToLeave(n) {
			return i
		}
	}
	return nil
}

// obsoletable tells whether some candidate, whatever its rules, obsoletes an installed package.
func (p *problem) obsoletable(i *rpm.Package) bool {
	for _, ref := range p.u.obsoleting(i.Name) {
		c := &p.u.cands[ref.id]
		d := &c.Obsoletes[ref.dep]
		if c.Name != i.Name && rpm.Overlap(d.Sense, d.EVR, rpm.Equal, i.EVR) {
			return true
		}
	}
	return false
}
