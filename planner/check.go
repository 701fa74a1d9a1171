package planner

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"cpacman/internal/rpm"
)

func (c *checker) check(before []Fault) (_, added []Fault) {
	if !c.resolve() {
		return before, c.faults
	}
	c.rules()
	c.steps(before)
	slices.SortFunc(c.faults, func(a, b Fault) int { return strings.Compare(a.Kind+a.Text, b.Kind+b.Text) })
	return before, slices.Compact(c.faults)
}

type checker struct {
	u         *Universe
	h         *Host
	r         *Request
	set       *Set
	start     []*rpm.Package
	byNEVRA   map[rpm.NEVRA]*rpm.Package // what comes in
	upgrades  []*rpm.Package             // step (a): rpm -U
	kept      []*rpm.Package             // what is installed and put in again by step (a)
	installs  []*rpm.Package             // step (b): rpm -i
	candidate map[*rpm.Package]*candidate
	only      map[string]bool // memo of isOnly, by name
	locks     locks
	decided   map[string]*decision
	undecided decision
	names     map[string][]*rpm.Package // c.start by name
	comes     map[string][]*rpm.Package // c.upgrades by name
	leaving   map[rpm.NEVRA]leaving     // what the lines of the set say
	faults    []Fault
	effort    effort
	left      []Fault // of those of before: what is there in the end
}

func (c *checker) fault(kind, format string, a ...any) {
	c.faults = append(c.faults, Fault{kind, fmt.Sprintf(format, a...)})
}

// resolve finds the packages that the set names; one that no allowed repository has is a fault.
func (c *checker) resolve() bool {
	c.candidate = map[*rpm.Package]*candidate{}
	only := map[rpm.NEVRA]bool{}
	for _, in := range c.set.Install {
		only[in.NEVRA] = in.InstallOnly
		if len(in.NeededBy) == 0 {
			c.fault("needed", "nothing needs %s", in.NEVRA)
		}
	}
	again := c.putAgain()
	for _, n := range c.set.Incoming() {
		if c.byNEVRA[n] != nil || again[n] {
			continue
		}
		cand := c.find(n)
		if cand == nil {
			c.fault("source", "no repository that the rules allow has %s", n)
			continue
		}
		c.byNEVRA[n] = cand.Package
		c.candidate[cand.Package] = cand
		if only[n] {
			c.installs = append(c.installs, cand.Package)
		} else {
			c.upgrades = append(c.upgrades, cand.Package)
		}
	}
	return len(c.faults) == 0
}

// find looks for a build that excludes, retractions, streams, automatic use and priority leave.
func (c *checker) find(n rpm.NEVRA) *candidate {
	if c.toTarget() {
		return c.findTarget(n)
	}
	best := 0
	var open []*candidate
	for _, id := range c.u.named(n.Name) {
		cand := &c.u.cands[id]
		src := &c.u.sources[cand.source]
		_, gone := c.u.retracted(cand.NEVRA)
		barred, _ := c.u.moduleRule(cand, c.h.Modules)
		globs := slices.Concat(src.Exclude, c.r.Filter.hostGlobs(c.h.Exclude, cand.Name), c.r.Filter.Exclude)
		switch {
		case gone, barred != "", archRank(c.h.Arch, cand.Arch) < 0, firstMatch(globs, cand.NEVRA) != "":
			continue
		case c.barred(cand), c.lockedOut(cand.NEVRA):
			continue
		case !src.Auto && !askedByName(&c.r.Filter, cand.NEVRA), ptfRule(c.u, c.h, &c.r.Filter, id) != "":
			continue
		}
		if len(open) == 0 || src.Priority < best {
			best = src.Priority
		}
		open = append(open, cand)
	}
	var first *candidate
	for _, cand := range open {
		switch {
		case cand.NEVRA != n || c.u.sources[cand.source].Priority != best:
		case !c.strange(cand.Package): // of several copies one that may be taken
			return cand
		case first == nil:
			first = cand
		}
	}
	return first
}

// strange tells whether a build is of another vendor than what is installed of its name, and may not be.
func (c *checker) strange(p *rpm.Package) bool {
	return c.h.ForbidVendorChange && slices.ContainsFunc(c.installed(p.Name), func(i *rpm.Package) bool { return !c.h.sameVendor(i.Vendor, p.Vendor) })
}

// isOnly is the install-only rule, for a name as soon as one of its builds anywhere says so.
func (c *checker) isOnly(p *rpm.Package) bool {
	only, ok := c.only[p.Name]
	if !ok {
		if c.only == nil {
			c.only = make(map[string]bool, len(c.start))
		}
		only = c.findOnly(p)
		c.only[p.Name] = only
	}
	return only
}

func (c *checker) findOnly(p *rpm.Package) bool {
	if isInstallOnly(p, c.h.InstallOnly) {
		return true
	}
	for _, q := range c.installed(p.Name) {
		if isInstallOnly(q, c.h.InstallOnly) {
			return true
		}
	}
	for _, id := range c.u.named(p.Name) {
		if isInstallOnly(c.u.cands[id].Package, c.h.InstallOnly) {
			return true
		}
	}
	return false
}

// rules checks the lines of the set against the rules that need no execution.
func (c *checker) rules() {
	c.moveRules()
	c.stayRules()
	for _, p := range slices.Concat(c.upgrades, c.installs) {
		var highest *rpm.Package // of those with its arch
		var arches []string
		for _, i := range c.installed(p.Name) {
			arches = append(arches, i.Arch)
			if i.Arch == p.Arch && (highest == nil || rpm.Compare(i.EVR, highest.EVR) > 0) {
				highest = i
			}
		}
		if highest != nil && rpm.Compare(p.EVR, highest.EVR) <= 0 && !c.mayLower(p.Name) {
			c.fault("older", "%s is not newer than the installed %s", p.NEVRA, highest.EVR)
		}
		if len(arches) > 0 && highest == nil && !c.mayChange(p) {
			c.fault(ruleArch, "%s is installed as %s, not as %s", p.Name, strings.Join(arches, ", "), p.Arch)
		}
	}
	for _, p := range c.upgrades {
		if c.isOnly(p) {
			c.fault("install-only", "%s is install-only and would go by rpm -U", p.NEVRA)
		}
	}
	for _, p := range c.installs {
		if !c.isOnly(p) {
			c.fault("install-only", "%s is not install-only and would go by rpm -i", p.NEVRA)
		}
	}
	for _, p := range c.start {
		if g := firstMatch(c.r.Filter.hostGlobs(c.h.Hold, p.Name), p.NEVRA); g != "" {
			if c.leaves(p) {
				c.fault(ruleHold, "%s is held by %s and would leave", p.NEVRA, g)
			}
			for _, q := range slices.Concat(c.upgrades, c.installs) {
				if q.Name == p.Name {
					c.fault(ruleHold, "%s is held by %s", p.NEVRA, g)
				}
			}
		}
	}
}

// steps executes the set and looks at the host after each step.
func (c *checker) steps(faults []Fault) {
	before := make(map[Fault]bool, len(faults))
	for _, f := range faults {
		before[f] = true
	}
	c.removeFirst()
	after, gone := c.upgradeStep()
	c.sameMoves(gone)
	c.vendorRules(gone)
	c.archRules(after)
	var stages []stage
	if len(c.upgrades)+len(c.kept) > 0 {
		stages = append(stages, stage{after, "after the upgrade"})
	}
	if len(c.installs) > 0 {
		after = append(slices.Clone(after), c.installs...)
		c.beside(after)
		c.modules(after)
		stages = append(stages, stage{after, "after install-only packages came in"})
	}
	if final := c.removeStep(after); len(final) != len(after) {
		stages = append(stages, stage{final, "after old builds were removed"})
	}
	c.added(before, stages)
}

// beside checks what rpm -i refuses, given what is installed with it: packages that something obsoletes, or that obsolete something, if only an older
// build of themselves.
func (c *checker) beside(with []*rpm.Package) {
	for _, p := range c.installs {
		for _, q := range with {
			c.effort.spend(1 + len(q.Obsoletes) + len(p.Obsoletes))
			if len(q.Obsoletes) > 0 && q.Name != p.Name && obsoletes(q, p) {
				c.fault("obsoletes", "rpm refuses %s: %s obsoletes it", p.NEVRA, q.NEVRA)
			}
			if p != q && obsoletes(p, q) {
				c.fault("obsoletes", "rpm refuses %s beside %s, which it obsoletes", p.NEVRA, q.NEVRA)
			}
		}
	}
}

// stage is what is installed when a part of the set was executed.
type stage struct {
	pkgs []*rpm.Package
	when string
}

// state returns the faults of a set of packages.
func (c *checker) state(pkgs []*rpm.Package) []Fault {
	w, err := newWorld(pkgs, c.isOnly, c.carries)
	if err != nil {
		return []Fault{{"files", err.Error()}}
	}
	w.fresh = map[*rpm.Package]bool{}
	for p := range c.candidate {
		w.fresh[p] = true
	}
	w.rpmlib = func(d rpm.Dep) bool { return rpmlibMet(d, c.h.RPMVersion) }
	return w.faults()
}

// carries asks the filelists for the packages that come in.
func (c *checker) carries(path string) (map[*rpm.Package]bool, error) {
	if len(c.candidate) == 0 {
		return nil, nil
	}
	ids, err := c.u.filesFor(path)
	if err != nil {
		return nil, err
	}
	out := map[*rpm.Package]bool{}
	for _, id := range ids {
		out[c.u.cands[id].Package] = true
	}
	return out, nil
}

// added reports faults that were not there before, and those that rpm looks at again. The stages are judged side by side.
func (c *checker) added(before map[Fault]bool, stages []stage) {
	for _, p := range slices.Concat(c.upgrades, c.installs) {
		c.isOnly(p) // so that nothing is left to be remembered of it
	}
	found, hard := make([][]Fault, len(stages)), make([]error, len(stages))
	var work sync.WaitGroup
	for i := range stages {
		work.Go(func() { found[i], hard[i] = c.judged(stages[i].pkgs) })
	}
	work.Wait()
	if err := errors.Join(hard...); err != nil {
		panic(tooMuch{err})
	}
	if n := len(found); n > 0 {
		c.left = found[n-1]
	}
	broken, was := c.brokenRich(before), c.start
	for i, faults := range found {
		for _, f := range faults {
			if !before[f] {
				c.faults = append(c.faults, Fault{f.Kind, stages[i].when + ": " + f.Text})
			}
		}
		if len(broken) > 0 {
			c.again(broken, faults, was, stages[i])
			was = stages[i].pkgs
		}
	}
}

// upgradeStep is rpm -U: a package erases every installed build of its name that is not equal in EVR and arch and does not differ in
// colour, and everything that it obsoletes (addUpgradeErasures and addObsoleteErasures in lib/depends.cc).
func (c *checker) upgradeStep() (after []*rpm.Package, gone map[*rpm.Package]*rpm.Package) {
	gone = map[*rpm.Package]*rpm.Package{}
	var replacing []*rpm.Package // few packages have Obsoletes
	for _, i := range c.start {
		if len(i.Obsoletes) > 0 {
			replacing = append(replacing, i)
		}
	}
	for _, p := range slices.Concat(c.upgrades, c.kept) {
		for _, i := range c.concerned(p, replacing) {
			c.effort.spend(1 + len(p.Obsoletes) + len(i.Obsoletes))
			switch {
			case slices.Contains(c.kept, i): // itself, or what comes in again beside it
			case i.Name == p.Name && disjoint(i, p):
			case i.Name == p.Name && rpm.Compare(i.EVR, p.EVR) > 0 && !c.mayLower(p.Name) && !slices.Contains(c.kept, p):
				c.fault(ruleLockstep, "rpm refuses %s: %s is newer", p.NEVRA, i.NEVRA)
			case i.Name == p.Name && gone[i] == nil && (i.Arch == p.Arch && rpm.Compare(i.EVR, p.EVR) != 0 || i.Arch != p.Arch && !apart(p, i)), i.Name != p.Name && obsoletes(p, i):
				gone[i] = p
			case i.Name != p.Name && obsoletes(i, p) && gone[i] == nil && !c.leaves(i):
				c.fault("obsoletes", "rpm refuses %s: the installed %s obsoletes it", p.NEVRA, i.NEVRA)
			}
		}
		c.together(p)
	}
	for _, i := range c.start {
		if gone[i] == nil {
			after = append(after, i)
		}
	}
	return append(after, c.upgrades...), gone
}

// concerned lists what rpm -U of a package may erase, or may refuse it for: the installed builds of its name and of the names that it obsoletes,
// and what may obsolete it.
func (c *checker) concerned(p *rpm.Package, replacing []*rpm.Package) []*rpm.Package {
	if len(p.Obsoletes)+len(replacing) == 0 {
		return c.installed(p.Name)
	}
	out := slices.Clone(c.installed(p.Name))
	for i := range p.Obsoletes {
		out = append(out, c.installed(p.Obsoletes[i].Name)...)
	}
	return append(out, replacing...)
}

// together checks what comes in beside a package of step (a).
func (c *checker) together(p *rpm.Package) {
	c.effort.spend(1 + len(p.Obsoletes))
	var gone []*rpm.Package
	for i := range p.Obsoletes {
		for _, q := range c.coming(p.Obsoletes[i].Name) {
			c.effort.spend(1 + len(gone) + len(p.Obsoletes))
			if p.Name != q.Name && !slices.Contains(gone, q) && obsoletes(p, q) {
				gone = append(gone, q)
				c.fault("obsoletes", "%s obsoletes %s, and both would come in", p.NEVRA, q.NEVRA)
			}
		}
	}
	for _, q := range c.coming(p.Name) {
		if p != q && !disjoint(p, q) && rpm.Compare(p.EVR, q.EVR) != 0 {
			c.fault(ruleLockstep, "%s and %s would come in at different versions", p.NEVRA, q.NEVRA)
		}
	}
}

// coming lists the packages of a name that step (a) brings.
func (c *checker) coming(name string) []*rpm.Package {
	if c.comes == nil {
		c.comes = make(map[string][]*rpm.Package, len(c.upgrades))
		for _, p := range c.upgrades {
			c.comes[p.Name] = append(c.comes[p.Name], p)
		}
	}
	return c.comes[name]
}

// leaving is what the set says of a build: that another comes in its place, that something obsoletes it.
type leaving struct{ moves, obsoleted bool }

// said gives what the set says of an installed package.
func (c *checker) said(i *rpm.Package) leaving {
	if c.leaving == nil {
		c.leaving = make(map[rpm.NEVRA]leaving, len(c.set.Upgrade)+len(c.set.Downgrade)+len(c.set.Remove))
		for _, list := range [...][]Move{c.set.Upgrade, c.set.Downgrade} {
			for j := range list {
				l := c.leaving[list[j].From]
				l.moves = true
				c.leaving[list[j].From] = l
			}
		}
		for j := range c.set.Remove {
			if r := &c.set.Remove[j]; r.Rule == ruleObsoleted {
				l := c.leaving[r.NEVRA]
				l.obsoleted = true
				c.leaving[r.NEVRA] = l
			}
		}
	}
	return c.leaving[i.NEVRA]
}

// leaves tells whether an installed package is upgraded or removed by the set.
func (c *checker) leaves(i *rpm.Package) bool {
	l := c.said(i)
	return l.moves || l.obsoleted
}

// sameMoves compares what rpm would erase with what the set says, and every removal with its rule.
func (c *checker) sameMoves(gone map[*rpm.Package]*rpm.Package) {
	for _, i := range c.start {
		by := gone[i]
		said := c.said(i)
		moved, obsoleted := said.moves, said.obsoleted
		switch {
		case by == nil && (moved || obsoleted):
			c.fault("execution", "%s would stay, and the set says it leaves", i.NEVRA)
		case by != nil && !moved && !obsoleted:
			c.fault(ruleLockstep, "rpm would erase %s for %s, and the set does not say so", i.NEVRA, by.NEVRA)
		case by != nil && moved &&
			!slices.ContainsFunc(c.coming(i.Name), func(p *rpm.Package) bool { return p.Arch == i.Arch || c.decision(p.Name).archChange != nil }) &&
			!slices.ContainsFunc(c.kept, func(p *rpm.Package) bool { return p.Name == i.Name }):
			c.fault("execution", "%s is said to be upgraded, and no build of it comes in", i.NEVRA)
		case obsoleted && !moved && !slices.ContainsFunc(c.upgrades, func(p *rpm.Package) bool {
			return p.Name != i.Name && obsoletes(p, i) && (c.mayGo(i) || mayObsolete(c.h.Arch, p.Arch, i.Arch))
		}):
			c.fault(ruleObsoleted, "%s would be removed, and nothing that may replace it obsoletes it", i.NEVRA)
		case obsoleted && c.isOnly(i) && c.h.mayRun(i):
			c.fault(ruleObsoleted, "%s would be removed and may be the running kernel", i.NEVRA)
		}
	}
}

// removeFirst is rpm -e --nodeps of what a rollback takes away ahead of the transaction.
func (c *checker) removeFirst() {
	for _, r := range c.set.Remove {
		if r.Rule != ruleFirst {
			continue
		}
		at := slices.IndexFunc(c.start, func(p *rpm.Package) bool { return p.NEVRA == r.NEVRA })
		if at < 0 {
			c.fault(ruleFirst, "%s is to be removed and is not there", r.NEVRA)
			continue
		}
		c.removal(r, c.start, c.start[at])
		c.start = slices.Delete(slices.Clone(c.start), at, at+1)
		c.names = nil
	}
}

// removeStep is rpm -e of keep-N, of policies, and of what else leaves after the transaction.
func (c *checker) removeStep(pkgs []*rpm.Package) []*rpm.Package {
	left := slices.Clone(pkgs)
	for _, r := range c.set.Remove {
		if r.Rule == ruleObsoleted || r.Rule == ruleFirst {
			continue
		}
		at := slices.IndexFunc(left, func(p *rpm.Package) bool { return p.NEVRA == r.NEVRA && c.candidate[p] == nil })
		if at < 0 {
			c.fault(r.Rule, "%s is to be removed and is not there", r.NEVRA)
			continue
		}
		if c.removal(r, left, left[at]) {
			left = slices.Delete(left, at, at+1)
		}
	}
	return left
}
