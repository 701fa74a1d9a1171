package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"cpacman/internal/rollout"
	"cpacman/internal/trail"
)

// AmendedBody is the body of LineAmended: which hosts follow which plan from then on, on whose word, and what that made of the digest
// that approvals bind.
type AmendedBody struct {
	PlanID     string   `json:"plan_id"`
	PlanSHA256 string   `json:"plan_sha256"` // of the amendment's bytes
	Difference string   `json:"difference"`  // sha256 of the difference that was shown
	Before     string   `json:"before"`      // digest that approvals were bound to
	After      string   `json:"after"`       // digest that they are bound to from now on
	Hosts      []string `json:"hosts"`
	Overrides  []string `json:"overrides,omitempty"` // without_switch
	Person     string   `json:"person,omitempty"`
	Claimed    string   `json:"claimed,omitempty"`
	Reason     string   `json:"reason"`
}

// Amend writes an amendment, in one piece: the bytes of its plan, the schedule, the hosts, the event and the line of the audit trail. It
// is for a rollout that no engine runs: *rollout.LeaseHeldError when one does, since an engine works by the schedule and the packages
// that it has read and proven at its start. rollout.ErrAmended when the rollout is no longer what the amendment was made
// from: from, and the epoch of its lease.
func (s *Store) Amend(ctx context.Context, from rollout.Rollout, epoch int64, a rollout.Amendment, plan []byte) error {
	id, last := a.Rollout.ID, a.Latest()
	schedule, err := json.Marshal(a.Schedule)
	if err != nil {
		return fmt.Errorf("amend rollout %s: %w", id, err)
	}
	line := entry{actor: last.User, action: LineAmended, rollout: id, body: amendedBody(from, a, plan)}
	return s.write(ctx, "amend rollout "+id, func(tx *sql.Tx) error {
		lease, err := readLease(ctx, tx, id)
		if err != nil {
			return err
		}
		if lease.Live(s.now()) {
			return &rollout.LeaseHeldError{Rollout: id, Owner: lease.Owner}
		}
		if lease.Epoch != epoch { // an engine has run it, and hosts have moved
			return rollout.ErrAmended
		}
		if err := unchangedSince(ctx, tx, from); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO plans VALUES (?,?,?) ON CONFLICT DO NOTHING", last.PlanID, stamp(s.now()), pack(plan)); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE rollouts SET schedule = ? WHERE id = ?", pack(schedule), id); err != nil {
			return err
		}
		if err := s.put(ctx, tx, id, rollout.Change{Rollout: &a.Rollout, Hosts: a.Hosts, Events: []rollout.Event{a.Event}}); err != nil {
			return err
		}
		return s.addLines(ctx, tx, line)
	})
}

// unchangedSince refuses to write over what somebody else has written: every amendment changes the digest, and a restore the time.
func unchangedSince(ctx context.Context, tx *sql.Tx, from rollout.Rollout) error {
	var body []byte
	err := tx.QueryRowContext(ctx, "SELECT body FROM rollouts WHERE id = ?", from.ID).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return rollout.ErrNotFound
	}
	if err != nil {
		return err
	}
	var now rollout.Rollout
	if err := json.Unmarshal(body, &now); err != nil {
		return err
	}
	if now.Digest != from.Digest || !now.UpdatedAt.Equal(from.UpdatedAt) {
		return rollout.ErrAmended
	}
	return nil
}

func amendedBody(from rollout.Rollout, a rollout.Amendment, plan []byte) AmendedBody {
	last := a.Latest()
	b := AmendedBody{PlanID: last.PlanID, PlanSHA256: trail.DigestOf(plan), Difference: last.Difference, Before: last.Before, After: a.Schedule.Digest,
		Person: last.Person, Claimed: last.Claimed, Reason: bounded(last.Reason), Hosts: []string{}}
	for _, h := range last.Hosts {
		b.Hosts = append(b.Hosts, h.Host)
	}
	if a.Rollout.WithoutSwitch && !from.WithoutSwitch {
		b.Overrides = append(b.Overrides, "without_switch")
	}
	return b
}
