package fleet

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"cpacman/planner"
)

// solve answers every group, side by side.
func (f *Fleet) solve(ctx context.Context, repos *Repos, groups []*group) error {
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(runtime.GOMAXPROCS(0))
	known := sharedSets{of: map[string]*planner.Result{}}
	for _, g := range groups {
		work.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			u, err := repos.Universe(ctx, g.view)
			if err != nil {
				return err
			}
			g.universe = u
			if g.err != nil {
				return nil
			}
			g.result, g.err = u.Solve(g.input, g.request)
			if errors.Is(g.err, planner.ErrNotBuilt) {
				return g.err
			}
			if g.err == nil {
				known.share(g.result)
			}
			return nil
		})
	}
	return work.Wait()
}

// sharedSets keeps one copy of what is the same in many answers: in a fleet whose hosts all differ, most are still to do the same. It may be used by
// many goroutines.
type sharedSets struct {
	mu sync.Mutex
	of map[string]*planner.Result // by the id of the set, the first that had it
}

// share gives an answer the set, and the packages, of another that has the same. Nobody changes them afterwards.
func (s *sharedSets) share(r *planner.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := s.of[r.Set.ID]
	if first == nil {
		s.of[r.Set.ID] = r
		return
	}
	r.Set = first.Set
	// Of two copies of a build, of different vendors, hosts may take one or the other.
	same := func(a, b planner.Used) bool { return a.Source == b.Source && a.Path == b.Path }
	if slices.EqualFunc(first.Packages, r.Packages, same) {
		r.Packages = first.Packages
	}
}
