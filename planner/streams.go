package planner

import (
	"maps"
	"slices"
	"strings"

	"cpacman/internal/rpm"
)

// modules is what a view says of module streams (PLAN-6).
type modules struct {
	contexts []context
	ofBuild  map[rpm.NEVRA][]int32 // contexts that have a build
	ofStream map[string][]int32    // by "name:stream"
	ofName   map[string][]string   // package name: streams that have it
	given    map[string][]string   // package name: streams that gave it up
}

// context is one document of module metadata: a stream as it was built for certain streams of other modules.
type context struct {
	stream string // "name:stream"
	needs  []map[string][]string
}

// platform is the module that a release itself is; no host says that it is enabled.
const platform = "platform"

func newModules(list []ModuleStream) modules {
	m := modules{ofBuild: map[rpm.NEVRA][]int32{}, ofStream: map[string][]int32{}, ofName: map[string][]string{}, given: map[string][]string{}}
	for _, s := range list {
		id := s.Name + ":" + s.Stream
		for _, name := range s.Demodularized {
			m.given[name] = append(m.given[name], id)
		}
	}
	for _, s := range list {
		at, id := int32(len(m.contexts)), s.Name+":"+s.Stream
		m.contexts = append(m.contexts, context{id, s.Needs})
		m.ofStream[id] = append(m.ofStream[id], at)
		for _, n := range s.Artifacts {
			if slices.Contains(m.given[n.Name], id) {
				continue
			}
			m.ofBuild[n] = append(m.ofBuild[n], at)
			if !slices.Contains(m.ofName[n.Name], id) {
				m.ofName[n.Name] = append(m.ofName[n.Name], id)
			}
		}
	}
	return m
}

// assumeStreams takes the streams of installed packages for enabled where nobody knows which are: dnf installs from no other. A package of several streams, and a
// module of which several are there, say nothing.
func (u *Universe) assumeStreams(h *Host) {
	if !h.ModulesUnknown {
		return
	}
	of := map[string][]string{} // module: streams
	for _, p := range h.Installed {
		if streams := u.modules.streamsOf(p); len(streams) == 1 && u.modules.isModular(p) {
			name, _, _ := strings.Cut(streams[0], ":")
			of[name] = append(of[name], streams[0])
		}
	}
	h.Modules = nil
	for _, name := range slices.Sorted(maps.Keys(of)) {
		if l := sorted(of[name]); len(slices.Compact(l)) == 1 {
			h.Modules = append(h.Modules, l[0])
		}
	}
}

// moduleRule applies PLAN-6: modular packages only from enabled streams, of these only those in a context for what else is enabled, and where an enabled
// stream has a name no non-modular package that has or provides it, as dnf hides them (dnf_sack_filter_modules in libdnf).
func (m *modules) moduleRule(c *candidate, enabled []string) (rule, because string) {
	streams := m.streamsOf(c.Package)
	if len(streams) > 0 {
		return m.streamRule(c.NEVRA, streams, enabled)
	}
	if len(enabled) == 0 || len(m.ofName) == 0 {
		return "", ""
	}
	if s := m.enabledWith(c.Name, enabled); s != "" {
		return ruleModule, "not modular, and the enabled module stream " + s + " has " + c.Name
	}
	for i := range c.Provides {
		if s := m.enabledWith(c.Provides[i].Name, enabled); s != "" {
			return ruleModule, "not modular, and provides " + c.Provides[i].Name + ", which the enabled module stream " + s + " has"
		}
	}
	return "", ""
}

// streamRule is moduleRule for a build of streams.
func (m *modules) streamRule(n rpm.NEVRA, streams, enabled []string) (rule, because string) {
	mine := slices.DeleteFunc(slices.Clone(streams), func(s string) bool { return !slices.Contains(enabled, s) })
	switch {
	case len(mine) == 0:
		return ruleModule, "module stream " + strings.Join(streams, " or ") + " is not enabled"
	case slices.ContainsFunc(mine, func(s string) bool { return slices.Contains(m.given[n.Name], s) }):
		return ruleModule, "module stream " + mine[0] + " gave " + n.Name + " up"
	case len(m.ofBuild[n]) == 0: // its label alone says where it belongs
		return "", ""
	}
	var other []string
	for _, at := range m.ofBuild[n] {
		switch c := &m.contexts[at]; {
		case !slices.Contains(mine, c.stream):
		case c.fits(enabled) || !m.anyFits(c.stream, enabled):
			return "", ""
		default:
			other = append(other, c.words())
		}
	}
	slices.Sort(other)
	return ruleModule, "a build of " + mine[0] + " for " + strings.Join(slices.Compact(other), ", or for ") + ", which is not what is enabled"
}

// streamsOf lists the streams of a package, sorted; without metadata its label says it.
func (m *modules) streamsOf(p *rpm.Package) []string {
	var out []string
	for _, at := range m.ofBuild[p.NEVRA] {
		out = append(out, m.contexts[at].stream)
	}
	if len(out) == 0 && p.ModularityLabel != "" {
		if f := strings.SplitN(p.ModularityLabel, ":", 3); len(f) >= 2 {
			return []string{f[0] + ":" + f[1]}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// isModular tells whether a package belongs to a module stream that did not give it up.
func (m *modules) isModular(p *rpm.Package) bool {
	return (p.ModularityLabel != "" || len(m.ofBuild[p.NEVRA]) > 0) && !slices.ContainsFunc(m.streamsOf(p), func(s string) bool {
		return slices.Contains(m.given[p.Name], s)
	})
}

// leavesStream tells whether a package would take the place of a modular one without being modular.
func (m *modules) leavesStream(c, pkg *rpm.Package) bool { return m.isModular(pkg) && !m.isModular(c) }

// notModular is said of what is kept out by the second half of PLAN-6.
const notModular = "a non-modular package does not replace a modular one"

// enabledWith returns an enabled stream that has a package name, or "".
func (m *modules) enabledWith(name string, enabled []string) string {
	for _, s := range m.ofName[name] {
		if slices.Contains(enabled, s) {
			return s
		}
	}
	return ""
}

// anyFits tells whether a stream has a context for what is enabled. Where it has none, what it was built for says nothing.
func (m *modules) anyFits(stream string, enabled []string) bool {
	return slices.ContainsFunc(m.ofStream[stream], func(at int32) bool { return m.contexts[at].fits(enabled) })
}

// fits tells whether a context is for the streams that are enabled.
func (c *context) fits(enabled []string) bool {
	return len(c.needs) == 0 || slices.ContainsFunc(c.needs, func(all map[string][]string) bool {
		for module, streams := range all {
			if module != platform && !met(module, streams, enabled) {
				return false
			}
		}
		return true
	})
}

// met tells whether one of the wanted streams of a module is enabled.
func met(module string, wanted, enabled []string) bool {
	for _, e := range enabled {
		if name, stream, _ := strings.Cut(e, ":"); name == module {
			positive := slices.ContainsFunc(wanted, func(w string) bool { return !strings.HasPrefix(w, "-") })
			return !slices.Contains(wanted, "-"+stream) && (!positive || slices.Contains(wanted, stream))
		}
	}
	return false
}

// words says what a context is for.
func (c *context) words() string {
	var out []string
	for _, all := range c.needs {
		for _, module := range slices.Sorted(maps.Keys(all)) {
			if module != platform {
				out = append(out, module+":"+strings.Join(sorted(all[module]), "|"))
			}
		}
	}
	return strings.Join(out, " and ")
}
