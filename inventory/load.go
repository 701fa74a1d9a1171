package inventory

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"syscall"

	"github.com/BurntSushi/toml"
	"golang.org/x/sync/errgroup"
)

// Bounds of a site.
const (
	maxSiteBytes = 64 << 20 // of all files together
	maxSiteFiles = 1000
	maxSiteDepth = 16        // of directories below inventory/
	maxBrackets  = 1_000_000 // in a text that the scanner cannot follow
)

// Loader reads sites. The zero Loader trusts nobody and has no home directory;
// NewLoader gives the one for the calling process. It may be used by several
// goroutines.
type Loader struct {
	Owners Owners // whose files are trusted
	Home   string // for paths that begin with ~/
	// Begin, unless it is nil, is called with the state directory before the hosts are read, where nothing seems wrong so far: who will need it may make it
	// ready. The site may still turn out to be wrong.
	Begin func(stateDir string)
}

// NewLoader gives the loader for the calling process: its user, root and the
// user behind sudo are trusted.
func NewLoader() *Loader {
	home, err := os.UserHomeDir()
	if err != nil {
		home = ""
	}
	return &Loader{Owners: CurrentOwners(os.Getenv("SUDO_UID")), Home: home}
}

// Load reads the site in a directory with the loader of the calling process.
func Load(dir string) (*Site, error) { return NewLoader().Load(dir) }

// mainFile is cpacman.toml.
type mainFile struct {
	Source
	State   string                  `toml:"state"`
	SSH     SSH                     `toml:"ssh"`
	Limits  Limits                  `toml:"limits"`
	Facts   FactsSettings           `toml:"facts"`
	Repo    []Repo                  `toml:"repo"`
	Class   []Class                 `toml:"class"`
	Level   []Level                 `toml:"level"`
	Rollout Rollout                 `toml:"rollout"`
	Health  map[string]*HealthCheck `toml:"health"`
	Hook    map[string]*Hook        `toml:"hook"`
	Trail   Trail                   `toml:"trail"`
	Person  map[string]*Person      `toml:"person"`
	Notify  map[string]*Notify      `toml:"notify"`
	Window  map[string]*Window      `toml:"window"`
}

// inventoryFile is a file below inventory/.
type inventoryFile struct {
	Source
	Host     map[string]*Host     `toml:"host"`
	Group    map[string]*Group    `toml:"group"`
	Cluster  map[string]*Cluster  `toml:"cluster"`
	Location map[string]*Location `toml:"location"`
	Policy   []Policy             `toml:"policy"`

	hosts []*Host // those that were read at sight; they are not in Host
}

// loading is one run of Load.
type loading struct {
	*Loader
	dir      string // as given
	schema   *schema
	site     *Site
	problems Problems
	bytes    int64 // read so far
	files    int
	seen     map[fileID]bool
	texts    []*textFile
	hosts    []*Host // of site.byName, as they were read
	broken   bool    // a file could not be read, so that references mean nothing
}

// textFile is a file below inventory/ on its way.
type textFile struct {
	path, text string
	content    inventoryFile
	problems   Problems
	broken     bool
}

// fileID tells files apart whatever their name.
type fileID struct{ dev, ino uint64 }

// Load reads the site in a directory. When its content is wrong the error is
// Problems with every fault found. Files are read in the order of their names,
// which has no influence on the result.
func (l *Loader) Load(dir string) (*Site, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("load site %q: %w", dir, err)
	}
	ld := &loading{Loader: l, dir: dir, schema: newSchema(), seen: make(map[fileID]bool)}
	ld.site = newSite(abs, l.Owners)
	f, info, err := l.Owners.openSafe(dir)
	if err != nil {
		ld.unreadable(dir, err)
		return nil, ld.problems
	}
	f.Close()
	if !info.IsDir() {
		return nil, fmt.Errorf("load site %q: not a directory", dir)
	}
	ld.main()
	if l.Begin != nil && len(ld.problems) == 0 {
		l.Begin(ld.site.StateDir)
	}
	ld.inventory()
	ld.finish()
	if ps := ld.problems.sorted(); len(ps) > 0 {
		return nil, ps
	}
	return ld.site, nil
}

// newSite gives a site without content.
func newSite(dir string, owners Owners) *Site {
	return &Site{
		Dir: dir, owners: owners,
		Groups: make(map[string]*Group), Clusters: make(map[string]*Cluster), Locations: make(map[string]*Location),
		byName: make(map[string]*Host), meta: make(map[string]bool), resolved: new(policyCache), settings: new(settingsCache), views: new(viewCache),
	}
}

// fault notes an error of a file.
func (ld *loading) fault(file string, line int, hint, format string, args ...any) {
	ld.problems = append(ld.problems, Problem{File: file, Line: line, Severity: SeverityError,
		Message: fmt.Sprintf(format, args...), Hint: hint})
}

// unreadable notes a file that could not be opened or must not be used.
func (ld *loading) unreadable(path string, err error) {
	ld.broken = true
	var unsafe *UnsafeError
	if errors.As(err, &unsafe) {
		ld.fault(path, 0, unsafe.hint(), "%s", unsafe.message())
		return
	}
	ld.fault(path, 0, "", "cannot be read: %s", cause(err))
}

// cause drops the path from an error of the file system.
func cause(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// isNotDir reports a path that leads through something that is no directory.
func isNotDir(err error) bool { return errors.Is(err, syscall.ENOTDIR) }

// main reads cpacman.toml.
func (ld *loading) main() {
	path := filepath.Join(ld.dir, MainFile)
	var m mainFile
	// A file that is empty or missing leaves the defaults.
	m.setDefaults()
	if f, info, err := ld.Owners.openSafe(path); err != nil {
		ld.unreadable(path, err)
	} else {
		if text, ok := ld.read(f, info.IsDir(), path); ok {
			ld.found(decodeText(ld.schema, path, text, &m))
		}
	}
	ld.take(&m)
	ld.site.StateDir = ld.path(m.State, &m.Source, "state", "state")
}

// take makes the content of cpacman.toml that of the site.
func (ld *loading) take(m *mainFile) {
	s := ld.site
	s.top, s.SSH, s.Limits, s.Facts, s.Rollout = m.Source, m.SSH, m.Limits, m.Facts, m.Rollout
	s.Repos, s.Classes, s.Levels, s.Health, s.Hooks = m.Repo, m.Class, m.Level, m.Health, m.Hook
	s.Trail = m.Trail
	s.People = m.Person
	s.Notify = m.Notify
	s.Windows = m.Window
	for i := range s.Repos {
		s.Repos[i].Place = i
	}
}

// inventory reads every file below inventory/. There may be none.
func (ld *loading) inventory() {
	path := filepath.Join(ld.dir, InventoryDir)
	if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
		return
	}
	ld.walk(path, 0)
	// Reading is quick, parsing is not: files are parsed side by side, and what
	// they define is put together in the order of their names.
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, t := range ld.texts {
		group.Go(func() error {
			t.problems, t.broken = decodeText(ld.schema, t.path, t.text, &t.content)
			return nil
		})
	}
	_ = group.Wait() // none of them returns an error
	hosts := 0
	for _, t := range ld.texts {
		hosts += len(t.content.hosts) + len(t.content.Host)
	}
	ld.hosts, ld.site.byName = make([]*Host, 0, hosts), make(map[string]*Host, hosts)
	for _, t := range ld.texts {
		ld.found(t.problems, t.broken)
		ld.merge(&t.content)
	}
	ld.texts = nil
}

// found takes over the problems of a file.
func (ld *loading) found(problems Problems, broken bool) {
	ld.problems = append(ld.problems, problems...)
	ld.broken = ld.broken || broken
}

// walk reads the .toml files of a directory and of those in it. Hidden files are
// left alone (editors leave such behind); what else is not read is remembered
// for Check. Symbolic links are followed; a file or directory that is reached
// twice is read once.
func (ld *loading) walk(path string, depth int) {
	if depth > maxSiteDepth {
		ld.fault(path, 0, "", "directories are nested more than %d deep", maxSiteDepth)
		return
	}
	f, info, err := ld.Owners.openSafe(path)
	if err != nil {
		ld.unreadable(path, err)
		return
	}
	if ld.again(info) {
		f.Close()
		return
	}
	if !info.IsDir() {
		if depth == 0 {
			ld.fault(path, 0, "", "is not a directory")
			f.Close()
			return
		}
		ld.inventoryFile(f, path)
		return
	}
	defer f.Close()
	entries, err := f.ReadDir(-1)
	if err != nil {
		ld.unreadable(path, err)
		return
	}
	names := make(map[string]bool, len(entries))
	for _, e := range entries {
		names[e.Name()] = e.IsDir()
	}
	for _, name := range sortedKeys(names) {
		child := filepath.Join(path, name)
		switch {
		case strings.HasPrefix(name, "."):
		case strings.HasSuffix(name, ".toml") || names[name] || isDir(child):
			if ld.files > maxSiteFiles {
				return
			}
			ld.walk(child, depth+1)
		default:
			ld.site.ignored = append(ld.site.ignored, child)
		}
	}
}

// isDir reports a directory, through links.
func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// again reports whether a file was read before, and notes it.
func (ld *loading) again(info os.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	id := fileID{uint64(st.Dev), st.Ino} //nolint:unconvert // not of 64 bits on every architecture
	if ld.seen[id] {
		return true
	}
	ld.seen[id] = true
	return false
}

// inventoryFile reads one file.
func (ld *loading) inventoryFile(f *os.File, path string) {
	if ld.files++; ld.files > maxSiteFiles {
		f.Close()
		ld.broken = true
		ld.fault(path, 0, "put more hosts into each file", "more than %d files", maxSiteFiles)
		return
	}
	if text, ok := ld.read(f, false, path); ok {
		ld.texts = append(ld.texts, &textFile{path: path, text: text})
	}
}

// merge adds what an inventory file defines.
func (ld *loading) merge(inv *inventoryFile) {
	for _, h := range inv.hosts {
		if mergeOne(ld, "host", ld.site.byName, h.Name, h, hostSource) {
			ld.hosts = append(ld.hosts, h)
		}
	}
	for name, h := range inv.Host {
		if mergeOne(ld, "host", ld.site.byName, name, h, hostSource) {
			ld.hosts = append(ld.hosts, h)
		}
	}
	merge(ld, "group", ld.site.Groups, inv.Group, func(g *Group) *Source { return &g.Source })
	merge(ld, "cluster", ld.site.Clusters, inv.Cluster, func(c *Cluster) *Source { return &c.Source })
	merge(ld, "location", ld.site.Locations, inv.Location, func(l *Location) *Source { return &l.Source })
	for i := range inv.Policy {
		ld.site.policies = append(ld.site.policies, &inv.Policy[i])
	}
}

func hostSource(h *Host) *Source { return &h.Source }

// merge adds named tables of one file to those of the site.
func merge[T any](ld *loading, kind string, all, more map[string]*T, src func(*T) *Source) {
	for name, v := range more {
		mergeOne(ld, kind, all, name, v, src)
	}
}

// mergeOne adds a named table. A name that is there already is an error at the
// later of the two places.
func mergeOne[T any](ld *loading, kind string, all map[string]*T, name string, v *T, src func(*T) *Source) bool {
	at := src(v)
	if first := all[name]; first != nil {
		ld.fault(at.File, at.Line, "keep one of them", "%s %q is defined twice, first at %s", kind, clip(name), src(first).At())
		return false
	}
	all[name] = v
	limit := maxName
	if kind == "host" {
		limit = maxHostName
	}
	if err := checkName(name, limit); err != nil {
		ld.fault(at.File, at.Line, "", "%s %s", kind, err)
	}
	return true
}

// read reads an open file and closes it.
func (ld *loading) read(f *os.File, isDir bool, path string) (text string, ok bool) {
	defer f.Close()
	if isDir {
		ld.unreadable(path, errors.New("it is a directory"))
		return "", false
	}
	var data strings.Builder
	if info, err := f.Stat(); err == nil {
		data.Grow(int(min(max(info.Size(), 0), maxSiteBytes)))
	}
	n, err := io.Copy(&data, io.LimitReader(f, maxSiteBytes-ld.bytes+1))
	if err != nil {
		ld.unreadable(path, err)
		return "", false
	}
	ld.bytes += n
	if ld.bytes > maxSiteBytes {
		ld.unreadable(path, fmt.Errorf("the files of the site are larger than %s together", Bytes(maxSiteBytes)))
		ld.bytes = maxSiteBytes
		return "", false
	}
	return data.String(), true
}

// decodeText decodes the text of a file into the struct that file points to. A
// broken text is one that is not TOML at all.
func decodeText(s *schema, path, text string, file any) (problems Problems, broken bool) {
	var hosts *plainHosts
	inventory, ok := file.(*inventoryFile)
	if ok {
		hosts = newPlainHosts(path, text)
	}
	values, pos, ok := parsePlain(text, hosts)
	if ok && hosts != nil {
		inventory.hosts = hosts.take()
	}
	if !ok {
		var problem *Problem
		if values, pos, problem = parseAll(path, text); problem != nil {
			return Problems{*problem}, true
		}
	}
	d := &decoder{file: path, schema: s}
	d.table(values, pos, "", reflect.ValueOf(file).Elem())
	return d.problems, false
}

// parseAll gives the values of any text and their positions, or what is wrong with
// it.
func parseAll(path, text string) (values map[string]any, pos *position, problem *Problem) {
	fault := func(line int, format string, args ...any) *Problem {
		return &Problem{File: path, Line: line, Severity: SeverityError, Message: fmt.Sprintf(format, args...)}
	}
	// The library is not meant for hostile text; a panic of its is a refusal.
	defer func() {
		if r := recover(); r != nil {
			problem = fault(0, "not valid TOML: %v", r)
		}
	}()
	pos, err := scanPositions(text)
	var deep *structureError
	if errors.As(err, &deep) {
		return nil, nil, fault(deep.line, "%s", deep.what)
	}
	if err != nil && strings.Count(text, "[")+strings.Count(text, "{") > maxBrackets {
		return nil, nil, fault(0, "not valid TOML, and too large to say where")
	}
	values = make(map[string]any)
	if _, err := toml.Decode(text, &values); err != nil {
		var pe toml.ParseError
		if errors.As(err, &pe) {
			return nil, nil, fault(pe.Position.Line, "not valid TOML: %s", pe.Message)
		}
		return nil, nil, fault(0, "not valid TOML: %s", strings.TrimPrefix(err.Error(), "toml: "))
	}
	return values, pos, nil
}
