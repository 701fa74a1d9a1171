package planner

import (
	"strings"
	"testing"
)

// worded is a world, what its plan says, with the reasons of its blocked lines, and what explain says of a package.
type worded struct{ name, world, plan, pkg, want string }

func (w *worded) check(t *testing.T) {
	t.Helper()
	u, c := oneCase(t, w.world)
	res, err := u.Solve(c.host, c.request)
	if err != nil {
		t.Fatal(w.name, err)
	}
	if got := strings.Join(written(res), "\n"); got != w.plan {
		t.Errorf("%s: the plan is\n%s\nwant\n%s", w.name, got, w.plan)
	}
	if w.pkg == "" {
		return
	}
	e, err := u.Explain(c.host, c.request, w.pkg)
	if err != nil {
		t.Fatal(w.name, err)
	}
	if got := strings.Join(e.Lines(), "\n"); got != w.want {
		t.Errorf("%s: explain %s says\n%s\nwant\n%s", w.name, w.pkg, got, w.want)
	}
}

// TestWordsOfCopies: what two repositories have under one NEVRA is one build, which comes in or has one reason.
func TestWordsOfCopies(t *testing.T) {
	for _, w := range []worded{
		{"the better copy comes", `repo best prio=1
  foo-2-1.x86_64
    requires new
  new-1-1.x86_64
repo mirror prio=2
  foo-2-1.x86_64
    requires new
  new-1-1.x86_64
installed
  foo-1-1.x86_64
`, "upgrade foo-1-1.x86_64 foo-2-1.x86_64\ninstall new-1-1.x86_64 for foo-2-1.x86_64", "*", "foo.x86_64 1-1 -> 2-1: the newest there is\nnew.x86_64 1-1: new\n  needed by foo-2-1.x86_64"},
		{"one copy is not automatic, both are held", `host hold=foo
repo extra auto=false
  foo-2-1.x86_64
repo base
  foo-2-1.x86_64
repo mirror prio=100
  foo-2-1.x86_64
installed
  foo-1-1.x86_64
`, "blocked foo-1-1.x86_64 foo-2-1.x86_64 hold", "foo", "foo.x86_64 1-1 stays, 2-1 is blocked (hold):\n  foo-2-1.x86_64: hold foo"},
		{"copies of what obsoletes", `host exclude=new
repo extra auto=false
  new-2-1.x86_64
    obsoletes foo
repo base
  new-2-1.x86_64
    obsoletes foo
installed
  foo-1-1.x86_64
`, "blocked foo-1-1.x86_64 new-2-1.x86_64 exclude", "foo", "foo.x86_64 1-1 stays, new-2-1.x86_64 is blocked (exclude):\n  new-2-1.x86_64: it obsoletes foo: excluded by the host: new"},
	} {
		w.check(t)
	}
}

// TestWordsDown: a plan that goes down says what it would go to and a rule forbids.
func TestWordsDown(t *testing.T) {
	for _, w := range []worded{
		{"a pin", `repo base
  c-2-1.x86_64
policy p 1 pin c 2
request type=downgrade
installed
  c-3-1.x86_64
`, "downgrade c-3-1.x86_64 c-2-1.x86_64", "c", "c.x86_64 3-1 -> 2-1: the newest below what is installed"},
		{"by name, what is installed is there", `repo base
  foo-1-1.x86_64
  foo-2-1.x86_64
  foo-3-1.x86_64
request type=downgrade package=foo
installed
  foo-2-1.x86_64
`, "downgrade foo-2-1.x86_64 foo-1-1.x86_64", "foo", "foo.x86_64 2-1 -> 1-1: the newest below what is installed"},
		{"nothing older", `repo base
  foo-2-1.x86_64
  foo-3-1.x86_64
request type=downgrade package=foo
installed
  foo-2-1.x86_64
`, "nothing", "foo", "foo.x86_64 2-1: nothing older"},
		{"a hold", `host hold=foo
repo base
  foo-1-1.x86_64
request type=downgrade
installed
  foo-2-1.x86_64
`, "blocked foo-2-1.x86_64 foo-1-1.x86_64 hold", "foo", "foo.x86_64 2-1 stays, 1-1 is blocked (hold):\n  foo-1-1.x86_64: hold foo"},
		{"a hold, and the repository has what is installed", `host hold=foo
repo base
  foo-1-1.x86_64
  foo-2-1.x86_64
request type=downgrade
installed
  foo-2-1.x86_64
`, "nothing", "foo", "foo.x86_64 2-1: nothing newer"},
		{"a hold, by name", `host hold=foo
repo base
  foo-0-1.x86_64
  foo-1-1.x86_64
  foo-2-1.x86_64
  foo-3-1.x86_64
request type=downgrade package=foo
installed
  foo-2-1.x86_64
`, "blocked foo-2-1.x86_64 foo-1-1.x86_64 hold", "foo", "foo.x86_64 2-1 stays, 1-1 is blocked (hold):\n  foo-1-1.x86_64: hold foo"},
		{"an exclude of the next one down", `host exclude=foo-1-1.x86_64
repo base
  foo-0-1.x86_64
  foo-1-1.x86_64
request type=downgrade package=foo
installed
  foo-2-1.x86_64
`, "downgrade foo-2-1.x86_64 foo-0-1.x86_64\nblocked foo-2-1.x86_64 foo-1-1.x86_64 exclude", "foo", "foo.x86_64 2-1 -> 0-1, not 1-1:\n  foo-1-1.x86_64: excluded by the host: foo-1-1.x86_64"},
		{"a pin to what is installed", `repo base
  foo-1-1.x86_64
policy p 1 pin foo 2
request type=downgrade package=foo
installed
  foo-2-1.x86_64
`, "blocked foo-2-1.x86_64 foo-1-1.x86_64 pin", "foo", "foo.x86_64 2-1 stays, 1-1 is blocked (pin):\n  foo-1-1.x86_64: pinned to 2 by policy p (owner ops): a test"},
		{"a vendor", `host vendorchange=forbidden
repo base
  foo-1-1.x86_64
    vendor A
request type=downgrade
installed
  foo-2-1.x86_64
    vendor B
`, "blocked foo-2-1.x86_64 foo-1-1.x86_64 vendor", "foo", "foo.x86_64 2-1 stays, 1-1 is blocked (vendor):\n  foo-1-1.x86_64: the vendor would change from \"B\" to \"A\""},
		{"an exclude, and newer builds", `host exclude=foo
repo base
  foo-1-1.x86_64
  foo-3-1.x86_64
request type=downgrade package=foo
installed
  foo-2-1.x86_64
`, "blocked foo-2-1.x86_64 foo-1-1.x86_64 exclude", "foo", "foo.x86_64 2-1 stays, 1-1 is blocked (exclude):\n  foo-1-1.x86_64: excluded by the host: foo"},
	} {
		w.check(t)
	}
}

// TestWordsOfBuilds: a build that is named is spoken of, whatever else of its package is there.
func TestWordsOfBuilds(t *testing.T) {
	for _, w := range []worded{
		{"asked for, excluded, and a newer one is there", `host exclude=foo-2-1.x86_64
repo base
  foo-2-1.x86_64
  foo-3-1.x86_64
request package=foo-2-1.x86_64
installed
  foo-1-1.x86_64
`, "blocked foo-1-1.x86_64 foo-2-1.x86_64 exclude", "foo", "foo.x86_64 1-1 stays, 2-1 is blocked (exclude):\n  foo-2-1.x86_64: excluded by the host: foo-2-1.x86_64"},
		{"older than what is installed", `repo base
  foo-1-1.x86_64
  foo-2-1.x86_64
installed
  foo-2-1.x86_64
`, "nothing", "foo-1-1.x86_64", "foo.x86_64 2-1: nothing newer\n  foo-1-1.x86_64 is older than foo-2-1.x86_64, which is installed"},
		{"in the place of what is pinned", `policy vendor 0 pin foo 1
repo base
  foo-2-1.x86_64
  bar-2-1.x86_64
    obsoletes foo
installed
  foo-1-1.x86_64
`, "blocked foo-1-1.x86_64 foo-2-1.x86_64 pin", "bar", "bar.x86_64 2-1 is available and not installed:\n  it would take the place of foo-1-1.x86_64 (pin): pinned to 1 by policy vendor (owner ops): a test"},
		{"beside a stream that is not enabled", `repo base
  foo-2-1.x86_64
  foo-3-1.x86_64
    modular m:3:1:c
installed
  foo-1-1.x86_64
`, "upgrade foo-1-1.x86_64 foo-2-1.x86_64\nblocked foo-1-1.x86_64 foo-3-1.x86_64 module", "foo", "foo.x86_64 1-1 -> 2-1: the newest that is of no module stream\n  not foo-3-1.x86_64: module stream m:3 is not enabled (module)"},
		{"of two streams, neither of which is enabled", `repo base
  foo-2-1.x86_64
    modular m:2:1:c
  foo-3-1.x86_64
    modular m:3:1:c
  foo-3-2.x86_64
    modular m:3:2:c
installed
  foo-1-1.x86_64
`, "blocked foo-1-1.x86_64 foo-3-2.x86_64 module", "foo", "foo.x86_64 1-1 stays, 3-2 is blocked (module):\n  foo-3-2.x86_64: module stream m:3 is not enabled\n  not foo-2-1.x86_64: module stream m:2 is not enabled (module)"},
		{"excluded, and so is a newer one", `host exclude=foo
repo base
  foo-2-1.x86_64
  foo-3-1.x86_64
installed
  foo-1-1.x86_64
`, "blocked foo-1-1.x86_64 foo-3-1.x86_64 exclude", "foo-2-1.x86_64", "foo.x86_64 1-1 stays, 3-1 is blocked (exclude):\n  foo-3-1.x86_64: excluded by the host: foo\n  foo-2-1.x86_64: excluded by the host: foo (exclude)"},
	} {
		w.check(t)
	}
}

// TestWordsOfTargets: what a target has and the host cannot get is said of the package, as in the plan.
func TestWordsOfTargets(t *testing.T) {
	for _, w := range []worded{
		{"excluded", `host exclude=foo
repo base
  foo-1-1.x86_64
request type=lock
target foo-1-1.x86_64
installed
  foo-2-1.x86_64
`, "blocked foo-2-1.x86_64 foo-1-1.x86_64 exclude", "foo", "foo.x86_64 2-1 stays, 1-1 is blocked (exclude):\n  foo-1-1.x86_64: excluded by the host: foo"},
		{"in no repository", `repo base
  bar-1-1.x86_64
request type=rollback
target foo-1-1.x86_64
installed
  foo-2-1.x86_64
`, "blocked foo-2-1.x86_64 foo-1-1.x86_64 missing", "foo", "foo.x86_64 2-1 stays, 1-1 is blocked (missing):\n  foo-1-1.x86_64: no repository of the view has it"},
		{"new, and in no repository", `repo base
  bar-1-1.x86_64
request type=rollback
target foo-1-1.x86_64 gone-1-1.x86_64
installed
  foo-1-1.x86_64
`, "blocked gone-1-1.x86_64 gone-1-1.x86_64 missing", "*o*", "foo.x86_64 1-1: as the target has it\ngone.x86_64 1-1 is blocked (missing):\n  gone-1-1.x86_64: no repository of the view has it"},
		{"new, and excluded", `host exclude=bar
repo base
  bar-1-1.x86_64
request type=lock
target foo-1-1.x86_64 bar-1-1.x86_64
installed
  foo-1-1.x86_64
`, "blocked bar-1-1.x86_64 bar-1-1.x86_64 exclude", "bar", "bar.x86_64 1-1 is blocked (exclude):\n  bar-1-1.x86_64: excluded by the host: bar"},
		{"excluded, and there", `host exclude=foo
repo base
  foo-1-1.x86_64
request type=lock
target foo-1-1.x86_64
installed
  foo-1-1.x86_64
`, "nothing", "foo", "foo.x86_64 1-1: as the target has it"},
		{"excluded in one of two repositories", `repo barred exclude=foo
  foo-1-1.x86_64
repo base
  foo-1-1.x86_64
request type=lock
target foo-1-1.x86_64
installed
  foo-2-1.x86_64
`, "downgrade foo-2-1.x86_64 foo-1-1.x86_64", "foo", "foo.x86_64 2-1 -> 1-1: what the target has"},
	} {
		w.check(t)
	}
}

// TestWordsOfAbsent: what is not installed has the reason that there is.
func TestWordsOfAbsent(t *testing.T) {
	for _, w := range []worded{
		{"broken before", `repo base
  helper-1-1.x86_64
installed
  user-1-1.x86_64
    requires helper
`, "fault user-1-1.x86_64 requires helper, which nothing provides", "helper",
			"helper.x86_64 1-1 is available and not installed:\n  user-1-1.x86_64 needs it: it had helper broken before, which only a plan of repairs mends"},
		{"what would replace is held", `repo base
  newex-2-1.noarch
    obsoletes ex
    requires missing
installed
  ex-1-1.noarch
`, "held ex-1-1.noarch newex-2-1.noarch\n  newex-2-1.noarch requires missing, which nothing provides", "newex",
			"newex.noarch 2-1 is available and not installed:\n  it would take the place of ex-1-1.noarch, which is held:\n  newex-2-1.noarch requires missing, which nothing provides"},
		{"taken instead", `repo base
  bar-1-1.x86_64
    requires nowhere
policy p 1 install foo
policy p 1 instead foo bar
`, "note foo is to be installed by policy p and cannot be: bar-1-1.x86_64 requires nowhere, which nothing provides", "bar",
			"bar.x86_64 1-1 is available and not installed:\n  foo is to be installed by policy p and cannot be: bar-1-1.x86_64 requires nowhere, which nothing provides"},
		{"an older one of several builds is held", `host installonly=k running=4-1.x86_64
repo base
  c-1-1.x86_64
    requires missing
    obsoletes k = 2
installed
  k-2-1.x86_64
  k-4-1.x86_64
`, "held k-2-1.x86_64 c-1-1.x86_64\n  c-1-1.x86_64 requires missing, which nothing provides", "k",
			"k.x86_64 2-1, 4-1 stays, not c-1-1.x86_64:\n  c-1-1.x86_64 requires missing, which nothing provides"},
		{"one version in two arches", `repo base
  foo-4-1.x86_64
policy p 1 allow_arch_change foo
installed
  foo-2-1.x86_64
  foo-4-1.noarch
`, "held foo-2-1.x86_64 foo-4-1.x86_64\n  foo-4-1.x86_64 would erase foo-4-1.noarch: rpm works by name, and no ELF files tell the two apart\n  foo-4-1.noarch stays: nothing can take its place\nfault foo-4-1.noarch and foo-2-1.x86_64 are both installed", "", ""},
	} {
		w.check(t)
	}
}

// TestWordsOfThePast: what would replace a package, were its own name not past it, is nothing to tell of.
func TestWordsOfThePast(t *testing.T) {
	w := worded{"older than what is installed of it", `host exclude=c
repo base
  c-1-1.x86_64
    obsoletes b
installed
  c-2-1.x86_64
  b-1-1.x86_64
`, "nothing", "b", "b.x86_64 1-1: nothing newer"}
	w.check(t)
}

// TestWordsOfObstacles: "nothing" is said only where there is nothing.
func TestWordsOfObstacles(t *testing.T) {
	for _, w := range []worded{
		{"an older build provides", `repo base
  foo-2-1.x86_64
    requires lib < 2
  lib-1-1.x86_64
installed
  foo-1-1.x86_64
  lib-2-1.x86_64
`, "held foo-1-1.x86_64 foo-2-1.x86_64\n  foo-2-1.x86_64 requires lib < 2, which only lib-1-1.x86_64 provides, older than lib-2-1.x86_64, which is installed", "", ""},
		{"an older kernel provides", `host running=3-1.x86_64
repo base
  kmodx-2-1.x86_64
    requires kernel = 2-1
  kernel-2-1.x86_64
repo mirror
  kernel-2-1.x86_64
installed
  kernel-3-1.x86_64
  kmodx-1-1.x86_64
`, "held kmodx-1-1.x86_64 kmodx-2-1.x86_64\n  kmodx-2-1.x86_64 requires kernel = 2-1, which only kernel-2-1.x86_64 provides, older than kernel-3-1.x86_64, which is installed", "", ""},
		{"a foreign arch provides", `repo base
  foo-2-1.x86_64
    requires helper
  helper-1-1.ppc64le
installed
  foo-1-1.x86_64
`, "held foo-1-1.x86_64 foo-2-1.x86_64\n  foo-2-1.x86_64 requires helper, which only helper-1-1.ppc64le provides, of an arch that the host cannot run", "", ""},
		{"another build of one NEVRA provides", `repo base
  foo-2-1.x86_64
    requires new
  lib-1-1.x86_64
    provides new
installed
  foo-1-1.x86_64
  lib-1-1.x86_64
`, "held foo-1-1.x86_64 foo-2-1.x86_64\n  foo-2-1.x86_64 requires new, which only lib-1-1.x86_64 provides as a repository has it, and not as it is installed", "", ""},
		{"a successor is excluded", `host exclude=old
repo base
  c-2-1.x86_64
    conflicts old < 2
  old-2-1.x86_64
installed
  c-1-1.x86_64
  old-1-1.x86_64
`, "held c-1-1.x86_64 c-2-1.x86_64\n  c-2-1.x86_64 conflicts with old < 2, which old-1-1.x86_64 provides\n  old-1-1.x86_64 stays: old-2-1.x86_64 would take its place and may not (exclude: excluded by the host: old)\nblocked old-1-1.x86_64 old-2-1.x86_64 exclude", "", ""},
		{"a successor is of another arch", `repo base
  c-2-1.x86_64
    conflicts old < 2
  old-2-1.noarch
installed
  c-1-1.x86_64
  old-1-1.x86_64
`, "held c-1-1.x86_64 c-2-1.x86_64\n  c-2-1.x86_64 conflicts with old < 2, which old-1-1.x86_64 provides\n  old-1-1.x86_64 stays: old-2-1.noarch would take its place and may not (arch: old is installed as x86_64, not as noarch)\nblocked old-1-1.x86_64 old-2-1.noarch arch", "", ""},
		{"a policy removes it", `repo base
  c-2-1.x86_64
    obsoletes b
policy p 1 remove d
installed
  b-3-1.x86_64
  d-3-1.x86_64
    requires b
`, "remove d-3-1.x86_64 policy\nheld b-3-1.x86_64 c-2-1.x86_64\n  c-2-1.x86_64 obsoletes b-3-1.x86_64\n  d-3-1.x86_64 requires b, which b-3-1.x86_64 provides\n  d-3-1.x86_64 is removed in a step of its own after this one", "", ""},
		{"the target has it", `repo base
  c-2-1.x86_64
    conflicts old < 2
request type=rollback
target c-2-1.x86_64 old-1-1.x86_64
installed
  c-1-1.x86_64
  old-1-1.x86_64
`, "held c-1-1.x86_64 c-2-1.x86_64\n  c-2-1.x86_64 conflicts with old < 2, which old-1-1.x86_64 provides\n  old-1-1.x86_64 stays: the target has it", "", ""},
	} {
		w.check(t)
	}
}

// TestWordsOfSplits: what a package was split into comes together, and a part that does not come is spoken of.
func TestWordsOfSplits(t *testing.T) {
	for _, w := range []worded{
		{"a part misses something", `repo base
  x-2-1.x86_64
    obsoletes foo < 2
  y-2-1.x86_64
    obsoletes foo < 2
    requires missing
installed
  foo-1-1.x86_64
`, "held foo-1-1.x86_64 x-2-1.x86_64\n  x-2-1.x86_64 comes only with y-2-1.x86_64, another part of foo-1-1.x86_64\n  y-2-1.x86_64 requires missing, which nothing provides", "", ""},
		{"a part conflicts", `repo base
  x-2-1.x86_64
    obsoletes foo < 2
  y-2-1.x86_64
    obsoletes foo < 2
    conflicts bar
installed
  foo-1-1.x86_64
  bar-1-1.x86_64
`, "held foo-1-1.x86_64 x-2-1.x86_64\n  x-2-1.x86_64 comes only with y-2-1.x86_64, another part of foo-1-1.x86_64\n  y-2-1.x86_64 conflicts with bar, which bar-1-1.x86_64 provides\n  bar-1-1.x86_64 stays: nothing can take its place", "", ""},
		{"the first part is the trouble", `repo base
  x-2-1.x86_64
    obsoletes foo < 2
    requires missing
  y-2-1.x86_64
    obsoletes foo < 2
installed
  foo-1-1.x86_64
`, "held foo-1-1.x86_64 x-2-1.x86_64\n  x-2-1.x86_64 requires missing, which nothing provides", "", ""},
		{"a part of its own newest build is lost", `repo base
  foo-2-1.x86_64
    obsoletes foo < 2
  foo-libs-2-1.x86_64
    obsoletes foo < 2
    requires missing
installed
  foo-1-1.x86_64
`, "held foo-1-1.x86_64 foo-2-1.x86_64\n  foo-2-1.x86_64 comes only with foo-libs-2-1.x86_64, another part of foo-1-1.x86_64\n  foo-libs-2-1.x86_64 requires missing, which nothing provides", "foo",
			"foo.x86_64 1-1 stays, not 2-1:\n  foo-2-1.x86_64 comes only with foo-libs-2-1.x86_64, another part of foo-1-1.x86_64\n  foo-libs-2-1.x86_64 requires missing, which nothing provides"},
		{"a part is excluded", `host exclude=foo-libs
repo base
  foo-2-1.x86_64
    obsoletes foo < 2
  foo-libs-2-1.x86_64
    obsoletes foo < 2
installed
  foo-1-1.x86_64
`, "upgrade foo-1-1.x86_64 foo-2-1.x86_64\nnote foo-2-1.x86_64 comes without foo-libs-2-1.x86_64, another part of foo-1-1.x86_64: excluded by the host: foo-libs", "", ""},
	} {
		w.check(t)
	}
}

// TestWordsOfUnfixed: an advisory that is asked for, and whose builds no repository has, is no "nothing to do".
func TestWordsOfUnfixed(t *testing.T) {
	const note = "SA-1 is fixed by foo-2-1.x86_64, and no repository of the view has that or a newer build: foo-1-1.x86_64 stays"
	for _, w := range []worded{
		{"in no repository", `repo base
  foo-1-1.x86_64
advisory SA-1 security Low final - foo-2-1.x86_64 foo-2-1.i686
request security
installed
  foo-1-1.x86_64
`, "note " + note, "foo", "foo.x86_64 1-1: nothing newer\n  " + note},
		{"excluded", `host exclude=foo
repo base
  foo-2-1.x86_64
advisory SA-1 security Low final - foo-2-1.x86_64
request security
installed
  foo-1-1.x86_64
`, "blocked foo-1-1.x86_64 foo-2-1.x86_64 exclude", "", ""},
		{"not asked for", `repo base
  foo-1-1.x86_64
  bar-2-1.x86_64
advisory SA-1 security Low final - foo-2-1.x86_64
request security package=bar
installed
  foo-1-1.x86_64
  bar-2-1.x86_64
`, "nothing", "", ""},
		{"fixed already", `repo base
  foo-1-1.x86_64
advisory SA-1 security Low final - foo-2-1.x86_64
request security
installed
  foo-2-1.x86_64
`, "nothing", "", ""},
	} {
		w.check(t)
	}
}
