package inventory

import "fmt"

// Source is where a table of a site stands, and where its keys do.
type Source struct {
	File string // as the caller would open it
	Line int    // of the header of the table
	set  []keyLine
}

// keyLine is a key that was written, and its line.
type keyLine struct {
	key  string
	line int
	bad  bool // its value could not be read, and that was reported
}

// IsSet reports whether the key was written in the table.
func (s *Source) IsSet(key string) bool {
	for i := range s.set {
		if s.set[i].key == key {
			return true
		}
	}
	return false
}

// LineOf gives the line of a key, or that of the table when it was not written.
func (s *Source) LineOf(key string) int {
	for i := range s.set {
		if s.set[i].key == key {
			return s.set[i].line
		}
	}
	return s.Line
}

// Origin gives "file:line" of a key that was written, else "default".
func (s *Source) Origin(key string) string {
	if !s.IsSet(key) {
		return OriginDefault
	}
	return fmt.Sprintf("%s:%d", s.File, s.LineOf(key))
}

// At gives "file:line" of the table.
func (s *Source) At() string { return fmt.Sprintf("%s:%d", s.File, s.Line) }

// mark notes a key that was written.
func (s *Source) mark(key string, line int) { s.set = append(s.set, keyLine{key: key, line: line}) }

// spoil notes that the value of a key could not be read.
func (s *Source) spoil(key string) {
	for i := range s.set {
		if s.set[i].key == key {
			s.set[i].bad = true
		}
	}
}

// spoilt reports a key whose value could not be read: what stands in the struct
// is not what was written, and there is nothing more to say about it.
func (s *Source) spoilt(key string) bool {
	for i := range s.set {
		if s.set[i].key == key {
			return s.set[i].bad
		}
	}
	return false
}

// source gives the decoder access to an embedded Source.
func (s *Source) source() *Source { return s }
