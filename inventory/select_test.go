package inventory

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// factsOf are the facts of the test site: db01 runs rocky 8.10, plain was never
// asked.
func factsOf(h *Host, key string) []string {
	return map[string][]string{
		"web01 os_version": {"9.4"}, "web01 os": {"alma9"}, "web01 kernel": {"5.14.0-427"},
		"db01 os_version": {"8.10"}, "db01 os": {"rocky8"}, "db01 arch": {"x86_64"},
		"db01 rack": {"r99"}, "db01 vendor_key": {"a"},
	}[h.Name+" "+key]
}

func names(hosts []*Host) string {
	var out []string
	for _, h := range hosts {
		out = append(out, h.Name)
	}
	return strings.Join(out, " ")
}

func TestSelect(t *testing.T) {
	s := mustLoad(t, siteFiles(t))
	for text, want := range map[string]string{
		"all":                          "db01 plain web01",
		"web*":                         "web01",
		"web01 or plain":               "plain web01",
		"class!=production":            "db01 plain",
		"class=\"\"":                   "",
		"group=berlin":                 "db01 web01",
		"cluster=front":                "web01",
		"location!=berlin":             "db01 plain",
		"address=192.0.2.*":            "web01",
		"os=rocky9":                    "web01", // the site wins over the facts
		"os=rocky*":                    "db01 web01",
		"not os=rocky9":                "db01", // of plain it is not known
		"os_version>=8.9":              "db01 web01",
		"os_version<9":                 "db01",
		"arch=x86_64":                  "db01 web01",
		"rack=r*":                      "db01 web01",
		"rack=r2":                      "db01",
		"rack!=r1":                     "db01 plain",
		"meta.rack=r1":                 "web01",
		"slots>=12":                    "web01",
		"zone=true":                    "db01 web01",
		"tier>1":                       "web01",
		"team=host":                    "web01",
		"kernel>=5":                    "web01",
		"vendor_key=a":                 "db01", // a key that only facts know
		"class=production and level=*": "web01",
	} {
		got, err := s.Select([]string{text}, factsOf)
		if want == "" {
			if !errors.Is(err, ErrEmptySelection) {
				t.Errorf("%s: %s, %v", text, names(got), err)
			}
			continue
		}
		if err != nil || names(got) != want {
			t.Errorf("%s: %q, %v, want %q", text, names(got), err, want)
		}
	}
	if got, err := s.Select(nil, nil); err != nil || len(got) != 3 {
		t.Errorf("nothing given: %s, %v", names(got), err)
	}
}

func TestSelectErrors(t *testing.T) {
	s := mustLoad(t, siteFiles(t))
	for text, want := range map[string]struct {
		kind error
		text string
	}{
		"":                        {ErrEmptySelector, "write all for every host"},
		"a b":                     {ErrSelectorSyntax, "neither and nor or"},
		"web1":                    {ErrUnknownName, `no host "web1"; did you mean "web01"?`},
		"not web1":                {ErrUnknownName, `did you mean "web01"?`},
		"class=prodction":         {ErrUnknownName, `no class "prodction"; did you mean "production"?`},
		"not group=wbe":           {ErrUnknownName, `no group "wbe"; did you mean "web"?`},
		"level=canry":             {ErrUnknownName, `did you mean "canary"?`},
		"cluster=frnt":            {ErrUnknownName, `did you mean "front"?`},
		"not rak=r1":              {ErrUnknownName, `no key "rak"; did you mean "rack"?`},
		"meta.rak=r1":             {ErrUnknownName, `no key "meta.rak"`},
		"web* and class=testing":  {ErrEmptySelection, `no host matches "web* and class=testing" among 3 hosts`},
		"kernel=9":                {ErrEmptySelection, "of 2 of 3 hosts it is not known; collect their facts first"},
		"group=x*":                {ErrEmptySelection, "no host matches"},
		"web01 or class=nowhere3": {ErrUnknownName, `no class "nowhere3"`},
	} {
		got, err := s.Select([]string{text}, factsOf)
		if !errors.Is(err, want.kind) || !strings.Contains(err.Error(), want.text) || got != nil {
			t.Errorf("%q: %s, %v, want %v", text, names(got), err, want)
		}
	}
	empty := mustLoad(t, map[string]string{MainFile: ""})
	if _, err := empty.Select(nil, nil); !errors.Is(err, ErrEmptySelection) {
		t.Errorf("a site without hosts: %v", err)
	}
}

func TestReposFor(t *testing.T) {
	s := mustLoad(t, siteFiles(t))
	view := func(s *Site, host string, extra ExtraFunc) string {
		var ids []string
		for _, r := range s.ReposFor(s.Host(host), extra) {
			ids = append(ids, r.ID)
		}
		return strings.Join(ids, " ")
	}
	got := map[string]string{
		"web01":               view(s, "web01", factsOf),
		"web01 without facts": view(s, "web01", nil),
		"db01":                view(s, "db01", factsOf),
		"db01 without facts":  view(s, "db01", nil),
		"plain":               view(s, "plain", factsOf),
	}
	want := map[string]string{
		"web01":               "base9 apps", // by priority
		"web01 without facts": "base9 apps",
		"db01":                "base8", // apps is not in its class
		"db01 without facts":  "",      // what is not known matches nothing
		"plain":               "",      // no class
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	// Without classes at all, every repository that matches; equal priorities in
	// the order of the file.
	s = mustLoad(t, map[string]string{
		MainFile:           "[[repo]]\nid = \"b\"\npath = \"b\"\n[[repo]]\nid = \"a\"\npath = \"a\"\n[[repo]]\nid = \"c\"\npath = \"c\"\npriority = 1\n[[repo]]\nid = \"d\"\npath = \"d\"\nhosts = \"not os=x\"\n",
		"inventory/a.toml": "[host.h]\n",
	})
	if got := view(s, "h", nil); got != "c b a" {
		t.Errorf("without classes: %s", got)
	}
}

// TestReservedKeys: the switch and the lists that hints are made of agree.
func TestReservedKeys(t *testing.T) {
	for _, key := range append(siteKeys(), factKeys()...) {
		if !reservedKey(key) {
			t.Errorf("%q is not reserved", key)
		}
	}
	if n := len(siteKeys()) + len(factKeys()); n != 13 || reservedKey("rack") || reservedKey("meta.os") {
		t.Errorf("%d keys", n)
	}
}
