package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"cpacman/internal/fleet"
	"cpacman/internal/rollout"
	"cpacman/internal/trail"
	"cpacman/inventory"
	"cpacman/planner"
)

// amendCommand is `rollout amend`.
func amendCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "amend", Usage: "show how the sets of hosts that changed since the plan differ now, and let them follow those", ArgsUsage: "[ROLLOUT] [HOST…]",
		Description: "For hosts that are held because they changed since the plan; hosts that are named may be held for any reason, or not begun.\n" +
			"Asks them first (--stored: takes stored facts), computes their sets anew from the repositories of the plan, prints every\n" +
			"difference to what was reviewed, and after a yes records it: every approval from before is void. Nothing is sent:\n" +
			"`rollout retry` and `rollout resume` carry it out. Refused while an engine runs the rollout.",
		Flags: outputFlags(
			&cli.BoolFlag{Name: "stored", Usage: "take stored facts; ask nobody"},
			&cli.BoolFlag{Name: "dry-run", Usage: "only show the differences"},
			&cli.BoolFlag{Name: "without-switch", Usage: "amend although hosts that the update can cut off get no dead man's switch"},
			&cli.StringFlag{Name: "reason", Usage: "why, for the record; wanted unless --dry-run"},
			&cli.BoolFlag{Name: "yes", Usage: "do not ask"},
		),
		Action: e.rolloutAmend,
	}
}

// amendValue is the JSON of rollout amend.
type amendValue struct {
	Rollout    string            `json:"rollout"`
	Plan       *string           `json:"plan"`          // that the hosts will follow; null: no host differs
	Before     string            `json:"digest_before"` // what approvals are bound to
	After      *string           `json:"digest_after"`  // what they will be bound to; null: no host differs
	Difference *string           `json:"difference"`    // sha256 of the differences
	DryRun     bool              `json:"dry_run"`
	Hosts      []fleet.AmendHost `json:"hosts"`
}

func (e *env) rolloutAmend(c *cli.Context) error {
	dryRun := c.Bool("dry-run")
	if !dryRun && strings.TrimSpace(c.String("reason")) == "" {
		return usagef("rollout amend wants --reason")
	}
	s, id, names, err := e.onRollout(c)
	if err != nil {
		return err
	}
	defer s.Close()
	lease, err := s.store.Lease(s.ctx, id)
	if err != nil {
		return err
	}
	if lease.Live(s.now()) && !dryRun {
		return engineRuns(&rollout.LeaseHeldError{Rollout: id, Owner: lease.Owner})
	}
	snap, p, err := s.recorded(id)
	if err != nil {
		return err
	}
	if err := rollout.MayAmend(snap, s.now()); err != nil {
		return inputError{err: err}
	}
	if !dryRun {
		if err := s.mayPush(snap.Schedule); err != nil {
			return err
		}
	}
	plans, err := s.plansOf(snap, p)
	if err != nil {
		return err
	}
	hosts, refused, err := s.toAmend(snap, names)
	if err != nil {
		return err
	}
	found, err := s.computeAmend(plans, hosts)
	if err != nil {
		return err
	}
	found.Hosts = append(found.Hosts, refused...)
	slices.SortFunc(found.Hosts, func(a, b fleet.AmendHost) int { return strings.Compare(a.Host, b.Host) })
	value := amendValue{Rollout: id, Before: snap.Rollout.Digest, DryRun: dryRun, Hosts: found.Hosts}
	if found.Plan == nil {
		if err := s.emit(c, amendTable(value)); err != nil {
			return err
		}
		s.sayAmend(value)
		return s.nothingToAmend(snap, value)
	}
	a, err := s.amendment(snap, found)
	if err != nil {
		return err
	}
	last := a.Latest()
	value.Plan, value.After, value.Difference = &last.PlanID, &a.Schedule.Digest, &last.Difference
	if err := s.emit(c, amendTable(value)); err != nil {
		return err
	}
	s.sayAmend(value)
	s.sayWaysBack(a)
	if dryRun {
		s.say("nothing was recorded; next: cpacman rollout amend %s --reason WHY", id)
		return amendVerdict(value)
	}
	if err := s.confirm(c, fmt.Sprintf("let %d %s of rollout %s follow these sets?", len(last.Hosts), plural(len(last.Hosts), "host", "hosts"), id)); err != nil {
		return err
	}
	if err := s.recordAmend(snap, lease.Epoch, a, found.Plan); err != nil {
		return err
	}
	return amendVerdict(value)
}

// engineRuns says why an amendment has to wait, and how to get there.
func engineRuns(held *rollout.LeaseHeldError) error {
	id := held.Rollout
	return &statusError{status: statusFailed, err: fmt.Errorf("%w: it works by what it has read and proven at its start, so nothing can be amended under it", held),
		hint: fmt.Sprintf("--dry-run shows the differences now; let the engine go (cpacman rollout pause %s; Ctrl-C or kill -TERM %d, hosts at work go on), then amend", id, held.Owner.PID)}
}

// plansOf reads the plans that the hosts of a rollout follow.
func (s *session) plansOf(snap rollout.Snapshot, reviewed *planner.Plan) (fleet.Plans, error) {
	out := fleet.Plans{Reviewed: reviewed, Amended: map[string]*planner.Plan{}}
	read := map[string]*planner.Plan{}
	for _, id := range snap.Schedule.Plans()[1:] {
		body, err := s.store.Plan(s.ctx, id)
		if err != nil {
			return out, fmt.Errorf("an amendment of rollout %s: %w", snap.Rollout.ID, err)
		}
		p, err := planner.Decode(bytes.NewReader(body))
		if err == nil && p.ID != id {
			err = fmt.Errorf("it is plan %.12s", p.ID)
		}
		if err != nil {
			return out, fmt.Errorf("read amendment %.12s of rollout %s: %w", id, snap.Rollout.ID, err)
		}
		read[id] = p
	}
	for name, hp := range snap.Schedule.Host {
		if hp.Plan != "" {
			out.Amended[name] = read[hp.Plan]
		}
	}
	return out, nil
}

// amendments lists the plans of amendments that hosts still follow.
func amendments(plans fleet.Plans, sched rollout.Schedule) []*planner.Plan {
	var out []*planner.Plan
	for _, id := range sched.Plans()[1:] {
		for _, p := range plans.Amended {
			if p.ID == id {
				out = append(out, p)
				break
			}
		}
	}
	return out
}

// toAmend picks the hosts that are held because they changed, or those that are named. What cannot be amended is refused by itself
// where it was not named.
func (s *session) toAmend(snap rollout.Snapshot, names []string) (hosts []*inventory.Host, refused []fleet.AmendHost, err error) {
	records := map[string]rollout.HostRecord{}
	for _, h := range snap.Hosts {
		records[h.Host] = h
	}
	named := len(names) > 0
	if !named {
		names = snap.ChangedHosts()
	}
	if len(names) == 0 {
		return nil, nil, inputError{err: fmt.Errorf("no host of rollout %s is held because it changed since the plan", snap.Rollout.ID), hint: "cpacman rollout status " + snap.Rollout.ID}
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		rec, known := records[name]
		if !known {
			return nil, nil, inputf("host %q is not part of rollout %s", name, snap.Rollout.ID)
		}
		h, why := s.site.Host(name), rec.Amendable()
		if h == nil && why == "" {
			why = "it is no longer in the inventory"
		}
		switch {
		case why != "" && named:
			return nil, nil, inputError{err: fmt.Errorf("host %s cannot be amended: %s", name, why), hint: "only hosts that are held, or have not begun, can be"}
		case why != "":
			refused = append(refused, fleet.AmendHost{Host: name, Status: fleet.AmendRefused, Why: why, Differences: []planner.Difference{}})
		default:
			hosts = append(hosts, h)
		}
	}
	return hosts, refused, nil
}

// computeAmend asks the hosts and computes their sets anew.
func (s *session) computeAmend(plans fleet.Plans, hosts []*inventory.Host) (*fleet.AmendPlan, error) {
	if err := s.relocateAsPlanned(plans.Reviewed); err != nil {
		return nil, err
	}
	live := !s.c.Bool("stored")
	if live {
		if _, err := s.collect(hosts, false); err != nil {
			return nil, err
		}
	}
	found, err := s.fleet.Amend(s.ctx, s.repos, plans, hosts, live)
	var moved *fleet.SnapshotError
	if errors.As(err, &moved) {
		return nil, inputError{err: err, hint: "an amendment is computed from what the plan was computed from; make a new plan for these hosts"}
	}
	if err != nil {
		return nil, repoError(err)
	}
	return found, nil
}

// amendment proves the packages of an amendment and makes it.
func (s *session) amendment(snap rollout.Snapshot, found *fleet.AmendPlan) (rollout.Amendment, error) {
	files, err := s.provision(found.Plan)
	if err != nil {
		return rollout.Amendment{}, err
	}
	settings, err := rollout.FromSite(s.site)
	if err != nil {
		return rollout.Amendment{}, inputError{err: err}
	}
	settings.NoBack = files.NoBack
	who := s.actor()
	reason := strings.TrimSpace(s.c.String("reason"))
	if s.c.Bool("dry-run") && reason == "" {
		reason = "dry run" // it is not recorded
	}
	digest, err := differenceDigest(found.Hosts)
	if err != nil {
		return rollout.Amendment{}, err
	}
	a, err := rollout.Amend(snap, rollout.AmendRequest{Plan: found.Plan, Difference: digest, User: who.user, Person: who.name(), Claimed: who.claimed, Reason: reason,
		WithoutSwitch: s.c.Bool("without-switch") || snap.Rollout.WithoutSwitch || s.site.Rollout.WithoutSwitch == inventory.SwitchAllow}, settings, s.now().UTC())
	if err != nil {
		return a, inputError{err: err}
	}
	return a, nil
}

// differenceDigest is the sha256 of what is shown of the hosts that differ.
func differenceDigest(hosts []fleet.AmendHost) (string, error) {
	var shown []fleet.AmendHost
	for _, h := range hosts {
		if h.Status == fleet.AmendDiffers {
			shown = append(shown, h)
		}
	}
	b, err := json.Marshal(shown)
	return trail.DigestOf(b), err
}

// recordAmend writes an amendment and says what comes next.
func (s *session) recordAmend(snap rollout.Snapshot, epoch int64, a rollout.Amendment, p *planner.Plan) error {
	id := snap.Rollout.ID
	var body bytes.Buffer
	if err := p.Encode(&body); err != nil {
		return err
	}
	err := s.store.Amend(s.ctx, snap.Rollout, epoch, a, body.Bytes())
	var held *rollout.LeaseHeldError
	switch {
	case errors.As(err, &held):
		return engineRuns(held)
	case errors.Is(err, rollout.ErrAmended):
		return inputError{err: fmt.Errorf("rollout %s: %w", id, err)}
	case err != nil:
		return rolloutError(err, id)
	}
	last := a.Latest()
	s.say("amended: %d %s of rollout %s %s plan %.12s; digest %.12s, was %.12s", len(last.Hosts), plural(len(last.Hosts), "host", "hosts"), id,
		plural(len(last.Hosts), "follows", "follow"), last.PlanID, a.Schedule.Digest, last.Before)
	if len(snap.Approvals) > 0 {
		s.say("every approval from before is void")
	}
	snap.Rollout, snap.Schedule = a.Rollout, a.Schedule
	amended := make([]string, len(last.Hosts))
	for i, h := range last.Hosts {
		amended[i] = h.Host
	}
	steps := s.goesOn(snap, amended)
	if len(rollout.Gates(rollout.BallotOf(snap, s.people()))) > 0 {
		steps = slices.Insert(steps, 0, "cpacman rollout approve "+id)
	}
	s.say("next: %s", strings.Join(steps, ", then: "))
	return nil
}

// goesOn are the commands that let hosts go on that were amended, or need not be.
func (s *session) goesOn(snap rollout.Snapshot, hosts []string) []string {
	steps := []string{"cpacman rollout resume " + snap.Rollout.ID}
	if command := retryAmended(snap, hosts, s.now()); command != "" {
		return slices.Insert(steps, 0, command)
	}
	return steps
}

// retryAmended is the command that tries amended hosts again: of those alone, where a retry would take others too; "" where resume takes them anyway.
func retryAmended(snap rollout.Snapshot, amended []string, now time.Time) string {
	command, all := "cpacman rollout retry "+snap.Rollout.ID, true
	var held []string
	for _, h := range snap.Hosts {
		why, _ := rollout.MayRedo(snap, rollout.Command{Kind: rollout.CommandRetry, Host: h.Host}, now)
		switch mine := slices.Contains(amended, h.Host); {
		case mine && h.State == rollout.StateHeld && h.Reason.Code == rollout.ReasonChanged:
			held = append(held, h.Host)
		case why == "" && !mine && h.State != rollout.StateSkipped:
			all = false
		}
	}
	switch {
	case len(held) == 0:
		return ""
	case all:
		return command
	}
	slices.Sort(held)
	return command + " " + strings.Join(held, " ")
}

// amendTable lists every package that a set treats differently, and hosts without any.
func amendTable(v amendValue) data {
	d := data{columns: []string{"host", "status", "package", "kind", "was", "now"}, value: v}
	for _, h := range v.Hosts {
		if h.Status == fleet.AmendRefused || len(h.Differences) == 0 {
			d.rows = append(d.rows, []string{h.Host, string(h.Status), "", "", "", h.Why})
			continue
		}
		for _, x := range h.Differences {
			d.rows = append(d.rows, []string{h.Host, string(h.Status), x.Package, string(x.Kind), x.Was, x.Now})
		}
	}
	return d
}

// countKinds counts differences: added, removed, changed.
func countKinds(list []planner.Difference) (added, removed, changed int) {
	for _, d := range list {
		switch d.Kind {
		case planner.DifferenceAdded:
			added++
		case planner.DifferenceRemoved:
			removed++
		default:
			changed++
		}
	}
	return added, removed, changed
}

// sayAmend sums up: a line for each host, and one for all.
func (s *session) sayAmend(v amendValue) {
	count := map[fleet.AmendStatus]int{}
	for _, h := range v.Hosts {
		count[h.Status]++
		switch h.Status {
		case fleet.AmendDiffers:
			added, removed, changed := countKinds(h.Differences)
			left := ""
			if h.Empty {
				left = "; nothing is left to do"
			}
			s.say("%s: %d %s added to its set, %d removed, %d changed%s", h.Host, added, plural(added, "package", "packages"), removed, changed, left)
		case fleet.AmendSame:
			s.say("%s: its set is what was reviewed; it needs no amendment", h.Host)
		default:
			s.say("%s: cannot be amended: %s", h.Host, h.Why)
		}
	}
	s.say("%d of %d %s %s, %s the same, %s refused", count[fleet.AmendDiffers], len(v.Hosts), plural(len(v.Hosts), "host", "hosts"),
		plural(count[fleet.AmendDiffers], "differs", "differ"), strconv.Itoa(count[fleet.AmendSame]), strconv.Itoa(count[fleet.AmendRefused]))
}

// sayWaysBack warns of amended hosts that cannot go back by themselves, or get no dead man's switch.
func (s *session) sayWaysBack(a rollout.Amendment) {
	for _, h := range a.Latest().Hosts {
		hp := a.Schedule.Host[h.Host]
		if hp.NoBack != "" && a.Schedule.Rollback != inventory.RollbackNever {
			s.say("warning: %s cannot go back by itself: %s", h.Host, hp.NoBack)
		}
		if i := slices.IndexFunc(a.Schedule.Unarmed, func(u rollout.Unarmed) bool { return u.Host == h.Host }); i >= 0 {
			s.say("warning: %s gets no dead man's switch although its update can cut it off with %s: %s", h.Host, a.Schedule.Unarmed[i].Package, a.Schedule.Unarmed[i].Why)
		}
	}
}

// nothingToAmend ends an amendment of no host.
func (s *session) nothingToAmend(snap rollout.Snapshot, v amendValue) error {
	if err := amendVerdict(v); err != nil {
		return err
	}
	same := make([]string, len(v.Hosts))
	for i, h := range v.Hosts {
		same[i] = h.Host
	}
	s.say("there is nothing to amend; next: %s", strings.Join(s.goesOn(snap, same), ", then: "))
	return nil
}

// amendVerdict is the exit status: hosts that could not be amended stay held.
func amendVerdict(v amendValue) error {
	away, refused := 0, 0
	for _, h := range v.Hosts {
		switch {
		case h.Unreachable:
			away++
		case h.Status == fleet.AmendRefused:
			refused++
		}
	}
	switch {
	case refused > 0:
		return &statusError{status: statusFailed, err: fmt.Errorf("%d of %d hosts could not be amended", refused+away, len(v.Hosts)), hint: "a new plan finds what is left to do on them; the lines above say why"}
	case away > 0:
		return &statusError{status: statusUnreachable, err: fmt.Errorf("%d of %d hosts could not be reached and are not amended", away, len(v.Hosts))}
	}
	return nil
}

// statusAmended tells of the amendments of a rollout.
func (s *session) statusAmended(sched rollout.Schedule) {
	for _, a := range sched.Amended {
		names := make([]string, len(a.Hosts))
		for i, h := range a.Hosts {
			names[i] = h.Host
		}
		s.say("amended by %s at %s: %d %s %s plan %.12s (%s): %s", a.User, a.At.Local().Format("2006-01-02 15:04:05"), len(names), plural(len(names), "host", "hosts"),
			plural(len(names), "follows", "follow"), a.PlanID, someOf(names, 6), a.Reason)
	}
}

// amendSteps says that hosts wait to be amended, or, once they were, to be retried.
func amendSteps(snap rollout.Snapshot, st standing) []step {
	if rollout.MayAmend(snap, st.now) != nil {
		return nil
	}
	waiting := 0
	var amended []string
	for _, h := range snap.Hosts {
		if h.State != rollout.StateHeld || h.Reason.Code != rollout.ReasonChanged {
			continue
		}
		if slices.Contains(h.Flags, rollout.FlagAmended) {
			amended = append(amended, h.Host)
		} else {
			waiting++
		}
	}
	var out []step
	if waiting > 0 {
		out = append(out, step{What: fmt.Sprintf("%d %s since the plan", waiting, plural(waiting, "host changed", "hosts changed")),
			Command: "cpacman rollout amend " + snap.Rollout.ID + " --dry-run"})
	}
	if n := len(amended); n > 0 {
		command := retryAmended(snap, amended, st.now)
		if len(rollout.Gates(rollout.BallotOf(snap, st.people))) > 0 {
			command = "cpacman rollout approve " + snap.Rollout.ID + ", then " + command
		}
		if !st.live {
			command += ", then cpacman rollout resume " + snap.Rollout.ID
		}
		out = append(out, step{What: fmt.Sprintf("%d amended %s", n, plural(n, "host waits to be tried again", "hosts wait to be tried again")), Command: command})
	}
	return out
}

// alsoProve proves the amendments of a rollout too, for an engine that takes it up.
func (s *session) alsoProve(files *fleet.Provisioned, plans fleet.Plans, sched rollout.Schedule) {
	for _, p := range amendments(plans, sched) {
		if err := s.fleet.AlsoProvision(s.ctx, s.repos, p, files); err != nil {
			s.say("warning: amendment %.12s: %v", p.ID, err)
			s.say("warning: what could not be proven is not sent")
		}
	}
}
