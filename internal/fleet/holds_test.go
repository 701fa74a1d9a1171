package fleet

import (
	"slices"
	"strings"
	"testing"

	"cpacman/internal/host"
	"cpacman/internal/rpm"
	"cpacman/inventory"
	"cpacman/planner"
)

// builds makes packages of NEVRAs.
func builds(t *testing.T, list string) []*rpm.Package {
	t.Helper()
	var out []*rpm.Package
	for _, s := range strings.Fields(list) {
		n, err := rpm.ParseNEVRA(s)
		if err != nil {
			t.Fatal(err)
		}
		p := &rpm.Package{NEVRA: n, Vendor: "v"}
		p.Provides = []rpm.Dep{{Name: n.Name, Sense: rpm.Equal, EVR: n.EVR}}
		out = append(out, p)
	}
	return out
}

// What locks, excludes and protected names of a host let come, as its own package manager would: dnf 4's and 5's versionlock, zypper's locks.
func TestHoldsInAPlan(t *testing.T) {
	when := func(w ...string) (out []host.HoldWhen) {
		for ; len(w) > 0; w = w[3:] {
			out = append(out, host.HoldWhen{Key: w[0], Op: w[1], Value: w[2]})
		}
		return out
	}
	lock := func(patterns ...string) (out []host.Hold) {
		for _, p := range patterns {
			out = append(out, host.Hold{Kind: "versionlock", Pattern: p})
		}
		return out
	}
	zypp := func(match string, fold bool, pattern string, w ...string) []host.Hold {
		return []host.Hold{{Kind: "zypper-lock", Pattern: pattern, Match: match, Fold: fold, When: when(w...)}}
	}
	for name, c := range map[string]struct {
		holds     []host.Hold
		installed string // "" foo-1-1.noarch
		repo      string // "" foo-2-1.noarch foo-3-1.noarch
		want      string // what comes
	}{
		"nothing":                        {want: "foo-3-1.noarch"},
		"dnf, what is installed":         {holds: lock("foo-0:1-1.*")},
		"dnf, a version to come":         {holds: lock("foo-0:2-1.*"), want: "foo-2-1.noarch"},
		"dnf, a glob":                    {holds: lock("foo-0:2*"), want: "foo-2-1.noarch"},
		"dnf, name and version":          {holds: lock("foo-2"), want: "foo-2-1.noarch"},
		"dnf, two lines":                 {holds: lock("foo-0:1-1.*", "foo-0:2-1.*"), want: "foo-2-1.noarch"},
		"dnf, a build left out":          {holds: lock("!foo-0:3-1.*"), want: "foo-2-1.noarch"},
		"dnf, all builds left out":       {holds: lock("!foo")},
		"dnf, a name alone":              {holds: lock("foo")},
		"dnf, names alone":               {holds: lock("f*")},
		"dnf, another name":              {holds: lock("foo-bar-0:1-1.*", "fo-0:1-1.*", "fooo"), want: "foo-3-1.noarch"},
		"yum":                            {holds: lock("0:foo-2-1.*"), want: "foo-2-1.noarch"},
		"yum, left out":                  {holds: lock("!0:foo-3-1.*"), want: "foo-2-1.noarch"},
		"an epoch":                       {holds: lock("foo-1:2-1.*"), repo: "foo-2-1.noarch foo-1:2-1.noarch foo-1:3-1.noarch", want: "foo-1:2-1.noarch"},
		"a name that looks like a build": {holds: lock("java-1.8.0-openjdk"), installed: "java-1.8.0-openjdk-1:1-1.x86_64", repo: "java-1.8.0-openjdk-1:2-1.x86_64"},
		"a name with a number":           {holds: lock("compat-gcc-44"), installed: "compat-gcc-44-1-1.x86_64 compat-gcc-44-1-1.x86_64", repo: "compat-gcc-44-2-1.x86_64"},
		"a build of such a name":         {holds: lock("java-1.8.0-openjdk-1:2-1.*"), installed: "java-1.8.0-openjdk-1:1-1.x86_64", repo: "java-1.8.0-openjdk-1:2-1.x86_64 java-1.8.0-openjdk-1:3-1.x86_64", want: "java-1.8.0-openjdk-1:2-1.x86_64"},
		"dnf 5, one version":             {holds: []host.Hold{{Kind: "versionlock", Pattern: "foo", When: when("evr", "=", "0:2-1")}}, want: "foo-2-1.noarch"},
		"dnf 5, without one":             {holds: []host.Hold{{Kind: "versionlock", Pattern: "foo", When: when("evr", "!=", "0:3-1")}}, want: "foo-2-1.noarch"},
		"dnf 5, without two": {holds: []host.Hold{{Kind: "versionlock", Pattern: "foo", When: when("evr", "!=", "0:3-1")},
			{Kind: "versionlock", Pattern: "foo", When: when("evr", "!=", "0:2-1")}}},
		"dnf 5, without two, in one":   {holds: []host.Hold{{Kind: "versionlock", Pattern: "foo", When: when("evr", "!=", "0:3-1", "evr", "!=", "0:4-1")}}, repo: "foo-2-1.noarch foo-3-1.noarch foo-4-1.noarch", want: "foo-2-1.noarch"},
		"dnf 5, a range":               {holds: []host.Hold{{Kind: "versionlock", Pattern: "f*", When: when("evr", "<", "3", "evr", ">=", "2")}}, want: "foo-2-1.noarch"},
		"dnf 5, alternatives":          {holds: []host.Hold{{Kind: "versionlock", Pattern: "foo", When: when("evr", "=", "0:2-1")}, {Kind: "versionlock", Pattern: "foo", When: when("evr", "=", "0:3-1")}}, want: "foo-3-1.noarch"},
		"dnf 5, an arch":               {holds: []host.Hold{{Kind: "versionlock", Pattern: "foo", When: when("arch", "=", "x86_64")}}},
		"dnf 5, a name alone":          {holds: []host.Hold{{Kind: "versionlock", Pattern: "foo"}}},
		"zypper":                       {holds: zypp("", false, "foo")},
		"zypper, a glob":               {holds: zypp("", false, "f?o")},
		"zypper, a glob of any case":   {holds: zypp("", true, "F*")},
		"zypper, case counts":          {holds: zypp("", false, "F*"), want: "foo-3-1.noarch"},
		"zypper, exact":                {holds: zypp(host.MatchExact, true, "FOO")},
		"zypper, exact, not a glob":    {holds: zypp(host.MatchExact, false, "f*"), want: "foo-3-1.noarch"},
		"zypper, a part":               {holds: zypp(host.MatchSubstring, true, "O")},
		"zypper, not a word":           {holds: zypp(host.MatchWord, true, "fo"), want: "foo-3-1.noarch"},
		"zypper, a word":               {holds: zypp(host.MatchWord, true, "foo")},
		"zypper, a regular expression": {holds: zypp(host.MatchRegex, false, "^fo+$")},
		"zypper, a bad one":            {holds: zypp(host.MatchRegex, false, "fo("), want: "foo-3-1.noarch"},
		"zypper, versions":             {holds: zypp("", false, "foo", "edition", ">", "2"), want: "foo-2-1.noarch"},
		"zypper, an older version":     {holds: zypp("", false, "foo", "edition", "<", "3"), want: ""},
		"zypper, not of names":         {holds: zypp(host.MatchNothing, false, "game"), want: "foo-3-1.noarch"},
		"an exclude":                   {holds: []host.Hold{{Kind: "exclude", Pattern: "f*"}}},
		"protected may be updated":     {holds: []host.Hold{{Kind: "protected", Pattern: "foo"}}, want: "foo-3-1.noarch"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.installed == "" {
				c.installed = "foo-1-1.noarch"
			}
			if c.repo == "" {
				c.repo = "foo-2-1.noarch foo-3-1.noarch"
			}
			src := planner.Source{ID: "r", Priority: 99, Auto: true}
			for _, p := range builds(t, c.repo) {
				src.Packages = append(src.Packages, planner.Candidate{Package: p})
			}
			u, err := planner.NewUniverse(planner.View{Sources: []planner.Source{src}})
			if err != nil {
				t.Fatal(err)
			}
			h := planner.Host{Installed: builds(t, c.installed), Arch: "x86_64"}
			addHolds(&h, c.holds)
			res, err := u.Solve(h, planner.Request{})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, m := range res.Set.Upgrade {
				got = append(got, m.To.String())
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("%q comes, want %q: %+v", s, c.want, res.Set)
			}
		})
	}
}

// What zypper counts as one vendor is one here: what begins with SUSE, and what files of the host say.
func TestVendorsOfAHost(t *testing.T) {
	g := given{os: host.OS{ID: "opensuse-leap"}, settings: &inventory.Effective{}, holds: []host.Hold{{Kind: "same-vendor", Pattern: "openSUSE, SUSE,SUSE LLC <https://www.suse.com/>"}}}
	src := planner.Source{ID: "r", Priority: 99, Auto: true}
	to := builds(t, "a-2-1.noarch b-2-1.noarch c-2-1.noarch")
	to[0].Vendor, to[1].Vendor, to[2].Vendor = "SUSE LLC <https://www.suse.com/>", "SUSE LINUX Products GmbH", "Packman"
	for _, p := range to {
		src.Packages = append(src.Packages, planner.Candidate{Package: p})
	}
	u, err := planner.NewUniverse(planner.View{Sources: []planner.Source{src}})
	if err != nil {
		t.Fatal(err)
	}
	h := g.host()
	h.Arch, h.Installed = "x86_64", builds(t, "a-1-1.noarch b-1-1.noarch c-1-1.noarch")
	h.Installed[0].Vendor, h.Installed[1].Vendor, h.Installed[2].Vendor = "openSUSE", "SUSE LLC", "openSUSE"
	res, err := u.Solve(h, planner.Request{})
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Set.Upgrade) != 2 || len(res.Set.Blocked) != 1 || res.Set.Blocked[0].NEVRA.Name != "c" {
		t.Errorf("%+v", res.Set)
	}
}

func TestAddHolds(t *testing.T) {
	got := planner.Host{Exclude: []string{"a"}, ExcludeFrom: []string{"class c"}}
	addHolds(&got, []host.Hold{
		{Kind: "exclude", Pattern: "nginx*", Source: "/etc/yum.conf"},
		{Kind: "protected", Pattern: "systemd"},
		{Kind: "protected", Pattern: "glob:/etc/x"},
		{Kind: "versionlock", Pattern: "bash-0:1-1.*", Source: "/etc/v.list"},
	})
	if want := []string{"rpm", "systemd"}; !slices.Equal(got.Protected, want) {
		t.Errorf("protected %q, want %q", got.Protected, want)
	}
	if want := []string{"a", "nginx*"}; !slices.Equal(got.Exclude, want) {
		t.Errorf("excluded %q, want %q", got.Exclude, want)
	}
	if want := []string{"class c", "/etc/yum.conf on the host"}; !slices.Equal(got.ExcludeFrom, want) {
		t.Errorf("excluded by %q, want %q", got.ExcludeFrom, want)
	}
	if want := "locked by /etc/v.list on the host: bash-0:1-1.*"; got.Locks[0].Text != want {
		t.Errorf("%q, want %q", got.Locks[0].Text, want)
	}
}
