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

// overridden lists the holds of installed packages that do not count.
func overridden(h *Host, f *Filter) []Overridden {
	var out []Overridden
	if len(f.OverrideHolds) == 0 {
		return nil
	}
	add := func(n rpm.NEVRA, rule, because string) {
		if o := (Overridden{n, rule, because}); !slices.Contains(out, o) {
			out = append(out, o)
		}
	}
	locked := newLocks(h.Locks)
	for _, p := range h.Installed {
		if !f.overrides(p.Name) {
			continue
		}
		for _, g := range h.Hold {
			if matchPackage(g, p.NEVRA) {
				add(p.NEVRA, ruleHold, "hold "+printable(g))
			}
		}
		for _, g := range h.Exclude {
			if r := (Rule{Action: ActionExclude, Pattern: g}); r.names(p.Name, []rpm.NEVRA{p.NEVRA}) {
				add(p.NEVRA, ruleExclude, "excluded by "+h.excluder(g)+": "+printable(g))
			}
		}
		for _, l := range locked.of(p.Name) {
			add(p.NEVRA, ruleHold, l.Text)
		}
		for i := range h.Policies {
			if r := &h.Policies[i]; r.keepsBack() && r.names(p.Name, []rpm.NEVRA{p.NEVRA}) {
				add(p.NEVRA, r.Action, r.want()+" "+r.by())
			}
		}
	}
	return out
}
