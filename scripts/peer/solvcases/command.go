package solvcases

import (
	"slices"
	"strings"

	"cpacman/internal/rpm"
)

// plainOptions of dnf change nothing that a plan depends on, or ask for what cpacman does anyway.
var plainOptions = []string{"--best", "--nobest", "--no-best", "--nogpgcheck", "--skip-unavailable", "--skip-broken", "--assumeyes", "-y", "--refresh", "--setopt=best=0"}

// upgrade turns an upgrade command into a question.
func (p *player) upgrade(args []string) (*Question, error) {
	q := p.question()
	f := &q.Request.Filter
	verb := ""
	for i := 0; i < len(args); i++ {
		a := args[i]
		key, value, _ := strings.Cut(a, "=")
		switch {
		case a == "--setopt" && i+1 < len(args) && args[i+1] == "best=0":
			i++
		case slices.Contains(plainOptions, a):
		case a == "--security":
			f.Security = true
		case a == "--bugfix":
			f.Bugfix = true
		case key == "--advisory" || key == "--advisories":
			f.Advisories = append(f.Advisories, strings.Split(value, ",")...)
		case key == "--cve" || key == "--cves":
			f.CVEs = append(f.CVEs, strings.Split(value, ",")...)
		case key == "--exclude":
			f.Exclude = append(f.Exclude, strings.Split(value, ",")...)
		case strings.HasPrefix(a, "-"):
			return nil, outOfDomain("dnf option %s", strings.Join(strings.SplitN(a, "=", 3)[:min(2, strings.Count(a, "=")+1)], "="))
		case verb == "":
			verb = a
		case strings.ContainsAny(a, "/("):
			return nil, outOfDomain("packages named by file or by provide")
		case strings.ContainsAny(a, " <>="):
			return nil, outOfDomain("packages named by a comparison")
		default:
			f.Packages = append(f.Packages, a)
		}
	}
	f.Newest = verb != "upgrade-minimal" && (f.Security || f.Bugfix || len(f.Advisories)+len(f.CVEs) > 0)
	if slices.Equal(f.Packages, []string{"*"}) {
		f.Packages = nil
	}
	return q, nil
}

// install turns an install command into a need (see the package).
func (p *player) install(args []string) (*Question, error) {
	t := &Trial{Arch: "x86_64", DistType: "rpm", System: "@System", Wants: []string{"transaction"},
		Repos: []Repo{{Name: "@System", Packages: p.host}}}
	for _, name := range p.repos {
		prio := p.prio[name]
		if prio == 0 {
			prio = 99
		}
		t.Repos = append(t.Repos, Repo{Name: name, Priority: -prio, Packages: p.loaded[name].Packages})
	}
	for _, a := range args {
		if strings.HasPrefix(a, "-") {
			if !slices.Contains(plainOptions, a) {
				return nil, outOfDomain("dnf option %s", a)
			}
			continue
		}
		if strings.ContainsAny(a, "/(*?<>= ") {
			return nil, outOfDomain("packages named by file or by provide")
		}
		var hits []string
		var best rpm.EVR
		for _, r := range t.Repos {
			for _, q := range r.Packages {
				if named(a, q.NEVRA) && rpm.Compare(q.EVR, best) > 0 {
					best = q.EVR
				}
			}
		}
		for _, r := range t.Repos {
			for _, q := range r.Packages {
				if named(a, q.NEVRA) && rpm.Compare(q.EVR, best) == 0 {
					hits = append(hits, q.NEVRA.String()+"@"+r.Name)
				}
			}
		}
		if len(hits) == 0 {
			return nil, outOfDomain("packages that are nowhere, or named by a provide")
		}
		t.Jobs = append(t.Jobs, "install oneof "+strings.Join(hits, " "))
	}
	q, err := Convert(t)
	if err != nil {
		return nil, err
	}
	q.Host.KeepInstallOnly, q.Host.RunningKernel = p.limit, "0-0.none"
	return q, nil
}
