package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"time"
)

// defaultDir is the working directory on hosts.
const defaultDir = "/var/lib/cpacman"

// SessionOptions of NewSession.
type SessionOptions struct {
	Host string // for messages and facts
	Sudo bool   // the login account is not root: work through sudo, upload to a drop directory
	Dir  string // working directory on the host, root's alone; "" is /var/lib/cpacman
	Drop string // upload directory of an account without root's rights; "": ~/.cpacman-drop, else /var/tmp/cpacman-UID
	// Owner is whom uploads belong to; what one has sent, or counts on, nobody else removes. The same ID goes on with what it sent before.
	// The zero value is an owner like any other.
	Owner Owner
	// Keep is how long a package stays in the host's spool after the last transaction or upload that counted on it: Stage removes older ones
	// (PUSH-8). 0: until Clean.
	Keep time.Duration

	Random io.Reader        // of the marks; nil: crypto/rand
	Now    func() time.Time // nil: time.Now
}

// Session is work on one host over one connection. It is not for several goroutines at once. After the connection broke, make
// another Session: all that matters is on the host.
type Session struct {
	c    Conn
	opt  SessionOptions
	drop string // where uploads go, once known
	// dropFree is the free space there in bytes when it is another directory than the spool's.
	owner  *Owner // of the host lock, when held
	orders map[string]bool
}

// NewSession makes a Session; nothing is sent yet.
func NewSession(c Conn, opt SessionOptions) *Session {
	if opt.Dir == "" {
		opt.Dir = defaultDir
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	return &Session{c: c, opt: opt, orders: map[string]bool{}}
}

// call runs a program with root's rights, the working directory as its first argument.
func (s *Session) call(ctx context.Context, op string, names []string, args ...string) (*answer, error) {
	if err := checkDir(s.opt.Dir); err != nil {
		return nil, fmt.Errorf("host %s: %s: %w", s.opt.Host, op, err)
	}
	a, err := do(ctx, s.c, call{op: op, program: program(append([]string{"guard"}, names...)...), sudo: s.opt.Sudo,
		random: s.opt.Random, args: append([]string{s.opt.Dir}, args...)})
	if err != nil {
		return a, fmt.Errorf("host %s: %w", s.opt.Host, err)
	}
	return a, nil
}

// checkDir takes absolute clean paths of harmless characters, below at least one directory.
func checkDir(dir string) error {
	if !words(dir, "/._-+") || !path.IsAbs(dir) || path.Clean(dir) != dir || dir == "/" {
		return fmt.Errorf("directory %q is no absolute path of letters, digits and ._-+", dir)
	}
	return nil
}

// sender names the directory of the owner's uploads: by its ID where that can be a name.
func (s *Session) sender() string { return senderName(s.opt.Owner.ID) }

// senderName is the directory's name of an owner.
func senderName(id string) string {
	switch name := hostID(id); {
	case name == "":
		return "nobody"
	case len(name) <= 200 && words(name, "._-@") && name[0] != '.' && name[0] != '-':
		return name
	default:
		return "id-" + digestOf([]byte(name))[:32]
	}
}

// senderWords tells people whose uploads they are.
func (s *Session) senderWords() string {
	if s.opt.Owner.ID == "" {
		return "nobody"
	}
	return oneLine(s.opt.Owner.String())
}

// uploadDir returns where files are to be uploaded.
func (s *Session) uploadDir(ctx context.Context) (dir string, free int64, err error) {
	if !s.opt.Sudo {
		return s.opt.Dir + "/in/" + s.sender(), -1, nil
	}
	a, err := do(ctx, s.c, call{op: "make the upload directory", program: program("drop"), args: []string{s.opt.Drop, s.sender()}, random: s.opt.Random})
	if err != nil {
		return "", 0, fmt.Errorf("host %s: %w", s.opt.Host, err)
	}
	d := a.get("drop")
	if !path.IsAbs(d) || len(d) > 1000 || strings.ContainsFunc(d, func(r rune) bool { return r < ' ' }) {
		return "", 0, fmt.Errorf("host %s: make the upload directory: %w: %q", s.opt.Host, ErrProtocol, bounded(d, 200))
	}
	s.drop = d
	return d, freeBytes(a.get("free")), nil
}

// freeBytes reads "BLOCKS SIZE"; -1 when it is not known.
func freeBytes(s string) int64 {
	w := strings.Fields(s)
	if len(w) < 2 {
		return -1
	}
	blocks, err1 := strconv.ParseInt(w[0], 10, 64)
	size, err2 := strconv.ParseInt(w[1], 10, 64)
	if errors.Join(err1, err2) != nil || blocks < 0 || size <= 0 || blocks > 1<<62/size {
		return -1
	}
	return blocks * size
}

// hostTime reads seconds since 1970; the zero time when there are none.
func hostTime(s string) time.Time {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 {
		return time.Time{}
	}
	return time.Unix(n, 0).UTC()
}
