package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"sync/atomic"
	"time"
)

// catScript is the upload of one file without SFTP: cut the part file to the
// prefix that was verified, append standard input, check, sync, rename. dd with
// no input and seek truncates, and creates. It prints the digest; exit status 9
// means that it is not the expected one. It removes nothing: it may be the
// orphan of a lost connection, and the part file the next attempt's.
const catScript = digestFunctions + `
umask 077
p=%s; f=%s; want=%s
dd if=/dev/null of="$p" bs=1048576 seek=%d 2>/dev/null || { df -Pk "$(dirname "$p")" >&2; exit 10; }
cat >>"$p" || { df -Pk "$(dirname "$p")" >&2; exit 10; }
got=$(d <"$p" | cut -d' ' -f1); echo "$got"
[ "$(wc -c <"$p" | tr -d ' ')" = %d ] || exit 8
[ "$got" = "$want" ] || exit 9
sync "$p" 2>/dev/null || sync
chmod %o "$p" && mv -f "$p" "$f"
`

// byCat sends the files one after another through "cat", for accounts without
// the SFTP subsystem.
func (u *upload) byCat(ctx context.Context) error {
	u.sending = time.Now()
	for _, it := range u.items {
		if err := u.catOne(ctx, it); err != nil {
			return err
		}
	}
	u.count(func(*UploadStats) { u.sentAll = time.Now() })
	return nil
}

// verifiedPrefix is how many bytes from the start need not be sent.
func (it *item) verifiedPrefix() int64 {
	n := 0
	for n < len(it.verified) && it.verified[n] {
		n++
	}
	return min(int64(n)*it.block, it.Size)
}

func (u *upload) catOne(ctx context.Context, it *item) error {
	op := "upload " + it.Path
	src, err := it.Open()
	if err != nil {
		return &Error{Host: u.conn.target.Name, Op: op, Kind: KindInternal, Err: localError{err}}
	}
	defer src.Close()
	have := it.verifiedPrefix()
	if have == it.Size { // dd cuts at whole MiB only
		have -= have % mib
	}
	if _, err := src.Seek(have, io.SeekStart); err != nil {
		return &Error{Host: u.conn.target.Name, Op: op, Kind: KindInternal, Err: localError{err}}
	}
	u.count(func(s *UploadStats) { s.Reused += have })
	it.advance(have)
	var sent atomic.Int64
	in := &meteredReader{ctx: ctx, r: io.LimitReader(src, it.Size-have), limits: u.limits(it), read: func(n int) {
		sent.Add(int64(n))
		it.advance(int64(n))
	}}
	script := fmt.Sprintf(catScript, Quote(it.part), Quote(it.Path), it.SHA256, have/mib, it.Size, it.Mode)
	r, err := u.runHeld(ctx, script, in)
	u.count(func(s *UploadStats) { s.Bytes += sent.Load() })
	if err != nil {
		return err
	}
	return u.catOutcome(ctx, it, r)
}

// catOutcome reads the exit status of catScript.
func (u *upload) catOutcome(ctx context.Context, it *item, r Result) error {
	said := SanitizeLine(strings.TrimSpace(string(r.Stderr)), 400)
	e := &Error{Host: u.conn.target.Name, Op: "upload " + it.Path, Kind: KindRemoteCommand}
	switch {
	case r.ExitStatus == 0:
		return nil
	case r.ExitStatus == 9:
		if _, err := u.runHeld(ctx, "rm -f "+Quote(it.part), nil); err != nil {
			return err
		}
		return u.digestError(ctx, it, strings.TrimSpace(string(r.Stdout)))
	case r.ExitStatus == 8:
		if local, err := it.localDigest(ctx); err != nil || local != it.SHA256 {
			return u.digestError(ctx, it, strings.TrimSpace(string(r.Stdout)))
		}
		e.Kind, e.Err = KindUnreachable, errors.New("the host did not receive all of it")
	case strings.Contains(said, "No space left"), strings.Contains(said, "quota exceeded"), diskFull(string(r.Stderr)):
		e.Kind, e.Err = KindSpace, &SpaceError{Path: path.Dir(it.Path)}
	case strings.Contains(said, "Permission denied"):
		e.Err = fmt.Errorf("%w: %s", fs.ErrPermission, said)
	default:
		e.Err = fmt.Errorf("exit status %d: %s", r.ExitStatus, said)
	}
	return e
}

// diskFull reads the answer of df -Pk: the fourth column of the last line is
// what is free, in KiB.
func diskFull(s string) bool {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	f := strings.Fields(lines[len(lines)-1])
	return len(f) >= 6 && f[3] == "0"
}
