package planner

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"cpacman/internal/rpm"
)

// The cases in testdata/*.txt are written in a small language; testdata/README.txt describes it.

type planCase struct {
	name    string
	view    View
	host    Host
	request Request
	hidden  map[string]map[string][]int // source: path: packages (only in its filelists)
	clashes [][2]rpm.NEVRA
	expect  []string
}

// hiddenFiles is a file source made of a table; it notes what it was asked for.
type hiddenFiles map[string][]int

func (f hiddenFiles) Providers(path string) ([]int, error) { return f[path], nil }

func mustDep(t testing.TB, text string) rpm.Dep {
	t.Helper()
	if strings.HasPrefix(text, "(") {
		return rpm.Dep{Name: text}
	}
	f := strings.Fields(text)
	d := rpm.Dep{Name: f[0]}
	if len(f) == 1 {
		return d
	}
	for _, c := range f[1] {
		switch c {
		case '<':
			d.Sense |= rpm.Less
		case '>':
			d.Sense |= rpm.Greater
		case '=':
			d.Sense |= rpm.Equal
		}
	}
	e, err := rpm.ParseEVR(f[2])
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	d.EVR = e
	return d
}

func mustNEVRA(t testing.TB, text string) rpm.NEVRA {
	t.Helper()
	n, err := rpm.ParseNEVRA(text)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return n
}

// readCases parses one file.
func readCases(t *testing.T, path string) []*planCase {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []*planCase
	var c *planCase
	var pkg *rpm.Package
	section := ""
	sc := bufio.NewScanner(f)
	for n := 1; sc.Scan(); n++ {
		line, _, _ := strings.Cut(sc.Text(), " #")
		text := strings.TrimSpace(line)
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		word, rest, _ := strings.Cut(text, " ")
		indent := len(line) - len(strings.TrimLeft(line, " "))
		bad := func(what string) { t.Fatalf("%s:%d: %s: %q", path, n, what, text) }
		if word == "case" && indent == 0 {
			c = &planCase{name: rest, host: Host{Arch: "x86_64", KeepInstallOnly: 3}, hidden: map[string]map[string][]int{}}
			out, section = append(out, c), ""
			continue
		}
		if c == nil {
			bad("outside of a case")
		}
		switch {
		case indent == 0:
			section = word
			c.directive(t, word, rest, bad)
		case section == "expect":
			if indent > 2 {
				text = "  " + text
			}
			c.expect = append(c.expect, text)
		case indent == 2:
			pkg = &rpm.Package{NEVRA: mustNEVRA(t, word)}
			if section == "repo" {
				src := &c.view.Sources[len(c.view.Sources)-1]
				src.Packages = append(src.Packages, Candidate{Package: pkg, Path: "Packages/" + word + ".rpm"})
			} else if section == "installed" {
				c.host.Installed = append(c.host.Installed, pkg)
			} else {
				bad("no place for a package")
			}
		default:
			c.property(t, pkg, word, rest, bad)
		}
	}
	return out
}

func (c *planCase) directive(t *testing.T, word, rest string, bad func(string)) {
	f := strings.Fields(rest)
	switch word {
	case "installed", "expect":
	case "repo":
		src := Source{ID: f[0], Priority: 99, Auto: true}
		for _, o := range f[1:] {
			k, v, _ := strings.Cut(o, "=")
			switch k {
			case "prio":
				src.Priority, _ = strconv.Atoi(v)
			case "auto":
				src.Auto = v == "true"
			case "exclude":
				src.Exclude = append(src.Exclude, v)
			case "only":
				src.Only = append(src.Only, v)
			case "minage":
				var err error
				if src.MinAge, err = time.ParseDuration(v); err != nil {
					bad(err.Error())
				}
			default:
				bad("unknown option " + o)
			}
		}
		c.hidden[src.ID] = map[string][]int{}
		src.Files = hiddenFiles(c.hidden[src.ID])
		c.view.Sources = append(c.view.Sources, src)
	case "lock":
		l := Lock{Names: f[0], Text: "locked: " + f[0]}
		for i := 1; i < len(f); i++ {
			switch f[i] {
			case "not":
				l.Not = true
			case "stay":
				l.Stay = true
			case "regexp":
				l.Regexp = true
			default:
				if i+2 >= len(f) {
					bad("a condition of a lock has three words")
					return
				}
				l.When = append(l.When, LockCondition{f[i], lockOps[f[i+1]], f[i+2]})
				i += 2
			}
		}
		c.host.Locks = append(c.host.Locks, l)
	case "host":
		for _, o := range f {
			k, v, _ := strings.Cut(o, "=")
			switch k {
			case "arch":
				c.host.Arch = v
			case "running":
				c.host.RunningKernel = v
			case "rpm":
				c.host.RPMVersion = v
			case "keep":
				c.host.KeepInstallOnly, _ = strconv.Atoi(v)
			case "installonly":
				c.host.InstallOnly = append(c.host.InstallOnly, v)
			case "exclude":
				c.host.Exclude = append(c.host.Exclude, v)
			case "hold":
				c.host.Hold = append(c.host.Hold, v)
			case "module":
				if c.host.ModulesUnknown = v == "?"; !c.host.ModulesUnknown {
					c.host.Modules = append(c.host.Modules, v)
				}
			case "protected":
				c.host.Protected = append(c.host.Protected, v)
			case "vendorchange":
				c.host.ForbidVendorChange = v == "forbidden"
			case "samevendors":
				c.host.SameVendors = append(c.host.SameVendors, strings.Split(v, ","))
			case "modulepattern":
				c.host.ModulePatterns = append(c.host.ModulePatterns, v)
			default:
				bad("unknown option " + o)
			}
		}
	case "module": // module NAME:STREAM [needs=MODULE:STREAM|STREAM] [gave=NAME] NEVRA…
		name, stream, _ := strings.Cut(f[0], ":")
		m := ModuleStream{Name: name, Stream: stream}
		for _, n := range f[1:] {
			switch k, v, option := strings.Cut(n, "="); {
			case option && k == "needs":
				needed, streams, _ := strings.Cut(v, ":")
				m.Needs = append(m.Needs, map[string][]string{needed: strings.Split(streams, "|")})
			case option && k == "gave":
				m.Demodularized = append(m.Demodularized, v)
			default:
				m.Artifacts = append(m.Artifacts, mustNEVRA(t, n))
			}
		}
		c.view.Modules = append(c.view.Modules, m)
	case "advisory": // advisory ID TYPE SEVERITY STATUS CVE,CVE NEVRA…
		a := Advisory{ID: f[0], Type: f[1], Severity: f[2], Status: f[3]}
		if f[4] != "-" {
			a.CVEs = strings.Split(f[4], ",")
		}
		for _, n := range f[5:] {
			if stream, option := strings.CutPrefix(n, "stream="); option {
				a.Streams = append(a.Streams, stream)
				continue
			}
			a.Packages = append(a.Packages, mustNEVRA(t, n))
		}
		c.view.Advisories = append(c.view.Advisories, a)
	case "request":
		c.ask(f, bad)
	case "clash": // clash INSTALLED CANDIDATE: they have different files of one path
		if len(f) != 2 {
			bad("clash takes two packages")
		}
		c.clashes = append(c.clashes, [2]rpm.NEVRA{mustNEVRA(t, f[0]), mustNEVRA(t, f[1])})
		c.view.Clash = func(leaves *rpm.Package, comes *Candidate, _ string) bool {
			return slices.Contains(c.clashes, [2]rpm.NEVRA{leaves.NEVRA, comes.NEVRA})
		}
	case "target":
		for _, n := range f {
			c.request.Target = append(c.request.Target, mustNEVRA(t, n))
		}
	case "policy":
		c.policy(f, bad)
	default:
		bad("unknown word")
	}
}

func (c *planCase) ask(f []string, bad func(string)) {
	q := &c.request.Filter
	for _, o := range f {
		k, v, _ := strings.Cut(o, "=")
		switch k {
		case "security":
			q.Security = true
		case "bugfix":
			q.Bugfix = true
		case "newest":
			q.Newest = true
		case "severity":
			q.Severities = append(q.Severities, v)
		case "advisory":
			q.Advisories = append(q.Advisories, v)
		case "cve":
			q.CVEs = append(q.CVEs, v)
		case "package":
			q.Packages = append(q.Packages, v)
		case "exclude":
			q.Exclude = append(q.Exclude, v)
		case "override":
			q.OverrideHolds = append(q.OverrideHolds, v)
		case "type":
			c.request.Type = PlanType(v)
		case "weak":
			c.request.Weak = true
		case "at":
			c.request.At = day(v, bad)
		default:
			bad("unknown request " + o)
		}
	}
}

// policy reads NAME PRIORITY ACTION PATTERN VALUE…; a value is several arches for arches.
func (c *planCase) policy(f []string, bad func(string)) {
	if len(f) < 4 {
		bad("a policy is NAME PRIORITY ACTION PATTERN VALUE")
	}
	r := Rule{Policy: f[0], Action: f[2], Pattern: f[3], Owner: "ops", Reason: "a test"}
	r.Priority, _ = strconv.Atoi(f[1])
	if r.Action == ActionArches {
		r.Arches = f[4:]
	} else if len(f) > 4 {
		r.Value = f[4]
	}
	c.host.Policies = append(c.host.Policies, r)
}

func (c *planCase) property(t *testing.T, p *rpm.Package, word, rest string, bad func(string)) {
	switch word {
	case "requires":
		p.Requires = append(p.Requires, mustDep(t, rest))
	case "provides":
		p.Provides = append(p.Provides, mustDep(t, rest))
	case "conflicts":
		p.Conflicts = append(p.Conflicts, mustDep(t, rest))
	case "obsoletes":
		p.Obsoletes = append(p.Obsoletes, mustDep(t, rest))
	case "recommends":
		p.Recommends = append(p.Recommends, mustDep(t, rest))
	case "supplements":
		p.Supplements = append(p.Supplements, mustDep(t, rest))
	case "vendor":
		p.Vendor = rest
	case "source":
		p.SourceRPM = rest
	case "built":
		p.BuildTime = day(rest, bad).Unix()
	case "file":
		p.Files = append(p.Files, rest)
	case "modular":
		p.ModularityLabel = rest
	case "color":
		n, _ := strconv.Atoi(rest)
		p.Color, p.ColorKnown = rpm.Color(n), true
	case "hidden": // in the filelists only
		src := &c.view.Sources[len(c.view.Sources)-1]
		c.hidden[src.ID][rest] = append(c.hidden[src.ID][rest], len(src.Packages)-1)
	default:
		bad("unknown property")
	}
}

// day reads a date.
func day(text string, bad func(string)) time.Time {
	at, err := time.Parse(time.DateOnly, text)
	if err != nil {
		bad(err.Error())
	}
	return at
}

// fixesWord begins the line of the advisories that a host has with what the line before it says.
const fixesWord = "fixes "

// written puts a result into the words of the cases.
func written(r *Result) []string {
	var out []string
	add := func(format string, a ...any) { out = append(out, fmt.Sprintf(format, a...)) }
	fixes := func(ids []string) {
		if len(ids) > 0 {
			add(fixesWord+"%s", strings.Join(ids, " "))
		}
	}
	move := func(word string, m Move) {
		if m.Policy != "" {
			m.Policy = " by " + m.Policy
		}
		if m.Again {
			m.Policy += " again"
		}
		add("%s %s %s%s", word, m.From, m.To, m.Policy)
		fixes(m.Fixes)
	}
	for _, m := range r.Set.Upgrade {
		move("upgrade", m)
	}
	for _, m := range r.Set.Downgrade {
		move("downgrade", m)
	}
	for _, i := range r.Set.Install {
		word := "install"
		if i.InstallOnly {
			word = "beside"
		}
		add("%s %s for %s", word, i.NEVRA, strings.Join(i.NeededBy, ", "))
		fixes(i.Fixes)
	}
	for _, x := range r.Set.Remove {
		add("remove %s %s", x.NEVRA, x.Rule)
	}
	for _, h := range r.Set.Held {
		add("held %s %s", h.NEVRA, h.Available)
		for _, b := range h.Because {
			add("  %s", b)
		}
	}
	for _, b := range r.Set.Blocked {
		add("blocked %s %s %s", b.NEVRA, b.Available, b.Rule)
	}
	for _, o := range r.Set.Overridden {
		add("overridden %s %s", o.NEVRA, o.Rule)
	}
	for _, v := range r.Set.VendorChanges {
		add("vendor %s %s %s", v.From, v.FromVendor, v.ToVendor)
	}
	for _, f := range r.Faults {
		add("fault %s", f)
	}
	for _, n := range r.Notes {
		add("note %s", n)
	}
	if len(out) == 0 {
		add("nothing")
	}
	return out
}

// lookedUp is the universe of a view whose packages are read from an index when they are asked for, as those of a repository are: who forgets
// to make one ready fails.
func lookedUp(v View) (*Universe, error) {
	v.Sources = slices.Clone(v.Sources)
	for i := range v.Sources {
		if s := &v.Sources[i]; s.Index == nil {
			s.Index, s.Packages = newPackageIndex(s.Packages), nil
		}
	}
	return NewUniverse(v)
}

func TestCases(t *testing.T) {
	files, err := filepath.Glob("testdata/*.case")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	for _, f := range files {
		for _, c := range readCases(t, f) {
			t.Run(filepath.Base(f)+"/"+c.name, func(t *testing.T) {
				u, err := lookedUp(c.view)
				if err != nil {
					t.Fatal(err)
				}
				res, err := u.Solve(c.host, c.request)
				if err != nil {
					if !slices.Equal(c.expect, []string{"error " + err.Error()}) {
						t.Fatal(err)
					}
					return
				}
				got, want := written(res), slices.Clone(c.expect)
				for _, begins := range []string{"  ", fixesWord} { // reasons and advisories only where the case has them
					is := func(s string) bool { return strings.HasPrefix(s, begins) }
					if !slices.ContainsFunc(want, is) {
						got = slices.DeleteFunc(got, is)
					}
				}
				if !slices.Equal(got, want) {
					t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
				}
			})
		}
	}
}
