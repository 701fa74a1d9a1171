package planner

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cpacman/internal/rpm"
)

// drawInstalled draws packages of a repository and adds providers until requirements are met; some stay unmet and some sets
// conflict: real hosts are like that too.
func drawInstalled(u *Universe, rnd *rand.Rand, size int, multilib bool) []*rpm.Package {
	var out []*rpm.Package
	have := map[rpm.NameArch]bool{}
	add := func(id int32) {
		p := u.cands[id].Package
		if (p.Arch == "i686" && !multilib) || have[p.NameArch()] {
			return
		}
		have[p.NameArch()] = true
		out = append(out, p)
	}
	done := 0
	p := newProblem(u, &Host{Arch: "x86_64"}, &Request{})
	for len(out) < size {
		add(int32(rnd.IntN(len(u.cands))))
		for ; done < len(out); done++ {
			for _, d := range out[done].Requires {
				if isRpmlib(d.Name) {
					continue
				}
				l := p.candidatesFor(d)
				if slices.ContainsFunc(l, func(id int32) bool { return have[u.cands[id].NameArch()] }) {
					continue
				}
				at := slices.IndexFunc(l, func(id int32) bool { return multilib || u.cands[id].Arch != "i686" })
				if at >= 0 {
					add(l[at])
				}
			}
		}
	}
	return out
}

// TestDrawnHosts plans hosts drawn from the older repository over the newer ones: every result passes Check, and planning again after
// it leaves nothing.
func TestDrawnHosts(t *testing.T) {
	_, v := rhel72(t)
	old, _ := readPrimary(t, glob1(t, filepath.Join(dataDir(t), "el7-72-to-73", "centos-7.2.1511-os", "repodata", "*primary.xml.gz")))
	from, err := NewUniverse(View{Sources: []Source{{ID: "old", Priority: 99, Auto: true, Packages: old}}})
	if err != nil {
		t.Fatal(err)
	}
	u, err := NewUniverse(v)
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(12) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		size := []int{50, 300, 1000, 2500}[seed%4]
		h := Host{Arch: "x86_64", KeepInstallOnly: 3, RPMVersion: "4.11.3", Installed: drawInstalled(from, rnd, size, seed%3 == 0)}
		start := time.Now()
		res, err := u.Solve(h, Request{})
		if err != nil {
			t.Errorf("seed %d: %v", seed, err)
			continue
		}
		took := time.Since(start)
		again, err := u.Solve(perform(u, h, Request{}, res), Request{})
		if err != nil {
			t.Errorf("seed %d: second: %v", seed, err)
			continue
		}
		t.Logf("seed %d: %d installed, %v: %s; %d faults before", seed, len(h.Installed), took, res.Set.Summary(), len(res.Faults))
		later := slices.ContainsFunc(res.Set.Install, func(i Install) bool { return i.InstallOnly }) // what needs the new kernel follows
		if !again.Set.Empty() && !later {
			t.Errorf("seed %d: planning again: %v", seed, written(again)[:3])
		}
		for i, l := range res.Set.Held {
			if i < 2 {
				t.Logf("  held %s < %s: %q", l.NEVRA, l.Available, l.Because)
			}
		}
	}
}

// describe writes a world in the language of the cases.
func describe(v View, h Host, r Request) string {
	var b strings.Builder
	pkg := func(p *rpm.Package) {
		fmt.Fprintf(&b, "  %s\n", p.NEVRA)
		for _, l := range []struct {
			word string
			deps []rpm.Dep
		}{{"requires", p.Requires}, {"provides", p.Provides}, {"conflicts", p.Conflicts}, {"obsoletes", p.Obsoletes}} {
			for _, d := range l.deps {
				fmt.Fprintf(&b, "    %s %s\n", l.word, d)
			}
		}
		for _, f := range p.Files {
			fmt.Fprintf(&b, "    file %s\n", f)
		}
		if p.ColorKnown {
			fmt.Fprintf(&b, "    color %d\n", p.Color)
		}
	}
	for _, s := range v.Sources {
		fmt.Fprintf(&b, "repo %s prio=%d auto=%v\n", s.ID, s.Priority, s.Auto)
		for _, c := range s.Packages {
			pkg(c.Package)
		}
	}
	b.WriteString("installed\n")
	for _, p := range h.Installed {
		pkg(p)
	}
	for _, a := range v.Advisories {
		fmt.Fprintf(&b, "advisory %s %v\n", a.ID, a.Packages)
	}
	for _, p := range h.Policies {
		fmt.Fprintf(&b, "policy %s %d %s %s %s%v\n", p.Policy, p.Priority, p.Action, p.Pattern, p.Value, p.Arches)
	}
	fmt.Fprintf(&b, "type %s\n", r.Type)
	fmt.Fprintf(&b, "host keep=%d hold=%v exclude=%v locks=%+v\nrequest %+v\n", h.KeepInstallOnly, h.Hold, h.Exclude, h.Locks, r.Filter)
	return b.String()
}
