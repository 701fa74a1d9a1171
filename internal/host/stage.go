package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"cpacman/transport"
)

const (
	digestsPerCall = 400      // 65 bytes each: keeps a command line well below 80 KiB
	spoolReserve   = 16 << 20 // bytes left free beside what is sent
)

// StageStats says what Stage did.
type StageStats struct {
	Files    int      // asked for
	Present  int      // were there with the same bytes
	Damaged  []string // digests of staged files that had other bytes and were sent again
	Sent     []string // digests that were not there before: what Clean has to remove after a dry run
	Transfer transport.UploadStats
}

// Progress is told about uploads: the file and how many of its bytes are there. It is called from other goroutines, one call
// at a time.
type Progress func(f File, sent int64)

// Stage brings files into the spool, by digest. What is there with the same bytes is not sent. Free space is checked first
// (*SpaceError). On the host the digest is proven again after the copy into root's directory. It may be called again after any
// failure.
func (s *Session) Stage(ctx context.Context, files []File, progress Progress) (StageStats, error) {
	st := StageStats{Files: len(files)}
	for _, f := range files {
		if !isDigest(f.SHA256) || f.Size < 0 {
			return st, fmt.Errorf("host %s: stage %s: digest %q, size %d", s.opt.Host, f.NEVRA, f.SHA256, f.Size)
		}
	}
	missing, free, err := s.missing(ctx, files, &st)
	if err != nil || len(missing) == 0 {
		return st, err
	}
	drop, dropFree, err := s.uploadDir(ctx)
	if err != nil {
		return st, err
	}
	if err := s.space(missing, free, drop, dropFree); err != nil {
		return st, err
	}
	up := make([]transport.Upload, len(missing))
	for i, f := range missing {
		up[i] = transport.Upload{Path: path.Join(drop, f.SHA256+".rpm"), Size: f.Size, SHA256: f.SHA256, Local: f.Local, Mode: 0o600, Limit: f.Limit}
		if progress != nil {
			up[i].Progress = func(sent int64) { progress(f, sent) }
		}
		st.Sent = append(st.Sent, f.SHA256)
	}
	if st.Transfer, err = s.c.Upload(ctx, up); err != nil {
		return st, fmt.Errorf("host %s: upload packages: %w", s.opt.Host, err)
	}
	return st, s.admit(ctx, drop, st.Sent)
}

// missing asks the host what it has.
func (s *Session) missing(ctx context.Context, files []File, st *StageStats) (missing []File, free int64, err error) {
	have := map[string]bool{}
	digests := make([]string, 0, len(files))
	for _, f := range files {
		digests = append(digests, f.SHA256)
	}
	for first := true; first || len(digests) > 0; first = false {
		n := min(len(digests), digestsPerCall)
		keep := s.opt.Keep
		if n < len(digests) {
			keep = 0 // only when all that is still wanted has been claimed
		}
		a, err := s.lookAtSpool(ctx, keep, digests[:n])
		if err != nil {
			return nil, 0, err
		}
		for _, d := range a.all("have") {
			have[d] = true
		}
		st.Damaged = append(st.Damaged, a.all("bad")...)
		free = freeBytes(a.get("free"))
		digests = digests[n:]
	}
	for _, f := range files {
		if have[f.SHA256] {
			st.Present++
		} else {
			have[f.SHA256] = true // once is enough
			missing = append(missing, f)
		}
	}
	return missing, free, nil
}

// lookAtSpool asks which of the digests are there, makes the directories, and removes what is older than keep (0: nothing).
func (s *Session) lookAtSpool(ctx context.Context, keep time.Duration, digests []string) (*answer, error) {
	args := []string{s.sender(), s.senderWords(), strconv.FormatInt(int64(keep/time.Second), 10)}
	return s.call(ctx, "look at the spool", []string{"fresh", "uploads", "stage"}, append(args, digests...)...)
}

// space refuses what cannot fit. With a drop directory the bytes exist twice while they are copied, one file at a time.
func (s *Session) space(missing []File, free int64, drop string, dropFree int64) error {
	var need, largest int64
	for _, f := range missing {
		need += f.Size
		largest = max(largest, f.Size)
	}
	check := func(dir string, need, free int64) error {
		if free >= 0 && need+spoolReserve > free {
			return fmt.Errorf("host %s: stage packages: %w", s.opt.Host, &SpaceError{Path: dir, Need: need + spoolReserve, Free: free})
		}
		return nil
	}
	if dropFree >= 0 {
		if err := check(drop, need, dropFree); err != nil {
			return err
		}
	}
	return check(s.opt.Dir+"/spool", need+largest, free)
}

// admit lets the host copy, check and rename.
func (s *Session) admit(ctx context.Context, drop string, digests []string) error {
	for len(digests) > 0 {
		n := min(len(digests), digestsPerCall)
		a, err := s.call(ctx, "take packages into the spool", []string{"fresh", "uploads", "admit"}, append([]string{s.sender(), drop}, digests[:n]...)...)
		if err != nil {
			return err
		}
		if got := a.all("admitted"); strings.Join(got, " ") != strings.Join(digests[:n], " ") {
			return fmt.Errorf("host %s: take packages into the spool: %w", s.opt.Host, ErrProtocol)
		}
		digests = digests[n:]
	}
	return nil
}

// ordersUsed forgets what was uploaded: the host has removed it, or may have, and its directory with it.
func (s *Session) ordersUsed() { s.orders, s.drop = map[string]bool{}, "" }

// sendOrder uploads the transaction's order, once for each content, and returns where it is.
func (s *Session) sendOrder(ctx context.Context, tx Transaction) (drop, digest string, err error) {
	if err := tx.Validate(); err != nil {
		return "", "", fmt.Errorf("host %s: %w", s.opt.Host, err)
	}
	order := tx.order()
	digest = digestOf(order)
	drop = s.drop
	if drop == "" {
		if drop, _, err = s.uploadDir(ctx); err != nil {
			return "", "", err
		}
	}
	if s.orders[digest] {
		return drop, digest, nil
	}
	err = s.upload(ctx, drop, digest, order)
	if !s.opt.Sudo && errors.Is(err, fs.ErrNotExist) { // a way back that began by itself has ended in between, and taken the directory away
		err = s.upload(ctx, drop, digest, order)
	}
	if err != nil {
		return "", "", fmt.Errorf("host %s: upload the order: %w", s.opt.Host, err)
	}
	s.orders[digest] = true
	return drop, digest, nil
}

// upload sends an order into the drop directory, which is there then.
func (s *Session) upload(ctx context.Context, drop, digest string, order []byte) error {
	if !s.opt.Sudo { // makes the directory
		if _, err := s.lookAtSpool(ctx, 0, nil); err != nil {
			return err
		}
	}
	_, err := s.c.Upload(ctx, []transport.Upload{{Path: path.Join(drop, digest+".order"), Size: int64(len(order)), SHA256: digest,
		Open: openBytes(order), Mode: 0o600}})
	return err
}
