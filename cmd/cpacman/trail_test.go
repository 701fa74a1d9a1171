package main

import (
	"bytes"
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"cpacman/internal/fleet"
	"cpacman/internal/host"
	"cpacman/internal/rollout"
	"cpacman/internal/store"
	"cpacman/internal/trail"
	"cpacman/inventory"
)

// cmdRollouts fills a state directory with a rollout as an engine would leave it, and another one whose lines stand between: rollouts DIR.
// What hosts say in it would take over a terminal, and a spreadsheet.
func cmdRollouts(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: rollouts DIR")
	}
	ctx, at := context.Background(), time.Date(2026, 3, 1, 2, 3, 4, 0, time.UTC)
	s, err := store.Open(ctx, ts.MkAbs(args[0]))
	ts.Check(err)
	defer s.Close()
	facts := func(version string) *host.Facts {
		epoch := uint32(0)
		f := &host.Facts{Host: "web01", CollectedAt: at, Packages: []host.Package{{Name: "app", Epoch: &epoch, Version: version, Release: "1", Arch: "noarch", Header: "h" + version}}}
		f.InstalledDigest = host.InstalledDigest(f.Packages)
		return f
	}
	ts.Check(s.PutPlan(ctx, "plan1", at, []byte(`{"id":"plan1","repos":[{"id":"main","kind":"repomd","digest":"abc"}]}`)))
	for _, id := range []string{"20260301-020304-aaaaaaaa", "20260301-020304-bbbbbbbb"} {
		ts.Check(s.Create(ctx, rollout.Snapshot{
			Rollout: rollout.Rollout{ID: id, PlanID: "plan1", Digest: "set1", State: rollout.RolloutCreated, User: "alice", Again: true, Reason: "=HYPERLINK()", CreatedAt: at, UpdatedAt: at},
			Hosts:   []rollout.HostRecord{{Host: "web01", State: rollout.StatePending, Attempt: 1, Started: at}},
			Waves:   []rollout.WaveRecord{{State: rollout.WavePending}},
		}, true))
	}
	const id = "20260301-020304-aaaaaaaa"
	epoch, err := s.Acquire(ctx, id, rollout.Owner{User: "alice", Host: "control", PID: 1})
	ts.Check(err)
	ts.Check(s.PutBefore(ctx, id+"/web01/1", facts("1"), nil))
	ts.Check(s.PutAfter(ctx, id+"/web01/1", id+"/web01/1", facts("2")))
	ts.Check(s.PutCommand(ctx, "20260301-020304-bbbbbbbb", rollout.Command{Kind: rollout.CommandPause, User: "mallory", Reason: "of the other"}))
	ts.Check(s.PutCommand(ctx, id, rollout.Command{Kind: rollout.CommandSkip, Host: "web01", User: "=bob", Reason: "lunch\x1b[31m"}))
	ts.Check(s.Append(ctx, id, epoch, rollout.Change{
		Rollout: &rollout.Rollout{ID: id, PlanID: "plan1", State: rollout.RolloutStopped, User: "alice", UpdatedAt: at},
		Hosts: []rollout.HostRecord{{Host: "web01", State: rollout.StateHealthFailed, Attempt: 1, Started: at,
			Reason: rollout.Reason{Code: rollout.ReasonHealth, Text: "it said \x1b[2J\u202eevil\u009b31m"}}},
	}))
	ts.Check(s.Release(ctx, id, epoch))
}

// cmdSQL does to a state database what somebody who holds the file can, triggers out of the way: sql DIR STATEMENT…
func cmdSQL(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: sql DIR STATEMENT…")
	}
	db, err := sql.Open("sqlite", filepath.Join(ts.MkAbs(args[0]), store.FileName))
	ts.Check(err)
	defer db.Close()
	for _, name := range []string{"trail_no_update", "trail_no_delete", "trail_in_order", "trail_head_grows"} {
		_, err := db.Exec("DROP TRIGGER IF EXISTS " + name)
		ts.Check(err)
	}
	for _, q := range args[1:] {
		_, err := db.Exec(q)
		ts.Check(err)
	}
}

// TestDocsTrail: the journal's page names every kind of line.
func TestDocsTrail(t *testing.T) {
	text := page(t, "docs/journal.md")
	for _, action := range []string{
		store.LineCreated, store.LineRollout, store.LineEngine, store.LineWave, store.LineHost, store.LineHostKey, store.LinePackages, store.LineTxAsked,
		store.LineTxEnded, store.LineErase, store.LineApproval, store.LineCommand, store.LineCommandTaken, store.LineCommandRefused, store.LineHeadSent,
		store.LineBackAsked, store.LineRebootAsked, store.LineRestartAsked,
	} {
		if !strings.Contains(text, "| `"+action+"`") {
			t.Errorf("docs/journal.md does not say what a line %s tells", action)
		}
	}
}

func TestParseSince(t *testing.T) {
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"":                     {},
		"24h":                  now.Add(-24 * time.Hour),
		"7d":                   now.Add(-7 * 24 * time.Hour),
		"2026-03-01T02:03:04Z": time.Date(2026, 3, 1, 2, 3, 4, 0, time.UTC),
		"2026-03-01":           time.Date(2026, 3, 1, 0, 0, 0, 0, time.Local),
		"2026-03-01 02:03":     time.Date(2026, 3, 1, 2, 3, 0, 0, time.Local),
	} {
		if got, err := parseSince(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"yesterday", "-1h", "2026-13-01", "24"} {
		if got, err := parseSince(text, now); err == nil {
			t.Errorf("%q was read as %v", text, got)
		}
	}
}

// TestTrailWordsNeverFail: a body that is not what its action says is shown as it stands.
func TestTrailWordsNeverFail(t *testing.T) {
	for _, body := range []string{`{}`, `[]`, `null`, `"x"`, `{"checks":7}`, `not json`} {
		for _, action := range []string{store.LineCreated, store.LineRollout, store.LinePackages, store.LineHostKey, store.LineApproval, store.LineCommand, store.LineEngine, store.LineHeadSent, "new.action"} {
			words := trailWords(trail.Line{Action: action, Body: []byte(body)}, nil)
			if (body == "not json" || action == "new.action") && words != body {
				t.Errorf("%s %s: %q", action, body, words)
			}
		}
	}
}

// TestHeadIsSentAtTheEndOfARun: whatever the end was; and not for a rollout that was refused.
func TestHeadIsSentAtTheEndOfARun(t *testing.T) {
	lines := headsOf(t, true)
	if len(lines) != 1 || !strings.Contains(lines[0], "rollout=r1 state=stopped") {
		t.Errorf("sent %q", lines)
	}
	if lines := headsOf(t, false); len(lines) != 0 {
		t.Errorf("sent %q for a rollout that never was", lines)
	}
}

// headsOf ends a run of rollout r1, recorded or not, and gives the lines that were sent.
func headsOf(t *testing.T, recorded bool) []string {
	t.Helper()
	ctx, dir := context.Background(), t.TempDir()
	st, err := store.Open(ctx, filepath.Join(dir, "state"))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if recorded {
		err := st.Create(ctx, rollout.Snapshot{Rollout: rollout.Rollout{ID: "r1", PlanID: "p", State: rollout.RolloutStopped}}, false)
		if err != nil {
			t.Fatal(err)
		}
	}
	heads := filepath.Join(dir, "heads")
	site := &inventory.Site{Limits: inventory.Limits{Starts: 1}, Trail: inventory.Trail{File: heads}}
	ended, cancel := context.WithCancel(ctx)
	cancel() // a run that was interrupted sends it too
	var said bytes.Buffer
	s := &session{env: &env{ctx: ended, stderr: &said}, site: site, store: st, fleet: fleet.New(site, st, fleet.Options{})}
	defer s.fleet.Close()
	s.sendHead("r1")
	if said.Len() > 0 {
		t.Errorf("said %s", &said)
	}
	b, err := os.ReadFile(heads)
	if err != nil && recorded {
		t.Fatal(err)
	}
	return strings.FieldsFunc(string(b), func(r rune) bool { return r == '\n' })
}
