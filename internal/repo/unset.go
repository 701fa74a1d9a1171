package repo

import (
	"strings"
	"unsafe"
)

// unset gives n bytes that may hold anything, for who fills all of them: an index is some megabytes, and to clear them first takes as long as to read
// them. Of what the language has only a Builder gets memory that is not cleared.
func unset(n int) []byte {
	var b strings.Builder
	b.Grow(n)
	b.WriteByte(0)                                        // an empty one has no place
	return unsafe.Slice(unsafe.StringData(b.String()), n) //nolint:gosec // nobody else knows the builder, whose room is n at least
}
