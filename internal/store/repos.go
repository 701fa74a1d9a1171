package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// RepoState is how far a repository had come when a plan was made from it.
type RepoState struct {
	Repo   string    `json:"repo"`
	Path   string    `json:"path"`
	Digest string    `json:"digest"`
	Made   time.Time `json:"made"` // the newest time stamp of its metadata
	Seen   time.Time `json:"seen"`
}

// RepoSeen gives what PutRepoSeen stored last for a repository, or ErrNotFound.
func (s *Store) RepoSeen(ctx context.Context, id string) (RepoState, error) {
	r := RepoState{Repo: id}
	var made, seen string
	err := s.db.QueryRowContext(ctx, "SELECT path, digest, made, seen FROM repos_seen WHERE repo = ?", id).Scan(&r.Path, &r.Digest, &made, &seen)
	if errors.Is(err, sql.ErrNoRows) {
		return r, ErrNotFound
	}
	if err == nil {
		if r.Made, err = parseStamp(made); err == nil {
			r.Seen, err = parseStamp(seen)
		}
	}
	if err != nil {
		return r, fmt.Errorf("read how far repository %s had come: %w", id, err)
	}
	return r, nil
}

// PutRepoSeen stores how far a repository has come.
func (s *Store) PutRepoSeen(ctx context.Context, r RepoState) error {
	return s.write(ctx, "record how far repository "+r.Repo+" has come", func(tx *sql.Tx) error { return putRepoSeen(ctx, tx, r) })
}

func putRepoSeen(ctx context.Context, tx *sql.Tx, r RepoState) error {
	_, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO repos_seen VALUES (?,?,?,?,?)", r.Repo, r.Path, r.Digest, stamp(r.Made), stamp(r.Seen))
	return err
}

// AcceptRepo stores that a repository may be older than it was, and tells in the audit trail who said so and why.
func (s *Store) AcceptRepo(ctx context.Context, r RepoState, user, reason string) error {
	return s.write(ctx, "accept repository "+r.Repo+" as it is", func(tx *sql.Tx) error {
		if err := putRepoSeen(ctx, tx, r); err != nil {
			return err
		}
		body := struct {
			RepoState
			Reason string `json:"reason"`
		}{r, bounded(reason)}
		return s.addLines(ctx, tx, entry{actor: user, action: LineRepoAccepted, subject: r.Repo, body: body})
	})
}
