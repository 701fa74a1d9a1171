package planner

import (
	"os"
	"strings"
	"testing"

	"cpacman/internal/rpm"
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
		"other":           "other.noarch 1-1 stays, other-2-1.x86_64 is blocked (arch):\n  other-2-1.x86_64: other is installed as noarch, not as x86_64",
		"old":             "old.x86_64 1-1: nothing newer",
		"swapped":         "swapped.x86_64 1-1 is removed (obsoleted):\n  obsoleted by swap-2-1.x86_64",
		"lib":             "lib.i686 1-1: nothing newer\nlib.x86_64 1-1 stays, 2-1 is blocked (lockstep):\n  lib-2-1.x86_64: rpm would erase lib-1-1.i686, for which there is no candidate at 2-1",
		"pinned":          "pinned.x86_64 1-1 stays, 2-1 is blocked (hold):\n  pinned-2-1.x86_64: hold pinned",
		"barred":          "barred.x86_64 1-1 stays, 2-1 is blocked (exclude):\n  barred-2-1.x86_64: excluded by the host: barred",
		"spare":           "spare.x86_64 1-1 is available and not installed:\n  nothing that is installed or comes in needs it",
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
		"foo": "foo.x86_64 1-1 -> 2-1: the least version that does what was asked\n  the least change that was asked for; foo-3-1.x86_64 is newer\n  it fixes SA-1",
		"lib": "lib.x86_64 1-1 -> 2-1: the newest there is\n  not asked for; what was asked for needs it\n  needed by foo-2-1.x86_64",
		"bar": "bar.x86_64 1-1 stays; 2-1 is available:\n  the request does not ask for it and nothing needs it",
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

// TestExplainFixes: whatever was asked for, explain says what comes with a move and what stays open without one.
func TestExplainFixes(t *testing.T) {
	u, c := oneCase(t, `repo base
  foo-2-1.noarch
  foo-3-1.noarch
  held-2-1.noarch
    requires nonesuch
  part-2-1.noarch
  part-3-1.noarch
    requires nonesuch
  new-2-1.noarch
    obsoletes old
advisory SA-1 security Low final - foo-2-1.noarch held-2-1.noarch
advisory BA-2 bugfix Low final - foo-3-1.noarch
advisory SA-3 security Low final - part-2-1.noarch
advisory SA-4 security Low final - part-3-1.noarch
advisory SA-5 security Low final - new-2-1.noarch
installed
  foo-1-1.noarch
  held-1-1.noarch
  part-1-1.noarch
  old-1-1.noarch
`)
	for name, want := range map[string]string{
		"foo":  "foo.noarch 1-1 -> 3-1: the newest there is\n  it fixes BA-2, SA-1",
		"held": "held.noarch 1-1 stays, not 2-1:\n  held-2-1.noarch requires nonesuch, which nothing provides\n  stays open: SA-1",
		"part": "part.noarch 1-1 -> 2-1, not 3-1:\n  part-3-1.noarch requires nonesuch, which nothing provides\n  it fixes SA-3\n  stays open: SA-4",
		"new":  "new.noarch 2-1: new\n  obsoletes old-1-1.noarch\n  it fixes SA-5",
	} {
		e, err := u.Explain(c.host, c.request, name)
		if err != nil {
			t.Fatal(name, err)
		}
		if got := strings.Join(e.Lines(), "\n"); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
	}
	c.request.Type, c.request.Filter.Packages, c.host.Installed[0].EVR = TypeDowngrade, []string{"foo-2-1.noarch"}, rpm.EVR{Version: "4", Release: "1"}
	e, err := u.Explain(c.host, c.request, "foo")
	if want := "foo.noarch 4-1 -> 2-1: the newest below what is installed\n  stays open: BA-2"; err != nil || strings.Join(e.Lines(), "\n") != want {
		t.Errorf("going down: %v, got\n%s\nwant\n%s", err, strings.Join(e.Lines(), "\n"), want)
	}
	if got := strings.Join(advisoryLine("", strings.Fields("a b c d e f g h i j")), ""); got != "  a, b, c, d, e, f, g, h and 2 more" {
		t.Error(got)
	}
}

// TestExplainWhatElse: what is said names the package that it is about, and all that becomes of it.
func TestExplainWhatElse(t *testing.T) {
	for _, one := range []struct{ world, pkg, want string }{
		{`repo base
  foo-2-1.noarch
    requires nonesuch
  foo-3-1.noarch
advisory SA-1 security Low final - foo-2-1.noarch
request security
installed
  foo-1-1.noarch
`, "foo", "foo.noarch 1-1 -> 3-1; 2-1 would do and cannot come:\n  foo-2-1.noarch requires nonesuch, which nothing provides\n  it fixes SA-1"},
		{`host exclude=newex
repo base
  newex-2-1.noarch
    obsoletes ex
installed
  ex-1-1.noarch
`, "*ex", "ex.noarch 1-1 stays, newex-2-1.noarch is blocked (exclude):\n  newex-2-1.noarch: it obsoletes ex: excluded by the host: newex\n" +
			"newex.noarch 2-1 is available and not installed:\n  it would take the place of ex-1-1.noarch (exclude): it obsoletes ex: excluded by the host: newex\n  not newex-2-1.noarch: excluded by the host: newex (exclude)"},
		{`repo best prio=1
  foo-2-1.noarch
repo base prio=2
  foo-3-1.noarch
request package=foo-3-1.noarch
installed
  foo-1-1.noarch
`, "foo", "foo.noarch 1-1 stays, 3-1 is blocked (priority):\n  foo-3-1.noarch: priority 1 of repository best goes before 2 of base, and it has foo"},
		{`repo base
  lib-2-1.noarch
    requires (glib >= 5 and zlib)
repo asked auto=false
  zlib-1-1.noarch
installed
  lib-1-1.noarch
`, "lib", "lib.noarch 1-1 stays, not 2-1:\n  lib-2-1.noarch requires (glib >= 5 and zlib): glib >= 5, which nothing provides; zlib, which only zlib-1-1.noarch provides " +
			"(auto: repository asked serves only what is asked for by name)"},
		{`host keep=2 running=2-1.x86_64
repo base
  kernel-3-1.x86_64
installed
  kernel-1-1.x86_64
  kernel-2-1.x86_64
`, "kernel", "kernel.x86_64 1-1, 2-1 -> 3-1: the newest there is\n  kernel-1-1.x86_64 is removed (keep-n): 2 builds of kernel.x86_64 are kept"},
		{`host running=1-1.x86_64
repo base
  ten-2-1.noarch
    obsoletes kernel < 6
installed
  kernel-1-1.x86_64
  ten-1-1.noarch
`, "kernel", "kernel.x86_64 1-1 stays, ten-2-1.noarch is blocked (protected):\n  ten-2-1.noarch: it is the running kernel, or may be"},
		{`host running=2-1.x86_64
repo base
  ten-2-1.noarch
    obsoletes kernel < 6
installed
  kernel-1-1.x86_64
  kernel-2-1.x86_64
  ten-1-1.noarch
`, "kernel", "kernel.x86_64 1-1, 2-1 stays, not ten-2-1.noarch:\n  ten-2-1.noarch obsoletes kernel-2-1.x86_64\n  kernel-2-1.x86_64 stays: it is the running kernel, or may be"},
		{`repo base
  foo-1-1.noarch
request type=rollback
target foo-1-1.noarch
installed
  foo-2-1.noarch
`, "foo", "foo.noarch 2-1 -> 1-1: what the target has"},
		{`repo base
  foo-2-1.noarch
advisory R-1 security Low retracted - foo-2-1.noarch
installed
  foo-2-1.noarch
`, "foo", "foo.noarch 2-1: nothing newer\n  foo-2-1.noarch, which is installed, was taken back by R-1"},
	} {
		u, c := oneCase(t, one.world)
		e, err := u.Explain(c.host, c.request, one.pkg)
		if err != nil {
			t.Fatal(one.pkg, err)
		}
		if got := strings.Join(e.Lines(), "\n"); got != one.want {
			t.Errorf("%s: got\n%s\nwant\n%s", one.pkg, got, one.want)
		}
	}
}

// TestExplainArches covers a name whose arches may change and that moves in each of them.
func TestExplainArches(t *testing.T) {
	u, c := oneCase(t, `repo base
  lib-2-1.i686
  lib-2-1.x86_64
policy p 1 allow_arch_change lib
installed
  lib-1-1.i686
  lib-1-1.x86_64
`)
	e, err := u.Explain(c.host, c.request, "lib")
	if err != nil {
		t.Fatal(err)
	}
	want := "lib.i686 1-1 -> 2-1: the newest there is\nlib.x86_64 1-1 -> 2-1: the newest there is"
	if got := strings.Join(e.Lines(), "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestExplainPolicies covers what policies, vendors, modules and the host itself keep back.
func TestExplainPolicies(t *testing.T) {
	u, c := oneCase(t, `repo base
  held-2-1.x86_64
  pinned-2-1.x86_64
  pinned-3-1.x86_64
  low-1-1.x86_64
  foreign-2-1.x86_64
    vendor B
  kernel-2-1.x86_64
  agent-1-1.x86_64
  broken-1-1.x86_64
    requires nowhere
  sql-1-1.x86_64
repo third only=tool
  openssl-2-1.x86_64
host running=1-1.x86_64 vendorchange=forbidden modulepattern=drv-*
policy p 1 hold held
policy p 1 pin pinned 2
policy p 1 pin low 1
policy p 1 install agent
policy p 1 install broken
policy p 1 remove gone
policy p 1 remove needed
policy p 1 instead sql sql2
installed
  held-1-1.x86_64
  pinned-1-1.x86_64
  low-2-1.x86_64
  foreign-1-1.x86_64
    vendor A
  kernel-1-1.x86_64
  drv-x-1-1.x86_64
  openssl-1-1.x86_64
  gone-1-1.x86_64
  needed-1-1.x86_64
  user-1-1.x86_64
    requires needed
`)
	for name, want := range map[string]string{
		"held":    "held.x86_64 1-1 stays, 2-1 is blocked (hold):\n  held-2-1.x86_64: held by policy p (owner ops): a test",
		"pinned":  "pinned.x86_64 1-1 -> 2-1, not 3-1:\n  pinned-3-1.x86_64: pinned to 2 by policy p (owner ops): a test",
		"low":     "low.x86_64 2-1 stays, 1-1 is blocked (pin):\n  low-1-1.x86_64: pinned to 1 by policy p (owner ops): a test; going down takes allow_downgrade",
		"foreign": "foreign.x86_64 1-1 stays, 2-1 is blocked (vendor):\n  foreign-2-1.x86_64: the vendor would change from \"A\" to \"B\"",
		"kernel":  "kernel.x86_64 1-1 stays, not 2-1:\n  kernel-2-1.x86_64 waits for a build of the out-of-tree module drv-x: drv-x-1-1.x86_64 is not for it",
		"openssl": "openssl.x86_64 1-1 stays, 2-1 is blocked (only):\n  openssl-2-1.x86_64: repository third is limited to other names",
		"agent":   "agent.x86_64 1-1: new\n  policy p installs it",
		"gone":    "gone.x86_64 1-1 is removed (policy):\n  removed by policy p (owner ops): a test",
		"needed":  "needed.x86_64 1-1 stays (remove):\n  to be removed by policy p (owner ops): a test; it stays: user-1-1.x86_64 needs it",
		"broken":  "broken.x86_64 1-1 is available and not installed:\n  broken is to be installed by policy p and cannot be: broken-1-1.x86_64 requires nowhere, which nothing provides",
		"sql":     "sql.x86_64 1-1 is available and not installed:\n  nothing that is installed or comes in needs it\n  not sql-1-1.x86_64: sql2 is taken instead by policy p (owner ops): a test; and no repository of the view has sql2 (instead)",
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

func TestExplainDowngrade(t *testing.T) {
	u, c := oneCase(t, `repo base
  foo-1-1.x86_64
request type=downgrade
installed
  foo-2-1.x86_64
`)
	e, err := u.Explain(c.host, c.request, "foo")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(e.Lines(), "\n"), "foo.x86_64 2-1 -> 1-1: the newest below what is installed"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestExplainReplacements: of several that would replace a package each says why it does not come.
func TestExplainReplacements(t *testing.T) {
	world := `host protected=old
repo base
  new-2-1.x86_64
    obsoletes old
  parts-2-1.x86_64
    obsoletes old
installed
  old-1-1.x86_64
`
	plan := "blocked old-1-1.x86_64 new-2-1.x86_64 protected"
	for _, name := range []string{"new", "parts"} {
		w := worded{name, world, plan, name, name + ".x86_64 2-1 is available and not installed:\n  it would take the place of old-1-1.x86_64 (protected): protected on the host"}
		w.check(t)
	}
}
