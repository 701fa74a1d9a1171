package rollout

import (
	"fmt"
	"testing"
)

// TestWorstCaseHolds lets the real engine work on hosts that all fail: no wave has more failures when the rollout stops than was
// said before, and where nothing is random it has exactly as many.
func TestWorstCaseHolds(t *testing.T) {
	for _, c := range []struct {
		name               string
		hosts, connections int
		waves              []string
		level, rollout     string
		sample             int
		strict             bool
		first              int // hosts of the first wave that are good
		worst              []Worst
		whole              int
	}{
		{name: "budget and what is in flight", hosts: 20, connections: 4, waves: []string{"100%"}, level: "2", rollout: "50%", sample: 1,
			worst: []Worst{{Hosts: 6, InFlight: 4, Trips: 3}}, whole: 6},
		{name: "strict", hosts: 20, connections: 4, waves: []string{"100%"}, level: "2", rollout: "50%", sample: 10, strict: true,
			worst: []Worst{{Hosts: 3, InFlight: 3, Trips: 3}}, whole: 3},
		{name: "a share waits for its sample", hosts: 30, connections: 4, waves: []string{"100%"}, level: "10%", rollout: "50%", sample: 10,
			worst: []Worst{{Hosts: 13, InFlight: 4, Trips: 10}}, whole: 13},
		{name: "a wave smaller than the sample", hosts: 6, connections: 4, waves: []string{"100%"}, level: "10%", rollout: "10%", sample: 10,
			worst: []Worst{{Hosts: 6, InFlight: 4}}, whole: 6},
		{name: "the rollout's budget is the smallest", hosts: 20, connections: 4, waves: []string{"100%"}, level: "50%", rollout: "1", sample: 1,
			worst: []Worst{{Hosts: 5, InFlight: 4, Trips: 2}}, whole: 5},
		{name: "one at a time", hosts: 5, connections: 1, waves: []string{"100%"}, level: "0", rollout: "0", sample: 10,
			worst: []Worst{{Hosts: 1, InFlight: 1, Trips: 1}}, whole: 1},
		{name: "two waves", hosts: 12, connections: 8, waves: []string{"2", "100%"}, level: "1", rollout: "10", sample: 1, first: 2,
			worst: []Worst{{Hosts: 2, InFlight: 2, Trips: 2}, {Hosts: 9, InFlight: 8, Trips: 2}}, whole: 10},
	} {
		sim(t, c.name, func(t *testing.T) {
			r := newRig(t)
			for i := range c.hosts {
				k := nothingDone
				if i < c.first {
					k = plain
				}
				r.host("broad", fmt.Sprintf("h%02d", i), k)
			}
			r.s.Levels = []LevelSettings{{Name: "broad", Waves: amounts(t, c.waves...), MaxFailures: amount(t, c.level)}}
			r.s.Rollout.MaxFailures, r.s.Rollout.MinSample, r.s.Rollout.Strict = amount(t, c.rollout), c.sample, c.strict
			r.s.Limits = Limits{Connections: c.connections, Transfers: c.connections, Transactions: c.connections, LockWait: r.s.Limits.LockWait}
			r.build()
			worst, whole := WorstCases(r.req.Schedule, c.connections)
			for i, w := range c.worst {
				got := worst[i]
				if got.Why == "" {
					t.Error("no reason is given")
				}
				if got.Why = ""; got != w {
					t.Errorf("wave %d: %+v, want %+v", i+1, got, w)
				}
			}
			if whole != c.whole {
				t.Errorf("whole %d, want %d", whole, c.whole)
			}
			out, err := r.start()
			r.want(out, err, ExitStopped)
			failed := make([]int, len(r.req.Schedule.Waves))
			for _, h := range r.j.hosts {
				if h.State == StateTxFailed {
					failed[h.Wave]++
				}
			}
			last := 0
			for i, n := range failed {
				if n > worst[i].Hosts {
					t.Errorf("wave %d had %d failures, at most %d were foretold", i+1, n, worst[i].Hosts)
				}
				if n > 0 {
					last = i
				}
			}
			if failed[last] != worst[last].Hosts {
				t.Logf("wave %d: %d failures of at most %d", last+1, failed[last], worst[last].Hosts)
			}
		})
	}
}

func TestRounds(t *testing.T) {
	r := newRig(t)
	r.hosts("broad", 10, plain)
	for i := range 5 {
		r.host("broad", fmt.Sprintf("web%d", i), plain, "front")
	}
	r.s.Levels[1].Waves = amounts(t, "100%")
	sched, err := Resolve(r.plan, r.s)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ connections, limit, want int }{
		{64, 1, 5}, // one member after the other
		{64, 2, 3}, // the first alone, then two by two
		{64, 5, 2},
		{4, 5, 4}, // 15 hosts, four at once
		{0, 5, 15},
	} {
		sched.Clusters[0].MaxUnavailable = c.limit
		if got := sched.Rounds(sched.Waves[0], c.connections); got != c.want {
			t.Errorf("%d connections, %d unavailable: %d rounds, want %d", c.connections, c.limit, got, c.want)
		}
	}
}
