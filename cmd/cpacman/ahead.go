package main

import (
	"context"
	"sync"

	"cpacman/internal/fleet"
	"cpacman/internal/host"
	"cpacman/internal/store"
	"cpacman/inventory"
)

// readAhead is what a plan from stored facts needs, read as soon as it is known what that is: the facts of all hosts beside the inventory, since for a large
// fleet both take a while, and the repositories of a host beside the state.
type readAhead struct {
	opened, end chan struct{} // nil: not begun
	store       *store.Store  // nil: it could not be opened without further ado
	facts       map[string]*host.Facts
	err         error // of facts
	view        sync.WaitGroup
	viewed      bool // a view is read, or was
}

// load is inventory.Load, and begins to read the facts.
func (a *readAhead) load(ctx context.Context, dir string) (*inventory.Site, error) {
	loader := inventory.NewLoader()
	loader.Begin = func(stateDir string) { a.begin(ctx, stateDir) }
	return loader.Load(dir)
}

func (a *readAhead) begin(ctx context.Context, stateDir string) {
	a.opened, a.end = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(a.end)
		st, err := store.OpenReady(ctx, stateDir)
		if err == nil {
			a.store = st
		}
		close(a.opened)
		if err == nil {
			a.facts, a.err = fleet.PlanFacts(ctx, st)
		}
	}()
}

// state is the state that the facts are read from, or nil; it is the caller's.
func (a *readAhead) state() *store.Store {
	if a.opened == nil {
		return nil
	}
	<-a.opened
	return a.store
}

// readView begins to read the repositories of the first host of a session that is planned, where nothing else has a say in which those are.
func (a *readAhead) readView(s *session) {
	s.repos.ShortLived()
	if first := s.firstPlanned(); first != nil && len(s.c.StringSlice("repo-at")) == 0 {
		a.viewed = s.fleet.ReadView(s.ctx, s.repos, first, &a.view)
	}
}

// wait waits until nothing is read any more.
func (a *readAhead) wait() {
	if a == nil {
		return
	}
	if a.end != nil {
		<-a.end
	}
	a.view.Wait()
}

// abandon closes what nobody took. It does not wait for repositories: for the first time that takes long, and there is an error to be told.
func (a *readAhead) abandon() {
	if a.end != nil {
		<-a.end
	}
	if a.store != nil {
		a.store.Close()
	}
}
