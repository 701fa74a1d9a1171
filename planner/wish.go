package planner

import (
	"slices"
	"strings"

	"cpacman/internal/rpm"
)

// wish is a package that is not installed and is to come in all the same: by a policy, or because a target has it.
type wish struct {
	name    string
	by      string  // for needed_by
	cands   []int32 // candidates, best first
	targets []int32 // the same as nodes
}

// acts tells whether policies that install and remove are followed for a name: in plans of everything and where it is named. A plan of
// fixes stays one of fixes.
func (p *problem) acts(name string) bool {
	switch {
	case p.r.Type != "" && p.r.Type != TypeUpdate && p.r.Type != TypeDowngrade, p.refused != "":
		return false
	case len(p.r.Filter.Packages) > 0:
		return matchAny(p.r.Filter.Packages, func(g string) bool { return matchGlob(g, name) })
	}
	return !p.r.Filter.ByAdvisory()
}

// wanted makes the wishes of a host, in an order of their own.
func (p *problem) wanted() []*wish {
	if p.target != nil {
		p.targetWishes()
	} else {
		p.policyWishes()
	}
	for _, w := range p.wishes {
		for _, id := range w.cands {
			w.targets = append(w.targets, p.node(id))
		}
	}
	return p.wishes
}

func (p *problem) targetWishes() {
	all := make([]rpm.NEVRA, 0, len(p.target.set))
	for n := range p.target.set {
		all = append(all, n)
	}
	slices.SortFunc(all, rpm.CompareNEVRA)
	for _, n := range all {
		r := p.name(n.Name)
		if slices.ContainsFunc(r.installed, func(i int32) bool { return p.nodes[i].pkg.Arch == n.Arch }) {
			continue
		}
		w := &wish{name: n.String(), by: "the target"}
		for _, id := range r.eligible {
			if p.u.cands[id].NEVRA == n {
				w.cands = append(w.cands, id)
			}
		}
		if len(w.cands) > 0 {
			p.wishes = append(p.wishes, w)
		}
	}
}

// policyWishes follows the install rules: for each name one build, or one for each arch that an arches rule lists.
func (p *problem) policyWishes() {
	var rules []*Rule
	for i := range p.h.Policies {
		if r := &p.h.Policies[i]; r.Action == ActionInstall && !bare(r.Pattern) {
			rules = append(rules, r)
		}
	}
	slices.SortFunc(rules, compareRules)
	for _, r := range rules {
		for _, name := range p.namesOf(r.Pattern) {
			if d := &p.name(name).decision; d.install == nil || d.install != r || !p.acts(name) {
				continue
			}
			_, arch, _ := cutArch(r.Pattern)
			for _, a := range p.archesOf(name, arch) {
				p.wishFor(r, name, a)
			}
		}
	}
}

// namesOf lists the package names of the view that an install rule means, sorted.
func (p *problem) namesOf(pattern string) []string {
	if len(p.u.named(pattern)) > 0 {
		return []string{pattern}
	}
	base, _, _ := cutArch(pattern)
	if !strings.ContainsAny(base, "*?[") {
		return []string{base}
	}
	var out []string
	for _, x := range p.u.indexes {
		x.Names(func(name string) bool {
			if matchGlob(base, name) {
				out = append(out, name)
			}
			return true
		})
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// archesOf says which arches of a name are to be there: the one that the rule names, those of an arches rule, or any one.
func (p *problem) archesOf(name, arch string) []string {
	if arch != "" {
		return []string{arch}
	}
	if d := &p.name(name).decision; d.arches != nil {
		return sorted(d.arches.Arches)
	}
	return []string{""}
}

// wishFor adds a wish unless it is fulfilled.
func (p *problem) wishFor(r *Rule, name, arch string) {
	fits := func(a string) bool { return arch == "" || a == arch }
	for _, n := range p.name(name).installed {
		if fits(p.nodes[n].pkg.Arch) {
			return
		}
	}
	from := name
	if i := p.name(name).instead; i != nil {
		if from = i.Value; len(p.name(from).installed) > 0 {
			return
		}
	}
	w := &wish{name: name, by: "policy " + printable(r.Policy)}
	for _, id := range p.name(from).eligible {
		if fits(p.u.cands[id].Arch) {
			w.cands = append(w.cands, id)
		}
	}
	slices.SortStableFunc(w.cands, func(a, b int32) int {
		return archRank(p.h.Arch, p.u.cands[a].Arch) - archRank(p.h.Arch, p.u.cands[b].Arch)
	})
	p.wishes = append(p.wishes, w)
}

// wishNotes says what was wished for and does not come.
func (s *solution) wishNotes() {
	for _, w := range s.wishes {
		switch {
		case slices.ContainsFunc(w.targets, func(n int32) bool { return s.model[n] }):
		case s.target != nil:
			n := s.nodes[w.targets[0]].pkg.NEVRA
			s.result.Set.Blocked = append(s.result.Set.Blocked, Blocked{n, n, ruleTarget, "it cannot come in: " + strings.Join(s.chain(w.targets[0]), "; ")})
		case len(w.targets) == 0:
			s.note("%s is to be installed by %s: %s", w.name, w.by, s.notOffered(w.name))
		default:
			s.note("%s is to be installed by %s and cannot be: %s", w.name, w.by, strings.Join(s.chain(w.targets[0]), "; "))
		}
	}
}

// policyDrops applies the policies to a candidate. What one removes comes in anew only where a repair needs it.
func (p *problem) policyDrops(r *nameRule, c *candidate) (rule, because string) {
	rule, because = r.drops(c.Package, len(r.installed) > 0)
	switch {
	case rule == ruleInstead && len(p.u.named(r.instead.Value)) == 0:
		return rule, because + "; and no repository of the view has " + printable(r.instead.Value)
	case rule == "" && p.r.Type != TypeRepair && len(r.installed) == 0 && r.removes(c.NEVRA):
		return ruleRemove, "kept away " + r.remove.by()
	}
	return rule, because
}

// wantedUnknown says which policies want a package that neither the host nor a repository has.
func (s *solution) wantedUnknown(name string) []string {
	var out []string
	for i := range s.h.Policies {
		switch r := &s.h.Policies[i]; {
		case r.Action == ActionInstall && r.Pattern == name:
			out = append(out, "policy "+printable(r.Policy)+" installs it, and no repository of the view has it")
		case r.Action == ActionInstead && r.Value == name:
			out = append(out, "policy "+printable(r.Policy)+" takes it instead of "+printable(r.Pattern)+", and no repository of the view has it")
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// notOffered says why there is no candidate of a name.
func (s *solution) notOffered(name string) string {
	if l := s.name(name).dropped; len(l) > 0 {
		return s.u.cands[l[0].cand].NEVRA.String() + ": " + l[0].because
	}
	return "no repository of the view has it"
}

// alternatives lists the names that are taken instead of a provider of d; nil when no policy says anything about it (PLAN-9).
func (p *problem) alternatives(d rpm.Dep) []string {
	if !slices.ContainsFunc(p.h.Policies, func(r Rule) bool { return r.Action == ActionInstead }) {
		return nil
	}
	var bar []string
	ids := p.candidatesFor(d)
	p.u.ready(ids)
	for _, id := range ids {
		r := p.name(p.u.cands[id].Name)
		if r.instead == nil || len(r.installed) > 0 {
			continue
		}
		serves := func(id int32) bool { return p.u.cands[id].Name == r.instead.Value }
		if slices.ContainsFunc(ids, serves) {
			bar = append(bar, r.instead.Value)
		}
	}
	return bar
}
