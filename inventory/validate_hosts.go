package inventory

import (
	"fmt"
	"slices"
	"sort"
	"strings"
)

// checkInventory validates hosts, groups, clusters and locations one by one.
func (ld *loading) checkInventory() {
	s := ld.site
	for _, name := range sortedKeys(s.Groups) {
		g := s.Groups[name]
		ld.globs(&g.Source, "exclude", g.Exclude)
		ld.checkFree(&g.Source, g.Meta)
		if g.SSH != nil {
			ld.checkSSH(&g.SSH.SSH, "group."+clip(name)+".ssh", true)
		}
	}
	for _, name := range sortedKeys(s.Clusters) {
		c := s.Clusters[name]
		if c.MaxUnavailable.IsZero() {
			ld.at(&c.Source)("max_unavailable", `the smallest is "1"`, "cluster %q: with max_unavailable of 0 none of its hosts could ever be updated", clip(name))
		}
	}
	s.Hosts = append(make([]*Host, 0, len(ld.hosts)), ld.hosts...)
	slices.SortFunc(s.Hosts, func(a, b *Host) int { return strings.Compare(a.Name, b.Name) })
	for _, h := range s.Hosts {
		ld.checkHost(h)
	}
}

// checkHost validates what needs no other table.
func (ld *loading) checkHost(h *Host) {
	switch h.Name {
	case "all", "and", "or", "not":
		ld.at(&h.Source)("", "", "host name %q is a word of selectors", h.Name)
	}
	if h.IsSet("address") {
		if err := checkAddress(h.Address); err != nil {
			ld.at(&h.Source)("address", "", "key \"address\" in [host.%s]: %s", clip(h.Name), err)
		}
	} else {
		h.Address = h.Name
	}
	for _, f := range []struct{ key, value string }{{"location", h.Location}, {"os", h.OS}, {"arch", h.Arch}} {
		if f.value == "" {
			continue
		}
		if err := checkName(f.value, maxName); err != nil {
			ld.at(&h.Source)(f.key, "", "key %q in [host.%s]: %s", f.key, clip(h.Name), err)
		}
	}
	ld.globs(&h.Source, "exclude", h.Exclude)
	ld.checkFree(&h.Source, h.Meta)
	ld.checkState(h)
	if h.SSH != nil {
		ld.checkSSH(&h.SSH.SSH, "host."+clip(h.Name)+".ssh", true)
	}
}

// checkFree validates the names of free fields.
func (ld *loading) checkFree(src *Source, meta map[string]string) {
	for key := range meta {
		if err := checkName(key, maxName); err != nil {
			ld.at(src)("meta."+key, "", "meta %s", err)
		}
	}
}

// known are the names that may be referred to, ready for look-ups.
type known struct {
	kind  string
	names []string
	set   map[string]bool
}

func newKnown(kind string, names []string) *known {
	k := &known{kind: kind, names: names, set: make(map[string]bool, len(names))}
	for _, n := range names {
		k.set[n] = true
	}
	sort.Strings(k.names)
	return k
}

// refer checks that names are defined and come once.
func (ld *loading) refer(src *Source, key string, to *known, names ...string) {
	for i, n := range names {
		if !to.set[n] {
			// An element of the wrong type is empty and was refused already;
			// the others are still worth a look.
			if n != "" || !src.spoilt(key) {
				ld.fault(src.File, src.LineOf(key), to.hint(n), "unknown %s %q", to.kind, clip(n))
			}
			continue
		}
		for _, other := range names[:i] {
			if other == n {
				ld.at(src)(key, "", "%s %q is listed twice", to.kind, n)
				break
			}
		}
	}
}

// hint is the nearest name, or how there could be any.
func (k *known) hint(name string) string {
	if name == "" && k.kind == "window" {
		return "write [] for none: at any time"
	}
	if len(k.names) == 0 {
		return fmt.Sprintf("no %s is defined", k.kind)
	}
	return didYouMean(name, k.names)
}

// references checks every name that points to another table.
func (ld *loading) references() {
	s := ld.site
	repos := newKnown("repository", s.repoNames())
	classes := newKnown("class", s.classNames())
	levels := newKnown("level", s.levelNames())
	groups := newKnown("group", sortedKeys(s.Groups))
	clusters := newKnown("cluster", sortedKeys(s.Clusters))
	health := newKnown("health check", sortedKeys(s.Health))
	windows := newKnown("window", sortedKeys(s.Windows))
	for i := range s.Classes {
		ld.refer(&s.Classes[i].Source, "repos", repos, s.Classes[i].Repos...)
		ld.refer(&s.Classes[i].Source, "window", windows, s.Classes[i].Window...)
	}
	ld.checkRightClasses(classes)
	for i := range s.Levels {
		ld.refer(&s.Levels[i].Source, "health", health, s.Levels[i].Health...)
	}
	for _, g := range s.Groups {
		ld.refer(&g.Source, "health", health, g.Health...)
		ld.refer(&g.Source, "window", windows, g.Window...)
		ld.referGroups(&g.Source, groups, g.Groups)
	}
	for _, h := range s.Hosts {
		if h.IsSet("class") {
			ld.refer(&h.Source, "class", classes, h.Class)
		}
		if h.IsSet("level") {
			ld.refer(&h.Source, "level", levels, h.Level)
		}
		ld.referGroups(&h.Source, groups, h.Groups)
		ld.refer(&h.Source, "clusters", clusters, h.Clusters...)
		ld.refer(&h.Source, "health", health, h.Health...)
		ld.refer(&h.Source, "window", windows, h.Window...)
	}
}

// disagreement is a setting that two groups, equally near, write differently.
type disagreement struct{ key, text string }

// mergeMeta gives every host the free fields of its groups, and refuses groups
// of one host that write a setting differently when the host does not decide.
func (ld *loading) mergeMeta() {
	s := ld.site
	// Hosts share few combinations of groups, and their list; each is compared once.
	type combination struct {
		groups    []member
		conflicts []disagreement
	}
	seen := make(map[*string]*combination)
	for _, h := range s.Hosts {
		if len(h.Groups) > 0 {
			c := seen[&h.Groups[0]]
			if c == nil {
				c = &combination{groups: newResolver(s, h, false).members}
				c.conflicts = disagreements(c.groups)
				seen[&h.Groups[0]] = c
			}
			for _, conflict := range c.conflicts {
				if !h.decides(conflict.key) {
					ld.at(&h.Source)("groups", "write it on the host, or leave one of the groups", "host %q: %s", h.Name, conflict.text)
				}
			}
			for _, g := range c.groups {
				h.inherit(g.group.Meta)
			}
		}
		for key := range h.Meta {
			s.meta[key] = true
		}
	}
	for _, g := range s.Groups {
		for key := range g.Meta {
			s.meta[key] = true
		}
	}
}

// decides reports whether the host writes "ssh.user" or "meta.rack" itself.
func (h *Host) decides(key string) bool {
	if bare, ok := strings.CutPrefix(key, "ssh."); ok {
		return h.SSH != nil && h.SSH.IsSet(bare)
	}
	return h.IsSet(key)
}

// inherit adds free fields that are not there yet.
func (h *Host) inherit(meta map[string]string) {
	for key, v := range meta {
		if _, ok := h.Meta[key]; ok {
			continue
		}
		if h.Meta == nil {
			h.Meta = make(map[string]string, len(meta))
		}
		h.Meta[key] = v
	}
}

// disagreements compares the settings of groups, the nearest first, each with the
// first group that writes the same. A farther group is beaten and not compared.
func disagreements(groups []member) []disagreement {
	type written struct {
		value, at, group string
		distance         int
	}
	first := make(map[string]written)
	var out []disagreement
	note := func(key string, w written) {
		f, ok := first[key]
		switch {
		case !ok:
			first[key] = w
		case f.distance == w.distance && f.value != w.value:
			out = append(out, disagreement{key, fmt.Sprintf("groups %q (%s) and %q (%s) disagree on %s: %q and %q",
				f.group, f.at, w.group, w.at, key, f.value, w.value)})
		}
	}
	for _, m := range groups {
		g := m.group
		if g.IsSet("window") {
			note("window", written{g.Window.sorted(), g.Origin("window"), g.Name, m.distance})
		}
		for _, key := range sortedKeys(g.Meta) {
			note("meta."+key, written{g.Meta[key], g.Origin("meta." + key), g.Name, m.distance})
		}
		if g.SSH == nil {
			continue
		}
		for _, w := range g.SSH.written() {
			note("ssh."+w.Key, written{w.Value, w.Origin, g.Name, m.distance})
		}
	}
	return out
}

// repoSelectors refuses selectors of repositories with unknown names. It runs
// last, when all names are known.
func (ld *loading) repoSelectors() {
	s := ld.site
	for i := range s.Repos {
		r := &s.Repos[i]
		if r.Hosts.IsZero() {
			continue
		}
		if err := s.checkSelector(r.Hosts, nil); err != nil {
			ld.at(&r.Source)("hosts", "", "key \"hosts\" in [[repo]]: %s", err)
		}
	}
}
