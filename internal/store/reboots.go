package store

import (
	"context"
	"fmt"
	"slices"

	"cpacman/internal/rollout"
)

// RebootsDue gives, by host, the records of rollouts that left a reboot due there, oldest first. Whether the host has booted since is for
// its facts to say.
func (s *Store) RebootsDue(ctx context.Context) (map[string][]rollout.HostRecord, error) {
	// The text is looked for only to read fewer rows; the flag itself decides.
	all, err := rows[rollout.HostRecord](ctx, s.db, "SELECT body FROM rollout_hosts WHERE instr(body, ?) > 0", string(rollout.FlagRebootDue))
	if err != nil {
		return nil, fmt.Errorf("read the reboots that are due: %w", err)
	}
	out := map[string][]rollout.HostRecord{}
	for _, rec := range all {
		if slices.Contains(rec.Flags, rollout.FlagRebootDue) && rec.TxID != "" {
			out[rec.Host] = append(out[rec.Host], rec)
		}
	}
	for _, list := range out {
		slices.SortFunc(list, func(a, b rollout.HostRecord) int { return a.TxAt.Compare(b.TxAt) })
	}
	return out, nil
}
