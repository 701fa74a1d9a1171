package planner

import (
	"strings"

	"cpacman/internal/rpm"
)

// fixed leads from packages to the advisories that list them. There are thousands of advisories and few of them are about what a host has, so
// they are chained by name and no more is made of them.
type fixed struct {
	first    map[string]int32 // name → entry, one more than its number
	entries  []fixedEntry
	withdraw bool // there are retracted ones
}

// fixedEntry is one package of an advisory.
type fixedEntry struct {
	nevra    *rpm.NEVRA
	advisory int32
	next     int32 // entry of the same name that comes after, one more than its number; 0 for none
}

func newFixed(list []Advisory) fixed {
	n := 0
	for i := range list {
		n += len(list[i].Packages)
	}
	f := fixed{first: make(map[string]int32, n/2), entries: make([]fixedEntry, 0, n)}
	for i := len(list) - 1; i >= 0; i-- { // backwards, so that the chains go forwards
		f.withdraw = f.withdraw || list[i].retracted()
		for j := len(list[i].Packages) - 1; j >= 0; j-- {
			p := &list[i].Packages[j]
			f.entries = append(f.entries, fixedEntry{p, int32(i), f.first[p.Name]})
			f.first[p.Name] = int32(len(f.entries))
		}
	}
	return f
}

// each gives what advisories list of a name, in the order of the view.
func (f *fixed) each(name string, yield func(n *rpm.NEVRA, advisory int32)) {
	for at := f.first[name]; at > 0; at = f.entries[at-1].next {
		yield(f.entries[at-1].nevra, f.entries[at-1].advisory)
	}
}

func (a *Advisory) retracted() bool { return strings.EqualFold(a.Status, "retracted") }

// retracted gives the last advisory that takes a build back.
func (u *Universe) retracted(n rpm.NEVRA) (id string, ok bool) {
	if !u.fixed.withdraw {
		return "", false
	}
	u.fixed.each(n.Name, func(p *rpm.NEVRA, i int32) {
		if a := &u.advisories[i]; *p == n && a.retracted() {
			id, ok = a.ID, true
		}
	})
	return id, ok
}

// listedBy gives the IDs of the advisories that list a build.
func (u *Universe) listedBy(n rpm.NEVRA) []string {
	var out []string
	u.fixed.each(n.Name, func(p *rpm.NEVRA, i int32) {
		if *p == n {
			out = append(out, u.advisories[i].ID)
		}
	})
	return out
}
