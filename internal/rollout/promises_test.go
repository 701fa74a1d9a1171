package rollout

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"cpacman/inventory"
)

// witness checks the promises of doc.go from outside of the engine: it sees what is written to the journal and what hosts are asked
// for, and counts for itself, in steps that do not grow with the fleet. It belongs to a memJournal, whose lock guards it.
type witness struct {
	j        *memJournal
	waves    []scope
	levels   []scope
	all      scope
	clusters map[string][]ClusterPlan // of a host
	windows  map[string]*seenWindow
	retries  map[string]int // of a host
	passed   int            // every wave before it has passed once
	soaking  int            // a wave; -1: none
}

// scope is what a budget looks at.
type scope struct {
	name                          string
	budget                        Budget
	failures, ended, atWork, calm int // calm: updated and healthy, so what may still turn red in a soak
	unreachable                   int
	most                          int // failures, once the budget is exceeded; -1: it is not
}

// seenWindow remembers the opening it was asked about last.
type seenWindow struct {
	w           *inventory.Window
	from, until time.Time
	never       bool
}

// look begins anew with what the journal has. Called with mu held.
func (p *witness) look() {
	s := &p.j.schedule
	retries := p.retries
	*p = witness{j: p.j, waves: make([]scope, len(s.Waves)), levels: make([]scope, len(s.Levels)), clusters: map[string][]ClusterPlan{},
		windows: map[string]*seenWindow{}, retries: retries}
	if p.retries == nil {
		p.retries = map[string]int{}
	}
	for i, w := range s.Waves {
		p.waves[i] = scope{name: fmt.Sprintf("wave %d", i), budget: w.Budget, most: -1}
	}
	for i, l := range s.Levels {
		p.levels[i] = scope{name: l.Scope(), budget: l.Budget, most: -1}
	}
	p.all = scope{name: "the rollout", budget: s.Budget, most: -1}
	for _, c := range s.Clusters {
		for _, m := range c.Members {
			p.clusters[m] = append(p.clusters[m], c)
		}
	}
	for _, rec := range p.j.hosts {
		p.count(rec, 1)
		if _, known := p.retries[rec.Host]; !known || rec.Unasked > 0 {
			p.retries[rec.Host] = rec.Attempt - 1
		}
	}
	for _, w := range s.Windows {
		win, err := inventory.NewWindow(w.Name, w.Rule, w.Start, w.Duration, w.Zone)
		if err != nil {
			p.breaks("window %s cannot be read: %v", w.Name, err)
			continue
		}
		p.windows[w.Name] = &seenWindow{w: win}
	}
	p.soaking = -1
	for i, w := range p.j.waves {
		if w.State == WaveSoaking {
			p.soaking = i
		}
	}
	for _, c := range p.scopes() {
		p.limit(c)
	}
}

func (p *witness) breaks(format string, args ...any) { p.j.w.break_(format, args...) }

// scopes lists those of all hosts.
func (p *witness) scopes() []*scope {
	out := []*scope{&p.all}
	for i := range p.waves {
		out = append(out, &p.waves[i])
	}
	for i := range p.levels {
		out = append(out, &p.levels[i])
	}
	return out
}

// of lists the scopes of a wave.
func (p *witness) of(wave int) [3]*scope {
	return [3]*scope{&p.waves[wave], &p.levels[p.j.schedule.Waves[wave].Level], &p.all}
}

// count adds a host to its scopes (1) or takes it out (-1).
func (p *witness) count(rec HostRecord, n int) {
	s := &p.j.schedule
	for _, c := range p.of(s.Host[rec.Host].Wave) {
		switch rec.State {
		case StateUnreachable:
			switch s.Unreachable {
			case inventory.UnreachableFail:
				c.failures += n
			case inventory.UnreachableDefer:
				c.unreachable += n
			}
		case StateRolledBack, StateRollbackFailed, StateStageFailed, StateTestFailed, StateTxFailed, StateTxPartial, StateHealthFailed,
			StateLost, StateUnreconciled:
			c.failures += n
		case StateOK:
			c.calm += n
		}
		switch {
		case rec.State.Final():
			c.ended += n
		case rec.State != StatePending && rec.State != StateDeferred:
			c.atWork += n
		}
	}
}

// before looks at a change that is about to be written. Called with mu held.
func (p *witness) before(c Change) {
	j := p.j
	for _, ev := range c.Events {
		if ev.Kind != EventHost {
			continue
		}
		old := j.hosts[ev.Host]
		seen.Store([2]string{ev.From, string(ev.On)}, true)
		if to, ok := Next(old.State, ev.On); !ok || string(to) != ev.To || string(old.State) != ev.From {
			p.breaks("%s: %s on %s to %s is not in the table", ev.Host, old.State, ev.On, ev.To)
		}
		switch ev.On {
		case OnAdmitted:
			p.admitted(ev)
		case OnStart:
			p.starts(ev)
		case OnRetry:
			p.retries[ev.Host]++
		case OnReattach:
			if ev.Reason.Code == ReasonRestored { // the host knows more than the journal that was restored
				p.retries[ev.Host] = ev.Attempt - 1
			}
		case OnRollBack:
			p.takenBack(ev)
		}
	}
	for _, rec := range c.Hosts {
		p.oneStep(c, rec)
	}
	for _, w := range c.Waves {
		switch {
		case w.State == WaveSoaking:
			p.soaking = w.Index
		case p.soaking == w.Index:
			p.soaking = -1
		}
		if w.State == WaveRunning && j.waves[w.Index].State == WavePending {
			p.entered(w.Index)
		}
		if w.State == WavePassed && j.waves[w.Index].State != WavePassed {
			p.gate(w)
		}
	}
}

// oneStep: a host changes its state by one event that tells it, and is written once.
func (p *witness) oneStep(c Change, rec HostRecord) {
	old, known := p.j.hosts[rec.Host]
	if !known {
		p.breaks("%s is written and is no part of the rollout", rec.Host)
		return
	}
	if len(c.Hosts) > 1 { // of many hosts in one write: looked at by the last
		if rec.Host != c.Hosts[len(c.Hosts)-1].Host {
			return
		}
		told := map[string]string{}
		for _, ev := range c.Events {
			if ev.Kind == EventHost {
				told[ev.Host] = ev.To
			}
		}
		for _, r := range c.Hosts {
			if told[r.Host] != string(r.State) {
				p.breaks("%s is written as %s and told as %q", r.Host, r.State, told[r.Host])
			}
			delete(told, r.Host)
		}
		if len(told) > 0 {
			p.breaks("events of hosts that were not written: %v", told)
		}
		return
	}
	n := 0
	for _, ev := range c.Events {
		if ev.Kind == EventHost && ev.Host == rec.Host && ev.To == string(rec.State) {
			n++
		}
	}
	if n > 1 || n == 0 && old.State != rec.State {
		p.breaks("%s goes from %s to %s with %d events", rec.Host, old.State, rec.State, n)
	}
}

// after looks at a change that was written. Called with mu held, old are the hosts as they were.
func (p *witness) after(old, now HostRecord) {
	p.count(old, -1)
	p.count(now, 1)
	for _, c := range p.of(p.j.schedule.Host[now.Host].Wave) {
		p.limit(c)
		if c.most >= 0 && c.failures > c.most {
			p.breaks("%s: %d failures in %s, which had no more than %d with what was in flight when its budget %s was exceeded",
				now.Host, c.failures, c.name, c.most, c.budget)
		}
	}
}

// limit notes, when a budget comes to be exceeded, how many failures there can be with what is in flight.
func (p *witness) limit(c *scope) {
	switch over := p.over(c); {
	case over && c.most < 0:
		c.most = c.failures + c.atWork
		if p.soaking >= 0 { // what is checked all at once can turn red all at once
			c.most += p.waves[p.soaking].calm
		}
	case !over:
		c.most = -1
	}
}

// over tells whether the budget of a scope is exceeded, as far as it is looked at while hosts are at work.
func (p *witness) over(c *scope) bool {
	s := &p.j.schedule
	return c.failures > c.budget.Max && !p.j.ro.DryRun && (s.Strict || !c.budget.Percent || c.ended >= s.MinSample)
}

// admitted: no host before the gate of every wave before its own has passed, none over a budget, none outside of its windows.
func (p *witness) admitted(ev Event) {
	j, s := p.j, &p.j.schedule
	wave := s.Host[ev.Host].Wave
	for p.passed < wave && !j.waves[p.passed].PassedAt.IsZero() {
		p.passed++
	}
	if p.passed < wave {
		p.breaks("%s of wave %d admitted before the gate of wave %d", ev.Host, wave, p.passed)
	}
	if j.ro.State != RolloutRunning {
		p.breaks("%s admitted while the rollout is %s", ev.Host, j.ro.State)
	}
	if j.schedule.Host[ev.Host].Plan != "" {
		p.approved(wave, "amended "+ev.Host+" admitted")
	}
	if j.ro.DryRun {
		return
	}
	for _, c := range p.of(wave) {
		if p.over(c) {
			p.breaks("%s %s with %d failures in %s, budget %s", ev.Host, ev.On, c.failures, c.name, c.budget)
		}
		if s.Strict && c.failures+c.atWork+1 > c.budget.Max+1 {
			p.breaks("%s admitted with %d at work and %d failures in %s: strict allows budget %s and one", ev.Host, c.atWork, c.failures, c.name, c.budget)
		}
	}
	if b := s.Unreached; p.all.unreachable > b.Max && (s.Strict || !b.Percent || p.all.ended >= s.MinSample) {
		p.breaks("%s admitted with %d unreachable hosts, %s may be", ev.Host, p.all.unreachable, b)
	}
	p.inside(ev)
}

// starts: no transaction of a stopped rollout, none over a budget by count, none outside of a window.
func (p *witness) starts(ev Event) {
	j := p.j
	if j.ro.State == RolloutStopped || j.ro.State == RolloutAborted {
		p.breaks("%s starts while the rollout is %s", ev.Host, j.ro.State)
	}
	for _, c := range p.of(j.schedule.Host[ev.Host].Wave) {
		if p.over(c) && (j.schedule.Strict || !c.budget.Percent) {
			p.breaks("%s %s with %d failures in %s, budget %s", ev.Host, ev.On, c.failures, c.name, c.budget)
		}
	}
	p.inside(ev)
}

// takenBack: a host that is taken back on purpose was not in flight, and becomes a failure all the same.
func (p *witness) takenBack(ev Event) {
	for _, c := range p.of(p.j.schedule.Host[ev.Host].Wave) {
		if c.most >= 0 {
			c.most++
		}
	}
}

func (p *witness) inside(ev Event) {
	if why := p.outside(ev.Host); why != "" {
		p.breaks("%s %s at %s, %s", ev.Host, ev.On, time.Now().UTC(), why)
	}
}

// outside says that a host is outside of its windows, by the windows that were started with and without the engine's calendar.
// Called with mu held.
func (p *witness) outside(host string) string {
	j := p.j
	names := j.schedule.Host[host].Windows
	if len(names) == 0 || j.ro.DryRun || j.ro.IgnoreWindow {
		return ""
	}
	now := time.Now().Add(j.stepped())
	for _, n := range names {
		if p.windows[n].open(now) {
			return ""
		}
	}
	return fmt.Sprintf("outside of its windows %v", names)
}

func (w *seenWindow) open(now time.Time) bool {
	if w == nil {
		return false
	}
	if !w.never && !now.Before(w.until) || w.from.IsZero() {
		from, until, ok := w.w.Next(now)
		w.from, w.until, w.never = from, until, !ok
	}
	return !w.never && !now.Before(w.from)
}

// gate: at an open gate every host is final, failures are within the integers, and each updated host was green.
func (p *witness) gate(w WaveRecord) {
	j := p.j
	for _, h := range j.schedule.Waves[w.Index].Hosts {
		rec := j.hosts[h]
		if !rec.State.Final() {
			p.breaks("gate of wave %d opens with %s %s", w.Index, h, rec.State)
		}
		for _, res := range rec.Checks {
			if rec.State == StateOK && res.Verdict != Green && !res.RedBefore {
				p.breaks("gate of wave %d opens with %s %s on %s", w.Index, res.Check, res.Verdict, h)
			}
		}
	}
	p.soak(w)
	for _, c := range p.of(w.Index) {
		if c.failures > c.budget.Max && !j.ro.DryRun {
			p.breaks("gate of wave %d opens with %d failures in %s, budget %s", w.Index, c.failures, c.name, c.budget)
		}
	}
}

// asked: what must hold when a host is asked for its transaction. Called with the locks of the world and the journal held.
func (p *witness) asked(job Job, h *fakeHost) {
	j := p.j
	rec := j.hosts[job.Host]
	if rec.State != StateTransacting || rec.TxID != job.TxID {
		p.breaks("%s: asked for %s while the journal has %s %q", job.Host, job.TxID, rec.State, rec.TxID)
	}
	if h.owner != job.Rollout {
		p.breaks("%s: started without the lock", job.Host)
	}
	if j.ro.DryRun {
		p.breaks("%s: started in a dry run", job.Host)
	}
	if want := TxID(job.Rollout, job.Host, p.retries[job.Host]+1); job.TxID != want {
		p.breaks("%s: transaction %s asked for, it was retried %d times: one transaction per host and plan", job.Host, job.TxID, p.retries[job.Host])
	}
	for id, t := range h.tx {
		if id == TxID(job.Rollout, job.Host, rec.Attempt) {
			p.breaks("%s: %s runs twice", job.Host, id)
		}
		if time.Now().Before(t.ends) {
			p.breaks("%s: %s asked for while %s runs", job.Host, job.TxID, id)
		}
	}
	p.floors(job, rec.TxAt)
}

// floors: no cluster is short of more members than it may be with this one, announced at since. Called with the locks of world and journal
// held.
func (p *witness) floors(job Job, since time.Time) {
	j, w := p.j, p.j.w
	for _, c := range p.clusters[job.Host] {
		missing := 1
		for _, m := range c.Members {
			r, ours := j.hosts[m]
			if m == job.Host || r.State == StateRollingBack && r.Updated.After(since) {
				continue // the latter was taken back after this start was announced, which nobody could know
			}
			if w.outside[m] != "" || ours && missingState(r.State) && r.Reason.Code != ReasonStopped {
				missing++
			}
		}
		if missing > c.MaxUnavailable {
			p.breaks("%s: cluster %s has %d of %d unavailable", job.Host, c.Name, missing, c.MaxUnavailable)
		}
	}
}

// entered: the first wave of a level is entered with the approvals of its class and level; after an amendment each wave is, for the digest
// of the amendment.
func (p *witness) entered(wave int) {
	s := &p.j.schedule
	if !p.j.ro.DryRun && (len(s.Amended) > 0 || wave == 0 || s.Waves[wave-1].Level != s.Waves[wave].Level) {
		p.approved(wave, fmt.Sprintf("wave %d entered", wave))
	}
}

// approved: the approvals of the class and the level of a wave are there, for the digest of now.
func (p *witness) approved(wave int, what string) {
	j := p.j
	level := j.schedule.Levels[j.schedule.Waves[wave].Level]
	need := map[string]int{level.Scope(): level.Approve}
	for _, l := range j.schedule.Levels {
		if l.Class == level.Class && l.ClassApprove > 0 {
			need[l.ClassScope()] = l.ClassApprove
		}
	}
	for _, a := range j.approvals {
		if a.Digest == j.schedule.Digest {
			need[a.Scope]--
		}
	}
	for scope, n := range need {
		if n > 0 {
			p.breaks("%s without %d approvals of %s", what, n, scope)
		}
	}
}

// follows: what a host is asked for is the set that was approved for it: of its plan, and for what is installed, unless that was computed
// again and came out the same. Called with the locks of the world and the journal held.
func (p *witness) follows(job Job, h *fakeHost, installed string) {
	j := p.j
	rec, hp := j.hosts[job.Host], j.schedule.Host[job.Host]
	if want := cmp.Or(hp.Plan, j.schedule.PlanID); job.PlanID != want {
		p.breaks("%s: asked for the set of plan %s, and what was approved is plan %s", job.Host, job.PlanID, want)
	}
	if installed != hp.InstalledDigest && !rec.has(FlagRechecked) {
		p.breaks("%s: asked for a set that was computed for %q, and has %q", job.Host, hp.InstalledDigest, installed)
	}
	if hp.Empty {
		p.breaks("%s: asked for a transaction, and there is nothing to do for it", job.Host)
	}
}

// soak: a wave in which hosts were updated passes after its soak, of an emergency too, and not before it has ended.
func (p *witness) soak(w WaveRecord) {
	j := p.j
	old, soak := j.waves[w.Index], j.schedule.Levels[j.schedule.Waves[w.Index].Level].Soak
	updated := slices.ContainsFunc(j.schedule.Waves[w.Index].Hosts, func(h string) bool { return j.hosts[h].State == StateOK })
	switch {
	case j.ro.DryRun || soak == 0 || !updated:
	case old.State != WaveSoaking:
		p.breaks("gate of wave %d opens from %s, without a soak of %s", w.Index, old.State, soak)
	case j.step != nil: // the end is on a clock that was set; the test looks at how long it took
	case old.SoakUntil.IsZero() || time.Now().Before(old.SoakUntil):
		p.breaks("gate of wave %d opens at %s, before the soak ends at %s", w.Index, time.Now(), old.SoakUntil)
	}
}

// missingState is written down here on its own, so that a mistake in the engine's list is seen.
func missingState(s State) bool {
	switch s {
	case StateDraining, StateTransacting, StateVerifying, StateRestarting, StateRebooting, StateConfirming, StateChecking, StateRollingBack,
		StateRolledBack, StateRollbackFailed, StateTxFailed, StateTxPartial, StateHealthFailed, StateLost,
		StateUnreconciled, StateHeld, StateUnreachable, StateDeferred:
		return true
	}
	return false
}

// asked hands what a host is asked for to the witness. Called with the world's lock held.
func (j *memJournal) asked(job Job, h *fakeHost, installed string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.seen.asked(job, h)
	j.seen.follows(job, h, installed)
}
