package planner

import (
	"slices"
	"strings"

	"cpacman/internal/rpm"
)

// releaseProvides mark the package that says which release of a distribution a host is.
var releaseProvides = [...]string{"system-release", "redhat-release", "distribution-release"}

// releaseOf returns the release that a package makes a host: "8.6", "36"; "" for ordinary packages. Where the version has the major number
// only, the release begins with the minor one (CentOS 7: 7-3.1611.el7).
func releaseOf(p *rpm.Package) string {
	is := func(d rpm.Dep) bool {
		return slices.Contains(releaseProvides[:], d.Name) || strings.HasPrefix(d.Name, "system-release(")
	}
	if !slices.Contains(releaseProvides[:], p.Name) && !slices.ContainsFunc(p.Provides, is) {
		return ""
	}
	if strings.Contains(p.Version, ".") {
		return p.Version
	}
	minor, _, _ := strings.Cut(p.Release, ".")
	return p.Version + "." + minor
}

// withinRelease tells whether a release is the named one: its leading numbers are those of the name.
func withinRelease(release, named string) bool {
	have, want := strings.Split(release, "."), strings.Split(named, ".")
	return len(have) >= len(want) && slices.Equal(have[:len(want)], want)
}

// releaseRule returns the rule that says which release a host may be; nil when there is none. Only those of the largest priority can disagree.
func releaseRule(rules []Rule) (*Rule, error) {
	var best []*Rule
	for i := range rules {
		if r := &rules[i]; r.Action == ActionRelease {
			best = append(best, r)
		}
	}
	if len(best) == 0 {
		return nil, nil
	}
	slices.SortFunc(best, compareRules)
	for _, r := range best {
		if r.Priority == best[0].Priority && r.Value != best[0].Value {
			return nil, &PolicyConflict{"the release", *best[0], *r}
		}
	}
	return best[0], nil
}

// crosses says to which release a result would take the host, when that is not the one that a policy names: such a plan is refused as a
// whole (PLAN-9).
func (s *solution) crosses() (string, error) {
	rule, err := releaseRule(s.h.Policies)
	if err != nil || rule == nil || s.target != nil && !s.target.lock { // what was there before may come back
		return "", err
	}
	for n := int32(s.installed); n < int32(len(s.nodes)); n++ {
		if !s.model[n] {
			continue
		}
		pkg := s.nodes[n].pkg
		if to := releaseOf(pkg); to != "" && !withinRelease(to, rule.Value) {
			return "the plan would go to release " + to + " with " + pkg.NEVRA.String() + ", and " + printable(rule.Value) + " is named " + rule.by(), nil
		}
	}
	return "", nil
}
