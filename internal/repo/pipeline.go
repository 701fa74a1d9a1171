package repo

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
)

// Sizes of the scanner's windows, in bytes. A window grows until it holds a whole package or notice; one that does not fit into
// maxWindow is left to encoding/xml.
const (
	firstWindow = 1 << 20
	maxWindow   = 32 << 20
	scanWorkers = 2
)

// maxToken bounds, in bytes, one piece of XML (text, tag, comment, or one advisory), which is in memory as a whole.
const maxToken = 32 << 20

// chunkSink is an xmlSink that gives what it gathered since the last take.
type chunkSink[R any] interface {
	xmlSink
	take() R
}

// metaReader reads one metadata file whose root element holds elements of one name: primary, filelists or updateinfo.
type metaReader[R any] struct {
	root   string              // local name of the root element
	item   string              // name of the elements that it holds
	sink   func() chunkSink[R] // a fresh sink; each is used by one goroutine
	merge  func(R)             // takes results in the order of the file
	window int                 // firstWindow, smaller in tests
	open   func() (*metaStream, error)
	slow   func(io.Reader) (declared int, err error) // reads what the scanner is not sure of; nil: readXML
}

// read tries the scanner, and encoding/xml where the scanner is not sure. reset undoes what merge took when it starts again.
// It returns the number of packages that the root element declares, -1 if it does not.
func (m *metaReader[R]) read(ctx context.Context, reset func()) (int, error) {
	in, err := m.open()
	if err != nil {
		return -1, err
	}
	declared, sure, err := m.scanAll(ctx, in)
	if err != nil || sure {
		return declared, in.finish(err)
	}
	in.close()
	reset()
	if in, err = m.open(); err != nil {
		return -1, err
	}
	if m.slow == nil {
		m.slow = m.readXML
	}
	declared, err = m.slow(in)
	return declared, in.finish(err)
}

// readXML reads with encoding/xml.
func (m *metaReader[R]) readXML(r io.Reader) (declared int, err error) {
	sink := &pieceSink[R]{chunkSink: m.sink(), merge: m.merge}
	declared, err = readXML(r, m.root, sink)
	m.merge(sink.take())
	return declared, err
}

// pieceItems is how many elements below the root are gathered before they are merged: about as many as a window holds.
const pieceItems = 512

// pieceSink merges what it gathers piece by piece, so that it does not have all of a file at once.
type pieceSink[R any] struct {
	chunkSink[R]
	merge        func(R)
	depth, items int
}

func (s *pieceSink[R]) start(name []byte, attrs []xmlAttr) bool {
	s.depth++
	return s.chunkSink.start(name, attrs)
}

func (s *pieceSink[R]) end() {
	s.chunkSink.end()
	if s.depth--; s.depth > 0 {
		return
	}
	if s.items++; s.items%pieceItems == 0 && s.err() == nil {
		s.merge(s.take())
	}
}

// scanJob is one window on its way through a worker.
type scanJob[R any] struct {
	data []byte
	done chan R // closed without a value when the scanner was not sure
}

// scanAll runs the scanner over the stream with scanWorkers workers. An error is one of reading.
func (m *metaReader[R]) scanAll(ctx context.Context, r io.Reader) (declared int, sure bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	w := &windower{r: r, size: m.window, itemEnd: []byte("</" + m.item + ">"), free: make(chan []byte, scanWorkers+2)}
	declared, sure, err = w.prolog(m.root)
	if err != nil || !sure {
		cancel()
		return declared, false, err
	}
	jobs := make(chan *scanJob[R], 1)
	order := make(chan *scanJob[R], scanWorkers)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(jobs)
		defer close(order)
		sure, err = m.produce(ctx, w, jobs, order)
	})
	for range scanWorkers {
		wg.Go(func() { scanChunks(jobs, w.free, m.sink()) })
	}
	fast := true
	for j := range order {
		res, ok := <-j.done
		if !ok {
			fast = false
			cancel()
		}
		if fast {
			m.merge(res)
		}
	}
	wg.Wait()
	cancel()
	if !fast {
		return declared, false, nil
	}
	return declared, sure, err
}

// produce cuts windows and hands them out until the stream ends, the context ends, or the windower is not sure.
func (m *metaReader[R]) produce(ctx context.Context, w *windower, jobs, order chan<- *scanJob[R]) (bool, error) {
	for {
		data, last, sure, err := w.next()
		if err != nil || !sure {
			return false, err
		}
		if len(data) > 0 {
			j := &scanJob[R]{data: data, done: make(chan R, 1)}
			select {
			case <-ctx.Done():
				return false, nil
			case order <- j:
				jobs <- j
			}
		}
		if last {
			return true, nil
		}
	}
}

// scanChunks is a worker: it empties jobs, also those whose results nobody takes any more.
func scanChunks[R any](jobs <-chan *scanJob[R], free chan<- []byte, sink chunkSink[R]) {
	s := &scanner{}
	sure := true
	for j := range jobs {
		if sure = sure && s.scan(j.data, sink); sure {
			j.done <- sink.take()
		}
		close(j.done)
		select {
		case free <- j.data[:0]:
		default:
		}
	}
}

// windower cuts a stream into windows that end with an element below the root.
type windower struct {
	r       io.Reader
	itemEnd []byte // the end tag of these elements
	size    int
	pending []byte // read, not yet handed out
	eof     bool
	raw     string // the root element's name with its prefix
	closed  bool   // the root element was empty
	free    chan []byte
}

// fill reads until pending has size bytes or the stream ends.
func (w *windower) fill(size int) error {
	for len(w.pending) < size && !w.eof {
		if cap(w.pending) < size {
			w.pending = append(make([]byte, 0, size), w.pending...)
		}
		n, err := w.r.Read(w.pending[len(w.pending):size])
		w.pending = w.pending[:len(w.pending)+n]
		if err == io.EOF {
			w.eof = true
		} else if err != nil {
			return err
		}
	}
	return nil
}

// prolog reads the XML declaration and the root element's tag.
func (w *windower) prolog(root string) (declared int, sure bool, err error) {
	if err := w.fill(w.size); err != nil {
		return -1, false, err
	}
	b := bytes.TrimPrefix(w.pending, []byte(byteOrderMark))
	if bytes.HasPrefix(b, []byte("<?xml ")) {
		end := bytes.Index(b, []byte("?>"))
		if end < 0 || !plainDeclaration(b[:end+2]) {
			return -1, false, nil
		}
		b = b[end+2:]
	}
	b = bytes.TrimLeft(b, " \n\t")
	gt := bytes.IndexByte(b, '>')
	if gt < 0 || b[0] != '<' || !isPlain(b[:gt+1]) {
		return -1, false, nil
	}
	top := &rootSink{declared: -1}
	n, raw, empty, _ := (&scanner{}).openTag(b[1:gt+1], top)
	if n == 0 || top.name != root {
		return -1, false, nil
	}
	w.raw, w.closed = string(raw), empty
	w.pending = append(make([]byte, 0, w.size), b[gt+1:]...)
	return top.declared, true, nil
}

// plainDeclaration tells the forms of <?xml …?> that mean XML 1.0 in UTF-8, or in ASCII, which is UTF-8 too.
func plainDeclaration(b []byte) bool {
	switch strings.NewReplacer(" ", "", "'", `"`).Replace(strings.ToLower(string(b))) {
	case `<?xmlversion="1.0"?>`, `<?xmlversion="1.0"encoding="utf-8"?>`, `<?xmlversion="1.0"encoding="us-ascii"?>`:
		return true
	}
	return false
}

// next returns the next window, and whether it is the last.
func (w *windower) next() (data []byte, last, sure bool, err error) {
	for size := w.size; ; size *= 2 {
		if err := w.fill(size); err != nil {
			return nil, false, false, err
		}
		cut := bytes.LastIndex(w.pending, w.itemEnd)
		if cut < 0 && !w.eof {
			if size > maxWindow {
				return nil, false, false, nil
			}
			continue
		}
		if cut >= 0 {
			cut += len(w.itemEnd)
		} else {
			cut = 0
		}
		if w.eof {
			return w.pending[:cut], true, w.isTail(w.pending[cut:]), nil
		}
		data = w.pending[:cut]
		var buf []byte
		select {
		case buf = <-w.free:
		default:
			buf = make([]byte, 0, len(w.pending))
		}
		w.pending = append(buf, w.pending[cut:]...)
		return data, false, true, nil
	}
}

// isTail tells the end of the file: the root element's end tag between white space.
func (w *windower) isTail(b []byte) bool {
	b = bytes.Trim(b, " \n\t")
	if w.closed {
		return len(b) == 0
	}
	return string(b) == "</"+w.raw+">"
}

// rootSink takes the root element.
type rootSink struct {
	name     string
	declared int
}

func (s *rootSink) start(name []byte, attrs []xmlAttr) bool {
	s.name = string(name)
	s.declared = declaredPackages(attrs)
	return false
}
func (s *rootSink) text([]byte) {}
func (s *rootSink) end()        {}
func (s *rootSink) err() error  { return nil }

// declaredPackages reads packages="N", -1 if there is none.
func declaredPackages(attrs []xmlAttr) int {
	for _, a := range attrs {
		if string(a.name) == "packages" {
			if n, err := strconv.Atoi(string(a.value)); err == nil && n >= 0 {
				return n
			}
		}
	}
	return -1
}

// tokenReader refuses to read more than maxToken bytes between two tokens, which the XML reader would keep as one.
type tokenReader struct {
	r    io.Reader
	left int
}

func (t *tokenReader) Read(p []byte) (int, error) {
	if t.left <= 0 {
		return 0, errors.New("absurd size: one piece of it is longer than anything real")
	}
	n, err := t.r.Read(p)
	t.left -= n
	return n, err
}

// readXML feeds the elements below the root to the sink by means of encoding/xml: the authority on what is XML. It knows no
// entities but the five of XML, so a DOCTYPE can define what it likes.
func readXML(r io.Reader, root string, sink xmlSink) (declared int, err error) {
	in := &tokenReader{r: r, left: maxToken}
	d := newXMLDecoder(in)
	at := func(err error) error {
		line, _ := d.InputPos()
		return fmt.Errorf("line %d, offset %d: %w", line, d.InputOffset(), err)
	}
	var wanted []bool // of open elements, the root first
	var attrs []xmlAttr
	declared, seen := -1, false
	for first := true; ; first = false {
		in.left = maxToken
		tok, err := d.Token()
		if err == io.EOF && seen { //nolint:errorlint // the decoder's own end of input: a wrapped one is damage
			return declared, nil
		}
		if err != nil {
			return declared, xmlError(d, err)
		}
		switch t := tok.(type) {
		case xml.StartElement:
			attrs = attrs[:0]
			for _, a := range t.Attr {
				attrs = append(attrs, xmlAttr{[]byte(a.Name.Local), []byte(a.Value)})
			}
			switch {
			case len(wanted) > 100:
				return declared, at(errors.New("elements are nested more than 100 deep"))
			case len(wanted) > 0:
				wanted = append(wanted, sink.start([]byte(t.Name.Local), attrs))
			case seen || t.Name.Local != root:
				return declared, at(fmt.Errorf("element %s where <%s> belongs", quoted(t.Name.Local), root))
			default:
				declared, seen, wanted = declaredPackages(attrs), true, append(wanted, false)
			}
		case xml.EndElement:
			wanted = wanted[:len(wanted)-1]
			if len(wanted) > 0 {
				sink.end()
			}
		case xml.CharData:
			if len(wanted) == 0 && !isOutside(t, first) {
				return declared, at(fmt.Errorf("text outside of <%s>", root))
			}
			if len(wanted) > 0 && wanted[len(wanted)-1] {
				sink.text(t)
			}
		}
		if err := sink.err(); err != nil {
			return declared, at(err)
		}
	}
}
