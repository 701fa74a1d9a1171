package repo

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"sync"

	"cpacman/internal/rpm"
)

// Lookup answers questions about the packages of a repository without reading those that nobody asked about. It knows a package by
// its place: the packages sorted by name, arch, epoch, version, release and location. It may be used by many goroutines.
type Lookup struct {
	r  *Repo
	ix *index
}

// Lookup gives the tables of the repository; they come with the index, and are made when there is none.
func (r *Repo) Lookup() Lookup {
	r.read.Lock()
	defer r.read.Unlock()
	if r.ix == nil {
		r.ix = newIndex(r.packages)
	}
	return Lookup{r, r.ix}
}

// Len is the number of packages; places are smaller.
func (l Lookup) Len() int { return l.ix.n }

// Err tells that the index was found damaged on the way and the repository could not be read again: answers given since are void.
func (l Lookup) Err() error {
	l.r.read.Lock()
	defer l.r.read.Unlock()
	return l.r.fault
}

// At returns the package of a place.
func (l Lookup) At(place int32) *Package { return l.r.at(l.ix.order.at(int(place))) }

// Named lists the packages of a name, in the order of their places.
func (l Lookup) Named(name string) []int32 { return l.ix.names.places(&l.ix.strings, name) }

// Lists gives the packages whose part of the package list has a path, in the order of their places.
func (l Lookup) Lists(path string) []int32 { return l.ix.listed.places(&l.ix.strings, path) }

// Supplements gives the packages whose Supplements name a capability or a path, in the order of their places.
func (l Lookup) Supplements(name string) []int32 {
	return l.ix.supplements.places(&l.ix.strings, name)
}

// Requires tells whether a package of the repository requires, or conflicts with, a path.
func (l Lookup) Requires(path string) bool {
	_, found := l.ix.required.find(&l.ix.strings, path)
	return found
}

// Required gives every path that a package of the repository requires, or conflicts with, once and in no order.
func (l Lookup) Required(yield func(path string)) {
	t := &l.ix.required
	for i := range t.keys.len() {
		yield(l.ix.strings.at(t.keys.at(i)))
	}
}

// SizeOf is that of Repo; 0 where nobody knows.
func (l Lookup) SizeOf(p *Package) int64 {
	size, _ := l.r.SizeOf(p)
	return size
}

// Provides gives, in the order of places, who has a capability, and how its Provides say so, or its name and EVR where they lack it. The packages
// themselves are not read for that: a kernel alone provides ten thousand symbols.
func (l Lookup) Provides(name string, yield func(place int32, has rpm.Dep)) {
	l.pairs(&l.ix.provides, name, func(place, dep int32) bool {
		has, ok := l.provided(place, dep)
		if ok {
			yield(place, has)
		}
		return ok
	})
}

// farProvide is the number of an entry that lies so far behind that the package is read as a whole: others will be asked for.
const farProvide = 256

// provided gives an entry of the Provides of a package; its own name for -1.
func (l Lookup) provided(place, dep int32) (has rpm.Dep, ok bool) {
	number := l.ix.order.at(int(place))
	p := l.r.known(number)
	if p == nil && dep < farProvide {
		return l.ix.provided(number, int(dep))
	}
	if p == nil {
		p = l.At(place)
	}
	switch {
	case dep < 0:
		return rpm.Dep{Name: p.Name, Sense: rpm.Equal, EVR: p.EVR}, true
	case int(dep) < len(p.Provides):
		return p.Provides[dep], true
	}
	return rpm.Dep{}, false
}

// Obsoletes gives, in the order of places, who has an Obsoletes entry for a name, and its number.
func (l Lookup) Obsoletes(name string, yield func(place, dep int32)) {
	l.pairs(&l.ix.obsoletes, name, func(place, dep int32) bool {
		if dep < 0 || int(dep) >= len(l.At(place).Obsoletes) {
			return false
		}
		yield(place, dep)
		return true
	})
}

// pairs follows a table of pairs. One that the package does not have is damage.
func (l Lookup) pairs(t *table, name string, has func(place, dep int32) bool) {
	for at, end := t.span(&l.ix.strings, name); at < end; at += 2 {
		place, number := t.posts.at(at), t.posts.at(at+1)
		if number > math.MaxInt32 || !has(int32(place), int32(number)-1) { //nolint:gosec // places were checked when the index was opened
			l.r.read.Lock()
			l.r.mend()
			l.r.read.Unlock()
		}
	}
}

// Names gives every package name once, in no order.
func (l Lookup) Names(yield func(string) bool) {
	for i := range l.ix.names.keys.len() {
		if !yield(l.ix.strings.at(l.ix.names.keys.at(i))) {
			return
		}
	}
}

// Located returns the package at a path of the repository.
func (l Lookup) Located(path string) (*Package, bool) {
	for _, place := range l.ix.locations.places(&l.ix.strings, path) {
		return l.At(place), true
	}
	return nil, false
}

// Places turns numbers of Packages into places, sorted.
func (l Lookup) Places(numbers []int32) []int32 {
	l.r.read.Lock()
	if l.r.places == nil {
		l.r.places = make([]int32, l.ix.n)
		for place := range l.ix.n {
			l.r.places[l.ix.order.at(place)] = int32(place) //nolint:gosec // fewer than 2^31 packages
		}
	}
	places := l.r.places
	l.r.read.Unlock()
	out := make([]int32, len(numbers))
	for i, n := range numbers {
		out[i] = places[n]
	}
	slices.Sort(out)
	return out
}

// index is the packages as they stand in a cache file, and tables to find them by.
type index struct {
	strings stringTable
	n       int
	records []byte
	ends    u32s // of each package's record in records, by number
	order   u32s // place → number

	names, provides, obsoletes, listed, locations, required, supplements table

	kinds sync.Once
	lists [2]bool // by primaryKind: whether the package list has such paths, once kinds is done
}

// u32s is a list of numbers of four bytes each.
type u32s []byte

func (x u32s) len() int        { return len(x) / 4 }
func (x u32s) at(i int) uint32 { return binary.LittleEndian.Uint32(x[4*i:]) }

func (x u32s) set(i int, n uint32) { binary.LittleEndian.PutUint32(x[4*i:], n) }

// span gives where a piece begins and ends, of a list of ends.
func (x u32s) span(i int) (from, to uint32) {
	if i > 0 {
		from = x.at(i - 1)
	}
	return from, x.at(i)
}

// below tells whether all numbers are less than n.
func (x u32s) below(n int) bool {
	for ; len(x) >= 4; x = x[4:] {
		if int(binary.LittleEndian.Uint32(x)) >= n {
			return false
		}
	}
	return true
}

// rises tells whether the numbers never fall, and end at last; an empty list does not.
func (x u32s) rises(last int) bool {
	before, some := uint32(0), len(x) >= 4
	for ; len(x) >= 4; x = x[4:] {
		n := binary.LittleEndian.Uint32(x)
		if n < before {
			return false
		}
		before = n
	}
	return some && int(before) == last
}

// table leads from strings to what is written about them. Its keys stand by bucket, the upper bits of their hash, and in a bucket in the
// order of the strings: whoever makes names that share a bucket gains a binary search.
type table struct {
	stride  int  // numbers for each posting: none, the place, the place and the dependency
	buckets u32s // bucket → the end of its keys
	keys    u32s // numbers of strings
	ends    u32s // key → the end of its postings, in postings
	posts   u32s
}

// span gives the numbers in posts that belong to a key.
func (t *table) span(s *stringTable, key string) (from, to int) {
	k, found := t.find(s, key)
	if !found {
		return 0, 0
	}
	first, end := t.ends.span(k)
	return int(first) * t.stride, int(end) * t.stride
}

func (t *table) places(s *stringTable, key string) []int32 {
	var out []int32
	for at, end := t.span(s, key); at < end; at += t.stride {
		out = append(out, int32(t.posts.at(at))) //nolint:gosec // checked when the index was opened
	}
	return out
}

// find looks for a key.
func (t *table) find(s *stringTable, key string) (int, bool) {
	b := bucket(key, t.buckets.len())
	from, to := t.buckets.span(b)
	lo, hi := int(from), int(to)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		switch c := strings.Compare(s.at(t.keys.at(mid)), key); {
		case c == 0:
			return mid, true
		case c < 0:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return 0, false
}

// bucket spreads keys over n buckets (FNV-1a).
func bucket[T string | []byte](key T, n int) int {
	h := uint32(2166136261)
	for i := range len(key) {
		h = (h ^ uint32(key[i])) * 16777619
	}
	return int(uint64(h) * uint64(n) >> 32) //nolint:gosec // less than n
}

// sound checks what find and span rely on; places are less than n.
func (t *table) sound(s *stringTable, n int) bool {
	if !t.buckets.rises(t.keys.len()) || t.ends.len() != t.keys.len() || !t.keys.below(s.len()) {
		return false
	}
	if t.keys.len() == 0 {
		return t.posts.len() == 0
	}
	if t.stride == 0 { // of these only the keys count
		return t.posts.len() == 0
	}
	if t.posts.len()%t.stride != 0 || !t.ends.rises(t.posts.len()/t.stride) {
		return false
	}
	for p := t.posts; len(p) >= 4*t.stride; p = p[4*t.stride:] {
		if int(binary.LittleEndian.Uint32(p)) >= n {
			return false
		}
	}
	return true
}

func (d *decoder) u32s() u32s {
	n := d.count(1)
	if n%4 != 0 {
		d.fail()
		return nil
	}
	return u32s(d.split(n).b)
}

func (d *decoder) table(n, stride int) table {
	t := table{stride, d.u32s(), d.u32s(), d.u32s(), d.u32s()}
	if d.err == nil && !t.sound(&d.strings, n) {
		d.fail()
	}
	return t
}

// record reads one package; nil when it makes no sense.
func (d *decoder) record() *Package {
	p := &Package{Package: &rpm.Package{}}
	d.pkg(p)
	for _, l := range depLists(p.Package) {
		if n := d.count(1); n > 0 {
			*l = make([]rpm.Dep, n)
			for i := range *l {
				d.dep(&(*l)[i])
			}
		}
	}
	p.Files = d.strs()
	if d.err != nil || d.left() != 0 {
		return nil
	}
	return p
}

// records takes what encoder.records wrote; the packages themselves are not checked.
func (d *decoder) records() *index {
	x := &index{strings: d.strings}
	x.n = d.count(minRecord)
	x.records = d.split(d.count(1)).b
	x.ends = d.u32s()
	if d.err == nil && (x.ends.len() != x.n || x.n > 0 && !x.ends.rises(len(x.records))) {
		d.fail()
	}
	return x
}

// index takes what encoder.index wrote, and checks everything but the packages themselves.
func (d *decoder) index() *index {
	x := d.records()
	x.order = d.u32s()
	if d.err == nil && (x.order.len() != x.n || !x.order.below(x.n)) {
		d.fail()
	}
	for _, t := range [...]struct {
		to     *table
		stride int
	}{{&x.names, 1}, {&x.provides, 2}, {&x.obsoletes, 2}, {&x.listed, 1}, {&x.locations, 1}, {&x.required, 0}, {&x.supplements, 1}} {
		*t.to = d.table(x.n, t.stride)
	}
	if d.err != nil {
		return nil
	}
	return x
}

// record is where one package stands.
func (x *index) record(number uint32) decoder {
	from, to := x.ends.span(int(number))
	return decoder{strings: x.strings, b: x.records[from:to]}
}

// read decodes one package; nil when it makes no sense.
func (x *index) read(number uint32) *Package {
	d := x.record(number)
	return d.record()
}

// provided decodes one entry of the Provides of a package; its own name for -1. False: that makes no sense.
func (x *index) provided(number uint32, dep int) (has rpm.Dep, ok bool) {
	d := x.record(number)
	if dep < 0 {
		has.Name = d.str()
		d.skip(1) // arch
		has.Sense, has.EVR = rpm.Equal, rpm.EVR{Epoch: d.uint32(), Version: d.str(), Release: d.str()}
		return has, d.err == nil
	}
	d.skip(recordFields)
	if dep >= d.count(1) { // Provides are the first list
		return has, false
	}
	for range dep {
		d.skipDep()
	}
	d.dep(&has)
	return has, d.err == nil
}
