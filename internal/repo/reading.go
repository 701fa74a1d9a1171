package repo

import (
	"context"
	"fmt"
	"os"
	"sync"

	"cpacman/internal/rpm"
)

// at returns the package of a number, reading it from the index when nobody did before. Others read beside it; everybody gets the same package.
func (r *Repo) at(number uint32) *Package {
	if p := r.known(number); p != nil {
		return p
	}
	p := r.ix.read(number)
	r.read.Lock()
	defer r.read.Unlock()
	switch {
	case r.packages[number] != nil:
	case p != nil:
		r.packages[number] = p
		r.unread--
	default:
		r.mend()
	}
	return r.packages[number]
}

// known returns the package of a number when somebody read it before, else nil.
func (r *Repo) known(number uint32) *Package {
	r.read.Lock()
	defer r.read.Unlock()
	return r.packages[number]
}

// number returns the number of a package, which was given out before.
func (r *Repo) number(p *Package) (int32, bool) {
	r.read.Lock()
	defer r.read.Unlock()
	n, ok := r.numbers[p]
	if ok {
		return n, true
	}
	r.numbers = make(map[*Package]int32, len(r.packages)) // again where packages were read since: seldom, and all at once
	for i, q := range r.packages {
		if q != nil {
			r.numbers[q] = int32(i) //nolint:gosec // fewer than 2^31 packages
		}
	}
	n, ok = r.numbers[p]
	return n, ok
}

// readAll reads what was not read yet. It needs read.
func (r *Repo) readAll() {
	if r.unread == 0 {
		return
	}
	var wg sync.WaitGroup
	bad := make([]bool, scanWorkers)
	for w := range scanWorkers {
		wg.Go(func() {
			for i := w; i < len(r.packages); i += scanWorkers {
				if r.packages[i] == nil {
					r.packages[i] = r.ix.read(uint32(i)) //nolint:gosec // fewer than 2^31 packages
					bad[w] = bad[w] || r.packages[i] == nil
				}
			}
		})
	}
	wg.Wait()
	r.unread = 0
	for _, b := range bad {
		if b {
			r.mend()
			return
		}
	}
}

// mend reads the repository again after its index turned out to be damaged in spite of its checksum, and drops that index. It needs read.
// What was given out stays as it is.
func (r *Repo) mend() {
	if r.fault != nil {
		return
	}
	r.cache.bad(kindPackages, r.digest)
	if r.cache.dir != "" {
		_ = os.Remove(r.cache.file(kindPackages, r.digest)) // else the next process finds it so again
	}
	fresh, err := r.again()
	if err == nil && len(fresh) != len(r.packages) {
		err = &Damage{r.id, ".", "the index has another number of packages than the package list", errCache}
	}
	if err != nil {
		r.fault = fmt.Errorf("repository %s: its index was damaged and is removed, and reading it again failed: %w", r.id, err)
	}
	for i := range r.packages {
		switch {
		case r.packages[i] != nil:
		case err == nil:
			r.packages[i] = fresh[i]
		default:
			r.packages[i] = &Package{Package: &rpm.Package{}}
		}
	}
	r.unread = 0
	if err == nil {
		// Tables of the same file are not to be trusted either, nor is what was already read.
		r.fault = fmt.Errorf("repository %s: its index was damaged and is removed; try again", r.id)
	}
}

// again parses the package list anew.
func (r *Repo) again() ([]*Package, error) {
	fresh, k, err := prepare(Config{ID: r.id, Path: r.path}, r.opt)
	if err != nil {
		return nil, err
	}
	defer k.root.Close() //nolint:errcheck // opened for reading
	e, err := r.md.primary(r.id)
	if err != nil {
		return nil, err
	}
	fresh.md, fresh.digest = r.md, r.digest
	if _, err := fresh.readPrimary(context.Background(), k, e, FileID{}); err != nil {
		return nil, err
	}
	list := make([]*Package, fresh.ix.n)
	for i := range list {
		if list[i] = fresh.ix.read(uint32(i)); list[i] == nil { //nolint:gosec // fewer than 2^31 packages
			return nil, &Damage{r.id, e.Location, "has a package that the index cannot hold", errCache}
		}
	}
	return list, nil
}
