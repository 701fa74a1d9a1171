package solvcases

import (
	"fmt"
	"os"
	"strings"
)

// Difference is one line of the table: a case whose answer is another than expected, and why that is right.
type Difference struct {
	Case   string // file and number: "libsolv/targeted/targeted_up.t#2"
	Rule   string // of features.md, or "weak" for weak dependencies, or "tie"
	Ours   string // our whole answer: a change of it is news
	Reason string
}

// ReadTable reads expected.tsv: case, rule, our answer, reason; "#" begins a comment.
func ReadTable(path string) (map[string]Difference, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	out := map[string]Difference{}
	for n, line := range strings.Split(string(b), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) != 4 {
			return nil, fmt.Errorf("%s:%d: %d columns instead of 4", path, n+1, len(f))
		}
		for i, s := range f {
			if strings.TrimSpace(s) == "" {
				return nil, fmt.Errorf("%s:%d: column %d is empty", path, n+1, i+1)
			}
		}
		if _, twice := out[f[0]]; twice {
			return nil, fmt.Errorf("%s:%d: %s stands twice", path, n+1, f[0])
		}
		out[f[0]] = Difference{f[0], f[1], f[2], f[3]}
	}
	return out, nil
}
