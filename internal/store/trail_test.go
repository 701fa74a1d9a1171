package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"cpacman/internal/host"
	"cpacman/internal/rollout"
	"cpacman/internal/trail"
)

// told gives the lines of a rollout as "actor action subject", and checks that the chain is whole.
func told(t *testing.T, s *Store, f TrailFilter) ([]string, []trail.Line) {
	t.Helper()
	var out []string
	var lines []trail.Line
	if err := s.Trail(context.Background(), f, func(l trail.Line) error {
		out, lines = append(out, strings.TrimSpace(l.Actor+" "+l.Action+" "+l.Subject)), append(lines, l)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	whole(t, s)
	return out, lines
}

func whole(t *testing.T, s *Store, heads ...trail.Head) {
	t.Helper()
	res, err := s.CheckTrail(context.Background(), heads...)
	if err != nil || res.Fault != nil {
		t.Fatalf("the trail: %v, %v", res.Fault, err)
	}
}

// step writes a change of hosts as the engine does.
func step(t *testing.T, s *Store, epoch int64, from, to rollout.State, on rollout.Trigger, edit func(*rollout.HostRecord)) {
	t.Helper()
	rec := rollout.HostRecord{Host: "a", State: to, Attempt: 1, TxID: "r1/a/1", Updated: at}
	if edit != nil {
		edit(&rec)
	}
	if err := s.Append(context.Background(), "r1", epoch, rollout.Change{Hosts: []rollout.HostRecord{rec},
		Events: []rollout.Event{{Kind: rollout.EventHost, Host: "a", From: string(from), To: string(to), On: on, TxID: rec.TxID}}}); err != nil {
		t.Fatal(err)
	}
}

const planText = `{"repos":[{"id":"main","kind":"repomd","digest":"abc"}],"requested":{"filter":{"security":true},"selector":"class=p"}}`

// TestARolloutLeavesItsLines drives the journal as an engine does and holds what is told, by whom, and in which order.
func TestARolloutLeavesItsLines(t *testing.T) {
	s, ctx := open(t), context.Background()
	if err := s.PutPlan(ctx, "p1", at, []byte(planText)); err != nil {
		t.Fatal(err)
	}
	epoch, err := s.Acquire(ctx, "r1", me())
	if err != nil {
		t.Fatal(err)
	}
	snap := newSnapshot("r1", "p1")
	snap.Rollout.Digest, snap.Rollout.Again, snap.Rollout.Reason = "settings", true, "ticket 7"
	if err := s.Create(ctx, snap, true); err != nil {
		t.Fatal(err)
	}
	ro := snap.Rollout
	turn := func(to rollout.RolloutState, user string, c rollout.Change) {
		t.Helper()
		c.Events = append(c.Events, rollout.Event{Kind: rollout.EventRollout, From: string(ro.State), To: string(to), User: user})
		ro.State = to
		c.Rollout = &ro
		if err := s.Append(ctx, "r1", epoch, c); err != nil {
			t.Fatal(err)
		}
	}
	turn(rollout.RolloutRunning, "", rollout.Change{Waves: []rollout.WaveRecord{{Index: 0, State: rollout.WaveRunning}}})
	key := HostKey{"ssh-ed25519", "SHA256:x", "192.0.2.1:22", ""}
	for range 3 { // each connection reports it
		if err := s.PutHostKey(ctx, "r1", "a", key); err != nil {
			t.Fatal(err)
		}
	}
	step(t, s, epoch, rollout.StatePending, rollout.StateConnecting, rollout.OnAdmitted, nil)
	before := sample("a", "d1", 1, 2)
	step(t, s, epoch, rollout.StateWaitingLock, rollout.StateTransacting, rollout.OnStart, nil)
	if err := s.PutBefore(ctx, "r1/a/1", before, nil); err != nil {
		t.Fatal(err)
	}
	step(t, s, epoch, rollout.StateTransacting, rollout.StateVerifying, rollout.OnTxDone, nil)
	after := sample("a", "d2", 1, 2)
	after.Packages[1].Version = "2"
	for range 2 { // a verification may be repeated
		if err := s.PutAfter(ctx, "r1/a/1", "r1/a/1", after); err != nil {
			t.Fatal(err)
		}
	}
	step(t, s, epoch, rollout.StateVerifying, rollout.StateChecking, rollout.OnVerified, nil)
	step(t, s, epoch, rollout.StateChecking, rollout.StateChecking, rollout.OnErase, nil)
	step(t, s, epoch, rollout.StateChecking, rollout.StateOK, rollout.OnHealthy, func(r *rollout.HostRecord) {
		r.Checks = []rollout.CheckResult{{Check: "basic", Verdict: rollout.Green, Output: "secret of the check"}}
	})
	// The same state again, with another remark, is no news.
	step(t, s, epoch, rollout.StateOK, rollout.StateOK, "", func(r *rollout.HostRecord) { r.Remark = "x" })
	if err := s.PutCommand(ctx, "r1", rollout.Command{Kind: rollout.CommandSkip, Host: "b", User: "eve", Reason: "\x1b[2Jwhy", At: at}); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(ctx, "r1", epoch, rollout.Change{Events: []rollout.Event{{Kind: rollout.EventCommand, User: "eve", Host: "b",
		Refused: true, Reason: rollout.Reason{Code: rollout.ReasonOperator, Text: "refused skip"}}}}); err != nil {
		t.Fatal(err)
	}
	approval := rollout.Approval{Scope: "class p", User: "boss", Digest: "settings", Reason: "seen", At: at}
	if err := s.Append(ctx, "r1", epoch, rollout.Change{Approval: &approval,
		Events: []rollout.Event{{Kind: rollout.EventCommand, User: "boss"}}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(ctx, "r1", epoch, rollout.Change{Hosts: []rollout.HostRecord{{Host: "b", State: rollout.StateSkipped, Attempt: 1}},
		Events: []rollout.Event{{Kind: rollout.EventHost, Host: "b", User: "eve", On: rollout.OnSkip}}}); err != nil {
		t.Fatal(err)
	}
	turn(rollout.RolloutDone, "", rollout.Change{Waves: []rollout.WaveRecord{{Index: 0, State: rollout.WavePassed, Verdict: rollout.Reason{Text: "good"}}}})
	turn(rollout.RolloutRunning, "op2", rollout.Change{})

	got, lines := told(t, s, TrailFilter{Rollout: "r1"})
	want := []string{
		"op engine.started", "op rollout.created", "(engine) wave.state wave 1", "(engine) rollout.state", "(engine) host.key a", "(engine) tx.asked a",
		"(engine) tx.ended a", "(engine) host.packages a", "(engine) tx.erase_asked a", "(engine) host.state a", "eve command.asked b",
		"eve command.refused b", "boss command.taken", "boss approval class p", "eve host.state b", "(engine) wave.state wave 1", "(engine) rollout.state", "op2 rollout.state",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("lines (-want +got):\n%s", d)
	}
	bodies(t, s, lines)

	if got, _ := told(t, s, TrailFilter{Actor: "eve"}); len(got) != 3 {
		t.Errorf("of eve: %v", got)
	}
	if got, _ := told(t, s, TrailFilter{Since: time.Now().Add(time.Hour)}); len(got) != 0 {
		t.Errorf("of the future: %v", got)
	}
	if got, _ := told(t, s, TrailFilter{From: 2, To: 3}); len(got) != 2 {
		t.Errorf("two lines: %v", got)
	}
	txs, err := s.Transactions(ctx, "r1")
	if err != nil || len(txs) != 1 || txs[0].Before != "d1" || txs[0].Host != "a" {
		t.Errorf("transactions %+v, %v", txs, err)
	}
}

// bodies holds what the lines of TestARolloutLeavesItsLines say.
func bodies(t *testing.T, s *Store, lines []trail.Line) {
	t.Helper()
	find := func(action string) trail.Line {
		i := slices.IndexFunc(lines, func(l trail.Line) bool { return l.Action == action })
		if i < 0 {
			t.Fatalf("no line %s", action)
		}
		return lines[i]
	}
	var created CreatedBody
	if err := json.Unmarshal(find(LineCreated).Body, &created); err != nil {
		t.Fatal(err)
	}
	if created.Record.PlanID != "p1" || created.PlanSHA256 != trail.DigestOf([]byte(planText)) || created.Record.Digest != "settings" ||
		created.Record.Reason != "ticket 7" || !slices.Equal(created.Overrides, []string{"again"}) || created.Hosts != 2 ||
		len(created.Repos) != 1 || created.Repos[0].Digest != "abc" || created.Requested.Selector != "class=p" {
		t.Errorf("created: %+v", created)
	}
	var packages PackagesBody
	line := find(LinePackages)
	if err := json.Unmarshal(line.Body, &packages); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(PackagesBody{"r1/a/1", "d1", "d2", 1, 1}, packages); d != "" {
		t.Error(d)
	}
	text, err := s.TrailChanges(context.Background(), line.Changes)
	if want := `{"added":["p1-2-1.noarch "],"removed":["p1-1-1.noarch "]}`; err != nil || string(text) != want {
		t.Errorf("changes %s, %v, want %s", text, err, want)
	}
	var ended StateBody
	if err := json.Unmarshal(find(LineHost).Body, &ended); err != nil || ended.To != "ok" || len(ended.Checks) != 1 || ended.Checks[0].Verdict != rollout.Green {
		t.Errorf("end: %+v, %v", ended, err)
	}
	var asked CommandBody
	if err := json.Unmarshal(find(LineCommand).Body, &asked); err != nil || asked.Kind != rollout.CommandSkip || asked.Reason != "\x1b[2Jwhy" {
		t.Errorf("command: %+v, %v", asked, err)
	}
	for _, l := range lines {
		if strings.ContainsRune(string(l.Body), 0x1b) || strings.Contains(string(l.Body), "secret of the check") {
			t.Errorf("line %d: %q", l.Seq, l.Body)
		}
	}
}

// TestARefusedWriteLeavesNoLine: a line and what it tells are one write.
func TestARefusedWriteLeavesNoLine(t *testing.T) {
	s, ctx := open(t), context.Background()
	epoch := start(t, s, "r1", "p1")
	head, err := s.TrailHead(ctx)
	if err != nil {
		t.Fatal(err)
	}
	change := rollout.Change{Hosts: []rollout.HostRecord{{Host: "a", State: rollout.StateOK}}}
	if err := s.Append(ctx, "r1", epoch+1, change); !errors.Is(err, rollout.ErrLeaseLost) {
		t.Fatal(err)
	}
	if err := s.PutCommand(ctx, "nothing", rollout.Command{Kind: rollout.CommandPause}); !errors.Is(err, rollout.ErrNotFound) {
		t.Fatal(err)
	}
	if err := s.Create(ctx, newSnapshot("r2", "p1"), false); err == nil {
		t.Fatal("a plan started twice")
	}
	if err := s.PutAfter(ctx, "r1/b/1", "r1/b/1", sample("b", "d")); !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
	if now, err := s.TrailHead(ctx); err != nil || now != head {
		t.Errorf("the head went from %v to %v, %v", head, now, err)
	}
	// And the other way round: where the line cannot be written, nothing is.
	if _, err := s.db.Exec("DROP TABLE trail_head"); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(ctx, "r1", epoch, change); err == nil {
		t.Fatal("appended without a trail")
	}
	if snap, err := s.Load(ctx, "r1"); err != nil || snap.Hosts[0].State != rollout.StatePending {
		t.Errorf("host %+v, %v", snap.Hosts, err)
	}
}

func TestTheDatabaseRefusesChanges(t *testing.T) {
	s, ctx := open(t), context.Background()
	start(t, s, "r1", "p1")
	if err := s.PutBefore(ctx, "r1/a/1", sample("a", "d1", 1), nil); err != nil {
		t.Fatal(err)
	}
	if err := s.PutAfter(ctx, "r1/a/1", "r1/a/1", sample("a", "d2", 1, 2)); err != nil {
		t.Fatal(err)
	}
	head, _ := s.TrailHead(ctx)
	for _, q := range []string{
		"UPDATE trail SET actor = 'x' WHERE seq = 1",
		"DELETE FROM trail WHERE seq = 1",
		"DELETE FROM trail",
		"INSERT OR REPLACE INTO trail SELECT seq, at, 'x', action, rollout, subject, body, changes, prev, digest FROM trail WHERE seq = 1",
		"INSERT INTO trail SELECT seq + 100, at, 'x', action, rollout, subject, body, changes, prev, digest FROM trail WHERE seq = 1",
		fmt.Sprintf("INSERT INTO trail VALUES (%d, '', 'x', '', '', '', '{}', '', '%s', 'd')", head.Seq+1, trail.Start),
		fmt.Sprintf("INSERT INTO trail VALUES (0, '', 'x', '', '', '', '{}', '', '%s', 'd')", head.Digest),
		"UPDATE trail_head SET seq = 0",
		"UPDATE trail_head SET digest = 'x'",
		"DELETE FROM trail_head",
		"INSERT OR REPLACE INTO trail_head VALUES (1, 0, 'x')",
		"UPDATE trail_changes SET body = x'00'",
		"DELETE FROM trail_changes",
		"INSERT OR REPLACE INTO trail_changes SELECT digest, x'00' FROM trail_changes",
	} {
		if _, err := s.db.Exec(q); err == nil || !strings.Contains(err.Error(), "audit trail") {
			t.Errorf("%s: %v", q, err)
		}
	}
	whole(t, s, head)
}

// TestDamageInTheDatabaseIsFound takes the guards away and damages tables as somebody with the file would.
func TestDamageInTheDatabaseIsFound(t *testing.T) {
	for _, c := range []struct {
		name, do, want string
	}{
		{"changed", "UPDATE trail SET body = '{}' WHERE seq = 3", "3 changed"},
		{"blank in a body", "UPDATE trail SET body = body || ' ' WHERE seq = 3", "3 changed"},
		{"another time", "UPDATE trail SET at = '2020-01-01T00:00:00.000000000Z' WHERE seq = 1", "1 changed"},
		{"removed", "DELETE FROM trail WHERE seq = 2", "2 missing"},
		{"the last removed", "DELETE FROM trail WHERE seq = (SELECT max(seq) FROM trail)", "5 missing"},
		{"all removed", "DELETE FROM trail", "1 missing"},
		{"removed and renumbered", "DELETE FROM trail WHERE seq = 2; UPDATE trail SET seq = seq - 1 WHERE seq = 3; UPDATE trail SET seq = seq - 1 WHERE seq = 4; UPDATE trail SET seq = seq - 1 WHERE seq = 5", "2 missing"},
		{"one before the first", "INSERT INTO trail SELECT 0, at, actor, action, rollout, subject, body, changes, prev, digest FROM trail WHERE seq = 1", "0 inserted"},
		{"a negative one", "INSERT INTO trail SELECT -7, at, actor, action, rollout, subject, body, changes, prev, digest FROM trail WHERE seq = 1", "-7 inserted"},
		{"a list changed", "UPDATE trail_changes SET body = x'28b52ffd0400090000000000'", "5 changed"},
		{"a list removed", "DELETE FROM trail_changes", "5 changed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, ctx := open(t), context.Background()
			start(t, s, "r1", "p1")
			start(t, s, "r2", "p2")
			if err := s.PutBefore(ctx, "r1/a/1", sample("a", "d1", 1), nil); err != nil {
				t.Fatal(err)
			}
			if err := s.PutAfter(ctx, "r1/a/1", "r1/a/1", sample("a", "d2", 1, 2)); err != nil {
				t.Fatal(err)
			}
			unguard(t, s)
			if _, err := s.db.Exec(c.do); err != nil {
				t.Fatal(err)
			}
			res, err := s.CheckTrail(ctx)
			if err != nil || res.Fault == nil {
				t.Fatalf("not found: %+v, %v", res, err)
			}
			if got := fmt.Sprintf("%d %s", res.Fault.Seq, res.Fault.Kind); got != c.want {
				t.Errorf("got %s, want %s", res.Fault, c.want)
			}
		})
	}
}

// unguard drops the triggers, as somebody who holds the file can.
func unguard(t *testing.T, s *Store) {
	t.Helper()
	rows, err := s.db.Query("SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'trail%'")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for rows.Next() {
		var n string
		if err := rows.Scan(&n); err != nil {
			t.Fatal(err)
		}
		names = append(names, n)
	}
	rows.Close()
	if len(names) < 10 {
		t.Fatalf("only %d triggers: %v", len(names), names)
	}
	for _, n := range names {
		if _, err := s.db.Exec("DROP TRIGGER " + n); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTwoProcessesKeepOneChain: stores of several processes (here: several open databases) write at the same time.
func TestTwoProcessesKeepOneChain(t *testing.T) {
	dir, ctx := filepath.Join(t.TempDir(), "state"), context.Background()
	const stores, each = 3, 20
	var wg sync.WaitGroup
	var open []*Store
	for range stores {
		s, err := Open(ctx, dir)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		open = append(open, s)
	}
	for n, s := range open {
		id := fmt.Sprintf("r%d", n)
		start(t, s, id, "p"+id)
		for half := range 2 { // two goroutines in each
			wg.Go(func() {
				for i := range each {
					if err := s.PutCommand(ctx, id, rollout.Command{Kind: rollout.CommandPause, User: fmt.Sprintf("u%d-%d", half, i)}); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
	}
	wg.Wait()
	res, err := open[0].CheckTrail(ctx)
	if err != nil || res.Fault != nil || res.Lines != stores*(2+2*each) {
		t.Errorf("%+v, %v", res, err)
	}
}

// TestAnEarlierHeadStaysProvable: whatever is written after, a head that was written down stays in the chain; a chain that was made
// anew does not lead through it.
func TestAnEarlierHeadStaysProvable(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s, ctx := open(t), context.Background()
		epoch := start(t, s, "r1", "p1")
		var heads []trail.Head
		steps := rapid.IntRange(1, 10).Draw(r, "steps")
		for i := range steps {
			state := rapid.SampledFrom([]rollout.State{rollout.StateHeld, rollout.StateOK, rollout.StateTransacting, rollout.StateLost}).Draw(r, "state")
			err := s.Append(ctx, "r1", epoch, rollout.Change{Hosts: []rollout.HostRecord{{Host: "a", State: state, Attempt: i,
				Reason: rollout.Reason{Text: rapid.String().Draw(r, "text")}}}})
			if err != nil {
				r.Fatal(err)
			}
			h, err := s.TrailHead(ctx)
			if err != nil {
				r.Fatal(err)
			}
			heads = append(heads, h)
		}
		if res, err := s.CheckTrail(ctx, heads...); err != nil || res.Fault != nil {
			r.Fatalf("%+v, %v", res, err)
		}
		// Somebody makes the whole chain anew, with the right digests everywhere.
		var lines []trail.Line
		if err := s.Trail(ctx, TrailFilter{}, func(l trail.Line) error { lines = append(lines, l); return nil }); err != nil {
			r.Fatal(err)
		}
		unguard(t, s)
		lines[0].Actor = "somebody else"
		head := trail.Head{Seq: 0, Digest: trail.Start}
		for i := range lines {
			lines[i].Seal(head)
			head = lines[i].Head()
			if _, err := s.db.Exec("UPDATE trail SET actor = ?, prev = ?, digest = ? WHERE seq = ?", lines[i].Actor, lines[i].Prev, lines[i].Digest, lines[i].Seq); err != nil {
				r.Fatal(err)
			}
		}
		if _, err := s.db.Exec("UPDATE trail_head SET digest = ?", head.Digest); err != nil {
			r.Fatal(err)
		}
		if res, err := s.CheckTrail(ctx); err != nil || res.Fault != nil {
			r.Fatalf("a chain made anew is whole: %+v, %v", res, err)
		}
		if res, err := s.CheckTrail(ctx, heads[0]); err != nil || res.Fault == nil || res.Fault.Kind != trail.Rewritten {
			r.Fatalf("it leads through a head written down before: %+v, %v", res, err)
		}
	})
}

func TestDifferenceCountsBuilds(t *testing.T) {
	p := func(version, header string) host.Package {
		epoch := uint32(0)
		return host.Package{Name: "p", Epoch: &epoch, Version: version, Release: "1", Arch: "x86_64", Header: header}
	}
	got := difference([]host.Package{p("1", "a"), p("1", "a"), p("2", "b")}, []host.Package{p("1", "a"), p("2", "c")})
	want := trail.Changes{Added: []string{p("2", "c").NEVRA().String() + " c"}, Removed: []string{p("1", "a").NEVRA().String() + " a", p("2", "b").NEVRA().String() + " b"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestOlderDatabasesGetATrail: a database of before the trail opens, and its rollouts have no lines.
func TestOlderDatabasesGetATrail(t *testing.T) {
	ctx := context.Background()
	s, err := Open(ctx, golden(t, "testdata/format-3.sql"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got, _ := told(t, s, TrailFilter{}); len(got) != 0 {
		t.Errorf("lines %v", got)
	}
	all, err := s.Rollouts(ctx)
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	if _, err := s.Acquire(ctx, all[0].ID, me()); err != nil {
		t.Fatal(err)
	}
	if got, _ := told(t, s, TrailFilter{}); len(got) != 1 {
		t.Errorf("lines %v", got)
	}
}
