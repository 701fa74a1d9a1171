package rollout

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"cpacman/planner"
)

// A host that changed since the plan is held. Amend gives such hosts the set that was computed for what they have now, from the same
// snapshots (PLAN-10). The plan stays as it was reviewed; the hosts follow a plan of their own, and the schedule, whose digest an
// approval binds, says which. So every approval from before is void.

// Amended is one amendment of a rollout. All of it is part of the digest that approvals bind.
type Amended struct {
	PlanID     string        `json:"plan_id"`    // what the hosts follow from then on
	Difference string        `json:"difference"` // digest of the difference that was shown
	Before     string        `json:"before"`     // digest of the schedule before
	Hosts      []AmendedHost `json:"hosts"`      // by name
	Unarmed    []Unarmed     `json:"unarmed,omitempty"`
	User       string        `json:"user"`
	Person     string        `json:"person,omitempty"`  // of User
	Claimed    string        `json:"claimed,omitempty"` // what sudo says of User
	Reason     string        `json:"reason"`
	At         time.Time     `json:"at"`
}

// AmendedHost is a host with what the schedule had of it before, and Amended.Unarmed those of the hosts that had no dead man's switch
// then: enough to have the schedule back as it was reviewed.
type AmendedHost struct {
	Host string   `json:"host"`
	Was  HostPlan `json:"was"`
}

// AmendRequest is what Amend is asked for.
type AmendRequest struct {
	Plan       *planner.Plan // of the hosts alone: each planned, or with nothing to do
	Difference string        // digest of what was shown
	User       string
	Person     string
	Claimed    string
	Reason     string
	// WithoutSwitch lets hosts begin that should have a dead man's switch and can have none.
	WithoutSwitch bool
}

// Amendment is what Amend makes: to be written into the journal in one piece, while no engine runs the rollout.
type Amendment struct {
	Rollout  Rollout
	Schedule Schedule
	Hosts    []HostRecord // those that were amended
	Event    Event
}

// Latest is the amendment itself.
func (a Amendment) Latest() Amended { return a.Schedule.Amended[len(a.Schedule.Amended)-1] }

// Amendable says why a host cannot be amended now; "" when it can. Only a host that its present attempt has not changed can be, and
// none that a restored journal knows too little of.
func (rec HostRecord) Amendable() string {
	switch {
	case rec.Unasked > 0:
		return "it was not asked since the journal was restored; resume the rollout first"
	case rec.State == StateHeld && rec.Reason.Code == ReasonRebuilt:
		return "another machine answers under this name; make a new plan for it"
	case rec.State == StateHeld && rec.Reason.Code == ReasonChanged: // what was asked of it, it refused
	case rec.TxID != "" || rec.State != StateHeld && rec.State != StatePending:
		return "it is " + string(rec.State)
	}
	return ""
}

// ChangedHosts names the hosts that are held because they changed since the plan, by name.
func (s Snapshot) ChangedHosts() []string {
	var out []string
	for _, h := range s.Hosts {
		if h.State == StateHeld && h.Reason.Code == ReasonChanged {
			out = append(out, h.Host)
		}
	}
	slices.Sort(out)
	return out
}

// Plans lists the plans that hosts of the schedule follow, the reviewed one first.
func (s *Schedule) Plans() []string {
	out := []string{s.PlanID}
	for _, a := range s.Amended {
		if !slices.Contains(out, a.PlanID) {
			out = append(out, a.PlanID)
		}
	}
	return out
}

// MayAmend refuses a rollout that cannot be amended at all. Errors are *PlanError.
func MayAmend(s Snapshot, now time.Time) error {
	ro := s.Rollout
	refuse := func(format string, args ...any) error {
		return &PlanError{fmt.Sprintf("rollout %s cannot be amended: ", ro.ID) + fmt.Sprintf(format, args...)}
	}
	switch t := planner.PlanType(ro.PlanType); {
	case ro.DryRun:
		return refuse("it is a dry run; make a new plan")
	case ro.State == RolloutAborted:
		return refuse("it was aborted; make a new plan")
	case ro.Unreconciled:
		return refuse("its journal was restored and its hosts have not been asked since; resume it first")
	case !now.Before(ro.ExpiresAt):
		return refuse("plan %s expired at %s; make a new one", short(ro.PlanID), ro.ExpiresAt.UTC().Format("2006-01-02 15:04Z"))
	case t != planner.TypeUpdate && t != planner.TypeDowngrade:
		return refuse("what a %s plan leads to was computed for the packages of then; make a new one", ro.PlanType)
	case !s.Schedule.Valid():
		return refuse("its schedule is not the one its digest was made of: the journal is damaged")
	}
	return nil
}

// Amend gives hosts of a rollout the sets of another plan. Waves, checks, hooks, windows, clusters and budgets stay; the way back and
// the dead man's switch are decided for the new set, by the schedule's modes and the globs of the settings. It is pure. Errors are
// *PlanError.
func Amend(s Snapshot, req AmendRequest, settings Settings, now time.Time) (Amendment, error) {
	if err := MayAmend(s, now); err != nil {
		return Amendment{}, err
	}
	if err := checkAmendPlan(s.Rollout, req); err != nil {
		return Amendment{}, err
	}
	records := make(map[string]HostRecord, len(s.Hosts))
	for _, h := range s.Hosts {
		records[h.Host] = h
	}
	sets := map[string]planner.Set{}
	for _, set := range req.Plan.Sets {
		sets[set.ID] = set
	}
	settings.Rollout.Rollback, settings.Rollout.Confirm, settings.Rollout.Reboot = s.Schedule.Rollback, s.Schedule.Confirm, s.Schedule.Reboot
	r := resolver{plan: req.Plan, s: settings}
	out := Amendment{Rollout: s.Rollout, Schedule: s.Schedule}
	am := Amended{PlanID: req.Plan.ID, Difference: req.Difference, Before: s.Schedule.Digest, User: req.User, Person: req.Person,
		Claimed: req.Claimed, Reason: boundText(req.Reason), At: now.UTC()}
	hosts := make(map[string]HostPlan, len(s.Schedule.Host))
	for name, hp := range s.Schedule.Host {
		hosts[name] = hp
	}
	for _, h := range req.Plan.Hosts {
		rec, known := records[h.Host]
		was := hosts[h.Host]
		if !known {
			return Amendment{}, &PlanError{fmt.Sprintf("host %q is no part of rollout %s", h.Host, s.Rollout.ID)}
		}
		hp, err := amendHost(&s.Schedule, rec, was, h, sets)
		if err != nil {
			return Amendment{}, err
		}
		hp.Plan = req.Plan.ID
		r.wayBack(h, sets[h.Set], &hp)
		hosts[h.Host] = hp
		am.Hosts = append(am.Hosts, AmendedHost{Host: h.Host, Was: was})
		rec.Flags, rec.Updated = addFlags(rec.Flags, FlagAmended), now
		if rec.State == StateHeld {
			rec.Reason.Text = "amended: it follows plan " + short(req.Plan.ID) + " from now on; rollout retry lets it begin"
		}
		out.Hosts = append(out.Hosts, rec)
	}
	byName := func(a, b AmendedHost) int { return strings.Compare(a.Host, b.Host) }
	slices.SortFunc(am.Hosts, byName)
	if len(slices.CompactFunc(slices.Clone(am.Hosts), func(a, b AmendedHost) bool { return a.Host == b.Host })) != len(am.Hosts) {
		return Amendment{}, &PlanError{"the plan of the amendment lists a host twice"}
	}
	var unarmed []Unarmed
	for _, u := range s.Schedule.Unarmed {
		if amends(am, u.Host) {
			am.Unarmed = append(am.Unarmed, u)
		} else {
			unarmed = append(unarmed, u)
		}
	}
	if n := len(r.out.Unarmed); n > 0 {
		if !req.WithoutSwitch {
			u := r.out.Unarmed[0]
			return Amendment{}, &PlanError{fmt.Sprintf("%s updates %s and can have no dead man's switch: %s (%d such %s); --without-switch amends all the same",
				u.Host, u.Package, u.Why, n, hostsWord(n))}
		}
		out.Rollout.WithoutSwitch = true
	}
	out.Schedule.Unarmed = sortUnarmed(append(unarmed, r.out.Unarmed...))
	out.Schedule.Host = hosts
	out.Schedule.Amended = append(slices.Clone(s.Schedule.Amended), am)
	out.Schedule.Digest = out.Schedule.digest()
	out.Rollout.Digest, out.Rollout.UpdatedAt = out.Schedule.Digest, now
	state := string(s.Rollout.State)
	out.Event = Event{At: now, Rollout: s.Rollout.ID, Kind: EventRollout, Wave: -1, From: state, To: state, User: req.User, Reason: Reason{ReasonOperator,
		fmt.Sprintf("amended: %d %s now %s plan %s; approvals from before are void: %s", len(am.Hosts), hostsWord(len(am.Hosts)), followsWord(len(am.Hosts)), short(am.PlanID), am.Reason)}.bounded()}
	return out, nil
}

func followsWord(n int) string {
	if n == 1 {
		return "follows"
	}
	return "follow"
}

func sortUnarmed(list []Unarmed) []Unarmed {
	slices.SortFunc(list, func(a, b Unarmed) int { return strings.Compare(a.Host, b.Host) })
	return list
}

func amends(a Amended, host string) bool {
	_, found := slices.BinarySearchFunc(a.Hosts, host, func(h AmendedHost, n string) int { return strings.Compare(h.Host, n) })
	return found
}

// checkAmendPlan refuses a plan that cannot be an amendment of the rollout.
func checkAmendPlan(ro Rollout, req AmendRequest) error {
	p := req.Plan
	switch {
	case string(p.Type) != ro.PlanType:
		return &PlanError{fmt.Sprintf("the amendment is of type %q and the rollout's plan of type %q", p.Type, ro.PlanType)}
	case p.ExpiresAt.After(ro.ExpiresAt):
		return &PlanError{"the amendment would expire later than the plan"}
	case len(p.MissingFiles) > 0:
		return &PlanError{fmt.Sprintf("%d package files of the amendment are missing, first %s", len(p.MissingFiles), p.MissingFiles[0])}
	case len(p.Hosts) == 0:
		return &PlanError{"there is no host to amend"}
	case strings.TrimSpace(req.Reason) == "":
		return &PlanError{"an amendment needs a --reason"}
	}
	return noLowering(p)
}

// amendHost is what the schedule has of a host from now on, but for its plan and its way back.
func amendHost(s *Schedule, rec HostRecord, was HostPlan, h planner.PlanHost, sets map[string]planner.Set) (HostPlan, error) {
	refuse := func(format string, args ...any) (HostPlan, error) {
		return was, &PlanError{fmt.Sprintf("host %s cannot be amended: ", h.Host) + fmt.Sprintf(format, args...)}
	}
	level := s.Levels[s.Waves[rec.Wave].Level]
	set, known := sets[h.Set]
	switch why := rec.Amendable(); {
	case why != "":
		return refuse("%s", why)
	case h.Status != planner.StatusPlanned && h.Status != planner.StatusNothing:
		return refuse("%s: %s", h.Status, h.Detail)
	case !known:
		return refuse("the amendment has no set %q", h.Set)
	case was.MachineID != "" && h.MachineID != was.MachineID:
		return refuse("another machine answers under this name: machine-id %s, the plan was made for %s", short(h.MachineID), short(was.MachineID))
	case h.Class != level.Class || h.Level != level.Level:
		return refuse("it is in class %q, level %q now, and the plan has it in class %q, level %q", h.Class, h.Level, level.Class, level.Level)
	}
	hp := was
	hp.MachineID, hp.InstalledDigest, hp.Set, hp.Empty, hp.PreBroken = h.MachineID, h.InstalledDigest, h.Set, set.Empty(), len(h.PreBroken) > 0
	hp.Back, hp.NoBack, hp.Confirm, hp.BootOnce = "", "", false, false
	return hp, nil
}

// Reviewed is the schedule as it was before every amendment. An error tells of an amendment that does not fit what it amended.
func (s Schedule) Reviewed() (Schedule, error) {
	for len(s.Amended) > 0 {
		last := s.Amended[len(s.Amended)-1]
		hosts := make(map[string]HostPlan, len(s.Host))
		for name, hp := range s.Host {
			hosts[name] = hp
		}
		for _, h := range last.Hosts {
			hosts[h.Host] = h.Was
		}
		var unarmed []Unarmed
		for _, u := range s.Unarmed {
			if !amends(last, u.Host) {
				unarmed = append(unarmed, u)
			}
		}
		s.Host, s.Unarmed = hosts, sortUnarmed(append(unarmed, last.Unarmed...))
		if s.Amended = s.Amended[:len(s.Amended)-1]; len(s.Amended) == 0 {
			s.Amended = nil
		}
		if s.Digest = s.digest(); s.Digest != last.Before {
			return s, fmt.Errorf("the amendment of %s does not fit the schedule that it amended", last.At.UTC().Format("2006-01-02 15:04Z"))
		}
	}
	return s, nil
}

// notBegun tells a host that nothing was done on in its present attempt.
func (s State) notBegun() bool {
	return s == StatePending || s == StateDeferred || s == StateHeld || s == StateUnreachable
}

// amendedMayBegin keeps a wave that was entered before an amendment shut while amended hosts of it wait for approvals, and stops the
// rollout when the plan expired meanwhile. Called with mu held.
func (r *run) amendedMayBegin(w int) bool {
	if r.dryRun || len(r.sched.Amended) == 0 {
		return true
	}
	waits := func(h string) bool {
		s := r.hosts[h].State
		return r.sched.Host[h].Plan != "" && !r.atWork[h] && (s == StatePending || s == StateDeferred)
	}
	if !slices.ContainsFunc(r.sched.Waves[w].Hosts, waits) {
		return true
	}
	if !r.cfg.Clock.Now().Before(r.ro.ExpiresAt) {
		r.stopExpired(w)
		return false
	}
	if scope := r.missingApproval(w); scope != "" {
		r.waitFor(scope)
		return false
	}
	return true
}
