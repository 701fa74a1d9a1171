package planner

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"cpacman/internal/rpm"
)

// Explanation says why a package of a host moves, stays or comes (PLAN-13).
type Explanation struct {
	Package string          `json:"package"` // as asked
	Items   []ExplainedItem `json:"items"`   // never empty

	// Status says why a plan leaves the host out, so that nothing of what follows happens; empty where it does not. Detail is for people.
	Status HostStatus `json:"status,omitempty"`
	Detail string     `json:"detail,omitempty"`
}

// ExplainedItem is the answer for one name.arch.
type ExplainedItem struct {
	Name      string       `json:"name"` // name.arch
	Installed []rpm.NEVRA  `json:"installed"`
	Taken     *rpm.NEVRA   `json:"taken,omitempty"`     // what comes in
	Available *rpm.NEVRA   `json:"available,omitempty"` // the newest that the view has for it, whatever the rules say
	State     ExplainState `json:"state"`               // the manual has them all
	Rule      string       `json:"rule,omitempty"`      // that keeps it, or takes it away
	Because   []string     `json:"because,omitempty"`
	Fixes     []string     `json:"fixes,omitempty"`   // IDs of the advisories that what comes in fixes, sorted
	Open      []string     `json:"open,omitempty"`    // IDs of the advisories that Available, which does not come, would fix beside these
	Dropped   []Blocked    `json:"dropped,omitempty"` // candidates that a rule took away, newest first

	rest string // what is said instead of that there is nothing newer
}

// ExplainState is the case of an explanation.
type ExplainState string

// The cases of explain.
const (
	ExplainNewest       ExplainState = "newest"        // goes to the newest that exists for it
	ExplainLeast        ExplainState = "least"         // goes to the least version that fixes what was asked for
	ExplainBeyond       ExplainState = "beyond"        // goes to more than the least that fixes: Because says why that cannot come
	ExplainTarget       ExplainState = "target"        // goes to what the target has, or is that
	ExplainNotNewest    ExplainState = "not_newest"    // moves, but not to the newest: Because says why
	ExplainHeld         ExplainState = "held"          // stays: Because is the chain
	ExplainBlocked      ExplainState = "blocked"       // stays: Rule forbids what exists
	ExplainPulledIn     ExplainState = "pulled_in"     // new: Because says who needs it
	ExplainRemoved      ExplainState = "removed"       // leaves the host by Rule
	ExplainUpToDate     ExplainState = "up_to_date"    // nothing newer exists
	ExplainNotSelected  ExplainState = "not_selected"  // newer exists, the request leaves it out
	ExplainNotInstalled ExplainState = "not_installed" // the view has it, the host does not, nothing needs it
	ExplainLeftOut      ExplainState = "left_out"      // installed, and too little is known of it to be planned: never set here
	ExplainUnknown      ExplainState = "unknown"       // neither on the host nor in the view
)

// Explain says for each name.arch that pkg names (a name, name.arch, NEVRA or glob of them) what happens to it and why.
func (u *Universe) Explain(h Host, r Request, pkg string) (_ Explanation, err error) {
	defer giveUp(&err)
	s, err := u.solve(&h, &r)
	if err != nil {
		return Explanation{}, err
	}
	e := Explanation{Package: pkg}
	names := map[string]bool{}
	for _, it := range s.items {
		if s.explains(it, pkg) {
			one := s.explainItem(it)
			s.sayBuilds(it, &one, pkg)
			e.Items = append(e.Items, one)
			names[it.key.Name] = true
		}
	}
	e.Items = append(e.Items, s.explainNew(pkg, names)...)
	if err := u.Err(); err != nil {
		return Explanation{}, err
	}
	if len(e.Items) == 0 {
		e.Items = []ExplainedItem{{Name: pkg, Installed: []rpm.NEVRA{}, State: ExplainUnknown,
			Because: append([]string{"neither the host nor a repository of its view has it"}, s.wantedUnknown(pkg)...)}}
	}
	return e, u.sayArch(s, e.Items)
}

// Names tells whether what Explain is asked for means a package.
func Names(pattern string, n rpm.NEVRA) bool { return matchPackage(pattern, n) }

// explains tells whether a pattern names an installed item, by itself or by one of its builds, whatever the rules say of that.
func (s *solution) explains(it *item, pkg string) bool {
	if matchGlob(pkg, it.key.Name) || matchGlob(pkg, it.key.String()) {
		return true
	}
	named := func(n int32) bool { return matchBuild(pkg, s.nodes[n].pkg.NEVRA) }
	return slices.ContainsFunc(it.inst, named) || slices.ContainsFunc(it.cands, named) || len(s.builds(it, pkg)) > 0
}

// builds lists the candidates of an item's own name and arch that a pattern over builds names.
func (s *solution) builds(it *item, pkg string) []rpm.NEVRA {
	var out []rpm.NEVRA
	for _, id := range s.u.named(it.key.Name) {
		if c := &s.u.cands[id]; c.Arch == it.key.Arch && matchBuild(pkg, c.NEVRA) && !slices.Contains(out, c.NEVRA) {
			out = append(out, c.NEVRA)
		}
	}
	return out
}

// sayBuilds says of a build that is asked about by its full name, and that nothing was said of yet, why it is not the one.
func (s *solution) sayBuilds(it *item, e *ExplainedItem, pkg string) {
	if isGlob(pkg) {
		return
	}
	have := s.highest(it).NEVRA
	for _, n := range s.builds(it, pkg) {
		about := func(b Blocked) bool { return b.Available == n }
		if slices.Contains(e.Installed, n) || slices.ContainsFunc(e.Because, func(l string) bool { return strings.HasPrefix(l, n.String()+": ") }) ||
			e.Rule == "" && slices.ContainsFunc(e.Dropped, about) {
			continue
		}
		told := s.told(n.Name)
		at := slices.IndexFunc(told, func(d drop) bool { return s.u.cands[d.cand].NEVRA == n })
		switch {
		case at >= 0 && told[at].rule != ruleTarget:
			e.Because = append(e.Because, n.String()+": "+told[at].because+" ("+told[at].rule+")")
		case (e.Taken == nil || *e.Taken != n) && rpm.Compare(n.EVR, have.EVR) < 0:
			e.Because = append(e.Because, n.String()+" is older than "+have.String()+", which is installed")
		}
	}
}

// explainItem explains an installed name.arch.
func (s *solution) explainItem(it *item) ExplainedItem {
	have := s.highest(it)
	e := ExplainedItem{Name: it.key.String(), Installed: []rpm.NEVRA{}, Dropped: s.droppedFor(it)}
	for _, n := range it.inst {
		e.Installed = append(e.Installed, s.nodes[n].pkg.NEVRA)
	}
	if len(it.cands) > 0 {
		e.Available = &s.nodes[it.cands[0]].pkg.NEVRA
	}
	if len(e.Dropped) > 0 && (e.Available == nil || rpm.Compare(e.Dropped[0].Available.EVR, e.Available.EVR) > 0) {
		e.Available = &e.Dropped[0].Available
	}
	for _, n := range it.cands {
		if s.model[n] && e.Taken == nil { // of several arches the one that it goes to stands first
			e.Taken = &s.nodes[n].pkg.NEVRA
		}
	}
	i := slices.IndexFunc(s.result.Set.Held, func(l Held) bool { return slices.Contains(e.Installed, l.NEVRA) }) // of several builds it may be an older one
	blocked, kept := []Blocked(nil), s.keptOut(it)
	if s.target == nil { // else only the target's own builds are asked for
		blocked = s.blockedItem(it, nil)
	}
	removed := slices.IndexFunc(s.result.Set.Remove, func(r Remove) bool { return r.NEVRA == have.NEVRA })
	switch {
	case e.Taken != nil:
		s.explainMove(it, &e, i, blocked)
	case removed >= 0:
		e.State, e.Rule, e.Because = ExplainRemoved, s.result.Set.Remove[removed].Rule, []string{s.result.Set.Remove[removed].Because}
	case i >= 0:
		e.State, e.Available, e.Because = ExplainHeld, &s.result.Set.Held[i].Available, s.result.Set.Held[i].Because
	case len(s.targetLines(have.NEVRA)) > 0:
		e.block(s.targetLines(have.NEVRA))
	case s.stayLine(have.NEVRA) != nil:
		b := s.stayLine(have.NEVRA)
		e.State, e.Rule, e.Because, e.Available = ExplainBlocked, b.Rule, []string{b.Because}, nil
	case !it.wanted && len(kept) > 0:
		e.block(kept)
	case s.lowers() && s.named(it) && len(blocked) == 0:
		e.State, e.rest = ExplainUpToDate, "nothing older"
	case len(it.cands) > 0 && !it.wanted && len(s.preferred(it)) > 0:
		e.State, e.Because = ExplainNotSelected, []string{"the request does not ask for it and nothing needs it"}
	case len(blocked) > 0:
		e.block(blocked)
	default:
		e.State = ExplainUpToDate
		if s.target != nil && slices.ContainsFunc(e.Installed, func(n rpm.NEVRA) bool { return s.target.set[n] }) {
			e.State = ExplainTarget
		}
	}
	s.alsoSay(it, &e)
	s.sayFixes(it, &e)
	return e
}

// keptOut lists the blocked updates of an item that the request asks for.
func (s *solution) keptOut(it *item) []Blocked {
	switch f := &s.r.Filter; {
	case s.target != nil:
	case f.ByAdvisory():
		return s.blockedItem(it, s.fixes)
	case len(f.Packages) > 0:
		return s.blockedItem(it, func(_ *item, c *candidate) bool { return s.asksFor(c.NEVRA) })
	}
	return nil
}

// block explains an item that stays because of rules.
func (e *ExplainedItem) block(lines []Blocked) {
	e.State, e.Rule, e.Available = ExplainBlocked, lines[0].Rule, &lines[0].Available
	for _, b := range lines {
		e.Because = append(e.Because, b.Available.String()+": "+b.Because)
	}
}

// targetLines lists what a target has in place of an installed package, or beside it, and the host cannot get.
func (s *solution) targetLines(n rpm.NEVRA) []Blocked {
	if s.target == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(s.result.Set.Blocked), func(b Blocked) bool { return b.NEVRA != n || b.Available == n })
}

// stayLine returns the line of a package that a policy or a target wants away and that stays.
func (s *solution) stayLine(n rpm.NEVRA) *Blocked {
	for i := range s.result.Set.Blocked {
		if b := &s.result.Set.Blocked[i]; b.NEVRA == n && b.Available == n {
			return b
		}
	}
	return nil
}

// explainMove explains an item that moves: to the newest, or why not.
func (s *solution) explainMove(it *item, e *ExplainedItem, held int, blocked []Blocked) {
	top := it.cands[0]
	if s.lowers() && it.wanted && len(it.targets) > 0 {
		top = it.targets[0] // newer builds are not asked for
	}
	switch {
	case held >= 0:
		e.State, e.Because = ExplainNotNewest, s.result.Set.Held[held].Because
		e.Available = &s.result.Set.Held[held].Available
	case s.target != nil:
		e.State, e.Because = ExplainTarget, s.passedOver(*e.Taken)
		for _, b := range s.targetLines(s.highest(it).NEVRA) {
			e.Because = append(e.Because, b.Available.String()+": "+b.Because)
		}
	case it.wanted && s.beyond(it):
		least := it.targets[0]
		e.State, e.Because = ExplainBeyond, s.chain(least)
		e.Available = &s.nodes[least].pkg.NEVRA
	case *e.Taken != s.nodes[top].pkg.NEVRA && it.wanted:
		e.State, e.Because = ExplainLeast, []string{"the least change that was asked for; " + s.nodes[top].pkg.NEVRA.String() + " is newer"}
	case *e.Taken != s.nodes[top].pkg.NEVRA:
		e.State, e.Because = ExplainNotNewest, s.chain(top)
	case len(blocked) > 0 && it.wanted && !slices.ContainsFunc(blocked, func(b Blocked) bool { return b.Rule != ruleModule }):
		e.State, e.rest = ExplainNewest, "the newest of the module streams that are enabled" // others hold nothing back
		if !s.u.isModular(s.nodes[top].pkg) {
			e.rest = "the newest that is of no module stream"
		}
	case len(blocked) > 0:
		e.State, e.Rule = ExplainNotNewest, blocked[0].Rule
		e.Available = &blocked[0].Available
		for _, b := range blocked {
			e.Because = append(e.Because, b.Available.String()+": "+b.Because)
		}
	default:
		e.State = ExplainNewest
		if !it.wanted {
			e.Because = []string{"not asked for; what was asked for needs it"}
		}
	}
	for _, n := range it.cands {
		if s.model[n] && !it.wanted {
			e.Because = append(e.Because, s.neededNow(n)...)
		}
	}
	for _, m := range slices.Concat(s.result.Set.Upgrade, s.result.Set.Downgrade) {
		if m.To == *e.Taken && m.Policy != "" {
			e.Because = append(e.Because, m.From.String()+" -> "+m.To.String()+" is allowed by policy "+printable(m.Policy))
		}
	}
}

// sayFixes says what comes in fixes, and what stays open because the newest does not come.
func (s *solution) sayFixes(it *item, e *ExplainedItem) {
	base := s.highest(it).NEVRA
	for _, m := range s.result.Set.moves() {
		if e.Taken != nil && m.To == *e.Taken && slices.Contains(e.Installed, m.From) {
			e.Fixes, base = m.Fixes, m.To
		}
	}
	for _, in := range s.result.Set.Install {
		if e.Taken != nil && in.NEVRA == *e.Taken {
			e.Fixes, base = in.Fixes, in.NEVRA
		}
	}
	if e.Available == nil || s.target != nil || e.State == ExplainRemoved { // a target's builds are asked for, and no newer ones
		return
	}
	e.Open = slices.DeleteFunc(s.u.Fixes(base, *e.Available, s.h.Modules), func(id string) bool { return slices.Contains(e.Fixes, id) })
}

// alsoSay adds what is to be known of an item whatever becomes of it: builds of it that leave, a policy that wants it away, and that the build which is
// installed was taken back.
func (s *solution) alsoSay(it *item, e *ExplainedItem) {
	have := s.highest(it).NEVRA
	for _, m := range s.result.Set.moves() {
		if m.Again && slices.Contains(e.Installed, m.From) {
			e.Because = append(e.Because, fmt.Sprintf("%s leaves for %s, which is installed too and is put in again: its files may be those of the other", m.From, m.To))
		}
	}
	for _, r := range s.result.Set.Remove {
		if r.NEVRA != have && slices.Contains(e.Installed, r.NEVRA) {
			e.Because = append(e.Because, r.NEVRA.String()+" is removed ("+r.Rule+"): "+r.Because)
		}
	}
	e.Because = append(append(e.Because, s.lostParts(it)...), s.unfixed(it)...)
	for _, n := range e.Installed {
		if b := s.stayLine(n); b != nil && n != have {
			e.Because = append(e.Because, n.String()+": "+b.Because)
		}
	}
	if b := s.stayLine(have); b != nil && !slices.Contains(e.Because, b.Because) {
		e.Because = append(e.Because, b.Because)
	}
	if text := s.wantedBack(have); text != "" && e.State == ExplainRemoved && s.target != nil {
		e.Because = append(e.Because, text)
	}
	if id, back := s.u.retracted(have); back {
		e.Because = append(e.Because, have.String()+", which is installed, was taken back by "+id)
	}
}

// neededNow lists who among the result cannot do without a node.
func (s *solution) neededNow(n int32) []string {
	var out []string
	for _, x := range s.needers()[n] {
		if x.alone {
			out = append(out, s.neededWords(s.nodes[x.by].pkg.NEVRA.String()))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// droppedFor lists what rules took away and is newer than what is installed, or is what a plan that goes down would go to.
func (s *solution) droppedFor(it *item) []Blocked {
	have := s.highest(it)
	news := func(e rpm.EVR) bool { return rpm.Compare(e, have.EVR) > 0 }
	if s.lowers() || s.lost(it) {
		news = s.better(it, nil)
	}
	var out []Blocked
	for _, d := range s.told(it.key.Name) {
		c := &s.u.cands[d.cand]
		if news(c.EVR) && s.concerns(d, it) {
			out = append(out, Blocked{have.NEVRA, c.NEVRA, d.rule, d.because})
		}
	}
	slices.SortStableFunc(out, func(a, b Blocked) int { return rpm.Compare(b.Available.EVR, a.Available.EVR) })
	return out
}

// Lines writes the explanation for people: a line for each item, its reasons indented below.
func (e Explanation) Lines() []string {
	var out []string
	if e.Status != "" {
		out = append(out, strings.TrimSuffix("a plan leaves the host out ("+string(e.Status)+"): "+e.Detail, ": "))
	}
	for _, it := range e.Items {
		have := make([]string, len(it.Installed))
		for i, n := range it.Installed {
			have[i] = n.EVR.String()
		}
		out = append(out, it.Name+" "+strings.Join(have, ", ")+it.headline())
		for _, b := range it.Because {
			out = append(out, "  "+b)
		}
		out = append(out, advisoryLine("it fixes ", it.Fixes)...)
		out = append(out, advisoryLine("stays open: ", it.Open)...)
		for _, d := range it.Dropped {
			if !it.says(d) {
				out = append(out, fmt.Sprintf("  not %s: %s (%s)", d.Available, d.Because, d.Rule))
			}
		}
	}
	return out
}

// maxAdvisories is how many advisories stand in a line.
const maxAdvisories = 8

// advisoryLine lists advisories for people, none in no line.
func advisoryLine(what string, ids []string) []string {
	switch more := len(ids) - maxAdvisories; {
	case len(ids) == 0:
		return nil
	case more > 0:
		return []string{fmt.Sprintf("  %s%s and %d more", what, strings.Join(ids[:maxAdvisories], ", "), more)}
	}
	return []string{"  " + what + strings.Join(ids, ", ")}
}

// says tells whether what dropped a candidate stands among the reasons already, of it or of a newer one.
func (it *ExplainedItem) says(d Blocked) bool {
	return it.Rule != "" && slices.ContainsFunc(it.Because, func(line string) bool {
		return strings.HasSuffix(strings.TrimSuffix(line, " ("+d.Rule+")"), ": "+d.Because)
	})
}

// headline is the state in words.
func (it *ExplainedItem) headline() string {
	evr := func(n *rpm.NEVRA) string {
		switch {
		case n == nil:
			return "?"
		case n.NameArch().String() != it.Name: // something else, or another arch of it
			return n.String()
		}
		return n.EVR.String()
	}
	switch it.State {
	case ExplainNewest:
		if slices.ContainsFunc(it.Installed, func(n rpm.NEVRA) bool { return rpm.Compare(n.EVR, it.Taken.EVR) > 0 }) {
			return " -> " + evr(it.Taken) + ": the newest below what is installed"
		}
		return " -> " + evr(it.Taken) + ": " + cmp.Or(it.rest, "the newest there is")
	case ExplainLeast:
		return " -> " + evr(it.Taken) + ": the least version that does what was asked"
	case ExplainBeyond:
		return " -> " + evr(it.Taken) + "; " + evr(it.Available) + " would do and cannot come:"
	case ExplainTarget:
		if it.Taken == nil {
			return ": as the target has it"
		}
		return " -> " + evr(it.Taken) + ": what the target has"
	case ExplainNotNewest:
		return " -> " + evr(it.Taken) + ", not " + evr(it.Available) + ":"
	case ExplainHeld:
		return " stays, not " + evr(it.Available) + ":"
	case ExplainBlocked:
		switch {
		case it.Available == nil:
			return " stays (" + it.Rule + "):"
		case len(it.Installed) == 0:
			return evr(it.Available) + " is blocked (" + it.Rule + "):"
		}
		return " stays, " + evr(it.Available) + " is blocked (" + it.Rule + "):"
	case ExplainPulledIn:
		return evr(it.Taken) + ": new"
	case ExplainRemoved:
		return " is removed (" + it.Rule + "):"
	case ExplainUpToDate:
		return ": " + cmp.Or(it.rest, "nothing newer")
	case ExplainLeftOut:
		return " is installed and left out:"
	case ExplainNotSelected:
		return " stays; " + evr(it.Available) + " is available:"
	case ExplainNotInstalled:
		return evr(it.Available) + " is available and not installed:"
	}
	return ":"
}
