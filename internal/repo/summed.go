package repo

import (
	"hash/crc32"
	"io"
	"runtime"

	"golang.org/x/sync/errgroup"
)

// leastPart is what a goroutine of its own reads of a file, in bytes, at least.
const leastPart = 1 << 20

// readSummed fills b from an offset of a file, in parts side by side, and returns the CRC-32C of b: most of the time goes to bringing the bytes here.
func readSummed(f io.ReaderAt, offset int64, b []byte) (uint32, error) {
	return inParts(b, func(at int, part []byte) error {
		_, err := io.ReadFull(io.NewSectionReader(f, offset+int64(at), int64(len(part))), part)
		return err
	})
}

// summed is the CRC-32C of b.
func summed(b []byte) uint32 {
	s, _ := inParts(b, func(int, []byte) error { return nil })
	return s
}

// inParts calls get for parts of b, side by side, and returns the CRC-32C of b as it is then.
func inParts(b []byte, get func(at int, part []byte) error) (uint32, error) {
	parts := max(1, min(runtime.GOMAXPROCS(0), len(b)/leastPart))
	sums := make([]uint32, parts)
	at := func(i int) int { return len(b) / parts * i }
	end := func(i int) int {
		if i == parts-1 {
			return len(b)
		}
		return at(i + 1)
	}
	var work errgroup.Group
	for i := range parts {
		work.Go(func() error {
			part := b[at(i):end(i)]
			err := get(at(i), part)
			sums[i] = castagnoli(part)
			return err
		})
	}
	if err := work.Wait(); err != nil {
		return 0, err
	}
	joined := sums[0]
	for i := 1; i < parts; i++ {
		joined = joinedSum(joined, sums[i], end(i)-at(i))
	}
	return joined, nil
}

// joinedSum is the CRC-32C of two texts after each other, from those of each and the length of the second in bytes: the first is what it would be
// with so many zeros behind, which is a product in the field of the polynomial (zlib, crc32_combine).
func joinedSum(first, second uint32, n int) uint32 {
	zeros := uint32(1 << 31) // x⁰, with the bits in the order of the checksum
	power := uint32(1 << 23) // x⁸: one byte
	for ; n > 0; n >>= 1 {
		if n&1 != 0 {
			zeros = times(zeros, power)
		}
		power = times(power, power)
	}
	return times(first, zeros) ^ second
}

// times multiplies two polynomials modulo that of CRC-32C, both with their bits in the order of the checksum: the highest power is the lowest bit.
func times(a, b uint32) uint32 {
	product := uint32(0)
	for bit := uint32(1 << 31); bit != 0; bit >>= 1 {
		if a&bit != 0 {
			product ^= b
		}
		if b&1 != 0 {
			b = b>>1 ^ crc32.Castagnoli
		} else {
			b >>= 1
		}
	}
	return product
}
