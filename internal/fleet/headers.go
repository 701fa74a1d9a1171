package fleet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"cpacman/internal/host"
	"cpacman/internal/repo"
	"cpacman/internal/rpm"
	"cpacman/internal/store"
	"cpacman/transport"
)

// batch is how many headers are asked of a host at once: a header has 10 to 200 KB.
const batch = 64

// maxHeaderBytes bounds the headers that are taken from one host in one run: headers that it makes up have digests that fit, and all of them are stored. Those of
// a full installation of 10,000 packages have some 600 MB; what is beyond comes with the next run.
const maxHeaderBytes = 1 << 30

// maxRepoHeader bounds the header read from a package file of ours, in bytes.
const maxRepoHeader = 64 << 20

// shares divides the headers nobody has yet among the hosts that have them, so that each travels once (FACT-3). Every header is
// checked against its digest before it is kept: a host can refuse to tell, and cannot lie.
type shares struct {
	store *store.Store
	repos *Repos
	most  int64 // bytes that are taken from one host

	mu     sync.Mutex
	state  map[string]share
	unable map[string]bool // hosts whose rpm cannot print headers
	lists  map[string]bool // installed digests of which every header was looked up
	err    error           // of the store: ends the sharing
}

// share is what is known of one digest.
type share uint8

const (
	shareOpen  share = iota // not stored, nobody asks for it
	shareAsked              // a host is being asked
	shareKnown              // stored
)

func (f *Fleet) newShares(repos *Repos) (*shares, error) {
	return &shares{store: f.Store, repos: repos, most: maxHeaderBytes, state: map[string]share{}, unable: map[string]bool{}, lists: map[string]bool{}}, nil
}

func (s *shares) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// checked tells whether the headers of a package list were looked up, and remembers that they now are.
func (s *shares) checked(digest string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.lists[digest]
	s.lists[digest] = true
	return was
}

// take asks the connected host for those of its headers that nobody has or asks for, until none is left.
func (s *shares) take(ctx context.Context, conn *transport.Conn, facts *host.Facts) (int, error) {
	packages, err := s.learn(ctx, facts)
	if err != nil {
		return 0, err
	}
	return s.fetch(ctx, conn, facts.Host, packages)
}

// fetch is take for packages that learn has seen.
func (s *shares) fetch(ctx context.Context, conn *transport.Conn, name string, listed []host.Package) (int, error) {
	got, size := 0, int64(0)
	for {
		packages := s.claim(name, listed)
		if len(packages) == 0 {
			return got, nil
		}
		if size > s.most {
			s.release(packages)
			return got, fmt.Errorf("host %s sent %d headers, of more than %d bytes: the others are left to the next run", name, got, s.most)
		}
		headers, err := host.Headers(ctx, conn, packages, host.HeaderOptions{Host: name})
		if errors.Is(err, host.ErrHeaderFormat) {
			s.mu.Lock()
			s.unable[name] = true
			s.mu.Unlock()
		}
		for _, blob := range headers {
			size += int64(len(blob))
		}
		kept, perr := s.keep(ctx, packages, headers)
		got += kept
		if err := errors.Join(perr, err); err != nil {
			return got, err
		}
		if kept == 0 {
			return got, fmt.Errorf("host %s sent none of %d headers it has listed", name, len(packages))
		}
	}
}

// learn finds out which digests of a host's listing are not stored, and takes from our own repositories what they have. It returns the listing.
func (s *shares) learn(ctx context.Context, facts *host.Facts) ([]host.Package, error) {
	listed := facts.Packages
	if listed == nil { // an unchanged host: its list is stored
		var err error
		if listed, err = s.store.Installed(ctx, facts.InstalledDigest); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	var ask []string
	for _, p := range listed {
		if _, seen := s.state[p.Header]; !seen && p.Header != "" {
			ask = append(ask, p.Header)
			s.state[p.Header] = shareKnown
		}
	}
	missing, err := s.store.MissingHeaders(ctx, ask)
	if err != nil {
		s.err = err
		return nil, err
	}
	open := make(map[string]bool, len(missing))
	for _, d := range missing {
		s.state[d] = shareOpen
		open[d] = true
	}
	found := map[string][]byte{}
	for _, p := range listed {
		if !open[p.Header] {
			continue
		}
		if blob := s.own(ctx, p); blob != nil {
			found[p.Header] = blob
			s.state[p.Header] = shareKnown
		}
	}
	if err := s.store.PutHeaders(ctx, found); err != nil {
		s.err = err
	}
	return listed, s.err
}

// own returns the header of an installed package from a package file of our repositories, if one has the same digest. A repository
// that cannot be read is no obstacle here: the host has the header too.
func (s *shares) own(ctx context.Context, p host.Package) []byte {
	if s.repos == nil {
		return nil
	}
	located, err := s.repos.Find(ctx, p.NEVRA())
	if err != nil {
		return nil
	}
	for _, l := range located {
		blob, err := readHeader(l)
		if err != nil {
			continue
		}
		if h, err := rpm.CheckHeader(blob, p.Header); err == nil {
			return h.Immutable()
		}
	}
	return nil
}

// readHeader reads the main header of a package file: by the range that metadata gives, or, where there is none, from the beginning.
func readHeader(l Located) ([]byte, error) {
	file, err := l.Repo.OpenPackage(l.Package)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if l.Repo.Kind() == repo.KindDirectory {
		whole, err := rpm.ReadPackageHeaders(file)
		if err != nil {
			return nil, err
		}
		return whole.Header.Immutable(), nil
	}
	return headerAt(file, l.Package)
}

// headerAt reads the header of a file that is open by the range that metadata gives.
func headerAt(file *os.File, p *repo.Package) ([]byte, error) {
	size := p.HeaderEnd - p.HeaderStart
	if p.HeaderStart <= 0 || size <= 0 || size > maxRepoHeader {
		return nil, errors.New("metadata has no header range")
	}
	blob := make([]byte, size)
	_, err := file.ReadAt(blob, p.HeaderStart)
	return blob, err
}

// claim returns up to a batch of packages of a host whose digests are open, and marks them asked.
func (s *shares) claim(name string, listed []host.Package) []host.Package {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil || s.unable[name] {
		return nil
	}
	var out []host.Package
	for _, p := range listed {
		if state, seen := s.state[p.Header]; seen && state == shareOpen {
			s.state[p.Header] = shareAsked
			out = append(out, p)
			if len(out) == batch {
				break
			}
		}
	}
	return out
}

// release opens again what was claimed and not asked for.
func (s *shares) release(packages []host.Package) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range packages {
		s.state[p.Header] = shareOpen
	}
}

// keep stores the headers that came, each checked against its digest, and opens again what did not come.
func (s *shares) keep(ctx context.Context, asked []host.Package, headers map[string][]byte) (kept int, err error) {
	good := map[string][]byte{}
	for digest, blob := range headers {
		h, err := rpm.CheckHeader(blob, digest)
		if err != nil {
			continue
		}
		if _, err := h.Package(); err == nil { // else nobody could plan with it
			good[digest] = h.Immutable()
		}
	}
	err = s.store.PutHeaders(ctx, good)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range asked {
		s.state[p.Header] = shareOpen
		if good[p.Header] != nil && err == nil {
			s.state[p.Header] = shareKnown
		}
	}
	if err != nil {
		s.err = err
		return 0, err
	}
	return len(good), nil
}

// open counts the headers that nobody sent yet.
func (s *shares) open() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, state := range s.state {
		if state == shareOpen {
			n++
		}
	}
	return n
}

// has tells whether a host has a header nobody sent yet, and can send it.
func (s *shares) has(facts *host.Facts) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil || s.unable[facts.Host] {
		return false
	}
	for _, p := range facts.Packages {
		if state, seen := s.state[p.Header]; seen && state == shareOpen {
			return true
		}
	}
	return false
}

// fetchRest asks again for the headers whose first host failed, one host after the other: there are few.
func (f *Fleet) fetchRest(ctx context.Context, s *shares, results []FactsResult) {
	for i := range results {
		r := &results[i]
		if r.Facts == nil {
			continue
		}
		if ctx.Err() != nil || s.open() == 0 {
			return
		}
		packages, err := f.Store.Installed(ctx, r.Facts.InstalledDigest)
		if err != nil {
			continue
		}
		whole := *r.Facts
		whole.Packages = packages
		if !s.has(&whole) {
			continue
		}
		conn, err := f.Dial(ctx, r.Host)
		if err != nil {
			continue
		}
		n, err := s.take(ctx, conn, &whole)
		conn.Close()
		r.Headers += n
		if err != nil {
			f.log.Warn("headers of installed packages did not come", "host", r.Host.Name, "error", err)
		}
	}
}

// parseHeader reads a stored immutable header.
func parseHeader(blob []byte) (*rpm.Package, error) {
	h, err := rpm.ParseHeader(blob)
	if err != nil {
		return nil, err
	}
	return h.Package()
}
