package repo

import (
	"bytes"
	"context"
	"errors"
	"math"
	"strings"
)

// fileIndex has every path of every package: numbers of directories, and names in one text. It takes about 12 bytes per path beside the
// names.
type fileIndex struct {
	dirs   []string // with the slash at the end, distinct
	dir    []uint32 // entry → directory
	end    []uint32 // entry → end of its name in names; it begins where the one before ends
	names  string
	ranges [][2]uint32 // package → its entries, from and to; absent packages have noEntries
	owner  []uint32    // entry → package
	byDir  []uint32    // directory → where its entries begin in sorted; one more at the end
	sorted []uint32    // entries by directory
	number map[string]uint32
}

// noEntries marks a package that the file lists do not know, which is not the same as a package without files.
const noEntries = math.MaxUint32

// path writes an entry's path.
func (x *fileIndex) path(entry uint32) string { return x.dirs[x.dir[entry]] + x.base(entry) }

func (x *fileIndex) base(entry uint32) string {
	from := uint32(0)
	if entry > 0 {
		from = x.end[entry-1]
	}
	return x.names[from:x.end[entry]]
}

// link builds what is looked up from what is stored.
func (x *fileIndex) link() {
	x.number = make(map[string]uint32, len(x.dirs))
	for i, d := range x.dirs {
		x.number[d] = uint32(i) //nolint:gosec // fewer than entries, which are counted
	}
	x.byDir = make([]uint32, len(x.dirs)+1)
	for _, d := range x.dir {
		x.byDir[d+1]++
	}
	for i := 1; i < len(x.byDir); i++ {
		x.byDir[i] += x.byDir[i-1]
	}
	next := append([]uint32(nil), x.byDir...)
	x.sorted = make([]uint32, len(x.dir))
	for e, d := range x.dir {
		x.sorted[next[d]] = uint32(e) //nolint:gosec // as above
		next[d]++
	}
	x.owner = make([]uint32, len(x.dir))
	for p, r := range x.ranges {
		if r[0] == noEntries {
			continue
		}
		for e := r[0]; e < r[1]; e++ {
			x.owner[e] = uint32(p) //nolint:gosec // fewer than 2^31 packages
		}
	}
}

// find lists the packages that have a path, in order.
func (x *fileIndex) find(path string) []uint32 {
	slash := strings.LastIndexByte(path, '/') + 1
	d, ok := x.number[path[:slash]]
	if !ok {
		return nil
	}
	var out []uint32
	for _, e := range x.sorted[x.byDir[d]:x.byDir[d+1]] {
		if x.base(e) == path[slash:] {
			out = append(out, x.owner[e])
		}
	}
	return out
}

// listedPackage is one <package> of filelists.xml.
type listedPackage struct {
	pkgid string
	count int
}

// filesResult is what a piece of filelists.xml holds: packages, and their entries one after another.
type filesResult struct {
	dirs     []string // directories that are new since the sink's last piece
	sink     *filesSink
	packages []listedPackage
	dir      []uint32 // numbers of the sink
	end      []uint32 // ends in names
	names    []byte
}

// filesSink gathers file lists. It is used by one goroutine; its numbers of directories grow from piece to piece.
type filesSink struct {
	result filesResult
	number map[string]uint32
	last   uint32 // the directory of the path before, which the next one usually shares
	lastIn string
	places []place
	value  []byte
	fault  error
}

func newFilesSink() *filesSink {
	s := &filesSink{number: make(map[string]uint32), places: make([]place, 0, 8)}
	s.result.sink = s
	return s
}

func (s *filesSink) take() filesResult {
	r := s.result
	s.result = filesResult{sink: s}
	return r
}

func (s *filesSink) err() error { return s.fault }

func (s *filesSink) start(name []byte, attrs []xmlAttr) bool {
	at := inRoot
	if n := len(s.places); n > 0 {
		at = s.places[n-1]
	}
	next := inSkipped
	switch {
	case at == inRoot && string(name) == "package":
		next = inPackage
		id := ""
		for _, a := range attrs {
			if string(a.name) == "pkgid" {
				id = strings.ToLower(string(a.value)) // as checksums are compared
			}
		}
		if id == "" && s.fault == nil {
			s.fault = errors.New("a package has no pkgid")
		}
		s.result.packages = append(s.result.packages, listedPackage{pkgid: id})
	case at == inPackage && string(name) == "file":
		next = inFile
		s.value = s.value[:0]
	}
	s.places = append(s.places, next)
	return next == inFile
}

func (s *filesSink) text(b []byte) { s.value = append(s.value, b...) }

func (s *filesSink) end() {
	if len(s.places) == 0 {
		s.fault = errors.New("unexpected end of an element")
		return
	}
	at := s.places[len(s.places)-1]
	s.places = s.places[:len(s.places)-1]
	if at != inFile {
		return
	}
	r := &s.result
	slash := bytes.LastIndexByte(s.value, '/') + 1
	if dir := s.value[:slash]; s.lastIn == "" || string(dir) != s.lastIn {
		n, ok := s.number[string(dir)]
		if !ok {
			n = uint32(len(s.number)) //nolint:gosec // bounded by the entries, which merge counts
			s.number[string(dir)] = n
			r.dirs = append(r.dirs, string(dir))
		}
		s.last, s.lastIn = n, string(dir)
	}
	r.dir = append(r.dir, s.last)
	r.names = append(r.names, s.value[slash:]...)
	r.end = append(r.end, uint32(len(r.names))) //nolint:gosec // bounded by the window or by openLimit
	r.packages[len(r.packages)-1].count++
}

// filesMerger puts the pieces together.
type filesMerger struct {
	index  *fileIndex
	number map[string]uint32
	global map[*filesSink][]uint32 // a sink's directory → ours
	ids    map[string][]int32      // checksum → packages
	names  []byte
	extra  int // listed packages that the repository does not have
	err    error
}

// newFilesMerger prepares for the packages of a repository.
func newFilesMerger(packages []*Package) *filesMerger {
	m := &filesMerger{
		index:  &fileIndex{ranges: make([][2]uint32, len(packages))},
		number: make(map[string]uint32),
		global: make(map[*filesSink][]uint32),
		ids:    make(map[string][]int32, len(packages)),
	}
	for i, p := range packages {
		m.index.ranges[i] = [2]uint32{noEntries, noEntries}
		m.ids[p.Checksum.Value] = append(m.ids[p.Checksum.Value], int32(i)) //nolint:gosec // fewer than 2^31 packages
	}
	return m
}

// add takes a piece. Lists of packages that the repository does not have are dropped.
func (m *filesMerger) add(r filesResult) {
	for _, d := range r.dirs {
		n, ok := m.number[d]
		if !ok {
			n = uint32(len(m.index.dirs)) //nolint:gosec // bounded by the entries below
			m.number[d] = n
			m.index.dirs = append(m.index.dirs, d)
		}
		m.global[r.sink] = append(m.global[r.sink], n)
	}
	x, global, entry := m.index, m.global[r.sink], 0
	for _, p := range r.packages {
		from := entry
		entry += p.count
		owners := m.ids[p.pkgid]
		if len(owners) == 0 {
			m.extra++
			continue
		}
		if len(m.names)+len(r.names) >= math.MaxUint32 || len(x.dir)+p.count >= noEntries {
			m.err = errors.New("absurd size: names of files take more than 4 GiB")
			return
		}
		first := uint32(len(x.dir))
		for e := from; e < entry; e++ {
			at := uint32(0)
			if e > 0 {
				at = r.end[e-1]
			}
			m.names = append(m.names, r.names[at:r.end[e]]...)
			x.dir = append(x.dir, global[r.dir[e]])
			x.end = append(x.end, uint32(len(m.names)))
		}
		for _, o := range owners {
			x.ranges[o] = [2]uint32{first, uint32(len(x.dir))}
		}
	}
}

// readFilelists parses the complete file lists.
func (r *Repo) readFilelists(ctx context.Context, k *disk, e dataEntry) (*fileIndex, error) {
	m := newFilesMerger(r.Packages())
	reader := &metaReader[filesResult]{
		root:   "filelists",
		item:   "package",
		window: firstWindow,
		sink:   func() chunkSink[filesResult] { return newFilesSink() },
		merge:  func(f filesResult) { m.add(f) },
		open:   func() (*metaStream, error) { return k.open(ctx, e) },
	}
	if _, err := reader.read(ctx, func() { m = newFilesMerger(r.Packages()) }); err != nil {
		return nil, err
	}
	if m.err != nil {
		return nil, &Damage{r.id, e.Location, "damaged", m.err}
	}
	m.index.names = string(m.names)
	missing := 0
	for _, g := range m.index.ranges {
		if g[0] == noEntries {
			missing++
		}
	}
	if missing > 0 {
		r.log.Warn("repository: the file lists lack packages", "repo", r.id, "file", e.Location, "missing", missing)
	}
	if m.extra > 0 {
		r.log.Info("repository: the file lists have packages that the package list has not", "repo", r.id, "file", e.Location, "count", m.extra)
	}
	return m.index, nil
}

// encode writes what link cannot rebuild.
func (x *fileIndex) encode(e *encoder) {
	e.strs(x.dirs)
	e.count(len(x.dir))
	last := uint32(0)
	for i, d := range x.dir {
		e.uint(uint64(d))
		e.uint(uint64(x.end[i] - last))
		last = x.end[i]
	}
	e.str(x.names)
	e.count(len(x.ranges))
	for _, g := range x.ranges {
		e.uint(uint64(g[0]))
		e.uint(uint64(g[1]))
	}
}

// decodeFiles reads what encode wrote, for a repository of so many packages; nil when it makes no sense.
func decodeFiles(d *decoder, packages int) *fileIndex {
	x := &fileIndex{dirs: d.strs()}
	n := d.count(2)
	x.dir, x.end = make([]uint32, n), make([]uint32, n)
	last := uint64(0)
	for i := range n {
		x.dir[i] = d.uint32()
		last += d.uint()
		if last > math.MaxUint32 || uint64(x.dir[i]) >= uint64(len(x.dirs)) {
			return nil
		}
		x.end[i] = uint32(last)
	}
	x.names = d.str()
	if uint64(len(x.names)) < last || d.count(2) != packages || d.err != nil {
		return nil
	}
	x.ranges = make([][2]uint32, packages)
	for i := range x.ranges {
		from, to := d.uint32(), d.uint32()
		if from != noEntries && (from > to || uint64(to) > uint64(n)) {
			return nil
		}
		x.ranges[i] = [2]uint32{from, to}
	}
	if d.err != nil {
		return nil
	}
	return x
}
