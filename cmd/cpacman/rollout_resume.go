package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"cpacman/internal/rollout"
	"cpacman/planner"
)

// rolloutResume takes a rollout up, or tells its engine to go on.
func (e *env) rolloutResume(c *cli.Context) error {
	s, id, _, err := e.onRollout(c)
	if err != nil {
		return err
	}
	defer s.Close()
	snap, err := s.store.Load(s.ctx, id)
	if err != nil {
		return rolloutError(err, id)
	}
	if err := s.mayPush(snap.Schedule); err != nil {
		return err
	}
	lease, err := s.store.Lease(s.ctx, id)
	if err != nil {
		return err
	}
	if lease.Live(s.now()) {
		if err := s.command(id, rollout.Command{Kind: rollout.CommandResume}); err != nil {
			return err
		}
		s.say("told the engine of %s (process %d on %s) to go on; cpacman rollout watch %s follows it", id, lease.Owner.PID, lease.Owner.Host, id)
		return nil
	}
	s.sayChangedSettings(snap)
	detach, err := s.detached()
	if err != nil {
		return err
	}
	if !detach {
		if err := s.wantEngine(id, false); err != nil {
			return err
		}
		return s.takeUp(id, takeUp{wait: c.Bool("wait")})
	}
	_, p, err := s.recorded(id)
	if err != nil {
		return err
	}
	if err := s.fitForEngine(p); err != nil {
		return err
	}
	return s.handOver(id, false)
}

// sayChangedSettings tells what the site has otherwise than a rollout that is taken up: whoever corrected a check or a window may think
// that it counts.
func (s *session) sayChangedSettings(snap rollout.Snapshot) {
	settings, err := rollout.FromSite(s.site)
	if err != nil || snap.Rollout.State == rollout.RolloutAborted || snap.Rollout.State == rollout.RolloutDone && retryable(snap.Hosts) == 0 {
		return
	}
	_ = s.fleet.HookDigests(&settings) // a program that is gone has no digest, which differs
	changed := rollout.ChangedSettings(&snap.Schedule, settings)
	if len(changed) == 0 {
		return
	}
	s.say("warning: the site has changed since the rollout was started: %s", strings.Join(changed, "; "))
	s.say("hint: a rollout goes by the checks and windows that it was started with, and runs no hook that is another now; for those of the site: abort it, and make a new plan")
}

// recorded reads a rollout and its plan from the journal.
func (s *session) recorded(id string) (rollout.Snapshot, *planner.Plan, error) {
	snap, err := s.store.Load(s.ctx, id)
	if err != nil {
		return snap, nil, rolloutError(err, id)
	}
	body, err := s.store.Plan(s.ctx, snap.Rollout.PlanID)
	if err != nil {
		return snap, nil, fmt.Errorf("resume rollout %s: %w", id, err)
	}
	p, err := planner.Decode(bytes.NewReader(body))
	if err != nil {
		return snap, nil, fmt.Errorf("resume rollout %s: %w", id, err)
	}
	return snap, p, nil
}

// takeUp says how a rollout is taken up.
type takeUp struct {
	wait  bool // stay while paused or waiting for an approval
	adopt bool // leave it as it is, for an engine that died

	drained bool // begin no host: only what is at work, and what is asked for by name, is done
}

// takeUp runs the engine of a rollout that nobody runs, from the journal.
func (s *session) takeUp(id string, how takeUp) error {
	snap, p, err := s.recorded(id)
	if err != nil {
		return err
	}
	plans, err := s.plansOf(snap, p)
	if err != nil {
		return err
	}
	if err := s.relocateAsPlanned(p); err != nil {
		return err
	}
	files, err := s.fleet.Provision(s.ctx, s.repos, p)
	if files == nil {
		return err
	}
	if err != nil {
		// Hosts at work must be asked all the same; those that did not begin are held.
		s.say("warning: %v", err)
		s.say("warning: what could not be proven is not sent")
	}
	s.alsoProve(files, plans, snap.Schedule)
	return s.runEngine(id, plans, files, snap.Schedule.Checks, func(ctx context.Context, engine *rollout.Engine) (rollout.Outcome, error) {
		if snap.Rollout.State == rollout.RolloutAborted {
			s.say("rollout %s was aborted: only hosts that were at work are asked how they ended", id)
		} else if !how.drained {
			s.say("resuming rollout %s", id)
		}
		return resumeWith(ctx, engine, snap, how)
	})
}
