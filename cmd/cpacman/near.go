package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"cpacman/internal/fleet"
	"cpacman/internal/host"
	"cpacman/internal/repo"
	"cpacman/inventory"
	"cpacman/planner"
)

// nearNames lists up to five names that somebody may have meant by a word or a glob: spelt alike, or with the same beginning or middle.
func nearNames(word string, names []string) []string {
	plain := strings.NewReplacer("*", "", "?", "", "[", "", "]", "").Replace(word)
	if plain == "" {
		return nil
	}
	type near struct {
		name string
		far  int
	}
	var found []near
	seen := map[string]bool{}
	for _, n := range names {
		if seen[n] || len(n) > 200 || len(plain) > 200 {
			continue
		}
		seen[n] = true
		switch far := editDistance(plain, n); {
		case far <= min(2, len(plain)/2):
			found = append(found, near{n, far})
		case len(plain) >= 3 && strings.HasPrefix(n, plain):
			found = append(found, near{n, 10})
		case len(plain) >= 3 && (strings.Contains(n, plain) || len(n) >= 3 && strings.HasPrefix(plain, n)):
			found = append(found, near{n, 20})
		}
	}
	slices.SortFunc(found, func(a, b near) int { return cmp.Or(cmp.Compare(a.far, b.far), strings.Compare(a.name, b.name)) })
	out := make([]string, 0, 5)
	for _, f := range found[:min(len(found), 5)] {
		out = append(out, f.name)
	}
	return out
}

// noMatch is the error of a glob that nothing in a repository matches.
func noMatch(what, glob string, r *repo.Repo, names []string, list string) error {
	err := inputError{err: fmt.Errorf("no %s of repository %s matches %q", what, r.ID(), glob), hint: list + " lists all of them"}
	if near := nearNames(glob, names); len(near) > 0 {
		err.hint = "near it: " + strings.Join(near, " ")
	}
	return err
}

// sayNotes prints what the planner has to say of sets, each text once, with the hosts that it is about.
func (s *session) sayNotes(planned *fleet.Planned) {
	about, all := map[string][]string{}, 0
	for _, h := range planned.Plan.Hosts {
		if h.Set != "" {
			all++
		}
		for _, n := range planned.Notes[h.Host] {
			about[n] = append(about[n], h.Host)
		}
	}
	for _, g := range planned.Plan.Requested.Filter.Packages {
		note := planner.NothingMatches(g)
		if len(about[note]) == all && all > 0 {
			delete(about, note)
			s.say("note: --package %q: nothing that is installed on any of %d %s matches it%s", g, all, plural(all, "host", "hosts"), s.nearInstalled(g, planned.Plan))
		}
	}
	s.sayIdleExcludes(planned.Plan)
	for _, n := range slices.Sorted(maps.Keys(about)) {
		hosts := about[n]
		where := someOf(hosts, 5)
		if len(hosts) == all && all > 1 {
			where = fmt.Sprintf("all %d hosts", all)
		}
		s.say("note: %s: %s", where, n)
	}
}

// unknownPackage is the error of a package that explain knows nothing of, with who wants it all the same and what may have been meant.
func (s *session) unknownPackage(h *inventory.Host, item *planner.ExplainedItem, pkg string) error {
	err := inputError{err: fmt.Errorf("package %q is neither on %s nor in its view", pkg, h.Name)}
	if len(item.Because) > 1 { // the first says the same
		err.err = fmt.Errorf("%w; %s", err.err, strings.Join(item.Because[1:], "; "))
	}
	names := map[string]bool{}
	if facts, _ := s.fleet.StoredFacts(s.ctx); facts[h.Name] != nil {
		list, _ := s.store.Installed(s.ctx, facts[h.Name].InstalledDigest)
		for _, one := range list {
			names[one.Name] = true
		}
		for _, r := range s.fleet.View(h, facts[h.Name]) {
			if opened, err := s.repos.Open(s.ctx, r.ID); err == nil {
				for _, n := range namesOf(opened) {
					names[n] = true
				}
			}
		}
	}
	if near := nearNames(pkg, slices.Sorted(maps.Keys(names))); len(near) > 0 {
		err.hint = "near it: " + strings.Join(near, " ")
	}
	return err
}

// sayIdleExcludes notes what --exclude names and no repository has: with a typo the package that was to stay away comes.
func (s *session) sayIdleExcludes(p *planner.Plan) {
	idle := slices.Clone(p.Requested.Filter.Exclude)
	var names []string
	for _, r := range p.Repos {
		if len(idle) == 0 {
			return
		}
		opened, err := s.repos.Open(s.ctx, r.ID)
		if err != nil {
			return // nobody knows what it has
		}
		names = append(names, namesOf(opened)...)
		idle = slices.DeleteFunc(idle, func(g string) bool {
			return slices.ContainsFunc(opened.Packages(), func(one *repo.Package) bool { return planner.Names(g, one.NEVRA) })
		})
	}
	if len(p.Repos) == 0 {
		return
	}
	for _, g := range idle {
		text := ""
		if near := nearNames(g, names); len(near) > 0 {
			text = "; near it: " + strings.Join(near, " ")
		}
		s.say("note: --exclude %q: no repository of this plan has a package that it matches, so it keeps nothing out%s", g, text)
	}
}

// installedLists reads what hosts of a plan have: they have much in common, so the first 20 that differ tell enough.
func (s *session) installedLists(p *planner.Plan) (out [][]host.Package) {
	read := map[string]bool{}
	for _, h := range p.Hosts {
		if h.InstalledDigest == "" || read[h.InstalledDigest] || len(read) == 20 {
			continue
		}
		read[h.InstalledDigest] = true
		if list, err := s.store.Installed(s.ctx, h.InstalledDigest); err == nil {
			out = append(out, list)
		}
	}
	return out
}

// nearInstalled says what may have been meant by a glob that nothing installed matches: names like it, or packages that are only in repositories.
func (s *session) nearInstalled(glob string, p *planner.Plan) string {
	installed := map[string]bool{}
	for _, list := range s.installedLists(p) {
		for _, one := range list {
			installed[one.Name] = true
		}
	}
	text := ""
	for _, r := range p.Repos {
		opened, err := s.repos.Open(s.ctx, r.ID)
		if err != nil {
			continue
		}
		if found := planner.MatchNames(glob, namesOf(opened)); len(found) > 0 {
			text = fmt.Sprintf("; repository %s has %s, and plan updates what is installed: a policy with install brings new packages in", r.ID, someOf(found, 3))
			break
		}
	}
	if near := nearNames(glob, slices.Collect(maps.Keys(installed))); len(near) > 0 {
		text += "; near it: " + strings.Join(near, " ")
	}
	return text
}

// namesOf are the names of a repository's packages, sorted.
func namesOf(r *repo.Repo) []string {
	names := map[string]bool{}
	for _, p := range r.Packages() {
		names[p.Name] = true
	}
	return slices.Sorted(maps.Keys(names))
}
