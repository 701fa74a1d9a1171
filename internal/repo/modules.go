package repo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"cpacman/internal/rpm"
)

// ModuleStream is one build of a module stream (modulemd version 2, or 1, which libmodulemd takes for the same).
type ModuleStream struct {
	Name, Stream  string
	Version       uint64
	Context, Arch string
	Artifacts     []rpm.NEVRA // of source packages none: what has their names and another arch is not of the stream
	// Requires has the alternatives of the dependencies: with one of them every module named must have one of the streams
	// enabled; no stream listed means any; "-x" means any but x. An alternative without modules asks for nothing.
	Requires []map[string][]string
	// Demodularized names the packages that were of the stream and are not any more.
	Demodularized []string
}

// ModuleDefault says which stream and which profiles of a module count where nobody chose (modulemd-defaults version 1).
type ModuleDefault struct {
	Name     string
	Stream   string              // "": the module has no default stream
	Profiles map[string][]string // stream → profiles
}

// moduleData is what the modules files say.
type moduleData struct {
	streams  []ModuleStream
	defaults []ModuleDefault
	problems []Problem
}

// HasModules tells whether the repository has module metadata.
func (r *Repo) HasModules() bool {
	if r.md == nil {
		return false
	}
	_, ok := r.md.find("modules")
	return ok
}

// Modules reads the module metadata, once, in the order of the file. Documents of other kinds (translations, obsoletes) are not
// read.
func (r *Repo) Modules() ([]ModuleStream, []ModuleDefault, error) {
	if !r.HasModules() {
		return nil, nil, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.modules == nil {
		if err := r.loadModules(); err != nil {
			return nil, nil, err
		}
	}
	return r.modules.streams, r.modules.defaults, nil
}

func (r *Repo) loadModules() error {
	k, err := r.disk()
	if err != nil {
		return err
	}
	defer k.root.Close() //nolint:errcheck // opened for reading
	entries := r.md.all("modules")
	for _, e := range entries {
		if _, err := k.identify(e); err != nil {
			return err
		}
	}
	if d, ok := r.cache.load(kindModules, r.digest); ok {
		if data := d.modules(r.id); d.err == nil {
			r.serveModules(data)
			return nil
		}
		r.cache.bad(kindModules, r.digest)
	}
	data := &moduleData{}
	for _, e := range entries {
		in, err := k.open(context.Background(), e)
		if err != nil {
			return err
		}
		before := len(data.problems)
		err = readModules(in, data)
		for i := range data.problems[before:] {
			data.problems[before+i].Repo, data.problems[before+i].File = r.id, e.Location
		}
		if err := in.finish(err); err != nil {
			return err
		}
	}
	if r.cache.dir != "" {
		e := r.cache.start(kindModules, r.digest)
		e.modules(data)
		r.cache.store(kindModules, r.digest, e)
	}
	r.serveModules(data)
	return nil
}

// serveModules answers from module metadata, and tells who plans from them what is wrong with them.
func (r *Repo) serveModules(data *moduleData) {
	r.modules = data
	if r.opened {
		r.logProblems(context.Background(), slices.DeleteFunc(slices.Clone(data.problems), func(p Problem) bool { return p.Note }))
	}
}

// yamlModule is a document of modules.yaml. Streams and versions look like numbers and are text.
type yamlModule struct {
	Document string    `yaml:"document"`
	Version  string    `yaml:"version"`
	Data     yaml.Node `yaml:"data"`
}

// yamlStream has nodes where there is text: YAML takes some texts for nothing at all ("null", "~"), and libmodulemd none.
type yamlStream struct {
	Name          yaml.Node        `yaml:"name"`
	Stream        yaml.Node        `yaml:"stream"`
	Version       yaml.Node        `yaml:"version"`
	Context       yaml.Node        `yaml:"context"`
	Arch          yaml.Node        `yaml:"arch"`
	Dependencies  yamlAlternatives `yaml:"dependencies"`
	Demodularized struct {
		RPMs yamlStrings `yaml:"rpms"`
	} `yaml:"demodularized"`
	Artifacts struct {
		RPMs []string `yaml:"rpms"`
	} `yaml:"artifacts"`
}

type yamlDefaults struct {
	Module   yaml.Node `yaml:"module"`
	Stream   yaml.Node `yaml:"stream"`
	Profiles yamlLists `yaml:"profiles"`
}

// Bounds of module metadata. The largest documents of distributions have some 100 KiB; the reader takes a hundred times a document's size, and time by the
// square of the keys of a mapping.
const (
	maxModule  = 2 << 20 // bytes of a document
	maxModules = 100_000 // documents
	maxKeys    = 4000    // of one mapping
)

// checkKeys refuses mappings that have a key twice, or very many. The reader does the former too, and makes a list of all pairs.
func checkKeys(n *yaml.Node) error {
	if n.Kind == yaml.MappingNode {
		if len(n.Content)/2 > maxKeys {
			return fmt.Errorf("line %d: a mapping of more than %d keys", n.Line, maxKeys)
		}
		seen := make(map[string]bool, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if key.Kind != yaml.ScalarNode {
				return fmt.Errorf("line %d: a key that is no text", key.Line)
			}
			if seen[key.Value] {
				return fmt.Errorf("line %d: the key %s stands twice", key.Line, quoted(key.Value))
			}
			seen[key.Value] = true
		}
	}
	for _, one := range n.Content {
		if err := checkKeys(one); err != nil {
			return err
		}
	}
	return nil
}

// readModules reads the documents one at a time. A fault of the YAML reader is an error like any other.
func readModules(r io.Reader, data *moduleData) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the YAML reader gave up: %s", plain(fmt.Sprint(p)))
		}
	}()
	in := &tokenReader{r: r}
	d := yaml.NewDecoder(in)
	for n := 1; ; n++ {
		in.left = maxModule
		var node yaml.Node
		var doc yamlModule
		err := d.Decode(&node)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil && n > maxModules {
			err = fmt.Errorf("more than %d documents", maxModules)
		}
		if err == nil {
			err = checkKeys(&node)
		}
		if err == nil {
			err = node.Decode(&doc)
		}
		if err == nil {
			err = data.add(&doc)
		}
		if err != nil {
			return fmt.Errorf("document %d: %s", n, plain(err.Error()))
		}
	}
}

// add takes one document.
func (m *moduleData) add(doc *yamlModule) error {
	switch {
	case doc.Document == "modulemd" && (doc.Version == "2" || doc.Version == "1"):
		return m.addStream(&doc.Data)
	case doc.Document == "modulemd-defaults" && doc.Version == "1":
		var y yamlDefaults
		if err := doc.Data.Decode(&y); err != nil {
			return err
		}
		def := ModuleDefault{Profiles: y.Profiles.lists()}
		if err := texts(textAt{&y.Module, &def.Name}, textAt{&y.Stream, &def.Stream}); err != nil {
			return err
		}
		if err := checkModuleText(def.Name, def.Stream); err != nil {
			return err
		}
		m.defaults = append(m.defaults, def)
	case doc.Document == "" && doc.Version == "" && doc.Data.Kind == 0:
		// an empty document between two separators
	default:
		what := fmt.Sprintf("a document %s of version %s is not read", quoted(doc.Document), quoted(doc.Version))
		stream := doc.Document == "modulemd"
		if stream {
			what += ": packages of that stream count as packages of none"
		}
		if !slices.ContainsFunc(m.problems, func(p Problem) bool { return p.What == what }) {
			m.problems = append(m.problems, Problem{What: what, Note: !stream})
		}
	}
	return nil
}

func (m *moduleData) addStream(n *yaml.Node) error {
	var y yamlStream
	if err := n.Decode(&y); err != nil {
		return err
	}
	var s ModuleStream
	err := texts(textAt{&y.Name, &s.Name}, textAt{&y.Stream, &s.Stream}, textAt{&y.Context, &s.Context}, textAt{&y.Arch, &s.Arch})
	if err != nil {
		return err
	}
	if err := checkModuleText(s.Name, s.Stream); err != nil {
		return err
	}
	if err := s.take(&y); err != nil {
		return fmt.Errorf("module %s:%s: %w", s.Name, s.Stream, err)
	}
	m.streams = append(m.streams, s)
	return nil
}

// take takes what is not text alone.
func (s *ModuleStream) take(y *yamlStream) (err error) {
	if s.Version, err = yamlNumber(&y.Version); err != nil {
		return err
	}
	for _, text := range y.Artifacts.RPMs {
		p, err := rpm.ParseNEVRA(text)
		if err == nil {
			err = checkNEVRA(p)
		}
		if err != nil {
			return err
		}
		if p.Arch != "src" && p.Arch != "nosrc" {
			s.Artifacts = append(s.Artifacts, p)
		}
	}
	for _, d := range y.Dependencies {
		for name, streams := range d.Requires {
			if err := checkModuleText(name, strings.Join(streams, "")); err != nil {
				return err
			}
		}
		s.Requires = append(s.Requires, d.Requires.lists())
	}
	for _, name := range y.Demodularized.RPMs {
		if err := checkNEVRA(rpm.NEVRA{Name: name}); err != nil {
			return err
		}
	}
	s.Demodularized = y.Demodularized.RPMs
	return nil
}

// checkModuleText refuses names that could not be shown or compared.
func checkModuleText(name, stream string) error {
	if name == "" {
		return errors.New("a module has no name")
	}
	if strings.IndexFunc(name+stream, isUnsafe) >= 0 {
		return fmt.Errorf("module %s: stream %s: control characters", quoted(name), quoted(stream))
	}
	return nil
}
