package fleet

import (
	"regexp"
	"slices"
	"strings"

	"cpacman/internal/host"
	"cpacman/internal/rpm"
	"cpacman/planner"
)

// alwaysProtected never leave a host: without them it can neither be updated nor verified. What dnf protects beside is in the host's own
// configuration (dnf.conf(5), protected_packages) and comes with its facts.
var alwaysProtected = []string{"rpm"} //nolint:gochecknoglobals // a constant list

// addHolds turns what a host's own package manager would respect into rules of the planner: plain rpm ignores all of it.
// A lock keeps builds out or packages as they are, an exclude keeps candidates out; a protected package may be updated and never leaves the host.
func addHolds(out *planner.Host, holds []host.Hold) {
	out.Protected = slices.Clone(alwaysProtected)
	// What is configured is shared by hosts: it is not appended to.
	out.Exclude, out.ExcludeFrom, out.SameVendors = slices.Clip(out.Exclude), slices.Clip(out.ExcludeFrom), slices.Clip(out.SameVendors)
	for i := range holds {
		switch h := &holds[i]; h.Kind {
		case "versionlock":
			out.Locks = append(out.Locks, versionlocks(h)...)
		case "zypper-lock":
			if lock, ok := zypperLock(h); ok {
				out.Locks = append(out.Locks, lock)
			}
		case "exclude":
			out.Exclude = append(out.Exclude, h.Pattern)
			out.ExcludeFrom = append(out.ExcludeFrom, h.Source+" on the host")
		case "same-vendor":
			out.SameVendors = append(out.SameVendors, beginnings(h.Pattern))
		case "protected":
			if h.Pattern != "" && !strings.ContainsAny(h.Pattern, "/: ") { // "glob:/etc/…" names files, which facts have read
				out.Protected = append(out.Protected, h.Pattern)
			}
		}
	}
	slices.Sort(out.Protected)
	out.Protected = slices.Compact(out.Protected)
}

// beginnings are globs of vendors that count as one (zypp.conf(5), vendordir).
func beginnings(list string) []string {
	var out []string
	for v := range strings.SplitSeq(list, ",") {
		if v = strings.TrimSpace(v); v != "" {
			out = append(out, v+"*")
		}
	}
	return out
}

// lockText says for people where a lock stands.
func lockText(h *host.Hold, what string) string {
	return "locked by " + h.Source + " on the host: " + what
}

// versionlocks reads a line of versionlock.list of yum ("0:bash-4.2-1.*") or dnf ("bash-0:4.2-1.*", "bash-4.2"), or an entry of versionlock.toml.
// dnf lets only the builds of such a name come in that are locked (dnf-plugins-core, versionlock; dnf5-versionlock(8)). A name alone locks nothing there, as
// each of its builds is allowed; whoever wrote it meant the name to stay, so that it does.
func versionlocks(h *host.Hold) []planner.Lock {
	pattern, not := strings.CutPrefix(h.Pattern, "!")
	if len(h.When) > 0 {
		return []planner.Lock{conditional(h)}
	}
	whole := planner.Lock{Names: pattern, Not: true, Stay: !not, Text: lockText(h, h.Pattern)}
	name, build := lockedBuild(pattern)
	if name == "" {
		return []planner.Lock{whole}
	}
	one := planner.Lock{Names: name, Not: not, When: []planner.LockCondition{{Key: planner.LockBuild, Op: rpm.Equal, Value: build}}, Text: whole.Text}
	if strings.Contains(pattern, ":") {
		return []planner.Lock{one}
	}
	return []planner.Lock{one, whole} // "compat-gcc-44" may be a name, and a version of compat-gcc
}

// conditional reads an entry of versionlock.toml. Entries of one name are alternatives to dnf, which makes nothing of two that leave out one build each (measured
// with 5.4); both are left out here.
func conditional(h *host.Hold) planner.Lock {
	lock := planner.Lock{Names: h.Pattern, Not: true}
	words := make([]string, len(h.When))
	for i, w := range h.When {
		lock.When = append(lock.When, planner.LockCondition{Key: w.Key, Op: lockOp(w.Op), Value: w.Value})
		words[i] = w.Key + " " + w.Op + " " + w.Value
		lock.Not = lock.Not && w.Op == "!="
	}
	lock.Text = lockText(h, h.Pattern+", "+strings.Join(words, ", "))
	if lock.Not && len(lock.When) > 1 { // none of several builds: not one of them
		lock.Not = false
	} else if lock.Not {
		lock.When[0].Op = rpm.Equal
	}
	return lock
}

// lockedBuild splits what versionlock lists write at the version, which begins with a digit, an epoch or a glob: the name, and the whole in the order of
// NEVRAs. No name: there is no version.
func lockedBuild(pattern string) (name, build string) {
	rest, epoch := pattern, ""
	if e, after, ok := strings.Cut(rest, ":"); ok && e != "" && strings.Trim(e, "0123456789") == "" {
		rest, epoch = after, e+":"
	}
	isVersion := func(s string) bool { return s != "" && strings.ContainsRune("0123456789*?[", rune(s[0])) }
	last := strings.LastIndexByte(rest, '-')
	if last <= 0 {
		return "", ""
	}
	if before := strings.LastIndexByte(rest[:last], '-'); before > 0 && isVersion(rest[before+1:]) && isVersion(rest[last+1:]) {
		last = before
	}
	if !isVersion(rest[last+1:]) {
		return "", ""
	}
	return rest[:last], rest[:last+1] + epoch + rest[last+1:]
}

// zypperLock keeps what it names as it is, installed or not (locks(5) of libzypp). It is not ok where it names packages by other things than names, or by a
// regular expression that is none here.
func zypperLock(h *host.Hold) (lock planner.Lock, ok bool) {
	if h.Match == host.MatchNothing {
		return lock, false
	}
	lock = planner.Lock{Names: h.Pattern, Not: true, Stay: true}
	text := h.Pattern
	for _, w := range h.When {
		lock.When = append(lock.When, planner.LockCondition{Key: w.Key, Op: lockOp(w.Op), Value: w.Value})
		text += ", " + w.Key + " " + w.Op + " " + w.Value
	}
	lock.Text = lockText(h, text)
	quoted := regexp.QuoteMeta(h.Pattern)
	switch {
	case h.Match == host.MatchRegex:
		lock.Names, lock.Regexp = h.Pattern, true
	case h.Match == host.MatchSubstring:
		lock.Names, lock.Regexp = quoted, true
	case h.Match == host.MatchWord:
		lock.Names, lock.Regexp = `\b`+quoted+`\b`, true
	case h.Match == host.MatchExact && (h.Fold || strings.ContainsAny(h.Pattern, "*?[")):
		lock.Names, lock.Regexp = "^"+quoted+"$", true
	case h.Fold: // a glob
		lock.Names, lock.Regexp = "^"+strings.NewReplacer(`\*`, ".*", `\?`, ".", `\[`, "[", `\]`, "]").Replace(quoted)+"$", true
	}
	if h.Fold && lock.Regexp {
		lock.Names = "(?i)" + lock.Names
	}
	if lock.Regexp {
		_, err := regexp.Compile(lock.Names)
		return lock, err == nil
	}
	return lock, true
}

func lockOp(s string) rpm.Sense {
	var op rpm.Sense
	for _, c := range s {
		switch c {
		case '<':
			op |= rpm.Less
		case '>':
			op |= rpm.Greater
		case '=':
			op |= rpm.Equal
		case '!':
			return rpm.Less | rpm.Greater
		}
	}
	return op
}

// unjudged are notes on locks of a host that hold nothing here.
func unjudged(holds []host.Hold) []string {
	var out []string
	for i := range holds {
		h := &holds[i]
		if h.Kind != "zypper-lock" {
			continue
		}
		if _, ok := zypperLock(h); !ok {
			out = append(out, "a lock in "+h.Source+" on the host names no packages in a way that is known here, and is not respected: "+h.Pattern)
		}
	}
	return out
}

// unreadWords says which locks, excludes or module streams of a host could not be read, and what to do.
func unreadWords(facts *host.Facts) string {
	where := ""
	if len(facts.Unread) > 0 {
		where = " (" + strings.Join(facts.Unread, ", ") + ")"
	}
	return "the host's package manager has locks, excludes or module streams that could not be read there" + where +
		", so that nobody knows what they keep; correct that on the host, then: cpacman facts " + facts.Host
}
