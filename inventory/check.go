package inventory

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Check looks offline for what is not wrong in the files but will not work, or
// is probably not meant. It reads the file system and opens no connection. The
// result is sorted; errors are things that no rollout can do without.
func (s *Site) Check() []Problem {
	c := &checker{site: s}
	c.clusters()
	c.hosts()
	c.addresses()
	c.views()
	c.unused()
	c.repos()
	c.keys()
	c.programs()
	c.people()
	c.notify()
	c.legacy()
	for _, path := range s.ignored {
		if lower := strings.ToLower(path); strings.HasSuffix(lower, ".md") || strings.HasSuffix(lower, "~") || strings.HasPrefix(strings.ToLower(filepath.Base(path)), "readme") {
			continue
		}
		c.warn(path, 0, "give it a name that ends in .toml, or move it elsewhere", "is not read")
	}
	c.strays()
	return c.problems.sorted()
}

// strays reports files beside the main one that look as if they were read.
func (c *checker) strays() {
	entries, err := os.ReadDir(c.site.Dir)
	if err != nil {
		return // it was read a moment ago
	}
	for _, e := range entries {
		if name := e.Name(); strings.HasSuffix(name, ".toml") && name != MainFile && name[0] != '.' {
			c.warn(filepath.Join(c.site.Dir, name), 0, "only "+MainFile+" and the files below "+InventoryDir+"/ are: move it there, or what it says into "+MainFile, "is not read")
		}
	}
}

// checker collects what Check finds.
type checker struct {
	site     *Site
	problems Problems
}

func (c *checker) add(sev Severity, file string, line int, hint, format string, args ...any) {
	c.problems = append(c.problems, Problem{File: file, Line: line, Severity: sev, Message: fmt.Sprintf(format, args...), Hint: hint})
}

func (c *checker) warn(file string, line int, hint, format string, args ...any) {
	c.add(SeverityWarning, file, line, hint, format, args...)
}

func (c *checker) fail(src *Source, key, hint, format string, args ...any) {
	c.add(SeverityError, src.File, src.LineOf(key), hint, format, args...)
}

// clusters reports those whose members cannot be updated one after the other as
// they should (INV-5): a member of an early level is the trial for the others.
// Early is every level but the last.
func (c *checker) clusters() {
	s := c.site
	last := len(s.Levels) - 1
	members := make(map[string][]*Host)
	for _, h := range s.Hosts {
		for _, name := range h.Clusters {
			members[name] = append(members[name], h)
		}
	}
	for _, name := range sortedKeys(s.Clusters) {
		cl, hosts := s.Clusters[name], members[name]
		var first, early []string
		for _, h := range hosts {
			i := s.LevelIndex(h.Level)
			if i == 0 {
				first = append(first, h.Name)
			}
			if i >= 0 && i < last {
				early = append(early, h.Name)
			}
		}
		switch {
		case len(hosts) == 0:
			c.warn(cl.File, cl.Line, "", "cluster %q has no members", name)
			continue
		case len(hosts) == 1:
			c.warn(cl.File, cl.Line, "", "cluster %q has one member, %s: nobody stands in for it", name, hosts[0].Name)
			continue
		}
		if last >= 1 && len(early) == 0 {
			c.warn(cl.File, cl.Line, "move one member to an earlier level", "cluster %q has no early member: all of its %d members come in the last level, %q, or have none", name, len(hosts), s.Levels[last].Name)
		}
		if last >= 1 && len(first) > 1 {
			c.warn(cl.File, cl.Line, "leave one of them there", "cluster %q has several early members: %d of %d are in the first level, %q: %s", name, len(first), len(hosts), s.Levels[0].Name, some(first))
		}
		if n := cl.MaxUnavailable.Budget(len(hosts)); n >= len(hosts) {
			c.warn(cl.File, cl.LineOf("max_unavailable"), "", "cluster %q: max_unavailable = %q lets all %d members be down at once", name, cl.MaxUnavailable, len(hosts))
		}
	}
}

// some names the first few.
func some(names []string) string {
	const shown = 5
	if len(names) <= shown {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
}

// about warns of several hosts in one line, at the place of the first.
func (c *checker) about(hosts []*Host, key, hint, format string, args ...any) {
	if len(hosts) == 0 {
		return
	}
	var names []string
	for _, h := range hosts {
		names = append(names, h.Name)
	}
	first := hosts[0]
	c.warn(first.File, first.LineOf(key), hint, "%s: %s", fmt.Sprintf(format, args...), some(names))
}

// hosts reports hosts that stand outside of classes and levels.
func (c *checker) hosts() {
	s := c.site
	if len(s.Hosts) == 0 {
		c.warn(filepath.Join(s.Dir, InventoryDir), 0, "write [host.NAME] tables into files there", "the site has no hosts")
	}
	var noClass, noLevel []*Host
	for _, h := range s.Hosts {
		if h.Class == "" && len(s.Classes) > 0 {
			noClass = append(noClass, h)
		}
		if h.Level == "" && len(s.Levels) > 0 {
			noLevel = append(noLevel, h)
		}
	}
	c.about(noClass, "", "", "hosts without a class, and so without repositories")
	c.about(noLevel, "", "", "hosts without a level")
	for _, key := range sortedKeys(s.meta) {
		if !reservedKey(key) {
			continue
		}
		var shadowed []*Host
		for _, h := range s.Hosts {
			if h.IsSet("meta." + key) {
				shadowed = append(shadowed, h)
			}
		}
		c.about(shadowed, "meta."+key, "", "the free field %q can be selected only as meta.%s", key, key)
	}
}

// addresses reports two hosts that are reached at the same place.
func (c *checker) addresses() {
	seen := make(map[string]*Host, len(c.site.Hosts))
	for _, h := range c.site.Hosts {
		e := c.site.Effective(h)
		var via []string
		for _, hop := range e.SSH.Jump {
			via = append(via, hop.String())
		}
		at := fmt.Sprintf("%s %d %v", strings.ToLower(h.Address), e.SSH.Port, via)
		if first := seen[at]; first != nil {
			c.fail(&h.Source, "address", "remove one of them", "hosts %q and %q (%s) are reached at the same address, %s port %d", h.Name, first.Name, first.At(), h.Address, e.SSH.Port)
			continue
		}
		seen[at] = h
	}
}

// views reports hosts that no repository matches, whatever their facts say.
func (c *checker) views() {
	s := c.site
	if len(s.Repos) == 0 {
		return
	}
	var blind []*Host
	for _, h := range s.Hosts {
		if h.Class == "" && len(s.Classes) > 0 {
			continue // reported already
		}
		hope := false
		for _, r := range s.classRepos(h) {
			hope = hope || s.match(r.Hosts, h, nil) != no
		}
		if !hope {
			blind = append(blind, h)
		}
	}
	c.about(blind, "class", "", "hosts whose view has no repositories")
}

// unused reports what is defined and serves nobody.
func (c *checker) unused() {
	s := c.site
	groups, locations := make(map[string]bool), make(map[string]bool)
	health := map[string]bool{BasicCheck: true}
	use := func(in map[string]bool, names ...string) {
		for _, n := range names {
			in[n] = true
		}
	}
	windows := make(map[string]bool)
	for i := range s.Classes {
		use(windows, s.Classes[i].Window...)
	}
	for _, h := range s.Hosts {
		use(windows, h.Window...)
		use(groups, h.Groups...)
		use(locations, h.Location)
		use(health, h.Health...)
	}
	for _, g := range s.Groups {
		use(windows, g.Window...)
		use(health, g.Health...)
	}
	for i := range s.Levels {
		use(health, s.Levels[i].Health...)
	}
	for _, name := range sortedKeys(s.Groups) {
		if !groups[name] {
			c.warn(s.Groups[name].File, s.Groups[name].Line, "", "group %q has no hosts", name)
		}
	}
	for _, name := range sortedKeys(s.Locations) {
		if !locations[name] {
			c.warn(s.Locations[name].File, s.Locations[name].Line, "", "location %q has no hosts", name)
		}
	}
	defined := sortedKeys(s.Locations)
	var spelt []*Host
	for _, h := range s.Hosts {
		if s.Locations[h.Location] == nil && nearest(h.Location, defined) != "" {
			spelt = append(spelt, h)
		}
	}
	for _, h := range spelt {
		c.warn(h.File, h.LineOf("location"), didYouMean(h.Location, defined), "location %q of host %q is not defined", h.Location, h.Name)
	}
	for _, name := range sortedKeys(s.Health) {
		if !health[name] {
			c.warn(s.Health[name].File, s.Health[name].Line, "", "health check %q is not used", name)
		}
	}
	for _, name := range sortedKeys(s.Windows) {
		if !windows[name] {
			c.warn(s.Windows[name].File, s.Windows[name].Line, "", "window %q is not used", name)
		}
	}
}

// repos reports repositories that are not there, cannot be proven, or are in no
// class.
func (c *checker) repos() {
	s := c.site
	for i := range s.Repos {
		r := &s.Repos[i]
		if info, err := os.Stat(r.Path); err != nil {
			c.fail(&r.Source, "path", "", "repository %q: path %q: %s", r.ID, r.Path, cause(err))
		} else if !info.IsDir() {
			c.fail(&r.Source, "path", "", "repository %q: path %q is not a directory", r.ID, r.Path)
		}
		if r.Signed == SignedRequired && len(r.Keys) == 0 {
			c.fail(&r.Source, "signed", `name the public keys with "keys", or write signed = "optional"`, "repository %q demands signatures and has no keys", r.ID)
		}
		for _, k := range r.Keys {
			c.keyFile(r, k)
		}
		used := len(s.Classes) == 0
		for j := range s.Classes {
			used = used || s.Classes[j].Repos == nil || slices.Contains(s.Classes[j].Repos, r.ID)
		}
		if !used {
			c.warn(r.File, r.Line, "", "repository %q is in no class", r.ID)
		}
	}
	for i := range s.Classes {
		cl := &s.Classes[i]
		if cl.InstallOnlyKeep == 1 {
			c.warn(cl.File, cl.LineOf("install_only_keep"), "", "class %q keeps one kernel, which counts as two: the new one and one to fall back to", cl.Name)
		}
		if cl.Repos != nil && len(cl.Repos) == 0 {
			c.warn(cl.File, cl.LineOf("repos"), "", "class %q has no repositories", cl.Name)
		}
	}
}

// keyFile looks at one public key: whoever can change it decides what is
// installed.
func (c *checker) keyFile(r *Repo, path string) {
	f, _, err := c.site.owners.openSafe(path)
	if err != nil {
		c.unsafe(&r.Source, "keys", fmt.Sprintf("repository %q: key", r.ID), path, err)
		return
	}
	f.Close()
}

// unsafe reports a file that cannot be opened or trusted.
func (c *checker) unsafe(src *Source, key, what, path string, err error) {
	var u *UnsafeError
	if errors.As(err, &u) {
		c.fail(src, key, u.hint(), "%s: %s", what, u.message())
		return
	}
	c.fail(src, key, "", "%s %q: %s", what, path, cause(err))
}

// keys reports SSH identities and known_hosts files. The same file named in many
// places is reported once.
func (c *checker) keys() {
	seen := make(map[string]bool)
	look := func(o *SSH) {
		for _, path := range o.Identity {
			c.identity(&o.Source, "identity", path, seen)
		}
		for _, path := range o.Certificates {
			if f, _, err := c.site.owners.openSafe(path); err == nil {
				f.Close()
			} else if !seen["certificate "+path] {
				seen["certificate "+path] = true
				c.unsafe(&o.Source, "certificates", "certificate", path, err)
			}
		}
		for _, hop := range o.Jump {
			for _, path := range hop.Identity {
				c.identity(&o.Source, "jump", path, seen)
			}
		}
		if o.KnownHosts == "" || seen["known_hosts "+o.KnownHosts] {
			return
		}
		seen["known_hosts "+o.KnownHosts] = true
		if f, _, err := c.site.owners.openSafe(o.KnownHosts); err == nil {
			f.Close()
		} else if os.IsNotExist(err) {
			c.warn(orMain(c.site, o.File), o.LineOf("known_hosts"), "put the hosts' keys into it", "known_hosts %q does not exist: every host will be refused", o.KnownHosts)
		} else {
			c.unsafe(&o.Source, "known_hosts", "known_hosts", o.KnownHosts, err)
		}
	}
	look(&c.site.SSH)
	for _, name := range sortedKeys(c.site.Groups) {
		if o := c.site.Groups[name].SSH; o != nil {
			look(&o.SSH)
		}
	}
	for _, h := range c.site.Hosts {
		if h.SSH != nil {
			look(&h.SSH.SSH)
		}
	}
}

// legacy names the hosts to which insecure algorithms are offered.
func (c *checker) legacy() {
	var names []string
	for _, h := range c.site.Hosts {
		if c.site.Effective(h).SSH.Profile == ProfileLegacy {
			names = append(names, h.Name)
		}
	}
	if len(names) == 0 {
		return
	}
	shown := names[:min(len(names), 5)]
	text := strings.Join(shown, ", ")
	if more := len(names) - len(shown); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	c.warn(c.site.top.File, 0, "renew their sshd, and take ssh.profile = \"legacy\" away", "SHA-1 and CBC are offered to %d hosts: %s", len(names), text)
}

// orMain names cpacman.toml for settings that nobody wrote.
func orMain(s *Site, file string) string {
	if file == "" {
		return s.top.File
	}
	return file
}

// identity reports a private key that is missing or that others can read; ssh
// refuses those, and so does cpacman.
func (c *checker) identity(src *Source, key, path string, seen map[string]bool) {
	if seen[path] {
		return
	}
	seen[path] = true
	f, info, err := c.site.owners.openSafe(path)
	if err != nil {
		c.unsafe(src, key, "identity", path, err)
		return
	}
	f.Close()
	if info.Mode().Perm()&0o077 != 0 {
		c.fail(src, key, "chmod go= "+shellQuote(path), "identity %q can be read by others: mode %#o", path, info.Mode().Perm())
	}
}

// programs verifies what will be run on this host (SEC-1).
func (c *checker) programs() {
	s := c.site
	verify := func(src *Source, key string, args []string) {
		if len(args) == 0 {
			return
		}
		if err := s.owners.VerifyProgram(args[0]); err != nil {
			c.unsafe(src, key, "program", args[0], err)
		}
	}
	for _, name := range sortedKeys(s.Health) {
		verify(&s.Health[name].Source, "program", s.Health[name].Program)
	}
	var overrides []*SSHOverride
	for _, g := range s.Groups {
		overrides = append(overrides, g.SSH)
	}
	for _, h := range s.Hosts {
		overrides = append(overrides, h.SSH)
	}
	verify(&s.SSH.Source, "sudo_password_command", s.SSH.SudoPasswordCommand)
	verify(&s.Trail.Source, "command", s.Trail.Command)
	for _, o := range overrides {
		if o != nil {
			verify(&o.Source, "sudo_password_command", o.SudoPasswordCommand)
		}
	}
}
