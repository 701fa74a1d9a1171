package main

import (
	"bufio"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"cpacman/internal/rpm"
)

func evrCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "evr",
		Usage:     "compare two EVRs in rpm's order",
		ArgsUsage: "A B | -",
		Description: "Prints `A < B`, `A = B` or `A > B`. With `-` it reads pairs from stdin, two words a line, and prints <, = or > a line.\n" +
			"With --test nothing is printed and the exit status is 0 when the comparison holds, else 1.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "test", Usage: "exit 0 if A is `OP` B: lt, eq or gt"},
		},
		Action: func(c *cli.Context) error {
			args := c.Args().Slice()
			if len(args) == 1 && args[0] == "-" {
				if c.IsSet("test") {
					return usagef("--test compares two EVRs of the command line, not of stdin")
				}
				return e.evrPairs()
			}
			if len(args) != 2 {
				return usagef("evr wants two EVRs, or - to read pairs from stdin")
			}
			sign, err := evrSign(args[0], args[1])
			if err != nil {
				return err
			}
			if c.IsSet("test") {
				return evrTest(c.String("test"), sign)
			}
			_, err = fmt.Fprintf(e.stdout, "%s %s %s\n", args[0], sign, args[1])
			return err
		},
	}
}

// evrTest turns a comparison into an exit status.
func evrTest(op, sign string) error {
	want, ok := map[string]string{"lt": "<", "eq": "=", "gt": ">"}[op]
	if !ok {
		return usagef("unknown --test %q (lt, eq or gt)", op)
	}
	if sign != want {
		return &statusError{status: statusFailed}
	}
	return nil
}

// evrPairs answers one line for each line of stdin.
func (e *env) evrPairs() error {
	lines := bufio.NewScanner(e.stdin)
	w := bufio.NewWriter(e.stdout)
	for n := 1; lines.Scan(); n++ {
		words := strings.Fields(lines.Text())
		if len(words) != 2 {
			w.Flush()
			return inputf("line %d of stdin: want two EVRs, found %d words", n, len(words))
		}
		sign, err := evrSign(words[0], words[1])
		if err != nil {
			w.Flush()
			return fmt.Errorf("line %d of stdin: %w", n, err)
		}
		fmt.Fprintln(w, sign)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read stdin: %w", err)
	}
	return w.Flush()
}

func evrSign(a, b string) (string, error) {
	va, err := rpm.ParseEVR(a)
	if err != nil {
		return "", inputError{err: err}
	}
	vb, err := rpm.ParseEVR(b)
	if err != nil {
		return "", inputError{err: err}
	}
	switch c := rpm.Compare(va, vb); {
	case c < 0:
		return "<", nil
	case c > 0:
		return ">", nil
	}
	return "=", nil
}
