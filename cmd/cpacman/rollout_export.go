package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/urfave/cli/v2"

	"cpacman/internal/evidence"
	"cpacman/internal/rollout"
)

// rolloutExport writes the evidence of a rollout.
func (e *env) rolloutExport(c *cli.Context) error {
	if c.Args().Len() != 2 {
		return usagef("rollout export wants a rollout and a file")
	}
	if err := checkPlace(c.Args().Get(1)); err != nil {
		return err
	}
	s, id, rest, err := e.onRollout(c)
	if err != nil {
		return err
	}
	defer s.Close()
	if len(rest) != 1 {
		return inputError{err: fmt.Errorf("no rollout %q", c.Args().First()), hint: "cpacman rollout list prints them"}
	}
	sum, err := evidence.Write(s.ctx, s.store, id, rest[0], evidence.Options{Version: version, KnownKeys: s.fleet.KnownKeys()})
	if err != nil {
		return err
	}
	d := data{columns: []string{"rollout", "file", "members", "trail_lines", "head", "sha256"}, value: sum,
		rows: [][]string{{sum.Rollout, sum.File, strconv.Itoa(sum.Members), strconv.Itoa(sum.Lines), sum.Head, sum.SHA256}}}
	if err := s.emitTo(c, d, ""); err != nil {
		return err
	}
	for _, m := range sum.Remarks {
		s.say("note: %s", m)
	}
	if sum.Fault != nil {
		return &statusError{status: statusFailed, err: sum.Fault, hint: "the bundle is written and says so; cpacman audit trail verify checks the whole trail"}
	}
	return nil
}

// sendHead sends the head of the audit trail at the end of a run, whatever that end was. What fails is a warning.
func (s *session) sendHead(id string) {
	ctx := context.WithoutCancel(s.ctx)
	state := "unknown"
	if snap, err := s.store.Load(ctx, id); err == nil {
		state = string(snap.Rollout.State)
	} else if errors.Is(err, rollout.ErrNotFound) {
		return // it was refused: nothing ran
	}
	for _, f := range s.fleet.SendHead(ctx, id, state) {
		s.say("warning: the head of the audit trail could not be sent: %s", f)
	}
}
