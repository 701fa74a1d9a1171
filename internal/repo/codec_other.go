package repo

import (
	"maps"
	"slices"
	"time"

	"cpacman/internal/rpm"
)

func (e *encoder) time(t time.Time) {
	if t.IsZero() {
		e.bool(false)
		return
	}
	e.bool(true)
	e.int(t.Unix())
}

func (d *decoder) time() time.Time {
	if !d.bool() {
		return time.Time{}
	}
	return time.Unix(d.int(), 0).UTC()
}

func (e *encoder) nevra(n rpm.NEVRA) {
	e.str(n.Name)
	e.uint(uint64(n.Epoch))
	e.str(n.Version)
	e.str(n.Release)
	e.str(n.Arch)
}

func (d *decoder) nevra() rpm.NEVRA {
	return rpm.NEVRA{Name: d.str(), EVR: rpm.EVR{Epoch: d.uint32(), Version: d.str(), Release: d.str()}, Arch: d.str()}
}

// advisories writes what updateinfo says.
func (e *encoder) advisories(data *advisoryData) {
	e.problems(data.problems)
	e.count(len(data.list))
	for i := range data.list {
		a := &data.list[i]
		for _, s := range []string{a.ID, a.Type, a.Severity, a.Status, a.Title, a.Release} {
			e.str(s)
		}
		e.time(a.Issued)
		e.time(a.Updated)
		e.strs(a.CVEs)
		e.bool(a.RebootSuggested)
		e.bool(a.RestartSuggested)
		e.count(len(a.References))
		for _, x := range a.References {
			e.strs4(x.Type, x.ID, x.Href, x.Title)
		}
		e.count(len(a.Packages))
		for _, p := range a.Packages {
			e.nevra(p.NEVRA)
			e.str(p.Filename)
			e.bool(p.EpochKnown)
			e.count(len(p.Modules))
			for _, m := range p.Modules {
				e.strs4(m.Name, m.Stream, m.Version, m.Context)
				e.str(m.Arch)
			}
		}
	}
}

func (e *encoder) strs4(a, b, c, d string) {
	e.str(a)
	e.str(b)
	e.str(c)
	e.str(d)
}

func (d *decoder) advisories(id string) *advisoryData {
	data := &advisoryData{problems: d.problems(id)}
	n := d.count(13)
	if n > 0 {
		data.list = make([]Advisory, 0, n)
	}
	for range n {
		a := Advisory{ID: d.str(), Type: d.str(), Severity: d.str(), Status: d.str(), Title: d.str(), Release: d.str(),
			Issued: d.time(), Updated: d.time(), CVEs: d.strs(), RebootSuggested: d.bool(), RestartSuggested: d.bool()}
		refs := d.count(4)
		if refs > 0 {
			a.References = make([]Reference, 0, refs)
		}
		for range refs {
			a.References = append(a.References, Reference{d.str(), d.str(), d.str(), d.str()})
		}
		packages := d.count(8)
		if packages > 0 {
			a.Packages = make([]AdvisoryPackage, 0, packages)
		}
		for range packages {
			p := AdvisoryPackage{NEVRA: d.nevra(), Filename: d.str(), EpochKnown: d.bool()}
			for range d.count(5) {
				p.Modules = append(p.Modules, AdvisoryModule{d.str(), d.str(), d.str(), d.str(), d.str()})
			}
			a.Packages = append(a.Packages, p)
		}
		data.list = append(data.list, a)
	}
	return data
}

// streams writes a map of lists in the order of its keys.
func (e *encoder) streams(m map[string][]string) {
	e.count(len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		e.str(name)
		e.strs(m[name])
	}
}

func (d *decoder) streams() map[string][]string {
	n := d.count(2)
	m := make(map[string][]string, n)
	for range n {
		name := d.str()
		m[name] = d.strs()
	}
	return m
}

// modules writes what the module metadata says.
func (e *encoder) modules(data *moduleData) {
	e.problems(data.problems)
	e.count(len(data.streams))
	for _, s := range data.streams {
		e.strs4(s.Name, s.Stream, s.Context, s.Arch)
		e.uint(s.Version)
		e.count(len(s.Artifacts))
		for _, p := range s.Artifacts {
			e.nevra(p)
		}
		e.count(len(s.Requires))
		for _, m := range s.Requires {
			e.streams(m)
		}
	}
	e.count(len(data.defaults))
	for _, x := range data.defaults {
		e.str(x.Name)
		e.str(x.Stream)
		e.streams(x.Profiles)
	}
}

func (d *decoder) modules(id string) *moduleData {
	data := &moduleData{problems: d.problems(id)}
	for range d.count(7) {
		s := ModuleStream{Name: d.str(), Stream: d.str(), Context: d.str(), Arch: d.str(), Version: d.uint()}
		for range d.count(5) {
			s.Artifacts = append(s.Artifacts, d.nevra())
		}
		for range d.count(1) {
			s.Requires = append(s.Requires, d.streams())
		}
		data.streams = append(data.streams, s)
	}
	for range d.count(3) {
		data.defaults = append(data.defaults, ModuleDefault{d.str(), d.str(), d.streams()})
	}
	return data
}
