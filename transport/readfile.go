package transport

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
)

// readScript tells "not there" from "not readable" by its exit status.
const readScript = `f=%s; [ -e "$f" ] || exit 44; [ -f "$f" ] || exit 45; head -c %s <"$f"`

// ReadFile reads a regular file of at most max bytes (0: 64 MiB) as the login
// account. A file that is longer is an error of KindRemoteCommand; one that is
// absent satisfies errors.Is(err, fs.ErrNotExist).
func (c *Conn) ReadFile(ctx context.Context, path string, max int64) ([]byte, error) {
	max = orDefault(max, DefaultMaxStdout)
	op := "read " + path
	r, err := c.Run(ctx, Command{
		Script:    fmt.Sprintf(readScript, Quote(path), strconv.FormatInt(max+1, 10)),
		MaxStdout: max,
	})
	switch {
	case err != nil:
		return nil, err
	case r.ExitStatus == 44:
		err = fs.ErrNotExist
	case r.ExitStatus == 45:
		err = errors.New("not a regular file")
	case r.StdoutTruncated:
		err = fmt.Errorf("longer than %d bytes", max)
	case r.ExitStatus != 0:
		err = fmt.Errorf("exit status %d: %s", r.ExitStatus, SanitizeLine(string(r.Stderr), 300))
	default:
		return r.Stdout, nil
	}
	return nil, c.fail(ctx, op, KindRemoteCommand, err)
}
