package rollout

import (
	"encoding/json"
	"fmt"

	"cpacman/inventory"
)

// FromSite takes what a rollout needs out of a loaded site.
func FromSite(site *inventory.Site) (Settings, error) {
	s := Settings{
		Checks: map[string]Check{}, Hosts: map[string]HostSettings{}, Clusters: map[string]ClusterSettings{}, Hooks: map[string]HookSettings{},
		Windows: siteWindows(site),
		Limits: Limits{
			Connections: site.Limits.Connections, Transfers: site.Limits.Transfers,
			Transactions: site.Limits.Transactions, Reboots: site.Limits.Reboots, LockWait: site.Limits.LockWait,
		},
		Rollout: RolloutSettings{
			MaxFailures: site.Rollout.MaxFailures, MaxUnreachable: site.Rollout.MaxUnreachable,
			MinSample: site.Rollout.MinSample, Quorum: site.Rollout.Quorum, Unreachable: site.Rollout.Unreachable,
			Strict: site.Rollout.Strict, Order: site.Rollout.Order, Rollback: site.Rollout.Rollback,
			Scriptlets: site.Rollout.Scriptlets, ConfigFiles: site.Rollout.ConfigFiles, NoRollback: site.Rollout.NoRollback,
			Confirm: site.Rollout.Confirm, ConfirmFor: site.Rollout.ConfirmFor, WithoutSwitch: site.Rollout.WithoutSwitch,
			Reboot: site.Rollout.Reboot, RebootTimeout: site.Rollout.RebootTimeout,
			Restart: site.Rollout.Restart, NoRestart: site.Rollout.NoRestart,
			EmergencySoak: site.Rollout.EmergencySoak,
		},
	}
	for _, c := range site.Classes {
		s.Classes = append(s.Classes, ClassSettings{
			Name: c.Name, Approve: c.Approve, NotStarter: c.NotStarter, Ticket: c.Ticket, TicketCheck: c.TicketCheck,
		})
	}
	for _, l := range site.Levels {
		s.Levels = append(s.Levels, LevelSettings{
			Name: l.Name, Waves: l.Waves, MaxFailures: l.MaxFailures, Soak: l.Soak, Checks: l.Health, Approve: l.Approve,
		})
	}
	for name, c := range site.Health {
		def, err := definition(c)
		if err != nil {
			return Settings{}, fmt.Errorf("health check %s: %w", name, err)
		}
		s.Checks[name] = Check{Name: name, Definition: def, Interval: c.Interval, Passes: c.Passes, Deadline: c.Deadline}
	}
	for _, h := range site.Hosts {
		hs := HostSettings{Clusters: h.Clusters, Windows: site.Effective(h).Windows, Before: site.HooksFor(h, inventory.BeforeHost), After: site.HooksFor(h, inventory.AfterHost)}
		for _, g := range h.Groups {
			if group := site.Groups[g]; group != nil {
				hs.Checks = union(hs.Checks, group.Health)
			}
		}
		hs.Checks = union(hs.Checks, h.Health)
		s.Hosts[h.Name] = hs
	}
	for name, h := range site.Hooks {
		var err error
		if s.Hooks[name], err = HookOf(h); err != nil {
			return Settings{}, fmt.Errorf("hook %s: %w", name, err)
		}
	}
	for name, c := range site.Clusters {
		cs := ClusterSettings{MaxUnavailable: c.MaxUnavailable}
		for _, h := range site.Members(name) {
			cs.Members = append(cs.Members, h.Name)
		}
		s.Clusters[name] = cs
	}
	return s, nil
}

// definition is what a check does, for the digest: a check that was changed voids an approval. Placeholders stay as written.
func definition(c *inventory.HealthCheck) (json.RawMessage, error) {
	return json.Marshal(checkDefinition{c.HTTP, c.TCP, c.Command, c.Program, c.Systemd, c.Status, c.Body, c.Timeout.String()})
}

// HookOf takes a hook of a site, but for the digest of its program.
func HookOf(h *inventory.Hook) (HookSettings, error) {
	def, err := json.Marshal(struct {
		Program []string `json:"program,omitempty"`
		Command []string `json:"command,omitempty"`
		Timeout string   `json:"timeout"`
		Hosts   string   `json:"hosts,omitempty"`
	}{h.Program, h.Command, h.Timeout.String(), h.Hosts.String()})
	return HookSettings{When: h.When, Definition: def}, err
}

// Is tells whether a hook is defined as that of a schedule is; its program may be another.
func (h HookSettings) Is(was HookPlan) bool {
	return h.When == was.When && sameJSON(h.Definition, was.Definition)
}
