package repo

import "errors"

// updatePlace says where in updateinfo.xml an element is.
type updatePlace uint8

const (
	upRoot updatePlace = iota
	upSkipped
	upUpdate
	upReferences
	upLists
	upCollection
	upPackage
	upText // an element whose text is wanted
)

// updateSink builds notices from elements: what encoding/xml makes of an xmlUpdate, without its cost. Where an element or an attribute comes
// again, the last one counts. It is used by one goroutine.
type updateSink struct {
	arena  arena
	done   []*xmlUpdate
	places []updatePlace
	value  []byte
	to     *string // where the text of the innermost wanted element goes
	fault  error

	u   *xmlUpdate
	in  *xmlCollection
	pkg *xmlAdvisoryRPM
}

// take gives the notices since the last take.
func (s *updateSink) take() []*xmlUpdate {
	list := s.done
	s.done = nil
	return list
}

func (s *updateSink) err() error { return s.fault }

func (s *updateSink) start(name []byte, attrs []xmlAttr) bool {
	at := upRoot
	if n := len(s.places); n > 0 {
		at = s.places[n-1]
	}
	next := upSkipped
	switch at {
	case upRoot:
		if string(name) == "update" {
			next, s.u = upUpdate, &xmlUpdate{}
			s.attributes(attrs, field{"status", &s.u.Status}, field{"type", &s.u.Type})
		}
	case upUpdate:
		next = s.updateElement(name, attrs)
	case upReferences:
		if string(name) == "reference" {
			x := xmlReference{}
			s.attributes(attrs, field{"type", &x.Type}, field{"id", &x.ID}, field{"href", &x.Href}, field{"title", &x.Title})
			s.u.References = append(s.u.References, x)
		}
	case upLists:
		if string(name) == "collection" {
			s.u.Lists = append(s.u.Lists, xmlCollection{})
			next, s.in = upCollection, &s.u.Lists[len(s.u.Lists)-1]
		}
	case upCollection:
		next = s.collectionElement(name, attrs)
	case upPackage:
		next = s.packageElement(name)
	}
	s.places = append(s.places, next)
	return next == upText
}

func (s *updateSink) text(b []byte) { s.value = append(s.value, b...) }

func (s *updateSink) end() {
	if len(s.places) == 0 {
		s.fault = errors.New("unexpected end of an element")
		return
	}
	at := s.places[len(s.places)-1]
	s.places = s.places[:len(s.places)-1]
	switch at {
	case upText:
		*s.to = s.arena.copy(s.value)
	case upUpdate:
		s.done, s.u = append(s.done, s.u), nil
	}
}

func (s *updateSink) updateElement(name []byte, attrs []xmlAttr) updatePlace {
	u := s.u
	switch string(name) {
	case "id":
		return s.string(&u.ID)
	case "title":
		return s.string(&u.Title)
	case "severity":
		return s.string(&u.Severity)
	case "release":
		return s.string(&u.Release)
	case "issued":
		s.attributes(attrs, field{"date", &u.Issued.Date})
		return s.string(&u.Issued.Text)
	case "updated":
		s.attributes(attrs, field{"date", &u.Updated.Date})
		return s.string(&u.Updated.Text)
	case "reboot_suggested":
		return s.pointer(&u.Reboot)
	case "restart_suggested":
		return s.pointer(&u.Restart)
	case "references":
		return upReferences
	case "pkglist":
		return upLists
	}
	return upSkipped
}

func (s *updateSink) collectionElement(name []byte, attrs []xmlAttr) updatePlace {
	switch string(name) {
	case "module":
		x := xmlModule{}
		s.attributes(attrs, field{"name", &x.Name}, field{"stream", &x.Stream}, field{"version", &x.Version}, field{"context", &x.Context},
			field{"arch", &x.Arch})
		s.in.Modules = append(s.in.Modules, x)
	case "package":
		s.in.Packages = append(s.in.Packages, xmlAdvisoryRPM{})
		x := &s.in.Packages[len(s.in.Packages)-1]
		s.attributes(attrs, field{"name", &x.Name}, field{"version", &x.Version}, field{"release", &x.Release}, field{"arch", &x.Arch})
		for _, a := range attrs {
			if string(a.name) == "epoch" {
				epoch := s.arena.copy(a.value)
				x.Epoch = &epoch
			}
		}
		s.pkg = x
		return upPackage
	}
	return upSkipped
}

func (s *updateSink) packageElement(name []byte) updatePlace {
	switch string(name) {
	case "filename":
		return s.string(&s.pkg.Filename)
	case "reboot_suggested":
		return s.pointer(&s.pkg.Reboot)
	case "restart_suggested":
		return s.pointer(&s.pkg.Restart)
	}
	return upSkipped
}

// string sends the text of the element that begins to a string.
func (s *updateSink) string(to *string) updatePlace {
	s.value, s.to = s.value[:0], to
	return upText
}

// pointer is string for what may be absent.
func (s *updateSink) pointer(to **string) updatePlace {
	*to = new(string)
	return s.string(*to)
}

// field is an attribute and where its value goes.
type field struct {
	name string
	to   *string
}

func (s *updateSink) attributes(attrs []xmlAttr, fields ...field) {
	for _, a := range attrs {
		for _, f := range fields {
			if string(a.name) == f.name {
				*f.to = s.arena.copy(a.value)
			}
		}
	}
}
