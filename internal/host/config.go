package host

import (
	"slices"
	"strings"
)

const (
	maxConfig  = 2000     // entries of one kind kept
	maxHolds   = 50_000   // a lock on everything that is installed is one for each package
	maxSetting = 64 << 10 // bytes of a line of a configuration file: an exclude may name a lot
)

// readConfig reads what the host's package managers are told: repositories, holds, module streams. A file that could not be
// read makes its kind nil.
func readConfig(f *Facts, a *answer) {
	r := configReader{facts: f}
	f.Repositories, f.Holds, f.Modules, f.Unread = []HostRepo{}, []Hold{}, []Module{}, nil
	for _, l := range a.lines {
		switch l[0] {
		case "file":
			r.endFile()
			r.kind, r.source, _ = strings.Cut(bounded(l[1], maxField), " ")
			r.section, r.key = "", ""
		case "line":
			switch text := l[1]; {
			case r.kind == "repo" || r.kind == "module":
				r.line(bounded(text, maxField))
			case len(text) > maxSetting:
				r.giveUp()
			default:
				r.line(text)
			}
		}
	}
	r.endFile()
	if r.unreadable {
		f.Holds = nil
	}
	for _, u := range a.all("unreadable") {
		kind, file, _ := strings.Cut(bounded(u, maxField), " ")
		switch kind {
		case "repo":
			f.Repositories = nil
		case "module":
			f.Modules = nil
			f.unread(file)
		case "lock", "main", "protected", "vendors":
			f.Holds = nil
			f.unread(file)
		}
	}
}

// unread notes a file whose words nobody knows, for the person who is to correct it.
func (f *Facts) unread(file string) {
	if len(f.Unread) < 20 && !slices.Contains(f.Unread, file) {
		f.Unread = append(f.Unread, file)
	}
}

// configReader goes through lines of files of several kinds.
type configReader struct {
	facts                      *Facts
	kind, source, section, key string
	lock                       zyppLock
	toml                       strings.Builder
	unreadable                 bool // a list of locks

	holdBytes, searches, vendors int // what the holds so far cost
}

// giveUp notes that the file that is being read makes no sense, or would cost too much.
func (r *configReader) giveUp() {
	r.unreadable = true
	r.facts.unread(r.source)
}

// endFile finishes what takes more than one line.
func (r *configReader) endFile() {
	r.endZyppLock()
	r.readVersionlock()
}

func (r *configReader) line(l string) {
	goesOn := strings.HasPrefix(l, " ")
	l = strings.TrimSpace(l)
	if r.kind == "lock" {
		r.lockLine(l)
		return
	}
	if section, ok := strings.CutPrefix(l, "["); ok {
		r.section, _, _ = strings.Cut(section, "]")
		switch {
		case r.kind == "repo" && len(r.facts.Repositories) < maxConfig:
			// A repository without "enabled" is enabled (dnf.conf(5)).
			r.facts.Repositories = append(r.facts.Repositories, HostRepo{ID: r.section, Enabled: true})
		case r.kind == "module" && len(r.facts.Modules) < maxConfig:
			r.facts.Modules = append(r.facts.Modules, Module{Name: r.section})
		}
		return
	}
	key, value, _ := strings.Cut(l, "=")
	key, value = strings.TrimSpace(key), strings.TrimSpace(value)
	switch r.kind {
	case "repo":
		r.repo(key, value)
	case "module":
		if n := len(r.facts.Modules); n > 0 && r.section != "" {
			switch key {
			case "stream":
				r.facts.Modules[n-1].Stream = value
			case "state":
				r.facts.Modules[n-1].State = value
			}
		}
	case "main":
		if goesOn && r.key != "" { // a list goes on in lines that are indented
			key, value = r.key, l
		}
		r.main(key, value)
	case "vendors":
		if key == "vendors" {
			r.hold("same-vendor", value)
		}
	case "protected":
		for _, p := range listed(l) {
			r.hold("protected", p)
		}
	}
}

func (r *configReader) repo(key, value string) {
	n := len(r.facts.Repositories)
	if n == 0 || r.section == "" {
		return
	}
	repo := &r.facts.Repositories[n-1]
	switch key {
	case "enabled":
		switch strings.ToLower(value) {
		case "0", "false", "no", "off":
			repo.Enabled = false
		}
	case "baseurl", "mirrorlist", "metalink":
		if repo.URL == "" {
			repo.URL = value
		}
	}
}

// main reads a setting of the package manager itself. Excludes of a repository are about builds of that repository, which is not one of ours.
func (r *configReader) main(key, value string) {
	if r.section != "" && r.section != "main" {
		return
	}
	kind := ""
	switch r.key = key; key {
	case "exclude", "excludepkgs":
		kind = "exclude"
	case "protected_packages":
		kind = "protected"
	default:
		return
	}
	for _, p := range listed(value) {
		r.hold(kind, p)
	}
}

// listed splits a list of a configuration file.
func listed(s string) []string {
	return strings.FieldsFunc(s, func(c rune) bool { return c == ',' || c == ' ' || c == '\t' })
}

func (r *configReader) hold(kind, pattern string) { r.add(Hold{Kind: kind, Pattern: pattern}) }

func (r *configReader) add(h Hold) {
	switch h.Source = r.source; {
	case h.Pattern == "":
	case r.unreadable || r.costs(&h): // what is held then nobody knows
		r.giveUp()
	default:
		r.facts.Holds = append(r.facts.Holds, h)
	}
}
