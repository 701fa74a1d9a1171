// Command cpacman pushes RPM updates to fleets over SSH: facts, plans, staged rollouts, drift.
//
// The rules of its output: data goes to stdout and nothing else does; progress, warnings and errors go to stderr; an error is
// one line, "cpacman: what was being done: what is wrong", followed where there is one by "hint: what to do next". Text that
// came from hosts, repositories or inventories is escaped for the place it goes to. Colours and redrawn lines appear on a
// terminal only, and never with NO_COLOR.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"cpacman/internal/rollout"
	"cpacman/internal/store"
)

// version is set by the build.
var version = "unknown"

// env is what the command touches of the world; tests give their own.
type env struct {
	ctx            context.Context
	stdin          io.Reader
	stdout, stderr io.Writer
	now            func() time.Time
	getenv         func(string) string
	interrupts     *interruptions
	terminal       bool           // stderr is a terminal
	width          int            // of the terminal, in columns
	stateDir       string         // of the site whose state was opened; "" before
	timing         rollout.Timing // of engines; only tests have another than the zero value
}

func main() {
	os.Exit(mainStatus(rollout.Timing{}))
}

// mainStatus runs the command line of this process and returns its exit status.
func mainStatus(timing rollout.Timing) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	interrupts := &interruptions{handle: cancelThenExit(cancel, os.Exit)}
	go interrupts.watch(signals)
	terminal, width := stderrTerminal()
	e := &env{
		ctx: ctx, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, now: time.Now, getenv: os.Getenv,
		interrupts: interrupts, terminal: terminal, width: width, timing: timing,
	}
	return run(e, os.Args)
}

// run executes one command line and returns the exit status (design: 0, 1, 2, 3, 4, 5, 6, 130).
func run(e *env, args []string) int {
	app := newApp(e)
	ordered, err := reorder(app, args)
	if err == nil {
		daysInHours(app, ordered)
		err = app.RunContext(e.ctx, ordered)
	}
	if err == nil {
		return statusOK
	}
	var status *statusError
	if errors.As(err, &status) && status.err == nil {
		return status.status
	}
	if e.stateDir != "" {
		err = store.Damaged(e.stateDir, err)
	}
	printError(e.stderr, err)
	return exitStatus(err)
}

// newApp builds the tree of verbs.
func newApp(e *env) *cli.App {
	app := &cli.App{
		Name:            "cpacman",
		Usage:           "push RPM updates to fleets over SSH, without agents",
		Version:         version,
		HideVersion:     true,
		Reader:          e.stdin,
		Writer:          e.stdout,
		ErrWriter:       e.stderr,
		ExitErrHandler:  func(*cli.Context, error) {}, // exit statuses are decided in exitStatus
		OnUsageError:    func(_ *cli.Context, err error, _ bool) error { return usageError{err: err} },
		HideHelpCommand: true,
		Suggest:         true,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "site", Usage: "the site `DIR` (else $CPACMAN_SITE, else the nearest cpacman.toml upwards, else /etc/cpacman)"},
			&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "log what happens below, on stderr"},
		},
		Commands: commands(e),
		Before: func(c *cli.Context) error {
			if c.IsSet("site") && c.String("site") == "" {
				return usagef("--site is empty; give it a value or leave it out")
			}
			return nil
		},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usageError{err: fmt.Errorf("unknown verb %q", c.Args().First())}
			}
			return cli.ShowAppHelp(c)
		},
	}
	finish(app.Commands)
	return app
}

// checkOutput refuses an unknown --output before anything is done.
func checkOutput(c *cli.Context) error {
	switch format := c.String("output"); format {
	case "", "table", "json", "csv":
		return nil
	default:
		return usagef("unknown output format %q (table, json or csv)", format)
	}
}

// finish gives every command of the tree what all have in common.
func finish(commands []*cli.Command) {
	for _, c := range commands {
		c.HideHelpCommand = true
		c.OnUsageError = func(c *cli.Context, err error, _ bool) error { return flagError(c, err) }
		if c.Action == nil {
			c.Action = cli.ShowSubcommandHelp
		}
		c.Before = checkLine
		finish(c.Subcommands)
	}
}
