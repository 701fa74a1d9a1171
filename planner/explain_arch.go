package planner

import (
	"slices"
	"strings"
)

// sayArch says of the packages that stay because of the arch rule what lifting that alone would do, where it would move nothing: an operator who writes the
// policy that the rule asks for would wait in vain.
func (u *Universe) sayArch(s *solution, items []ExplainedItem) error {
	var stuck []*ExplainedItem
	free, r := *s.h, *s.r
	free.Policies = slices.Clone(free.Policies)
	for i := range items {
		e := &items[i]
		if s.target != nil || s.refused != "" || e.State != ExplainBlocked || e.Rule != ruleArch || e.Available == nil {
			continue
		}
		if archRank(s.h.Arch, e.Available.Arch) != 0 {
			e.Because = append(e.Because, "allow_arch_change does not lead to "+e.Available.Arch+" on this host, which is "+s.h.Arch)
			continue
		}
		stuck = append(stuck, e)
		rule := Rule{Action: ActionAllowArchChange, Pattern: e.Available.Name, Policy: "lifted"}
		for _, p := range s.h.Policies {
			rule.Priority = max(rule.Priority, p.Priority+1)
		}
		free.Policies = append(free.Policies, rule)
	}
	if len(stuck) == 0 {
		return nil
	}
	lifted, err := u.attempt(&free, &r, "", nil)
	if err != nil {
		return err
	}
	for _, e := range stuck {
		if slices.Contains(lifted.result.Set.Incoming(), *e.Available) {
			continue
		}
		why := "another rule or the request keeps it out too"
		for _, l := range lifted.result.Set.Held {
			if l.Available == *e.Available {
				why = strings.Join(l.Because, "; ")
			}
		}
		for _, b := range lifted.result.Set.Blocked {
			if b.Available == *e.Available && slices.Contains(e.Installed, b.NEVRA) {
				why = b.Because + " (" + b.Rule + ")"
			}
		}
		e.Because = append(e.Because, "allow_arch_change alone would not bring it in: "+why)
	}
	return u.Err()
}
