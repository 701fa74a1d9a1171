package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"cpacman/internal/host"
)

// Before is what a host had right before a transaction.
type Before struct {
	Host      string
	MachineID string // of the machine that had it: it is void for another one; "" when nothing tells
	Digest    string
	Packages  []host.Package // without install times
	Unmet     []string       // unmet dependencies, as rpm -Va prints them
}

// PutBefore records what a host has before the transaction id is started. The first record of an id stays: a second start of the same
// id finds a host that the first may have changed.
func (s *Store) PutBefore(ctx context.Context, id string, f *host.Facts, unmet []string) error {
	body, err := json.Marshal(unmet)
	if err != nil {
		return fmt.Errorf("record the state before %s: %w", id, err)
	}
	return s.write(ctx, "record the state before "+id, func(tx *sql.Tx) error {
		if err := putInstalled(ctx, tx, f.InstalledDigest, f.Packages); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO transactions (id, host, digest, unmet, put_at, machine_id) VALUES (?,?,?,?,?,?)
			ON CONFLICT DO NOTHING`, id, f.Host, f.InstalledDigest, body, stamp(s.now()), f.MachineID)
		return err
	})
}

// Before returns what PutBefore recorded, or ErrNotFound.
func (s *Store) Before(ctx context.Context, id string) (Before, error) {
	var b Before
	var unmet []byte
	err := s.db.QueryRowContext(ctx, "SELECT host, digest, unmet, "+machineOf+" FROM transactions t WHERE id = ?", id).
		Scan(&b.Host, &b.Digest, &unmet, &b.MachineID)
	if errors.Is(err, sql.ErrNoRows) {
		return b, fmt.Errorf("the state before %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return b, fmt.Errorf("read the state before %s: %w", id, err)
	}
	if err := json.Unmarshal(unmet, &b.Unmet); err != nil {
		return b, fmt.Errorf("read the state before %s: %w", id, err)
	}
	b.Packages, err = s.Installed(ctx, b.Digest)
	return b, err
}
