package rollout

import (
	"context"
	"strconv"
	"strings"
	"time"
)

// Record writes a rollout into the journal without running it, for an engine in another process (ROLL-16): Resume takes it from
// there. Errors are those of Start before anything was recorded.
func (e *Engine) Record(ctx context.Context, req StartRequest) error {
	now := e.cfg.Clock.Now()
	if err := checkStart(req, now); err != nil {
		return err
	}
	return e.cfg.Journal.Create(ctx, newSnapshot(req, e.cfg.Owner, now), req.Again || req.DryRun)
}

// adopt takes a rollout up as the journal has it, for an engine that died: what was paused or waits stays so, and hosts at work
// are asked what became of them.
func (r *run) adopt(user string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	state := string(r.ro.State)
	why := Reason{ReasonOperator, "an engine takes over from one that is gone"}
	if r.commit(Change{Events: []Event{{Kind: EventRollout, Wave: -1, From: state, To: state, User: user, Reason: why}}}) != nil {
		return
	}
	r.reattachAll()
}

// ExitOf says how a rollout that no engine runs any more has ended, as its engine would have said; ExitInterrupted when it has
// not come to an end or a rest.
func ExitOf(s Snapshot) Exit {
	r := newRun(&Engine{rules: soundRules}, s, s.Schedule.Limits, 0)
	switch s.Rollout.State {
	case RolloutCreated, RolloutRunning:
		return ExitInterrupted
	}
	out, err := r.outcome(true)
	if err != nil {
		return ExitInterrupted
	}
	return out.Exit
}

// NoteKind sorts what people leave with a rollout.
type NoteKind string

// The kinds of note.
const (
	NoteText     NoteKind = "note"     // a remark
	NoteHandover NoteKind = "handover" // To answers for the rollout from now on
	NoteEngine   NoteKind = "engine"   // Detached tells whether an engine of its own is to run it until it is over
)

// EventNote is the event of a note or a handover: what watchers see. It changes nothing.
const EventNote EventKind = "note"

// Note is one line that a person left with a rollout, beside the journal of the engine.
type Note struct {
	Seq      int64     `json:"seq"` // given by the store
	Kind     NoteKind  `json:"kind"`
	User     string    `json:"user"`
	To       string    `json:"to,omitempty"` // handover
	Text     string    `json:"text,omitempty"`
	Detached bool      `json:"detached,omitempty"` // engine
	At       time.Time `json:"at"`
}

// Responsible is who answers for a rollout: who started it, until it was handed over. The handover is nil when there was none.
func Responsible(r Rollout, notes []Note) (user string, handover *Note) {
	user = r.User
	for i := range notes {
		if notes[i].Kind == NoteHandover {
			user, handover = notes[i].To, &notes[i]
		}
	}
	return user, handover
}

// Detached tells whether an engine of its own is to run a rollout, by the last word on it.
func Detached(notes []Note) bool {
	out := false
	for _, n := range notes {
		if n.Kind == NoteEngine {
			out = n.Detached
		}
	}
	return out
}

// Over tells whether nothing will happen in a rollout any more unless somebody opens it again.
func (s RolloutState) Over() bool { return s == RolloutDone || s == RolloutAborted }

// WantsEngine tells whether a rollout in that state has something for an engine to do, or to wait for.
func (s RolloutState) WantsEngine() bool {
	return s == RolloutCreated || s == RolloutRunning || s == RolloutWaiting || s == RolloutPaused
}

// Gate is an approval that a wave waits for or will wait for.
type Gate struct {
	Scope  string   `json:"scope"`
	Wave   int      `json:"wave"` // index of the wave it keeps shut
	Needed int      `json:"needed"`
	Given  []string `json:"given"` // by whom, in the order of their yes; never nil
}

// Gates lists the approvals that are still missing, in the order in which the rollout will come to them.
func Gates(b Ballot) []Gate {
	out := []Gate{}
	told := map[string]bool{}
	for i := range b.Schedule.Waves {
		if i < len(b.Waves) && !b.due(i) {
			continue
		}
		for _, scope := range b.scopes(i) {
			if v, ok := b.Votes(scope); ok && !v.Open() && !told[scope] {
				told[scope] = true
				out = append(out, Gate{Scope: scope, Wave: i, Needed: v.Need, Given: v.Persons()})
			}
		}
	}
	return out
}

// String is the gate in words: "class production (0 of 1)".
func (g Gate) String() string {
	text := g.Scope + " (" + strconv.Itoa(len(g.Given)) + " of " + strconv.Itoa(g.Needed) + ")"
	if len(g.Given) > 0 {
		text += ", given by " + strings.Join(g.Given, ", ")
	}
	return text
}
