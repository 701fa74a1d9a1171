package rollout

import (
	"context"
	"fmt"
	"sync"
	"time"

	"cpacman/planner"
)

// Config is what an engine works with. All fields but Observer, People, Timing and Jitter are needed.
type Config struct {
	Fleet        Fleet
	Rechecker    Rechecker
	Health       Health
	Hooks        Hooks // needed where the schedule has hooks
	Availability Availability
	Journal      Journal
	Commands     Commands
	Leases       Leases
	Observer     Observer // nil: nobody looks
	People       People   // nil: every operating system user, who may do everything
	Clock        Clock
	Timing       Timing
	Jitter       func() float64 // in [0, 1), for waits, from many goroutines; nil: none
	Owner        Owner          // who runs this engine
	Limits       Limits         // for Resume; Start takes those of the schedule
}

// Engine runs one rollout, once: a new run takes a new engine. Start or Resume is called once; Drain and Detach may be called
// from any goroutine at any time.
type Engine struct {
	cfg   Config
	rules rules

	mu      sync.Mutex // of drained
	drained bool

	wake   chan struct{} // the dispatcher has something to look at
	detach chan struct{} // closed by Detach
	once   sync.Once
}

// New makes an engine.
func New(cfg Config) *Engine {
	cfg.Timing = cfg.Timing.withDefaults()
	if cfg.Observer == nil {
		cfg.Observer = nobody{}
	}
	if cfg.Jitter == nil {
		cfg.Jitter = func() float64 { return 0 }
	}
	return &Engine{cfg: cfg, rules: soundRules, wake: make(chan struct{}, 1), detach: make(chan struct{})}
}

type nobody struct{}

func (nobody) Observe(Event) {}

// StartRequest is a plan and how it is to be started.
type StartRequest struct {
	RolloutID  string // new and unique; part of every transaction id
	Plan       *planner.Plan
	Schedule   Schedule // of this plan, by Resolve
	DryRun     bool     // as far as the test on every host (ROLL-13)
	KeepStaged bool     // a dry run leaves what it sent
	Staging    bool     // with DryRun and KeepStaged: to push and prove ahead of the rollout (PUSH-3)
	Again      bool     // the plan may have been started before
	Reason     string   // needed with Again, WithoutSwitch and IgnoreWindow
	// WithoutSwitch lets hosts begin that should have a dead man's switch and can have none.
	WithoutSwitch bool
	Person        string // who starts it, of Owner.User
	Claimed       string // what sudo says of Owner.User, for the record
	Wait          bool   // stay while paused or waiting for an approval or a window, instead of returning

	IgnoreWindow bool // maintenance windows do not limit it
}

// ResumeRequest says how a rollout is taken up again.
type ResumeRequest struct {
	User  string // who wants it, for the record
	Wait  bool
	Adopt bool // take it up as it is, for an engine that died: what is paused stays paused
	// Digest is that of the rollout which the Fleet was made ready for; ErrAmended when it has another by now. "": not looked at.
	Digest string
}

// Start records a rollout and runs it until it ends, stops, waits or is interrupted. Errors before anything was recorded are
// *PlanError, *PlanStartedError or those of the journal; an error together with ExitInterrupted means that the journal or the
// lease was lost: hosts go on, resume picks up. The end of ctx is a Detach.
func (e *Engine) Start(ctx context.Context, req StartRequest) (Outcome, error) {
	now := e.cfg.Clock.Now()
	if err := checkStart(req, now); err != nil {
		return Outcome{}, err
	}
	calendar, err := NewCalendar(&req.Schedule)
	if err != nil {
		return Outcome{}, err
	}
	epoch, err := e.cfg.Leases.Acquire(ctx, req.RolloutID, e.cfg.Owner)
	if err != nil {
		return Outcome{}, err
	}
	snap := newSnapshot(req, e.cfg.Owner, now)
	if err := e.cfg.Journal.Create(ctx, snap, req.Again || req.DryRun); err != nil {
		e.release(ctx, req.RolloutID, epoch)
		return Outcome{}, err // says itself what was being recorded
	}
	r := newRun(e, snap, req.Schedule.Limits, epoch)
	r.wait, r.calendar = req.Wait, calendar
	return e.run(ctx, r, "")
}

// Resume takes a rollout up where the journal has it: after a crash, a drain, a pause, a stop, or when hosts are to be tried
// again. Hosts that were at work are asked first and believed over the journal. *LeaseHeldError tells who else runs it;
// ErrAborted when it cannot go on.
func (e *Engine) Resume(ctx context.Context, rollout string, req ResumeRequest) (Outcome, error) {
	epoch, err := e.cfg.Leases.Acquire(ctx, rollout, e.cfg.Owner)
	if err != nil {
		return Outcome{}, err
	}
	snap, err := e.cfg.Journal.Load(ctx, rollout)
	if err == nil && !snap.Schedule.Valid() {
		err = fmt.Errorf("its schedule is not the one its digest was made of: the journal is damaged")
	}
	if err == nil && snap.Rollout.State == RolloutAborted && !anyOpen(snap.Hosts) && !anyOwed(snap) {
		err = ErrAborted
	}
	if err == nil && req.Digest != "" && req.Digest != snap.Rollout.Digest {
		err = ErrAmended
	}
	var calendar *Calendar
	if err == nil {
		calendar, err = NewCalendar(&snap.Schedule)
	}
	if err != nil {
		e.release(ctx, rollout, epoch)
		return Outcome{}, fmt.Errorf("resume rollout %s: %w", rollout, err)
	}
	r := newRun(e, snap, e.cfg.Limits, epoch)
	r.wait, r.adopted, r.calendar = req.Wait, req.Adopt, calendar
	user := req.User
	if user == "" {
		user = e.cfg.Owner.User
	}
	return e.run(ctx, r, user)
}

// Drain is the first Ctrl-C: no new hosts, those at work are waited for; the run ends with ExitWaiting.
func (e *Engine) Drain() {
	e.mu.Lock()
	e.drained = true
	e.mu.Unlock()
	e.poke()
}

// Detach is the second Ctrl-C: the run ends at once with ExitInterrupted; hosts go on by themselves.
func (e *Engine) Detach() { e.once.Do(func() { close(e.detach) }) }

func (e *Engine) draining() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.drained
}

// poke wakes the dispatcher.
func (e *Engine) poke() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// release gives the lease back, whatever became of ctx.
func (e *Engine) release(ctx context.Context, rollout string, epoch int64) {
	ctx, cancel := e.settle(ctx)
	defer cancel()
	_ = e.cfg.Leases.Release(ctx, rollout, epoch) // a lease that stays goes stale by itself
}

// settle is a context for clean-up that outlives the end of ctx for a bounded time.
func (e *Engine) settle(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), e.cfg.Timing.SettleWithin)
}

// checkStart refuses what cannot be started.
func checkStart(req StartRequest, now time.Time) error {
	p, s := req.Plan, req.Schedule
	switch {
	case p.Format < 1 || p.Format > planner.PlanFormat:
		return &PlanError{fmt.Sprintf("plan %s has format %d, this cpacman reads %d", short(p.ID), p.Format, planner.PlanFormat)}
	case s.PlanID != p.ID:
		return &PlanError{fmt.Sprintf("the schedule is of plan %s, not of %s", short(s.PlanID), short(p.ID))}
	case !s.Valid():
		return &PlanError{"the schedule is not what its digest says"}
	case !now.Before(p.ExpiresAt):
		return &PlanError{fmt.Sprintf("plan %s expired at %s; make a new one", short(p.ID), p.ExpiresAt.UTC().Format("2006-01-02 15:04Z"))}
	case len(p.MissingFiles) > 0:
		return &PlanError{fmt.Sprintf("plan %s: %d package files are missing, first %s", short(p.ID), len(p.MissingFiles), p.MissingFiles[0])}
	case s.Hosts == 0:
		return &PlanError{fmt.Sprintf("plan %s has no host with something to do", short(p.ID))}
	case req.RolloutID == "":
		return &PlanError{"a rollout needs an id"}
	case req.Again && req.Reason == "":
		return &PlanError{"--again needs a --reason"}
	case req.IgnoreWindow && req.Reason == "":
		return &PlanError{"--ignore-window needs a --reason"}
	case checkEmergency(req) != nil:
		return checkEmergency(req)
	case len(s.Unarmed) > 0 && !req.WithoutSwitch && !req.DryRun:
		return &PlanError{fmt.Sprintf("%s updates %s and can have no dead man's switch: %s (%d such %s); --without-switch starts all the same",
			s.Unarmed[0].Host, s.Unarmed[0].Package, s.Unarmed[0].Why, len(s.Unarmed), hostsWord(len(s.Unarmed)))}
	}
	return noLowering(p)
}

// noLowering holds that only plans of a type that says so may lower an EVR, and moves that a policy allows (SEC-6).
func noLowering(p *planner.Plan) error {
	for _, set := range p.Sets {
		for _, m := range set.Downgrade {
			if !p.Type.MayLower(m) {
				return &PlanError{fmt.Sprintf("plan %s is of type %q and lowers %s, which no policy allows", short(p.ID), p.Type, m.From)}
			}
		}
	}
	return nil
}

// newSnapshot is the rollout before its first step.
func newSnapshot(req StartRequest, owner Owner, now time.Time) Snapshot {
	s := Snapshot{
		Rollout: Rollout{
			ID: req.RolloutID, PlanID: req.Plan.ID, PlanType: string(req.Plan.Type), Digest: req.Schedule.Digest,
			ExpiresAt: req.Plan.ExpiresAt, State: RolloutCreated, DryRun: req.DryRun, KeepStaged: req.KeepStaged, Staging: req.Staging,
			Again: req.Again, WithoutSwitch: req.WithoutSwitch, IgnoreWindow: req.IgnoreWindow, Emergency: req.Schedule.Emergency != nil, Reason: req.Reason, User: owner.User, Person: req.Person, Claimed: req.Claimed, CreatedAt: now, UpdatedAt: now,
		},
		Schedule: req.Schedule,
	}
	for i, w := range req.Schedule.Waves {
		s.Waves = append(s.Waves, WaveRecord{Index: i, State: WavePending})
		for _, h := range w.Hosts {
			rec := HostRecord{Host: h, State: StatePending, Wave: i, Attempt: 1, Updated: now}
			if req.Schedule.Host[h].PreBroken {
				rec.Flags = []Flag{FlagPreBroken}
			}
			s.Hosts = append(s.Hosts, rec)
		}
	}
	return s
}

// anyOwed tells whether an after-hook is still to be run that can be, or a lock to be given back: a lost host's is not.
func anyOwed(s Snapshot) bool {
	owed := len(s.Rollout.Owed)+len(s.Rollout.OwedLevel) > 0
	for _, w := range s.Waves {
		owed = owed || len(w.Owed) > 0
	}
	for _, h := range s.Hosts {
		owed = owed || h.owed()
	}
	return owed
}

// anyOpen tells whether a host has not come to its end: at work, or, when the engine died right after an abort, not begun.
func anyOpen(hosts []HostRecord) bool {
	for _, h := range hosts {
		if !h.State.Final() {
			return true
		}
	}
	return false
}
