package planner

import (
	"path"
	"slices"
	"strings"

	"cpacman/internal/rpm"
)

// matchGlob is path.Match without its special slash; a bad pattern matches only itself.
func matchGlob(glob, s string) bool {
	if !isGlob(glob) {
		return glob == s
	}
	if plain := strings.Trim(glob, "*"); len(glob) == len(plain)+1 && !strings.ContainsAny(plain, "*?[\\") {
		if glob[0] == '*' {
			return strings.HasSuffix(s, plain)
		}
		return strings.HasPrefix(s, plain)
	}
	ok, err := path.Match(pathGlob.Replace(glob), strings.ReplaceAll(s, "/", "\x00"))
	if err != nil {
		return glob == s
	}
	return ok
}

// pathGlob writes a glob as path.Match takes it: no slash is special, and "[!" is its "[^".
var pathGlob = strings.NewReplacer("/", "\x00", "[!", "[^") //nolint:gochecknoglobals // safe for concurrent use

// cannotBegin tells whether what a glob begins with keeps it from matching anything that begins with a name.
func cannotBegin(glob, name string) bool {
	for i := range min(len(glob), len(name)) {
		switch c := glob[i]; {
		case c == '*' || c == '?' || c == '[' || c == '\\':
			return false
		case c != name[i]:
			return true
		}
	}
	return false
}

// isGlob tells whether a pattern is more than a name.
func isGlob(s string) bool {
	for i := range len(s) {
		if c := s[i]; c == '*' || c == '?' || c == '[' {
			return true
		}
	}
	return false
}

func matchAny(globs []string, f func(string) bool) bool { return slices.ContainsFunc(globs, f) }

// matchPackage tells whether a glob names a package: by name, name.arch, name-version, name-version-release, or NEVRA, the epoch
// written or not (as dnf takes them).
func matchPackage(glob string, n rpm.NEVRA) bool {
	if cannotBegin(glob, n.Name) {
		return false
	}
	if matchGlob(glob, n.Name) || matchGlob(glob, n.Name+"."+n.Arch) {
		return true
	}
	if !strings.Contains(glob, "-") && !strings.ContainsAny(glob, "*?[") {
		return false
	}
	return matchBuild(glob, n)
}

// matchNamed is matchPackage for what is wanted or decided by name: a glob counts for builds only where it names a version, so that "php-*" is php-cli and not
// php. What keeps builds out takes it the other way, as excludes of dnf do.
func matchNamed(glob string, n rpm.NEVRA) bool {
	return matchPackage(glob, n) && (!isGlob(glob) || namesVersion(glob) || matchGlob(glob, n.Name) || matchGlob(glob, n.Name+"."+n.Arch))
}

// namesVersion tells whether a glob has a version in it: a digit behind a dash, or an epoch.
func namesVersion(glob string) bool {
	for i := range len(glob) - 1 {
		if next := strings.TrimLeft(glob[i+1:], "["); glob[i] == '-' && next != "" && next[0] >= '0' && next[0] <= '9' {
			return true
		}
	}
	return strings.Contains(glob, ":")
}

// matchBuild tells whether a glob names this build, not only its name.
func matchBuild(glob string, n rpm.NEVRA) bool {
	plain := rpm.NEVRA{Name: n.Name, EVR: rpm.EVR{Version: n.Version, Release: n.Release}, Arch: n.Arch}
	if n.Epoch == 0 { // an epoch of 0 may be written out
		zero := "-0:" + n.Version
		if matchGlob(glob, n.Name+zero) || matchGlob(glob, n.Name+zero+"-"+n.Release) || matchGlob(glob, n.Name+zero+"-"+n.Release+"."+n.Arch) {
			return true
		}
	}
	for _, b := range [...]rpm.NEVRA{n, plain} {
		s := b.String()
		if matchGlob(glob, s) || matchGlob(glob, b.Name+"-"+b.EVR.String()) ||
			matchGlob(glob, b.Name+"-"+rpm.EVR{Epoch: b.Epoch, Version: b.Version}.String()) {
			return true
		}
	}
	return false
}
