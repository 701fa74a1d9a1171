package host

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cpacman/internal/rpm"

	_ "modernc.org/sqlite" // the driver
)

// RPMTAG_SUMMARY and RPMTAG_PUBKEYS.
const (
	tagSummary = 1004
	tagPubkeys = 266
)

// maxDatabase is the largest rpmdb.sqlite that is imported, in bytes; real ones have some 100 MB.
const maxDatabase = 4 << 30

// ImportDatabase reads an rpmdb.sqlite that was copied from a host: its facts, and the immutable header of each package by its
// digest. A copy is opened, with the write-ahead log beside it when there is one; the file itself is never touched. The file may come from
// anybody: tables that are views, headers that are too large or damaged are errors. Formats older than sqlite (Berkeley DB,
// ndb) are refused by name.
func ImportDatabase(ctx context.Context, path, host string, at time.Time) (*Facts, map[string][]byte, error) {
	f, headers, err := importDatabase(ctx, path, host, at)
	if err != nil {
		return nil, nil, fmt.Errorf("import rpm database %s of host %s: %w", path, host, err)
	}
	return f, headers, nil
}

func importDatabase(ctx context.Context, path, host string, at time.Time) (*Facts, map[string][]byte, error) {
	tmp, err := os.MkdirTemp("", "cpacman-rpmdb-")
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(tmp)
	copied := filepath.Join(tmp, "rpmdb.sqlite")
	if err := copyDatabase(path, copied); err != nil {
		return nil, nil, err
	}
	query := "?mode=ro&immutable=1"
	switch err := copyBounded(path+"-wal", copied+"-wal"); {
	case err == nil:
		query = "?mode=rw" // the log has to be read into the copy
	case !errors.Is(err, os.ErrNotExist):
		return nil, nil, err
	}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Opaque: url.PathEscape(copied)}).String()+query+
		"&_pragma=trusted_schema(0)&_pragma=cell_size_check(1)")
	if err != nil {
		return nil, nil, err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	return readDatabase(ctx, db, host, at)
}

// copyDatabase copies a file that begins as sqlite files do.
func copyDatabase(from, to string) error {
	if err := copyBounded(from, to); err != nil {
		return err
	}
	f, err := os.Open(to)
	if err != nil {
		return err
	}
	defer f.Close()
	head := make([]byte, 16)
	if _, err := io.ReadFull(f, head); err != nil || string(head) != "SQLite format 3\x00" {
		return fmt.Errorf("%w: not sqlite (Berkeley DB and ndb databases: import a listing instead)", ErrUnreadable)
	}
	return nil
}

func copyBounded(from, to string) error {
	st, err := os.Stat(from)
	if err != nil {
		return err
	}
	if !st.Mode().IsRegular() || st.Size() > maxDatabase {
		return fmt.Errorf("%s is no regular file of at most %d bytes", from, int64(maxDatabase))
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, io.LimitReader(in, maxDatabase))
	return errors.Join(err, out.Close())
}

func readDatabase(ctx context.Context, db *sql.DB, host string, at time.Time) (*Facts, map[string][]byte, error) {
	var kind string
	if err := db.QueryRowContext(ctx, "SELECT type FROM sqlite_schema WHERE name = 'Packages'").Scan(&kind); err != nil {
		return nil, nil, fmt.Errorf("%w: no table Packages: %w", ErrUnreadable, err)
	}
	if kind != "table" {
		return nil, nil, fmt.Errorf("%w: Packages is a %q", ErrUnreadable, bounded(kind, 20))
	}
	rows, err := db.QueryContext(ctx, "SELECT length(blob), CASE WHEN length(blob) <= ? THEN blob END FROM Packages LIMIT ?", rpm.MaxHostHeader, maxPackages+1)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	defer rows.Close()
	f := &Facts{Host: host, CollectedAt: at.UTC(), Source: "import-rpmdb", Keys: []Key{}}
	headers := map[string][]byte{}
	for n := 1; rows.Next(); n++ {
		var size sql.NullInt64
		var blob []byte
		if err := rows.Scan(&size, &blob); err != nil {
			return nil, nil, fmt.Errorf("%w: package %d: %w", ErrUnreadable, n, err)
		}
		if blob == nil || n > maxPackages {
			return nil, nil, fmt.Errorf("%w: package %d: header of %d bytes, or more than %d packages", ErrUnreadable, n, size.Int64, maxPackages)
		}
		in, err := rpm.ParseInstalled(blob)
		if err != nil {
			return nil, nil, fmt.Errorf("%w: package %d: %w", ErrUnreadable, n, err)
		}
		if in.Name == "gpg-pubkey" {
			f.Keys = append(f.Keys, Key{ID: in.Version, Created: in.Release, Summary: bounded(in.Parsed.Text(tagSummary), maxField)})
			if text := strings.Join(strings.Fields(strings.Join(in.Parsed.Texts(tagPubkeys), "")), ""); len(text) < maxKeyText {
				fillKey(f.Keys, in.Version+" "+in.Release, text)
			}
			continue
		}
		f.Packages = append(f.Packages, fromHeader(in))
		headers[in.Header] = in.Parsed.Immutable()
	}
	if err := rows.Err(); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	if len(f.Packages) == 0 {
		return nil, nil, fmt.Errorf("%w: it has no packages", ErrUnreadable)
	}
	sortPackages(f.Packages)
	if err := tooManyBuilds(f.Packages); err != nil {
		return nil, nil, err
	}
	sortKeys(f.Keys)
	f.InstalledDigest = InstalledDigest(f.Packages)
	return f, headers, nil
}

func fromHeader(in *rpm.Installed) Package {
	epoch := in.Epoch
	return Package{Name: in.Name, Epoch: &epoch, Version: in.Version, Release: in.Release, Arch: in.Arch, Header: in.Header,
		InstallTime: in.InstallTime, Vendor: in.Vendor, Color: in.Color}
}
