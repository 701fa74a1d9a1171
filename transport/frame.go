package transport

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
)

// marks are the random strings around a command's output. In the command line
// they stand in two halves, so that a command that prints its own command line
// (ps, set -x) does not end itself.
type marks struct {
	left, right string // 12 hex digits each
}

func newMarks(random io.Reader) (marks, error) {
	var b [12]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return marks{}, fmt.Errorf("random numbers: %w", err)
	}
	h := hex.EncodeToString(b[:])
	return marks{left: h[:12], right: h[12:]}, nil
}

// On the wire: begin is left-right<, end is left-right>STATUS; and ask is
// left-right?, which is sent when sudo wants the password.
func (m marks) begin() []byte { return []byte(m.left + "-" + m.right + "<") }
func (m marks) end() []byte   { return []byte(m.left + "-" + m.right + ">") }
func (m marks) ask() []byte   { return []byte(m.left + "-" + m.right + "?") }

// print is the sh code that prints a mark; tail is '<', '>%d;' or '?'.
func (m marks) print(tail, arg string) string {
	s := "printf '%s-%s" + tail + "' " + m.left + " " + m.right
	if arg != "" {
		s += " " + arg
	}
	return s
}

const (
	maxNoise  = 16 << 10 // bytes kept of what stands before the begin mark
	maxStatus = 12       // digits accepted as an exit status
)

// frame reads one output stream and keeps what stands between the marks. It
// buffers at most max bytes of it and goes on reading past that, so that the end
// mark is found however much was printed. One goroutine writes.
type frame struct {
	m              marks
	max            int64
	onAsk, onBegin func() // called at most once, from Write

	state     frameState
	pending   []byte // not yet decided: may be the start of a mark
	noise     bytes.Buffer
	out       bytes.Buffer
	truncated bool
	status    int
	ended     chan struct{} // closed at the end mark
}

type frameState int

const (
	frameBefore frameState = iota
	frameInside
	frameStatus
	frameAfter
)

func newFrame(m marks, max int64, onAsk func()) *frame {
	return &frame{m: m, max: max, onAsk: onAsk, ended: make(chan struct{})}
}

// Write never fails: output that is too long is dropped, not an error.
func (f *frame) Write(p []byte) (int, error) {
	n := len(p)
	if f.state == frameAfter {
		return n, nil
	}
	f.pending = append(f.pending, p...)
	for f.step() {
	}
	return n, nil
}

// step consumes what it can of pending and reports whether to go on.
func (f *frame) step() bool {
	switch f.state {
	case frameBefore:
		if f.onAsk != nil {
			if i := bytes.Index(f.pending, f.m.ask()); i >= 0 {
				f.keepNoise(f.pending[:i])
				f.drop(i + len(f.m.ask()))
				ask := f.onAsk
				f.onAsk = nil
				ask()
				return true
			}
		}
		i := bytes.Index(f.pending, f.m.begin())
		if i < 0 {
			rest := f.holdBack(len(f.m.begin()))
			f.keepNoise(f.pending[:rest])
			f.drop(rest)
			return false
		}
		f.keepNoise(f.pending[:i])
		f.drop(i + len(f.m.begin()))
		f.state = frameInside
		if f.onBegin != nil {
			f.onBegin()
		}
		return true
	case frameInside:
		i := bytes.Index(f.pending, f.m.end())
		if i < 0 {
			rest := f.holdBack(len(f.m.end()))
			f.keep(f.pending[:rest])
			f.drop(rest)
			return false
		}
		f.keep(f.pending[:i])
		f.drop(i + len(f.m.end()))
		f.state = frameStatus
		return true
	case frameStatus:
		return f.readStatus()
	}
	f.pending = nil
	return false
}

// readStatus reads "0;". Anything else is the host playing tricks: the frame is
// then never complete.
func (f *frame) readStatus() bool {
	i := bytes.IndexByte(f.pending, ';')
	if i < 0 && len(f.pending) <= maxStatus {
		return false
	}
	if i >= 0 && i <= maxStatus {
		if n, err := strconv.ParseUint(string(f.pending[:i]), 10, 16); err == nil {
			f.status = int(n)
			close(f.ended)
		}
	}
	f.state = frameAfter
	return true
}

// holdBack is how much of pending cannot be the start of a mark of n bytes.
func (f *frame) holdBack(n int) int { return max(0, len(f.pending)-(n-1)) }

func (f *frame) drop(n int) { f.pending = f.pending[:copy(f.pending, f.pending[n:])] }

func (f *frame) keepNoise(p []byte) {
	if room := maxNoise - f.noise.Len(); room > 0 {
		f.noise.Write(p[:min(room, len(p))])
	}
}

func (f *frame) keep(p []byte) {
	room := f.max - int64(f.out.Len())
	if int64(len(p)) > room {
		f.truncated = true
		p = p[:max(0, room)]
	}
	f.out.Write(p)
}

// finish is called when the stream is over: what was held back belongs to the
// output after all.
func (f *frame) finish() {
	switch f.state {
	case frameBefore:
		f.keepNoise(f.pending)
	case frameInside:
		f.keep(f.pending)
	}
	f.pending = nil
}

func (f *frame) begun() bool    { return f.state != frameBefore }
func (f *frame) complete() bool { return isClosed(f.ended) }

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
