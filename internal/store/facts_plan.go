package store

import (
	"context"
	"database/sql/driver"
	"fmt"
	"strconv"
	"strings"
	"time"

	"cpacman/internal/host"
)

// PlanFacts is AllFacts without what no plan of packages asks for, which is most of what differs from host to host: BootID, BootTime, Database and Disk
// are zero.
func (s *Store) PlanFacts(ctx context.Context) ([]*host.Facts, error) {
	return s.inHalves(ctx, s.somePlanFacts)
}

// somePlanFacts is PlanFacts of the hosts for which a condition on one name holds; there are about n.
func (s *Store) somePlanFacts(ctx context.Context, which, name string, n int) ([]*host.Facts, error) {
	r := planFactsReader{reader: factsReader{common: map[int64][]byte{}}, times: map[string]time.Time{}}
	slab := make([]host.Facts, 0, n)
	out := make([]*host.Facts, 0, n)
	err := s.inSnapshot(ctx, func(rows eachRow) error {
		if err := r.reader.readCommon(rows); err != nil {
			return err
		}
		var whole []int // in one piece, of before format 9: which of out
		err := rows("SELECT host, planned FROM facts INDEXED BY facts_planned WHERE "+which+" ORDER BY host",
			func(row []driver.Value) error {
				if len(slab) == cap(slab) {
					slab = make([]host.Facts, 0, 64)
				}
				slab = slab[:len(slab)+1]
				f := &slab[len(slab)-1]
				f.Host, _ = row[0].(string)
				planned, _ := row[1].(string)
				if strings.HasPrefix(planned, "\n") {
					whole = append(whole, len(out))
				}
				out = append(out, f)
				if err := r.read(planned, f); err != nil {
					return fmt.Errorf("of %s: %w", f.Host, err)
				}
				return nil
			}, name)
		if err != nil {
			return err
		}
		for _, i := range whole {
			err := rows("SELECT body FROM facts WHERE host = ?", func(row []driver.Value) error {
				body, _ := row[0].([]byte)
				f, err := r.reader.read(body)
				if err != nil {
					return fmt.Errorf("of %s: %w", out[i].Host, err)
				}
				f.BootID, f.BootTime, f.Database, f.Disk = "", 0, host.Database{}, nil
				out[i] = f
				return nil
			}, out[i].Host)
			if err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// planFactsReader makes facts of what the index facts_planned has of them. It is for one goroutine.
type planFactsReader struct {
	reader factsReader
	times  map[string]time.Time
}

// read reads the column planned into facts that have a host already.
func (r *planFactsReader) read(planned string, f *host.Facts) error {
	number, rest, _ := strings.Cut(planned, "\n")
	at, rest, _ := strings.Cut(rest, "\n")
	digest, machine, whole := strings.Cut(rest, "\n") // the machine's own word comes last: whatever it is, it is nothing else
	if !whole {
		return fmt.Errorf("the index says %.40q", planned)
	}
	if number != "" {
		id, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return fmt.Errorf("the index says %.40q", planned)
		}
		common := r.reader.common[id]
		if len(common) == 0 {
			return noCommon(id)
		}
		base, err := r.reader.base(id, common)
		if err != nil {
			return err
		}
		name := f.Host
		*f = base.common
		f.Host = name
	}
	f.MachineID, f.InstalledDigest = machine, r.reader.shared(digest)
	known, ok := r.times[at]
	if !ok {
		var err error
		if known, err = parseStamp(at); err != nil {
			return err
		}
		if len(r.times) < maxSharedValues {
			r.times[at] = known
		}
	}
	f.CollectedAt = known
	return nil
}
