package solvcases

import (
	"fmt"
	"slices"
	"strings"

	"cpacman/planner"
)

// Outcome is what a solver answers: changes in one written form, sorted, and whether something that was asked for was refused
// (libsolv: problems; cpacman: the wish, or an update, is held).
type Outcome struct {
	Changes []string
	Refused bool
	Held    bool // cpacman only: some update is held or blocked, which libsolv says only where the best is forced
}

// String puts an outcome into one line, as the table of differences has it.
func (o Outcome) String() string {
	s := strings.Join(o.Changes, "; ")
	if s == "" {
		s = "nothing"
	}
	if o.Refused {
		s += " (refused)"
	}
	return s
}

// Agrees tells whether the planner's outcome is the one expected: the same changes, or, where libsolv reports a problem, a reason
// and either no change or libsolv's (which it lists though it would break something).
func (o Outcome) Agrees(want Outcome) bool {
	if want.Refused {
		return (o.Refused || o.Held) && (len(o.Changes) == 0 || slices.Equal(o.Changes, want.Changes))
	}
	return !o.Refused && slices.Equal(o.Changes, want.Changes)
}

// Expected reads the result of a trial. The names of repositories are left out: which of two repositories gives the same
// build is no difference.
func Expected(t *Trial) (Outcome, error) {
	var o Outcome
	for _, line := range t.Result {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		for i := range f {
			if name, _, ok := strings.Cut(f[i], "@"); ok && i > 0 {
				f[i] = name
			}
		}
		switch f[0] {
		case "problem":
			o.Refused = true
		case "install", "downgrade", "reinstall", "archchange", "vendorchange":
			o.Changes = append(o.Changes, strings.Join(f, " "))
		case "upgrade":
			o.Changes = append(o.Changes, "upgrade "+f[1]+" "+f[len(f)-1])
		case "erase": // what it is obsoleted by stands among the installed
			o.Changes = append(o.Changes, "erase "+f[1])
		case "alternative", "recommended", "suggested", "cleandeps", "rule", "unneeded":
		default:
			return o, fmt.Errorf("result line %q is not understood", line)
		}
	}
	slices.Sort(o.Changes)
	o.Changes = slices.Compact(o.Changes)
	return o, nil
}

// Ask solves a question.
func Ask(q *Question) (Outcome, *planner.Result, error) {
	var o Outcome
	u, err := planner.NewUniverse(q.View)
	if err != nil {
		return o, nil, err
	}
	res, err := u.Solve(q.Host, q.Request)
	if err != nil {
		return o, nil, err
	}
	granted := q.Wishes == 0
	for _, m := range res.Set.Upgrade {
		if m.From.Name == wishName {
			granted = true
			continue
		}
		o.Changes = append(o.Changes, "upgrade "+m.From.String()+" "+m.To.String())
	}
	for _, i := range res.Set.Install {
		if i.NEVRA.Name == wishName {
			granted = true
			continue
		}
		o.Changes = append(o.Changes, "install "+i.NEVRA.String())
	}
	for _, m := range res.Set.Downgrade {
		o.Changes = append(o.Changes, "downgrade "+m.From.String()+" "+m.To.String())
	}
	for _, r := range res.Set.Remove {
		o.Changes = append(o.Changes, "erase "+r.NEVRA.String())
	}
	o.Refused, o.Held = !granted, len(res.Set.Held)+len(res.Set.Blocked) > 0
	if len(q.Request.Filter.Packages) > 0 { // a name that nothing stands for is said in a note
		o.Held = o.Held || len(res.Notes) > 0
	}
	slices.Sort(o.Changes)
	return o, res, nil
}
