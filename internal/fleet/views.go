package fleet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"cpacman/internal/repo"
	"cpacman/internal/rpm"
	"cpacman/inventory"
	"cpacman/planner"
)

// Repos are the repositories of a site, each opened at most once, and the universes built from them. It may be used by many
// goroutines.
type Repos struct {
	site  *inventory.Site
	opt   repo.Options
	moved map[string]string // by id: another directory than the site's

	mu        sync.Mutex
	open      map[string]*opening
	universes map[string]*universe
}

type opening struct {
	once sync.Once
	repo *repo.Repo
	err  error
}

type universe struct {
	once  sync.Once
	value *planner.Universe
	err   error
}

// Located is a package of one repository.
type Located struct {
	Repo    *repo.Repo
	Package *repo.Package
}

// NewRepos prepares the repositories of the Fleet's site; nothing is read yet.
func (f *Fleet) NewRepos() *Repos {
	return &Repos{
		site: f.Site, open: map[string]*opening{}, universes: map[string]*universe{},
		opt: repo.Options{CacheDir: filepath.Join(f.Site.StateDir, "repos"), Logger: f.log},
	}
}

// ShortLived tells that the process ends soon: repo.Options.Mapped. It is called before anything is opened.
func (r *Repos) ShortLived() { r.opt.Mapped = true }

// Relocate reads repositories from other directories than the site says, by id: an earlier state of a repository is another directory
// (PLAN-12). It is called before anything is opened.
func (r *Repos) Relocate(at map[string]string) error {
	for id := range at {
		if r.site.Repo(id) == nil {
			return fmt.Errorf("repository %s is not in the site", id)
		}
	}
	r.moved = at
	return nil
}

// Moved gives the directory that Relocate set for a repository, "" for none.
func (r *Repos) Moved(id string) string { return r.moved[id] }

// Open opens one repository of the site.
func (r *Repos) Open(ctx context.Context, id string) (*repo.Repo, error) {
	return r.openWith(ctx, id, false)
}

// openWith opens a repository; with advisories they are read at once, where it is not open yet.
func (r *Repos) openWith(ctx context.Context, id string, advisories bool) (*repo.Repo, error) {
	cfg := r.site.Repo(id)
	if cfg == nil {
		return nil, fmt.Errorf("repository %s is not in the site", id)
	}
	r.mu.Lock()
	o := r.open[id]
	if o == nil {
		o = &opening{}
		r.open[id] = o
	}
	r.mu.Unlock()
	o.once.Do(func() {
		path := cfg.Path
		if at := r.moved[id]; at != "" {
			path = at
		}
		opt := r.opt
		opt.Advisories = advisories
		o.repo, o.err = repo.Open(ctx, repo.Config{ID: cfg.ID, Path: path}, opt)
		if o.err != nil && !IsDamage(o.err) { // which names the repository
			o.err = fmt.Errorf("open repository %s: %w", id, o.err)
		}
		if o.err != nil && path != cfg.Path {
			o.err = fmt.Errorf("%w (%w)", o.err, ErrMoved)
		}
	})
	return o.repo, o.err
}

// ErrMoved marks errors of a repository that is read from another directory than the site's.
var ErrMoved = errors.New("read there because of --repo-at")

// OpenAll opens the named repositories side by side and returns them in the given order, or the first error.
func (r *Repos) OpenAll(ctx context.Context, ids []string) ([]*repo.Repo, error) {
	return r.openAll(ctx, ids, false)
}

func (r *Repos) openAll(ctx context.Context, ids []string, advisories bool) ([]*repo.Repo, error) {
	out := make([]*repo.Repo, len(ids))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, id := range ids {
		group.Go(func() (err error) {
			out[i], err = r.openWith(ctx, id, advisories)
			return err
		})
	}
	return out, group.Wait()
}

// IDs names every repository of the site in its order.
func (r *Repos) IDs() []string {
	ids := make([]string, len(r.site.Repos))
	for i := range r.site.Repos {
		ids[i] = r.site.Repos[i].ID
	}
	return ids
}

// Find returns where a NEVRA is offered in any repository of the site, in the order of the site.
func (r *Repos) Find(ctx context.Context, n rpm.NEVRA) ([]Located, error) {
	return r.search(ctx, n.Name, func(p rpm.NEVRA) bool { return p == n })
}

// FindAnyEpoch is Find for a package whose epoch is not known.
func (r *Repos) FindAnyEpoch(ctx context.Context, n rpm.NEVRA) ([]Located, error) {
	n.Epoch = 0
	return r.search(ctx, n.Name, func(p rpm.NEVRA) bool {
		p.Epoch = 0
		return p == n
	})
}

// search returns the packages of a name that fit, in the order of the site.
func (r *Repos) search(ctx context.Context, name string, fits func(rpm.NEVRA) bool) ([]Located, error) {
	repos, err := r.OpenAll(ctx, r.IDs())
	if err != nil {
		return nil, err
	}
	var out []Located
	for _, one := range repos {
		l := one.Lookup()
		for _, place := range l.Named(name) {
			if p := l.At(place); fits(p.NEVRA) {
				out = append(out, Located{one, p})
			}
		}
		if err := l.Err(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// At returns the package at a path of a repository.
func (r *Repos) At(ctx context.Context, id, path string) (Located, error) {
	one, err := r.Open(ctx, id)
	if err != nil {
		return Located{}, err
	}
	l := one.Lookup()
	p, found := l.Located(path)
	if err := l.Err(); err != nil {
		return Located{}, err
	}
	if found {
		return Located{one, p}, nil
	}
	return Located{}, fmt.Errorf("repository %s has no package at %s", id, path)
}

// File returns the absolute path of the package's file, which exists, is a regular file inside its repository, and has the size that
// metadata gives.
func (l Located) File() (string, error) {
	path, err := l.Repo.FilePath(l.Package)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() || l.Package.Size >= 0 && info.Size() != l.Package.Size {
		return "", fmt.Errorf("%s has %d bytes and metadata says %d", path, info.Size(), l.Package.Size)
	}
	return path, nil
}

// ViewID names a view by what it consists of.
func ViewID(view []inventory.Repo) string {
	ids := make([]string, len(view))
	for i := range view {
		ids[i] = view[i].ID
	}
	return strings.Join(ids, " ")
}

// Universe builds, once, what the planner searches for the hosts of a view.
func (r *Repos) Universe(ctx context.Context, view []inventory.Repo) (*planner.Universe, error) {
	id := ViewID(view)
	r.mu.Lock()
	u := r.universes[id]
	if u == nil {
		u = &universe{}
		r.universes[id] = u
	}
	r.mu.Unlock()
	u.once.Do(func() {
		v, err := r.view(ctx, view)
		if err != nil {
			u.err = err
			return
		}
		if u.value, err = planner.NewUniverse(v); err != nil {
			u.err = fmt.Errorf("prepare the view %q: %w", id, err)
		}
	})
	return u.value, u.err
}

// view turns repositories into the planner's words.
func (r *Repos) view(ctx context.Context, view []inventory.Repo) (planner.View, error) {
	var v planner.View
	ids := make([]string, len(view))
	for i := range view {
		ids[i] = view[i].ID
	}
	repos, err := r.openAll(ctx, ids, true)
	if err != nil {
		return v, err
	}
	v.Clash = (&clashes{ctx: ctx, repos: r}).of
	for i, one := range repos {
		cfg := view[i]
		source := planner.Source{ID: cfg.ID, Priority: cfg.Priority, Auto: cfg.Auto, Exclude: cfg.Exclude, Only: cfg.Only, MinAge: cfg.MinAge}
		x := index{one.Lookup()}
		source.Index, source.Files = x, x
		v.Sources = append(v.Sources, source)
		found, err := one.Notices()
		if err != nil {
			return v, fmt.Errorf("read advisories of %s: %w", cfg.ID, err)
		}
		v.Notices = append(v.Notices, notices{found})
		modules, _, err := one.Modules()
		if err != nil {
			return v, fmt.Errorf("read module streams of %s: %w", cfg.ID, err)
		}
		for _, m := range modules {
			v.Modules = append(v.Modules, planner.ModuleStream{
				Name: m.Name, Stream: m.Stream, Artifacts: m.Artifacts, Needs: m.Requires, Demodularized: m.Demodularized,
			})
		}
	}
	return v, nil
}

// notices lets the planner look into the advisories of a repository.
type notices struct{ repo.Notices }

// Naming implements planner.Notices.
func (x notices) Naming(name string, yield func(rpm.NEVRA, *planner.Advisory)) {
	x.Notices.Naming(name, func(n rpm.NEVRA, a repo.Notice) {
		yield(n, &planner.Advisory{ID: a.ID, Type: a.Type, Severity: a.Severity, Status: a.Status, CVEs: a.CVEs, Streams: a.Streams})
	})
}

// index lets the planner look into a repository, and ask for the carriers of a path.
type index struct{ repo.Lookup }

// At implements planner.Index.
func (x index) At(place int32) planner.Candidate {
	p := x.Lookup.At(place)
	return planner.Candidate{Package: p.Package, Path: p.Location, Checksum: planner.Checksum(p.Checksum), Size: x.SizeOf(p)}
}

// Providers implements planner.FileSource.
func (x index) Providers(path string) ([]int, error) {
	places, err := x.Carriers(path)
	out := make([]int, len(places))
	for i, p := range places {
		out[i] = int(p)
	}
	return out, err
}
