package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"cpacman/internal/report"
)

func auditCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:  "audit",
		Usage: "how far hosts have drifted; who did what",
		Subcommands: []*cli.Command{
			{
				Name:      "drift",
				Usage:     "missing updates, and what is newer, extra, blocked by arch, retracted, duplicate or broken, host by host",
				ArgsUsage: "[SELECTOR]",
				Description: "Computed from stored facts; run `cpacman facts` first for the state of now. A host that was never asked, could not be\n" +
					"reached or has old facts is shown as that, never as up to date. --details lists packages, --differences what differs\n" +
					"between hosts that should be alike.",
				Flags: outputFlags(
					&cli.BoolFlag{Name: "details", Usage: "a line for each package instead of each host"},
					&cli.BoolFlag{Name: "differences", Usage: "a line for each package that differs within a class or cluster"},
				),
				Action: e.auditDrift,
			},
			trailCommand(e),
		},
	}
}

func (e *env) auditDrift(c *cli.Context) error {
	s, err := e.open(c)
	if err != nil {
		return err
	}
	defer s.Close()
	if c.Bool("details") && c.Bool("differences") {
		return usagef("--details and --differences are two tables; give one")
	}
	hosts, _, err := s.selected(c.Args().Slice(), false)
	if err != nil {
		return err
	}
	drift, differences, err := s.fleet.Drift(s.ctx, s.repos, hosts)
	if err != nil {
		return repoError(err)
	}
	d := driftTable(drift)
	switch {
	case c.Bool("details"):
		d = driftDetails(drift)
	case c.Bool("differences"):
		d = differenceTable(differences)
	}
	d.value = driftReport{drift, differences}
	if err := s.emit(c, d); err != nil {
		return err
	}
	current, behind, held, unknown := 0, 0, 0, 0
	for _, one := range drift {
		switch {
		case one.Status != report.StatusOK:
			unknown++
		case one.Installable() > 0:
			behind++
		case len(one.Missing) > 0:
			held++
		default:
			current++
		}
	}
	s.say("%d %s: %d up to date, %d with updates to install, %d with held or blocked updates only, %d not known; %d %s within classes and clusters",
		len(drift), plural(len(drift), "host", "hosts"), current, behind, held, unknown, len(differences), plural(len(differences), "difference", "differences"))
	return nil
}

// driftReport is what audit drift says in JSON.
type driftReport struct {
	Hosts       []report.HostDrift  `json:"hosts"`
	Differences []report.Difference `json:"differences"` // between hosts that should be alike
}

func driftTable(drift []report.HostDrift) data {
	d := data{columns: []string{"host", "class", "level", "status", "missing", "held", "blocked", "newer", "extra", "arch_blocked", "retracted", "duplicate", "pre_broken", "advisories", "detail"}}
	for _, h := range drift {
		row := []string{h.Host, h.Class, h.Level, h.Status}
		if h.Status != report.StatusOK {
			// A number here would look like an answer.
			row = append(row, "?", "?", "?", "?", "?", "?", "?", "?", "?", "?", h.Detail)
			d.rows = append(d.rows, row)
			continue
		}
		state := map[string]int{}
		for _, m := range h.Missing {
			state[m.State]++
		}
		for _, n := range []int{len(h.Missing), state["held"], state["blocked"], len(h.Newer), len(h.Extra), len(h.ArchBlocked), len(h.Retracted), len(h.Duplicates), len(h.PreBroken), len(h.Advisories)} {
			row = append(row, strconv.Itoa(n))
		}
		d.rows = append(d.rows, append(row, h.Detail))
	}
	return d
}

func driftDetails(drift []report.HostDrift) data {
	d := data{columns: []string{"host", "kind", "installed", "available", "because"}}
	for _, h := range drift {
		add := func(kind, installed, available, because string) {
			d.rows = append(d.rows, []string{h.Host, kind, installed, available, because})
		}
		if h.Status != report.StatusOK {
			add(h.Status, "", "", h.Detail)
		}
		for _, m := range h.Missing {
			add("missing", m.Installed.String(), toward(m.Installed, m.Available), strings.TrimSpace(m.State+" "+m.Rule))
		}
		for _, n := range h.Newer {
			add("newer", n.Installed.String(), n.Available.EVR.String(), "newer than the view")
		}
		for _, n := range h.Extra {
			add("extra", n.String(), "", "in no known repository")
		}
		for _, n := range h.ArchBlocked {
			add("arch_blocked", n.Installed.String(), n.Available.String(), "exists in another arch only")
		}
		for _, r := range h.Retracted {
			add("retracted", r.Installed.String(), "", r.Advisory)
		}
		for _, n := range h.Duplicates {
			add("duplicate", n.String(), "", "installed more than once")
		}
		for _, p := range h.PreBroken {
			add("pre_broken", "", "", p)
		}
	}
	return d
}

func differenceTable(differences []report.Difference) data {
	d := data{columns: []string{"scope", "package", "version", "hosts", "names"}}
	for _, one := range differences {
		for _, v := range one.Versions {
			d.rows = append(d.rows, []string{one.Scope, one.Package, v.EVR, strconv.Itoa(len(v.Hosts)), someOf(v.Hosts, 5)})
		}
	}
	return d
}

// someOf names the first of a list and how many more there are.
func someOf(names []string, n int) string {
	if len(names) <= n {
		return strings.Join(names, " ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:n], " "), len(names)-n)
}
