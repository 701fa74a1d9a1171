package planner

import (
	"slices"
	"testing"
)

// TestWordsOfTargetStays: of several installed builds a target may want one away that stays, and rules that a target does not ask are not told.
func TestWordsOfTargetStays(t *testing.T) {
	for _, w := range []worded{
		{"an older kernel runs", `host running=1-1.x86_64
repo base
  kernel-1-1.x86_64
request type=rollback
target kernel-2-1.x86_64
installed
  kernel-1-1.x86_64
  kernel-2-1.x86_64
`, "blocked kernel-1-1.x86_64 kernel-1-1.x86_64 target", "kernel",
			"kernel.x86_64 1-1, 2-1: as the target has it\n  kernel-1-1.x86_64: the target does not have it; it stays: it is the running kernel, or may be"},
		{"it took the place of what is lost", `repo base
  other-1-1.x86_64
request type=rollback
target lost-1-1.x86_64
installed
  part-1-1.x86_64
    obsoletes lost < 2
`, "blocked lost-1-1.x86_64 lost-1-1.x86_64 missing\nblocked part-1-1.x86_64 part-1-1.x86_64 target", "part",
			"part.x86_64 1-1 stays (target):\n  the target does not have it; it stays: it took the place of lost-1-1.x86_64, which does not come"},
		{"what would replace it is no matter", `host hold=foo
repo base
  new-1-1.x86_64
    obsoletes foo
request type=rollback
target foo-1-1.x86_64
installed
  foo-1-1.x86_64
`, "nothing", "foo", "foo.x86_64 1-1: as the target has it"},
	} {
		w.check(t)
	}
}

// Of two builds one is put in again, and explain says so.
func TestExplainAgain(t *testing.T) {
	u, c := oneCase(t, `repo base
  foo-2-1.x86_64
request type=repair
installed
  foo-1-1.x86_64
  foo-2-1.x86_64
`)
	e, err := u.Explain(c.host, c.request, "foo")
	if err != nil {
		t.Fatal(err)
	}
	const want = "foo-1-1.x86_64 leaves for foo-2-1.x86_64, which is installed too and is put in again: its files may be those of the other"
	if !slices.Contains(e.Items[0].Because, want) {
		t.Errorf("%q", e.Items[0].Because)
	}
}
