package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"cpacman/internal/rollout"
)

// onRollout opens the site for a verb about one rollout: its id, and the arguments behind it. The caller closes the session.
func (e *env) onRollout(c *cli.Context) (s *session, id string, rest []string, err error) {
	if s, err = e.open(c); err != nil {
		return nil, "", nil, err
	}
	if id, rest, err = s.rolloutArg(c.Args().Slice()); err != nil {
		s.Close()
		return nil, "", nil, err
	}
	return s, id, rest, nil
}

// rolloutArg takes the rollout's id off the arguments. Without one it is the newest that is not done, if there is only one such.
// An id may be shortened while it stays unique.
func (s *session) rolloutArg(args []string) (id string, rest []string, err error) {
	all, err := s.store.Rollouts(s.ctx)
	if err != nil {
		return "", nil, err
	}
	if len(args) > 0 && args[0] == "" {
		return "", nil, usagef("the rollout is an empty word; leave it out for the one that is not finished")
	}
	if len(args) > 0 {
		var found []string
		for _, r := range all {
			if r.ID == args[0] {
				return r.ID, args[1:], nil
			}
			if strings.HasPrefix(r.ID, args[0]) {
				found = append(found, r.ID)
			}
		}
		switch {
		case len(found) == 1:
			return found[0], args[1:], nil
		case len(found) > 1:
			return "", nil, inputf("%q is the beginning of %d rollouts: %s", args[0], len(found), someOf(found, 5))
		}
		if s.site.Host(args[0]) == nil {
			return "", nil, inputError{err: fmt.Errorf("no rollout %q", args[0]), hint: "cpacman rollout list prints them"}
		}
	}
	var open []string
	for _, r := range all {
		if r.State != rollout.RolloutDone && r.State != rollout.RolloutAborted {
			open = append(open, r.ID)
		}
	}
	switch {
	case len(open) == 1:
		return open[0], args, nil
	case len(open) > 1:
		return "", nil, inputf("%d rollouts are not finished, name one: %s", len(open), someOf(open, 5))
	case len(all) == 0:
		return "", nil, inputf("no rollout was ever started")
	}
	return all[0].ID, args, nil
}

// command writes an operator's wish for the engine.
func (s *session) command(id string, c rollout.Command) error {
	a := s.actor()
	c.User, c.Claimed, c.At = a.user, a.claimed, s.now().UTC()
	if c.Reason == "" {
		c.Reason = s.c.String("reason")
	}
	return s.store.PutCommand(s.ctx, id, c)
}

// tell writes a command and says who carries it out. An abort that no engine is there for is carried out here and now.
func (s *session) tell(id string, what string, commands ...rollout.Command) error {
	snap, err := s.store.Load(s.ctx, id)
	if err != nil {
		return rolloutError(err, id)
	}
	if snap.Rollout.State == rollout.RolloutAborted {
		return inputError{err: fmt.Errorf("rollout %s was aborted: nothing of it goes on", id), hint: "cpacman plan makes a new plan for what is left"}
	}
	if err := s.mayPush(snap.Schedule); err != nil {
		return err
	}
	for _, c := range commands {
		if why, instead := rollout.MayRedo(snap, c, s.now()); why != "" {
			return inputError{err: fmt.Errorf("%s: %s", what, why), hint: instead}
		}
	}
	lease, err := s.store.Lease(s.ctx, id)
	if err != nil {
		return err
	}
	if commands[0].Kind == rollout.CommandPause && !lease.Live(s.now()) {
		// Recorded, it would pause the next resume.
		s.say("rollout %s is %s and no engine runs it: there is nothing to pause", id, snap.Rollout.State)
		return nil
	}
	for _, c := range commands {
		if err := s.command(id, c); err != nil {
			return err
		}
	}
	if commands[0].Kind == rollout.CommandAbort && !lease.Live(s.now()) {
		err := s.takeUp(id, takeUp{})
		var status *statusError
		if errors.As(err, &status) && status.err == nil {
			return nil // aborted, which is what was asked for
		}
		return err
	}
	if commands[0].Kind == rollout.CommandBack && !lease.Live(s.now()) {
		return s.takeBack(id, commands)
	}
	return s.sayRecorded(id, what)
}

// sayRecorded says who carries a command out.
func (s *session) sayRecorded(id, what string) error {
	lease, err := s.store.Lease(s.ctx, id)
	if err != nil {
		return err
	}
	if lease.Live(s.now()) {
		s.say("%s: recorded; the engine (process %d on %s) takes it within seconds", what, lease.Owner.PID, lease.Owner.Host)
		return nil
	}
	s.say("%s: recorded; no engine runs this rollout now: cpacman rollout resume %s carries it out", what, id)
	return nil
}

// simple is a verb that takes a rollout and nothing else.
func (e *env) simple(c *cli.Context, ask, what string, kind rollout.CommandKind) error {
	s, id, rest, err := e.onRollout(c)
	if err != nil {
		return err
	}
	defer s.Close()
	if len(rest) > 0 {
		return usagef("%s takes one rollout, not %q", what, rest[0])
	}
	if ask != "" {
		if err := s.confirm(c, fmt.Sprintf(ask, id)); err != nil {
			return err
		}
	}
	return s.tell(id, what, rollout.Command{Kind: kind})
}

func (e *env) rolloutPause(c *cli.Context) error {
	return e.simple(c, "", "pause", rollout.CommandPause)
}

func (e *env) rolloutAbort(c *cli.Context) error {
	return e.simple(c, "abort rollout %s for good?", "abort", rollout.CommandAbort)
}

func (e *env) rolloutRetry(c *cli.Context) error {
	return e.perHost(c, "retry", rollout.CommandRetry, true, nil)
}

func (e *env) rolloutSkip(c *cli.Context) error {
	return e.perHost(c, "skip", rollout.CommandSkip, false, nil)
}

// perHost is a verb about hosts of a rollout; without a host it means all that it could apply to, where that is allowed. check, where
// there is one, may refuse it, or ask.
func (e *env) perHost(c *cli.Context, what string, kind rollout.CommandKind, all bool, check func(*session, rollout.Snapshot, []string) error) error {
	s, id, hosts, err := e.onRollout(c)
	if err != nil {
		return err
	}
	defer s.Close()
	if len(hosts) == 0 && !all {
		return usagef("%s wants at least one host", what)
	}
	snap, err := s.store.Load(s.ctx, id)
	if err != nil {
		return rolloutError(err, id)
	}
	known := map[string]bool{}
	for _, h := range snap.Hosts {
		known[h.Host] = true
	}
	var commands []rollout.Command
	for _, h := range hosts {
		if !known[h] {
			return inputf("host %q is not part of rollout %s", h, id)
		}
		commands = append(commands, rollout.Command{Kind: kind, Host: h})
	}
	if len(hosts) == 0 {
		commands = []rollout.Command{{Kind: kind}}
	}
	if check != nil {
		if err := check(s, snap, hosts); err != nil {
			return err
		}
	}
	return s.tell(id, what, commands...)
}
