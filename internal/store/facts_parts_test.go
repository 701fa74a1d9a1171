package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"cpacman/internal/host"
)

// TestSplitFacts: facts in two parts are read as in one, one by one and many at once; what cannot be split is told.
func TestSplitFacts(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "web01", "a<b>", "\"", "\\", "],}", "ü", "\u2028"}))
	texts := rapid.SliceOfN(text, 0, 2)
	rapid.Check(t, func(t *rapid.T) {
		var commons, owns [][]byte
		var want []host.Facts
		for range rapid.IntRange(1, 4).Draw(t, "hosts") {
			body := drawBody(t, text, texts)
			var f host.Facts
			own, common, ok := splitFacts(body)
			if err := json.Unmarshal(body, &f); err != nil {
				continue // damaged; whether its parts are is not asked
			}
			if !ok {
				continue
			}
			var got host.Facts
			if err := joinParts(common, own, &got); err != nil {
				t.Fatalf("%s and %s: %v", common, own, err)
			}
			if d := cmp.Diff(f, got); d != "" {
				t.Skip(d) // a key twice, of which the last counts
			}
			commons, owns, want = append(commons, common), append(owns, own), append(want, f)
		}
		r := factsReader{common: map[int64][]byte{}}
		for i, c := range commons {
			r.common[int64(i+1)] = c
		}
		for range 2 {
			for i := range want {
				got, err := r.readParts(int64(i+1), owns[i])
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(&want[i], got); d != "" {
					t.Fatal(d)
				}
			}
		}
		if _, err := r.readParts(99, []byte("{}")); err == nil {
			t.Fatal("a common part that is not there")
		}
	})
	if body, err := json.Marshal(&host.Facts{}); err != nil {
		t.Error(err)
	} else if _, _, ok := splitFacts(body); !ok {
		t.Error("what is stored is not split")
	}
}

// TestFactsInCommon: what hosts say alike is stored once, and goes with the last of them.
func TestFactsInCommon(t *testing.T) {
	s := open(t)
	ctx := context.Background()
	facts := func(name, kernel string) *host.Facts {
		return &host.Facts{Host: name, CollectedAt: time.Unix(1700000000, 0).UTC(), MachineID: "m\n" + name, Kernel: kernel, BootID: "b-" + name,
			Disk: []host.Disk{{Mount: "/", FreeBytes: int64(len(name))}}, InstalledDigest: "d", Packages: []host.Package{{Name: "a", Version: "1", Release: "1", Arch: "noarch", InstallTime: 7}}}
	}
	parts := func() (n int) {
		t.Helper()
		if err := s.db.QueryRow("SELECT count(*) FROM facts_common").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	check := func(want ...*host.Facts) {
		t.Helper()
		all, err := s.AllFacts(ctx)
		if err != nil || len(all) != len(want) {
			t.Fatalf("%d hosts: %v", len(all), err)
		}
		samePlanFacts(t, s, all)
		for i, w := range want {
			short := *w
			short.Packages = nil
			one, err := s.ShortFacts(ctx, w.Host)
			if err != nil {
				t.Fatal(err)
			}
			whole, err := s.Facts(ctx, w.Host)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff([]*host.Facts{&short, &short, w}, []*host.Facts{all[i], one, whole}); d != "" {
				t.Errorf("%s: %s", w.Host, d)
			}
		}
	}
	a, b, c := facts("a", "5.14"), facts("bb", "5.14"), facts("ccc", "6.1")
	for _, f := range []*host.Facts{a, b, c} {
		if err := s.PutFacts(ctx, f); err != nil {
			t.Fatal(err)
		}
	}
	if n := parts(); n != 2 {
		t.Errorf("%d common parts of two kernels", n)
	}
	check(a, b, c)
	c.Kernel = "5.14"
	if err := s.PutUnchanged(ctx, c); err != nil {
		t.Fatal(err)
	}
	if n := parts(); n != 1 {
		t.Errorf("%d common parts, and all hosts say the same", n)
	}
	check(a, b, c)
	// Facts of before are in one piece.
	if _, err := s.db.Exec("UPDATE facts SET common = NULL, body = ? WHERE host = 'bb'", must(withoutPackages(b))); err != nil {
		t.Fatal(err)
	}
	check(a, b, c)
	a.Kernel = "7.0"
	if err := s.PutFacts(ctx, a); err != nil {
		t.Fatal(err)
	}
	check(a, b, c)
	if err := s.PutUnchanged(ctx, facts("unknown", "8")); err == nil || parts() != 2 {
		t.Errorf("of a host without facts: %v, %d common parts", err, parts())
	}
}

// TestFactsOfManyHosts: read from two places, and in order.
func TestFactsOfManyHosts(t *testing.T) {
	s := open(t)
	ctx := context.Background()
	const n = manyFacts + 3
	err := s.write(ctx, "many", func(tx *sql.Tx) error {
		for i := range n {
			f := &host.Facts{Host: fmt.Sprintf("h%05d", n-1-i), BootTime: int64(n - 1 - i), Kernel: fmt.Sprint(i % 7), InstalledDigest: "d"}
			if err := putFacts(ctx, tx, f, must(withoutPackages(f))); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	all, err := s.AllFacts(ctx)
	if err != nil || len(all) != n {
		t.Fatalf("%d of %d hosts: %v", len(all), n, err)
	}
	for i, f := range all {
		if want := fmt.Sprintf("h%05d", i); f.Host != want || f.BootTime != int64(i) || f.Kernel != fmt.Sprint((n-1-i)%7) {
			t.Fatalf("%d: %+v", i, f)
		}
	}
	samePlanFacts(t, s, all)
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := s.AllFacts(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := s.AllFacts(context.Background()); err != nil {
		t.Errorf("after that: %v", err)
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// samePlanFacts holds PlanFacts against AllFacts.
func samePlanFacts(t *testing.T, s *Store, all []*host.Facts) {
	t.Helper()
	got, err := s.PlanFacts(context.Background())
	if err != nil || len(got) != len(all) {
		t.Fatalf("facts for a plan: %d of %d hosts: %v", len(got), len(all), err)
	}
	for i, f := range all {
		want := *f
		want.BootID, want.BootTime, want.Database, want.Disk = "", 0, host.Database{}, nil
		if d := cmp.Diff(&want, got[i]); d != "" {
			t.Fatalf("facts for a plan: %s: %s", f.Host, d)
		}
	}
}

// TestPlanFactsReadTheIndex: neither the rows nor any contact but the failed ones are looked at.
func TestPlanFactsReadTheIndex(t *testing.T) {
	s := open(t)
	var id, parent, unused int
	var how string
	const contacts = "SELECT host, tried_at, ok, kind, error FROM contacts WHERE ok = 0"
	if err := s.db.QueryRow("EXPLAIN QUERY PLAN "+contacts).Scan(&id, &parent, &unused, &how); err != nil || !strings.Contains(how, "INDEX contacts_failed") {
		t.Errorf("%s: %q, %v", contacts, how, err)
	}
	// A query by an index opens the table too: what tells is which cursor the columns come from.
	var root int
	if err := s.db.QueryRow("SELECT rootpage FROM sqlite_schema WHERE name = 'facts_planned'").Scan(&root); err != nil {
		t.Fatal(err)
	}
	ops, err := s.db.Query("EXPLAIN SELECT host, planned FROM facts INDEXED BY facts_planned WHERE host < 'x' ORDER BY host")
	if err != nil {
		t.Fatal(err)
	}
	defer ops.Close()
	index, columns := -1, 0
	for ops.Next() {
		var opcode string
		var p1, p2 int
		var rest [5]any
		if err := ops.Scan(&rest[0], &opcode, &p1, &p2, &rest[1], &rest[2], &rest[3], &rest[4]); err != nil {
			t.Fatal(err)
		}
		switch {
		case opcode == "OpenRead" && p2 == root:
			index = p1
		case opcode == "Column" && p1 != index:
			t.Errorf("column %d is read from cursor %d, and the index is %d", p2, p1, index)
		case opcode == "Column":
			columns++
		}
	}
	if err := ops.Err(); err != nil || columns != 2 {
		t.Errorf("%d columns are read: %v", columns, err)
	}
}
