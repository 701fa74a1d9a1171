package rollout

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"cpacman/inventory"
)

// TestSimulationOfAFleet is one rollout of 100,000 hosts by the real engine, with faults of every kind, waves that stop and are taken
// back, windows, clusters, and an engine that dies: the promises hold after every event, and neither time nor memory grow faster than the
// fleet.
func TestSimulationOfAFleet(t *testing.T) {
	hosts := 100_000
	if os.Getenv("CPACMAN_LONG") == "" { // make long takes all of them
		hosts = 20_000
	}
	if testing.Short() {
		hosts = 5000
	}
	if n, err := strconv.Atoi(os.Getenv("ROLLOUT_HOSTS")); err == nil {
		hosts = n
	}
	begin, cpu := time.Now(), cpuTime()
	sim(t, fmt.Sprintf("%d hosts", hosts), func(t *testing.T) {
		first := time.Now()
		r := fleetRig(t, hosts)
		simulate(t, r)
		t.Logf("%d writes, %d events, virtual time %v, end %v", r.j.written, r.j.told, time.Since(first).Round(time.Minute), count2(r.j.states()))
	})
	peak := peakMemory()
	t.Logf("%v, %v of processor time, %d MB at most", time.Since(begin).Round(time.Second), (cpuTime() - cpu).Round(time.Second), peak>>20)
	if peak > 2<<30 {
		t.Errorf("%d MB of memory were used: 2 GB is the limit", peak>>20)
	}
}

// count2 counts states.
func count2(states map[string]State) map[State]int {
	out := map[State]int{}
	for _, s := range states {
		out[s]++
	}
	return out
}

// fleetRig is a site of many hosts: clusters of ten, one of a hundredth of them, and windows on some.
func fleetRig(t testing.TB, n int) *rig {
	r := newRig(t)
	r.rng = seeded(1)
	rng := r.rng
	r.s.Levels = []LevelSettings{
		{Name: "canary", Waves: amounts(t, "1", "10", "100%"), MaxFailures: amount(t, "20%"), Soak: 10 * time.Minute, Checks: []string{"web"}},
		{Name: "early", Waves: amounts(t, "5%", "25%", "100%"), MaxFailures: amount(t, "8%"), Soak: 5 * time.Minute, Checks: []string{"web"}},
		{Name: "broad", Waves: amounts(t, "1%", "5%", "25%"), MaxFailures: amount(t, "8%"), Soak: 5 * time.Minute, Checks: []string{"web"}},
	}
	rare := []kind{upToDate, sameSet, changed, rebuilt, noKey, stageFails, testFails, retestFails, rpmLocked, lockedByPeer, nothingDone, partial, powerCut,
		red, redLate, redAlways, blind, away, awayOnce, dropStart, dropStarted, noStart, erases, scriptlets, backPartial, backCut, wantsBoot}
	r.s.Windows = map[string]WindowPlan{
		"nightly": {Rule: "FREQ=DAILY", Start: "00:30", Duration: 2 * time.Hour, Zone: "Europe/Berlin"},
		"weekly":  {Rule: "FREQ=WEEKLY;BYDAY=MO,TU", Start: "02:00", Duration: 3 * time.Hour, Zone: "UTC"},
	}
	members := map[string][]string{}
	for i := range n {
		k := plain
		if rng.IntN(50) == 0 {
			k = rare[rng.IntN(len(rare))]
		}
		level := "broad"
		switch {
		case i%1000 == 0:
			level = "canary"
		case i%20 == 0:
			level = "early"
		}
		name := fmt.Sprintf("h%06d", i)
		r.host(level, name, k)
		hs := r.s.Hosts[name]
		if i%3 == 0 {
			hs.Clusters = append(hs.Clusters, fmt.Sprintf("c%d", i/30))
		}
		if i%100 == 7 {
			hs.Clusters = append(hs.Clusters, "big")
		}
		switch rng.IntN(40) {
		case 0:
			hs.Windows = []string{"nightly"}
		case 1:
			hs.Windows = []string{"weekly", "nightly"}
		}
		for _, c := range hs.Clusters {
			members[c] = append(members[c], name)
		}
		r.s.Hosts[name] = hs
	}
	for c, m := range members {
		r.s.Clusters[c] = ClusterSettings{Members: m, MaxUnavailable: amount(t, "20%")}
	}
	r.s.Rollout.MaxFailures, r.s.Rollout.MaxUnreachable, r.s.Rollout.Quorum = amount(t, "5%"), amount(t, "5%"), amount(t, "90%")
	r.s.Rollout.Order = inventory.OrderHash
	r.reversible(inventory.RollbackHost)
	r.s.Limits = Limits{Connections: 2000, Transfers: 500, Transactions: 2000, LockWait: 10 * time.Minute}
	r.build()
	r.j.forgets = true
	r.cfg.Timing.SoakEvery, r.cfg.Timing.PollMax = 2*time.Minute, 20*time.Second
	r.w.rng = seeded(2)
	r.w.sleepOps, r.w.flaky, r.w.txTime = true, 0.001, time.Minute
	r.plan.ExpiresAt = r.plan.ExpiresAt.AddDate(1, 0, 0)
	r.events = func(e *Engine, run int) { r.fleetEvents(e, run, n) }
	return r
}

// fleetEvents kills the first engines, one of them right after its write, lets a person pause and drain others, and has what failed tried again.
func (r *rig) fleetEvents(e *Engine, run, n int) {
	j := r.j
	j.mu.Lock()
	defer j.mu.Unlock()
	switch run {
	case 0:
		j.dieAt = n / 2
	case 1:
		j.dieAt, j.dieAfter = 2*n, true
	case 2:
		time.AfterFunc(3*time.Hour, e.Drain)
	case 3:
		time.AfterFunc(2*time.Hour, func() {
			j.mu.Lock()
			defer j.mu.Unlock()
			j.command(Command{Kind: CommandPause})
		})
	case 4:
		j.command(Command{Kind: CommandRetry})
	}
}

// peakMemory is the most memory that this process had, in bytes; 0 where the kernel does not tell.
func peakMemory() int64 {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if kb, ok := strings.CutPrefix(lines.Text(), "VmHWM:"); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(kb), "kB")), 10, 64)
			return n << 10
		}
	}
	return 0
}
