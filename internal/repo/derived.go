package repo

import (
	"bytes"
	"crypto/sha256"
	"log/slog"
	"maps"
	"slices"
	"sort"
	"sync"
	"time"
)

// derivedKey is the only key of its cache file.
const derivedKey = "lists"

// maxDerived is how many entries are kept; above the bound those that were not asked for since the process began are left out.
const maxDerived = 20_000

// DerivedKey names what something was derived from; who makes one sums all of it.
type DerivedKey [sha256.Size]byte

// Derived keeps lists of words that took reading and parsing to find, under the sum of what they were derived from: a cache like those of
// repositories, which can be lost at any time. It may be used by many goroutines.
type Derived struct {
	cache *cache

	mu     sync.Mutex
	stored storedLists
	known  map[DerivedKey][][]string // asked for, or added
	added  int
}

// storedLists is what a cache file of kindDerived holds.
type storedLists struct {
	strings stringTable
	keys    []byte // one after the other, sorted
	ends    u32s   // of each entry, in lists
	lists   []byte
}

// OpenDerived reads the cache of a directory; dir "" keeps nothing.
func OpenDerived(dir string, log *slog.Logger, now func() time.Time) *Derived {
	v := &Derived{cache: &cache{dir: dir, log: log, now: now}, known: map[DerivedKey][][]string{}}
	d, ok := v.cache.load(kindDerived, derivedKey)
	if !ok {
		return v
	}
	if v.stored = d.storedLists(); d.err != nil {
		v.cache.bad(kindDerived, derivedKey)
		v.stored = storedLists{}
	}
	return v
}

// Get returns the lists of a key; they are shared and never changed.
func (v *Derived) Get(key DerivedKey) (lists [][]string, found bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if lists, found = v.known[key]; found {
		return lists, true
	}
	n := v.stored.len()
	i := sort.Search(n, func(i int) bool { return bytes.Compare(v.stored.key(i), key[:]) >= 0 })
	if i == n || !bytes.Equal(v.stored.key(i), key[:]) {
		return nil, false
	}
	if lists, found = v.stored.read(i); !found {
		v.cache.bad(kindDerived, derivedKey)
		v.stored = storedLists{}
		return nil, false
	}
	v.known[key] = lists
	return lists, true
}

// Add keeps the lists of a key.
func (v *Derived) Add(key DerivedKey, lists ...[]string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.known[key] = lists
	v.added++
}

// Save writes what was added. Where several processes do, one of them wins and the others' work is done again some time.
func (v *Derived) Save() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.added == 0 || v.cache.dir == "" {
		return
	}
	v.added = 0
	all := make(map[DerivedKey][][]string, len(v.known)+v.stored.len())
	for key, lists := range v.known {
		all[key] = lists
	}
	for i := 0; i < v.stored.len() && len(all) < maxDerived; i++ {
		if lists, ok := v.stored.read(i); ok {
			all[DerivedKey(v.stored.key(i))] = lists
		}
	}
	e := v.cache.start(kindDerived, derivedKey)
	e.derived(all)
	v.cache.store(kindDerived, derivedKey, e)
}

func (s *storedLists) len() int { return s.ends.len() }

func (s *storedLists) key(i int) []byte { return s.keys[i*sha256.Size : (i+1)*sha256.Size] }

// read decodes an entry; false when it makes no sense.
func (s *storedLists) read(i int) (lists [][]string, ok bool) {
	from, to := s.ends.span(i)
	d := decoder{strings: s.strings, b: s.lists[from:to]}
	lists = make([][]string, d.count(1))
	for k := range lists {
		lists[k] = d.strs()
	}
	return lists, d.err == nil && d.left() == 0
}

// derived writes what storedLists reads.
func (e *encoder) derived(all map[DerivedKey][][]string) {
	keys := slices.SortedFunc(maps.Keys(all), func(a, b DerivedKey) int { return bytes.Compare(a[:], b[:]) })
	lists := e.fork()
	ends := make([]uint32, len(keys))
	for i, key := range keys {
		lists.count(len(all[key]))
		for _, one := range all[key] {
			lists.strs(one)
		}
		ends[i] = uint32(len(lists.body)) //nolint:gosec // entries are bounded, and so is a word
	}
	e.count(len(keys))
	for _, key := range keys {
		e.body = append(e.body, key[:]...)
	}
	e.u32s(ends)
	e.piece(lists.body)
}

func (d *decoder) storedLists() storedLists {
	s := storedLists{strings: d.strings}
	n := d.count(sha256.Size)
	s.keys = d.split(n * sha256.Size).b
	s.ends = d.u32s()
	s.lists = d.split(d.count(1)).b
	if d.err == nil && (s.ends.len() != n || n > 0 && !s.ends.rises(len(s.lists))) {
		d.fail()
	}
	return s
}
