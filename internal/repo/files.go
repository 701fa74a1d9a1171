package repo

import (
	"context"
	"regexp"
	"slices"
	"strings"
)

// LoadFiles reads the complete file lists, once; the other questions about files do it when they need it. In a directory of RPMs
// there is nothing to read. A repository whose file lists are absent, or that names none, gives a *Damage.
func (r *Repo) LoadFiles(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.loadFiles(ctx)
}

// loadFiles needs mu.
func (r *Repo) loadFiles(ctx context.Context) error {
	if r.files != nil || r.kind == KindDirectory {
		return nil
	}
	e, err := r.md.filelists(r.id)
	if err != nil {
		return err
	}
	k, err := r.disk()
	if err != nil {
		return err
	}
	defer k.root.Close() //nolint:errcheck // opened for reading
	if d, ok := r.cache.load(kindFiles, r.digest); ok {
		if x := decodeFiles(d, len(r.packages)); x != nil {
			x.link()
			r.files = x
			return nil
		}
		r.cache.bad(kindFiles, r.digest)
	}
	x, err := r.readFilelists(ctx, k, e)
	if err != nil {
		return err
	}
	if r.cache.dir != "" {
		enc := r.cache.start(kindFiles, r.digest)
		x.encode(enc)
		r.cache.store(kindFiles, r.digest, enc)
	}
	x.link()
	r.files = x
	return nil
}

// FilesOf lists all paths of a package, in the order of the metadata; the list is the caller's. Nothing but a complete list is ever
// given.
func (r *Repo) FilesOf(p *Package) ([]string, error) {
	if p.FilesComplete {
		return slices.Clone(p.Files), nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.loadFiles(context.Background()); err != nil {
		return nil, err
	}
	n, ok := r.number(p)
	if !ok || r.files.ranges[n][0] == noEntries {
		e, _ := r.md.find("filelists")
		return nil, &Damage{r.id, e.Location, "the file lists lack package " + p.NEVRA.String(), nil}
	}
	g := r.files.ranges[n]
	out := make([]string, 0, g[1]-g[0])
	for e := g[0]; e < g[1]; e++ {
		out = append(out, r.files.path(e))
	}
	return out, nil
}

// inPrimaryList is createrepo's rule for the files that primary.xml carries; libsolv relies on it as well.
var inPrimaryList = regexp.MustCompile(`^(.*bin/.*|/etc/.*|/usr/lib/sendmail)$`)

// InPrimary tells paths that the package list alone should have for all packages, so that no file lists are opened for them.
func InPrimary(path string) bool { return inPrimaryList.MatchString(path) }

// primaryKind sorts the paths of a package list: those of configuration, and the rest, which are programs.
func primaryKind(path string) int {
	if strings.HasPrefix(path, "/etc/") {
		return 0
	}
	return 1
}

// listsAny tells whether the package list has any path of the kind that a path is of. Where it has none its maker may leave them out, as some
// registries do, which list programs only or nothing.
func (x *index) listsAny(path string) bool {
	x.kinds.Do(func() {
		for i := 0; i < x.listed.keys.len() && x.lists != [2]bool{true, true}; i++ {
			if path := x.strings.at(x.listed.keys.at(i)); InPrimary(path) {
				x.lists[primaryKind(path)] = true
			}
		}
	})
	return x.lists[primaryKind(path)]
}

// ProvidersOf lists the packages that have a file, directory or ghost of that path, in the order of Packages. The complete file lists
// are read only for paths that the package list does not carry, or seems to leave out. Where the repository names none, as it may, nobody carries more than the package
// list says; Problems tells it.
func (r *Repo) ProvidersOf(path string) ([]*Package, error) {
	numbers, err := r.carriers(path)
	var out []*Package
	for _, n := range numbers {
		out = append(out, r.at(uint32(n))) //nolint:gosec // a number of a package
	}
	return out, err
}

// Carriers is ProvidersOf for places.
func (l Lookup) Carriers(path string) ([]int32, error) {
	numbers, err := l.r.carriers(path)
	return l.Places(numbers), err
}

// carriers gives the numbers of the packages that have a path, each once, in order.
func (r *Repo) carriers(path string) ([]int32, error) {
	if !strings.HasPrefix(path, "/") {
		return nil, nil
	}
	l := r.Lookup()
	numbers := l.Lists(path)
	if r.kind == KindDirectory || !r.md.namesFilelists() || InPrimary(path) && (len(numbers) > 0 || l.ix.listsAny(path)) {
		for i, place := range numbers {
			numbers[i] = int32(l.ix.order.at(int(place))) //nolint:gosec // fewer than 2^31 packages
		}
		slices.Sort(numbers)
		return slices.Compact(numbers), nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.loadFiles(context.Background()); err != nil {
		return nil, err
	}
	numbers = numbers[:0]
	for _, n := range r.files.find(path) {
		numbers = append(numbers, int32(n)) //nolint:gosec // as above
	}
	slices.Sort(numbers)
	return slices.Compact(numbers), nil
}
