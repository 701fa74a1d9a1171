package host

import (
	"cmp"
	"strings"

	"github.com/BurntSushi/toml"
)

// maxToml bounds a versionlock.toml, in bytes.
const maxToml = 4 << 20

// lockLine reads a line of a list of locks: of a versionlock.list ("name-0:1-2.*", "!" leaves a build out), of dnf 5's versionlock.toml, or of zypper's locks.
func (r *configReader) lockLine(l string) {
	switch {
	case strings.HasSuffix(r.source, ".toml"):
		if r.toml.Len()+len(l) > maxToml {
			r.unreadable = true
			return
		}
		r.toml.WriteString(l + "\n")
	case strings.HasSuffix(r.source, "zypp/locks"):
		r.zyppLine(l)
	default:
		r.hold("versionlock", l)
	}
}

// readVersionlock reads a versionlock.toml (dnf5-versionlock(8)): conditions of one entry are all to be true, entries of one name are alternatives. An entry
// of names that cannot be understood counts without its conditions.
func (r *configReader) readVersionlock() {
	text := r.toml.String()
	r.toml.Reset()
	if text == "" {
		return
	}
	var file struct {
		Packages []struct {
			Name       string `toml:"name"`
			Conditions []struct {
				Key        string `toml:"key"`
				Comparator string `toml:"comparator"`
				Value      string `toml:"value"`
			} `toml:"conditions"`
		} `toml:"packages"`
	}
	if _, err := toml.Decode(text, &file); err != nil {
		r.unreadable = true
		return
	}
	for _, p := range file.Packages {
		h := Hold{Kind: "versionlock", Pattern: p.Name}
		for _, c := range p.Conditions {
			if !operator(c.Comparator) || c.Key != "evr" && c.Key != "epoch" && c.Key != "arch" {
				h.When = nil
				break
			}
			h.When = append(h.When, HoldWhen{c.Key, c.Comparator, c.Value})
		}
		r.add(h)
	}
}

func operator(s string) bool {
	switch s {
	case "=", "!=", "<", "<=", ">", ">=":
		return true
	}
	return false
}

// zyppLock is one of zypper's locks (locks(5) of libzypp): lines "attribute: value", ended by an empty one.
type zyppLock struct {
	kind, match, query string
	names              []string
	fold, named        bool // case does not count; names are asked for
	when               []HoldWhen
}

func (r *configReader) zyppLine(l string) {
	key, value, _ := strings.Cut(l, ":")
	value = strings.TrimSpace(value)
	z := &r.lock
	switch strings.TrimSpace(key) {
	case "":
		r.endZyppLock()
	case "type":
		z.kind = value
	case "match_type":
		z.match = value
	case "case_sensitive":
		z.fold = value != "on" && value != "true"
	case "query_string":
		z.query = value
	case "solvable_name":
		z.named = true
		if value != "" {
			z.names = append(z.names, value)
		}
	case "version":
		version := strings.TrimLeft(value, "=!<>")
		op := value[:len(value)-len(version)]
		if op == "==" || op == "" {
			op = "="
		}
		if operator(op) { // else the lock counts for every version
			z.when = append(z.when, HoldWhen{"edition", op, strings.TrimSpace(version)})
		}
	}
}

// endZyppLock keeps a lock on packages. What else it says (repo, install_status, solvable_arch, which is an alternative to the name …) would only narrow it, so that it may hold more here
// than with zypper; one that names no package by its name is kept as MatchNothing.
func (r *configReader) endZyppLock() {
	z := r.lock
	r.lock = zyppLock{fold: true, match: MatchSubstring}
	if z.kind != "" && z.kind != "package" {
		return
	}
	if len(z.names)+len(z.when) > maxConfig {
		r.unreadable = true
		return
	}
	if z.named && len(z.names) == 0 && z.query != "" {
		z.names = []string{z.query}
	}
	if len(z.names) == 0 && (z.query != "" || z.kind != "") {
		r.add(Hold{Kind: "zypper-lock", Pattern: cmp.Or(z.query, "*"), Match: MatchNothing})
	}
	match := z.match
	if match == "glob" {
		match = ""
	}
	for _, name := range z.names {
		r.add(Hold{Kind: "zypper-lock", Pattern: name, Match: match, Fold: z.fold, When: z.when})
	}
}
