package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"cpacman/internal/fleet"
	"cpacman/internal/people"
	"cpacman/internal/rollout"
	"cpacman/internal/store"
	"cpacman/inventory"
	"cpacman/planner"
)

// rolloutStart proves a plan and runs it.
func (e *env) rolloutStart(c *cli.Context) error {
	if c.Args().Len() != 1 {
		return usagef("rollout start wants one plan file")
	}
	if c.Bool("keep-staged") && !c.Bool("dry-run") {
		return usagef("--keep-staged goes with --dry-run")
	}
	if c.Bool("without-switch") && strings.TrimSpace(c.String("reason")) == "" {
		return usagef("--without-switch wants --reason")
	}
	if c.Bool("again") && strings.TrimSpace(c.String("reason")) == "" {
		return usagef("--again wants --reason")
	}
	if c.Bool("ignore-window") && strings.TrimSpace(c.String("reason")) == "" {
		return usagef("--ignore-window wants --reason")
	}
	if err := checkEmergencyFlags(c); err != nil {
		return err
	}
	return e.runPlan(c, false)
}

// rolloutStage pushes and proves what a plan wants, ahead of its rollout (PUSH-3).
func (e *env) rolloutStage(c *cli.Context) error {
	if c.Args().Len() != 1 {
		return usagef("rollout stage wants one plan file")
	}
	return e.runPlan(c, true)
}

// runPlan runs a plan, or only as far as staging goes.
func (e *env) runPlan(c *cli.Context, staging bool) error {
	s, err := e.open(c)
	if err != nil {
		return err
	}
	defer s.Close()
	p, err := readPlan(c.Args().First())
	if err != nil {
		return err
	}
	if staging && p.Type.PackageFree() {
		return inputError{err: fmt.Errorf("plan %.12s is of type %s and changes no package: there is nothing to stage", p.ID, p.Type)}
	}
	return s.launch(p, staging, "")
}

// launch starts a plan, or with staging goes as far as that: what was reviewed is what runs. ask is a question that is asked once the waves are printed; "" asks nothing.
func (s *session) launch(p *planner.Plan, staging bool, ask string) error {
	defer outlivesReaders()()
	c := s.c
	if err := s.mayPushPlan(p); err != nil {
		return err
	}
	if c.Bool("emergency") || c.Bool("ignore-window") {
		if err := s.mayHurry(p); err != nil {
			return err
		}
	}
	detach, err := s.detached()
	if err != nil {
		return err
	}
	if detach {
		if err := s.fitForEngine(p); err != nil {
			return err
		}
	}
	if p.Expired(s.now()) {
		return inputError{err: fmt.Errorf("plan %.12s expired at %s", p.ID, p.ExpiresAt.Format("2006-01-02 15:04 MST")), hint: "make a new plan"}
	}
	dryRun := staging || c.Bool("dry-run")
	if !c.Bool("again") && !dryRun {
		if err := s.notStarted(p.ID); err != nil {
			return err
		}
	}
	if err := s.relocateAsPlanned(p); err != nil {
		return err
	}
	schedule, err := s.schedule(p, nil)
	if err != nil {
		return err
	}
	if err := s.fleet.CheckSnapshots(s.ctx, s.repos, p); err != nil {
		return inputError{err: err, hint: "what was reviewed is what runs: make a new plan from the repository as it is"}
	}
	files, err := s.provision(p)
	if err != nil {
		return err
	}
	if len(files.NoBack) > 0 {
		if schedule, err = s.schedule(p, files.NoBack); err != nil {
			return err
		}
	}
	s.warnCertificates(p)
	s.printSchedule(schedule)
	s.sayEmergency(schedule.Emergency)
	if err := s.printWindows(schedule, p, c.Bool("ignore-window")); err != nil {
		return err
	}
	if ask != "" {
		if err := s.confirm(c, ask); err != nil {
			return err
		}
	}
	if err := s.keepPlan(p); err != nil {
		return err
	}
	id, who := s.newRolloutID(), s.actor()
	req := rollout.StartRequest{
		RolloutID: id, Plan: p, Schedule: schedule, DryRun: dryRun, KeepStaged: staging || c.Bool("keep-staged"), Staging: staging,
		Again: c.Bool("again"), Reason: c.String("reason"), Wait: c.Bool("wait"), Person: who.name(), Claimed: who.claimed,
		IgnoreWindow:  c.Bool("ignore-window"),
		WithoutSwitch: c.Bool("without-switch") || s.site.Rollout.WithoutSwitch == inventory.SwitchAllow,
	}
	if err := s.preempt(req); err != nil {
		return err
	}
	if detach {
		return s.startDetached(req)
	}
	return s.runEngine(id, fleet.Plans{Reviewed: p}, files, schedule.Checks, func(ctx context.Context, engine *rollout.Engine) (rollout.Outcome, error) {
		s.say("rollout %s of plan %.12s", id, p.ID)
		return engine.Start(ctx, req)
	})
}

// certificateNotice is how long before the end of a user certificate a rollout warns.
const certificateNotice = 24 * time.Hour

// warnCertificates warns of user certificates that have expired or soon will: they are read anew for each connection, so they may be
// renewed while the rollout runs.
func (s *session) warnCertificates(p *planner.Plan) {
	var hosts []*inventory.Host
	for _, ph := range p.Hosts {
		if h := s.site.Host(ph.Host); h != nil && ph.Status == planner.StatusPlanned {
			hosts = append(hosts, h)
		}
	}
	now := s.now()
	for _, c := range s.fleet.Certificates(hosts, now) {
		of := fmt.Sprintf("%d %s", c.Hosts, plural(c.Hosts, "host", "hosts"))
		switch {
		case c.Err != nil:
			s.say("warning: %v; %s would be reached with it", c.Err, of)
		case !c.Until.IsZero() && c.Until.Before(now.Add(certificateNotice)):
			s.say("warning: certificate %s, for %s, expires at %s: renew it before; the file is read for each connection", c.Path, of, dueTime(c.Until))
		}
	}
}

// notStarted refuses a plan that was started before, in good time; the journal refuses it again for good.
func (s *session) notStarted(plan string) error {
	all, err := s.store.Rollouts(s.ctx)
	if err != nil {
		return err
	}
	for _, r := range all {
		if r.PlanID == plan && !r.DryRun {
			return inputError{err: fmt.Errorf("plan %.12s was started as rollout %s; a plan starts once", plan, r.ID),
				hint: "resume that rollout, make a new plan, or give --again --reason"}
		}
	}
	return nil
}

// schedule resolves a plan against the settings of the site.
func (s *session) schedule(p *planner.Plan, noBack []string) (rollout.Schedule, error) {
	settings, err := rollout.FromSite(s.site)
	if err == nil {
		err = s.fleet.HookDigests(&settings)
	}
	if err != nil {
		return rollout.Schedule{}, inputError{err: err}
	}
	settings.NoBack = noBack
	settings.Emergency = s.emergencySettings()
	settings.Left = s.fleet.LeftOut()
	schedule, err := rollout.Resolve(p, settings)
	if err != nil {
		return schedule, inputError{err: err}
	}
	if schedule.Hosts == 0 {
		return schedule, inputf("plan %.12s has no host with something to do", p.ID)
	}
	return schedule, nil
}

// provision proves the packages of a plan, telling how far it is.
func (s *session) provision(p *planner.Plan) (*fleet.Provisioned, error) {
	files, err := s.fleet.Provision(s.ctx, s.repos, p)
	if err != nil {
		return nil, inputError{err: err, hint: "nothing was sent; correct the repository and plan again"}
	}
	for _, w := range files.Warnings {
		s.say("warning: %s", w)
	}
	if p.Type.PackageFree() {
		return files, nil
	}
	s.say("proven: %d %s, %s: digests and signatures are right", len(p.Packages), plural(len(p.Packages), "package", "packages"), humanBytes(files.Bytes))
	return files, nil
}

// keepPlan stores the plan's bytes, so that resume does not need the file.
func (s *session) keepPlan(p *planner.Plan) error {
	var b bytes.Buffer
	if err := p.Encode(&b); err != nil {
		return err
	}
	return s.store.PutPlan(s.ctx, p.ID, s.now(), b.Bytes())
}

// newRolloutID is the date and some random digits: unique on every host's ledger, whichever control host made it.
func (s *session) newRolloutID() string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return s.now().UTC().Format("20060102-150405") + "-" + hex.EncodeToString(b[:])
}

// owner is who runs the engine: the user of the process. SUDO_USER is a claim and is not taken for a person.
func (s *session) owner() rollout.Owner {
	name, _ := os.Hostname()
	return rollout.Owner{User: people.ProcessUser(), Host: name, PID: os.Getpid(), BootID: store.BootID(), Since: s.now().UTC()}
}

// printSchedule tells, before anything starts, what every percentage became.
func (s *session) printSchedule(sch rollout.Schedule) {
	s.say("hosts: %d, waves: %d; failures allowed: %s, unreachable: %s; %d must be reachable to start", sch.Hosts, len(sch.Waves),
		sch.Budget, sch.Unreached, sch.Quorum)
	for _, w := range sch.Waves {
		l := sch.Levels[w.Level]
		s.say("  wave %d: class %s, level %s: %d %s (%s), failures allowed %d, soak %s: %s", w.Index+1, l.Class, l.Level, len(w.Hosts),
			plural(len(w.Hosts), "host", "hosts"), w.Of, w.Budget.Max, l.Soak, someOf(w.Hosts, 6))
	}
	for _, x := range sch.Excluded {
		if x.Status != planner.StatusNothing {
			s.say("  not part of it: %s: %s: %s", x.Host, x.Status, x.Detail)
		}
	}
	for _, w := range sch.Warnings {
		s.say("warning: %s", w)
	}
}

// runEngine makes the engine, hands it Ctrl-C, and turns its outcome into an exit status.
func (s *session) runEngine(id string, plans fleet.Plans, files *fleet.Provisioned, checks []rollout.Check, run func(context.Context, *rollout.Engine) (rollout.Outcome, error)) error {
	defer outlivesReaders()()
	owner, p := s.owner(), plans.Reviewed
	deployment, err := s.fleet.NewDeployment(s.ctx, s.repos, p, files, id, owner)
	if err != nil {
		return err
	}
	deployment.Follow(plans.Amended)
	deployment.Bind(checks)
	watcher, err := s.newWatcher()
	if err != nil {
		return err
	}
	notifier := s.newNotifier(id, p, owner, watcher)
	limits := s.site.Limits
	defer boundMemory(min(len(p.Hosts), limits.Connections), memoryForWork)()
	engine := rollout.New(rollout.Config{
		Fleet: deployment, Rechecker: deployment, Health: deployment, Hooks: deployment, Availability: deployment,
		Journal: s.store, Commands: s.store, Leases: s.store, Observer: observers{watcher, notifier}, People: s.people(), Clock: rollout.SystemClock{},
		Timing: s.timing, Jitter: mathrand.Float64, Owner: owner,
		Limits: rollout.Limits{Connections: limits.Connections, Transfers: limits.Transfers, Transactions: limits.Transactions, Reboots: limits.Reboots, LockWait: limits.LockWait},
	})
	release := s.interrupts.take(func(count int) {
		if count == 1 && !s.engine { // an engine of its own is ended from outside: a shutdown must not pause what the next boot takes up
			s.say("draining: no new hosts; waiting for those at work (Ctrl-C again detaches, hosts go on)")
			engine.Drain()
			return
		}
		s.say("detaching: hosts go on by themselves; cpacman rollout resume %s picks up", id)
		engine.Detach()
	})
	defer release()
	outcome, err := run(s.ctx, engine)
	s.closeNotifier(notifier, outcome, err)
	watcher.close()
	s.sendHead(id)
	if err != nil {
		return rolloutError(err, id)
	}
	return s.outcome(id, outcome)
}

// rolloutError says which exit status an error of the engine has.
func rolloutError(err error, id string) error {
	var plan *rollout.PlanError
	var started *rollout.PlanStartedError
	var held *rollout.LeaseHeldError
	var noRoom *store.FullError
	switch {
	case errors.As(err, &noRoom):
		return &statusError{status: statusInterrupted, err: err,
			hint: "nothing new starts, hosts at work go on; free space in " + noRoom.Dir + ", then: cpacman rollout resume " + id + " (or start again, where it was not recorded yet)"}
	case errors.As(err, &plan), errors.As(err, &started), errors.Is(err, rollout.ErrAborted), errors.Is(err, rollout.ErrAmended):
		return inputError{err: err}
	case errors.Is(err, rollout.ErrNotFound):
		return inputError{err: err, hint: "cpacman rollout list names them"}
	case errors.As(err, &held):
		return &statusError{status: statusFailed, err: err, hint: "cpacman rollout watch " + held.Rollout + " follows it; pause, resume, abort and approve work from here"}
	}
	return &statusError{status: statusInterrupted, err: err, hint: "hosts at work go on; correct the cause, then: cpacman rollout resume " + id}
}
