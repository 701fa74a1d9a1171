package fleet

import "strings"

// lockedName is the package name in a line of a lock list: "bash-0:4.2-1.el7.*", "0:bash-4.2-1.el7.*", or a name or glob alone.
func lockedName(pattern string) string {
	rest := pattern
	if epoch, after, ok := strings.Cut(rest, ":"); ok && epoch != "" && strings.Trim(epoch, "0123456789") == "" {
		rest = after
	}
	release := strings.LastIndexByte(rest, '-')
	if release <= 0 {
		return rest
	}
	version := strings.LastIndexByte(rest[:release], '-')
	if version <= 0 || !strings.ContainsRune("0123456789*", rune(rest[version+1])) {
		return rest
	}
	return rest[:version]
}
