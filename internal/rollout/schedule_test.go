package rollout

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cpacman/inventory"
	"cpacman/planner"
)

func TestWaves(t *testing.T) {
	for _, c := range []struct {
		n     int
		waves []string
		want  []int
	}{
		{1, []string{"5%", "25%", "100%"}, []int{1}},
		{2, []string{"5%", "25%", "100%"}, []int{1, 1}},
		{3, []string{"5%", "25%", "100%"}, []int{1, 1, 1}},
		{4, []string{"5%", "25%", "100%"}, []int{1, 1, 2}},
		{10, []string{"5%", "25%", "100%"}, []int{1, 3, 6}},
		{40, []string{"5%", "25%", "100%"}, []int{2, 10, 28}},
		{40, []string{"1", "5", "25%"}, []int{1, 5, 10, 10, 10, 4}},
		{3, []string{"1"}, []int{1, 1, 1}},
		{4, []string{"3"}, []int{3, 1}},
		{2, []string{"100%"}, []int{2}},
		{10, []string{"50%"}, []int{5, 5}},
		{3, []string{"50%"}, []int{2, 1}},
	} {
		t.Run(fmt.Sprintf("%d by %v", c.n, c.waves), func(t *testing.T) {
			r := newRig(t)
			r.hosts("broad", c.n, plain)
			r.s.Levels[1].Waves = amounts(t, c.waves...)
			s, err := Resolve(r.plan, r.s)
			if err != nil {
				t.Fatal(err)
			}
			var got []int
			for _, w := range s.Waves {
				got = append(got, len(w.Hosts))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("waves of %v, want %v", got, c.want)
			}
		})
	}
}

func TestIntegers(t *testing.T) {
	for _, c := range []struct {
		n                                   int
		budget, quorum                      string
		wantWave, wantAll, wantQ, wantLevel int
	}{
		{1, "2%", "90%", 1, 1, 1, 1},
		{2, "0", "90%", 0, 1, 2, 0},
		{3, "0%", "50%", 0, 1, 2, 0},
		{4, "50%", "100%", 2, 1, 4, 2},
		{10, "25%", "91%", 2, 1, 10, 2},
		{40, "10%", "90%", 4, 2, 36, 4},
		{40, "3", "0", 3, 2, 0, 3},
	} {
		r := newRig(t)
		r.hosts("broad", c.n, plain)
		r.s.Levels[1].Waves, r.s.Levels[1].MaxFailures = amounts(t, "100%"), amount(t, c.budget)
		r.s.Rollout.Quorum = amount(t, c.quorum)
		s, err := Resolve(r.plan, r.s)
		if err != nil {
			t.Fatal(err)
		}
		if s.Waves[0].Budget.Max != c.wantWave || s.Budget.Max != c.wantAll || s.Quorum != c.wantQ || s.Levels[0].Budget.Max != c.wantLevel {
			t.Errorf("%d hosts, %s, quorum %s: wave %d, level %d, rollout %d, quorum %d", c.n, c.budget, c.quorum,
				s.Waves[0].Budget.Max, s.Levels[0].Budget.Max, s.Budget.Max, s.Quorum)
		}
	}
}

func TestOrderOfClassesAndLevels(t *testing.T) {
	r := newRig(t)
	r.s.Classes = []ClassSettings{{Name: "test"}, {Name: "prod", Approve: 1}}
	for _, h := range [][3]string{{"broad", "pb", "prod"}, {"canary", "pc", "prod"}, {"broad", "tb", "test"}, {"canary", "tc", "test"}} {
		r.host(h[0], h[1], plain)
		r.plan.Hosts[len(r.plan.Hosts)-1].Class = h[2]
	}
	r.plan.Hosts = append(r.plan.Hosts, planner.PlanHost{Host: "old", Status: planner.StatusStale, Detail: "facts are 3 days old"})
	s, err := Resolve(r.plan, r.s)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range s.Waves {
		got = append(got, w.Hosts...)
	}
	if want := []string{"tc", "tb", "pc", "pb"}; !slices.Equal(got, want) {
		t.Errorf("order %v, want %v", got, want)
	}
	if s.Levels[2].ClassApprove != 1 || s.Levels[3].ClassApprove != 0 {
		t.Errorf("class gates %+v", s.Levels)
	}
	if len(s.Excluded) != 1 || s.Excluded[0].Host != "old" {
		t.Errorf("excluded %+v", s.Excluded)
	}
}

func TestHashOrderDependsOnThePlan(t *testing.T) {
	order := func(plan string) []string {
		r := newRig(t)
		r.hosts("broad", 40, plain)
		r.s.Rollout.Order, r.plan.ID = inventory.OrderHash, plan
		s, err := Resolve(r.plan, r.s)
		if err != nil {
			t.Fatal(err)
		}
		return slices.Concat(s.Waves[0].Hosts, s.Waves[1].Hosts)
	}
	if !slices.Equal(order("a"), order("a")) {
		t.Error("the same plan gives another order")
	}
	if slices.Equal(order("a"), order("b")) {
		t.Error("another plan gives the same order")
	}
}

func TestDigestBindsWhatWasApproved(t *testing.T) {
	resolve := func(spoil func(r *rig)) string {
		r := newRig(t)
		r.hosts("canary", 2, plain)
		r.host("broad", "x", plain, "front")
		spoil(r)
		s, err := Resolve(r.plan, r.s)
		if err != nil {
			t.Fatal(err)
		}
		if !s.Valid() {
			t.Error("a fresh schedule is not valid")
		}
		b, _ := json.Marshal(s)
		var back Schedule
		if err := json.Unmarshal(b, &back); err != nil || !back.Valid() {
			t.Errorf("not valid after a round trip through the journal: %v", err)
		}
		return s.Digest
	}
	base := resolve(func(*rig) {})
	if base != resolve(func(*rig) {}) {
		t.Error("the digest is not stable")
	}
	if base != resolve(func(r *rig) { r.s.Limits.Connections = 3 }) {
		t.Error("a limit voids an approval; limits are how fast, not what")
	}
	for name, spoil := range map[string]func(r *rig){
		"plan":   func(r *rig) { r.plan.ID = "other" },
		"soak":   func(r *rig) { r.s.Levels[0].Soak = time.Second },
		"budget": func(r *rig) { r.s.Levels[0].MaxFailures = inventory.Count(9) },
		"waves":  func(r *rig) { r.s.Levels[0].Waves = []inventory.Amount{inventory.Count(2)} },
		"check":  func(r *rig) { r.s.Checks["web"] = Check{Definition: json.RawMessage(`{"tcp":"a:1"}`)} },
		"quorum": func(r *rig) { r.s.Rollout.Quorum = inventory.Count(1) },
		"cluster": func(r *rig) {
			r.s.Clusters["front"] = ClusterSettings{MaxUnavailable: inventory.Count(7), Members: []string{"x"}}
		},
		"approval": func(r *rig) { r.s.Levels[1].Approve = 1 },
		"host":     func(r *rig) { r.plan.Hosts[0].InstalledDigest = "z" },
	} {
		if resolve(spoil) == base {
			t.Errorf("%s is not bound", name)
		}
	}
}

func TestResolveRefuses(t *testing.T) {
	for want, spoil := range map[string]func(r *rig){
		`rollback = "some" is not never`: func(r *rig) { r.s.Rollout.Rollback = "some" },
		"has no waves":                   func(r *rig) { r.s.Levels[0].Waves = nil },
		`level "gone"`:                   func(r *rig) { r.plan.Hosts[0].Level = "gone" },
		`class "gone"`:                   func(r *rig) { r.plan.Hosts[0].Class = "gone" },
		`no set "gone"`:                  func(r *rig) { r.plan.Hosts[0].Set = "gone" },
		"twice":                          func(r *rig) { r.plan.Hosts = append(r.plan.Hosts, r.plan.Hosts[0]) },
		`health check "gone"`:            func(r *rig) { r.s.Levels[1].Checks = []string{"gone"} },
		`cluster "gone"`:                 func(r *rig) { r.s.Hosts["broad00"] = HostSettings{Clusters: []string{"gone"}} },
		"at least 1":                     func(r *rig) { r.s.Limits.Transfers = 0 },
		"is not defer":                   func(r *rig) { r.s.Rollout.Unreachable = "maybe" },
	} {
		r := newRig(t)
		r.hosts("broad", 2, plain)
		spoil(r)
		if _, err := Resolve(r.plan, r.s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

// TestScheduleLaws: every host of the plan is in exactly one wave; of two members of a cluster in one level, none comes in its
// third round before another cluster mate had its second; budgets never exceed their scope unless written as a count.
func TestScheduleLaws(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := newRig(t)
		n := rapid.IntRange(1, 60).Draw(rt, "hosts")
		for i := range n {
			var clusters []string
			if c := rapid.IntRange(0, 5).Draw(rt, "cluster"); c > 0 {
				clusters = []string{fmt.Sprint("c", c)}
			}
			r.host(rapid.SampledFrom([]string{"canary", "broad"}).Draw(rt, "level"), fmt.Sprintf("h%02d", i), plain, clusters...)
		}
		p := rapid.IntRange(0, 100).Draw(rt, "percent")
		r.s.Levels[1].Waves = amounts(t, fmt.Sprintf("%d%%", p), "100%")
		r.s.Levels[1].MaxFailures = amount(t, fmt.Sprintf("%d%%", p))
		r.s.Rollout.Order = inventory.OrderHash
		s, err := Resolve(r.plan, r.s)
		if err != nil {
			rt.Fatal(err)
		}
		seen := map[string]bool{}
		placed := map[[2]string]int{} // level, cluster → members so far
		round := map[int]int{}        // level → the round reached
		for _, w := range s.Waves {
			if len(w.Hosts) == 0 || w.Budget.Percent && w.Budget.Max > len(w.Hosts) {
				rt.Fatalf("wave %+v", w)
			}
			for _, h := range w.Hosts {
				if seen[h] || s.Host[h].Wave != w.Index {
					rt.Fatalf("%s twice or with another wave", h)
				}
				seen[h] = true
				now := 0
				for _, c := range s.Host[h].Clusters {
					key := [2]string{fmt.Sprint(w.Level), c}
					now = placed[key]
					placed[key]++
				}
				if now < round[w.Level] {
					rt.Fatalf("%s of round %d comes after round %d has begun", h, now, round[w.Level])
				}
				round[w.Level] = now
			}
		}
		if len(seen) != n || s.Hosts != n {
			rt.Fatalf("%d of %d hosts are in waves", len(seen), n)
		}
	})
}
