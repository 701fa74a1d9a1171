package repo

import (
	"log/slog"
	"sync"
	"time"

	"cpacman/internal/rpm"
)

// kindHeaders is the cache of parsed headers; parsedKey is its only key.
const (
	kindHeaders = "headers"
	parsedKey   = "parsed"
)

// maxParsed is how many parsed headers are kept. Most fleets have a few thousand different packages; above the bound those that were not
// asked for since the process began are left out.
const maxParsed = 20_000

// Parsed keeps what was parsed from the headers of installed packages, so that planning need not read and parse the headers again: a
// cache like those of repositories, by the digest of the header, which is never another header's. It may be used by many goroutines.
type Parsed struct {
	cache *cache

	mu    sync.Mutex
	ix    *index                  // nil: nothing is kept
	known map[string]*rpm.Package // asked for, or added
	added int
}

// OpenParsed reads the cache of a directory; dir "" keeps nothing.
func OpenParsed(dir string, log *slog.Logger, now func() time.Time) *Parsed {
	p := &Parsed{cache: &cache{dir: dir, log: log, now: now}, known: map[string]*rpm.Package{}}
	d, ok := p.cache.load(kindHeaders, parsedKey)
	if !ok {
		return p
	}
	if p.ix = d.parsed(); p.ix == nil {
		p.cache.bad(kindHeaders, parsedKey)
	}
	return p
}

// Get returns the package of a header's digest, or nil. It is shared and never changed.
func (p *Parsed) Get(digest string) *rpm.Package {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.known[digest]; known != nil || p.ix == nil {
		return known
	}
	numbers := p.ix.locations.places(&p.ix.strings, digest)
	if len(numbers) == 0 {
		return nil
	}
	one := p.ix.read(uint32(numbers[0])) //nolint:gosec // checked when the cache was opened
	if one == nil || one.Package.Header != digest {
		p.cache.bad(kindHeaders, parsedKey)
		p.ix = nil
		return nil
	}
	p.known[digest] = one.Package
	return one.Package
}

// Add keeps a package under the digest of its header, which it has in Header.
func (p *Parsed) Add(one *rpm.Package) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known[one.Header] = one
	p.added++
}

// Save writes what was added. Where several processes do, one of them wins and the others' work is done again some time.
func (p *Parsed) Save() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.added == 0 || p.cache.dir == "" {
		return
	}
	p.added = 0
	var list []*Package
	for _, one := range p.known {
		list = append(list, &Package{Package: one})
	}
	if p.ix != nil {
		for i := range p.ix.n {
			if len(list) == maxParsed {
				break
			}
			if one := p.ix.read(uint32(i)); one != nil && p.known[one.Package.Header] == nil { //nolint:gosec // fewer than maxParsed
				list = append(list, one)
			}
		}
	}
	e := p.cache.start(kindHeaders, parsedKey)
	e.parsed(list)
	p.cache.store(kindHeaders, parsedKey, e)
}

// parsed writes packages one by one, to be found by the digests of their headers.
func (e *encoder) parsed(list []*Package) {
	records := recordMaker{e: e.fork()}
	headers := postings{stride: 1}
	for _, p := range list {
		id := e.identify(p)
		records.add(p, id)
		headers.add(id.header, 0)
		headers.next()
	}
	e.seal(records.size() + headers.size())
	records.write(e)
	w := newTableWriter(e)
	w.write(&headers, inOrder(len(list)))
}

func (d *decoder) parsed() *index {
	x := d.records()
	x.locations = d.table(x.n, 1)
	if d.err != nil {
		return nil
	}
	return x
}
