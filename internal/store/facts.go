package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"

	"cpacman/internal/host"
)

// maxBlob bounds what one stored value may unpack to: 256 MiB, rpm's own limit of a header's data.
const maxBlob = 256 << 20

// Contact is the last attempt to ask a host.
type Contact struct {
	Host    string
	TriedAt time.Time
	OK      bool
	Kind    string // kind of the error, empty when OK
	Error   string
}

// PutFacts stores f as the newest facts of its host and records the contact that brought them.
func (s *Store) PutFacts(ctx context.Context, f *host.Facts) error {
	body, err := withoutPackages(f)
	if err != nil {
		return fmt.Errorf("store facts of %s: %w", f.Host, err)
	}
	return s.write(ctx, "store facts of "+f.Host, func(tx *sql.Tx) error { return putFacts(ctx, tx, f, body) })
}

// putFacts stores facts, whose JSON without packages is body.
func putFacts(ctx context.Context, tx *sql.Tx, f *host.Facts, body []byte) error {
	if err := putInstalled(ctx, tx, f.InstalledDigest, f.Packages); err != nil {
		return err
	}
	err := putParts(ctx, tx, f.Host, body, func(common sql.NullInt64, own []byte) error {
		_, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO facts VALUES (?,?,?,?,?,?)",
			f.Host, stamp(f.CollectedAt), f.MachineID, f.InstalledDigest, common, own)
		return err
	})
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO install_times VALUES (?,?)", f.Host, installTimes(f.Packages)); err != nil {
		return err
	}
	if err := putIdentity(ctx, tx, f.Host, f.MachineID, f.CollectedAt); err != nil {
		return err
	}
	return putContact(ctx, tx, Contact{Host: f.Host, TriedAt: f.CollectedAt, OK: true})
}

// PutUnchanged stores facts without packages of a host whose package list is the one stored with its last facts.
func (s *Store) PutUnchanged(ctx context.Context, f *host.Facts) error {
	body, err := withoutPackages(f)
	if err != nil {
		return fmt.Errorf("store facts of %s: %w", f.Host, err)
	}
	return s.write(ctx, "store facts of "+f.Host, func(tx *sql.Tx) error {
		err := putParts(ctx, tx, f.Host, body, func(common sql.NullInt64, own []byte) error {
			res, err := tx.ExecContext(ctx, "UPDATE facts SET collected_at = ?, machine_id = ?, common = ?, body = ? WHERE host = ? AND installed_digest = ?",
				stamp(f.CollectedAt), f.MachineID, common, own, f.Host, f.InstalledDigest)
			if err != nil {
				return err
			}
			if n, err := res.RowsAffected(); err != nil || n != 1 {
				return errors.Join(ErrNotFound, err)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if err := putIdentity(ctx, tx, f.Host, f.MachineID, f.CollectedAt); err != nil {
			return err
		}
		return putContact(ctx, tx, Contact{Host: f.Host, TriedAt: f.CollectedAt, OK: true})
	})
}

// withoutPackages is the JSON of facts whose packages are kept elsewhere.
func withoutPackages(f *host.Facts) ([]byte, error) {
	short := *f
	short.Packages = nil
	return json.Marshal(&short)
}

// putInstalled stores a package list unless its digest is stored.
func putInstalled(ctx context.Context, tx *sql.Tx, digest string, packages []host.Package) error {
	var there int
	err := tx.QueryRowContext(ctx, "SELECT 1 FROM installed WHERE digest = ?", digest).Scan(&there)
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	list, err := packPackages(packages)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO installed VALUES (?,?)", digest, list)
	return err
}

// PutContact records an attempt that brought no facts.
func (s *Store) PutContact(ctx context.Context, c Contact) error {
	return s.write(ctx, "store the contact with "+c.Host, func(tx *sql.Tx) error { return putContact(ctx, tx, c) })
}

func putContact(ctx context.Context, tx *sql.Tx, c Contact) error {
	_, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO contacts VALUES (?,?,?,?,?)", c.Host, stamp(c.TriedAt), c.OK, c.Kind, c.Error)
	return err
}

// Contacts returns the last attempt of every host that was ever asked.
func (s *Store) Contacts(ctx context.Context) (map[string]Contact, error) {
	return s.contacts(ctx, "SELECT host, tried_at, ok, kind, error FROM contacts")
}

// FailedContacts returns the last attempt of those hosts whose last attempt failed.
func (s *Store) FailedContacts(ctx context.Context) (map[string]Contact, error) {
	return s.contacts(ctx, "SELECT host, tried_at, ok, kind, error FROM contacts WHERE ok = 0")
}

func (s *Store) contacts(ctx context.Context, query string) (map[string]Contact, error) {
	rows, err := s.db.QueryContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("read contacts: %w", err)
	}
	defer rows.Close()
	out := map[string]Contact{}
	for rows.Next() {
		var c Contact
		var at string
		if err := rows.Scan(&c.Host, &at, &c.OK, &c.Kind, &c.Error); err != nil {
			return nil, fmt.Errorf("read contacts: %w", err)
		}
		if c.TriedAt, err = parseStamp(at); err != nil {
			return nil, fmt.Errorf("read contacts: %s: %w", c.Host, err)
		}
		out[c.Host] = c
	}
	return out, rows.Err()
}

// Facts returns the newest facts of a host with its packages, or ErrNotFound.
func (s *Store) Facts(ctx context.Context, name string) (*host.Facts, error) {
	var common, body, times, list []byte
	err := s.db.QueryRowContext(ctx, `SELECT c.body, f.body, t.times, i.packages FROM facts f LEFT JOIN facts_common c ON c.id = f.common
		JOIN install_times t ON t.host = f.host JOIN installed i ON i.digest = f.installed_digest WHERE f.host = ?`, name).Scan(&common, &body, &times, &list)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("facts of %s: %w", name, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("read facts of %s: %w", name, err)
	}
	var f host.Facts
	if err := joinParts(common, body, &f); err != nil {
		return nil, fmt.Errorf("read facts of %s: %w", name, err)
	}
	if f.Packages, err = unpackPackages(list); err != nil {
		return nil, fmt.Errorf("read facts of %s: %w", name, err)
	}
	if err := putTimes(f.Packages, times); err != nil {
		return nil, fmt.Errorf("read facts of %s: %w", name, err)
	}
	return &f, nil
}

// ShortFacts returns the newest facts of a host without its packages, or ErrNotFound.
func (s *Store) ShortFacts(ctx context.Context, name string) (*host.Facts, error) {
	var common, body []byte
	err := s.db.QueryRowContext(ctx, "SELECT c.body, f.body FROM facts f LEFT JOIN facts_common c ON c.id = f.common WHERE f.host = ?", name).Scan(&common, &body)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("facts of %s: %w", name, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("read facts of %s: %w", name, err)
	}
	var f host.Facts
	if err := joinParts(common, body, &f); err != nil {
		return nil, fmt.Errorf("read facts of %s: %w", name, err)
	}
	return &f, nil
}

// manyFacts is how many hosts make it worth the while to read them from two places at once.
const manyFacts = 1000

// AllFacts returns the newest facts of every stored host, in the order of names, without their packages: those come from
// Installed, once per digest however many hosts share it. What hosts have in common they share here too: it is not to be changed.
func (s *Store) AllFacts(ctx context.Context) ([]*host.Facts, error) {
	return s.inHalves(ctx, s.someFacts)
}

// inHalves reads of all hosts, of large fleets from two places at once; some reads the hosts for which a condition on one name holds, about n.
func (s *Store) inHalves(ctx context.Context, some func(ctx context.Context, which, name string, n int) ([]*host.Facts, error)) ([]*host.Facts, error) {
	var middle string
	var all int
	err := s.db.QueryRowContext(ctx, "SELECT count(*) FROM facts").Scan(&all)
	if err == nil && all >= manyFacts {
		err = s.db.QueryRowContext(ctx, "SELECT host FROM facts ORDER BY host LIMIT 1 OFFSET ?", all/2).Scan(&middle)
	}
	if errors.Is(err, sql.ErrNoRows) { // fewer by now
		err = nil
	}
	if err != nil {
		return nil, fmt.Errorf("read facts: %w", err)
	}
	var before, behind []*host.Facts
	work, ctx := errgroup.WithContext(ctx)
	if middle != "" {
		work.Go(func() (err error) {
			before, err = some(ctx, "host < ?", middle, all/2)
			return err
		})
	}
	work.Go(func() (err error) {
		behind, err = some(ctx, "host >= ?", middle, all-all/2)
		return err
	})
	if err := work.Wait(); err != nil {
		return nil, fmt.Errorf("read facts: %w", err)
	}
	return append(before, behind...), nil
}

// someFacts reads the facts of the hosts for which a condition on one name holds; there are about n.
func (s *Store) someFacts(ctx context.Context, which, name string, n int) ([]*host.Facts, error) {
	reader := factsReader{common: map[int64][]byte{}}
	out := make([]*host.Facts, 0, n)
	err := s.inSnapshot(ctx, func(rows eachRow) error {
		if err := reader.readCommon(rows); err != nil {
			return err
		}
		return rows("SELECT common, body, host FROM facts WHERE "+which+" ORDER BY host", func(row []driver.Value) error {
			common, _ := row[0].(int64) // NULL is 0, which is none
			body, _ := row[1].([]byte)
			f, err := reader.readParts(common, body)
			if err != nil {
				return fmt.Errorf("of %v: %w", row[2], err)
			}
			out = append(out, f)
			return nil
		}, name)
	})
	return out, err
}

// Installed returns the package list of a digest, without install times.
func (s *Store) Installed(ctx context.Context, digest string) ([]host.Package, error) {
	var list []byte
	err := s.db.QueryRowContext(ctx, "SELECT packages FROM installed WHERE digest = ?", digest).Scan(&list)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("package list %.12s: %w", digest, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("read package list %.12s: %w", digest, err)
	}
	out, err := unpackPackages(list)
	if err != nil {
		return nil, fmt.Errorf("read package list %.12s: %w", digest, err)
	}
	return out, nil
}

// packPackages writes what hosts with equal package lists share.
func packPackages(packages []host.Package) ([]byte, error) {
	shared := make([]host.Package, len(packages))
	for i, p := range packages {
		p.InstallTime = 0
		shared[i] = p
	}
	text, err := json.Marshal(shared)
	if err != nil {
		return nil, err
	}
	return pack(text), nil
}

// installTimes writes the part of a package list that is each host's own.
func installTimes(packages []host.Package) []byte {
	times := []byte{}
	for _, p := range packages {
		times = binary.AppendVarint(times, p.InstallTime)
	}
	return times
}

func unpackPackages(list []byte) ([]host.Package, error) {
	text, err := unpack(list)
	if err != nil {
		return nil, err
	}
	if out, ok := readPackages(string(text)); ok {
		return out, nil
	}
	var out []host.Package
	if err := json.Unmarshal(text, &out); err != nil {
		return nil, err
	}
	return out, nil
}

func putTimes(packages []host.Package, times []byte) error {
	for i := range packages {
		v, n := binary.Varint(times)
		if n <= 0 {
			return errors.New("install times are damaged")
		}
		packages[i].InstallTime, times = v, times[n:]
	}
	return nil
}

// encoder and decoder of one-shot calls may be shared by goroutines (package zstd).
var (
	encoder, _ = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	decoder, _ = zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxBlob))
)

func pack(b []byte) []byte { return encoder.EncodeAll(b, make([]byte, 0, len(b)/4+64)) }

func unpack(b []byte) ([]byte, error) { return decoder.DecodeAll(b, nil) }
