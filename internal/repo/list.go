package repo

import (
	"context"
	"fmt"
)

// packageList is what a cache file of kindPackages says after its kind and key.
type packageList struct {
	file     FileID // the package list that was read
	problems []Problem
	sources  []*Package
	ix       *index
}

// packageList reads what listMaker.bytes wrote; nil when it makes no sense.
func (d *decoder) packageList(id string) *packageList {
	l := &packageList{d.fileID(), d.problems(id), d.packages(), d.index()}
	if d.err != nil {
		return nil
	}
	return l
}

// listMaker takes the packages of a package list, in its order, while it is read.
type listMaker struct {
	e      *encoder // the cache file
	settle *settler
	index  *indexMaker
	listed int // packages, sources and repeated ones too
	notes  []Problem
}

func (r *Repo) newListMaker() *listMaker {
	e := r.cache.start(kindPackages, r.digest)
	return &listMaker{e: e, settle: newSettler(e), index: newIndexMaker(e)}
}

func (m *listMaker) take(part primaryResult) {
	m.listed += len(part.packages)
	m.notes = append(m.notes, part.notes...)
	for _, p := range part.packages {
		if id, offered := m.settle.take(p); offered {
			m.index.add(p, id)
		}
	}
}

// bytes writes the cache file.
func (m *listMaker) bytes(id FileID, problems []Problem) []byte {
	m.e.fileID(id)
	m.e.problems(problems)
	m.e.packages(m.settle.sources)
	m.index.write(m.e)
	return m.e.bytes()
}

// readPrimary parses the package list. It returns the cache file, which answers at once.
func (r *Repo) readPrimary(ctx context.Context, k *disk, e dataEntry, id FileID) ([]byte, error) {
	m := r.newListMaker()
	reader := &metaReader[primaryResult]{
		root:   "metadata",
		item:   "package",
		window: firstWindow,
		sink:   func() chunkSink[primaryResult] { return newPrimarySink() },
		merge:  func(p primaryResult) { m.take(p) },
		open:   func() (*metaStream, error) { return k.open(ctx, e) },
	}
	declared, err := reader.read(ctx, func() { m = r.newListMaker() })
	if err != nil {
		return nil, err
	}
	for _, n := range m.notes {
		n.Repo, n.File = r.id, e.Location
		r.problems = append(r.problems, n)
	}
	if declared >= 0 && declared != m.listed+len(m.notes) {
		r.problem(Problem{File: e.Location, What: fmt.Sprintf("says that it has %d packages and has %d", declared, m.listed)})
	}
	for _, n := range r.md.Notes {
		r.problem(Problem{File: repomdPath, What: n, Note: true})
	}
	m.settle.tell(r, e.Location)
	body := m.bytes(id, r.problems)
	l := packageListOf(body, r.id)
	if l == nil {
		return nil, &Damage{r.id, e.Location, "has more than an index can hold", errCache}
	}
	r.serve(l)
	return body, nil
}

// packageListOf reads a whole cache file.
func packageListOf(body []byte, id string) *packageList {
	d := newDecoder(body)
	d.str() // kind and key: they were just written
	d.str()
	return d.packageList(id)
}

// settler sorts out source packages and repeated ones. Which of two different packages of one NEVRA a host would get is for nobody
// to guess: the first counts, and the second is a problem.
type settler struct {
	e        *encoder // whose strings tell packages apart
	first    map[build]packageID
	sources  []*Package
	repeated []Problem
	weak     int // packages with weak checksums only
}

func newSettler(e *encoder) *settler { return &settler{e: e, first: make(map[build]packageID)} }

// take tells whether a package is offered to hosts.
func (s *settler) take(p *Package) (packageID, bool) {
	if p.Arch == "src" || p.Arch == "nosrc" {
		s.sources = append(s.sources, p)
		return packageID{}, false
	}
	id := s.e.identify(p)
	before, again := s.first[id.build]
	if !again {
		s.first[id.build] = id
		if p.Checksum.Weak() {
			s.weak++
		}
		return id, true
	}
	if before.sumType != id.sumType || before.sum != id.sum || before.header != id.header {
		s.repeated = append(s.repeated, Problem{Package: p.NEVRA.String(),
			What: fmt.Sprintf("two different packages have this name: %s is used, %s is not", s.e.strings.at(before.location), p.Location)})
	}
	return packageID{}, false
}

// tell notes what was sorted out.
func (s *settler) tell(r *Repo, file string) {
	for _, p := range s.repeated {
		p.File = file
		r.problem(p)
	}
	if len(s.sources) > 0 {
		r.problem(Problem{File: file, What: fmt.Sprintf("%d source packages are not offered to hosts", len(s.sources)), Note: true})
	}
	if s.weak > 0 {
		r.problem(Problem{File: file, What: fmt.Sprintf("%d packages have MD5 or SHA-1 checksums only, which prove little; SHA-256 is computed from the files", s.weak), Note: true})
	}
}

func (r *Repo) problem(p Problem) {
	p.Repo = r.id
	r.problems = append(r.problems, p)
}
