package planner

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"cpacman/internal/rpm"
)

// build makes a package that provides itself.
func build(name, version string, edit func(p *rpm.Package)) *rpm.Package {
	p := &rpm.Package{NEVRA: rpm.NEVRA{Name: name, Arch: "x86_64", EVR: rpm.EVR{Version: version, Release: "1"}}}
	p.Provides = []rpm.Dep{{Name: name, Sense: rpm.Equal, EVR: p.EVR}}
	if edit != nil {
		edit(p)
	}
	return p
}

// solveBuilds plans a host that has some packages over a repository that has others.
func solveBuilds(t *testing.T, installed, offered []*rpm.Package) (*Result, error) {
	t.Helper()
	src := Source{ID: "base", Priority: 99, Auto: true}
	for i, p := range offered {
		src.Packages = append(src.Packages, Candidate{Package: p, Path: fmt.Sprintf("%d.rpm", i)})
	}
	u, err := NewUniverse(View{Sources: []Source{src}})
	if err != nil {
		t.Fatal(err)
	}
	return u.Solve(Host{Arch: "x86_64", Installed: installed}, Request{})
}

// nested is a boolean dependency with conditions inside each other.
func nested(depth int, otherwise bool) string {
	text := "x"
	for i := range depth {
		text = fmt.Sprintf("(y%d if %s)", i, text)
		if otherwise {
			text = strings.TrimSuffix(text, ")") + fmt.Sprintf(" else z%d)", i)
		}
	}
	return text
}

// TestNestedConditions: each level of a condition doubled what was made of it, so that one package of a repository, or of a host, took all memory.
func TestNestedConditions(t *testing.T) {
	for _, otherwise := range []bool{false, true} {
		needs := func(p *rpm.Package) { p.Requires = []rpm.Dep{{Name: nested(60, otherwise)}} }
		if _, err := solveBuilds(t, []*rpm.Package{build("a", "1", nil)}, []*rpm.Package{build("a", "2", needs)}); err != nil {
			t.Errorf("of a repository: %v", err)
		}
	}
	broken := build("a", "1", func(p *rpm.Package) { p.Requires = []rpm.Dep{{Name: "(" + nested(60, true) + " and nothing)"}} })
	res, err := solveBuilds(t, []*rpm.Package{broken, build("x", "1", nil)}, []*rpm.Package{build("x", "2", nil)})
	if err != nil || len(res.Faults) != 1 {
		t.Errorf("of the host: %v, %v", res, err)
	}
}

// TestTooManyObsoletes: packages that all obsolete all of a host are compared with each other for each of them.
func TestTooManyObsoletes(t *testing.T) {
	const n = 400
	var installed, offered []*rpm.Package
	for i := range n {
		installed = append(installed, build(fmt.Sprintf("a%d", i), "1", nil))
		offered = append(offered, build(fmt.Sprintf("b%d", i), "1", func(p *rpm.Package) {
			for k := range n {
				p.Obsoletes = append(p.Obsoletes, rpm.Dep{Name: fmt.Sprintf("a%d", k)})
			}
		}))
	}
	_, err := solveBuilds(t, installed, offered)
	if !errors.Is(err, ErrTooHard) || !strings.Contains(err.Error(), "of repository base") {
		t.Errorf("got %v", err)
	}
}

// TestTooManyFaults: what conflicts with what all installed packages have makes a fault, and a line of the plan, of each pair.
func TestTooManyFaults(t *testing.T) {
	var installed []*rpm.Package
	for i := range 400 {
		installed = append(installed, build(fmt.Sprintf("a%d", i), "1", func(p *rpm.Package) {
			p.Provides, p.Conflicts = append(p.Provides, rpm.Dep{Name: "c"}), []rpm.Dep{{Name: "c"}}
		}))
	}
	if _, err := solveBuilds(t, installed, nil); !errors.Is(err, ErrTooHard) || !strings.Contains(err.Error(), "packages such as a") {
		t.Errorf("got %v", err)
	}
	if faults := PreBroken(Host{Arch: "x86_64", Installed: installed}); len(faults) != 1 {
		t.Errorf("%d faults", len(faults))
	}
}

// TestManyHeld: each of a row of packages that wait for the next one has a chain of reasons as long as the row.
func TestManyHeld(t *testing.T) {
	const n = 1500
	var installed, offered []*rpm.Package
	for i := range n {
		name := func(i int) string { return fmt.Sprintf("a%d", i) }
		installed = append(installed, build(name(i), "1", nil))
		offered = append(offered, build(name(i), "2", func(p *rpm.Package) {
			p.Requires = []rpm.Dep{{Name: name(i + 1), Sense: rpm.Equal, EVR: rpm.EVR{Version: "2"}}}
		}))
	}
	res, err := solveBuilds(t, installed, offered)
	if err != nil || len(res.Set.Held) != n || len(res.Set.Held[0].Because) != maxChain {
		t.Fatalf("%v", err)
	}
}

// TestEffort: a bound ends the work with an error that says who is at fault; any other panic goes on.
func TestEffort(t *testing.T) {
	work := func(f func(*effort)) (err error) {
		defer giveUp(&err)
		f(&effort{steps: maxSteps - 10, cells: maxCells - 10})
		return nil
	}
	if err := work(func(e *effort) { e.spend(10); e.store(10) }); err != nil {
		t.Errorf("in bounds: %v", err)
	}
	for _, f := range []func(*effort){func(e *effort) { e.spend(11) }, func(e *effort) { e.store(11) }} {
		if err := work(f); !errors.Is(err, ErrTooHard) {
			t.Errorf("beyond: %v", err)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("another panic was taken for a bound")
		}
	}()
	_ = work(func(*effort) { panic("another") })
}
