package solvcases

import (
	"fmt"
	"strings"

	"cpacman/internal/rpm"
)

// maxPackages bounds one repository of a test case.
const maxPackages = 10_000

// tags are the dependency tags of the testtags form. Others (=Sum:, =Tim:, =Ver:) say nothing that a plan depends on.
func depList(p *rpm.Package, tag string) *[]rpm.Dep {
	switch tag {
	case "Req", "Prq":
		return &p.Requires
	case "Prv":
		return &p.Provides
	case "Con":
		return &p.Conflicts
	case "Obs":
		return &p.Obsoletes
	case "Rec":
		return &p.Recommends
	case "Sug":
		return &p.Suggests
	case "Sup":
		return &p.Supplements
	case "Enh":
		return &p.Enhances
	}
	return nil
}

// ParseTestTags reads packages in libsolv's testtags form: one tag a line ("=Req: b = 1-1"), or a list between "+Req:" and "-Req:".
func ParseTestTags(lines []string) ([]*rpm.Package, error) {
	var out []*rpm.Package
	var p *rpm.Package
	list := ""
	for n, line := range lines {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if list != "" && strings.HasPrefix(line, "-"+list+":") {
			list = ""
			continue
		}
		tag, value := list, line
		if list == "" {
			var ok bool
			if tag, value, ok = splitTag(line); !ok {
				return nil, fmt.Errorf("line %d: not a tag: %q", n+1, line)
			}
			if line[0] == '+' {
				list = tag
				continue
			}
		}
		if tag == "Pkg" {
			q, err := parsePkg(value)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", n+1, err)
			}
			if len(out) == maxPackages {
				return nil, fmt.Errorf("line %d: more than %d packages", n+1, maxPackages)
			}
			p, out = q, append(out, q)
			continue
		}
		if err := addTag(p, tag, value); err != nil {
			return nil, fmt.Errorf("line %d: %w", n+1, err)
		}
	}
	return out, nil
}

func splitTag(line string) (tag, value string, ok bool) {
	if len(line) < 5 || line[0] != '=' && line[0] != '+' || line[4] != ':' {
		return "", "", false
	}
	return line[1:4], strings.TrimSpace(line[5:]), true
}

// addTag stores one value of a package.
func addTag(p *rpm.Package, tag, value string) error {
	if p == nil {
		if tag == "Ver" {
			return nil
		}
		return fmt.Errorf("=%s: before the first package", tag)
	}
	switch tag {
	case "Vnd":
		p.Vendor = value
		return nil
	case "Fls":
		p.Files = append(p.Files, value)
		return nil
	}
	l := depList(p, tag)
	if l == nil {
		return nil
	}
	if tag == "Prv" && strings.HasPrefix(value, "/") {
		p.Files = append(p.Files, value)
		return nil
	}
	d, err := ParseDep(value)
	if err != nil {
		return err
	}
	*l = append(*l, d)
	return nil
}

// parsePkg reads "name version release arch"; the version may carry an epoch.
func parsePkg(value string) (*rpm.Package, error) {
	f := strings.Fields(value)
	if len(f) != 4 {
		return nil, fmt.Errorf("%q is not name, version, release, arch", value)
	}
	evr, err := rpm.ParseEVR(f[1] + "-" + f[2])
	if err != nil {
		return nil, err
	}
	return &rpm.Package{NEVRA: rpm.NEVRA{Name: f[0], EVR: evr, Arch: f[3]}}, nil
}
