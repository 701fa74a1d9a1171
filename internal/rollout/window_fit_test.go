package rollout

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// misfits resolves the rig and says what does not fit, beginning at midnight.
func (r *rig) misfits(after time.Duration, expires time.Duration) []string {
	r.t.Helper()
	s := r.resolve()
	c, err := NewCalendar(&s)
	if err != nil {
		r.t.Fatal(err)
	}
	return c.Misfits(&s, midnight().Add(after), midnight().Add(expires))
}

func TestMisfits(t *testing.T) {
	const week = 7 * 24 * time.Hour
	build := func(t *testing.T, soak time.Duration) *rig {
		r := newRig(t)
		r.hosts("canary", 2, plain)
		r.hosts("broad", 2, plain)
		r.oneWave()
		r.s.Levels[0].Soak, r.s.Levels[1].Soak = soak, soak
		return r
	}
	for _, c := range []struct {
		name           string
		soak           time.Duration
		rule, start    string
		duration       time.Duration
		hosts          []string
		after, expires time.Duration
		want           []string
	}{
		{"no window", time.Hour, "FREQ=DAILY", "01:00", time.Hour, nil, 0, week, nil},
		{"it fits", time.Hour, "FREQ=DAILY", "01:00", 3 * time.Hour, []string{"canary00", "broad00", "broad01"}, 0, week, nil},
		{"the window is over when its turn comes", time.Hour, "FREQ=DAILY", "00:00", 2 * time.Hour, []string{"broad00"}, 0, week, []string{
			"wave 3: broad00: will not fit into the window that is open until 2000-01-01 02:00 UTC: the wave can begin 2000-01-01 02:00 UTC at the earliest, " +
				"and then window w opens 2000-01-02 00:00 UTC; soaks alone of the waves before it last 2h"}},
		{"a second less and it fits", time.Hour, "FREQ=DAILY", "00:00", 2*time.Hour + time.Second, []string{"broad00"}, 0, week, nil},
		{"the next window is over too", 4 * time.Hour, "FREQ=DAILY", "04:00", time.Hour, []string{"canary01", "broad00", "broad01"}, 0, week, []string{
			"wave 3: 2 hosts, first broad00: will not fit into the window of 2000-01-01 04:00 UTC until 2000-01-01 05:00 UTC: the wave can begin 2000-01-01 08:00 UTC at the earliest, " +
				"and then window w opens 2000-01-02 04:00 UTC; soaks alone of the waves before it last 8h"}},
		{"the plan expires first", 13 * time.Hour, "FREQ=WEEKLY;BYDAY=MO", "01:00", time.Hour, []string{"broad01"}, 0, 2 * 24 * time.Hour, []string{
			"wave 3: broad01: cannot begin before the plan expires at 2000-01-03 00:00 UTC: window w opens 2000-01-03 01:00 UTC; soaks alone of the waves before it last 26h"}},
		{"the first wave", time.Hour, "FREQ=WEEKLY;BYDAY=MO", "00:00", time.Hour, []string{"canary00"}, 0, 2 * 24 * time.Hour, []string{
			"wave 1: canary00: cannot begin before the plan expires at 2000-01-03 00:00 UTC: window w opens 2000-01-03 00:00 UTC"}},
		{"a moment before the plan expires", 0, "FREQ=WEEKLY;BYDAY=MO", "00:00", time.Hour, []string{"canary00"}, 0, 2*24*time.Hour + 1, nil},
		{"no window, and the soaks are too long", 13 * time.Hour, "FREQ=DAILY", "01:00", time.Hour, nil, 0, 26 * time.Hour, []string{
			"wave 3: 2 hosts, first broad00: cannot begin before the plan expires at 2000-01-02 02:00Z; soaks alone of the waves before it last 26h"}},
		{"never again", 0, "FREQ=DAILY;UNTIL=19991231", "01:00", time.Hour, []string{"canary01"}, 0, week, []string{
			"wave 2: canary01: cannot begin: window w never opens again"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := build(t, c.soak)
			r.ruled("w", c.rule, c.start, c.duration, c.hosts...)
			if got := r.misfits(c.after, c.expires); !slices.Equal(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

func TestDescribeWindows(t *testing.T) {
	r := newRig(t)
	r.hosts("broad", 3, plain)
	r.window("nightly", "01:00", time.Hour, "broad00", "broad02")
	s := r.resolve()
	c, err := NewCalendar(&s)
	if err != nil {
		t.Fatal(err)
	}
	for after, want := range map[time.Duration]string{
		0:                "2 hosts, first broad00: window nightly opens 2000-01-01 01:00 UTC; nightly (FREQ=DAILY at 01:00 for 1h, UTC)",
		90 * time.Minute: "2 hosts, first broad00: window nightly is open until 2000-01-01 02:00 UTC; nightly (FREQ=DAILY at 01:00 for 1h, UTC)",
	} {
		if got := c.Describe(&s, midnight().Add(after)); len(got) != 1 || got[0] != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestMisfitsAreTrue: what is said not to begin before the plan expires does not, whatever happens: the engine, with transactions
// that take no time, is no faster.
func TestMisfitsAreTrue(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		soak := time.Duration(rapid.IntRange(0, 30).Draw(rt, "soak")) * time.Hour
		start := rapid.SampledFrom([]string{"00:00", "05:00", "13:00", "23:30"}).Draw(rt, "start")
		duration := time.Duration(rapid.IntRange(1, 12).Draw(rt, "hours")) * time.Hour
		expires := time.Duration(rapid.IntRange(6, 90).Draw(rt, "expires")) * time.Hour
		hosts := rapid.SliceOfDistinct(rapid.SampledFrom([]string{"canary00", "canary01", "broad00", "broad01"}), rapid.ID[string]).Draw(rt, "hosts")
		var late bool
		var exit Exit
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.hosts("canary", 2, plain)
			r.hosts("broad", 2, plain)
			r.s.Levels[0].Soak, r.s.Levels[1].Soak = soak, soak
			r.window("w", start, duration, hosts...)
			for _, text := range r.misfits(0, expires) {
				late = late || strings.Contains(text, "cannot begin")
			}
			r.build()
			r.w.txTime, r.cfg.Timing.SoakEvery = 0, time.Hour
			r.plan.ExpiresAt = midnight().Add(expires)
			r.req.Wait = true
			out, err := r.start()
			if err != nil {
				t.Fatal(err)
			}
			r.promises()
			exit = out.Exit
		})
		if late && exit != ExitStopped {
			rt.Fatalf("said not to fit, and ended %s", exit)
		}
	})
}

func TestScheduleOfWindows(t *testing.T) {
	r := newRig(t)
	r.hosts("broad", 2, plain)
	plainDigest := r.resolve().Digest
	r.window("nightly", "01:00", time.Hour, "broad01")
	r.s.Windows["unused"] = WindowPlan{Rule: "FREQ=DAILY", Start: "03:00", Duration: time.Hour, Zone: "UTC"}
	sched := r.resolve()
	if len(sched.Windows) != 1 || sched.Windows[0] != (WindowPlan{"nightly", "FREQ=DAILY", "01:00", time.Hour, "UTC"}) || !sched.Valid() {
		t.Errorf("%+v", sched.Windows)
	}
	w := r.s.Windows["nightly"]
	w.Start = "01:01"
	r.s.Windows["nightly"] = w
	if moved := r.resolve().Digest; moved == sched.Digest || plainDigest == sched.Digest {
		t.Error("the windows are not part of what an approval binds")
	}
	r.s.Hosts["broad00"] = HostSettings{Windows: []string{"nowhere"}}
	if _, err := Resolve(r.plan, r.s); err == nil || !strings.Contains(err.Error(), `window "nowhere" is not defined`) {
		t.Errorf("%v", err)
	}
	w.Zone = "Mars/Olympus"
	sched.Windows[0] = w
	var pe *PlanError
	if _, err := NewCalendar(&sched); !errors.As(err, &pe) {
		t.Errorf("%v", err)
	}
	sched.Windows = nil
	if _, err := NewCalendar(&sched); !errors.As(err, &pe) {
		t.Errorf("%v", err)
	}
}

func (r *rig) resolve() Schedule {
	r.t.Helper()
	s, err := Resolve(r.plan, r.s)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}
