package fleet

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"cpacman/internal/rollout"
	"cpacman/planner"
)

// RebootRequest is what a plan of reboots is asked for.
type RebootRequest struct {
	PlanRequest        // Request and Targets are of no use
	Force       string // why hosts are booted that owe nothing; "": those are left out
}

// PlanReboots makes a plan that boots the hosts which owe a reboot (ROLL-17): by their own word, by what a rollout left due, or because
// somebody wants it.
func (f *Fleet) PlanReboots(ctx context.Context, req RebootRequest) (*Planned, error) {
	candidates, err := f.candidates(ctx, req.PlanRequest)
	if err != nil {
		return nil, err
	}
	due, err := f.Store.RebootsDue(ctx)
	if err != nil {
		return nil, err
	}
	p := &planner.Plan{Format: planner.PlanFormat, Type: planner.TypeReboot, Requested: planner.Requested{Selector: req.Selector, Force: clean(req.Force)}}
	for _, c := range candidates.list {
		owesReboot(c, due[c.host.Name], req.Force)
	}
	return packageFreePlan(p, candidates, req.Expiry)
}

// packageFreePlan completes and seals a plan that changes no package: every host that is planned has the empty set.
func packageFreePlan(p *planner.Plan, candidates *candidates, expiry time.Duration) (*Planned, error) {
	var empty planner.Set
	if err := empty.Seal(); err != nil {
		return nil, err
	}
	for _, c := range candidates.list {
		if c.entry.Status == planner.StatusPlanned {
			c.entry.Set = empty.ID
			p.Sets = []planner.Set{empty}
		}
	}
	candidates.into(p, expiry)
	return &Planned{Plan: p}, p.Seal()
}

// owesReboot says why a host that can be planned is to be booted, or that it needs not be.
func owesReboot(c *candidate, left []rollout.HostRecord, force string) {
	if c.entry.Status != planner.StatusPlanned {
		return
	}
	owed := &planner.OwedReboot{Boot: bootOf(c.facts)}
	if r := c.facts.Reboot; r != nil && r.Needed {
		for _, reason := range r.Reasons[:min(len(r.Reasons), 1000)] {
			owed.Host = append(owed.Host, clean(reason))
		}
	}
	for _, rec := range left {
		// What a rollout left due is over once the host has booted after it.
		if rec.TxAt.Unix() > c.facts.BootTime && c.facts.BootTime > 0 && len(owed.Recorded) < 100 {
			id, _, _ := strings.Cut(rec.TxID, "/")
			owed.Recorded = append(owed.Recorded, clean(fmt.Sprintf("rollout %s left it due at %s", id, rec.TxAt.UTC().Format("2006-01-02 15:04Z"))))
		}
	}
	if force != "" {
		owed.Recorded = append(owed.Recorded, clean("asked for: "+force))
	}
	switch {
	case len(owed.Reasons()) == 0 && c.facts.Reboot == nil:
		c.entry.Status, c.entry.Detail = planner.StatusUnreadable, "its facts do not tell whether it owes a reboot; run: cpacman facts "+c.host.Name
		return
	case len(owed.Reasons()) == 0:
		c.entry.Status, c.entry.Detail = planner.StatusNothing, "owes no reboot"
		return
	case owed.Boot == "":
		c.entry.Status, c.entry.Detail = planner.StatusUnreadable, "the host does not say which boot it is in, so nothing could prove that it has booted"
		return
	}
	slices.Sort(owed.Host)
	c.entry.Reboot = owed
	c.entry.Impact = planner.Impact{Reboot: true, RebootReasons: owed.Reasons()}
	c.entry.Detail = shortReasons(owed.Reasons())
}

// shortReasons is the first reason, and how many more there are.
func shortReasons(reasons []string) string {
	if len(reasons) == 1 {
		return reasons[0]
	}
	return fmt.Sprintf("%s; and %d more", reasons[0], len(reasons)-1)
}

// clean makes one line of bounded length of what a host or a person wrote.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > 1000 {
		s = strings.ToValidUTF8(s[:1000], "") + "…"
	}
	return s
}
