package rpm

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// NEVRA names one package build: name, EVR and architecture. It is comparable and can be a map key.
type NEVRA struct {
	Name string
	EVR
	Arch string
}

// NameArch is the key under which packages replace each other in cpacman's rules.
type NameArch struct{ Name, Arch string }

// ErrNEVRA marks text that is no NEVRA.
var ErrNEVRA = errors.New("not a name-[epoch:]version-release.arch")

// ParseNEVRA reads "name-[epoch:]version-release.arch". Also taken is the form "epoch:name-version-release.arch" that
// updateinfo and yum print.
func ParseNEVRA(s string) (NEVRA, error) {
	bad := func(what string) (NEVRA, error) { return NEVRA{}, fmt.Errorf("%w: %s in %q", ErrNEVRA, what, s) }
	dot := strings.LastIndexByte(s, '.')
	if dot <= 0 || dot == len(s)-1 {
		return bad("no arch")
	}
	arch, rest := s[dot+1:], s[:dot]
	if strings.ContainsAny(arch, "-:") {
		return bad("bad arch")
	}
	rel := strings.LastIndexByte(rest, '-')
	if rel <= 0 {
		return bad("no release")
	}
	ver := strings.LastIndexByte(rest[:rel], '-')
	if ver <= 0 {
		return bad("no version")
	}
	name, evr := rest[:ver], rest[ver+1:]
	if i := strings.IndexByte(name, ':'); i > 0 && strings.Trim(name[:i], "0123456789") == "" {
		name, evr = name[i+1:], name[:i]+":"+evr
	}
	e, err := ParseEVR(evr)
	if err != nil {
		return NEVRA{}, fmt.Errorf("%w: %q: %w", ErrNEVRA, s, err)
	}
	if e.Release == "" {
		return bad("no release")
	}
	if !validName(name) || !validName(arch) {
		return bad("bad name")
	}
	return NEVRA{Name: name, EVR: e, Arch: arch}, nil
}

// validName tells whether a package name or architecture can stand in a list, a command or a file name without meaning
// something else: not empty, no white space, control character, slash or colon, no leading dash, valid UTF-8. rpm's own
// builder allows less.
func validName(s string) bool {
	return s != "" && s[0] != '-' && s != "." && s != ".." && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r == 0x7f || r == '/' || r == ':' || unicode.IsControl(r)
	})
}

// String writes "name-[epoch:]version-release.arch", the epoch only when it is not 0.
func (n NEVRA) String() string { return n.Name + "-" + n.EVR.String() + "." + n.Arch }

// NameArch returns the key name.arch.
func (n NEVRA) NameArch() NameArch { return NameArch{n.Name, n.Arch} }

// String writes "name.arch".
func (k NameArch) String() string { return k.Name + "." + k.Arch }

// CompareNEVRA orders by name, then arch, then EVR: the order of lists that people and files see.
func CompareNEVRA(a, b NEVRA) int {
	if c := cmp.Compare(a.Name, b.Name); c != 0 {
		return c
	}
	if c := cmp.Compare(a.Arch, b.Arch); c != 0 {
		return c
	}
	return Compare(a.EVR, b.EVR)
}

// MarshalText writes the NEVRA as text, so that JSON carries one string.
func (n NEVRA) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (n *NEVRA) UnmarshalText(b []byte) error {
	v, err := ParseNEVRA(string(b))
	if err != nil {
		return err
	}
	*n = v
	return nil
}
