package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"cpacman/internal/host"
	"cpacman/internal/repo"
	"cpacman/internal/rpm"
	"cpacman/internal/store"
	"cpacman/inventory"
	"cpacman/planner"
	"cpacman/transport"
)

// PlanRequest is what a plan is asked for.
type PlanRequest struct {
	Hosts    []*inventory.Host
	Selector string // as written, for the file
	Request  planner.Request
	// Targets are what each host is to go back to, for TypeRollback; for other types Request.Target holds for all of them.
	Targets map[string][]rpm.NEVRA
	// Void says of hosts without a target why what is recorded does not serve.
	Void map[string]string
	// Model is the host that all are to be like, whose packages Request.Target has; nil: none.
	Model  *Model
	Expiry time.Duration // 0: the planner's default
	// Facts are the stored facts of all hosts where the caller has read them; nil: they are read.
	Facts map[string]*host.Facts
	// Amends are the plans of a rollout whose hosts are planned again for what they have now; nil: a plan of its own.
	Amends *Plans
	// Ahead is what was read already; nil: nothing.
	Ahead *Ahead
	// Keys is what is asked for about signing keys.
	Keys planner.RequestedKeys
	// Live tells that the hosts were asked just now: then one that did not answer is unreachable, whatever is stored.
	Live bool
	// Observer, unless it is nil, hears of the plan while it is written and summed.
	Observer planner.Observer
}

// Planned is a plan with what the command line tells beside it.
type Planned struct {
	Plan      *planner.Plan
	Solutions int                 // how many different configurations were solved (PLAN-11)
	Notes     map[string][]string // by host: what the planner has to say to people
	Faults    map[string]error    // by host: why StatusUnsolved
	KeyNotes  []string            // what was asked for about signing keys and found nowhere
}

// candidate is one host on its way into a plan.
type candidate struct {
	host     *inventory.Host
	facts    *host.Facts          // without packages; nil: none
	settings *inventory.Effective // in force for the host, and shared; set where it has a group
	entry    *planner.PlanHost
	note     string // of its identity; it stays, whatever the solver says
	group    *group // nil: not to be solved
}

// candidates are all hosts of a plan.
type candidates struct {
	list    []*candidate
	entries []planner.PlanHost // theirs, in the same order
	at      time.Time          // of the newest facts
}

// into gives a plan its hosts and its times.
func (l *candidates) into(p *planner.Plan, expiry time.Duration) {
	for _, c := range l.list {
		if c.note != "" && !strings.Contains(c.entry.Detail, "rebuilt: ") {
			c.entry.Detail = strings.TrimSuffix(c.note+"; "+c.entry.Detail, "; ")
		}
	}
	p.Hosts, p.CreatedAt = l.entries, l.at
	if expiry > 0 {
		p.ExpiresAt = p.CreatedAt.Add(expiry)
	}
}

// group is the hosts that have the same answer.
type group struct {
	input    planner.Host
	request  planner.Request
	list     *List
	view     []inventory.Repo
	universe *planner.Universe
	result   *planner.Result
	err      error
	notes    []string  // what was decided over several groups
	touches  []touchID // of result.Packages, in their order
	members  []*candidate
}

// Plan computes the upgrade sets of the hosts from stored facts. The result depends on facts, repositories and request alone.
func (f *Fleet) Plan(ctx context.Context, repos *Repos, req PlanRequest) (*Planned, error) {
	if !req.Keys.Only {
		defer f.openViews(ctx, repos, req).Wait()
	}
	candidates, err := f.candidates(ctx, req)
	if err != nil {
		return nil, err
	}
	if req.Keys.Only {
		return f.planKeysOnly(ctx, req, candidates)
	}
	req.Request.At = candidates.at
	groups, err := f.group(ctx, repos, req, candidates.list)
	if err != nil {
		return nil, err
	}
	if err := f.solve(ctx, repos, groups); err != nil {
		return nil, err
	}
	if err := f.sameEverywhere(ctx, req, candidates.list, groups); err != nil {
		return nil, err
	}
	return f.assemble(ctx, repos, req, candidates, groups)
}

// openViews begins to read the repositories of the hosts that may be planned, since that takes as long as all that is read of the hosts themselves.
// Faults are told by whoever needs them. The caller waits for the end.
func (f *Fleet) openViews(ctx context.Context, repos *Repos, req PlanRequest) *sync.WaitGroup {
	work := new(sync.WaitGroup)
	work.Go(func() {
		seen := map[place[inventory.Repo]]bool{}
		now := f.now()
		for _, h := range req.Hosts {
			facts := req.Facts[h.Name]
			if facts == nil || now.Sub(facts.CollectedAt) > f.Site.Facts.MaxAge {
				continue
			}
			view := f.View(h, facts)
			if len(view) > 0 && !seen[placeOf(view)] {
				seen[placeOf(view)] = true
				work.Go(func() { _, _ = repos.Universe(ctx, view) })
			}
		}
	})
	return work
}

// candidates reads the stored facts of the hosts and sorts out those that cannot be planned from them.
func (f *Fleet) candidates(ctx context.Context, req PlanRequest) (*candidates, error) {
	facts := req.Facts
	if facts == nil {
		var err error
		if facts, err = f.StoredFacts(ctx); err != nil {
			return nil, err
		}
	}
	known := func() (map[string]store.Contact, *Identities, error) { return f.beside(ctx) }
	if req.Ahead != nil {
		known = req.Ahead.known
	}
	contacts, ids, err := known()
	if err != nil {
		return nil, err
	}
	out := &candidates{list: make([]*candidate, len(req.Hosts)), entries: make([]planner.PlanHost, len(req.Hosts))}
	now := f.now()
	inShares(len(out.list), func(from, to int) {
		list := make([]candidate, to-from)
		for i := from; i < to; i++ {
			c, h := &list[i-from], req.Hosts[i]
			out.list[i] = c
			c.host, c.facts, c.entry = h, facts[h.Name], &out.entries[i]
			c.entry.Host, c.entry.Class, c.entry.Level = h.Name, h.Class, h.Level
			if c.facts != nil {
				c.entry.MachineID, c.entry.InstalledDigest, c.entry.CollectedAt = c.facts.MachineID, c.facts.InstalledDigest, c.facts.CollectedAt.UTC()
			}
			contact, asked := contacts[h.Name]
			c.entry.Status, c.entry.Detail = f.Status(now, ids, h, c.facts, contact, asked, req.Live)
			if c.entry.Status == planner.StatusPlanned {
				c.note, c.entry.Detail = c.entry.Detail, ""
			}
		}
	})
	for i := range out.entries {
		if at := out.entries[i].CollectedAt; at.After(out.at) {
			out.at = at
		}
	}
	return out, nil
}

// clockSlack is how far in the future facts may be that a clock was set right after.
const clockSlack = 10 * time.Minute

// FactsStatus says whether a host can be planned and audited from its facts at a time: StatusPlanned where it can, else why not (FACT-5).
func (f *Fleet) FactsStatus(at time.Time, h *inventory.Host, facts *host.Facts, contact store.Contact, asked, live bool) (planner.HostStatus, string) {
	if asked && !contact.OK && (live || facts == nil) {
		return contactStatus(contact.Kind), contact.Error
	}
	if facts == nil {
		return planner.StatusNoFacts, "never collected; run: cpacman facts " + h.Name
	}
	age := at.Sub(facts.CollectedAt)
	if age < -clockSlack {
		return planner.StatusStale, fmt.Sprintf("facts are of %s, which is still to come: the clock of this machine was set back since; run: cpacman facts %s",
			facts.CollectedAt.UTC().Format("2006-01-02 15:04Z"), h.Name)
	}
	if age > f.Site.Facts.MaxAge {
		return planner.StatusStale, fmt.Sprintf("facts are %s old, more than facts.max_age = %s", age.Round(time.Minute), f.Site.Facts.MaxAge)
	}
	if facts.Source == "ssh" && (facts.Holds == nil || facts.Modules == nil) {
		return planner.StatusUnreadable, unreadWords(facts)
	}
	if h.OS != "" && h.OS != OSName(facts.OS) {
		return planner.StatusMismatch, fmt.Sprintf("the inventory says os = %q and the host reports %q", h.OS, OSName(facts.OS))
	}
	if h.Arch != "" && !planner.SameFamily(h.Arch, facts.Arch) {
		return planner.StatusMismatch, fmt.Sprintf("the inventory says arch = %q and the host reports %q", h.Arch, facts.Arch)
	}
	return planner.StatusPlanned, ""
}

// contactStatus names why a host gave no facts: it could not be reached, or it answered and did not let us in or could not be read.
func contactStatus(kind string) planner.HostStatus {
	switch transport.Kind(kind) {
	case transport.KindAuth, transport.KindHostKey, transport.KindSudo:
		return planner.HostStatus(kind)
	}
	if kind == "unreadable" {
		return planner.StatusUnreadable
	}
	return planner.StatusUnreachable
}

// OSName is how the inventory writes a release: ID and the major part of VERSION_ID of os-release(5), as in rocky9. VERSION_ID of a rolling release is the day of
// its snapshot (Tumbleweed, Slowroll, MicroOS: 20250131): every update would make it another one.
func OSName(os host.OS) string {
	major, _, _ := strings.Cut(os.VersionID, ".")
	if len(major) == len("20250131") && strings.Trim(major, "0123456789") == "" {
		return os.ID
	}
	return os.ID + major
}

// FactAttr answers selectors from facts, for what the inventory leaves open.
func FactAttr(facts *host.Facts, key string) []string {
	if facts == nil {
		return nil
	}
	value := ""
	switch key {
	case "os":
		if facts.OS.ID != "" {
			value = OSName(facts.OS)
		}
	case "os_version":
		value = facts.OS.VersionID
	case "arch":
		value = facts.Arch
	case "kernel":
		value = facts.Kernel
	case "machine_id":
		value = facts.MachineID
	}
	if value == "" {
		return nil
	}
	return []string{value}
}

// FactsOf answers selectors from the facts of many hosts, by name.
func FactsOf(facts map[string]*host.Facts) inventory.ExtraFunc {
	return func(h *inventory.Host, key string) []string { return FactAttr(facts[h.Name], key) }
}

// oneHost answers selectors about a host from its facts.
func oneHost(facts *host.Facts) inventory.ExtraFunc {
	return func(_ *inventory.Host, key string) []string { return FactAttr(facts, key) }
}

// View is the repositories a host may take packages from.
func (f *Fleet) View(h *inventory.Host, facts *host.Facts) []inventory.Repo {
	return f.Site.ReposFor(h, oneHost(facts))
}

// lists reads what the hosts of every group have installed, side by side.
func (f *Fleet) lists(ctx context.Context, repos *Repos, groups []*group) error {
	installed := f.NewInstalled(repos)
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(runtime.GOMAXPROCS(0))
	for _, g := range groups {
		work.Go(func() (err error) {
			digest := g.members[0].facts.InstalledDigest
			g.list, err = installed.List(ctx, digest, func() ([]host.Package, error) { return f.Store.Installed(ctx, digest) })
			if errors.Is(err, host.ErrUnreadable) { // of these hosts alone
				g.list, g.err = &List{}, err
				return nil
			}
			if err == nil {
				g.input.Installed = g.list.Packages
			}
			return err
		})
	}
	if err := work.Wait(); err != nil {
		return err
	}
	installed.Save()
	return nil
}

// assemble writes the plan.
func (f *Fleet) assemble(ctx context.Context, repos *Repos, req PlanRequest, candidates *candidates, groups []*group) (*Planned, error) {
	out := &Planned{Notes: map[string][]string{}, Solutions: len(groups)}
	p := &planner.Plan{Format: planner.PlanFormat, Type: req.Request.Type,
		Requested: planner.Requested{Selector: req.Selector, Filter: req.Request.Filter, Weak: req.Request.Weak, Keys: req.Keys}}
	sets := map[string]planner.Set{}
	packages := map[string]planner.PlanPackage{}
	backs, backPackages := map[string]planner.Set{}, map[string]planner.PlanPackage{}
	files := newAtHand(ctx, repos)
	defer files.close()
	answers := make([]answer, len(groups))
	var beside errgroup.Group
	beside.Go(func() error {
		sideBySide(len(groups), func(i int) { answers[i].rollback, answers[i].back = f.wayBack(groups[i], files) })
		return f.planRepos(ctx, repos, groups, p)
	})
	touched, err := f.touched(ctx, repos, groups)
	if err := cmp.Or(err, beside.Wait()); err != nil {
		return nil, err
	}
	sideBySide(len(groups), func(i int) {
		a, g := &answers[i], groups[i]
		a.impact, a.bytes = touched.impact(g), g.bytes()
		for _, c := range g.members {
			describe(c, g, a)
		}
	})
	for i, g := range groups {
		back := answers[i].back
		if g.err != nil || g.held() {
			continue
		}
		sets[g.result.Set.ID] = g.result.Set
		if notes := slices.Concat(g.result.Notes, g.notes); len(notes) > 0 {
			for _, c := range g.members { // sets of several configurations may be the same, and what is to be said of them not
				out.Notes[c.host.Name] = notes
			}
		}
		for _, u := range g.result.Packages {
			packages[u.Source+"\x00"+u.Path] = planPackage(u)
		}
		if back != nil {
			backs[back.Set.ID] = back.Set
			for _, u := range back.Packages {
				backPackages[u.Source+"\x00"+u.Path] = planPackage(u)
			}
		}
	}
	for _, s := range sets {
		p.Sets = append(p.Sets, s)
	}
	for _, one := range packages {
		p.Packages = append(p.Packages, one)
	}
	for _, s := range backs {
		p.Rollbacks = append(p.Rollbacks, s)
	}
	for _, one := range backPackages {
		p.RollbackPackages = append(p.RollbackPackages, one)
	}
	for _, one := range p.Packages {
		if touched.missing[[2]string{one.Repo, one.Path}] {
			p.MissingFiles = append(p.MissingFiles, one.Repo+"/"+one.Path)
		}
	}
	return f.finishPlan(ctx, req, p, candidates, out)
}

// held tells whether the class keeps hosts with a broken database out.
func (g *group) held() bool { return g.result != nil && len(g.members) > 0 && allHeld(g.members) }

func allHeld(members []*candidate) bool {
	for _, c := range members {
		if c.entry.Status != planner.StatusPreBroken && c.entry.Status != planner.StatusNoHeaders {
			return false
		}
	}
	return true
}

// bytes is the size of all files that the answer needs.
func (g *group) bytes() (n int64) {
	if g.result != nil {
		for i := range g.result.Packages {
			n += g.result.Packages[i].Size
		}
	}
	return n
}

// answer is what hosts of one group have in common beside the set.
type answer struct {
	rollback planner.RollbackInfo
	back     *planner.Result // nil: none
	impact   *planner.Impact
	bytes    int64
}

// describe fills the entry of one host from its group's answer.
func describe(c *candidate, g *group, a *answer) {
	e := c.entry
	unknown := g.list.Unknown()
	e.Detail = unknown
	if len(g.list.Missing) > 0 && c.facts.Source == "ssh" {
		e.Status = planner.StatusNoHeaders
		return
	}
	if g.err != nil {
		e.Status, e.Detail = planner.StatusUnsolved, g.err.Error()
		var conflict *planner.PolicyConflict
		if errors.As(g.err, &conflict) {
			e.Status = planner.StatusPolicy
		}
		return
	}
	if unknown == "" { // else nobody can tell
		e.PreBroken = g.result.Faults
	}
	if c.settings.PreBroken == inventory.PreBrokenHold && len(e.PreBroken) > 0 {
		e.Status, e.Detail = planner.StatusPreBroken, "held by pre_broken = \"hold\" of class "+c.host.Class+": "+e.PreBroken[0]
		return
	}
	if g.result.Set.Empty() && len(g.list.Missing) > 0 {
		e.Status, e.Detail = planner.StatusNoHeaders, g.list.LeftOut() // "nothing" would be more than is known
		return
	}
	e.Set, e.Rollback = g.result.Set.ID, a.rollback
	if g.result.Set.Empty() {
		e.Status = planner.StatusNothing
		return
	}
	e.Bytes, e.Impact = a.bytes, *a.impact
}

func planPackage(u planner.Used) planner.PlanPackage {
	p := planner.PlanPackage{NEVRA: u.NEVRA, Repo: u.Source, Path: u.Path, Checksum: u.Checksum, Size: u.Size, Vendor: u.Vendor, Advisories: u.Advisories}
	if u.Checksum.Type == "sha256" {
		p.SHA256 = u.Checksum.Value
	}
	return p
}

// planRepos binds the plan to the repositories of every view in it.
func (f *Fleet) planRepos(ctx context.Context, repos *Repos, groups []*group, p *planner.Plan) error {
	used := map[string]bool{}
	for _, g := range groups {
		for _, r := range g.view {
			used[r.ID] = true
		}
	}
	for _, id := range repos.IDs() {
		if !used[id] {
			continue
		}
		r, err := repos.Open(ctx, id)
		if err != nil {
			return err
		}
		switch at := repos.Moved(id); {
		case at != "" && r.Len() == 0:
			return &repo.Damage{Repo: id, File: ".", What: "there is neither metadata nor a package at " + at}
		case at != "":
		default:
			if err := f.notBackwards(ctx, r); err != nil {
				return err
			}
		}
		p.Repos = append(p.Repos, planner.PlanRepo{ID: id, Kind: r.Kind(), Digest: r.Digest(), At: repos.Moved(id)})
	}
	return nil
}
