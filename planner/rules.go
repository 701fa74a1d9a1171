package planner

import (
	"path"
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
	ruleModule    = "module"
	ruleHold      = "hold"
	ruleObsoleted = "obsoleted"
	ruleKeepN     = "keep-n"
)

// installOnlyProvides mark install-only packages (dnf, const.py, INSTALLONLYPKGS). dnf matches kernel and kernel-PAE as provides
// too, which takes in their debug variants.
var installOnlyProvides = [...]string{
	"kernel", "kernel-PAE", "installonlypkg(kernel)", "installonlypkg(kernel-module)", "installonlypkg(vm)", "multiversion(kernel)",
}

// isInstallOnly tells whether a package is installed beside older builds of its name (PLAN-5).
func isInstallOnly(p *rpm.Package, globs []string) bool {
	if slices.Contains(installOnlyProvides[:], p.Name) {
		return true
	}
	for i := range p.Provides {
		if slices.Contains(installOnlyProvides[:], p.Provides[i].Name) {
			return true
		}
	}
	return matchAny(globs, func(g string) bool { return matchGlob(g, p.Name) })
}

// matchGlob is path.Match without its special slash; a bad pattern matches only itself.
func matchGlob(glob, s string) bool {
	if !strings.ContainsAny(glob, "*?[") {
		return glob == s
	}
	ok, err := path.Match(strings.ReplaceAll(glob, "/", "\x00"), strings.ReplaceAll(s, "/", "\x00"))
	if err != nil {
		return glob == s
	}
	return ok
}

func matchAny(globs []string, f func(string) bool) bool { return slices.ContainsFunc(globs, f) }

// matchPackage tells whether a glob names a package: by name, name.arch, name-version, name-version-release, or NEVRA, the epoch
// written or not (as dnf takes them).
func matchPackage(glob string, n rpm.NEVRA) bool {
	if matchGlob(glob, n.Name) || matchGlob(glob, n.Name+"."+n.Arch) {
		return true
	}
	if !strings.Contains(glob, "-") && !strings.ContainsAny(glob, "*?[") {
		return false
	}
	return matchBuild(glob, n)
}

// matchBuild tells whether a glob names this build, not only its name.
func matchBuild(glob string, n rpm.NEVRA) bool {
	plain := rpm.NEVRA{Name: n.Name, EVR: rpm.EVR{Version: n.Version, Release: n.Release}, Arch: n.Arch}
	for _, b := range [...]rpm.NEVRA{n, plain} {
		s := b.String()
		if matchGlob(glob, s) || matchGlob(glob, b.Name+"-"+b.EVR.String()) ||
			matchGlob(glob, b.Name+"-"+rpm.EVR{Epoch: b.Epoch, Version: b.Version}.String()) {
			return true
		}
	}
	return false
}

// bare tells whether a glob says nothing: only such a one does not count as asking by name.
func bare(glob string) bool { return strings.Trim(glob, "*?.-") == "" }

// askedByName tells whether the request names this package (PLAN-8: what opens a repository with auto = false).
func askedByName(f *Filter, n rpm.NEVRA) bool {
	return matchAny(f.Packages, func(g string) bool { return !bare(g) && matchPackage(g, n) })
}

// nameRule is what is known of one package name on one host.
type nameRule struct {
	installed   []int32 // nodes
	only        bool    // install-only
	eligible    []int32 // candidates that may come in, newest first
	dropped     []drop
	heldBecause string // the whole name stays
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
	ids := p.u.byName[name]
	for _, n := range r.installed {
		r.only = r.only || isInstallOnly(p.nodes[n].pkg, p.h.InstallOnly)
		if g := firstMatch(p.h.Hold, p.nodes[n].pkg.NEVRA); g != "" {
			r.heldBecause = "hold " + g
		}
	}
	var open []int32
	best := 0
	for _, id := range ids {
		c := &p.u.cands[id]
		r.only = r.only || isInstallOnly(c.Package, p.h.InstallOnly)
		if archRank(p.h.Arch, c.Arch) < 0 {
			continue
		}
		if rule, because := p.dropRule(c); rule != "" {
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

// keepBest finishes a name: priority, the relation to what is installed, lockstep.
func (p *problem) keepBest(r *nameRule, open []int32, best int) {
	seen := map[rpm.NEVRA]bool{}
	for _, id := range open {
		c := &p.u.cands[id]
		src := &p.u.sources[c.source]
		switch {
		case src.Priority > best:
			r.dropped = append(r.dropped, drop{id, rulePriority, "repository " + src.ID + " has a lower priority than another that has " + c.Name})
		case seen[c.NEVRA]:
		default:
			seen[c.NEVRA] = true
			if rule, because := p.againstInstalled(r, c.Package); rule != "" {
				if because != "" {
					r.dropped = append(r.dropped, drop{id, rule, because})
				}
				continue
			}
			r.eligible = append(r.eligible, id)
		}
	}
	p.dropLockstep(r)
}

// dropRule applies the rules that need only the candidate itself.
func (p *problem) dropRule(c *candidate) (rule, because string) {
	src := &p.u.sources[c.source]
	if !src.Auto && !askedByName(&p.r.Filter, c.NEVRA) {
		return ruleAuto, "repository " + src.ID + " serves only what is asked for by name"
	}
	for _, e := range [...]struct {
		globs []string
		by    string
	}{{src.Exclude, "repository " + src.ID}, {p.h.Exclude, "the host"}, {p.r.Filter.Exclude, "the request"}} {
		if g := firstMatch(e.globs, c.NEVRA); g != "" {
			return ruleExclude, "excluded by " + e.by + ": " + g
		}
	}
	if id, ok := p.u.retracted[c.NEVRA]; ok {
		return ruleRetracted, "retracted by " + id
	}
	return p.u.moduleRule(c, p.h.Modules)
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

// moduleRule applies PLAN-6: modular packages only from enabled streams, and where an enabled stream has a name no non-modular
// package of that name.
func (u *Universe) moduleRule(c *candidate, enabled []string) (rule, because string) {
	stream, modular := u.modular[c.NEVRA]
	if !modular && c.ModularityLabel != "" {
		if f := strings.SplitN(c.ModularityLabel, ":", 3); len(f) >= 2 {
			stream, modular = f[0]+":"+f[1], true
		}
	}
	if modular {
		if slices.Contains(enabled, stream) {
			return "", ""
		}
		return ruleModule, "module stream " + stream + " is not enabled"
	}
	for _, s := range u.modNames[c.Name] {
		if slices.Contains(enabled, s) {
			return ruleModule, "not modular, and the enabled module stream " + s + " has " + c.Name
		}
	}
	return "", ""
}

// againstInstalled compares a candidate with what is installed under its name. An empty because means: no news, not worth a line.
func (p *problem) againstInstalled(r *nameRule, c *rpm.Package) (rule, because string) {
	if len(r.installed) == 0 {
		return "", ""
	}
	if r.heldBecause != "" {
		return ruleHold, r.heldBecause
	}
	sameArch, newer, modular := false, true, false
	arches := []string{}
	for _, n := range r.installed {
		i := p.nodes[n].pkg
		arches = append(arches, i.Arch)
		modular = modular || i.ModularityLabel != ""
		if i.Arch == c.Arch {
			sameArch = true
			newer = newer && rpm.Compare(c.EVR, i.EVR) > 0
		}
	}
	switch {
	case !sameArch:
		slices.Sort(arches)
		return ruleArch, c.Name + " is installed as " + strings.Join(slices.Compact(arches), " and ") + ", not as " + c.Arch
	case !newer:
		return ruleArch, ""
	case modular && c.ModularityLabel == "" && !p.u.isModular(c.NEVRA):
		return ruleModule, "a non-modular package does not replace a modular one"
	}
	return "", ""
}

func (u *Universe) isModular(n rpm.NEVRA) bool { _, ok := u.modular[n]; return ok }

// disjoint tells whether rpm lets two packages of one name stand beside each other: both coloured, in different colours.
func disjoint(a, b *rpm.Package) bool {
	return a.ColorKnown && b.ColorKnown && a.Color != 0 && b.Color != 0 && a.Color&b.Color == 0
}

// dropLockstep takes away candidates that rpm could install only by erasing another arch of the name (PLAN-3), because that arch
// has no candidate at the same EVR and nothing else may replace it.
func (p *problem) dropLockstep(r *nameRule) {
	if r.only || len(r.installed) < 2 {
		return
	}
	for changed := true; changed; {
		changed = false
		for k, id := range r.eligible {
			if other := p.leftBehind(r, p.u.cands[id].Package); other != nil {
				r.dropped = append(r.dropped, drop{id, ruleLockstep, "rpm would erase " + other.NEVRA.String() +
					", for which there is no candidate at " + p.u.cands[id].EVR.String()})
				r.eligible = slices.Delete(slices.Clone(r.eligible), k, k+1)
				changed = true
				break
			}
		}
	}
}

// leftBehind returns an installed package of the same name that could not follow c.
func (p *problem) leftBehind(r *nameRule, c *rpm.Package) *rpm.Package {
	for _, n := range r.installed {
		i := p.nodes[n].pkg
		if i.Arch == c.Arch || disjoint(i, c) || rpm.Compare(i.EVR, c.EVR) == 0 {
			continue
		}
		follows := slices.ContainsFunc(r.eligible, func(id int32) bool {
			q := p.u.cands[id].Package
			return q.Arch == i.Arch && rpm.Compare(q.EVR, c.EVR) == 0
		})
		if !follows && !p.obsoletable(i) {
			return i
		}
	}
	return nil
}

// obsoletable tells whether some candidate, whatever its rules, obsoletes an installed package.
func (p *problem) obsoletable(i *rpm.Package) bool {
	for _, ref := range p.u.obsoletes[i.Name] {
		c := &p.u.cands[ref.id]
		d := &c.Obsoletes[ref.dep]
		if c.Name != i.Name && rpm.Overlap(d.Sense, d.EVR, rpm.Equal, i.EVR) {
			return true
		}
	}
	return false
}
