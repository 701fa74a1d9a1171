package inventory

import (
	"fmt"
	"strings"
	"time"
)

// PolicyEntry is one policy in a listing, expired ones included.
type PolicyEntry struct {
	Name     string `json:"name"`
	Priority int    `json:"priority"` // the larger wins
	Owner    string `json:"owner"`
	Reason   string `json:"reason"`
	Expires  string `json:"expires"` // as written; "" is never
	Expired  bool   `json:"expired"`
	Selector string `json:"selector"` // "all" when none is written
	// Hosts are those the selector is true for, sorted by name, whether the
	// policy has expired or not.
	Hosts     []string `json:"hosts"`
	Undecided int      `json:"undecided"` // hosts of which too little is known
	Rules     []Rule   `json:"rules"`
	File      string   `json:"file"`
	Line      int      `json:"line"`
}

// PolicyList gives every policy, sorted by name, with its hosts and whether it
// has expired at a time. extra may be nil.
func (s *Site) PolicyList(extra ExtraFunc, at time.Time) []PolicyEntry {
	out := make([]PolicyEntry, 0, len(s.policies))
	for _, p := range s.policies {
		e := PolicyEntry{
			Name: p.Name, Priority: p.Priority, Owner: p.Owner, Reason: p.Reason,
			Expires: p.Expires.String(), Expired: !p.Active(at), Selector: p.Hosts.String(),
			Hosts: []string{}, Rules: p.Rules(), File: p.File, Line: p.Line,
		}
		for _, h := range s.Hosts {
			switch s.match(p.Hosts, h, extra) {
			case yes:
				e.Hosts = append(e.Hosts, h.Name)
			case unknown:
				e.Undecided++
			}
		}
		out = append(out, e)
	}
	return out
}

// PolicyHosts gives the hosts that the selector of a policy is true for, sorted
// by name: those among which same_everywhere holds.
func (s *Site) PolicyHosts(p *Policy, extra ExtraFunc) []*Host {
	var out []*Host
	for _, h := range s.Hosts {
		if s.match(p.Hosts, h, extra) == yes {
			out = append(out, h)
		}
	}
	return out
}

// Words says what a policy does, in one line: "hold postgresql* (priority 10,
// larger wins, dba: vendor certifies 15.4 only, until 2027-03-01)".
func (p *Policy) Words() string {
	var does []string
	for _, r := range p.rules {
		does = append(does, r.String())
	}
	about := []string{fmt.Sprintf("priority %d, larger wins", p.Priority)}
	switch {
	case p.Owner != "" && p.Reason != "":
		about = append(about, p.Owner+": "+p.Reason)
	case p.Owner+p.Reason != "":
		about = append(about, p.Owner+p.Reason)
	}
	if !p.Expires.Never() {
		about = append(about, "until "+p.Expires.String())
	}
	return fmt.Sprintf("%s (%s)", strings.Join(does, "; "), strings.Join(about, ", "))
}

// Words says what holds for a repository, in one line: "base (priority 10, smaller wins; limited to grafana*)".
func (r Repo) Words() string {
	about := []string{fmt.Sprintf("priority %d, smaller wins", r.Priority)}
	if !r.Auto {
		about = append(about, "serves only what is asked for by name")
	}
	if r.MinAge > 0 {
		age := FormatDuration(r.MinAge)
		if day := 24 * time.Hour; r.MinAge%day == 0 {
			age = fmt.Sprintf("%dd", r.MinAge/day)
		}
		about = append(about, "builds from an age of "+age+" on")
	}
	if len(r.Only) > 0 {
		about = append(about, "limited to "+strings.Join(r.Only, ", "))
	}
	if len(r.Exclude) > 0 {
		about = append(about, "without "+strings.Join(r.Exclude, ", "))
	}
	if !r.Hosts.IsZero() {
		about = append(about, "for "+r.Hosts.String())
	}
	return printable(fmt.Sprintf("%s (%s)", r.ID, strings.Join(about, "; ")))
}

// policies lists what applies to the host, and what may: without facts some
// selectors are not decided, and without a time nothing has expired.
func (r *resolver) policies() {
	for _, p := range r.site.policies {
		matches := r.site.match(p.Hosts, r.host, r.extra)
		if matches == no {
			continue
		}
		value := p.Words()
		if matches == unknown {
			value = "does not apply unless the facts say so: " + p.Hosts.String() + ": " + value
		}
		if !r.at.IsZero() && !p.Active(r.at) {
			value = "expired: " + value
		}
		r.add("policy "+p.Name, value, p.At())
	}
}

// CheckPolicies looks at a time for policies that tie and disagree (errors), and
// for those that have expired or match no host (warnings). The result is sorted.
// extra may be nil: then policies that ask for facts are not judged.
func (s *Site) CheckPolicies(extra ExtraFunc, at time.Time) []Problem {
	c := &checker{site: s}
	hosts := make(map[*PolicyConflict][]string) // conflicts are shared by the cache
	var order []*PolicyConflict
	for _, h := range s.Hosts {
		_, conflicts := s.Policies(h, extra, at)
		for _, one := range conflicts {
			if hosts[one] == nil {
				order = append(order, one)
			}
			hosts[one] = append(hosts[one], h.Name)
		}
	}
	// Hosts with other policies besides have the same conflict once more.
	merged := make(map[string]*PolicyConflict)
	for _, one := range order {
		if first := merged[one.message()]; first != nil {
			hosts[first] = append(hosts[first], hosts[one]...)
			continue
		}
		merged[one.message()] = one
	}
	for _, message := range sortedKeys(merged) {
		one := merged[message]
		c.add(SeverityError, one.B.File, one.B.Line, one.hint(), "%s, on hosts %s", message, some(hosts[one]))
	}
	for _, e := range s.PolicyList(extra, at) {
		switch {
		case e.Expired:
			c.warn(e.File, e.Line, "remove it, or give it a new date", "policy %q has expired: %s", e.Name, e.Expires)
		case len(e.Hosts) == 0 && e.Undecided == 0:
			c.warn(e.File, e.Line, "", "policy %q applies to no host", e.Name)
		}
		for _, r := range e.Rules {
			if r.Action == ActionInstall && strings.Trim(r.Pattern, "*?.-") == "" { // the planner takes it for nothing
				c.warn(r.File, r.Line, "write the names of the packages, or globs of them like \"agent-*\"",
					"policy %q installs %q, which names no package: nothing comes in by it", e.Name, r.Pattern)
			}
		}
	}
	return c.problems.sorted()
}
