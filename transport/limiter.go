package transport

import (
	"context"
	"io"

	"golang.org/x/time/rate"
)

// minBurst is the smallest token bucket, in bytes: two SFTP packets. A smaller
// one would stall the pipeline at every packet.
const minBurst = 64 << 10

// Limiter caps the bytes per second of all transfers that share it. Use one for
// the whole program and one per location; a transfer obeys all it is given. The
// nil Limiter limits nothing. It may be used by several goroutines.
type Limiter struct {
	bucket *rate.Limiter
}

// NewLimiter allows bytesPerSecond in the long run, with bursts of a tenth of a
// second but at least 64 KiB. Zero or less means no limit and gives nil.
func NewLimiter(bytesPerSecond int64) *Limiter {
	if bytesPerSecond <= 0 {
		return nil
	}
	burst := int64(minBurst)
	if tenth := bytesPerSecond / 10; tenth > burst {
		burst = min(tenth, 1<<30)
	}
	return &Limiter{bucket: rate.NewLimiter(rate.Limit(bytesPerSecond), int(burst))}
}

// wait blocks until n bytes may pass or ctx ends.
func (l *Limiter) wait(ctx context.Context, n int) error {
	if l == nil {
		return nil
	}
	for n > 0 {
		part := min(n, l.bucket.Burst())
		if err := l.bucket.WaitN(ctx, part); err != nil {
			return err
		}
		n -= part
	}
	return nil
}

// meteredReader applies limiters to a reader and tells how far it got. It hides
// the size of the file, which is harmless only because all copying goes through
// ReadFromWithConcurrency, which does not look for it.
type meteredReader struct {
	ctx    context.Context
	r      io.Reader
	limits []*Limiter
	read   func(n int)
}

func (m *meteredReader) Read(p []byte) (int, error) {
	if err := m.ctx.Err(); err != nil {
		return 0, err
	}
	if len(p) > minBurst/2 {
		p = p[:minBurst/2]
	}
	n, err := m.r.Read(p)
	if n > 0 {
		for _, l := range m.limits {
			if werr := l.wait(m.ctx, n); werr != nil {
				return 0, werr
			}
		}
		if m.read != nil {
			m.read(n)
		}
	}
	return n, err
}
