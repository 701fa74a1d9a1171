package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"cpacman/internal/repo"
	"cpacman/internal/rpm"
	"cpacman/planner"
)

// question is one line of input. Op says which of the other fields count.
type question struct {
	Op string `json:"op"` // view, host, plan, check, why

	Repos []repoWord `json:"repos"` // view
	Cache string     `json:"cache"`

	Database string   `json:"database"` // host: path of an rpmdb.sqlite
	Arch     string   `json:"arch"`
	Keep     int      `json:"keep"`
	Kernel   string   `json:"kernel"`
	Modules  []string `json:"modules"` // host: enabled streams, "name:stream"
	Loyal    bool     `json:"loyal"`   // host: a package stays with its vendor
	Exclude  []string `json:"exclude"` // host: excludes of its package manager

	Filter   planner.Filter `json:"filter"`   // plan, check, why
	Type     string         `json:"type"`     // the same: of the plan, "" is update
	Weak     bool           `json:"weak"`     // the same: follow what is recommended
	Target   []string       `json:"target"`   // the same: what a lock plan is to lead to
	Policies []planner.Rule `json:"policies"` // the same: of the host
	In       []string       `json:"in"`       // check
	Out      []string       `json:"out"`      // check
	Package  string         `json:"package"`  // why
}

// repoWord is one repository of a view.
type repoWord struct {
	ID       string `json:"id"`
	Path     string `json:"path"`
	Priority int    `json:"priority"`

	Exclude []string `json:"exclude"`
}

// answer is one line of output.
type answer struct {
	Error    string          `json:"error,omitempty"`
	Count    int             `json:"count,omitempty"` // packages of a view or host
	Faults   []planner.Fault `json:"faults,omitempty"`
	In       []string        `json:"in,omitempty"`
	Out      []string        `json:"out,omitempty"`
	Held     []planner.Held  `json:"held,omitempty"`
	Blocked  []rule          `json:"blocked,omitempty"`
	Lines    []string        `json:"lines,omitempty"`
	Notes    []string        `json:"notes,omitempty"`
	Seconds  float64         `json:"seconds"`
	Universe float64         `json:"universe_seconds,omitempty"`
}

// rule is a blocked update in short.
type rule struct {
	NEVRA     string `json:"nevra"`
	Available string `json:"available"`
	Rule      string `json:"rule"`
}

// session keeps the view and the host that the next questions are about.
type session struct {
	universe *planner.Universe
	only     map[string]bool // install-only names of the view
	host     planner.Host
}

func (s *session) answer(q *question) (*answer, error) {
	start := time.Now()
	var a *answer
	var err error
	switch q.Op {
	case "view":
		a, err = s.view(q)
	case "host":
		a, err = s.setHost(q)
	case "plan":
		a, err = s.plan(q)
	case "check":
		a, err = s.check(q)
	case "why":
		a, err = s.why(q)
	default:
		err = fmt.Errorf("unknown question %q", q.Op)
	}
	if err != nil {
		return nil, err
	}
	a.Seconds = time.Since(start).Seconds()
	return a, nil
}

// view opens repositories and builds the universe.
func (s *session) view(q *question) (*answer, error) {
	var v planner.View
	count := 0
	s.only = map[string]bool{}
	for _, w := range q.Repos {
		r, err := repo.Open(context.Background(), repo.Config{ID: w.ID, Path: w.Path}, repo.Options{CacheDir: q.Cache})
		if err != nil {
			return nil, err
		}
		src := planner.Source{ID: w.ID, Priority: w.Priority, Auto: true, Exclude: w.Exclude}
		index := map[*repo.Package]int{}
		for i, p := range r.Packages() {
			index[p] = i
			s.only[p.Name] = s.only[p.Name] || planner.IsInstallOnly(p.Package, nil)
			src.Packages = append(src.Packages, planner.Candidate{Package: p.Package, Path: p.Location, Checksum: planner.Checksum(p.Checksum), Size: p.Size})
		}
		src.Files = fileSource{r, index}
		count += len(src.Packages)
		v.Sources = append(v.Sources, src)
		streams, _, err := r.Modules()
		if err != nil {
			return nil, err
		}
		for _, m := range streams {
			v.Modules = append(v.Modules, planner.ModuleStream{Name: m.Name, Stream: m.Stream, Artifacts: m.Artifacts})
		}
		notices, err := r.Advisories()
		if err != nil {
			return nil, err
		}
		for _, n := range notices {
			a := planner.Advisory{ID: n.ID, Type: n.Type, Severity: n.Severity, Status: n.Status, CVEs: n.CVEs}
			for _, p := range n.Packages {
				a.Packages = append(a.Packages, p.NEVRA)
			}
			v.Advisories = append(v.Advisories, a)
		}
	}
	start := time.Now()
	u, err := planner.NewUniverse(v)
	if err != nil {
		return nil, err
	}
	s.universe = u
	return &answer{Count: count, Universe: time.Since(start).Seconds()}, nil
}

// fileSource lets the planner ask a repository for the carriers of a path.
type fileSource struct {
	repo  *repo.Repo
	index map[*repo.Package]int
}

// Providers implements planner.FileSource.
func (f fileSource) Providers(path string) ([]int, error) {
	packages, err := f.repo.ProvidersOf(path)
	if err != nil {
		return nil, err
	}
	out := make([]int, 0, len(packages))
	for _, p := range packages {
		out = append(out, f.index[p])
	}
	slices.Sort(out)
	return out, nil
}

// setHost reads an installed set.
func (s *session) setHost(q *question) (*answer, error) {
	pkgs, err := readDatabase(q.Database)
	if err != nil {
		return nil, err
	}
	s.host = planner.Host{Installed: pkgs, Arch: q.Arch, KeepInstallOnly: q.Keep, RunningKernel: q.Kernel, Modules: q.Modules,
		ForbidVendorChange: q.Loyal, Exclude: q.Exclude}
	return &answer{Count: len(pkgs), Faults: planner.PreBroken(s.host)}, nil
}

// request reads what is asked; the policies that the host has for it go with it.
func (s *session) request(q *question) (planner.Request, error) {
	if s.universe == nil || len(s.host.Installed) == 0 {
		return planner.Request{}, fmt.Errorf("%s before view and host", q.Op)
	}
	r := planner.Request{Filter: q.Filter, Type: planner.PlanType(q.Type), Weak: q.Weak}
	for _, text := range q.Target {
		n, err := rpm.ParseNEVRA(text)
		if err != nil {
			return planner.Request{}, err
		}
		r.Target = append(r.Target, n)
	}
	s.host.Policies = q.Policies
	return r, nil
}

// plan solves for the host.
func (s *session) plan(q *question) (*answer, error) {
	r, err := s.request(q)
	if err != nil {
		return nil, err
	}
	res, err := s.universe.Solve(s.host, r)
	if err != nil {
		return nil, err
	}
	a := &answer{Held: res.Set.Held, Notes: res.Notes}
	for _, n := range res.Set.Incoming() {
		a.In = append(a.In, n.String())
	}
	for _, m := range slices.Concat(res.Set.Upgrade, res.Set.Downgrade) {
		a.Out = append(a.Out, m.From.String())
	}
	for _, m := range res.Set.Remove {
		a.Out = append(a.Out, m.NEVRA.String())
	}
	for _, b := range res.Set.Blocked {
		a.Blocked = append(a.Blocked, rule{b.NEVRA.String(), b.Available.String(), b.Rule})
	}
	slices.Sort(a.In)
	slices.Sort(a.Out)
	return a, nil
}

// check judges somebody else's set with the planner's checker.
func (s *session) check(q *question) (*answer, error) {
	r, err := s.request(q)
	if err != nil {
		return nil, err
	}
	set, err := s.setOf(q.In, q.Out)
	if err != nil {
		return nil, err
	}
	return &answer{Faults: planner.Check(s.universe, s.host, r, set)}, nil
}

// setOf writes a transaction as a set: what leaves moves to the build of its name.arch that comes in, is one too many of several, or is obsoleted.
func (s *session) setOf(in, out []string) (planner.Set, error) {
	var set planner.Set
	coming := map[rpm.NameArch]rpm.NEVRA{}
	moved := map[rpm.NEVRA]bool{}
	only := s.onlyNames()
	var incoming []rpm.NEVRA
	for _, text := range in {
		n, err := rpm.ParseNEVRA(text)
		if err != nil {
			return set, err
		}
		incoming = append(incoming, n)
		if !only[n.Name] {
			coming[n.NameArch()] = n
		}
	}
	for _, text := range out {
		n, err := rpm.ParseNEVRA(text)
		if err != nil {
			return set, err
		}
		to, ok := coming[n.NameArch()]
		moved[to] = ok
		switch {
		case ok && rpm.Compare(to.EVR, n.EVR) < 0:
			set.Downgrade = append(set.Downgrade, planner.Move{From: n, To: to})
		case ok:
			set.Upgrade = append(set.Upgrade, planner.Move{From: n, To: to})
		case only[n.Name]:
			set.Remove = append(set.Remove, planner.Remove{NEVRA: n, Rule: planner.RuleKeepN, Because: "the peer keeps fewer"})
		default:
			set.Remove = append(set.Remove, planner.Remove{NEVRA: n, Rule: planner.RuleObsoleted, Because: "the peer removes it"})
		}
	}
	for _, n := range incoming {
		if !moved[n] {
			set.Install = append(set.Install, planner.Install{NEVRA: n, NeededBy: []string{"the peer"}, InstallOnly: only[n.Name]})
		}
	}
	return set, nil
}

// onlyNames lists the install-only names of the view and of what is installed.
func (s *session) onlyNames() map[string]bool {
	out := map[string]bool{}
	maps.Copy(out, s.only)
	for _, p := range s.host.Installed {
		if planner.IsInstallOnly(p, nil) {
			out[p.Name] = true
		}
	}
	return out
}

// why explains one package.
func (s *session) why(q *question) (*answer, error) {
	r, err := s.request(q)
	if err != nil {
		return nil, err
	}
	e, err := s.universe.Explain(s.host, r, q.Package)
	if err != nil {
		return nil, err
	}
	lines := e.Lines()
	for i := range lines {
		lines[i] = strings.ToValidUTF8(lines[i], "?")
	}
	return &answer{Lines: lines}, nil
}
