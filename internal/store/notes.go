package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"cpacman/internal/rollout"
)

// PutNote appends what a person left with a rollout. A remark or a handover is an event too, so that watchers see it; it changes no
// state, so it needs no lease.
func (s *Store) PutNote(ctx context.Context, id string, n rollout.Note) error {
	return s.write(ctx, "leave a note with rollout "+id, func(tx *sql.Tx) error {
		if err := known(ctx, tx, id); err != nil {
			return err
		}
		if err := appendRow(ctx, tx, "rollout_notes", id, n); err != nil {
			return err
		}
		if n.Kind == rollout.NoteEngine {
			return nil
		}
		ev := rollout.Event{At: n.At, Rollout: id, Kind: rollout.EventNote, Wave: -1, User: n.User, To: n.To,
			Reason: rollout.Reason{Code: rollout.ReasonOperator, Text: n.Text}}
		if err := appendRow(ctx, tx, "rollout_events", id, ev); err != nil {
			return err
		}
		n.Text = bounded(n.Text)
		return s.addLines(ctx, tx, entry{actor: n.User, action: LineNote, rollout: id, subject: n.To, body: n})
	})
}

// PutWarning appends a warning to the events of a rollout, for those who watch from elsewhere. It changes no state.
func (s *Store) PutWarning(ctx context.Context, id string, at time.Time, text string) error {
	return s.write(ctx, "record a warning of rollout "+id, func(tx *sql.Tx) error {
		if err := known(ctx, tx, id); err != nil {
			return err
		}
		return appendRow(ctx, tx, "rollout_events", id, rollout.Event{At: at, Rollout: id, Kind: rollout.EventWarning, Wave: -1,
			Reason: rollout.Reason{Code: rollout.ReasonInternal, Text: text}})
	})
}

// MaxWarnings is how many warnings of a rollout are told.
const MaxWarnings = 50

// Warnings gives the last warnings of a rollout, in order.
func (s *Store) Warnings(ctx context.Context, id string) ([]rollout.Event, error) {
	// The text is not read as JSON to find them: quotes inside of a value are written with a backslash.
	out, err := rows[rollout.Event](ctx, s.db, `SELECT body FROM rollout_events WHERE rollout = ? AND instr(body, CAST('"kind":"warning"' AS BLOB)) > 0
		ORDER BY seq DESC LIMIT ?`, id, MaxWarnings)
	if err != nil {
		return nil, fmt.Errorf("read the warnings of rollout %s: %w", id, err)
	}
	slices.Reverse(out)
	return out, nil
}

// known refuses a rollout that was never recorded.
func known(ctx context.Context, tx *sql.Tx, id string) error {
	var there int
	err := tx.QueryRowContext(ctx, "SELECT 1 FROM rollouts WHERE id = ?", id).Scan(&there)
	if errors.Is(err, sql.ErrNoRows) {
		return rollout.ErrNotFound
	}
	return err
}

// Notes lists what people left with a rollout, in order.
func (s *Store) Notes(ctx context.Context, id string) ([]rollout.Note, error) {
	found, err := s.db.QueryContext(ctx, "SELECT seq, body FROM rollout_notes WHERE rollout = ? ORDER BY seq", id)
	if err != nil {
		return nil, fmt.Errorf("read notes of rollout %s: %w", id, err)
	}
	defer found.Close()
	var out []rollout.Note
	for found.Next() {
		var seq int64
		var body []byte
		var n rollout.Note
		if err := found.Scan(&seq, &body); err != nil {
			return nil, fmt.Errorf("read notes of rollout %s: %w", id, err)
		}
		if err := json.Unmarshal(body, &n); err != nil {
			return nil, fmt.Errorf("read notes of rollout %s: %w", id, err)
		}
		n.Seq = seq
		out = append(out, n)
	}
	return out, found.Err()
}

// LastEvent is the number of a rollout's newest event; 0 without one.
func (s *Store) LastEvent(ctx context.Context, id string) (int64, error) {
	var seq int64
	err := s.db.QueryRowContext(ctx, "SELECT coalesce(max(seq), 0) FROM rollout_events WHERE rollout = ?", id).Scan(&seq)
	if err != nil {
		return 0, fmt.Errorf("read events of rollout %s: %w", id, err)
	}
	return seq, nil
}

// Took is how long one host took in an earlier rollout.
type Took struct {
	Transaction time.Duration // asked for until ended, the wait for rpm's lock included
	Host        time.Duration // admitted until ok
}

// maxTook bounds how many hosts, and maxTookEvents how many events, History looks at: the newest say most.
const (
	maxTook       = 2000
	maxTookEvents = 100_000
)

// History tells how long hosts took that ended ok in earlier rollouts, the newest rollouts first; dry runs are left out.
func (s *Store) History(ctx context.Context) ([]Took, error) {
	all, err := s.Rollouts(ctx)
	if err != nil {
		return nil, err
	}
	var out []Took
	read := 0
	for _, r := range all {
		if r.DryRun {
			continue
		}
		var t times
		for after := int64(0); len(out) < maxTook && read < maxTookEvents; {
			events, err := s.Events(ctx, r.ID, after)
			if err != nil {
				return nil, err
			}
			if len(events) == 0 {
				break
			}
			read += len(events)
			for _, ev := range events {
				after = ev.Seq
				if took, ok := t.event(ev); ok {
					out = append(out, took)
				}
			}
		}
	}
	return out, nil
}

// times follows hosts through the events of one rollout. What was cut by the death of an engine is left out: the gap would count.
type times struct {
	admitted, asked map[string]time.Time
	took            map[string]time.Duration
}

func (t *times) event(ev rollout.Event) (Took, bool) {
	if t.admitted == nil || ev.Kind == rollout.EventRollout {
		// A rollout that was paused or taken up again: hosts that were at work say nothing about how long things take.
		t.admitted, t.asked, t.took = map[string]time.Time{}, map[string]time.Time{}, map[string]time.Duration{}
	}
	if ev.Kind != rollout.EventHost {
		return Took{}, false
	}
	switch rollout.State(ev.To) {
	case rollout.StateConnecting:
		t.admitted[ev.Host] = ev.At
	case rollout.StateTransacting:
		t.asked[ev.Host] = ev.At
	case rollout.StateVerifying:
		if at, ok := t.asked[ev.Host]; ok {
			t.took[ev.Host] = ev.At.Sub(at)
		}
	case rollout.StateOK:
		begin, ok := t.admitted[ev.Host]
		tx, ran := t.took[ev.Host]
		if ok && ran {
			return Took{Transaction: tx, Host: ev.At.Sub(begin)}, true
		}
	}
	return Took{}, false
}
