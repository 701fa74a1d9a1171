package inventory

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// policySite is a site with policies that do not tie.
func policySite(t testing.TB) map[string]string { return archive(t, "testdata/policies.txtar") }

// eightSix are the facts of a host with 8.6.
func eightSix(h *Host, key string) []string {
	if key == "os_version" && h.Name == "db02" {
		return []string{"8.6"}
	}
	return nil
}

func at(t testing.TB, text string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// decided writes what a decision holds, in the order of the fields.
func decided(d Decision) string {
	var out []string
	for _, r := range []*Rule{d.Hold, d.Pin, d.Exclude, d.Install, d.Remove, d.AllowDowngrade, d.AllowArchChange, d.Arches, d.Instead, d.Release} {
		if r != nil {
			out = append(out, r.String())
		}
	}
	for _, r := range d.SameEverywhere {
		out = append(out, r.String())
	}
	for _, o := range d.Overruled {
		out = append(out, fmt.Sprintf("not %s (%s) by %s (%s)", o.Rule, o.Rule.Policy, o.By, o.By.Policy))
	}
	return strings.Join(out, "; ")
}

func TestPolicies(t *testing.T) {
	s := mustLoad(t, policySite(t))
	early, late := at(t, "2026-05-01T00:00:00Z"), at(t, "2028-01-01T00:00:00Z")
	for _, c := range []struct {
		host, name string
		extra      ExtraFunc
		at         time.Time
		want       string
	}{
		{"web01", "postgresql15", nil, early, "install postgresql15"},
		{"web01", "docker-ce", nil, early, "exclude docker*"},
		{"web01", "bash", nil, early, ""},
		{"db02", "postgresql15", nil, early, "hold postgresql*; not install postgresql15 (everywhere) by hold postgresql* (hold-db-engine)"},
		{"db02", "postgresql15", nil, late, "install postgresql15"},
		{"db01", "postgresql15", nil, early, "pin postgresql15* = 15.4-*; install postgresql15; allow downgrade postgresql15*; " +
			"not hold postgresql* (hold-db-engine) by pin postgresql15* = 15.4-* (new-db)"},
		{"db01", "postgresql15", nil, at(t, "2026-06-01T10:00:00Z"), "hold postgresql*; not install postgresql15 (everywhere) by hold postgresql* (hold-db-engine)"},
		{"db01", "postgresql", nil, early, "hold postgresql*"},
		{"db02", "libfoo-devel", nil, early, ""},
		{"db02", "libfoo-devel", eightSix, early, "take libfoo* only as i686, x86_64; stay in release 8.6"},
		{"db02", "foo", eightSix, early, "take bar instead of foo; stay in release 8.6"},
		{"db02", "mc", eightSix, early, "allow arch change mc; stay in release 8.6"},
		{"db02", "openssl", eightSix, early, "stay in release 8.6; same version everywhere of openssl*"},
		{"db01", "openssl", eightSix, early, ""},
	} {
		r, conflicts := s.Policies(s.Host(c.host), c.extra, c.at)
		if len(conflicts) > 0 {
			t.Errorf("%s: %v", c.host, conflicts)
		}
		d, err := r.For(c.name)
		if got := decided(d); err != nil || got != c.want {
			t.Errorf("%s %s at %s: %s, want %s: %v", c.host, c.name, c.at, got, c.want, err)
		}
	}
	r, _ := s.Policies(s.Host("db02"), eightSix, early)
	if r.Release == nil || r.Release.Value != "8.6" || words(r.Rules[len(r.Rules)-1].ArchList(), r.Rules[0].ArchList()) != "[] []" {
		t.Errorf("%+v", r)
	}
	d, _ := r.For("libfoo")
	want := Rule{Action: ActionArches, Pattern: "libfoo*", Value: "i686 x86_64", Priority: -1, Policy: "el8", File: s.Dir + "/inventory/more/facts.toml", Line: 7}
	if diff := cmp.Diff(&want, d.Arches); diff != "" || words(d.Arches.ArchList()) != "[i686 x86_64]" {
		t.Error(diff)
	}
}

// TestClassRules: vendor change has three values, and repositories their names.
func TestClassRules(t *testing.T) {
	s := mustLoad(t, policySite(t))
	for host, want := range map[string]string{
		"db01":  "forbid true [[SUSE* openSUSE] [CentOS Red Hat, Inc.]]",
		"db02":  "allow false []",
		"web01": " false []",
	} {
		e := s.Effective(s.Host(host))
		if got := words(string(e.VendorChange), e.Weak, e.SameVendor); got != want {
			t.Errorf("%s: %s, want %s", host, got, want)
		}
	}
	view := s.ReposFor(s.Host("db01"), nil)
	if got := words(view[0].Only, view[0].Words()); got != "[nginx* njs] third (priority 50, smaller wins; limited to nginx*, njs)" {
		t.Error(got)
	}
	lines := originLines(s, s.Origins(s.Host("db01")))
	for _, want := range []string{
		"allow_vendor_change|false|cpacman.toml:4", "same_vendor|SUSE* = openSUSE, CentOS = Red Hat, Inc.|cpacman.toml:5", "weak|true|cpacman.toml:6",
	} {
		if !strings.Contains(lines, want+"\n") {
			t.Errorf("no %s in\n%s", want, lines)
		}
	}
	if lines := originLines(s, s.Origins(s.Host("web01"))); !strings.Contains(lines, "allow_vendor_change|as the family does|default\n") {
		t.Error(lines)
	}
}

// originLines writes settings a line each, without the directory.
func originLines(s *Site, settings []Setting) string {
	var b strings.Builder
	for _, o := range settings {
		fmt.Fprintf(&b, "%s|%s|%s\n", o.Key, o.Value, strings.ReplaceAll(o.Origin, s.Dir+"/", ""))
	}
	return b.String()
}

// TestPolicyOrigins is what `inventory show` says of policies.
func TestPolicyOrigins(t *testing.T) {
	s := mustLoad(t, policySite(t))
	policies := func(settings []Setting) string {
		lines := originLines(s, settings)
		return lines[strings.Index(lines+"policy ", "policy "):]
	}
	const (
		everywhere = "policy everywhere|exclude docker*; install chrony; install postgresql15; remove telnet (priority 0, larger wins)|inventory/policies.toml:11\n"
		hold       = "hold postgresql* (priority 10, larger wins, dba: vendor certifies 15.4 only, until 2027-03-01)|inventory/policies.toml:2\n"
		el8        = "allow arch change mc; take libfoo* only as i686, x86_64; take bar instead of foo; stay in release 8.6; same version everywhere of openssl* (priority -1, larger wins)|inventory/more/facts.toml:2\n"
	)
	want := "policy el8|does not apply unless the facts say so: os_version>=8.4 and os_version<9: " + el8 + everywhere + "policy hold-db-engine|" + hold
	if diff := cmp.Diff(want, policies(s.Origins(s.Host("db02")))); diff != "" {
		t.Error(diff)
	}
	want = "policy el8|" + el8 + everywhere + "policy hold-db-engine|expired: " + hold
	if diff := cmp.Diff(want, policies(s.OriginsAt(s.Host("db02"), eightSix, at(t, "2028-01-01T00:00:00Z")))); diff != "" {
		t.Error(diff)
	}
}

func TestPolicyList(t *testing.T) {
	s := mustLoad(t, policySite(t))
	var got []string
	for _, e := range s.PolicyList(nil, at(t, "2026-07-01T00:00:00Z")) {
		got = append(got, words(e.Name, e.Priority, e.Owner, e.Expires, e.Expired, e.Selector, e.Hosts, e.Undecided, len(e.Rules), e.Line))
	}
	want := []string{
		"el8 -1   false os_version>=8.4 and os_version<9 [] 3 5 2",
		"everywhere 0   false all [db01 db02 web01] 0 4 11",
		"hold-db-engine 10 dba 2027-03-01 false group=db [db01 db02] 0 1 2",
		"new-db 20 dba 2026-06-01T12:00:00+02:00 true group=new-db [db01] 0 3 17",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if e := s.PolicyList(eightSix, time.Time{})[0]; words(e.Hosts, e.Undecided) != "[db02] 2" {
		t.Errorf("%+v", e)
	}
	if hosts := s.PolicyHosts(s.Policy("hold-db-engine"), nil); len(hosts) != 2 || s.Policy("hold") != nil || s.Policy("zzz") != nil {
		t.Errorf("%v", hosts)
	}
}

func TestExpiry(t *testing.T) {
	load := func(text string) *Policy {
		return mustLoad(t, map[string]string{MainFile: "", "inventory/x.toml": "[[policy]]\nname = \"p\"\nremove = [\"x\"]\nexpires = " + text + "\n"}).Policy("p")
	}
	for _, c := range []struct {
		text, written string
		last, over    string
	}{
		{"2027-03-01", "2027-03-01", "2027-03-01T23:59:59.999Z", "2027-03-02T00:00:00Z"},
		{"2027-03-01", "2027-03-01", "2027-03-01T23:59:59+09:00", "2027-03-02T00:00:00+09:00"},
		{"2027-12-31", "2027-12-31", "2027-12-31T23:59:59-05:00", "2028-01-01T00:00:00-05:00"},
		{"2027-03-01T12:30:00", "2027-03-01T12:30:00", "2027-03-01T12:29:59.999Z", "2027-03-01T12:30:00Z"},
		{"2027-03-01 12:30:00.5", "2027-03-01T12:30:00.5", "2027-03-01T12:30:00.499+02:00", "2027-03-01T12:30:00.5+02:00"},
		{"2027-03-01T12:30:00Z", "2027-03-01T12:30:00Z", "2027-03-01T14:29:59+02:00", "2027-03-01T14:30:00+02:00"},
		{"2027-03-01T12:30:00-07:00", "2027-03-01T12:30:00-07:00", "2027-03-01T19:29:59Z", "2027-03-01T19:30:00Z"},
	} {
		p := load(c.text)
		if p.Expires.String() != c.written || p.Expires.Never() || !p.Active(at(t, c.last)) || p.Active(at(t, c.over)) || p.Active(at(t, c.over).AddDate(5, 0, 0)) {
			t.Errorf("%s: %s, at %s %t, at %s %t", c.text, p.Expires, c.last, p.Active(at(t, c.last)), c.over, p.Active(at(t, c.over)))
		}
	}
	var never Expiry
	if !never.Never() || never.String() != "" || !never.Active(at(t, "9999-01-01T00:00:00Z")) {
		t.Errorf("%+v", never)
	}
}

func TestPins(t *testing.T) {
	for _, c := range []struct{ pin, takes, refuses string }{
		{"bash = 5.1.8", "0 5.1.8 9.el9, 1 5.1.8 x,  5.1.8 1", "0 5.1.80 9.el9, 0 5.1 8"},
		{"bash=5.1.8-9.el9", "0 5.1.8 9.el9", "0 5.1.8 9.el9_1, 0 5.1.8 10.el9"},
		{"bash = 0:5.1.8", "0 5.1.8 9,  5.1.8 9", "1 5.1.8 9"},
		{"bind = 032:9.16.*-*.el9", "32 9.16.23 1.el9", "0 9.16.23 1.el9, 32 9.1 6.el9, 32 9.16.23 1.el8"},
		{"x* = 1.[2-3]", "0 1.2 a, 0 1.3 b", "0 1.4 a, 0 1.- a"},
		{"x = 1.[!2-3]-[a-b]", "0 1.5 a", "0 1.2 a, 0 1.5 c"},
		{"x = 1.0~rc1^git2+b_c", "0 1.0~rc1^git2+b_c 1", "0 1.0 1"},
		{"x = *", "3 9 9", ""},
		{"x = *-1", "3 9 1", "3 9 2"},
	} {
		pin, err := ParsePin(c.pin)
		if err != nil {
			t.Errorf("%s: %v", c.pin, err)
			continue
		}
		rule := Rule{Action: ActionPin, Pattern: pin.Pattern, Value: pin.Version}
		for want, list := range map[bool]string{true: c.takes, false: c.refuses} {
			for _, evr := range strings.Split(list, ", ") {
				part := strings.Split(evr, " ")
				if len(part) == 3 && rule.Takes(part[0], part[1], part[2]) != want {
					t.Errorf("%s takes %q: %t", c.pin, evr, !want)
				}
			}
		}
	}
	if (Rule{Action: ActionPin, Value: "-"}).Takes("", "1", "1") || !(Rule{Action: ActionHold}).Takes("", "1", "1") {
		t.Error("a pin that cannot be read takes something, or a hold refuses a version")
	}
}

func FuzzPin(f *testing.F) {
	f.Add("bash = 1:5.1.8-9.el9", "5.1.8", "9.el9")
	f.Add("a[!x-z]* = 1.[2-3]*-?", "1.2", "1")
	f.Fuzz(func(t *testing.T, text, version, release string) {
		pin, err := ParsePin(text)
		if err != nil {
			return
		}
		if again, err := ParsePin(pin.String()); err != nil || again != pin {
			t.Errorf("%q is %+v, read back as %+v: %v", text, pin, again, err)
		}
		if printable(pin.String()) != pin.String() {
			t.Errorf("%q cannot be printed", pin)
		}
		Rule{Action: ActionPin, Pattern: pin.Pattern, Value: pin.Version}.Takes("0", version, release)
	})
}

// TestPoliciesConcurrently: a site may be asked by many goroutines.
func TestPoliciesConcurrently(t *testing.T) {
	s := mustLoad(t, policySite(t))
	when := at(t, "2026-05-01T00:00:00Z")
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for _, h := range s.Hosts {
				r, _ := s.Policies(h, nil, when)
				if d, err := r.For("docker"); err != nil || d.Exclude == nil {
					t.Errorf("%s: %v", h.Name, err)
				}
			}
		})
	}
	group.Wait()
}

// TestPolicySpeed: rules of three thousand hosts with fifty policies are found well
// within a second. The bound leaves room for a slow machine; the time is logged.
func TestPolicySpeed(t *testing.T) {
	var b strings.Builder
	for i := range 50 {
		fmt.Fprintf(&b, "[[policy]]\nname = \"p%d\"\npriority = %d\nhosts = \"group=web and not rack=r%d\"\nexclude = [\"a%d*\", \"b%d\", \"c%d-*\"]\nremove = [\"d%d\"]\n", i, i, i%4, i, i, i, i)
	}
	dir := bigSite(t, 3_000, 500)
	files := map[string]string{"inventory/policies.toml": b.String()}
	addFiles(t, dir, files)
	s, err := testLoader().Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	start, when := time.Now(), at(t, "2026-05-01T00:00:00Z")
	keys := make(map[string]Resolved)
	for _, h := range s.Hosts {
		r, conflicts := s.Policies(h, nil, when)
		if len(conflicts) > 0 {
			t.Fatal(conflicts)
		}
		keys[r.Key] = r
	}
	resolved := time.Since(start)
	if len(keys) != 5 {
		t.Errorf("%d sets of rules", len(keys))
	}
	start = time.Now()
	for _, r := range keys {
		for i := range 20_000 {
			if _, err := r.For(fmt.Sprintf("a%d-libs", i%90)); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("3,000 hosts in %v, 100,000 names in %v", resolved, time.Since(start))
	if resolved > 5*time.Second {
		t.Errorf("resolving took %v", resolved)
	}
}
