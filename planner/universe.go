package planner

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"

	"cpacman/internal/rpm"
)

// maxCandidates bounds a universe; the largest distribution today has about 80,000 builds in one view.
const maxCandidates = 4 << 20

// Universe is a view made ready for planning. It never changes after NewUniverse and may be used by any number of goroutines.
type Universe struct {
	sources    []Source
	advisories []Advisory
	cands      []candidate        // by source, in it by NEVRA and path: the order inside a file changes nothing
	place      [][]int32          // by source and index: the candidate, -1 for source packages
	byName     map[string][]int32 // newest first, then by priority, place of the repository, place in it
	provides   map[string][]providerRef
	files      map[string][]int32 // paths that primary metadata lists and somebody requires
	filePaths  map[string]bool    // every path that a candidate requires, conflicts with or recommends
	scanned    sync.Map           // path that only hosts require: []int32; a memo, it changes no answer
	obsoletes  map[string][]providerRef
	retracted  map[rpm.NEVRA]string // advisory ID
	listed     map[rpm.NEVRA][]int32
	byAdvisory map[rpm.NameArch][]advised
	modular    map[rpm.NEVRA][]string // "name:stream", sorted
	modNames   map[string][]string    // package name: streams that have it
}

// candidate is one package of the view.
type candidate struct {
	*Candidate
	source int32
	index  int32 // in its source
}

// advised is one package of an advisory.
type advised struct {
	evr      rpm.EVR
	advisory int32
}

// providerRef is a package and the place of one of its dependencies; dep < 0 is the package's own name and EVR.
type providerRef struct{ id, dep int32 }

// NewUniverse indexes a view. The view's packages are shared, not copied, and must not change afterwards.
func NewUniverse(v View) (*Universe, error) {
	u := &Universe{
		sources: v.Sources, advisories: v.Advisories,
		byName: map[string][]int32{}, provides: map[string][]providerRef{}, files: map[string][]int32{}, filePaths: map[string]bool{},
		obsoletes: map[string][]providerRef{}, retracted: map[rpm.NEVRA]string{}, listed: map[rpm.NEVRA][]int32{},
		byAdvisory: map[rpm.NameArch][]advised{}, modular: map[rpm.NEVRA][]string{}, modNames: map[string][]string{},
	}
	ids := map[string]bool{}
	for si := range v.Sources {
		src := &v.Sources[si]
		if ids[src.ID] {
			return nil, fmt.Errorf("repository %q stands twice in the view", src.ID)
		}
		ids[src.ID] = true
		if len(u.cands)+len(src.Packages) > maxCandidates {
			return nil, fmt.Errorf("repository %q: more than %d packages in the view", src.ID, maxCandidates)
		}
		if err := u.take(int32(si)); err != nil {
			return nil, err
		}
	}
	u.index()
	for i, a := range v.Advisories {
		for _, n := range a.Packages {
			u.byAdvisory[n.NameArch()] = append(u.byAdvisory[n.NameArch()], advised{n.EVR, int32(i)})
			u.listed[n] = append(u.listed[n], int32(i))
			if strings.EqualFold(a.Status, "retracted") {
				u.retracted[n] = a.ID
			}
		}
	}
	for _, m := range v.Modules {
		id := m.Name + ":" + m.Stream
		for _, n := range m.Artifacts {
			if !slices.Contains(u.modular[n], id) { // one build may belong to several streams
				u.modular[n] = append(u.modular[n], id)
				slices.Sort(u.modular[n])
			}
			if !slices.Contains(u.modNames[n.Name], id) {
				u.modNames[n.Name] = append(u.modNames[n.Name], id)
			}
		}
	}
	return u, nil
}

// take adds the packages of one source.
func (u *Universe) take(si int32) error {
	src := &u.sources[si]
	first := len(u.cands)
	for i := range src.Packages {
		c := &src.Packages[i]
		if c.Package == nil {
			return fmt.Errorf("repository %q: package %d is empty", src.ID, i)
		}
		if c.Arch != "src" && c.Arch != "nosrc" {
			u.cands = append(u.cands, candidate{Candidate: c, source: si, index: int32(i)})
		}
	}
	mine := u.cands[first:]
	slices.SortStableFunc(mine, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Arch, b.Arch), cmp.Compare(a.Epoch, b.Epoch),
			cmp.Compare(a.Version, b.Version), cmp.Compare(a.Release, b.Release), cmp.Compare(a.Path, b.Path))
	})
	place := make([]int32, len(src.Packages))
	for i := range place {
		place[i] = -1
	}
	for i := range mine {
		place[mine[i].index] = int32(first + i)
	}
	u.place = append(u.place, place)
	return nil
}

// index fills the look-up tables.
func (u *Universe) index() {
	provides := 0
	for id := range u.cands {
		provides += len(u.cands[id].Provides)
	}
	// Growing these maps would cost more than filling them.
	u.byName, u.provides = make(map[string][]int32, len(u.cands)), make(map[string][]providerRef, provides)
	for id := range u.cands {
		p := u.cands[id].Package
		ref := int32(id)
		u.byName[p.Name] = append(u.byName[p.Name], ref)
		self := false
		for i := range p.Provides {
			d := &p.Provides[i]
			u.provides[d.Name] = append(u.provides[d.Name], providerRef{ref, int32(i)})
			self = self || d.Name == p.Name && d.Sense == rpm.Equal && d.EVR == p.EVR
		}
		if !self {
			u.provides[p.Name] = append(u.provides[p.Name], providerRef{ref, -1})
		}
		for i := range p.Obsoletes {
			u.obsoletes[p.Obsoletes[i].Name] = append(u.obsoletes[p.Obsoletes[i].Name], providerRef{ref, int32(i)})
		}
		collectPaths(p, u.filePaths)
	}
	for id := range u.cands {
		for _, f := range u.cands[id].Files {
			if u.filePaths[f] {
				u.files[f] = append(u.files[f], int32(id))
			}
		}
	}
	for _, l := range u.byName {
		slices.SortStableFunc(l, func(a, b int32) int {
			ca, cb := &u.cands[a], &u.cands[b]
			return cmp.Or(rpm.Compare(cb.EVR, ca.EVR), cmp.Compare(ca.Arch, cb.Arch),
				cmp.Compare(u.sources[ca.source].Priority, u.sources[cb.source].Priority), cmp.Compare(ca.source, cb.source),
				cmp.Compare(ca.Version, cb.Version), cmp.Compare(ca.Release, cb.Release), cmp.Compare(ca.Path, cb.Path))
		})
	}
}

// Offers tells whether a source of the view has a build.
func (u *Universe) Offers(n rpm.NEVRA) bool {
	return slices.ContainsFunc(u.byName[n.Name], func(id int32) bool { return u.cands[id].NEVRA == n })
}

// listing returns the candidates whose known files include a path. Paths that only a host's packages name are not indexed ahead: they
// are looked for once.
func (u *Universe) listing(path string) []int32 {
	if u.filePaths[path] {
		return u.files[path]
	}
	if l, ok := u.scanned.Load(path); ok {
		return l.([]int32)
	}
	var out []int32
	for id := range u.cands {
		if slices.Contains(u.cands[id].Files, path) {
			out = append(out, int32(id))
		}
	}
	u.scanned.Store(path, out)
	return out
}

// collectPaths notes every file path that a package's dependencies name.
func collectPaths(p *rpm.Package, into map[string]bool) {
	for _, deps := range [...][]rpm.Dep{p.Requires, p.Conflicts} {
		for i := range deps {
			switch name := deps[i].Name; {
			case strings.HasPrefix(name, "/"):
				into[name] = true
			case strings.HasPrefix(name, "("):
				if r, err := rpm.ParseRich(name); err == nil {
					r.Leaves(func(d rpm.Dep) {
						if strings.HasPrefix(d.Name, "/") {
							into[d.Name] = true
						}
					})
				}
			}
		}
	}
}

// primaryPath tells whether createrepo puts a path into primary metadata, so that its absence there says something.
func primaryPath(p string) bool {
	return strings.HasPrefix(p, "/etc/") || strings.Contains(p, "bin/") || p == "/usr/lib/sendmail"
}
