package rollout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// run is the state of one run of the engine. One goroutine, the dispatcher, admits hosts and opens gates; each host at work
// has one of its own. What they share is guarded by mu; every change goes through commit, so the journal is written first.
type run struct {
	e       *Engine
	cfg     *Config
	epoch   int64
	wait    bool
	adopted bool            // resumed for an engine that died
	ctx     context.Context // of the run: its end is a detach
	cancel  context.CancelFunc
	wg      sync.WaitGroup

	connections  *semaphore.Weighted
	transfers    *semaphore.Weighted
	transactions *semaphore.Weighted
	reboots      *semaphore.Weighted
	room         int // Limits.Connections
	lockWait     time.Duration

	id         string // of the rollout; like the next three it never changes
	planID     string
	dryRun     bool
	keepStaged bool
	sched      *Schedule
	rules      rules
	m          machine

	mu         sync.Mutex
	ro         Rollout
	waves      []WaveRecord
	hosts      map[string]*HostRecord
	approvals  []Approval
	tally      *tally
	atWork     map[string]bool
	settling   map[string]bool // hosts at rest, at work only for what is owed to them
	armed      map[string]bool // hosts whose dead man's switch may be armed
	background int             // quorum, round of checks
	asking     int             // lost hosts that are being asked again, and 1 while a restored rollout is reconciled
	unasked    int             // hosts that a restored rollout has still to ask
	current    int             // the wave being worked on
	firstOpen  int             // every wave before it has passed
	queue      []int           // of the current wave: places of pending hosts in order; rebuilt when queueFor is not current
	kept       kept            // of the current wave: kept back by a cluster
	ending     []int           // of the current wave: pending again, while the goroutine of their last try is at its end
	again      []string        // of the current wave: pending anew since the queue was made
	places     map[string]int  // of the hosts of the current wave, once somebody asked
	queueFor   int
	nextSoak   time.Time // steady, like the next two
	roundAt    time.Time // when the last complete round of the current soak began
	soaking    soakClock
	broken     error // the journal, the lease or the table failed: nothing may happen any more
	changes    int   // commits so far

	backQueue []string // hosts in rolling_back, to be put to work as there is room
	backDue   bool     // since stopBack looked last, a host may have come to where a stop takes it back

	calendar *Calendar   // of the hosts' windows; guarded by mu
	closed   closedHosts // of the current wave: outside of their windows
	waits    windowWait
}

// errDetached ends what is under way without recording anything more.
var errDetached = errors.New("detached")

func newRun(e *Engine, s Snapshot, limits Limits, epoch int64) *run {
	r := &run{
		e: e, cfg: &e.cfg, epoch: epoch, sched: &s.Schedule, rules: e.rules, m: e.rules.machine, ro: s.Rollout,
		id: s.Rollout.ID, planID: s.Rollout.PlanID, dryRun: s.Rollout.DryRun, keepStaged: s.Rollout.KeepStaged,
		waves: slices.Clone(s.Waves), hosts: make(map[string]*HostRecord, len(s.Hosts)), approvals: slices.Clone(s.Approvals),
		atWork: map[string]bool{}, settling: map[string]bool{}, armed: map[string]bool{}, queueFor: -1, backDue: true, room: max(limits.Connections, 1), lockWait: limits.LockWait,
	}
	r.connections = semaphore.NewWeighted(int64(r.room))
	r.transfers = semaphore.NewWeighted(int64(max(limits.Transfers, 1)))
	r.transactions = semaphore.NewWeighted(int64(max(limits.Transactions, 1)))
	if limits.Reboots <= 0 {
		limits.Reboots = limits.Transactions
	}
	r.reboots = semaphore.NewWeighted(int64(max(limits.Reboots, 1)))
	r.tally = newTally(r.m, r.sched)
	for i := range s.Hosts {
		rec := s.Hosts[i]
		r.hosts[rec.Host] = &rec
		r.tally.add(rec.Host, rec.Wave, rec.State, 1)
	}
	return r
}

// run drives a rollout until it ends, stops, waits or is interrupted. resumedBy is empty for a start.
func (e *Engine) run(ctx context.Context, r *run, resumedBy string) (Outcome, error) {
	r.ctx, r.cancel = context.WithCancel(ctx)
	r.goBackground(r.heartbeat)
	r.goBackground(func() {
		select {
		case <-e.detach:
			r.cancel()
		case <-r.ctx.Done():
		}
	})
	r.observe(Event{Kind: EventRollout, To: string(r.ro.State), Wave: -1})
	switch {
	case r.adopted:
		r.adopt(resumedBy)
	case resumedBy != "":
		r.resume(resumedBy)
	}
	finished := r.dispatch()
	r.cancel()
	r.wg.Wait()
	e.release(ctx, r.id, r.epoch)
	return r.outcome(finished)
}

// goBackground runs f in a goroutine that the run waits for at its end.
func (r *run) goBackground(f func()) {
	r.wg.Add(1)
	go func() {
		defer r.wg.Done()
		f()
	}()
}

// heartbeat renews the lease and ends the run when it is lost.
func (r *run) heartbeat() {
	good := r.cfg.Clock.Steady()
	for r.sleep(LeaseTTL/3) == nil {
		err := r.cfg.Leases.Renew(r.ctx, r.id, r.epoch)
		now := r.cfg.Clock.Steady()
		switch {
		case err == nil:
			good = now
		case errors.Is(err, ErrLeaseLost) || now.Sub(good) >= LeaseTTL:
			r.mu.Lock()
			r.fail(fmt.Errorf("renew the lease: %w", err))
			r.mu.Unlock()
			return
		}
	}
}

// sleep waits on the clock, or until the run ends.
func (r *run) sleep(d time.Duration) error {
	if d <= 0 {
		return r.ctx.Err()
	}
	select {
	case <-r.cfg.Clock.After(d):
		return r.ctx.Err()
	case <-r.ctx.Done():
		return r.ctx.Err()
	}
}

// jittered spreads waits, up to half as long again.
func (r *run) jittered(d time.Duration) time.Duration {
	return d + time.Duration(r.cfg.Jitter()*float64(d)/2)
}

// fail ends the run: nothing may take effect any more. Called with mu held.
func (r *run) fail(err error) {
	if r.broken == nil && r.ctx.Err() == nil {
		r.broken = err
	}
	r.cancel()
}

// commit writes a change and then makes it so. Called with mu held.
func (r *run) commit(c Change) error {
	if r.broken != nil {
		return r.broken
	}
	if r.ctx.Err() != nil {
		return errDetached
	}
	now := r.cfg.Clock.Now()
	if c.Rollout != nil {
		c.Rollout.UpdatedAt = now
	}
	for i := range c.Hosts {
		c.Hosts[i].Updated = now
	}
	for i := range c.Events {
		c.Events[i].At, c.Events[i].Rollout = now, r.id
	}
	// A write that has begun is not cut by a detach: the journal would not know whether it took place.
	if err := r.cfg.Journal.Append(context.WithoutCancel(r.ctx), r.id, r.epoch, c); err != nil {
		r.fail(fmt.Errorf("write the journal of rollout %s: %w", r.id, err))
		return r.broken
	}
	r.changes++
	if c.Rollout != nil {
		r.ro, r.backDue = *c.Rollout, true
	}
	for _, w := range c.Waves {
		r.waves[w.Index] = w
		if w.State != WavePassed {
			r.firstOpen = min(r.firstOpen, w.Index)
		}
	}
	for i := range c.Hosts {
		rec := c.Hosts[i]
		old := r.hosts[rec.Host]
		r.tally.add(rec.Host, rec.Wave, old.State, -1)
		r.tally.add(rec.Host, rec.Wave, rec.State, 1)
		r.hosts[rec.Host] = &rec
		r.moved(rec)
	}
	if c.Approval != nil {
		r.approvals = append(r.approvals, *c.Approval)
	}
	for _, ev := range c.Events {
		r.cfg.Observer.Observe(ev)
	}
	return nil
}

// moved notes what a host's new state means for what is looked at next. Called with mu held.
func (r *run) moved(rec HostRecord) {
	switch rec.State {
	case StatePending:
		if rec.Wave == r.queueFor {
			r.again = append(r.again, rec.Host)
		}
	case StateRollingBack:
		r.backQueue = append(r.backQueue, rec.Host)
	}
	r.mayBackNow(rec.State)
	r.kept.changed(r.sched.Host[rec.Host].Clusters)
}

// observe shows an event that is not journalled.
func (r *run) observe(ev Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ev.At, ev.Rollout = r.cfg.Clock.Now(), r.id
	r.cfg.Observer.Observe(ev)
}

// move computes one step of a host without taking it. A step that the table does not have is a defect and ends the run.
// Called with mu held.
func (r *run) move(host string, on Trigger, why Reason, edit func(*HostRecord)) (HostRecord, Event, error) {
	rec := *r.hosts[host]
	to, ok := r.m.next[rec.State][on]
	if !ok {
		err := &TransitionError{Host: host, From: rec.State, On: on}
		r.fail(err)
		return rec, Event{}, err
	}
	from := rec.State
	rec.State, rec.Reason = to, why.bounded()
	switch to {
	case StateWaitingLock, StateTransacting, StateRollingBack:
		rec.Locked = true
	}
	if edit != nil {
		edit(&rec)
	}
	ev := Event{Kind: EventHost, Wave: rec.Wave, Host: host, From: string(from), To: string(to), On: on,
		Attempt: rec.Attempt, TxID: rec.TxID, Reason: rec.Reason}
	return rec, ev, nil
}

// step takes one step of a host. When the step exceeds a budget, the same write stops the rollout.
func (r *run) step(host string, on Trigger, why Reason, edit func(*HostRecord)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stepLocked(host, on, why, edit)
}

func (r *run) stepLocked(host string, on Trigger, why Reason, edit func(*HostRecord)) error {
	rec, ev, err := r.move(host, on, why, edit)
	if err != nil {
		return err
	}
	c := Change{Hosts: []HostRecord{rec}, Events: []Event{ev}}
	if stop := r.wouldTrip(rec); stop != nil {
		r.stopIn(&c, *stop)
	}
	return r.commit(c)
}

// note changes a host's record without a step.
func (r *run) note(host string, why Reason, edit func(*HostRecord)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec := *r.hosts[host]
	edit(&rec)
	ev := Event{Kind: EventFlag, Wave: rec.Wave, Host: host, From: string(rec.State), To: string(rec.State),
		Attempt: rec.Attempt, TxID: rec.TxID, Reason: why.bounded()}
	return r.commit(Change{Hosts: []HostRecord{rec}, Events: []Event{ev}})
}

// record gives a copy of a host's record.
func (r *run) record(host string) HostRecord {
	r.mu.Lock()
	defer r.mu.Unlock()
	return *r.hosts[host]
}

// outcome says how the run ended.
func (r *run) outcome(finished bool) (Outcome, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := Outcome{Exit: ExitInterrupted, Rollout: r.ro, Hosts: map[State]int{}}
	for s, n := range r.tally.states {
		if n > 0 {
			out.Hosts[s] = n
		}
	}
	if r.broken != nil {
		return out, fmt.Errorf("%w\nhint: hosts go on by themselves; rollout resume %s picks up", r.broken, r.id)
	}
	if !finished {
		return out, nil
	}
	switch r.ro.State {
	case RolloutStopped:
		out.Exit = ExitStopped
	case RolloutAborted:
		out.Exit = ExitFailed
	case RolloutDone:
		out.Exit = ExitDone
		if out.Hosts[StateUnreachable] > 0 {
			out.Exit = ExitUnreachable
		}
		if r.tally.all.failures > 0 || out.Hosts[StateHeld] > 0 {
			out.Exit = ExitFailed
		}
	default:
		out.Exit = ExitWaiting
	}
	return out, nil
}

func addFlags(have []Flag, more ...Flag) []Flag {
	out := slices.Concat(have, more)
	slices.Sort(out)
	return slices.Compact(out)
}
