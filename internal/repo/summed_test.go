package repo

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"pgregory.net/rapid"
)

// TestJoinedSum: the sum of two texts from the sums of each.
func TestJoinedSum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "a")
		b := bytes.Repeat(rapid.SliceOfN(rapid.Byte(), 0, 30).Draw(t, "b"), rapid.IntRange(0, 500).Draw(t, "times"))
		if got, want := joinedSum(castagnoli(a), castagnoli(b), len(b)), castagnoli(append(bytes.Clone(a), b...)); got != want {
			t.Fatalf("%08x, want %08x", got, want)
		}
	})
}

// TestReadSummed: a large file is read in parts, whole, and its end is missed.
func TestReadSummed(t *testing.T) {
	text := make([]byte, 3*leastPart+17)
	for i := range text {
		text[i] = byte(i * i >> 7)
	}
	for _, n := range []int{0, 1, leastPart, 2*leastPart - 1, 2 * leastPart, 3*leastPart + 10} {
		b := make([]byte, n)
		got, err := readSummed(bytes.NewReader(text), 7, b)
		if err != nil || !bytes.Equal(b, text[7:7+n]) || got != castagnoli(b) || got != summed(b) {
			t.Errorf("%d bytes: %08x %v", n, got, err)
		}
	}
	if _, err := readSummed(bytes.NewReader(text), 18, make([]byte, 3*leastPart)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a file that is shorter: %v", err)
	}
}
