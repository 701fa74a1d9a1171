package solvcases

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"cpacman/internal/rpm"
)

// Comparison is one line of a version table: Want is -1, 0 or 1.
type Comparison struct {
	A, B string
	Want int
}

var vercmpLine = regexp.MustCompile(`^\s*RPMVERCMP\(([^,]*),\s*([^,]*),\s*(-?[01])\)`)

// ReadVercmp reads rpm's rpmvercmp.at; commented lines are no comparisons.
func ReadVercmp(text string) ([]Comparison, error) {
	var out []Comparison
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "RPMVERCMP(") {
			continue
		}
		m := vercmpLine.FindStringSubmatch(line)
		if m == nil {
			return nil, fmt.Errorf("line %d: a comparison that is not understood: %q", n+1, line)
		}
		want := map[string]int{"-1": -1, "0": 0, "1": 1}[m[3]]
		out = append(out, Comparison{strings.TrimSpace(m[1]), strings.TrimSpace(m[2]), want})
	}
	return out, nil
}

// Match is one line of rpm's table of dependencies: whether what is provided meets what is required.
type Match struct {
	Provided, Required rpm.Dep
	Want               bool
}

var (
	depmatchLine = regexp.MustCompile(`^\s*\(\(([^)]*)\),\s*\(([^)]*)\),\s*([01])\),`)
	quoted       = regexp.MustCompile(`'([^']*)'`)
)

// ReadDepmatch reads the pairs of rpm's rpmdepmatch.at.
func ReadDepmatch(text string) ([]Match, error) {
	var out []Match
	for n, line := range strings.Split(text, "\n") {
		if !strings.HasPrefix(strings.TrimSpace(line), "(('") {
			continue
		}
		m := depmatchLine.FindStringSubmatch(line)
		if m == nil {
			return nil, fmt.Errorf("line %d: a pair that is not understood: %q", n+1, line)
		}
		p, err := tuple(m[1])
		r, err2 := tuple(m[2])
		if err != nil || err2 != nil {
			return nil, fmt.Errorf("line %d: %q: %w", n+1, line, errors.Join(err, err2))
		}
		out = append(out, Match{p, r, m[3] == "1"})
	}
	return out, nil
}

// tuple reads ('a', '=', '1.2') without its parentheses.
func tuple(text string) (rpm.Dep, error) {
	var f []string
	for _, m := range quoted.FindAllStringSubmatch(text, -1) {
		f = append(f, m[1])
	}
	if len(f) == 1 {
		return rpm.Dep{Name: f[0]}, nil
	}
	if len(f) != 3 {
		return rpm.Dep{}, fmt.Errorf("%d parts", len(f))
	}
	sense, ok := relOps[f[1]]
	if !ok {
		return rpm.Dep{}, fmt.Errorf("operator %q", f[1])
	}
	evr, err := rpm.ParseEVR(f[2])
	return rpm.Dep{Name: f[0], Sense: sense, EVR: evr}, err
}

// ReadEVRResults reads libsolv's "evrcmp" cases by their results: "job noop provides 1.0~rc1 < 1.0".
func ReadEVRResults(trials []Trial) []Comparison {
	var out []Comparison
	for i := range trials {
		for _, line := range trials[i].Result {
			f := strings.Fields(line)
			if len(f) == 6 && f[0] == "job" && f[1] == "noop" && f[2] == "provides" {
				if want, ok := map[string]int{"<": -1, "=": 0, ">": 1}[f[4]]; ok {
					out = append(out, Comparison{f[3], f[5], want})
				}
			}
		}
	}
	return out
}
