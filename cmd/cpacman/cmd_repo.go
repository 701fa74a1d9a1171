package main

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"cpacman/internal/people"
	"cpacman/internal/repo"
	"cpacman/internal/rpm"
	"cpacman/inventory"
	"cpacman/planner"
)

func repoCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:  "repo",
		Usage: "the repositories of the site",
		Subcommands: []*cli.Command{
			{Name: "list", Usage: "list repositories", Flags: outputFlags(), Action: e.repoList},
			{
				Name: "show", Usage: "what is in a repository", ArgsUsage: "REPO [GLOB]",
				Description: "GLOB is a name, a name with its arch, or a whole build, each may be a glob; with --advisories the id of an advisory, or a CVE.",
				Flags:       outputFlags(&cli.BoolFlag{Name: "advisories", Usage: "list advisories instead of packages"}),
				Action:      e.repoShow,
			},
			{
				Name: "check", Usage: "verify metadata and packages", ArgsUsage: "[REPO…]",
				Flags: outputFlags(
					&cli.BoolFlag{Name: "full", Usage: "read every package and compare its digest, not its size alone"},
					&cli.BoolFlag{Name: "signatures", Usage: "read every package and verify its signature by the repository's keys"},
				),
				Action: e.repoCheck,
			},
			{
				Name: "accept", Usage: "take a repository as it is, though its metadata went backwards", ArgsUsage: "REPO",
				Description: "plan refuses a repository whose metadata is older than what a plan was made from before. For a mirror that was put back on\n" +
					"purpose; an earlier state beside the present one is plan --repo-at.",
				Flags:  []cli.Flag{&cli.StringFlag{Name: "reason", Usage: "why, for the record"}, &cli.BoolFlag{Name: "yes", Usage: "do not ask"}},
				Action: e.repoAccept,
			},
		},
	}
}

func (e *env) repoList(c *cli.Context) error {
	s, err := e.open(c)
	if err != nil {
		return err
	}
	defer s.Close()
	list := []listedRepo{}
	d := data{columns: []string{"id", "kind", "packages", "advisories", "priority", "auto", "signed", "digest", "path", "state"}}
	damaged := 0
	for i := range s.site.Repos {
		cfg := &s.site.Repos[i]
		one := listedRepo{ID: cfg.ID, Priority: cfg.Priority, Auto: cfg.Auto, Signed: string(cfg.Signed), Path: cfg.Path}
		state, advisories := "ok", "no data"
		if err := s.describeRepo(cfg, &one.Kind, &one.Packages, &one.Advisories, &one.Digest); err != nil {
			one.Error, state = err.Error(), err.Error()
			damaged++
		}
		if one.Advisories != nil {
			advisories = strconv.Itoa(*one.Advisories)
		}
		list = append(list, one)
		d.rows = append(d.rows, []string{one.ID, one.Kind, strconv.Itoa(one.Packages), advisories, strconv.Itoa(one.Priority),
			strconv.FormatBool(one.Auto), one.Signed, shortDigest(one.Digest), one.Path, state})
	}
	d.value = list
	if err := s.emit(c, d); err != nil {
		return err
	}
	if len(list) == 0 {
		s.say("the site has no repository: add a [[repo]] to cpacman.toml")
	}
	if damaged > 0 {
		return inputError{err: errors.New("not every repository could be read"), hint: "cpacman repo check tells everything that is wrong"}
	}
	return nil
}

func (s *session) describeRepo(cfg *inventory.Repo, kind *string, packages *int, advisories **int, digest *string) error {
	r, err := s.repos.Open(s.ctx, cfg.ID)
	if err != nil {
		return err
	}
	*kind, *packages, *digest = r.Kind(), r.Len(), r.Digest()
	if r.HasAdvisories() {
		list, err := r.Advisories()
		if err != nil {
			return err
		}
		n := len(list)
		*advisories = &n
	}
	return nil
}

func shortDigest(d string) string {
	if len(d) > 12 {
		return d[:12]
	}
	return d
}

// openRepo opens a repository named on the command line.
func (s *session) openRepo(id string) (*repo.Repo, error) {
	if s.site.Repo(id) == nil {
		err := inputError{err: errors.New("repository " + strconv.Quote(id) + " is not in the site"), hint: "cpacman repo list prints them"}
		for i := range s.site.Repos {
			if editDistance(id, s.site.Repos[i].ID) < 3 {
				err.hint = "did you mean " + strconv.Quote(s.site.Repos[i].ID) + "?"
			}
		}
		return nil, err
	}
	r, err := s.repos.Open(s.ctx, id)
	if err != nil {
		return nil, repoError(err)
	}
	return r, nil
}

func (e *env) repoAccept(c *cli.Context) error {
	reason := strings.TrimSpace(c.String("reason"))
	if c.Args().Len() != 1 || reason == "" {
		return usagef("repo accept wants one repository and --reason TEXT")
	}
	s, err := e.open(c)
	if err != nil {
		return err
	}
	defer s.Close()
	r, err := s.openRepo(c.Args().First())
	if err != nil {
		return err
	}
	as := "without metadata"
	if made, ok := r.Made(); ok {
		as = "of " + dueTime(made)
	}
	if err := e.confirm(c, fmt.Sprintf("take %s as it is, %s?", r.ID(), as)); err != nil {
		return err
	}
	state, err := s.fleet.AcceptRepo(s.ctx, r, people.ProcessUser(), reason)
	if err != nil {
		return inputError{err: err}
	}
	if state.Made.IsZero() {
		s.say("repository %s: accepted without metadata, digest %s", r.ID(), shortDigest(state.Digest))
		return nil
	}
	s.say("repository %s: accepted as of %s, digest %s", r.ID(), dueTime(state.Made), shortDigest(state.Digest))
	return nil
}

func (e *env) repoShow(c *cli.Context) error {
	if n := c.Args().Len(); n < 1 || n > 2 {
		return usagef("repo show wants a repository and at most one glob")
	}
	glob := "*"
	if c.Args().Len() == 2 {
		glob = c.Args().Get(1)
	}
	if err := checkGlob(glob); err != nil {
		return err
	}
	s, err := e.open(c)
	if err != nil {
		return err
	}
	defer s.Close()
	r, err := s.openRepo(c.Args().First())
	if err != nil {
		return err
	}
	if c.Bool("advisories") {
		return s.showAdvisories(r, glob)
	}
	return s.showPackages(r, glob)
}

func (s *session) showPackages(r *repo.Repo, glob string) error {
	list := []shownPackage{}
	for _, p := range r.Packages() {
		if planner.Names(glob, p.NEVRA) {
			one := shownPackage{p.NEVRA, p.Location, nil, planner.Checksum(p.Checksum), p.Vendor}
			if size, known := r.SizeOf(p); known {
				one.Size = &size
			}
			list = append(list, one)
		}
	}
	slices.SortFunc(list, func(a, b shownPackage) int { return rpm.CompareNEVRA(a.NEVRA, b.NEVRA) })
	d := data{columns: []string{"package", "size", "vendor", "path"}, value: list}
	for _, p := range list {
		size := "unknown"
		if p.Size != nil {
			size = humanBytes(*p.Size)
		}
		d.rows = append(d.rows, []string{p.NEVRA.String(), size, p.Vendor, p.Path})
	}
	if err := s.emit(s.c, d); err != nil {
		return err
	}
	switch {
	case len(list) > 0:
	case r.Len() == 0:
		s.say("repository %s has no packages", r.ID())
	default:
		return noMatch("package", glob, r, namesOf(r), "cpacman repo show "+r.ID())
	}
	return nil
}

// namesAdvisory tells whether a glob means an advisory, by its id or by one of its CVEs; in any case, as plan takes both.
func namesAdvisory(glob string, a *repo.Advisory) bool {
	return slices.ContainsFunc(append([]string{a.ID}, a.CVEs...), func(id string) bool {
		ok, _ := path.Match(strings.ToLower(glob), strings.ToLower(id))
		return ok
	})
}

func (s *session) showAdvisories(r *repo.Repo, glob string) error {
	all, err := r.Advisories()
	if err != nil {
		return repoError(err)
	}
	if !r.HasAdvisories() {
		s.say("repository %s has no advisory data: what it fixes is not known", r.ID())
	}
	list := []shownAdvisory{}
	d := data{columns: []string{"id", "type", "severity", "status", "issued", "cves", "packages", "title"}}
	for _, a := range all {
		if !namesAdvisory(glob, &a) {
			continue
		}
		list = append(list, showAdvisory(&a))
		issued := ""
		if !a.Issued.IsZero() {
			issued = a.Issued.Format("2006-01-02")
		}
		d.rows = append(d.rows, []string{a.ID, a.Type, a.Severity, a.Status, issued, strings.Join(a.CVEs, " "), strconv.Itoa(len(a.Packages)), a.Title})
	}
	d.value = list
	if err := s.emit(s.c, d); err != nil || len(list) > 0 {
		return err
	}
	if len(all) > 0 {
		ids := make([]string, len(all))
		for i, a := range all {
			ids[i] = a.ID
		}
		return noMatch("advisory", glob, r, ids, "cpacman repo show "+r.ID()+" --advisories")
	}
	return nil
}

func (e *env) repoCheck(c *cli.Context) error {
	s, err := e.open(c)
	if err != nil {
		return err
	}
	defer s.Close()
	ids := c.Args().Slice()
	if len(ids) == 0 {
		ids = s.repos.IDs()
	}
	list := []shownProblem{}
	wrong := 0
	d := data{columns: []string{"repo", "severity", "file", "package", "what"}}
	for _, id := range ids {
		if s.site.Repo(id) == nil {
			_, err := s.openRepo(id)
			return err
		}
		problems, err := s.fleet.CheckRepo(s.ctx, s.repos, id, c.Bool("full"), c.Bool("signatures"))
		if err != nil {
			return err
		}
		for _, p := range problems {
			severity := "error"
			if p.Note {
				severity = "note"
			} else {
				wrong++
			}
			list = append(list, shownProblem{p.Repo, p.File, p.Package, p.What, p.Note})
			d.rows = append(d.rows, []string{p.Repo, severity, p.File, p.Package, p.What})
		}
	}
	d.value = list
	if len(list) > 0 || c.String("output") != "table" {
		if err := s.emit(c, d); err != nil {
			return err
		}
	}
	if wrong > 0 {
		return inputf("%d %s in %d %s", wrong, plural(wrong, "error", "errors"), len(ids), plural(len(ids), "repository", "repositories"))
	}
	s.say("%d %s checked: no error", len(ids), plural(len(ids), "repository", "repositories"))
	return nil
}
