package rollout

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cpacman/inventory"
)

// window adds a daily window, UTC, and gives it to hosts. Tests begin on Saturday, 2000-01-01, at midnight UTC.
func (r *rig) window(name, start string, d time.Duration, hosts ...string) {
	r.ruled(name, "FREQ=DAILY", start, d, hosts...)
}

func (r *rig) ruled(name, rule, start string, d time.Duration, hosts ...string) {
	if r.s.Windows == nil {
		r.s.Windows = map[string]WindowPlan{}
	}
	r.slowly = true
	r.s.Windows[name] = WindowPlan{Rule: rule, Start: start, Duration: d, Zone: "UTC"}
	for _, h := range hosts {
		hs := r.s.Hosts[h]
		hs.Windows = append(hs.Windows, name)
		r.s.Hosts[h] = hs
	}
}

// oneWave puts all hosts of level broad into one wave.
func (r *rig) oneWave() { r.s.Levels[1].Waves = amounts(r.t, "100%") }

// midnight is when tests begin, in virtual time.
func midnight() time.Time { return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) }

// startedAt is when a host's transaction was announced.
func (r *rig) startedAt(host string) time.Time { return r.j.hosts[host].TxAt.UTC() }

func (r *rig) came(on Trigger, host string) int {
	n := 0
	for _, ev := range r.j.events {
		if ev.On == on && ev.Host == host {
			n++
		}
	}
	return n
}

func TestWindowIsWaitedFor(t *testing.T) {
	build := func(t *testing.T) *rig {
		r := newRig(t)
		r.hosts("broad", 3, plain)
		r.window("nightly", "01:00", 4*time.Hour, "broad00", "broad02")
		r.oneWave()
		r.build()
		return r
	}
	sim(t, "without waiting", func(t *testing.T) {
		r := build(t)
		out := r.mustStart(ExitWaiting)
		stop := out.Rollout.Stop
		if out.Rollout.State != RolloutWaiting || stop.Code != ReasonWindow || stop.Host != "broad00" || out.Rollout.WaitingFor != "" ||
			stop.Text != "2 hosts wait for their maintenance window: first broad00: window nightly opens 2000-01-01 01:00 UTC" {
			t.Errorf("%s: %+v", out.Rollout.State, stop)
		}
		r.is(map[string]State{"broad00": StatePending, "broad01": StateOK, "broad02": StatePending})
		if r.w.hosts["broad00"].opens != 0 {
			t.Error("a host was dialled outside of its window")
		}
		r.mustResume(ExitWaiting)
		time.Sleep(time.Hour)
		r.mustResume(ExitDone)
		r.is(map[string]State{"broad00": StateOK, "broad02": StateOK})
	})
	sim(t, "with waiting it goes on by itself", func(t *testing.T) {
		r := build(t)
		r.req.Wait = true
		r.mustStart(ExitDone)
		for _, h := range []string{"broad00", "broad02"} {
			if at := r.startedAt(h).Sub(midnight()); at < time.Hour || at > time.Hour+time.Minute {
				t.Errorf("%s began %s after midnight", h, at)
			}
		}
		n := 0
		for _, ev := range r.j.events {
			if ev.Kind == EventRollout && ev.Reason.Code == ReasonWindow {
				n++
			}
		}
		if n != 1 {
			t.Errorf("that it waits is in the journal %d times", n)
		}
	})
	sim(t, "killed while it waits", func(t *testing.T) {
		r := build(t)
		r.req.Wait = true
		e := New(r.cfg)
		time.AfterFunc(30*time.Minute, e.Detach)
		out, err := e.Start(context.Background(), r.req)
		r.want(out, err, ExitInterrupted)
		time.Sleep(time.Hour)
		r.mustResume(ExitDone)
	})
	sim(t, "drained while it waits", func(t *testing.T) {
		r := build(t)
		r.req.Wait = true
		e := New(r.cfg)
		time.AfterFunc(10*time.Minute, e.Drain)
		out, err := e.Start(context.Background(), r.req)
		if r.want(out, err, ExitWaiting); out.Rollout.State != RolloutPaused {
			t.Errorf("%s", out.Rollout.State)
		}
		out = r.mustResume(ExitWaiting)
		if out.Rollout.Stop.Code != ReasonWindow {
			t.Errorf("%+v", out.Rollout.Stop)
		}
	})
	sim(t, "a dry run has no windows", func(t *testing.T) {
		r := build(t)
		r.req.DryRun = true
		r.mustStart(ExitDone)
		r.is(map[string]State{"broad00": StateNoop, "broad01": StateNoop})
	})
	sim(t, "windows are ignored with a reason only", func(t *testing.T) {
		r := build(t)
		r.req.IgnoreWindow = true
		var pe *PlanError
		if _, err := r.start(); !errors.As(err, &pe) || !strings.Contains(err.Error(), "--reason") {
			t.Fatalf("without a reason: %v", err)
		}
		r.req.Reason = "CVE-2026-1"
		out := r.mustStart(ExitDone)
		if !out.Rollout.IgnoreWindow || out.Rollout.Reason != "CVE-2026-1" {
			t.Errorf("%+v", out.Rollout)
		}
		r.is(map[string]State{"broad00": StateOK, "broad01": StateOK})
	})
	sim(t, "of two windows the first that opens", func(t *testing.T) {
		r := newRig(t)
		r.hosts("broad", 1, plain)
		r.window("nightly", "01:00", time.Hour, "broad00")
		r.window("evening", "20:00", time.Hour, "broad00")
		r.build()
		time.Sleep(3 * time.Hour)
		r.req.Wait = true
		r.mustStart(ExitDone)
		if at := r.startedAt("broad00"); at.Hour() != 20 {
			t.Errorf("began at %s", at)
		}
		for _, ev := range r.j.events {
			if ev.Kind == EventRollout && ev.Reason.Code == ReasonWindow && !strings.HasSuffix(ev.Reason.Text, "window evening opens 2000-01-01 20:00 UTC") {
				t.Error(ev.Reason.Text)
			}
		}
	})
}

// TestWindowBetweenWaves: the soak of a wave goes on outside of the windows, the next wave waits for its own.
func TestWindowBetweenWaves(t *testing.T) {
	sim(t, "", func(t *testing.T) {
		r := newRig(t)
		r.host("canary", "c", plain)
		r.host("broad", "b", plain)
		r.s.Levels[0].Soak = 6 * time.Hour
		r.window("nightly", "00:00", time.Hour, "b", "c")
		r.build()
		r.req.Wait = true
		r.mustStart(ExitDone)
		if at := r.startedAt("b").Sub(midnight()); at < 24*time.Hour || at > 25*time.Hour {
			t.Errorf("the second wave began %s after midnight", at)
		}
		if passed := r.j.waves[0].PassedAt.Sub(midnight()); passed > 7*time.Hour {
			t.Errorf("the first wave passed %s after midnight", passed)
		}
	})
}

// TestWindowClosesBeforeTheTransaction: what has started finishes, what was only made ready goes back, and nothing failed.
func TestWindowClosesBeforeTheTransaction(t *testing.T) {
	sim(t, "in state ready", func(t *testing.T) {
		r := newRig(t)
		r.hosts("broad", 3, plain)
		r.window("nightly", "00:00", time.Hour, "broad00", "broad01", "broad02")
		r.oneWave()
		r.s.Limits.Transactions = 1
		r.build()
		r.w.txTime = 40 * time.Minute
		r.req.Wait = true
		out := r.mustStart(ExitDone)
		if out.Hosts[StateOK] != 3 {
			t.Errorf("%v", out.Hosts)
		}
		if n := r.came(OnWindowClosed, "broad00") + r.came(OnWindowClosed, "broad01") + r.came(OnWindowClosed, "broad02"); n != 1 {
			t.Errorf("%d hosts went back; the second begins before one o'clock and ends after it, the third has to wait", n)
		}
		later := 0
		for _, h := range []string{"broad00", "broad01", "broad02"} {
			if r.startedAt(h).Day() == 2 {
				later++
			}
			if rec := r.j.hosts[h]; rec.Attempt != 1 || r.w.hosts[h].owner != "" {
				t.Errorf("%s: attempt %d, lock %q", h, rec.Attempt, r.w.hosts[h].owner)
			}
		}
		if later != 1 {
			t.Errorf("%d hosts began in the second night", later)
		}
	})
	sim(t, "in state waiting_lock", func(t *testing.T) {
		r := newRig(t)
		r.host("broad", "a", plain, "front")
		r.s.Clusters["front"] = ClusterSettings{MaxUnavailable: inventory.Count(1), Members: []string{"a", "z"}}
		r.window("nightly", "00:00", time.Hour, "a")
		r.s.Limits.LockWait = 3 * time.Hour
		r.build()
		r.w.outside["z"] = "down"
		out := r.mustStart(ExitWaiting)
		if out.Rollout.Stop.Code != ReasonWindow || r.came(OnWindowClosed, "a") != 1 {
			t.Errorf("%+v, went back %d times", out.Rollout.Stop, r.came(OnWindowClosed, "a"))
		}
		rec := r.j.hosts["a"]
		if rec.State != StatePending || rec.Reason.Code != ReasonWindow || !strings.Contains(rec.Reason.Text, "opens 2000-01-02 00:00 UTC") {
			t.Errorf("%s: %+v", rec.State, rec.Reason)
		}
		if at := time.Since(midnight()); at < time.Hour || at > time.Hour+5*time.Minute {
			t.Errorf("it went back %s after midnight", at)
		}
		clear(r.w.outside)
		time.Sleep(23 * time.Hour)
		r.mustResume(ExitDone)
	})
	sim(t, "while the lock is taken", func(t *testing.T) {
		r := newRig(t)
		r.hosts("broad", 1, plain)
		r.window("nightly", "00:00", 35*time.Minute, "broad00")
		r.build()
		r.cfg.Timing.SettleWithin = time.Hour
		r.w.slow = map[string]time.Duration{"broad00": 10 * time.Minute} // each call; the lock is the fourth
		r.mustStart(ExitWaiting)
		if n := r.came(OnWindowClosed, "broad00"); n != 1 || r.came(OnStart, "broad00") != 0 || r.w.hosts["broad00"].owner != "" {
			t.Errorf("went back %d times, started %d times, lock %q", n, r.came(OnStart, "broad00"), r.w.hosts["broad00"].owner)
		}
		clear(r.w.slow)
		time.Sleep(24*time.Hour - time.Since(midnight()))
		r.mustResume(ExitDone)
	})
	sim(t, "while the connection for the start is made anew", func(t *testing.T) {
		r := newRig(t)
		r.hosts("broad", 1, dropStart)
		r.window("nightly", "00:00", time.Hour, "broad00")
		r.build()
		time.Sleep(time.Hour - time.Second)
		out := r.mustStart(ExitWaiting)
		if out.Rollout.Stop.Code != ReasonWindow || r.w.hosts["broad00"].starts != 1 || r.came(OnNeverStarted, "broad00") != 1 {
			t.Errorf("%+v, asked for %d times", out.Rollout.Stop, r.w.hosts["broad00"].starts)
		}
		time.Sleep(23 * time.Hour)
		r.mustResume(ExitDone)
	})
}

// TestWindowAfterThePlanExpired: there is nothing to wait for.
func TestWindowAfterThePlanExpired(t *testing.T) {
	for name, rule := range map[string]string{"later": "FREQ=YEARLY;BYMONTH=3;BYMONTHDAY=1", "never": "FREQ=DAILY;UNTIL=19991231"} {
		sim(t, name, func(t *testing.T) {
			r := newRig(t)
			r.hosts("broad", 2, plain)
			r.ruled("spring", rule, "01:00", time.Hour, "broad01")
			r.oneWave()
			r.build()
			out := r.mustStart(ExitStopped)
			want := map[string]string{"later": "window spring opens 2000-03-01 01:00 UTC", "never": "window spring never opens again"}[name]
			if stop := out.Rollout.Stop; stop.Code != ReasonExpired || !strings.Contains(stop.Text, want) || stop.Host != "broad01" {
				t.Errorf("%+v", stop)
			}
			r.is(map[string]State{"broad00": StateOK, "broad01": StateHeld})
			r.mustResume(ExitStopped)
			r.j.command(Command{Kind: CommandSkip, Host: "broad01"})
			r.mustResume(ExitDone)
		})
	}
	sim(t, "it expires meanwhile", func(t *testing.T) {
		r := newRig(t)
		r.hosts("broad", 1, plain)
		r.window("nightly", "01:00", time.Hour, "broad00")
		r.build()
		r.plan.ExpiresAt = midnight().Add(25*time.Hour + 30*time.Minute)
		r.mustStart(ExitWaiting)
		time.Sleep(3 * time.Hour)
		r.mustResume(ExitWaiting)
		time.Sleep(24 * time.Hour)
		if out := r.mustResume(ExitStopped); out.Rollout.Stop.Code != ReasonExpired {
			t.Errorf("%+v", out.Rollout.Stop)
		}
	})
}

// TestWindowsAndOperators: who waits can be skipped, and a pause outlasts an opening.
func TestWindowsAndOperators(t *testing.T) {
	build := func(t *testing.T) *rig {
		r := newRig(t)
		r.hosts("broad", 2, plain)
		r.window("nightly", "01:00", time.Hour, "broad00")
		r.window("noon", "12:00", time.Hour, "broad01")
		r.oneWave()
		r.build()
		r.req.Wait = true
		return r
	}
	sim(t, "skip", func(t *testing.T) {
		r := build(t)
		r.later(30*time.Minute, Command{Kind: CommandSkip, Host: "broad00"})
		r.later(3*time.Hour, Command{Kind: CommandSkip, Host: "broad01"})
		r.mustStart(ExitDone)
		r.is(map[string]State{"broad00": StateSkipped, "broad01": StateSkipped})
		if d := time.Since(midnight()); d > 4*time.Hour {
			t.Errorf("ended %s after midnight", d)
		}
		var texts []string
		for _, ev := range r.j.events {
			if ev.Kind == EventRollout && ev.Reason.Code == ReasonWindow {
				texts = append(texts, ev.Reason.Text)
			}
		}
		if len(texts) != 2 || !strings.Contains(texts[0], "window nightly opens") || !strings.Contains(texts[1], "window noon opens") {
			t.Errorf("what it waits for: %q", texts)
		}
	})
	sim(t, "pause and resume", func(t *testing.T) {
		r := build(t)
		r.later(30*time.Minute, Command{Kind: CommandPause})
		r.later(90*time.Minute, Command{Kind: CommandResume})
		r.mustStart(ExitDone)
		if at := r.startedAt("broad00").Sub(midnight()); at < 90*time.Minute || at > 2*time.Hour {
			t.Errorf("broad00 began %s after midnight", at)
		}
		if at := r.startedAt("broad01").Sub(midnight()); at < 12*time.Hour || at > 13*time.Hour {
			t.Errorf("broad01 began %s after midnight", at)
		}
	})
	sim(t, "abort", func(t *testing.T) {
		r := build(t)
		r.later(30*time.Minute, Command{Kind: CommandAbort})
		r.mustStart(ExitFailed)
		r.is(map[string]State{"broad00": StateSkipped, "broad01": StateSkipped})
	})
}

// TestWindowsAndClusters: a member that was put off, and whose window is closed, keeps others waiting, not held; what no window can
// change is held, whoever waits for a window meanwhile.
func TestWindowsAndClusters(t *testing.T) {
	sim(t, "a member that was put off", func(t *testing.T) {
		r := newRig(t)
		r.host("broad", "a", awayOnce, "front")
		r.host("broad", "b", plain, "front")
		r.window("nightly", "00:00", 15*time.Minute, "a")
		r.oneWave()
		r.build()
		r.w.opTime = 10 * time.Minute // after the quorum the window is open, and it closes while the host is dialled in vain
		out := r.mustStart(ExitWaiting)
		r.is(map[string]State{"a": StateDeferred, "b": StatePending})
		if stop := out.Rollout.Stop; stop.Code != ReasonWindow || stop.Host != "a" || !strings.HasPrefix(stop.Text, "2 hosts wait") {
			t.Errorf("%+v", stop)
		}
		r.w.opTime = 0
		time.Sleep(24*time.Hour - time.Since(midnight()))
		r.mustResume(ExitDone)
	})
	sim(t, "windows that never overlap", func(t *testing.T) {
		r := newRig(t)
		r.host("broad", "a", changed, "front")
		r.host("broad", "b", plain, "front")
		r.host("broad", "c", plain, "front")
		r.window("day", "00:00", 12*time.Hour, "b")
		r.window("night", "12:00", 12*time.Hour, "c")
		r.oneWave()
		r.build()
		r.req.Wait = true
		r.mustStart(ExitFailed)
		r.is(map[string]State{"a": StateHeld, "b": StateHeld, "c": StateHeld})
		if at := time.Since(midnight()); at > 13*time.Hour {
			t.Errorf("it took %s", at)
		}
	})
}

// TestBrokenWindowIsSeen breaks the promise on purpose: an engine with an empty calendar. The world must notice.
func TestBrokenWindowIsSeen(t *testing.T) {
	sim(t, "", func(t *testing.T) {
		r := newRig(t)
		r.hosts("broad", 1, plain)
		r.window("nightly", "01:00", time.Hour, "broad00")
		r.build()
		e := New(r.cfg)
		epoch, err := r.j.Acquire(t.Context(), "r1", r.cfg.Owner)
		if err != nil {
			t.Fatal(err)
		}
		snap := newSnapshot(r.req, r.cfg.Owner, time.Now())
		if err := r.j.Create(t.Context(), snap, false); err != nil {
			t.Fatal(err)
		}
		broken := newRun(e, snap, r.s.Limits, epoch)
		broken.calendar = &Calendar{}
		if _, err := e.run(t.Context(), broken, ""); err != nil {
			t.Fatal(err)
		}
		said := strings.Join(r.w.broken, "\n")
		for _, want := range []string{"broad00 admitted at", "broad00 start at", "broad00: transaction asked for at"} {
			if !strings.Contains(said, want) || !strings.Contains(said, "outside of its windows [nightly]") {
				t.Errorf("nobody noticed %q:\n%s", want, said)
			}
		}
	})
}

// TestCalendarRemembers: whatever was asked before, the answer is that of the windows.
func TestCalendarRemembers(t *testing.T) {
	s := Schedule{
		Windows: []WindowPlan{
			{Name: "nightly", Rule: "FREQ=DAILY", Start: "01:00", Duration: 4 * time.Hour, Zone: "Europe/Berlin"},
			{Name: "over", Rule: "FREQ=DAILY;UNTIL=20260301", Start: "05:00", Duration: 3 * time.Hour, Zone: "UTC"},
			{Name: "weekend", Rule: "FREQ=WEEKLY;BYDAY=SA,SU", Start: "00:00", Duration: 24 * time.Hour, Zone: "America/New_York"},
		},
		Host: map[string]HostPlan{"a": {Windows: []string{"nightly"}}, "b": {Windows: []string{"nightly", "weekend"}}, "c": {Windows: []string{"over"}}, "d": {}},
	}
	c, err := NewCalendar(&s)
	if err != nil {
		t.Fatal(err)
	}
	sets := map[string]inventory.Windows{"d": nil}
	for h, o := range c.hosts {
		sets[h] = o.set
	}
	begin := time.Date(2026, 2, 20, 0, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		for range 50 {
			h := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "host")
			now := begin.Add(time.Duration(rapid.IntRange(0, 60*86400).Draw(t, "seconds")) * time.Second)
			if _, open := sets[h].Open(now); c.Open(h, now) != open {
				t.Fatalf("%s at %s: open %v", h, now, !open)
			}
			from, until, ok := c.Next(h, now)
			_, want, wantOK := sets[h].Next(now)
			if ok != wantOK || ok && (!until.Equal(want) || !until.IsZero() && !until.After(now)) {
				t.Fatalf("%s at %s: %s to %s, %v; want until %s", h, now, from, until, ok, want)
			}
		}
	})
}

// TestWindowsAndHooks: before-hooks wait for the window as the hosts do, and what is prepared does not stay so until the next night.
func TestWindowsAndHooks(t *testing.T) {
	build := func(t *testing.T, takes, open time.Duration) *rig {
		r := newRig(t)
		r.hosts("broad", 2, plain)
		r.window("nightly", "01:00", open, "broad00", "broad01")
		r.hook("drain", inventory.BeforeHost)
		r.hook("undrain", inventory.AfterHost)
		r.hook("enter wave", inventory.BeforeWave)
		r.hook("leave wave", inventory.AfterWave)
		r.oneWave()
		r.s.Limits.Transactions = 1
		r.build()
		r.w.hooks.takes = takes
		return r
	}
	sim(t, "nothing is prepared before it opens", func(t *testing.T) {
		r := build(t, 0, 4*time.Hour)
		r.mustStart(ExitWaiting)
		if len(r.w.hooks.runs) != 0 {
			t.Errorf("ran %q", r.w.hooks.runs)
		}
		time.Sleep(time.Hour)
		r.mustResume(ExitDone)
		got := strings.Join(r.w.hooks.runs, ",")
		if len(r.w.hooks.runs) != 6 || !strings.HasPrefix(got, "enter wave wave 1,drain broad0") || !strings.HasSuffix(got, ",leave wave wave 1") {
			t.Errorf("ran %s", got)
		}
	})
	sim(t, "it closes while a host is drained", func(t *testing.T) {
		r := build(t, 10*time.Minute, 15*time.Minute)
		r.req.Wait = true
		r.w.hooks.only = "drain"
		r.mustStart(ExitDone)
		if n := r.came(OnWindowClosed, "broad00") + r.came(OnWindowClosed, "broad01"); n != 1 {
			t.Errorf("%d hosts went back to where they are begun anew", n)
		}
		first, second := "broad00", "broad01"
		if r.came(OnWindowClosed, first) == 1 {
			first, second = second, first
		}
		want := strings.NewReplacer("FIRST", first, "SECOND", second).Replace("enter wave wave 1,drain FIRST,undrain FIRST,drain SECOND,undrain SECOND," +
			"leave wave wave 1,enter wave wave 1,drain SECOND,undrain SECOND,leave wave wave 1")
		if got := strings.Join(r.w.hooks.runs, ","); got != want {
			t.Errorf("ran %s", got)
		}
		for _, h := range []string{"broad00", "broad01"} {
			if at := r.startedAt(h); at.Hour() != 1 || at.Minute() >= 15 {
				t.Errorf("%s began at %s", h, at)
			}
		}
	})
}
