package rpm

import "strings"

// RunsAs tells whether a build of a kernel calls itself so when it runs (uname -r). That is version-release.arch with a suffix for variants; on old hosts
// and elsewhere version-release, with the variant behind it (RHEL 5). SUSE's is version-release-flavour, without the last number of the package's release, which
// counts rebuilds.
func RunsAs(n NEVRA, uname string) bool {
	evr := n.Version + "-" + n.Release
	if rest, ok := strings.CutPrefix(uname, evr); ok {
		if variant, ok := strings.CutPrefix(rest, "."+n.Arch); ok && (variant == "" || strings.ContainsRune("+.-_", rune(variant[0]))) {
			return true
		}
		if strings.Trim(rest, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") == "" {
			return true
		}
	}
	flavour := strings.LastIndexByte(uname, '-')
	if flavour <= 0 || !strings.Contains(uname[:flavour], "-") {
		return false
	}
	rebuild, ok := strings.CutPrefix(evr, uname[:flavour])
	return ok && (rebuild == "" || rebuild[0] == '.' && strings.Trim(rebuild, ".0123456789") == "")
}
