package health

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"cpacman/transport"
)

// ownUnits is the prefix of the units that cpacman itself makes; one that failed is no fault of the update.
const ownUnits = "cpacman-"

// failedUnits is what Basic runs on the host: the failed units, one a line, between marks, so that an empty list is an answer
// and no answer is none. A host without systemd has none.
const failedUnits = `if [ -d /run/systemd/system ]; then
echo begin
systemctl list-units --state=failed --all --full --plain --no-legend --no-pager || exit 1
else
echo none
fi
echo end`

// maxUnits bounds how many failed units are read.
const maxUnits = 10_000

// basic asks for the failed units over the fresh connection and compares them with those of the baseline.
func (s *session) basic(ctx context.Context, check Check, base *Result) Result {
	res, err := s.conn.Run(ctx, transport.Command{Script: failedUnits, Timeout: check.timeout(), MaxStdout: 1 << 20, MaxStderr: MaxOutput})
	if err != nil {
		return Result{Verdict: Unknown, Output: "reachable, but the host could not be asked for failed units: " + err.Error()}
	}
	units, err := parseUnits(res)
	if err != nil {
		return Result{Verdict: Unknown, Output: err.Error()}
	}
	evidence, err := json.Marshal(units)
	if err != nil {
		return Result{Verdict: Unknown, Output: err.Error()}
	}
	r := Result{Verdict: Green, Evidence: string(evidence)}
	var before []string
	switch {
	case len(units) == 0:
		return r
	case s.taking:
		r.Output = "failed already: " + strings.Join(units, ", ")
		return r
	case base != nil:
		if err := json.Unmarshal([]byte(base.Evidence), &before); err != nil {
			r.Verdict, r.Output = Unknown, "failed units, and no baseline to compare with: "+strings.Join(units, ", ")
			return r
		}
	}
	var fresh []string
	for _, u := range units {
		if !slices.Contains(before, u) {
			fresh = append(fresh, u)
		}
	}
	if len(fresh) > 0 {
		r.Verdict, r.Output = Red, "newly failed units: "+strings.Join(fresh, ", ")
	} else {
		r.Output = "failed before too: " + strings.Join(units, ", ")
	}
	return r
}

// parseUnits reads the answer to failedUnits; sorted, without our own.
func parseUnits(res transport.Result) ([]string, error) {
	lines := strings.Split(strings.TrimSpace(string(res.Stdout)), "\n")
	if !res.OK() || len(lines) < 2 || lines[len(lines)-1] != "end" || lines[0] != "begin" && lines[0] != "none" {
		return nil, fmt.Errorf("the list of failed units could not be read (exit status %d): %s", res.ExitStatus, res.Stderr)
	}
	units := []string{}
	if lines[0] == "none" {
		return units, nil
	}
	if len(lines) > maxUnits {
		return nil, fmt.Errorf("more than %d failed units", maxUnits)
	}
	for _, l := range lines[1 : len(lines)-1] {
		// Before systemd 246 --plain does not take away the dot before a failed unit.
		f := strings.Fields(strings.TrimLeft(l, "●* "))
		if len(f) > 0 && !strings.HasPrefix(f[0], ownUnits) {
			units = append(units, f[0])
		}
	}
	slices.Sort(units)
	return slices.Compact(units), nil
}

// endAfter runs the command that stands behind a number of seconds, and ends it and what it started when they are over, where the
// host has a timeout(1) that can: nobody waits for it any more, and each round of a soak would leave one more.
const endAfter = `if timeout -k 1 1 true 2>/dev/null; then exec timeout -k 1 "$@"; fi
shift
exec "$@"`

// command runs a command on the host: exit status 0 is green.
func (s *session) command(ctx context.Context, check Check) Result {
	// A second more than is waited for, so that what is said of it does not depend on the host.
	seconds := strconv.FormatFloat((check.timeout() + time.Second).Seconds(), 'f', 1, 64)
	argv := append([]string{"/bin/sh", "-c", endAfter, "check", seconds}, check.Command...)
	res, err := s.conn.Run(ctx, transport.Command{Argv: argv, Timeout: check.timeout(), MaxStdout: MaxOutput, MaxStderr: MaxOutput})
	if err != nil {
		return hostError(err)
	}
	out := string(res.Stdout)
	if len(res.Stderr) > 0 {
		out = strings.TrimSpace(out + "\n" + string(res.Stderr))
	}
	if res.ExitStatus == 0 && res.Signal == "" {
		return Result{Verdict: Green, Output: out}
	}
	return Result{Verdict: Red, Output: fmt.Sprintf("exit status %d: %s", res.ExitStatus, out)}
}

func hostError(err error) Result {
	var te *transport.Error
	if errors.As(err, &te) && te.Kind == transport.KindTimeout {
		return Result{Verdict: Unknown, Output: "no result within the timeout: " + err.Error()}
	}
	return Result{Verdict: Unknown, Output: "could not be run: " + err.Error()}
}

// systemd asks for units that must be active. The exit status of is-active is 0 when any of them is, so the words count.
func (s *session) systemd(ctx context.Context, check Check) Result {
	argv := append([]string{"systemctl", "is-active", "--"}, check.Systemd...)
	res, err := s.conn.Run(ctx, transport.Command{Argv: argv, Timeout: check.timeout(), MaxStdout: MaxOutput, MaxStderr: MaxOutput})
	if err != nil {
		return hostError(err)
	}
	words := strings.Fields(string(res.Stdout))
	if len(words) != len(check.Systemd) {
		return Result{Verdict: Unknown, Output: fmt.Sprintf("systemctl gave no answer for each unit (exit status %d): %s", res.ExitStatus, res.Stderr)}
	}
	var bad []string
	for i, w := range words {
		if w != "active" {
			bad = append(bad, check.Systemd[i]+" is "+w)
		}
	}
	if len(bad) > 0 {
		return Result{Verdict: Red, Output: strings.Join(bad, ", ")}
	}
	return Result{Verdict: Green}
}
