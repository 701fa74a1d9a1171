package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"cpacman/internal/people"
	"cpacman/internal/rollout"
)

// rolloutRollback takes hosts of a rollout back to what they had.
func (e *env) rolloutRollback(c *cli.Context) error {
	return e.perHost(c, "rollback", rollout.CommandBack, true, func(s *session, snap rollout.Snapshot, hosts []string) error {
		if err := mayTakeBack(snap, hosts); err != nil {
			return err
		}
		what := "every host that rollout " + snap.Rollout.ID + " changed"
		if len(hosts) > 0 {
			what = someOf(hosts, 6)
		}
		return e.confirm(c, "take "+what+" back to the packages before it?")
	})
}

// mayTakeBack refuses a rollback that can do nothing, before it is recorded: it would run the engine for nothing.
func mayTakeBack(snap rollout.Snapshot, hosts []string) error {
	id := snap.Rollout.ID
	undo := func(selector string) string {
		return "cpacman plan " + selector + " --undo " + id + " --out back.json makes a plan for it"
	}
	if len(hosts) == 0 {
		for _, h := range snap.Schedule.Host {
			if h.Back != "" {
				return nil
			}
		}
		return inputError{err: fmt.Errorf("no host of rollout %s has a way back in it", id), hint: undo("all")}
	}
	for _, h := range hosts {
		plan := snap.Schedule.Host[h]
		if plan.Back == "" {
			return inputError{err: fmt.Errorf("host %s has no way back in rollout %s: %s", h, id, snap.Schedule.WhyNoBack(h)), hint: undo(h)}
		}
		if state := stateOf(snap, h); slices.Contains([]rollout.State{rollout.StatePending, rollout.StateHeld, rollout.StateSkipped, rollout.StateRolledBack}, state) {
			return inputf("host %s is %s: there is nothing to take back", h, state)
		}
	}
	return nil
}

// stateOf is the state of one host.
func stateOf(snap rollout.Snapshot, host string) rollout.State {
	for _, h := range snap.Hosts {
		if h.Host == host {
			return h.State
		}
	}
	return ""
}

// takeBack runs an engine that takes hosts back and does nothing else: what rests goes on resting, and what nobody ran any more is
// paused. That the hosts count as failures is no failure of the rollback; that none went back is one.
func (s *session) takeBack(id string, commands []rollout.Command) error {
	err := s.takeUp(id, takeUp{adopt: true, drained: true})
	var status *statusError
	if err != nil && (!errors.As(err, &status) || status.err != nil) {
		return err
	}
	snap, loadErr := s.store.Load(s.ctx, id)
	if loadErr != nil {
		return loadErr
	}
	back := 0
	for _, h := range snap.Hosts {
		switch h.State {
		case rollout.StateRollbackFailed, rollout.StateRollingBack, rollout.StateLost:
			if err != nil {
				return err
			}
			return &statusError{status: statusFailed, err: fmt.Errorf("host %s is %s", h.Host, h.State)}
		case rollout.StateRolledBack:
			back++
		}
	}
	var not []string
	for _, c := range commands {
		if c.Host != "" && stateOf(snap, c.Host) != rollout.StateRolledBack {
			not = append(not, c.Host)
		}
	}
	if len(not) > 0 || back == 0 {
		text := "no host was taken back"
		if len(not) > 0 {
			text = "not taken back: " + strings.Join(not, ", ")
		}
		return &statusError{status: statusFailed, err: fmt.Errorf("rollout %s: %s", id, text), hint: "the lines above say why; cpacman plan --undo " + id + " makes a plan for it"}
	}
	return nil
}

// resumeWith lets an engine take a rollout up.
func resumeWith(ctx context.Context, engine *rollout.Engine, snap rollout.Snapshot, how takeUp) (rollout.Outcome, error) {
	if how.drained {
		engine.Drain()
	}
	return engine.Resume(ctx, snap.Rollout.ID, rollout.ResumeRequest{User: people.ProcessUser(), Wait: how.wait, Adopt: how.adopt, Digest: snap.Rollout.Digest})
}
