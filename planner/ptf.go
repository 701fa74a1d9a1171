package planner

import (
	"slices"
	"strings"

	"cpacman/internal/rpm"
)

// SUSE gives a fix to single customers as a PTF: a package that provides ptf(), and builds of ordinary packages that provide ptf-package() and require
// it. They are newer than what all others have. libzypp takes the former only when it is asked for by name (it blacklists what provides ptf()), and
// with that none of the latter comes by itself.
const (
	ptfMaster  = "ptf()"
	ptfPackage = "ptf-package()"
	ptfPrefix  = "ptf-" // of the names of the former
)

// findPTFs lists the candidates that belong to a PTF.
func (u *Universe) findPTFs() map[int32]bool {
	out := map[int32]bool{}
	for _, token := range []string{ptfMaster, ptfPackage} {
		for _, o := range u.providing(token) {
			out[o.id] = true
		}
	}
	return out
}

// ptfRule says why a candidate stays out that belongs to a PTF, "" where it may come in: the PTF is installed, or the request or a policy names it.
func ptfRule(u *Universe, h *Host, f *Filter, id int32) string {
	if !u.ptfs()[id] {
		return ""
	}
	c := u.cands[id].Package
	masters := []rpm.NEVRA{c.NEVRA}
	if !slices.ContainsFunc(c.Provides, func(d rpm.Dep) bool { return d.Name == ptfMaster }) {
		masters = nil
		for _, d := range c.Requires {
			if strings.HasPrefix(d.Name, ptfPrefix) {
				masters = append(masters, rpm.NEVRA{Name: d.Name, EVR: d.EVR, Arch: c.Arch})
			}
		}
	}
	for _, m := range masters {
		if askedByName(f, m) ||
			slices.ContainsFunc(h.Installed, func(p *rpm.Package) bool { return p != nil && p.Name == m.Name }) ||
			slices.ContainsFunc(h.Policies, func(r Rule) bool {
				return r.Action == ActionInstall && !bare(r.Pattern) && matchGlob(r.Pattern, m.Name)
			}) {
			return ""
		}
	}
	return "it belongs to a PTF, which comes only where it is asked for by name"
}
