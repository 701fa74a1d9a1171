package rollout

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"cpacman/inventory"
)

// A rollout goes by the settings that it was started with, since an approval binds them. The site may have others by the time it is
// taken up again: people are told, and what is run is what was approved.

// checkDefinition is what a check does, as it is recorded.
type checkDefinition struct {
	HTTP    string   `json:"http,omitempty"`
	TCP     string   `json:"tcp,omitempty"`
	Command []string `json:"command,omitempty"`
	Program []string `json:"program,omitempty"`
	Systemd []string `json:"systemd,omitempty"`
	Status  int      `json:"status,omitempty"`
	Body    string   `json:"body,omitempty"`
	Timeout string   `json:"timeout,omitempty"`
}

// Recorded is the check as the site had it when the schedule was made.
func (c Check) Recorded() (*inventory.HealthCheck, error) {
	out := &inventory.HealthCheck{Name: c.Name, Interval: c.Interval, Passes: c.Passes, Deadline: c.Deadline}
	if len(c.Definition) == 0 {
		return out, nil
	}
	var d checkDefinition
	if err := json.Unmarshal(c.Definition, &d); err != nil {
		return nil, fmt.Errorf("check %s as it was recorded: %w", c.Name, err)
	}
	out.HTTP, out.TCP, out.Command, out.Program, out.Systemd, out.Status, out.Body = d.HTTP, d.TCP, d.Command, d.Program, d.Systemd, d.Status, d.Body
	if d.Timeout != "" {
		var err error
		if out.Timeout, err = time.ParseDuration(d.Timeout); err != nil {
			return nil, fmt.Errorf("check %s as it was recorded: %w", c.Name, err)
		}
	}
	return out, nil
}

// ChangedSettings names what a site has otherwise than a schedule: checks, windows, soaks and hooks.
func ChangedSettings(s *Schedule, now Settings) []string {
	var out []string
	for _, c := range s.Checks {
		is, there := now.Checks[c.Name]
		if !there || !sameJSON(is.Definition, c.Definition) || is.Interval != c.Interval || is.Passes != c.Passes || is.Deadline != c.Deadline {
			out = append(out, "check "+c.Name)
		}
	}
	for _, w := range s.Windows {
		is, there := now.Windows[w.Name]
		if is.Name = w.Name; !there || is != w {
			out = append(out, "window "+w.Name)
		}
	}
	var hosts []string
	for name, h := range s.Host {
		if is, there := now.Hosts[name]; there && !slices.Equal(is.Windows, h.Windows) {
			hosts = append(hosts, name)
		}
	}
	slices.Sort(hosts)
	switch {
	case len(hosts) > 1:
		out = append(out, fmt.Sprintf("the windows of %s and %d more", hosts[0], len(hosts)-1))
	case len(hosts) == 1:
		out = append(out, "the windows of "+hosts[0])
	}
	for _, l := range s.Levels {
		for _, is := range now.Levels {
			if is.Name == l.Level && is.Soak != l.Soak && s.Emergency == nil {
				out = append(out, "the soak of "+l.Scope())
			}
		}
	}
	for _, h := range s.Hooks {
		if is, there := now.Hooks[h.Name]; !there || !is.Is(h) || is.Digest != h.Digest {
			out = append(out, "hook "+h.Name)
		}
	}
	return out
}

// sameJSON compares two records whatever their spaces.
func sameJSON(a, b json.RawMessage) bool {
	var x, y bytes.Buffer
	if json.Compact(&x, a) != nil || json.Compact(&y, b) != nil {
		return bytes.Equal(a, b)
	}
	return bytes.Equal(x.Bytes(), y.Bytes())
}
