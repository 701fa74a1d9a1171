package rollout

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"cpacman/inventory"
	"cpacman/planner"
)

// simulations is how many seeded rollouts TestSimulation runs.
const simulations = 1000

// TestSimulation drives the real engine over random fleets with random faults: connections that drop in any call, slow and
// dead hosts, lying checks, operators, and engines that die at random writes. The promises are checked by the journal and the
// world after every event; at the end every host must be in exactly one final state.
func TestSimulation(t *testing.T) {
	n := simulations
	if testing.Short() {
		n = 50
	}
	if os.Getenv("ROLLOUT_SEED") != "" {
		seed, err := strconv.ParseUint(os.Getenv("ROLLOUT_SEED"), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		sim(t, fmt.Sprintf("seed %d", seed), func(t *testing.T) { simulate(t, restarting(t, randomRig(t, seeded(seed)), seed)) })
		return
	}
	for seed := range uint64(n) {
		sim(t, fmt.Sprintf("seed %d", seed), func(t *testing.T) { simulate(t, restarting(t, randomRig(t, seeded(seed)), seed)) })
		if t.Failed() {
			return
		}
	}
}

// restarting lets half of the seeds restart services, on hosts that have stale ones.
func restarting(t testing.TB, r *rig, seed uint64) *rig {
	r.s.Rollout.Restart = []inventory.RestartMode{inventory.RestartNever, inventory.RestartNeeded}[seed%2]
	for i, h := range sortedKeys(r.kinds) {
		if seed%2 == 1 && (uint64(i)+seed)%13 == 0 && r.kinds[h] == plain {
			r.kinds[h] = []kind{stale, staleBoot, staleStays, restartFails, goneRestart, forgetsNow}[(uint64(i)+seed)/13%6]
			r.w.hosts[h].kind = r.kinds[h]
		}
	}
	sched, err := Resolve(r.plan, r.s)
	if err != nil {
		t.Fatal(err)
	}
	r.req.Schedule = sched
	return r
}

func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 42)) }

// longestRun is how long one run of the engine may take in virtual time: five hundred hosts that are slow one after the other do not
// come near it. What takes longer goes round in a circle.
const longestRun = 400 * 24 * time.Hour

// simulate drives a rollout to its end, through deaths of its engine, operators and repairs.
func simulate(t testing.TB, r *rig) {
	ctx, cancel := context.WithTimeout(context.Background(), 100*longestRun)
	defer cancel()
	r.w.onBreak = cancel // what follows a broken promise says nothing more
	var out Outcome
	var err error
	for run := range 300 {
		e := New(r.cfg)
		if r.spoil != nil {
			r.spoil(&e.rules)
		}
		if r.events == nil {
			r.disturb(r.rng, e, run)
		} else {
			r.events(e, run)
		}
		one, end := context.WithTimeout(ctx, longestRun)
		if run == 0 {
			out, err = e.Start(one, r.req)
		} else {
			out, err = e.Resume(one, "r1", ResumeRequest{User: "ann"})
		}
		stuck := one.Err() != nil
		end()
		r.promises()
		if t.Failed() {
			return
		}
		var pe *TransitionError
		switch {
		case stuck:
			t.Fatalf("run %d does not end in %v: %s, stop %+v, %v", run, longestRun, r.j.ro.State, r.j.ro.Stop, r.j.states())
		case errors.As(err, &pe), err != nil && !errors.Is(err, errDead) && !errors.Is(err, ErrAborted):
			t.Fatalf("run %d: %v", run, err)
		case errors.Is(err, ErrAborted), err == nil && out.Exit != ExitInterrupted && (out.Rollout.State == RolloutDone || out.Rollout.State == RolloutAborted):
			r.atTheEnd(out)
			return
		case err == nil && out.Exit == ExitStopped && run > 5:
			r.repair()
		}
		r.j.revive()
		r.amendSome(run)
		time.Sleep(time.Duration(r.rng.IntN(30)) * time.Minute)
		if stop := r.j.ro.Stop; stop.Code == ReasonWindow && r.rng.IntN(3) > 0 {
			r.sleepUntilOpen(stop.Host)
		}
	}
	t.Fatalf("does not come to an end: %s %+v, %v", out.Exit, out.Rollout.Stop, r.j.states())
}

// randomRig makes a fleet of up to 50 hosts.
func randomRig(t testing.TB, rng *rand.Rand) *rig {
	r := newRig(t)
	r.rng = rng
	all := []kind{upToDate, sameSet, changed, rebuilt, noKey, stageFails, testFails, retestFails, rpmLocked, lockedByPeer, peerHasIt, peerKeepsIt, peerErase, peerNoErase, peerStart,
		nothingDone, partial, powerCut, powerCutHalf, red, redLate, redAlways, blind, away, awayOnce, dropStart, dropStarted, gone, forgets,
		noStart, erases, scriptlets, cutOff, backRefused, backPartial, backCut, late, wantsBoot, noReturn, noSwitch, goneConfirm, eraseFails, occupied, occupiedLong,
		peerSame, peerNothing, peerChanged, peerInTest, peerMidTest, peerLate, peerRestless}
	faulty := rng.Float64() * 0.4
	size := 50
	if rng.IntN(50) == 0 {
		size = 500
	}
	for i := range 1 + rng.IntN(size) {
		k := plain
		if rng.Float64() < faulty {
			k = all[rng.IntN(len(all))]
		}
		var clusters []string
		for range rng.IntN(3) {
			clusters = union(clusters, []string{fmt.Sprintf("c%d", rng.IntN(6))})
		}
		r.host([]string{"canary", "broad", "broad"}[rng.IntN(3)], fmt.Sprintf("h%02d", i), k, clusters...)
	}
	if rng.IntN(2) == 0 {
		r.reversible([]inventory.RollbackMode{inventory.RollbackHost, inventory.RollbackWave, inventory.RollbackLevel}[rng.IntN(3)])
	}
	if rng.IntN(3) == 0 {
		r.armed(time.Duration(1+rng.IntN(10)) * time.Minute)
	}
	r.s.Rollout.Reboot = []inventory.RebootMode{inventory.RebootNever, inventory.RebootNeeded}[rng.IntN(2)]
	fails := map[string]bool{}
	for _, when := range []inventory.HookWhen{inventory.BeforeHost, inventory.AfterHost, inventory.BeforeWave, inventory.AfterWave, inventory.BeforeLevel,
		inventory.AfterLevel, inventory.BeforeRollout, inventory.AfterRollout} {
		if rng.IntN(4) == 0 {
			r.hook(string(when), when)
			fails[fmt.Sprintf("%s h%02d", when, rng.IntN(50))] = true
		}
	}
	r.randomWindows(rng)
	pick := func(s ...string) inventory.Amount { return amount(t, s[rng.IntN(len(s))]) }
	for name, c := range r.s.Clusters {
		c.MaxUnavailable = pick("1", "1", "2", "40%")
		c.Members = append(c.Members, "outside-"+name)
		r.s.Clusters[name] = c
	}
	for i := range r.s.Levels {
		r.s.Levels[i].MaxFailures = pick("0", "1", "3", "20%", "100%")
		r.s.Levels[i].Soak = time.Duration(rng.IntN(20)) * time.Minute
		r.s.Levels[i].Approve = rng.IntN(2)
	}
	r.s.Rollout.MaxFailures, r.s.Rollout.MaxUnreachable = pick("1", "5", "10%", "100%"), pick("1", "5", "100%")
	r.s.Rollout.Quorum = pick("0", "10%", "90%")
	r.s.Rollout.Strict = rng.IntN(2) == 0
	r.s.Rollout.Order = []inventory.OrderMode{inventory.OrderHash, inventory.OrderInventory}[rng.IntN(2)]
	r.s.Rollout.Unreachable = []inventory.UnreachableMode{inventory.UnreachableDefer, inventory.UnreachableFail, inventory.UnreachableIgnore}[rng.IntN(3)]
	r.s.Limits = Limits{Connections: 1 + rng.IntN(20), Transfers: 1 + rng.IntN(5), Transactions: 1 + rng.IntN(10), LockWait: time.Minute}
	if rng.IntN(4) == 0 {
		var waive []string
		for i := range r.s.Levels {
			if l := r.s.Levels[i]; l.Approve > 0 && rng.IntN(2) == 0 && slices.ContainsFunc(r.plan.Hosts, func(h planner.PlanHost) bool { return h.Level == l.Name }) {
				waive = append(waive, "level prod/"+l.Name)
			}
		}
		r.hurry(waive...)
	}
	r.build()
	if r.s.Emergency != nil {
		r.req.Reason = r.s.Emergency.Reason
		r.emergencyPromises()
	}
	var mu sync.Mutex
	jitter := rand.New(rand.NewPCG(rng.Uint64(), 2))
	r.cfg.Jitter = func() float64 {
		mu.Lock()
		defer mu.Unlock()
		return jitter.Float64()
	}
	r.cfg.Timing.CommandPoll = 10 * time.Second
	r.w.rng = rand.New(rand.NewPCG(rng.Uint64(), 1))
	r.w.sleepOps, r.w.flaky = true, []float64{0, 0, 0.01, 0.05}[rng.IntN(4)]
	r.w.hooks.fails = fails
	r.w.txTime = time.Duration(rng.IntN(45)) * time.Minute
	for name := range r.s.Clusters {
		if rng.IntN(4) == 0 {
			r.w.outside["outside-"+name] = "down"
		}
	}
	r.plan.ExpiresAt = r.plan.ExpiresAt.AddDate(1, 0, 0)
	r.amending = []float64{0, 0, 0, 0, 0.3, 1}[rng.IntN(6)] // an amendment takes long
	return r
}

// TestSimulationOfReboots is TestSimulation of rollouts that only boot hosts.
func TestSimulationOfReboots(t *testing.T) {
	n := simulations / 4
	if testing.Short() {
		n = 25
	}
	for seed := range n {
		sim(t, fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(uint64(seed), 43))
			r := randomRig(t, rng)
			for h, k := range r.kinds {
				switch k { // what cannot happen without a transaction is left out
				case plain, upToDate, rebuilt, noKey, lockedByPeer, red, redLate, redAlways, blind, away, awayOnce, noReturn, goneConfirm:
				default:
					r.kinds[h] = plain
				}
			}
			r.s.Emergency = nil // one erratum is never a plan of reboots
			r.s.Limits.Reboots = rng.IntN(6)
			r.reboots()
			flaky, outside := r.w.flaky, r.w.outside
			cfg, rng2, fails := r.cfg, r.w.rng, r.w.hooks.fails
			r.build()
			r.cfg.Jitter, r.cfg.Timing = cfg.Jitter, cfg.Timing
			r.w.rng, r.w.sleepOps, r.w.flaky, r.w.outside, r.w.hooks.fails = rng2, true, flaky, outside, fails
			r.rebooting()
			simulate(t, r)
			if limit := r.s.Limits.Reboots; limit > 0 && r.w.booting > limit+1 && !t.Failed() {
				t.Errorf("%d hosts booted at once, %d may", r.w.booting, limit)
			}
		})
		if t.Failed() {
			return
		}
	}
}

// randomWindows gives some hosts of half of the fleets up to two maintenance windows.
func (r *rig) randomWindows(rng *rand.Rand) {
	if rng.IntN(2) == 0 {
		return
	}
	zones := []string{"UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"}
	r.s.Windows = map[string]WindowPlan{}
	for i := range 3 {
		hours, minutes := 24, 600
		if rng.IntN(2) == 0 { // open at the start, and short: it closes while hosts are at work
			hours, minutes = 1, 30
		}
		r.s.Windows[fmt.Sprintf("w%d", i)] = WindowPlan{
			Rule:  []string{"FREQ=DAILY", "FREQ=WEEKLY;BYDAY=MO,TU,TH,SA", "FREQ=DAILY;INTERVAL=2"}[rng.IntN(3)],
			Start: fmt.Sprintf("%02d:%02d", rng.IntN(hours), rng.IntN(60)*hours/24), Duration: time.Duration(5+rng.IntN(minutes)) * time.Minute,
			Zone: zones[rng.IntN(len(zones))*hours/24],
		}
	}
	for _, h := range sortedKeys(r.s.Hosts) {
		hs := r.s.Hosts[h]
		for range rng.IntN(3) {
			hs.Windows = union(hs.Windows, []string{fmt.Sprintf("w%d", rng.IntN(3))})
		}
		r.s.Hosts[h] = hs
	}
}

// sleepUntilOpen is an operator who comes back when a host's window has opened.
func (r *rig) sleepUntilOpen(host string) {
	r.t.Helper()
	c, err := NewCalendar(&r.j.schedule)
	if err != nil {
		r.t.Fatal(err)
	}
	if from, _, ok := c.Next(host, time.Now()); ok {
		time.Sleep(time.Until(from))
	}
}

// disturb plans what happens to one run of the engine: death at a write, Ctrl-C, operators.
func (r *rig) disturb(rng *rand.Rand, e *Engine, run int) {
	j := r.j
	if run < 6 && rng.IntN(2) == 0 {
		j.dieAt, j.dieAfter = 1+rng.IntN(200), rng.IntN(2) == 0
	}
	if r.dieNext > 0 {
		j.dieAt, j.dieAfter, r.dieNext = r.dieNext, rng.IntN(2) == 0, 0
	}
	if run < 6 && rng.IntN(4) == 0 {
		time.AfterFunc(time.Duration(rng.IntN(600))*time.Second, e.Drain)
	}
	if run < 6 && rng.IntN(4) == 0 {
		time.AfterFunc(time.Duration(rng.IntN(900))*time.Second, e.Detach)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	r.approvals(rng, run)
	if run > 6 {
		j.command(Command{Kind: CommandRetry})
	}
	hosts := sortedKeys(r.kinds)
	var cmds []Command
	for range rng.IntN(4) {
		h := hosts[rng.IntN(len(hosts))]
		k := []CommandKind{CommandPause, CommandResume, CommandRetry, CommandRetry, CommandSkip, CommandAbort, CommandBack}[rng.IntN(7)]
		if k == CommandAbort && rng.IntN(4) > 0 || k == CommandPause && run > 6 {
			continue
		}
		cmds = append(cmds, Command{Kind: k, Host: h})
	}
	for _, c := range cmds {
		time.AfterFunc(time.Duration(rng.IntN(1200))*time.Second, func() {
			j.mu.Lock()
			defer j.mu.Unlock()
			j.command(c)
		})
	}
}

// repair ends all faults.
func (r *rig) repair() {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	r.w.flaky, r.w.hooks.fails = 0, nil
	clear(r.w.outside)
	for _, h := range r.w.hosts {
		h.fixed = true
	}
}

// atTheEnd: every host is in one final state, and the outcome counts them all.
func (r *rig) atTheEnd(out Outcome) {
	r.t.Helper()
	for h, s := range r.j.states() {
		rec, real := r.j.record(h), r.w.hosts[h]
		if !s.Final() {
			r.t.Errorf("%s ends as %s", h, s)
		}
		if real.tick(); s == StateRolledBack && real.updated {
			r.t.Errorf("%s is rolled back in the journal and updated in truth", h)
		}
		if s == StateOK && !real.updated && real.kind != upToDate && !r.j.schedule.Host[h].Empty {
			r.t.Errorf("%s is ok in the journal and not updated in truth", h)
		}
		if len(rec.Owed) > 0 && s != StateLost {
			r.t.Errorf("%s is %s and is owed %v", h, s, rec.Owed)
		}
	}
	for _, w := range r.j.waves {
		if len(w.Owed) > 0 {
			r.t.Errorf("wave %d is owed %v", w.Index, w.Owed)
		}
	}
	if len(r.j.ro.Owed)+len(r.j.ro.OwedLevel) > 0 {
		r.t.Errorf("the rollout is owed %v %v", r.j.ro.Owed, r.j.ro.OwedLevel)
	}
	n := 0
	for _, c := range out.Hosts {
		n += c
	}
	if out.Rollout.ID != "" && n != len(r.kinds) {
		r.t.Errorf("the outcome counts %d of %d hosts", n, len(r.kinds))
	}
}
