package inventory

import (
	"fmt"
	"strings"
)

// Action is what a rule does with the packages it matches; the names are those
// of the keys.
type Action string

// The actions.
const (
	ActionHold            Action = "hold"
	ActionPin             Action = "pin"
	ActionExclude         Action = "exclude"
	ActionInstall         Action = "install"
	ActionRemove          Action = "remove"
	ActionAllowDowngrade  Action = "allow_downgrade"
	ActionAllowArchChange Action = "allow_arch_change"
	ActionArches          Action = "arches"
	ActionInstead         Action = "instead"
	ActionRelease         Action = "release" // of the host, not of a package
	ActionSameEverywhere  Action = "same_everywhere"
)

// Rule is one action of one policy on one pattern. Rules are plain data.
type Rule struct {
	Action Action `json:"action"`
	// Pattern is a glob of package names; "" for a release, a plain name for
	// instead.
	Pattern string `json:"pattern,omitempty"`
	// Value is the version of a pin, the architectures with a blank between
	// them, the name taken instead, or the release; else "".
	Value    string `json:"value,omitempty"`
	Priority int    `json:"priority"` // the larger wins
	Policy   string `json:"policy"`
	Owner    string `json:"owner,omitempty"`
	Reason   string `json:"reason,omitempty"`
	Expires  string `json:"expires,omitempty"` // as written; "" is never
	File     string `json:"file"`
	Line     int    `json:"line"`
}

// At gives "file:line" of the rule.
func (r Rule) At() string { return fmt.Sprintf("%s:%d", r.File, r.Line) }

// Matches reports whether the rule is about a package of that name. A rule about
// the release is about none.
func (r Rule) Matches(name string) bool {
	return r.Action != ActionRelease && matchGlob(r.Pattern, name)
}

// ArchList gives the architectures of an arches rule, sorted; nil for others.
func (r Rule) ArchList() []string {
	if r.Action != ActionArches {
		return nil
	}
	return strings.Fields(r.Value)
}

// Takes reports whether a pin takes a package of that version. What the pin does
// not name, the epoch or the release, may be anything: who pins bind = 9.16.23
// means it whatever its epoch. Parts are compared as text or by glob, not in rpm's
// order. Other rules take every version.
func (r Rule) Takes(epoch, version, release string) bool {
	if r.Action != ActionPin {
		return true
	}
	v, err := splitVersion(r.Value)
	if err != nil {
		return false
	}
	if epoch == "" {
		epoch = "0"
	}
	return v.matches(epoch, version, release)
}

// String says what the rule does: `hold postgresql*`, `pin bash = 5.1.8`.
func (r Rule) String() string {
	switch r.Action {
	case ActionPin:
		return fmt.Sprintf("pin %s = %s", r.Pattern, r.Value)
	case ActionArches:
		return fmt.Sprintf("take %s only as %s", r.Pattern, list(r.ArchList()))
	case ActionInstead:
		return fmt.Sprintf("take %s instead of %s", r.Value, r.Pattern)
	case ActionRelease:
		return "stay in release " + r.Value
	case ActionSameEverywhere:
		return "same version everywhere of " + r.Pattern
	}
	return strings.ReplaceAll(string(r.Action), "_", " ") + " " + r.Pattern
}

// makeRules cuts the policy into rules.
func (p *Policy) makeRules() {
	add := func(action Action, pattern, value string) {
		p.rules = append(p.rules, Rule{
			Action: action, Pattern: pattern, Value: value, Priority: p.Priority, Policy: p.Name,
			Owner: p.Owner, Reason: p.Reason, Expires: p.Expires.String(), File: p.File, Line: p.LineOf(string(action)),
		})
	}
	globs := func(action Action, patterns []string) {
		for _, g := range patterns {
			add(action, g, "")
		}
	}
	p.rules = nil
	globs(ActionHold, p.Hold)
	for _, pin := range p.Pin {
		add(ActionPin, pin.Pattern, pin.Version)
	}
	globs(ActionExclude, p.Exclude)
	globs(ActionInstall, p.Install)
	globs(ActionRemove, p.Remove)
	globs(ActionAllowDowngrade, p.AllowDowngrade)
	globs(ActionAllowArchChange, p.AllowArchChange)
	for _, a := range p.Arches {
		add(ActionArches, a.Pattern, strings.Join(a.Arches, " "))
	}
	for _, s := range p.Instead {
		add(ActionInstead, s.Name, s.By)
	}
	if p.Release != "" {
		add(ActionRelease, "", p.Release)
	}
	globs(ActionSameEverywhere, p.SameEverywhere)
}

// disagree reports whether two rules that are about the same package cannot both
// be followed. What moves a package, what keeps it, and what takes it away do not
// go together; a package may be installed and pinned, removed and excluded, held
// and excluded. Two values for one thing do not go together either. Permissions
// and same_everywhere never disagree: they add up.
func disagree(a, b *Rule) bool {
	if a.Action == b.Action {
		switch a.Action {
		case ActionPin, ActionArches, ActionInstead, ActionRelease:
			return a.Value != b.Value
		}
		return false
	}
	if !fate(a.Action) || !fate(b.Action) {
		return false
	}
	if a.Action > b.Action {
		a, b = b, a
	}
	switch [2]Action{a.Action, b.Action} { // in the order of the alphabet
	case [2]Action{ActionInstall, ActionPin}, [2]Action{ActionExclude, ActionRemove}, [2]Action{ActionExclude, ActionHold}:
		return false
	}
	return true
}

// fate reports an action that decides what becomes of a package.
func fate(a Action) bool {
	switch a {
	case ActionHold, ActionPin, ActionExclude, ActionInstall, ActionRemove:
		return true
	}
	return false
}
