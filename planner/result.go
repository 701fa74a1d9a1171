package planner

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"cpacman/internal/rpm"
)

// Solve computes the upgrade set of one host. The same view, host and request give the same result, whatever their order. The
// result has passed Check; errors are ErrTooHard, ErrNotBuilt, *PolicyConflict, a rule of
// an unknown action, *FaultError, or a file source that failed.
func (u *Universe) Solve(h Host, r Request) (*Result, error) {
	s, err := u.solve(&h, &r)
	if damage := u.Err(); damage != nil {
		return nil, damage
	}
	if err != nil {
		return nil, err
	}
	return s.result, nil
}

// Bounds of boolean dependencies, each of which may name all packages there are. Hosts have some hundreds at most.
const (
	maxBooleans = 3000 // of the installed packages
	maxAlone    = 100  // packages that fulfil one, beyond which none of them is looked at for whether it alone does
)

// booleans counts the boolean requirements and conflicts of packages.
func booleans(ps []*rpm.Package) (n int) {
	for _, p := range ps {
		for i := range p.Requires {
			if p.Requires[i].IsRich() {
				n++
			}
		}
		for i := range p.Conflicts {
			if p.Conflicts[i].IsRich() {
				n++
			}
		}
	}
	return n
}

// solution is a result with what explain needs.
type solution struct {
	*problem
	model  model
	result *Result
	bare   *sat // the rules alone, for reasons
	moves  map[rpm.NEVRA]bool
	comes  map[string][]int32 // of the model, by name
	erased []int32            // leave by rpm -e because the target does not have them
	alone  bool               // what stays of several builds is not put in again
}

// solve is for a host of the caller's own: it notes there what the machine runs.
func (u *Universe) solve(h *Host, r *Request) (_ *solution, err error) {
	defer giveUp(&err)
	h.Arch = h.machine()
	u.assumeStreams(h)
	switch r.Type {
	case "", TypeUpdate, TypeDowngrade, TypeRollback, TypeLock, TypeRepair:
	default:
		return nil, fmt.Errorf("plans of type %s: %w", r.Type, ErrNotBuilt)
	}
	if err := checkRules(h.Policies); err != nil {
		return nil, err
	}
	if n := booleans(h.Installed); n > maxBooleans {
		return nil, fmt.Errorf("%w: the host's packages have %d boolean requirements and conflicts, more than the %d that are judged", ErrTooHard, n, maxBooleans)
	}
	check := beginCheck(u, h, r)
	s, err := u.attempt(h, r, "", nil)
	if err != nil {
		return nil, err
	}
	if s, err = u.rid(s); err != nil {
		return nil, err
	}
	refused, err := s.crosses()
	if err != nil {
		return nil, err
	}
	if refused != "" {
		if s, err = u.attempt(h, r, refused, nil); err != nil {
			return nil, err
		}
	}
	before, added, left := check(&s.result.Set)
	if len(added) > 0 && s.putsAgain() { // rpm cannot do it in the transaction: what is one too many leaves after it
		s.alone, s.erased, s.result = true, nil, &Result{}
		s.build()
		before, added, left = beginCheck(u, h, r)(&s.result.Set)
	}
	if len(added) > 0 {
		return nil, &FaultError{added}
	}
	for _, f := range before {
		s.result.Faults = append(s.result.Faults, f.Text)
	}
	if h.ModulesUnknown && len(h.Modules) > 0 {
		s.note("which module streams are enabled is not known; those count that installed packages are of: %s", strings.Join(h.Modules, ", "))
	}
	if r.Type == TypeRepair {
		s.notMended(left)
	}
	return s, nil
}

// NotMended begins the notes of a repair on what is wrong with a host and stays so.
const NotMended = "not mended: "

// notMended notes what is wrong with the host in the end.
func (s *solution) notMended(left []Fault) {
	const shown = 10
	for _, f := range left[:min(len(left), shown)] {
		s.note("%s%s", NotMended, f.Text)
	}
	if n := len(left) - shown; n > 0 {
		s.note("%sand %d more", NotMended, n)
	}
	slices.Sort(s.result.Notes)
}

// attempt solves a host; refused says why nothing may come in, where that is known, and freed what policies remove beside what nothing needs today.
func (u *Universe) attempt(h *Host, r *Request, refused string, freed []int32) (_ *solution, err error) {
	var p *problem
	defer func() {
		if errors.Is(err, ErrTooHard) && p != nil {
			err = p.tooHard()
		}
	}()
	defer giveUp(&err)
	p = newRefused(u, h, r, refused)
	p.findRemovals()
	for _, n := range freed {
		p.removals[n] = p.removalRule(n)
	}
	if err := p.reach(); err != nil {
		return nil, err
	}
	p.makeItems()
	p.clauses()
	if p.conflict != nil {
		return nil, p.conflict
	}
	m, err := p.search()
	if err != nil {
		return nil, err
	}
	if r.Weak {
		if m, err = p.follow(m); err != nil {
			return nil, err
		}
	}
	s := &solution{problem: p, model: m, result: &Result{}}
	s.build()
	return s, nil
}

// build turns the model into the lines of a set.
func (s *solution) build() {
	res := s.result
	needers := s.needers()
	s.moves = map[rpm.NEVRA]bool{}
	for n := range int32(s.installed) {
		if !s.model[n] {
			s.leaving(n)
		}
	}
	s.targetRemovals()
	for n := int32(s.installed); n < int32(len(s.nodes)); n++ {
		if !s.model[n] {
			continue
		}
		nd := &s.nodes[n]
		c := &s.u.cands[nd.cand]
		s.use(c)
		if nd.only || !s.moves[nd.pkg.NEVRA] {
			why := s.neededBy(n, needers[n])
			res.Set.Install = append(res.Set.Install, Install{NEVRA: nd.pkg.NEVRA, NeededBy: why, InstallOnly: nd.only, Fixes: s.fixesNew(nd.pkg.NEVRA, why)})
		}
	}
	slices.SortFunc(res.Packages, func(a, b Used) int { return rpm.CompareNEVRA(a.NEVRA, b.NEVRA) })
	s.noteYoung()
	if s.r.Type == "" || s.r.Type == TypeUpdate || s.r.Type == TypeDowngrade {
		s.keepN()
		s.policyRemovals()
	}
	s.held()
	s.blocked()
	s.wishNotes()
	s.notePassedOver()
	s.notInstalled()
	slices.Sort(res.Notes)
	res.Notes = slices.Compact(res.Notes)
	res.Set.Overridden = overridden(s.u, s.h, &s.r.Filter, &res.Set)
	if err := res.Set.Seal(); err != nil {
		res.Notes = append(res.Notes, err.Error())
	}
}

// use lists a package as one that comes in.
func (s *solution) use(c *candidate) {
	used := Used{Candidate: *c.Candidate, Source: s.u.sources[c.source].ID, Advisories: s.u.listedBy(c.NEVRA)}
	slices.Sort(used.Advisories)
	used.Advisories = slices.Compact(used.Advisories)
	s.result.Packages = append(s.result.Packages, used)
}

// leaving writes the line of an installed package that is not there afterwards: another build takes its place, Obsoletes do, or it goes
// by rpm -e.
func (s *solution) leaving(n int32) {
	pkg := s.nodes[n].pkg
	if next := s.next(n); next != nil {
		s.move(pkg, next, false)
		return
	}
	var by []string
	for _, m := range s.replacements(n) {
		by = append(by, s.nodes[m].pkg.NEVRA.String())
	}
	set := &s.result.Set
	switch {
	case len(by) > 0:
		for _, m := range s.replacements(n) {
			s.vendorChange(pkg, s.nodes[m].pkg)
		}
		set.Remove = append(set.Remove, Remove{pkg.NEVRA, ruleObsoleted, "obsoleted by " + strings.Join(by, ", ")})
	case s.putAgain(n):
	case s.target != nil:
		s.erased = append(s.erased, n)
	default:
		set.Remove = append(set.Remove, Remove{pkg.NEVRA, ruleRepair, "another build of it is installed"})
	}
}

// next is what comes in as another build of an installed one that leaves, of its own arch if there is one; nil for none.
func (s *solution) next(n int32) *rpm.Package {
	pkg := s.nodes[n].pkg
	var next *rpm.Package
	for _, m := range s.coming(pkg.Name) {
		if q := s.nodes[m].pkg; s.succeeds(q, pkg) && (next == nil || q.Arch == pkg.Arch) {
			next = q
		}
	}
	return next
}

// coming lists the nodes of a name that come in, but for those that stand beside older builds.
func (s *solution) coming(name string) []int32 {
	if s.comes == nil {
		s.comes = map[string][]int32{}
		for m := int32(s.installed); m < int32(len(s.nodes)); m++ {
			if s.model[m] && !s.nodes[m].only {
				s.comes[s.nodes[m].pkg.Name] = append(s.comes[s.nodes[m].pkg.Name], m)
			}
		}
	}
	return s.comes[name]
}

// move writes an upgrade or a downgrade; again is said of what is installed.
func (s *solution) move(from, to *rpm.Package, again bool) {
	s.moves[to.NEVRA] = true
	s.vendorChange(from, to)
	r := s.name(from.Name)
	m := Move{From: from.NEVRA, To: to.NEVRA, Again: again}
	var by []string
	if from.Arch != to.Arch && !again {
		by = append(by, r.archChange.Policy)
	}
	if rpm.Compare(to.EVR, from.EVR) > 0 {
		m.Policy, m.Fixes = strings.Join(by, ", "), s.u.Fixes(from.NEVRA, to.NEVRA, s.h.Modules)
		s.result.Set.Upgrade = append(s.result.Set.Upgrade, m)
		return
	}
	if !again && s.target == nil && s.r.Type != TypeDowngrade && !slices.Contains(by, r.downgrade.Policy) {
		by = append(by, r.downgrade.Policy)
	}
	m.Policy = strings.Join(by, ", ")
	s.result.Set.Downgrade = append(s.result.Set.Downgrade, m)
}

// vendorChange writes a line where one vendor's package takes the place of another's (PLAN-15).
func (s *solution) vendorChange(from, to *rpm.Package) {
	if from.Vendor != to.Vendor {
		s.result.Set.VendorChanges = append(s.result.Set.VendorChanges, VendorChange{from.NEVRA, to.NEVRA, from.Vendor, to.Vendor})
	}
}

// targetRemovals writes what leaves because the target does not have it, with the step that it leaves in.
func (s *solution) targetRemovals() {
	first := s.before(s.erased)
	for _, n := range s.erased {
		s.oldFiles(n)
		line := Remove{s.nodes[n].pkg.NEVRA, ruleTarget, "the target does not have it"}
		if first[n] {
			line.Rule, line.Because = ruleFirst, "the target does not have it, and it is in the way of what comes in: it goes first, by rpm -e --nodeps"
		}
		s.result.Set.Remove = append(s.result.Set.Remove, line)
	}
}

// replacements returns the incoming nodes that take the place of an installed one by Obsoletes, sorted by NEVRA.
func (s *solution) replacements(n int32) []int32 {
	var out []int32
	for m := int32(s.installed); m < int32(len(s.nodes)); m++ {
		q := &s.nodes[m]
		s.effort.spend(1 + len(q.pkg.Obsoletes))
		if s.model[m] && !q.only && q.pkg.Name != s.nodes[n].pkg.Name && obsoletes(q.pkg, s.nodes[n].pkg) {
			out = append(out, m)
		}
	}
	slices.SortFunc(out, func(a, b int32) int { return rpm.CompareNEVRA(s.nodes[a].pkg.NEVRA, s.nodes[b].pkg.NEVRA) })
	return out
}

// need is one package that requires a new one; alone when nothing else there would do.
type need struct {
	by    int32
	alone bool
}

// needers lists for every new node who requires it.
func (s *solution) needers() map[int32][]need {
	out := map[int32][]need{}
	for m := range int32(len(s.nodes)) {
		if !s.model[m] {
			continue
		}
		for _, id := range s.requires(m) {
			switch d := s.demands[id].dep; {
			case isRpmlib(d.Name):
			case d.IsRich():
				s.richNeeds(out, m, d, true)
			case !s.demands[id].always:
				l := s.there(d)
				for _, n := range l {
					if n != m && int(n) >= s.installed {
						out[n] = append(out[n], need{m, len(l) == 1})
					}
				}
			}
		}
		for _, d := range s.nodes[m].pkg.Conflicts {
			if d.IsRich() {
				s.richNeeds(out, m, d, false)
			}
		}
	}
	return out
}

// there returns the providers of a dependency that are on the host afterwards.
func (s *solution) there(d rpm.Dep) []int32 {
	return s.among(func(q int32) bool { return s.model[q] })(d)
}

// among gives what looks up the providers of a dependency in a state of the host.
func (s *solution) among(here func(int32) bool) func(rpm.Dep) []int32 {
	return func(d rpm.Dep) []int32 {
		s.effort.spend(len(s.providersOf(d)))
		return slices.DeleteFunc(slices.Clone(s.providersOf(d)), func(q int32) bool { return !here(q) })
	}
}

// richNeeds adds the new nodes without which an expression would not hold, or, of a conflict, would.
func (s *solution) richNeeds(out map[int32][]need, m int32, d rpm.Dep, wanted bool) {
	r, err := rpm.ParseRich(d.Name)
	if err != nil || evalRich(r, s.there) != wanted {
		return
	}
	var all []int32
	r.Leaves(func(leaf rpm.Dep) { all = append(all, s.there(leaf)...) })
	slices.Sort(all)
	all = slices.Compact(all)
	for _, n := range all {
		if len(all) > maxAlone && n != m && int(n) >= s.installed {
			out[n] = append(out[n], need{m, false})
			continue
		}
		without := func(d rpm.Dep) []int32 { return slices.DeleteFunc(s.there(d), func(q int32) bool { return q == n }) }
		if n != m && int(n) >= s.installed && evalRich(r, without) != wanted {
			out[n] = append(out[n], need{m, true})
		}
	}
}

// replacing begins what a new package replaces, among the reasons for which it comes.
const replacing = "obsoletes "

// neededBy says why a new package comes: what would miss it, what it replaces, or that it is itself what was wanted.
func (s *solution) neededBy(n int32, needers []need) []string {
	var out []string
	for _, x := range needers {
		if x.alone {
			out = append(out, s.nodes[x.by].pkg.NEVRA.String())
		}
	}
	s.effort.spend(s.installed)
	for m := range int32(s.installed) {
		if q := s.nodes[m].pkg; !s.model[m] && !s.nodes[n].only && q.Name != s.nodes[n].pkg.Name && obsoletes(s.nodes[n].pkg, q) {
			out = append(out, replacing+q.NEVRA.String())
		}
	}
	if s.nodes[n].only && slices.ContainsFunc(s.items, func(it *item) bool { return slices.Contains(it.targets, n) }) {
		out = append(out, "requested")
	}
	for _, w := range s.wishes {
		if slices.Contains(w.targets, n) {
			out = append(out, w.by)
		}
	}
	if s.r.Weak {
		out = append(out, s.recommendedBy(n)...)
	}
	if len(out) == 0 { // one of several that together fulfil a need
		for _, x := range needers {
			out = append(out, s.nodes[x.by].pkg.NEVRA.String())
		}
	}
	if len(out) == 0 {
		out = []string{"requested"}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// notInstalled notes what --package names and the host does not have, and that nothing which it has goes to either.
func (s *solution) notInstalled() {
	for _, g := range s.r.Filter.Packages {
		hit := slices.ContainsFunc(s.items, func(it *item) bool {
			return s.named(it) && firstMatch([]string{g}, s.highest(it).NEVRA) != "" || matchGlob(g, it.key.Name) ||
				matchGlob(g, it.key.String()) || slices.ContainsFunc(it.inst, func(n int32) bool { return matchNamed(g, s.nodes[n].pkg.NEVRA) })
		})
		for n := s.installed; n < len(s.nodes) && !hit; n++ {
			pkg := s.nodes[n].pkg // of a name that is not installed it may be one that others would bring along
			hit = matchNamed(g, pkg.NEVRA) && (s.model[n] || len(s.name(pkg.Name).installed) > 0)
		}
		hit = hit || slices.ContainsFunc(s.result.Set.Held, func(h Held) bool { return matchNamed(g, h.Available) })
		hit = hit || slices.ContainsFunc(s.result.Set.Blocked, func(b Blocked) bool { return matchNamed(g, b.Available) })
		if !hit {
			s.result.Notes = append(s.result.Notes, NothingMatches(g))
		}
	}
}

// NothingMatches is the note of a Filter.Packages glob that no installed package matches.
func NothingMatches(glob string) string { return "nothing installed matches " + glob }

// MatchNames lists the names that a Filter.Packages glob matches.
func MatchNames(glob string, names []string) (out []string) {
	for _, n := range names {
		if matchGlob(glob, n) {
			out = append(out, n)
		}
	}
	return out
}
