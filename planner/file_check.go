package planner

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"

	"cpacman/internal/rpm"
)

// validate changes nothing, and checks what a reader relies on: known type, no name twice, every reference leads somewhere, no path leaves its
// repository, no text that could steer a terminal in a name.
func (p *Plan) validate() error {
	bad := func(format string, a ...any) error { return fmt.Errorf("%w: %s", ErrPlan, fmt.Sprintf(format, a...)) }
	switch p.Type {
	case TypeUpdate, TypeDowngrade, TypeRollback, TypeRepair, TypeLock, TypeReboot, TypeServices:
	default:
		return bad("unknown type %q", p.Type)
	}
	if f := p.Requested.Force; f != "" && !p.Type.PackageFree() || len(f) > maxRebootText || strings.ContainsFunc(f, unicode.IsControl) {
		return bad("a plan of type %s that is forced because of %q", p.Type, f)
	}
	if !p.ExpiresAt.After(p.CreatedAt) {
		return bad("it expires before it was made")
	}
	repos := make(map[string]bool, len(p.Repos))
	for _, r := range p.Repos {
		if r.ID == "" || repos[r.ID] {
			return bad("repository %q stands in it twice or has no name", r.ID)
		}
		repos[r.ID] = true
	}
	files, err := checkPackages(p.Packages, repos)
	if err != nil {
		return bad("%v", err)
	}
	sets, err := checkSets(p.Sets, p.Type, files)
	if err != nil {
		return bad("%v", err)
	}
	if files, err = checkPackages(p.RollbackPackages, repos); err != nil {
		return bad("rollback: %v", err)
	}
	back, err := checkSets(p.Rollbacks, TypeRollback, files)
	if err != nil {
		return bad("rollback: %v", err)
	}
	keys, err := checkKeys(p.Keys)
	if err != nil {
		return bad("%v", err)
	}
	if err := p.checkRequested(); err != nil {
		return bad("%v", err)
	}
	if err := p.checkServices(); err != nil {
		return bad("%v", err)
	}
	// Sorted by name, as Seal leaves them, two of one name are neighbours.
	var hosts map[string]bool
	if !slices.IsSortedFunc(p.Hosts, func(a, b PlanHost) int { return strings.Compare(a.Host, b.Host) }) {
		hosts = make(map[string]bool, len(p.Hosts))
	}
	for i := range p.Hosts {
		h := &p.Hosts[i]
		switch {
		case h.Host == "" || strings.ContainsFunc(h.Host, notPlain):
			return bad("bad host name %q", h.Host)
		case hosts[h.Host] || hosts == nil && i > 0 && p.Hosts[i-1].Host == h.Host:
			return bad("host %q stands in it twice", h.Host)
		case h.Set != "" && !sets[h.Set]:
			return bad("host %q refers to the unknown set %q", h.Host, h.Set)
		case h.Rollback.Set != "" && !back[h.Rollback.Set]:
			return bad("host %q refers to the unknown rollback %q", h.Host, h.Rollback.Set)
		case h.Status == StatusPlanned && h.Set == "":
			return bad("host %q is planned without a set", h.Host)
		}
		if err := p.checkReboot(h); err != nil {
			return bad("host %q %v", h.Host, err)
		}
		if err := h.Keys.validate(keys); err != nil {
			return bad("host %q: %v", h.Host, err)
		}
		if hosts != nil {
			hosts[h.Host] = true
		}
	}
	return nil
}

// checkRequested checks what was asked for, where it is shown or has rights that hang on it.
func (p *Plan) checkRequested() error {
	for _, name := range slices.Concat(p.Requested.Filter.Advisories, p.Requested.Filter.CVEs) {
		if strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return fmt.Errorf("bad name of an advisory %q", name)
		}
	}
	for _, name := range p.Requested.Filter.OverrideHolds {
		if !IsName(name) {
			return fmt.Errorf("holds are overridden of %q, which is no name of a package", name)
		}
	}
	for _, s := range p.Sets {
		for _, o := range s.Overridden {
			if !slices.Contains(p.Requested.Filter.OverrideHolds, o.NEVRA.Name) {
				return fmt.Errorf("set %q overrides a hold of %q, which is not asked for", s.ID, o.NEVRA)
			}
		}
	}
	return nil
}

// Bounds of what a plan says of a reboot.
const (
	maxRebootReasons = 2000
	maxRebootText    = 4096 // bytes
)

// checkReboot holds that plans of reboots change no package and say why each host is booted, and that other plans do not.
func (p *Plan) checkReboot(h *PlanHost) error {
	r := h.Reboot
	if p.Type != TypeReboot {
		if r != nil {
			return fmt.Errorf("is to be booted by a plan of type %s", p.Type)
		}
		return nil
	}
	set, _ := p.Set(h.Set)
	switch {
	case h.Set != "" && !set.Empty() || h.Rollback.Set != "":
		return fmt.Errorf("has packages to change in a plan of reboots")
	case (h.Status == StatusPlanned) != (r != nil):
		return fmt.Errorf("is %s and the reboot does not go with that", h.Status)
	case r == nil:
		return nil
	case r.Boot == "" || len(r.Boot) > 64 || strings.ContainsFunc(r.Boot, notPlain):
		return fmt.Errorf("is to be booted from boot %q", r.Boot)
	}
	reasons := r.Reasons()
	if len(reasons) == 0 || len(reasons) > maxRebootReasons {
		return fmt.Errorf("is to be booted for %d reasons", len(reasons))
	}
	for _, text := range reasons {
		if text == "" || len(text) > maxRebootText || strings.ContainsFunc(text, unicode.IsControl) {
			return fmt.Errorf("is to be booted for %q", text)
		}
	}
	return nil
}

// checkPackages checks files, and returns what they are.
func checkPackages(list []PlanPackage, repos map[string]bool) (map[rpm.NEVRA]bool, error) {
	files := make(map[rpm.NEVRA]bool, len(list))
	for _, f := range list {
		switch {
		case !repos[f.Repo]:
			return nil, fmt.Errorf("package %q comes from the unknown repository %q", f.NEVRA, f.Repo)
		case !safePath(f.Path):
			return nil, fmt.Errorf("package %q: the path %q leaves its repository", f.NEVRA, f.Path)
		case f.Size < 0:
			return nil, fmt.Errorf("package %q has a negative size", f.NEVRA)
		}
		files[f.NEVRA] = true
	}
	return files, nil
}

// checkSets checks sets, and returns their ids.
func checkSets(list []Set, t PlanType, files map[rpm.NEVRA]bool) (map[string]bool, error) {
	sets := make(map[string]bool, len(list))
	for i := range list {
		if err := list[i].validate(t, files); err != nil {
			return nil, fmt.Errorf("set %q: %w", list[i].ID, err)
		}
		if sets[list[i].ID] {
			return nil, fmt.Errorf("set %q stands in it twice", list[i].ID)
		}
		sets[list[i].ID] = true
	}
	return sets, nil
}

// validate checks one set: its id, that every package that comes in has a file, and that no EVR falls in a plan that may not
// lower one (SEC-6).
func (s *Set) validate(t PlanType, files map[rpm.NEVRA]bool) error {
	id, err := s.digest()
	if err != nil {
		return err
	}
	if id != s.ID {
		return fmt.Errorf("its id does not match its content")
	}
	for _, in := range s.Install {
		if !files[in.NEVRA] {
			return fmt.Errorf("%q is to be installed and has no file", in.NEVRA)
		}
		if len(in.NeededBy) == 0 {
			return fmt.Errorf("%q is to be installed and nothing needs it", in.NEVRA)
		}
	}
	for _, m := range s.Upgrade {
		if !files[m.To] {
			return fmt.Errorf("%q is to be installed and has no file", m.To)
		}
		if m.From.Name != m.To.Name || m.From.Arch != m.To.Arch && m.Policy == "" && !m.Again || rpm.Compare(m.To.EVR, m.From.EVR) <= 0 {
			return fmt.Errorf("%q to %q is no upgrade", m.From, m.To)
		}
	}
	for _, m := range s.Downgrade {
		if !files[m.To] {
			return fmt.Errorf("%q is to be installed and has no file", m.To)
		}
		if !t.MayLower(m) {
			return fmt.Errorf("a plan of type %s lowers %q and no policy allows it", t, m.From)
		}
		if m.From.Name != m.To.Name || rpm.Compare(m.To.EVR, m.From.EVR) >= 0 {
			return fmt.Errorf("%q to %q is no downgrade", m.From, m.To)
		}
	}
	return nil
}

// notPlain tells characters that have no place in a name: spaces, control and format characters.
func notPlain(r rune) bool {
	return unicode.IsSpace(r) || !unicode.IsPrint(r) || r == unicode.ReplacementChar
}

// safePath tells whether a path is relative and stays below its root.
func safePath(p string) bool {
	return p != "" && !path.IsAbs(p) && path.Clean(p) == p && p != ".." && !strings.HasPrefix(p, "../") &&
		!strings.ContainsFunc(p, isHidden)
}

// isHidden tells characters that say something to a terminal, or make text read as something else. They are those that no repository may have in a path:
// what is read from one can be planned.
func isHidden(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029'
}

// Set returns the set with the given id.
func (p *Plan) Set(id string) (Set, bool) {
	for _, s := range p.Sets {
		if s.ID == id {
			return s, true
		}
	}
	return Set{}, false
}

// Host returns the entry of a host.
func (p *Plan) Host(name string) (PlanHost, bool) {
	for _, h := range p.Hosts {
		if h.Host == name {
			return h, true
		}
	}
	return PlanHost{}, false
}

// Incoming returns what the set brings to a host: installed, upgraded to, downgraded to; in the order of the lists.
func (s *Set) Incoming() []rpm.NEVRA {
	out := make([]rpm.NEVRA, 0, len(s.Install)+len(s.Upgrade)+len(s.Downgrade))
	for _, i := range s.Install {
		out = append(out, i.NEVRA)
	}
	for _, m := range s.Upgrade {
		out = append(out, m.To)
	}
	for _, m := range s.Downgrade {
		out = append(out, m.To)
	}
	return out
}

// Touches names the first package of the set, by name, that one of the globs matches; "" for none.
func (s *Set) Touches(globs []string) string {
	return nameOf(s.names(func(bool) bool { return true }), globs)
}

// TouchesNow is Touches without what changes nothing before a boot: builds that come in beside older ones, as kernels do, and builds that leave
// from beside others: by keep-N, or kernels, of which the running one never leaves.
func (s *Set) TouchesNow(globs []string) string {
	return nameOf(s.names(func(beside bool) bool { return !beside }), globs)
}

// TouchesBeside names the first package that comes in beside older builds of its name and that one of the globs matches; "" for none.
func (s *Set) TouchesBeside(globs []string) string {
	var names []string
	for _, i := range s.Install {
		if i.InstallOnly {
			names = append(names, i.NEVRA.Name)
		}
	}
	return nameOf(names, globs)
}

// names are those of the set for which want says so: it is told whether a package stands beside older builds.
func (s *Set) names(want func(beside bool) bool) []string {
	beside := map[rpm.NEVRA]bool{}
	for _, i := range s.Install {
		beside[i.NEVRA] = i.InstallOnly
	}
	names := make([]string, 0, len(s.Install)+len(s.Upgrade)+len(s.Downgrade)+len(s.Remove))
	for _, n := range s.Incoming() {
		if want(beside[n]) {
			names = append(names, n.Name)
		}
	}
	for _, r := range s.Remove {
		if want(r.Rule == RuleKeepN || strings.HasPrefix(r.NEVRA.Name, "kernel")) {
			names = append(names, r.NEVRA.Name)
		}
	}
	return names
}

// nameOf is the first name, in order, that one of the globs matches; "" for none.
func nameOf(names, globs []string) string {
	slices.Sort(names)
	for _, n := range names {
		for _, g := range globs {
			if ok, err := path.Match(g, n); ok && err == nil {
				return n
			}
		}
	}
	return ""
}

// Rollback returns the set that takes a host back by itself, if the plan has one.
func (p *Plan) Rollback(h PlanHost) (Set, bool) {
	for _, s := range p.Rollbacks {
		if h.Rollback.Set != "" && s.ID == h.Rollback.Set {
			return s, true
		}
	}
	return Set{}, false
}

// PackagesFor returns the files that a set needs, in the plan's order. Two upgrades from duplicates of one package need one file.
func (p *Plan) PackagesFor(set Set) []PlanPackage { return filesFor(p.Packages, set) }

// RollbackPackagesFor is PackagesFor for one of Rollbacks.
func (p *Plan) RollbackPackagesFor(set Set) []PlanPackage { return filesFor(p.RollbackPackages, set) }

func filesFor(files []PlanPackage, set Set) []PlanPackage {
	want := make(map[rpm.NEVRA]bool)
	for _, n := range set.Incoming() {
		want[n] = true
	}
	var out []PlanPackage
	for _, f := range files {
		if want[f.NEVRA] {
			out = append(out, f)
			want[f.NEVRA] = false
		}
	}
	return out
}

// Summary returns one line per host for people, in the plan's order.
func (p *Plan) Summary() []string {
	out := make([]string, 0, len(p.Hosts))
	for i := range p.Hosts {
		h := &p.Hosts[i]
		line := h.Host + ": " + string(h.Status)
		if s, ok := p.Set(h.Set); ok {
			line += ": " + s.Summary()
			if words := h.Keys.Summary(); words != "" {
				line += ", " + words
			}
		}
		if len(h.PreBroken) > 0 {
			line += fmt.Sprintf(", pre-broken (%d)", len(h.PreBroken))
		}
		if h.Impact.Reboot {
			line += ", reboot"
		}
		if h.Detail != "" {
			line += ": " + h.Detail
		}
		out = append(out, line)
	}
	return out
}

// Summary counts the set's lines in words.
func (s Set) Summary() string {
	var parts []string
	add := func(n int, word string) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, word))
		}
	}
	add(len(s.Upgrade), "to upgrade")
	add(len(s.Install), "to install")
	add(len(s.Downgrade), "to downgrade")
	add(len(s.Remove), "to remove")
	add(len(s.Held), "held")
	add(len(s.Blocked), "blocked")
	if len(parts) == 0 {
		return "nothing to do"
	}
	return strings.Join(parts, ", ")
}
