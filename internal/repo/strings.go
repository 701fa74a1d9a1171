package repo

import (
	"hash/maphash"
	"math"
)

// stringSet numbers distinct strings in the order in which they come; the empty one is 0. It holds no pointers but to a few large pieces, so
// that the garbage collector has nothing to do with it however many strings there are, and it hashes by a seed of its own, so that nobody can
// choose strings that stand in each other's way. It is used by one goroutine.
type stringSet struct {
	seed  maphash.Seed
	slots []stringSlot // where a string is found: at its hash, or behind it; a power of two, and never full
	ends  []uint32     // number → end of the string in text; it begins where the one before ends
	text  []byte
	most  int  // bytes of text, so that ends can count them
	full  bool // a string was left out, since it did not fit: what is written with these numbers is void
}

// stringSlot is free where number is 0: the empty string needs none.
type stringSlot struct{ hash, number uint32 }

func newStringSet() *stringSet {
	return &stringSet{seed: maphash.MakeSeed(), slots: make([]stringSlot, 256), ends: []uint32{0}, most: math.MaxUint32}
}

func (t *stringSet) len() int { return len(t.ends) }

// at returns the text of a string; it is not to be changed.
func (t *stringSet) at(n uint32) []byte {
	if n == 0 {
		return nil
	}
	return t.text[t.ends[n-1]:t.ends[n]]
}

// number returns the number of s, a new one where s was not there, 0 where it does not fit.
func (t *stringSet) number(s string) uint32 {
	if s == "" {
		return 0
	}
	hash := uint32(maphash.String(t.seed, s)) //nolint:gosec // its lower half
	mask := uint32(len(t.slots) - 1)          //nolint:gosec // a power of two, far below 2^32
	i := hash & mask
	for ; t.slots[i].number != 0; i = (i + 1) & mask {
		if x := t.slots[i]; x.hash == hash && string(t.at(x.number)) == s {
			return x.number
		}
	}
	if len(s) > t.most-len(t.text) {
		t.full = true
		return 0
	}
	n := uint32(len(t.ends)) //nolint:gosec // not more than bytes of text
	t.slots[i] = stringSlot{hash, n}
	t.text = append(t.text, s...)
	t.ends = append(t.ends, uint32(len(t.text))) //nolint:gosec // not more than most
	if len(t.ends) > len(t.slots)/4*3 {
		t.grow()
	}
	return n
}

func (t *stringSet) grow() {
	old := t.slots
	t.slots = make([]stringSlot, 2*len(old))
	mask := uint32(len(t.slots) - 1) //nolint:gosec // as in number
	for _, x := range old {
		if x.number == 0 {
			continue
		}
		i := x.hash & mask
		for t.slots[i].number != 0 {
			i = (i + 1) & mask
		}
		t.slots[i] = x
	}
}
