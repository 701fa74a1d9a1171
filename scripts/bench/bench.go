package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// bench is one run.
type bench struct {
	o      options
	stderr io.Writer
	report *report
	labID  string
	hosts  []labHost
}

// memoryLimit is the target of resident memory, in bytes.
const memoryLimit = 150e6

// measure runs the parts and prints the report. What was measured before a failure is
// printed too.
func measure(ctx context.Context, o options, stdout, stderr io.Writer) error {
	b := &bench{o: o, stderr: stderr, report: newReport(time.Now(), strings.NewReplacer(o.bin+"/", "", o.work, "$WORK"))}
	if err := b.lookAround(ctx); err != nil {
		return err
	}
	err := b.parts(ctx)
	b.report.conditions = append(b.report.conditions, fmt.Sprintf("load average at the end %s (the run itself included); the run took %.0f s",
		loadAverage(), time.Since(b.report.started).Seconds()))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		b.report.note("The run ended early: %v", err)
	}
	if werr := b.deliver(ctx, stdout); err == nil {
		err = werr
	}
	return err
}

// quiet is the share of processor time that others may use before the verdicts are called
// unreliable.
const quiet = 0.2

// lookAround notes how busy the machine is before anything of ours runs.
func (b *bench) lookAround(ctx context.Context) error {
	share, err := busy(ctx, 2*time.Second)
	if err != nil {
		return err
	}
	b.report.conditions = append(b.report.conditions, fmt.Sprintf("before the start others used %.0f %% of the processors; load average %s", 100*share, loadAverage()))
	if share > quiet {
		b.report.note("Others used %.0f %% of the processors before the start: the verdicts are not reliable, run it again on a quiet machine.", 100*share)
		b.say("others use %.0f %% of the processors: the verdicts will not be reliable", 100*share)
	}
	return nil
}

func (b *bench) parts(ctx context.Context) error {
	if err := b.prepare(); err != nil {
		return err
	}
	if !slices.Equal(b.o.parts, []string{realPart}) { // which needs no lab
		if err := b.up(ctx); err != nil {
			return err
		}
	}
	for _, p := range []struct {
		name string
		run  func(context.Context) error
	}{{"facts", b.facts}, {"plan", b.plan}, {"repos", b.repos}, {realPart, b.real}, {"upload", b.upload}} {
		if !slices.Contains(b.o.parts, p.name) {
			continue
		}
		if err := p.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	b.memory()
	return nil
}

// memory compares the largest cpacman process of the run with the target.
func (b *bench) memory() {
	var most int64
	var which string
	for _, s := range b.report.series {
		for _, one := range s.samples {
			if s.ours && one.rss > most {
				most, which = one.rss, s.name
			}
		}
	}
	if most > 0 {
		b.report.compare(comparison{what: "peak resident memory of cpacman (" + which + ")", ours: megabytes(most), peer: megabytes(memoryLimit),
			ratio: float64(most) / memoryLimit, target: &target{limit: 1, atMost: true, words: "< 150 MB"}})
	}
}

// deliver prints the report and writes it to the file asked for.
func (b *bench) deliver(ctx context.Context, stdout io.Writer) error {
	if err := b.report.text(stdout); err != nil {
		return err
	}
	if b.o.out == "" {
		return nil
	}
	f, err := os.Create(b.o.out)
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	err = errors.Join(b.report.markdown(f, b.machine(ctx)), f.Close())
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	b.say("the report is in %s", b.o.out)
	return nil
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.stderr, "bench: "+format+"\n", args...)
}

func (b *bench) labDir() string          { return filepath.Join(b.o.work, "lab") }
func (b *bench) siteDir() string         { return filepath.Join(b.o.work, "site") }
func (b *bench) tool(name string) string { return filepath.Join(b.o.bin, name) }

// peer finds the first installed program of several names. What is missing is noted and
// left out.
func (b *bench) peer(names ...string) (string, bool) {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path, true
		}
	}
	b.report.note("Skipped: %s is not installed (`scripts/setup --bench` installs it).", names[0])
	b.say("skipped: %s is not installed; scripts/setup --bench installs it", names[0])
	return "", false
}

// contestant takes part in rounds.
type contestant struct {
	series  *series
	program program
	before  func(context.Context) error // not measured; may be nil
	after   func(context.Context) error // not measured, also after a failure; may be nil
}

// rounds lets all contestants run in turns, so that whatever else the machine does falls
// on all of them, and begins each round with another one.
func (b *bench) rounds(ctx context.Context, n int, list []*contestant) error {
	for r := range n {
		for i := range list {
			c := list[(i+r)%len(list)]
			s, err := b.turn(ctx, c)
			if err != nil {
				return err
			}
			c.series.samples = append(c.series.samples, s)
			b.say("round %d of %d: %s: %.2f s", r+1, n, c.series.name, s.wall.Seconds())
		}
	}
	return nil
}

// warmRounds is rounds after a turn that does not count: who keeps something of what was read has it then.
func (b *bench) warmRounds(ctx context.Context, n int, list []*contestant) error {
	for _, c := range list {
		if _, err := b.turn(ctx, c); err != nil {
			return err
		}
	}
	return b.rounds(ctx, n, list)
}

func (b *bench) turn(ctx context.Context, c *contestant) (s sample, err error) {
	if c.before != nil {
		if err := c.before(ctx); err != nil {
			return s, err
		}
	}
	syscall.Sync() // who flushes a file of its own would wait for what the one before left unwritten
	s, err = b.time(ctx, c.series.file(), c.program)
	if c.after != nil {
		err = errors.Join(err, c.after(ctx))
	}
	return s, err
}
