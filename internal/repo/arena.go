package repo

import "strings"

// arenaBlock is how many bytes of text share one allocation.
const arenaBlock = 64 << 10

// arena puts strings side by side in blocks. It is used by one goroutine.
type arena struct{ block *strings.Builder }

// copy returns b as a string.
func (a *arena) copy(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if len(b) > arenaBlock/4 {
		return string(b)
	}
	if a.block == nil || a.block.Cap()-a.block.Len() < len(b) {
		a.block = &strings.Builder{}
		a.block.Grow(arenaBlock)
	}
	from := a.block.Len()
	a.block.Write(b) // never reallocates: there was room
	return a.block.String()[from:]
}
