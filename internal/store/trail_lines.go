package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"cpacman/internal/rollout"
	"cpacman/internal/trail"
	"cpacman/planner"
)

// What is told in the trail, by action. docs/journal.md has the same list; a test compares.
const (
	LineCreated        = "rollout.created"
	LineRollout        = "rollout.state"
	LineEngine         = "engine.started"
	LineWave           = "wave.state"
	LineHost           = "host.state"
	LineHostKey        = "host.key"
	LinePackages       = "host.packages"
	LineTxAsked        = "tx.asked"
	LineTxEnded        = "tx.ended"
	LineErase          = "tx.erase_asked"
	LineBackAsked      = "tx.back_asked"
	LineBackEnded      = "tx.back_ended"
	LineRebootAsked    = "reboot.asked"
	LineRebootEnded    = "reboot.ended"
	LineRestartAsked   = "restart.asked"
	LineRestartEnded   = "restart.ended"
	LineApproval       = "approval"
	LineCommand        = "command.asked"
	LineCommandTaken   = "command.taken"
	LineCommandRefused = "command.refused"
	LineNote           = "rollout.note"
	LineAmended        = "rollout.amended"
	LineHeadSent       = "head.sent"
	LineRestored       = "state.restored"
	LineRepoAccepted   = "repo.accepted"
)

// CreatedBody is the body of LineCreated: what was started, and on what grounds.
type CreatedBody struct {
	Record     rollout.Rollout    `json:"record"`
	PlanSHA256 string             `json:"plan_sha256,omitempty"` // of the plan file's bytes; its id is Record.PlanID
	Repos      []planner.PlanRepo `json:"repos,omitempty"`       // the snapshots that the plan was computed from
	Requested  *planner.Requested `json:"requested,omitempty"`
	Services   *planner.Services  `json:"services,omitempty"`  // of a plan of services
	Overrides  []string           `json:"overrides,omitempty"` // again, dry_run, keep_staged …; of an emergency all that it leaves out
	Hosts      int                `json:"hosts"`
	Waves      int                `json:"waves"`
}

// StateBody is the body of LineRollout, LineWave, LineHost, LineTxAsked, LineTxEnded and LineErase.
type StateBody struct {
	From       string              `json:"from,omitempty"`
	To         string              `json:"to,omitempty"`
	Reason     rollout.Reason      `json:"reason,omitzero"`
	Stop       *rollout.StopReason `json:"stop,omitempty"`
	WaitingFor string              `json:"waiting_for,omitempty"`
	Wave       int                 `json:"wave,omitempty"` // from 1; 0: does not apply
	Attempt    int                 `json:"attempt,omitempty"`
	TxID       string              `json:"tx_id,omitempty"`
	Flags      []rollout.Flag      `json:"flags,omitempty"`
	Checks     []CheckVerdict      `json:"checks,omitempty"`
}

// CheckVerdict is a health verdict as the trail has it; the host's record has the output too.
type CheckVerdict struct {
	Check     string          `json:"check"`
	Verdict   rollout.Verdict `json:"verdict"`
	RedBefore bool            `json:"red_before,omitempty"`
}

// CommandBody is the body of the three lines about commands. Text is the engine's answer.
type CommandBody struct {
	Kind   rollout.CommandKind `json:"kind,omitempty"`
	Host   string              `json:"host,omitempty"`
	Scope  string              `json:"scope,omitempty"`
	Digest string              `json:"digest,omitempty"`
	Reason string              `json:"reason,omitempty"`
	Text   string              `json:"text,omitempty"`
	From   string              `json:"from,omitempty"` // state of the rollout
	To     string              `json:"to,omitempty"`
	At     time.Time           `json:"at,omitzero"`
}

// createdEntries tells of a new rollout.
func createdEntries(snap rollout.Snapshot, plan planFacts) []entry {
	r := snap.Rollout
	r.Reason = bounded(r.Reason)
	b := CreatedBody{Record: r, PlanSHA256: plan.sha256, Repos: plan.Repos, Requested: plan.Requested, Services: plan.Services, Hosts: len(snap.Hosts), Waves: len(snap.Waves)}
	for _, o := range []struct {
		name string
		on   bool
	}{{"again", r.Again}, {"dry_run", r.DryRun}, {"keep_staged", r.KeepStaged}, {"staging", r.Staging}, {"without_switch", r.WithoutSwitch}, {"ignore_window", r.IgnoreWindow},
		{"force", plan.Requested != nil && plan.Requested.Force != "" && r.PlanType == string(planner.TypeReboot)}} {
		if o.on {
			b.Overrides = append(b.Overrides, o.name)
		}
	}
	if e := snap.Schedule.Emergency; e != nil {
		b.Overrides = append(b.Overrides, "emergency for "+e.For)
		b.Overrides = append(b.Overrides, e.Overrides()...)
	}
	out := []entry{{actor: r.User, action: LineCreated, rollout: r.ID, body: b}}
	for _, a := range snap.Approvals {
		out = append(out, approvalEntry(r.ID, a))
	}
	return out
}

// planFacts is what the trail says of a stored plan.
type planFacts struct {
	sha256    string
	Repos     []planner.PlanRepo `json:"repos"`
	Requested *planner.Requested `json:"requested"`
	Services  *planner.Services  `json:"services"`
}

// planFacts reads them; a plan that is not stored has none.
func (s *Store) planFacts(ctx context.Context, id string) (planFacts, error) {
	var p planFacts
	body, err := s.Plan(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return p, nil
	}
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal(body, &p); err != nil {
		return p, fmt.Errorf("read plan %.12s: %w", id, err)
	}
	p.sha256 = trail.DigestOf(body)
	return p, nil
}

func approvalEntry(id string, a rollout.Approval) entry {
	a.Reason = bounded(a.Reason)
	return entry{actor: a.User, action: LineApproval, rollout: id, subject: a.Scope, body: a}
}

// engineEntry tells who took a rollout to run it: at its start, at each resume, and after another engine's death.
func engineEntry(id string, owner rollout.Owner, epoch int64) entry {
	return entry{actor: owner.User, action: LineEngine, rollout: id, body: struct {
		rollout.Owner
		Epoch int64 `json:"epoch"`
	}{owner, epoch}}
}

// commandEntry tells what an operator wants; what became of it is told when the engine takes it.
func commandEntry(id string, c rollout.Command) entry {
	subject := c.Host
	if subject == "" {
		subject = c.Scope
	}
	return entry{actor: c.User, action: LineCommand, rollout: id, subject: subject,
		body: CommandBody{Kind: c.Kind, Host: c.Host, Scope: c.Scope, Digest: c.Digest, Reason: bounded(c.Reason), At: c.At}}
}

// changeEntries tells of a change of the journal what the trail wants of it. It is called before the change is written: the
// journal still has the states of before.
func changeEntries(ctx context.Context, tx *sql.Tx, id string, c rollout.Change) ([]entry, error) {
	var out []entry
	actor := trail.Engine
	for _, e := range c.Events {
		if e.Kind == rollout.EventRollout && e.User != "" || e.Kind == rollout.EventCommand && !e.Refused && e.User != "" {
			actor = e.User
		}
	}
	for _, e := range c.Events {
		switch {
		case e.Kind == rollout.EventCommand:
			action := LineCommandTaken
			if e.Refused {
				action = LineCommandRefused
			}
			out = append(out, entry{actor: e.User, action: action, rollout: id, subject: e.Host,
				body: CommandBody{Host: e.Host, From: e.From, To: e.To, Text: bounded(e.Reason.Text)}})
		case e.Kind == rollout.EventHost && e.On == rollout.OnErase:
			out = append(out, entry{actor: trail.Engine, action: LineErase, rollout: id, subject: e.Host,
				body: StateBody{From: e.From, To: e.To, TxID: e.TxID, Attempt: e.Attempt, Wave: e.Wave + 1}})
		}
	}
	if c.Approval != nil {
		out = append(out, approvalEntry(id, *c.Approval))
	}
	hosts, err := hostEntries(ctx, tx, id, c)
	if err != nil {
		return nil, err
	}
	out = append(out, hosts...)
	for _, w := range c.Waves {
		was, err := oldWave(ctx, tx, id, w.Index)
		if err != nil {
			return nil, err
		}
		if was != w.State {
			out = append(out, entry{actor: actor, action: LineWave, rollout: id, subject: "wave " + strconv.Itoa(w.Index+1),
				body: StateBody{From: string(was), To: string(w.State), Reason: boundedReason(w.Verdict), Wave: w.Index + 1}})
		}
	}
	if c.Rollout == nil {
		return out, nil
	}
	was, err := oldState(ctx, tx, "SELECT state FROM rollouts WHERE id = ?", id)
	if err != nil {
		return nil, err
	}
	if was != string(c.Rollout.State) {
		body := StateBody{From: was, To: string(c.Rollout.State), WaitingFor: c.Rollout.WaitingFor}
		if stop := c.Rollout.Stop; !stop.IsZero() {
			stop.Text, stop.Output = bounded(stop.Text), bounded(stop.Output)
			body.Stop = &stop
		}
		out = append(out, entry{actor: actor, action: LineRollout, rollout: id, body: body})
	}
	return out, nil
}

// askedLine is what a state announces that changes a host, and endedLine tells that it is over.
var (
	askedLine = map[rollout.State]string{
		rollout.StateTransacting: LineTxAsked, rollout.StateRollingBack: LineBackAsked, rollout.StateRebooting: LineRebootAsked,
		rollout.StateRestarting: LineRestartAsked,
	}
	endedLine = map[rollout.State]string{
		rollout.StateTransacting: LineTxEnded, rollout.StateRollingBack: LineBackEnded, rollout.StateRebooting: LineRebootEnded,
		rollout.StateRestarting: LineRestartEnded,
	}
)

// hostEntries tells of hosts that came to an end or to rest, and of transactions that were asked for or are over.
func hostEntries(ctx context.Context, tx *sql.Tx, id string, c rollout.Change) ([]entry, error) {
	by := map[string]string{}
	for _, e := range c.Events {
		if e.Kind == rollout.EventHost && e.User != "" {
			by[e.Host] = e.User // an operator's skip
		}
	}
	var out []entry
	for _, h := range c.Hosts {
		old, err := oldState(ctx, tx, "SELECT state FROM rollout_hosts WHERE rollout = ? AND host = ?", id, h.Host)
		if err != nil {
			return nil, err
		}
		was := rollout.State(old)
		if was == h.State {
			continue
		}
		body := StateBody{From: old, To: string(h.State), Reason: boundedReason(h.Reason), Wave: h.Wave + 1, Attempt: h.Attempt, TxID: h.TxID}
		actor := trail.Engine
		if user := by[h.Host]; user != "" {
			actor = user
		}
		tell := func(action string) {
			out = append(out, entry{actor: actor, action: action, rollout: id, subject: h.Host, body: body})
		}
		if action := endedLine[was]; action != "" {
			tell(action)
		}
		if action := askedLine[h.State]; action != "" {
			tell(action)
		}
		if h.State.Final() {
			body.Flags = h.Flags
			for _, c := range h.Checks {
				body.Checks = append(body.Checks, CheckVerdict{c.Check, c.Verdict, c.RedBefore})
			}
			tell(LineHost)
		}
	}
	return out, nil
}

// oldState reads a state; "" where there is no row.
func oldState(ctx context.Context, tx *sql.Tx, query string, args ...any) (string, error) {
	var state string
	err := tx.QueryRowContext(ctx, query, args...).Scan(&state)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return state, err
}

func oldWave(ctx context.Context, tx *sql.Tx, id string, wave int) (rollout.WaveState, error) {
	body, err := oldState(ctx, tx, "SELECT CAST(body AS TEXT) FROM rollout_waves WHERE rollout = ? AND wave = ?", id, wave)
	if err != nil || body == "" {
		return "", err
	}
	var w rollout.WaveRecord
	err = json.Unmarshal([]byte(body), &w)
	return w.State, err
}

// boundedReason bounds the text of a reason.
func boundedReason(r rollout.Reason) rollout.Reason {
	r.Text = bounded(r.Text)
	return r
}

// bounded cuts a text as the journal does: a line of the trail stays small whatever a host printed or a person pasted.
func bounded(s string) string {
	const more = " […]"
	if len(s) <= rollout.MaxText {
		return s
	}
	return strings.ToValidUTF8(s[:rollout.MaxText-len(more)], "") + more
}
