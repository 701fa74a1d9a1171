package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cpacman/internal/store"
)

func TestRehearse(t *testing.T) {
	d, plan := newSolo(t, "")
	out := d.run(0, "rollout", "rehearse", plan)
	d.says(out, "production  canary", "class production: 1", "4.77 MiB in all", "here: 4.77 MiB to 1 host, at most 977 KiB/s", "at least: 1h0m5s",
		"no history", "worst case of wave 1: 1 of 1 failed: failure 1 exceeds the wave's budget of 0", "only during its soak", "not part of it: other: no_facts: never asked",
		"next: cpacman rollout start")
	var r struct {
		Worst     int
		AtLeast   int  `json:"at_least_s"`
		ByHistory *int `json:"by_history_s"`
		History   *struct{}
		Bytes     int64
		Locations []struct {
			Location         string
			Bytes, Bandwidth int64
		}
		Waves []struct {
			Hosts []string
			Soak  int `json:"soak_s"`
			Worst struct{ Hosts, Trips int }
		}
		Excluded []struct{ Host, Status string }
	}
	d.must(json.Unmarshal([]byte(d.run(0, "rollout", "rehearse", "--output", "json", plan).stdout), &r))
	if r.Worst != 1 || r.AtLeast != 3605 || r.History != nil || r.ByHistory != nil || r.Bytes != 5_000_000 || len(r.Locations) != 1 || r.Locations[0].Bandwidth != 1_000_000 ||
		len(r.Waves) != 1 || r.Waves[0].Soak != 3600 || r.Waves[0].Worst.Hosts != 1 || len(r.Excluded) != 1 {
		t.Errorf("%+v", r)
	}
	// It records nothing: the plan can be rehearsed again, and started.
	if rows := d.engineRows(); len(rows) != 0 {
		t.Errorf("%+v", rows)
	}
	if entries, err := os.ReadDir(filepath.Join(d.dir, "state", "engines")); err == nil {
		t.Errorf("engines: %v", entries)
	}
	d.run(0, "rollout", "start", "--detach", plan)
	d.says(d.run(0, "rollout", "rehearse", plan), "warning", "was started as")
	d.run(2, "rollout", "rehearse")
	d.run(4, "rollout", "rehearse", d.file("no-such-plan"))
}

func TestHistoryIsMedians(t *testing.T) {
	if historyOf(nil) != nil {
		t.Error("a history of nothing")
	}
	h := historyOf([]store.Took{
		{Transaction: 10 * time.Second, Host: time.Minute}, {Transaction: 30 * time.Second, Host: 3 * time.Minute},
		{Transaction: time.Hour, Host: 2 * time.Hour}, {Transaction: 20 * time.Second, Host: 2 * time.Minute},
	})
	if h.Hosts != 4 || time.Duration(h.Transaction) != 25*time.Second || time.Duration(h.Host) != 150*time.Second {
		t.Errorf("%+v", h)
	}
	b, err := json.Marshal(h)
	if err != nil || !strings.Contains(string(b), `"host_s":150`) {
		t.Errorf("%s, %v", b, err)
	}
}
