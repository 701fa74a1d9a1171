package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"
)

// followFrom is the size, in bytes, from which a file is hashed on the host
// while it is still being written.
const followFrom = 16 * mib

// verifyBatch is how many small files one digest command takes.
const verifyBatch = 64

// verify goes through the files in the order in which they are written, compares
// digests and gives the files their final names. It uses the connection's sixth
// channel, which the upload holds a permit for.
func (u *upload) verify(ctx context.Context, cl *sftpChannel) error {
	for i := 0; i < len(u.items); {
		it := u.items[i]
		if it.Size >= followFrom && !u.noExec {
			got, err := u.follow(ctx, it)
			if err != nil {
				return err
			}
			if err := u.accept(ctx, cl, it, got); err != nil {
				return err
			}
			i++
			continue
		}
		batch := u.items[i:]
		for n, it := range batch {
			if n == verifyBatch || it.Size >= followFrom && !u.noExec {
				batch = batch[:n]
				break
			}
		}
		if err := u.verifySmall(ctx, cl, batch); err != nil {
			return err
		}
		i += len(batch)
	}
	return nil
}

// verifySmall waits for some files and hashes them in one command.
func (u *upload) verifySmall(ctx context.Context, cl *sftpChannel, batch []*item) error {
	for _, it := range batch {
		select {
		case <-it.written:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	// Each rename is a round trip: many at once.
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(16)
	if u.noExec {
		for _, it := range batch {
			g.Go(func() error {
				got, err := readBack(gctx, cl, it)
				if err != nil {
					return fmt.Errorf("read %s back: %w", it.part, err)
				}
				return u.accept(gctx, cl, it, got)
			})
		}
		return g.Wait()
	}
	var script strings.Builder
	script.WriteString(digestFunctions)
	for _, it := range batch {
		fmt.Fprintf(&script, "b <%s | cut -d' ' -f1\n", Quote(it.part))
	}
	r, err := u.runHeld(ctx, script.String(), nil)
	if err != nil {
		return err
	}
	got := strings.Split(string(r.Stdout), "\n")
	if len(got) < len(batch) {
		return fmt.Errorf("the host gave %d digests of %d: %s", len(got), len(batch), SanitizeLine(string(r.Stderr), 300))
	}
	for i, it := range batch {
		g.Go(func() error { return u.accept(gctx, cl, it, got[i]) })
	}
	return g.Wait()
}

// runHeld is Run on the permit that the upload holds; one at a time.
func (u *upload) runHeld(ctx context.Context, script string, stdin io.Reader) (Result, error) {
	cmd := Command{Script: script}
	if stdin != nil {
		cmd.Stdin = []byte{} // so that the program does not close it
	}
	e, err := u.conn.prepare(cmd)
	if err != nil {
		return Result{}, err
	}
	e.held = true
	if stdin != nil {
		e.stdin = stdin
	}
	u.lastCommandGone()
	defer func() { u.command = e.channel }()
	return e.run(ctx)
}

// lastCommandGone waits until the server has closed the channel of the last
// runHeld, which is when the permit is free for another.
func (u *upload) lastCommandGone() {
	if u.command != nil {
		u.command.awaitGone()
	}
}

// accept compares and renames.
func (u *upload) accept(ctx context.Context, cl *sftpChannel, it *item, got string) error {
	if got != it.SHA256 {
		cl.Remove(it.part) //nolint:errcheck // the digest is the news
		return u.digestError(ctx, it, got)
	}
	if _, ok := cl.HasExtension("posix-rename@openssh.com"); ok {
		if err := cl.PosixRename(it.part, it.Path); err != nil {
			return fmt.Errorf("rename to %s: %w", it.Path, err)
		}
		return nil
	}
	// Not atomic, but the only way where rename refuses to replace.
	if err := cl.Rename(it.part, it.Path); err == nil {
		return nil
	}
	cl.Remove(it.Path) //nolint:errcheck // the rename tells
	if err := cl.Rename(it.part, it.Path); err != nil {
		return fmt.Errorf("rename to %s: %w", it.Path, err)
	}
	return nil
}

// followScript hashes a file while it grows: each line of input says which MiB
// are there now. The digest is that of all of them in order.
const followScript = digestFunctions + `
f=%s
while read -r s n; do dd if="$f" bs=1048576 skip="$s" count="$n" 2>/dev/null || exit 1; done | d | cut -d' ' -f1
`

// follow hashes a large file on the host behind the writers, so that the digest
// is there soon after the last byte.
func (u *upload) follow(ctx context.Context, it *item) (string, error) {
	fctx, cancel := context.WithCancel(ctx)
	defer cancel()
	feed := &growth{ctx: fctx, it: it}
	r, err := u.runHeld(fctx, fmt.Sprintf(followScript, Quote(it.part)), feed)
	if err != nil {
		return "", err
	}
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	select { // the digest must be of what was synced
	case <-it.written:
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	got := strings.TrimSpace(string(r.Stdout))
	if got == "" {
		return "", errors.New("the host computed no digest: " + SanitizeLine(string(r.Stderr), 300))
	}
	return got, nil
}

// growth is the standard input of followScript: it blocks until more of the file
// is there.
type growth struct {
	ctx  context.Context
	it   *item
	told int64 // bytes, a multiple of mib or the whole size
	line []byte
}

// followStep is the least growth worth a line, in bytes.
const followStep = 4 * mib

func (g *growth) Read(p []byte) (int, error) {
	for len(g.line) == 0 {
		if g.told >= g.it.Size {
			return 0, io.EOF
		}
		there, moved := g.it.contiguous()
		if there == g.it.Size || there-g.told >= followStep {
			if there < g.it.Size {
				there -= there % mib
			}
			blocks := (there - g.told + mib - 1) / mib
			g.line = strconv.AppendInt(g.line, g.told/mib, 10)
			g.line = append(g.line, ' ')
			g.line = strconv.AppendInt(g.line, blocks, 10)
			g.line = append(g.line, '\n')
			g.told = there
			break
		}
		select {
		case <-moved:
		case <-g.ctx.Done():
			return 0, io.EOF
		}
	}
	n := copy(p, g.line)
	g.line = g.line[n:]
	return n, nil
}
