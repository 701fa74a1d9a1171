// Command cpacman-lab makes a throwaway fleet of real hosts on this machine, with
// repositories and a ready site, breaks it on purpose, and takes it away again.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"cpacman/internal/lab"

	"github.com/urfave/cli/v2"
)

// Exit statuses, as those of cpacman.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args, os.Stdin, os.Stdout, os.Stderr))
}

// exitStatus is the error of a command inside a host that ended with this status.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// run is main without the process: it returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	app := newApp(stdin, stdout, stderr)
	err := app.RunContext(ctx, reorder(app, args))
	var status exitStatus
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	}
	fmt.Fprintln(stderr, "cpacman-lab:", err)
	switch {
	case ctx.Err() != nil:
		return exitInterrupted
	case errors.Is(err, lab.ErrUsage), errors.Is(err, errUsage):
		return exitUsage
	}
	return exitFailed
}

func newApp(stdin io.Reader, stdout, stderr io.Writer) *cli.App {
	c := &commands{stdin: stdin, stdout: stdout, stderr: stderr}
	return &cli.App{
		Name:      "cpacman-lab",
		Usage:     "a throwaway fleet of real hosts on this machine",
		Reader:    stdin,
		Writer:    stdout,
		ErrWriter: stderr,
		Commands: []*cli.Command{
			c.up(), c.down(), c.status(), c.fault(), c.exec(), c.path(),
		},
		HideVersion:           true,
		ExitErrHandler:        func(*cli.Context, error) {},
		OnUsageError:          usageError,
		CommandNotFound:       nil,
		CustomAppHelpTemplate: cli.AppHelpTemplate,
		Action: func(ctx *cli.Context) error {
			if ctx.Args().Present() {
				return unknownCommand(ctx.App, ctx.Args().First())
			}
			return cli.ShowAppHelp(ctx)
		},
	}
}
