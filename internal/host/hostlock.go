package host

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Owner is who works on a host (PUSH-5).
type Owner struct {
	// ID tells owners apart: the same ID takes the lock again and keeps it alive, so a rollout uses one for all of its
	// processes, and a resumed rollout finds its locks.
	ID      string
	Control string        // control host
	User    string        // person
	Rollout string        // what for
	TTL     time.Duration // how long without Acquire until others may take it; 0: 15 minutes
}

// String names the owner for messages. The words may come from a host: escape them.
func (o Owner) String() string {
	return fmt.Sprintf("%s@%s (%s)", o.User, o.Control, o.Rollout)
}

// Acquire takes the host lock, or keeps it alive when it is held by the same ID. The error is a *LockedError when somebody
// else has it. One that was silent for its TTL is replaced, but never while its transaction or any rpm runs. broken is the ID
// of an owner that was replaced.
func (s *Session) Acquire(ctx context.Context, o Owner) (broken string, err error) {
	if !words(o.ID, "._-:/@") || len(o.ID) > 200 {
		return "", fmt.Errorf("host %s: lock owner's id %q", s.opt.Host, o.ID)
	}
	if o.TTL <= 0 {
		o.TTL = 15 * time.Minute
	}
	a, err := s.call(ctx, "take the host lock", []string{"mutex", "lock", "acquire"}, "take", o.ID, oneLine(o.Control), oneLine(o.User),
		oneLine(o.Rollout), strconv.FormatInt(int64(o.TTL/time.Second), 10))
	if err != nil {
		return "", err
	}
	if why, held := a.last("held"); held {
		e := lockedBy(a)
		if why != "alive" {
			e.Why = why
		}
		return "", fmt.Errorf("host %s: %w", s.opt.Host, e)
	}
	s.owner = &o
	return a.get("broken"), nil
}

// lockedBy reads the lock's lines.
func lockedBy(a *answer) *LockedError {
	ttl, _ := strconv.ParseInt(a.get("ttl"), 10, 32)
	return &LockedError{Owner: Owner{ID: bounded(a.get("id"), 200), Control: bounded(a.get("control"), 200), User: bounded(a.get("user"), 200),
		Rollout: bounded(a.get("rollout"), 200), TTL: time.Duration(ttl) * time.Second},
		Since: hostTime(a.get("since")), Seen: hostTime(a.get("seen"))}
}

// Release gives the lock back; it is no error when it is not held.
func (s *Session) Release(ctx context.Context, o Owner) error {
	_, err := s.call(ctx, "release the host lock", []string{"mutex", "lock", "acquire"}, "release", o.ID)
	s.owner = nil
	return err
}

// oneLine makes text fit for a line of the lock's file.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	return bounded(strings.TrimSpace(s), 200)
}
