package solvcases

import (
	"math/rand/v2"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"cpacman/internal/rpm"
	"cpacman/planner"
)

// drawer makes small universes: names a to h, installed at version 1 to 2, offered up to version 4, with dependencies at random.
type drawer struct {
	*rand.Rand
	names []string
	rich  bool
	split bool                 // some names replace others by Obsoletes
	obs   map[string][]rpm.Dep // what a name obsoletes from version 3 on
}

func (d *drawer) dep(versioned int) rpm.Dep {
	out := rpm.Dep{Name: d.names[d.IntN(len(d.names))]}
	if d.IntN(10) < versioned {
		out.Sense = []rpm.Sense{rpm.Equal, rpm.Less, rpm.Less | rpm.Equal, rpm.Greater | rpm.Equal}[d.IntN(4)]
		out.EVR = rpm.EVR{Version: strconv.Itoa(1 + d.IntN(4))}
	}
	return out
}

// boolean draws a boolean dependency of the given depth. The words are those that rpmbuild lets stand there; "unless" in a conflict is
// left to own/boolean-unless.t.
func (d *drawer) boolean(depth int, words ...string) string {
	operand := func() string {
		if depth > 1 && d.IntN(3) == 0 {
			return d.boolean(depth-1, words...)
		}
		return d.dep(5).String()
	}
	out := "(" + operand() + " " + words[d.IntN(len(words))] + " " + operand()
	if strings.Contains(out, " if ") && !strings.Contains(out[1:], "(") && d.IntN(3) == 0 {
		out += " else " + d.dep(5).String()
	}
	return out + ")"
}

func (d *drawer) pkg(name string, version int) *rpm.Package {
	p := &rpm.Package{NEVRA: rpm.NEVRA{Name: name, EVR: rpm.EVR{Version: strconv.Itoa(version), Release: "1"}, Arch: "x86_64"}}
	if version > 2 {
		p.Obsoletes = d.obs[name]
	}
	for range d.IntN(3) {
		p.Requires = append(p.Requires, d.dep(6))
	}
	if d.rich && d.IntN(3) == 0 {
		p.Requires = append(p.Requires, rpm.Dep{Name: d.boolean(2, "and", "or", "if")})
	}
	conflict := ""
	if d.rich && d.IntN(6) == 0 {
		conflict = d.boolean(1, "and", "or")
	}
	if d.IntN(5) == 0 {
		p.Provides = append(p.Provides, rpm.Dep{Name: d.names[d.IntN(len(d.names))]})
	}
	if d.IntN(5) == 0 {
		p.Conflicts = append(p.Conflicts, d.dep(8))
	}
	if conflict != "" && !namesItself(p, conflict) {
		p.Conflicts = append(p.Conflicts, rpm.Dep{Name: conflict})
	}
	return p
}

// namesItself tells whether a boolean conflict names what the package provides: there rpm and libsolv differ (own/boolean-self.t).
func namesItself(p *rpm.Package, conflict string) bool {
	r, err := rpm.ParseRich(conflict)
	found := err != nil
	if err == nil {
		r.Leaves(func(l rpm.Dep) {
			found = found || l.Name == p.Name || slices.ContainsFunc(p.Provides, func(q rpm.Dep) bool { return q.Name == l.Name })
		})
	}
	return found
}

// trial draws until the installed set is whole.
func (d *drawer) trial() *Trial {
	for {
		t := &Trial{Arch: "x86_64", DistType: "rpm", System: "system", Jobs: []string{"update all packages"}, Wants: []string{"transaction"}}
		d.obs = map[string][]rpm.Dep{}
		for _, n := range d.names[:len(d.names)/2] {
			if d.split && d.IntN(2) == 0 {
				d.obs[n] = []rpm.Dep{{Name: d.names[len(d.names)/2+d.IntN(len(d.names)/2)]}}
			}
		}
		inst, avail := Repo{Name: "system"}, Repo{Name: "available"}
		for _, n := range d.names {
			have := 0
			if d.IntN(10) < 6 {
				have = 1 + d.IntN(2)
				inst.Packages = append(inst.Packages, d.pkg(n, have))
			}
			for v := 1; v <= 4; v++ {
				if v != have && d.IntN(2) == 0 {
					avail.Packages = append(avail.Packages, d.pkg(n, v))
				}
			}
		}
		if len(planner.PreBroken(planner.Host{Installed: inst.Packages, Arch: "x86_64"})) == 0 && len(inst.Packages) > 0 {
			t.Repos = []Repo{inst, avail}
			return t
		}
	}
}

// multilib adds an i686 build beside some names: always where it is installed, mostly where it is offered. It tells whether the
// installed set is still whole.
func (d *drawer) multilib(t *Trial) bool {
	both := map[string]bool{}
	for r := range t.Repos {
		var out []*rpm.Package
		for _, p := range t.Repos[r].Packages {
			out = append(out, p)
			if _, known := both[p.Name]; !known {
				both[p.Name] = d.IntN(3) == 0
			}
			if both[p.Name] && (r == 0 || d.IntN(6) > 0) {
				q := *p
				q.Arch = "i686"
				out = append(out, &q)
			}
		}
		t.Repos[r].Packages = out
	}
	return len(planner.PreBroken(planner.Host{Installed: t.Repos[0].Packages, Arch: "x86_64"})) == 0
}

// score puts an answer to "update all" into the order of the planner's first preferences: each installed name moves at all, is
// replaced where it can be, then how new it gets. The larger list is the better answer.
func score(t *Trial, o Outcome) []int {
	to := map[string]string{}
	for _, c := range o.Changes {
		switch f := strings.Fields(c); f[0] {
		case "upgrade":
			to[f[1]] = f[2]
		case "erase":
			to[f[1]] = "replaced"
		}
	}
	var moved, replaced, newness []int
	for _, p := range t.Repos[0].Packages {
		target, ok := to[p.NEVRA.String()]
		moved = append(moved, len(target)/max(1, len(target)))
		rank, gone := 0, 0
		if n, err := rpm.ParseNEVRA(target); ok && err == nil {
			for _, q := range t.Repos[1].Packages {
				if q.Name == n.Name && rpm.Compare(q.EVR, n.EVR) <= 0 {
					rank++
				}
			}
		} else if ok {
			rank, gone = len(t.Repos[1].Packages), 1
		}
		newness, replaced = append(newness, rank), append(replaced, gone)
	}
	return slices.Concat(moved, replaced, newness)
}

// TestRandomAgainstLibsolv asks libsolv's own program and the planner the same small questions. Where they differ, the planner's
// answer must stand at least as high in its own order of preferences: libsolv takes the first answer that it finds without
// going back. Obsoletes are of the usual kind
// (the cases of the folder own have the others); where a name has two arches, lockstep (PLAN-3) holds on both sides.
func TestRandomAgainstLibsolv(t *testing.T) {
	if _, err := exec.LookPath("testsolv"); err != nil {
		t.Skip("needs testsolv: the package libsolv-tools")
	}
	questions := 200
	if testing.Short() {
		questions = 20
	}
	for _, population := range [...]struct {
		name     string
		names    []string
		multilib bool
		rich     bool
		split    bool
	}{
		{"one arch", []string{"a", "b", "c", "d", "e", "f"}, false, false, false},
		{"two arches", []string{"a", "b", "c", "d"}, true, false, false},
		{"boolean dependencies", []string{"a", "b", "c", "d", "e", "f"}, false, true, false},
		{"replacements", []string{"a", "b", "c", "d", "e", "f"}, false, false, true},
	} {
		t.Run(population.name, func(t *testing.T) {
			r := &randomRun{dir: t.TempDir()}
			for seed := range questions {
				d := &drawer{Rand: rand.New(rand.NewPCG(uint64(seed), 7)), names: population.names, rich: population.rich, split: population.split}
				tr := d.trial()
				if population.multilib && !d.multilib(tr) {
					continue
				}
				r.ask(t, seed, tr)
			}
			t.Logf("random: %d questions, %d the same, %d by the order of preferences, %d by a rule", r.asked, r.same, r.preferred, r.rule)
		})
	}
}

// randomRun counts what became of random questions.
type randomRun struct {
	dir                          string
	asked, same, preferred, rule int
}

// ask compares one question, and shows the smallest form of one that libsolv answers better.
func (r *randomRun) ask(t *testing.T, seed int, tr *Trial) {
	r.asked++
	want, err := AskTestsolv(t.Context(), r.dir, tr, PeerFlags)
	if err != nil {
		t.Fatal(err)
	}
	got, err := answer(tr)
	switch {
	case err != nil:
		t.Errorf("seed %d: %v", seed, err)
	case got.Agrees(want):
		r.same++
	case Explain(tr, got, want) != "":
		r.rule++
	case slices.Compare(score(tr, got), score(tr, want)) >= 0:
		r.preferred++
	default:
		small := Reduce(tr, func(tr *Trial) bool { return worse(t, r.dir, tr) })
		text, _ := WriteTrial(small, PeerFlags)
		got, _ = answer(small)
		want, _ = AskTestsolv(t.Context(), r.dir, small, PeerFlags)
		t.Errorf("seed %d, made smaller:\n%sgot  %s\nwant %s", seed, text, got, want)
	}
}

func answer(t *Trial) (Outcome, error) {
	q, err := Convert(t)
	if err != nil {
		return Outcome{}, err
	}
	o, _, err := Ask(q)
	return o, err
}

// worse tells whether the planner's answer stands below libsolv's.
func worse(t *testing.T, dir string, tr *Trial) bool {
	if len(planner.PreBroken(planner.Host{Installed: tr.Repos[0].Packages, Arch: "x86_64"})) > 0 {
		return false
	}
	want, err := AskTestsolv(t.Context(), dir, tr, PeerFlags)
	got, err2 := answer(tr)
	return err == nil && err2 == nil && !got.Agrees(want) && Explain(tr, got, want) == "" && slices.Compare(score(tr, got), score(tr, want)) < 0
}
