package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"cpacman/internal/fleet"
	"cpacman/internal/rpm"
	"cpacman/planner"
)

// kindFlags say what a plan is for when it is not for updates (PLAN-12, PLAN-16), and where its packages come from; plan and explain
// have the same.
func kindFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "repair", Usage: "plan for hosts that are pre-broken or half done: what completes them or goes back"},
		&cli.BoolFlag{Name: "downgrade", Usage: "what the repositories no longer have goes to what they have, lower versions too; --package names one build"},
		&cli.StringFlag{Name: "undo", Usage: "back to what each host had before this `ROLLOUT` (packages only)"},
		&cli.StringFlag{Name: "like", Usage: "make the hosts have what this `HOST` has"},
		&cli.StringFlag{Name: "lock", Usage: "make the hosts have what this `FILE` lists, one NEVRA to a line"},
		&cli.StringSliceFlag{Name: "repo-at", Usage: "read a repository from another directory, `ID=PATH`, as an earlier state of it; repeatable"},
		&cli.StringSliceFlag{Name: "override-hold", Usage: "for an emergency rollout: no hold, pin, exclude or version lock keeps the package of this `NAME`; repeatable"},
		&cli.BoolFlag{Name: "weak", Usage: "follow what packages that come in recommend, and what supplements them"},
	}
}

// kind reads kindFlags against the filter, and moves the repositories of --repo-at: the type of the plan and what it leads to.
func (s *session) kind(f planner.Filter) (r fleet.PlanRequest, err error) {
	c := s.c
	if err := s.relocate(c.StringSlice("repo-at")); err != nil {
		return r, err
	}
	var asked []string
	for _, name := range []string{"repair", "downgrade"} {
		if c.Bool(name) {
			asked = append(asked, "--"+name)
		}
	}
	for _, name := range []string{"undo", "like", "lock"} {
		if !c.IsSet(name) {
			continue
		}
		if c.String(name) == "" {
			return r, usagef("--%s wants a value", name)
		}
		asked = append(asked, "--"+name)
	}
	r.Request.Type = planner.TypeUpdate
	switch {
	case len(asked) > 1:
		return r, usagef("%s ask for different plans; give one of them", strings.Join(asked, " and "))
	case len(asked) == 0:
		return r, nil
	}
	advisories := f.ByAdvisory()
	switch {
	case advisories && asked[0] == "--downgrade":
		return r, usagef("--downgrade goes by package and not by advisory, which only ever go up; leave --security, --advisory, --cve and the like out")
	case advisories, asked[0] != "--downgrade" && len(f.Packages) > 0:
		return r, usagef("%s plans for whole hosts; leave --security, --advisory, --cve, --package and the like out", asked[0])
	}
	switch asked[0] {
	case "--repair":
		r.Request.Type = planner.TypeRepair
	case "--downgrade":
		r.Request.Type = planner.TypeDowngrade
	case "--undo":
		r.Request.Type = planner.TypeRollback
	case "--like", "--lock":
		r.Request.Type = planner.TypeLock
	}
	err = s.goal(&r)
	return r, err
}

// goal finds what a plan is to lead to, where that is written somewhere.
func (s *session) goal(r *fleet.PlanRequest) (err error) {
	switch {
	case s.c.IsSet("undo"):
		r.Targets, r.Void, err = s.undo(s.c.String("undo"))
	case s.c.IsSet("like"):
		r.Model, err = s.like(s.c.String("like"))
		if err == nil {
			r.Request.Target = r.Model.Installed
		}
	case s.c.IsSet("lock"):
		r.Request.Target, err = s.readLock(s.c.String("lock"))
	}
	return err
}

// errNothingToUndo is of a rollout that began nothing on hosts that are known by now: facts may tell that a host was renamed since.
var errNothingToUndo = errors.New("it began no transaction on a host of the inventory: there is nothing to undo")

// undo finds what the hosts had before a rollout.
func (s *session) undo(id string) (map[string][]rpm.NEVRA, map[string]string, error) {
	targets, err := s.fleet.TargetsBefore(s.ctx, id)
	if err != nil {
		return nil, nil, rolloutError(err, id)
	}
	if len(targets.Sets)+len(targets.Void) == 0 {
		return nil, nil, inputError{err: fmt.Errorf("rollout %s: %w", id, errNothingToUndo)}
	}
	return targets.Sets, targets.Void, nil
}

// like finds what a host has.
func (s *session) like(name string) (*fleet.Model, error) {
	h, err := s.host(name)
	if err != nil {
		return nil, err
	}
	model, err := s.fleet.ModelOf(s.ctx, h)
	var cannot *fleet.CannotPlan
	if errors.As(err, &cannot) {
		return nil, inputError{err: fmt.Errorf("what host %s has is not known well enough to make others like it: %s", h.Name, cannot.Detail), hint: "cpacman facts " + h.Name}
	}
	return model, err
}

func (s *session) readLock(path string) ([]rpm.NEVRA, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, inputError{err: fmt.Errorf("read the lock file: %w", err)}
	}
	defer f.Close()
	target, err := fleet.ReadLock(f)
	if err != nil {
		return nil, inputError{err: fmt.Errorf("read the lock file %s: %w", path, err)}
	}
	if err := s.repos.CheckEpochs(s.ctx, target); err != nil {
		return nil, inputError{err: fmt.Errorf("the lock file %s: %w", path, err)}
	}
	return target, nil
}

// relocate reads "ID=PATH" words.
func (s *session) relocate(words []string) error {
	if len(words) == 0 {
		return nil
	}
	at := map[string]string{}
	for _, w := range words {
		id, path, ok := strings.Cut(w, "=")
		if !ok || id == "" || path == "" {
			return usagef("--repo-at wants ID=PATH, not %q", w)
		}
		if at[id] != "" {
			return usagef("--repo-at names repository %q twice", id)
		}
		abs, err := filepath.Abs(path)
		if err != nil {
			return fmt.Errorf("--repo-at %s: %w", w, err)
		}
		at[id] = abs
	}
	if err := s.repos.Relocate(at); err != nil {
		return inputError{err: err, hint: "cpacman repo list names the repositories"}
	}
	return nil
}

// relocateAsPlanned reads the repositories from where the plan has read them.
func (s *session) relocateAsPlanned(p *planner.Plan) error {
	at := map[string]string{}
	for _, r := range p.Repos {
		if r.At != "" {
			at[r.ID] = r.At
		}
	}
	if err := s.repos.Relocate(at); err != nil {
		return inputError{err: fmt.Errorf("plan %.12s: %w", p.ID, err)}
	}
	return nil
}
