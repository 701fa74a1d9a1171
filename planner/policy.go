package planner

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"cpacman/internal/rpm"
)

// The actions of a Rule (PLAN-9).
const (
	ActionHold            = "hold"              // stays as it is
	ActionPin             = "pin"               // only builds whose version Value names
	ActionExclude         = "exclude"           // its builds never come in
	ActionInstall         = "install"           // comes in though it is not installed
	ActionRemove          = "remove"            // leaves the host, unless something needs it
	ActionAllowDowngrade  = "allow_downgrade"   // may go to a lower EVR
	ActionAllowArchChange = "allow_arch_change" // may go from noarch to an arch, back, or to the native arch
	ActionArches          = "arches"            // only in these arches, and in each of them beside the other
	ActionInstead         = "instead"           // Value is taken where the name would come in
	ActionRelease         = "release"           // the release of the system that a plan may lead to; Pattern says nothing
	ActionSameEverywhere  = "same_everywhere"   // over several hosts: SameEverywhere
)

// Rule is one action of a policy as it holds for one host (PLAN-9). For each package name the larger priority wins.
type Rule struct {
	Action   string
	Pattern  string   // glob over names, or a name.arch or NEVRA
	Value    string   // pin: version, version-release, with epoch, or a glob of them; instead: a name; release: "8" or "8.6"
	Arches   []string // of ActionArches
	Priority int      // larger wins
	Policy   string   // the name of the policy
	Owner    string
	Reason   string
	File     string // of the inventory, with the Line: where it stands changes no answer
	Line     int

	// Because, of a rule that same_everywhere adds to those of a host, is all that people are told of it: nobody wrote that hold or pin.
	Because string
}

// PolicyConflict is returned by Solve when two rules of one priority want different things of one package: never a silent pick
// (INV-4).
type PolicyConflict struct {
	Name string // of the package
	A, B Rule
}

// Error names both policies, what they want and where they stand.
func (e *PolicyConflict) Error() string {
	wants := func(r *Rule) string {
		if r.File == "" {
			return r.want()
		}
		return fmt.Sprintf("%s, %s:%d", r.want(), printable(r.File), r.Line)
	}
	return fmt.Sprintf("policies %q (%s) and %q (%s) disagree about %s with the same priority %d; give one of them a larger one",
		e.A.Policy, wants(&e.A), e.B.Policy, wants(&e.B), e.Name, e.A.Priority)
}

// want is the action with its value, in the words of the inventory.
func (r *Rule) want() string {
	switch {
	case len(r.Arches) > 0:
		return r.Action + " " + strings.Join(r.Arches, ", ")
	case r.Value != "":
		return r.Action + " " + r.Value
	}
	return r.Action
}

// by says whose rule it is and why, for people.
func (r *Rule) by() string {
	text := "by policy " + printable(r.Policy)
	if r.Owner != "" {
		text += " (owner " + printable(r.Owner) + ")"
	}
	if r.Reason != "" {
		text += ": " + printable(r.Reason)
	}
	return text
}

// printable keeps text of an inventory from steering a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
}

// decision is what the policies say of one package name.
type decision struct {
	hold, pin, install, remove, downgrade, archChange, arches, instead *Rule
	excludes                                                           []*Rule
}

// slot returns where a rule's action is kept; nil for those that are not decided by name.
func (d *decision) slot(action string) **Rule {
	switch action {
	case ActionHold:
		return &d.hold
	case ActionPin:
		return &d.pin
	case ActionInstall:
		return &d.install
	case ActionRemove:
		return &d.remove
	case ActionAllowDowngrade:
		return &d.downgrade
	case ActionAllowArchChange:
		return &d.archChange
	case ActionArches:
		return &d.arches
	case ActionInstead:
		return &d.instead
	}
	return nil
}

// disagree tells whether two rules cannot both hold for one package name.
func disagree(a, b *Rule) bool {
	if a.Action == b.Action {
		return a.Action != ActionExclude && (a.Value != b.Value || !slices.Equal(sorted(a.Arches), sorted(b.Arches)))
	}
	pair := func(x, y string) bool {
		return a.Action == x && b.Action == y || a.Action == y && b.Action == x
	}
	return pair(ActionHold, ActionPin) || pair(ActionHold, ActionRemove) || pair(ActionPin, ActionRemove) ||
		pair(ActionInstall, ActionRemove) || pair(ActionHold, ActionInstall) || pair(ActionInstall, ActionExclude) || pair(ActionPin, ActionExclude)
}

func sorted(in []string) []string {
	out := slices.Clone(in)
	slices.Sort(out)
	return slices.Compact(out)
}

// decide applies the rules to one package name with the builds installed of it. The order of the rules changes nothing.
func decide(rules []Rule, name string, installed []rpm.NEVRA) (decision, *PolicyConflict) {
	var d decision
	var mine, taken []*Rule
	for i := range rules {
		if r := &rules[i]; r.names(name, installed) {
			mine = append(mine, r)
		}
	}
	slices.SortFunc(mine, compareRules)
	for _, r := range mine {
		against := slices.IndexFunc(taken, func(t *Rule) bool { // the larger priorities stand first: what loses to one of them has nothing to say to its equals
			return disagree(t, r) && (t.Action != ActionExclude || matchGlob(t.Pattern, name)) && (r.Action != ActionExclude || matchGlob(r.Pattern, name))
		})
		if against >= 0 {
			if t := taken[against]; t.Priority == r.Priority {
				return decision{}, &PolicyConflict{name, *t, *r}
			}
			continue
		}
		taken = append(taken, r)
		if s := d.slot(r.Action); s != nil && *s == nil {
			*s = r
		} else if r.Action == ActionExclude {
			d.excludes = append(d.excludes, r)
		}
	}
	return d, nil
}

// names tells whether a rule is about a package name. An exclusion may be about some of its builds only: they are looked at one by one.
func (r *Rule) names(name string, installed []rpm.NEVRA) bool {
	switch {
	case r.Action == ActionRelease, r.Action == ActionSameEverywhere:
		return false
	case matchGlob(r.Pattern, name), r.Action == ActionExclude && strings.HasPrefix(r.Pattern, literalPrefix(r.Pattern, name)):
		return true
	case r.Action == ActionInstall:
		base, _, ok := cutArch(r.Pattern)
		return ok && matchGlob(base, name)
	}
	return slices.ContainsFunc(installed, func(n rpm.NEVRA) bool { return matchNamed(r.Pattern, n) })
}

// literalPrefix is the part of a name that a pattern over builds has to begin with.
func literalPrefix(pattern, name string) string {
	if i := strings.IndexAny(pattern, "*?["); i >= 0 && i < len(name) {
		return name[:i]
	}
	return name
}

// cutArch splits name.arch where the end is an arch.
func cutArch(pattern string) (name, arch string, ok bool) {
	i := strings.LastIndexByte(pattern, '.')
	if i < 0 || !knownArch(pattern[i+1:]) {
		return pattern, "", false
	}
	return pattern[:i], pattern[i+1:], true
}

// compareRules orders rules: the larger priority first, then by their text.
func compareRules(a, b *Rule) int {
	return cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.Policy, b.Policy), cmp.Compare(a.Action, b.Action),
		cmp.Compare(a.Pattern, b.Pattern), cmp.Compare(a.Value, b.Value), slices.Compare(a.Arches, b.Arches),
		cmp.Compare(a.Owner, b.Owner), cmp.Compare(a.Reason, b.Reason))
}

// checkRules refuses rules that the planner cannot follow.
func checkRules(rules []Rule) error {
	var d decision
	for i := range rules {
		r := &rules[i]
		switch {
		case r.Action == ActionRelease:
			if r.Value == "" {
				return fmt.Errorf("policy %q: release names no release", r.Policy)
			}
		case r.Action == ActionSameEverywhere, r.Action == ActionExclude:
		case d.slot(r.Action) == nil:
			return fmt.Errorf("policy %q: the planner knows no action %q", r.Policy, r.Action)
		case (r.Action == ActionPin || r.Action == ActionInstead) && r.Value == "":
			return fmt.Errorf("policy %q: %s of %s has no value", r.Policy, r.Action, r.Pattern)
		case r.Action == ActionArches && len(r.Arches) == 0:
			return fmt.Errorf("policy %q: arches of %s names none", r.Policy, r.Pattern)
		}
	}
	return nil
}

// pinned tells whether a pin names this EVR: [epoch:]version[-release], where version and release may be globs, and what is not said may be anything.
func pinned(value string, e rpm.EVR) bool {
	if epoch, rest, ok := strings.Cut(value, ":"); ok {
		if n, err := strconv.ParseUint(epoch, 10, 32); err != nil || uint32(n) != e.Epoch {
			return false
		}
		value = rest
	}
	class := false // a dash may stand between brackets
	for i := range len(value) {
		switch c := value[i]; {
		case c == '[':
			class = true
		case c == ']':
			class = false
		case c == '-' && !class:
			return matchGlob(value[:i], e.Version) && matchGlob(value[i+1:], e.Release)
		}
	}
	return matchGlob(value, e.Version)
}

// excludedBy gives a rule that keeps a build out; nil for none. A pin of a larger priority that names the build goes before it.
func (d *decision) excludedBy(n rpm.NEVRA) *Rule {
	for _, r := range d.excludes {
		if matchPackage(r.Pattern, n) && (!d.pins(n.EVR) || d.pin.Priority <= r.Priority) {
			return r
		}
	}
	return nil
}

// pins tells whether a pin of an inventory names an EVR.
func (d *decision) pins(e rpm.EVR) bool {
	return d.pin != nil && d.pin.Because == "" && pinned(d.pin.Value, e)
}

// tiesOver gives an exclusion of the pin's priority that keeps out a build which the pin names; nil for none.
func (d *decision) tiesOver(n rpm.NEVRA) *Rule {
	if r := d.excludedBy(n); r != nil && d.pins(n.EVR) && r.Priority == d.pin.Priority {
		return r
	}
	return nil
}

// drops applies the decision to one candidate of the name.
func (d *decision) drops(c *rpm.Package, isInstalled bool) (rule, because string) {
	if r := d.excludedBy(c.NEVRA); r != nil {
		return ruleExclude, "excluded " + r.by()
	}
	switch {
	case d.hold != nil && !isInstalled, d.pin != nil && !pinned(d.pin.Value, c.EVR):
		return d.keeps()
	case d.arches != nil && !slices.Contains(d.arches.Arches, c.Arch):
		return ruleArches, "only " + printable(strings.Join(d.arches.Arches, " and ")) + " " + d.arches.by()
	case d.instead != nil && !isInstalled:
		return ruleInstead, printable(d.instead.Value) + " is taken instead " + d.instead.by()
	}
	return "", ""
}

// stays tells why no build of the name may leave the host other than for another of it: a hold or a pin.
func (d *decision) stays() string {
	_, because := d.keeps()
	return because
}

// keeps is stays with the rule that does it.
func (d *decision) keeps() (rule, because string) {
	switch {
	case d.hold != nil && d.hold.Because != "":
		return ruleEverywhere, d.hold.Because
	case d.hold != nil:
		return ruleHold, "held " + d.hold.by()
	case d.pin != nil && d.pin.Because != "":
		return ruleEverywhere, d.pin.Because
	case d.pin != nil:
		return rulePin, "pinned to " + printable(d.pin.Value) + " " + d.pin.by()
	}
	return "", ""
}

// holdRule names the rule of what keeps a whole name as it is.
func (r *nameRule) holdRule() string {
	if rule, because := r.keeps(); because == r.heldBecause {
		return rule
	}
	return ruleHold
}

// removes tells whether a build is to leave, or not to come in.
func (d *decision) removes(n rpm.NEVRA) bool {
	return d.remove != nil && matchNamed(d.remove.Pattern, n)
}

// opens tells whether the decision lets a package come in whose name is installed in other arches only: beside them, or in their place.
func (d *decision) opens(hostArch string, c *rpm.Package) bool {
	return d.arches != nil && slices.Contains(d.arches.Arches, c.Arch) || d.archChange != nil && archRank(hostArch, c.Arch) == 0
}
