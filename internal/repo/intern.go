package repo

import "strings"

// arenaBlock is how many bytes of text share one allocation.
const arenaBlock = 64 << 10

// interner keeps one copy of equal strings, and puts strings side by side in blocks. It is used by one goroutine.
type interner struct {
	known map[string]string
	block *strings.Builder
}

func newInterner() *interner {
	return &interner{known: make(map[string]string, 1024), block: &strings.Builder{}}
}

// intern returns the one copy of b: for text that occurs again and again, as names of dependencies do.
func (in *interner) intern(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if s, ok := in.known[string(b)]; ok {
		return s
	}
	s := in.copy(b)
	in.known[s] = s
	return s
}

// copy returns b as a string of its own: for text that is unique anyway, as checksums are.
func (in *interner) copy(b []byte) string {
	if len(b) > arenaBlock/4 {
		return string(b)
	}
	if in.block.Cap()-in.block.Len() < len(b) {
		in.block = &strings.Builder{}
		in.block.Grow(arenaBlock)
	}
	from := in.block.Len()
	in.block.Write(b) // never reallocates: there was room
	return in.block.String()[from:]
}
