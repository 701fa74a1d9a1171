package evidence

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"cpacman/internal/rollout"
	"cpacman/internal/store"
	"cpacman/internal/trail"
)

// Options of Write.
type Options struct {
	Version string // of cpacman, for the README
	// KnownKeys gives the keys that known_hosts has for a host now, for hosts whose key was not recorded; nil: none.
	KnownKeys func(host string) ([]store.HostKey, error)
}

// Summary is what a bundle holds.
type Summary struct {
	Rollout string       `json:"rollout"`
	File    string       `json:"file"`
	SHA256  string       `json:"sha256"` // of the file
	Members int          `json:"members"`
	Head    string       `json:"head"`  // DIGEST@SEQ of the rollout's last line in the audit trail; "" when it has none
	Lines   int          `json:"lines"` // of the rollout in the audit trail
	Fault   *trail.Fault `json:"fault"` // the trail is not whole; null: it is
	Remarks []string     `json:"remarks"`
}

// safeID is what the id of a rollout may be, so that it can be a directory in an archive.
var safeID = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`) })

// Write writes the bundle of a rollout beside path and renames it, with mode 0600. A trail that is not whole is no error: the bundle is
// written and says so, as does Summary.Fault. rollout.ErrNotFound where there is no such rollout.
func Write(ctx context.Context, st *store.Store, id, path string, opt Options) (Summary, error) {
	sum := Summary{Rollout: id, File: path, Remarks: []string{}}
	fail := func(err error) (Summary, error) {
		return sum, fmt.Errorf("export rollout %s: %w", id, err)
	}
	snap, err := st.Load(ctx, id)
	if err != nil {
		return fail(err)
	}
	if !safeID().MatchString(id) {
		return fail(fmt.Errorf("the id %q cannot be the name of a directory", id))
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".cpacman-evidence-*")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // only files of this call are in it
	c := &collection{ctx: ctx, st: st, id: id, snap: snap, opt: opt, spool: &spool{dir: dir}, sum: &sum}
	if err := c.all(); err != nil {
		return fail(err)
	}
	when := snap.Rollout.EndedAt
	if when.IsZero() {
		when = snap.Rollout.UpdatedAt
	}
	if sum.SHA256, err = c.spool.pack(path, "cpacman-"+id, when); err != nil {
		return fail(err)
	}
	sum.Members = len(c.spool.members)
	return sum, nil
}

// spool keeps members on disk until all are there: an archive wants the size of a member before its bytes, and an evidence of many
// hosts does not fit in memory.
type spool struct {
	dir     string
	members []member
}

type member struct {
	name   string
	size   int64
	sha256 string
}

// add makes a member of what write writes.
func (s *spool) add(name string, write func(io.Writer) error) error {
	f, err := os.OpenFile(s.path(len(s.members)), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	c := &counting{w: f, h: sha256.New()}
	err = errors.Join(write(c), f.Close())
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	s.members = append(s.members, member{name, c.n, hex.EncodeToString(c.h.Sum(nil))})
	return nil
}

// text makes a member of a text.
func (s *spool) text(name, text string) error {
	return s.add(name, func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	})
}

func (s *spool) path(i int) string { return filepath.Join(s.dir, fmt.Sprint(i)) }

// open reads a member again.
func (s *spool) open(name string) (io.ReadCloser, error) {
	i := slices.IndexFunc(s.members, func(m member) bool { return m.name == name })
	if i < 0 {
		return nil, fmt.Errorf("no member %s", name)
	}
	return os.Open(s.path(i))
}

// manifest lists members as sha256sum does, so that `sha256sum -c` checks them.
func (s *spool) manifest() string {
	var lines []string
	for _, m := range s.members {
		lines = append(lines, m.sha256+"  "+m.name+"\n")
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[64:], b[64:]) })
	return strings.Join(lines, "")
}

// counting counts and hashes what passes.
type counting struct {
	w io.Writer
	h hash.Hash
	n int64
}

func (c *counting) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.h.Write(p[:n])
	c.n += int64(n)
	return n, err
}

// pack writes the archive beside path and renames it. Members are sorted, and nothing in it depends on when or by whom it is made.
func (s *spool) pack(path, top string, when time.Time) (digest string, err error) {
	if err := s.text("MANIFEST.sha256", s.manifest()); err != nil {
		return "", err
	}
	out, err := os.CreateTemp(s.dir, "archive-*") // mode 0600
	if err != nil {
		return "", err
	}
	c := &counting{w: out, h: sha256.New()}
	zip, err := gzip.NewWriterLevel(c, gzip.BestCompression)
	if err != nil {
		return "", errors.Join(err, out.Close())
	}
	archive := tar.NewWriter(zip)
	order := make([]int, len(s.members))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(s.members[a].name, s.members[b].name) })
	for _, i := range order {
		if err = s.put(archive, i, top, when.UTC().Truncate(time.Second)); err != nil {
			break
		}
	}
	err = errors.Join(err, archive.Close(), zip.Close(), out.Sync(), out.Close())
	if err == nil {
		err = os.Rename(out.Name(), path)
	}
	return hex.EncodeToString(c.h.Sum(nil)), err
}

// put writes one member into the archive.
func (s *spool) put(archive *tar.Writer, i int, top string, when time.Time) error {
	m := s.members[i]
	err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: top + "/" + m.name, Size: m.size, Mode: 0o600, ModTime: when, Format: tar.FormatPAX})
	if err != nil {
		return err
	}
	f, err := os.Open(s.path(i))
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(archive, f)
	return err
}

// collection gathers the members of one rollout.
type collection struct {
	ctx   context.Context
	st    *store.Store
	id    string
	snap  rollout.Snapshot
	opt   Options
	spool *spool
	sum   *Summary

	keys    map[string][]seenKey // by host
	results map[string][]result  // by transaction
	first   int64                // the rollout's first line in the trail, and its last
	last    int64
}

// remark notes what a reader of the bundle must know.
func (c *collection) remark(format string, args ...any) {
	c.sum.Remarks = append(c.sum.Remarks, fmt.Sprintf(format, args...))
}
