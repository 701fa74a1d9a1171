package repo

import "testing"

// TestUnset: all of what it gives can be written, and is nobody else's.
func TestUnset(t *testing.T) {
	var all [][]byte
	for _, n := range []int{1, 7, 31, 32, 1000, 1 << 20, 5<<20 + 3} {
		b := unset(n)
		if len(b) != n {
			t.Fatalf("%d bytes of %d", len(b), n)
		}
		for i := range b {
			b[i] = byte(n + len(all))
		}
		all = append(all, b)
	}
	for k, b := range all {
		for i := range b {
			if b[i] != byte(len(b)+k) {
				t.Fatalf("byte %d of %d was changed", i, len(b))
			}
		}
	}
}
