package inventory

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// ParseHop reads "host", "user@host", "host:22", "user@[2001:db8::1]:22".
func ParseHop(s string) (Hop, error) {
	hop := Hop{Port: 22}
	rest := s
	if at := strings.LastIndexByte(s, '@'); at >= 0 {
		hop.User, rest = s[:at], s[at+1:]
		if hop.User == "" {
			return Hop{}, fmt.Errorf("hop %q has an empty user", s)
		}
	}
	port := ""
	switch {
	case strings.HasPrefix(rest, "["):
		inner, after, ok := strings.Cut(rest[1:], "]")
		if !ok || after != "" && after[0] != ':' {
			return Hop{}, fmt.Errorf("hop %q: write an IPv6 address as [2001:db8::1]:22", s)
		}
		hop.Address, port = inner, after
	case strings.Count(rest, ":") == 1:
		i := strings.IndexByte(rest, ':')
		hop.Address, port = rest[:i], rest[i:]
	default:
		hop.Address = rest
	}
	if port != "" {
		n, err := strconv.Atoi(port[1:])
		if err != nil || n < 1 || n > 65535 || !digits(port[1:]) {
			return Hop{}, fmt.Errorf("hop %q: %q is not a port from 1 to 65535", s, port[1:])
		}
		hop.Port = n
	}
	if err := hop.check(); err != nil {
		return Hop{}, err
	}
	return hop, nil
}

// check validates the parts of a hop.
func (h Hop) check() error {
	if err := checkAddress(h.Address); err != nil {
		return fmt.Errorf("hop: %w", err)
	}
	if h.User != "" {
		if err := checkUser(h.User); err != nil {
			return fmt.Errorf("hop: %w", err)
		}
	}
	return nil
}

// String writes the hop as ParseHop reads it, without the identity.
func (h Hop) String() string {
	s := h.Address
	if strings.Contains(s, ":") {
		s = "[" + s + "]"
	}
	if h.User != "" {
		s = h.User + "@" + s
	}
	if h.Port != 22 && h.Port != 0 {
		s += ":" + strconv.Itoa(h.Port)
	}
	return s
}

// checkAddress accepts a host name or an IP address.
func checkAddress(s string) error {
	if strings.Contains(s, ":") {
		if a, err := netip.ParseAddr(s); err != nil || a.Zone() != "" && checkName(a.Zone(), maxName) != nil {
			return fmt.Errorf("%q is not a host name or an IP address (a port has its own key)", s)
		}
		return nil
	}
	if err := checkName(s, maxHostName); err != nil {
		return fmt.Errorf("address %w", err)
	}
	return nil
}

// checkUser accepts account names as useradd does, and those with a domain.
func checkUser(s string) error {
	for i, r := range s {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_' || i > 0 && (r >= '0' && r <= '9' || strings.ContainsRune(".-$@\\", r))) {
			return fmt.Errorf("%q is not a user name", s)
		}
	}
	if s == "" || len(s) > 64 {
		return fmt.Errorf("%q is not a user name", s)
	}
	return nil
}

// Lengths of names. A host name is at most 253 bytes (RFC 1035).
const (
	maxHostName = 253
	maxName     = 64
)

// checkName accepts a letter or digit followed by letters, digits, dots, dashes
// and underscores: names are used in file names, commands and reports.
func checkName(s string, limit int) error {
	for i := range len(s) {
		c := s[i]
		ok := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || i > 0 && (c == '.' || c == '_' || c == '-')
		if !ok {
			return fmt.Errorf("name %q may hold only letters, digits, dots, dashes and underscores, and begins with a letter or digit", clip(s))
		}
	}
	if s == "" {
		return fmt.Errorf("name is empty")
	}
	if len(s) > limit {
		return fmt.Errorf("name %q is longer than %d characters", clip(s), limit)
	}
	return nil
}

// clip shortens what is shown of a long text.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}
