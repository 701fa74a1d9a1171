package planner

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"cpacman/internal/rpm"
)

// maxCandidates bounds a universe; the largest distribution today has about 80,000 builds in one view.
const maxCandidates = 4 << 20

// Universe is a view made ready for planning. Its answers never change after NewUniverse and it may be used by any number of goroutines.
// What it gives out as numbers is in cands by then, but for offers: those nobody asked for are empty.
type Universe struct {
	sources  []Source
	indexes  []Index // of the sources
	first    []int32 // candidate of each source's first place
	cands    []candidate
	memo     *memo
	ahead    atomic.Bool                                                     // readAhead was called
	notices  []Notices                                                       // of the view
	clash    func(leaves *rpm.Package, comes *Candidate, source string) bool // View.Clash
	retracts bool                                                            // one of them is retracted
	required func() *pathFilter                                              // the paths that packages of the view require, or conflict with; made once
	ptfs     func() map[int32]bool                                           // findPTFs, made once
	modules
}

// memo is what was looked up in the indexes: it changes no answer. It is in pieces, each with a lock, since hosts that are solved side by side ask for little else.
type memo struct {
	seed   maphash.Seed
	pieces [memoPieces]memoPiece
}

const memoPieces = 32

type memoPiece struct {
	sync.Mutex
	names     map[string][]int32
	provides  map[string][]offer
	obsoletes map[string][]providerRef
	files     map[string][]int32
	listed    map[string][]listed

	supplements map[string][]int32
}

func newMemo() *memo {
	m := &memo{seed: maphash.MakeSeed()}
	for i := range m.pieces {
		p := &m.pieces[i]
		p.names, p.provides, p.obsoletes = map[string][]int32{}, map[string][]offer{}, map[string][]providerRef{}
		p.files, p.listed, p.supplements = map[string][]int32{}, map[string][]listed{}, map[string][]int32{}
	}
	return m
}

// of gives the piece that a key belongs to.
func (m *memo) of(key string) *memoPiece { return &m.pieces[maphash.String(m.seed, key)%memoPieces] }

// ofCandidate gives the piece under whose lock a candidate is filled.
func (m *memo) ofCandidate(id int32) *memoPiece { return &m.pieces[id%memoPieces] }

// offer is a candidate that has a capability, and which versions of it. The candidate may be empty: Universe.ready.
type offer struct {
	id    int32
	sense rpm.Sense
	evr   rpm.EVR
}

// fulfils tells whether an offer fulfils a plain dependency of its name.
func (o *offer) fulfils(d *rpm.Dep) bool {
	return d.Sense == 0 || rpm.Overlap(o.sense, o.evr, d.Sense, d.EVR)
}

// candidate is one package of the view.
type candidate struct {
	*Candidate
	source int32
}

// providerRef is a package and the place of one of its dependencies; dep < 0 is the package's own name and EVR.
type providerRef struct{ id, dep int32 }

// NewUniverse indexes a view. The view's packages are shared, not copied, and must not change afterwards.
func NewUniverse(v View) (*Universe, error) {
	u := &Universe{
		sources: v.Sources, notices: v.Notices,
		memo:    newMemo(),
		modules: newModules(v.Modules),
		clash:   v.Clash,
	}
	if len(v.Advisories) > 0 {
		u.notices = append([]Notices{newNoticeList(v.Advisories)}, v.Notices...)
	}
	u.retracts = slices.ContainsFunc(u.notices, Notices.Retracts)
	u.required = sync.OnceValue(u.filterPaths)
	u.ptfs = sync.OnceValue(u.findPTFs)
	ids := map[string]bool{}
	for si := range v.Sources {
		src := &v.Sources[si]
		if ids[src.ID] {
			return nil, fmt.Errorf("repository %q stands twice in the view", src.ID)
		}
		ids[src.ID] = true
		if err := u.take(int32(si)); err != nil {
			return nil, err
		}
	}
	return u, nil
}

// take adds the packages of one source.
func (u *Universe) take(si int32) error {
	src := &u.sources[si]
	x := src.Index
	if x == nil {
		for i := range src.Packages {
			if src.Packages[i].Package == nil {
				return fmt.Errorf("repository %q: package %d is empty", src.ID, i)
			}
		}
		x = newPackageIndex(src.Packages)
	}
	if len(u.cands)+x.Len() > maxCandidates {
		return fmt.Errorf("repository %q: more than %d packages in the view", src.ID, maxCandidates)
	}
	u.indexes, u.first = append(u.indexes, x), append(u.first, int32(len(u.cands)))
	u.cands = append(u.cands, make([]candidate, x.Len())...)
	for i := u.first[si]; int(i) < len(u.cands); i++ {
		u.cands[i].source = si
		if src.Index == nil {
			u.fill(int(si), i-u.first[si])
		}
	}
	return nil
}

// Err tells that an index gave wrong answers: then no result that came from it counts.
func (u *Universe) Err() error {
	for _, x := range u.indexes {
		if err := x.Err(); err != nil {
			return err
		}
	}
	for _, x := range u.notices {
		if err := x.Err(); err != nil {
			return err
		}
	}
	return nil
}

// fill makes a candidate usable: for who calls it, and for all who get the number of him under some lock. Others may read other packages beside it.
func (u *Universe) fill(si int, place int32) int32 {
	id := u.first[si] + place
	piece := u.memo.ofCandidate(id)
	piece.Lock()
	filled := u.cands[id].Candidate != nil
	piece.Unlock()
	if filled {
		return id
	}
	c := u.indexes[si].At(place)
	piece.Lock()
	defer piece.Unlock()
	if u.cands[id].Candidate == nil {
		u.cands[id].Candidate = &c
	}
	return id
}

// fillAll makes every candidate usable.
func (u *Universe) fillAll() {
	for si, x := range u.indexes {
		for place := range int32(x.Len()) {
			u.fill(si, place)
		}
	}
}

// remembered gives what get finds for a key, from the memo where it was asked before. Who asks for the same at the same time gets the same list.
func remembered[T any](u *Universe, in func(*memoPiece) map[string][]T, key string, get func() []T) []T {
	piece := u.memo.of(key)
	piece.Lock()
	l, ok := in(piece)[key]
	piece.Unlock()
	if ok {
		return l
	}
	found := get()
	piece.Lock()
	defer piece.Unlock()
	if l, ok = in(piece)[key]; ok {
		return l
	}
	in(piece)[strings.Clone(key)] = found // the key may be a piece of a whole file
	return found
}

// named lists the candidates of a name: newest first, then by priority, place of the repository, place in it.
func (u *Universe) named(name string) []int32 {
	return remembered(u, func(p *memoPiece) map[string][]int32 { return p.names }, name, func() []int32 {
		var l []int32
		for si, x := range u.indexes {
			for _, place := range x.Named(name) {
				l = append(l, u.fill(si, place))
			}
		}
		slices.SortStableFunc(l, func(a, b int32) int {
			ca, cb := &u.cands[a], &u.cands[b]
			return cmp.Or(rpm.Compare(cb.EVR, ca.EVR), cmp.Compare(ca.Arch, cb.Arch),
				cmp.Compare(u.sources[ca.source].Priority, u.sources[cb.source].Priority), cmp.Compare(ca.source, cb.source),
				cmp.Compare(ca.Version, cb.Version), cmp.Compare(ca.Release, cb.Release), cmp.Compare(ca.Path, cb.Path))
		})
		return l
	})
}

// readAhead looks up, from the end of a host's packages on, what the search for their updates will ask for, unless another host's was. It changes no answer.
func (u *Universe) readAhead(installed []*rpm.Package) {
	if u.ahead.Swap(true) {
		return
	}
	for _, p := range slices.Backward(installed) {
		u.readNeeds(p)
		var newest *rpm.Package
		for _, id := range u.named(p.Name) {
			if c := u.cands[id].Package; c.Arch == p.Arch && rpm.Compare(c.EVR, p.EVR) > 0 && (newest == nil || rpm.Compare(c.EVR, newest.EVR) > 0) {
				newest = c
			}
		}
		if newest != nil {
			u.readNeeds(newest)
		}
	}
}

func (u *Universe) readNeeds(p *rpm.Package) {
	for i := range p.Requires {
		if d := &p.Requires[i]; !d.IsRich() && !isRpmlib(d.Name) {
			u.providing(d.Name)
		}
	}
}

// providing lists who has a capability, in the order of candidates.
func (u *Universe) providing(name string) []offer {
	return remembered(u, func(p *memoPiece) map[string][]offer { return p.provides }, name, func() []offer {
		var l []offer
		for si, x := range u.indexes {
			x.Provides(name, func(place int32, has rpm.Dep) { l = append(l, offer{u.first[si] + place, has.Sense, has.EVR}) })
		}
		return l
	})
}

// ready fills candidates that are known as offers.
func (u *Universe) ready(ids []int32) {
	for _, id := range ids {
		si := int(u.cands[id].source)
		u.fill(si, id-u.first[si])
	}
}

// obsoleting lists who has an Obsoletes entry for a name, in the order of candidates.
func (u *Universe) obsoleting(name string) []providerRef {
	return remembered(u, func(p *memoPiece) map[string][]providerRef { return p.obsoletes }, name, func() []providerRef {
		var l []providerRef
		for si, x := range u.indexes {
			x.Obsoletes(name, func(place, dep int32) { l = append(l, providerRef{u.fill(si, place), dep}) })
		}
		return l
	})
}

// listing returns the candidates whose known files include a path.
func (u *Universe) listing(path string) []int32 {
	return u.having(path, func(p *memoPiece) map[string][]int32 { return p.files }, Index.Lists)
}

// supplementing returns the candidates whose Supplements name a capability or a path.
func (u *Universe) supplementing(name string) []int32 {
	return u.having(name, func(p *memoPiece) map[string][]int32 { return p.supplements }, Index.Supplements)
}

// having returns the candidates that a table of the indexes gives for a key, in their order.
func (u *Universe) having(key string, in func(*memoPiece) map[string][]int32, table func(Index, string) []int32) []int32 {
	return remembered(u, in, key, func() []int32 {
		var l []int32
		for si, x := range u.indexes {
			for _, place := range table(x, key) {
				l = append(l, u.fill(si, place))
			}
		}
		return l
	})
}

// numbered returns the candidate of a number that a FileSource gave, -1 for a source package.
func (u *Universe) numbered(si, i int) (int32, error) {
	place, n := int32(i), u.indexes[si].Len()
	x, whole := u.indexes[si].(*packageIndex)
	if whole {
		n = len(x.place)
	}
	if i < 0 || i >= n {
		return 0, fmt.Errorf("repository %s: its filelists name package %d of %d", u.sources[si].ID, i, n)
	}
	if whole {
		place = x.place[i]
	}
	if place < 0 {
		return -1, nil
	}
	return u.fill(si, place), nil
}

// filterPaths makes what knows of most paths that no candidate requires them, or conflicts with them.
func (u *Universe) filterPaths() *pathFilter {
	f := new(pathFilter)
	for _, x := range u.indexes {
		x.Required(f.add)
	}
	return f
}

// requires tells whether a candidate requires, or conflicts with, a path. There may be very many paths: answers are not kept.
func (u *Universe) requires(path string) bool {
	return slices.ContainsFunc(u.indexes, func(x Index) bool { return x.Requires(path) })
}

// Offers tells whether a source of the view has a build in a file that there tells to be at hand.
func (u *Universe) Offers(n rpm.NEVRA, there func(source, path string) bool) bool {
	return slices.ContainsFunc(u.named(n.Name), func(id int32) bool {
		c := &u.cands[id]
		return c.NEVRA == n && there(u.sources[c.source].ID, c.Path)
	})
}

// collectPaths notes every file path that a package's dependencies name.
func collectPaths(p *rpm.Package, into map[string]bool) {
	p.NamedPaths(func(path string) { into[path] = true })
}

// primaryPath tells whether createrepo puts a path into primary metadata, so that its absence there says something.
func primaryPath(p string) bool {
	return strings.HasPrefix(p, "/etc/") || strings.Contains(p, "bin/") || p == "/usr/lib/sendmail"
}
