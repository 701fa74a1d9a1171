package rollout

import "cpacman/inventory"

// count is what budgets and gates look at, for one scope: a wave, a level, the rollout.
type count struct {
	total       int
	failures    int
	unreachable int
	ended       int // at an end or resting
	proven      int // ok or noop: they show something about the plan
	skipped     int
	stops       int // hosts of the worst class
	ok          int
}

// tally keeps the counts of all scopes as hosts change their state.
type tally struct {
	m        machine
	policy   inventory.UnreachableMode
	sched    *Schedule
	waves    []count
	levels   []count
	all      count
	states   map[State]int
	clusters map[string]*clusterCount
}

// clusterCount is what the floor of a cluster looks at.
type clusterCount struct {
	max         int
	unavailable int // members of this rollout at work, red, not reachable or held
	atWork      int
	proven      int
}

// spares tells whether one more member may be missing: one of each cluster first, then no more at a time than the limit. self is 1 when
// that member is missing already.
func (c *clusterCount) spares(self int) bool {
	return c.unavailable-self+1 <= c.max && (c.proven > 0 || c.atWork == 0)
}

func newTally(m machine, s *Schedule) *tally {
	t := &tally{
		m: m, policy: s.Unreachable, sched: s, waves: make([]count, len(s.Waves)), levels: make([]count, len(s.Levels)),
		states: map[State]int{}, clusters: map[string]*clusterCount{},
	}
	for _, c := range s.Clusters {
		t.clusters[c.Name] = &clusterCount{max: c.MaxUnavailable}
	}
	return t
}

// add counts a host in (sign 1) or out (sign -1).
func (t *tally) add(host string, wave int, s State, sign int) {
	info := t.m.info[s]
	t.states[s] += sign
	for _, c := range [...]*count{&t.waves[wave], &t.levels[t.sched.Waves[wave].Level], &t.all} {
		c.total += sign
		switch t.counts(info) {
		case CountsFailure:
			c.failures += sign
		case CountsUnreachable:
			c.unreachable += sign
		}
		if info.Phase != PhaseWay {
			c.ended += sign
		}
		if s == StateOK || s == StateNoop {
			c.proven += sign
		}
		if s == StateOK {
			c.ok += sign
		}
		if s == StateSkipped {
			c.skipped += sign
		}
		if info.Stops {
			c.stops += sign
		}
	}
	for _, name := range t.sched.Host[host].Clusters {
		c := t.clusters[name]
		if t.unavailable(info) {
			c.unavailable += sign
		}
		if atWork(info) {
			c.atWork += sign
		}
		if s == StateOK || s == StateNoop {
			c.proven += sign
		}
	}
}

// counts is what a state counts as under the policy for unreachable hosts (ROLL-15).
func (t *tally) counts(info StateInfo) Counts {
	if info.Counts != CountsUnreachable {
		return info.Counts
	}
	switch t.policy {
	case inventory.UnreachableFail:
		return CountsFailure
	case inventory.UnreachableIgnore:
		return CountsNeither
	}
	return CountsUnreachable
}

// unavailable tells whether a member in that state is missing from its cluster as far as this rollout knows. Of the others
// (not begun, done, untouched) Availability is asked.
func (t *tally) unavailable(info StateInfo) bool {
	switch {
	case atWork(info), info.State == StateDeferred, info.Phase == PhaseResting:
		return true
	}
	return info.Counts == CountsFailure && info.Touched
}

// atWork tells whether the engine is working on a host in that state.
func atWork(info StateInfo) bool {
	return info.Phase == PhaseWay && info.State != StatePending && info.State != StateDeferred
}

// exceeded tells whether a budget is exceeded. A share trips within a wave only once minSample hosts of the scope have
// ended; at the gate, where the wave is complete, the integer counts whatever the sample.
func exceeded(b Budget, n, ended, minSample int, gate bool) bool {
	if n <= b.Max {
		return false
	}
	return gate || !b.Percent || ended >= minSample
}

// room is how many hosts may be at work in a wave at once under strict: no more than could fail with one over the budget.
func (t *tally) room(wave int) int {
	w := t.sched.Waves[wave]
	left := w.Budget.Max - t.waves[wave].failures
	left = min(left, t.sched.Levels[w.Level].Budget.Max-t.levels[w.Level].failures)
	left = min(left, t.sched.Budget.Max-t.all.failures)
	return left + 1
}
