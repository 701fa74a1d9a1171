package fleet

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"cpacman/internal/host"
	"cpacman/internal/store"
	"cpacman/inventory"
	"cpacman/transport"
)

// FactsResult is how asking one host ended.
type FactsResult struct {
	Host      *inventory.Host
	Facts     *host.Facts // without packages, which are stored; nil after an error
	Unchanged bool        // the listing was skipped: the database is what it was (FACT-2)
	Headers   int         // headers this host sent (FACT-3)
	Err       error
	Took      time.Duration
}

// CollectOptions of CollectFacts.
type CollectOptions struct {
	Force    bool              // list even where the database did not change
	Observe  func(FactsResult) // called as hosts answer, one at a time; may be nil
	NoHeader bool              // leave unknown headers where they are
}

// CollectFacts asks hosts, many at once, and stores what they answer. One host's failure is its own: the error returned is of the
// control host alone. Results are in the order of hosts.
func (f *Fleet) CollectFacts(ctx context.Context, repos *Repos, hosts []*inventory.Host, opt CollectOptions) ([]FactsResult, error) {
	shares, err := f.newShares(repos)
	if err != nil {
		return nil, err
	}
	results := make([]FactsResult, len(hosts))
	var mu sync.Mutex
	var failed error
	turns := make(turns, 2*runtime.GOMAXPROCS(0))
	f.Each(ctx, len(hosts), func(i int) {
		r, err := f.collectOne(ctx, shares, turns, hosts[i], opt)
		if r.Facts != nil {
			// Package lists are in the store, once for all that have the same; here they would cost memory by the host.
			short := *r.Facts
			short.Packages = nil
			r.Facts = &short
		}
		mu.Lock()
		defer mu.Unlock()
		results[i] = r
		failed = errors.Join(failed, err)
		if opt.Observe != nil {
			opt.Observe(r)
		}
	})
	if err := errors.Join(failed, ctx.Err()); err != nil {
		return results, err
	}
	if !opt.NoHeader {
		f.fetchRest(ctx, shares, results)
	}
	return results, errors.Join(shares.failed(), ctx.Err())
}

// Each runs fn for 0…n-1, as many at once as the site's limit of connections.
func (f *Fleet) Each(ctx context.Context, n int, fn func(i int)) {
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(n, f.Site.Limits.Connections) {
		workers.Go(func() {
			for i := range next {
				fn(i)
			}
		})
	}
	for i := range n {
		select {
		case next <- i:
		case <-ctx.Done():
			// Those left get the error of the context from fn, which dials nothing.
			next <- i
		}
	}
	close(next)
	workers.Wait()
}

// turns bounds how many answers are read and stored at once. All hosts may answer in the same second, and an answer takes several times its
// size while it is read: more at once than there are processors would end no sooner and need the memory of all.
type turns chan struct{}

// turn is one host's place in turns. It is for one goroutine.
type turn struct {
	of   turns
	held bool
}

func (t *turn) enter() {
	if !t.held {
		t.of <- struct{}{}
		t.held = true
	}
}

func (t *turn) leave() {
	if t.held {
		<-t.of
		t.held = false
	}
}

// collectOne asks one host, stores how that ended, and takes the host's share of the unknown headers over the same connection. The error is of
// the control host alone.
func (f *Fleet) collectOne(ctx context.Context, shares *shares, turns turns, h *inventory.Host, opt CollectOptions) (r FactsResult, failed error) {
	start := time.Now()
	r.Host = h
	defer func() { r.Took = time.Since(start) }()
	previous, err := f.Store.ShortFacts(ctx, h.Name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		r.Err = err
		return r, f.record(ctx, r)
	}
	conn, err := f.Dial(ctx, h)
	if err != nil {
		r.Err = err
		return r, f.record(ctx, r)
	}
	defer conn.Close()
	turn := turn{of: turns}
	defer turn.leave()
	r.Facts, r.Unchanged, r.Err = host.Collect(ctx, conn, host.CollectOptions{
		Answered: turn.enter,
		Host:     h.Name, Sudo: f.Target(h).Sudo != transport.SudoNever, Previous: previous, Force: opt.Force, Now: f.now,
		Packages: func() ([]host.Package, error) {
			whole, err := f.Store.Facts(ctx, h.Name)
			if err != nil {
				return nil, err
			}
			return whole.Packages, nil
		},
	})
	failed = f.record(ctx, r)
	if r.Err != nil || opt.NoHeader || failed != nil {
		return r, failed
	}
	if r.Unchanged && shares.checked(r.Facts.InstalledDigest) {
		return r, nil
	}
	// Headers that do not come are asked of other hosts later: they are no failure of this host's facts.
	listed, err := shares.learn(ctx, r.Facts)
	turn.leave()
	if err == nil {
		r.Headers, err = shares.fetch(ctx, conn, h.Name, listed)
	}
	if err != nil {
		f.log.Debug("headers did not come", "host", h.Name, "error", err)
	}
	return r, nil
}

// record stores the outcome of asking one host.
func (f *Fleet) record(ctx context.Context, r FactsResult) error {
	switch {
	case r.Err == nil && r.Unchanged:
		return f.Store.PutUnchanged(ctx, r.Facts)
	case r.Err == nil:
		return f.Store.PutFacts(ctx, r.Facts)
	}
	if ctx.Err() != nil {
		return nil // stopped here; says nothing about the host
	}
	return f.Store.PutContact(ctx, store.Contact{Host: r.Host.Name, TriedAt: f.now(), Kind: ErrorKind(r.Err), Error: r.Err.Error()})
}

// ErrorKind names the kind of a failure to ask a host: a transport kind, or "unreadable" for a host that answers and whose
// package database does not.
func ErrorKind(err error) string {
	var remote *host.RemoteError
	switch {
	case errors.Is(err, host.ErrUnreadable), errors.Is(err, host.ErrNoRPM), errors.Is(err, host.ErrProtocol), errors.As(err, &remote):
		return "unreadable"
	}
	return string(transport.KindOf(err))
}

// StoredFacts returns what is stored of every host, without packages, by name.
func (f *Fleet) StoredFacts(ctx context.Context) (map[string]*host.Facts, error) {
	return factsByName(f.Store.AllFacts(ctx))
}

// PlanFacts is StoredFacts without what a plan of packages does not ask for (store.PlanFacts).
func PlanFacts(ctx context.Context, st *store.Store) (map[string]*host.Facts, error) {
	return factsByName(st.PlanFacts(ctx))
}

func factsByName(all []*host.Facts, err error) (map[string]*host.Facts, error) {
	if err != nil {
		return nil, fmt.Errorf("read stored facts: %w", err)
	}
	out := make(map[string]*host.Facts, len(all))
	for _, one := range all {
		out[one.Host] = one
	}
	return out, nil
}
