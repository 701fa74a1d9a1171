package store

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cpacman/internal/rollout"
	"cpacman/internal/rpm"
	"cpacman/inventory"
	"cpacman/planner"
)

var update = flag.Bool("update", false, "write the database of this version to testdata")

// TestGoldenDatabases: OPS-2: a database that any version wrote is opened, migrated with a copy left beside it, and the rollout that
// was under way in it is resumed. The files are dumps, written once by the version whose format they have, and never again.
func TestGoldenDatabases(t *testing.T) {
	name := filepath.Join("testdata", fmt.Sprintf("format-%d.sql", formats(t)))
	if *update {
		if _, err := os.Stat(name); err == nil {
			t.Fatalf("%s is there: a new format needs a new migration, and the old file stays", name)
		}
		writeGolden(t, name)
	}
	files, err := filepath.Glob(filepath.Join("testdata", "format-*.sql"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files, %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { resumeGolden(t, file) })
	}
	if _, err := os.Stat(name); err != nil {
		t.Errorf("%v: run go test ./internal/store -run Golden -update and commit the file with the migration", err)
	}
}

// goldenPlan has a host in each of two waves and one that is not begun.
func goldenPlan() *planner.Plan {
	p := &planner.Plan{Format: planner.PlanFormat, ID: "golden-plan", Type: planner.TypeUpdate, ExpiresAt: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
		Sets: []planner.Set{{ID: "s", Upgrade: []planner.Move{{From: nevra("p0-1-1.noarch"), To: nevra("p0-2-1.noarch")}}}}}
	for _, h := range []string{"web01", "web02", "web03"} {
		p.Hosts = append(p.Hosts, planner.PlanHost{Host: h, MachineID: "m-" + h, Class: "prod", Level: "all", Set: "s", Status: planner.StatusPlanned, InstalledDigest: "old"})
	}
	return p
}

func nevra(s string) rpm.NEVRA {
	n, err := rpm.ParseNEVRA(s)
	if err != nil {
		panic(err)
	}
	return n
}

// writeGolden makes a database in which a rollout is half done: one host ok, one in the middle of its transaction, one pending.
func writeGolden(t *testing.T, name string) {
	t.Helper()
	s, ctx := open(t), context.Background()
	s.now = func() time.Time { return at }
	for _, h := range []string{"web01", "web02", "web03"} {
		if err := s.PutFacts(ctx, sample(h, "old", 1, 2)); err != nil {
			t.Fatal(err)
		}
	}
	one := inventory.Count(1)
	schedule, err := rollout.Resolve(goldenPlan(), rollout.Settings{
		Classes: []rollout.ClassSettings{{Name: "prod"}},
		Levels:  []rollout.LevelSettings{{Name: "all", Waves: []inventory.Amount{one}, MaxFailures: inventory.Count(0)}},
		Rollout: rollout.RolloutSettings{MaxFailures: one, MaxUnreachable: one, Quorum: one, Unreachable: inventory.UnreachableDefer,
			Order: inventory.OrderInventory, Rollback: inventory.RollbackNever},
		Limits: rollout.Limits{Connections: 4, Transfers: 4, Transactions: 4, LockWait: time.Minute},
	})
	if err != nil {
		t.Fatal(err)
	}
	snap := rollout.Snapshot{Schedule: schedule, Rollout: rollout.Rollout{ID: "20260301-020304-c0ffee00", PlanID: "golden-plan", PlanType: "update", Digest: schedule.Digest,
		ExpiresAt: goldenPlan().ExpiresAt, State: rollout.RolloutRunning, User: "ann", QuorumMet: true, CreatedAt: at, UpdatedAt: at}}
	states := map[string]rollout.State{"web01": rollout.StateOK, "web02": rollout.StateTransacting, "web03": rollout.StatePending}
	for i, w := range schedule.Waves {
		snap.Waves = append(snap.Waves, rollout.WaveRecord{Index: i, State: [...]rollout.WaveState{rollout.WavePassed, rollout.WaveRunning, rollout.WavePending}[i], StartedAt: at})
		for _, h := range w.Hosts {
			rec := rollout.HostRecord{Host: h, State: states[h], Wave: i, Attempt: 1, Updated: at}
			if states[h] != rollout.StatePending {
				rec.TxID, rec.TxAt, rec.Began = rollout.TxID(snap.Rollout.ID, h, 1), at, true
				if err := s.PutBefore(ctx, rec.TxID, sample(h, "old", 1, 2), []string{"p1 needs libfoo"}); err != nil {
					t.Fatal(err)
				}
			}
			snap.Hosts = append(snap.Hosts, rec)
		}
	}
	snap.Waves[0].PassedAt = at
	epoch, err := s.Acquire(ctx, snap.Rollout.ID, rollout.Owner{User: "ann", Host: "ops1", PID: 7, BootID: "gone", Since: at})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		s.Create(ctx, snap, false),
		s.Append(ctx, snap.Rollout.ID, epoch, rollout.Change{Events: []rollout.Event{{At: at, Rollout: snap.Rollout.ID, Kind: rollout.EventHost, Wave: 1, Host: "web02", From: "waiting_lock", To: "transacting", On: rollout.OnStart, Attempt: 1}}}),
		s.PutPlan(ctx, "golden-plan", at, []byte("a plan")),
		s.PutHeaders(ctx, map[string][]byte{"aa": []byte("a header")}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	text := dump(t, s.db)
	if err := os.MkdirAll("testdata", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// dump writes a database as SQL.
func dump(t *testing.T, db *sql.DB) string {
	t.Helper()
	var b strings.Builder
	var version int
	if err := db.QueryRow("PRAGMA user_version").Scan(&version); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&b, "PRAGMA user_version = %d;\n", version)
	column := func(query string, args ...any) []string {
		found, err := db.Query(query, args...)
		if err != nil {
			t.Fatal(err)
		}
		defer found.Close()
		var out []string
		for found.Next() {
			var s string
			if err := found.Scan(&s); err != nil {
				t.Fatal(err)
			}
			out = append(out, s)
		}
		return out
	}
	schema := func(which string) {
		for _, text := range column("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND type " + which + " ORDER BY rootpage, name") {
			b.WriteString(text + ";\n")
		}
	}
	schema("= 'table'")
	for _, table := range column("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rootpage") {
		var quoted []string
		for _, c := range column("SELECT name FROM pragma_table_info(?)", table) {
			// JSON is kept as text, so that a person can read the file.
			quoted = append(quoted, fmt.Sprintf("CASE WHEN typeof(%[1]s) = 'blob' AND json_valid(CAST(%[1]s AS TEXT)) THEN 'CAST(' || quote(CAST(%[1]s AS TEXT)) || ' AS BLOB)' ELSE quote(%[1]s) END", c))
		}
		for _, row := range column("SELECT " + strings.Join(quoted, " || ', ' || ") + " FROM " + table + " ORDER BY 1") {
			fmt.Fprintf(&b, "INSERT INTO %s VALUES (%s);\n", table, row)
		}
	}
	schema("<> 'table'") // triggers last: they have a say about rows
	return b.String()
}

// golden makes a state directory of a dump.
func golden(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "state")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	db, err := connect(filepath.Join(dir, FileName), "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(string(text)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, FileName), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func resumeGolden(t *testing.T, file string) {
	ctx := context.Background()
	dir := golden(t, file)
	s, err := Open(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	older := !strings.HasSuffix(file, fmt.Sprintf("-%d.sql", formats(t)))
	if copies, _ := filepath.Glob(filepath.Join(dir, FileName+".before-format-*")); older != (len(copies) == 1) {
		t.Errorf("copies before the migration: %q", copies)
	}
	if err := sameSchema(ctx, s.db); err != nil {
		t.Errorf("a migrated database differs from a new one: %v", err)
	}
	all, err := s.Rollouts(ctx)
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	id := all[0].ID
	snap, err := s.Load(ctx, id)
	if err != nil || !snap.Schedule.Valid() || len(snap.Hosts) != 3 {
		t.Fatalf("%+v, %v", snap, err)
	}
	if b, err := s.Before(ctx, rollout.TxID(id, "web02", 1)); err != nil || b.Digest != "old" || len(b.Packages) != 2 || len(b.Unmet) != 1 {
		t.Errorf("before %+v, %v", b, err)
	}
	if f, err := s.Facts(ctx, "web01"); err != nil || len(f.Packages) != 2 {
		t.Errorf("facts %+v, %v", f, err)
	}
	if p, err := s.Plan(ctx, "golden-plan"); err != nil || string(p) != "a plan" {
		t.Errorf("plan %q, %v", p, err)
	}
	if h, err := s.Header(ctx, "aa"); err != nil || string(h) != "a header" {
		t.Errorf("header %q, %v", h, err)
	}
	fleet := &tinyFleet{ran: map[string]bool{"web01": true, "web02": true}}
	out, err := rollout.New(rollout.Config{Fleet: fleet, Rechecker: fleet, Health: fleet, Availability: fleet, Journal: s, Commands: s, Leases: s,
		Clock: rollout.SystemClock{}, Owner: me(), Limits: rollout.Limits{Connections: 4, Transfers: 4, Transactions: 4, LockWait: time.Minute},
	}).Resume(ctx, id, rollout.ResumeRequest{User: "bob"})
	if err != nil || out.Exit != rollout.ExitDone || out.Hosts[rollout.StateOK] != 3 {
		t.Errorf("resumed: %+v, %v", out, err)
	}
	if len(fleet.started) != 1 || fleet.started[0] != rollout.TxID(id, "web03", 1) {
		t.Errorf("transactions that were started: %q", fleet.started)
	}
}
