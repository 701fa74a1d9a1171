package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"cpacman/internal/lab"

	"github.com/urfave/cli/v2"
)

// defaultDir is where the lab is when nothing else is said.
const defaultDir = "/var/tmp/cpacman-lab"

// commands carries the streams of the program to its commands.
type commands struct {
	stdin          io.Reader
	stdout, stderr io.Writer
}

func dirFlag() *cli.StringFlag {
	return &cli.StringFlag{Name: "dir", Usage: "directory of the lab", EnvVars: []string{"CPACMAN_LAB_DIR"}, Value: defaultDir}
}

func (c *commands) command(name, usage, args string, flags []cli.Flag, least, most int, action func(*cli.Context) error) *cli.Command {
	return &cli.Command{
		Name: name, Usage: usage, ArgsUsage: args, Flags: append(flags, dirFlag()), OnUsageError: usageError,
		Action: func(ctx *cli.Context) error {
			n := ctx.NArg()
			if n < least {
				return fmt.Errorf("%w: %s needs %s", errUsage, name, args)
			}
			if most >= 0 && n > most {
				return fmt.Errorf("%w: %s takes no argument %q", errUsage, name, ctx.Args().Get(most))
			}
			return action(ctx)
		},
	}
}

func (c *commands) up() *cli.Command {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "root", Usage: "directory of the system that the hosts run, as debootstrap makes it (default: that of this machine)", EnvVars: []string{"CPACMAN_LAB_ROOT"}},
		&cli.IntFlag{Name: "hosts", Usage: "number of hosts", Value: 12},
		&cli.StringFlag{Name: "classes", Usage: "names of the classes, in order", Value: "development,testing,production"},
		&cli.StringFlag{Name: "levels", Usage: "names of the levels, in order", Value: "canary,early,broad"},
		&cli.IntFlag{Name: "systemd", Usage: "hosts with systemd as PID 1 (default: a quarter)", Value: -1, DefaultText: "a quarter"},
		&cli.IntFlag{Name: "packages", Usage: "filler packages in each rpm database"},
		&cli.Int64Flag{Name: "big", Usage: "MB of an incompressible package lab-big in labos-trouble"},
		&cli.Int64Flag{Name: "disk", Usage: "MB of each host's /var", Value: 256},
		&cli.IntFlag{Name: "slow", Usage: "seconds that the scriptlets of lab-slow and lab-slowpre take", Value: 20},
		&cli.DurationFlag{Name: "soak", Usage: "soak of the levels in the site", Value: 2 * time.Second},
		&cli.Int64Flag{Name: "seed", Usage: "decides which installed set each host starts with", Value: 1},
	}
	return c.command("up", "makes a lab and its site", "", flags, 0, 0, func(ctx *cli.Context) error {
		o := lab.Options{
			Dir: ctx.String("dir"), Root: ctx.String("root"), Hosts: ctx.Int("hosts"), Classes: names(ctx.String("classes")), Levels: names(ctx.String("levels")),
			Packages: ctx.Int("packages"), Big: ctx.Int64("big") << 20, DiskBytes: ctx.Int64("disk") << 20, SlowSeconds: ctx.Int("slow"),
			Soak: ctx.Duration("soak"), Seed: ctx.Int64("seed"), Log: c.stderr,
		}
		switch n := ctx.Int("systemd"); {
		case !ctx.IsSet("systemd"):
		case n == 0:
			o.Systemd = -1
		default:
			o.Systemd = n
		}
		if ctx.Int("hosts") == 0 {
			return fmt.Errorf("%w: --hosts 0: a lab needs at least one host", errUsage)
		}
		l, err := lab.Up(ctx.Context, o)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.stderr, "%d hosts are up after %.1f s\n", len(l.Hosts()), l.Took().Seconds())
		fmt.Fprintf(c.stderr, "next: cpacman --site %s facts all\n", l.SiteDir())
		fmt.Fprintln(c.stdout, l.SiteDir())
		return nil
	})
}

func (c *commands) down() *cli.Command {
	return c.command("down", "takes the lab away, also one that was left half-made", "", nil, 0, 0, func(ctx *cli.Context) error {
		// not to be interrupted half-way: it is short, and can be repeated
		if err := lab.Down(context.WithoutCancel(ctx.Context), ctx.String("dir")); err != nil {
			return err
		}
		fmt.Fprintf(c.stderr, "no lab in %s any more\n", ctx.String("dir"))
		return nil
	})
}

func (c *commands) status() *cli.Command {
	flags := []cli.Flag{&cli.StringFlag{Name: "output", Usage: "table or json", Value: "table"}}
	return c.command("status", "lists the hosts and whether they run", "", flags, 0, 0, func(ctx *cli.Context) error {
		format := ctx.String("output")
		if format != "table" && format != "json" {
			return fmt.Errorf("%w: --output %q: table or json", errUsage, format)
		}
		l, err := lab.Open(ctx.String("dir"))
		if err != nil {
			return err
		}
		list, err := l.Status(ctx.Context)
		if err != nil {
			return err
		}
		if format == "json" {
			encoder := json.NewEncoder(c.stdout)
			encoder.SetIndent("", "  ")
			return encoder.Encode(map[string]any{"dir": l.Dir(), "site": l.SiteDir(), "id": l.ID(), "took_ms": l.Took().Milliseconds(), "hosts": list})
		}
		w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "HOST\tADDRESS\tSTATE\tINIT\tUSER\tSUDO\tCLASS\tLEVEL\tSET")
		for _, h := range list {
			init := "sshd"
			if h.Systemd {
				init = "systemd"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", h.Name, h.Address, h.State, init, h.User, h.Sudo, h.Class, h.Level, h.Variant)
		}
		return w.Flush()
	})
}

func (c *commands) path() *cli.Command {
	return c.command("path", "prints the directory of the site", "", nil, 0, 0, func(ctx *cli.Context) error {
		l, err := lab.Open(ctx.String("dir"))
		if err != nil {
			return err
		}
		fmt.Fprintln(c.stdout, l.SiteDir())
		return nil
	})
}

func (c *commands) exec() *cli.Command {
	return c.command("exec", "runs a command inside a host as root, without SSH", "HOST COMMAND...", nil, 2, -1, func(ctx *cli.Context) error {
		l, err := lab.Open(ctx.String("dir"))
		if err != nil {
			return err
		}
		status, err := l.ExecStreams(ctx.Context, ctx.Args().First(), c.stdin, c.stdout, c.stderr, ctx.Args().Tail()...)
		if err != nil {
			return err
		}
		if status != 0 {
			return exitStatus(status)
		}
		return nil
	})
}
