package evidence

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"cpacman/internal/store"
	"cpacman/internal/trail"
)

// readTrail takes from the rollout's lines what other members need.
func (c *collection) readTrail() error {
	c.keys, c.results = map[string][]seenKey{}, map[string][]result{}
	return c.st.Trail(c.ctx, store.TrailFilter{Rollout: c.id}, func(l trail.Line) error {
		if c.first == 0 {
			c.first = l.Seq
		}
		c.last, c.sum.Head = l.Seq, l.Head().String()
		c.sum.Lines++
		var err error
		switch l.Action {
		case store.LineHostKey:
			k := seenKey{Line: l.Seq, At: l.At}
			if err = json.Unmarshal(l.Body, &k.HostKey); err == nil {
				c.keys[l.Subject] = append(c.keys[l.Subject], k)
			}
		case store.LinePackages:
			err = c.readResult(l)
		}
		if err != nil {
			c.remark("line %d of the audit trail cannot be read: %s", l.Seq, err)
		}
		return c.ctx.Err()
	})
}

func (c *collection) readResult(l trail.Line) error {
	var b store.PackagesBody
	if err := json.Unmarshal(l.Body, &b); err != nil {
		return err
	}
	var changes trail.Changes
	text, err := c.st.TrailChanges(c.ctx, l.Changes)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &changes); err != nil {
		return err
	}
	c.results[b.TxID] = append(c.results[b.TxID], result{l.Seq, l.At, b.After, notNil(changes.Added), notNil(changes.Removed)})
	return nil
}

// trailFile is the member with the lines of the trail.
const trailFile = "trail.jsonl"

// trail adds the rollout's lines whole, and of the lines between them only their places in the chain, and checks what it added.
func (c *collection) trail() error {
	if c.first == 0 {
		c.remark("the audit trail has no line of this rollout: it is older than the trail, or its lines were removed")
		return nil
	}
	err := c.spool.add(trailFile, func(w io.Writer) error {
		buf := bufio.NewWriter(w)
		out := trail.NewWriter(buf)
		list := func(digest string) ([]byte, error) { return c.st.TrailChanges(c.ctx, digest) }
		err := c.st.Trail(c.ctx, store.TrailFilter{From: c.first, To: c.last}, func(l trail.Line) error {
			if l.Rollout != c.id {
				return out.Stub(l)
			}
			return out.Line(l, list)
		})
		return errors.Join(err, buf.Flush())
	})
	if err != nil {
		return fmt.Errorf("%w (cpacman audit trail verify names what is wrong)", err)
	}
	if err := c.spool.text("head.txt", c.sum.Head+"\n"); err != nil {
		return err
	}
	f, err := c.spool.open(trailFile)
	if err != nil {
		return err
	}
	defer f.Close()
	res, err := trail.Check(f)
	if err != nil {
		return err
	}
	if c.sum.Fault = res.Fault; res.Fault != nil {
		c.remark("the audit trail is NOT whole: %s", res.Fault)
	}
	return nil
}
