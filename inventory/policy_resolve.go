package inventory

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"
)

// Resolved are the rules in force for a host. It may be shared by hosts to which
// the same policies apply: nothing in it may be changed. The zero Resolved has no
// rules.
type Resolved struct {
	// Rules are sorted by priority, the largest first, then by policy, file,
	// line, pattern and value.
	Rules []Rule `json:"rules"`
	// Release is the rule that decides on the release of the host; nil when
	// there is none.
	Release *Rule `json:"release,omitempty"`
	// Key stands for the content of Rules in full: hosts with the same Key are
	// planned alike. "" when there are no rules.
	Key string `json:"key,omitempty"`

	literal map[string][]int // rules by name, those without a glob
	globs   map[string][]int // rules by what every match begins with
	lengths []int            // of the keys of globs, from the smallest
}

// Decision is what the policies say about one package name. Each field points to
// the rule that decides, nil when there is none.
type Decision struct {
	Hold            *Rule
	Pin             *Rule
	Exclude         *Rule
	Install         *Rule
	Remove          *Rule
	AllowDowngrade  *Rule
	AllowArchChange *Rule
	Arches          *Rule
	Instead         *Rule // it is not followed from there to another
	Release         *Rule // of the host, the same for every name
	// SameEverywhere are all rules of that kind: they add up, each over the
	// hosts of its policy.
	SameEverywhere []*Rule
	// Overruled are the rules that a larger priority has set aside.
	Overruled []Overruled
}

// Overruled is a rule that lost to one of a larger priority.
type Overruled struct {
	Rule *Rule
	By   *Rule
}

// policyCache keeps what was resolved, by the policies that apply together.
type policyCache struct{ sync.Map }

// resolvedSet is an entry of the cache.
type resolvedSet struct {
	resolved  Resolved
	conflicts []*PolicyConflict
}

// Policies gives the rules in force for a host at a time, and the conflicts that
// can be seen without knowing packages: those on a name that is written out, and
// those on globs of which one holds all of the other. Whether other globs meet
// on a package is told by For. A host with a conflict is not to be planned:
// nothing was picked. A policy applies when its selector is true for the
// host and it has not expired; a selector that asks for something unknown does
// not match. extra may be nil.
func (s *Site) Policies(h *Host, extra ExtraFunc, at time.Time) (Resolved, []*PolicyConflict) {
	var active []*Policy
	var key strings.Builder
	for _, p := range s.policies {
		if p.Active(at) && s.match(p.Hosts, h, extra) == yes {
			active = append(active, p)
			key.WriteString(p.Name + " ") // names are unique and have no blank
		}
	}
	if len(active) == 0 {
		return Resolved{}, nil
	}
	if found, ok := s.resolved.Load(key.String()); ok {
		set := found.(*resolvedSet)
		return set.resolved, set.conflicts
	}
	var rules []Rule
	for _, p := range active {
		rules = append(rules, p.rules...)
	}
	set := &resolvedSet{resolved: NewResolved(rules)}
	set.conflicts = set.resolved.conflicts()
	s.resolved.Store(key.String(), set)
	return set.resolved, set.conflicts
}

// NewResolved sorts rules and makes them ready for For. The order of the rules
// given has no influence. Where two rules on the release tie, Release is nil;
// the conflict is among those that Policies gives.
func NewResolved(rules []Rule) Resolved {
	if len(rules) == 0 {
		return Resolved{}
	}
	r := Resolved{Rules: append([]Rule(nil), rules...), literal: make(map[string][]int), globs: make(map[string][]int)}
	sort.SliceStable(r.Rules, func(i, j int) bool { return before(&r.Rules[i], &r.Rules[j]) })
	for i := range r.Rules {
		rule := &r.Rules[i]
		if rule.Action == ActionRelease {
			continue
		}
		if prefix := plainPrefix(rule.Pattern); prefix == rule.Pattern {
			r.literal[prefix] = append(r.literal[prefix], i)
		} else {
			r.globs[prefix] = append(r.globs[prefix], i)
			if n, there := slices.BinarySearch(r.lengths, len(prefix)); !there {
				r.lengths = slices.Insert(r.lengths, n, len(prefix))
			}
		}
	}
	if d, err := r.release(); err == nil {
		r.Release = d.Release
	}
	r.Key = digest(r.Rules)
	return r
}

// plainPrefix gives a pattern up to its first glob.
func plainPrefix(pattern string) string {
	if n := strings.IndexAny(pattern, "*?["); n >= 0 {
		return pattern[:n]
	}
	return pattern
}

// before is the order of rules.
func before(a, b *Rule) bool {
	if a.Priority != b.Priority {
		return a.Priority > b.Priority
	}
	for _, c := range [][2]string{{a.Policy, b.Policy}, {a.File, b.File}} {
		if c[0] != c[1] {
			return c[0] < c[1]
		}
	}
	if a.Line != b.Line {
		return a.Line < b.Line
	}
	for _, c := range [][2]string{{string(a.Action), string(b.Action)}, {a.Pattern, b.Pattern}} {
		if c[0] != c[1] {
			return c[0] < c[1]
		}
	}
	return a.Value < b.Value
}

// digest gives the Key of rules in order. Where they stand is no part of it.
func digest(rules []Rule) string {
	sum := sha256.New()
	for _, r := range rules {
		r.File, r.Line = "", 0
		line, err := json.Marshal(r)
		if err != nil {
			panic("inventory: a rule is plain data: " + err.Error())
		}
		sum.Write(append(line, '\n'))
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// For gives what is in force for a package name. When two rules of equal
// priority disagree on it, and no larger priority has set both aside, the error
// is a *PolicyConflict. It may be called by several goroutines.
func (r Resolved) For(name string) (Decision, error) {
	found := r.matching(name)
	if len(found) == 0 {
		return Decision{Release: r.Release}, nil
	}
	d, err := r.decide(found, name)
	d.Release = r.Release
	return d, err
}

// matching gives the rules about a name, in order. The result is not to be
// changed.
func (r Resolved) matching(name string) []int {
	return r.with(r.literal[name], name, func(pattern string) bool { return matchGlob(pattern, name) })
}

// covering gives the rules about all that a glob matches, in order.
func (r Resolved) covering(glob string) []int {
	prefix := plainPrefix(glob)
	return r.with(nil, prefix, func(pattern string) bool { return covers(pattern, glob) })
}

// with adds to some rules those with a glob that begin as a text does and fulfil a
// condition.
func (r Resolved) with(found []int, text string, condition func(pattern string) bool) []int {
	own := false
	for _, n := range r.lengths {
		if n > len(text) {
			break
		}
		for _, i := range r.globs[text[:n]] {
			if !condition(r.Rules[i].Pattern) {
				continue
			}
			if !own {
				found, own = append(make([]int, 0, len(found)+4), found...), true
			}
			found = append(found, i)
		}
	}
	if own {
		sort.Ints(found)
	}
	return found
}

// release decides on the release alone.
func (r Resolved) release() (Decision, error) {
	var found []int
	for i := range r.Rules {
		if r.Rules[i].Action == ActionRelease {
			found = append(found, i)
		}
	}
	return r.decide(found, "")
}

// decide goes through rules that are about the same package, the largest
// priority first. A rule that disagrees with one already taken of a larger
// priority is set aside; then those left at the same priority must agree.
func (r Resolved) decide(found []int, subject string) (Decision, error) {
	var d Decision
	var taken []*Rule
	for i := 0; i < len(found); {
		j := i
		level := r.Rules[found[i]].Priority
		var here []*Rule
		for ; j < len(found) && r.Rules[found[j]].Priority == level; j++ {
			rule := &r.Rules[found[j]]
			if by := opponent(rule, taken); by != nil {
				d.Overruled = append(d.Overruled, Overruled{rule, by})
				continue
			}
			here = append(here, rule)
		}
		for n, rule := range here {
			if other := opponent(rule, here[:n]); other != nil {
				return Decision{}, &PolicyConflict{Subject: subject, A: *other, B: *rule}
			}
		}
		for _, rule := range here {
			d.take(rule)
		}
		taken = append(taken, here...)
		i = j
	}
	return d, nil
}

// opponent gives the first of some rules that disagrees with a rule, or nil.
func opponent(rule *Rule, others []*Rule) *Rule {
	for _, o := range others {
		if disagree(o, rule) {
			return o
		}
	}
	return nil
}

// take puts a rule into its field. Of several that say the same the first
// decides.
func (d *Decision) take(rule *Rule) {
	var field **Rule
	switch rule.Action {
	case ActionHold:
		field = &d.Hold
	case ActionPin:
		field = &d.Pin
	case ActionExclude:
		field = &d.Exclude
	case ActionInstall:
		field = &d.Install
	case ActionRemove:
		field = &d.Remove
	case ActionAllowDowngrade:
		field = &d.AllowDowngrade
	case ActionAllowArchChange:
		field = &d.AllowArchChange
	case ActionArches:
		field = &d.Arches
	case ActionInstead:
		field = &d.Instead
	case ActionRelease:
		field = &d.Release
	case ActionSameEverywhere:
		d.SameEverywhere = append(d.SameEverywhere, rule)
		return
	}
	if *field == nil {
		*field = rule
	}
}

// conflicts gives what is certain without names of packages: each pattern is
// taken as a set of packages, and decided on as For decides on a name. A tie is
// reported once for each pair of policies and actions.
func (r Resolved) conflicts() []*PolicyConflict {
	var out []*PolicyConflict
	type pair struct{ a, b Rule }
	reported := make(map[pair]bool)
	note := func(err error) {
		var c *PolicyConflict
		if !errors.As(err, &c) || reported[pair{c.A, c.B}] {
			return
		}
		reported[pair{c.A, c.B}] = true
		out = append(out, c)
	}
	_, err := r.release()
	note(err)
	seen := make(map[string]bool)
	for i := range r.Rules {
		subject := r.Rules[i].Pattern
		if r.Rules[i].Action == ActionRelease || seen[subject] {
			continue
		}
		seen[subject] = true
		find := r.matching
		if plainPrefix(subject) != subject {
			find = r.covering
		}
		_, err := r.decide(find(subject), subject)
		note(err)
	}
	return out
}

// covers reports that a glob certainly matches all that another matches. It is
// only said of the same, and of a plain beginning with a star behind it.
func covers(glob, subject string) bool {
	if glob == subject {
		return true
	}
	prefix := plainPrefix(glob)
	return glob == prefix+"*" && strings.HasPrefix(plainPrefix(subject), prefix)
}
