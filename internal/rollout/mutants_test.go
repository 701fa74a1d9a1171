package rollout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cpacman/planner"
)

// mutant is an engine that breaks one promise on purpose.
type mutant struct {
	name string
	want []string // what the simulation says of it, each of them at least once
	make func(r *rig)
	// site prepares what the promise needs to matter.
	site func(r *rig)
}

// TestBrokenPromises takes away one rule after the other, and each time the simulation must say which promise was broken. What it does not
// notice here it would not notice in a real mistake either.
func TestBrokenPromises(t *testing.T) {
	for _, m := range mutants() {
		t.Run(m.name, func(t *testing.T) {
			missing := m.want
			for seed := uint64(0); seed < 300 && len(missing) > 0; seed++ {
				var said []string
				func() {
					defer watch(fmt.Sprintf("%s, seed %d", t.Name(), seed), simLimit)()
					synctest.Test(t, func(t *testing.T) { said = mutated(t, m, seed) })
				}()
				missing = notSaid(missing, said)
			}
			if len(missing) > 0 {
				t.Errorf("nobody notices: %q is never said", missing)
			}
		})
	}
}

// notSaid leaves out what a simulation said.
func notSaid(want, said []string) []string {
	var out []string
	for _, w := range want {
		found := false
		for _, s := range said {
			found = found || strings.Contains(s, w)
		}
		if !found {
			out = append(out, w)
		}
	}
	return out
}

// mutated runs a simulation whose engines break a promise, and gives what it complains of.
func mutated(t *testing.T, m mutant, seed uint64) []string {
	notes := &notes{TB: t}
	r := randomRig(notes, seeded(seed))
	if m.site != nil {
		m.site(r)
	}
	m.make(r)
	func() {
		defer func() {
			p := recover()
			if err, _ := p.(error); p != nil && !errors.Is(err, errNoted) {
				panic(p)
			}
		}()
		simulate(notes, r)
	}()
	return notes.said
}

// notes is a test that fails into a list.
type notes struct {
	testing.TB
	said []string
}

var errNoted = errors.New("a fatal note")

func (n *notes) Helper()                      {}
func (n *notes) Failed() bool                 { return len(n.said) > 0 }
func (n *notes) Error(args ...any)            { n.said = append(n.said, fmt.Sprint(args...)) }
func (n *notes) Errorf(f string, args ...any) { n.said = append(n.said, fmt.Sprintf(f, args...)) }
func (n *notes) Fatal(args ...any)            { n.Error(args...); panic(errNoted) }
func (n *notes) Fatalf(f string, args ...any) { n.Errorf(f, args...); panic(errNoted) }

func mutants() []mutant {
	return []mutant{
		{
			name: "hosts of a later wave start before the gate", want: []string{"admitted before the gate of wave"},
			make: func(r *rig) {
				r.spoil = func(rules *rules) {
					rules.nextWave = func(r *run) (int, bool) {
						for i := range r.waves { // a wave whose hosts have all begun is let go
							if r.waves[i].State != WavePassed && (r.waves[i].State != WaveRunning || len(r.queue) > 0) {
								return i, true
							}
						}
						return r.firstShut()
					}
				}
			},
		},
		{
			name: "hosts start over the budget", want: []string{"failures in wave", "failures in level", "failures in the rollout"},
			site: func(r *rig) { r.turn(testFails) },
			make: func(r *rig) {
				r.spoil = func(rules *rules) { rules.tripped = func(*run, int, bool) *StopReason { return nil } }
			},
		},
		{
			name: "hosts start over the budget of unreachable ones", want: []string{"unreachable hosts, "},
			site: func(r *rig) { r.turn(away); r.w.deaf = ", budget " },
			make: func(r *rig) {
				r.spoil = func(rules *rules) { rules.tripped = func(*run, int, bool) *StopReason { return nil } }
			},
		},
		{
			name: "more fail than were in flight", want: []string{"with what was in flight when its budget"},
			site: func(r *rig) { r.turn(testFails); r.w.deaf = ", budget " }, // that hosts are admitted would be said first
			make: func(r *rig) {
				r.spoil = func(rules *rules) { rules.tripped = func(*run, int, bool) *StopReason { return nil } }
			},
		},
		{
			name: "strict does not limit what is in flight", want: []string{"strict allows budget"},
			make: func(r *rig) {
				r.spoil = func(rules *rules) { rules.inStrict = func(*run, int) bool { return true } }
			},
		},
		{
			name: "a start without an answer is repeated under a new id", want: []string{"one transaction per host and plan"},
			site: func(r *rig) { r.turn(dropStarted) },
			make: func(r *rig) { r.cfg.Fleet = hasty{r.cfg.Fleet} },
		},
		{
			name: "hosts at work are begun anew after a crash", want: []string{"although the host knows it"},
			make: func(r *rig) {
				r.spoil = func(rules *rules) {
					rules.reattach = func(h *hostRun) {
						if _, possible := h.r.m.next[h.r.record(h.host).State][OnNeverStarted]; possible {
							h.end(OnNeverStarted, Reason{})
							return
						}
						h.askAgain()
					}
				}
			},
		},
		{
			name: "an abort leaves hosts where they are", want: []string{"ends as pending"},
			make: func(r *rig) {
				r.spoil = func(rules *rules) { rules.leave = func(*run, Trigger, Reason, ...State) {} }
			},
		},
		{
			name: "a host has two ends", want: []string{"is not in the table"},
			site: func(r *rig) { r.turn(redLate) },
			make: func(r *rig) {
				r.spoil = func(rules *rules) { // one that failed is called good when it is looked at again
					rules.machine = newMachine()
					rules.machine.next[StateHealthFailed][OnRollBack] = StateOK
					rules.machine.next[StateOK][OnSoakRed] = StateOK
				}
			},
		},
		{
			name: "a change is made before it is written", want: []string{"while the journal has"},
			make: func(r *rig) { r.cfg.Journal = lagging{r.j} },
		},
		{
			name: "clusters are not asked", want: []string{"unavailable"},
			make: func(r *rig) {
				r.spoil = func(rules *rules) {
					rules.keptBy = func(*run, string) string { return "" }
					rules.floor = func(*run, string) string { return "" }
				}
			},
		},
		{
			name: "other members of a cluster are not asked", want: []string{"unavailable"},
			make: func(r *rig) {
				r.spoil = func(rules *rules) { rules.floor = func(*run, string) string { return "" } }
			},
		},
		{
			name: "windows do not count", want: []string{"admitted at"},
			make: func(r *rig) {
				r.spoil = func(rules *rules) { rules.shutOut = func(*run, string) bool { return false } }
			},
		},
		{
			name: "windows count for the admission alone", want: []string{" start at"},
			site: func(r *rig) { r.w.opTime = 20 * time.Minute }, // windows close while hosts are on their way
			make: func(r *rig) {
				r.spoil = func(rules *rules) {
					rules.shutOut = func(r *run, h string) bool { return r.hosts[h].State == StatePending && r.outsideWindows(h) }
				}
			},
		},
		{
			name: "windows do not count once a transaction is announced", want: []string{"transaction asked for at"},
			site: func(r *rig) { r.turn(dropStart); r.cfg.Timing.ReconnectMin = 20 * time.Minute },
			make: func(r *rig) {
				r.spoil = func(rules *rules) {
					rules.shutOut = func(r *run, h string) bool { return r.hosts[h].State != StateTransacting && r.outsideWindows(h) }
				}
			},
		},
		{
			name: "an amendment that nobody approved runs", want: []string{"amended h", "entered without"},
			site: amendMuch,
			make: func(r *rig) {
				r.spoil = func(rules *rules) {
					rules.unvoted = func(r *run, w int) string {
						if len(r.sched.Amended) > 0 {
							return ""
						}
						return r.withoutApproval(w)
					}
				}
			},
		},
		{
			name: "an approval of before an amendment counts", want: []string{"admitted without", "entered without"},
			site: amendMuch,
			make: func(r *rig) {
				r.spoil = func(rules *rules) {
					rules.unvoted = func(r *run, w int) string {
						b := r.ballot()
						b.Approvals = slices.Clone(b.Approvals)
						for i := range b.Approvals {
							b.Approvals[i].Digest = b.Rollout.Digest
						}
						return b.Missing(w)
					}
				}
			},
		},
		{
			name: "an amended host runs the set of before", want: []string{"and what was approved is plan amend-"},
			site: amendMuch,
			make: func(r *rig) { r.cfg.Fleet = outdated{r.cfg.Fleet, r.plan.ID} },
		},
		{
			name: "a host that changed while it waited is not looked at again", want: []string{"asked for a set that was computed for"},
			site: func(r *rig) { r.turn(peerChanged) },
			make: func(r *rig) { r.cfg.Fleet = careless{r.cfg.Fleet} },
		},
	}
}

// turn makes some plain hosts behave otherwise.
func (r *rig) turn(k kind) {
	for i, h := range sortedKeys(r.kinds) {
		if i%3 == 0 {
			r.w.hosts[h].kind = k
		}
	}
}

// amendMuch makes amendments and approvals matter.
func amendMuch(r *rig) {
	r.turn(changed)
	r.amending = 1
	for i := range r.s.Levels {
		r.s.Levels[i].Approve = 1
	}
	r.s.Emergency = nil
	r.plan.Requested.Filter = planner.Filter{}
	sched, err := Resolve(r.plan, r.s)
	if err != nil {
		r.t.Fatal(err)
	}
	r.req.Schedule, r.req.Reason = sched, ""
}

// outdated is a fleet that was made ready for a plan alone, whatever amendments say.
type outdated struct {
	Fleet
	plan string
}

func (f outdated) Open(ctx context.Context, job Job) (Worker, error) {
	job.PlanID = f.plan
	return f.Fleet.Open(ctx, job)
}

// careless is a fleet whose hosts never say that they have changed.
type careless struct{ Fleet }

func (f careless) Open(ctx context.Context, job Job) (Worker, error) {
	w, err := f.Fleet.Open(ctx, job)
	if err != nil {
		return nil, err
	}
	return carelessWorker{w}, nil
}

type carelessWorker struct{ Worker }

func (carelessWorker) Moved(context.Context) (bool, error) { return false, nil }

// hasty is a fleet whose workers ask a second time, under the id of the next attempt, when the first answer does not come.
type hasty struct{ Fleet }

func (f hasty) Open(ctx context.Context, job Job) (Worker, error) {
	w, err := f.Fleet.Open(ctx, job)
	if err != nil {
		return nil, err
	}
	return hastyWorker{w, f.Fleet, job}, nil
}

type hastyWorker struct {
	Worker
	fleet Fleet
	job   Job
}

func (w hastyWorker) Start(ctx context.Context) error {
	err := w.Worker.Start(ctx)
	if kindOf(err) != KindLost {
		return err
	}
	next := w.job
	next.Attempt++
	next.TxID = TxID(next.Rollout, next.Host, next.Attempt)
	again, err := w.fleet.Open(ctx, next)
	if err != nil {
		return err
	}
	return errors.Join(again.Start(ctx), again.Close())
}

// lagging is a journal that writes the start of a transaction a moment later than it says.
type lagging struct{ *memJournal }

func (j lagging) Append(ctx context.Context, id string, epoch int64, c Change) error {
	for _, ev := range c.Events {
		if ev.On == OnStart {
			time.AfterFunc(time.Minute, func() { _ = j.memJournal.Append(context.Background(), id, epoch, c) })
			return nil
		}
	}
	return j.memJournal.Append(ctx, id, epoch, c)
}
