package inventory

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
)

// ErrEmptySelection means that no host matched.
var ErrEmptySelection = errors.New("no host matches")

// ErrUnknownName means that a selector names a host, class, level, group,
// cluster or key that the site does not have. It is an error even if hosts
// match: "not group=dbb" would otherwise be every host.
var ErrUnknownName = errors.New("selector names something unknown")

// ExtraFunc gives what is known of a host beyond the site, from its facts: os,
// os_version, arch, kernel and the like. nil means not known, an empty slice
// that there is no value. It must not keep the host.
type ExtraFunc func(h *Host, key string) []string

// siteKeys are the selector keys that the site itself answers.
func siteKeys() []string {
	return []string{"host", "address", "class", "level", "group", "cluster", "location"}
}

// factKeys are the selector keys that facts answer; os and arch may stand in the
// site too.
func factKeys() []string {
	return []string{"os", "os_version", "arch", "kernel", "rpm_version", "machine_id"}
}

// Values gives the values of a selector key for a host: what the site says, else
// what extra says. nil means that the value is not known.
func (s *Site) Values(h *Host, key string, extra ExtraFunc) []string {
	q := question{site: s, host: h, extra: extra}
	return slices.Clone(q.values(key)) // keeps nil apart from empty
}

// question answers the keys of selectors for one host. A fleet asks millions of
// times, so what it returns is its own buffer or that of the host: it is good
// until the next key, and is not to be changed.
type question struct {
	site  *Site
	host  *Host
	extra ExtraFunc
	one   [1]string
}

// just gives one value, or none when it is empty.
func (q *question) just(v string) []string {
	if v == "" {
		return []string{}
	}
	q.one[0] = v
	return q.one[:]
}

// all gives several values, never nil.
func all(values []string) []string {
	if values == nil {
		return []string{}
	}
	return values
}

// values gives the values of a key; nil means that they are not known.
func (q *question) values(key string) []string {
	h := q.host
	switch key {
	case "host":
		return q.just(h.Name)
	case "address":
		return q.just(h.Address)
	case "class":
		return q.just(h.Class)
	case "level":
		return q.just(h.Level)
	case "location":
		return q.just(h.Location)
	case "group":
		return all(h.Groups)
	case "cluster":
		return all(h.Clusters)
	case "os":
		if h.OS != "" {
			return q.just(h.OS)
		}
	case "arch":
		if h.Arch != "" {
			return q.just(h.Arch)
		}
	}
	bare, isMeta := strings.CutPrefix(key, "meta.")
	free := isMeta || !reservedKey(key)
	if v, ok := h.Meta[bare]; ok && free {
		q.one[0] = v // an empty one is a value too
		return q.one[:]
	}
	if isMeta {
		return []string{}
	}
	if q.extra != nil {
		if v := q.extra(h, key); v != nil {
			return v
		}
	}
	if free && q.site.meta[key] {
		return []string{} // other hosts have it, this one is known not to
	}
	return nil
}

// reservedKey reports a key that a free field of the same name does not answer.
func reservedKey(key string) bool {
	switch key {
	case "host", "address", "class", "level", "group", "cluster", "location",
		"os", "os_version", "arch", "kernel", "rpm_version", "machine_id":
		return true
	}
	return false
}

// Select gives the hosts that match, sorted by name. No argument at all is every
// host. The errors are ErrEmptySelector, ErrSelectorSyntax, ErrUnknownName and
// ErrEmptySelection, with what to do in the text.
func (s *Site) Select(args []string, extra ExtraFunc) ([]*Host, error) {
	sel, err := ParseSelector(args)
	if err != nil {
		return nil, err
	}
	return s.SelectBy(sel, extra)
}

// SelectBy is Select for a selector that is parsed already.
func (s *Site) SelectBy(sel Selector, extra ExtraFunc) ([]*Host, error) {
	if err := s.checkSelector(sel, extra); err != nil {
		return nil, err
	}
	out := make([]*Host, 0, len(s.Hosts))
	undecided := 0
	q := &question{site: s, extra: extra}
	for _, h := range s.Hosts {
		q.host = h
		switch q.answer(sel) {
		case yes:
			out = append(out, h)
		case unknown:
			undecided++
		}
	}
	if len(out) > 0 {
		return out, nil
	}
	if len(s.Hosts) == 0 {
		return nil, fmt.Errorf("%w: the site %q has no hosts; they stand in files under %s/", ErrEmptySelection, s.Dir, InventoryDir)
	}
	for _, h := range s.Retired {
		if s.match(sel, h, extra) == yes && sel.root != nil {
			return nil, fmt.Errorf("%w %q among %d hosts; host %q does and is retired: only inventory list shows it", ErrEmptySelection, clip(sel.String()), len(s.Hosts), h.Name)
		}
	}
	if undecided > 0 {
		return nil, fmt.Errorf("%w %q: of %d of %d hosts it is not known; collect their facts first", ErrEmptySelection, clip(sel.String()), undecided, len(s.Hosts))
	}
	return nil, fmt.Errorf("%w %q among %d hosts", ErrEmptySelection, clip(sel.String()), len(s.Hosts))
}

// match gives the truth of a selector for one host.
func (s *Site) match(sel Selector, h *Host, extra ExtraFunc) truth {
	return (&question{site: s, host: h, extra: extra}).answer(sel)
}

func (q *question) answer(sel Selector) truth {
	if sel.root == nil {
		return yes
	}
	return sel.eval(q.values)
}

// checkSelector refuses names that the site does not have.
func (s *Site) checkSelector(sel Selector, extra ExtraFunc) error {
	var first error
	answered := make(map[string]bool)
	sel.terms(func(e *expr) {
		if first == nil {
			first = s.checkTerm(e, extra, answered)
		}
	})
	return first
}

// checkTerm refuses a term with an unknown key, or an exact name that is not
// defined. answered remembers keys that extra knows.
func (s *Site) checkTerm(e *expr, extra ExtraFunc, answered map[string]bool) error {
	if !s.knowsKey(e.key) && !answered[e.key] {
		for _, h := range s.Hosts {
			if extra != nil && extra(h, e.key) != nil {
				answered[e.key] = true
				return nil
			}
		}
		return unknownName("key", e.key, s.selectorKeys())
	}
	if !e.literal || e.op != opEqual && e.op != opUnequal {
		return nil
	}
	names, kind := s.namesOf(e.key)
	if names == nil {
		return nil
	}
	for _, n := range names {
		if n == e.value {
			return nil
		}
	}
	return unknownName(kind, e.value, names)
}

// unknownName is ErrUnknownName with a hint.
func unknownName(kind, name string, known []string) error {
	if hint := didYouMean(name, known); hint != "" {
		return fmt.Errorf("%w: no %s %q; %s", ErrUnknownName, kind, clip(name), hint)
	}
	return fmt.Errorf("%w: no %s %q", ErrUnknownName, kind, clip(name))
}

// knowsKey reports a key that the site or facts can answer.
func (s *Site) knowsKey(key string) bool {
	bare, _ := strings.CutPrefix(key, "meta.")
	return reservedKey(key) || s.meta[bare]
}

// selectorKeys gives all keys, for hints.
func (s *Site) selectorKeys() []string {
	keys := append(siteKeys(), factKeys()...)
	for k := range s.meta {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// namesOf gives the defined names behind a key and what they are called; nil
// when any value may stand there, and for the empty value.
func (s *Site) namesOf(key string) (names []string, kind string) {
	names = []string{}
	switch key {
	case "host":
		for _, h := range s.Hosts {
			names = append(names, h.Name)
		}
		for _, h := range s.Retired {
			names = append(names, h.Name)
		}
	case "class":
		names = append(s.classNames(), "")
	case "level":
		names = append(s.levelNames(), "")
	case "group":
		names = append(sortedKeys(s.Groups), "")
	case "cluster":
		names = append(sortedKeys(s.Clusters), "")
	default:
		return nil, ""
	}
	return names, key
}

func (s *Site) classNames() []string {
	var names []string
	for i := range s.Classes {
		names = append(names, s.Classes[i].Name)
	}
	return names
}

func (s *Site) levelNames() []string {
	var names []string
	for i := range s.Levels {
		names = append(names, s.Levels[i].Name)
	}
	return names
}

func (s *Site) repoNames() []string {
	var names []string
	for i := range s.Repos {
		names = append(names, s.Repos[i].ID)
	}
	return names
}

// ReposFor gives the view of a host: the repositories of its class, or all when
// the class names none, less those whose selector is not true for the host;
// sorted by priority, the smallest first, then by their place in the file. A
// host without a class sees the repositories only in a site that has no classes
// at all. An empty result is what is called no_view. The list may be shared: it is not to be changed.
func (s *Site) ReposFor(h *Host, extra ExtraFunc) []Repo {
	v := s.classView(h)
	if v.whole != nil {
		return v.whole
	}
	var out []Repo
	for _, r := range v.repos {
		if s.match(r.Hosts, h, extra) == yes {
			out = append(out, *r)
		}
	}
	return out
}

// viewCache keeps the views of classes.
type viewCache struct {
	byClass sync.Map                  // *classView
	last    atomic.Pointer[classView] // asked for last: the next host has it too, more often than not
}

// classView is what the hosts of a class may see.
type classView struct {
	class string
	repos []*Repo
	whole []Repo // the view of every host of the class; nil where selectors decide
}

// classView gives the view of a host's class, made once for each.
func (s *Site) classView(h *Host) *classView {
	if s.views == nil { // not loaded from files
		return &classView{repos: s.classRepos(h)}
	}
	if last := s.views.last.Load(); last != nil && last.class == h.Class {
		return last
	}
	if known, ok := s.views.byClass.Load(h.Class); ok {
		s.views.last.Store(known.(*classView))
		return known.(*classView)
	}
	v := &classView{class: h.Class, repos: s.classRepos(h)}
	if !slices.ContainsFunc(v.repos, func(r *Repo) bool { return r.Hosts.root != nil }) {
		for _, r := range v.repos {
			v.whole = append(v.whole, *r)
		}
		v.whole = slices.Clip(v.whole)
	}
	s.views.byClass.Store(h.Class, v)
	return v
}

// classRepos gives the repositories of the host's class in the order of a view,
// before their selectors.
func (s *Site) classRepos(h *Host) []*Repo {
	c := s.Class(h.Class)
	if c == nil && len(s.Classes) > 0 {
		return nil
	}
	var out []*Repo
	if c != nil && c.Repos != nil {
		for _, id := range c.Repos {
			if r := s.Repo(id); r != nil {
				out = append(out, r)
			}
		}
	} else {
		for i := range s.Repos {
			out = append(out, &s.Repos[i])
		}
	}
	sort.SliceStable(out, func(i, j int) bool {
		if out[i].Priority != out[j].Priority {
			return out[i].Priority < out[j].Priority
		}
		return out[i].Place < out[j].Place
	})
	return out
}
