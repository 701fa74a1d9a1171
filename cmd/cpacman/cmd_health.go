package main

import (
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"cpacman/internal/health"
	"cpacman/internal/host"
	"cpacman/inventory"
	"cpacman/transport"
)

func healthCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "health",
		Usage:     "run the health checks of hosts now, once",
		ArgsUsage: "[SELECTOR]",
		Description: "Runs every check in force for each host: those of its level, its groups and its own. There is no baseline here, so the\n" +
			"check basic lists failed units without blaming anything for them.",
		Flags: outputFlags(&cli.StringSliceFlag{Name: "check", Usage: "only this `CHECK`; repeatable"}),
		Action: func(c *cli.Context) error {
			s, err := e.open(c)
			if err != nil {
				return err
			}
			defer s.Close()
			return s.health()
		},
	}
}

func (s *session) health() error {
	only := s.c.StringSlice("check")
	for _, name := range only {
		if s.site.Health[name] == nil {
			return inputf("check %q is not in the site", name)
		}
	}
	hosts, _, err := s.selected(s.c.Args().Slice(), false)
	if err != nil {
		return err
	}
	results := make([][]health.Result, len(hosts))
	checker := s.fleet.Checker()
	bar := s.newCounter("health", len(hosts))
	s.fleet.Each(s.ctx, len(hosts), func(i int) {
		h := hosts[i]
		names := only
		if len(names) == 0 {
			names = s.site.Effective(h).Health
		}
		results[i] = checker.Run(s.ctx, health.Host{Name: h.Name, Address: h.Address}, s.fleet.Checks(h, names), nil)
		bar.add()
	})
	bar.done()
	return s.printHealth(hosts, results)
}

func (s *session) printHealth(hosts []*inventory.Host, results [][]health.Result) error {
	type row struct {
		Host    string         `json:"host"`
		Check   string         `json:"check"`
		Verdict health.Verdict `json:"verdict"`
		Output  string         `json:"output"`
		Took    float64        `json:"took"` // seconds
	}
	list := []row{}
	d := data{columns: []string{"host", "check", "verdict", "took", "output"}}
	bad := 0
	for i, h := range hosts {
		for _, r := range results[i] {
			if r.Verdict != health.Green {
				bad++
			}
			list = append(list, row{h.Name, r.Check, r.Verdict, r.Output, r.Took.Seconds()})
			d.rows = append(d.rows, []string{h.Name, r.Check, string(r.Verdict), r.Took.Round(time.Millisecond).String(), r.Output})
		}
	}
	d.value = list
	if err := s.emit(s.c, d); err != nil {
		return err
	}
	if bad > 0 {
		return &statusError{status: statusFailed, err: fmt.Errorf("%d of %d checks are not green", bad, len(list))}
	}
	return nil
}

func cleanCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "clean",
		Usage:     "remove what cpacman left on hosts",
		ArgsUsage: "SELECTOR",
		Description: "Removes staged packages, and ledger entries and logs that are old enough. The ledger refuses a transaction id that ran\n" +
			"before; what is removed there is no longer refused.",
		Flags: outputFlags(
			&cli.BoolFlag{Name: "spool", Usage: "only staged packages"},
			&cli.DurationFlag{Name: "older", Value: 30 * 24 * time.Hour, Usage: "ledger entries at least this old"},
			&cli.BoolFlag{Name: "dry-run", Usage: "only say which hosts would be cleaned"},
			&cli.BoolFlag{Name: "yes", Usage: "do not ask"},
		),
		Action: func(c *cli.Context) error {
			s, err := e.open(c)
			if err != nil {
				return err
			}
			defer s.Close()
			return s.clean()
		},
	}
}

// cleaned is how cleaning one host ended.
type cleaned struct {
	report host.CleanReport
	err    error
}

// idleRollouts are the rollouts of this site that no engine works on, newest first: nothing of theirs is on its way to a host.
func (s *session) idleRollouts() ([]string, error) {
	all, err := s.store.Rollouts(s.ctx)
	if err != nil {
		return nil, err
	}
	var idle []string
	for _, r := range all {
		lease, err := s.store.Lease(s.ctx, r.ID)
		if err != nil {
			return nil, err
		}
		if !lease.Live(s.now()) {
			idle = append(idle, r.ID)
		}
	}
	return idle, nil
}

func (s *session) clean() error {
	hosts, _, err := s.selected(s.c.Args().Slice(), true)
	if err != nil {
		return err
	}
	opt := host.CleanOptions{What: host.CleanAll, LedgerAge: s.c.Duration("older")}
	if s.c.Bool("spool") {
		opt.What = host.CleanSpool
	}
	if s.c.Bool("dry-run") {
		for _, h := range hosts {
			s.say("would clean %s", h.Name)
		}
		return nil
	}
	if err := s.mayPushHosts(hosts); err != nil {
		return err
	}
	if err := s.confirm(s.c, fmt.Sprintf("clean %d hosts?", len(hosts))); err != nil {
		return err
	}
	if opt.Over, err = s.idleRollouts(); err != nil {
		return err
	}
	results := make([]cleaned, len(hosts))
	s.fleet.Each(s.ctx, len(hosts), func(i int) {
		results[i].report, results[i].err = s.fleet.Clean(s.ctx, hosts[i], opt)
	})
	type row struct {
		Host    string   `json:"host"`
		Removed []string `json:"removed"`
		Bytes   int64    `json:"bytes"`
		Kept    []string `json:"kept"` // whose uploads were left alone
		Error   string   `json:"error"`
	}
	list := []row{}
	d := data{columns: []string{"host", "removed", "bytes", "error"}}
	failed, unreachable := 0, 0
	for i, h := range hosts {
		r := row{Host: h.Name, Removed: notNil(results[i].report.Removed), Bytes: results[i].report.Bytes, Kept: notNil(results[i].report.Kept)}
		for _, owner := range r.Kept {
			s.say("%s: what %s sends is left there: it was heard of less than 15 minutes ago", h.Name, transport.SanitizeLine(owner, 200))
		}
		if err := results[i].err; err != nil {
			r.Error = err.Error()
			if transport.KindOf(err) == transport.KindUnreachable {
				unreachable++
			} else {
				failed++
			}
		}
		list = append(list, r)
		d.rows = append(d.rows, []string{h.Name, fmt.Sprint(len(r.Removed)), humanBytes(r.Bytes), r.Error})
	}
	d.value = list
	if err := s.emit(s.c, d); err != nil {
		return err
	}
	switch {
	case failed > 0:
		return &statusError{status: statusFailed, err: fmt.Errorf("%d hosts were not cleaned", failed+unreachable)}
	case unreachable > 0:
		return &statusError{status: statusUnreachable, err: fmt.Errorf("%d hosts could not be reached", unreachable)}
	}
	return nil
}
