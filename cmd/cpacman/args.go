package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"
)

// reorder puts flags before arguments, because urfave/cli takes everything after the first argument for an argument: flags may
// stand anywhere on our command line. "-" and what follows "--" are arguments. A misspelt verb is an error with a suggestion.
func reorder(app *cli.App, args []string) ([]string, error) {
	if len(args) > 0 && args[len(args)-1] == "--generate-bash-completion" {
		return args, nil
	}
	takesValue, global := flagTable(app)
	var globals, flags, words, path []string
	commands := app.Commands
	rest := args[1:]
	for i := 0; i < len(rest); i++ {
		arg := rest[i]
		switch {
		case arg == "--":
			words = append(words, rest[i+1:]...)
			i = len(rest)
		case len(arg) > 1 && arg[0] == '-':
			name, _, inline := strings.Cut(strings.TrimLeft(arg, "-"), "=")
			if _, known := takesValue[name]; !known {
				return nil, unknownFlag(name, takesValue)
			}
			list := &flags
			if global[name] {
				list = &globals
			}
			*list = append(*list, arg)
			if takesValue[name] && !inline {
				if i+1 >= len(rest) {
					return nil, usagef("flag %s wants a value", arg)
				}
				i++
				*list = append(*list, rest[i])
			}
		case len(words) == 0 && len(commands) > 0:
			next := find(commands, arg)
			if next == nil {
				return nil, unknownVerb(strings.Join(path, " "), arg, commands)
			}
			path = append(path, arg)
			commands = next.Subcommands
		default:
			words = append(words, arg)
		}
	}
	out := append([]string{args[0]}, globals...)
	if len(path) == 0 && len(flags) > 0 {
		return append(out, flags...), nil
	}
	out = append(append(out, path...), flags...)
	if len(words) > 0 {
		out = append(append(out, "--"), words...)
	}
	return out, nil
}

// daysInHours writes durations like 7d, which the configuration takes, as the flag package takes them: flags take what keys take.
func daysInHours(app *cli.App, args []string) {
	is := map[string]bool{}
	walk(app.Commands, func(c *cli.Command) {
		for _, f := range c.Flags {
			if _, ok := f.(*cli.DurationFlag); ok {
				is["--"+f.Names()[0]] = true
			}
		}
	})
	for i, arg := range args {
		name, value, inline := strings.Cut(arg, "=")
		switch {
		case arg == "--":
			return
		case is[name] && inline:
			args[i] = name + "=" + inHours(value)
		case is[name] && i+1 < len(args):
			args[i+1] = inHours(args[i+1])
		}
	}
}

// inHours writes whole days as hours; anything else stays.
func inHours(duration string) string {
	days, is := strings.CutSuffix(duration, "d")
	if n, err := strconv.ParseUint(days, 10, 16); is && err == nil {
		return strconv.FormatUint(n*24, 10) + "h"
	}
	return duration
}

// flagTable tells for every flag name of the tree whether it takes a value, and which flags belong to the root. A test holds
// that a name has one meaning in the whole tree.
func flagTable(app *cli.App) (takesValue, global map[string]bool) {
	takesValue, global = map[string]bool{"help": false, "h": false}, map[string]bool{}
	add := func(flags []cli.Flag, root bool) {
		for _, f := range flags {
			d, ok := f.(cli.DocGenerationFlag)
			for _, name := range f.Names() {
				takesValue[name] = ok && d.TakesValue()
				if root {
					global[name] = true
				}
			}
		}
	}
	add(app.Flags, true)
	walk(app.Commands, func(c *cli.Command) { add(c.Flags, false) })
	return takesValue, global
}

// unknownFlag names the nearest flag when there is a near one.
func unknownFlag(name string, known map[string]bool) error {
	err := usageError{err: fmt.Errorf("unknown flag --%s", unquoted(name)), hint: "cpacman VERB --help lists the flags of a verb"}
	if name == "version" {
		err.hint = "cpacman version prints it"
		return err
	}
	distance := min(3, len(name))
	for _, k := range slices.Sorted(maps.Keys(known)) {
		if d := editDistance(name, k); d < distance && len(k) > 1 {
			distance, err.hint = d, fmt.Sprintf("did you mean --%s?", k)
		}
	}
	return err
}

// walk visits every command of the tree.
func walk(commands []*cli.Command, fn func(*cli.Command)) {
	for _, c := range commands {
		fn(c)
		walk(c.Subcommands, fn)
	}
}

func find(commands []*cli.Command, name string) *cli.Command {
	for _, c := range commands {
		if c.HasName(name) {
			return c
		}
	}
	return nil
}

// unknownVerb names the nearest verb when there is a near one.
func unknownVerb(path, word string, commands []*cli.Command) error {
	what := "verb"
	if path != "" {
		what = path + " verb"
	}
	err := usageError{err: fmt.Errorf("unknown %s %q", what, word), hint: "cpacman --help lists the verbs"}
	best, distance := "", 3
	var all []string
	for _, c := range commands {
		if c.Hidden {
			continue
		}
		all = append(all, c.Name)
		if d := editDistance(word, c.Name); d < distance {
			best, distance = c.Name, d
		}
	}
	switch {
	case best != "":
		err.hint = fmt.Sprintf("did you mean %q?", strings.TrimSpace(path+" "+best))
	case path != "":
		err.hint = fmt.Sprintf("%s knows: %s", path, strings.Join(all, ", "))
	}
	return err
}

// editDistance is the number of single-character changes from a to b (Levenshtein).
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		previous := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := previous
			if a[i-1] != b[j-1] {
				cost++
			}
			previous = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
