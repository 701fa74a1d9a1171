package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"

	"cpacman/internal/host"
)

// ownKeys are those of facts that differ from host to host; what the others say, many hosts say in the same bytes.
var ownKeys = []string{"host", "collected_at", "machine_id", "boot_id", "boot_time", "database", "installed_digest", "disk"} //nolint:gochecknoglobals // a constant list

// splitFacts divides the JSON of facts, as encoding/json writes it, into an object of ownKeys and one of the others. False: it is not such JSON.
func splitFacts(body []byte) (own, common []byte, ok bool) {
	own, common = []byte{'{'}, []byte{'{'}
	ok = eachField(body, func(key, field []byte) bool {
		to := &common
		if slices.Contains(ownKeys, string(key)) {
			to = &own
		}
		if len(*to) > 1 {
			*to = append(*to, ',')
		}
		*to = append(*to, field...)
		return true
	})
	return append(own, '}'), append(common, '}'), ok && len(own) > 1 && len(common) > 1
}

// eachField calls fn for every field of an object without spaces, with its key and with all of its text, until it says no. False: it did, or it is not
// such an object, and what fn was told means nothing.
func eachField(b []byte, fn func(key, field []byte) bool) bool {
	if len(b) < 2 || b[0] != '{' || b[len(b)-1] != '}' {
		return false
	}
	for b = b[1:]; ; b = b[1:] {
		n := keyLength(b)
		if n == 0 {
			return false
		}
		value := valueLength(b[n:])
		if value == 0 || n+value >= len(b) {
			return false
		}
		if !fn(b[1:n-2], b[:n+value]) {
			return false
		}
		if b = b[n+value:]; b[0] != ',' {
			return len(b) == 1
		}
	}
}

// keyLength is the length of a key with its quotes and colon; 0 where there is none.
func keyLength(b []byte) int {
	if len(b) == 0 || b[0] != '"' {
		return 0
	}
	end := bytes.IndexByte(b[1:], '"')
	if end < 0 || end+2 >= len(b) || b[end+2] != ':' {
		return 0
	}
	return end + 3
}

// joinParts reads facts from what splitFacts made of them; common is empty where they are in one piece.
func joinParts(common, own []byte, f *host.Facts) error {
	if len(common) > 0 {
		if err := json.Unmarshal(common, f); err != nil {
			return err
		}
	}
	return json.Unmarshal(own, f)
}

// putParts stores what a host has in common with others, lets put store the rest, and removes what no host has any more.
func putParts(ctx context.Context, tx *sql.Tx, name string, body []byte, put func(common sql.NullInt64, own []byte) error) error {
	var before, now sql.NullInt64
	err := tx.QueryRowContext(ctx, "SELECT common FROM facts WHERE host = ?", name).Scan(&before)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	own, common, ok := splitFacts(body)
	if !ok {
		own = body
	} else if now.Int64, err = putCommon(ctx, tx, common); err != nil {
		return err
	}
	now.Valid = ok
	if err := put(now, own); err != nil {
		return err
	}
	if !before.Valid || before == now {
		return nil
	}
	_, err = tx.ExecContext(ctx, "DELETE FROM facts_common WHERE id = ? AND NOT EXISTS (SELECT 1 FROM facts WHERE common = facts_common.id)", before.Int64)
	return err
}

// putCommon stores a body once and returns its number.
func putCommon(ctx context.Context, tx *sql.Tx, body []byte) (id int64, err error) {
	sum := sha256.Sum256(body)
	digest := hex.EncodeToString(sum[:])
	err = tx.QueryRowContext(ctx, "SELECT id FROM facts_common WHERE digest = ?", digest).Scan(&id)
	if !errors.Is(err, sql.ErrNoRows) {
		return id, err
	}
	err = tx.QueryRowContext(ctx, "INSERT INTO facts_common (digest, body) VALUES (?,?) RETURNING id", digest, body).Scan(&id)
	return id, err
}
