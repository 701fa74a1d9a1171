package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"cpacman/internal/store"
	"cpacman/internal/trail"
	"cpacman/inventory"
)

func trailCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:  "trail",
		Usage: "who did what, when and why: the lines of the audit trail",
		Description: "Each line carries a digest over itself and the line before. `audit trail head` prints the last one's: written down elsewhere,\n" +
			"it proves later that no line up to it was changed, removed or inserted.",
		Flags: outputFlags(
			&cli.StringFlag{Name: "since", Usage: "only lines since a `TIME`: 24h, 7d, 2026-03-01, or 2026-03-01T02:03:04Z"},
			&cli.StringFlag{Name: "rollout", Usage: "only lines about this rollout, by its `ID` or the beginning of one"},
			&cli.StringFlag{Name: "user", Usage: "only what this `USER` did; (engine) for what no person decided"},
		),
		Action: e.auditTrail,
		Subcommands: []*cli.Command{
			{
				Name: "verify", Usage: "compute the chain anew, and name the first line that is changed, missing or inserted (exit status 1)",
				Description: "Lines made anew together with all digests behind them show only against a head that somebody wrote down (--head).",
				Flags: outputFlags(
					&cli.StringSliceFlag{Name: "head", Usage: "a head that was written down, as `DIGEST@SEQ`: the chain must lead through it; repeatable"},
					&cli.StringFlag{Name: "file", Usage: "check this exported `FILE` instead of the state database; needs no site"},
				),
				Action: e.trailVerify,
			},
			{Name: "head", Usage: "print digest and number of the last line, as DIGEST@SEQ", Flags: outputFlags(), Action: e.trailHead},
			{Name: "export", Usage: "write all lines to a file, one JSON object a line", ArgsUsage: "FILE", Action: e.trailExport},
		},
	}
}

// openState opens the state of the site for what needs neither hosts nor repositories. The caller closes the store.
func (e *env) openState(c *cli.Context) (*store.Store, error) {
	site, err := e.loadSite(c)
	if err != nil {
		return nil, err
	}
	if err := e.checkVerb(site, c); err != nil {
		return nil, err
	}
	return e.openStore(c, site)
}

func noArgs(c *cli.Context, verb string) error {
	if c.Args().Len() > 0 {
		return usagef("%s takes no argument, not %q", verb, c.Args().First())
	}
	return nil
}

// trailValue is a line in the JSON of audit trail: what was added and removed stands in it.
type trailValue struct {
	trail.Line
	Packages *trail.Changes `json:"packages,omitempty"`
}

func (e *env) auditTrail(c *cli.Context) error {
	if err := noArgs(c, "audit trail"); err != nil {
		return err
	}
	since, err := parseSince(c.String("since"), e.now())
	if err != nil {
		return err
	}
	s, err := e.open(c)
	if err != nil {
		return err
	}
	defer s.Close()
	f := store.TrailFilter{Since: since, Actor: c.String("user")}
	if id := c.String("rollout"); id != "" {
		if f.Rollout, err = s.trailRollout(id); err != nil {
			return err
		}
	}
	d := data{columns: []string{"seq", "at", "actor", "action", "rollout", "subject", "detail"}}
	values := []trailValue{}
	lists := map[string]*trail.Changes{}
	err = s.store.Trail(s.ctx, f, func(l trail.Line) error {
		changes, err := s.trailChanges(l, lists)
		if err != nil {
			return err
		}
		values = append(values, trailValue{l, changes})
		d.rows = append(d.rows, []string{strconv.FormatInt(l.Seq, 10), l.Time().Local().Format("2006-01-02 15:04:05"), l.Actor, l.Action, l.Rollout, l.Subject, trailWords(l, changes)})
		return nil
	})
	if err != nil {
		return err
	}
	d.value = values
	if err := s.emit(c, d); err != nil {
		return err
	}
	s.say("%d %s; cpacman audit trail verify checks them", len(values), plural(len(values), "line", "lines"))
	return nil
}

// trailRollout completes the beginning of a rollout's id; one that the journal does not have any more is taken as it is.
func (s *session) trailRollout(id string) (string, error) {
	all, err := s.store.Rollouts(s.ctx)
	if err != nil {
		return "", err
	}
	for _, r := range all {
		if r.ID == id {
			return id, nil
		}
	}
	found, _, err := s.rolloutArg([]string{id})
	if err == nil && len(found) >= len(id) && found[:len(id)] == id {
		return found, nil
	}
	known := false
	if err := s.store.Trail(s.ctx, store.TrailFilter{Rollout: id}, func(trail.Line) error { known = true; return nil }); err != nil {
		return "", err
	}
	if known {
		return id, nil
	}
	return "", inputError{err: fmt.Errorf("no rollout %q", id), hint: "cpacman rollout list prints them"}
}

// trailChanges reads the list that a line refers to, once for all lines that have the same. A list that is gone or damaged is for
// verify to tell.
func (s *session) trailChanges(l trail.Line, lists map[string]*trail.Changes) (*trail.Changes, error) {
	if l.Changes == "" {
		return nil, nil
	}
	if c, ok := lists[l.Changes]; ok {
		return c, nil
	}
	lists[l.Changes] = nil
	text, err := s.store.TrailChanges(s.ctx, l.Changes)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var c trail.Changes
	if json.Unmarshal(text, &c) == nil {
		lists[l.Changes] = &c
	}
	return lists[l.Changes], nil
}

// parseSince reads a point in time, or how long ago it was; empty is the zero time.
func parseSince(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := inventory.ParseDuration(s); err == nil {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usagef(`--since %q is neither a time like "2026-03-01" or "2026-03-01T02:03:04Z" nor a duration like "24h" or "7d"`, s)
}

func (e *env) trailVerify(c *cli.Context) error {
	if err := noArgs(c, "audit trail verify"); err != nil {
		return err
	}
	var heads []trail.Head
	for _, s := range c.StringSlice("head") {
		h, err := trail.ParseHead(s)
		if err != nil {
			return usageError{err: err, hint: "cpacman audit trail head prints one"}
		}
		heads = append(heads, h)
	}
	res, err := e.checkTrail(c, heads)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("whole: %d lines, head %s\n", res.Lines, res.Head)
	if res.Lines > 0 && res.First > 1 {
		text = fmt.Sprintf("whole: %d lines from line %d on, head %s\n", res.Lines, res.First, res.Head)
	}
	row := []string{"whole", strconv.FormatInt(res.Lines, 10), res.Head.String(), "", "", ""}
	if f := res.Fault; f != nil {
		text = fmt.Sprintf("NOT whole: line %d is %s: %s\n", f.Seq, f.Kind, f.Text)
		row = []string{"not whole", strconv.FormatInt(res.Lines, 10), res.Head.String(), strconv.FormatInt(f.Seq, 10), string(f.Kind), f.Text}
	}
	d := data{columns: []string{"trail", "lines", "head", "line", "kind", "detail"}, rows: [][]string{row}, text: text, value: res}
	if err := e.emit(c, d); err != nil {
		return err
	}
	if res.Fault != nil {
		return &statusError{status: statusFailed, err: res.Fault, hint: "compare with exports and heads that are kept elsewhere; nothing behind that line is proven"}
	}
	for _, h := range heads {
		e.say("the chain leads through %s", h)
	}
	return nil
}

// checkTrail checks the file asked for, or the state of the site.
func (e *env) checkTrail(c *cli.Context, heads []trail.Head) (trail.Result, error) {
	if !c.IsSet("file") {
		st, err := e.openState(c)
		if err != nil {
			return trail.Result{}, err
		}
		defer st.Close()
		return st.CheckTrail(e.ctx, heads...)
	}
	file := c.String("file")
	f, err := os.Open(file)
	if err != nil {
		return trail.Result{}, inputf("read the trail %s: %w", file, reasonOf(err))
	}
	defer f.Close()
	res, err := trail.Check(f, heads...)
	switch {
	case err != nil:
		return res, inputError{err: fmt.Errorf("%s: %w", file, err)}
	case res.Lines == 0 && res.Fault == nil:
		return res, inputf("read the trail %s: it has no line; an export of nothing proves nothing", file)
	}
	return res, nil
}

func (e *env) trailHead(c *cli.Context) error {
	if err := noArgs(c, "audit trail head"); err != nil {
		return err
	}
	st, err := e.openState(c)
	if err != nil {
		return err
	}
	defer st.Close()
	h, err := st.TrailHead(e.ctx)
	if err != nil {
		return err
	}
	return e.emit(c, data{columns: []string{"seq", "digest"}, rows: [][]string{{strconv.FormatInt(h.Seq, 10), h.Digest}}, text: h.String() + "\n", value: h})
}

func (e *env) trailExport(c *cli.Context) error {
	if c.Args().Len() != 1 {
		return usagef("audit trail export wants one file")
	}
	if err := checkPlace(c.Args().First()); err != nil {
		return err
	}
	st, err := e.openState(c)
	if err != nil {
		return err
	}
	defer st.Close()
	file, lines, head := c.Args().First(), 0, trail.Head{Digest: trail.Start}
	err = streamFile(file, func(w io.Writer) error {
		out := trail.NewWriter(w)
		list := func(digest string) ([]byte, error) { return st.TrailChanges(e.ctx, digest) }
		return st.Trail(e.ctx, store.TrailFilter{From: -1 << 63}, func(l trail.Line) error {
			lines, head = lines+1, l.Head()
			return out.Line(l, list)
		})
	})
	if err != nil {
		return fmt.Errorf("export the audit trail: %w", err)
	}
	e.say("%d %s, head %s; next: cpacman audit trail verify --file %s", lines, plural(lines, "line", "lines"), head, file)
	return nil
}

// streamFile writes a file for its owner alone and puts it in place by one rename, with its bytes on disk before.
func streamFile(path string, write func(io.Writer) error) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) //nolint:errcheck // gone after the rename
	buf := bufio.NewWriter(tmp)
	err = errors.Join(write(buf), buf.Flush())
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
