package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"cpacman/internal/rollout"
	"cpacman/internal/trail"
)

// ManifestSuffix is added to a backup's name for the manifest that stands beside it.
const ManifestSuffix = ".json"

// maxManifest bounds a manifest that is read: 16 MiB, some 100,000 open rollouts.
const maxManifest = 16 << 20

// Manifest says what a backup is. It stands beside the backup, because it holds the digest of its bytes.
type Manifest struct {
	Format    int           `json:"format"` // of the database: how many migrations it has seen
	CreatedAt time.Time     `json:"created_at"`
	Program   string        `json:"program"` // version of the cpacman that made it
	Bytes     int64         `json:"bytes"`
	SHA256    string        `json:"sha256"`
	TrailHead trail.Head    `json:"trail_head"`    // of the audit trail; line 0 while it has none
	Open      []OpenRollout `json:"open_rollouts"` // neither done nor aborted
}

// OpenRollout is a rollout that was not at its end when the backup was made.
type OpenRollout struct {
	ID     string               `json:"id"`
	PlanID string               `json:"plan_id"`
	State  rollout.RolloutState `json:"state"`
}

// Backup writes a consistent copy of the database to path and its manifest beside it, both of mode 0600, on disk before they get
// their names (OPS-1). Others may go on writing meanwhile: what they write after the beginning is not part of the copy. A file
// of that name is replaced only when replace is set.
func (s *Store) Backup(ctx context.Context, path, program string, replace bool) (Manifest, error) {
	fail := func(err error) (Manifest, error) { return Manifest{}, fmt.Errorf("back up to %s: %w", path, err) }
	if info, err := os.Lstat(path); err == nil {
		own, _ := os.Stat(s.path)
		switch {
		case os.SameFile(info, own):
			return fail(errors.New("that is the database itself"))
		case !info.Mode().IsRegular():
			return fail(errors.New("it is there and is no regular file"))
		case !replace:
			return fail(fs.ErrExist)
		}
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // of mode 0600 before anything is in it
	if err != nil {
		return fail(err)
	}
	defer os.Remove(tmp.Name()) //nolint:errcheck // gone after the rename
	if err := tmp.Close(); err != nil {
		return fail(err)
	}
	if _, err := s.db.ExecContext(ctx, "VACUUM INTO ?", tmp.Name()); err != nil {
		return fail(err)
	}
	m, err := describe(ctx, tmp.Name())
	if err != nil {
		return fail(err)
	}
	m.CreatedAt, m.Program = s.now().UTC(), program
	// A manifest of an older file must not stand beside the new one.
	if err := os.Remove(path + ManifestSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fail(err)
	}
	if err := errors.Join(syncFile(tmp.Name()), os.Rename(tmp.Name(), path)); err != nil {
		return fail(err)
	}
	if err := writeManifest(path+ManifestSuffix, m); err != nil {
		return fail(err)
	}
	if err := noteBackup(filepath.Dir(s.path), path, m.CreatedAt); err != nil {
		return m, fmt.Errorf("back up to %s: it is written, and where it is could not be noted: %w", path, err)
	}
	return m, syncFile(filepath.Dir(path))
}

// describe reads what a manifest tells of a copy.
func describe(ctx context.Context, path string) (Manifest, error) {
	m := Manifest{Open: []OpenRollout{}}
	db, err := connect(path, "mode=ro")
	if err != nil {
		return m, err
	}
	defer db.Close()
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&m.Format); err != nil {
		return m, err
	}
	list, err := rows[rollout.Rollout](ctx, db, "SELECT body FROM rollouts ORDER BY created_at DESC, id")
	if err != nil {
		return m, err
	}
	for _, r := range list {
		if r.State != rollout.RolloutDone && r.State != rollout.RolloutAborted {
			m.Open = append(m.Open, OpenRollout{r.ID, r.PlanID, r.State})
		}
	}
	if m.TrailHead, err = readHead(ctx, db); err != nil {
		return m, err
	}
	m.SHA256, m.Bytes, err = digestFile(path)
	return m, err
}

// digestFile is the SHA-256, in hex, and the size of a file.
func digestFile(path string) (string, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), n, err
}

// syncFile brings a file, or the names in a directory, to the disk.
func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func writeManifest(path string, m Manifest) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // gone after the rename
	_, err = f.Write(append(text, '\n'))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// readManifest reads the manifest of a backup; nil when there is none beside it.
func readManifest(backup string) (*Manifest, error) {
	f, err := os.Open(backup + ManifestSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var m Manifest
	if err := json.NewDecoder(io.LimitReader(f, maxManifest)).Decode(&m); err != nil {
		return nil, fmt.Errorf("its manifest %s cannot be read: %w", backup+ManifestSuffix, err)
	}
	return &m, nil
}
