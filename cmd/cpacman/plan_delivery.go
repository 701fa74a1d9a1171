package main

import (
	"bytes"
	"errors"
	"sync"

	"cpacman/internal/fleet"
	"cpacman/planner"
)

// delivery writes a plan file and its summary. For a large fleet both take a while, and need not wait for the id of the plan: it is the plan's observer.
type delivery struct {
	*session
	table    []byte
	tableErr error // of a table that was made
	made     bool
	file     *growing      // nil: none, or not begun
	texts    chan planText // what is to be written of the file; nil: it was not begun, or has ended
	writing  sync.WaitGroup
}

// planText is the beginning of a plan's file, and whether little comes behind it.
type planText struct {
	text []byte
	last bool
}

// worthSync is how many bytes of a plan are worth a way to the disk of their own.
const worthSync = 4 << 20

// Complete implements planner.Observer.
func (d *delivery) Complete(p *planner.Plan) { d.makeTable(p) }

// Text implements planner.Observer.
func (d *delivery) Text(beginning []byte, last bool) {
	out := d.c.String("out")
	if out == "" {
		return
	}
	if d.texts == nil {
		d.texts = make(chan planText, 1)
		texts := d.texts
		d.writing.Go(func() { d.follow(out, texts) })
	}
	select {
	case <-d.texts: // of what waits the longest is enough
	default:
	}
	d.texts <- planText{beginning, last}
}

// follow writes a file while its text comes.
func (d *delivery) follow(out string, texts <-chan planText) {
	d.file = newGrowing(out)
	synced := 0
	for t := range texts {
		d.file.upTo(t.text)
		if n := len(t.text); n-synced >= worthSync || t.last && n >= worthSync {
			d.file.sync()
			synced = n
		}
	}
}

// written waits until what came of the text is written.
func (d *delivery) written() {
	if d.texts != nil {
		close(d.texts)
		d.texts = nil
	}
	d.writing.Wait()
}

func (d *delivery) makeTable(p *planner.Plan) {
	if d.made || d.c.String("output") == "json" {
		return
	}
	var b bytes.Buffer
	t := planTable(p)
	t.value = p
	d.tableErr = d.write(&b, d.c, t)
	d.table, d.made = b.Bytes(), true
}

// end removes what was begun and not finished.
func (d *delivery) end() {
	d.written()
	if d.file != nil {
		d.file.abandon()
	}
}

// deliver writes the plan file, its summary, and what to do next.
func (d *delivery) deliver(planned *fleet.Planned) error {
	s, p, out, format := d.session, planned.Plan, d.c.String("out"), d.c.String("output")
	file := planned.File
	if file == nil {
		var b bytes.Buffer
		if err := p.Encode(&b); err != nil {
			return err
		}
		file = b.Bytes()
	}
	d.makeTable(p)
	d.written()
	var err error
	if out != "" {
		if d.file == nil {
			d.file = newGrowing(out)
		}
		err = d.file.finish(file, 0o600)
	}
	if err := errors.Join(err, d.tableErr); err != nil {
		return err
	}
	if format == "json" && out == "" {
		_, err = s.stdout.Write(file)
	} else {
		_, err = s.stdout.Write(d.table)
	}
	if err != nil {
		return err
	}
	s.sayNotes(planned)
	for _, n := range planned.KeyNotes {
		s.say("note: %s", n)
	}
	return s.planVerdict(planned, out)
}
