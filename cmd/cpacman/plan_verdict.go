package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"cpacman/internal/fleet"
	"cpacman/planner"
)

// planVerdict says in words what the plan is worth.
func (s *session) planVerdict(planned *fleet.Planned, out string) error {
	p := planned.Plan
	count := map[planner.HostStatus]int{}
	for _, h := range p.Hosts {
		count[h.Status]++
	}
	expires := ""
	if !p.CreatedAt.IsZero() { // else it is from no facts at all, and there is no time that it could expire at
		expires = ", expires " + p.ExpiresAt.Format("2006-01-02 15:04 MST")
	}
	s.say("plan %.12s: %d of %d hosts have something to do, %d %s solved%s", p.ID, count[planner.StatusPlanned], len(p.Hosts),
		planned.Solutions, plural(planned.Solutions, "configuration", "configurations"), expires)
	for _, st := range slices.Sorted(maps.Keys(count)) {
		if st != planner.StatusPlanned && st != planner.StatusNothing {
			s.say("not planned: %d %s %s", count[st], plural(count[st], "host", "hosts"), st)
		}
	}
	if n := vendorChanges(p); n > 0 {
		s.say("note: %d %s another vendor's; plan show lists them", n, plural(n, "package is replaced by", "packages are replaced by"))
	}
	if n := mostTaken(p); n > 0 {
		s.say("note: what the target does not have is removed: up to %d %s of a host; plan show lists them", n, plural(n, "package", "packages"))
	}
	s.sayOverridden(p, out)
	short := s.sayShort(planned)
	if n := len(p.MissingFiles); n > 0 {
		s.say("warning: %d package %s missing or not as long as the metadata says (first: %s): the plan can be read and not started", n, plural(n, "file is", "files are"), p.MissingFiles[0])
	}
	switch {
	case count[planner.StatusPolicy] > 0:
		return inputError{err: fmt.Errorf("%d %s not planned: policies of equal priority disagree", count[planner.StatusPolicy], plural(count[planner.StatusPolicy], "host is", "hosts are")), hint: equalPolicies}
	case count[planner.StatusUnsolved] > 0:
		return &statusError{status: statusFailed, err: fmt.Errorf("%d hosts could not be solved", count[planner.StatusUnsolved]), hint: "the detail column says why; please report it with the plan's facts"}
	case count[planner.StatusUnreachable] > 0:
		return &statusError{status: statusUnreachable, err: fmt.Errorf("%d of %d hosts could not be reached and are not in the plan", count[planner.StatusUnreachable], len(p.Hosts))}
	case count[planner.StatusPlanned] == 0:
		if short > 0 {
			s.say("nothing that can be done")
			break
		}
		switch nothing := count[planner.StatusNothing]; {
		case nothing == len(p.Hosts):
			s.say("nothing to do")
		case nothing > 0: // nobody knows what the others would have to do
			s.say("nothing to do on the %d %s that could be planned", nothing, plural(nothing, "host", "hosts"))
		default:
			s.say("no host could be planned; the detail column says why")
		}
	case out == "":
		s.say("next: the same with --out plan.json, then: cpacman rollout start plan.json")
	case len(p.Requested.Filter.OverrideHolds) > 0:
		s.say("next: cpacman plan show %s, then: cpacman rollout start %s --emergency --reason TEXT", out, out)
	default:
		s.say("next: cpacman plan show %s, then: cpacman rollout start %s", out, out)
	}
	return nil
}

// sayShort warns of hosts that a plan which leads to a state, or mends, does not take all the way, and tells how many they are.
func (s *session) sayShort(planned *fleet.Planned) int {
	first, why := "", func(h planner.PlanHost) string { return "" }
	switch planned.Plan.Type {
	case planner.TypeRepair:
		why = func(h planner.PlanHost) string { return notMended(planned.Notes[h.Host]) }
	case planner.TypeRollback, planner.TypeLock:
		lacks := map[string]string{} // by set
		for i := range planned.Plan.Sets {
			lacks[planned.Plan.Sets[i].ID] = lackOf(&planned.Plan.Sets[i])
		}
		why = func(h planner.PlanHost) string { return lacks[h.Set] }
	}
	var hosts []string
	for _, h := range planned.Plan.Hosts {
		if w := why(h); w != "" {
			hosts = append(hosts, h.Host)
			first = cmp.Or(first, w)
		}
	}
	if n := len(hosts); n > 0 {
		s.say("warning: %d %s not get all the way (%s): first %s; plan show lists what is held and blocked", n, plural(n, "host does", "hosts do"), someOf(hosts, 5), first)
	}
	return len(hosts)
}

// notMended gives the first note of what stays wrong with a host after a repair; "" for none.
func notMended(notes []string) string {
	for _, n := range notes {
		if strings.HasPrefix(n, planner.NotMended) {
			return n
		}
	}
	return ""
}

// lackOf says what a set that leads to a state does not do; "" for nothing.
func lackOf(set *planner.Set) string {
	for _, b := range set.Blocked {
		return b.NEVRA.String() + ": " + b.Because
	}
	for _, x := range set.Held {
		return x.NEVRA.String() + ": " + strings.Join(x.Because, "; ")
	}
	return ""
}

const equalPolicies = "give one of the policies a larger priority: the larger wins"

// mostTaken counts the packages that a plan which leads to the set of a list or of another host takes from the host that loses most: a list that was cut
// off takes nearly all. Going back takes what came in, which is what was asked for.
func mostTaken(p *planner.Plan) int {
	most := 0
	for i := range p.Sets {
		if p.Type == planner.TypeLock {
			most = max(most, len(p.Sets[i].Remove))
		}
	}
	return most
}
