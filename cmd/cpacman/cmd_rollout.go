package main

import (
	"github.com/urfave/cli/v2"
)

// watchFlags are on every verb that shows a running rollout.
func watchFlags(more ...cli.Flag) []cli.Flag {
	return append([]cli.Flag{
		&cli.StringFlag{Name: "output", Value: "table", Usage: "`FORMAT` of progress on stdout: table (for people) or json (one object a line)"},
	}, more...)
}

func rolloutCommand(e *env) *cli.Command {
	reason := &cli.StringFlag{Name: "reason", Usage: "why, for the record"}
	return &cli.Command{
		Name:  "rollout",
		Usage: "execute a plan, class by class, level by level, wave by wave",
		Subcommands: []*cli.Command{
			{
				Name: "start", Usage: "start a plan", ArgsUsage: "PLAN",
				Description: "Proves every package, prints the waves as integers, and starts. The first Ctrl-C drains: no new hosts, those at work are\n" +
					"waited for (exit status 6). The second detaches: hosts go on, `rollout resume` picks up (130).",
				Flags: watchFlags(
					&cli.BoolFlag{Name: "dry-run", Usage: "go as far as the test on every host, then remove what was sent"},
					&cli.BoolFlag{Name: "keep-staged", Usage: "with --dry-run: leave what was sent"},
					&cli.BoolFlag{Name: "again", Usage: "start a plan that was started before; wants --reason"},
					&cli.BoolFlag{Name: "ignore-window", Usage: "start hosts outside of their maintenance windows too; wants --reason"},
					&cli.BoolFlag{Name: "wait", Usage: "stay while paused or waiting for an approval or a maintenance window"},
					&cli.BoolFlag{Name: "yes", Usage: "do not ask"},
					reason,
				),
				Action: e.rolloutStart,
			},
			{Name: "list", Usage: "list rollouts", Flags: outputFlags(), Action: e.rolloutList},
			{
				Name: "status", Usage: "where a rollout stands, and why", ArgsUsage: "[ROLLOUT]",
				Flags:  outputFlags(&cli.BoolFlag{Name: "hosts", Usage: "every host, not only those that need attention"}),
				Action: e.rolloutStatus,
			},
			{Name: "watch", Usage: "follow a rollout that another process runs", ArgsUsage: "[ROLLOUT]", Flags: watchFlags(), Action: e.rolloutWatch},
			{
				Name: "resume", Usage: "let a paused rollout go on, or take up one whose process is gone", ArgsUsage: "[ROLLOUT]",
				Flags:  watchFlags(&cli.BoolFlag{Name: "wait", Usage: "stay while paused or waiting for an approval or a maintenance window"}),
				Action: e.rolloutResume,
			},
			{Name: "pause", Usage: "no new hosts; what is in flight ends", ArgsUsage: "[ROLLOUT]", Flags: []cli.Flag{reason}, Action: e.rolloutPause},
			{
				Name: "approve", Usage: "say yes to the gate a rollout waits at", ArgsUsage: "[ROLLOUT]",
				Flags:  []cli.Flag{reason, &cli.StringFlag{Name: "scope", Usage: "the `GATE`, as rollout status names it (default: the one being waited at)"}},
				Action: e.rolloutApprove,
			},
			{Name: "abort", Usage: "end a rollout for good; hosts at work finish", ArgsUsage: "[ROLLOUT]", Flags: watchFlags(reason, &cli.BoolFlag{Name: "yes", Usage: "do not ask"}), Action: e.rolloutAbort},
			{Name: "retry", Usage: "try hosts again that failed or never started", ArgsUsage: "[ROLLOUT] [HOST…]", Flags: []cli.Flag{reason}, Action: e.rolloutRetry},
			{Name: "skip", Usage: "leave a host out", ArgsUsage: "[ROLLOUT] HOST…", Flags: []cli.Flag{reason}, Action: e.rolloutSkip},
		},
	}
}
