package host

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"embed"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"cpacman/transport"
)

// Conn is a connection to one host; *transport.Conn is one. Run runs /bin/sh with a program of this package; Upload puts files
// where the login account may write. Calls come one after another.
type Conn interface {
	Run(ctx context.Context, cmd transport.Command) (transport.Result, error)
	Upload(ctx context.Context, files []transport.Upload) (transport.UploadStats, error)
}

//go:embed scripts/*.sh
var scripts embed.FS

const (
	maxAnswer = 32 << 20         // bytes of stdout, unpacked; a listing of 10,000 packages has 3 MB. Reading one takes some times as much
	maxBlobs  = 96 << 20         // bytes of headers of a batch
	maxStderr = 256 << 10        // bytes
	callLimit = 30 * time.Minute // no call may hang for ever; tests of huge sets take minutes on slow disks
)

// programs are those that were made, by the names of their files: each is asked for by every host.
var programs sync.Map

// program joins embedded files into one sh program; it panics on a wrong name, which tests would show.
func program(names ...string) string {
	key := strings.Join(names, " ")
	if made, ok := programs.Load(key); ok {
		return made.(string) //nolint:errcheck // there is nothing else in it
	}
	text := join(names)
	programs.Store(key, text)
	return text
}

func join(names []string) string {
	var b strings.Builder
	for _, n := range append([]string{"prelude"}, names...) {
		text, err := scripts.ReadFile("scripts/" + n + ".sh")
		if err != nil {
			panic(err)
		}
		b.Write(text)
	}
	return compact(b.String())
}

// compact drops comment lines and indentation: the program travels with each call. A line inside quotes must therefore not
// begin with '#' or tabs; a test compares what both forms do.
func compact(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		t := strings.TrimLeft(line, "\t")
		if t != "\n" && !strings.HasPrefix(t, "#") {
			b.WriteString(t)
		}
	}
	return b.String()
}

// call is one program run on the host.
type call struct {
	op       string // for messages: "query facts"
	program  string
	args     []string
	sudo     bool
	random   io.Reader // nil: crypto/rand
	timeout  time.Duration
	limit    int    // bytes of the answer; 0: maxAnswer
	answered func() // called between the answer and its reading; may wait; may be nil
}

// command is what is sent: /bin/sh -c PROGRAM cpacman MARK ARGS…
func (k call) command(mark string) transport.Command {
	argv := append([]string{"/bin/sh", "-c", k.program, "cpacman", mark}, k.args...)
	t := k.timeout
	if t == 0 {
		t = callLimit
	}
	return transport.Command{Argv: argv, Sudo: k.sudo, MaxStdout: int64(k.most()), MaxStderr: maxStderr, Timeout: t}
}

// most is how long the answer may be, in bytes.
func (k call) most() int {
	if k.limit > 0 {
		return k.limit
	}
	return maxAnswer
}

// answer is what a program printed with its mark.
type answer struct {
	mark   string
	lines  [][2]string // word and rest
	stdout []byte
	stderr []byte
}

// do runs the program, and returns its answer when it ended as it should: with the line "end" last.
func do(ctx context.Context, c Conn, k call) (*answer, error) {
	random := k.random
	if random == nil {
		random = rand.Reader
	}
	var b [8]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return nil, fmt.Errorf("%s: random mark: %w", k.op, err)
	}
	mark := hex.EncodeToString(b[:])
	r, err := c.Run(ctx, k.command(mark))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k.op, err)
	}
	if k.answered != nil {
		k.answered()
	}
	out, err := unpack(mark, r.Stdout, k.most())
	if err != nil && r.OK() { // else how it ended says more
		return nil, fmt.Errorf("%s: %w", k.op, err)
	}
	a := parseAnswer(mark, out)
	a.stderr = r.Stderr
	if f, ok := a.last("fail"); ok {
		code, text, _ := strings.Cut(f, " ")
		return a, &RemoteError{Op: k.op, Code: code, Text: bounded(text, 2000), Status: r.ExitStatus}
	}
	switch {
	case r.StdoutTruncated:
		return a, fmt.Errorf("%s: %w: more than %d bytes", k.op, ErrProtocol, k.most())
	case r.Signal != "" || r.ExitStatus != 0:
		return a, &RemoteError{Op: k.op, Text: bounded(strings.TrimSpace(string(r.Stderr)), 2000), Status: r.ExitStatus}
	}
	if n := len(a.lines); n == 0 || a.lines[n-1][0] != "end" {
		return a, fmt.Errorf("%s: %w: no end line", k.op, ErrProtocol)
	}
	return a, nil
}

// unpack returns the answer, of at most that many bytes, of a program that packs it: what follows the line "packed" is one gzip stream (RFC 1952). Other answers are
// returned as they are.
func unpack(mark string, out []byte, most int) ([]byte, error) {
	_, packed, found := bytes.Cut(out, []byte("@"+mark+" packed\n"))
	if !found {
		return out, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("%w: the packed answer does not begin: %w", ErrProtocol, err)
	}
	z.Multistream(false)
	plain, err := io.ReadAll(io.LimitReader(z, int64(most)+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: the packed answer does not end: %w", ErrProtocol, err)
	case len(plain) > most:
		return nil, fmt.Errorf("%w: the answer has more than %d bytes", ErrProtocol, most)
	}
	return plain, nil
}

// parseAnswer keeps the lines with the mark.
func parseAnswer(mark string, out []byte) *answer {
	a := &answer{mark: mark, stdout: out}
	head := []byte("@" + mark + " ")
	for line := range bytes.Lines(out) {
		rest, ok := bytes.CutPrefix(bytes.TrimSuffix(line, []byte("\n")), head)
		if !ok {
			continue
		}
		word, value, _ := strings.Cut(string(rest), " ")
		if w, _, tab := strings.Cut(word, "\t"); tab { // rpm's own lines are divided by tabs
			word, value = w, strings.TrimPrefix(string(rest), w+"\t")
		}
		a.lines = append(a.lines, [2]string{word, value})
	}
	return a
}

// last returns the last value of a word.
func (a *answer) last(word string) (string, bool) {
	for i := len(a.lines) - 1; i >= 0; i-- {
		if a.lines[i][0] == word {
			return strings.TrimRight(a.lines[i][1], " "), true
		}
	}
	return "", false
}

// get is last without the difference between empty and absent.
func (a *answer) get(word string) string { s, _ := a.last(word); return s }

// all returns the values of a word in order.
func (a *answer) all(word string) []string {
	var out []string
	for _, l := range a.lines {
		if l[0] == word {
			out = append(out, l[1])
		}
	}
	return out
}

// bounded cuts text to n bytes.
func bounded(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}
