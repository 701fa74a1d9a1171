package host

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// CleanWhat says what Clean removes.
type CleanWhat string

// What Clean can remove.
const (
	CleanFiles CleanWhat = "files" // what this owner has sent, and the packages named from the spool, unless others count on them: after a dry run
	CleanSpool CleanWhat = "spool" // everything staged, but for uploads whose owner was heard of a moment ago
	CleanAll   CleanWhat = "all"   // the spool, and ledger entries with their logs that are old enough
)

// CleanOptions of Clean.
type CleanOptions struct {
	What  CleanWhat
	Files []string // digests, for CleanFiles
	// Over are owners that send nothing any more, newest first: their uploads go, however short a time ago they were heard of. Not with
	// CleanFiles; no more than one call takes, the others are left to their age.
	Over      []string
	LedgerAge time.Duration // CleanAll removes entries at least this old; an id that was removed can be used again
}

// CleanReport says what was removed.
type CleanReport struct {
	Removed []string // paths on the host
	Bytes   int64    // about, in blocks
	Kept    []string // for people: whose uploads were left alone, because they were heard of a moment ago
	Gone    bool     // nothing of cpacman is left on the host
}

// Clean removes what cpacman left on the host (PUSH-8). But for CleanFiles it refuses with ErrBusy while a transaction is under way or a
// dead man's switch has not decided. Directories go when they are empty, so that after a dry run nothing is left (ROLL-13); a host lock
// that is held stays.
func (s *Session) Clean(ctx context.Context, opt CleanOptions) (CleanReport, error) {
	var r CleanReport
	if !slices.Contains([]CleanWhat{CleanFiles, CleanSpool, CleanAll}, opt.What) {
		return r, fmt.Errorf("host %s: clean: unknown %q", s.opt.Host, opt.What)
	}
	for _, d := range opt.Files {
		if !isDigest(d) {
			return r, fmt.Errorf("host %s: clean: digest %q", s.opt.Host, d)
		}
	}
	files := opt.Files
	if opt.What != CleanFiles {
		files = nil
		for _, id := range opt.Over {
			files = append(files, senderName(id))
		}
		files = files[:min(len(files), digestsPerCall)]
	}
	for first := true; first || len(files) > 0; first = false {
		n := min(len(files), digestsPerCall)
		a, err := s.call(ctx, "clean", []string{"mutex", "lock", "fresh", "uploads", "clean"},
			append([]string{string(opt.What), strconv.FormatInt(int64(opt.LedgerAge/time.Second), 10), s.sender()}, files[:n]...)...)
		if err != nil {
			return r, err
		}
		r.read(a)
		files = files[n:]
	}
	s.ordersUsed()
	return r, s.cleanDrop(ctx, opt.What)
}

func (r *CleanReport) read(a *answer) {
	for _, l := range a.all("removed") {
		kib, name, _ := strings.Cut(l, " ")
		n, err := strconv.ParseInt(kib, 10, 40)
		if err == nil && n >= 0 {
			r.Bytes += n << 10
		}
		r.Removed = append(r.Removed, bounded(name, 1000))
	}
	for _, l := range a.all("kept") {
		r.Kept = append(r.Kept, bounded(l, 1000))
	}
	_, r.Gone = a.last("gone")
}

// cleanDrop removes the login account's upload directory, if this kind of account has one, or with CleanFiles this owner's part of it.
func (s *Session) cleanDrop(ctx context.Context, what CleanWhat) error {
	if !s.opt.Sudo {
		return nil
	}
	drop, _, err := s.uploadDir(ctx)
	if err != nil {
		return err
	}
	_, err = do(ctx, s.c, call{op: "remove the upload directory", program: program("fresh", "undrop"), args: []string{drop, string(what)}, random: s.opt.Random})
	s.drop = ""
	if err != nil {
		return fmt.Errorf("host %s: %w", s.opt.Host, err)
	}
	return nil
}

// LedgerEntry is one transaction the host remembers.
type LedgerEntry struct {
	ID      string // as the host keeps it: '/' is '_' and ':' is '-'
	Phase   Phase
	Changed time.Time // by the host's clock
}

// Ledger lists the transactions the host remembers, in the order of their names.
func (s *Session) Ledger(ctx context.Context) ([]LedgerEntry, error) {
	a, err := s.call(ctx, "read the ledger", []string{"ledger"})
	if err != nil {
		return nil, err
	}
	var out []LedgerEntry
	for _, l := range a.all("entry") {
		w := strings.Fields(l)
		if len(w) < 4 || len(out) >= 100_000 {
			continue
		}
		e := LedgerEntry{ID: bounded(w[0], 200), Phase: Phase(w[1]), Changed: hostTime(w[3])}
		if !(Status{Phase: e.Phase}).Final() && e.Phase != Armed && w[2] == "no" {
			e.Phase = Interrupted
		}
		out = append(out, e)
	}
	return out, nil
}
