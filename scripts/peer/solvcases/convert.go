package solvcases

import (
	"fmt"
	"slices"
	"strings"

	"cpacman/internal/rpm"
	"cpacman/planner"
)

// wishName is the package that stands for a "job install"; no case has one of that name.
const wishName = "cpacman-wish"

// Question is a test case in the planner's terms.
type Question struct {
	View    planner.View
	Host    planner.Host
	Request planner.Request
	Wishes  int // "job install" made into needs
	// Note says what of the case has no meaning for cpacman and was left out.
	Notes []string
}

// OutOfDomain is the reason why a case is not asked.
type OutOfDomain struct{ Reason string }

// Error is the reason.
func (e *OutOfDomain) Error() string { return "out of domain: " + e.Reason }

func outOfDomain(format string, a ...any) error { return &OutOfDomain{fmt.Sprintf(format, a...)} }

// otherWords are directives and what they are about.
var otherWords = map[string]string{
	"genid": "a test of libsolv's own dependency parser", "namespace": "namespaces (language, modalias)",
	"evrcmp": "a table of versions (asked in the version tables)", "unreadable": "packages without an arch, or dependencies only libsolv knows",
}

// verbReasons are jobs that cpacman does not have.
var verbReasons = map[string]string{
	"erase": "erase jobs", "verify": "verify jobs (PLAN-16 repair, reviewed, is another request)", "noop": "noop jobs (tests of selections)",
	"weakenDeps": "weakendeps jobs", "userinstalled": "userinstalled jobs", "droporphaned": "orphans",
}

// converter turns one trial into a question.
type converter struct {
	t       *Trial
	q       *Question
	sources map[string][]*rpm.Package // copies: jobs add provides
	order   []string
	prio    map[string]int
	system  string
	names   []string // globs of the request
	named   bool     // some job updates by name
	all     bool
}

// Convert makes a question of a trial, or says why not with an *OutOfDomain.
func Convert(t *Trial) (*Question, error) {
	switch {
	case len(t.Other) > 0:
		why, ok := otherWords[t.Other[0]]
		if !ok {
			why = "directive " + t.Other[0]
		}
		return nil, outOfDomain("%s", why)
	case !slices.Contains(t.Wants, "transaction"):
		return nil, outOfDomain("expects no transaction (%s)", strings.Join(t.Wants, ", "))
	case t.DistType != "rpm" && t.DistType != "*" && t.DistType != "":
		return nil, outOfDomain("distribution type %s", t.DistType)
	}
	c := &converter{t: t, q: &Question{}, sources: map[string][]*rpm.Package{}, prio: map[string]int{}}
	if err := c.repositories(); err != nil {
		return nil, err
	}
	jobs := make([]job, len(t.Jobs))
	for i, line := range t.Jobs {
		j, err := parseJob(line)
		if err != nil {
			return nil, outOfDomain("%v", err)
		}
		jobs[i] = j
	}
	for i := range jobs {
		if err := c.job(&jobs[i]); err != nil {
			return nil, err
		}
	}
	return c.finish()
}

// repositories copies the packages and leaves out what the case disables.
func (c *converter) repositories() error {
	for _, r := range c.t.Repos {
		name := r.Name
		for slices.Contains(c.order, name) { // two repositories of one name
			name += "'"
		}
		if name == c.t.System {
			c.system = name
		}
		c.prio[name] = r.Priority
		c.order = append(c.order, name)
		for _, p := range r.Packages {
			if slices.Contains(c.t.Disabled, "pkg "+p.NEVRA.String()+"@"+r.Name) {
				if r.Name == c.system {
					return outOfDomain("installed packages that are disabled")
				}
				continue
			}
			q := *p
			q.Provides = slices.Clone(p.Provides)
			c.sources[name] = append(c.sources[name], &q)
		}
	}
	return nil
}

// each calls f for every package of every repository.
func (c *converter) each(f func(repo string, p *rpm.Package)) {
	for _, name := range c.order {
		for _, p := range c.sources[name] {
			f(name, p)
		}
	}
}

func (c *converter) job(j *job) error {
	switch j.verb {
	case "update", "distupgrade":
		return c.update(j)
	case "install":
		return c.install(j)
	case "multiversion":
		c.each(func(_ string, p *rpm.Package) {
			if j.matches(p, "") || j.by == "name" && p.Name == j.name {
				c.q.Host.InstallOnly = append(c.q.Host.InstallOnly, p.Name)
			}
		})
	case "lock":
		c.each(func(repo string, p *rpm.Package) {
			switch {
			case !j.matches(p, repo):
			case repo == c.system:
				c.q.Host.Hold = append(c.q.Host.Hold, p.NEVRA.String())
			default:
				c.q.Host.Exclude = append(c.q.Host.Exclude, p.NEVRA.String())
			}
		})
	case "blacklist":
		a := planner.Advisory{ID: "blacklist", Type: "security", Status: "retracted"}
		c.each(func(repo string, p *rpm.Package) {
			if repo != c.system && j.matches(p, repo) {
				a.Packages = append(a.Packages, p.NEVRA)
			}
		})
		c.q.View.Advisories = append(c.q.View.Advisories, a)
	case "favor", "disfavor":
		if !slices.ContainsFunc(c.t.Jobs, func(l string) bool { return strings.HasPrefix(l, "update ") }) {
			return outOfDomain("favor and disfavor: no request of cpacman chooses among new packages")
		}
		c.q.Notes = append(c.q.Notes, "job "+j.verb+" left out")
	case "excludefromweak", "allowuninstall":
		c.q.Notes = append(c.q.Notes, "job "+j.verb+" left out")
	default:
		if why, ok := verbReasons[j.verb]; ok {
			return outOfDomain("%s", why)
		}
		return outOfDomain("job %s", j.verb)
	}
	return nil
}

// update maps libsolv's update jobs: by what is installed, or, where the selection names only available packages, to those.
func (c *converter) update(j *job) error {
	switch {
	case j.all:
		c.all = true
		return nil
	case j.repo != "":
		if j.repo != c.system { // targeted: what comes must come from there
			for name := range c.prio {
				if name != j.repo && name != c.system {
					delete(c.sources, name)
				}
			}
			c.q.Notes = append(c.q.Notes, "the other repositories left out")
		}
		c.all = true
		return nil
	case slices.Contains(c.t.SolverFlags, "noautotarget") && !j.flag("targeted"):
		return outOfDomain("noautotarget: a selection that is not to be understood as a target")
	}
	c.named = true
	var installed, available []string
	c.each(func(repo string, p *rpm.Package) {
		switch {
		case !j.matches(p, repo):
		case repo == c.system:
			installed = append(installed, p.Name)
		default:
			available = append(available, p.NEVRA.String())
		}
	})
	if len(installed) > 0 && !j.flag("targeted") {
		c.names = append(c.names, installed...)
	} else {
		c.names = append(c.names, available...)
	}
	return nil
}

// install makes a need of an install job: every package that it selects provides what the wish requires.
func (c *converter) install(j *job) error {
	if j.all || j.repo != "" {
		return outOfDomain("install of everything")
	}
	c.q.Wishes++
	need := fmt.Sprintf("%s(%d)", wishName, c.q.Wishes)
	provide := rpm.Dep{Name: need}
	var hits []*rpm.Package
	c.each(func(repo string, p *rpm.Package) {
		if j.matches(p, repo) {
			hits = append(hits, p)
		}
	})
	best := rpm.EVR{}
	for _, p := range hits {
		if rpm.Compare(p.EVR, best) > 0 {
			best = p.EVR
		}
	}
	for _, p := range hits {
		if !j.flag("forcebest") || rpm.Compare(p.EVR, best) == 0 {
			p.Provides = append(p.Provides, rpm.Dep{Name: p.Name, Sense: rpm.Equal, EVR: p.EVR}, provide)
		}
	}
	return nil
}

// finish puts the parts together.
func (c *converter) finish() (*Question, error) {
	q := c.q
	q.Host.Arch = c.t.Arch
	if q.Host.Arch == "" || q.Host.Arch == "unset" {
		q.Host.Arch = "x86_64"
	}
	q.Host.Installed = c.sources[c.system]
	for _, name := range c.order {
		if name == c.system {
			continue
		}
		src := planner.Source{ID: name, Priority: -c.prio[name], Auto: true}
		for _, p := range c.sources[name] {
			src.Packages = append(src.Packages, planner.Candidate{Package: p, Path: p.NEVRA.String() + ".rpm"})
		}
		q.View.Sources = append(q.View.Sources, src)
	}
	if q.Wishes > 0 {
		c.wish()
	}
	if !c.all {
		if len(c.names) == 0 {
			if c.named { // it selects nothing
				c.names = []string{"nothing is selected"}
			} else if len(c.t.Jobs) == 0 {
				return nil, outOfDomain("no job")
			}
		}
		q.Request.Filter.Packages = c.names
	}
	q.Request.Type = planner.TypeUpdate
	return q, nil
}

// wish adds the package whose update needs what the install jobs select.
func (c *converter) wish() {
	build := func(version string) *rpm.Package {
		return &rpm.Package{NEVRA: rpm.NEVRA{Name: wishName, EVR: rpm.EVR{Version: version, Release: "1"}, Arch: "noarch"}}
	}
	next := build("2")
	for i := range c.q.Wishes {
		next.Requires = append(next.Requires, rpm.Dep{Name: fmt.Sprintf("%s(%d)", wishName, i+1)})
	}
	// Install-only, for only what comes in by the same step may rely on an install-only package.
	c.q.Host.InstallOnly = append(c.q.Host.InstallOnly, wishName)
	c.q.Host.Installed = append(slices.Clone(c.q.Host.Installed), build("1"))
	c.q.View.Sources = append(c.q.View.Sources, planner.Source{ID: wishName, Priority: 99, Auto: true,
		Packages: []planner.Candidate{{Package: next, Path: wishName + ".rpm"}}})
	c.names = append(c.names, wishName)
}
