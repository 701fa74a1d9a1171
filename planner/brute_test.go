package planner

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"cpacman/internal/rpm"
)

// Tiny random worlds: up to eight packages over five names, with everything that the rules know of.

var (
	tinyNames = []string{"a", "b", "c", "d", "kernel"}
	tinyCaps  = []string{"a", "b", "c", "d", "kernel", "v", "w", "/f"}
)

func drawDep(t *rapid.T, label string) rpm.Dep {
	d := rpm.Dep{Name: rapid.SampledFrom(tinyCaps).Draw(t, label)}
	if rapid.IntRange(0, 3).Draw(t, "ranged") == 0 && d.Name[0] != '/' {
		d.Sense = rapid.SampledFrom([]rpm.Sense{rpm.Equal, rpm.Less, rpm.Greater | rpm.Equal, rpm.Greater}).Draw(t, "sense")
		d.EVR = rpm.EVR{Version: fmt.Sprint(rapid.IntRange(1, 3).Draw(t, "version"))}
	}
	return d
}

func drawRich(t *rapid.T) rpm.Dep {
	op := rapid.SampledFrom([]string{"or", "and", "if", "unless", "with", "without"}).Draw(t, "op")
	x, y := drawDep(t, "left"), drawDep(t, "right")
	text := x.String() + " " + op + " " + y.String()
	if (op == "if" || op == "unless") && rapid.Bool().Draw(t, "else") {
		text += " else " + drawDep(t, "third").String()
	}
	return rpm.Dep{Name: "(" + text + ")"}
}

func drawDeps(t *rapid.T, often int, rich bool) []rpm.Dep {
	var out []rpm.Dep
	for rapid.IntRange(0, 9).Draw(t, "more") < often && len(out) < 3 {
		if rich && rapid.IntRange(0, 4).Draw(t, "rich") == 0 {
			out = append(out, drawRich(t))
		} else {
			out = append(out, drawDep(t, "dep"))
		}
	}
	return out
}

func drawPackage(t *rapid.T) *rpm.Package {
	p := &rpm.Package{NEVRA: rpm.NEVRA{
		Name: rapid.SampledFrom(tinyNames).Draw(t, "name"),
		Arch: rapid.SampledFrom([]string{"x86_64", "x86_64", "x86_64", "i686", "noarch"}).Draw(t, "arch"),
		EVR:  rpm.EVR{Version: fmt.Sprint(rapid.IntRange(1, 4).Draw(t, "version")), Release: "1"},
	}}
	p.Requires = drawDeps(t, 4, true)
	p.Conflicts = drawDeps(t, 1, true)
	for _, d := range drawDeps(t, 2, false) {
		if d.Name[0] != '/' {
			p.Obsoletes = append(p.Obsoletes, d)
		}
	}
	for _, d := range drawDeps(t, 3, false) {
		if d.Name == "/f" {
			p.Files = []string{"/f"}
		} else if d.Name == "v" || d.Name == "w" {
			p.Provides = append(p.Provides, d)
		}
	}
	if rapid.IntRange(0, 5).Draw(t, "coloured") == 0 {
		p.ColorKnown, p.Color = true, map[string]rpm.Color{"x86_64": 2, "i686": 1}[p.Arch]
	}
	return p
}

// drawWorld draws a view, a host and a request.
func drawWorld(t *rapid.T) (View, Host, Request) {
	h := Host{Arch: "x86_64", KeepInstallOnly: rapid.IntRange(0, 3).Draw(t, "keep"), RunningKernel: "1-1.x86_64"}
	seen := map[rpm.NEVRA]bool{}
	for range rapid.IntRange(0, 4).Draw(t, "installed") {
		p := drawPackage(t)
		if !seen[p.NEVRA] {
			seen[p.NEVRA] = true
			h.Installed = append(h.Installed, p)
		}
	}
	v := View{Sources: []Source{{ID: "one", Priority: 99, Auto: true}, {ID: "two", Priority: rapid.SampledFrom([]int{50, 99}).Draw(t, "priority"),
		Auto: rapid.IntRange(0, 4).Draw(t, "auto") > 0}}}
	for range rapid.IntRange(1, 5).Draw(t, "candidates") {
		p := drawPackage(t)
		if !seen[p.NEVRA] {
			seen[p.NEVRA] = true
			s := &v.Sources[rapid.IntRange(0, 3).Draw(t, "source")/3]
			s.Packages = append(s.Packages, Candidate{Package: p, Path: p.NEVRA.String() + ".rpm"})
		}
	}
	var r Request
	if rapid.IntRange(0, 2).Draw(t, "policies") == 0 {
		h.Policies = drawRules(t)
	}
	if rapid.IntRange(0, 4).Draw(t, "down") == 0 {
		r.Type = TypeDowngrade
	}
	switch rapid.IntRange(0, 5).Draw(t, "request") {
	case 0:
		r.Filter.Packages = []string{rapid.SampledFrom(tinyNames).Draw(t, "asked")}
	case 1:
		r.Filter.Security = true
		r.Filter.Newest = rapid.Bool().Draw(t, "newest")
		for _, s := range v.Sources {
			for _, c := range s.Packages {
				if rapid.Bool().Draw(t, "listed") {
					v.Advisories = append(v.Advisories, Advisory{ID: "SA-" + c.NEVRA.String(), Type: "security", Packages: []rpm.NEVRA{c.NEVRA}})
				}
			}
		}
	case 2:
		if rapid.Bool().Draw(t, "lock") {
			h.Locks = rapid.SliceOfN(rapid.Custom(drawLock), 1, 2).Draw(t, "locks")
			break
		}
		h.Hold = []string{rapid.SampledFrom(tinyNames).Draw(t, "held")}
	case 3:
		h.Exclude = []string{rapid.SampledFrom(tinyNames).Draw(t, "excluded")}
	}
	return v, h, r
}

// drawLock draws a lock of the host's package manager.
func drawLock(t *rapid.T) Lock {
	l := Lock{Names: rapid.SampledFrom(tinyNames).Draw(t, "names"), Text: "locked"}
	if l.Not = rapid.Bool().Draw(t, "not"); l.Not {
		l.Stay = rapid.Bool().Draw(t, "stay")
	}
	if rapid.Bool().Draw(t, "when") {
		op := rapid.SampledFrom([]rpm.Sense{rpm.Equal, rpm.Less, rpm.Less | rpm.Greater, rpm.Greater | rpm.Equal}).Draw(t, "op")
		l.When = []LockCondition{{LockEVR, op, rapid.SampledFrom([]string{"1-1", "2-1", "3-1"}).Draw(t, "evr")}}
	}
	return l
}

// drawRules draws policies that may disagree.
func drawRules(t *rapid.T) []Rule {
	var out []Rule
	for range rapid.IntRange(1, 3).Draw(t, "rules") {
		r := Rule{Pattern: rapid.SampledFrom(tinyNames).Draw(t, "pattern"), Priority: rapid.IntRange(1, 3).Draw(t, "weight"), Policy: "p"}
		r.Action = rapid.SampledFrom([]string{ActionHold, ActionPin, ActionExclude, ActionInstall, ActionRemove, ActionAllowDowngrade,
			ActionAllowArchChange, ActionArches, ActionInstead}).Draw(t, "action")
		switch r.Action {
		case ActionPin:
			r.Value = rapid.SampledFrom([]string{"1", "2-1", "3*"}).Draw(t, "pinned to")
		case ActionArches:
			r.Arches = rapid.SampledFrom([][]string{{"x86_64"}, {"x86_64", "i686"}, {"noarch"}}).Draw(t, "only")
		case ActionInstead:
			r.Value = rapid.SampledFrom(tinyNames).Draw(t, "instead")
		}
		out = append(out, r)
	}
	return out
}

// setOf executes incoming candidates as rpm would and writes what happens as a set; keep-N is left out.
func setOf(p *problem, in []int32) Set {
	var s Set
	gone := map[int]bool{}
	for _, n := range in {
		c := p.nodes[n]
		for i := range p.installed {
			q := p.nodes[i].pkg
			same := slices.ContainsFunc(in, func(m int32) bool { return p.nodes[m].pkg.NameArch() == q.NameArch() })
			if c.only || gone[i] || q.Name != c.pkg.Name || !p.succeeds(c.pkg, q) || same && q.Arch != c.pkg.Arch {
				continue
			}
			gone[i] = true
			d := p.name(q.Name).decision
			m := Move{From: q.NEVRA, To: c.pkg.NEVRA}
			if d.archChange != nil && q.Arch != c.pkg.Arch || d.downgrade != nil && p.r.Type != TypeDowngrade && rpm.Compare(m.To.EVR, m.From.EVR) < 0 {
				m.Policy = "p"
			}
			if rpm.Compare(m.To.EVR, m.From.EVR) < 0 {
				s.Downgrade = append(s.Downgrade, m)
			} else {
				s.Upgrade = append(s.Upgrade, m)
			}
		}
		if c.only || !slices.ContainsFunc(slices.Concat(s.Upgrade, s.Downgrade), func(m Move) bool { return m.To == c.pkg.NEVRA }) {
			s.Install = append(s.Install, Install{NEVRA: c.pkg.NEVRA, NeededBy: []string{"test"}, InstallOnly: c.only})
		}
	}
	for _, n := range in {
		for i := range p.installed {
			if q := p.nodes[i].pkg; !p.nodes[n].only && !gone[i] && q.Name != p.nodes[n].pkg.Name && obsoletes(p.nodes[n].pkg, q) {
				gone[i] = true
				s.Remove = append(s.Remove, Remove{NEVRA: q.NEVRA, Rule: ruleObsoleted})
			}
		}
	}
	return s
}

// score writes down the preferences of design 7 a second time, as numbers to be compared from the left.
func score(p *problem, in []int32) []int {
	has := func(n int32) bool { return slices.Contains(in, n) }
	bit := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	left := func(n int32) bool { // installed and not there any more
		q := p.nodes[n].pkg
		return slices.ContainsFunc(in, func(m int32) bool {
			c := &p.nodes[m]
			return !c.only && (c.pkg.Name == q.Name && p.succeeds(c.pkg, q) || c.pkg.Name != q.Name && obsoletes(c.pkg, q))
		})
	}
	var sinking, lowered, goals, replaced, versions, tails []int
	ranked := map[int32]bool{}
	for _, it := range p.items {
		whole := func(g splitting) bool {
			return !slices.ContainsFunc(g.lists, func(l []int32) bool { return !slices.ContainsFunc(l, has) })
		}
		older := func(n int32) bool { return rpm.Compare(p.nodes[n].pkg.EVR, p.highest(it).EVR) < 0 }
		if moves := bit(slices.ContainsFunc(it.groups, whole) || slices.ContainsFunc(it.targets, has) || slices.ContainsFunc(it.spare, whole)); !it.wanted {
		} else if slices.ContainsFunc(it.targets, older) {
			sinking = append(sinking, moves)
		} else {
			goals = append(goals, moves)
		}
		for _, n := range slices.Backward(it.cands) {
			if !it.only && older(n) && !slices.ContainsFunc(it.targets, older) && slices.Contains(p.name(it.key.Name).present, it.key.Arch) {
				ranked[n] = true
				lowered = append(lowered, -bit(has(n)))
			}
		}
		for _, l := range it.parts {
			for k := 1; k < len(l); k++ {
				replaced = append(replaced, bit(slices.ContainsFunc(l[:k], has) || !slices.ContainsFunc(it.split, has)))
			}
		}
		for _, n := range it.inst { // every build that something can replace
			replaced = append(replaced, bit(slices.ContainsFunc(it.groups, func(g splitting) bool { return whole(g) && g.takes(p.nodes[n].pkg) })))
		}
		for _, l := range it.obsoleted {
			if p.nodes[l[0]].pkg.Arch == it.key.Arch {
				tails = append(tails, bit(has(l[0]) || !slices.ContainsFunc(l[1:], has)))
			}
			for k := len(l) - 1; k > 0; k-- {
				ranked[l[k]] = true
				tails = append(tails, -bit(has(l[k])))
			}
		}
		for k := range it.targets { // the first that can be: beside it the others count for nothing
			versions = append(versions, bit(slices.ContainsFunc(it.targets[:k+1], has)))
		}
		if len(it.targets) > 0 {
			ranked[it.targets[0]] = true
		}
	}
	for _, w := range p.wishes {
		if len(w.targets) == 1 {
			ranked[w.targets[0]] = true
		}
		for k := len(w.targets); k > 0; k-- {
			goals = append(goals, bit(slices.ContainsFunc(w.targets[:k], has)))
		}
		if len(w.targets) > 0 {
			ranked[w.targets[0]] = true
		}
	}
	var fresh, dragged, moved []int32
	disliked, foreign := make([]int, len(p.nodes)), 0 // how many come in of those that are so many builds behind
	for n := int32(p.installed); n < int32(len(p.nodes)); n++ {
		if !ranked[n] && has(n) {
			disliked[len(disliked)-1-p.behind(n)]--
			foreign -= bit(p.isNew(n) && p.archCost(n) > 0)
		}
		if p.isNew(n) {
			fresh = append(fresh, n)
		} else if !ranked[n] {
			dragged = append(dragged, n)
		}
	}
	for _, it := range p.items {
		if !it.wanted {
			moved = append(moved, it.inst...)
		}
	}
	out := slices.Concat(sinking, lowered, goals, replaced, versions, tails, disliked[:len(disliked)-1], []int{foreign})
	absent := func(l []int32) {
		p.worst(l)
		for _, n := range l {
			out = append(out, -bit(has(n)))
		}
	}
	count := 0
	for _, n := range fresh {
		count -= bit(has(n))
	}
	lost := 0
	for _, n := range moved {
		lost -= bit(left(n))
	}
	out = append(out, count, lost)
	for _, n := range moved {
		out = append(out, -bit(left(n)))
	}
	absent(fresh)
	absent(dragged)
	return out
}

// bruteForce tries every set of candidates and returns the best that Check accepts, where what a policy removes in the result is not to be updated.
func bruteForce(u *Universe, h Host, r Request, res *Result) []rpm.NEVRA {
	h.Arch = h.machine()
	p := newProblem(u, &h, &r)
	p.findRemovals()
	for n := range int32(p.installed) {
		if p.nodes[n].only && slices.ContainsFunc(res.Set.Incoming(), func(in rpm.NEVRA) bool { return in.Name == p.nodes[n].pkg.Name }) {
			continue // the newer one fulfils what kept it
		}
		if slices.ContainsFunc(res.Set.Remove, func(x Remove) bool { return x.Rule == rulePolicy && x.NEVRA == p.nodes[n].pkg.NEVRA }) {
			p.removals[n] = p.removalRule(n)
		}
	}
	if p.reach() != nil {
		return nil
	}
	p.makeItems()
	for id := range u.cands {
		p.node(int32(id))
	}
	free := len(p.nodes) - p.installed
	var best []int32
	var bestScore []int
	for bits := range 1 << free {
		var in []int32
		for k := range free {
			if bits>>k&1 == 1 {
				in = append(in, int32(p.installed+k))
			}
		}
		if len(Check(u, h, r, setOf(p, in))) > 0 || twoBuilds(p, in) || onlyParts(p, in) || lostPart(p, in) {
			continue
		}
		if sc := score(p, in); bestScore == nil || slices.Compare(sc, bestScore) > 0 {
			best, bestScore = in, sc
		}
	}
	var out []rpm.NEVRA
	for _, n := range best {
		out = append(out, p.nodes[n].pkg.NEVRA)
	}
	slices.SortFunc(out, rpm.CompareNEVRA)
	return out
}

// twoBuilds tells whether two new builds of one name.arch come in, which rpm would take for install-only packages.
func twoBuilds(p *problem, in []int32) bool {
	for _, a := range in {
		for _, b := range in {
			if a != b && p.nodes[a].pkg.NameArch() == p.nodes[b].pkg.NameArch() {
				return true
			}
		}
	}
	return false
}

func TestAgainstBruteForce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v, h, r := drawWorld(t)
		u, err := NewUniverse(v)
		if err != nil {
			t.Fatal(err)
		}
		x, err := lookedUp(v)
		if err != nil {
			t.Fatal(err)
		}
		res, err := x.Solve(h, r) // Check has accepted it, or this is an error
		if errors.As(err, new(*PolicyConflict)) {
			t.Skip("the policies disagree")
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, describe(v, h, r))
		}
		got := res.Set.Incoming()
		slices.SortFunc(got, rpm.CompareNEVRA)
		got = slices.Compact(got)
		if want := bruteForce(u, h, r, res); !slices.Equal(got, want) {
			t.Fatalf("planned %v, the best is %v\n%s", got, want, describe(v, h, r))
		}
	})
}

// TestCasesAgainstBruteForce holds the reference against the cases, whose results were written by people.
func TestCasesAgainstBruteForce(t *testing.T) {
	files, err := filepath.Glob("testdata/*.case")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	const most = 12 // candidates: every set of them is tried
	for _, f := range files {
		for _, c := range readCases(t, f) {
			size := 0
			for _, s := range c.view.Sources {
				size += len(s.Packages)
			}
			known := c.request.Type == "" || c.request.Type == TypeUpdate || c.request.Type == TypeDowngrade
			release := slices.ContainsFunc(c.host.Policies, func(r Rule) bool { return r.Action == ActionRelease })
			if !known || release || c.request.Weak || c.host.ModulesUnknown || size > most {
				continue // the reference knows none of these
			}
			t.Run(filepath.Base(f)+"/"+c.name, func(t *testing.T) {
				u, err := NewUniverse(c.view)
				if err != nil {
					t.Fatal(err)
				}
				res, err := u.Solve(c.host, c.request)
				if err != nil {
					t.Skip(err) // TestCases expects it
				}
				got := res.Set.Incoming()
				slices.SortFunc(got, rpm.CompareNEVRA)
				got = slices.Compact(got)
				if want := bruteForce(u, c.host, c.request, res); !slices.Equal(got, want) {
					t.Errorf("planned %v, the best is %v", got, want)
				}
			})
		}
	}
}

func TestOrderChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v, h, r := drawWorld(t)
		solve := func() []byte {
			u, err := NewUniverse(v)
			if err != nil {
				t.Fatal(err)
			}
			res, err := u.Solve(h, r)
			if bad := (*PolicyConflict)(nil); errors.As(err, &bad) {
				return []byte(bad.Error())
			}
			if err != nil {
				t.Fatal(err)
			}
			b, err := canonical(res)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		first, key := solve(), Key(h, "v", r)
		h.Installed = rapid.Permutation(h.Installed).Draw(t, "installed order")
		for i := range v.Sources {
			v.Sources[i].Packages = rapid.Permutation(v.Sources[i].Packages).Draw(t, "package order")
		}
		h.Policies = rapid.Permutation(h.Policies).Draw(t, "policy order")
		v.Advisories = rapid.Permutation(v.Advisories).Draw(t, "advisory order")
		if second := solve(); !bytes.Equal(first, second) {
			t.Fatalf("%s\n%s", first, second)
		}
		if Key(h, "v", r) != key {
			t.Fatal("the key changed with the order")
		}
	})
}
