package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"cpacman/internal/rollout"
)

// The store is the engine's memory.
var (
	_ rollout.Journal  = (*Store)(nil)
	_ rollout.Commands = (*Store)(nil)
	_ rollout.Leases   = (*Store)(nil)
)

// Create implements rollout.Journal.
func (s *Store) Create(ctx context.Context, snap rollout.Snapshot, again bool) error {
	r := snap.Rollout
	schedule, err := json.Marshal(snap.Schedule)
	if err != nil {
		return fmt.Errorf("record rollout %s: %w", r.ID, err)
	}
	plan, err := s.planFacts(ctx, r.PlanID)
	if err != nil {
		return fmt.Errorf("record rollout %s: %w", r.ID, err)
	}
	return s.write(ctx, "record rollout "+r.ID, func(tx *sql.Tx) error {
		if !again && !r.DryRun {
			if err := startedBefore(ctx, tx, r.PlanID); err != nil {
				return err
			}
		}
		body, err := json.Marshal(r)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO rollouts VALUES (?,?,?,?,?,?,?)",
			r.ID, r.PlanID, string(r.State), r.DryRun, stamp(r.CreatedAt), body, pack(schedule)); err != nil {
			return err
		}
		for i := range snap.Approvals {
			if err := appendRow(ctx, tx, "rollout_approvals", r.ID, snap.Approvals[i]); err != nil {
				return err
			}
		}
		if err := putRecords(ctx, tx, r.ID, snap.Waves, snap.Hosts); err != nil {
			return err
		}
		return s.addLines(ctx, tx, createdEntries(snap, plan)...)
	})
}

// startedBefore refuses a plan that a rollout was made of; a dry run does not count.
func startedBefore(ctx context.Context, tx *sql.Tx, plan string) error {
	var earlier string
	err := tx.QueryRowContext(ctx, "SELECT id FROM rollouts WHERE plan_id = ? AND dry_run = 0 ORDER BY created_at LIMIT 1", plan).Scan(&earlier)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return err
	}
	return &rollout.PlanStartedError{Plan: plan, Rollout: earlier}
}

// Append implements rollout.Journal.
func (s *Store) Append(ctx context.Context, id string, epoch int64, c rollout.Change) error {
	return s.write(ctx, "write the journal of rollout "+id, func(tx *sql.Tx) error {
		if err := checkLease(ctx, tx, id, epoch); err != nil {
			return err
		}
		return s.put(ctx, tx, id, c)
	})
}

// put writes a change and what the audit trail tells of it, whoever holds the lease.
func (s *Store) put(ctx context.Context, tx *sql.Tx, id string, c rollout.Change) error {
	lines, err := changeEntries(ctx, tx, id, c)
	if err != nil {
		return err
	}
	if c.Rollout != nil {
		body, err := json.Marshal(c.Rollout)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE rollouts SET state = ?, body = ? WHERE id = ?", string(c.Rollout.State), body, id); err != nil {
			return err
		}
	}
	if c.Approval != nil {
		if err := appendRow(ctx, tx, "rollout_approvals", id, c.Approval); err != nil {
			return err
		}
	}
	for _, e := range c.Events {
		if err := appendRow(ctx, tx, "rollout_events", id, e); err != nil {
			return err
		}
	}
	if err := putRecords(ctx, tx, id, c.Waves, c.Hosts); err != nil {
		return err
	}
	return s.addLines(ctx, tx, lines...)
}

// checkLease refuses the writes of an engine that lost its lease.
func checkLease(ctx context.Context, tx *sql.Tx, id string, epoch int64) error {
	var current int64
	var released bool
	err := tx.QueryRowContext(ctx, "SELECT epoch, released FROM rollout_leases WHERE rollout = ?", id).Scan(&current, &released)
	if errors.Is(err, sql.ErrNoRows) || err == nil && (current != epoch || released) {
		return rollout.ErrLeaseLost
	}
	return err
}

// appendRow writes the next row of a numbered table of one rollout.
func appendRow(ctx context.Context, tx *sql.Tx, table, id string, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO "+table+" SELECT ?, coalesce(max(seq), 0) + 1, ? FROM "+table+" WHERE rollout = ?", id, body, id)
	return err
}

func putRecords(ctx context.Context, tx *sql.Tx, id string, waves []rollout.WaveRecord, hosts []rollout.HostRecord) error {
	for _, w := range waves {
		body, err := json.Marshal(w)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO rollout_waves VALUES (?,?,?)", id, w.Index, body); err != nil {
			return err
		}
	}
	if len(hosts) == 0 {
		return nil
	}
	put, err := tx.PrepareContext(ctx, "INSERT OR REPLACE INTO rollout_hosts VALUES (?,?,?,?)")
	if err != nil {
		return err
	}
	defer put.Close()
	for _, h := range hosts {
		body, err := json.Marshal(h)
		if err != nil {
			return err
		}
		if _, err := put.ExecContext(ctx, id, h.Host, string(h.State), body); err != nil {
			return err
		}
	}
	return nil
}

// Load implements rollout.Journal.
func (s *Store) Load(ctx context.Context, id string) (rollout.Snapshot, error) {
	var snap rollout.Snapshot
	fail := func(err error) (rollout.Snapshot, error) {
		return rollout.Snapshot{}, fmt.Errorf("read rollout %s: %w", id, err)
	}
	// One transaction, so that the parts belong together.
	tx, err := s.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fail(err)
	}
	defer tx.Rollback() //nolint:errcheck // nothing was written
	var body, packed []byte
	err = tx.QueryRowContext(ctx, "SELECT body, schedule FROM rollouts WHERE id = ?", id).Scan(&body, &packed)
	if errors.Is(err, sql.ErrNoRows) {
		return fail(rollout.ErrNotFound)
	}
	if err != nil {
		return fail(err)
	}
	schedule, err := unpack(packed)
	if err != nil {
		return fail(err)
	}
	if err := errors.Join(json.Unmarshal(body, &snap.Rollout), json.Unmarshal(schedule, &snap.Schedule)); err != nil {
		return fail(err)
	}
	if snap.Waves, err = rows[rollout.WaveRecord](ctx, tx, "SELECT body FROM rollout_waves WHERE rollout = ? ORDER BY wave", id); err != nil {
		return fail(err)
	}
	if snap.Hosts, err = rows[rollout.HostRecord](ctx, tx, "SELECT body FROM rollout_hosts WHERE rollout = ? ORDER BY host", id); err != nil {
		return fail(err)
	}
	if snap.Approvals, err = rows[rollout.Approval](ctx, tx, "SELECT body FROM rollout_approvals WHERE rollout = ? ORDER BY seq", id); err != nil {
		return fail(err)
	}
	return snap, nil
}

// querier is a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// rows reads a column of JSON bodies.
func rows[T any](ctx context.Context, q querier, query string, args ...any) ([]T, error) {
	found, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	var out []T
	for found.Next() {
		var body []byte
		if err := found.Scan(&body); err != nil {
			return nil, err
		}
		var v T
		if err := json.Unmarshal(body, &v); err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, found.Err()
}

// Rollouts lists every rollout, the newest first.
func (s *Store) Rollouts(ctx context.Context) ([]rollout.Rollout, error) {
	out, err := rows[rollout.Rollout](ctx, s.db, "SELECT body FROM rollouts ORDER BY created_at DESC, id")
	if err != nil {
		return nil, fmt.Errorf("list rollouts: %w", err)
	}
	return out, nil
}

// maxEvents bounds what one call reads.
const maxEvents = 10_000

// Events returns events of a rollout after a sequence number, in order, at most 10,000 of them.
func (s *Store) Events(ctx context.Context, id string, after int64) ([]rollout.Event, error) {
	found, err := s.db.QueryContext(ctx, "SELECT seq, body FROM rollout_events WHERE rollout = ? AND seq > ? ORDER BY seq LIMIT ?", id, after, maxEvents)
	if err != nil {
		return nil, fmt.Errorf("read events of rollout %s: %w", id, err)
	}
	defer found.Close()
	var out []rollout.Event
	for found.Next() {
		var seq int64
		var body []byte
		var e rollout.Event
		if err := found.Scan(&seq, &body); err != nil {
			return nil, fmt.Errorf("read events of rollout %s: %w", id, err)
		}
		if err := json.Unmarshal(body, &e); err != nil {
			return nil, fmt.Errorf("read events of rollout %s: %w", id, err)
		}
		e.Seq = seq
		out = append(out, e)
	}
	return out, found.Err()
}

// PutCommand records what an operator wants; the engine of the rollout takes it within seconds.
func (s *Store) PutCommand(ctx context.Context, id string, c rollout.Command) error {
	return s.write(ctx, "record "+string(c.Kind)+" for rollout "+id, func(tx *sql.Tx) error {
		if err := known(ctx, tx, id); err != nil {
			return err
		}
		if err := appendRow(ctx, tx, "rollout_commands", id, c); err != nil {
			return err
		}
		return s.addLines(ctx, tx, commandEntry(id, c))
	})
}

// maxCommands is how many commands Pending gives at a time.
const maxCommands = 1000

// Pending implements rollout.Commands.
func (s *Store) Pending(ctx context.Context, id string, after int64) ([]rollout.Command, error) {
	found, err := s.db.QueryContext(ctx, "SELECT seq, body FROM rollout_commands WHERE rollout = ? AND seq > ? ORDER BY seq LIMIT ?", id, after, maxCommands)
	if err != nil {
		return nil, fmt.Errorf("read commands for rollout %s: %w", id, err)
	}
	defer found.Close()
	var out []rollout.Command
	for found.Next() {
		var seq int64
		var body []byte
		var c rollout.Command
		if err := found.Scan(&seq, &body); err != nil {
			return nil, fmt.Errorf("read commands for rollout %s: %w", id, err)
		}
		if err := json.Unmarshal(body, &c); err != nil {
			return nil, fmt.Errorf("read commands for rollout %s: %w", id, err)
		}
		c.Seq = seq
		out = append(out, c)
	}
	return out, found.Err()
}
