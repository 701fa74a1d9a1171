package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// lookupBatch is how many digests one query asks for; SQLite's limit of variables is 32,766.
const lookupBatch = 500

// MissingHeaders returns those of the digests that are not stored, in the given order.
func (s *Store) MissingHeaders(ctx context.Context, digests []string) ([]string, error) {
	known := make(map[string]bool, len(digests))
	for start := 0; start < len(digests); start += lookupBatch {
		batch := digests[start:min(start+lookupBatch, len(digests))]
		args := make([]any, len(batch))
		for i, d := range batch {
			args[i] = d
		}
		rows, err := s.db.QueryContext(ctx, "SELECT digest FROM headers WHERE digest IN ("+marks(len(batch))+")", args...)
		if err != nil {
			return nil, fmt.Errorf("look up headers: %w", err)
		}
		for rows.Next() {
			var d string
			if err := rows.Scan(&d); err != nil {
				rows.Close()
				return nil, fmt.Errorf("look up headers: %w", err)
			}
			known[d] = true
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return nil, fmt.Errorf("look up headers: %w", err)
		}
	}
	var missing []string
	for _, d := range digests {
		if !known[d] {
			missing = append(missing, d)
		}
	}
	return missing, nil
}

// PutHeaders stores immutable headers under their digests. The caller has checked each against its digest.
func (s *Store) PutHeaders(ctx context.Context, headers map[string][]byte) error {
	if len(headers) == 0 {
		return nil
	}
	return s.write(ctx, "store headers", func(tx *sql.Tx) error {
		insert, err := tx.PrepareContext(ctx, "INSERT INTO headers VALUES (?,?) ON CONFLICT DO NOTHING")
		if err != nil {
			return err
		}
		defer insert.Close()
		for digest, blob := range headers {
			if _, err := insert.ExecContext(ctx, digest, pack(blob)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Header returns one immutable header, or ErrNotFound.
func (s *Store) Header(ctx context.Context, digest string) ([]byte, error) {
	var blob []byte
	err := s.db.QueryRowContext(ctx, "SELECT blob FROM headers WHERE digest = ?", digest).Scan(&blob)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("header %.12s: %w", digest, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("read header %.12s: %w", digest, err)
	}
	out, err := unpack(blob)
	if err != nil {
		return nil, fmt.Errorf("read header %.12s: %w", digest, err)
	}
	return out, nil
}

// Headers returns those of the immutable headers that are stored, by digest.
func (s *Store) Headers(ctx context.Context, digests []string) (map[string][]byte, error) {
	out := make(map[string][]byte, len(digests))
	for start := 0; start < len(digests); start += lookupBatch {
		if err := s.someHeaders(ctx, digests[start:min(start+lookupBatch, len(digests))], out); err != nil {
			return nil, fmt.Errorf("read headers: %w", err)
		}
	}
	return out, nil
}

// someHeaders is Headers of one batch.
func (s *Store) someHeaders(ctx context.Context, digests []string, out map[string][]byte) (err error) {
	args := make([]any, len(digests))
	for i, d := range digests {
		args[i] = d
	}
	rows, err := s.db.QueryContext(ctx, "SELECT digest, blob FROM headers WHERE digest IN ("+marks(len(digests))+")", args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var digest string
		var blob sql.RawBytes
		if err := rows.Scan(&digest, &blob); err != nil {
			return err
		}
		if out[digest], err = unpack(blob); err != nil {
			return fmt.Errorf("%.12s: %w", digest, err)
		}
	}
	return rows.Err()
}

// PutPlan keeps the bytes of a plan file under its id.
func (s *Store) PutPlan(ctx context.Context, id string, savedAt time.Time, file []byte) error {
	return s.write(ctx, "store plan "+id, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO plans VALUES (?,?,?) ON CONFLICT DO NOTHING", id, stamp(savedAt), pack(file))
		return err
	})
}

// Plan returns the bytes of a plan file, or ErrNotFound.
func (s *Store) Plan(ctx context.Context, id string) ([]byte, error) {
	var body []byte
	err := s.db.QueryRowContext(ctx, "SELECT body FROM plans WHERE id = ?", id).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("plan %.12s: %w", id, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("read plan %.12s: %w", id, err)
	}
	return unpack(body)
}
