package planner

import (
	"strings"

	"cpacman/internal/rpm"
)

// rpmlibFeatures says which rpm first had a feature, and with which version it provides it (lib/rpmds.cc, rpmlibProvides). RHEL 8 took carets over into
// its 4.14.2 in 8.1 (Red Hat's bug 1724418); packages of its AppStream have wanted them since.
var rpmlibFeatures = [...]struct{ name, provides, since string }{
	{"VersionedDependencies", "3.0.3-1", "3.0.3"},
	{"CompressedFileNames", "3.0.4-1", "3.0.4"},
	{"PayloadIsBzip2", "3.0.5-1", "3.0.5"},
	{"PayloadFilesHavePrefix", "4.0-1", "4.0"},
	{"ExplicitPackageProvide", "4.0-1", "4.0"},
	{"HeaderLoadSortsTags", "4.0.1-1", "4.0.1"},
	{"ScriptletInterpreterArgs", "4.0.3-1", "4.0.3"},
	{"PartialHardlinkSets", "4.0.4-1", "4.0.4"},
	{"ConcurrentAccess", "4.1-1", "4.1"},
	{"BuiltinLuaScripts", "4.2.2-1", "4.2.2"},
	{"PayloadIsLzma", "4.4.2-1", "4.4.2"},
	{"FileDigests", "4.6.0-1", "4.6.0"},
	{"PayloadIsXz", "5.2-1", "4.7.0"},
	{"FileCaps", "4.6.1-1", "4.7.0"},
	{"ScriptletExpansion", "4.9.0-1", "4.9.0"},
	{"TildeInVersions", "4.10.0-1", "4.10.0"},
	{"LargeFiles", "4.12.0-1", "4.12.0"},
	{"RichDependencies", "4.12.0-1", "4.12.0"},
	{"PayloadIsZstd", "5.4.18-1", "4.14.0"},
	{"DynamicBuildRequires", "4.15.0-1", "4.15.0"},
	{"CaretInVersions", "4.15.0-1", "4.14.2"},
}

// isRpmlib tells whether a requirement is on a feature of rpm itself.
func isRpmlib(name string) bool { return strings.HasPrefix(name, "rpmlib(") }

// rpmlibMet tells whether rpm of the given version has a feature; an unknown version has all that are known here.
func rpmlibMet(d rpm.Dep, rpmVersion string) bool {
	feature := strings.TrimSuffix(strings.TrimPrefix(d.Name, "rpmlib("), ")")
	for _, f := range rpmlibFeatures {
		if f.name != feature {
			continue
		}
		have, err := rpm.ParseEVR(f.provides)
		if err != nil || !rpm.Overlap(rpm.Equal, have, d.Sense, d.EVR) {
			return false
		}
		host, err := rpm.ParseEVR(rpmVersion)
		if rpmVersion == "" || err != nil {
			return true
		}
		return rpm.Compare(rpm.EVR{Version: host.Version}, rpm.EVR{Version: f.since}) >= 0
	}
	return false
}
