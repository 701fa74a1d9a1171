package report

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"cpacman/internal/rpm"
	"cpacman/planner"
)

// HostDrift is the distance between one host and its view (AUDIT-1). Only where Status is ok are the lists of use: a host that was
// never asked, cannot be reached or has old facts has its own status and is never shown as up to date (FACT-5).
type HostDrift struct {
	Host        string      `json:"host"`
	Class       string      `json:"class"`
	Level       string      `json:"level"`
	Status      string      `json:"status"`
	Detail      string      `json:"detail"`
	CollectedAt *time.Time  `json:"collected_at"`
	Missing     []Missing   `json:"missing"`
	Newer       []Newer     `json:"newer"`
	Extra       []rpm.NEVRA `json:"extra"`
	ArchBlocked []Newer     `json:"arch_blocked"`
	Retracted   []Retracted `json:"retracted"`
	Duplicates  []rpm.NEVRA `json:"duplicates"`
	PreBroken   []string    `json:"pre_broken"`
	Advisories  []string    `json:"advisories"` // that the host lacks with its missing updates, held and blocked ones among them
}

// StatusOK marks a host that could be compared with its view.
const StatusOK = "ok"

// Missing is an update that the view has and the host does not.
type Missing struct {
	Installed rpm.NEVRA `json:"installed"`
	Available rpm.NEVRA `json:"available"`
	State     string    `json:"state"` // installable, held (by dependencies), blocked (by a rule)
	Rule      string    `json:"rule,omitempty"`
}

// Newer is an installed package beside what the view offers for it.
type Newer struct {
	Installed rpm.NEVRA `json:"installed"`
	Available rpm.NEVRA `json:"available"`
}

// Retracted is an installed package that an advisory took back.
type Retracted struct {
	Installed rpm.NEVRA `json:"installed"`
	Advisory  string    `json:"advisory"`
}

// Installable is how many of the missing updates could be installed now; the others are held or blocked.
func (d HostDrift) Installable() int {
	n := 0
	for _, m := range d.Missing {
		if m.State == "installable" {
			n++
		}
	}
	return n
}

// Offer is what a view has, in the form that drift asks for. It is built once for all hosts of the view.
type Offer struct {
	has       map[rpm.NEVRA]bool
	newest    map[rpm.NameArch]rpm.EVR
	retracted map[rpm.NEVRA]string
}

// NewOffer reads the packages and retracted advisories of a view.
func NewOffer(view []*rpm.Package, advisories []planner.Advisory) *Offer {
	o := &Offer{has: map[rpm.NEVRA]bool{}, newest: map[rpm.NameArch]rpm.EVR{}, retracted: map[rpm.NEVRA]string{}}
	for _, a := range advisories {
		if a.Status != "retracted" {
			continue
		}
		for _, n := range a.Packages {
			o.retracted[n] = a.ID
		}
	}
	for _, p := range view {
		o.has[p.NEVRA] = true
		if o.retracted[p.NEVRA] != "" {
			continue
		}
		key := p.NameArch()
		if best, ok := o.newest[key]; !ok || rpm.Compare(p.EVR, best) > 0 {
			o.newest[key] = p.EVR
		}
	}
	return o
}

// Incomparable is the drift of a host that could not be compared, with every list empty.
func Incomparable(status, detail string) HostDrift {
	return HostDrift{
		Status: status, Detail: detail, Missing: []Missing{}, Newer: []Newer{}, Extra: []rpm.NEVRA{}, ArchBlocked: []Newer{},
		Retracted: []Retracted{}, Duplicates: []rpm.NEVRA{}, PreBroken: []string{}, Advisories: []string{},
	}
}

// Compare computes the drift of one host from its installed packages and the planner's answer to "everything". known tells of
// packages in any repository of the site, so that one of another view is not called extra.
func (o *Offer) Compare(installed []*rpm.Package, known func(rpm.NEVRA) bool, installOnly func(*rpm.Package) bool, result *planner.Result) HostDrift {
	d := Incomparable(StatusOK, "")
	highest := map[rpm.NameArch]rpm.EVR{}
	for _, p := range installed {
		key := p.NameArch()
		if best, ok := highest[key]; !ok || rpm.Compare(p.EVR, best) > 0 {
			highest[key] = p.EVR
		}
	}
	count := map[rpm.NameArch]int{}
	for _, p := range installed {
		key := p.NameArch()
		if !installOnly(p) {
			if count[key]++; count[key] > 1 {
				d.Duplicates = append(d.Duplicates, p.NEVRA)
			}
		}
		if id := o.retracted[p.NEVRA]; id != "" {
			d.Retracted = append(d.Retracted, Retracted{p.NEVRA, id})
		}
		best, offered := o.newest[key]
		switch {
		case offered && p.EVR == highest[key] && rpm.Compare(p.EVR, best) > 0:
			d.Newer = append(d.Newer, Newer{p.NEVRA, rpm.NEVRA{Name: p.Name, EVR: best, Arch: p.Arch}})
		case !offered && !o.has[p.NEVRA] && !known(p.NEVRA):
			d.Extra = append(d.Extra, p.NEVRA)
		}
	}
	d.addResult(result, highest)
	d.sort()
	return d
}

// addResult takes over what the planner found.
func (d *HostDrift) addResult(r *planner.Result, highest map[rpm.NameArch]rpm.EVR) {
	if r == nil {
		return
	}
	for _, m := range r.Set.Upgrade {
		d.Missing = append(d.Missing, Missing{Installed: m.From, Available: m.To, State: "installable"})
	}
	for _, i := range r.Set.Install {
		if !i.InstallOnly {
			continue
		}
		if from, ok := highest[i.NEVRA.NameArch()]; ok {
			old := rpm.NEVRA{Name: i.NEVRA.Name, EVR: from, Arch: i.NEVRA.Arch}
			d.Missing = append(d.Missing, Missing{Installed: old, Available: i.NEVRA, State: "installable"})
		}
	}
	d.addReplaced(&r.Set)
	for _, h := range r.Set.Held {
		d.Missing = append(d.Missing, Missing{Installed: h.NEVRA, Available: h.Available, State: "held"})
	}
	for _, b := range r.Set.Blocked {
		if b.Rule == "auto" || b.Rule == "retracted" {
			continue // nobody is behind what is asked for by name only, or was taken back
		}
		if b.Rule == "arch" {
			d.ArchBlocked = append(d.ArchBlocked, Newer{b.NEVRA, b.Available})
			continue
		}
		d.Missing = append(d.Missing, Missing{Installed: b.NEVRA, Available: b.Available, State: "blocked", Rule: b.Rule})
	}
	for _, u := range r.Packages {
		d.Advisories = append(d.Advisories, u.Advisories...)
	}
	d.PreBroken = append(d.PreBroken, r.Faults...)
}

// addReplaced takes over what leaves for new packages that obsolete it: one line for each package that leaves, however many it was split into. What
// leaves for an update of another package is behind by that one.
func (d *HostDrift) addReplaced(set *planner.Set) {
	by := map[string]rpm.NEVRA{}
	for _, i := range set.Install {
		for _, why := range i.NeededBy {
			old, is := strings.CutPrefix(why, "obsoletes ")
			if _, known := by[old]; is && !known {
				by[old] = i.NEVRA
			}
		}
	}
	for _, r := range set.Remove {
		if to, replaced := by[r.NEVRA.String()]; replaced && r.Rule == "obsoleted" {
			d.Missing = append(d.Missing, Missing{Installed: r.NEVRA, Available: to, State: "installable"})
		}
	}
}

func (d *HostDrift) sort() {
	slices.SortFunc(d.Missing, func(a, b Missing) int {
		return cmp.Or(rpm.CompareNEVRA(a.Installed, b.Installed), rpm.CompareNEVRA(a.Available, b.Available), cmp.Compare(a.State, b.State))
	})
	newer := func(a, b Newer) int { return rpm.CompareNEVRA(a.Installed, b.Installed) }
	slices.SortFunc(d.Newer, newer)
	slices.SortFunc(d.ArchBlocked, newer)
	slices.SortFunc(d.Extra, rpm.CompareNEVRA)
	slices.SortFunc(d.Duplicates, rpm.CompareNEVRA)
	slices.SortFunc(d.Retracted, func(a, b Retracted) int { return rpm.CompareNEVRA(a.Installed, b.Installed) })
	slices.Sort(d.PreBroken)
	slices.Sort(d.Advisories)
	d.Advisories = slices.Compact(d.Advisories)
}
