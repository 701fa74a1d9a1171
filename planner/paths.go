package planner

// pathFilter tells of most paths that they are not among those it was given: a host has a hundred thousand files, and only some hundred paths are
// named by anybody's dependencies. Of a few others it says that they may be.
type pathFilter [1 << 11]uint64

func newPathFilter(paths map[string]bool) *pathFilter {
	f := new(pathFilter)
	for path := range paths {
		f.add(path)
	}
	return f
}

// place spreads paths by their length and their last bytes, which is where they differ.
func (f *pathFilter) place(path string) (word, bit uint64) {
	h := uint64(len(path))
	if n := len(path); n >= 8 {
		end := path[n-8:]
		h ^= uint64(end[0]) | uint64(end[1])<<8 | uint64(end[2])<<16 | uint64(end[3])<<24 |
			uint64(end[4])<<32 | uint64(end[5])<<40 | uint64(end[6])<<48 | uint64(end[7])<<56
	} else {
		for i := range n {
			h = h<<8 ^ uint64(path[i])
		}
	}
	h = h * 0x9e3779b97f4a7c15 >> (64 - 17) // Fibonacci hashing: 17 bits for 1<<11 words of 64
	return h >> 6, h & 63
}

func (f *pathFilter) add(path string) {
	word, bit := f.place(path)
	f[word] |= 1 << bit
}

// may tells whether a path may have been added; that it was not is certain.
func (f *pathFilter) may(path string) bool {
	word, bit := f.place(path)
	return f[word]>>bit&1 != 0
}
