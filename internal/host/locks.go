package host

import (
	"cmp"
	"regexp"
	"regexp/syntax"
	"strings"
	"sync"

	"github.com/BurntSushi/toml"
)

// Bounds of what a host may make us do with its locks. What is beyond them is not read, and the host's holds are unknown.
const (
	maxToml      = 2 << 20 // bytes of a versionlock.toml
	maxWhen      = 8       // conditions of one lock
	maxValue     = 256     // bytes of a condition's value, and of a regular expression
	maxSearches  = 200     // patterns that are no beginnings of names: each is tried on every name there is
	maxVendors   = 200     // lists of vendors that count as one
	maxHoldBytes = 8 << 20 // of all patterns and values
	maxRegexp    = 2000    // characters and classes of a regular expression, what is repeated counted as often
)

// tomlLine is how a line of a versionlock.toml begins: a header of one of its two tables, or a plain key. No value goes on in a next line.
var tomlLine = regexp.MustCompile(`^(\[\[ *packages *(\. *conditions *)?\]\] *(#.*)?$|[A-Za-z_-]+ *=)`)

// maxNested bounds how deep values of one line can be within each other: the decoder goes down once for each.
const maxNested = 500

// plainToml tells whether a line may go to the decoder.
func plainToml(l string) bool {
	return l == "" || tomlLine.MatchString(l) && strings.Count(l, "[")+strings.Count(l, "{")+strings.Count(l, ".") <= maxNested
}

// tomlTurn lets one file be decoded at a time: what a decoder keeps is many times its text.
var tomlTurn sync.Mutex //nolint:gochecknoglobals // of the process, as memory is

// lockLine reads a line of a list of locks: of a versionlock.list ("name-0:1-2.*", "!" leaves a build out), of dnf 5's versionlock.toml, or of zypper's locks.
func (r *configReader) lockLine(l string) {
	switch {
	case strings.HasSuffix(r.source, ".toml"):
		if r.toml.Len()+len(l) > maxToml || !plainToml(l) {
			r.giveUp()
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
	if text == "" || r.unreadable {
		return
	}
	tomlTurn.Lock()
	defer tomlTurn.Unlock()
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
		r.giveUp()
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

// costs tells whether a hold is more than a host may ask for, with those before it.
func (r *configReader) costs(h *Hold) bool {
	size := len(h.Pattern)
	for _, w := range h.When {
		size += len(w.Value)
		if len(w.Value) > maxValue {
			return true
		}
	}
	if r.holdBytes += size; r.holdBytes > maxHoldBytes || len(h.Pattern) > maxField || len(h.When) > maxWhen || len(r.facts.Holds) == maxHolds {
		return true
	}
	switch {
	case h.Kind == "same-vendor":
		r.vendors++
	case h.Match == MatchRegex, h.Match == MatchSubstring, h.Match == MatchWord, h.Fold, strings.HasPrefix(strings.TrimPrefix(h.Pattern, "!"), "*"),
		strings.HasPrefix(h.Pattern, "?"), strings.HasPrefix(h.Pattern, "["):
		r.searches++
	}
	return r.searches > maxSearches || r.vendors > maxVendors || h.Match == MatchRegex && tooLarge(h.Pattern)
}

// tooLarge tells whether a regular expression takes more than it may to compile. One that is none is not.
func tooLarge(pattern string) bool {
	if len(pattern) > maxValue {
		return true
	}
	re, err := syntax.Parse(pattern, syntax.Perl)
	return err == nil && regexpSize(re) > maxRegexp
}

func regexpSize(re *syntax.Regexp) int {
	size := 1 + len(re.Rune)
	for _, sub := range re.Sub {
		size += regexpSize(sub)
	}
	if re.Op == syntax.OpRepeat {
		size *= max(re.Min, re.Max, 1)
	}
	return size
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
