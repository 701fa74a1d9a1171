package planner

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"cpacman/internal/rpm"
)

// perform gives the host as it is after a set, by rpm's execution by name.
func perform(u *Universe, h Host, r Request, res *Result) Host {
	c := &checker{u: u, h: &h, r: &r, set: &res.Set, locks: newLocks(h.Locks), byNEVRA: map[rpm.NEVRA]*rpm.Package{}}
	c.start = sortedInstalled(&h)
	c.resolve()
	after, _ := c.upgradeStep()
	h.Installed = c.removeStep(append(slices.Clone(after), c.installs...))
	return h
}

// followsLater says why a second plan may do what the first could not, "" where it may not.
func followsLater(u *Universe, before, after Host, r Request, first, again *Result) string {
	comes, goes := first.Set.Incoming(), slices.Concat(again.Set.Upgrade, again.Set.Downgrade)
	byPolicy := slices.ContainsFunc(first.Set.Remove, func(r Remove) bool { return r.Rule == rulePolicy })
	held := len(first.Set.Held) > 0 || slices.ContainsFunc(first.Set.Blocked, func(b Blocked) bool { return b.Rule == ruleLockstep }) ||
		slices.ContainsFunc(first.Notes, func(n string) bool { return strings.Contains(n, " and cannot be: ") })
	crosses := func(m Move) bool { return m.From.Arch != m.To.Arch }
	further := slices.ContainsFunc(again.Set.Upgrade, func(m Move) bool { return slices.Contains(comes, m.From) })
	switch {
	case r.Type == TypeDowngrade && len(r.Filter.Packages) > 0 && len(again.Set.Upgrade) == 0:
		return "what is asked for by name goes to the next build below, with each plan"
	case linked(first, again):
		return "a chain of Obsoletes takes a plan for each link, as with dnf"
	case len(first.Set.Remove) > 0 && further:
		return "a replacement that only an older build makes goes to its newest with the next plan, as with dnf"
	case slices.ContainsFunc(slices.Concat(first.Set.Upgrade, first.Set.Downgrade), crosses) && further:
		return "an arch that only an older build could change to goes to its newest with the next plan"
	case r.Filter.ByAdvisory() && slices.ContainsFunc(goes, crosses):
		return "what advisories list for another arch follows what they list for this one"
	case passedOver(u, before, first, again):
		return "what was held since an older build of a new name would be part of what replaces it may follow when the newest is there"
	case held && byPolicy:
		return "what a package kept out that a policy removed may follow"
	case slices.ContainsFunc(first.Set.Blocked, func(b Blocked) bool {
		return b.Rule == ruleRemove && (slices.ContainsFunc(goes, func(m Move) bool { return m.From == b.NEVRA }) ||
			slices.ContainsFunc(again.Set.Install, func(i Install) bool { return i.InstallOnly && i.NEVRA.Name == b.NEVRA.Name }))
	}):
		return "what a policy could not remove, because of what came in, is updated with the next plan"
	case oneOfSeveral(before, first, again):
		return "a build of a name may go on when another that was installed with it has left"
	case wantedBack(before, first, again):
		return "a policy wants the name back that was replaced"
	case goneInTheWay(before, after, again):
		return "what an installed package kept out, by Obsoletes or as another build of the name, may follow once it has left"
	}
	return ""
}

// passedOver tells whether a second plan replaces what the first held, and an older build of what the first brought would have replaced it too.
func passedOver(u *Universe, before Host, first, again *Result) bool {
	for _, r := range again.Set.Remove {
		at := slices.IndexFunc(before.Installed, func(p *rpm.Package) bool { return p.NEVRA == r.NEVRA })
		if at < 0 || !slices.ContainsFunc(first.Set.Held, func(h Held) bool { return h.NEVRA == r.NEVRA }) {
			continue
		}
		for _, n := range first.Set.Incoming() {
			if slices.ContainsFunc(u.named(n.Name), func(id int32) bool {
				c := u.cands[id].Package
				return rpm.Compare(c.EVR, n.EVR) < 0 && obsoletes(c, before.Installed[at])
			}) {
				return true
			}
		}
	}
	return false
}

// goneInTheWay tells whether a package that left obsoletes one that comes in now, or had its name and was not older, and was one of several
// builds or kept an older one, or one of another arch, out that obsoletes something.
func goneInTheWay(before, after Host, again *Result) bool {
	replaces := map[rpm.NEVRA]bool{}
	for _, i := range again.Set.Install {
		replaces[i.NEVRA] = strings.HasPrefix(i.NeededBy[0], "obsoletes ")
	}
	for _, p := range before.Installed {
		if slices.Contains(after.Installed, p) {
			continue
		}
		several := slices.ContainsFunc(before.Installed, func(q *rpm.Package) bool { return q != p && q.Name == p.Name })
		for _, n := range again.Set.Incoming() {
			kept := rpm.Compare(p.EVR, n.EVR) >= 0 || replaces[n] && p.Arch != n.Arch
			if obsoletes(p, &rpm.Package{NEVRA: n}) || (several || replaces[n]) && p.Name == n.Name && kept {
				return true
			}
		}
	}
	return false
}

// wantedBack tells whether a policy installs anew, or by what it takes instead, a name that the first plan replaced.
func wantedBack(before Host, first, again *Result) bool {
	for _, r := range first.Set.Remove {
		names := []string{r.NEVRA.Name}
		for _, p := range before.Policies {
			if p.Action == ActionInstead && p.Pattern == r.NEVRA.Name {
				names = append(names, p.Value)
			}
		}
		if slices.ContainsFunc(again.Set.Install, func(i Install) bool {
			return strings.HasPrefix(i.NeededBy[0], "policy ") && slices.Contains(names, i.NEVRA.Name)
		}) {
			return true
		}
	}
	return false
}

// linked tells whether a second plan replaces what the first brought.
func linked(first, again *Result) bool {
	return slices.ContainsFunc(again.Set.Remove, func(r Remove) bool { return slices.Contains(first.Set.Incoming(), r.NEVRA) })
}

// oneOfSeveral tells whether the first plan replaced one installed build of a name by Obsoletes, and the second moves another.
func oneOfSeveral(before Host, first, again *Result) bool {
	for _, r := range first.Set.Remove {
		for _, m := range slices.Concat(again.Set.Upgrade, again.Set.Downgrade) {
			if r.NEVRA.Name == m.From.Name && slices.ContainsFunc(before.Installed, func(p *rpm.Package) bool { return p.NEVRA == m.From }) {
				return true
			}
		}
	}
	return false
}

func TestPlanningTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v, h, r := drawWorld(t)
		if r.Type == TypeDowngrade && r.Filter.ByAdvisory() {
			t.Skip("nobody can ask for it: advisories go up")
		}
		u, err := NewUniverse(v)
		if err != nil {
			t.Fatal(err)
		}
		res, err := u.Solve(h, r)
		if errors.As(err, new(*PolicyConflict)) {
			t.Skip("the policies disagree")
		}
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(res.Set.Install, func(i Install) bool { return i.InstallOnly }) {
			t.Skip("what needs the new kernel may follow in a second plan")
		}
		after := perform(u, h, r, res)
		again, err := u.Solve(after, r)
		if errors.As(err, new(*PolicyConflict)) {
			t.Skip("policies disagree about a name that only now may come in; the inventory's check looks at all names")
		}
		if err != nil {
			t.Fatalf("first %v, then %v\n%s", written(res), err, describe(v, h, r))
		}
		if why := followsLater(u, h, after, r, res, again); why != "" {
			t.Skip(why)
		}
		if !again.Set.Empty() {
			t.Fatalf("first %v, then %v\n%s", written(res), written(again), describe(v, h, r))
		}
	})
}
