package report

import (
	"cmp"
	"slices"

	"cpacman/internal/rpm"
)

// Absent stands for "not installed" among the versions of a Difference.
const Absent = "absent"

// Difference is a package that hosts which should be alike do not have alike (AUDIT-1).
type Difference struct {
	Scope    string    `json:"scope"`   // "class production" or "cluster web-front"
	Package  string    `json:"package"` // name.arch
	Versions []Version `json:"versions"`
}

// Version is one of the states of a package among the hosts of a scope.
type Version struct {
	EVR   string   `json:"evr"` // or Absent
	Hosts []string `json:"hosts"`
}

// Member is one host of a scope.
type Member struct {
	Host     string
	Packages []rpm.NEVRA
}

// Differences compares the members of a scope. Members of a cluster stand in for each other, so a package that one of them lacks is
// a difference too; within a class hosts have different jobs, and only different versions count. The newest version of an
// install-only package counts, and of any other.
func Differences(scope string, members []Member, absentCounts bool) []Difference {
	versions := map[rpm.NameArch]map[string][]string{}
	for _, m := range members {
		highest := map[rpm.NameArch]rpm.EVR{}
		for _, n := range m.Packages {
			key := n.NameArch()
			if best, ok := highest[key]; !ok || rpm.Compare(n.EVR, best) > 0 {
				highest[key] = n.EVR
			}
		}
		for key, evr := range highest {
			if versions[key] == nil {
				versions[key] = map[string][]string{}
			}
			versions[key][evr.String()] = append(versions[key][evr.String()], m.Host)
		}
	}
	out := []Difference{}
	for key, byEVR := range versions {
		if absentCounts {
			addAbsent(byEVR, members)
		}
		if len(byEVR) < 2 {
			continue
		}
		d := Difference{Scope: scope, Package: key.String()}
		for evr, hosts := range byEVR {
			slices.Sort(hosts)
			d.Versions = append(d.Versions, Version{evr, hosts})
		}
		slices.SortFunc(d.Versions, func(a, b Version) int {
			return cmp.Or(cmp.Compare(len(b.Hosts), len(a.Hosts)), cmp.Compare(a.EVR, b.EVR))
		})
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b Difference) int { return cmp.Compare(a.Package, b.Package) })
	return out
}

// addAbsent lists the members that have the package in no version.
func addAbsent(byEVR map[string][]string, members []Member) {
	have := map[string]bool{}
	for _, hosts := range byEVR {
		for _, h := range hosts {
			have[h] = true
		}
	}
	for _, m := range members {
		if !have[m.Host] {
			byEVR[Absent] = append(byEVR[Absent], m.Host)
		}
	}
}
