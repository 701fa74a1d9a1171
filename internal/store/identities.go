package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Identity is one machine that answered under one name.
type Identity struct {
	Host      string    `json:"host"`
	MachineID string    `json:"machine_id"`
	Since     time.Time `json:"since"`
	LastSeen  time.Time `json:"last_seen"`
	Current   bool      `json:"current"` // it answered last under this name
}

// KnownMachine tells whether a machine-id names a machine: imported facts have none, and an image that was never booted has the word
// that machine-id(5) gives it.
func KnownMachine(id string) bool { return id != "" && id != "uninitialized" }

// putIdentity records which machine answered. Facts that do not tell leave the record as it is.
func putIdentity(ctx context.Context, tx *sql.Tx, host, machine string, at time.Time) error {
	if !KnownMachine(machine) {
		return nil
	}
	var current string
	err := tx.QueryRowContext(ctx, "SELECT machine_id FROM identities WHERE host = ? AND current = 1", host).Scan(&current)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if current != machine {
		if _, err := tx.ExecContext(ctx, "UPDATE identities SET current = 0 WHERE host = ?", host); err != nil {
			return err
		}
		if _, err = tx.ExecContext(ctx, "INSERT OR REPLACE INTO identities VALUES (?,?,?,?,1,0)", host, machine, stamp(at), stamp(at)); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE identities SET shared = 1 WHERE (host = ?1 OR machine_id = ?2)
			AND (SELECT count(*) FROM identities WHERE host = ?1 OR machine_id = ?2) > 1`, host, machine)
		return err
	}
	_, err = tx.ExecContext(ctx, "UPDATE identities SET last_seen = ? WHERE host = ? AND machine_id = ?", stamp(at), host, machine)
	return err
}

// Identities lists every machine that ever answered under any name, by name and then from the first to the current.
func (s *Store) Identities(ctx context.Context) ([]Identity, error) {
	return s.identities(ctx, "SELECT host, machine_id, since, last_seen, current FROM identities ORDER BY host, current, since")
}

// SharedIdentities lists those of Identities that are not plain: of names under which several machines answered, and of machines that answered
// under several names. All of such a name and all of such a machine are among them.
func (s *Store) SharedIdentities(ctx context.Context) ([]Identity, error) {
	return s.identities(ctx, "SELECT host, machine_id, since, last_seen, current FROM identities WHERE shared = 1 ORDER BY host, current, since")
}

func (s *Store) identities(ctx context.Context, query string) ([]Identity, error) {
	found, err := s.db.QueryContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("read the identities of hosts: %w", err)
	}
	defer found.Close()
	var out []Identity
	for found.Next() {
		var i Identity
		var since, seen string
		if err := found.Scan(&i.Host, &i.MachineID, &since, &seen, &i.Current); err != nil {
			return nil, fmt.Errorf("read the identities of hosts: %w", err)
		}
		var err1, err2 error
		i.Since, err1 = parseStamp(since)
		i.LastSeen, err2 = parseStamp(seen)
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("read the identities of hosts: %s: %w", i.Host, err)
		}
		out = append(out, i)
	}
	return out, found.Err()
}

// LastMachines gives, for every host that ever had a transaction, the machine that had the last one: "" where it was not recorded
// and the time does not tell either.
func (s *Store) LastMachines(ctx context.Context) (map[string]string, error) {
	found, err := s.db.QueryContext(ctx, `SELECT t.host, `+machineOf+` FROM transactions t
		WHERE t.put_at = (SELECT max(put_at) FROM transactions l WHERE l.host = t.host)`)
	if err != nil {
		return nil, fmt.Errorf("read the last transactions of hosts: %w", err)
	}
	defer found.Close()
	out := map[string]string{}
	for found.Next() {
		var host, machine string
		if err := found.Scan(&host, &machine); err != nil {
			return nil, fmt.Errorf("read the last transactions of hosts: %w", err)
		}
		out[host] = machine
	}
	return out, found.Err()
}

// machineOf is the machine that a row t of transactions was recorded on. Rows without one are of the machine that was there then, as
// far as its time tells.
const machineOf = `CASE WHEN t.machine_id <> '' THEN t.machine_id ELSE coalesce(
	(SELECT i.machine_id FROM identities i WHERE i.host = t.host AND i.since <= t.put_at ORDER BY i.since DESC LIMIT 1),
	(SELECT i.machine_id FROM identities i WHERE i.host = t.host ORDER BY i.since LIMIT 1), '') END`
