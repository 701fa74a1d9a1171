package inventory

import (
	"strconv"
	"sync"
	"sync/atomic"
)

// settingsCache keeps Effective, by what it is made of.
type settingsCache struct {
	byID sync.Map                        // settingsID to *settingsOfHosts
	last atomic.Pointer[settingsOfHosts] // found last: of most hosts the next one has the same
}

type settingsOfHosts struct {
	id settingsID
	*Effective
}

// settingsID is all that the effective settings of a host are made of that writes none of its own.
type settingsID struct{ class, level, location, groups string }

// Settings is Effective, made once for all hosts that get the same from elsewhere: nothing in it may be changed.
func (s *Site) Settings(h *Host) *Effective {
	if s.settings == nil || h.SSH != nil || h.IsSet("health") || h.IsSet("exclude") || h.IsSet("window") {
		e := s.Effective(h)
		return &e
	}
	id := settingsID{class: h.Class, level: h.Level, location: h.Location}
	if len(h.Groups) > 0 {
		var groups []byte
		for i, name := range h.Groups {
			groups = append(strconv.AppendInt(append(append(groups, name...), ' '), int64(h.distanceOf(i)), 10), ' ')
		}
		id.groups = string(groups)
	}
	if last := s.settings.last.Load(); last != nil && last.id == id {
		return last.Effective
	}
	known, ok := s.settings.byID.Load(id)
	if !ok {
		e := s.Effective(h)
		known, _ = s.settings.byID.LoadOrStore(id, &settingsOfHosts{id, &e})
	}
	found := known.(*settingsOfHosts)
	s.settings.last.Store(found)
	return found.Effective
}
