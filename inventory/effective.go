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
// its groups, the nearer of those over the farther, and they over the site.
// Health checks and excludes add up instead.
type Effective struct {
	SSH             SSH
	Health          []string // basic first, then those of level, groups and host
	Exclude         []string // of class, groups and host
	ExcludeFrom     []string // which of them each of Exclude is of first, for people
	InstallOnly     []string // of the class
	KernelModules   []string // of the class; nil: as the planner tells them
	InstallOnlyKeep int
	PreBroken       PreBrokenMode
	HostSignatures  SignaturesMode
	Executor        ExecutorMode // of the class
	VendorChange    VendorChange
	SameVendor      [][]string // globs of vendors; those of one list count as one
	Weak            bool       // follow weak dependencies
	Windows         []string   // names of maintenance windows; none: at any time
	Bandwidth       Rate       // of the host's location, for all its hosts; 0 is no limit
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
	extra    ExtraFunc
	at       time.Time // zero: nothing has expired
	members  []member  // the groups of the host, the nearest first
	out      Effective
	trace    bool // origins are wanted too; they cost far more
	settings []Setting
}

// member is a group of a host, and how far it is.
type member struct {
	group    *Group
	distance int
}

func newResolver(s *Site, h *Host, trace bool) *resolver {
	r := &resolver{site: s, host: h, trace: trace}
	for i, name := range h.Groups {
		if g := s.Groups[name]; g != nil {
			r.members = append(r.members, member{g, h.distanceOf(i)})
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
// the order of the documentation. Of policies it has those that apply whatever
// the facts and the time are, and those that may; OriginsAt knows more.
func (s *Site) Origins(h *Host) []Setting { return s.OriginsAt(h, nil, time.Time{}) }

// OriginsAt is Origins with what facts say about the host and, unless it is zero,
// the time at which policies are judged.
func (s *Site) OriginsAt(h *Host, extra ExtraFunc, at time.Time) []Setting {
	r := newResolver(s, h, true)
	r.extra, r.at = extra, at
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
	r.windows()
	origin := OriginDefault
	if l := r.site.Locations[r.host.Location]; l != nil {
		r.out.Bandwidth, origin = l.Bandwidth, l.Origin("bandwidth")
	}
	if r.trace {
		r.add("bandwidth", r.out.Bandwidth.String(), origin)
		r.policies()
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
		{"state", string(h.State)}, {"until", h.Until.String()}, {"reason", h.Reason},
	} {
		if p.value == "" && (p.key == "state" || p.key == "until" || p.key == "reason") {
			continue // an active host needs no word about it
		}
		origin := h.Origin(p.key)
		if p.key == "groups" {
			origin = r.groupsOrigin()
		}
		r.add(p.key, p.value, origin)
	}
	for _, key := range sortedKeys(h.Meta) {
		r.add("meta."+key, h.Meta[key], r.metaOrigin(key))
	}
}

// groupsOrigin names the host's list, and those of the groups that have the host
// without being named by it.
func (r *resolver) groupsOrigin() string {
	var from []string
	if r.host.IsSet("groups") {
		from = append(from, r.host.Origin("groups"))
	}
	for _, m := range r.members {
		if m.distance > 1 {
			from = append(from, m.group.Origin("groups"))
		}
	}
	if len(from) == 0 {
		return OriginDefault
	}
	return strings.Join(from, ", ")
}

// metaOrigin finds who wrote a free field: the host, else the nearest groups.
func (r *resolver) metaOrigin(key string) string {
	if r.host.IsSet("meta." + key) {
		return r.host.Origin("meta." + key)
	}
	var from []string
	nearest := 0
	for _, m := range r.members {
		if _, ok := m.group.Meta[key]; ok && (nearest == 0 || m.distance == nearest) {
			from = append(from, m.group.Origin("meta."+key))
			nearest = m.distance
		}
	}
	return strings.Join(from, ", ")
}

// ssh lets the groups and then the host write over the settings of the site.
func (r *resolver) ssh() {
	r.out.SSH = r.site.SSH
	override := r.host.SSH != nil
	for _, m := range r.members {
		override = override || m.group.SSH != nil
	}
	if !override && !r.trace {
		return
	}
	dst := reflect.ValueOf(&r.out.SSH).Elem()
	for _, f := range taggedFields(dst.Type()) {
		origin := r.site.SSH.Origin(f.key)
		var from []string
		nearest := 0
		for _, m := range r.members {
			o := m.group.SSH
			if o == nil || !o.IsSet(f.key) || nearest != 0 && m.distance != nearest {
				continue
			}
			if len(from) == 0 {
				dst.FieldByIndex(f.index).Set(reflect.ValueOf(&o.SSH).Elem().FieldByIndex(f.index))
			}
			from, nearest = append(from, o.Origin(f.key)), m.distance
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
	for _, m := range r.members {
		union(&r.out.Health, &m.group.Source, "health", m.group.Health)
	}
	union(&r.out.Health, &r.host.Source, "health", r.host.Health)
	done("health", r.out.Health)

	exclude := func(by string, src *Source, values []string) {
		union(&r.out.Exclude, src, "exclude", values)
		for len(r.out.ExcludeFrom) < len(r.out.Exclude) {
			r.out.ExcludeFrom = append(r.out.ExcludeFrom, by)
		}
	}
	if c := r.site.Class(r.host.Class); c != nil {
		exclude("class "+c.Name, &c.Source, c.Exclude)
	}
	for _, m := range r.members {
		exclude("group "+m.group.Name, &m.group.Source, m.group.Exclude)
	}
	exclude("the host's own entry in the inventory", &r.host.Source, r.host.Exclude)
	done("exclude", r.out.Exclude)
}

// class takes what the class alone decides.
func (r *resolver) class() {
	c := r.site.Class(r.host.Class)
	if c == nil {
		c = &Class{}
		c.setDefaults()
	}
	r.out.InstallOnly, r.out.InstallOnlyKeep, r.out.KernelModules = c.InstallOnly, c.InstallOnlyKeep, c.KernelModules
	r.out.PreBroken, r.out.HostSignatures, r.out.Executor = c.PreBroken, c.HostSignatures, c.Executor
	r.out.VendorChange, r.out.SameVendor, r.out.Weak = c.VendorChange, c.SameVendor, c.Weak
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
	r.add("executor", string(c.Executor), c.Origin("executor"))
	r.add("install_only_keep", strconv.Itoa(c.InstallOnlyKeep), c.Origin("install_only_keep"))
	r.add("install_only", list(c.InstallOnly), c.Origin("install_only"))
	if c.KernelModules != nil {
		r.add("kernel_modules", list(c.KernelModules), c.Origin("kernel_modules"))
	}
	r.add("allow_vendor_change", c.VendorChange.String(), c.Origin("allow_vendor_change"))
	var same []string
	for _, names := range c.SameVendor {
		same = append(same, strings.Join(names, " = "))
	}
	r.add("same_vendor", list(same), c.Origin("same_vendor"))
	r.add("weak", strconv.FormatBool(c.Weak), c.Origin("weak"))
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
