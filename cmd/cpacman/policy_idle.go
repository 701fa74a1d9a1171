package main

import (
	"maps"
	"slices"
	"strings"

	"cpacman/internal/rpm"
	"cpacman/inventory"
	"cpacman/planner"
)

// sayIdlePolicies notes what policies name and no repository of the site has: a hold with a typo holds nothing, and nobody would see it before the update.
// What is to be removed need not be in a repository, and a release is no package.
func (s *session) sayIdlePolicies(list []inventory.PolicyEntry) {
	named := map[string][]string{} // what policies name → who does
	for _, p := range list {
		for _, r := range p.Rules {
			name := r.Pattern
			switch r.Action {
			case inventory.ActionRemove, inventory.ActionRelease:
				continue
			case inventory.ActionInstead:
				name = r.Value
			}
			if who := "policy " + p.Name + " (" + string(r.Action) + ")"; !p.Expired && !slices.Contains(named[name], who) {
				named[name] = append(named[name], who)
			}
		}
	}
	names := map[string]bool{}
	for i := range s.site.Repos {
		if len(named) == 0 {
			return
		}
		opened, err := s.repos.Open(s.ctx, s.site.Repos[i].ID)
		if err != nil {
			return // nobody knows what it has
		}
		for _, one := range opened.Packages() {
			names[one.Name] = true
			strike(named, one.NEVRA)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		text := ""
		if near := nearNames(name, slices.Sorted(maps.Keys(names))); len(near) > 0 {
			text = "; near it: " + strings.Join(near, " ")
		}
		s.say("note: %s: no repository of the site has a package that %q matches%s", strings.Join(named[name], ", "), name, text)
	}
}

// strike takes out what a build is named by.
func strike(named map[string][]string, n rpm.NEVRA) {
	for pattern := range named {
		if planner.Names(pattern, n) {
			delete(named, pattern)
		}
	}
}
