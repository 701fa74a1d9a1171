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

func (e *encoder) strs4(a, b, c, d string) {
	e.str(a)
	e.str(b)
	e.str(c)
	e.str(d)
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
		e.strs(s.Demodularized)
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
	for range d.count(8) {
		s := ModuleStream{Name: d.str(), Stream: d.str(), Context: d.str(), Arch: d.str(), Version: d.uint()}
		for range d.count(5) {
			s.Artifacts = append(s.Artifacts, d.nevra())
		}
		for range d.count(1) {
			s.Requires = append(s.Requires, d.streams())
		}
		s.Demodularized = d.strs()
		data.streams = append(data.streams, s)
	}
	for range d.count(3) {
		data.defaults = append(data.defaults, ModuleDefault{d.str(), d.str(), d.streams()})
	}
	return data
}
