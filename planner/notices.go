package planner

import (
	"slices"
	"strings"

	"cpacman/internal/rpm"
)

// listed is a build that an advisory lists.
type listed struct {
	nevra    rpm.NEVRA
	advisory *Advisory
}

// listed gives what advisories list of a name, in the order of the view.
func (u *Universe) listed(name string) []listed {
	return remembered(u, func(p *memoPiece) map[string][]listed { return p.listed }, name, func() []listed {
		var l []listed
		for _, x := range u.notices {
			x.Naming(name, func(n rpm.NEVRA, a *Advisory) { l = append(l, listed{n, a}) })
		}
		return l
	})
}

func (a *Advisory) retracted() bool { return strings.EqualFold(a.Status, "retracted") }

// retracted gives the last advisory that takes a build back.
func (u *Universe) retracted(n rpm.NEVRA) (id string, ok bool) {
	if !u.retracts {
		return "", false // as in most views, of which no name needs to be looked up for it
	}
	for _, one := range u.listed(n.Name) {
		if one.advisory.retracted() && one.nevra == n {
			id, ok = one.advisory.ID, true
		}
	}
	return id, ok
}

// listedBy gives the IDs of the advisories that list a build.
func (u *Universe) listedBy(n rpm.NEVRA) []string {
	var out []string
	for _, one := range u.listed(n.Name) {
		if one.nevra == n {
			out = append(out, one.advisory.ID)
		}
	}
	return out
}

// Fixes gives the IDs of the advisories that a host has with one build and lacks with another, those of the builds between them among these; sorted.
// Modules are the streams that the host has enabled.
func (u *Universe) Fixes(from, to rpm.NEVRA, modules []string) []string {
	var out []string
	for _, l := range u.listed(to.Name) {
		if l.nevra.Arch != to.Arch || rpm.Compare(l.nevra.EVR, to.EVR) > 0 || from.Name == to.Name && rpm.Compare(l.nevra.EVR, from.EVR) <= 0 ||
			l.advisory.retracted() || !u.about(l, modules) {
			continue
		}
		out = append(out, l.advisory.ID)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// fixesNew is Fixes for what comes in new: beside an older build, or in the place of other packages, as it says why it comes. What comes only because
// something needs it fixes nothing that the host has.
func (s *solution) fixesNew(to rpm.NEVRA, why []string) []string {
	var from rpm.NEVRA
	for _, n := range s.instByName[to.Name] {
		if have := s.nodes[n].pkg.NEVRA; have.Arch == to.Arch && (from.Name == "" || rpm.Compare(have.EVR, from.EVR) > 0) {
			from = have
		}
	}
	if from.Name == "" && !slices.ContainsFunc(why, func(w string) bool { return strings.HasPrefix(w, replacing) }) {
		return nil
	}
	return s.u.Fixes(from, to, s.h.Modules)
}

// about tells whether an advisory means a build that it lists for a host with these streams. Notices of Rocky and Oracle name none; then it is about the
// streams that the build is of.
func (u *Universe) about(l listed, modules []string) bool {
	streams := slices.Clip(l.advisory.Streams)
	if len(streams) == 0 {
		for _, at := range u.ofBuild[l.nevra] {
			streams = append(streams, u.contexts[at].stream)
		}
	}
	return len(streams) == 0 || slices.ContainsFunc(streams, func(s string) bool { return slices.Contains(modules, s) })
}

// noticeList answers as Notices from advisories that are all there. They are chained by name: there are thousands of them and few are about what a
// host has.
type noticeList struct {
	list    []Advisory
	first   map[string]int32 // name → entry, one more than its number
	entries []noticeEntry
}

// noticeEntry is one package of an advisory.
type noticeEntry struct {
	nevra    *rpm.NEVRA
	advisory int32
	next     int32 // entry of the same name that comes after, one more than its number; 0 for none
}

func newNoticeList(list []Advisory) *noticeList {
	n := 0
	for i := range list {
		n += len(list[i].Packages)
	}
	x := &noticeList{list: list, first: make(map[string]int32, n/2), entries: make([]noticeEntry, 0, n)}
	for i := len(list) - 1; i >= 0; i-- { // backwards, so that the chains go forwards
		for j := len(list[i].Packages) - 1; j >= 0; j-- {
			p := &list[i].Packages[j]
			x.entries = append(x.entries, noticeEntry{p, int32(i), x.first[p.Name]})
			x.first[p.Name] = int32(len(x.entries))
		}
	}
	return x
}

// Naming implements Notices.
func (x *noticeList) Naming(name string, yield func(rpm.NEVRA, *Advisory)) {
	for at := x.first[name]; at > 0; at = x.entries[at-1].next {
		e := &x.entries[at-1]
		yield(*e.nevra, &x.list[e.advisory])
	}
}

// Retracts implements Notices.
func (x *noticeList) Retracts() bool {
	for i := range x.list {
		if x.list[i].retracted() {
			return true
		}
	}
	return false
}

// Err implements Notices.
func (*noticeList) Err() error { return nil }
