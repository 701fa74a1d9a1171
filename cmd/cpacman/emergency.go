package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"cpacman/internal/rollout"
	"cpacman/inventory"
	"cpacman/planner"
)

// checkEmergencyFlags refuses flags of emergencies that say nothing, or stand alone.
func checkEmergencyFlags(c *cli.Context) error {
	switch {
	case c.Bool("emergency") && strings.TrimSpace(c.String("reason")) == "":
		return usagef("--emergency wants --reason")
	case len(c.StringSlice("without-approval")) > 0 && !c.Bool("emergency"):
		return usagef("--without-approval goes with --emergency")
	}
	return nil
}

// emergencySettings reads the flags; nil for a rollout like any other.
func (s *session) emergencySettings() *rollout.EmergencySettings {
	if !s.c.Bool("emergency") {
		return nil
	}
	reason := s.c.String("reason")
	if verbOf(s.c) == "rollout rehearse" {
		reason = "rehearsal"
	}
	return &rollout.EmergencySettings{Reason: reason, WithoutApproval: s.c.StringSlice("without-approval")}
}

// sayEmergency tells, before anything starts, what an emergency leaves out and what stays.
func (s *session) sayEmergency(e *rollout.EmergencyPlan) {
	if e == nil {
		return
	}
	s.say("emergency for %s: no soak is longer than %s", e.For, inventory.FormatDuration(e.Soak))
	for _, line := range e.Overrides() {
		s.say("  left out: %s", line)
	}
	s.say("  not left out: budgets, quorum, health gates, signatures, rpm's test, locks of hosts and clusters, what is under way on a host")
}

// preempt tells the rollouts that have hosts of an emergency under way, or still to come, that it comes between: a note with each.
// A soak goes on meanwhile; a transaction is waited for at the lock of its host.
func (s *session) preempt(req rollout.StartRequest) error {
	if req.Schedule.Emergency == nil || req.DryRun {
		return nil
	}
	all, err := s.store.Rollouts(s.ctx)
	if err != nil {
		return err
	}
	for _, r := range all {
		if r.DryRun || r.State == rollout.RolloutDone || r.State == rollout.RolloutAborted {
			continue
		}
		snap, err := s.store.Load(s.ctx, r.ID)
		if err != nil {
			return rolloutError(err, r.ID)
		}
		o := rollout.Overlapping(snap, req.Schedule)
		if o.Hosts() == 0 {
			continue
		}
		s.say("note: rollout %s has hosts of this one: %s", r.ID, o)
		note := rollout.Note{Kind: rollout.NoteText, User: s.actor().user, At: s.now().UTC(),
			Text: oneLine([]string{fmt.Sprintf("emergency rollout %s for %s works on hosts of this one: %s", req.RolloutID, req.Schedule.Emergency.For, o)})}
		if err := s.store.PutNote(s.ctx, r.ID, note); err != nil {
			return err
		}
	}
	return nil
}

// sayOverridden tells which holds a plan overrides, and what that means for its start.
func (s *session) sayOverridden(p *planner.Plan, out string) {
	names := p.Requested.Filter.OverrideHolds
	if len(names) == 0 {
		return
	}
	found := map[string][]string{}
	for _, set := range p.Sets {
		for _, o := range set.Overridden {
			if !slices.Contains(found[o.NEVRA.Name], o.Because) {
				found[o.NEVRA.Name] = append(found[o.NEVRA.Name], o.Because)
			}
		}
	}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		if len(found[name]) == 0 {
			s.say("note: nothing holds %s on the hosts of this plan: --override-hold %s changes nothing", name, name)
			continue
		}
		slices.Sort(found[name])
		s.say("warning: overridden for %s: %s", name, strings.Join(found[name], "; "))
	}
	if out != "" {
		s.say("warning: holds are overridden: only rollout start --emergency takes this plan")
	}
}
