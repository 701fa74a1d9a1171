package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"cpacman/internal/fleet"
	"cpacman/planner"
)

// wanted reads filterFlags and kindFlags: the request, without hosts.
func (s *session) wanted() (fleet.PlanRequest, error) {
	f, err := s.filter()
	if err != nil {
		return fleet.PlanRequest{}, err
	}
	r, err := s.kind(f)
	if err != nil && !errors.Is(err, errNothingToUndo) {
		return r, err
	}
	r.Request.Filter, r.Request.Weak = f, s.c.Bool("weak")
	if err := s.repos.CheckNames(s.ctx, f.Advisories, f.CVEs); err != nil {
		return r, inputError{err: err, hint: "cpacman repo show REPO --advisories lists what is known"}
	}
	return r, err
}

// saySilent tells, where fixes are asked for, which repositories of a plan do not say what their packages fix, and that kinds of advisories narrow nothing.
func (s *session) saySilent(p *planner.Plan) error {
	f := &p.Requested.Filter
	if !f.ByAdvisory() {
		return nil
	}
	if f.Security && len(f.Severities) > 0 {
		s.say("note: --security takes security advisories of every severity, also those that --severity does not name; leave it out to take only these")
	}
	ids := make([]string, len(p.Repos))
	for i := range p.Repos {
		ids[i] = p.Repos[i].ID
	}
	silent, err := s.repos.Silent(s.ctx, ids)
	if err == nil && len(silent) > 0 {
		s.say("note: %s: what %s packages fix is not known", fleet.SilentWords(silent), plural(len(silent), "its", "their"))
	}
	return err
}

func planCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "plan",
		Usage:     "compute upgrade sets",
		ArgsUsage: "[SELECTOR] | show FILE [HOST]",
		Description: "Asks the hosts first (--stored: plans from stored facts), then solves every configuration once. --out writes the plan\n" +
			"file that `rollout start` takes; the table on stdout is its summary. `plan show FILE` prints a plan, `plan show FILE HOST`\n" +
			"everything about one host. --repair, --downgrade, --undo, --like and --lock make plans that go elsewhere than up.",
		Flags: outputFlags(append(append(append(filterFlags(), kindFlags()...), keyFlags()...),
			&cli.BoolFlag{Name: "stored", Usage: "plan from stored facts; ask nobody"},
			&cli.DurationFlag{Name: "expires", Usage: "how long the plan may be started", DefaultText: "7d"},
		)...),
		Action: func(c *cli.Context) error {
			if c.Args().First() == "show" {
				return e.planShow(c)
			}
			known, open := func(int) {}, e.open
			if c.Bool("stored") {
				known, open = shortLived(!namesOneHost(c.Args().Slice())), e.openPlanning
			}
			s, err := open(c)
			if err != nil {
				return err
			}
			defer s.Close()
			known(len(s.site.Hosts))
			return s.plan()
		},
	}
}

// namesOneHost tells that a selector is the name of a host, as far as it shows before the inventory is read.
func namesOneHost(args []string) bool {
	return len(args) == 1 && args[0] != "all" && !strings.ContainsAny(args[0], "*?[]{}()=!<> \"'")
}

// plan computes and prints a plan.
func (s *session) plan() error {
	live := !s.c.Bool("stored")
	req, err := s.wanted()
	if err != nil && !(live && errors.Is(err, errNothingToUndo)) {
		return err
	}
	if err := s.askedKeys(&req); err != nil { // before any host is asked
		return err
	}
	if !live {
		first := s.firstPlanned()
		if s.ahead.viewed {
			first = nil
		}
		req.Ahead = s.fleet.ReadAhead(s.ctx, s.repos, first)
		defer req.Ahead.Wait()
		if err := s.planFacts(); err != nil {
			return err
		}
	}
	if req.Hosts, req.Selector, err = s.selected(s.c.Args().Slice(), false); err != nil {
		return err
	}
	if live {
		if _, err := s.collect(req.Hosts, len(req.Keys.Retire) > 0); err != nil {
			return err
		}
		// Facts may decide what a selector matches, so it is read again; and who was rebuilt or renamed, which undo goes by.
		s.facts = nil
		if s.c.IsSet("undo") {
			if err := s.goal(&req); err != nil {
				return err
			}
		}
	}
	req.Live, req.Facts, req.Expiry = live, s.facts, s.c.Duration("expires")
	d := newDelivery(s)
	defer d.end()
	req.Observer = d
	planned, err := s.fleet.Plan(s.ctx, s.repos, req)
	if err != nil {
		return keyPlanError(err)
	}
	if err := s.saySilent(planned.Plan); err != nil {
		return err
	}
	return d.deliver(planned)
}

// vendorChanges counts the packages of a plan that another vendor's replace.
func vendorChanges(p *planner.Plan) int {
	seen := map[planner.VendorChange]bool{}
	for _, set := range p.Sets {
		for _, v := range set.VendorChanges {
			seen[v] = true
		}
	}
	return len(seen)
}

// planTable is a plan with one line for each host.
func planTable(p *planner.Plan) data {
	d := data{columns: []string{"host", "class", "level", "status", "install", "upgrade", "downgrade", "remove", "held", "blocked", "download", "reboot", "detail"}}
	counts := map[string][]string{} // of sets: hosts share them
	none := slices.Repeat([]string{"0"}, 6)
	for i := range p.Sets {
		set := &p.Sets[i]
		for _, n := range []int{len(set.Install), len(set.Upgrade), len(set.Downgrade), len(set.Remove), len(set.Held), len(set.Blocked)} {
			counts[set.ID] = append(counts[set.ID], strconv.Itoa(n))
		}
	}
	sizes := map[int64]string{}
	cells := make([]string, 0, len(d.columns)*len(p.Hosts))
	d.rows = make([][]string, 0, len(p.Hosts))
	for i := range p.Hosts {
		h := &p.Hosts[i]
		size, known := sizes[h.Bytes]
		if !known {
			size = humanBytes(h.Bytes)
			sizes[h.Bytes] = size
		}
		reboot, detail := "no", h.Detail
		if h.Impact.Reboot {
			reboot = "yes"
		}
		if detail == "" && len(h.PreBroken) > 0 {
			detail = "pre-broken: " + h.PreBroken[0]
		}
		if words := h.Keys.Summary(); words != "" {
			detail = strings.TrimSuffix(words+"; "+detail, "; ")
		}
		from, count := len(cells), counts[h.Set]
		if count == nil {
			count = none
		}
		cells = append(append(cells, h.Host, h.Class, h.Level, string(h.Status)), count...)
		cells = append(cells, size, reboot, detail)
		d.rows = append(d.rows, cells[from:len(cells):len(cells)])
	}
	return d
}

// readPlan reads a plan file.
func readPlan(file string) (*planner.Plan, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, inputError{err: fmt.Errorf("read the plan %s: %w", file, reasonOf(err)), hint: "cpacman plan --out FILE writes one"}
	}
	defer f.Close()
	p, err := planner.Decode(f)
	if err != nil {
		return nil, inputError{err: fmt.Errorf("read the plan %s: %w", file, planFault(err)), hint: "cpacman plan --out FILE writes one"}
	}
	return p, nil
}

// planFault says in plain words that a file is no plan at all, or only the beginning of one.
func planFault(err error) error {
	var syntax *json.SyntaxError
	var place *fs.PathError
	switch {
	case errors.As(err, &place):
		return place.Err
	case errors.As(err, &syntax) && strings.HasPrefix(syntax.Error(), "unexpected end"):
		return fmt.Errorf("%w: it is empty or cut off", planner.ErrPlan)
	case errors.As(err, &syntax):
		return fmt.Errorf("%w: it is no JSON from byte %d on", planner.ErrPlan, syntax.Offset)
	}
	return err
}

// planShow prints a plan file; it needs no site.
func (e *env) planShow(c *cli.Context) error {
	args := c.Args().Slice()[1:]
	if len(args) < 1 || len(args) > 2 {
		return usagef("plan show wants a plan file and at most one host")
	}
	for _, name := range c.LocalFlagNames() {
		if name != "output" && name != "out" && name != "o" {
			return usagef("plan show prints a plan as it is; --%s is for making one", name)
		}
	}
	p, err := readPlan(args[0])
	if err != nil {
		return err
	}
	if len(args) == 2 {
		return e.planShowHost(c, p, args[1])
	}
	d := planTable(p)
	d.value = p
	if err := e.emit(c, d); err != nil {
		return err
	}
	e.say("plan %.12s, type %s, made from facts of %s, expires %s", p.ID, p.Type, p.CreatedAt.Format("2006-01-02 15:04 MST"), p.ExpiresAt.Format("2006-01-02 15:04 MST"))
	if p.Expired(e.now()) {
		e.say("this plan has expired; make a new one")
	}
	return nil
}

// shownHost is one host of a plan in JSON.
type shownHost struct {
	Host     planner.PlanHost      `json:"host"`
	Set      planner.Set           `json:"set"`
	Packages []planner.PlanPackage `json:"packages"` // that come in
	Keys     []planner.PlanKey     `json:"keys,omitempty"`
}

// planShowHost prints every line of one host's set.
func (e *env) planShowHost(c *cli.Context, p *planner.Plan, name string) error {
	h, ok := p.Host(name)
	if !ok {
		names := make([]string, len(p.Hosts))
		for i := range p.Hosts {
			names[i] = p.Hosts[i].Host
		}
		err := inputError{err: fmt.Errorf("host %q is not in the plan", name), hint: "cpacman plan show " + c.Args().Get(1) + " lists its hosts"}
		if near := nearNames(name, names); len(near) > 0 {
			err.hint = "near it: " + strings.Join(near, " ")
		}
		return err
	}
	set, _ := p.Set(h.Set)
	d := data{columns: []string{"action", "package", "to", "because"}}
	add := func(cells ...string) { d.rows = append(d.rows, cells) }
	advisories := map[string]string{}
	for _, one := range p.PackagesFor(set) {
		advisories[one.NEVRA.String()] = strings.Join(one.Advisories, " ")
	}
	addKeyLines(p, h.Keys, add)
	for _, m := range set.Upgrade {
		add("upgrade", m.From.String(), moveTo(m), because(fixed(m.Fixes, advisories[m.To.String()]), m.Policy))
	}
	for _, m := range set.Downgrade {
		add("downgrade", m.From.String(), moveTo(m), because("", m.Policy))
	}
	for _, i := range set.Install {
		what := "install"
		if i.InstallOnly {
			what = "install beside"
		}
		add(what, i.NEVRA.String(), "", neededBy(i, fixed(i.Fixes, advisories[i.NEVRA.String()])))
	}
	for _, r := range set.Remove {
		add("remove", r.NEVRA.String(), "", r.Rule+": "+r.Because)
	}
	for _, o := range set.Overridden {
		add("override "+o.Rule, o.NEVRA.String(), "", o.Because)
	}
	for _, v := range set.VendorChanges {
		add("vendor", v.From.String(), toward(v.From, v.To), fmt.Sprintf("from %q to %q", v.FromVendor, v.ToVendor))
	}
	for _, x := range set.Held {
		add("held", x.NEVRA.String(), toward(x.NEVRA, x.Available), strings.Join(x.Because, "; "))
	}
	for _, x := range set.Blocked {
		add("blocked", x.NEVRA.String(), x.Available.String(), x.Rule+": "+x.Because)
	}
	for _, fault := range h.PreBroken {
		add("pre-broken", fault, "", "")
	}
	d.value = shownHost{h, set, notNil(p.PackagesFor(set)), planKeysOf(p, h.Keys)}
	if err := e.emit(c, d); err != nil {
		return err
	}
	e.say("%s: %s, class %s, level %s, %s to send, rollback %s", h.Host, h.Status, h.Class, h.Level, humanBytes(h.Bytes), rollbackWords(h.Rollback))
	e.sayImpact(h.Impact)
	return nil
}

// fixed is the advisories that the host has with what comes in and lacked before, else those that list the build.
func fixed(fixes []string, listed string) string {
	if len(fixes) > 0 {
		return strings.Join(fixes, " ")
	}
	return listed
}

// because joins the advisories of a move with the policy that allows it.
func because(advisories, policy string) string {
	if policy == "" {
		return advisories
	}
	return strings.TrimSpace(advisories + " allowed by policy " + policy)
}

// sayImpact tells what a set touches beside packages.
func (e *env) sayImpact(i planner.Impact) {
	if i.Reboot {
		e.say("needs a reboot to take effect: %s", strings.Join(i.RebootReasons, ", "))
	}
	for _, l := range []struct {
		what  string
		items []string
	}{{"services that scriptlets restart", i.Services}, {"configuration files that change", i.ConfigFiles}, {"scriptlets that differ from those installed", i.Scriptlets}} {
		if len(l.items) > 0 {
			e.say("%s: %s", l.what, strings.Join(l.items, "; "))
		}
	}
	if i.Unread > 0 {
		e.say("of %d packages the file or the installed header could not be read: what they restart and change is not known", i.Unread)
	}
}

func rollbackWords(r planner.RollbackInfo) string {
	switch {
	case r.Complete:
		return "possible with the packages at hand"
	case len(r.Missing) == 0 && r.Because != "":
		return "not possible: " + r.Because
	case len(r.Missing) == 0:
		return "not looked at"
	}
	n := len(r.Missing)
	return fmt.Sprintf("not possible: %d %s not at hand in any repository (first: %s)", n, plural(n, "package is", "packages are"), r.Missing[0])
}

// repoError makes an input error of damage in a repository.
func repoError(err error) error {
	if errors.Is(err, fleet.ErrMoved) {
		return inputError{err: err, hint: "cpacman repo check looks at the directory of the site and not at that one"}
	}
	if fleet.IsDamage(err) {
		return inputError{err: err, hint: "cpacman repo check tells everything that is wrong with it"}
	}
	var back *fleet.BackwardsError
	if errors.As(err, &back) {
		return inputError{err: err, hint: "find out why; a mirror that was put back on purpose: cpacman repo accept " + back.Repo +
			" --reason TEXT; an earlier state beside the present one: --repo-at " + back.Repo + "=PATH"}
	}
	if errors.Is(err, planner.ErrNotBuilt) {
		return usageError{err: err}
	}
	return err
}

func explainCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "explain",
		Usage:     "why a package of a host moves, stays or comes",
		ArgsUsage: "HOST PACKAGE",
		Description: "Answers from stored facts (run `cpacman facts HOST` first): why this version, why not a newer one, who needs it, which\n" +
			"rule dropped which candidate.",
		Flags: outputFlags(append(filterFlags(), kindFlags()...)...),
		Action: func(c *cli.Context) error {
			if c.Args().Len() != 2 {
				return usagef("explain wants a host and a package name")
			}
			switch pkg := c.Args().Get(1); {
			case strings.TrimSpace(pkg) == "":
				return usagef("the package is an empty word; explain wants a name, a NEVRA or a glob")
			default:
				if err := checkGlob(pkg); err != nil {
					return err
				}
			}
			s, err := e.open(c)
			if err != nil {
				return err
			}
			defer s.Close()
			return s.explain(c.Args().Get(0), c.Args().Get(1))
		},
	}
}

func (s *session) explain(name, pkg string) error {
	h, err := s.host(name)
	if err != nil {
		return err
	}
	req, err := s.wanted()
	if err != nil {
		return err
	}
	x, err := s.fleet.Explain(s.ctx, s.repos, h, req, pkg)
	var cannot *fleet.CannotPlan
	if errors.As(err, &cannot) {
		hint := "cpacman facts " + name
		other := []planner.HostStatus{planner.StatusNoView, planner.StatusNoTarget, planner.StatusPolicy}
		if slices.Contains(other, cannot.Status) || strings.Contains(cannot.Detail, hint) {
			hint = "" // it would not help, or was said
		}
		return inputError{err: err, hint: hint}
	}
	if err != nil {
		return repoError(err)
	}
	d := data{columns: []string{"package", "state", "installed", "taken", "available", "rule", "because", "fixes", "open"}, value: x, text: strings.Join(x.Lines(), "\n") + "\n"}
	for _, item := range x.Items {
		var installed []string
		for _, n := range item.Installed {
			installed = append(installed, n.EVR.String())
		}
		row := []string{item.Name, string(item.State), strings.Join(installed, " "), "", "", item.Rule, strings.Join(item.Because, "; "),
			strings.Join(item.Fixes, " "), strings.Join(item.Open, " ")}
		if item.Taken != nil {
			row[3] = item.Taken.EVR.String()
		}
		if item.Available != nil {
			row[4] = item.Available.String()
		}
		d.rows = append(d.rows, row)
	}
	for _, item := range x.Items {
		if item.State == planner.ExplainUnknown {
			return s.unknownPackage(h, &item, pkg)
		}
	}
	return s.emit(s.c, d)
}
