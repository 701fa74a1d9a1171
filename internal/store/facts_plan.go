package store

import (
	"context"
	"database/sql/driver"
	"fmt"
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
		err := rows("SELECT host, collected_at, machine_id, installed_digest, common FROM facts INDEXED BY facts_plan WHERE "+which+" ORDER BY host",
			func(row []driver.Value) error {
				if len(slab) == cap(slab) {
					slab = make([]host.Facts, 0, 64)
				}
				slab = slab[:len(slab)+1]
				f := &slab[len(slab)-1]
				if row[4] == nil {
					whole = append(whole, len(out))
				}
				out = append(out, f)
				return r.read(row, f)
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

// planFactsReader makes facts of rows of the index facts_plan. It is for one goroutine.
type planFactsReader struct {
	reader factsReader
	times  map[string]time.Time
}

func (r *planFactsReader) read(row []driver.Value, f *host.Facts) error {
	name, _ := row[0].(string)
	at, _ := row[1].(string)
	machine, _ := row[2].(string)
	digest, _ := row[3].(string)
	if id, split := row[4].(int64); split {
		common := r.reader.common[id]
		if len(common) == 0 {
			return fmt.Errorf("of %s: %w", name, noCommon(id))
		}
		base, err := r.reader.base(id, common)
		if err != nil {
			return fmt.Errorf("of %s: %w", name, err)
		}
		*f = base.common
	}
	f.Host, f.MachineID, f.InstalledDigest = name, machine, r.reader.shared(digest)
	known, ok := r.times[at]
	if !ok {
		var err error
		if known, err = parseStamp(at); err != nil {
			return fmt.Errorf("of %s: %w", name, err)
		}
		if len(r.times) < maxSharedValues {
			r.times[at] = known
		}
	}
	f.CollectedAt = known
	return nil
}
