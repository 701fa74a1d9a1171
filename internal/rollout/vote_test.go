package rollout

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestTwoApprove drives the engine through a gate for two, with commands as other processes write them.
func TestTwoApprove(t *testing.T) {
	build := func(t *testing.T) (*rig, *crowd) {
		r := newRig(t)
		r.host("canary", "c", plain)
		r.host("broad", "b", plain)
		r.s.Classes[0].NotStarter = true
		r.s.Levels[1].Approve = 2
		r.build()
		people := newCrowd()
		r.cfg.People, r.req.Person = people, "ann"
		return r, people
	}
	const gate = "level prod/broad"
	yes := func(r *rig, user string) Command {
		return Command{Kind: CommandApprove, Scope: gate, Digest: r.req.Schedule.Digest, User: user}
	}
	signed := func(r *rig, people *crowd, key string, life time.Duration) Command {
		c := yes(r, "cron")
		c.Request = people.issue("r1", r.req.Schedule.Digest, gate, time.Now().Add(life))
		c.Signature, c.At = key+" signs "+c.Request, time.Now()
		return c
	}
	refusals := func(r *rig) (out []string) {
		for _, ev := range r.j.events {
			if ev.Kind == EventCommand && strings.HasPrefix(ev.Reason.Text, "refused") {
				out = append(out, ev.Reason.Text)
			}
		}
		return out
	}
	sim(t, "one after the other", func(t *testing.T) {
		r, people := build(t)
		out := r.mustStart(ExitWaiting)
		if out.Rollout.Stop.Text != "waits for approvals of level prod/broad: 0 of 2" {
			t.Errorf("stop %+v", out.Rollout.Stop)
		}
		r.j.command(yes(r, "bob"))
		out = r.mustResume(ExitWaiting)
		if out.Rollout.WaitingFor != gate || out.Rollout.Stop.Text != "waits for approvals of level prod/broad: 1 of 2, by bob" {
			t.Errorf("after one: %+v", out.Rollout.Stop)
		}
		r.is(map[string]State{"c": StateOK, "b": StatePending})
		r.j.command(signed(r, people, "k-kim", time.Hour))
		time.Sleep(48 * time.Hour) // nobody runs the engine; it was in time all the same
		r.mustResume(ExitDone)
		if len(r.j.approvals) != 2 || r.j.approvals[1].Person != "kim" || r.j.approvals[1].Key != "k-kim" || r.j.approvals[1].User != "cron" {
			t.Errorf("approvals %+v", r.j.approvals)
		}
	})
	sim(t, "what cannot count", func(t *testing.T) {
		r, people := build(t)
		r.mustStart(ExitWaiting)
		twice := signed(r, people, "k-bob", time.Hour)
		other := twice
		other.Signature = "k-kim signs " + other.Request
		late := signed(r, people, "k-kim", -time.Second)
		claims := yes(r, "root")
		claims.Claimed = "dan"
		old := yes(r, "dan")
		old.Digest = "before"
		for _, c := range []Command{twice, twice, other, yes(r, "bob"), yes(r, "ann"), yes(r, "eve"), claims, late, old} {
			r.j.command(c)
		}
		out := r.mustResume(ExitWaiting)
		if !strings.HasSuffix(out.Rollout.Stop.Text, "1 of 2, by bob") || len(r.j.approvals) != 1 {
			t.Errorf("stop %q, approvals %+v", out.Rollout.Stop.Text, r.j.approvals)
		}
		want := []string{"used already", "used already", "bob has approved", "ann started", "eve may not", "user root is no person", "expired", "digest before"}
		got := refusals(r)
		if len(got) != len(want) {
			t.Fatalf("refused: %q", got)
		}
		for i := range want {
			if !strings.Contains(got[i], want[i]) {
				t.Errorf("refusal %q, want %q", got[i], want[i])
			}
		}
		r.j.command(yes(r, "dan"))
		r.mustResume(ExitDone)
	})
	sim(t, "from other terminals while it waits", func(t *testing.T) {
		r, people := build(t)
		r.req.Wait = true
		r.j.script = func(j *memJournal, ev Event) {
			if ev.Kind != EventRollout || ev.To != string(RolloutWaiting) || ev.From == string(RolloutWaiting) {
				return
			}
			go func() {
				for _, c := range []Command{yes(r, "bob"), yes(r, "bob"), signed(r, people, "k-kim", 10*time.Hour)} {
					time.Sleep(time.Hour)
					j.mu.Lock()
					j.command(c)
					j.mu.Unlock()
				}
			}()
		}
		begin := time.Now()
		r.mustStart(ExitDone)
		if time.Since(begin) < 3*time.Hour {
			t.Error("went on with one person")
		}
	})
	sim(t, "rights taken away", func(t *testing.T) {
		r, people := build(t)
		r.mustStart(ExitWaiting)
		r.j.command(yes(r, "bob"))
		r.mustResume(ExitWaiting)
		people.rights["bob"] = nil
		r.j.command(yes(r, "dan"))
		out := r.mustResume(ExitWaiting)
		if !strings.HasSuffix(out.Rollout.Stop.Text, "1 of 2, by dan") {
			t.Errorf("stop %q", out.Rollout.Stop.Text)
		}
	})
	sim(t, "look-up fails for a while", func(t *testing.T) {
		r, people := build(t)
		r.req.Wait = true
		people.down = time.Now().Add(24 * time.Hour)
		r.j.script = func(j *memJournal, ev Event) {
			if ev.Kind != EventRollout || ev.To != string(RolloutWaiting) || ev.From == string(RolloutWaiting) {
				return
			}
			go func() {
				time.Sleep(time.Minute)
				j.mu.Lock()
				j.command(yes(r, "bob"))
				j.command(signed(r, people, "k-kim", 48*time.Hour))
				j.mu.Unlock()
			}()
		}
		begin := time.Now()
		r.mustStart(ExitDone)
		if time.Since(begin) < 24*time.Hour {
			t.Error("went on without looking the request up")
		}
		if len(refusals(r)) != 0 {
			t.Errorf("refused: %q", refusals(r))
		}
	})
}

// TestTicketsAreAskedForOnce: the engine asks the program of the class about the ticket, and the ticket is kept.
func TestTicketsAreAskedForOnce(t *testing.T) {
	sim(t, "ticket", func(t *testing.T) {
		r := newRig(t)
		r.host("broad", "b", plain)
		r.s.Classes[0].Approve, r.s.Classes[0].Ticket, r.s.Classes[0].TicketCheck = 1, "CHG-[0-9]+", []string{"/bin/ticket", "{ticket}"}
		r.build()
		people := newCrowd()
		people.tickets["CHG-2"] = nil
		r.cfg.People = people
		r.mustStart(ExitWaiting)
		for _, ticket := range []string{"", "OPS-1", "CHG-1", "CHG-2"} {
			r.j.command(Command{Kind: CommandApprove, Digest: r.req.Schedule.Digest, User: "bob", Ticket: ticket})
		}
		r.mustResume(ExitDone)
		if len(r.j.approvals) != 1 || r.j.approvals[0].Ticket != "CHG-2" || fmt.Sprint(people.asked) != "[/bin/ticket CHG-1 /bin/ticket CHG-2]" {
			t.Errorf("approvals %+v, asked %v", r.j.approvals, people.asked)
		}
	})
}

// TestGateSettingsAreBound: who and how many have to say yes is part of what they say yes to.
func TestGateSettingsAreBound(t *testing.T) {
	resolve := func(spoil func(c *ClassSettings)) string {
		r := newRig(t)
		r.host("broad", "b", plain)
		r.s.Classes[0].Approve = 1
		spoil(&r.s.Classes[0])
		s, err := Resolve(r.plan, r.s)
		if err != nil {
			t.Fatal(err)
		}
		return s.Digest
	}
	base := resolve(func(*ClassSettings) {})
	for name, spoil := range map[string]func(c *ClassSettings){
		"approve": func(c *ClassSettings) { c.Approve = 2 }, "starter": func(c *ClassSettings) { c.NotStarter = true },
		"ticket": func(c *ClassSettings) { c.Ticket = "x" }, "program": func(c *ClassSettings) { c.TicketCheck = []string{"/x"} },
	} {
		if resolve(spoil) == base {
			t.Errorf("%s is not bound", name)
		}
	}
}
