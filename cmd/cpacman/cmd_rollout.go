package main

import (
	"github.com/urfave/cli/v2"
)

// watchFlags are on every verb that shows a running rollout.
func watchFlags(more ...cli.Flag) []cli.Flag {
	return append([]cli.Flag{
		&cli.StringFlag{Name: "output", Value: "table", Usage: "`FORMAT` of progress on stdout: table (for people) or json (one object a line)", Action: progressFormat},
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
					"waited for (exit status 6). The second detaches: hosts go on, `rollout resume` picks up (130). With --detach an engine of its\n" +
					"own does the work, the verb ends with 0 when that has the rollout, and Ctrl-C ends only the watching.",
				Flags: watchFlags(append(detachFlags(),
					&cli.BoolFlag{Name: "dry-run", Usage: "go as far as the test on every host, then remove what was sent"},
					&cli.BoolFlag{Name: "keep-staged", Usage: "with --dry-run: leave what was sent"},
					&cli.BoolFlag{Name: "again", Usage: "start a plan that was started before; wants --reason"},
					&cli.BoolFlag{Name: "without-switch", Usage: "start although hosts that the update can cut off get no dead man's switch; wants --reason"},
					&cli.BoolFlag{Name: "ignore-window", Usage: "start hosts outside of their maintenance windows too; wants --reason"},
					&cli.BoolFlag{Name: "emergency", Usage: "one erratum in a hurry: the first wave of each class is one host, soaks are short; wants --reason"},
					&cli.StringSliceFlag{Name: "without-approval", Usage: "with --emergency: enter this `GATE` without its approvals (\"class NAME\" or \"level CLASS/LEVEL\"); repeatable"},
					&cli.BoolFlag{Name: "wait", Usage: "stay while paused or waiting for an approval or a maintenance window"},
					&cli.BoolFlag{Name: "yes", Usage: "do not ask"},
					reason,
				)...),
				Action: e.rolloutStart,
			},
			{
				Name: "stage", Usage: "push the packages of a plan to its hosts and prove them there, ahead of the rollout", ArgsUsage: "PLAN",
				Description: "Changes no package: as start --dry-run --keep-staged, at any time, whatever maintenance windows and approvals say. What is there\n" +
					"with the right bytes is not sent again, by rollout start neither, which spends its window on transactions then.",
				Flags: watchFlags(append(detachFlags(),
					&cli.BoolFlag{Name: "wait", Usage: "stay while paused"},
					&cli.BoolFlag{Name: "yes", Usage: "do not ask"},
					reason,
				)...),
				Action: e.rolloutStage,
			},
			{
				Name: "rehearse", Usage: "what a rollout of a plan would be: waves, bytes, how long, and how much can fail", ArgsUsage: "PLAN",
				Description: "Changes nothing and contacts nobody.",
				Flags: outputFlags(
					&cli.BoolFlag{Name: "emergency", Usage: "as an emergency would be"},
					&cli.StringSliceFlag{Name: "without-approval", Usage: "with --emergency: enter this `GATE` without its approvals; repeatable"},
				),
				Action: e.rolloutRehearse,
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
				Flags:  watchFlags(append(detachFlags(), &cli.BoolFlag{Name: "wait", Usage: "stay while paused or waiting for an approval or a maintenance window"})...),
				Action: e.rolloutResume,
			},
			{Name: "pause", Usage: "no new hosts; what is in flight ends", ArgsUsage: "[ROLLOUT]", Flags: []cli.Flag{reason}, Action: e.rolloutPause},
			approveCommand(e, reason),
			amendCommand(e),
			{Name: "abort", Usage: "end a rollout for good; hosts at work finish", ArgsUsage: "[ROLLOUT]", Flags: watchFlags(reason, &cli.BoolFlag{Name: "yes", Usage: "do not ask"}), Action: e.rolloutAbort},
			{Name: "retry", Usage: "try hosts again that failed or never started", ArgsUsage: "[ROLLOUT] [HOST…]", Flags: []cli.Flag{reason}, Action: e.rolloutRetry},
			{Name: "rollback", Usage: "take hosts back to the packages they had before it", ArgsUsage: "[ROLLOUT] [HOST…]",
				Description: "Where the rollout has a way back for them: the site wanted one (rollout.rollback), or the update could have cut them off.\n" +
					"Without hosts: all that it has changed, and nothing new starts. Packages only: data and configuration stay. Else: plan --undo.",
				Flags: watchFlags(reason, &cli.BoolFlag{Name: "yes", Usage: "do not ask"}), Action: e.rolloutRollback},
			{
				Name: "handover", Usage: "make somebody else answer for a rollout", ArgsUsage: "[ROLLOUT]",
				Flags: []cli.Flag{reason, &cli.StringFlag{Name: "to", Usage: "the `USER` who answers for it from now on"}}, Action: e.rolloutHandover,
			},
			{Name: "note", Usage: "leave a remark with a rollout", ArgsUsage: "ROLLOUT TEXT…", Action: e.rolloutNote},
			rebootCommand(e),
			serviceCommand(e),
			enginesCommand(e),
			engineCommand(e),
			{Name: "notify-test", Usage: "send a test to one receiver of notifications", ArgsUsage: "NAME", Action: e.rolloutNotifyTest},
			{Name: "skip", Usage: "leave a host out", ArgsUsage: "[ROLLOUT] HOST…", Flags: []cli.Flag{reason}, Action: e.rolloutSkip},
			{
				Name: "export", Usage: "write the evidence of a rollout: plan, approvals, verdicts, package sets, trail", ArgsUsage: "ROLLOUT FILE.tar.gz",
				Description: "One archive with a manifest and a README that says what is what. The same rollout gives the same bytes. Settings of the site\n" +
					"and secrets are not in it.",
				Flags:  []cli.Flag{&cli.StringFlag{Name: "output", Value: "table", Usage: "`FORMAT` of what is said about it: table, json or csv"}},
				Action: e.rolloutExport,
			},
		},
	}
}
