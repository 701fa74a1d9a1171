package inventory

import (
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// finish validates what was read and puts the site together. References between
// tables are looked at only when every file could be read: a class that stands
// in a broken file is not unknown.
func (ld *loading) finish() {
	s := ld.site
	ld.checkSSH(&s.SSH, "ssh", false)
	ld.checkLimits()
	ld.checkRepos()
	ld.checkClasses()
	ld.checkLevels()
	ld.checkRollout()
	ld.checkTrail()
	ld.checkHealth()
	ld.checkHooks()
	ld.checkPeople()
	ld.checkNotify()
	ld.checkWindows()
	ld.checkInventory()
	ld.checkPolicies()
	if ld.broken {
		return
	}
	ld.references()
	ld.memberships()
	ld.mergeMeta()
	ld.repoSelectors()
	ld.hookSelectors()
	ld.retire()
	ld.policySelectors()
}

// at gives a function that notes faults of one table. A key whose value could not
// be read is left alone.
func (ld *loading) at(src *Source) func(key, hint, format string, args ...any) {
	return func(key, hint, format string, args ...any) {
		if src.spoilt(key) {
			return
		}
		ld.fault(src.File, src.LineOf(key), hint, format, args...)
	}
}

// path makes a path absolute: ~/ is the home of the caller, all else that is
// relative counts from the directory of the site.
func (ld *loading) path(p string, src *Source, key, what string) string {
	switch {
	case p == "":
		ld.at(src)(key, "", "key %q: a path is empty", what)
		return ""
	case p == "~" || strings.HasPrefix(p, "~/"):
		if ld.Home == "" {
			if src.IsSet(key) {
				ld.at(src)(key, "write an absolute path", "key %q: %q needs a home directory, and $HOME is not set", what, p)
			}
			return p
		}
		return filepath.Join(ld.Home, p[1:])
	case strings.HasPrefix(p, "~"):
		ld.at(src)(key, "write an absolute path", "key %q: %q names the home of another user", what, clip(p))
		return p
	case filepath.IsAbs(p):
		return filepath.Clean(p)
	}
	return filepath.Join(ld.site.Dir, p)
}

// paths does the same for a list.
func (ld *loading) paths(list []string, src *Source, key, what string) []string {
	for i := range list {
		list[i] = ld.path(list[i], src, key, what)
	}
	return list
}

// checkSSH validates [ssh] or an override of it, where only what is written
// counts.
func (ld *loading) checkSSH(s *SSH, table string, override bool) {
	fault := ld.at(&s.Source)
	has := func(key string) bool { return !override || s.IsSet(key) }
	if has("user") {
		if err := checkUser(s.User); err != nil {
			fault("user", "", "key \"user\" in [%s]: %s", table, err)
		}
	}
	if has("port") && (s.Port < 1 || s.Port > 65535) {
		fault("port", "", "key \"port\" in [%s]: %d is not a port from 1 to 65535", table, s.Port)
	}
	if has("known_hosts") {
		s.KnownHosts = ld.path(s.KnownHosts, &s.Source, "known_hosts", "known_hosts")
	}
	s.Identity = ld.paths(s.Identity, &s.Source, "identity", "identity")
	s.Certificates = ld.paths(s.Certificates, &s.Source, "certificates", "certificates")
	for i := range s.Jump {
		s.Jump[i].Identity = ld.paths(s.Jump[i].Identity, &s.Source, "jump", "jump")
	}
	if len(s.Jump) > 8 {
		fault("jump", "", "key \"jump\" in [%s]: more than 8 jump hosts", table)
	}
	if has("connect_timeout") && s.ConnectTimeout <= 0 {
		fault("connect_timeout", "", "key \"connect_timeout\" in [%s] must be more than 0", table)
	}
	if len(s.SudoPasswordCommand) > 0 {
		if err := checkProgramArgs(s.SudoPasswordCommand); err != nil {
			fault("sudo_password_command", "", "key \"sudo_password_command\" in [%s]: %s", table, err)
		}
	}
}

// inRange notes a number outside of its bounds.
func (ld *loading) inRange(src *Source, table, key string, n, low, high int) {
	if n < low || n > high {
		ld.at(src)(key, "", "key %q in [%s] is a number from %d to %d, not %d", key, table, low, high, n)
	}
}

func (ld *loading) checkLimits() {
	l := &ld.site.Limits
	ld.inRange(&l.Source, "limits", "connections", l.Connections, 1, 100_000)
	ld.inRange(&l.Source, "limits", "starts", l.Starts, 1, 10_000)
	ld.inRange(&l.Source, "limits", "transfers", l.Transfers, 1, 100_000)
	ld.inRange(&l.Source, "limits", "transactions", l.Transactions, 1, 100_000)
	ld.inRange(&l.Source, "limits", "reboots", l.Reboots, 1, 100_000)
	if f := &ld.site.Facts; f.MaxAge <= 0 {
		ld.at(&f.Source)("max_age", "", "key \"max_age\" in [facts] must be more than 0")
	}
}

// unique checks the name of a table of a list and that it comes once.
func (ld *loading) unique(seen map[string]*Source, src *Source, table, key, name string) {
	if !src.IsSet(key) {
		ld.at(src)("", "", "[[%s]] has no %q", table, key)
		return
	}
	if err := checkName(name, maxName); err != nil {
		ld.at(src)(key, "", "%s %s", table, err)
		return
	}
	if first := seen[name]; first != nil {
		ld.at(src)(key, "keep one of them", "%s %q is defined twice, first at %s", table, name, first.At())
		return
	}
	seen[name] = src
}

func (ld *loading) checkRepos() {
	seen := make(map[string]*Source)
	for i := range ld.site.Repos {
		r := &ld.site.Repos[i]
		ld.unique(seen, &r.Source, "repo", "id", r.ID)
		if !r.IsSet("path") {
			ld.at(&r.Source)("", "", "[[repo]] %q has no \"path\"", clip(r.ID))
		} else {
			r.Path = ld.path(r.Path, &r.Source, "path", "path")
		}
		r.Keys = ld.paths(r.Keys, &r.Source, "keys", "keys")
		ld.inRange(&r.Source, "[repo]", "priority", r.Priority, 1, 9999)
		ld.globs(&r.Source, "only", r.Only)
		ld.globs(&r.Source, "exclude", r.Exclude)
	}
}

// globs validates a list of globs of package names.
func (ld *loading) globs(src *Source, key string, list []string) {
	for _, g := range list {
		if err := checkNameGlob(g); err != nil {
			ld.at(src)(key, "", "key %q: %s", key, err)
		}
	}
}

func (ld *loading) checkClasses() {
	seen := make(map[string]*Source)
	for i := range ld.site.Classes {
		c := &ld.site.Classes[i]
		ld.unique(seen, &c.Source, "class", "name", c.Name)
		ld.inRange(&c.Source, "[class]", "install_only_keep", c.InstallOnlyKeep, 1, 1000)
		ld.checkApprovals(c)
		ld.globs(&c.Source, "install_only", c.InstallOnly)
		ld.globs(&c.Source, "kernel_modules", c.KernelModules)
		ld.globs(&c.Source, "exclude", c.Exclude)
		ld.checkSameVendor(c)
	}
}

func (ld *loading) checkLevels() {
	seen := make(map[string]*Source)
	for i := range ld.site.Levels {
		l := &ld.site.Levels[i]
		ld.unique(seen, &l.Source, "level", "name", l.Name)
		if len(l.Waves) == 0 {
			ld.at(&l.Source)("waves", "leave it out for one wave", "key \"waves\" in [[level]] is empty")
		}
		for _, w := range l.Waves {
			if w.IsZero() {
				ld.at(&l.Source)("waves", "", "key \"waves\" in [[level]]: a wave of %s has no host", w)
			}
		}
		ld.inRange(&l.Source, "[level]", "approve", l.Approve, 0, maxApprove)
	}
}

func (ld *loading) checkRollout() {
	r := &ld.site.Rollout
	ld.inRange(&r.Source, "rollout", "min_sample", r.MinSample, 0, maxCount)
	if r.Quorum.IsZero() {
		ld.at(&r.Source)("quorum", `write "1" for any host at all`, "key \"quorum\" in [rollout] must be more than 0")
	}
	ld.globs(&r.Source, "no_rollback", r.NoRollback)
	ld.globs(&r.Source, "confirm_for", r.ConfirmFor)
	ld.globs(&r.Source, "no_restart", r.NoRestart)
	if i := slices.IndexFunc(r.NoRestart, notUnitGlob); i >= 0 || len(r.NoRestart) > maxNoRestart {
		ld.at(&r.Source)("no_restart", `as in ["docker", "postgresql*"]`, "key \"no_restart\" in [rollout] has names of units: at most %d, of letters, digits and @:._-*?[]", maxNoRestart)
	}
	if r.Confirm != 0 && (r.Confirm < minConfirm || r.Confirm > maxConfirm) {
		ld.at(&r.Source)("confirm", "", "key \"confirm\" in [rollout] is 0s, or from %s to %s", minConfirm, maxConfirm)
	}
	if r.RebootTimeout < time.Minute || r.RebootTimeout > 24*time.Hour {
		ld.at(&r.Source)("reboot_timeout", "", "key \"reboot_timeout\" in [rollout] is from 1m to 24h")
	}
	if r.EmergencySoak < time.Second || r.EmergencySoak > 24*time.Hour {
		ld.at(&r.Source)("emergency_soak", "an emergency soaks too, for less long", "key \"emergency_soak\" in [rollout] is from 1s to 24h")
	}
}

// maxNoRestart bounds a list that travels to every host.
const maxNoRestart = 100

// notUnitGlob tells what is no glob of unit names: it is handed to a shell on the host, where it must be a pattern and nothing else.
func notUnitGlob(s string) bool {
	return len(s) > 200 || strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("@:._-*?[]", r)
	})
}

// The bounds of rollout.confirm: a host needs time for a new connection, and one that is cut off is not to stay so for hours.
const (
	minConfirm = 10 * time.Second
	maxConfirm = time.Hour
)

// checkHealth validates the checks and adds the one that is always there.
func (ld *loading) checkHealth() {
	s := ld.site
	if s.Health == nil {
		s.Health = make(map[string]*HealthCheck)
	}
	if s.Health[BasicCheck] == nil {
		basic := &HealthCheck{Name: BasicCheck}
		basic.setDefaults()
		s.Health[BasicCheck] = basic
	}
	for _, name := range sortedKeys(s.Health) {
		c := s.Health[name]
		if err := checkName(name, maxName); err != nil {
			ld.at(&c.Source)("", "", "health check %s", err)
			continue
		}
		c.check(ld.at(&c.Source))
		if c.Interval < 10*time.Millisecond {
			ld.at(&c.Source)("interval", "", "key \"interval\" in [health.%s] must be at least 10ms", name)
		}
	}
}
