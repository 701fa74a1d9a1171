package solvcases

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cpacman/internal/rpm"
	"cpacman/planner"
)

// Asked is one command of a scenario as a question, with what dnf is expected to do.
type Asked struct {
	Number   int // of the command in its scenario, from 1
	Question *Question
	Want     Outcome
	Skip     error // an *OutOfDomain: why it is not asked
}

// player goes through the steps of a scenario. The host always becomes what the scenario's tables say, never what we answered.
type player struct {
	fixtures string
	sc       *Scenario
	repos    []string
	prio     map[string]int
	loaded   map[string]*Fixture
	host     []*rpm.Package
	limit    int
	out      []Asked
}

var (
	useRepo  = regexp.MustCompile(`^I use repository "([^"]*)"`)
	dropRepo = regexp.MustCompile(`^I drop repository "([^"]*)"`)
	option   = regexp.MustCompile(`^I set config option "([^"]*)" to "([^"]*)"`)
	dnfArgs  = regexp.MustCompile(`^I (?:successfully )?execute dnf with args "(.*)"$`)
	rpmArgs  = regexp.MustCompile(`^I (?:successfully )?execute rpm with args "(.*)"$`)
)

// Play turns the upgrade commands of a scenario, or its install commands where it upgrades nothing, into questions.
func Play(sc *Scenario, fixtures string) []Asked {
	p := &player{fixtures: fixtures, sc: sc, prio: map[string]int{}, loaded: map[string]*Fixture{}, limit: 3}
	upgrades := slices.ContainsFunc(sc.Steps, func(s Step) bool {
		m := dnfArgs.FindStringSubmatch(s.Text)
		return m != nil && isUpgrade(strings.Fields(m[1]))
	})
	for i := range sc.Steps {
		if err := p.step(i, upgrades); err != nil {
			p.out = append(p.out, Asked{Number: len(p.out) + 1, Skip: err})
			break // what the host is from here on is not known
		}
	}
	return p.out
}

func isUpgrade(args []string) bool {
	for _, a := range args {
		if !strings.HasPrefix(a, "-") {
			return a == "upgrade" || a == "update" || a == "upgrade-minimal"
		}
	}
	return false
}

func (p *player) step(i int, upgrades bool) error {
	s := &p.sc.Steps[i]
	switch {
	case useRepo.MatchString(s.Text):
		return p.use(useRepo.FindStringSubmatch(s.Text)[1], s.Table)
	case dropRepo.MatchString(s.Text):
		name := dropRepo.FindStringSubmatch(s.Text)[1]
		p.repos = slices.DeleteFunc(p.repos, func(r string) bool { return r == name })
	case option.MatchString(s.Text):
		m := option.FindStringSubmatch(s.Text)
		return p.configure(m[1], m[2])
	case s.Text == "I configure dnf with":
		for _, row := range body(s.Table) {
			if err := p.configure(row[0], row[1]); err != nil {
				return err
			}
		}
	case rpmArgs.MatchString(s.Text):
		return p.rpm(strings.Fields(rpmArgs.FindStringSubmatch(s.Text)[1]))
	case dnfArgs.MatchString(s.Text):
		return p.dnf(i, dnfArgs.FindStringSubmatch(s.Text)[1], upgrades)
	case strings.HasPrefix(s.Text, "I "):
		return outOfDomain("a step of its own kind: %s", firstWords(s.Text, 4))
	}
	return nil
}

func firstWords(s string, n int) string {
	f := strings.Fields(s)
	return strings.Join(f[:min(n, len(f))], " ")
}

func (p *player) use(name string, table [][]string) error {
	for _, row := range body(table) {
		switch row[0] {
		case "priority":
			n, err := strconv.Atoi(row[1])
			if err != nil {
				return outOfDomain("repository option %s", row[0])
			}
			p.prio[name] = n
		default:
			return outOfDomain("repository option %s", row[0])
		}
	}
	if p.loaded[name] == nil {
		f, err := ReadFixture(p.fixtures, name)
		if os.IsNotExist(err) {
			return outOfDomain("the packages of the repository are not described in the feature")
		}
		if err != nil {
			return err
		}
		p.loaded[name] = f
	}
	if !slices.Contains(p.repos, name) {
		p.repos = append(p.repos, name)
	}
	return nil
}

// configure takes the options that say nothing against cpacman's way.
func (p *player) configure(key, value string) error {
	switch key {
	case "best": // cpacman always takes the best that can come, and says what is held
	case "installonly_limit":
		n, err := strconv.Atoi(value)
		if err != nil {
			return outOfDomain("installonly_limit %s", value)
		}
		p.limit = n
	default:
		return outOfDomain("dnf option %s", key)
	}
	return nil
}

// rpm follows "rpm -i FILES": the file name is the package.
func (p *player) rpm(args []string) error {
	if len(args) == 0 || args[0] != "-i" {
		return nil // a query
	}
	for _, a := range args[1:] {
		if !strings.HasSuffix(a, ".rpm") {
			continue
		}
		name := strings.TrimSuffix(a[strings.LastIndexByte(a, '/')+1:], ".rpm")
		q := p.find(func(q *rpm.Package) bool { return plain(q.NEVRA) == name })
		if q == nil {
			return outOfDomain("the packages of the repository are not described in the feature")
		}
		p.host = append(p.host, q)
	}
	return nil
}

// plain writes a NEVRA without its epoch, as files are named.
func plain(n rpm.NEVRA) string { n.Epoch = 0; return n.String() }

// find returns the newest package of any repository that fits.
func (p *player) find(fits func(*rpm.Package) bool) *rpm.Package {
	var best *rpm.Package
	for _, f := range p.loaded {
		for _, q := range f.Packages {
			if fits(q) && (best == nil || rpm.Compare(q.EVR, best.EVR) > 0) {
				best = q
			}
		}
	}
	return best
}

// dnf follows one command: asks it, and moves the host to what the scenario says.
func (p *player) dnf(i int, line string, upgrades bool) error {
	args := splitArgs(line)
	rows, code := p.expected(i)
	verb := ""
	for _, a := range args {
		if !strings.HasPrefix(a, "-") {
			verb = a
			break
		}
	}
	switch {
	case isUpgrade(args):
		a := Asked{Number: len(p.out) + 1}
		if a.Question, a.Skip = p.upgrade(args); a.Skip == nil {
			a.Want, a.Skip = p.outcome(rows, code)
		}
		p.out = append(p.out, a)
	case verb == "install" && rows == nil && code == 0:
		return p.literal(args[slices.Index(args, verb)+1:])
	case verb == "install" && !upgrades:
		a := Asked{Number: len(p.out) + 1}
		if a.Question, a.Skip = p.install(args[slices.Index(args, verb)+1:]); a.Skip == nil {
			a.Want, a.Skip = p.outcome(rows, code)
		}
		p.out = append(p.out, a)
	}
	if rows == nil && code == 0 && slices.Contains([]string{"downgrade", "remove", "distro-sync", "autoremove", "reinstall", "swap"}, verb) {
		return outOfDomain("after a %s of which the scenario does not say what it did", verb)
	}
	return p.apply(rows)
}

// splitArgs divides a command line at spaces outside of quotes.
func splitArgs(line string) []string {
	var out []string
	quote, word, any := rune(0), "", false
	for _, c := range line {
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			quote, any = c, true
		case quote == 0 && c == ' ':
			if word != "" || any {
				out = append(out, word)
			}
			word, any = "", false
		default:
			word += string(c)
		}
	}
	if word != "" || any {
		out = append(out, word)
	}
	return out
}

// body returns the rows of a table of two columns or more, without its head; never nil.
func body(table [][]string) [][]string {
	out := [][]string{}
	for i, row := range table {
		if i > 0 && len(row) >= 2 {
			out = append(out, row)
		}
	}
	return out
}

// expected collects what the steps behind a command say of it: the rows of its transaction (nil: nothing said) and its exit code.
func (p *player) expected(i int) (rows [][]string, code int) {
	for _, s := range p.sc.Steps[i+1:] {
		switch {
		case strings.HasPrefix(s.Text, "I "):
			return rows, code
		case strings.HasPrefix(s.Text, "the exit code is "):
			code, _ = strconv.Atoi(strings.TrimPrefix(s.Text, "the exit code is "))
		case s.Text == "Transaction is following", s.Text == "DNF Transaction is following":
			rows = body(s.Table)
		case s.Text == "Transaction is empty" && rows == nil:
			rows = [][]string{}
		}
	}
	return rows, code
}

// installedAs returns the installed packages of a name, of one arch when there is such a one.
func (p *player) installedAs(n rpm.NEVRA) *rpm.Package {
	var other *rpm.Package
	for _, q := range p.host {
		if q.Name == n.Name && q.Arch == n.Arch {
			return q
		}
		if q.Name == n.Name {
			other = q
		}
	}
	return other
}

// outcome puts the rows of a transaction into our words.
func (p *player) outcome(rows [][]string, code int) (Outcome, error) {
	o := Outcome{Refused: code != 0}
	if rows == nil && code == 0 {
		return o, outOfDomain("the scenario does not say what the transaction is")
	}
	for _, r := range rows {
		n, err := rpm.ParseNEVRA(r[1])
		if err != nil {
			if isGroup(r[0]) {
				continue
			}
			return o, outOfDomain("a row that names no package")
		}
		switch action, _, _ := strings.Cut(r[0], "-"); action {
		case "install":
			o.Changes = append(o.Changes, "install "+n.String())
		case "upgrade", "downgrade":
			from := p.installedAs(n)
			if from == nil {
				return o, fmt.Errorf("%s is not installed", r[1])
			}
			o.Changes = append(o.Changes, action+" "+from.NEVRA.String()+" "+n.String())
		case "obsoleted", "remove":
			o.Changes = append(o.Changes, "erase "+n.String())
		case "unchanged", "replaced", "broken", "conflict":
		default:
			return o, outOfDomain("action %s", r[0])
		}
	}
	slices.Sort(o.Changes)
	return o, nil
}

func isGroup(action string) bool {
	return strings.HasPrefix(action, "group") || strings.HasPrefix(action, "module") || strings.HasPrefix(action, "env")
}

// apply moves the host.
func (p *player) apply(rows [][]string) error {
	for _, r := range rows {
		n, err := rpm.ParseNEVRA(r[1])
		action, _, _ := strings.Cut(r[0], "-")
		if err != nil || slices.Contains([]string{"unchanged", "replaced", "broken", "conflict"}, action) {
			continue
		}
		if action == "upgrade" || action == "downgrade" || action == "reinstall" {
			if old := p.installedAs(n); old != nil {
				p.host = slices.DeleteFunc(slices.Clone(p.host), func(q *rpm.Package) bool { return q == old })
			}
		}
		if action == "remove" || action == "obsoleted" {
			p.host = slices.DeleteFunc(slices.Clone(p.host), func(q *rpm.Package) bool { return q.NEVRA == n })
			continue
		}
		q := p.find(func(q *rpm.Package) bool { return q.NEVRA == n })
		if q == nil {
			return outOfDomain("the packages of the repository are not described in the feature")
		}
		p.host = append(p.host, q)
	}
	return nil
}

// literal installs what an install command names, where the scenario does not say what came in.
func (p *player) literal(args []string) error {
	for _, a := range args {
		if strings.HasPrefix(a, "-") {
			continue
		}
		q := p.find(func(q *rpm.Package) bool { return named(a, q.NEVRA) })
		if q == nil {
			return outOfDomain("the packages of the repository are not described in the feature")
		}
		p.host = append(p.host, q)
	}
	return nil
}

// named tells whether an argument of dnf names a package: by name, name.arch, name-version and on to the whole NEVRA.
func named(arg string, n rpm.NEVRA) bool {
	zero := n.Name + "-" + strconv.FormatUint(uint64(n.Epoch), 10) + ":" + n.Version + "-" + n.Release
	return slices.Contains([]string{n.Name, n.Name + "." + n.Arch, n.Name + "-" + n.Version, n.Name + "-" + n.Version + "-" + n.Release,
		plain(n), n.String(), zero, zero + "." + n.Arch}, arg)
}

// question is the repositories in use, and the host.
func (p *player) question() *Question {
	q := &Question{}
	for _, name := range p.repos {
		prio := p.prio[name]
		if prio == 0 {
			prio = 99
		}
		src := planner.Source{ID: name, Priority: prio, Auto: true}
		for _, pkg := range p.loaded[name].Packages {
			src.Packages = append(src.Packages, planner.Candidate{Package: pkg, Path: pkg.NEVRA.String() + ".rpm"})
		}
		q.View.Sources = append(q.View.Sources, src)
		q.View.Advisories = append(q.View.Advisories, p.loaded[name].Advisories...)
	}
	q.Host = planner.Host{Installed: slices.Clone(p.host), Arch: "x86_64", KeepInstallOnly: p.limit, RunningKernel: "0-0.none"}
	q.Request.Type = planner.TypeUpdate
	return q
}
