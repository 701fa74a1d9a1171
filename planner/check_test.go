package planner

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"cpacman/internal/rpm"
)

// oneCase reads a case from text, so that tests of Check and Explain speak the same language.
func oneCase(t *testing.T, text string) (*Universe, *planCase) {
	t.Helper()
	path := t.TempDir() + "/x.case"
	writeFile(t, path, "case x\n"+text)
	c := readCases(t, path)[0]
	u, err := NewUniverse(c.view)
	if err != nil {
		t.Fatal(err)
	}
	return u, c
}

const checkWorld = `host keep=2 running=1-1.x86_64 hold=pinned rpm=4.11.3
repo base exclude=barred
  foo-2-1.x86_64
  foo-2-1.noarch
  foo-0.5-1.x86_64
  needy-2-1.x86_64
    requires missing
  hater-2-1.x86_64
    conflicts foo
  lib-2-1.x86_64
  lib-2-1.i686
  lib-3-1.i686
  kernel-2-1.x86_64
  tool-2-1.x86_64
    requires kernel >= 2
  eater-1-1.x86_64
    obsoletes victim
  eater-1-1.i686
    obsoletes victim
  pinned-2-1.x86_64
  barred-2-1.x86_64
  gone-2-1.x86_64
  zstd-2-1.x86_64
    requires rpmlib(PayloadIsZstd) <= 5.4.18-1
repo extra prio=200
  foo-3-1.x86_64
advisory X security Low retracted - gone-2-1.x86_64
installed
  foo-1-1.x86_64
  needy-1-1.x86_64
  hater-1-1.x86_64
  lib-1-1.x86_64
  lib-1-1.i686
  kernel-1-1.x86_64
  kernel-0.5-1.x86_64
  kernel-0.6-1.x86_64
  kmod-1-1.x86_64
    requires kernel = 0.6-1
  tool-1-1.x86_64
  victim-1-1.x86_64
  pinned-1-1.x86_64
  barred-1-1.x86_64
  gone-1-1.x86_64
  zstd-1-1.x86_64
`

func TestCheckRefuses(t *testing.T) {
	u, c := oneCase(t, checkWorld)
	n := func(s string) rpm.NEVRA { return mustNEVRA(t, s) }
	move := func(pairs ...string) Set {
		var s Set
		for i := 0; i < len(pairs); i += 2 {
			s.Upgrade = append(s.Upgrade, Move{From: n(pairs[i]), To: n(pairs[i+1])})
		}
		return s
	}
	install := func(s string, only bool) Set {
		return Set{Install: []Install{{NEVRA: n(s), NeededBy: []string{"requested"}, InstallOnly: only}}}
	}
	eaten := install("eater-1-1.x86_64", false)
	eaten.Remove = []Remove{{n("victim-1-1.x86_64"), ruleObsoleted, ""}}
	by32 := install("eater-1-1.i686", false)
	by32.Remove = eaten.Remove
	oldKernel := install("kernel-2-1.x86_64", true)
	oldKernel.Remove = []Remove{{n("kernel-0.5-1.x86_64"), ruleKeepN, ""}}
	running := install("kernel-2-1.x86_64", true)
	running.Remove = []Remove{{n("kernel-1-1.x86_64"), ruleKeepN, ""}}
	needed := install("kernel-2-1.x86_64", true)
	needed.Remove = []Remove{{n("kernel-0.6-1.x86_64"), ruleKeepN, ""}}
	tooEarly := install("kernel-2-1.x86_64", true)
	tooEarly.Upgrade = move("tool-1-1.x86_64", "tool-2-1.x86_64").Upgrade
	for name, x := range map[string]struct {
		set  Set
		want string // "" is accepted
	}{
		"nothing":                         {Set{}, ""},
		"an upgrade":                      {move("foo-1-1.x86_64", "foo-2-1.x86_64"), ""},
		"both arches":                     {move("lib-1-1.x86_64", "lib-2-1.x86_64", "lib-1-1.i686", "lib-2-1.i686"), ""},
		"a replacement":                   {eaten, ""},
		"a kernel":                        {oldKernel, ""},
		"unmet":                           {move("needy-1-1.x86_64", "needy-2-1.x86_64"), "requires missing"},
		"a conflict":                      {move("hater-1-1.x86_64", "hater-2-1.x86_64"), "conflicts with foo"},
		"one arch of two":                 {move("lib-1-1.x86_64", "lib-2-1.x86_64"), "rpm would erase lib-1-1.i686"},
		"two arches, two versions":        {move("lib-1-1.x86_64", "lib-2-1.x86_64", "lib-1-1.i686", "lib-3-1.i686"), "different versions"},
		"another arch":                    {move("foo-1-1.x86_64", "foo-2-1.noarch"), "changes name or arch"},
		"a new arch of a name":            {install("foo-2-1.noarch", false), "not as noarch"},
		"older":                           {move("foo-1-1.x86_64", "foo-0.5-1.x86_64"), "not newer"},
		"not in any repository":           {move("foo-1-1.x86_64", "foo-9-1.x86_64"), "no repository"},
		"a worse repository":              {move("foo-1-1.x86_64", "foo-3-1.x86_64"), "no repository"},
		"excluded":                        {move("barred-1-1.x86_64", "barred-2-1.x86_64"), "no repository"},
		"retracted":                       {move("gone-1-1.x86_64", "gone-2-1.x86_64"), "no repository"},
		"held":                            {move("pinned-1-1.x86_64", "pinned-2-1.x86_64"), "held by pinned"},
		"a feature rpm does not have":     {move("zstd-1-1.x86_64", "zstd-2-1.x86_64"), "rpmlib"},
		"a kernel by -U":                  {install("kernel-2-1.x86_64", false), "install-only"},
		"an ordinary package by -i":       {install("eater-1-1.x86_64", true), "not install-only"},
		"a silent removal":                {install("eater-1-1.x86_64", false), "would erase victim"},
		"a removal without a reason":      {Set{Remove: []Remove{{n("victim-1-1.x86_64"), ruleObsoleted, ""}}}, "would stay"},
		"a foreign arch replaces":         {by32, "nothing that may replace it"},
		"a removal by an unknown rule":    {Set{Remove: []Remove{{n("victim-1-1.x86_64"), "whim", ""}}}, "unknown rule"},
		"a removal that no policy wants":  {Set{Remove: []Remove{{n("victim-1-1.x86_64"), rulePolicy, ""}}}, "no policy says so"},
		"a removal of a rollback":         {Set{Remove: []Remove{{n("victim-1-1.x86_64"), ruleTarget, ""}}}, "the target has it"},
		"a removal ahead of an update":    {Set{Remove: []Remove{{n("victim-1-1.x86_64"), ruleFirst, ""}}}, "the target has it"},
		"a repair that leaves nothing":    {Set{Remove: []Remove{{n("victim-1-1.x86_64"), ruleRepair, ""}}}, "no other build"},
		"a silent downgrade":              {Set{Downgrade: []Move{{From: n("foo-1-1.x86_64"), To: n("foo-0.5-1.x86_64")}}}, "without a policy"},
		"keep-n of an ordinary package":   {Set{Remove: []Remove{{n("victim-1-1.x86_64"), ruleKeepN, ""}}}, "not install-only"},
		"the running kernel":              {running, "running kernel"},
		"a kernel that a module needs":    {needed, "requires kernel = 0.6-1"},
		"what needs the kernel too early": {tooEarly, "after the upgrade: tool-2-1.x86_64 requires kernel"},
		"nobody needs it":                 {Set{Install: []Install{{NEVRA: n("eater-1-1.x86_64")}}}, "nothing needs"},
	} {
		faults := Check(u, c.host, c.request, x.set)
		text := ""
		for _, f := range faults {
			text += f.Text + "\n"
		}
		if (x.want == "") != (len(faults) == 0) || !strings.Contains(text, x.want) {
			t.Errorf("%s: wanted %q, got %q", name, x.want, text)
		}
	}
}

// TestCheckRefusesArches covers what a name that may change its arch may not do.
func TestCheckRefusesArches(t *testing.T) {
	u, c := oneCase(t, `host running=1-1.x86_64
repo base
  a-2-1.i686
  a-2-1.noarch
  a-2-1.x86_64
  c-2-1.x86_64
    color 2
  c-1-1.noarch
  kernel-1-1.noarch
  kernel-2-1.noarch
  kernel-2-1.x86_64
policy p 1 allow_arch_change a
policy p 1 allow_arch_change c
policy p 1 allow_arch_change kernel
installed
  a-1-1.i686
  a-1-1.x86_64
  c-1-1.i686
    color 1
  kernel-1-1.x86_64
`)
	set := func(words ...string) Set { // FROM>TO, +NEW or ++NEW for install-only
		var s Set
		for _, w := range words {
			if from, to, ok := strings.Cut(w, ">"); ok {
				s.Upgrade = append(s.Upgrade, Move{From: mustNEVRA(t, from), To: mustNEVRA(t, to), Policy: "p"})
				continue
			}
			s.Install = append(s.Install, Install{NEVRA: mustNEVRA(t, strings.TrimLeft(w, "+")), NeededBy: []string{"requested"},
				InstallOnly: strings.HasPrefix(w, "++")})
		}
		return s
	}
	for name, x := range map[string]struct {
		set  Set
		want string // "" is accepted
	}{
		"two become one of them":     {set("a-1-1.i686>a-2-1.x86_64", "a-1-1.x86_64>a-2-1.x86_64"), ""},
		"two become another":         {set("a-1-1.i686>a-2-1.noarch", "a-1-1.x86_64>a-2-1.noarch"), ""},
		"both move":                  {set("a-1-1.i686>a-2-1.i686", "a-1-1.x86_64>a-2-1.x86_64"), ""},
		"a third beside both":        {set("a-1-1.i686>a-2-1.i686", "a-1-1.x86_64>a-2-1.x86_64", "+a-2-1.noarch"), "a-2-1.noarch would come in beside a-2-1.i686"},
		"a third in place of one":    {set("a-1-1.i686>a-2-1.noarch", "a-1-1.x86_64>a-2-1.x86_64"), "a-2-1.noarch would come in beside a-2-1.x86_64"},
		"beside another colour":      {set("+c-2-1.x86_64"), "c-2-1.x86_64 would come in beside c-1-1.i686"},
		"beside the same version":    {set("+c-1-1.noarch"), "rpm would erase c-1-1.i686 for c-1-1.noarch, and the set does not say so"},
		"a kernel of another arch":   {set("++kernel-2-1.noarch"), ""},
		"a kernel of each arch":      {set("++kernel-2-1.noarch", "++kernel-2-1.x86_64"), "kernel-2-1.noarch would come in beside kernel-2-1.x86_64"},
		"a kernel that is not newer": {set("++kernel-1-1.noarch"), "kernel-1-1.noarch is not newer"},
	} {
		faults := Check(u, c.host, c.request, x.set)
		text := ""
		for _, f := range faults {
			text += f.Text + "\n"
		}
		if (x.want == "") != (len(faults) == 0) || !strings.Contains(text, x.want) {
			t.Errorf("%s: wanted %q, got %q", name, x.want, text)
		}
	}
}

// brokenFiles fails as a truncated filelists would.
type brokenFiles struct{}

var errBroken = errors.New("filelists.xml.gz: unexpected EOF")

func (brokenFiles) Providers(string) ([]int, error) { return nil, errBroken }

func TestBrokenFilelists(t *testing.T) {
	_, c := oneCase(t, `repo base
  foo-2-1.x86_64
    requires /usr/share/x
installed
  foo-1-1.x86_64
`)
	c.view.Sources[0].Files = brokenFiles{}
	u, err := NewUniverse(c.view)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Solve(c.host, c.request); !errors.Is(err, errBroken) || !strings.Contains(err.Error(), "repository base") {
		t.Errorf("got %v", err)
	}
}

func TestFilelistsStayClosed(t *testing.T) {
	_, c := oneCase(t, `repo base
  foo-2-1.x86_64
    requires /usr/bin/x
    requires lib
  x-1-1.x86_64
    file /usr/bin/x
installed
  foo-1-1.x86_64
    requires /usr/share/doc
  lib-1-1.x86_64
    file /usr/share/doc
`)
	c.view.Sources[0].Files = brokenFiles{} // asking it would be an error
	u, err := NewUniverse(c.view)
	if err != nil {
		t.Fatal(err)
	}
	res, err := u.Solve(c.host, c.request)
	if err != nil || len(res.Set.Upgrade) != 1 {
		t.Errorf("%v %v", res, err)
	}
}

func TestOtherPlanTypes(t *testing.T) {
	u, c := oneCase(t, "repo base\ninstalled\n")
	if _, err := u.Solve(c.host, Request{Type: "sidegrade"}); !errors.Is(err, ErrNotBuilt) {
		t.Error(err)
	}
}

func TestUniverseRefuses(t *testing.T) {
	if _, err := NewUniverse(View{Sources: []Source{{ID: "a"}, {ID: "a"}}}); err == nil {
		t.Error("a repository twice")
	}
	if _, err := NewUniverse(View{Sources: []Source{{ID: "a", Packages: []Candidate{{}}}}}); err == nil {
		t.Error("an empty package")
	}
}

// A host whose packages have boolean dependencies without end is not judged, and those that many packages fulfil take no time by the cube.
func TestManyBooleans(t *testing.T) {
	world := func(n, each int) string {
		var b strings.Builder
		b.WriteString("repo base\n")
		for i := range n {
			fmt.Fprintf(&b, "  foo%d-2-1.x86_64\n    provides x\n", i)
		}
		b.WriteString("installed\n")
		for i := range n {
			fmt.Fprintf(&b, "  foo%d-1-1.x86_64\n    provides x\n%s", i, strings.Repeat("    requires (x if y)\n", each))
		}
		return b.String()
	}
	u, c := oneCase(t, world(40, 100))
	if _, err := u.Solve(c.host, c.request); !errors.Is(err, ErrTooHard) {
		t.Errorf("got %v", err)
	}
	u, c = oneCase(t, world(700, 1))
	start := time.Now()
	res, err := u.Solve(c.host, c.request)
	if err != nil || len(res.Set.Upgrade) != 700 {
		t.Fatalf("%v %v", err, res)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
}
