package rollout

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// begin asks for the quorum, in the background, once; a dry run needs none. Called with mu held.
func (r *run) begin() {
	if r.dryRun || r.sched.Quorum == 0 || r.ro.QuorumMet {
		r.opened()
		return
	}
	if r.background > 0 {
		return
	}
	r.background++
	r.goBackground(func() {
		reached, example, why := r.reach()
		r.mu.Lock()
		defer r.mu.Unlock()
		r.background--
		defer r.e.poke()
		switch {
		case r.ctx.Err() != nil:
		case reached >= r.sched.Quorum:
			if r.ro.State == RolloutCreated {
				r.opened()
			}
		default:
			_ = r.stop(StopReason{Scope: "rollout", Host: example, Output: boundText(why), Reason: Reason{ReasonQuorum,
				fmt.Sprintf("%d of %d hosts can be reached and the quorum is %d; nothing was started", reached, r.sched.Hosts, r.sched.Quorum)}})
		}
	})
}

// opened lets the rollout run. Called with mu held.
func (r *run) opened() {
	ro := r.ro
	ro.State, ro.QuorumMet = RolloutRunning, true
	_ = r.commit(Change{Rollout: &ro, Events: []Event{{Kind: EventRollout, Wave: -1, From: string(r.ro.State), To: string(RolloutRunning)}}})
	r.e.poke()
}

// reach counts the hosts of the rollout that can be reached, and names one that cannot, with the reason.
func (r *run) reach() (reached int, example, why string) {
	type answer struct {
		host string
		err  error
	}
	answers := make(chan answer, r.room)
	go func() {
		defer close(answers)
		r.eachHost(func(host string) { answers <- answer{host, r.cfg.Fleet.Reach(r.ctx, host)} })
	}()
	for a := range answers {
		if a.err == nil {
			reached++
		} else if example == "" || a.host < example {
			example, why = a.host, a.err.Error()
		}
	}
	return reached, example, why
}

// eachHost calls f for every host of the schedule, as many at once as connections are allowed, and waits for all.
func (r *run) eachHost(f func(string)) {
	var hosts []string
	for _, w := range r.sched.Waves {
		hosts = append(hosts, w.Hosts...)
	}
	r.each(hosts, f)
}

// each calls f for every host, as many at once as connections are allowed, and waits for all.
func (r *run) each(hosts []string, f func(string)) {
	var wg sync.WaitGroup
	for _, h := range hosts {
		if r.connections.Acquire(r.ctx, 1) != nil {
			break
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer r.connections.Release(1)
			f(h)
		}()
	}
	wg.Wait()
}

// admit lets hosts of a wave begin while there is room, and opens the gate when all are final. Called with mu held.
func (r *run) admit(w int) {
	if r.queueFor != w {
		r.fill(w)
	}
	r.requeue(w)
	r.recall()
	ending := r.ending
	r.ending = nil
	for _, i := range ending {
		r.consider(w, i)
	}
	r.admitKept(w)
	for len(r.queue) > 0 && r.hasRoom(w) {
		i := r.queue[0]
		r.queue = r.queue[1:]
		r.consider(w, i)
	}
	if len(r.atWork) > 0 || len(r.queue) > 0 || r.ctx.Err() != nil {
		return
	}
	r.kept.all()
	r.admitKept(w)
	if len(r.atWork) == 0 {
		r.lastOfWave(w)
	}
}

// consider lets the host at a place of a wave begin, or puts it where it waits. Called with mu held.
func (r *run) consider(w, i int) {
	h := r.sched.Waves[w].Hosts[i]
	if r.hosts[h].State != StatePending {
		return
	}
	cluster := ""
	switch {
	case r.atWork[h]:
		r.ending = append(r.ending, i)
	case r.shutOut(h):
		r.setAside(h, i)
	case !r.hasRoom(w):
		r.queue = slices.Insert(r.queue, 0, i)
	default:
		if cluster = r.keptBy(h); cluster == "" {
			r.launch(h)
			return
		}
		r.kept.add(cluster, i)
	}
}

// fill makes the queue of a wave. Called with mu held.
func (r *run) fill(w int) {
	r.queueFor, r.queue, r.kept, r.ending, r.again, r.places, r.closed = w, nil, kept{}, nil, nil, nil, closedHosts{}
	for i, h := range r.sched.Waves[w].Hosts {
		if r.hosts[h].State == StatePending {
			r.queue = append(r.queue, i)
		}
	}
}

// requeue puts hosts that became pending again into the queue, before those that have not begun yet. Called with mu held.
func (r *run) requeue(w int) {
	if len(r.again) == 0 {
		return
	}
	if r.places == nil {
		r.places = make(map[string]int, len(r.sched.Waves[w].Hosts))
		for i, h := range r.sched.Waves[w].Hosts {
			r.places[h] = i
		}
	}
	first := make([]int, 0, len(r.again)+len(r.queue))
	for _, h := range r.again {
		first = append(first, r.places[h])
	}
	slices.Sort(first)
	r.queue, r.again = append(first, r.queue...), nil
}

// lastOfWave does what is left when no host of the wave is at work: deferred hosts get their second try, then what a cluster
// still keeps back is held, then windows are waited for, then the gate is looked at. Called with mu held.
func (r *run) lastOfWave(w int) {
	if r.tally.states[StateDeferred] > 0 {
		for _, h := range r.sched.Waves[w].Hosts {
			if r.hosts[h].State == StateDeferred && r.hasRoom(w) && r.mayBegin(h) {
				r.launch(h)
			}
		}
	}
	if len(r.atWork) > 0 {
		return
	}
	later, others := r.laterHosts(w)
	switch {
	case others > 0: // nobody is at work, so nothing that this rollout does can free the cluster any more
		r.holdByCluster(w, later)
		return
	case len(later) > 0:
		r.awaitWindow(w, later)
		return
	}
	if r.tally.waves[w].ended == r.tally.waves[w].total {
		r.gate(w)
	}
}

// hasRoom tells whether one more host may be at work. Called with mu held.
func (r *run) hasRoom(w int) bool {
	if r.ro.State != RolloutRunning || r.ctx.Err() != nil || r.asking > 0 || len(r.atWork) >= r.room {
		return false
	}
	return r.rules.inStrict(r, w)
}

// withinStrict tells whether strict allows one more host at work. Called with mu held.
func (r *run) withinStrict(w int) bool {
	return !r.sched.Strict || r.dryRun || len(r.atWork) < r.tally.room(w)
}

// clusterAllows tells whether the clusters of a host can spare it, as far as this rollout knows. Called with mu held.
func (r *run) clusterAllows(h string) bool { return r.keptBy(h) == "" }

// keptBy names a cluster that cannot spare a host, or "". Called with mu held.
func (r *run) keptBy(h string) string { return r.rules.keptBy(r, h) }

// clusterAgainst is keptBy: one member of each cluster first, then no more at a time than the limit. Called with mu held.
func (r *run) clusterAgainst(h string) string {
	if r.dryRun {
		return ""
	}
	self := 0
	if r.tally.unavailable(r.m.info[r.hosts[h].State]) {
		self = 1
	}
	for _, name := range r.sched.Host[h].Clusters {
		if !r.tally.clusters[name].spares(self) {
			return name
		}
	}
	return ""
}

func (r *run) clusterText(h string) string {
	for _, name := range r.sched.Host[h].Clusters {
		if c := r.tally.clusters[name]; c.unavailable+1 > c.max {
			return fmt.Sprintf("cluster %s: %d members are unavailable and at most %d may be", name, c.unavailable, c.max)
		}
	}
	return "its clusters cannot spare it"
}

// launch admits a host. Called with mu held.
func (r *run) launch(h string) {
	now := r.cfg.Clock.Now()
	if r.stepLocked(h, OnAdmitted, Reason{}, func(rec *HostRecord) { rec.Started = now }) != nil {
		return
	}
	r.put(h, (*hostRun).begin)
}

// put sets a goroutine to work on a host. Called with mu held.
func (r *run) put(h string, f func(*hostRun)) {
	r.atWork[h] = true
	r.goBackground(func() {
		defer func() {
			r.mu.Lock()
			delete(r.atWork, h)
			delete(r.settling, h)
			r.mayBackNow(r.hosts[h].State)
			r.mu.Unlock()
			r.e.poke()
		}()
		if r.connections.Acquire(r.ctx, 1) != nil {
			return
		}
		defer r.connections.Release(1)
		hr := &hostRun{r: r, host: h, plan: r.sched.Host[h]}
		f(hr)
		hr.close()
	})
}

// soakEvery is the time between two rounds of checks. Called with mu held.
func (r *run) soakEvery(w int) time.Duration {
	return min(r.cfg.Timing.SoakEvery, r.sched.Levels[r.sched.Waves[w].Level].Soak)
}
