package trail

import "fmt"

// Kind says what is wrong with a trail.
type Kind string

// The kinds of fault.
const (
	Changed   Kind = "changed"   // a line does not say what it said when it was written
	Missing   Kind = "missing"   // a line is not there
	Inserted  Kind = "inserted"  // a line stands where it was not written
	Rewritten Kind = "rewritten" // the chain is whole and does not lead through a head that was written down
	Unproven  Kind = "unproven"  // the head lies before the first line of a file
)

// Fault is the first thing wrong with a trail.
type Fault struct {
	Seq  int64  `json:"seq"` // of the line it is about
	Kind Kind   `json:"kind"`
	Text string `json:"text"`
}

// Error names the line.
func (f *Fault) Error() string {
	return fmt.Sprintf("audit trail: line %d is %s: %s", f.Seq, f.Kind, f.Text)
}

// reach bounds how far a line's own number is looked for when it does not fit its place.
const reach = 64

// Checker checks a chain line by line, in order. The zero Checker wants the first line of a trail; it holds one line and the
// heads, however long the trail is.
type Checker struct {
	// Anywhere lets the chain begin with any line, as in a file of a part of a trail.
	Anywhere bool

	heads   map[int64]map[string]bool
	first   int64 // the line it began with, 0: none yet
	last    Head
	torn    *Fault // the line before does not fit the one before it; the next line says which of the two is wrong
	lines   int64
	stopped *Fault
}

// Expect adds a head that somebody wrote down: the chain must lead through it.
func (c *Checker) Expect(h Head) {
	if c.heads == nil {
		c.heads = map[int64]map[string]bool{}
	}
	if c.heads[h.Seq] == nil {
		c.heads[h.Seq] = map[string]bool{}
	}
	c.heads[h.Seq][h.Digest] = true
}

// Head is the last line that was found good.
func (c *Checker) Head() Head {
	if c.last.Digest == "" {
		return Head{0, Start}
	}
	return c.last
}

// First is the number of the first line, 0 before there was one.
func (c *Checker) First() int64 { return c.first }

// Lines counts the lines that were looked at.
func (c *Checker) Lines() int64 { return c.lines }

// Add checks the next line. The error is *Fault, and the same for every later call.
func (c *Checker) Add(l Line) error {
	return c.add(Stub{Seq: l.Seq, Content: l.Content(), Prev: l.Prev, Digest: l.Digest}, &l)
}

// AddStub checks the place of a line whose content is left out.
func (c *Checker) AddStub(s Stub) error { return c.add(s, nil) }

func (c *Checker) add(s Stub, l *Line) error {
	if c.stopped != nil {
		return c.stopped
	}
	c.lines++
	if f := c.judge(s, l); f != nil {
		c.stopped = f
		return f
	}
	return nil
}

// judge finds the fault that the next line shows, if any, and makes it the last one.
func (c *Checker) judge(s Stub, l *Line) *Fault {
	if c.first == 0 {
		c.first = s.Seq
		c.last = Head{0, Start}
		if c.Anywhere && s.Seq > 1 {
			c.last = Head{s.Seq - 1, s.Prev}
		}
	}
	want := c.last.Seq + 1
	whole := chained(s.Prev, s.Content) == s.Digest
	if c.torn != nil {
		if whole && s.Seq == want && s.Prev == c.last.Digest {
			// The chain goes on behind the line that did not fit: it is good, and what stood before it was replaced.
			return &Fault{c.torn.Seq - 1, Changed, "the line after it was written behind another one"}
		}
		return c.torn
	}
	switch {
	case s.Seq > want:
		return &Fault{want, Missing, fmt.Sprintf("line %d is followed by line %d", c.last.Seq, s.Seq)}
	case s.Seq < want:
		return &Fault{s.Seq, Inserted, fmt.Sprintf("it stands behind line %d", c.last.Seq)}
	case !whole:
		return displaced(s, l)
	case want == 1 && s.Prev != Start:
		return &Fault{1, Changed, "it was not written as the first line"}
	}
	if f := c.against(s.Seq, s.Digest); f != nil {
		return f
	}
	if s.Prev != c.last.Digest {
		c.torn = &Fault{s.Seq, Inserted, fmt.Sprintf("it was not written behind line %d as that is now", c.last.Seq)}
	}
	c.last = Head{s.Seq, s.Digest}
	if c.torn != nil && c.heads[s.Seq][s.Digest] {
		// Somebody wrote this line's digest down: it is good.
		return &Fault{s.Seq - 1, Changed, "the line after it, which was written down, was written behind another one"}
	}
	return nil
}

// displaced says why a line's digest is not its own: it was changed, or it is another line with a new number.
func displaced(s Stub, l *Line) *Fault {
	if l != nil {
		moved := *l
		for d := int64(1); d <= reach; d++ {
			for _, seq := range [...]int64{l.Seq + d, l.Seq - d} {
				moved.Seq = seq
				if chained(l.Prev, moved.Content()) != l.Digest {
					continue
				}
				if seq > l.Seq {
					return &Fault{l.Seq, Missing, fmt.Sprintf("in its place stands what was written as line %d", seq)}
				}
				// Lines moved up: the one that came in stands where the first of them was.
				return &Fault{seq, Inserted, fmt.Sprintf("what was written as line %d stands at line %d", seq, l.Seq)}
			}
		}
	}
	return &Fault{s.Seq, Changed, "its digest is not that of its content"}
}

// against compares a line with the heads written down for its number.
func (c *Checker) against(seq int64, digest string) *Fault {
	heads, ok := c.heads[seq]
	if !ok || len(heads) == 1 && heads[digest] {
		return nil
	}
	return &Fault{seq, Rewritten, fmt.Sprintf("its digest is %s and another was written down: a line up to it was changed, and the chain made anew", digest)}
}

// End says that there are no more lines: heads that were not reached are missing lines.
func (c *Checker) End() error {
	if c.stopped == nil {
		c.stopped = c.atEnd()
	}
	if c.stopped == nil {
		return nil
	}
	return c.stopped
}

func (c *Checker) atEnd() *Fault {
	if c.torn != nil {
		// Nothing follows that could tell which of the two is good; who changes a line and makes its digest anew leaves this.
		return &Fault{c.torn.Seq - 1, Changed, "the line after it was written behind another one"}
	}
	last := c.Head()
	for seq := range c.heads {
		if seq > last.Seq {
			return &Fault{last.Seq + 1, Missing, fmt.Sprintf("the trail ends with line %d, and line %d was written down", last.Seq, c.highest())}
		}
	}
	for seq := range c.heads {
		if seq > 0 && seq < c.first {
			return &Fault{seq, Unproven, fmt.Sprintf("these lines begin with line %d; check the head against the whole trail", c.first)}
		}
	}
	return nil
}

// highest is the largest number among the heads.
func (c *Checker) highest() int64 {
	var n int64
	for seq := range c.heads {
		n = max(n, seq)
	}
	return n
}
