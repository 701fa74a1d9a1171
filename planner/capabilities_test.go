package planner

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"cpacman/internal/rpm"
)

// TestCapabilities holds the table against a look at every package.
func TestCapabilities(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var pkgs []*rpm.Package
		for range random.IntN(6) {
			p := &rpm.Package{NEVRA: rpm.NEVRA{Name: fmt.Sprint("p", random.IntN(4)), EVR: rpm.EVR{Version: "1"}}}
			for range random.IntN(8) {
				d := rpm.Dep{Name: fmt.Sprint("p", random.IntN(6))}
				if random.IntN(2) == 0 {
					d.Sense, d.EVR = rpm.Equal, rpm.EVR{Version: fmt.Sprint(random.IntN(3))}
				}
				p.Provides = append(p.Provides, d)
			}
			pkgs = append(pkgs, p)
		}
		c := newCapabilities(pkgs)
		for i := range 8 {
			name := fmt.Sprint("p", i)
			var want []providerRef
			for id, p := range pkgs {
				self := false
				for k, d := range p.Provides {
					if d.Name == name {
						want = append(want, providerRef{int32(id), int32(k)})
					}
					self = self || d.Name == p.Name && d.Sense == rpm.Equal && d.EVR == p.EVR
				}
				if p.Name == name && !self {
					want = append(want, providerRef{int32(id), -1})
				}
			}
			if got := slices.Collect(c.named(name)); !slices.Equal(got, want) {
				t.Fatalf("%s: %v, want %v", name, got, want)
			}
		}
	}
}

// TestPathFilter: what was added is always found, and of what was not most is told.
func TestPathFilter(t *testing.T) {
	var f pathFilter
	path := func(i int) string { return fmt.Sprintf("/usr/share/%d/file", i) }
	short := []string{"", "/", "/a", "/a/bc", "/usr/bi", "/usr/bin"}
	for _, p := range short {
		f.add(p)
	}
	for i := range 500 {
		f.add(path(i) + fmt.Sprint(i))
	}
	for _, p := range short {
		if !f.may(p) {
			t.Errorf("%q was added", p)
		}
	}
	for i := range 500 {
		if !f.may(path(i) + fmt.Sprint(i)) {
			t.Errorf("%d was added", i)
		}
	}
	wrong := 0
	for i := range 10_000 {
		if f.may(fmt.Sprintf("/opt/other/%d", i)) {
			wrong++
		}
	}
	if wrong > 500 {
		t.Errorf("%d of 10000 paths that were not added may be there: that saves nothing", wrong)
	}
}
