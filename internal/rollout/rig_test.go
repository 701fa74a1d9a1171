package rollout

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"cpacman/internal/rpm"
	"cpacman/inventory"
	"cpacman/planner"
)

func amount(t testing.TB, s string) inventory.Amount {
	t.Helper()
	a, err := inventory.ParseAmount(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func amounts(t testing.TB, list ...string) []inventory.Amount {
	t.Helper()
	var out []inventory.Amount
	for _, s := range list {
		out = append(out, amount(t, s))
	}
	return out
}

// rig is a site, a plan and a world, for one rollout.
type rig struct {
	t     testing.TB
	s     Settings
	plan  *planner.Plan
	kinds map[string]kind
	w     *world
	j     *memJournal
	cfg   Config
	req   StartRequest

	rng      *rand.Rand               // of a simulation
	spoil    func(*rules)             // breaks a rule of each engine
	events   func(e *Engine, run int) // what happens to each run of a simulation; nil: disturb
	amending float64                  // how often hosts are amended between two runs of a simulation, 0 to 1
	dieNext  int                      // the write at which the next engine of a simulation dies; 0: as disturb will
	slowly   bool                     // days are waited for: commands are asked for once a minute
}

// newRig has one class "prod" with the levels canary (waves of 1) and broad, soak 5 minutes, check "web", budgets 0.
func newRig(t testing.TB) *rig {
	r := &rig{t: t, kinds: map[string]kind{}}
	r.s = Settings{
		Classes: []ClassSettings{{Name: "prod"}},
		Levels: []LevelSettings{
			{Name: "canary", Waves: amounts(t, "1"), MaxFailures: amount(t, "0"), Soak: 5 * time.Minute, Checks: []string{"web"}},
			{Name: "broad", Waves: amounts(t, "25%", "100%"), MaxFailures: amount(t, "0"), Soak: 5 * time.Minute, Checks: []string{"web"}},
		},
		Rollout: RolloutSettings{
			MaxFailures: amount(t, "5%"), MaxUnreachable: amount(t, "5%"), MinSample: 10, Quorum: amount(t, "50%"),
			Unreachable: inventory.UnreachableDefer, Order: inventory.OrderInventory, Rollback: inventory.RollbackNever,
		},
		Limits:   Limits{Connections: 8, Transfers: 4, Transactions: 4, LockWait: time.Minute},
		Checks:   map[string]Check{"web": {Interval: 5 * time.Second, Passes: 2, Deadline: time.Minute}},
		Hosts:    map[string]HostSettings{},
		Clusters: map[string]ClusterSettings{},
	}
	r.plan = &planner.Plan{
		Format: planner.PlanFormat, ID: "plan-1", Type: planner.TypeUpdate,
		ExpiresAt: time.Now().Add(7 * 24 * time.Hour),
		Sets:      []planner.Set{{ID: "s1", Upgrade: []planner.Move{{From: rpm.NEVRA{}, To: rpm.NEVRA{}}}}},
	}
	return r
}

// host adds a host.
func (r *rig) host(level, name string, k kind, clusters ...string) {
	r.kinds[name] = k
	r.plan.Hosts = append(r.plan.Hosts, planner.PlanHost{
		Host: name, MachineID: "m-" + name, Class: "prod", Level: level, Set: "s1", Status: planner.StatusPlanned, InstalledDigest: "old",
	})
	r.s.Hosts[name] = HostSettings{Clusters: clusters}
	for _, c := range clusters {
		cs := r.s.Clusters[c]
		cs.Members = append(cs.Members, name)
		if cs.MaxUnavailable == (inventory.Amount{}) {
			cs.MaxUnavailable = inventory.Count(1)
		}
		r.s.Clusters[c] = cs
	}
}

func (r *rig) hosts(level string, n int, k kind) {
	for i := range n {
		r.host(level, fmt.Sprintf("%s%02d", level, i), k)
	}
}

// build makes world, journal and configuration.
func (r *rig) build() {
	r.t.Helper()
	sched, err := Resolve(r.plan, r.s)
	if err != nil {
		r.t.Fatal(err)
	}
	r.w = newWorld(r.kinds)
	r.j = &memJournal{w: r.w}
	r.w.journal = r.j
	r.cfg = Config{
		Fleet: r.w, Rechecker: r.w, Health: r.w, Hooks: r.w, Availability: r.w, Journal: r.j, Commands: r.j, Leases: r.j,
		Clock: SystemClock{}, Owner: Owner{User: "ann", Host: "ops1", PID: 1}, Limits: r.s.Limits,
	}
	if r.slowly {
		r.cfg.Timing.CommandPoll = time.Minute
	}
	r.req = StartRequest{RolloutID: "r1", Plan: r.plan, Schedule: sched}
}

// later lets somebody want something of the rollout after a while.
func (r *rig) later(d time.Duration, c Command) {
	time.AfterFunc(d, func() {
		r.j.mu.Lock()
		defer r.j.mu.Unlock()
		r.j.command(c)
	})
}

func (r *rig) start() (Outcome, error) { return New(r.cfg).Start(context.Background(), r.req) }

func (r *rig) resume() (Outcome, error) {
	return New(r.cfg).Resume(context.Background(), "r1", ResumeRequest{User: "ann"})
}

// mustStart runs and wants an exit.
func (r *rig) mustStart(want Exit) Outcome {
	r.t.Helper()
	out, err := r.start()
	return r.want(out, err, want)
}

func (r *rig) mustResume(want Exit) Outcome {
	r.t.Helper()
	out, err := r.resume()
	return r.want(out, err, want)
}

func (r *rig) want(out Outcome, err error, want Exit) Outcome {
	r.t.Helper()
	if err != nil {
		r.t.Fatalf("%v", err)
	}
	if out.Exit != want {
		r.t.Fatalf("exit %s, want %s; stop %+v, hosts %v", out.Exit, want, out.Rollout.Stop, r.j.states())
	}
	r.promises()
	return out
}

// promises fails the test when one was broken.
func (r *rig) promises() {
	r.t.Helper()
	for _, b := range r.w.broken {
		r.t.Error("broken promise: " + b)
	}
}

// is checks states of hosts.
func (r *rig) is(want map[string]State) {
	r.t.Helper()
	got := r.j.states()
	for h, s := range want {
		if got[h] != s {
			r.t.Errorf("%s is %s (%s), want %s", h, got[h], r.j.hosts[h].Reason.Text, s)
		}
	}
}
