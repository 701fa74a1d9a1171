package main

import (
	"bytes"
	"errors"

	"cpacman/internal/fleet"
	"cpacman/planner"
)

// delivery writes a plan file and its summary. For a large fleet both take a while, and need not wait for the id of the plan: it is the plan's observer.
type delivery struct {
	*session
	out, format string
	table       bytes.Buffer
	tableErr    error
	file        *growing     // nil: none, or not begun
	text        bytes.Buffer // of the file, where it goes to stdout
}

func newDelivery(s *session) *delivery {
	return &delivery{session: s, out: s.c.String("out"), format: s.c.String("output")}
}

// Complete implements planner.Observer.
func (d *delivery) Complete(p *planner.Plan) {
	if d.format != "json" {
		t := planTable(p)
		t.value = p
		d.tableErr = d.write(&d.table, d.c, t)
	}
}

// Write implements planner.Observer.
func (d *delivery) Write(piece []byte) (int, error) {
	switch {
	case d.out != "":
		if d.file == nil {
			d.file = newGrowing(d.out)
		}
		return d.file.Write(piece)
	case d.format == "json":
		return d.text.Write(piece)
	}
	return len(piece), nil
}

// end removes what was begun and not finished.
func (d *delivery) end() {
	if d.file != nil {
		d.file.abandon()
	}
}

// deliver gives the plan file its name, and writes its summary, and what to do next.
func (d *delivery) deliver(planned *fleet.Planned) error {
	var err error
	if d.file != nil {
		err = d.file.finish(0o600)
	}
	if err := errors.Join(err, d.tableErr); err != nil {
		return err
	}
	said := &d.table
	if d.format == "json" {
		said = &d.text
	}
	if _, err := said.WriteTo(d.stdout); err != nil {
		return err
	}
	d.sayNotes(planned)
	for _, n := range planned.KeyNotes {
		d.say("note: %s", n)
	}
	return d.planVerdict(planned, d.out)
}
