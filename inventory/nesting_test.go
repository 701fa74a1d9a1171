package inventory

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// nestedSite has groups made of groups three deep.
const nestedSite = `
[group.web]
[group.db]
[group.legacy]
[group.web-new]
groups = ["web", "!legacy"]
meta = { team = "new", rack = "new" }
ssh.user = "new"
exclude = ["new*"]
health = ["basic"]
[group.both]
groups = ["web-new", "db"]
meta = { team = "both", room = "both" }
ssh = { user = "both", port = 23 }
exclude = ["both*"]
[group.modern]
groups = ["!legacy"]
[group.odd]
groups = ["web", "!modern"]

[host.plain]
[host.web]
groups = ["web"]
[host.old]
groups = ["legacy", "web"]
[host.every]
groups = ["db", "web"]
[host.named]
groups = ["both"]
[host.barred]
groups = ["web", "db", "!web-new"]
[host.own]
groups = ["web", "db"]
meta.team = "own"
ssh.user = "own"
`

func TestNesting(t *testing.T) {
	s := mustLoad(t, map[string]string{MainFile: "", "inventory/x.toml": nestedSite})
	for host, want := range map[string]string{
		"plain":  "[modern] [2] map[]  22 []",
		"web":    "[web modern web-new] [1 2 2] map[rack:new team:new] new 22 [new*]",
		"old":    "[legacy web odd] [1 1 2] map[]  22 []",
		"every":  "[db web modern web-new both] [1 1 2 2 3] map[rack:new room:both team:new] new 23 [new* both*]",
		"named":  "[both modern] [1 2] map[room:both team:both] both 23 [both*]",
		"barred": "[web db modern] [1 1 2] map[]  22 []",
		"own":    "[web db modern web-new both] [1 1 2 2 3] map[rack:new room:both team:own] own 23 [new* both*]",
	} {
		h := s.Host(host)
		e := s.Effective(h)
		user := strings.TrimPrefix(e.SSH.User, "root")
		if got := words(h.Groups, h.distance, h.Meta, user, e.SSH.Port, e.Exclude); got != want {
			t.Errorf("%s: %s, want %s", host, got, want)
		}
	}
	for selector, want := range map[string]string{
		"group=web-new": "every own web", "group=both": "every named own", "not group=modern": "old", "group=odd": "old",
	} {
		hosts, err := s.Select([]string{selector}, nil)
		var names []string
		for _, h := range hosts {
			names = append(names, h.Name)
		}
		if got := strings.Join(names, " "); err != nil || got != want {
			t.Errorf("%s: %s, want %s: %v", selector, got, want, err)
		}
	}
	origins := make(map[string]string)
	for _, o := range s.Origins(s.Host("every")) {
		origins[o.Key] = strings.ReplaceAll(o.Origin, s.Dir+"/inventory/", "")
	}
	for key, want := range map[string]string{
		"groups": "x.toml:27, x.toml:17, x.toml:6, x.toml:12", "meta.team": "x.toml:7", "meta.room": "x.toml:13",
		"ssh.user": "x.toml:8", "ssh.port": "x.toml:14", "exclude": "x.toml:9, x.toml:15",
	} {
		if origins[key] != want {
			t.Errorf("origin of %s: %s, want %s", key, origins[key], want)
		}
	}
}

// TestNearerAgrees: groups at different distances never disagree, whatever they
// write, and a group that is both named and made of others is near.
func TestNearerAgrees(t *testing.T) {
	s := mustLoad(t, map[string]string{MainFile: "", "inventory/x.toml": `
[group.a]
meta.team = "a"
[group.b]
groups = ["a"]
meta.team = "b"
meta.rack = "b"
[group.c]
groups = ["a", "b"]
meta.rack = "c"
[host.h]
groups = ["a"]
[host.i]
groups = ["c"]
`})
	if got := words(s.Host("h").Meta, s.Host("i").Meta); got != "map[rack:b team:a] map[rack:c]" {
		t.Error(got)
	}
}

// drawGroups gives groups, some of them made of those before, by name.
func drawGroups(t *rapid.T) (names []string, groups map[string]*Group) {
	groups = make(map[string]*Group)
	for i := range rapid.IntRange(1, 7).Draw(t, "groups") {
		name := fmt.Sprintf("g%d", i)
		// Names are mixed so that their order and that of nesting differ.
		if rapid.Bool().Draw(t, "early") {
			name = fmt.Sprintf("a%d", 9-i)
		}
		groups[name] = &Group{Name: name}
		for _, inner := range names {
			if rapid.IntRange(0, 2).Draw(t, "in") == 0 {
				groups[name].Groups = append(groups[name].Groups, rapid.SampledFrom([]string{"", "!"}).Draw(t, "not")+inner)
			}
		}
		names = append(names, name)
	}
	return names, groups
}

// distanceBy is the definition of a membership, taken literally; 0 is outside.
func distanceBy(groups map[string]*Group, own []string, name string) int {
	switch {
	case slices.Contains(own, name):
		return 1
	case slices.Contains(own, "!"+name) || len(groups[name].Groups) == 0:
		return 0
	}
	far := 1
	for _, entry := range groups[name].Groups {
		inner, not := strings.CutPrefix(entry, "!")
		d := distanceBy(groups, own, inner)
		if not == (d > 0) {
			return 0
		}
		far = max(far, d)
	}
	return far + 1
}

// TestNestingModel compares memberships with the definition.
func TestNestingModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names, groups := drawGroups(t)
		var own []string
		for _, name := range names {
			switch rapid.IntRange(0, 5).Draw(t, "own") {
			case 0, 1:
				own = append(own, name)
			case 2:
				own = append(own, "!"+name)
			}
		}
		want := make(map[string]int)
		for _, name := range names {
			if d := distanceBy(groups, own, name); d > 0 {
				want[name] = d
			}
		}
		n := &nesting{groups: groups, state: make(map[string]int), depth: make(map[string]int), inCircle: make(map[string]bool)}
		for _, name := range sortedKeys(groups) {
			n.visit(name, nil)
		}
		got := make(map[string]int)
		list, distance := n.of(own)
		for i, name := range list {
			got[name] = distance[i]
		}
		if diff := cmp.Diff(want, got); diff != "" || len(n.circles) > 0 {
			t.Fatalf("own %v: circles %v\n%s", own, n.circles, diff)
		}
		if !sort.IntsAreSorted(distance) || len(list) != len(got) {
			t.Fatalf("%v %v", list, distance)
		}
	})
}

// TestCircles: every circle is found, however many there are, and a site with one
// is refused.
func TestCircles(t *testing.T) {
	var b strings.Builder
	for i := range 50 {
		fmt.Fprintf(&b, "[group.a%02d]\ngroups = [\"b%02d\"]\n[group.b%02d]\ngroups = [\"!a%02d\"]\n", i, i, i, i)
	}
	ps := problemsOf(t, writeSite(t, map[string]string{MainFile: "", "inventory/x.toml": b.String() + "[host.h]\ngroups = [\"a00\"]\n"}))
	if len(ps) != maxCircles || !strings.HasSuffix(ps[0].Message, "in a circle: a00 -> b00 -> a00") {
		t.Errorf("%d problems: %v", len(ps), ps)
	}
	b.Reset()
	const long = 20_000
	for i := range long {
		fmt.Fprintf(&b, "[group.g%d]\ngroups = [\"g%d\"]\n", i, (i+1)%long)
	}
	if ps := problemsOf(t, writeSite(t, map[string]string{MainFile: "", "inventory/x.toml": b.String()})); len(ps) == 0 || len(ps) > 2 {
		t.Errorf("%d problems: %v", len(ps), ps)
	}
}
