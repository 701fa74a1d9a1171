package lab

import (
	"fmt"
	"sort"
	"strings"

	"github.com/google/rpmpack"
)

// sense flags of a dependency, from rpm's include/rpm/rpmds.h.
const (
	senseLess       = 1 << 1
	senseGreater    = 1 << 2
	senseEqual      = 1 << 3
	senseScriptPre  = 1 << 9
	senseScriptPost = 1 << 10
	senseScriptPreU = 1 << 11
	senseScriptPosU = 1 << 12
	sensePreTrans   = 1 << 7
	sensePostTrans  = 1 << 5
	senseRPMLib     = 1 << 24
)

// dependency is one line of a dependency table of a header.
type dependency struct {
	name    string
	version string
	flags   uint32
}

// dependencyTags are the name, version and flags tags of one kind of dependency.
type dependencyTags struct{ name, version, flags int }

// addDependencies writes every table by itself instead of through rpmpack, which knows
// neither an epoch in the package's own provide, nor scriptlet flags, nor all weak kinds.
func addDependencies(pkg *rpmpack.RPM, s PackageSpec) error {
	provides := append([]string{s.Name + " = " + s.EVR()}, s.Provides...)
	tables := []struct {
		tags  dependencyTags
		lines []string
		extra []dependency
	}{
		{dependencyTags{1047, 1113, 1112}, provides, nil},
		{dependencyTags{1049, 1050, 1048}, s.Requires, requiresOfScripts(s)},
		{dependencyTags{1054, 1055, 1053}, s.Conflicts, nil},
		{dependencyTags{1090, 1115, 1114}, s.Obsoletes, nil},
		{dependencyTags{5046, 5047, 5048}, s.Recommends, nil},
		{dependencyTags{5049, 5050, 5051}, s.Suggests, nil},
		{dependencyTags{5052, 5053, 5054}, s.Supplements, nil},
		{dependencyTags{5055, 5056, 5057}, s.Enhances, nil},
	}
	for _, t := range tables {
		deps, err := parseDependencies(t.lines)
		if err != nil {
			return err
		}
		writeDependencies(pkg, t.tags, append(deps, t.extra...))
	}
	return nil
}

// requiresOfScripts are the requirements rpmbuild would add by itself: the shell for each
// scriptlet, the features of rpm that the package uses, and the ordered ones.
func requiresOfScripts(s PackageSpec) []dependency {
	var deps []dependency
	for _, script := range []struct {
		body  string
		flags uint32
	}{
		{s.PreTrans, sensePreTrans}, {s.Pre, senseScriptPre}, {s.Post, senseScriptPost},
		{s.PreUn, senseScriptPreU}, {s.PostUn, senseScriptPosU}, {s.PostTrans, sensePostTrans},
	} {
		if script.body != "" {
			deps = append(deps, dependency{"/bin/sh", "", script.flags})
		}
	}
	for _, name := range s.RequiresPre {
		deps = append(deps, dependency{name, "", senseScriptPre})
	}
	for _, name := range s.RequiresPost {
		deps = append(deps, dependency{name, "", senseScriptPost})
	}
	feature := func(name, version string) {
		deps = append(deps, dependency{"rpmlib(" + name + ")", version, senseRPMLib | senseLess | senseEqual})
	}
	feature("CompressedFileNames", "3.0.4-1")
	feature("FileDigests", "4.6.0-1")
	switch method, _, _ := strings.Cut(s.Compression, ":"); method {
	case "xz":
		feature("PayloadIsXz", "5.2-1")
	case "zstd":
		feature("PayloadIsZstd", "5.4.18-1")
	}
	if usesRich(s) {
		feature("RichDependencies", "4.12.0-1")
	}
	if strings.Contains(s.Version, "~") {
		feature("TildeInVersions", "4.10.0-1")
	}
	if strings.Contains(s.Version, "^") {
		feature("CaretInVersions", "4.15.0-1")
	}
	return deps
}

func usesRich(s PackageSpec) bool {
	for _, list := range [][]string{s.Requires, s.Conflicts, s.Recommends, s.Suggests, s.Supplements, s.Enhances} {
		for _, line := range list {
			if strings.HasPrefix(line, "(") {
				return true
			}
		}
	}
	return false
}

func parseDependencies(lines []string) ([]dependency, error) {
	deps := make([]dependency, 0, len(lines))
	for _, line := range lines {
		d, err := parseDependency(line)
		if err != nil {
			return nil, err
		}
		deps = append(deps, d)
	}
	return deps, nil
}

// parseDependency reads "name", "name OP version" or a rich dependency in parentheses.
func parseDependency(line string) (dependency, error) {
	line = strings.TrimSpace(line)
	if strings.HasPrefix(line, "(") {
		if !strings.HasSuffix(line, ")") {
			return dependency{}, fmt.Errorf("dependency %q: a rich dependency must end with a parenthesis", line)
		}
		return dependency{name: line}, nil
	}
	fields := strings.Fields(line)
	switch len(fields) {
	case 1:
		return dependency{name: fields[0]}, nil
	case 3:
		flags, ok := map[string]uint32{"<": senseLess, "<=": senseLess | senseEqual, "=": senseEqual,
			">=": senseGreater | senseEqual, ">": senseGreater}[fields[1]]
		if ok {
			return dependency{fields[0], fields[2], flags}, nil
		}
	}
	return dependency{}, fmt.Errorf("dependency %q: write NAME, or NAME followed by <, <=, =, >= or > and a version, with spaces", line)
}

func writeDependencies(pkg *rpmpack.RPM, tags dependencyTags, deps []dependency) {
	if len(deps) == 0 {
		return
	}
	names := make([]string, len(deps))
	versions := make([]string, len(deps))
	flags := make([]uint32, len(deps))
	for i, d := range deps {
		names[i], versions[i], flags[i] = d.name, d.version, d.flags
	}
	pkg.AddCustomTag(tags.name, rpmpack.EntryStringSlice(names))
	pkg.AddCustomTag(tags.version, rpmpack.EntryStringSlice(versions))
	pkg.AddCustomTag(tags.flags, rpmpack.EntryUint32(flags))
}

// sortFiles returns the files in the order rpm wants them, by path.
func sortFiles(files []PackageFile) ([]PackageFile, error) {
	sorted := append([]PackageFile(nil), files...)
	sort.Slice(sorted, func(i, j int) bool { return sorted[i].Path < sorted[j].Path })
	for i, f := range sorted {
		if !strings.HasPrefix(f.Path, "/") || f.Path == "/" {
			return nil, fmt.Errorf("file %q: the path must be absolute and not the root directory", f.Path)
		}
		if i > 0 && sorted[i-1].Path == f.Path {
			return nil, fmt.Errorf("file %s is listed twice", f.Path)
		}
	}
	return sorted, nil
}
