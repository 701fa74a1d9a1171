package trail

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Stub is a line whose content is left out: its place in the chain can be checked, and nothing of what it says is given away.
type Stub struct {
	Seq     int64  `json:"seq"`
	Content string `json:"content"`
	Prev    string `json:"prev"`
	Digest  string `json:"digest"`
}

// Changes is a list that lines refer to by its digest: what one or many hosts lost and got.
type Changes struct {
	Added   []string `json:"added"`   // "NEVRA header", sorted
	Removed []string `json:"removed"` // the same
}

// changesRecord is how Changes stand in a file.
type changesRecord struct {
	Digest string          `json:"changes_digest"`
	List   json.RawMessage `json:"changes_list"`
}

// Writer writes a trail, or a part of one, as JSON lines. Each list that lines refer to is written once, before the first of them.
type Writer struct {
	w       io.Writer
	written map[string]bool
}

// NewWriter makes a writer.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w, written: map[string]bool{}} }

// Line writes a line. changes gives a list by its digest.
func (w *Writer) Line(l Line, changes func(digest string) ([]byte, error)) error {
	if l.Changes != "" && !w.written[l.Changes] {
		text, err := changes(l.Changes)
		if err != nil {
			return fmt.Errorf("line %d of the trail: %w", l.Seq, err)
		}
		if err := w.put(changesRecord{l.Changes, text}); err != nil {
			return fmt.Errorf("line %d of the trail: %w", l.Seq, err)
		}
		w.written[l.Changes] = true
	}
	if err := w.put(l); err != nil {
		return fmt.Errorf("line %d of the trail: %w", l.Seq, err)
	}
	return nil
}

// Stub writes the place of a line and leaves its content out.
func (w *Writer) Stub(l Line) error { return w.put(Stub{l.Seq, l.Content(), l.Prev, l.Digest}) }

func (w *Writer) put(v any) error {
	b, err := encode(v)
	if err != nil {
		return err
	}
	_, err = w.w.Write(append(b, '\n'))
	return err
}

// maxRecord bounds one line of a file: a list of every package of a large host is some 30 MiB.
const maxRecord = 64 << 20

// Result is what a check found.
type Result struct {
	Lines int64  `json:"lines"` // looked at
	First int64  `json:"first"` // number of the first one, 0: there is none
	Head  Head   `json:"head"`  // the last line
	Fault *Fault `json:"fault"` // the first fault; null: there is none
}

// Check reads a file of a Writer and checks it against heads that were written down. Every byte counts: a line that is not
// written as a Writer writes it is a changed one, so that no other reader can see something else in it. The error tells of a
// file that cannot be read; what is wrong with the trail is Result.Fault.
func Check(r io.Reader, heads ...Head) (Result, error) {
	c := &Checker{Anywhere: true}
	for _, h := range heads {
		c.Expect(h)
	}
	f := &fileCheck{c: c, lists: map[string]bool{}}
	in := bufio.NewReaderSize(r, 1<<16)
	for {
		text, err := readRecord(in)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Result{}, fmt.Errorf("read the trail after line %d: %w", c.Head().Seq, err)
		}
		var fault *Fault
		if err := f.record(text); errors.As(err, &fault) {
			return Result{c.Lines(), c.First(), c.Head(), fault}, nil
		} else if err != nil {
			return Result{}, err
		}
	}
	res := Result{Lines: c.Lines(), First: c.First(), Head: c.Head()}
	if err := c.End(); err != nil {
		errors.As(err, &res.Fault)
	}
	return res, nil
}

// readRecord reads one line of the file without its end; io.EOF after the last. A last line without its end was cut.
func readRecord(in *bufio.Reader) ([]byte, error) {
	var out []byte
	for {
		part, err := in.ReadSlice('\n')
		out = append(out, part...)
		switch {
		case len(out) > maxRecord:
			return nil, fmt.Errorf("a line of the file is longer than %d bytes", maxRecord)
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(out) > 0:
			return nil, errors.New("the file ends in the middle of a line")
		case err != nil:
			return nil, err
		default:
			return out[:len(out)-1], nil
		}
	}
}

// fileCheck is the check of one file.
type fileCheck struct {
	c     *Checker
	lists map[string]bool
}

// record checks one line of the file.
func (f *fileCheck) record(text []byte) error {
	var kind struct {
		Content *json.RawMessage `json:"content"`
		Changes *json.RawMessage `json:"changes_digest"`
	}
	next := f.c.Head().Seq + 1
	if f.c.First() == 0 {
		next = 1
	}
	if err := json.Unmarshal(text, &kind); err != nil {
		return &Fault{next, Changed, "what stands there is no JSON"}
	}
	switch {
	case kind.Changes != nil:
		var r changesRecord
		if !exactly(text, &r) || DigestOf(r.List) != r.Digest {
			return &Fault{next, Changed, "the list of packages before it is not what its digest says"}
		}
		f.lists[r.Digest] = true
		return nil
	case kind.Content != nil:
		var s Stub
		if !exactly(text, &s) {
			return &Fault{next, Changed, "it is not written as a trail writes it"}
		}
		return f.c.AddStub(s)
	}
	var l Line
	if !exactly(text, &l) {
		return &Fault{next, Changed, "it is not written as a trail writes it"}
	}
	if err := f.c.Add(l); err != nil {
		return err
	}
	if l.Changes != "" && !f.lists[l.Changes] {
		return &Fault{l.Seq, Changed, "the list of packages that it refers to is not there"}
	}
	return nil
}

// exactly reads text into v and demands that v is written as text.
func exactly(text []byte, v any) bool {
	if json.Unmarshal(text, v) != nil {
		return false
	}
	again, err := encode(v)
	return err == nil && bytes.Equal(again, text)
}
