package fleet

import (
	"context"
	"time"

	"cpacman/internal/rpm"
	"cpacman/inventory"
	"cpacman/planner"
)

// group puts hosts with the same key together, so that each key is solved once.
func (f *Fleet) group(ctx context.Context, repos *Repos, req PlanRequest, candidates []*candidate) ([]*group, error) {
	mine, now := make([]*keyed, len(candidates)), f.now()
	inShares(len(candidates), func(from, to int) {
		k := keyer{fleet: f, at: now, req: &req, known: map[keyID]map[string]*keyed{}, views: map[place[inventory.Repo]]string{}}
		for i := from; i < to; i++ {
			if candidates[i].entry.Status == planner.StatusPlanned {
				mine[i] = k.key(candidates[i])
			}
		}
	})
	byKey := map[string]*group{}
	byID := map[*keyed]*group{} // the same, for what is known already
	var order []*group
	for i, c := range candidates {
		if mine[i] == nil {
			continue
		}
		g := byID[mine[i]]
		if g == nil {
			if g = byKey[mine[i].key]; g == nil {
				g = &mine[i].group
				byKey[mine[i].key] = g
				order = append(order, g)
			}
			byID[mine[i]] = g
		}
		g.members = append(g.members, c)
		c.group = g
	}
	return order, f.lists(ctx, repos, order)
}

// keyed is what hosts would be solved with, and its digest.
type keyed struct {
	group group
	key   string
}

// keyer says what hosts would be solved with. What is new it digests; of most hosts of a large fleet another one had all of it. It is for one
// goroutine.
type keyer struct {
	fleet *Fleet
	at    time.Time // of the plan: policies end
	req   *PlanRequest
	known map[keyID]map[string]*keyed      // by the digest of what is installed
	views map[place[inventory.Repo]]string // ViewID, made once

	last   keyID // of most hosts the next one has the same
	ofLast map[string]*keyed
}

// keyID is what a keyed is made of beside what is installed.
type keyID struct {
	given  givenID
	view   string
	weak   bool
	target place[rpm.NEVRA]
}

// key gives what a host would be solved with; nil where it cannot be, and its entry says why.
func (k *keyer) key(c *candidate) *keyed {
	f := k.fleet
	view := f.View(c.host, c.facts)
	if len(view) == 0 {
		c.entry.Status, c.entry.Detail = planner.StatusNoView, "no repository of the site matches this host"
		return nil
	}
	if why := k.req.Model.unlike(c.facts); why != "" {
		c.entry.Status, c.entry.Detail = planner.StatusMismatch, why
		return nil
	}
	given, err := f.given(k.at, c.host, c.facts)
	c.settings = given.settings
	if err != nil {
		c.entry.Status, c.entry.Detail = planner.StatusPolicy, err.Error()
		return nil
	}
	request, ok := requestFor(c, *k.req)
	if !ok {
		c.entry.Status, c.entry.Detail = planner.StatusNoTarget, noTarget(*k.req, c.host.Name)
		return nil
	}
	// Of the request the rest is the same for all hosts.
	viewID := k.viewID(view)
	id := keyID{given.id(), viewID, request.Weak, placeOf(request.Target)}
	if k.ofLast == nil || id != k.last {
		if k.known[id] == nil {
			k.known[id] = map[string]*keyed{}
		}
		k.last, k.ofLast = id, k.known[id]
	}
	known := k.ofLast[c.facts.InstalledDigest]
	if known == nil {
		known = &keyed{group: group{input: given.host(), request: request, view: view, notes: unjudged(given.holds)}}
		known.key = c.facts.InstalledDigest + "\x00" + planner.Key(known.group.input, viewID, request)
		k.ofLast[c.facts.InstalledDigest] = known
	}
	return known
}

func (k *keyer) viewID(view []inventory.Repo) string {
	id := k.views[placeOf(view)]
	if id == "" {
		id = ViewID(view)
		k.views[placeOf(view)] = id
	}
	return id
}

// requestFor is what is wanted of one host: what is asked for, and what its class adds. False: nothing is known to go back to.
func requestFor(c *candidate, req PlanRequest) (planner.Request, bool) {
	r := req.Request
	r.Weak = r.Weak || c.settings.Weak
	if r.Type == planner.TypeRollback {
		r.Target = req.Targets[c.host.Name]
		return r, len(r.Target) > 0
	}
	return r, true
}

// noTarget says why a plan that goes back has nothing to go back to on a host.
func noTarget(req PlanRequest, name string) string {
	if why := req.Void[name]; why != "" {
		return why
	}
	return "that rollout has begun no transaction on this host: there is nothing to go back to"
}
