package rollout

import (
	"slices"
	"strings"
	"testing"
	"time"

	"cpacman/internal/rpm"
	"cpacman/planner"
)

// hurry makes the rig's rollout an emergency for one advisory.
func (r *rig) hurry(withoutApproval ...string) {
	r.plan.Requested.Filter = planner.Filter{Advisories: []string{"RHSA-2026:1"}}
	r.s.Rollout.EmergencySoak = time.Minute
	r.s.Emergency = &EmergencySettings{Reason: "CVE-2026-1 is exploited", WithoutApproval: withoutApproval}
}

// emergencyPromises holds the schedule of an emergency against the settings of its site: what is not named is as it would be.
func (r *rig) emergencyPromises() {
	r.t.Helper()
	s, usual := r.req.Schedule, r.s
	usual.Emergency = nil
	want, err := Resolve(r.plan, usual)
	if err != nil {
		r.t.Fatal(err)
	}
	if !slices.Equal(s.hosts(), want.hosts()) || s.Budget != want.Budget || s.Unreached != want.Unreached || s.Quorum != want.Quorum ||
		len(s.Checks) != len(want.Checks) || len(s.Clusters) != len(want.Clusters) || len(s.Windows) != len(want.Windows) || len(s.Levels) != len(want.Levels) {
		r.t.Errorf("an emergency changes more than waves, soaks and what is named")
	}
	for i, l := range s.Levels {
		u := want.Levels[i]
		if l.Soak != min(u.Soak, r.s.Rollout.EmergencySoak) {
			r.t.Errorf("%s soaks %s, usually %s", l.Scope(), l.Soak, u.Soak)
		}
		if named := slices.Contains(r.s.Emergency.WithoutApproval, l.Scope()); named && l.Approve != 0 || !named && l.Approve != u.Approve || l.ClassApprove != u.ClassApprove || l.Budget != u.Budget {
			r.t.Errorf("%s wants %d approvals, usually %d; named: %t", l.Scope(), l.Approve, u.Approve, named)
		}
	}
	if len(s.Waves[0].Hosts) != 1 {
		r.t.Errorf("the first wave has %d hosts", len(s.Waves[0].Hosts))
	}
}

// emergencyRig has two classes, whose first levels have waves of more than one host, and gates.
func emergencyRig(t testing.TB) *rig {
	r := newRig(t)
	r.s.Classes = []ClassSettings{{Name: "prod", Approve: 2, Ticket: `CHG-\d+`}}
	r.s.Levels[0].Waves, r.s.Levels[0].Soak = amounts(t, "3"), 30*time.Second
	r.s.Levels[1].Waves, r.s.Levels[1].Soak, r.s.Levels[1].Approve = amounts(t, "50%", "100%"), 24*time.Hour, 1
	r.hosts("canary", 6, plain)
	r.hosts("broad", 4, plain)
	return r
}

func TestEmergencySchedule(t *testing.T) {
	r := emergencyRig(t)
	usual, err := Resolve(r.plan, r.s)
	if err != nil {
		t.Fatal(err)
	}
	r.hurry("level prod/broad")
	s, err := Resolve(r.plan, r.s)
	if err != nil {
		t.Fatal(err)
	}
	var sizes, usualSizes []int
	for _, w := range s.Waves {
		sizes = append(sizes, len(w.Hosts))
	}
	for _, w := range usual.Waves {
		usualSizes = append(usualSizes, len(w.Hosts))
	}
	if want := []int{3, 3, 2, 2}; !slices.Equal(usualSizes, want) {
		t.Fatalf("without emergency the waves are %v, want %v", usualSizes, want)
	}
	if want := []int{1, 3, 2, 2, 2}; !slices.Equal(sizes, want) {
		t.Errorf("the waves are %v, want %v", sizes, want)
	}
	if !slices.Equal(s.hosts(), usual.hosts()) {
		t.Errorf("the order of hosts is another: %v, %v", s.hosts(), usual.hosts())
	}
	if s.Levels[0].Soak != 30*time.Second || s.Levels[1].Soak != time.Minute {
		t.Errorf("soaks are %s and %s", s.Levels[0].Soak, s.Levels[1].Soak)
	}
	if l := s.Levels[0]; l.ClassApprove != 2 || l.Ticket == "" {
		t.Errorf("the gate of the class yields without being named: %+v", l)
	}
	if s.Levels[1].Approve != 0 {
		t.Errorf("the gate that is named does not yield")
	}
	if s.Budget != usual.Budget || s.Quorum != usual.Quorum || !slices.EqualFunc(s.Checks, usual.Checks, func(a, b Check) bool { return a.Name == b.Name && a.Passes == b.Passes }) {
		t.Errorf("budgets, quorum or checks differ")
	}
	want := []string{
		"first wave of one host: wave 1", "soak of level prod/broad: 1m instead of 24h", "approval of level prod/broad: none instead of 1",
	}
	if got := s.Emergency.Overrides(); !slices.Equal(got, want) {
		t.Errorf("left out:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if s.Emergency.For != "advisory RHSA-2026:1" || s.Digest == usual.Digest || !s.Valid() {
		t.Errorf("it is for %q", s.Emergency.For)
	}
	// What is left out, and why, is part of what an approval is given to.
	for name, change := range map[string]func(){
		"the reason": func() { r.s.Emergency.Reason = "another" },
		"a gate":     func() { r.s.Emergency.WithoutApproval = nil },
		"the soak":   func() { r.s.Rollout.EmergencySoak = 2 * time.Minute },
	} {
		r.hurry("level prod/broad")
		change()
		if other, err := Resolve(r.plan, r.s); err != nil || other.Digest == s.Digest {
			t.Errorf("%s is not bound by the digest (%v)", name, err)
		}
	}
}

// The first wave of every class is one host; the first of a later level is what the site says.
func TestEmergencyFirstWaveOfClasses(t *testing.T) {
	r := newRig(t)
	r.s.Classes = []ClassSettings{{Name: "test"}, {Name: "prod"}}
	r.hosts("broad", 8, plain)
	for i := range r.plan.Hosts {
		r.plan.Hosts[i].Class = []string{"test", "prod"}[i%2]
	}
	r.hurry()
	s, err := Resolve(r.plan, r.s)
	if err != nil {
		t.Fatal(err)
	}
	var sizes []int
	for _, w := range s.Waves {
		sizes = append(sizes, len(w.Hosts))
	}
	// 25% of 4 is one host already, so nothing had to be made smaller.
	if !slices.Equal(sizes, []int{1, 3, 1, 3}) || len(s.Emergency.FirstWave) != 0 {
		t.Errorf("waves %v, made smaller %v", sizes, s.Emergency.FirstWave)
	}
	r.s.Levels[1].Waves = amounts(t, "100%")
	if s, err = Resolve(r.plan, r.s); err != nil {
		t.Fatal(err)
	}
	if len(s.Waves) != 4 || len(s.Waves[2].Hosts) != 1 || !slices.Equal(s.Emergency.FirstWave, []int{0, 2}) {
		t.Errorf("made smaller %v of %d waves", s.Emergency.FirstWave, len(s.Waves))
	}
}

func TestEmergencyRefused(t *testing.T) {
	removal := planner.Set{ID: "s1", Remove: []planner.Remove{{NEVRA: rpm.NEVRA{Name: "bad"}, Rule: "policy"}}}
	for _, tt := range []struct {
		name   string
		change func(*rig)
		want   string // "": it is allowed
	}{
		{"one advisory", func(*rig) {}, ""},
		{"one CVE", func(r *rig) { r.plan.Requested.Filter = planner.Filter{CVEs: []string{"CVE-2026-1"}} }, ""},
		{"two advisories", func(r *rig) { r.plan.Requested.Filter.Advisories = []string{"a", "b"} }, "wants more"},
		{"advisory and CVE", func(r *rig) { r.plan.Requested.Filter.CVEs = []string{"c"} }, "wants more"},
		{"all security", func(r *rig) { r.plan.Requested.Filter = planner.Filter{Security: true} }, "wants more"},
		{"newest", func(r *rig) { r.plan.Requested.Filter.Newest = true }, "wants more"},
		{"everything", func(r *rig) { r.plan.Requested.Filter = planner.Filter{} }, "names none"},
		{"a package", func(r *rig) { r.plan.Requested.Filter = planner.Filter{Packages: []string{"x"}} }, "names none"},
		{"a rollback", func(r *rig) { r.plan.Type = planner.TypeRollback }, `of type "rollback"`},
		{"a removal", func(r *rig) { r.plan.Requested.Filter = planner.Filter{}; r.plan.Sets = []planner.Set{removal} }, ""},
		{"old kernels", func(r *rig) {
			r.plan.Requested.Filter = planner.Filter{}
			set := removal
			set.Remove = []planner.Remove{{NEVRA: rpm.NEVRA{Name: "kernel"}, Rule: "keep-n"}}
			r.plan.Sets = []planner.Set{set}
		}, "names none"},
		{"no reason", func(r *rig) { r.s.Emergency.Reason = " " }, "needs a --reason"},
		{"no soak at all", func(r *rig) { r.s.Rollout.EmergencySoak = 0 }, "above 0"},
		{"an unknown gate", func(r *rig) { r.s.Emergency.WithoutApproval = []string{"class test"} }, `"class test" is no gate of this rollout that wants an approval; it has: class prod, level prod/broad`},
		{"everything by a glob", func(r *rig) { r.s.Emergency.WithoutApproval = []string{"*"} }, "is no gate"},
		{"holds", func(r *rig) { r.plan.Requested.Filter.OverrideHolds = []string{"openssl"} }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := emergencyRig(t)
			r.hurry()
			tt.change(r)
			s, err := Resolve(r.plan, r.s)
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("%v, want %q", err, tt.want)
			}
			if err == nil && len(r.plan.Requested.Filter.OverrideHolds) > 0 && !slices.Contains(s.Emergency.Overrides(), "holds of package openssl") {
				t.Errorf("holds are not told: %v", s.Emergency.Overrides())
			}
		})
	}
}

func TestEmergencyRemovalIsNamed(t *testing.T) {
	r := newRig(t)
	r.hosts("canary", 2, plain)
	r.hurry()
	r.plan.Requested.Filter = planner.Filter{}
	r.plan.Sets = []planner.Set{{ID: "s1", Remove: []planner.Remove{{NEVRA: rpm.NEVRA{Name: "zsh"}, Rule: "policy"}, {NEVRA: rpm.NEVRA{Name: "ash"}, Rule: "policy"}}},
		{ID: "unused", Install: []planner.Install{{}}}}
	if s, err := Resolve(r.plan, r.s); err != nil || s.Emergency.For != "removal of ash, zsh" {
		t.Errorf("%+v, %v", s.Emergency, err)
	}
}

// Holds that a plan overrides want an emergency, and what starts is what the schedule says.
func TestEmergencyStart(t *testing.T) {
	r := newRig(t)
	r.hosts("canary", 1, plain)
	r.plan.Requested.Filter = planner.Filter{Advisories: []string{"a"}, OverrideHolds: []string{"ssl"}}
	r.build()
	if _, err := r.start(); err == nil || !strings.Contains(err.Error(), "overrides holds (ssl), which only an emergency rollout may") {
		t.Errorf("%v", err)
	}
	r.hurry()
	r.build()
	r.req.Reason = "something else"
	if _, err := r.start(); err == nil || !strings.Contains(err.Error(), "part of the schedule") {
		t.Errorf("%v", err)
	}
}

// The engine runs an emergency: the class waits for its people, the level that was named does not; a red check stops it as ever.
func TestEmergencyGates(t *testing.T) {
	sim(t, "gates", func(t *testing.T) {
		r := emergencyRig(t)
		r.hurry("level prod/broad")
		r.s.Classes[0].Ticket = ""
		r.build()
		r.req.Reason = r.s.Emergency.Reason
		out := r.mustStart(ExitWaiting)
		if out.Rollout.WaitingFor != "class prod" || !out.Rollout.Emergency {
			t.Errorf("waits for %q, emergency %t", out.Rollout.WaitingFor, out.Rollout.Emergency)
		}
		for _, user := range []string{"ann", "bob"} {
			r.j.command(Command{Kind: CommandApprove, Digest: r.req.Schedule.Digest, User: user})
		}
		began := time.Now()
		r.mustResume(ExitDone)
		if took := time.Since(began); took < 4*time.Minute || took > 20*time.Minute {
			t.Errorf("five waves with soaks of 30 s and 1 min took %s", took)
		}
	})
	sim(t, "red", func(t *testing.T) {
		r := newRig(t)
		r.s.Levels[0].Waves = amounts(t, "100%")
		r.hosts("canary", 4, red)
		r.hurry()
		r.build()
		r.req.Reason = r.s.Emergency.Reason
		r.mustStart(ExitStopped)
		states := r.j.states()
		n := 0
		for _, s := range states {
			if s == StateHealthFailed {
				n++
			}
		}
		if n != 1 {
			t.Errorf("a red check met %d hosts before it stopped, want the first wave of one: %v", n, states)
		}
	})
	sim(t, "patient", func(t *testing.T) {
		for _, emergency := range []bool{true, false} {
			r := newRig(t)
			r.host("canary", "h1", occupied)
			r.host("canary", "h2", occupiedLong)
			r.host("canary", "h3", plain)
			r.s.Levels[0].MaxFailures = amount(t, "3")
			want := map[string]State{"h1": StateHeld, "h2": StateHeld, "h3": StateOK}
			if emergency {
				r.hurry()
				want["h1"] = StateOK
			}
			r.s.Levels[0].Waves = amounts(t, "100%")
			r.build()
			if emergency {
				r.req.Reason = r.s.Emergency.Reason
			}
			began := time.Now()
			_, err := r.start()
			if err != nil {
				t.Fatal(err)
			}
			r.promises()
			r.is(want)
			if took := time.Since(began); took > 20*time.Minute {
				t.Errorf("a minute of patience took %s", took)
			}
		}
	})
	sim(t, "window", func(t *testing.T) {
		r := newRig(t)
		r.hosts("canary", 1, plain)
		r.hurry()
		r.s.Windows = map[string]WindowPlan{"never": {Rule: "FREQ=DAILY;UNTIL=19900101", Start: "01:00", Duration: time.Hour, Zone: "UTC"}}
		r.s.Hosts["canary00"] = HostSettings{Windows: []string{"never"}}
		r.build()
		r.req.Reason = r.s.Emergency.Reason
		out := r.mustStart(ExitStopped)
		if out.Rollout.Stop.Code != ReasonExpired {
			t.Errorf("a closed window does not keep an emergency out: %+v", out.Rollout.Stop)
		}
	})
}

func TestOverlapping(t *testing.T) {
	r := newRig(t)
	r.hosts("canary", 2, plain)
	r.hosts("broad", 4, plain)
	r.build()
	other := Schedule{Host: map[string]HostPlan{}}
	for h := range r.req.Schedule.Host {
		if h != "broad03" {
			other.Host[h] = HostPlan{}
		}
	}
	snap := newSnapshot(r.req, Owner{User: "ann"}, time.Now())
	snap.Waves[0].State, snap.Waves[1].State = WavePassed, WaveSoaking
	set := func(host string, s State) {
		i := slices.IndexFunc(snap.Hosts, func(h HostRecord) bool { return h.Host == host })
		snap.Hosts[i].State = s
	}
	set("canary00", StateOK)
	set("canary01", StateOK)
	set("broad01", StateTransacting)
	set("broad02", StateHeld)
	o := Overlapping(snap, other)
	want := Overlap{AtWork: []string{"broad01"}, Soaking: []string{"canary01"}, Ahead: []string{"broad00", "broad02"}}
	if !slices.Equal(o.AtWork, want.AtWork) || !slices.Equal(o.Soaking, want.Soaking) || !slices.Equal(o.Ahead, want.Ahead) || o.Hosts() != 4 {
		t.Errorf("%+v, want %+v", o, want)
	}
	if text := o.String(); text != "broad01 at work, waited for at the lock of the host; canary01 soaking, its checks go on; 2 hosts, first broad00 not begun, looked at again when they begin" {
		t.Error(text)
	}
}
