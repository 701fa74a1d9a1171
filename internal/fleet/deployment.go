package fleet

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"cpacman/internal/host"
	"cpacman/internal/rollout"
	"cpacman/internal/rpm"
	"cpacman/inventory"
	"cpacman/planner"
	"cpacman/transport"
)

// Deployment gives the rollout engine the hosts of one plan. It may be used by many goroutines.
type Deployment struct {
	fleet   *Fleet
	repos   *Repos
	plan    *planner.Plan
	amended map[string]*planner.Plan // by host: what it follows instead of plan
	files   *Provisioned
	rollout string // its id
	owner   rollout.Owner
	checks  map[string]rollout.Check // what the rollout was started with; nil: what the site has
	timeout time.Duration            // until a transaction is overdue; 0: never said

	installed  *Installed
	lists      packageLists
	shares     *shares
	signerKeys signerKeys
	keys       sync.Map // host and fingerprint that the audit trail has
	snapshots  error    // why hosts cannot be planned again from the plan's own repositories; nil: they can
}

// The engine's ports that a Deployment serves.
var (
	_ rollout.Fleet        = (*Deployment)(nil)
	_ rollout.Rechecker    = (*Deployment)(nil)
	_ rollout.Health       = (*Deployment)(nil)
	_ rollout.Hooks        = (*Deployment)(nil)
	_ rollout.Availability = (*Deployment)(nil)
)

// NewDeployment prepares a proven plan for the engine.
func (f *Fleet) NewDeployment(ctx context.Context, repos *Repos, p *planner.Plan, files *Provisioned, id string, owner rollout.Owner) (*Deployment, error) {
	if err := CheckKeys(p); err != nil {
		return nil, err
	}
	s, err := f.newShares(repos)
	if err != nil {
		return nil, err
	}
	d := &Deployment{fleet: f, repos: repos, plan: p, files: files, rollout: id, owner: owner, installed: f.NewInstalled(repos), shares: s}
	d.snapshots = f.CheckSnapshots(ctx, repos, p)
	return d, nil
}

// Follow gives hosts another plan than the rollout's: their amendments. It is called before the engine gets the Deployment; the packages
// of every plan are among the proven files.
func (d *Deployment) Follow(amended map[string]*planner.Plan) { d.amended = amended }

// planOf is the plan that a host follows.
func (d *Deployment) planOf(host string) *planner.Plan {
	if p := d.amended[host]; p != nil {
		return p
	}
	return d.plan
}

// SnapshotError tells of a repository that is no longer what the plan was computed from.
type SnapshotError struct{ Repo, Was, Is string }

// Error names the repository and both digests.
func (e *SnapshotError) Error() string {
	return fmt.Sprintf("repository %s changed since the plan was made (it was %.12s and is %.12s)", e.Repo, e.Was, e.Is)
}

// CheckSnapshots compares the repositories with the digests that bind the plan.
func (f *Fleet) CheckSnapshots(ctx context.Context, repos *Repos, p *planner.Plan) error {
	for _, r := range p.Repos {
		now, err := repos.Open(ctx, r.ID)
		if err != nil {
			return err
		}
		if now.Digest() != r.Digest {
			return &SnapshotError{r.ID, r.Digest, now.Digest()}
		}
	}
	return nil
}

// Open implements rollout.Fleet.
func (d *Deployment) Open(ctx context.Context, job rollout.Job) (rollout.Worker, error) {
	h := d.fleet.Site.Host(job.Host)
	if h == nil {
		return nil, rollout.Held(rollout.ReasonInternal, "the host is no longer in the inventory")
	}
	tx, err := d.transaction(h, job)
	if err != nil {
		return nil, rollout.Held(rollout.ReasonInternal, err.Error())
	}
	conn, err := d.fleet.Dial(ctx, h)
	if err != nil {
		return nil, dialError(err)
	}
	d.sawKey(ctx, h, conn)
	w := &worker{d: d, host: h, job: job, tx: tx, conn: conn}
	w.s = d.fleet.session(conn, h, w.lockOwner())
	entry, _ := d.planOf(h.Name).Host(h.Name)
	w.keyLines = entry.Keys
	w.back, w.hasBack = d.backOrder(h, tx)
	return w, nil
}

// dialError says what a failure to connect means for the host.
func dialError(err error) error {
	switch transport.KindOf(err) {
	case transport.KindAuth, transport.KindSudo:
		return rollout.Held(rollout.ReasonAuth, err.Error())
	case transport.KindHostKey:
		return rollout.Held(rollout.ReasonHostKey, err.Error())
	}
	return rollout.Unreachable(err)
}

// Reach implements rollout.Fleet.
func (d *Deployment) Reach(ctx context.Context, name string) error {
	h := d.fleet.Site.Host(name)
	if h == nil {
		return rollout.Held(rollout.ReasonInternal, "the host is no longer in the inventory")
	}
	conn, err := d.fleet.Dial(ctx, h)
	if err != nil {
		return dialError(err)
	}
	return conn.Close()
}

// transaction turns the set of a host into the order that the host gets.
func (d *Deployment) transaction(h *inventory.Host, job rollout.Job) (host.Transaction, error) {
	plan := d.planOf(h.Name)
	entry, ok := plan.Host(h.Name)
	if !ok {
		return host.Transaction{}, fmt.Errorf("host %s is not in the plan", h.Name)
	}
	if job.PlanID != plan.ID {
		return host.Transaction{}, fmt.Errorf("host %s is to follow plan %.12s, and plan %.12s was made ready", h.Name, job.PlanID, plan.ID)
	}
	set, ok := plan.Set(entry.Set)
	if !ok {
		return host.Transaction{}, fmt.Errorf("host %s has no set in the plan", h.Name)
	}
	tx := host.Transaction{ID: job.TxID, MachineID: entry.MachineID, VerifyLevel: "all", LockWait: d.fleet.Site.Limits.LockWait, Deadline: d.timeout}
	if d.fleet.Site.Effective(h).HostSignatures == inventory.SignaturesDigest {
		tx.VerifyLevel = "digest"
	}
	var err error
	if tx.Import, err = importFiles(plan, entry.Keys); err != nil {
		return host.Transaction{}, err
	}
	for _, r := range entry.Keys.Retire {
		tx.Retire = append(tx.Retire, r.Entry)
	}
	d.addFiles(&tx, set, plan.PackagesFor(set))
	// A set that goes back may bring something that is older than what stays: a kernel beside a newer one, another arch of a name.
	tx.OldPackage = len(set.Downgrade) > 0 || plan.Type == planner.TypeRollback || plan.Type == planner.TypeLock
	for _, m := range append(slices.Clone(set.Upgrade), set.Downgrade...) {
		tx.Removes = append(tx.Removes, m.From)
		if m.Again {
			tx.Again = true
			if !slices.Contains(tx.Removes, m.To) {
				tx.Removes = append(tx.Removes, m.To)
			}
		}
	}
	for _, r := range set.Remove {
		switch r.Rule {
		case planner.RuleObsoleted:
			tx.Removes = append(tx.Removes, r.NEVRA)
		case planner.RuleTargetFirst:
			tx.First = append(tx.First, r.NEVRA)
		default:
			tx.Erase = append(tx.Erase, r.NEVRA)
		}
	}
	// What goes back, or is in the way of it, is rpm's in any case.
	tx.DNF = d.fleet.Site.Effective(h).Executor == inventory.ExecutorDNF && !tx.OldPackage && !tx.Again && len(tx.First) == 0 &&
		len(tx.Upgrade)+len(tx.InstallOnly)+len(tx.Erase) > 0
	return tx, nil
}

// addFiles adds the packages of a set to an order.
func (d *Deployment) addFiles(tx *host.Transaction, set planner.Set, packages []planner.PlanPackage) {
	beside := map[rpm.NEVRA]bool{}
	for _, i := range set.Install {
		beside[i.NEVRA] = i.InstallOnly
	}
	for _, p := range packages {
		// A package that could not be proven has no digest: it can be verified on a host that has it and is never sent.
		file, proven := d.files.files[fileKey(p)]
		if !proven {
			file.File = host.File{NEVRA: p.NEVRA, Size: p.Size}
		} else if file.SignerKey == "" {
			tx.VerifyLevel = "digest" // rpm would refuse the whole set for one unsigned package
		}
		if beside[p.NEVRA] {
			tx.InstallOnly = append(tx.InstallOnly, file.File)
		} else {
			tx.Upgrade = append(tx.Upgrade, file.File)
		}
	}
}

// signers are the keys that the host must have for a transaction.
func (d *Deployment) signers(tx host.Transaction) []string {
	if tx.VerifyLevel != "all" {
		return nil
	}
	byDigest := map[string]string{}
	for _, f := range d.files.files {
		byDigest[f.SHA256] = f.SignerKey
	}
	var out []string
	for _, f := range backFiles(tx) {
		if key := byDigest[f.SHA256]; key != "" && !slices.Contains(out, key) {
			out = append(out, key)
		}
	}
	return out
}

// Recheck implements rollout.Rechecker: the set of a host that changed is computed again, from the plan's own snapshots.
func (d *Deployment) Recheck(ctx context.Context, name string, facts any) (rollout.RecheckResult, error) {
	var r rollout.RecheckResult
	f, ok := facts.(*host.Facts)
	h := d.fleet.Site.Host(name)
	plan := d.planOf(name)
	entry, planned := plan.Host(name)
	if !ok || h == nil || !planned {
		return r, fmt.Errorf("host %s is not in the plan", name)
	}
	if plan.Requested.Keys.Only {
		return rollout.RecheckResult{Verdict: rollout.RecheckSame}, nil // packages are not what it is about
	}
	if d.snapshots != nil {
		return r, fmt.Errorf("the host changed since the plan and cannot be planned again: %w", d.snapshots)
	}
	switch plan.Type {
	case planner.TypeRollback, planner.TypeLock, planner.TypeRepair:
		// What they lead to was computed for the installed set of then; a person decides whether it is still meant.
		return rollout.RecheckResult{Verdict: rollout.RecheckChanged,
			Detail: fmt.Sprintf("the host changed since the plan, and a %s plan is not computed again: make a new one", plan.Type)}, nil
	}
	view := d.fleet.View(h, f)
	u, err := d.repos.Universe(ctx, view)
	if err != nil {
		return r, err
	}
	list, err := d.installed.List(ctx, f.InstalledDigest, func() ([]host.Package, error) { return f.Packages, nil })
	if err != nil {
		return r, err
	}
	if n := len(list.Missing); n > 0 {
		return r, fmt.Errorf("the host changed since the plan, and dependencies of %d of its packages are not known", n)
	}
	input, err := d.fleet.plannerHost(d.fleet.now(), h, f)
	if err != nil {
		return r, err
	}
	input.Installed = list.Packages
	request, _ := requestFor(&candidate{host: h, settings: d.fleet.Site.Settings(h)}, PlanRequest{Request: planner.Request{Filter: plan.Requested.Filter, Type: plan.Type, Weak: plan.Requested.Weak, At: plan.CreatedAt}})
	result, err := u.Solve(input, request)
	if err != nil {
		return r, err
	}
	planSet, _ := plan.Set(entry.Set)
	out := recheck(planSet, result.Set, list.Packages)
	if out.Verdict == rollout.RecheckNothing && !entry.Keys.Empty() {
		// The keys are still to be done, in an order that has no packages any more.
		out = rollout.RecheckResult{Verdict: rollout.RecheckChanged, Detail: "its packages are there already and its signing keys are not done: plan again"}
		if planSet.Empty() {
			out = rollout.RecheckResult{Verdict: rollout.RecheckSame}
		}
	}
	return out, nil
}

// recheck compares the set of the plan with the one computed now, by what they change: reasons may differ. That nothing is left to do does not show that
// what the plan wants is there: something may hold it by now, or a transaction was cut.
func recheck(planned, now planner.Set, installed []*rpm.Package) rollout.RecheckResult {
	there := make(map[rpm.NEVRA]bool, len(installed))
	for _, p := range installed {
		there[p.NEVRA] = true
	}
	switch text := cutWords(planned, there); {
	case text != "":
		return rollout.RecheckResult{Verdict: rollout.RecheckChanged, Detail: text}
	case now.Empty() && !outstanding(planned, there, installed):
		return rollout.RecheckResult{Verdict: rollout.RecheckNothing, Detail: "what the plan wants is there"}
	}
	before, after := actions(planned), actions(now)
	if slices.Equal(before, after) {
		return rollout.RecheckResult{Verdict: rollout.RecheckSame}
	}
	var diff []string
	for _, a := range before {
		if !slices.Contains(after, a) {
			diff = append(diff, "no longer: "+a)
		}
	}
	for _, a := range after {
		if !slices.Contains(before, a) {
			diff = append(diff, "now: "+a)
		}
	}
	const shown = 5
	text := strings.Join(diff[:min(len(diff), shown)], "; ")
	if len(diff) > shown {
		text += fmt.Sprintf("; and %d more", len(diff)-shown)
	}
	return rollout.RecheckResult{Verdict: rollout.RecheckChanged, Detail: "the host changed since the plan, and its set with it: " + text}
}

// cutWords says what a transaction of a set that was cut has left; "" for nothing: rpm puts in what is new before it takes out what that replaces.
func cutWords(planned planner.Set, there map[rpm.NEVRA]bool) string {
	const advice = ", as a transaction that was cut leaves it: a plan with --undo or --repair mends that"
	for _, m := range slices.Concat(planned.Upgrade, planned.Downgrade) {
		if !m.Again && there[m.From] && there[m.To] {
			return fmt.Sprintf("%s and %s are both installed%s", m.From, m.To, advice)
		}
	}
	came := !slices.ContainsFunc(planned.Incoming(), func(n rpm.NEVRA) bool { return !there[n] })
	for _, r := range planned.Remove {
		if came && r.Rule == planner.RuleObsoleted && there[r.NEVRA] {
			return fmt.Sprintf("%s is installed, and so is what obsoletes it, as a transaction that was cut leaves it: a plan with --undo takes it back", r.NEVRA)
		}
	}
	return ""
}

// outstanding tells whether something of a set is still to be done, when nothing is that can be: what it replaces is there, or an install-only build is
// not and no newer one is.
func outstanding(planned planner.Set, there map[rpm.NEVRA]bool, installed []*rpm.Package) bool {
	for _, m := range slices.Concat(planned.Upgrade, planned.Downgrade) {
		if there[m.From] {
			return true
		}
	}
	for _, r := range planned.Remove {
		if r.Rule == planner.RuleObsoleted && there[r.NEVRA] {
			return true
		}
	}
	return slices.ContainsFunc(planned.Install, func(i planner.Install) bool {
		return i.InstallOnly && !slices.ContainsFunc(installed, func(p *rpm.Package) bool {
			return p.Name == i.NEVRA.Name && rpm.Compare(p.EVR, i.NEVRA.EVR) >= 0
		})
	})
}

// actions lists what a set changes, sorted.
func actions(s planner.Set) []string {
	var out []string
	for _, m := range s.Upgrade {
		out = append(out, "upgrade "+m.From.String()+" to "+m.To.EVR.String())
	}
	for _, m := range s.Downgrade {
		out = append(out, "downgrade "+m.From.String()+" to "+m.To.EVR.String())
	}
	for _, i := range s.Install {
		out = append(out, "install "+i.NEVRA.String())
	}
	for _, r := range s.Remove {
		out = append(out, "remove "+r.NEVRA.String())
	}
	slices.Sort(out)
	return out
}

// Unavailable implements rollout.Availability.
func (d *Deployment) Unavailable(ctx context.Context, name string) (string, error) {
	h := d.fleet.Site.Host(name)
	if h == nil {
		return "not in the inventory", nil
	}
	if why, ok := h.Maintenance(d.fleet.now()); ok {
		return why, nil
	}
	conn, err := d.fleet.Dial(ctx, h)
	if err != nil {
		return "cannot be reached: " + err.Error(), nil
	}
	defer conn.Close()
	p, err := d.fleet.session(conn, h, host.Owner{}).Preflight(ctx, host.PreflightOptions{})
	switch {
	case err != nil:
		return "", err
	case p.OtherTransaction != "":
		return "transaction " + p.OtherTransaction + " is under way", nil
	case p.HostLock != nil && p.HostLock.Owner.Rollout != d.rollout:
		return p.HostLock.Error(), nil
	case p.PendingShutdown != "":
		return "a " + p.PendingShutdown + " is due", nil
	}
	for _, r := range d.RunChecks(ctx, name, d.fleet.Site.Effective(h).Health, nil) {
		if r.Verdict != rollout.Green && r.Check != inventory.BasicCheck {
			return fmt.Sprintf("check %s is %s: %s", r.Check, r.Verdict, r.Output), nil
		}
	}
	return "", nil
}

// session is the work on a connected host, with root's rights. What is sent over it belongs to the owner.
func (f *Fleet) session(conn *transport.Conn, h *inventory.Host, owner host.Owner) *host.Session {
	return host.NewSession(conn, host.SessionOptions{Host: h.Name, Sudo: f.Target(h).Sudo != transport.SudoNever, Now: f.now, Owner: owner, Keep: f.Site.Limits.Staged})
}
