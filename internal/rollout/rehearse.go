package rollout

// Worst is the worst case of one wave: how many of its hosts can have failed when the rollout stops, counted with everything that
// is at work by then. It takes for granted that every host fails that can, as late as can be.
type Worst struct {
	Hosts    int    `json:"hosts"`     // at most so many of this wave
	InFlight int    `json:"in_flight"` // hosts at work at once
	Trips    int    `json:"trips"`     // the failure that stops it; 0: only its gate does
	Why      string `json:"why"`       // which budget that is
}

// WorstCases gives the worst case of every wave, each as if no host had failed before it, and of the whole rollout. Lost hosts stop
// a rollout at once, so failures of every other kind are what is counted. connections is how many hosts are worked on at once.
func WorstCases(s Schedule, connections int) (waves []Worst, whole int) {
	ended := map[int]int{} // hosts of earlier waves, by level
	before, allowed := 0, 0
	for _, w := range s.Waves {
		worst := s.worst(w, connections, ended[w.Level], before)
		waves = append(waves, worst)
		whole = max(whole, min(allowed+worst.Hosts, s.worstOfAll(worst.InFlight)))
		allowed += min(w.Budget.Max, len(w.Hosts)) // what a wave may have failed and its gate opens all the same
		before += len(w.Hosts)
		ended[w.Level] += len(w.Hosts)
	}
	return waves, whole
}

// worst is that of one wave. A budget trips with the first failure above it; one that is a share does so only once MinSample hosts
// of its scope have ended, earlier waves included, unless strict counts one by one.
func (s Schedule) worst(w WavePlan, connections, endedLevel, endedAll int) Worst {
	n := len(w.Hosts)
	level := s.Levels[w.Level]
	out := Worst{InFlight: min(n, max(connections, 1))}
	for _, scope := range [...]struct {
		name  string
		b     Budget
		ended int
	}{{"the wave's", w.Budget, 0}, {"the level's", level.Budget, endedLevel}, {"the rollout's", s.Budget, endedAll}} {
		if at := s.tripsAt(scope.b, scope.ended); at <= n && (out.Trips == 0 || at < out.Trips) {
			out.Trips, out.Why = at, scope.name+" budget of "+scope.b.String()
		}
	}
	switch {
	case out.Trips == 0:
		out.Hosts, out.Why = n, "only the gate after it stops the rollout"
	case s.Strict:
		// No more hosts at work than could fail with one over the budget: at no time can failures exceed it by more.
		out.InFlight = min(out.InFlight, out.Trips)
		out.Hosts = out.Trips
	default:
		out.Hosts = min(n, out.Trips+out.InFlight-1)
	}
	return out
}

// tripsAt is the failure that exceeds a budget while a wave runs, when ended hosts of its scope had ended well before.
func (s Schedule) tripsAt(b Budget, ended int) int {
	at := b.Max + 1
	if b.Percent && !s.Strict {
		at = max(at, s.MinSample-ended)
	}
	return at
}

// worstOfAll bounds the failures of the whole rollout by its own budget.
func (s Schedule) worstOfAll(inFlight int) int {
	at := s.tripsAt(s.Budget, 0)
	if s.Strict {
		return min(s.Hosts, at)
	}
	return min(s.Hosts, at+inFlight-1)
}

// Rounds is how many times in a row a wave has to wait for a host to end, when it works on as many as it may: bounded by
// connections and by clusters, whose first member goes alone and whose others go as their floor allows.
func (s Schedule) Rounds(w WavePlan, connections int) int {
	n := len(w.Hosts)
	parallel := max(connections, 1)
	if s.Strict {
		parallel = min(parallel, s.worst(w, connections, 0, 0).InFlight)
	}
	rounds := (n + parallel - 1) / parallel
	for _, c := range s.Clusters {
		here, earlier := 0, false
		for _, m := range c.Members {
			hp, ours := s.Host[m]
			switch {
			case ours && hp.Wave == w.Index:
				here++
			case ours && hp.Wave < w.Index:
				earlier = true
			}
		}
		if here == 0 || c.MaxUnavailable == 0 {
			continue
		}
		alone := 0
		if !earlier {
			alone = 1
		}
		rounds = max(rounds, alone+(here-alone+c.MaxUnavailable-1)/c.MaxUnavailable)
	}
	return rounds
}
