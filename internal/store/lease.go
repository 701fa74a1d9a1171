package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"cpacman/internal/rollout"
)

// Lease is who runs, or last ran, the engine of a rollout.
type Lease struct {
	Epoch     int64
	Owner     rollout.Owner
	RenewedAt time.Time
	Released  bool
}

// BootID names the running boot of this machine; empty where the system does not tell.
func BootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// Live tells whether the owner may still be at work: a process of this boot must exist, any other must have renewed lately.
func (l Lease) Live(now time.Time) bool {
	age := now.Sub(l.RenewedAt)
	if l.Released || age > rollout.LeaseTTL {
		return false
	}
	name, _ := os.Hostname()
	if l.Owner.Host == name && l.Owner.BootID == BootID() && l.Owner.BootID != "" {
		return alive(l.Owner.PID)
	}
	return age >= -rollout.LeaseTTL // else the clock was set back since, and would have to catch up first
}

// alive tells whether a process is there and has not ended: one that its parent has not looked at yet is a zombie (proc(5): state Z
// or X behind the name in brackets).
func alive(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	i := strings.LastIndex(string(stat), ") ")
	return i < 0 || i+2 >= len(stat) || stat[i+2] != 'Z' && stat[i+2] != 'X'
}

// Settles is when it will be known whether the owner of a lease lives: at once, but for one on this machine before its last boot,
// whose lease counts until nobody has renewed it for long enough. The zero time is "now".
func (l Lease) Settles(now time.Time) time.Time {
	name, _ := os.Hostname()
	if !l.Live(now) || l.Owner.Host != name || l.Owner.BootID == BootID() {
		return time.Time{}
	}
	return l.RenewedAt.Add(rollout.LeaseTTL + time.Second)
}

// Lease returns the lease of a rollout; a zero epoch means that no engine ever ran it.
func (s *Store) Lease(ctx context.Context, id string) (Lease, error) {
	l, err := readLease(ctx, s.db, id)
	if err != nil {
		return l, fmt.Errorf("read the lease of rollout %s: %w", id, err)
	}
	return l, nil
}

// rowQuerier is a database or a transaction.
type rowQuerier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func readLease(ctx context.Context, q rowQuerier, id string) (l Lease, err error) {
	var owner []byte
	var renewed string
	err = q.QueryRowContext(ctx, "SELECT epoch, owner, renewed_at, released FROM rollout_leases WHERE rollout = ?", id).
		Scan(&l.Epoch, &owner, &renewed, &l.Released)
	if errors.Is(err, sql.ErrNoRows) {
		return Lease{Released: true}, nil
	}
	if err != nil {
		return l, err
	}
	if err := json.Unmarshal(owner, &l.Owner); err != nil {
		return l, err
	}
	l.RenewedAt, err = parseStamp(renewed)
	return l, err
}

// Acquire implements rollout.Leases.
func (s *Store) Acquire(ctx context.Context, id string, owner rollout.Owner) (epoch int64, err error) {
	body, err := json.Marshal(owner)
	if err != nil {
		return 0, fmt.Errorf("take rollout %s: %w", id, err)
	}
	err = s.write(ctx, "take rollout "+id, func(tx *sql.Tx) error {
		l, err := readLease(ctx, tx, id)
		if err != nil {
			return err
		}
		if l.Live(s.now()) {
			return &rollout.LeaseHeldError{Rollout: id, Owner: l.Owner}
		}
		epoch = l.Epoch + 1
		if _, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO rollout_leases VALUES (?,?,?,?,0)", id, epoch, body, stamp(s.now())); err != nil {
			return err
		}
		return s.addLines(ctx, tx, engineEntry(id, owner, epoch))
	})
	return epoch, err
}

// Renew implements rollout.Leases.
func (s *Store) Renew(ctx context.Context, id string, epoch int64) error {
	return s.write(ctx, "keep rollout "+id, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, "UPDATE rollout_leases SET renewed_at = ? WHERE rollout = ? AND epoch = ? AND released = 0", stamp(s.now()), id, epoch)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(rollout.ErrLeaseLost, err)
		}
		return nil
	})
}

// Release implements rollout.Leases.
func (s *Store) Release(ctx context.Context, id string, epoch int64) error {
	return s.write(ctx, "release rollout "+id, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE rollout_leases SET released = 1 WHERE rollout = ? AND epoch = ?", id, epoch)
		return err
	})
}
