package inventory

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// OriginDefault is the origin of a value that nobody wrote.
const OriginDefault = "default"

// Effective are the settings in force for one host. What a host writes wins over
// its groups, those over the site. Health checks and excludes add up instead.
type Effective struct {
	SSH             SSH
	Health          []string // basic first, then those of level, groups and host
	Exclude         []string // of class, groups and host
	InstallOnly     []string // of the class
	InstallOnlyKeep int
	PreBroken       PreBrokenMode
	HostSignatures  SignaturesMode
	Bandwidth       Rate // of the host's location, for all its hosts; 0 is no limit
}

// Setting is one line of what is in force for a host.
type Setting struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Origin string `json:"origin"` // "file:line", several joined by ", ", or "default"
}

// resolver collects the effective settings and, if wanted, their origins.
type resolver struct {
	site     *Site
	host     *Host
	members  []*Group // the groups of the host
	out      Effective
	trace    bool // origins are wanted too; they cost far more
	settings []Setting
}

func newResolver(s *Site, h *Host, trace bool) *resolver {
	r := &resolver{site: s, host: h, trace: trace}
	for _, name := range h.Groups {
		if g := s.Groups[name]; g != nil {
			r.members = append(r.members, g)
		}
	}
	return r
}

// Effective gives the settings in force for a host.
func (s *Site) Effective(h *Host) Effective {
	r := newResolver(s, h, false)
	r.resolve()
	return r.out
}

// Origins gives every setting in force for a host and where it was written, in
// the order of the documentation.
func (s *Site) Origins(h *Host) []Setting {
	r := newResolver(s, h, true)
	r.resolve()
	return r.settings
}

func (r *resolver) add(key, value, origin string) {
	r.settings = append(r.settings, Setting{key, value, origin})
}

func (r *resolver) resolve() {
	if r.trace {
		r.identity()
	}
	r.ssh()
	r.lists()
	r.class()
	origin := OriginDefault
	if l := r.site.Locations[r.host.Location]; l != nil {
		r.out.Bandwidth, origin = l.Bandwidth, l.Origin("bandwidth")
	}
	if r.trace {
		r.add("bandwidth", r.out.Bandwidth.String(), origin)
	}
}

// identity lists what the host is, with its free fields.
func (r *resolver) identity() {
	h := r.host
	r.add("host", h.Name, h.At())
	for _, p := range []struct{ key, value string }{
		{"address", h.Address}, {"class", h.Class}, {"level", h.Level},
		{"groups", list(h.Groups)}, {"clusters", list(h.Clusters)},
		{"location", h.Location}, {"os", h.OS}, {"arch", h.Arch},
	} {
		r.add(p.key, p.value, h.Origin(p.key))
	}
	for _, key := range sortedKeys(h.Meta) {
		r.add("meta."+key, h.Meta[key], r.metaOrigin(key))
	}
}

// metaOrigin finds who wrote a free field: the host, else the groups.
func (r *resolver) metaOrigin(key string) string {
	if r.host.IsSet("meta." + key) {
		return r.host.Origin("meta." + key)
	}
	var from []string
	for _, g := range r.members {
		if _, ok := g.Meta[key]; ok {
			from = append(from, g.Origin("meta."+key))
		}
	}
	return strings.Join(from, ", ")
}

// ssh lets the groups and then the host write over the settings of the site.
func (r *resolver) ssh() {
	r.out.SSH = r.site.SSH
	override := r.host.SSH != nil
	for _, g := range r.members {
		override = override || g.SSH != nil
	}
	if !override && !r.trace {
		return
	}
	dst := reflect.ValueOf(&r.out.SSH).Elem()
	for _, f := range taggedFields(dst.Type()) {
		origin := r.site.SSH.Origin(f.key)
		var from []string
		for _, g := range r.members {
			if g.SSH != nil && g.SSH.IsSet(f.key) {
				if len(from) == 0 {
					dst.FieldByIndex(f.index).Set(reflect.ValueOf(&g.SSH.SSH).Elem().FieldByIndex(f.index))
				}
				from = append(from, g.SSH.Origin(f.key))
			}
		}
		if len(from) > 0 {
			origin = strings.Join(from, ", ")
		}
		if o := r.host.SSH; o != nil && o.IsSet(f.key) {
			dst.FieldByIndex(f.index).Set(reflect.ValueOf(&o.SSH).Elem().FieldByIndex(f.index))
			origin = o.Origin(f.key)
		}
		r.add("ssh."+f.key, show(dst.FieldByIndex(f.index)), origin)
	}
}

// taggedFields gives the fields of a struct that have a key of their own.
func taggedFields(t reflect.Type) []field {
	var out []field
	for _, f := range reflect.VisibleFields(t) {
		if key := f.Tag.Get("toml"); key != "" && key != "-" {
			out = append(out, field{key, f.Index})
		}
	}
	return out
}

// lists adds up health checks and excludes.
func (r *resolver) lists() {
	var from []string
	union := func(dst *[]string, src *Source, key string, values []string) {
		if !src.IsSet(key) {
			return
		}
		if r.trace {
			from = append(from, src.Origin(key))
		}
		for _, v := range values {
			if !slices.Contains(*dst, v) {
				*dst = append(*dst, v)
			}
		}
	}
	done := func(key string, values []string) {
		if !r.trace {
			return
		}
		origin := OriginDefault
		if len(from) > 0 {
			origin = strings.Join(from, ", ")
		}
		r.add(key, list(values), origin)
		from = nil
	}
	r.out.Health = []string{BasicCheck}
	if l := r.site.Level(r.host.Level); l != nil {
		union(&r.out.Health, &l.Source, "health", l.Health)
	}
	for _, g := range r.members {
		union(&r.out.Health, &g.Source, "health", g.Health)
	}
	union(&r.out.Health, &r.host.Source, "health", r.host.Health)
	done("health", r.out.Health)

	if c := r.site.Class(r.host.Class); c != nil {
		union(&r.out.Exclude, &c.Source, "exclude", c.Exclude)
	}
	for _, g := range r.members {
		union(&r.out.Exclude, &g.Source, "exclude", g.Exclude)
	}
	union(&r.out.Exclude, &r.host.Source, "exclude", r.host.Exclude)
	done("exclude", r.out.Exclude)
}

// class takes what the class alone decides.
func (r *resolver) class() {
	c := r.site.Class(r.host.Class)
	if c == nil {
		c = &Class{}
		c.setDefaults()
	}
	r.out.InstallOnly, r.out.InstallOnlyKeep = c.InstallOnly, c.InstallOnlyKeep
	r.out.PreBroken, r.out.HostSignatures = c.PreBroken, c.HostSignatures
	if r.trace {
		r.classOrigins(c)
	}
}

// classOrigins lists what the class decides.
func (r *resolver) classOrigins(c *Class) {
	repos, origin := "every repository that matches", c.Origin("repos")
	switch {
	case c.Name == "" && len(r.site.Classes) > 0:
		repos = ""
	case c.Repos != nil:
		repos = list(c.Repos)
	}
	r.add("repos", repos, origin)
	r.add("pre_broken", string(c.PreBroken), c.Origin("pre_broken"))
	r.add("host_signatures", string(c.HostSignatures), c.Origin("host_signatures"))
	r.add("install_only_keep", strconv.Itoa(c.InstallOnlyKeep), c.Origin("install_only_keep"))
	r.add("install_only", list(c.InstallOnly), c.Origin("install_only"))
}

// list writes a list of words for people.
func list(words []string) string { return strings.Join(words, ", ") }

// show writes a value of a field for people.
func show(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case []string:
		return list(x)
	case []Hop:
		var out []string
		for _, h := range x {
			out = append(out, h.String())
		}
		return list(out)
	case time.Duration:
		return FormatDuration(x)
	}
	return fmt.Sprint(v.Interface())
}

// written gives the settings that an override writes, in full.
func (o *SSHOverride) written() []Setting {
	v := reflect.ValueOf(&o.SSH).Elem()
	var out []Setting
	for _, f := range taggedFields(v.Type()) {
		if !o.IsSet(f.key) {
			continue
		}
		value := show(v.FieldByIndex(f.index))
		if f.key == "jump" {
			for _, hop := range o.Jump {
				value += " " + list(hop.Identity)
			}
		}
		out = append(out, Setting{f.key, value, o.Origin(f.key)})
	}
	return out
}
