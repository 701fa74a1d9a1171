package solvcases

import (
	"slices"
	"strings"

	"cpacman/internal/rpm"
)

// The rules that explain a difference without a line in the table, because it shows in the two answers.
const (
	RuleRemoval   = "PLAN-4 no removal except by Obsoletes"
	RuleArch      = "PLAN-2 same arch"
	RuleDowngrade = "PLAN-12 an update never lowers a version"
	RuleWeak      = "weak dependencies are not followed by default"
)

// Explain finds the rule behind a difference: when what is expected, less everything that one rule forbids, is what we answer, or
// more than that because the rest depended on what the rule forbids. It returns "" when no rule shows.
func Explain(t *Trial, got, want Outcome) string {
	for _, r := range [...]struct {
		rule string
		is   func(change string) bool
	}{{RuleArch, changesArch}, {RuleDowngrade, downgrades}, {RuleWeak, t.weak}, {RuleRemoval, t.removes}} {
		if !slices.ContainsFunc(want.Changes, r.is) {
			continue
		}
		allowed := slices.DeleteFunc(slices.Clone(want.Changes), r.is)
		if slices.Equal(got.Changes, allowed) || r.rule == RuleRemoval && subset(got.Changes, allowed) && (got.Held || got.Refused) {
			return r.rule
		}
	}
	return ""
}

func subset(part, all []string) bool {
	return !slices.ContainsFunc(part, func(s string) bool { return !slices.Contains(all, s) })
}

func changesArch(change string) bool {
	f := strings.Fields(change)
	if len(f) != 3 {
		return false
	}
	return f[1][strings.LastIndexByte(f[1], '.'):] != f[2][strings.LastIndexByte(f[2], '.'):]
}

func downgrades(change string) bool { return strings.HasPrefix(change, "downgrade ") }

// removes tells whether a change is a removal that no package of the case excuses by Obsoletes.
func (t *Trial) removes(change string) bool {
	name, ok := strings.CutPrefix(change, "erase ")
	if !ok {
		return false
	}
	n, err := rpm.ParseNEVRA(name)
	if err != nil {
		return false
	}
	for _, r := range t.Repos {
		for _, p := range r.Packages {
			if slices.ContainsFunc(p.Obsoletes, func(d rpm.Dep) bool {
				return d.Name == n.Name && rpm.Overlap(d.Sense, d.EVR, rpm.Equal, n.EVR)
			}) {
				return false
			}
		}
	}
	return true
}

// weak tells whether a change installs a package only because of a weak dependency.
func (t *Trial) weak(change string) bool {
	name, ok := strings.CutPrefix(change, "install ")
	if !ok {
		return false
	}
	var pkg *rpm.Package
	var wanted []rpm.Dep
	for _, r := range t.Repos {
		for _, p := range r.Packages {
			if p.NEVRA.String() == name {
				pkg = p
			}
			wanted = append(wanted, p.Recommends...)
		}
	}
	if pkg == nil || slices.ContainsFunc(t.Jobs, func(j string) bool { return strings.HasSuffix(j, " name "+pkg.Name) }) {
		return false
	}
	return len(pkg.Supplements) > 0 || slices.ContainsFunc(wanted, func(d rpm.Dep) bool {
		return d.Name == pkg.Name || slices.ContainsFunc(pkg.Provides, func(q rpm.Dep) bool { return q.Name == d.Name })
	})
}
