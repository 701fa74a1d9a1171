package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"

	"github.com/urfave/cli/v2"
)

// checkLine holds every command line to what is true of all of them, before anything is opened, asked or computed: arguments that the
// verb does not take, values that are empty because a variable of a script was, and a place for --out that cannot be written.
func checkLine(c *cli.Context) error {
	if err := checkOutput(c); err != nil {
		return err
	}
	if find(c.Command.Subcommands, c.Args().First()) != nil {
		return nil // the verb below is checked itself
	}
	if err := checkArguments(c); err != nil {
		return err
	}
	for _, f := range c.Command.Flags {
		if err := checkValue(c, f); err != nil {
			return err
		}
	}
	if out := c.String("out"); out != "" && out != "-" {
		return checkPlace(out)
	}
	return nil
}

// checkArguments refuses arguments where the verb takes none, and a second one where it takes at most one.
func checkArguments(c *cli.Context) error {
	switch usage := c.Command.ArgsUsage; {
	case usage == "" && c.Args().Len() > 0:
		return noArgs(c, verbOf(c))
	case (usage == "[ROLLOUT]" || usage == "[DIR]") && c.Args().Len() > 1:
		return usagef("%s takes at most one argument, not %q too", verbOf(c), c.Args().Get(1))
	}
	return nil
}

// checkValue refuses a flag that was given with an empty value, and a negative duration.
func checkValue(c *cli.Context, f cli.Flag) error {
	name := f.Names()[0]
	if !c.IsSet(name) {
		return nil
	}
	switch f.(type) {
	case *cli.StringFlag:
		if c.String(name) == "" {
			return usagef("--%s is empty; give it a value or leave it out", name)
		}
	case *cli.DurationFlag:
		if d := c.Duration(name); d < 0 || d == 0 && name == "expires" {
			return usagef("--%s wants a positive duration, not %s", name, d)
		}
	}
	return nil
}

// checkPlace tells whether a file could be written at path, as far as that can be seen without writing.
func checkPlace(path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return inputf("write %s: it is a directory; name a file in it", path)
	}
	dir := filepath.Dir(path)
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "stat", Path: dir, Err: fmt.Errorf("not a directory")}
	}
	if err != nil {
		return inputf("write %s: it would stand in %s: %w", path, dir, reasonOf(err))
	}
	return nil
}

// reasonOf takes the system call and its path off an error whose caller names the path already.
func reasonOf(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

var (
	notDefined = regexp.MustCompile(`^flag provided but not defined: -(.+)$`)
	badBoolean = regexp.MustCompile(`^invalid boolean value (".*") for -?(.+?): `)
	badValue   = regexp.MustCompile(`^invalid value (".*") for flag -?(.+?): `)
)

// flagError says in our words what the flag package found wrong.
func flagError(c *cli.Context, err error) error {
	text := err.Error()
	if m := notDefined.FindStringSubmatch(text); m != nil {
		return usageError{err: fmt.Errorf("%s has no flag --%s", verbOf(c), m[1]), hint: "cpacman " + verbOf(c) + " --help lists its flags"}
	}
	if m := badBoolean.FindStringSubmatch(text); m != nil {
		return usagef("--%s is given or left out; it takes no value, not %s", m[2], m[1])
	}
	if m := badValue.FindStringSubmatch(text); m != nil {
		if takesDuration(c, m[2]) {
			return usagef("--%s wants a duration like 90s, 30m, 12h or 7d, not %s", m[2], m[1])
		}
		return usagef("--%s cannot have the value %s", m[2], m[1])
	}
	return usageError{err: err}
}

func takesDuration(c *cli.Context, name string) bool {
	return slices.ContainsFunc(c.Command.Flags, func(f cli.Flag) bool {
		_, ok := f.(*cli.DurationFlag)
		return ok && slices.Contains(f.Names(), name)
	})
}

// unquoted writes a word of the command line so that it stays on its line.
func unquoted(word string) string {
	q := strconv.Quote(word)
	return q[1 : len(q)-1]
}

// progressFormat refuses a format that progress has not.
func progressFormat(_ *cli.Context, format string) error {
	if format != "table" && format != "json" {
		return usagef("unknown output format %q of progress (table or json)", format)
	}
	return nil
}
