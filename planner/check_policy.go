package planner

import (
	"fmt"
	"slices"

	"cpacman/internal/rpm"
)

// decision asks the policies about a name, once.
func (c *checker) decision(name string) *decision {
	if len(c.h.Policies) == 0 {
		return &c.undecided
	}
	if d, ok := c.decided[name]; ok {
		return d
	}
	var builds []rpm.NEVRA
	for _, p := range c.installed(name) {
		builds = append(builds, p.NEVRA)
	}
	d, bad := decide(c.r.Filter.rulesFor(c.h.Policies, name), name, builds)
	if bad != nil {
		c.fault("policy", "%s", bad.Error())
	}
	if c.decided == nil {
		c.decided = make(map[string]*decision, len(c.start))
	}
	c.decided[name] = &d
	return &d
}

// isInstalled tells whether the host has a name before the set.
func (c *checker) isInstalled(name string) bool { return len(c.installed(name)) > 0 }

// installed returns the builds of a name that the host has before the set.
func (c *checker) installed(name string) []*rpm.Package {
	if c.names == nil {
		c.names = make(map[string][]*rpm.Package, len(c.start))
		for from := 0; from < len(c.start); { // sorted: those of one name stand together
			to := from + 1
			for to < len(c.start) && c.start[to].Name == c.start[from].Name {
				to++
			}
			c.names[c.start[from].Name] = c.start[from:to:to]
			from = to
		}
	}
	return c.names[name]
}

// toTarget tells whether the set leads to a given installed set.
func (c *checker) toTarget() bool { return c.r.Type == TypeRollback || c.r.Type == TypeLock }

// mayGo tells whether an installed build has nothing to be replaced by: the target does not have it.
func (c *checker) mayGo(i *rpm.Package) bool {
	return c.toTarget() && !slices.Contains(c.r.Target, i.NEVRA)
}

// barred tells whether a candidate may not come in by what its repository is limited to and by policies. What they remove comes in anew only where a repair needs it.
func (c *checker) barred(cand *candidate) bool {
	if !c.u.sources[cand.source].allows(cand.Name) {
		return true
	}
	if !c.toTarget() && c.r.tooYoung(&c.u.sources[cand.source], cand.Package) != "" {
		return true
	}
	d, there := c.decision(cand.Name), c.isInstalled(cand.Name)
	if rule, _ := d.drops(cand.Package, there); rule != "" {
		return true
	}
	return !there && c.r.Type != TypeRepair && !c.toTarget() && d.remove != nil && matchNamed(d.remove.Pattern, cand.NEVRA)
}

// findTarget looks for a build that a target has. A rollback takes it from anywhere.
func (c *checker) findTarget(n rpm.NEVRA) *candidate {
	if !slices.Contains(c.r.Target, n) {
		return nil
	}
	for _, id := range c.u.named(n.Name) {
		cand := &c.u.cands[id]
		if cand.NEVRA != n || archRank(c.h.Arch, n.Arch) < 0 {
			continue
		}
		_, gone := c.u.retracted(n)
		globs := slices.Concat(c.u.sources[cand.source].Exclude, c.r.Filter.hostGlobs(c.h.Exclude, cand.Name), c.r.Filter.Exclude)
		if c.r.Type == TypeRollback && firstMatch(c.r.Filter.Exclude, n) == "" || !gone && !c.barred(cand) && firstMatch(globs, n) == "" && !c.lockedOut(n) {
			return cand
		}
	}
	return nil
}

// mayLower tells whether the plan, or a policy, lets a name go down (SEC-6).
func (c *checker) mayLower(name string) bool {
	return c.toTarget() || c.r.Type == TypeDowngrade || c.decision(name).downgrade != nil
}

// mayChange tells whether a build may come in though its name is installed in other arches only, or take the place of another arch.
func (c *checker) mayChange(p *rpm.Package) bool {
	return c.toTarget() || c.decision(p.Name).opens(c.h.Arch, p)
}

// archRules checks what comes in only because its name may change its arch: it takes the place of what is there and stands beside nothing.
// Install-only packages take no place, and one build of them comes in, newer than what is there.
func (c *checker) archRules(after []*rpm.Package) {
	changes := func(p *rpm.Package) bool {
		d := c.decision(p.Name)
		return !c.toTarget() && d.archChange != nil && d.arches == nil && c.isInstalled(p.Name) &&
			!slices.ContainsFunc(c.installed(p.Name), func(i *rpm.Package) bool { return i.Arch == p.Arch })
	}
	for _, p := range c.upgrades {
		if !changes(p) {
			continue
		}
		for _, q := range after {
			if q != p && q.Name == p.Name {
				c.fault(ruleArch, "%s would come in beside %s, not in its place", p.NEVRA, q.NEVRA)
			}
		}
	}
	for _, p := range c.installs {
		if !changes(p) {
			continue
		}
		for _, q := range c.installs {
			if q != p && q.Name == p.Name {
				c.fault(ruleArch, "%s would come in beside %s", p.NEVRA, q.NEVRA)
			}
		}
		for _, q := range c.installed(p.Name) {
			if rpm.Compare(p.EVR, q.EVR) <= 0 {
				c.fault("older", "%s is not newer than the installed %s", p.NEVRA, q.NEVRA)
			}
		}
	}
}

// moveRules checks the lines of the set that replace a build by another.
func (c *checker) moveRules() {
	for _, m := range slices.Concat(c.set.Upgrade, c.set.Downgrade) {
		d := c.decision(m.From.Name)
		if m.From.Name != m.To.Name || m.From.Arch != m.To.Arch && !m.Again && (d.archChange == nil || m.Policy == "") {
			c.fault(ruleArch, "%s to %s changes name or arch", m.From, m.To)
		}
	}
	for _, m := range c.set.Downgrade {
		if rpm.Compare(m.To.EVR, m.From.EVR) >= 0 {
			c.fault("older", "%s to %s is no downgrade", m.From, m.To)
		}
		if !c.r.Type.MayLower(m) {
			c.fault("older", "%s would go down to %s without a policy", m.From, m.To)
		}
	}
	for _, m := range c.set.Upgrade {
		if rpm.Compare(m.To.EVR, m.From.EVR) <= 0 {
			c.fault("older", "%s to %s is no upgrade", m.From, m.To)
		}
	}
}

// vendorRules checks what replaces what, once the set was executed: vendors, repositories that are limited to names, and what must stay.
func (c *checker) vendorRules(gone map[*rpm.Package]*rpm.Package) {
	if c.toTarget() {
		return
	}
	for old, by := range gone {
		if slices.Contains(c.kept, by) { // it was there before
			continue
		}
		if rule, because := c.mayReplace(old); rule != "" {
			c.fault(rule, "%s would be replaced by %s", old.NEVRA, because)
		}
	}
	if rule, err := releaseRule(c.h.Policies); err == nil && rule != nil {
		for _, p := range slices.Concat(c.upgrades, c.installs) {
			if to := releaseOf(p); to != "" && !withinRelease(to, rule.Value) {
				c.fault(ruleRelease, "%s leads to release %s, and %s is named", p.NEVRA, to, rule.Value)
			}
		}
	}
}

// mayReplace tells why what takes the place of an installed package may not; "" where something may. That is the build of its own name, if one comes: what else
// obsoletes the old build takes no place then. Of several that obsolete it, one that may is enough.
func (c *checker) mayReplace(old *rpm.Package) (rule, because string) {
	for _, p := range c.coming(old.Name) {
		if !disjoint(old, p) {
			if c.h.ForbidVendorChange && !c.h.sameVendor(old.Vendor, p.Vendor) {
				return ruleVendor, fmt.Sprintf("%s of %q, not of %q", p.NEVRA, p.Vendor, old.Vendor)
			}
			return "", ""
		}
	}
	for _, p := range c.upgrades {
		if p.Name == old.Name || !obsoletes(p, old) {
			continue
		}
		cand := c.candidate[p]
		switch {
		case c.h.ForbidVendorChange && !c.h.sameVendor(old.Vendor, p.Vendor):
			rule, because = ruleVendor, fmt.Sprintf("%s of %q, not of %q", p.NEVRA, p.Vendor, old.Vendor)
		case cand != nil && !c.u.sources[cand.source].allows(old.Name):
			rule, because = ruleOnly, p.NEVRA.String()+", whose repository is limited to other names"
		case c.u.leavesStream(p, old):
			rule, because = ruleModule, p.NEVRA.String()+": "+notModular
		default:
			return "", ""
		}
	}
	return rule, because
}

// stayRules checks what policies and the host let nobody take away.
func (c *checker) stayRules() {
	for _, p := range c.start {
		d := c.decision(p.Name)
		lock, whole := c.lockedIn(p.NEVRA)
		held := d.hold != nil || lock != nil
		for _, g := range c.r.Filter.hostGlobs(c.h.Hold, p.Name) {
			held = held || matchPackage(g, p.NEVRA)
		}
		protected := matchAny(c.h.Protected, func(g string) bool { return matchGlob(g, p.Name) })
		for _, r := range c.set.Remove {
			if r.NEVRA == p.NEVRA && (held || protected || d.pin != nil) && r.Rule != ruleKeepN && r.Rule != ruleRepair && !c.oneTooMany(p) {
				c.fault(ruleHold, "%s has to stay and would be removed", p.NEVRA)
			}
		}
		if lock != nil {
			c.lockRule(p, lock, whole)
		}
		if d.hold == nil {
			continue
		}
		if c.leaves(p) {
			c.fault(ruleHold, "%s is held %s and would leave", p.NEVRA, d.hold.by())
		}
		for _, q := range slices.Concat(c.upgrades, c.installs) {
			if q.Name == p.Name {
				c.fault(ruleHold, "%s is held %s", p.NEVRA, d.hold.by())
			}
		}
	}
}

// lockedOut tells whether a lock of the host keeps a build out.
func (c *checker) lockedOut(n rpm.NEVRA) bool {
	return len(c.h.Locks) > 0 && !c.r.Filter.overrides(n.Name) && lockedOut(c.locks.of(n.Name), n) != nil
}

// lockedIn gives the lock of the host that keeps an installed build.
func (c *checker) lockedIn(n rpm.NEVRA) (l *Lock, whole bool) {
	if len(c.h.Locks) == 0 || c.r.Filter.overrides(n.Name) {
		return nil, false
	}
	return lockedIn(c.locks.of(n.Name), n)
}

// lockRule checks that an installed package that a lock keeps leaves for nothing, or for another build of its name alone.
func (c *checker) lockRule(p *rpm.Package, lock *Lock, whole bool) {
	named := func(q *rpm.Package) bool { return q.Name == p.Name }
	comes, again := slices.ContainsFunc(c.upgrades, named), slices.ContainsFunc(c.kept, named)
	if c.leaves(p) && (whole || !comes && !again) || whole && comes {
		c.fault(ruleHold, "%s may not change: %s", p.NEVRA, lock.Text)
	}
}

// modules checks that no kernel comes in for which an out-of-tree module has no build (PLAN-5).
func (c *checker) modules(after []*rpm.Package) {
	if c.toTarget() {
		return
	}
	kernels := picked(c.installs, isKernel)
	if len(kernels) == 0 {
		return
	}
	// Most hosts have none, and then it is of no interest what belongs to a kernel.
	foreign := picked(c.start, func(m *rpm.Package) bool { return outOfTree(c.h, m) })
	if len(foreign) == 0 {
		return
	}
	p := &problem{u: c.u, effort: &c.effort}
	for _, k := range kernels {
		p.nodes = []node{{pkg: k}}
		family := p.kernelFamily(0)
		others := func(d rpm.Dep) bool {
			return slices.ContainsFunc(after, func(o *rpm.Package) bool {
				return (!c.isOnly(o) || o.Arch == k.Arch && rpm.Compare(o.EVR, k.EVR) == 0) && given([]*rpm.Package{o}, d)
			})
		}
		for _, m := range foreign {
			if m.Arch != noarch && m.Arch != k.Arch {
				continue
			}
			if !slices.ContainsFunc(after, func(b *rpm.Package) bool {
				fits, _ := buildFor(b, k, family, others)
				return b.Name == m.Name && fits
			}) {
				c.fault("module", "%s has no build of %s", k.NEVRA, m.NEVRA)
			}
		}
	}
}

// picked lists the packages that are of a kind.
func picked(list []*rpm.Package, kind func(*rpm.Package) bool) (out []*rpm.Package) {
	for _, p := range list {
		if kind(p) {
			out = append(out, p)
		}
	}
	return out
}

// removal checks one line that rpm -e executes, and tells whether it may be.
func (c *checker) removal(r Remove, left []*rpm.Package, p *rpm.Package) bool {
	held := func() bool {
		return c.isOnly(p) && c.h.mayRun(p)
	}
	switch r.Rule {
	case rulePolicy:
		if d := c.decision(p.Name); d.remove == nil {
			c.fault(rulePolicy, "%s is to be removed and no policy says so", r.NEVRA)
		}
	case ruleTarget, ruleFirst:
		if !c.toTarget() || slices.Contains(c.r.Target, p.NEVRA) {
			c.fault(ruleTarget, "%s is to be removed and the target has it", r.NEVRA)
		}
	case ruleRepair:
		others := 0
		for _, q := range left {
			if q.Name == p.Name && sameFiles(q.NEVRA, p.NEVRA) {
				others++
			}
		}
		if c.r.Type != TypeRepair || others < 2 {
			c.fault(ruleRepair, "%s is to be removed and no other build of it stays", r.NEVRA)
		}
	case ruleKeepN:
		if !c.isOnly(p) {
			c.fault(ruleKeepN, "%s is to be removed and is not install-only", r.NEVRA)
			return true
		}
	default:
		c.fault("removal", "%s would be removed by the unknown rule %q", r.NEVRA, r.Rule)
		return false
	}
	if held() {
		c.fault(ruleKeepN, "%s is to be removed and may be the running kernel", r.NEVRA)
	}
	return true
}
