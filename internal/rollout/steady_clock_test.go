package rollout

import (
	"context"
	"sync/atomic"
	"testing"
	"time"
)

// steppedClock is a clock that somebody sets while the engine runs.
type steppedClock struct {
	SystemClock
	by *atomic.Int64
}

func (c steppedClock) Now() time.Time { return c.SystemClock.Now().Add(time.Duration(c.by.Load())) }

// stepped lets the clock of the rig be off, and jump once, after a while.
func (r *rig) stepped(first, after, by time.Duration) {
	c := steppedClock{by: &atomic.Int64{}}
	c.by.Store(int64(first))
	r.cfg.Clock, r.j.step = c, c.by
	time.AfterFunc(after, func() { c.by.Store(int64(by)) })
}

// TestSteppedClock: how long something lasts is not decided by a clock that is set right, or wrong, meanwhile.
func TestSteppedClock(t *testing.T) {
	for _, by := range []time.Duration{-48 * time.Hour, -time.Hour, time.Hour, 48 * time.Hour} {
		sim(t, "a soak is as long as it is, by "+by.String(), func(t *testing.T) {
			r := newRig(t)
			r.host("canary", "c", plain)
			r.s.Levels[0].Soak = 3 * time.Hour
			r.slowly = true
			r.build()
			r.stepped(0, time.Hour, by)
			begin := time.Now()
			r.mustStart(ExitDone)
			if d := time.Since(begin); d < 3*time.Hour || d > 3*time.Hour+10*time.Minute {
				t.Errorf("took %s", d)
			}
		})
		sim(t, "a paused soak goes on with what is left, by "+by.String(), func(t *testing.T) {
			r := newRig(t)
			r.host("canary", "c", plain)
			r.s.Levels[0].Soak = 3 * time.Hour
			r.slowly = true
			r.build()
			r.stepped(0, time.Hour, by)
			r.req.Wait = true
			r.later(2*time.Hour, Command{Kind: CommandPause})
			r.later(5*time.Hour, Command{Kind: CommandResume})
			begin := time.Now()
			r.mustStart(ExitDone)
			if d := time.Since(begin); d < 6*time.Hour || d > 6*time.Hour+10*time.Minute {
				t.Errorf("took %s", d)
			}
		})
		sim(t, "operators are heard, by "+by.String(), func(t *testing.T) {
			r := newRig(t)
			r.host("canary", "c", plain)
			r.s.Levels[0].Soak = 30 * time.Hour
			r.slowly = true
			r.build()
			r.stepped(0, time.Hour, by)
			r.later(2*time.Hour, Command{Kind: CommandAbort})
			begin := time.Now()
			r.mustStart(ExitFailed)
			if d := time.Since(begin); r.j.ro.State != RolloutAborted || d > 2*time.Hour+10*time.Minute {
				t.Errorf("%s after %s", r.j.ro.State, d)
			}
		})
	}
}

// TestSoakAfterAStep: an engine that takes a soak up goes by the recorded end, and never soaks for longer than the whole.
func TestSoakAfterAStep(t *testing.T) {
	sim(t, "set back by two days", func(t *testing.T) {
		r := newRig(t)
		r.host("canary", "c", plain)
		r.s.Levels[0].Soak = 3 * time.Hour
		r.slowly = true
		r.build()
		r.stepped(0, time.Hour, -48*time.Hour)
		e := New(r.cfg)
		time.AfterFunc(2*time.Hour, e.Detach)
		out, err := e.Start(context.Background(), r.req)
		r.want(out, err, ExitInterrupted)
		begin := time.Now()
		r.mustResume(ExitDone)
		if d := time.Since(begin); d > 3*time.Hour+10*time.Minute {
			t.Errorf("took %s more", d)
		}
	})
}

// TestClockIsSetBack: a window that the clock has come back to is not waited for until the one after it.
func TestClockIsSetBack(t *testing.T) {
	sim(t, "nobody else to work on", func(t *testing.T) {
		r := newRig(t)
		r.hosts("broad", 1, plain)
		r.window("nightly", "01:00", time.Hour, "broad00")
		r.build()
		r.req.Wait = true
		time.Sleep(2 * time.Hour)
		r.stepped(24*time.Hour, time.Hour, -3*time.Hour) // a day ahead: it waits for the window of the day after
		r.mustStart(ExitDone)
		if at := r.startedAt("broad00").Sub(midnight()); at < time.Hour || at > time.Hour+5*time.Minute {
			t.Errorf("began %s after midnight by the clock", at)
		}
	})
	sim(t, "while another host is at work", func(t *testing.T) {
		r := newRig(t)
		r.hosts("broad", 2, plain)
		r.window("nightly", "01:00", time.Hour, "broad00")
		r.oneWave()
		r.build()
		r.w.txTime = 10 * time.Hour
		r.req.Wait = true
		time.Sleep(2 * time.Hour)
		r.stepped(24*time.Hour, time.Hour, -3*time.Hour)
		r.mustStart(ExitDone)
		if at := r.startedAt("broad00").Sub(midnight()); at < time.Hour || at > time.Hour+5*time.Minute {
			t.Errorf("began %s after midnight by the clock", at)
		}
	})
}
