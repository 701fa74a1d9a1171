package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"cpacman/internal/lab"

	"github.com/urfave/cli/v2"
)

// faultKind is one thing that can go wrong on a host.
type faultKind struct {
	name, args, doc string
	least, most     int // arguments after the host
	inflict         func(f *faultCall) error
}

// faultCall is one use of a fault.
type faultCall struct {
	*cli.Context
	c    *commands
	lab  *lab.Lab
	host string
	args []string
}

func (f *faultCall) arg(n int) string {
	if n < len(f.args) {
		return f.args[n]
	}
	return ""
}

func (f *faultCall) say(format string, args ...any) {
	fmt.Fprintf(f.c.stdout, f.host+": "+format+"\n", args...)
}

// done says what happened when it did.
func (f *faultCall) done(err error, format string, args ...any) error {
	if err != nil {
		return err
	}
	f.say(format, args...)
	return nil
}

func faults() []faultKind {
	return []faultKind{
		{"cut", "", "takes the link down: packets vanish", 0, 0, func(f *faultCall) error {
			return f.done(f.lab.Cut(f.Context.Context, f.host), "link is down")
		}},
		{"clock", "OFFSET", "sets the clock wrong, as by 24h or, after --, by -24h; 0s sets it right", 1, 1, func(f *faultCall) error {
			off, err := time.ParseDuration(f.arg(0))
			if err != nil {
				return fmt.Errorf("%w: %q is no duration: write 24h, -24h or 0s", errUsage, f.arg(0))
			}
			return f.done(f.lab.Clock(f.Context.Context, f.host, off), "the clock of %s is off by %s", f.host, off)
		}},
		{"restore", "", "undoes cut, kill-sshd, fill-disk, hold-lock, clock and power-off", 0, 0, func(f *faultCall) error {
			return f.done(f.lab.Restore(f.Context.Context, f.host), "link, disk, lock and sshd are as they were")
		}},
		{"kill-sshd", "", "ends sshd and all sessions, until start-sshd or restore", 0, 0, func(f *faultCall) error {
			return f.done(f.lab.KillSSHD(f.Context.Context, f.host), "sshd and its sessions are dead")
		}},
		{"start-sshd", "", "starts sshd again", 0, 0, func(f *faultCall) error {
			return f.done(f.lab.StartSSHD(f.Context.Context, f.host), "sshd listens")
		}},
		{"fill-disk", "[DIR]", "fills the disk that DIR (default /var) is on, but for --leave bytes", 0, 1, func(f *faultCall) error {
			free, err := f.lab.FillDisk(f.Context.Context, f.host, f.arg(0), f.Int64("leave"))
			return f.done(err, "%d bytes are free", free)
		}},
		{"hold-lock", "", "makes an rpm hold the lock of the database for --seconds", 0, 0, func(f *faultCall) error {
			return f.done(f.lab.HoldLock(f.Context.Context, f.host, time.Duration(f.Int("seconds"))*time.Second), "rpm's lock is held for %d s", f.Int("seconds"))
		}},
		{"corrupt", "[GLOB]", "changes a byte in the middle of files below /var/lib/cpacman, or at a path", 0, 1, func(f *faultCall) error {
			files, err := f.lab.Corrupt(f.Context.Context, f.host, f.arg(0))
			return f.done(err, "changed %s", strings.Join(files, " "))
		}},
		{"downgrade", "PACKAGE", "installs the next older version by hand", 1, 1, func(f *faultCall) error {
			nevra, err := f.lab.Downgrade(f.Context.Context, f.host, f.arg(0))
			return f.done(err, "has %s now", nevra)
		}},
		{"add", "PACKAGE", "installs or updates a package by hand (name, or name-version-release)", 1, 1, func(f *faultCall) error {
			nevra, err := f.lab.Add(f.Context.Context, f.host, f.arg(0))
			return f.done(err, "has %s now", nevra)
		}},
		{"remove", "PACKAGE", "erases a package by hand; --nodeps: although others need it", 1, 1, func(f *faultCall) error {
			return f.done(f.lab.Remove(f.Context.Context, f.host, f.arg(0), f.Bool("nodeps")), "has no %s any more", f.arg(0))
		}},
		{"reboot", "", "takes the power away and gives it back", 0, 0, func(f *faultCall) error {
			return f.done(f.lab.Reboot(f.Context.Context, f.host), "is up again with a new boot id")
		}},
	}
}

func (c *commands) fault() *cli.Command {
	var list strings.Builder
	var kinds []string
	for _, k := range faults() {
		fmt.Fprintf(&list, "%-24s %s\n", strings.TrimSpace(k.name+" HOST "+k.args), k.doc)
		kinds = append(kinds, k.name)
	}
	flags := []cli.Flag{
		&cli.Int64Flag{Name: "leave", Usage: "fill-disk: bytes left free"},
		&cli.IntFlag{Name: "seconds", Usage: "hold-lock: for how long", Value: 60},
		&cli.BoolFlag{Name: "nodeps", Usage: "remove: without a look at dependencies"},
	}
	command := c.command("fault", "breaks a host in one of the ways real ones break", "KIND HOST [ARGUMENT]", flags, 2, -1, func(ctx *cli.Context) error {
		at := slices.Index(kinds, ctx.Args().First())
		if at < 0 {
			return fmt.Errorf("%w: no fault %q: the kinds are %s", errUsage, ctx.Args().First(), strings.Join(kinds, ", "))
		}
		kind := faults()[at]
		args := ctx.Args().Slice()[2:]
		if len(args) < kind.least || len(args) > kind.most {
			return fmt.Errorf("%w: write: cpacman-lab fault %s HOST %s", errUsage, kind.name, kind.args)
		}
		l, err := lab.Open(ctx.String("dir"))
		if err != nil {
			return err
		}
		return kind.inflict(&faultCall{Context: ctx, c: c, lab: l, host: ctx.Args().Get(1), args: args})
	})
	command.Description = "Kinds:\n" + list.String()
	return command
}
