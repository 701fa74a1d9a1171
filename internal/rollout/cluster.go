package rollout

import (
	"fmt"
	"slices"
	"strings"
)

// floor tells which cluster cannot spare a host, or "".
func (r *run) floor(host string) string { return r.rules.floor(r, host) }

// askFloor is floor. It is asked while the host's own lock is held. Members that this
// rollout works on, or left red, unreachable or held, are counted from its own records; all others are asked for.
func (r *run) askFloor(host string) string {
	for _, c := range r.sched.clustersOf(host) {
		missing, others := r.missing(c, host)
		if why := overFloor(c, missing); why != "" {
			return why
		}
		for _, m := range others {
			why, err := r.cfg.Availability.Unavailable(r.ctx, m)
			if r.ctx.Err() != nil {
				return "detached"
			}
			if err != nil {
				why = "not known: " + err.Error()
			}
			if why == "" {
				continue
			}
			missing = append(missing, m+" ("+why+")")
			if why := overFloor(c, missing); why != "" {
				return why
			}
		}
	}
	return ""
}

// missingNow names the members of a host's clusters that are unavailable by our own records: while it is the same, floor's answer is.
func (r *run) missingNow(host string) string {
	all := ""
	for _, c := range r.sched.clustersOf(host) {
		missing, _ := r.missing(c, host)
		all += c.Name + ": " + joined(missing) + "\n"
	}
	return all
}

// clustersOf gives the clusters of a host, by name.
func (s *Schedule) clustersOf(host string) []ClusterPlan {
	names := s.Host[host].Clusters
	out := make([]ClusterPlan, 0, len(names))
	for _, n := range names {
		if i, ok := slices.BinarySearchFunc(s.Clusters, n, func(c ClusterPlan, n string) int { return strings.Compare(c.Name, n) }); ok {
			out = append(out, s.Clusters[i])
		}
	}
	slices.SortFunc(out, func(a, b ClusterPlan) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// missing lists the members that are unavailable by our own records, and those of which we know nothing.
func (r *run) missing(c ClusterPlan, host string) (missing, others []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range c.Members {
		if m == host {
			continue
		}
		rec, ours := r.hosts[m]
		if ours && r.tally.unavailable(r.m.info[rec.State]) {
			missing = append(missing, m+" ("+string(rec.State)+")")
			continue
		}
		others = append(others, m)
	}
	return missing, others
}

// overFloor tells that with one more host too many would be missing.
func overFloor(c ClusterPlan, missing []string) string {
	if len(missing)+1 <= c.MaxUnavailable {
		return ""
	}
	if len(missing) == 0 {
		return fmt.Sprintf("cluster %s allows no member to be unavailable", c.Name)
	}
	shown := missing
	if len(shown) > 5 {
		shown = shown[:5]
	}
	return fmt.Sprintf("cluster %s: %d of at most %d members are unavailable: %s", c.Name, len(missing), c.MaxUnavailable, joined(shown))
}

func joined(names []string) string {
	s := ""
	for i, n := range names {
		if i > 0 {
			s += ", "
		}
		s += n
	}
	return s
}
