package store

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestIdentities(t *testing.T) {
	s, ctx := open(t), context.Background()
	day := 0
	seen := func(host, machine string) {
		t.Helper()
		day++
		f := sample(host, "d", 1)
		f.MachineID, f.CollectedAt = machine, time.Date(2026, 3, day, 0, 0, 0, 0, time.UTC)
		if err := s.PutFacts(ctx, f); err != nil {
			t.Fatal(err)
		}
	}
	at := func(day int) time.Time { return time.Date(2026, 3, day, 0, 0, 0, 0, time.UTC) }
	seen("web01", "one")           // 1
	seen("web01", "one")           // 2
	seen("web01", "")              // 3: imported facts say nothing
	seen("web01", "uninitialized") // 4
	seen("db01", "two")            // 5
	seen("web01", "three")         // 6: rebuilt
	seen("web01", "one")           // 7: and the first one again
	got, err := s.Identities(ctx)
	if err != nil {
		t.Fatal(err)
	}
	want := []Identity{{"db01", "two", at(5), at(5), true}, {"web01", "three", at(6), at(6), false}, {"web01", "one", at(7), at(7), true}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}

	// What a host had before belongs to the machine.
	s.now = func() time.Time { return at(8) }
	f := sample("web01", "d", 1)
	f.MachineID = "one"
	if err := s.PutBefore(ctx, "r1/web01/1", f, nil); err != nil {
		t.Fatal(err)
	}
	// As a version without that column recorded it: the time tells.
	for id, when := range map[string]time.Time{"r0/web01/1": at(6).Add(time.Hour), "r0/db01/1": at(1)} {
		host := id[3 : len(id)-2]
		if _, err := s.db.Exec("INSERT INTO transactions (id, host, digest, unmet, put_at) VALUES (?,?,'d',CAST('null' AS BLOB),?)", id, host, stamp(when)); err != nil {
			t.Fatal(err)
		}
	}
	for id, want := range map[string]string{"r1/web01/1": "one", "r0/web01/1": "three", "r0/db01/1": "two"} {
		if b, err := s.Before(ctx, id); err != nil || b.MachineID != want || b.Host != id[3:len(id)-2] {
			t.Errorf("%s: %+v, %v, want machine %s", id, b, err, want)
		}
	}
	last, err := s.LastMachines(ctx)
	if err != nil || last["web01"] != "one" || last["db01"] != "two" || len(last) != 2 {
		t.Errorf("last %v, %v", last, err)
	}
}

// TestSharedIdentities: what is left out is what every name and every machine has alone, and of a name or a machine nothing is left out in part.
func TestSharedIdentities(t *testing.T) {
	s, ctx := open(t), context.Background()
	day := 0
	for _, seen := range [][2]string{{"plain", "one"}, {"rebuilt", "two"}, {"rebuilt", "three"}, {"old", "four"}, {"new", "four"}, {"new", "five"}, {"other", "six"}, {"third", "three"}} {
		day++
		f := sample(seen[0], "d", 1)
		f.MachineID, f.CollectedAt = seen[1], time.Date(2026, 3, day, 0, 0, 0, 0, time.UTC)
		if err := s.PutFacts(ctx, f); err != nil {
			t.Fatal(err)
		}
	}
	all, err := s.Identities(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var want []Identity
	for _, i := range all {
		if i.Host != "plain" && i.Host != "other" {
			want = append(want, i)
		}
	}
	got, err := s.SharedIdentities(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); len(want) != 6 || d != "" {
		t.Errorf("%d: %s", len(want), d)
	}
}

// TestSharedIdentitiesAreCounted: what is kept of an identity is what counting all of them says, whatever came before, and whether it was kept from the
// beginning or found by a migration.
func TestSharedIdentitiesAreCounted(t *testing.T) {
	names := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"})
	counted := func(all []Identity) (out []Identity) {
		hosts, machines := map[string]int{}, map[string]int{}
		for _, i := range all {
			hosts[i.Host]++
			machines[i.MachineID]++
		}
		for _, i := range all {
			if hosts[i.Host] > 1 || machines[i.MachineID] > 1 {
				out = append(out, i)
			}
		}
		return out
	}
	migration, err := migrations.ReadFile("migrations/011-plan-reads.sql")
	if err != nil {
		t.Fatal(err)
	}
	_, found, _ := strings.Cut(string(migration), "UPDATE")
	found, _, _ = strings.Cut("UPDATE"+found, ";")
	rapid.Check(t, func(rt *rapid.T) {
		s, ctx := open(t), context.Background()
		defer s.Close()
		for day := range rapid.IntRange(0, 8).Draw(rt, "answers") {
			f := sample(names.Draw(rt, "host"), "d", 1)
			f.MachineID, f.CollectedAt = "machine-"+names.Draw(rt, "machine"), time.Date(2026, 3, 1+day, 0, 0, 0, 0, time.UTC)
			if err := s.PutFacts(ctx, f); err != nil {
				rt.Fatal(err)
			}
		}
		all, err := s.Identities(ctx)
		if err != nil {
			rt.Fatal(err)
		}
		for _, how := range []string{"kept", "found"} {
			if how == "found" {
				for _, stmt := range []string{"UPDATE identities SET shared = 0", found} {
					if _, err := s.db.ExecContext(ctx, stmt); err != nil {
						rt.Fatal(err)
					}
				}
			}
			got, err := s.SharedIdentities(ctx)
			if d := cmp.Diff(counted(all), got); err != nil || d != "" {
				rt.Fatalf("%s: %v\n%s", how, err, d)
			}
		}
	})
}

func TestFailedContacts(t *testing.T) {
	s, ctx := open(t), context.Background()
	if err := s.PutFacts(ctx, sample("web01", "d", 1)); err != nil {
		t.Fatal(err)
	}
	if err := s.PutContact(ctx, Contact{Host: "web02", TriedAt: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Kind: "unreachable", Error: "no route"}); err != nil {
		t.Fatal(err)
	}
	all, err := s.Contacts(ctx)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.FailedContacts(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 2 || len(got) != 1 || got["web02"] != all["web02"] {
		t.Errorf("all %v, failed %v", all, got)
	}
}
