package main

import (
	"context"

	"cpacman/internal/fleet"
	"cpacman/internal/host"
	"cpacman/internal/store"
	"cpacman/inventory"
)

// factsAhead are the stored facts of all hosts, read while their inventory is: for a large fleet both take a while, and neither needs the other.
type factsAhead struct {
	opened, end chan struct{} // nil: not begun
	store       *store.Store  // nil: it could not be opened without further ado
	facts       map[string]*host.Facts
	err         error // of facts
}

// load is inventory.Load, and begins to read the facts.
func (a *factsAhead) load(ctx context.Context, dir string) (*inventory.Site, error) {
	loader := inventory.NewLoader()
	loader.Begin = func(stateDir string) { a.begin(ctx, stateDir) }
	return loader.Load(dir)
}

func (a *factsAhead) begin(ctx context.Context, stateDir string) {
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
func (a *factsAhead) state() *store.Store {
	if a == nil || a.opened == nil {
		return nil
	}
	<-a.opened
	return a.store
}

// wait waits until nothing is read any more.
func (a *factsAhead) wait() {
	if a != nil && a.end != nil {
		<-a.end
	}
}

// abandon closes what nobody took.
func (a *factsAhead) abandon() {
	if a.wait(); a != nil && a.store != nil {
		a.store.Close()
	}
}
