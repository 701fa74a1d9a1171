package host

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
)

// TestResult is what rpm on the host says of a transaction before anything is changed (PLAN-14).
type TestResult struct {
	OK       bool
	Status   int      // rpm's exit status: a count, not a measure
	Problems []string // rpm's messages, one each, as the host sent them
	// What kind of problems they are; more than one may be set.
	MissingKeys []string // ids of keys that the host does not have
	SpaceShort  bool     // a file system is too small
	Changed     bool     // the installed set is not the plan's
	// Erase has the problems of step (c) as things stand now; they do not count for OK, since (a) may cure them and RunErase
	// tests again.
	Erase []string
}

// Test runs rpm's own test with the staged files. It takes no lock and runs no scriptlet, so it is strong evidence and no
// guarantee; the runner repeats it right before the transaction.
func (s *Session) Test(ctx context.Context, tx Transaction) (TestResult, error) {
	drop, digest, err := s.sendOrder(ctx, tx)
	if err != nil {
		return TestResult{}, err
	}
	a, err := s.call(ctx, "test the transaction", []string{"fresh", "uploads", "steps", "keys", "executor", "test"}, s.sender(), drop, digest)
	if err != nil {
		return TestResult{}, err
	}
	var r TestResult
	if _, err := fmt.Sscanf(a.get("test"), "%d", &r.Status); err != nil {
		return r, fmt.Errorf("host %s: test the transaction: %w", s.opt.Host, ErrProtocol)
	}
	_, r.Changed = a.last("changed")
	r.Problems, r.MissingKeys, r.SpaceShort = problems(a.all("out"), r.Status != 0)
	if st, ok := a.last("erase"); ok && st != "0" {
		r.Erase, _, _ = problems(a.all("eout"), true)
	}
	r.OK = r.Status == 0 && !r.Changed
	return r, nil
}

const maxProblems = 500

var (
	noKey   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`key ID ([0-9a-fA-F]{8,40}): NOKEY`) })
	noSpace = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`needs \d+.*B on the .* filesystem|needs \d+ inodes on the`)
	})
)

// problems takes what says why from rpm's output: indented lines and errors. Advice and progress are left out. Warnings are
// problems only when rpm failed, since a NOKEY warning is what explains the failure then.
func problems(lines []string, failed bool) (out, keys []string, space bool) {
	seen := map[string]bool{}
	add := func(l string) {
		if l != "" && !seen[l] && len(out) < maxProblems {
			seen[l] = true
			out = append(out, bounded(l, 1000))
		}
	}
	for _, l := range lines {
		t := strings.TrimSpace(l)
		if m := noKey().FindStringSubmatch(t); m != nil {
			if k := strings.ToLower(m[1]); !seen["key "+k] {
				seen["key "+k] = true
				keys = append(keys, k)
			}
		}
		switch {
		case strings.HasPrefix(t, "%%"), strings.HasPrefix(t, "rpm: "), strings.HasSuffix(t, "Failed dependencies:"):
		case strings.HasPrefix(t, "warning: "):
			if failed {
				add(t)
			}
		case strings.HasPrefix(t, "error: "), strings.HasPrefix(l, "\t"), strings.HasPrefix(l, " "):
			add(t)
		case failed:
			add(t)
		}
		space = space || noSpace().MatchString(t)
	}
	if !failed {
		return nil, nil, false
	}
	return out, keys, space
}
