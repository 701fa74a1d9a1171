package planner

import "testing"

const archWorld = `host module=js:1
repo base
  foo-2-1.noarch
    requires nowhere
  bar-2-1.i686
  baz-2-1.noarch
  js-2-1.x86_64
    modular js:1:0:x
  js-3-1.x86_64
    modular js:2:0:x
installed
  foo-1-1.x86_64
  bar-1-1.x86_64
  baz-1-1.x86_64
  js-1-1.x86_64
    modular js:1:0:x
`

const archPlan = `upgrade js-1-1.x86_64 js-2-1.x86_64
blocked bar-1-1.x86_64 bar-2-1.i686 arch
blocked baz-1-1.x86_64 baz-2-1.noarch arch
blocked foo-1-1.x86_64 foo-2-1.noarch arch
blocked js-1-1.x86_64 js-3-1.x86_64 module`

const awayWorld = `repo base
  lib-2-1.x86_64
  compat-1-1.x86_64
    provides so.1
policy p 1 remove old
policy p 1 install gone
policy p 1 instead foo nosuch
installed
  lib-1-1.x86_64
    provides so.1
  old-1-1.x86_64
    requires so.1
`

const awayPlan = `upgrade lib-1-1.x86_64 lib-2-1.x86_64
install compat-1-1.x86_64 for old-1-1.x86_64
remove old-1-1.x86_64 policy
note gone is to be installed by policy p: no repository of the view has it`

// TestWordsOfRules: what explain says of a rule is of use to who would lift it.
func TestWordsOfRules(t *testing.T) {
	for _, w := range []worded{
		{"lifting it alone moves nothing", archWorld, archPlan, "foo", "foo.x86_64 1-1 stays, foo-2-1.noarch is blocked (arch):\n  foo-2-1.noarch: foo is installed as x86_64, not as noarch\n" +
			"  allow_arch_change alone would not bring it in: foo-2-1.noarch requires nowhere, which nothing provides"},
		{"it cannot be lifted so", archWorld, archPlan, "bar", "bar.x86_64 1-1 stays, bar-2-1.i686 is blocked (arch):\n  bar-2-1.i686: bar is installed as x86_64, not as i686\n" +
			"  allow_arch_change does not lead to i686 on this host, which is x86_64"},
		{"lifting it helps", archWorld, archPlan, "baz", "baz.x86_64 1-1 stays, baz-2-1.noarch is blocked (arch):\n  baz-2-1.noarch: baz is installed as x86_64, not as noarch"},
		{"other streams hold nothing back", archWorld, archPlan, "js", "js.x86_64 1-1 -> 2-1: the newest of the module streams that are enabled\n  not js-3-1.x86_64: module stream js:2 is not enabled (module)"},
		{"who needs it leaves", awayWorld, awayPlan, "compat", "compat.x86_64 1-1: new\n  needed by old-1-1.x86_64 until that leaves, in a step of its own after it (policy)"},
		{"a policy wants what nobody has", awayWorld, awayPlan, "gone", "gone :\n  neither the host nor a repository of its view has it\n  policy p installs it, and no repository of the view has it"},
		{"a policy takes what nobody has", awayWorld, awayPlan, "nosuch", "nosuch :\n  neither the host nor a repository of its view has it\n  policy p takes it instead of foo, and no repository of the view has it"},
	} {
		w.check(t)
	}
}

// TestWordsOfGoingBack: explain says what a plan that goes back passes over.
func TestWordsOfGoingBack(t *testing.T) {
	const world = `policy away 1 remove old
policy pins 1 pin web 2*
policy there 1 install tool
repo r
  old-1-1.noarch
  web-1-1.noarch
  tool-1-1.noarch
installed
  web-2-1.noarch
  tool-1-1.noarch
request type=rollback
target old-1-1.noarch web-1-1.noarch
`
	const plan = `downgrade web-2-1.noarch web-1-1.noarch
install old-1-1.noarch for the target
remove tool-1-1.noarch target
note old-1-1.noarch: policy away wants it away: it leaves again with the next plan for updates, unless something needs it
note tool-1-1.noarch: policy there installs it: it comes in again with the next plan for updates
note web-1-1.noarch: policy pins pins it to 2*: the next plan for updates moves it again, if it can`
	for _, w := range []worded{
		{"removed", world, plan, "old", "old.noarch 1-1: new\n  the target has it\n  policy away wants it away: it leaves again with the next plan for updates, unless something needs it"},
		{"pinned", world, plan, "web", "web.noarch 2-1 -> 1-1: what the target has\n  policy pins pins it to 2*: the next plan for updates moves it again, if it can"},
		{"installed", world, plan, "tool", "tool.noarch 1-1 is removed (target):\n  the target does not have it\n  policy there installs it: it comes in again with the next plan for updates"},
	} {
		w.check(t)
	}
}
