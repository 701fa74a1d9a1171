package inventory

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestHostStates(t *testing.T) {
	s := mustLoad(t, map[string]string{MainFile: "[[class]]\nname = \"p\"\n", "inventory/h.toml": `
[cluster.c]
[host.a]
class = "p"
clusters = ["c"]
[host.b]
class = "p"
clusters = ["c"]
state = "maintenance"
until = 2026-05-01
reason = "disks"
[host.c]
class = "p"
clusters = ["c"]
state = "retired"
[host.d]
state = "active"
`})
	if len(s.Hosts) != 3 || len(s.Retired) != 1 || s.Host("c") != s.Retired[0] || len(s.Members("c")) != 2 {
		t.Fatalf("%d hosts, %d retired, cluster %v", len(s.Hosts), len(s.Retired), s.Members("c"))
	}
	during, after := time.Date(2026, 5, 1, 23, 59, 59, 0, time.UTC), time.Date(2026, 5, 2, 0, 0, 0, 0, time.UTC)
	b := s.Host("b")
	if why, ok := b.Maintenance(during); !ok || why != "in maintenance until 2026-05-01: disks" || b.StateAt(during) != HostMaintenance {
		t.Errorf("on its last day: %q, %v", why, ok)
	}
	if why, ok := b.Maintenance(after); ok || b.StateAt(after) != HostActive {
		t.Errorf("after it: %q, %v", why, ok)
	}
	if p := s.CheckStates(during); len(p) != 0 {
		t.Errorf("%v", p)
	}
	if p := s.CheckStates(after); len(p) != 1 || !strings.Contains(p[0].Message, `maintenance of host "b" ended`) {
		t.Errorf("%v", p)
	}
	for _, name := range []string{"a", "d"} {
		if s.Host(name).StateAt(after) != HostActive {
			t.Errorf("%s is not active", name)
		}
	}
	if all, err := s.Select([]string{"all"}, nil); err != nil || len(all) != 3 {
		t.Errorf("all: %v, %v", all, err)
	}
	if _, err := s.Select([]string{"c"}, nil); !errors.Is(err, ErrEmptySelection) || !strings.Contains(err.Error(), "is retired") {
		t.Errorf("a retired host by name: %v", err)
	}
	if got, err := s.SelectRetired([]string{"cluster=c"}, nil); err != nil || len(got) != 1 {
		t.Errorf("retired: %v, %v", got, err)
	}
	if got, err := s.SelectRetired(nil, nil); err != nil || len(got) != 1 {
		t.Errorf("retired, all: %v, %v", got, err)
	}
}
