package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"cpacman/internal/trail"
)

// entry is a line of the audit trail before it has its place.
type entry struct {
	actor, action, rollout, subject string

	body    any
	changes *trail.Changes // nil: none
}

// addLines puts lines behind the last one, in the transaction of what they tell: either both are on disk or neither is. The
// transaction holds the write lock from its start, so that two processes cannot take the same place.
func (s *Store) addLines(ctx context.Context, tx *sql.Tx, entries ...entry) error {
	if len(entries) == 0 {
		return nil
	}
	head, err := readHead(ctx, tx)
	if err != nil {
		return err
	}
	put, err := tx.PrepareContext(ctx, "INSERT INTO trail VALUES (?,?,?,?,?,?,?,?,?,?)")
	if err != nil {
		return err
	}
	defer put.Close()
	now := trail.Stamp(s.now())
	for _, e := range entries {
		l := trail.Line{At: now, Actor: plain(e.actor), Action: e.action, Rollout: plain(e.rollout), Subject: plain(e.subject)}
		if l.Body, err = trail.Body(e.body); err != nil {
			return err
		}
		if e.changes != nil {
			if l.Changes, err = putChanges(ctx, tx, *e.changes); err != nil {
				return err
			}
		}
		l.Seal(head)
		if _, err := put.ExecContext(ctx, l.Seq, l.At, l.Actor, l.Action, l.Rollout, l.Subject, string(l.Body), l.Changes, l.Prev, l.Digest); err != nil {
			return fmt.Errorf("audit trail: %w", err)
		}
		head = l.Head()
	}
	return nil
}

// plain keeps a field what JSON can hold, so that a line means the same in the database and in a file.
func plain(s string) string { return strings.ToValidUTF8(s, "\ufffd") }

// putChanges stores a list unless it is there, and gives its digest.
func putChanges(ctx context.Context, tx *sql.Tx, c trail.Changes) (string, error) {
	text, err := trail.Body(c)
	if err != nil {
		return "", err
	}
	digest := trail.DigestOf(text)
	var there int
	err = tx.QueryRowContext(ctx, "SELECT 1 FROM trail_changes WHERE digest = ?", digest).Scan(&there)
	if errors.Is(err, sql.ErrNoRows) {
		_, err = tx.ExecContext(ctx, "INSERT INTO trail_changes VALUES (?,?)", digest, pack(text))
	}
	return digest, err
}

func readHead(ctx context.Context, q rowQuerier) (h trail.Head, err error) {
	if err := q.QueryRowContext(ctx, "SELECT seq, digest FROM trail_head WHERE id = 1").Scan(&h.Seq, &h.Digest); err != nil {
		return h, fmt.Errorf("head of the audit trail: %w", err)
	}
	return h, nil
}

// TrailHead is the last line of the audit trail; line 0 before there was one.
func (s *Store) TrailHead(ctx context.Context) (trail.Head, error) {
	h, err := readHead(ctx, s.db)
	if err != nil {
		return h, fmt.Errorf("read the %w", err)
	}
	return h, nil
}

// TrailFilter selects lines; the zero filter selects all.
type TrailFilter struct {
	Since    time.Time // zero: from the first line on
	Rollout  string
	Actor    string
	From, To int64 // numbers of lines, both included; 0: no bound
}

// Trail calls fn for lines in their order. fn may use the store.
func (s *Store) Trail(ctx context.Context, f TrailFilter, fn func(trail.Line) error) error {
	query, args := "SELECT seq, at, actor, action, rollout, subject, body, changes, prev, digest FROM trail WHERE seq >= ?", []any{f.From}
	add := func(condition string, arg any) { query, args = query+" AND "+condition, append(args, arg) }
	if f.To > 0 {
		add("seq <= ?", f.To)
	}
	if !f.Since.IsZero() {
		add("at >= ?", trail.Stamp(f.Since))
	}
	if f.Rollout != "" {
		add("rollout = ?", f.Rollout)
	}
	if f.Actor != "" {
		add("actor = ?", f.Actor)
	}
	rows, err := s.db.QueryContext(ctx, query+" ORDER BY seq", args...)
	if err != nil {
		return fmt.Errorf("read the audit trail: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var l trail.Line
		var body string
		if err := rows.Scan(&l.Seq, &l.At, &l.Actor, &l.Action, &l.Rollout, &l.Subject, &body, &l.Changes, &l.Prev, &l.Digest); err != nil {
			return fmt.Errorf("read the audit trail: %w", err)
		}
		l.Body = []byte(body)
		if err := fn(l); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read the audit trail: %w", err)
	}
	return nil
}

// TrailChanges returns the text of a list that a line refers to, or ErrNotFound. The caller that wants proof compares its digest.
func (s *Store) TrailChanges(ctx context.Context, digest string) ([]byte, error) {
	var body []byte
	err := s.db.QueryRowContext(ctx, "SELECT body FROM trail_changes WHERE digest = ?", digest).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("list %.12s of the audit trail: %w", digest, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("read list %.12s of the audit trail: %w", digest, err)
	}
	text, err := unpack(body)
	if err != nil {
		return nil, fmt.Errorf("read list %.12s of the audit trail: %w", digest, err)
	}
	return text, nil
}

// CheckTrail computes the whole chain anew and compares it with the heads that somebody wrote down. Lines that come meanwhile are
// checked or left for the next time. The error tells that it could not be read; what is wrong with it is Result.Fault.
func (s *Store) CheckTrail(ctx context.Context, heads ...trail.Head) (trail.Result, error) {
	own, err := s.TrailHead(ctx)
	if err != nil {
		return trail.Result{}, err
	}
	var c trail.Checker
	for _, h := range append(heads, own) {
		c.Expect(h)
	}
	good := map[string]bool{}
	var found *trail.Fault
	err = s.Trail(ctx, TrailFilter{From: -1 << 63}, func(l trail.Line) error {
		if err := c.Add(l); err != nil {
			return err
		}
		if l.Changes == "" || good[l.Changes] {
			return nil
		}
		text, err := s.TrailChanges(ctx, l.Changes)
		if err != nil && ctx.Err() != nil {
			return err
		}
		if err != nil || trail.DigestOf(text) != l.Changes {
			return &trail.Fault{Seq: l.Seq, Kind: trail.Changed, Text: "the list of packages that it refers to is not what it was, or not there"}
		}
		good[l.Changes] = true
		return nil
	})
	if err == nil {
		err = c.End()
	}
	if err != nil && !errors.As(err, &found) {
		return trail.Result{}, err
	}
	return trail.Result{Lines: c.Lines(), First: c.First(), Head: c.Head(), Fault: found}, nil
}
