package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cpacman/internal/rollout"
	"cpacman/internal/trail"
)

// BackupError says why a file cannot be restored.
type BackupError struct {
	Path string
	Err  error
}

// Error names the file.
func (e *BackupError) Error() string { return fmt.Sprintf("restore %s: %v", e.Path, e.Err) }

// Unwrap gives the cause.
func (e *BackupError) Unwrap() error { return e.Err }

// ErrInUse means that another process has the database open.
var ErrInUse = errors.New("another process has the state database open")

// RestoreOptions say how a backup is restored.
type RestoreOptions struct {
	Force  bool   // although an engine seems to live, the database is in use, or it cannot be read any more
	DryRun bool   // only look
	User   string // who restores, for the audit trail
	Now    func() time.Time
}

// Restored says what a restore did, or would do.
type Restored struct {
	Format       int       `json:"format"`       // of the backup
	Manifest     *Manifest `json:"manifest"`     // null: there was none, so its bytes could not be compared
	Unreconciled []string  `json:"unreconciled"` // rollouts whose hosts have to be asked
	Hosts        int       `json:"hosts"`        // of those rollouts, that are not at an end
	Kept         string    `json:"kept"`         // where the replaced database is; "" when there was none
	Warnings     []string  `json:"warnings"`
}

// Restore puts a backup in the place of the database of a state directory (OPS-1). The file is copied, compared with its
// manifest, checked by SQLite, held to the schema that this program knows, migrated and marked: every open rollout is
// unreconciled until its hosts were asked. Only then the old database gives way, by one rename; it is kept beside.
//
// *rollout.LeaseHeldError tells of an engine at work, *BackupError of a file that cannot be used, *NewerError of one that a newer
// program wrote, ErrInUse of a database that somebody has open. Nothing was changed then.
func Restore(ctx context.Context, dir, file string, opt RestoreOptions) (Restored, error) {
	out := Restored{Unreconciled: []string{}, Warnings: []string{}}
	now := time.Now
	if opt.Now != nil {
		now = opt.Now
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return out, fmt.Errorf("make the state directory: %w", err)
	}
	if err := private(dir); err != nil {
		return out, err
	}
	path := filepath.Join(dir, FileName)
	tmp, err := copyBackup(ctx, dir, file, &out)
	if tmp != "" {
		defer removeDatabase(tmp)
	}
	if err != nil {
		return out, err
	}
	if err := out.prepare(ctx, tmp, file, now(), restoredEntry(ctx, path, tmp, opt.User)); err != nil {
		return out, err
	}
	aside, there := path+".before-restore-"+now().UTC().Format("20060102-150405"), true
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		there = false
	}
	if opt.DryRun {
		if there {
			err = lookAtLeases(ctx, path, opt, now(), &out)
		}
		return out, err
	}
	if there {
		if err := retire(ctx, path, opt, now(), &out); err != nil {
			return out, err
		}
		out.Kept = aside
	}
	return out, swap(tmp, path, aside, there)
}

// restoredEntry tells of a restore: which bytes, and where the trail of the database that gives way had come to. Lines that are in
// that one only are missing from the restored trail, and from here on its numbers are given again.
func restoredEntry(ctx context.Context, path, file, user string) entry {
	var body struct {
		SHA256   string      `json:"sha256"`
		Replaced *trail.Head `json:"replaced,omitempty"` // absent: there was no database, or none that can be read
	}
	body.SHA256, _, _ = digestFile(file)
	if _, err := os.Lstat(path); err == nil {
		if db, err := connect(path, "mode=ro"); err == nil {
			if h, err := readHead(ctx, db); err == nil {
				body.Replaced = &h
			}
			_ = db.Close()
		}
	}
	return entry{actor: user, action: LineRestored, body: body}
}

// copyBackup copies the file into the state directory and compares it with its manifest. The name is "" when no copy was made.
func copyBackup(ctx context.Context, dir, file string, out *Restored) (string, error) {
	bad := func(tmp string, err error) (string, error) { return tmp, &BackupError{file, err} }
	from, err := os.Open(file)
	if err != nil {
		return bad("", err)
	}
	defer from.Close()
	info, err := from.Stat()
	own, _ := os.Stat(filepath.Join(dir, FileName))
	switch {
	case err != nil:
		return bad("", err)
	case !info.Mode().IsRegular():
		return bad("", errors.New("it is no regular file"))
	case os.SameFile(info, own):
		return bad("", errors.New("that is the database itself"))
	}
	if out.Manifest, err = readManifest(file); err != nil {
		return bad("", err)
	}
	to, err := os.CreateTemp(dir, "."+FileName+".restore-*")
	if err != nil {
		return "", fmt.Errorf("restore %s: %w", file, err)
	}
	_, err = io.Copy(to, &interruptible{ctx, from})
	if err := errors.Join(err, to.Close()); err != nil {
		return to.Name(), fmt.Errorf("restore %s: copy it to %s: %w", file, dir, err)
	}
	if out.Manifest == nil {
		out.Warnings = append(out.Warnings, "there is no manifest beside the file, so its bytes cannot be compared with what was backed up")
		return to.Name(), nil
	}
	sum, n, err := digestFile(to.Name())
	if err != nil {
		return to.Name(), err
	}
	if sum != out.Manifest.SHA256 || n != out.Manifest.Bytes {
		return bad(to.Name(), fmt.Errorf("it is not what was backed up: %d bytes with sha256 %.12s, and its manifest says %d bytes with %.12s",
			n, sum, out.Manifest.Bytes, out.Manifest.SHA256))
	}
	return to.Name(), nil
}

// interruptible is a reader that ends with its context.
type interruptible struct {
	ctx context.Context
	r   io.Reader
}

// Read implements io.Reader.
func (i *interruptible) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.r.Read(p)
}

// prepare checks the copy, migrates it and marks its rollouts.
func (out *Restored) prepare(ctx context.Context, tmp, file string, now time.Time, line entry) error {
	bad := func(err error) error { return &BackupError{file, err} }
	db, err := connect(tmp, pragmas)
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	defer db.Close()
	s := &Store{db: db, path: tmp, now: func() time.Time { return now }}
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&out.Format); err != nil {
		return bad(fmt.Errorf("it is no database: %w", err))
	}
	var verdict string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&verdict); err != nil || verdict != "ok" {
		return bad(errors.Join(fmt.Errorf("it is damaged: %s", verdict), err))
	}
	if out.Format == 0 {
		return bad(errors.New("it is no database of cpacman"))
	}
	if err := dropRetired(ctx, db); err != nil {
		return err
	}
	if err := s.migrate(ctx, migrateCopy); err != nil {
		var newer *NewerError
		if errors.As(err, &newer) {
			newer.Path = file
			return newer
		}
		return bad(err)
	}
	if err := sameSchema(ctx, db); err != nil {
		return bad(err)
	}
	err = s.write(ctx, "tell of the restore", func(tx *sql.Tx) error { return s.addLines(ctx, tx, line) })
	if err != nil {
		return fmt.Errorf("restore %s: %w", file, err)
	}
	if err := s.markRestored(ctx, now, out); err != nil {
		return fmt.Errorf("restore %s: %w", file, err)
	}
	// One file again, without a log beside it.
	if _, err := db.ExecContext(ctx, "PRAGMA journal_mode = DELETE"); err != nil {
		return fmt.Errorf("restore %s: %w", file, err)
	}
	return errors.Join(db.Close(), syncFile(tmp))
}

// sameSchema refuses a database whose tables, indices or triggers are not those that the migrations make: it is another
// program's, or somebody put code into it.
func sameSchema(ctx context.Context, db *sql.DB) error {
	fresh, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return err
	}
	defer fresh.Close()
	fresh.SetMaxOpenConns(1) // another connection would be another database
	if err := (&Store{db: fresh, path: "a new database", now: time.Now}).migrate(ctx, migrateNew); err != nil {
		return err
	}
	want, err := schema(ctx, fresh)
	if err != nil {
		return err
	}
	have, err := schema(ctx, db)
	if err != nil {
		return err
	}
	for i, line := range have {
		if i >= len(want) || line != want[i] {
			return fmt.Errorf("it is no database of cpacman: its schema has %.200q", line)
		}
	}
	if len(have) < len(want) {
		return fmt.Errorf("it is no database of cpacman: its schema lacks %.200q", want[len(have)])
	}
	return nil
}

// schema lists what a database consists of, in order.
func schema(ctx context.Context, db *sql.DB) ([]string, error) {
	found, err := db.QueryContext(ctx, "SELECT type || ' ' || name || ' ' || coalesce(sql, '') FROM sqlite_schema WHERE name NOT LIKE 'sqlite_stat%'")
	if err != nil {
		return nil, err
	}
	defer found.Close()
	var out []string
	for found.Next() {
		var line string
		if err := found.Scan(&line); err != nil {
			return nil, err
		}
		out = append(out, line)
	}
	slices.Sort(out)
	return out, found.Err()
}

// markRestored marks every rollout, and ends the leases of engines that are no more.
func (s *Store) markRestored(ctx context.Context, now time.Time, out *Restored) error {
	all, err := s.Rollouts(ctx)
	if err != nil {
		return err
	}
	for _, r := range all {
		snap, err := s.Load(ctx, r.ID)
		if err != nil {
			return err
		}
		if !rollout.MarkRestored(&snap) {
			continue
		}
		change := rollout.Change{Rollout: &snap.Rollout, Hosts: snap.Hosts}
		if snap.Rollout.Unreconciled {
			out.Unreconciled = append(out.Unreconciled, r.ID)
			for _, h := range snap.Hosts {
				if h.State.Info().Phase != rollout.PhaseEnd {
					out.Hosts++
				}
			}
			change.Events = []rollout.Event{{Kind: rollout.EventRollout, At: now.UTC(), Rollout: r.ID, Wave: -1, From: string(r.State), To: string(r.State),
				Reason: rollout.Reason{Code: rollout.ReasonRestored, Text: "the journal was restored from a backup; its hosts are to be asked"}}}
		}
		if err := s.write(ctx, "mark rollout "+r.ID, func(tx *sql.Tx) error { return s.put(ctx, tx, r.ID, change) }); err != nil {
			return err
		}
	}
	_, err = s.db.ExecContext(ctx, "UPDATE rollout_leases SET released = 1, epoch = epoch + 1")
	return err
}

// retiredPrefix begins the names of triggers that keep engines with an old handle off a database that was replaced: they find out at their next step.
const retiredPrefix = "replaced_by_restore_"

func dropRetired(ctx context.Context, db *sql.DB) error {
	for _, on := range [...]string{"leases", "rollouts"} {
		if _, err := db.ExecContext(ctx, "DROP TRIGGER IF EXISTS "+retiredPrefix+on); err != nil {
			return err
		}
	}
	return nil
}

func addRetired(ctx context.Context, tx *sql.Tx) error {
	const stop = " BEGIN SELECT RAISE(ABORT, 'this state database was replaced by cpacman state restore'); END"
	for _, t := range [...]string{"leases BEFORE INSERT ON rollout_leases", "rollouts BEFORE INSERT ON rollouts"} {
		if _, err := tx.ExecContext(ctx, "CREATE TRIGGER IF NOT EXISTS "+retiredPrefix+t+stop); err != nil {
			return err
		}
	}
	// The writes of an engine that is still there come too late now.
	_, err := tx.ExecContext(ctx, "UPDATE rollout_leases SET released = 1, epoch = epoch + 1")
	return err
}

// retire makes the old database ready to be replaced: no engine lives, nobody has it open, and whoever opened it a moment ago cannot
// run a rollout on it any more.
func retire(ctx context.Context, path string, opt RestoreOptions, now time.Time, out *Restored) error {
	err := retireOnce(ctx, path, opt, now, out)
	var held *rollout.LeaseHeldError
	if err == nil || !opt.Force || errors.As(err, &held) || ctx.Err() != nil {
		return err
	}
	out.Warnings = append(out.Warnings, "the old database is replaced although: "+err.Error())
	return nil
}

func retireOnce(ctx context.Context, path string, opt RestoreOptions, now time.Time, out *Restored) error {
	if err := lookAtLeases(ctx, path, opt, now, out); err != nil {
		return err
	}
	db, err := connect(path, "_pragma=busy_timeout(5000)&_pragma=synchronous(FULL)&_txlock=immediate")
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	defer db.Close()
	s := &Store{db: db, path: path, now: func() time.Time { return now }}
	// SQLite leaves the write-ahead log only for whoever is alone with the file.
	var mode string
	if err := db.QueryRowContext(ctx, "PRAGMA journal_mode = DELETE").Scan(&mode); err != nil || mode != "delete" {
		if !opt.Force {
			return errors.Join(fmt.Errorf("%w: %s", ErrInUse, path), err)
		}
		out.Warnings = append(out.Warnings, ErrInUse.Error()+"; what it writes from now on is lost")
	}
	return s.write(ctx, "retire "+path, func(tx *sql.Tx) error {
		if err := liveLease(ctx, tx, opt, now, out); err != nil {
			return err
		}
		var tables int
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema WHERE name IN ('rollouts', 'rollout_leases')").Scan(&tables); err != nil || tables < 2 {
			return err
		}
		return addRetired(ctx, tx)
	})
}

// lookAtLeases refuses while an engine lives, without changing anything.
func lookAtLeases(ctx context.Context, path string, opt RestoreOptions, now time.Time, out *Restored) error {
	db, err := connect(path, "_pragma=busy_timeout(5000)")
	if err != nil {
		return err
	}
	defer db.Close()
	var check string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&check); err != nil || check != "ok" {
		err = errors.Join(fmt.Errorf("the database that is there, %s, cannot be read (%s), so nobody can tell whether an engine runs", path, check), err)
		if !opt.Force {
			return err
		}
		if opt.DryRun {
			out.Warnings = append(out.Warnings, err.Error())
			return nil
		}
		return err
	}
	return liveLease(ctx, db, opt, now, out)
}

// liveLease finds an engine that seems to be at work.
func liveLease(ctx context.Context, q interface {
	querier
	rowQuerier
}, opt RestoreOptions, now time.Time, out *Restored) error {
	var there int
	err := q.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema WHERE name = 'rollout_leases'").Scan(&there)
	if err != nil || there == 0 {
		return err
	}
	found, err := q.QueryContext(ctx, "SELECT rollout FROM rollout_leases WHERE released = 0")
	if err != nil {
		return err
	}
	var ids []string
	for found.Next() {
		var id string
		if err := found.Scan(&id); err != nil {
			found.Close()
			return err
		}
		ids = append(ids, id)
	}
	if err := errors.Join(found.Err(), found.Close()); err != nil {
		return err
	}
	for _, id := range ids {
		l, err := readLease(ctx, q, id)
		if err != nil {
			return err
		}
		if !l.Live(now) {
			continue
		}
		held := &rollout.LeaseHeldError{Rollout: id, Owner: l.Owner}
		if !opt.Force {
			return held
		}
		if text := held.Error() + "; it stops at its next step"; !slices.Contains(out.Warnings, text) {
			out.Warnings = append(out.Warnings, text)
		}
	}
	return nil
}

// swap gives the new database the name of the old, which is kept aside where it is there. At no moment is there none of that name.
func swap(tmp, path, aside string, there bool) error {
	fail := func(err error) error { return fmt.Errorf("replace %s: %w", path, err) }
	if there {
		if err := os.Link(path, aside); err != nil {
			return fail(err)
		}
	}
	// The log of the old database must not stand beside the new one, which would take it for its own. It is there only where retire
	// could not fold it in, or where somebody removed the database and left the log.
	for _, suffix := range [...]string{"-wal", "-journal"} {
		if err := os.Rename(path+suffix, aside+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fail(err)
		}
	}
	if err := os.Remove(path + "-shm"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fail(err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fail(err)
	}
	return syncFile(filepath.Dir(path))
}

// removeDatabase removes a temporary database with its logs.
func removeDatabase(path string) {
	if name := filepath.Base(path); !strings.Contains(name, ".restore-") && !strings.Contains(name, ".new-") {
		return
	}
	for _, suffix := range [...]string{"", "-wal", "-shm", "-journal"} {
		_ = os.Remove(path + suffix)
	}
}
