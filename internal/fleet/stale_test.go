package fleet

import (
	"strings"
	"testing"
	"time"

	"cpacman/internal/host"
	"cpacman/internal/store"
	"cpacman/inventory"
	"cpacman/planner"
)

// TestFactsAge: facts are good for as long as facts.max_age says, and not at all when they are of a time that is still to come.
func TestFactsAge(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	f := &Fleet{Site: &inventory.Site{Facts: inventory.FactsSettings{MaxAge: 24 * time.Hour}}}
	for _, c := range []struct {
		age    time.Duration
		status planner.HostStatus
		says   string
	}{
		{0, planner.StatusPlanned, ""},
		{24 * time.Hour, planner.StatusPlanned, ""},
		{25 * time.Hour, planner.StatusStale, "facts are 25h0m0s old"},
		{-time.Minute, planner.StatusPlanned, ""},
		{-time.Hour, planner.StatusStale, "facts are of 2026-11-21 13:00Z, which is still to come: the clock of this machine was set back since; run: cpacman facts web01"},
	} {
		status, why := f.FactsStatus(now, &inventory.Host{Name: "web01"}, &host.Facts{CollectedAt: now.Add(-c.age)}, store.Contact{OK: true}, false, false)
		if status != c.status || !strings.Contains(why, c.says) {
			t.Errorf("%s: %s %q", c.age, status, why)
		}
	}
}

// TestFactsArch: what the inventory says of a machine is compared with what its rpm says, which has its own word for it.
func TestFactsArch(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	f := &Fleet{Site: &inventory.Site{Facts: inventory.FactsSettings{MaxAge: time.Hour}}}
	for _, c := range []struct {
		said, reported string
		want           planner.HostStatus
	}{
		{"", "s390x", planner.StatusPlanned}, {"x86_64", "x86_64", planner.StatusPlanned}, {"i686", "i386", planner.StatusPlanned},
		{"x86_64_v2", "x86_64", planner.StatusPlanned}, {"x86_64", "i386", planner.StatusMismatch}, {"aarch64", "x86_64", planner.StatusMismatch},
	} {
		got, why := f.FactsStatus(now, &inventory.Host{Name: "web01", Arch: c.said}, &host.Facts{Arch: c.reported, CollectedAt: now}, store.Contact{}, false, false)
		if got != c.want {
			t.Errorf("%q and %q: %s (%s)", c.said, c.reported, got, why)
		}
	}
}
