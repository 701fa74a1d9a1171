package repo

import (
	"fmt"
	"math"
	"strconv"
	"unicode"

	"cpacman/internal/rpm"
)

// version reads epoch, ver and rel. An absent or empty epoch is 0.
func (s *primarySink) version(evr *rpm.EVR, attrs []xmlAttr) {
	for _, a := range attrs {
		switch string(a.name) {
		case "epoch":
			e, err := parseEpoch(a.value)
			if err != nil {
				s.fail("%w", err)
			}
			evr.Epoch = e
		case "ver":
			evr.Version = s.arena.copy(a.value)
		case "rel":
			evr.Release = s.arena.copy(a.value)
		}
	}
}

// dependency reads one <rpm:entry>. A comparison without a version compares nothing and is dropped, as rpm does.
func (s *primarySink) dependency(attrs []xmlAttr) {
	var d rpm.Dep
	for _, a := range attrs {
		switch string(a.name) {
		case "name":
			d.Name = s.arena.copy(a.value)
		case "flags":
			sense, ok := parseFlags(a.value)
			if !ok {
				s.fail("dependency with unknown flags %s", quoted(a.value))
			}
			d.Sense = sense
		case "pre":
			d.Pre = string(a.value) == "1" || string(a.value) == "true"
		}
	}
	if d.Name == "" {
		s.fail("dependency without a name")
	}
	if d.Sense != 0 {
		s.version(&d.EVR, attrs)
		if d.EVR.Version == "" {
			d.Sense, d.EVR = 0, rpm.EVR{}
		}
	}
	s.deps = append(s.deps, d)
}

// parseFlags reads the comparison as createrepo writes it.
func parseFlags(b []byte) (rpm.Sense, bool) {
	switch string(b) {
	case "":
		return 0, true
	case "EQ":
		return rpm.Equal, true
	case "LT":
		return rpm.Less, true
	case "GT":
		return rpm.Greater, true
	case "LE":
		return rpm.Less | rpm.Equal, true
	case "GE":
		return rpm.Greater | rpm.Equal, true
	}
	return 0, false
}

// parseEpoch reads an epoch of 32 bits.
func parseEpoch(b []byte) (uint32, error) {
	switch string(b) {
	case "", "0", "(none)":
		return 0, nil
	}
	n, err := strconv.ParseUint(string(b), 10, 32)
	if err != nil {
		return 0, fmt.Errorf("epoch %s is no number of 32 bits", quoted(b))
	}
	return uint32(n), nil
}

// lenientInt reads a number that nothing depends on: what is no number, or negative, is 0. Old metadata has fractions.
func lenientInt(b []byte) int64 {
	var n int64
	for i, c := range b {
		if c == '.' && i > 0 {
			break
		}
		if c < '0' || c > '9' || n > (math.MaxInt64-9)/10 {
			return 0
		}
		n = n*10 + int64(c-'0')
	}
	return n
}

// checkNEVRA refuses names that could not be written into a plan and read again, or that no rpm could have.
func checkNEVRA(n rpm.NEVRA) error {
	if i := badByte(n.Name, ""); i >= 0 {
		return fmt.Errorf("name %s has a character no name has", quoted(n.Name))
	}
	if badByte(n.Version, "-") >= 0 || badByte(n.Release, "-") >= 0 {
		return fmt.Errorf("version %s has a character no version has", quoted(n.Version+"-"+n.Release))
	}
	if badByte(n.Arch, "-.") >= 0 {
		return fmt.Errorf("arch %s has a character no arch has", quoted(n.Arch))
	}
	return nil
}

// badByte finds the first character that is white space, a control, invisible, ":", "/" or one of more; -1 if there is none.
func badByte(s, more string) int {
	for i, r := range s {
		if r > ' ' && r < 0x7f && r != ':' && r != '/' {
			for j := 0; j < len(more); j++ {
				if byte(r) == more[j] {
					return i
				}
			}
			continue
		}
		if r < 0x80 || !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return i
		}
	}
	return -1
}
