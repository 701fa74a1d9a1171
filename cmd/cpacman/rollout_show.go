package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"cpacman/internal/rollout"
	"cpacman/internal/store"
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
		d.rows = append(d.rows, []string{r.ID, rolloutWord(r), shortDigest(r.PlanID), r.User, r.CreatedAt.Local().Format("2006-01-02 15:04"),
			dryRunWord(r), engine, r.Reason})
	}
	if len(all) == 0 {
		s.say("no rollout was ever started")
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
	Gates     []gateValue          `json:"gates"`   // those that want approvals, in order
	Amended   []rollout.Amended    `json:"amended"` // with what each replaced, in order
	Owner     string               `json:"owner"`   // who answers for it
	Notes     []rollout.Note       `json:"notes"`
	Warnings  []rollout.Event      `json:"warnings"` // the last of them, in order
	Next      []step               `json:"next"`     // what is due, in order
	Schedule  rollout.Schedule     `json:"schedule"`
}

func (e *env) rolloutStatus(c *cli.Context) error {
	s, id, rest, err := e.onRollout(c)
	if err != nil {
		return err
	}
	defer s.Close()
	if len(rest) > 0 {
		return usagef("status takes one rollout, not %q", rest[0])
	}
	snap, st, err := s.standing(id)
	if err != nil {
		return err
	}
	v := statusValue{Rollout: snap.Rollout, Engine: st.engine(), Waves: notNil(snap.Waves), Hosts: notNil(snap.Hosts), Approvals: notNil(snap.Approvals),
		Schedule: snap.Schedule, Amended: notNil(snap.Schedule.Amended), Notes: notNil(st.notes), Next: nextSteps(snap, st)}
	v.Owner, _ = rollout.Responsible(snap.Rollout, st.notes)
	if v.Gates, err = s.gates(snap); err != nil {
		return err
	}
	s.statusHead(snap, v.Engine)
	s.statusNotes(snap.Rollout, st.notes)
	s.statusAmended(snap.Schedule)
	s.sayGates(v.Gates)
	all, err := s.store.Warnings(s.ctx, id)
	if err != nil {
		return err
	}
	v.Warnings = notNil(all)
	s.sayWarnings(all)
	d := statusTable(snap, c.Bool("hosts"), s.now())
	d.value = v
	if err := s.emit(c, d); err != nil {
		return err
	}
	s.statusNext(snap, st)
	return nil
}

// shownWarnings is how many warnings the text of a status has.
const shownWarnings = 5

// sayWarnings prints the last warnings: what could not be delivered, hooks that failed after the work.
func (s *session) sayWarnings(all []rollout.Event) {
	if n := len(all) - shownWarnings; n > 0 {
		s.say("warnings: %d earlier ones (--output json has the last %d)", n, store.MaxWarnings)
		all = all[n:]
	}
	for _, ev := range all {
		s.say("warning at %s: %s", ev.At.Local().Format("2006-01-02 15:04:05"), ev.Reason.Text)
	}
}

// dryRunWord is the column dry_run: what a run that changes nothing is for.
func dryRunWord(r rollout.Rollout) string {
	if r.Staging {
		return "staging"
	}
	return strconv.FormatBool(r.DryRun)
}

// statusHead says where the rollout stands.
func (s *session) statusHead(snap rollout.Snapshot, engine *rollout.Owner) {
	r := snap.Rollout
	s.say("rollout %s: %s, plan %.12s, started by %s at %s", r.ID, rolloutWord(r), r.PlanID, r.User, r.CreatedAt.Local().Format("2006-01-02 15:04:05"))
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
				shown, _ := h.Shown(r)
				count[shown]++
			}
		}
		line := fmt.Sprintf("wave %d (class %s, level %s): %s: %s", w.Index+1, l.Class, l.Level, rollout.WaveWord(w.State, w.Verdict), stateCounts(count))
		if w.State == rollout.WaveSoaking {
			line += ", soak until " + w.SoakUntil.Local().Format("15:04:05")
		}
		if w.Verdict.Text != "" {
			line += ": " + w.Verdict.Text
		}
		s.say("%s", line)
	}
	if e := snap.Schedule.Emergency; e != nil {
		s.say("emergency for %s: %s", e.For, e.Reason)
		for _, line := range e.Overrides() {
			s.say("  left out: %s", line)
		}
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
		state, reason := h.Shown(snap.Rollout)
		quiet := state == rollout.StateOK || state == rollout.StateNoop || state == rollout.StatePending
		if quiet && len(h.Flags) == 0 && !all {
			continue
		}
		flags := make([]string, len(h.Flags))
		for i, f := range h.Flags {
			flags[i] = string(f)
		}
		why := reason.Text
		if why == "" {
			why = h.Remark
		}
		if why == "" {
			why = opens(h)
		}
		d.rows = append(d.rows, []string{h.Host, strconv.Itoa(h.Wave + 1), string(state), age(now.Sub(h.Updated)), strconv.Itoa(h.Attempt),
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

// watchEvery is how often watch looks for new events.
const watchEvery = 500 * time.Millisecond

// rolloutWatch follows the journal of a rollout until its engine ends.
func (e *env) rolloutWatch(c *cli.Context) error {
	s, id, _, err := e.onRollout(c)
	if err != nil {
		return err
	}
	defer s.Close()
	ended, err := s.follow(id, 0)
	if err != nil || !ended {
		return err
	}
	snap, st, err := s.standing(id)
	if err != nil {
		return err
	}
	s.statusNext(snap, st)
	return nil
}
