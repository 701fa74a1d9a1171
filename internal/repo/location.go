package repo

import (
	"errors"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// maxPath bounds a path in metadata (Linux PATH_MAX).
const maxPath = 4096

// cleanLocation checks a path from metadata and returns it in its shortest form. It is relative to the repository, stays below
// it by its text alone, and has no scheme and no control characters.
func cleanLocation(s string) (string, error) {
	switch {
	case s == "":
		return "", errors.New("empty location")
	case len(s) > maxPath:
		return "", errors.New("location is longer than 4096 bytes")
	case !utf8.ValidString(s):
		return "", errors.New("location is not UTF-8")
	case strings.IndexFunc(s, isUnsafe) >= 0:
		return "", errors.New("location has control characters")
	case hasScheme(s):
		return "", errors.New("location is a URL: the package is not on local disk; mirror the repository first")
	case s[0] == '/':
		return "", errors.New("location is an absolute path")
	case s[len(s)-1] == '/':
		return "", errors.New("location is a directory")
	}
	for rest := s; rest != ""; {
		var part string
		part, rest, _ = strings.Cut(rest, "/")
		if part == ".." {
			return "", errors.New("location leaves the repository")
		}
	}
	c := path.Clean(s)
	if c == "." || !filepath.IsLocal(c) {
		return "", errors.New("location leaves the repository")
	}
	return c, nil
}

// storePath is how Amazon Linux 2 and 2023 write where a package is: in a store that all of its repositories have in common, under its checksum.
var storePath = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(?:\.\./)+blobstore/[0-9A-Fa-f]{64}/`) })

// cutStore divides a location in such a store into the way there and the rest, under which Amazon's reposync puts the package into the repository
// (dnf-plugins-core, pull request 481; its metadata stay as they are). Other locations come back whole.
//
// It does so with a URL too, which dnf takes where xml:base belongs: without its query, and the file's name is the rest.
func cutStore(s string) (store, rest string) {
	if hasScheme(s) {
		if i := strings.IndexAny(s, "?#"); i >= 0 {
			s = s[:i]
		}
		slash := strings.LastIndexByte(s, '/') + 1
		return s[:slash], s[slash:]
	}
	if !strings.HasPrefix(s, "../") {
		return "", s
	}
	store = storePath().FindString(s)
	return store, s[len(store):]
}

// isUnsafe tells characters that have no place in a path: controls, and the invisible ones that make text read as something else.
func isUnsafe(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029'
}

// hasScheme tells "http://x", "file:/x" and the like. A colon alone is no scheme: file names with an epoch have one. Nor is one before a single slash,
// but for that of files: the directories of a build service are called core:/stable:/v1.30.
func hasScheme(s string) bool {
	i := strings.IndexByte(s, ':')
	if i < 1 || i+1 >= len(s) || s[i+1] != '/' {
		return false
	}
	if !strings.HasPrefix(s[i:], "://") && !strings.EqualFold(s[:i], "file") {
		return false
	}
	for j := 0; j < i; j++ {
		c := s[j]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (j == 0 || !(c >= '0' && c <= '9') && c != '+' && c != '-' && c != '.') {
			return false
		}
	}
	return true
}
