package rollout

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"cpacman/inventory"
	"cpacman/planner"
)

// Emergencies (ROLL-11). An emergency is a schedule like any other, made by harder rules: the first wave of every class is one host,
// and no soak is longer than Settings.Rollout.EmergencySoak. Budgets, quorum, clusters, health checks, the test of the packages and
// the lock of the host are those of every rollout: the engine goes no second way. All that it does for an emergency is to be patient:
// a host with another transaction under way is waited for, where it would be held. What is left out is part of the schedule, and by that of its digest: an approval is given to exactly that.

// EmergencySettings ask for the schedule of an emergency.
type EmergencySettings struct {
	Reason          string   // needed
	WithoutApproval []string // gates that want no approval this once, as LevelPlan.ClassScope and Scope name them
}

// EmergencyPlan is what makes a schedule one of an emergency, and all that it leaves out.
type EmergencyPlan struct {
	Reason string        `json:"reason"`
	For    string        `json:"for"` // "advisory RHSA-2026:1", "CVE-2026-1" or "removal of bash, zsh"
	Soak   time.Duration `json:"soak"`
	// FirstWave are the waves of one host that the settings of the site alone would have made larger, by index.
	FirstWave []int `json:"first_wave,omitempty"`
	// SoaksCut are the levels whose soak is shorter than the site wants, in order.
	SoaksCut []SoakCut `json:"soaks_cut,omitempty"`
	// Waived are the gates that want no approval, in order.
	Waived []Waived `json:"waived,omitempty"`
	// Holds are the packages whose holds the plan overrides, by name.
	Holds []string `json:"overridden_holds,omitempty"`
}

// SoakCut is a soak that was cut.
type SoakCut struct {
	Scope string        `json:"scope"` // "level production/canary"
	From  time.Duration `json:"from"`
	To    time.Duration `json:"to"`
}

// Waived is a gate without its approval.
type Waived struct {
	Scope string `json:"scope"`
	Need  int    `json:"need"` // people that the site wants
}

// Overrides lists what the emergency leaves out, for people, in order; each line says by which rule or flag.
func (e *EmergencyPlan) Overrides() []string {
	out := []string{}
	if n := len(e.FirstWave); n > 0 {
		waves := make([]string, n)
		for i, w := range e.FirstWave {
			waves[i] = fmt.Sprint(w + 1)
		}
		out = append(out, "first wave of one host: "+plural(n, "wave ", "waves ")+strings.Join(waves, ", "))
	}
	for _, c := range e.SoaksCut {
		out = append(out, fmt.Sprintf("soak of %s: %s instead of %s", c.Scope, inventory.FormatDuration(c.To), inventory.FormatDuration(c.From)))
	}
	for _, w := range e.Waived {
		out = append(out, fmt.Sprintf("approval of %s: none instead of %d", w.Scope, w.Need))
	}
	for _, h := range e.Holds {
		out = append(out, "holds of package "+h)
	}
	return out
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// Overlap is what a rollout is doing with hosts of another.
type Overlap struct {
	AtWork  []string // a transaction, or what leads to it, is under way: the host's lock decides
	Soaking []string // done, in a wave whose checks go on
	Ahead   []string // not begun, or at rest: they are looked at afresh when it comes to them
}

// Hosts counts them.
func (o Overlap) Hosts() int { return len(o.AtWork) + len(o.Soaking) + len(o.Ahead) }

// String tells it to people.
func (o Overlap) String() string {
	var out []string
	for _, p := range []struct {
		hosts []string
		what  string
	}{{o.AtWork, "at work, waited for at the lock of the host"}, {o.Soaking, "soaking, its checks go on"}, {o.Ahead, "not begun, looked at again when they begin"}} {
		if len(p.hosts) > 0 {
			out = append(out, nameHosts(p.hosts)+" "+p.what)
		}
	}
	return strings.Join(out, "; ")
}

// Overlapping tells what a rollout is doing with the hosts of a schedule; hosts that have ended, in waves that do not soak, are not
// told. Hosts are sorted by name.
func Overlapping(s Snapshot, with Schedule) Overlap {
	var o Overlap
	for _, h := range s.Hosts {
		if _, both := with.Host[h.Host]; !both || with.Host[h.Host].Empty {
			continue
		}
		switch {
		case h.State == StatePending, h.State == StateDeferred, h.State == StateHeld, h.State == StateUnreachable:
			o.Ahead = append(o.Ahead, h.Host)
		case !h.State.Final():
			o.AtWork = append(o.AtWork, h.Host)
		case s.Waves[h.Wave].State == WaveSoaking:
			o.Soaking = append(o.Soaking, h.Host)
		}
	}
	for _, l := range [][]string{o.AtWork, o.Soaking, o.Ahead} {
		slices.Sort(l)
	}
	return o
}

// emergencyFor says what an emergency rollout of a plan is for, or why the plan is none: it wants one erratum, or packages to be
// removed for which there is no erratum yet.
func emergencyFor(p *planner.Plan) (string, error) {
	f := p.Requested.Filter
	named := len(f.Advisories) + len(f.CVEs)
	switch {
	case p.Type == planner.TypeServices && p.Services.Action == planner.ServiceStop:
		return "stop of " + nameSome(p.Services.Units, 5), nil
	case p.Type != planner.TypeUpdate:
		return "", fmt.Errorf("an emergency is one erratum, and plan %s is of type %q", short(p.ID), p.Type)
	case named == 1 && !f.Security && !f.Bugfix && !f.Newest && len(f.Severities) == 0:
		if len(f.CVEs) == 1 {
			return f.CVEs[0], nil
		}
		return "advisory " + f.Advisories[0], nil
	case named > 0 || f.Security || f.Bugfix || len(f.Severities) > 0:
		return "", fmt.Errorf("an emergency is one erratum, and plan %s wants more; make one with a single --advisory or --cve", short(p.ID))
	}
	names, only := removes(p)
	if !only || len(names) == 0 {
		return "", fmt.Errorf("an emergency is one erratum, and plan %s names none; make one with --advisory or --cve, or one that only removes packages", short(p.ID))
	}
	return "removal of " + nameSome(names, 5), nil
}

// removes names what the planned hosts of a plan lose by policy, sorted, and tells whether nothing else happens to them.
func removes(p *planner.Plan) (names []string, only bool) {
	used := map[string]bool{}
	for _, h := range p.Hosts {
		if h.Status == planner.StatusPlanned {
			used[h.Set] = true
		}
	}
	for _, s := range p.Sets {
		if !used[s.ID] {
			continue
		}
		if len(s.Install)+len(s.Upgrade)+len(s.Downgrade) > 0 {
			return nil, false
		}
		for _, r := range s.Remove {
			if r.Rule != "policy" { // keep-n and the like wait for a rollout of every day
				return nil, false
			}
			names = append(names, r.NEVRA.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), true
}

// nameSome joins the first few of a list.
func nameSome(list []string, most int) string {
	if n := len(list) - most; n > 0 {
		return strings.Join(list[:most], ", ") + fmt.Sprintf(" and %d more", n)
	}
	return strings.Join(list, ", ")
}

// emergency begins the schedule of an emergency, where one is asked for.
func (r *resolver) emergency() error {
	ask := r.s.Emergency
	if ask == nil {
		return nil
	}
	what, err := emergencyFor(r.plan)
	switch {
	case err != nil:
		return &PlanError{err.Error()}
	case strings.TrimSpace(ask.Reason) == "":
		return &PlanError{"--emergency needs a --reason"}
	case r.s.Rollout.EmergencySoak <= 0:
		return &PlanError{"emergency_soak is the least that an emergency soaks, and must be above 0"}
	}
	holds := slices.Clone(r.plan.Requested.Filter.OverrideHolds)
	slices.Sort(holds)
	r.out.Emergency = &EmergencyPlan{Reason: ask.Reason, For: what, Soak: r.s.Rollout.EmergencySoak, Holds: slices.Compact(holds)}
	return nil
}

// hasten makes the level of a class one of an emergency: a short soak, and no approval where none is to be asked for.
func (r *resolver) hasten(l *LevelPlan) {
	e := r.out.Emergency
	if e == nil {
		return
	}
	if l.Soak > e.Soak {
		e.SoaksCut = append(e.SoaksCut, SoakCut{Scope: l.Scope(), From: l.Soak, To: e.Soak})
		l.Soak = e.Soak
	}
	waive := func(scope string, need *int) {
		if *need > 0 && slices.Contains(r.s.Emergency.WithoutApproval, scope) {
			e.Waived = append(e.Waived, Waived{Scope: scope, Need: *need})
			*need = 0
		}
	}
	waive(l.ClassScope(), &l.ClassApprove)
	waive(l.Scope(), &l.Approve)
}

// firstOfClass tells whether a wave that is to be cut now is the first of its class in an emergency, which is one host.
func (r *resolver) firstOfClass(level int) bool {
	if r.out.Emergency == nil {
		return false
	}
	class := r.out.Levels[level].Class
	return !slices.ContainsFunc(r.out.Waves, func(w WavePlan) bool { return r.out.Levels[w.Level].Class == class })
}

// checkWaived refuses gates that the rollout does not have: who waives one by name has to know it.
func (r *resolver) checkWaived() error {
	if r.out.Emergency == nil {
		return nil
	}
	var gates []string
	for _, w := range r.out.Emergency.Waived {
		gates = append(gates, w.Scope)
	}
	for _, l := range r.out.Levels {
		if l.ClassApprove > 0 {
			gates = append(gates, l.ClassScope())
		}
		if l.Approve > 0 {
			gates = append(gates, l.Scope())
		}
	}
	for _, scope := range r.s.Emergency.WithoutApproval {
		if !slices.Contains(gates, scope) {
			slices.Sort(gates)
			return &PlanError{fmt.Sprintf("--without-approval: %q is no gate of this rollout that wants an approval; it has: %s", scope,
				cmp.Or(strings.Join(gates, ", "), "none"))}
		}
	}
	return nil
}

// checkEmergency refuses what only an emergency may do, and an emergency that is not what its record would say.
func checkEmergency(req StartRequest) error {
	e, holds := req.Schedule.Emergency, req.Plan.Requested.Filter.OverrideHolds
	switch {
	case e == nil && len(holds) > 0 && !req.DryRun:
		return &PlanError{fmt.Sprintf("plan %s overrides holds (%s), which only an emergency rollout may: --emergency --reason", short(req.Plan.ID), nameSome(holds, 5))}
	case e != nil && (req.Reason == "" || req.Reason != e.Reason):
		return &PlanError{"--emergency needs a --reason, and it is part of the schedule"}
	}
	return nil
}

// afterOthers waits, in an emergency, until whoever works on the host has given its lock back: what they clean up then is not what is
// sent now. The lock is taken and given back at once; it is taken again for the transaction, as ever.
func (h *hostRun) afterOthers() bool {
	if h.r.sched.Emergency == nil || h.r.dryRun || h.plan.Empty || h.locked {
		return true
	}
	err := h.w.Lock(h.ctx(), h.r.lockWait)
	if err == nil {
		err = h.w.Unlock(h.ctx())
	}
	switch {
	case kindOf(err) == KindLocked:
		return h.end(OnRefused, reasonOf(err, ReasonLocked))
	case err != nil:
		return h.failed(err, OnRefused, ReasonLocked)
	}
	return !h.stoppedHere()
}

// patience makes what a host waits with for a transaction of somebody else: each call waits, and false says that it is over. Only an
// emergency has any: it comes to hosts that others work on, and has no time for a person to try them again.
func (h *hostRun) patience() func() bool {
	r := h.r
	deadline := r.cfg.Clock.Steady().Add(r.lockWait)
	return func() bool {
		if r.sched.Emergency == nil || r.dryRun || !r.cfg.Clock.Steady().Before(deadline) {
			return false
		}
		if r.sleep(r.jittered(r.cfg.Timing.PollMax)) != nil {
			return false
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.ro.State != RolloutStopped && r.ro.State != RolloutAborted
	}
}
