package fleet

import (
	"context"
	"sync"

	"cpacman/internal/repo"
)

// atHand tells whether files of packages are below their repositories. Each is looked for once; it may be asked by many goroutines.
type atHand struct {
	ctx   context.Context //nolint:containedctx // of the one plan that it is made for
	repos *Repos

	mu    sync.Mutex
	dirs  map[string]*repo.Dir
	known map[[2]string]bool
}

func newAtHand(ctx context.Context, repos *Repos) *atHand {
	return &atHand{ctx: ctx, repos: repos, dirs: map[string]*repo.Dir{}, known: map[[2]string]bool{}}
}

// has tells whether a package's file is there, as long as metadata say.
func (a *atHand) has(id, path string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := [2]string{id, path}
	there, looked := a.known[key]
	if !looked {
		there = a.look(id, path)
		a.known[key] = there
	}
	return there
}

func (a *atHand) look(id, path string) bool {
	at, err := a.repos.At(a.ctx, id, path)
	if err != nil {
		return false
	}
	dir, opened := a.dirs[id]
	if !opened {
		dir, _ = at.Repo.OpenDir() // then none of its files is there either
		a.dirs[id] = dir
	}
	if dir == nil {
		return false
	}
	_, err = dir.FileID(at.Package)
	return err == nil
}

func (a *atHand) close() {
	for _, d := range a.dirs {
		if d != nil {
			d.Close()
		}
	}
}
