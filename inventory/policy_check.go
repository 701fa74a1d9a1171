package inventory

import (
	"errors"
	"fmt"
	"sort"
	"strings"
)

// Bounds of policies.
const (
	maxPolicyPriority = 9999
	maxPolicyText     = 1000    // bytes of owner and of reason
	maxRules          = 200_000 // of all policies together
	maxGlobRules      = 5_000   // of them with a glob: at worst each is compared with each
)

// checkPolicies validates the policies, and sorts them by name: the files they
// stand in have no influence.
func (ld *loading) checkPolicies() {
	seen := make(map[string]*Source)
	rules, globs := 0, 0
	for _, p := range ld.site.policies {
		ld.unique(seen, &p.Source, "policy", "name", p.Name)
		ld.checkPolicy(p)
		p.makeRules()
		for i := range p.rules {
			if plainPrefix(p.rules[i].Pattern) != p.rules[i].Pattern {
				globs++
			}
		}
		if rules += len(p.rules); rules > maxRules || globs > maxGlobRules {
			ld.at(&p.Source)("", "", "the policies have more than %d rules, or more than %d with a glob", maxRules, maxGlobRules)
			ld.broken = true
			return
		}
		if len(p.rules) == 0 && !p.anySpoilt() {
			ld.at(&p.Source)("", "write hold, pin or another action", "policy %q does nothing", clip(p.Name))
		}
		ld.checkItself(p)
	}
	sort.SliceStable(ld.site.policies, func(i, j int) bool { return ld.site.policies[i].Name < ld.site.policies[j].Name })
}

// anySpoilt reports a key whose value could not be read.
func (s *Source) anySpoilt() bool {
	for i := range s.set {
		if s.set[i].bad {
			return true
		}
	}
	return false
}

// checkPolicy validates the keys of one policy.
func (ld *loading) checkPolicy(p *Policy) {
	fault := ld.at(&p.Source)
	ld.inRange(&p.Source, "[policy]", "priority", p.Priority, -maxPolicyPriority, maxPolicyPriority)
	for _, l := range []struct {
		key   string
		globs []string
	}{
		{"hold", p.Hold}, {"exclude", p.Exclude}, {"install", p.Install}, {"remove", p.Remove},
		{"allow_downgrade", p.AllowDowngrade}, {"allow_arch_change", p.AllowArchChange}, {"same_everywhere", p.SameEverywhere},
	} {
		ld.globs(&p.Source, l.key, l.globs)
	}
	if p.IsSet("release") {
		if err := checkRelease(p.Release); err != nil {
			fault("release", "", "key \"release\" in [[policy]]: %s", err)
		}
	}
	for _, t := range []struct{ key, text string }{{"owner", p.Owner}, {"reason", p.Reason}} {
		switch {
		case len(t.text) > maxPolicyText:
			fault(t.key, "", "key %q in [[policy]] is longer than %d bytes", t.key, maxPolicyText)
		case strings.TrimSpace(t.text) != "":
		case p.IsSet("hold"):
			fault(t.key, "", "policy %q holds packages and has no %q", clip(p.Name), t.key)
		case p.IsSet("pin"):
			fault(t.key, "", "policy %q pins packages and has no %q", clip(p.Name), t.key)
		}
	}
}

// checkItself refuses a policy that says two things about the same pattern.
func (ld *loading) checkItself(p *Policy) {
	first := make(map[string][]Rule)
	for _, r := range p.rules {
		for _, other := range first[r.Pattern] {
			switch {
			case other.Action == r.Action && other.Value == r.Value:
				ld.at(&p.Source)(string(r.Action), "", "key %q in [[policy]]: %q is listed twice", r.Action, clip(r.Pattern))
			case disagree(&other, &r):
				ld.at(&p.Source)(string(r.Action), "", "policy %q contradicts itself: %s, and %s", clip(p.Name), other, r)
			default:
				continue
			}
			break
		}
		first[r.Pattern] = append(first[r.Pattern], r)
	}
}

// policySelectors refuses selectors of policies with unknown names. It runs
// last, when all names are known.
func (ld *loading) policySelectors() {
	for _, p := range ld.site.policies {
		if p.Hosts.IsZero() {
			continue
		}
		if err := ld.site.checkSelector(p.Hosts, nil); err != nil {
			ld.at(&p.Source)("hosts", "", "key \"hosts\" in [[policy]]: %s", err)
		}
	}
}

// checkSameVendor validates lists of vendors that count as one.
func (ld *loading) checkSameVendor(c *Class) {
	for _, names := range c.SameVendor {
		if len(names) < 2 {
			ld.at(&c.Source)("same_vendor", `write lists like [["SUSE*", "openSUSE*"]]`, "key \"same_vendor\" in [[class]]: a list of fewer than two vendors says nothing")
		}
		for _, g := range names {
			err := checkGlob(g)
			if strings.TrimSpace(g) == "" {
				err = errors.New("an empty name")
			}
			if err != nil && !c.spoilt("same_vendor") {
				ld.at(&c.Source)("same_vendor", "", "key \"same_vendor\" in [[class]]: %s", err)
			}
		}
	}
}

// PolicyConflict is two rules of equal priority that are about the same package
// and cannot both be followed. It is never resolved by a silent pick.
type PolicyConflict struct {
	// Subject is the name of a package, or a glob that both rules match; "" when
	// it is about the release.
	Subject string `json:"subject,omitempty"`
	A       Rule   `json:"a"` // the one that comes first by policy, file and line
	B       Rule   `json:"b"`
}

// Error names both rules and what to do. It is safe to print on a terminal.
func (c *PolicyConflict) Error() string { return printable(c.message() + "; " + c.hint()) }

func (c *PolicyConflict) message() string {
	about := "the release"
	if c.Subject != "" {
		about = fmt.Sprintf("%q", c.Subject)
	}
	if c.A.Policy == c.B.Policy {
		return fmt.Sprintf("policy %q contradicts itself on %s: %s (%s) and %s (%s)", c.A.Policy, about, c.A, c.A.At(), c.B, c.B.At())
	}
	return fmt.Sprintf("policies %q (%s) and %q (%s) disagree on %s: %s, and %s, both with priority %d",
		c.A.Policy, c.A.At(), c.B.Policy, c.B.At(), about, c.A, c.B, c.A.Priority)
}

func (c *PolicyConflict) hint() string {
	if c.A.Policy == c.B.Policy {
		return "leave one of them out"
	}
	return "give one of them a larger priority: the larger wins"
}
