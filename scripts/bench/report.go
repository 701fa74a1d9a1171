package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// report is what a run found.
type report struct {
	started     time.Time
	commands    []command
	series      []*series
	comparisons []comparison
	phases      []phases
	notes       []string
	conditions  []string
	short       *strings.Replacer
}

// newReport begins a report; short replaces the names of directories in commands.
func newReport(now time.Time, short *strings.Replacer) *report {
	return &report{started: now, short: short}
}

// command is what was run, under the name the tables use.
type command struct{ name, line string }

// series is all runs of one contestant.
type series struct {
	part, name string
	ours       bool // cpacman: counts for the target of memory
	samples    []sample
}

// target is the ratio a comparison should reach.
type target struct {
	limit  float64
	atMost bool   // else at least
	words  string // empty: made from the limit
}

// comparison is one line of the result.
type comparison struct {
	what       string
	ours, peer string
	ratio      float64
	target     *target // nil: told, not judged
}

// phases is where the time of cpacman's uploads at one round-trip time went: medians, in
// seconds and MB/s.
type phases struct {
	rtt                                  time.Duration
	measured                             float64 // round trip, in seconds
	all, dial, prepare, transfer, verify float64
	channels                             int
	wireRate, transferRate, allRate      float64
}

func (r *report) command(name, line string) {
	r.commands = append(r.commands, command{name, r.short.Replace(line)})
}

func (r *report) compare(c comparison) { r.comparisons = append(r.comparisons, c) }

// note adds a sentence, once.
func (r *report) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !slices.Contains(r.notes, text) {
		r.notes = append(r.notes, text)
	}
}

func (r *report) newSeries(part, name string) *series {
	s := &series{part: part, name: name}
	r.series = append(r.series, s)
	return s
}

// file is a name for the files of this contestant.
func (s *series) file() string {
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			return c
		}
		return '-'
	}, strings.ToLower(s.name))
}

// median is that of the wall clock times, in seconds.
func (s *series) median() float64 {
	v := make([]float64, len(s.samples))
	for i, one := range s.samples {
		v[i] = one.wall.Seconds()
	}
	return median(v)
}

// peak is the largest resident memory, in bytes.
func (s *series) peak() int64 {
	var most int64
	for _, one := range s.samples {
		most = max(most, one.rss)
	}
	return most
}

// median of values that need not be sorted; of an even number the mean of the middle two; 0
// of none.
func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	v = slices.Sorted(slices.Values(v))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

func (t *target) String() string {
	switch {
	case t == nil:
		return "-"
	case t.words != "":
		return t.words
	case t.atMost:
		return fmt.Sprintf("<= %g", t.limit)
	}
	return fmt.Sprintf(">= %g", t.limit)
}

// verdict is met, or missed and by how much of the target.
func (c comparison) verdict() string {
	switch {
	case c.target == nil:
		return "-"
	case c.target.atMost && c.ratio <= c.target.limit, !c.target.atMost && c.ratio >= c.target.limit:
		return "met"
	}
	by := c.ratio/c.target.limit - 1
	if !c.target.atMost {
		by = 1 - c.ratio/c.target.limit
	}
	return fmt.Sprintf("missed by %.1f %%", 100*by)
}

func seconds(s float64) string {
	if s < 1 {
		return fmt.Sprintf("%.0f ms", 1000*s)
	}
	return fmt.Sprintf("%.2f s", s)
}

// delayWords writes a round-trip time, 0 included, in milliseconds.
func delayWords(d time.Duration) string { return fmt.Sprintf("%g ms", d.Seconds()*1000) }

func rateWords(r float64) string { return fmt.Sprintf("%.0f MB/s", r) }

func megabytes(n int64) string { return fmt.Sprintf("%.0f MB", float64(n)/1e6) }

// table is a heading and rows, all of the same length.
type table struct {
	title string
	rows  [][]string // the first is the heading
}

func (r *report) tables() []table {
	result := table{"Result", [][]string{{"what", "cpacman", "peer", "ratio", "target", "verdict"}}}
	for _, c := range r.comparisons {
		result.rows = append(result.rows, []string{c.what, c.ours, c.peer, fmt.Sprintf("%.2f", c.ratio), c.target.String(), c.verdict()})
	}
	measured := table{"Measured", [][]string{{"part", "what", "median", "each round (s)", "processor time", "peak memory"}}}
	for _, s := range r.series {
		if len(s.samples) > 0 {
			measured.rows = append(measured.rows, s.row())
		}
	}
	upload := table{"Uploads of cpacman, phase by phase (medians)", [][]string{{"round trip", "measured", "all", "dial", "prepare", "transfer", "verify",
		"channels", "without verify", "transfer alone", "all in"}}}
	for _, p := range r.phases {
		upload.rows = append(upload.rows, []string{delayWords(p.rtt), seconds(p.measured), seconds(p.all), seconds(p.dial), seconds(p.prepare), seconds(p.transfer),
			seconds(p.verify), fmt.Sprint(p.channels), rateWords(p.wireRate), rateWords(p.transferRate), rateWords(p.allRate)})
	}
	out := []table{}
	for _, t := range []table{result, measured, upload} {
		if len(t.rows) > 1 {
			out = append(out, t)
		}
	}
	return out
}

// row is a series in the table of what was measured: processor time and memory of the
// control side; the median of one and the largest of the other.
func (s *series) row() []string {
	each := make([]string, len(s.samples))
	used := make([]float64, len(s.samples))
	var most int64
	for i, one := range s.samples {
		each[i] = fmt.Sprintf("%.2f", one.wall.Seconds())
		used[i] = one.cpu.Seconds()
		most = max(most, one.rss)
	}
	return []string{s.part, s.name, seconds(s.median()), strings.Join(each, " "), seconds(median(used)), megabytes(most)}
}

// text prints the report for a terminal.
func (r *report) text(out io.Writer) error {
	for _, t := range r.tables() {
		fmt.Fprintf(out, "\n%s\n", t.title)
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		for _, row := range t.rows {
			fmt.Fprintln(w, strings.Join(row, "\t"))
		}
		if err := w.Flush(); err != nil {
			return fmt.Errorf("print the report: %w", err)
		}
	}
	fmt.Fprintln(out)
	for _, n := range slices.Concat(r.notes, r.conditions) {
		if _, err := fmt.Fprintln(out, n); err != nil {
			return fmt.Errorf("print the report: %w", err)
		}
	}
	return nil
}

// markdown writes the report as a page, with the machine and the commands.
func (r *report) markdown(out io.Writer, machine []string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Benchmark of %s\n\n", r.started.UTC().Format("2006-01-02 15:04 UTC"))
	for _, t := range r.tables() {
		fmt.Fprintf(&b, "## %s\n\n", t.title)
		for i, row := range t.rows {
			b.WriteString("| " + strings.Join(escaped(row), " | ") + " |\n")
			if i == 0 {
				b.WriteString(strings.Repeat("|---", len(row)) + "|\n")
			}
		}
		b.WriteString("\n")
	}
	b.WriteString("## Notes and conditions\n\n")
	for _, line := range slices.Concat(r.notes, r.conditions, machine) {
		fmt.Fprintf(&b, "- %s\n", line)
	}
	b.WriteString("\n## Commands\n\n```\n")
	for _, c := range r.commands {
		fmt.Fprintf(&b, "# %s\n%s\n", c.name, c.line)
	}
	b.WriteString("```\n")
	_, err := io.WriteString(out, b.String())
	return err
}

func escaped(row []string) []string {
	out := make([]string, len(row))
	for i, cell := range row {
		out[i] = strings.ReplaceAll(cell, "|", `\|`)
	}
	return out
}
