package inventory

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// WindowNames are names of maintenance windows; one may be written without brackets.
type WindowNames []string

func (n *WindowNames) decodeTOML(v any) error {
	switch v := v.(type) {
	case string:
		*n = WindowNames{v}
		return nil
	case []any:
		out := make(WindowNames, 0, len(v))
		for _, e := range v {
			s, ok := e.(string)
			if !ok {
				return fmt.Errorf("wants names of windows, not %s", kindOf(e))
			}
			out = append(out, s)
		}
		*n = out
		return nil
	}
	return fmt.Errorf(`wants the name of a window, or a list of names, not %s`, kindOf(v))
}

// sorted is the list in a form in which two that mean the same are the same.
func (n WindowNames) sorted() string {
	names := slices.Clone(n)
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// checkWindows validates the windows and makes them ready.
func (ld *loading) checkWindows() {
	s := ld.site
	for _, name := range sortedKeys(s.Windows) {
		w := s.Windows[name]
		if err := checkName(name, maxName); err != nil {
			ld.at(&w.Source)("", "", "window %s", err)
			continue
		}
		missing := false
		for _, key := range []string{"rule", "start", "duration", "zone"} {
			if !w.IsSet(key) {
				missing = true
				ld.at(&w.Source)("", "", "[window.%s] has no %q", name, key)
			}
		}
		if !missing {
			w.check(ld.at(&w.Source))
		}
	}
}

// AnyTime is how a host without a maintenance window is listed.
const AnyTime = "any time"

// windows takes the windows of the host, else of its nearest groups, else of its class.
func (r *resolver) windows() {
	names, origin := r.host.Window, r.host.Origin("window")
	if !r.host.IsSet("window") {
		names, origin = nil, OriginDefault
		if c := r.site.Class(r.host.Class); c != nil {
			names, origin = c.Window, c.Origin("window")
		}
		var from []string
		nearest := 0
		for _, m := range r.members {
			if !m.group.IsSet("window") || nearest != 0 && m.distance != nearest {
				continue
			}
			if len(from) == 0 {
				names, nearest = m.group.Window, m.distance
			}
			from = append(from, m.group.Origin("window"))
		}
		if len(from) > 0 {
			origin = strings.Join(from, ", ")
		}
	}
	r.out.Windows = names
	if !r.trace {
		return
	}
	words := make([]string, len(names))
	for i, n := range names {
		words[i] = r.site.Windows[n].String()
	}
	if len(words) == 0 {
		words = []string{AnyTime}
	}
	r.add("window", list(words), origin)
}

// WindowsOf gives the maintenance windows of a host: work on it may start while one of them is open.
func (s *Site) WindowsOf(h *Host) Windows {
	var out Windows
	for _, name := range s.Effective(h).Windows {
		out = append(out, s.Windows[name])
	}
	return out
}

// CheckWindows reports windows that never open again after a time.
func (s *Site) CheckWindows(at time.Time) Problems {
	c := &checker{site: s}
	for _, name := range sortedKeys(s.Windows) {
		w := s.Windows[name]
		if _, _, ok := w.Next(at); !ok {
			c.fail(&w.Source, "rule", "write a later UNTIL, or remove the window", "window %q never opens again: its last day was before %s", name, at.In(w.loc).Format(time.DateOnly))
		}
	}
	return c.problems.sorted()
}
