package main

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"cpacman/internal/rollout"
	"cpacman/internal/store"
)

// enginesCommand lists the engines of rollouts that are not over.
func enginesCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "engines", Usage: "rollouts that are not over, and whether their engine lives",
		Description: "With --resume it starts an engine for each whose engine died, and for each that was left to an engine of its own and has none:\n" +
			"for a systemd unit at boot, or a cron line. What was paused stays paused. Exit status 1: an engine did not come up.",
		Flags:  outputFlags(&cli.BoolFlag{Name: "resume", Usage: "start engines for those that died"}),
		Action: e.rolloutEngines,
	}
}

// engineCommand is what an engine of its own runs as; nobody types it.
func engineCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "engine", Usage: "run a recorded rollout without a terminal", ArgsUsage: "ROLLOUT", Hidden: true,
		Flags: watchFlags(
			&cli.StringFlag{Name: "log", Usage: "`FILE` for everything it says"},
			&cli.BoolFlag{Name: "adopt", Usage: "take it up as it is, for an engine that died"},
		),
		Action: e.rolloutEngine,
	}
}

// engineRow is one rollout that is not over.
type engineRow struct {
	Rollout  string               `json:"rollout"`
	State    rollout.RolloutState `json:"state"`
	Engine   string               `json:"engine"` // alive, dead, unsure (of an earlier boot), none
	Owner    *rollout.Owner       `json:"owner"`  // who runs it, or ran it last
	Renewed  *time.Time           `json:"renewed_at"`
	Detached bool                 `json:"detached"` // an engine of its own is wanted
	Due      bool                 `json:"due"`      // --resume starts one
	Log      string               `json:"log"`

	settles time.Time // when an unsure one is known
}

// rolloutEngines lists engines, and starts those that are missing.
func (e *env) rolloutEngines(c *cli.Context) error {
	s, err := e.open(c)
	if err != nil {
		return err
	}
	defer s.Close()
	rows, err := s.engines()
	if err != nil {
		return err
	}
	var failed error
	if c.Bool("resume") {
		if rows, err = s.settled(rows); err != nil {
			return err
		}
		failed = s.resumeEngines(rows)
		if rows, err = s.engines(); err != nil {
			return err
		}
	}
	if err := s.emit(c, engineTable(rows)); err != nil {
		return err
	}
	due := 0
	for _, r := range rows {
		if r.Due {
			due++
		}
	}
	if due > 0 && !c.Bool("resume") {
		s.say("next: cpacman rollout engines --resume starts %d %s", due, plural(due, "engine", "engines"))
	}
	return failed
}

func engineTable(rows []engineRow) data {
	d := data{columns: []string{"rollout", "state", "engine", "pid", "host", "user", "since", "detached", "resume"}, value: notNil(rows)}
	for _, r := range rows {
		cells := []string{r.Rollout, string(r.State), r.Engine, "", "", "", "", strconv.FormatBool(r.Detached), strconv.FormatBool(r.Due)}
		if r.Owner != nil {
			since := r.Owner.Since
			if r.Engine == "dead" {
				since = *r.Renewed
			}
			cells[3], cells[4], cells[5], cells[6] = strconv.Itoa(r.Owner.PID), r.Owner.Host, r.Owner.User, dueTime(since)
		}
		d.rows = append(d.rows, cells)
	}
	if len(rows) == 0 {
		d.text = "every rollout is over\n"
	}
	return d
}

// engines looks at every rollout that has something left for an engine.
func (s *session) engines() ([]engineRow, error) {
	all, err := s.store.Rollouts(s.ctx)
	if err != nil {
		return nil, err
	}
	var out []engineRow
	for _, r := range all {
		st, err := s.beside(r.ID)
		if err != nil {
			return nil, err
		}
		if r.State.Over() && !st.live && !st.died() {
			continue
		}
		row := s.engineRow(r, st)
		if r.State.Over() && !st.live {
			// An engine that died right at the end, or at an abort while hosts were at work.
			open, err := s.anyOpen(r.ID)
			if err != nil {
				return nil, err
			}
			if row.Due = open; !open {
				continue
			}
		}
		out = append(out, row)
	}
	return out, nil
}

func (s *session) engineRow(r rollout.Rollout, st standing) engineRow {
	row := engineRow{Rollout: r.ID, State: r.State, Engine: "none", Detached: rollout.Detached(st.notes), Log: engineLogPath(s.site.StateDir, r.ID)}
	if st.lease.Epoch > 0 {
		row.Owner, row.Renewed = &st.lease.Owner, &st.lease.RenewedAt
	}
	switch row.settles = st.lease.Settles(s.now()); {
	case !row.settles.IsZero():
		row.Engine = "unsure"
	case st.live:
		row.Engine = "alive"
	case st.died():
		row.Engine = "dead"
	}
	row.Due = !st.live && (st.died() || row.Detached && r.State.WantsEngine())
	return row
}

// anyOpen tells whether a host of a rollout has not come to its end.
func (s *session) anyOpen(id string) (bool, error) {
	snap, err := s.store.Load(s.ctx, id)
	if err != nil {
		return false, err
	}
	for _, h := range snap.Hosts {
		if !h.State.Final() {
			return true, nil
		}
	}
	return false, nil
}

// settled waits until it is known of every engine whether it lives: right after a boot, the lease of one from before it still
// counts, for at most a minute.
func (s *session) settled(rows []engineRow) ([]engineRow, error) {
	var until time.Time
	for _, r := range rows {
		if r.settles.After(until) {
			until = r.settles
		}
	}
	wait := until.Sub(s.now())
	if until.IsZero() || wait <= 0 {
		return rows, nil
	}
	s.say("an engine from before the last boot counts as alive for %s more; waiting for that", wait.Round(time.Second))
	select {
	case <-s.ctx.Done():
		return nil, s.ctx.Err()
	case <-time.After(wait):
	}
	return s.engines()
}

// resumeEngines starts an engine for every rollout that is due, all of them at once, and waits until each has taken its rollout.
func (s *session) resumeEngines(rows []engineRow) error {
	type started struct {
		id     string
		before store.Lease
		p      *engineProcess
	}
	var under []started
	var failed []error
	due := 0
	for _, r := range rows {
		if !r.Due {
			continue
		}
		due++
		before, err := s.store.Lease(s.ctx, r.Rollout)
		if err == nil {
			err = s.wantEngine(r.Rollout, true)
		}
		var p *engineProcess
		if err == nil {
			p, err = s.spawn(r.Rollout, true)
		}
		var starting *unitBusyError
		switch {
		case errors.As(err, &starting): // by an earlier call, and still proving packages
			s.say("engine of %s: %v", r.Rollout, starting)
			continue
		case err != nil:
			failed = append(failed, err)
			continue
		}
		under = append(under, started{r.Rollout, before, p})
	}
	for _, u := range under {
		lease, err := s.awaitLease(u.id, u.before.Epoch, u.p)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		s.say("engine of %s: %s, process %d on %s, log %s", u.id, u.p.what, lease.Owner.PID, lease.Owner.Host, u.p.log)
	}
	if due == 0 {
		s.say("no engine is missing")
	}
	if len(failed) > 0 {
		for _, err := range failed[1:] {
			s.say("warning: %v", err)
		}
		return &statusError{status: statusFailed, err: fmt.Errorf("%d of %d engines did not come up: %w", len(failed), due, failed[0]), hint: hintOf(failed[0])}
	}
	return nil
}

func hintOf(err error) string {
	var hinter interface{ Hint() string }
	if errors.As(err, &hinter) {
		return hinter.Hint()
	}
	return ""
}
