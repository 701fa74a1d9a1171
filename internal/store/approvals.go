package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"cpacman/internal/rollout"
)

// RequestUsedError says that an approval was recorded with a request before: each works once.
type RequestUsedError struct{ At time.Time }

func (e *RequestUsedError) Error() string {
	return "the request was used already, at " + e.At.UTC().Format("2006-01-02 15:04:05Z")
}

// PutRequest records a request for an approval, before anybody sees it.
func (s *Store) PutRequest(ctx context.Context, q rollout.ApprovalRequest, user string) error {
	return s.write(ctx, "record a request for rollout "+q.Rollout, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO approval_requests (nonce, rollout, body, user, made_at) VALUES (?,?,?,?,?)",
			q.Nonce, q.Rollout, []byte(q.Text()), user, stamp(s.now()))
		return err
	})
}

// Request gives the text of the request with a nonce; "" for an unknown one.
func (s *Store) Request(ctx context.Context, nonce string) (string, error) {
	var body []byte
	err := s.db.QueryRowContext(ctx, "SELECT body FROM approval_requests WHERE nonce = ?", nonce).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read a request for an approval: %w", err)
	}
	return string(body), nil
}

// PutSigned records an approval by signature and uses its request up, both or neither. The error is *RequestUsedError when
// another approval came first, and ErrNotFound when the request was not made here.
func (s *Store) PutSigned(ctx context.Context, id string, c rollout.Command, nonce string) error {
	return s.write(ctx, "record an approval of rollout "+id, func(tx *sql.Tx) error {
		var used string
		err := tx.QueryRowContext(ctx, "SELECT used_at FROM approval_requests WHERE nonce = ? AND rollout = ?", nonce, id).Scan(&used)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return ErrNotFound
		case err != nil:
			return err
		case used != "":
			at, err := parseStamp(used)
			return errors.Join(&RequestUsedError{At: at}, err)
		}
		if _, err := tx.ExecContext(ctx, "UPDATE approval_requests SET used_at = ? WHERE nonce = ?", stamp(s.now()), nonce); err != nil {
			return err
		}
		return appendRow(ctx, tx, "rollout_commands", id, c)
	})
}
