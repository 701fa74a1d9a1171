package planner

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestSATFirstModel holds the search against enumeration: it finds the first model in the order of its preferences, finds none where
// there is none, and then names clauses that exclude one by themselves.
func TestSATFirstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const vars = 7
		var cnf [][]lit
		draw := func(label string) lit { return lit(rapid.IntRange(0, 2*vars-1).Draw(t, label)) }
		for range rapid.IntRange(1, 30).Draw(t, "clauses") {
			var c []lit
			for range rapid.IntRange(1, 3).Draw(t, "length") {
				c = append(c, draw("literal"))
			}
			cnf = append(cnf, c)
		}
		order := make([]lit, vars)
		for i, v := range rapid.Permutation([]int32{0, 1, 2, 3, 4, 5, 6}).Draw(t, "order") {
			order[i] = lit(2*v) + lit(rapid.IntRange(0, 1).Draw(t, "sign"))
		}
		var assume []lit
		for range rapid.IntRange(0, 2).Draw(t, "assumptions") {
			assume = append(assume, draw("assumed"))
		}
		s := newSAT(new(effort))
		for range vars {
			s.newVar()
		}
		for i, c := range cnf {
			s.add(int32(i), c...)
		}
		for range 2 { // what was learned changes no answer
			got, core, used := s.search(assume, order)
			want := enumerate(cnf, assume, order, vars)
			if (got == found) != (want != nil) {
				t.Fatalf("outcome %d, by enumeration %v", got, want)
			}
			if got == found {
				for v := range vars {
					if (s.value[v] > 0) != want[v] {
						t.Fatalf("variable %d: %v, the first model is %v", v, s.value[v], want)
					}
				}
				continue
			}
			var alone [][]lit
			for _, id := range core {
				alone = append(alone, cnf[s.clauses[id].why])
			}
			if enumerate(alone, used, order, vars) != nil {
				t.Fatalf("the core %v with %v has a model", alone, used)
			}
		}
	})
}

// enumerate returns the first model in lexicographic order of the preferences, nil if there is none.
func enumerate(cnf [][]lit, assume, order []lit, vars int) []bool {
	for _, a := range assume {
		cnf = append(slices.Clip(cnf), []lit{a})
	}
	for bits := range 1 << vars { // bit 0 of the first preference varies slowest
		m := make([]bool, vars)
		for i, l := range order {
			preferred := bits>>(vars-1-i)&1 == 0
			m[l.variable()] = preferred == (l&1 == 0)
		}
		holds := func(l lit) bool { return m[l.variable()] == (l&1 == 0) }
		if !slices.ContainsFunc(cnf, func(c []lit) bool { return !slices.ContainsFunc(c, holds) }) {
			return m
		}
	}
	return nil
}

// TestSATPigeons proves that n+1 pigeons do not fit, which needs learning.
func TestSATPigeons(t *testing.T) {
	const n = 5
	s := newSAT(new(effort))
	at := func(p, h int) lit { return pos(int32(p*n + h)) }
	for range (n + 1) * n {
		s.newVar()
	}
	for p := range n + 1 {
		var c []lit
		for h := range n {
			c = append(c, at(p, h))
		}
		s.add(0, c...)
	}
	for h := range n {
		for p := range n + 1 {
			for q := range p {
				s.add(0, at(p, h).not(), at(q, h).not())
			}
		}
	}
	if o, _, _ := s.search(nil, nil); o != failed {
		t.Fatal(o)
	}
}
