package repo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sync/errgroup"

	"cpacman/internal/rpm"
)

// maxDirFiles bounds the RPMs of one directory; the largest distributions have about 100,000.
const maxDirFiles = 1_000_000

// dirEntry is one RPM file of a directory and what was read from it.
type dirEntry struct {
	path string
	id   FileID
	pkg  *Package // nil: a delta package, which is not offered
}

// openDirectory reads the headers of all RPMs below the directory, except those that the cache knows unchanged. Files that do
// not end in ".rpm", hidden files, and directories named repodata are not looked at.
func (r *Repo) openDirectory(ctx context.Context, k *disk) error {
	r.kind = KindDirectory
	entries, err := r.walk(ctx, k)
	if err != nil {
		return err
	}
	key := hex.EncodeToString(sha256Of(r.path))
	known := r.loadDirectory(key)
	var todo []*dirEntry
	for _, e := range entries {
		if old, ok := known[e.path]; ok && old.id == e.id {
			e.pkg = old.pkg
		} else {
			todo = append(todo, e)
		}
	}
	if err := readHeaders(ctx, k, todo); err != nil {
		return err
	}
	if len(todo) > 0 || len(known) != len(entries) {
		r.storeDirectory(key, entries)
	}
	r.offerDirectory(entries)
	return nil
}

// offerDirectory makes the repository of what was read.
func (r *Repo) offerDirectory(entries []*dirEntry) {
	h := sha256.New()
	settle := newSettler(newEncoder())
	r.packages = make([]*Package, 0, len(entries))
	for _, e := range entries {
		if e.pkg == nil {
			r.problem(Problem{File: e.path, What: "a delta package is not offered to hosts", Note: true})
			continue
		}
		fmt.Fprintf(h, "%s\x00%d\x00%s\n", e.path, e.id.Size, e.pkg.Package.Header)
		if _, offered := settle.take(e.pkg); offered {
			r.packages = append(r.packages, e.pkg)
		}
	}
	r.digest = hex.EncodeToString(h.Sum(nil))
	r.sources = settle.sources
	settle.tell(r, ".")
}

func sha256Of(s string) []byte {
	b := sha256.Sum256([]byte(s))
	return b[:]
}

// walk lists the RPM files in the order of their paths. Symbolic links to files are followed inside of the directory only, links to
// directories not at all: a loop, or a file read twice, would come of it.
func (r *Repo) walk(ctx context.Context, k *disk) ([]*dirEntry, error) {
	var out []*dirEntry
	err := fs.WalkDir(k.root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return &Damage{r.id, name, "cannot be read", err}
		}
		base := path.Base(name)
		hidden := strings.HasPrefix(base, ".") && name != "."
		if e.IsDir() {
			if hidden || base == "repodata" {
				return fs.SkipDir
			}
			return nil
		}
		if hidden || !strings.HasSuffix(base, ".rpm") {
			return nil
		}
		clean, err := cleanLocation(name)
		if err != nil || clean != name {
			return &Damage{r.id, name, "a file name that cannot be used", err}
		}
		st, err := k.root.Stat(name)
		if err != nil && e.Type()&fs.ModeSymlink != 0 {
			r.problem(Problem{File: name, What: "the symbolic link leads out of the repository or nowhere: ignored"})
			return nil
		}
		if err != nil {
			return &Damage{r.id, name, "cannot be read", err}
		}
		if !st.Mode().IsRegular() {
			r.problem(Problem{File: name, What: "not a regular file: ignored"})
			return nil
		}
		if len(out) == maxDirFiles {
			return &Damage{r.id, name, fmt.Sprintf("more than %d packages", maxDirFiles), nil}
		}
		out = append(out, &dirEntry{path: name, id: identity(st)})
		return nil
	})
	var d *Damage
	if err != nil && !errors.As(err, &d) {
		err = &Damage{r.id, ".", "cannot be read", err}
	}
	return out, err
}

// readHeaders reads the headers of files, two at a time. The first damaged file ends it: a directory that lacks a package would
// look older than it is.
func readHeaders(ctx context.Context, k *disk, todo []*dirEntry) error {
	g, ctx := errgroup.WithContext(ctx)
	for w := range scanWorkers {
		g.Go(func() error {
			for i := w; i < len(todo); i += scanWorkers {
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := readEntry(k, todo[i]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// readEntry reads one file's header.
func readEntry(k *disk, e *dirEntry) error {
	f, err := k.root.OpenFile(e.path, os.O_RDONLY|nonblock, 0)
	if err != nil {
		what, cause := missing(err)
		return &Damage{k.id, e.path, what, cause}
	}
	defer f.Close() //nolint:errcheck // opened for reading
	file, err := rpm.ReadPackageHeaders(f)
	if err != nil {
		return &Damage{k.id, e.path, "is no whole RPM package", err}
	}
	if err = checkHeader(file); err == nil {
		err = checkWhole(file, e.id.Size)
	}
	if err != nil {
		return &Damage{k.id, e.path, "damaged", err}
	}
	if file.Header.IsDelta() {
		return nil
	}
	p, err := file.Header.Package()
	if err == nil {
		err = checkNEVRA(p.NEVRA)
	}
	if err != nil {
		return &Damage{k.id, e.path, "has a header that makes no sense", err}
	}
	e.pkg = &Package{Package: p, Location: e.path, Size: e.id.Size}
	return nil
}

func (r *Repo) loadDirectory(key string) map[string]*dirEntry {
	d, ok := r.cache.load(kindDirectory, key)
	if !ok {
		return nil
	}
	entries := make(map[string]*dirEntry)
	var offered []*dirEntry
	for range d.count(7) {
		e := &dirEntry{path: d.str(), id: d.fileID()}
		entries[e.path] = e
		if d.bool() {
			offered = append(offered, e)
		}
	}
	packages := d.packages()
	if d.err != nil || len(packages) != len(offered) {
		r.cache.bad(kindDirectory, key)
		return nil
	}
	for i, e := range offered {
		e.pkg = packages[i]
	}
	return entries
}

// storeDirectory writes the cache. It also swaps the packages for what the cache would give back: headers bring a copy of
// every string each, the index has one of each.
func (r *Repo) storeDirectory(key string, entries []*dirEntry) {
	e := r.cache.start(kindDirectory, key)
	var packages []*Package
	e.count(len(entries))
	for _, x := range entries {
		e.str(x.path)
		e.fileID(x.id)
		e.bool(x.pkg != nil)
		if x.pkg != nil {
			packages = append(packages, x.pkg)
		}
	}
	e.packages(packages)
	r.cache.store(kindDirectory, key, e)

	compact := newEncoder()
	compact.packages(packages)
	lean := newDecoder(compact.bytes()).packages()
	for _, x := range entries {
		if x.pkg != nil && len(lean) > 0 {
			x.pkg, lean = lean[0], lean[1:]
		}
	}
}
