package repo

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"cpacman/internal/rpm"
)

// recordMaker gathers the records of packages.
type recordMaker struct {
	e    *encoder // the records
	ends []uint32
}

func (m *recordMaker) add(p *Package, id packageID) {
	m.e.record(p, id)
	m.ends = append(m.ends, uint32(len(m.e.body))) //nolint:gosec // the opened metadata has less than 2 GiB
}

// size bounds what write writes, in bytes.
func (m *recordMaker) size() int { return 3*binary.MaxVarintLen64 + len(m.e.body) + 4*len(m.ends) }

func (m *recordMaker) write(e *encoder) {
	e.count(len(m.ends))
	e.piece(m.e.body)
	m.e = nil // it is as long as what was written, and is not needed again
	e.u32s(m.ends)
}

// indexMaker gathers an index, package by package, and keeps none of them: of a large repository the packages take several times the memory of
// its index.
type indexMaker struct {
	records recordMaker
	ids     []packageID

	names, provides, obsoletes, listed, locations, required, supplements postings

	named []bool // strings that are in required
}

// newIndexMaker makes an index for the body of e, with whose strings it shares the table.
func newIndexMaker(e *encoder) *indexMaker {
	return &indexMaker{
		records: recordMaker{e: e.fork()},
		names:   postings{stride: 1}, provides: postings{stride: 2}, obsoletes: postings{stride: 2},
		listed: postings{stride: 1}, locations: postings{stride: 1}, supplements: postings{stride: 1},
	}
}

// tables are in the order in which they are written.
func (m *indexMaker) tables() [7]*postings {
	return [7]*postings{&m.names, &m.provides, &m.obsoletes, &m.listed, &m.locations, &m.required, &m.supplements}
}

// add takes a package; none of it is kept.
func (m *indexMaker) add(p *Package, id packageID) {
	m.records.add(p, id)
	m.ids = append(m.ids, id)
	m.names.add(id.name, 0)
	m.locations.add(id.location, 0)
	keys := m.records.e.keys
	self := false
	for i := range p.Provides {
		d := &p.Provides[i]
		m.provides.add(keys[i], i+1)
		self = self || keys[i] == id.name && d.Sense == rpm.Equal && d.EVR == p.EVR
	}
	if !self {
		m.provides.add(id.name, 0)
	}
	before := len(p.Provides) + len(p.Requires) + len(p.Conflicts) // the order of depLists
	for i := range p.Obsoletes {
		m.obsoletes.add(keys[before+i], i+1)
	}
	for _, n := range keys[len(keys)-len(p.Files):] {
		m.listed.add(n, 0)
	}
	p.NamedPaths(m.require)
	m.supplement(p)
	for _, t := range m.tables() {
		t.next()
	}
}

// supplement notes a package under what it supplements, once under each.
func (m *indexMaker) supplement(p *Package) {
	from := len(m.supplements.list)
	p.SupplementNames(func(name string) {
		n := m.records.e.number(name)
		if !slices.ContainsFunc(m.supplements.list[from:], func(x posting) bool { return x.key == n }) {
			m.supplements.add(n, 0)
		}
	})
}

// require notes a path that a package requires, once.
func (m *indexMaker) require(path string) {
	n := m.records.e.number(path)
	if missing := int(n) + 1 - len(m.named); missing > 0 {
		m.named = append(m.named, make([]bool, missing)...)
	}
	if !m.named[n] {
		m.named[n] = true
		m.required.add(n, 0)
	}
}

// write seals e and puts the index behind its body.
func (m *indexMaker) write(e *encoder) {
	order := m.order()
	more := m.records.size() + binary.MaxVarintLen64 + 4*len(order)
	for _, t := range m.tables() {
		more += t.size()
	}
	e.seal(more)
	m.records.write(e)
	e.u32s(order)
	w := newTableWriter(e)
	for _, t := range m.tables() {
		w.write(t, order)
	}
}

// order sorts the numbers of the packages by what they are: place → number.
func (m *indexMaker) order() []uint32 {
	t := m.records.e.strings
	text := func(a, b uint32) int {
		if a == b {
			return 0
		}
		return bytes.Compare(t.at(a), t.at(b))
	}
	order := inOrder(len(m.ids))
	slices.SortFunc(order, func(x, y uint32) int {
		a, b := &m.ids[x], &m.ids[y]
		if c := text(a.name, b.name); c != 0 {
			return c
		}
		if c := text(a.arch, b.arch); c != 0 {
			return c
		}
		return cmp.Or(cmp.Compare(a.epoch, b.epoch), text(a.version, b.version), text(a.release, b.release), text(a.location, b.location),
			cmp.Compare(x, y))
	})
	return order
}

// newIndex makes the tables of packages that did not come from a cache file.
func newIndex(list []*Package) *index {
	e := newEncoder()
	m := newIndexMaker(e)
	for _, p := range list {
		m.add(p, e.identify(p))
	}
	m.write(e)
	return newDecoder(e.bytes()).index()
}

// postings says which strings lead to which packages, package by package. Large repositories have many strings, and maps of lists would take
// more memory than all the packages.
type postings struct {
	stride int // how much of a posting is written: nothing, the place, or the place and the dependency
	list   []posting
	ends   []uint32 // number of the package → end of its postings in list
}

// posting is the number of a string, and a dependency to which it leads.
type posting struct{ key, dep uint32 }

func (t *postings) add(key uint32, dep int) {
	t.list = append(t.list, posting{key, uint32(dep)}) //nolint:gosec // fewer than bytes of metadata
}

// next ends the postings of a package.
func (t *postings) next() {
	if t.stride > 0 { // else nobody asks whose they are
		t.ends = append(t.ends, uint32(len(t.list))) //nolint:gosec // as in add
	}
}

// of gives the postings of a package.
func (t *postings) of(number uint32) []posting {
	from := uint32(0)
	if number > 0 {
		from = t.ends[number-1]
	}
	return t.list[from:t.ends[number]]
}

// size bounds what a tableWriter writes for it, in bytes.
func (t *postings) size() int { return 4*binary.MaxVarintLen64 + 4 + 4*(3+t.stride)*len(t.list) }

// tableWriter writes tables behind a sealed body, in time that grows with what is in them: it counts where it could sort.
type tableWriter struct {
	e     *encoder
	count []uint32 // string → how many postings it has in the table at hand; then, where its next one goes
	keys  []uint32 // distinct strings of the table
	sort  []uint32 // the same by bucket, and in a bucket by text
	at    []uint32 // key → its bucket
}

func newTableWriter(e *encoder) *tableWriter {
	return &tableWriter{e: e, count: make([]uint32, e.strings.len())}
}

// write puts a table behind the body. Its postings stand in the order of places, and for a place as they were added.
func (w *tableWriter) write(t *postings, order []uint32) {
	w.keys = w.keys[:0]
	for _, p := range t.list {
		if w.count[p.key] == 0 {
			w.keys = append(w.keys, p.key)
		}
		w.count[p.key]++
	}
	w.buckets()
	w.e.u32s(w.sort)
	ends, end := w.e.room(len(w.sort)), uint32(0)
	for i, key := range w.sort {
		if t.stride > 0 {
			end, w.count[key] = end+w.count[key], end
		}
		ends.set(i, end)
	}
	posts := w.e.room(t.stride * len(t.list))
	if t.stride > 0 {
		for place, number := range order {
			for _, p := range t.of(number) {
				at := t.stride * int(w.count[p.key])
				w.count[p.key]++
				posts.set(at, uint32(place)) //nolint:gosec // fewer than 2^31 packages
				if t.stride == 2 {
					posts.set(at+1, p.dep)
				}
			}
		}
	}
	for _, key := range w.keys {
		w.count[key] = 0
	}
}

// buckets sorts the keys and writes the ends of their buckets.
func (w *tableWriter) buckets() {
	n := max(1, len(w.keys))
	text := w.e.strings.at
	ends := w.e.room(n)
	clear(ends)
	w.at, w.sort = slices.Grow(w.at[:0], n)[:len(w.keys)], slices.Grow(w.sort[:0], n)[:len(w.keys)]
	for i, key := range w.keys {
		b := bucket(text(key), n)
		w.at[i] = uint32(b) //nolint:gosec // less than n
		ends.set(b, ends.at(b)+1)
	}
	end := uint32(0)
	for b := range n {
		end += ends.at(b)
		ends.set(b, end)
	}
	for i := len(w.keys) - 1; i >= 0; i-- { // from the back: each end becomes the beginning
		b := int(w.at[i])
		ends.set(b, ends.at(b)-1)
		w.sort[ends.at(b)] = w.keys[i]
	}
	for b := range n {
		from, to := ends.at(b), uint32(len(w.keys)) //nolint:gosec // fewer than 2^32 strings
		if b+1 < n {
			to = ends.at(b + 1)
		}
		ends.set(b, to)
		if to-from > 1 {
			slices.SortFunc(w.sort[from:to], func(a, b uint32) int { return bytes.Compare(text(a), text(b)) })
		}
	}
}

// inOrder is the order of a table whose places are numbers.
func inOrder(n int) []uint32 {
	order := make([]uint32, n)
	for i := range order {
		order[i] = uint32(i) //nolint:gosec // fewer than 2^31
	}
	return order
}

func (e *encoder) u32s(list []uint32) {
	to := e.room(len(list))
	for i, n := range list {
		to.set(i, n)
	}
}

// room makes room for a list, which the caller fills before anything else is written.
func (e *encoder) room(n int) u32s {
	e.count(4 * n)
	from := len(e.body)
	e.body = slices.Grow(e.body, 4*n)[:from+4*n]
	return u32s(e.body[from:])
}
