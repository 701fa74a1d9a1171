package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"cpacman/transport"
)

// stderrTerminal tells whether stderr is a terminal, and how wide.
func stderrTerminal() (bool, int) {
	fd := int(os.Stderr.Fd())
	if !term.IsTerminal(fd) {
		return false, 80
	}
	width, _, err := term.GetSize(fd)
	if err != nil || width < 20 {
		width = 80
	}
	return true, width
}

// data is what a verb prints: rows for people and spreadsheets, a value for programs.
type data struct {
	columns []string
	rows    [][]string
	value   any    // printed as JSON
	text    string // printed instead of rows where a table does not serve people
}

// outputFlags are on every verb that has data.
func outputFlags(more ...cli.Flag) []cli.Flag {
	return append([]cli.Flag{
		&cli.StringFlag{Name: "output", Value: "table", Usage: "`FORMAT` of the data: table, json or csv"},
		&cli.StringFlag{Name: "out", Aliases: []string{"o"}, Usage: "write the data to `FILE` instead of stdout"},
	}, more...)
}

// emit prints d in the format asked for, to stdout or the file asked for.
func (e *env) emit(c *cli.Context, d data) error { return e.emitTo(c, d, c.String("out")) }

// emitTo is emit with the place given; an empty one is stdout.
func (e *env) emitTo(c *cli.Context, d data, out string) error {
	var b bytes.Buffer
	if err := e.write(&b, c, d); err != nil {
		return err
	}
	return e.deliver(out, b.Bytes())
}

// write writes d in the format asked for.
func (e *env) write(w io.Writer, c *cli.Context, d data) (err error) {
	switch c.String("output") {
	case "json":
		err = writeJSON(w, d.value)
	case "csv":
		err = d.csv(w)
	default:
		err = d.table(w)
	}
	if err != nil {
		return fmt.Errorf("write the output: %w", err)
	}
	return nil
}

// deliver writes to stdout, or to a file by one rename.
func (e *env) deliver(file string, b []byte) error {
	if file == "" || file == "-" {
		_, err := e.stdout.Write(b)
		return err
	}
	return writeFile(file, b, 0o600)
}

// writeFile replaces a file by one rename, with its bytes on disk before.
func writeFile(path string, b []byte, mode os.FileMode) error {
	g := newGrowing(path)
	defer g.abandon()
	if _, err := g.Write(b); err != nil {
		return err
	}
	return g.finish(mode)
}

// growing is a file that others do not see while it is written. Finished it replaces another by one rename; abandoned it leaves nothing. It is for
// one goroutine at a time.
type growing struct {
	path    string
	file    *os.File // nil: abandoned or finished
	written int64
	begun   int64 // so much of it is on its way to the disk
	err     error // the first, which ends it
}

func newGrowing(path string) *growing {
	g := &growing{path: path}
	g.file, g.err = os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	return g
}

// worthFlush is how many bytes of a file are worth a way to the disk of their own: there is less to wait for at the end.
const worthFlush = 1 << 20

// Write implements io.Writer.
func (g *growing) Write(b []byte) (n int, err error) {
	if g.err == nil {
		n, g.err = g.file.Write(b)
	}
	if g.written += int64(n); g.err == nil && g.written-g.begun >= worthFlush {
		beginFlush(g.file, g.begun, g.written-g.begun)
		g.begun = g.written
	}
	return n, g.fault()
}

// finish gives the file its name, with its bytes on disk.
func (g *growing) finish(mode os.FileMode) error {
	if g.err == nil {
		g.err = g.file.Chmod(mode)
	}
	if g.err == nil {
		g.err = g.file.Sync()
	}
	if g.err == nil {
		name := g.file.Name()
		if g.err = g.file.Close(); g.err == nil {
			giveUp := keepReplaced(g.path)
			g.err = os.Rename(name, g.path)
			go giveUp()
		}
		if g.err == nil {
			g.file = nil
		}
	}
	return g.fault()
}

func (g *growing) fault() error {
	if g.err != nil {
		return fmt.Errorf("write %s: %w", g.path, reasonOf(g.err))
	}
	return nil
}

// abandon removes the file unless it was finished.
func (g *growing) abandon() {
	if g.file != nil {
		g.file.Close() // perhaps again
		os.Remove(g.file.Name())
		g.file = nil
	}
}

func (d data) table(w io.Writer) error {
	if d.text != "" {
		_, err := io.WriteString(w, d.text)
		return err
	}
	return d.columned(w)
}

// columned writes the rows under each other, two spaces between the columns. For the rows of a large fleet text/tabwriter takes ten times as
// long; it serves where rows have different lengths, and a test holds the two together.
func (d data) columned(w io.Writer) error {
	if slices.ContainsFunc(d.rows, func(row []string) bool { return len(row) != len(d.columns) }) {
		return d.tabbed(w)
	}
	const gap = 2
	columns := make([]column, len(d.columns))
	heads, last := make([]string, len(d.columns)), &columns[len(columns)-1]
	for i, name := range d.columns {
		heads[i] = strings.ToUpper(name)
		columns[i].see(heads[i])
	}
	size := len(last.text)
	for _, row := range d.rows {
		for i, cell := range row {
			columns[i].see(cell)
		}
		size += len(last.text)
	}
	line := len("\n")
	for i := range columns[:len(columns)-1] {
		columns[i].width += gap
		line += columns[i].width
	}
	spaces := bytes.Repeat([]byte(" "), line)
	out := make([]byte, 0, (1+len(d.rows))*line+size)
	write := func(row []string) {
		for i, cell := range row {
			c := &columns[i]
			c.see(cell)
			out = append(out, c.text...)
			if c != last {
				out = append(out, spaces[:c.width-c.runes]...)
			}
		}
		out = append(out, '\n')
	}
	write(heads)
	for _, row := range d.rows {
		write(row)
	}
	_, err := w.Write(out)
	return err
}

// column is one of a table. In most, many cells say what the one above says.
type column struct {
	cell, text   string // the one seen last, as it came and as it is written
	runes, width int    // of that one, and of the widest
}

func (c *column) see(cell string) {
	if cell == c.cell && c.text != "" {
		return
	}
	c.cell, c.text = cell, cellText(cell)
	c.runes = utf8.RuneCountInString(c.text)
	c.width = max(c.width, c.runes)
}

// tabbed is columned by text/tabwriter.
func (d data) tabbed(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, strings.ToUpper(strings.Join(d.columns, "\t")))
	for _, row := range d.rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = cellText(cell)
		}
		fmt.Fprintln(tw, strings.Join(cells, "\t"))
	}
	return tw.Flush()
}

// cellText makes text safe for one cell of a terminal table.
func cellText(s string) string {
	plain := s != ""
	for i := range len(s) {
		plain = plain && s[i] >= ' ' && s[i] < 0x7f
	}
	if plain {
		return s
	}
	if s == "" {
		return "-"
	}
	return strings.NewReplacer("\t", " ", "\n", " ").Replace(transport.Sanitize(s))
}

func (d data) csv(w io.Writer) error {
	cw := csv.NewWriter(w)
	if err := cw.Write(d.columns); err != nil {
		return err
	}
	for _, row := range d.rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = csvCell(cell)
		}
		if err := cw.Write(cells); err != nil {
			return err
		}
	}
	cw.Flush()
	return cw.Error()
}

// csvCell keeps spreadsheets from running a cell as a formula: a leading = + - @ or control character gets an apostrophe (SEC-7). It has no control characters, which
// a terminal would obey, and nothing that makes text read as something else.
func csvCell(s string) string {
	s = transport.Sanitize(s)
	if s != "" && strings.ContainsRune("=+-@\t\r\n", rune(s[0])) {
		return "'" + s
	}
	return s
}

// writeJSON writes v with two spaces of indent and a line end; a nil list is [] only where the type says so.
func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// humanBytes writes a size for people: three digits and a binary unit.
func humanBytes(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n), ""
	for _, unit = range []string{"KiB", "MiB", "GiB", "TiB", "PiB"} {
		if value /= 1024; value < 1000 {
			break
		}
	}
	return fmt.Sprintf("%.3g %s", value, unit)
}

// say prints a line of progress or advice for people, on stderr.
func (e *env) say(format string, args ...any) {
	fmt.Fprintln(e.stderr, transport.Sanitize(fmt.Sprintf(format, args...)))
}
