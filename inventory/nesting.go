package inventory

import (
	"slices"
	"sort"
	"strings"
)

// Groups that have their hosts by a list of other groups (INV-4).
//
// [group.x] groups = ["web", "!legacy"] gives x every host that is in web and not
// in legacy. A host's own list has the last word: a name in it makes the host a
// member, a "!name" keeps it out.
//
// A setting of a nearer group beats that of a farther one. A group that the host
// names is at distance 1; one that has it by its list is one step behind the
// farthest of the groups that the list demands, and so always behind those it is
// made of.

// bare gives the name behind a "!", and whether there was one.
func bare(name string) (string, bool) {
	rest, negated := strings.CutPrefix(name, "!")
	return strings.TrimSpace(rest), negated
}

// referGroups checks the names of a list of groups, of which some may be negated.
func (ld *loading) referGroups(src *Source, groups *known, list []string) {
	if len(list) == 0 {
		return
	}
	names := make([]string, 0, len(list))
	negated := make(map[string]bool, len(list))
	for _, entry := range list {
		name, not := bare(entry)
		if was, twice := negated[name]; twice && was != not && groups.set[name] {
			ld.at(src)("groups", "leave one of them out", "group %q is listed both with and without a \"!\"", clip(name))
			continue
		}
		negated[name] = not
		names = append(names, name)
	}
	ld.refer(src, "groups", groups, names...)
}

// memberships gives every host its groups, once their names are checked.
func (ld *loading) memberships() {
	s := ld.site
	n := &nesting{groups: s.Groups, state: make(map[string]int), depth: make(map[string]int), inCircle: make(map[string]bool)}
	tooDeep := false
	for _, name := range sortedKeys(s.Groups) {
		g := s.Groups[name]
		if g.IsSet("groups") && len(g.Groups) == 0 {
			ld.at(&g.Source)("groups", "leave it out when hosts name the group themselves", "key \"groups\" in [group.%s] is empty", clip(name))
		}
		n.visit(name, nil)
		if n.depth[name] > maxNesting && !tooDeep {
			tooDeep = true // once is enough: those around it are too
			ld.at(&g.Source)("groups", "", "group %q is made of groups nested more than %d deep", clip(name), maxNesting)
		}
	}
	for _, circle := range n.circles {
		at := &s.Groups[circle[0]].Source
		ld.fault(at.File, at.LineOf("groups"), "leave one of them out", "groups are made of each other in a circle: %s", strings.Join(circle, " -> "))
	}
	// Hosts share few combinations; each is worked out once.
	type membership struct {
		names    []string
		distance []int
	}
	known := make(map[string]membership)
	for _, h := range s.Hosts {
		if len(n.order) == 0 && len(h.Groups) == 0 {
			continue
		}
		combination := strings.Join(h.Groups, ",")
		m, done := known[combination]
		if !done {
			m.names, m.distance = n.of(h.Groups)
			known[combination] = m
		}
		// Nobody changes what is shared.
		h.Groups, h.distance = m.names, m.distance
	}
}

// nesting orders groups so that each comes after those it is made of.
type nesting struct {
	groups   map[string]*Group
	state    map[string]int // 1 is being visited, 2 is done
	depth    map[string]int // 1 for a group without a list
	order    []string       // of groups that have a list
	inCircle map[string]bool
	circles  [][]string
}

// Bounds of nesting.
const (
	maxNesting = 64 // of groups made of groups
	maxCircles = 20 // that are reported; each has at most maxNesting groups
)

// visit looks at a group after those of its list. path are the groups that led
// to it.
func (n *nesting) visit(name string, path []string) {
	g := n.groups[name]
	if g == nil || n.state[name] == 2 {
		return
	}
	if n.state[name] == 1 {
		n.circle(append(slices.Clone(path[slices.Index(path, name):]), name))
		return
	}
	n.state[name] = 1
	path = append(path, name)
	if len(path) > maxNesting {
		// Too deep in any case, and hostile depth must not go on.
		n.depth[name] = maxNesting
		n.state[name] = 2
		return
	}
	for _, entry := range g.Groups {
		inner, _ := bare(entry)
		n.visit(inner, path)
		n.depth[name] = max(n.depth[name], n.depth[inner])
	}
	n.depth[name]++
	n.state[name] = 2
	if len(g.Groups) > 0 && !n.inCircle[name] {
		n.order = append(n.order, name)
	}
}

// circle notes a circle, whose first name stands at its end again.
func (n *nesting) circle(names []string) {
	for _, name := range names {
		n.inCircle[name] = true
	}
	if len(n.circles) < maxCircles {
		n.circles = append(n.circles, names)
	}
}

// of gives the groups of a host with that list, the nearest first, and their
// distances.
func (n *nesting) of(list []string) (names []string, distance []int) {
	far := make(map[string]int)
	barred := make(map[string]bool)
	for _, entry := range list {
		if name, not := bare(entry); not {
			barred[name] = true
		} else if far[name] == 0 {
			far[name] = 1
			names = append(names, name)
		}
	}
	own := len(names)
	for _, name := range n.order {
		if far[name] > 0 || barred[name] {
			continue
		}
		if d := n.derived(n.groups[name].Groups, far); d > 0 {
			far[name] = d
			names = append(names, name)
		}
	}
	sort.Slice(names[own:], func(i, j int) bool {
		a, b := names[own+i], names[own+j]
		if far[a] != far[b] {
			return far[a] < far[b]
		}
		return a < b
	})
	for _, name := range names {
		distance = append(distance, far[name])
	}
	return names, distance
}

// derived gives the distance of a group with that list, 0 for a host that is not
// in it.
func (n *nesting) derived(list []string, far map[string]int) int {
	farthest := 1
	for _, entry := range list {
		name, not := bare(entry)
		if not == (far[name] > 0) {
			return 0
		}
		if !not {
			farthest = max(farthest, far[name])
		}
	}
	return farthest + 1
}

// distanceOf gives how far the i-th group of the host is.
func (h *Host) distanceOf(i int) int {
	if i < len(h.distance) {
		return h.distance[i]
	}
	return 1
}
