package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"cpacman/internal/fleet"
	"cpacman/inventory"
	"cpacman/planner"
)

func serviceCommand(e *env) *cli.Command {
	flags := func() []cli.Flag {
		return watchFlags(append(detachFlags(),
			&cli.StringSliceFlag{Name: "unit", Usage: "the systemd `UNIT`: a service, or with its suffix a socket, timer or path; repeatable"},
			&cli.StringSliceFlag{Name: "without-check", Usage: "leave out the health check `NAME`, which looks at what is stopped; repeatable"},
			&cli.BoolFlag{Name: "stored", Usage: "decide by stored facts; ask nobody before the start"},
			&cli.StringFlag{Name: "out", Aliases: []string{"o"}, Usage: "write the plan to `FILE` and start nothing"},
			&cli.DurationFlag{Name: "expires", Usage: "how long the plan may be started", DefaultText: "7d"},
			&cli.BoolFlag{Name: "dry-run", Usage: "ask every host in its wave how its units stand, and change none"},
			&cli.BoolFlag{Name: "ignore-window", Usage: "change hosts outside of their maintenance windows too"},
			&cli.BoolFlag{Name: "wait", Usage: "stay while paused or waiting for an approval or a maintenance window"},
			&cli.BoolFlag{Name: "yes", Usage: "do not ask"},
			&cli.StringFlag{Name: "reason", Usage: "why, for the record; always wanted"},
		)...)
	}
	stop := append(flags(),
		&cli.BoolFlag{Name: "emergency", Usage: "in a hurry: the first wave of each class is one host, soaks are short"},
		&cli.StringSliceFlag{Name: "without-approval", Usage: "with --emergency: enter this `GATE` without its approvals; repeatable"})
	return &cli.Command{
		Name: "service", Usage: "stop services for which there is no fix yet, in the waves of a rollout; and start them again", ArgsUsage: " ",
		Subcommands: []*cli.Command{
			{
				Name: "stop", Usage: "stop units of systemd and keep them from starting", ArgsUsage: "SELECTOR",
				Description: "A unit stays stopped, whoever wants to start it and after a boot too, until `rollout service start`: a drop-in on the host keeps it so.\n" +
					"No package is changed. Units without which a host cannot be reached or does not run are refused. Waves, gates, budgets, clusters,\n" +
					"windows, hooks, checks and soak are those of any rollout. --out writes the plan instead, for `rollout start`.",
				Flags: stop, Action: func(c *cli.Context) error { return e.rolloutService(c, planner.ServiceStop) },
			},
			{
				Name: "start", Usage: "let units be again as they were before `rollout service stop`", ArgsUsage: "SELECTOR",
				Description: "Those that ran are started, the others are only allowed to start. Units that cpacman has not stopped are left alone.",
				Flags:       flags(), Action: func(c *cli.Context) error { return e.rolloutService(c, planner.ServiceStart) },
			},
		},
	}
}

// rolloutService plans the stop or start of services and starts it as a rollout (ROLL-11).
func (e *env) rolloutService(c *cli.Context, action planner.ServiceAction) error {
	want := planner.Services{Action: action, WithoutChecks: c.StringSlice("without-check")}
	for _, name := range c.StringSlice("unit") {
		want.Units = append(want.Units, planner.UnitName(strings.TrimSpace(name)))
	}
	if err := checkServiceFlags(c, want); err != nil {
		return err
	}
	s, err := e.open(c)
	if err != nil {
		return err
	}
	defer s.Close()
	for _, name := range want.WithoutChecks {
		if _, known := s.site.Health[name]; !known {
			return inputf("health check %q is not defined; cpacman inventory show HOST lists those of a host", name)
		}
		if name == inventory.BasicCheck {
			return inputf("health check %q stays: it tells that the host can be reached and that nothing else failed", name)
		}
	}
	p, err := s.planServices(want)
	if err != nil {
		return err
	}
	planned, missing := s.tellPlanned(p, "not in it")
	s.say("%d of %d hosts: %s %s", planned, len(p.Hosts), action, strings.Join(p.Services.Units, ", "))
	if planned == 0 {
		return missing
	}
	question := fmt.Sprintf("%s %s on %d %s?", map[planner.ServiceAction]string{planner.ServiceStop: "Stop", planner.ServiceStart: "Start"}[action],
		strings.Join(p.Services.Units, ", "), planned, plural(planned, "host", "hosts"))
	return s.writeOrLaunch(p, question, missing)
}

// checkServiceFlags refuses what cannot be meant.
func checkServiceFlags(c *cli.Context, want planner.Services) error {
	if len(want.Units) == 0 {
		return usagef("name the services with --unit")
	}
	for _, u := range want.Units {
		if err := planner.CheckUnit(u); err != nil {
			return usagef("--unit: %v", err)
		}
	}
	if strings.TrimSpace(c.String("reason")) == "" {
		return usagef("--reason is wanted: who finds a service stopped asks why")
	}
	if c.String("out") != "" && (c.Bool("dry-run") || c.Bool("ignore-window") || c.Bool("emergency")) {
		return usagef("--out writes the plan and starts nothing; --dry-run, --ignore-window and --emergency go with rollout start then")
	}
	if d := c.Duration("expires"); d < 0 {
		return usagef("--expires wants a positive duration")
	}
	return checkEmergencyFlags(c)
}

// tellPlanned lists the hosts of a plan that have no package to change, and counts those that are planned. The error is of those that could not
// be reached.
func (s *session) tellPlanned(p *planner.Plan, unknown string) (planned int, missing error) {
	away := 0
	for _, h := range p.Hosts {
		switch h.Status {
		case planner.StatusPlanned:
			planned++
			s.say("  %s: %s", h.Host, h.Detail)
		case planner.StatusNothing:
		case planner.StatusUnreachable:
			away++
			s.say("  %s: %s: %s: %s", h.Host, unknown, h.Status, h.Detail)
		default:
			s.say("  %s: left out: %s: %s", h.Host, h.Status, h.Detail)
		}
	}
	if away > 0 {
		missing = &statusError{status: statusUnreachable, err: fmt.Errorf("%d of %d hosts could not be reached and are not in it", away, len(p.Hosts))}
	}
	return planned, missing
}

// planServices makes the plan.
func (s *session) planServices(want planner.Services) (*planner.Plan, error) {
	base, err := s.withoutPackages()
	if err != nil {
		return nil, err
	}
	planned, err := s.fleet.PlanServices(s.ctx, fleet.ServicesRequest{PlanRequest: base, Services: want, Why: s.c.String("reason")})
	if err != nil {
		return nil, err
	}
	return planned.Plan, nil
}

// withoutPackages is the request of a plan that changes no package: its hosts, asked before unless --stored.
func (s *session) withoutPackages() (req fleet.PlanRequest, err error) {
	if req.Hosts, req.Selector, err = s.selected(s.c.Args().Slice(), true); err != nil {
		return req, err
	}
	if req.Live = !s.c.Bool("stored"); req.Live {
		if _, err := s.collect(req.Hosts, false); err != nil {
			return req, err
		}
		s.facts = nil // what was read for the selector is older
	}
	req.Facts, req.Expiry = s.facts, s.c.Duration("expires")
	return req, nil
}
