package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"cpacman/internal/fleet"
	"cpacman/planner"
)

func rebootCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "reboot", Usage: "boot hosts that owe a reboot, in the waves of a rollout", ArgsUsage: "SELECTOR",
		Description: "Asks the hosts first (--stored: takes stored facts). A host owes a reboot when its kernel is older than the newest installed one, when\n" +
			"packages came in after its boot that only a boot makes effective, when a file of its own says so (/run/reboot-needed), or when an\n" +
			"earlier rollout left it the flag reboot_due. The others are left alone. Each host is asked again right before, and proof is another\n" +
			"boot id. Waves, gates, budgets, clusters, windows, hooks, checks and soak are those of any rollout; limits.reboots bounds how many\n" +
			"boot at once. --out writes the plan instead, for `rollout start`.",
		Flags: watchFlags(append(detachFlags(),
			&cli.BoolFlag{Name: "stored", Usage: "decide by stored facts; ask nobody before the start"},
			&cli.StringFlag{Name: "out", Aliases: []string{"o"}, Usage: "write the plan to `FILE` and start nothing"},
			&cli.DurationFlag{Name: "expires", Usage: "how long the plan may be started", DefaultText: "7d"},
			&cli.BoolFlag{Name: "force", Usage: "boot every host that is selected, whether it owes a reboot or not; wants --reason"},
			&cli.BoolFlag{Name: "dry-run", Usage: "ask every host in its wave whether it owes a reboot, and boot none"},
			&cli.BoolFlag{Name: "ignore-window", Usage: "boot hosts outside of their maintenance windows too; wants --reason"},
			&cli.BoolFlag{Name: "wait", Usage: "stay while paused or waiting for an approval or a maintenance window"},
			&cli.BoolFlag{Name: "yes", Usage: "do not ask"},
			&cli.StringFlag{Name: "reason", Usage: "why, for the record"},
		)...),
		Action: e.rolloutReboot,
	}
}

// rolloutReboot plans the reboots that hosts owe, and starts them as a rollout (ROLL-17).
func (e *env) rolloutReboot(c *cli.Context) error {
	for _, name := range []string{"force", "ignore-window"} {
		if c.Bool(name) && strings.TrimSpace(c.String("reason")) == "" {
			return usagef("--%s wants --reason", name)
		}
	}
	if c.String("out") != "" && (c.Bool("dry-run") || c.Bool("ignore-window")) {
		return usagef("--out writes the plan and starts nothing; --dry-run and --ignore-window go with rollout start then")
	}
	if d := c.Duration("expires"); d < 0 {
		return usagef("--expires wants a positive duration")
	}
	s, err := e.open(c)
	if err != nil {
		return err
	}
	defer s.Close()
	p, err := s.planReboots()
	if err != nil {
		return err
	}
	planned, missing := s.tellPlanned(p, "not known whether it owes a reboot")
	s.say("%d of %d hosts %s", planned, len(p.Hosts), plural(planned, "owes a reboot", "owe a reboot"))
	if planned == 0 {
		return missing
	}
	return s.writeOrLaunch(p, fmt.Sprintf("Boot %d %s?", planned, plural(planned, "host", "hosts")), missing)
}

// writeOrLaunch writes a plan without packages to --out, or starts it once the question is answered. missing is what it returns when that
// went well.
func (s *session) writeOrLaunch(p *planner.Plan, question string, missing error) error {
	if out := s.c.String("out"); out != "" {
		if err := writePlan(p, out); err != nil {
			return err
		}
		s.say("next: cpacman plan show %s, then: cpacman rollout start %s", out, out)
		return missing
	}
	if s.c.Bool("dry-run") {
		question = ""
	}
	if err := s.launch(p, false, question); err != nil {
		return err
	}
	return missing
}

// planReboots makes the plan.
func (s *session) planReboots() (*planner.Plan, error) {
	base, err := s.withoutPackages()
	if err != nil {
		return nil, err
	}
	req := fleet.RebootRequest{PlanRequest: base}
	if s.c.Bool("force") {
		req.Force = s.c.String("reason")
	}
	planned, err := s.fleet.PlanReboots(s.ctx, req)
	if err != nil {
		return nil, err
	}
	return planned.Plan, nil
}

func writePlan(p *planner.Plan, path string) error {
	var file bytes.Buffer
	if err := p.Encode(&file); err != nil {
		return err
	}
	return writeFile(path, file.Bytes(), 0o600)
}
