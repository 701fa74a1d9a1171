package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"cpacman/internal/host"
	"cpacman/internal/trail"
)

// PackagesBody is the body of LinePackages; the packages themselves are the line's changes.
type PackagesBody struct {
	TxID    string `json:"tx_id"`
	Before  string `json:"before"` // digest of the installed set
	After   string `json:"after"`
	Added   int    `json:"added"`
	Removed int    `json:"removed"`
}

// PutAfter stores the facts that were read after the transaction id, and tells in the audit trail what the host lost and got since
// PutBefore of the transaction since: the same one, or the one that a way back undid. Reading a host twice tells it once.
func (s *Store) PutAfter(ctx context.Context, id, since string, f *host.Facts) error {
	before, err := s.Before(ctx, since)
	if err != nil {
		return err
	}
	facts, err := withoutPackages(f)
	if err != nil {
		return fmt.Errorf("store facts of %s: %w", f.Host, err)
	}
	changes := difference(before.Packages, f.Packages)
	rollout, _, _ := strings.Cut(id, "/")
	e := entry{actor: trail.Engine, action: LinePackages, rollout: rollout, subject: f.Host, changes: &changes,
		body: PackagesBody{id, before.Digest, f.InstalledDigest, len(changes.Added), len(changes.Removed)}}
	return s.write(ctx, "record the state after "+id, func(tx *sql.Tx) error {
		if err := putFacts(ctx, tx, f, facts); err != nil {
			return err
		}
		return s.addNews(ctx, tx, e, "ORDER BY seq DESC LIMIT 1")
	})
}

// addNews adds a line unless the lines of its action about its subject, or the last of them, say the same.
func (s *Store) addNews(ctx context.Context, tx *sql.Tx, e entry, last string) error {
	body, err := trail.Body(e.body)
	if err != nil {
		return err
	}
	var same int
	err = tx.QueryRowContext(ctx, `SELECT count(*) FROM (SELECT body FROM trail WHERE rollout = ? AND subject = ? AND action = ? `+last+`)
		WHERE body = ?`, plain(e.rollout), plain(e.subject), e.action, string(body)).Scan(&same)
	if err != nil || same > 0 {
		return err
	}
	return s.addLines(ctx, tx, e)
}

// difference lists what is in one set only, as "NEVRA header": a build that was replaced by another of the same name and version
// shows too.
func difference(before, after []host.Package) trail.Changes {
	count := map[string]int{}
	for _, p := range before {
		count[packageLine(p)]--
	}
	for _, p := range after {
		count[packageLine(p)]++
	}
	c := trail.Changes{Added: []string{}, Removed: []string{}}
	for line, n := range count {
		for ; n > 0; n-- {
			c.Added = append(c.Added, line)
		}
		for ; n < 0; n++ {
			c.Removed = append(c.Removed, line)
		}
	}
	slices.Sort(c.Added)
	slices.Sort(c.Removed)
	return c
}

// packageLine is a package as the digest of an installed set has it (host.InstalledDigest).
func packageLine(p host.Package) string { return plain(p.NEVRA().String() + " " + p.Header) }

// HostKey is a key that a host proved to have.
type HostKey struct {
	Type        string `json:"type"`
	Fingerprint string `json:"fingerprint"`         // SHA-256, as ssh-keygen prints it
	Address     string `json:"address"`             // where it was dialled
	Authority   string `json:"authority,omitempty"` // fingerprint of the key that certified it; "" for a key that is known itself
}

// PutHostKey tells in the audit trail which key a host proved to have in a rollout, once for each key.
func (s *Store) PutHostKey(ctx context.Context, rollout, host string, k HostKey) error {
	return s.write(ctx, "record the host key of "+host, func(tx *sql.Tx) error {
		return s.addNews(ctx, tx, entry{actor: trail.Engine, action: LineHostKey, rollout: rollout, subject: host, body: k}, "")
	})
}

// HeadSentBody is the body of LineHeadSent.
type HeadSentBody struct {
	Head   string   `json:"head"`
	To     []string `json:"to,omitempty"`     // file, command, syslog
	Failed []string `json:"failed,omitempty"` // the same, with what went wrong
}

// PutHeadSent tells in the audit trail that its head was sent out.
func (s *Store) PutHeadSent(ctx context.Context, rollout string, b HeadSentBody) error {
	return s.write(ctx, "record that the head of the audit trail was sent", func(tx *sql.Tx) error {
		return s.addLines(ctx, tx, entry{actor: trail.Engine, action: LineHeadSent, rollout: rollout, body: b})
	})
}

// Transaction is what is kept of one transaction of a host.
type Transaction struct {
	ID     string    `json:"id"`
	Host   string    `json:"host"`
	At     time.Time `json:"at"`           // when what the host had was recorded, right before the start
	Before string    `json:"before"`       // digest of the installed set
	Unmet  []string  `json:"unmet_before"` // unmet dependencies
}

// Transactions lists those of a rollout, by their ids.
func (s *Store) Transactions(ctx context.Context, rollout string) ([]Transaction, error) {
	// '0' is the character after '/', which ends the rollout's part of an id.
	rows, err := s.db.QueryContext(ctx, "SELECT id, host, digest, unmet, put_at FROM transactions WHERE id >= ? AND id < ? ORDER BY id", rollout+"/", rollout+"0")
	if err != nil {
		return nil, fmt.Errorf("list transactions of rollout %s: %w", rollout, err)
	}
	defer rows.Close()
	var out []Transaction
	for rows.Next() {
		var t Transaction
		var unmet []byte
		var at string
		err := rows.Scan(&t.ID, &t.Host, &t.Before, &unmet, &at)
		if err == nil {
			t.At, err = parseStamp(at)
		}
		if err = errors.Join(err, json.Unmarshal(unmet, &t.Unmet)); err != nil {
			return nil, fmt.Errorf("list transactions of rollout %s: %w", rollout, err)
		}
		out = append(out, t)
	}
	return out, rows.Err()
}
