package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"cpacman/internal/rollout"
)

func (e *env) rolloutList(c *cli.Context) error {
	s, err := e.open(c)
	if err != nil {
		return err
	}
	defer s.Close()
	all, err := s.store.Rollouts(s.ctx)
	if err != nil {
		return err
	}
	d := data{columns: []string{"rollout", "state", "plan", "user", "created", "dry_run", "engine", "reason"}, value: notNil(all)}
	for _, r := range all {
		lease, err := s.store.Lease(s.ctx, r.ID)
		if err != nil {
			return err
		}
		engine := "none"
		if lease.Live(s.now()) {
			engine = fmt.Sprintf("%s:%d", lease.Owner.Host, lease.Owner.PID)
		}
		d.rows = append(d.rows, []string{r.ID, string(r.State), shortDigest(r.PlanID), r.User, r.CreatedAt.Local().Format("2006-01-02 15:04"),
			strconv.FormatBool(r.DryRun), engine, r.Reason})
	}
	return s.emit(c, d)
}

// statusValue is the JSON of rollout status.
type statusValue struct {
	Rollout   rollout.Rollout      `json:"rollout"`
	Engine    *rollout.Owner       `json:"engine"` // null: nobody runs it
	Waves     []rollout.WaveRecord `json:"waves"`
	Hosts     []rollout.HostRecord `json:"hosts"`
	Approvals []rollout.Approval   `json:"approvals"`
	Schedule  rollout.Schedule     `json:"schedule"`
}

func (e *env) rolloutStatus(c *cli.Context) error {
	s, err := e.open(c)
	if err != nil {
		return err
	}
	defer s.Close()
	id, rest, err := s.rolloutArg(c.Args().Slice())
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return usagef("status takes one rollout, not %q", rest[0])
	}
	snap, err := s.store.Load(s.ctx, id)
	if err != nil {
		return rolloutError(err, id)
	}
	lease, err := s.store.Lease(s.ctx, id)
	if err != nil {
		return err
	}
	v := statusValue{Rollout: snap.Rollout, Waves: notNil(snap.Waves), Hosts: notNil(snap.Hosts), Approvals: notNil(snap.Approvals), Schedule: snap.Schedule}
	if lease.Live(s.now()) {
		v.Engine = &lease.Owner
	}
	s.statusHead(snap, v.Engine)
	d := statusTable(snap, c.Bool("hosts"), s.now())
	d.value = v
	if err := s.emit(c, d); err != nil {
		return err
	}
	s.statusNext(snap, v.Engine)
	return nil
}

// statusHead says where the rollout stands.
func (s *session) statusHead(snap rollout.Snapshot, engine *rollout.Owner) {
	r := snap.Rollout
	s.say("rollout %s: %s, plan %.12s, started by %s at %s", r.ID, r.State, r.PlanID, r.User, r.CreatedAt.Local().Format("2006-01-02 15:04:05"))
	if engine != nil {
		s.say("engine: %s on %s, process %d", engine.User, engine.Host, engine.PID)
	} else if r.State == rollout.RolloutRunning || r.State == rollout.RolloutCreated {
		s.say("engine: none; the process that ran it is gone")
	}
	for _, w := range snap.Waves {
		l := snap.Schedule.Levels[snap.Schedule.Waves[w.Index].Level]
		count := map[rollout.State]int{}
		for _, h := range snap.Hosts {
			if h.Wave == w.Index {
				count[h.State]++
			}
		}
		line := fmt.Sprintf("wave %d (class %s, level %s): %s: %s", w.Index+1, l.Class, l.Level, w.State, stateCounts(count))
		if w.State == rollout.WaveSoaking {
			line += ", soak until " + w.SoakUntil.Local().Format("15:04:05")
		}
		if w.Verdict.Text != "" {
			line += ": " + w.Verdict.Text
		}
		s.say("%s", line)
	}
	if r.IgnoreWindow {
		s.say("maintenance windows are ignored: %s", r.Reason)
	}
	if r.Stop.Text != "" || r.Stop.Host != "" {
		s.say("%s", stopWords(r.State, r.Stop))
	}
}

// statusTable lists hosts: all of them, or those that are not simply done or not begun.
func statusTable(snap rollout.Snapshot, all bool, now time.Time) data {
	d := data{columns: []string{"host", "wave", "state", "since", "attempt", "flags", "reason", "checks"}}
	opens := windowWords(snap, now)
	for _, h := range snap.Hosts {
		quiet := h.State == rollout.StateOK || h.State == rollout.StateNoop || h.State == rollout.StatePending
		if quiet && len(h.Flags) == 0 && !all {
			continue
		}
		flags := make([]string, len(h.Flags))
		for i, f := range h.Flags {
			flags[i] = string(f)
		}
		why := h.Reason.Text
		if why == "" {
			why = h.Remark
		}
		if why == "" {
			why = opens(h)
		}
		d.rows = append(d.rows, []string{h.Host, strconv.Itoa(h.Wave + 1), string(h.State), age(now.Sub(h.Updated)), strconv.Itoa(h.Attempt),
			strings.Join(flags, " "), why, checkWords(h.Checks)})
	}
	if len(d.rows) == 0 {
		d.text = "no host needs attention (--hosts lists all)\n"
	}
	return d
}

// checkWords lists the checks that are not green, with what they said.
func checkWords(checks []rollout.CheckResult) string {
	var out []string
	for _, r := range checks {
		if r.Verdict != rollout.Green {
			out = append(out, fmt.Sprintf("%s %s: %s", r.Check, r.Verdict, r.Output))
		}
	}
	return strings.Join(out, "; ")
}

// statusNext ends with what a person can do.
func (s *session) statusNext(snap rollout.Snapshot, engine *rollout.Owner) {
	id := snap.Rollout.ID
	switch snap.Rollout.State {
	case rollout.RolloutWaiting:
		if snap.Rollout.WaitingFor == "" {
			s.statusWindow(id, engine)
			return
		}
		s.say("waits for approval of %s; next: cpacman rollout approve %s", snap.Rollout.WaitingFor, id)
	case rollout.RolloutPaused, rollout.RolloutStopped:
		s.say("next: cpacman rollout retry|skip %s HOST, cpacman rollout resume %s, or cpacman rollout abort %s", id, id, id)
	case rollout.RolloutRunning, rollout.RolloutCreated:
		if engine == nil {
			s.say("next: cpacman rollout resume %s", id)
			return
		}
		s.say("next: cpacman rollout watch %s", id)
	}
}

// watchEvery is how often watch looks for new events.
const watchEvery = 500 * time.Millisecond

// rolloutWatch follows the journal of a rollout until its engine ends.
func (e *env) rolloutWatch(c *cli.Context) error {
	s, err := e.open(c)
	if err != nil {
		return err
	}
	defer s.Close()
	id, _, err := s.rolloutArg(c.Args().Slice())
	if err != nil {
		return err
	}
	r, err := s.newRenderer()
	if err != nil {
		return err
	}
	defer r.end()
	after := int64(0)
	for {
		lease, err := s.store.Lease(s.ctx, id)
		if err != nil {
			return err
		}
		live := lease.Live(s.now())
		events, err := s.store.Events(s.ctx, id, after)
		if err != nil {
			return err
		}
		for _, ev := range events {
			r.event(ev)
			after = ev.Seq
		}
		if !live && len(events) == 0 {
			return nil
		}
		select {
		case <-s.ctx.Done():
			return s.ctx.Err()
		case <-time.After(watchEvery):
		}
	}
}
