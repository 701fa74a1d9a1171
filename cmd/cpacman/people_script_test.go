package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/urfave/cli/v2"

	"cpacman/internal/people"
	"cpacman/internal/rollout"
	"cpacman/internal/store"
	"cpacman/inventory"
	"cpacman/planner"
)

// cmdWaiting records a rollout that waits at the first gate of a site, as an engine that has ended leaves it: waiting SITE ID. All
// hosts of the inventory are in it; the user of this process started it.
func cmdWaiting(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: waiting SITE ID")
	}
	site, err := inventory.Load(ts.MkAbs(args[0]))
	ts.Check(err)
	settings, err := rollout.FromSite(site)
	ts.Check(err)
	plan := &planner.Plan{ID: "plan-" + args[1], Sets: []planner.Set{{ID: "s"}}}
	for _, h := range site.Hosts {
		plan.Hosts = append(plan.Hosts, planner.PlanHost{Host: h.Name, Class: h.Class, Level: h.Level, Set: "s", Status: planner.StatusPlanned})
	}
	sched, err := rollout.Resolve(plan, settings)
	ts.Check(err)
	me := people.ProcessUser()
	now := time.Now().UTC()
	snap := rollout.Snapshot{Schedule: sched, Rollout: rollout.Rollout{
		ID: args[1], PlanID: plan.ID, Digest: sched.Digest, State: rollout.RolloutWaiting, User: me, Person: people.New(site, nil).Person(me),
		CreatedAt: now, UpdatedAt: now, ExpiresAt: now.Add(time.Hour),
	}}
	for i, w := range sched.Waves {
		snap.Waves = append(snap.Waves, rollout.WaveRecord{Index: i, State: rollout.WavePending})
		for _, h := range w.Hosts {
			snap.Hosts = append(snap.Hosts, rollout.HostRecord{Host: h, State: rollout.StatePending, Wave: i, Attempt: 1, Updated: now})
		}
	}
	b := rollout.BallotOf(snap, nil)
	snap.Rollout.WaitingFor = b.Next()
	st, err := store.Open(context.Background(), site.StateDir)
	ts.Check(err)
	defer st.Close()
	ts.Check(st.Create(context.Background(), snap, false))
}

// cmdFill replaces $NAME in files of a script by the environment: fill FILE…
func cmdFill(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		path := ts.MkAbs(name)
		b, err := os.ReadFile(path)
		ts.Check(err)
		ts.Check(os.WriteFile(path, []byte(os.Expand(string(b), func(n string) string {
			if file, ok := strings.CutPrefix(n, "file:"); ok { // ${file:NAME} is the first line of a file
				b, err := os.ReadFile(ts.MkAbs(file))
				ts.Check(err)
				line, _, _ := strings.Cut(string(b), "\n")
				return line
			}
			return ts.Getenv(n)
		})), 0o600))
	}
}

// TestEveryVerbHasARight: a verb that is not listed would be for admins only by accident.
func TestEveryVerbHasARight(t *testing.T) {
	app := newApp(&env{})
	for _, l := range leaves("", app.Commands) {
		if _, listed := neededRight(l.path, cli.NewContext(app, nil, nil)); !listed {
			t.Errorf("verb %s is in no list of rights", l.path)
		}
	}
	if kind, listed := neededRight("rollout explode", cli.NewContext(app, nil, nil)); listed || kind != inventory.RightAdmin {
		t.Errorf("an unknown verb: %s, %t", kind, listed)
	}
}

// TestVerbOf: the words of a verb are those of its path, whatever flags and arguments are with it.
func TestVerbOf(t *testing.T) {
	app := newApp(&env{})
	var got []string
	for _, l := range leaves("", app.Commands) {
		l.command.Action = func(c *cli.Context) error {
			got = append(got, verbOf(c))
			return nil
		}
		l.command.Before = nil
		args := append([]string{"cpacman", "--site", "x"}, strings.Fields(l.path)...)
		if err := app.Run(append(args, "an", "argument")); err != nil {
			t.Fatalf("%s: %v", l.path, err)
		}
		if len(got) == 0 || got[len(got)-1] != l.path {
			t.Errorf("%s is taken for %q", l.path, got)
		}
	}
}

// TestPlanOfAnotherClass: a plan file that puts a host into another class than the inventory would go around its gates.
func TestPlanOfAnotherClass(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("cpacman.toml", "[[class]]\nname = \"test\"\n[[class]]\nname = \"prod\"\n[[level]]\nname = \"broad\"\n[[level]]\nname = \"late\"\n"+
		"[person.me]\nos_user = \""+people.ProcessUser()+"\"\nrights = [\"push:test\"]\n")
	write("inventory/h.toml", "[host.t]\nclass = \"test\"\nlevel = \"broad\"\n[host.p]\nclass = \"prod\"\nlevel = \"broad\"\n[host.old]\nclass = \"test\"\nlevel = \"broad\"\nstate = \"retired\"\n")
	site, err := inventory.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := &session{env: &env{getenv: func(string) string { return "" }}, site: site}
	for _, c := range []struct{ host, class, level, want string }{
		{"t", "test", "broad", ""},
		{"p", "prod", "broad", `me has not the right "push" in class prod`},
		{"p", "test", "broad", `host p is in class "prod", level "broad", and the plan has it in class "test", level "broad"`},
		{"t", "test", "late", `the plan has it in class "test", level "late"`},
		{"gone", "test", "broad", `host gone of the plan is no longer in the inventory`},
		{"old", "test", "broad", ""}, // it is left out
	} {
		p := &planner.Plan{Hosts: []planner.PlanHost{{Host: c.host, Class: c.class, Level: c.level, Status: planner.StatusPlanned}}}
		err := s.mayPushPlan(p)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
