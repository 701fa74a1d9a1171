package fleet

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"

	"cpacman/internal/store"
	"cpacman/inventory"
)

// Ahead is what a plan from stored facts needs beside them.
type Ahead struct {
	work     *errgroup.Group
	contacts map[string]store.Contact // of hosts whose last attempt failed; the others tell nothing
	ids      *Identities
	view     sync.WaitGroup
}

// ReadAhead begins to read what a plan needs beside facts, which take as long in a large fleet. first is a host that will be in it, or nil: the
// repositories that it may have are read too. Faults are told by whoever needs what was read. The caller waits for the end.
func (f *Fleet) ReadAhead(ctx context.Context, repos *Repos, first *inventory.Host) *Ahead {
	a := f.readAhead(ctx)
	if first != nil {
		a.view.Go(func() {
			facts, err := f.Store.ShortFacts(ctx, first.Name)
			if err != nil || f.now().Sub(facts.CollectedAt) > f.Site.Facts.MaxAge {
				return
			}
			if view := f.View(first, facts); len(view) > 0 {
				_, _ = repos.Universe(ctx, view)
			}
		})
	}
	return a
}

func (f *Fleet) readAhead(ctx context.Context) *Ahead {
	a := &Ahead{}
	a.work, ctx = errgroup.WithContext(ctx)
	a.work.Go(func() (err error) {
		a.contacts, err = f.Store.FailedContacts(ctx)
		return err
	})
	a.work.Go(func() (err error) {
		a.ids, err = f.oddIdentities(ctx)
		return err
	})
	return a
}

// known waits for contacts and identities.
func (a *Ahead) known() (map[string]store.Contact, *Identities, error) {
	err := a.work.Wait()
	return a.contacts, a.ids, err
}

// Wait waits until nothing is read any more.
func (a *Ahead) Wait() {
	_ = a.work.Wait() // told by known
	a.view.Wait()
}
