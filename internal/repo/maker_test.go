package repo

import (
	"bytes"
	"cmp"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"cpacman/internal/rpm"
)

// canonical orders packages by what they are: the order of places.
func canonical(a, b *Package) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Arch, b.Arch), cmp.Compare(a.Epoch, b.Epoch),
		cmp.Compare(a.Version, b.Version), cmp.Compare(a.Release, b.Release), cmp.Compare(a.Location, b.Location))
}

// randomPackages makes packages whose names, versions, dependencies and files meet often.
func randomPackages(random *rand.Rand, n int) []*Package {
	word := func(kinds int) string { return fmt.Sprintf("w%d", random.IntN(kinds)) }
	deps := func(most int) []rpm.Dep {
		var out []rpm.Dep
		for range random.IntN(most + 1) {
			d := rpm.Dep{Name: word(n), Pre: random.IntN(4) == 0}
			switch random.IntN(5) {
			case 0:
				d.Name = "/usr/bin/" + word(n)
			case 1:
				d.Name = "(/bin/" + word(9) + " or " + word(9) + ")"
			case 2:
				d.Sense, d.EVR = rpm.Equal, rpm.EVR{Epoch: random.Uint32N(2), Version: word(3), Release: word(2)}
			}
			out = append(out, d)
		}
		return out
	}
	list := make([]*Package, n)
	for i := range list {
		p := &Package{Package: &rpm.Package{}, Location: fmt.Sprintf("%s/%d.rpm", word(9), i), Checksum: Checksum{"sha256", word(n)}, Size: int64(i) - 1}
		p.NEVRA = rpm.NEVRA{Name: word(n), EVR: rpm.EVR{Epoch: random.Uint32N(2), Version: word(3), Release: word(2)}, Arch: word(2)}
		p.Requires, p.Conflicts, p.Obsoletes, p.Recommends, p.Supplements = deps(8), deps(2), deps(2), deps(1), deps(2)
		p.Provides = deps(5)
		if random.IntN(2) == 0 {
			p.Provides = append(p.Provides, rpm.Dep{Name: p.Name, Sense: rpm.Equal, EVR: p.EVR})
		}
		for range random.IntN(4) {
			p.Files = append(p.Files, "/usr/bin/"+word(n))
		}
		list[i] = p
	}
	return list
}

// askedPair is what Obsoletes gives.
type askedPair struct{ Place, Dep int32 }

// askedDep is what Provides gives.
type askedDep struct {
	Place int32
	Has   rpm.Dep
}

// TestIndexTables: what the tables answer is what a walk over the packages gives, in the same order.
func TestIndexTables(t *testing.T) {
	for seed := range uint64(40) {
		random := rand.New(rand.NewPCG(seed, 1))
		list := randomPackages(random, []int{0, 1, 2, 7, 100, 1500}[seed%6])
		if len(list) > 1 { // symbols of a kernel
			for i := range 2 * farProvide {
				list[1].Provides = append(list[1].Provides, rpm.Dep{Name: fmt.Sprintf("w%d", i%9), Sense: rpm.Equal, EVR: rpm.EVR{Version: fmt.Sprint(i)}})
			}
		}
		ix := newIndex(list)
		if ix == nil {
			t.Fatalf("seed %d: the index makes no sense", seed)
		}
		r := &Repo{ix: ix, packages: make([]*Package, ix.n), unread: ix.n}
		samePackages(t, list, r.Packages())
		sorted := slices.Clone(list)
		slices.SortStableFunc(sorted, canonical)
		names, lists, locations := map[string][]int32{}, map[string][]int32{}, map[string][]int32{}
		provides, obsoletes := map[string][]askedDep{}, map[string][]askedPair{}
		required, supplements := map[string]bool{}, map[string][]int32{}
		for i, p := range sorted {
			place := int32(i)
			names[p.Name] = append(names[p.Name], place)
			locations[p.Location] = append(locations[p.Location], place)
			for _, f := range p.Files {
				lists[f] = append(lists[f], place)
			}
			for j, d := range p.Obsoletes {
				obsoletes[d.Name] = append(obsoletes[d.Name], askedPair{place, int32(j)})
			}
			for _, d := range p.Provides {
				provides[d.Name] = append(provides[d.Name], askedDep{place, d})
			}
			if !slices.ContainsFunc(p.Provides, func(d rpm.Dep) bool { return d.Name == p.Name && d.Sense == rpm.Equal && d.EVR == p.EVR }) {
				provides[p.Name] = append(provides[p.Name], askedDep{place, rpm.Dep{Name: p.Name, Sense: rpm.Equal, EVR: p.EVR}})
			}
			p.NamedPaths(func(path string) { required[path] = true })
			p.SupplementNames(func(name string) {
				if !slices.Contains(supplements[name], place) {
					supplements[name] = append(supplements[name], place)
				}
			})
		}
		l := r.Lookup()
		unread := &Repo{ix: ix, packages: make([]*Package, ix.n), unread: ix.n}
		same := func(what string, want, got any) {
			if d := gocmp.Diff(want, got); d != "" {
				t.Fatalf("seed %d: %s (-want +got):\n%s", seed, what, d)
			}
		}
		all := map[string]int{}
		l.Names(func(n string) bool { all[n]++; return true })
		same("number of names", len(names), len(all))
		demanded := map[string]bool{}
		l.Required(func(path string) { demanded[path] = true })
		same("required paths", required, demanded)
		for i := range int32(len(sorted)) {
			same("at", sorted[i].Location, l.At(i).Location)
		}
		words := []string{"", "nobody", "/nobody"}
		for i := range len(list) + 9 {
			words = append(words, fmt.Sprintf("w%d", i), fmt.Sprintf("/usr/bin/w%d", i), fmt.Sprintf("/bin/w%d", i))
		}
		for _, p := range list {
			words = append(words, p.Location)
			for _, d := range p.Provides {
				words = append(words, d.Name)
			}
		}
		for _, w := range words {
			same("named "+w, names[w], l.Named(w))
			same("lists "+w, lists[w], l.Lists(w))
			same("requires "+w, required[w], l.Requires(w))
			same("supplements "+w, supplements[w], l.Supplements(w))
			same("at location "+w, locations[w], ix.locations.places(&ix.strings, w))
			for _, l := range []Lookup{l, unread.Lookup()} {
				var got []askedDep
				l.Provides(w, func(place int32, has rpm.Dep) { got = append(got, askedDep{place, has}) })
				same("provides "+w, provides[w], got)
			}
			var gotObsoletes []askedPair
			l.Obsoletes(w, func(place, dep int32) { gotObsoletes = append(gotObsoletes, askedPair{place, dep}) })
			same("obsoletes "+w, obsoletes[w], gotObsoletes)
		}
	}
}

// TestStringSet: equal strings have one number, others another, and what was put in comes out.
func TestStringSet(t *testing.T) {
	set, known := newStringSet(), map[string]uint32{"": 0}
	random := rand.New(rand.NewPCG(3, 4))
	for range 50_000 {
		s := fmt.Sprint(random.IntN(20_000))[1:]
		n := set.number(s)
		if want, again := known[s]; again && n != want || !again && int(n) != len(known) {
			t.Fatalf("%q has the number %d", s, n)
		}
		known[s] = n
	}
	if set.len() != len(known) {
		t.Errorf("%d strings, want %d", set.len(), len(known))
	}
	for s, n := range known {
		if string(set.at(n)) != s {
			t.Errorf("%d is %q, not %q", n, set.at(n), s)
		}
	}
}

// TestStringSetFull: what does not fit voids all that is written, and breaks nothing.
func TestStringSetFull(t *testing.T) {
	for most := range 12 {
		e := newEncoder()
		e.strings.most = most
		m := newIndexMaker(e)
		for _, p := range randomPackages(rand.New(rand.NewPCG(5, 6)), 3) {
			m.add(p, e.identify(p))
		}
		m.write(e)
		if !e.strings.full || e.bytes() != nil {
			t.Errorf("%d bytes of text: something is written", most)
		}
	}
	if l := packageListOf(nil, "x"); l != nil {
		t.Errorf("nothing is read as %+v", l)
	}
	var log bytes.Buffer
	c := &cache{dir: t.TempDir(), log: slog.New(slog.NewTextHandler(&log, nil)), now: time.Now}
	c.storeBytes(kindPackages, "x", nil)
	if list, _ := os.ReadDir(c.dir); len(list) > 0 || !strings.Contains(log.String(), "more than a cache file can hold") {
		t.Errorf("written: %v, log: %s", list, log.String())
	}
}
