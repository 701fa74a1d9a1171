package planner

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
)

// pieceSize is about how long the pieces of a text are: enough that handing one over costs nothing, and short enough to stay in a processor's cache.
const pieceSize = 256 << 10

// maxPieces is how many pieces wait at most until they are summed.
const maxPieces = 8

// following gives on a text while it is made, piece by piece, and sums it beside that. It is for one goroutine.
type following struct {
	full, free chan []byte
	made       int // pieces
	hash       hash.Hash
	to         io.Writer // may be nil
	err        error     // of to, the first
	end        chan struct{}
}

func follow(to io.Writer) *following {
	f := &following{full: make(chan []byte, maxPieces), free: make(chan []byte, maxPieces), made: 1, hash: sha256.New(), to: to, end: make(chan struct{})}
	go func() {
		defer close(f.end)
		for piece := range f.full {
			f.hash.Write(piece)
			f.free <- piece[:0]
		}
	}()
	return f
}

// next takes a piece, and gives the place for another.
func (f *following) next(piece []byte) []byte {
	f.full <- piece
	if f.to != nil && f.err == nil {
		_, f.err = f.to.Write(piece)
	}
	if f.made < maxPieces {
		select {
		case empty := <-f.free:
			return empty
		default:
			f.made++
			return make([]byte, 0, cap(piece))
		}
	}
	return <-f.free
}

// sum waits until all pieces are summed, and is the digest of them and of what stands behind them. The error is that of giving them on.
func (f *following) sum(rest []byte) (string, error) {
	close(f.full)
	<-f.end
	f.hash.Write(rest)
	return hex.EncodeToString(f.hash.Sum(nil)), f.err
}

// keyOfID stands once in the text of a plan: a line of a value never begins there, and no other object has its keys two spaces deep.
const keyOfID = "\n  \"id\": \""

// How canonical writes a plan without hosts, or without sets: the only places at that depth with those keys.
const (
	noHosts    = "\n  \"hosts\": []"
	noPackages = "\n  \"packages\": []"
	noSets     = "\n  \"sets\": []"
)

// written gives p as the function canonical writes it: what stands before the value of its id goes piece by piece to next, which gives the place for
// another, and the rest is returned. A large fleet has many hosts and little else but sets and packages, so those are written by textWriter, which takes a
// tenth of the time; a test holds the two together.
func (p *Plan) written(next func(piece []byte) []byte) (rest []byte, err error) {
	c := *p
	if len(p.Hosts) > 0 {
		c.Hosts = []PlanHost{}
	}
	if len(p.Packages) > 0 {
		c.Packages = []PlanPackage{}
	}
	if len(p.Sets) > 0 {
		c.Sets = []Set{}
	}
	frame, err := canonical(&c)
	if err != nil {
		return nil, err
	}
	head, frame, _ := bytes.Cut(frame, []byte(keyOfID))
	w := newWriter(make([]byte, 0, min(len(head)+1024*len(p.Hosts), pieceSize*5/4)))
	if len(p.Hosts) > 0 {
		var before []byte
		before, head, _ = bytes.Cut(head, []byte(noHosts))
		w.out = append(append(w.out, before...), noHosts[:len(noHosts)-1]...)
		for i := range p.Hosts {
			if len(w.out) >= pieceSize {
				w.out = next(w.out)
			}
			w.comma(i)
			w.host(&p.Hosts[i])
		}
		w.out = append(w.out, "\n  ]"...)
	}
	next(append(append(w.out, head...), keyOfID...))
	w.out = make([]byte, 0, len(frame)+p.guess())
	// A line of a text never begins in a value: the last one is the key.
	upTo := func(empty string) {
		at := bytes.LastIndex(frame, []byte(empty))
		w.out = append(append(w.out, frame[:at]...), empty[:len(empty)-1]...)
		frame = frame[at+len(empty):]
	}
	if len(p.Packages) > 0 {
		upTo(noPackages)
		for i := range p.Packages {
			w.comma(i)
			w.pkg(&p.Packages[i])
		}
		w.out = append(w.out, "\n  ]"...)
	}
	if len(p.Sets) > 0 {
		upTo(noSets)
		for i := range p.Sets {
			w.comma(i)
			w.out = append(w.out, "\n    "...)
			w.set("    ", &p.Sets[i])
		}
		w.out = append(w.out, "\n  ]"...)
	}
	w.out = append(w.out, frame...)
	return w.out, w.err
}

// comma stands between the entries of a list.
func (w *textWriter) comma(i int) {
	if i > 0 {
		w.out = append(w.out, ',')
	}
}

// guess is about what packages and sets take, from above: text that has to move while it grows costs time.
func (p *Plan) guess() int {
	n := 700 * len(p.Packages)
	for i := range p.Sets {
		s := &p.Sets[i]
		n += 300 + 200*(len(s.Install)+len(s.Upgrade)+len(s.Downgrade)+len(s.Remove)+len(s.Held)+len(s.Blocked))
	}
	return n
}
