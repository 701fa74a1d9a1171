package planner

import (
	"slices"
	"strings"

	"cpacman/internal/rpm"
)

// Holds that a request overrides by name (ROLL-11). What keeps a package as it is then does not count: holds and pins of policies,
// version locks of the host, and excludes of policy, class, group and host. What is protected stays protected, and repositories keep
// what they exclude. Every hold that does not count is written into the set.

// IsName tells whether a text is the plain name of a package, which can be no glob.
func IsName(s string) bool {
	const others = "+-._"
	return s != "" && len(s) <= 255 && s[0] != '-' && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(others, r)
	})
}

// overrides tells whether holds of a package are overridden.
func (f *Filter) overrides(name string) bool { return slices.Contains(f.OverrideHolds, name) }

// keepsBack tells rules of policies that an override sets aside.
func (r *Rule) keepsBack() bool {
	return r.Action == ActionHold || r.Action == ActionPin || r.Action == ActionExclude
}

// rulesFor gives the rules of policies that count for a package name.
func (f *Filter) rulesFor(rules []Rule, name string) []Rule {
	if !f.overrides(name) {
		return rules
	}
	return slices.DeleteFunc(slices.Clone(rules), func(r Rule) bool { return r.keepsBack() })
}

// hostGlobs gives the holds or excludes of a host that count for a package name.
func (f *Filter) hostGlobs(globs []string, name string) []string {
	if f.overrides(name) {
		return nil
	}
	return globs
}

// overridden lists the holds that do not count of packages that are installed, or that the set brings in.
func overridden(u *Universe, h *Host, f *Filter, set *Set) []Overridden {
	var out []Overridden
	if len(f.OverrideHolds) == 0 {
		return nil
	}
	subjects := make([]rpm.NEVRA, 0, len(h.Installed))
	for _, p := range h.Installed {
		subjects = append(subjects, p.NEVRA)
	}
	for _, i := range set.Install {
		if !slices.ContainsFunc(h.Installed, func(p *rpm.Package) bool { return p.Name == i.NEVRA.Name }) {
			subjects = append(subjects, i.NEVRA)
		}
	}
	locks := newLocks(h.Locks)
	for _, n := range subjects {
		if !f.overrides(n.Name) {
			continue
		}
		for _, o := range overriddenOf(u, h, locks.of(n.Name), n) {
			if !slices.Contains(out, o) {
				out = append(out, o)
			}
		}
	}
	return out
}

// overriddenOf lists what would keep one build as it is, or out. An exclude is about what would come in: a build in a repository that it names.
func overriddenOf(u *Universe, h *Host, locks []*Lock, n rpm.NEVRA) []Overridden {
	var out []Overridden
	add := func(rule, because string) { out = append(out, Overridden{n, rule, because}) }
	excludes := func(glob string) bool {
		return matchPackage(glob, n) || slices.ContainsFunc(u.named(n.Name), func(id int32) bool { return matchPackage(glob, u.cands[id].NEVRA) })
	}
	for _, g := range h.Hold {
		if matchPackage(g, n) {
			add(ruleHold, "hold "+printable(g))
		}
	}
	for _, g := range h.Exclude {
		if excludes(g) {
			add(ruleExclude, "excluded by "+h.excluder(g)+": "+printable(g))
		}
	}
	for _, l := range locks {
		add(ruleHold, l.Text)
	}
	for i := range h.Policies {
		r := &h.Policies[i]
		if r.keepsBack() && (r.Action != ActionExclude && r.names(n.Name, []rpm.NEVRA{n}) || r.Action == ActionExclude && excludes(r.Pattern)) {
			add(r.Action, r.want()+" "+r.by())
		}
	}
	return out
}
