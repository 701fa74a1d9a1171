package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// errUsage is in the chain of errors about how the program was called.
var errUsage = errors.New("usage")

func usageError(_ *cli.Context, err error, _ bool) error {
	return fmt.Errorf("%w: %w: see cpacman-lab --help", errUsage, err)
}

func unknownCommand(app *cli.App, name string) error {
	names := make([]string, 0, len(app.Commands))
	for _, c := range app.Commands {
		names = append(names, c.Name)
	}
	return fmt.Errorf("%w: no command %q: the commands are %s", errUsage, name, strings.Join(names, ", "))
}

// reorder puts the flags of a subcommand before its arguments, since the command line
// library takes no flag after the first argument. "--" ends the flags; for exec, so does
// the name of the host, as what follows belongs to the command in the host.
func reorder(app *cli.App, args []string) []string {
	at := slices.IndexFunc(args[min(1, len(args)):], func(a string) bool { return !strings.HasPrefix(a, "-") })
	if at < 0 {
		return args
	}
	at++ // of the whole list
	command := app.Command(args[at])
	if command == nil {
		return args
	}
	flags, rest := []string{}, []string{}
	tail := args[at+1:]
	for i := 0; i < len(tail); i++ {
		word := tail[i]
		switch {
		case word == "--":
			rest = append(rest, tail[i+1:]...)
			i = len(tail)
		case !strings.HasPrefix(word, "-") || word == "-" || isNumber(word):
			rest = append(rest, word)
			if command.Name == "exec" {
				rest = append(rest, tail[i+1:]...)
				i = len(tail)
			}
		default:
			flags = append(flags, word)
			if takesValue(command, word) && i+1 < len(tail) {
				i++
				flags = append(flags, tail[i])
			}
		}
	}
	out := append(slices.Clone(args[:at+1]), flags...)
	return append(append(out, "--"), rest...)
}

func isNumber(word string) bool {
	return len(word) > 1 && word[1] >= '0' && word[1] <= '9'
}

// takesValue tells whether the next word is the value of this flag.
func takesValue(command *cli.Command, word string) bool {
	name := strings.TrimLeft(word, "-")
	if strings.Contains(name, "=") {
		return false
	}
	for _, f := range command.Flags {
		if slices.Contains(f.Names(), name) {
			_, boolean := f.(*cli.BoolFlag)
			return !boolean
		}
	}
	return false
}

// names splits a list written with commas.
func names(list string) []string {
	if list == "" {
		return nil
	}
	out := strings.Split(list, ",")
	for i := range out {
		out[i] = strings.TrimSpace(out[i])
	}
	return out
}
