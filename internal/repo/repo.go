package repo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Kinds of repositories, as plans name them.
const (
	KindRepomd    = "repomd"
	KindDirectory = "directory"
)

// Options say how repositories are read. The zero value works.
type Options struct {
	// CacheDir keeps the compact index, readable to its owner only; "" keeps none.
	CacheDir string
	// Logger takes notes and warnings; nil drops them.
	Logger *slog.Logger
	// MaxOpen bounds, in bytes, what one metadata file may open to; 0 means 2 GiB.
	MaxOpen int64
	// Mapped lets large cache files be mapped rather than read, where the system can: bringing the bytes here costs more than all else that opening an
	// unchanged repository needs. It is for processes that end soon: they stay mapped, and where memory is so short that pages are given up and
	// the disk fails when they are wanted again, the process ends.
	Mapped bool
	// Advisories tells that they will be asked for: the index of them is read beside that of the packages.
	Advisories bool
	// Full makes Check read every package and compare its digest, instead of its size alone.
	Full bool
	// Now is the clock for ages in the cache and times in the log; nil means time.Now. No answer depends on it.
	Now func() time.Time
}

// Config names one repository.
type Config struct {
	ID   string // as in the configuration; it stands in every error
	Path string // directory with repodata, or with RPMs
}

// Repo is an opened repository. Its methods may be called from several goroutines; what they return is shared and never changed. It
// holds no file open. It stays on the directory that its path led to when it was opened, however symbolic links move later.
type Repo struct {
	id, path, kind, digest string
	opt                    Options
	log                    *slog.Logger
	cache                  *cache
	md                     *repomd
	sources                []*Package // source packages, which are not offered
	problems               []Problem
	opened                 bool // by Open: problems are logged

	read     sync.Mutex // guards the packages; nothing is locked while it is held
	packages []*Package // in the order of the metadata; nil: not read from ix yet
	unread   int        // how many are nil
	numbers  map[*Package]int32
	places   []int32 // number → place in ix
	ix       *index
	fault    error // see Lookup.Err

	mu          sync.Mutex // guards what is read when asked for
	files       *fileIndex
	noticeIndex *noticeIndex
	early       chan *noticeIndex // what cachedNotices gives; nil: not asked yet, or taken
	advisories  []Advisory        // nil: not read from noticeIndex yet
	modules     *moduleData
}

// Open reads the packages of a repository. The error is a *Damage unless the context ended or the path is no directory.
func Open(ctx context.Context, cfg Config, opt Options) (*Repo, error) {
	r, k, err := prepare(cfg, opt)
	if err != nil {
		return nil, err
	}
	defer k.root.Close() //nolint:errcheck // opened for reading
	_, err = k.root.Stat(repomdPath)
	_, noDir := k.root.Lstat("repodata") // a link to nothing is there too
	switch {
	case err == nil:
		err = r.openRepomd(ctx, k)
	case !errors.Is(err, fs.ErrNotExist):
		err = &Damage{r.id, repomdPath, "cannot be opened", err}
	case noDir == nil:
		// Reading the RPMs instead would offer what a half-finished mirror happens to hold.
		err = &Damage{r.id, repomdPath, "missing, though there is a directory repodata", fs.ErrNotExist}
	default:
		err = r.openDirectory(ctx, k)
	}
	if err != nil {
		if r.early != nil {
			<-r.early
		}
		return nil, err
	}
	r.opened = true
	r.logProblems(ctx, r.problems)
	return r, nil
}

func (r *Repo) logProblems(ctx context.Context, list []Problem) {
	for _, p := range list {
		level := slog.LevelWarn
		if p.Note {
			level = slog.LevelInfo
		}
		r.log.Log(ctx, level, "repository: "+plain(p.What), "repo", r.id, "file", p.File, "package", p.Package)
	}
}

// prepare resolves the path and opens the directory.
func prepare(cfg Config, opt Options) (*Repo, *disk, error) {
	if opt.MaxOpen <= 0 {
		opt.MaxOpen = defaultMaxOpen
	}
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	path, err := filepath.Abs(cfg.Path)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		var place *fs.PathError
		if errors.As(err, &place) { // which says the path once more
			err = place.Err
		}
		return nil, nil, &Damage{cfg.ID, cfg.Path, "no such repository; check its path", err}
	}
	r := &Repo{id: cfg.ID, path: path, opt: opt, log: opt.Logger,
		cache: &cache{dir: opt.CacheDir, log: opt.Logger, now: opt.Now}}
	if opt.Mapped {
		r.cache.mapFrom = leastMapped
	}
	k, err := r.disk()
	return r, k, err
}

// disk opens the repository's directory; the caller closes its root.
func (r *Repo) disk() (*disk, error) {
	root, err := os.OpenRoot(r.path)
	if err != nil {
		return nil, &Damage{r.id, r.path, "the repository is not a directory that can be read", err}
	}
	return &disk{root: root, id: r.id, maxOpen: r.opt.MaxOpen, log: r.log, now: r.opt.Now}, nil
}

// ID is the repository's id in the configuration.
func (r *Repo) ID() string { return r.id }

// Path is the absolute path of the directory, without symbolic links.
func (r *Repo) Path() string { return r.path }

// Kind is KindRepomd or KindDirectory.
func (r *Repo) Kind() string { return r.kind }

// Digest names the contents: sha256 of repomd.xml, or of the sorted (path, size, header digest) of a directory. Lower-case hex.
func (r *Repo) Digest() string { return r.digest }

// Made is the newest time stamp of the metadata; false where they have none, as a directory without metadata.
func (r *Repo) Made() (time.Time, bool) {
	if r.md == nil {
		return time.Time{}, false
	}
	return r.md.Made, !r.md.Made.IsZero()
}

// Packages lists the packages in the order of the metadata, or of the paths of a directory. Source packages are not among them, and of
// packages with the same NEVRA only the first is. All of them are read; Lookup answers without that. Where the index is damaged behind its
// checksum and the repository cannot be read again, Lookup.Err says so.
func (r *Repo) Packages() []*Package {
	r.read.Lock()
	defer r.read.Unlock()
	r.readAll()
	return r.packages
}

// Len is the number of packages, none of which is read for it.
func (r *Repo) Len() int { return len(r.packages) }

// Problems lists what was noted when the repository was opened and does not prevent its use, and what is left out of the advisories when
// they were read.
func (r *Repo) Problems() []Problem {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.noticeIndex == nil {
		return r.problems
	}
	return slices.Concat(r.problems, r.noticeIndex.unread)
}

// openRepomd reads a repository with repodata, from the cache when it can.
func (r *Repo) openRepomd(ctx context.Context, k *disk) error {
	r.kind = KindRepomd
	md, err := readRepomd(ctx, k.root, r.id)
	if err != nil {
		return err
	}
	r.md, r.digest = md, md.Digest
	if r.opt.Advisories && r.HasAdvisories() {
		r.early = make(chan *noticeIndex, 1)
		go func() { r.early <- r.cachedNotices() }()
	}
	e, err := md.primary(r.id)
	if err != nil {
		return err
	}
	id, err := k.identify(e)
	if err != nil {
		return err
	}
	ok, err := r.loadPackages(ctx, k, e, id)
	if err != nil {
		return err
	}
	if !ok {
		body, err := r.readPrimary(ctx, k, e, id)
		if err != nil {
			return err
		}
		if r.cache.dir != "" {
			r.cache.storeBytes(kindPackages, r.digest, body)
		}
	}
	r.noteMetadata(k)
	return nil
}

// loadPackages takes the packages from the cache. The package list on disk is still proven to be the one that was read: by its
// identity, else by its checksum.
func (r *Repo) loadPackages(ctx context.Context, k *disk, e dataEntry, id FileID) (bool, error) {
	d, ok := r.cache.load(kindPackages, r.digest)
	if !ok {
		return false, nil
	}
	l := d.packageList(r.id)
	if l == nil {
		r.cache.bad(kindPackages, r.digest)
		return false, nil
	}
	if l.file != id && !r.cache.known(r.digest, id) {
		if err := k.verifyRaw(ctx, e); err != nil {
			return false, err
		}
		r.cache.know(r.digest, id)
	}
	r.serve(l)
	return true, nil
}

// serve answers from a package list.
func (r *Repo) serve(l *packageList) {
	r.problems, r.sources = l.problems, l.sources
	r.ix, r.packages, r.unread = l.ix, make([]*Package, l.ix.n), l.ix.n
}

// noFileLists warns when a repository is opened, since plans may hold what they need not; it is no fault of the repository.
const noFileLists = "names no file lists: what needs a path beyond the package list is held"

// noteMetadata looks for metadata that is named and not there, or that is not read.
func (r *Repo) noteMetadata(k *disk) {
	for _, kind := range []string{"filelists", "updateinfo", "modules"} {
		for _, e := range r.md.all(kind) {
			if _, err := k.root.Stat(e.Location); err != nil {
				r.problem(Problem{File: e.Location, What: "named by repomd.xml and missing: what needs it fails"})
			}
		}
	}
	for _, kind := range []string{"primary", "filelists"} {
		for i, e := range r.md.all(kind) {
			if first, _ := r.md.find(kind); i > 0 && e.Checksum != first.Checksum {
				r.problem(Problem{File: repomdPath, What: fmt.Sprintf("names several files of type %s: %s is read, %s is not", kind, first.Location, e.Location)})
			}
		}
	}
	if !r.md.namesFilelists() && r.Len() > 0 {
		r.problem(Problem{File: repomdPath, What: noFileLists})
	}
	if _, ok := r.md.find("filelists-ext"); ok {
		r.problem(Problem{File: repomdPath, What: "filelists-ext is not read", Note: true})
	}
}

// identify looks at a metadata file without reading it, and tells at once that it is missing or has another size.
func (k *disk) identify(e dataEntry) (FileID, error) {
	st, err := k.root.Stat(e.Location)
	if err != nil {
		return FileID{}, k.noFile(e, err)
	}
	if err := sizeDamage(k.id, e, st.Size()); err != nil {
		return FileID{}, err
	}
	return identity(st), nil
}

func identity(st fs.FileInfo) FileID {
	id := FileID{Size: st.Size(), MTime: st.ModTime().UnixNano()}
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		id.CTime, id.Inode, id.Dev = sys.Ctim.Nano(), sys.Ino, uint64(sys.Dev) //nolint:unconvert // its type differs by system
	}
	return id
}

// verifyRaw compares a metadata file, as it is on disk, with its checksum in repomd.xml.
func (k *disk) verifyRaw(ctx context.Context, e dataEntry) error {
	f, err := k.root.Open(e.Location)
	if err != nil {
		what, cause := missing(err)
		return &Damage{k.id, e.Location, what, cause}
	}
	defer f.Close() //nolint:errcheck // opened for reading
	h := newHash(e.Checksum.Type)
	if _, err := io.Copy(h, contextReader{ctx, f}); err != nil {
		return &Damage{k.id, e.Location, "cannot be read", err}
	}
	if got := sum(h); got != e.Checksum.Value {
		return &Damage{k.id, e.Location, fmt.Sprintf("checksum mismatch: %s is %s, repomd.xml says %s", e.Checksum.Type, got, e.Checksum.Value), nil}
	}
	return nil
}

// contextReader stops reading when the context ends.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
