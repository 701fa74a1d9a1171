package fleet

import (
	"context"
	"sync"

	"cpacman/internal/store"
	"cpacman/inventory"
)

// Ahead is what a plan from stored facts needs beside them.
type Ahead struct {
	read     func() // reads what follows, once
	work     sync.WaitGroup
	contacts map[string]store.Contact // of hosts whose last attempt failed; the others tell nothing
	ids      *Identities
	err      error
	view     sync.WaitGroup
}

// ReadAhead begins to read what a plan needs beside facts, which take as long in a large fleet. first is a host that will be in it, or nil: the
// repositories that it may have are read too. Faults are told by whoever needs what was read. The caller waits for the end.
func (f *Fleet) ReadAhead(ctx context.Context, repos *Repos, first *inventory.Host) *Ahead {
	a := &Ahead{}
	a.read = sync.OnceFunc(func() { a.contacts, a.ids, a.err = f.beside(ctx) })
	if first != nil {
		f.readView(ctx, repos, first, &a.view)
	}
	if len(f.Site.Hosts) >= hostsBeside {
		a.work.Go(a.read)
	}
	return a
}

// hostsBeside is from how many hosts on it pays to read side by side: that takes another connection to the database, which costs a millisecond.
const hostsBeside = 1000

// ReadView begins to read the repositories of a host, unless its facts are needed to say which those are: then it is false. The caller waits for the end.
func (f *Fleet) ReadView(ctx context.Context, repos *Repos, h *inventory.Host, work *sync.WaitGroup) bool {
	asked := false
	view := f.Site.ReposFor(h, func(*inventory.Host, string) []string {
		asked = true
		return nil
	})
	if asked || len(view) == 0 {
		return false
	}
	work.Go(func() { _, _ = repos.Universe(ctx, view) })
	return true
}

// readView begins to read the repositories of a host.
func (f *Fleet) readView(ctx context.Context, repos *Repos, h *inventory.Host, work *sync.WaitGroup) {
	facts, err := f.Store.ShortFacts(ctx, h.Name)
	if err != nil || f.now().Sub(facts.CollectedAt) > f.Site.Facts.MaxAge {
		return
	}
	if view := f.View(h, facts); len(view) > 0 {
		work.Go(func() { _, _ = repos.Universe(ctx, view) })
	}
}

// beside reads what is known of hosts beside their facts.
func (f *Fleet) beside(ctx context.Context) (map[string]store.Contact, *Identities, error) {
	contacts, err := f.Store.FailedContacts(ctx)
	if err != nil {
		return nil, nil, err
	}
	ids, err := f.oddIdentities(ctx)
	return contacts, ids, err
}

// known waits for what is known beside facts.
func (a *Ahead) known() (map[string]store.Contact, *Identities, error) {
	a.work.Wait()
	a.read()
	return a.contacts, a.ids, a.err
}

// Wait waits until nothing is read any more.
func (a *Ahead) Wait() {
	a.work.Wait()
	a.view.Wait()
}
