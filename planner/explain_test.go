package planner

import (
	"os"
	"strings"
	"testing"
)

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

const explainWorld = `host hold=pinned exclude=barred
repo base
  newest-2-1.x86_64
    requires extra
  extra-1-1.x86_64
  held-2-1.x86_64
    requires helper >= 2
  helper-2-1.x86_64
    conflicts old
  partly-2-1.x86_64
  partly-3-1.x86_64
    requires missing
  same-1-1.x86_64
  other-2-1.x86_64
  swap-2-1.x86_64
    obsoletes swapped
  lib-2-1.x86_64
  pinned-2-1.x86_64
  barred-2-1.x86_64
  spare-1-1.x86_64
repo extra auto=false
  same-2-1.x86_64
installed
  newest-1-1.x86_64
  held-1-1.x86_64
  old-1-1.x86_64
  partly-1-1.x86_64
  same-1-1.x86_64
  other-1-1.noarch
  swap-1-1.x86_64
  swapped-1-1.x86_64
  lib-1-1.x86_64
  lib-1-1.i686
  pinned-1-1.x86_64
  barred-1-1.x86_64
`

func TestExplain(t *testing.T) {
	u, c := oneCase(t, explainWorld)
	for name, want := range map[string]string{
		"newest":          "newest.x86_64 1-1 -> 2-1: the newest there is",
		"extra":           "extra.x86_64 1-1: new\n  needed by newest-2-1.x86_64",
		"held":            "held.x86_64 1-1 stays, not 2-1:\n  held-2-1.x86_64 requires helper >= 2, which helper-2-1.x86_64 provides\n  helper-2-1.x86_64 conflicts with old, which old-1-1.x86_64 provides\n  old-1-1.x86_64 stays: nothing can take its place",
		"partly":          "partly.x86_64 1-1 -> 2-1, not 3-1:\n  partly-3-1.x86_64 requires missing, which nothing provides",
		"same":            "same.x86_64 1-1 stays, 2-1 is blocked (auto):\n  same-2-1.x86_64: repository extra serves only what is asked for by name",
		"other":           "other.noarch 1-1 stays, 2-1 is blocked (arch):\n  other-2-1.x86_64: other is installed as noarch, not as x86_64",
		"old":             "old.x86_64 1-1: nothing newer",
		"swapped":         "swapped.x86_64 1-1 is removed (obsoleted):\n  obsoleted by swap-2-1.x86_64",
		"lib":             "lib.i686 1-1: nothing newer\nlib.x86_64 1-1 stays, 2-1 is blocked (lockstep):\n  lib-2-1.x86_64: rpm would erase lib-1-1.i686, for which there is no candidate at 2-1",
		"pinned":          "pinned.x86_64 1-1 stays, 2-1 is blocked (hold):\n  pinned-2-1.x86_64: hold pinned",
		"barred":          "barred.x86_64 1-1 stays, 2-1 is blocked (exclude):\n  barred-2-1.x86_64: excluded by the host: barred",
		"spare":           "spare.x86_64 1-1 is there and not installed:\n  it is not installed and nothing needs it",
		"nowhere":         "nowhere :\n  neither the host nor a repository of its view has it",
		"swap-1-1.x86_64": "swap.x86_64 1-1 -> 2-1: the newest there is",
	} {
		e, err := u.Explain(c.host, c.request, name)
		if err != nil {
			t.Fatal(name, err)
		}
		if got := strings.Join(e.Lines(), "\n"); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
	}
}

func TestExplainSelection(t *testing.T) {
	u, c := oneCase(t, `repo base
  foo-2-1.x86_64
    requires lib >= 2
  foo-3-1.x86_64
  lib-2-1.x86_64
  bar-2-1.x86_64
advisory SA-1 security Low final - foo-2-1.x86_64
request security
installed
  foo-1-1.x86_64
  lib-1-1.x86_64
  bar-1-1.x86_64
`)
	for name, want := range map[string]string{
		"foo": "foo.x86_64 1-1 -> 2-1: the least version that does what was asked\n  the least change that was asked for; foo-3-1.x86_64 is newer",
		"lib": "lib.x86_64 1-1 -> 2-1: the newest there is\n  not asked for; what was asked for needs it\n  needed by foo-2-1.x86_64",
		"bar": "bar.x86_64 1-1 stays; 2-1 is there:\n  the request does not ask for it and nothing needs it",
	} {
		e, err := u.Explain(c.host, c.request, name)
		if err != nil {
			t.Fatal(name, err)
		}
		if got := strings.Join(e.Lines(), "\n"); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
	}
}
