package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"cpacman/internal/people"
	"cpacman/internal/rollout"
	"cpacman/internal/store"
	"cpacman/inventory"
	"cpacman/planner"
)

// detachFlags choose where the engine of a rollout runs.
func detachFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "detach", Usage: "leave the work to an engine of its own, outside of the login session"},
		&cli.BoolFlag{Name: "foreground", Usage: "run the engine in this process, whatever detach in [rollout] says"},
	}
}

// detached tells where the engine is to run: by the flags, else by the configuration.
func (s *session) detached() (bool, error) {
	switch detach, foreground := s.c.Bool("detach"), s.c.Bool("foreground"); {
	case detach && foreground:
		return false, usagef("--detach and --foreground exclude each other")
	case detach, foreground:
		return detach, nil
	}
	return s.site.Rollout.Detach, nil
}

// fitForEngine refuses a plan that an engine without a terminal cannot carry out, and warns of what may vanish with the login.
func (s *session) fitForEngine(p *planner.Plan) error {
	var agent []string
	for _, ph := range p.Hosts {
		h := s.site.Host(ph.Host)
		if h == nil || ph.Status != planner.StatusPlanned {
			continue
		}
		ssh := s.site.Effective(h).SSH
		if ssh.Sudo == inventory.SudoPassword && len(ssh.SudoPasswordCommand) == 0 {
			return inputError{err: fmt.Errorf("host %s has ssh.sudo = \"password\" and no ssh.sudo_password_command: an engine has no terminal to ask at", h.Name),
				hint: "set sudo_password_command, or run it here with --foreground"}
		}
		if len(ssh.Identity) == 0 {
			agent = append(agent, h.Name)
		}
	}
	if len(agent) > 0 && s.getenv("SSH_AUTH_SOCK") != "" {
		s.say("warning: %d %s are reached with the keys of the SSH agent (first %s): when the agent ends with your login, the engine reaches them no more; ssh.identity names a key file",
			len(agent), plural(len(agent), "host", "hosts"), agent[0])
	}
	return nil
}

// startDetached records a rollout and hands it to an engine of its own.
func (s *session) startDetached(req rollout.StartRequest) error {
	engine := rollout.New(rollout.Config{Journal: s.store, Clock: rollout.SystemClock{}, Owner: s.owner()})
	if err := engine.Record(s.ctx, req); err != nil {
		return rolloutError(err, req.RolloutID)
	}
	s.say("rollout %s of plan %.12s: recorded", req.RolloutID, req.Plan.ID)
	return s.handOver(req.RolloutID, false)
}

// handOver starts an engine for a rollout of the journal, waits until it has taken it, and watches where there is a terminal.
func (s *session) handOver(id string, adopt bool) error {
	after, err := s.store.LastEvent(s.ctx, id)
	if err != nil {
		return err
	}
	lease, err := s.engineOf(id, adopt)
	if err != nil {
		return err
	}
	if s.c.String("output") == "json" {
		// A reader that went away is no reason to fail: the engine is at work.
		_ = json.NewEncoder(s.stdout).Encode(struct {
			Type    string        `json:"type"`
			Rollout string        `json:"rollout"`
			Engine  rollout.Owner `json:"engine"`
			Log     string        `json:"log"`
		}{"engine", id, lease.Owner, engineLogPath(s.site.StateDir, id)})
	}
	if !s.terminal {
		s.say("next: cpacman rollout watch %s", id)
		return nil
	}
	s.say("watching; Ctrl-C ends only the watching")
	ended, err := s.follow(id, after)
	if err != nil || !ended {
		return err
	}
	snap, err := s.store.Load(s.ctx, id)
	if err != nil {
		return err
	}
	return s.outcome(id, rollout.Outcome{Exit: rollout.ExitOf(snap)})
}

// engineOf starts an engine and gives its lease, or what it said before it ended.
func (s *session) engineOf(id string, adopt bool) (store.Lease, error) {
	before, err := s.store.Lease(s.ctx, id)
	if err != nil {
		return before, err
	}
	if err := s.wantEngine(id, true); err != nil {
		return before, err
	}
	p, err := s.spawn(id, adopt)
	if err != nil {
		return before, err
	}
	lease, err := s.awaitLease(id, before.Epoch, p)
	if err != nil {
		return lease, err
	}
	s.say("engine of %s: %s, process %d on %s, log %s", id, p.what, lease.Owner.PID, lease.Owner.Host, p.log)
	return lease, nil
}

// wantEngine notes whether an engine of its own is to run a rollout until it is over; `rollout engines --resume` goes by it.
func (s *session) wantEngine(id string, detached bool) error {
	notes, err := s.store.Notes(s.ctx, id)
	if err != nil {
		return err
	}
	if rollout.Detached(notes) == detached {
		return nil
	}
	return s.store.PutNote(s.ctx, id, rollout.Note{Kind: rollout.NoteEngine, User: people.ProcessUser(), Detached: detached, At: s.now().UTC()})
}

// awaitEvery is how often it is looked whether an engine has taken its rollout.
const awaitEvery = 200 * time.Millisecond

// awaitLease waits until an engine took the rollout, however long it proves packages before, or ended without.
func (s *session) awaitLease(id string, epoch int64, p *engineProcess) (store.Lease, error) {
	begin := s.now()
	told := false
	for {
		gone := p.gone(s.ctx) // before the lease is read: an engine may take it and end in between
		lease, err := s.store.Lease(s.ctx, id)
		switch {
		case err != nil:
			return lease, err
		case lease.Epoch > epoch:
			return lease, nil
		case gone:
			return lease, s.engineFailed(id, p)
		}
		if !told && s.now().Sub(begin) > 5*time.Second {
			told = true
			s.say("the engine proves the packages, then it takes the rollout; waiting for that (Ctrl-C ends only the waiting)")
		}
		select {
		case <-s.ctx.Done():
			s.say("the engine (%s) goes on without being watched: cpacman rollout status %s", p.what, id)
			return lease, s.ctx.Err()
		case <-time.After(awaitEvery):
		}
	}
}

// engineFailed shows what an engine said before it ended.
func (s *session) engineFailed(id string, p *engineProcess) error {
	lines := logTail(p.log, p.from)
	for _, l := range lines {
		s.say("engine: %s", l)
	}
	hint := "correct the cause, then: cpacman rollout resume " + id
	if len(lines) == 0 && p.hint != "" {
		hint = p.hint + "; then: cpacman rollout resume " + id
	}
	return &statusError{status: statusFailed, err: fmt.Errorf("the engine of rollout %s (%s) ended before it took the rollout; its log is %s", id, p.what, p.log), hint: hint}
}

// rolloutEngine is the hidden verb that an engine of its own runs as.
func (e *env) rolloutEngine(c *cli.Context) error {
	log, err := openEngineLog(c.String("log"))
	if err != nil {
		return err
	}
	e.stdout, e.stderr, e.terminal = log, log, false
	signal.Ignore(syscall.SIGHUP)
	if c.Args().Len() != 1 {
		return usagef("an engine runs one rollout")
	}
	id := c.Args().First()
	s, err := e.open(c)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := os.Chdir(s.site.Dir); err != nil {
		return fmt.Errorf("run the engine in the site: %w", err)
	}
	s.say("%s: engine of rollout %s: cpacman %s, process %d", s.now().Format(time.RFC3339), id, version, os.Getpid())
	s.engine = true
	err = s.takeUp(id, takeUp{wait: true, adopt: c.Bool("adopt")})
	s.say("%s: the engine ends", s.now().Format(time.RFC3339))
	return err
}

// follow shows the events of a rollout after a number until its engine ends (true) or the person has seen enough (false).
func (s *session) follow(id string, after int64) (ended bool, err error) {
	r, err := s.newRenderer()
	if err != nil {
		return false, err
	}
	defer r.end()
	for {
		ended, last, err := s.followOnce(id, after, r)
		after = last
		if err == nil && !ended {
			select {
			case <-s.ctx.Done():
				err = s.ctx.Err()
			case <-time.After(watchEvery):
				r.tick(s.now())
			}
		}
		switch {
		case errors.Is(err, context.Canceled):
			r.end()
			s.say("stopped watching; the engine goes on; cpacman rollout watch %s", id)
			return false, nil
		case err != nil, ended:
			return ended, err
		}
	}
}

// followOnce shows what is new. The engine has ended when it was gone before there was nothing new.
func (s *session) followOnce(id string, after int64, r renderer) (ended bool, last int64, err error) {
	lease, err := s.store.Lease(s.ctx, id)
	if err != nil {
		return false, after, err
	}
	live := lease.Live(s.now())
	events, err := s.store.Events(s.ctx, id, after)
	if err != nil {
		return false, after, err
	}
	for _, ev := range events {
		r.event(ev)
		after = ev.Seq
	}
	return !live && len(events) == 0, after, nil
}

// oneLine makes what a person writes fit for a line of the journal.
func oneLine(words []string) string {
	return strings.Join(strings.Fields(strings.Join(words, " ")), " ")
}
