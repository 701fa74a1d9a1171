package planner

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cpacman/internal/rpm"
)

// examplePlan is a small plan that uses every list.
func examplePlan(t testing.TB) *Plan {
	t.Helper()
	n := func(s string) rpm.NEVRA { return mustNEVRA(t, s) }
	set := Set{
		Install: []Install{{NEVRA: n("lib-1-1.noarch"), NeededBy: []string{"foo-2-1.x86_64"}}},
		Upgrade: []Move{{From: n("zoo-1-1.x86_64"), To: n("zoo-2-1.x86_64")}, {From: n("foo-1-1.x86_64"), To: n("foo-1:2-1.x86_64")}},
		Remove:  []Remove{{n("old-1-1.x86_64"), "obsoleted", "obsoleted by foo <&>"}},
		Held:    []Held{{n("bar-1-1.x86_64"), n("bar-2-1.x86_64"), []string{"z first", "a second"}}},
		Blocked: []Blocked{{n("baz-1-1.noarch"), n("baz-2-1.x86_64"), "arch", "why"}},
	}
	if err := set.Seal(); err != nil {
		t.Fatal(err)
	}
	file := func(s string) PlanPackage {
		return PlanPackage{NEVRA: n(s), Repo: "base", Path: "Packages/" + s + ".rpm", Checksum: Checksum{"sha256", "00"}, Size: 10}
	}
	return &Plan{
		CreatedAt: time.Date(2026, 11, 20, 12, 0, 0, 0, time.FixedZone("x", 3600)),
		Requested: Requested{Selector: "all", Filter: Filter{Packages: []string{"zoo", "foo", "zoo"}}},
		Repos:     []PlanRepo{{ID: "base", Kind: "repomd", Digest: "ff"}},
		Sets:      []Set{set},
		Hosts: []PlanHost{
			{Host: "web02", Set: set.ID, Status: StatusPlanned, CollectedAt: time.Date(2026, 11, 20, 11, 0, 0, 5, time.UTC)},
			{Host: "web01", Status: StatusNoFacts},
		},
		Packages: []PlanPackage{file("zoo-2-1.x86_64"), file("lib-1-1.noarch"), file("foo-1:2-1.x86_64")},
	}
}

func encoded(t testing.TB, p *Plan) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := p.Encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestPlanFile(t *testing.T) {
	p := examplePlan(t)
	if err := p.Seal(); err != nil {
		t.Fatal(err)
	}
	first := encoded(t, p)
	if !bytes.HasSuffix(first, []byte("}\n")) || !bytes.Contains(first, []byte(`"obsoleted by foo <&>"`)) {
		t.Errorf("odd form: %s", first)
	}
	if got := p.ExpiresAt.Sub(p.CreatedAt); got != 7*24*time.Hour {
		t.Errorf("expires after %v", got)
	}
	if p.Expired(p.ExpiresAt.Add(-1)) || !p.Expired(p.ExpiresAt) {
		t.Error("the expiry is not half open")
	}
	back, err := Decode(bytes.NewReader(first))
	if err != nil {
		t.Fatal(err)
	}
	if again := encoded(t, back); !bytes.Equal(first, again) {
		t.Errorf("read and written again:\n%s\n%s", first, again)
	}
	other := examplePlan(t) // the same content in another order
	other.Hosts[0], other.Hosts[1] = other.Hosts[1], other.Hosts[0]
	other.Packages[0], other.Packages[2] = other.Packages[2], other.Packages[0]
	other.CreatedAt = other.CreatedAt.UTC()
	if err := other.Seal(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, encoded(t, other)) {
		t.Error("the order of lists changes the bytes")
	}
	s, ok := back.Set(back.Hosts[1].Set)
	if h, found := back.Host("web02"); !ok || !found || h.Status != StatusPlanned || len(back.PackagesFor(s)) != 3 {
		t.Error("look-ups")
	}
	if got := strings.Join(back.Summary(), "\n"); got != "web01: no_facts\nweb02: planned: 2 to upgrade, 1 to install, 1 to remove, 1 held, 1 blocked" {
		t.Error(got)
	}
}

func TestPlanFileRefuses(t *testing.T) {
	p := examplePlan(t)
	if err := p.Seal(); err != nil {
		t.Fatal(err)
	}
	good := string(encoded(t, p))
	for name, c := range map[string]struct{ bytes, want string }{
		"empty":           {"", "unexpected end"},
		"no format":       {"{}", "no format"},
		"newer format":    {strings.Replace(good, `"format": 1`, `"format": 2`, 1), "format is 2"},
		"changed":         {strings.Replace(good, `"level": ""`, `"level": "x"`, 1), "id does not match"},
		"unknown key":     {strings.Replace(good, `"level": ""`, `"levle": ""`, 1), "levle"},
		"text behind":     {good + "{}", "after top-level"},
		"cut":             {good[:len(good)/2], "unexpected end"},
		"a bad NEVRA":     {strings.Replace(good, `"zoo-1-1.x86_64"`, `"zoo"`, 1), "zoo"},
		"id of something": {strings.Replace(good, p.ID, strings.Repeat("0", 64), 1), "id does not match"},
	} {
		_, err := Decode(strings.NewReader(c.bytes))
		if !errors.Is(err, ErrPlan) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	p.Hosts[0].Level = "later"
	if err := p.Encode(&bytes.Buffer{}); !errors.Is(err, ErrPlan) {
		t.Errorf("a plan changed after sealing was written: %v", err)
	}
}

// TestPlanFileRules seals plans that contradict themselves.
func TestPlanFileRules(t *testing.T) {
	for name, change := range map[string]func(*Plan){
		"a path that leaves the repository": func(p *Plan) { p.Packages[0].Path = "../../etc/passwd" },
		"an absolute path":                  func(p *Plan) { p.Packages[0].Path = "/etc/passwd" },
		"a package without a repository":    func(p *Plan) { p.Packages[0].Repo = "other" },
		"a package without a file":          func(p *Plan) { p.Packages = p.Packages[1:] },
		"a host twice":                      func(p *Plan) { p.Hosts[1].Host = p.Hosts[0].Host },
		"a host with a terminal escape":     func(p *Plan) { p.Hosts[1].Host = "a\x1b[2J" },
		"a set that is not there":           func(p *Plan) { p.Hosts[0].Set = "x" },
		"planned without a set":             func(p *Plan) { p.Hosts[0].Set = "" },
		"a set changed":                     func(p *Plan) { p.Sets[0].Upgrade = nil },
		"an unknown type":                   func(p *Plan) { p.Type = "party" },
		"expired at birth":                  func(p *Plan) { p.ExpiresAt = p.CreatedAt },
		"a downgrade in an update": func(p *Plan) {
			p.Sets[0].Upgrade = []Move{{From: mustNEVRA(t, "zoo-3-1.x86_64"), To: mustNEVRA(t, "zoo-2-1.x86_64")}}
			_ = p.Sets[0].Seal()
			p.Hosts[0].Set = p.Sets[0].ID
		},
	} {
		p := examplePlan(t)
		change(p)
		if err := p.Seal(); !errors.Is(err, ErrPlan) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPlanFileDowngrades reads back what a policy lowers and what changes its vendor.
func TestPlanFileDowngrades(t *testing.T) {
	p := examplePlan(t)
	m := Move{From: mustNEVRA(t, "zoo-3-1.noarch"), To: mustNEVRA(t, "zoo-2-1.x86_64"), Policy: "back"}
	p.Sets[0].Upgrade, p.Sets[0].Downgrade = nil, []Move{m}
	p.Sets[0].VendorChanges = []VendorChange{{m.From, m.To, "A", "B"}}
	if err := p.Sets[0].Seal(); err != nil {
		t.Fatal(err)
	}
	p.Hosts[0].Set = p.Sets[0].ID
	if err := p.Seal(); err != nil {
		t.Fatal(err)
	}
	back, err := Decode(bytes.NewReader(encoded(t, p)))
	if err != nil {
		t.Fatal(err)
	}
	if s := back.Sets[0]; len(s.Downgrade) != 1 || !reflect.DeepEqual(s.Downgrade[0], m) || len(s.VendorChanges) != 1 || s.VendorChanges[0].ToVendor != "B" {
		t.Errorf("%+v", s)
	}
}

func FuzzDecode(f *testing.F) {
	p := examplePlan(f)
	if err := p.Seal(); err != nil {
		f.Fatal(err)
	}
	f.Add(encoded(f, p))
	f.Add([]byte(`{"format":1,"sets":[{}],"hosts":[{}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Decode(bytes.NewReader(b))
		if err != nil {
			// the id protects the rest: give the fuzzer a way past it
			var loose Plan
			if json.Unmarshal(b, &loose) != nil || loose.Seal() != nil {
				return
			}
			p = &loose
		}
		again, err := Decode(bytes.NewReader(encoded(t, p)))
		if err != nil {
			t.Fatalf("what was written is not read: %v", err)
		}
		if again.ID != p.ID {
			t.Fatal("the id changed")
		}
	})
}

// keysInOrder writes any JSON with sorted keys, two spaces of indent and a trailing newline: the form of a plan file.
func keysInOrder(t *testing.T, text []byte) []byte {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var tree any
	if err := dec.Decode(&tree); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(tree); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// fill sets every field of a value that a plan may have, so that none is left out of the file.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		switch v.Addr().Interface().(type) {
		case *rpm.NEVRA:
			v.Set(reflect.ValueOf(rpm.NEVRA{Name: "a<b>&c", EVR: rpm.EVR{Version: "1", Release: "1"}, Arch: "x86_64"}))
		case *time.Time:
			v.Set(reflect.ValueOf(time.Unix(1, 0).UTC()))
		default:
			for i := range v.NumField() {
				fill(v.Field(i))
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.String:
		v.SetString("text <&>")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	}
}

func TestPlanKeysAreSorted(t *testing.T) {
	var p Plan
	fill(reflect.ValueOf(&p).Elem())
	got, err := canonical(p)
	if err != nil {
		t.Fatal(err)
	}
	if want := keysInOrder(t, got); !bytes.Equal(got, want) {
		t.Errorf("a plan file whose keys are not sorted (-want +got):\n%s", cmp.Diff(string(want), string(got)))
	}
}

// Plans of reboots change no package and say why; other plans boot nobody.
func TestRebootPlan(t *testing.T) {
	var empty Set
	if err := empty.Seal(); err != nil {
		t.Fatal(err)
	}
	planned := func() *Plan {
		return &Plan{Type: TypeReboot, CreatedAt: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC), Sets: []Set{empty}, Hosts: []PlanHost{
			{Host: "web01", Set: empty.ID, Status: StatusPlanned, Reboot: &OwedReboot{Boot: "b-1", Host: []string{"kernel 1 runs"}}},
			{Host: "web02", Status: StatusNothing},
		}}
	}
	p := planned()
	if err := p.Seal(); err != nil {
		t.Fatal(err)
	}
	back, err := Decode(bytes.NewReader(encoded(t, p)))
	if err != nil || !reflect.DeepEqual(back.Hosts[0].Reboot.Reasons(), []string{"kernel 1 runs"}) {
		t.Fatalf("%+v, %v", back, err)
	}
	for name, change := range map[string]func(*Plan){
		"odd force":      func(p *Plan) { p.Requested.Force = "\x1b[2J" },
		"another type":   func(p *Plan) { p.Type = TypeUpdate },
		"no reason":      func(p *Plan) { p.Hosts[0].Reboot.Host = nil },
		"no boot":        func(p *Plan) { p.Hosts[0].Reboot.Boot = "" },
		"a boot to type": func(p *Plan) { p.Hosts[0].Reboot.Boot = "a\x1b[2J" },
		"odd reason":     func(p *Plan) { p.Hosts[0].Reboot.Host = []string{"a\nb"} },
		"not planned":    func(p *Plan) { p.Hosts[0].Status = StatusNothing },
		"nothing owed":   func(p *Plan) { p.Hosts[0].Reboot = nil },
		"packages": func(p *Plan) {
			set := Set{Remove: []Remove{{mustNEVRA(t, "old-1-1.x86_64"), "policy", "why"}}}
			if err := set.Seal(); err != nil {
				t.Fatal(err)
			}
			p.Sets, p.Hosts[0].Set = []Set{set}, set.ID
		},
	} {
		p := planned()
		change(p)
		if err := p.Seal(); !errors.Is(err, ErrPlan) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Plans of services name units that can be stopped and change nothing else; other plans name none.
func TestServicesPlan(t *testing.T) {
	var empty Set
	if err := empty.Seal(); err != nil {
		t.Fatal(err)
	}
	planned := func() *Plan {
		return &Plan{Type: TypeServices, CreatedAt: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC), Sets: []Set{empty},
			Services: &Services{Action: ServiceStop, Units: []string{"httpd.service", "cups.socket", "httpd.service"}, WithoutChecks: []string{"web"}},
			Hosts:    []PlanHost{{Host: "web01", Set: empty.ID, Status: StatusPlanned}, {Host: "web02", Status: StatusUnreachable}}}
	}
	p := planned()
	p.Requested.Force = "CVE-2026-1 is exploited"
	if err := p.Seal(); err != nil {
		t.Fatal(err)
	}
	text := encoded(t, p)
	back, err := Decode(bytes.NewReader(text))
	if err != nil || !reflect.DeepEqual(back.Services.Units, []string{"cups.socket", "httpd.service"}) {
		t.Fatalf("%+v, %v", back, err)
	}
	if want := keysInOrder(t, text); !bytes.Equal(text, want) {
		t.Errorf("a plan file whose keys are not sorted (-want +got):\n%s", cmp.Diff(string(want), string(text)))
	}
	for name, change := range map[string]func(*Plan){
		"another type":   func(p *Plan) { p.Type = TypeUpdate },
		"no services":    func(p *Plan) { p.Services = nil },
		"no unit":        func(p *Plan) { p.Services.Units = nil },
		"no such action": func(p *Plan) { p.Services.Action = "mask" },
		"ssh":            func(p *Plan) { p.Services.Units = []string{"sshd.service"} },
		"a path":         func(p *Plan) { p.Services.Units = []string{"../x.service"} },
		"odd check":      func(p *Plan) { p.Services.WithoutChecks = []string{"a\x1b[2J"} },
		"keys":           func(p *Plan) { p.Hosts[0].Keys.Retire = []RetiredKey{{}} },
		"packages": func(p *Plan) {
			set := Set{Remove: []Remove{{mustNEVRA(t, "old-1-1.x86_64"), "policy", "why"}}}
			if err := set.Seal(); err != nil {
				t.Fatal(err)
			}
			p.Sets, p.Hosts[0].Set = []Set{set}, set.ID
		},
	} {
		p := planned()
		change(p)
		if err := p.Seal(); !errors.Is(err, ErrPlan) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCheckUnit(t *testing.T) {
	for name, ok := range map[string]bool{
		"httpd.service": true, "cups.socket": true, `a@dev-x\x2dy.service`: true, "logrotate.timer": true, "x.path": true, "php8.2-fpm.service": true,
		"": false, "httpd": false, ".service": false, "-x.service": false, "a/b.service": false, "a b.service": false, "a\n.service": false,
		"x.mount": false, "foo@.service": false, "sshd.service": false, "ssh.socket": false, "sshd@1.service": false, "systemd-logind.service": false,
		"dbus.service": false, "NetworkManager.service": false, "getty@tty1.service": false, "cpacman-engine-1.service": false,
		strings.Repeat("a", 260) + ".service": false,
	} {
		if err := CheckUnit(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
	if UnitName("httpd") != "httpd.service" || UnitName("a.socket") != "a.socket" {
		t.Error("names are not completed")
	}
}

// told keeps what an observer hears.
type told struct {
	complete *Plan
	text     bytes.Buffer
	pieces   int
	broken   int // from which piece on it fails; 0: never
}

var errTold = errors.New("no space left")

func (o *told) Complete(p *Plan) { o.complete = p }
func (o *told) Write(piece []byte) (int, error) {
	if o.pieces++; o.broken > 0 && o.pieces >= o.broken {
		return 0, errTold
	}
	return o.text.Write(piece)
}

// TestSealObserver: what is given of a plan while it is written, piece after piece, is what Encode writes.
func TestSealObserver(t *testing.T) {
	p := examplePlan(t)
	for i := range 20_000 { // for more pieces than are made
		p.Hosts = append(p.Hosts, PlanHost{Host: fmt.Sprintf("many%05d", i), CollectedAt: p.CreatedAt, Status: StatusNothing})
	}
	o := &told{}
	if err := p.SealTo(o); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := p.Encode(&b); err != nil {
		t.Fatal(err)
	}
	if b.String() != o.text.String() || o.pieces < maxPieces+3 || o.complete == nil || len(o.complete.Hosts) != len(p.Hosts) {
		t.Errorf("%d pieces, complete: %v", o.pieces, o.complete != nil)
	}
	for _, at := range []int{1, 2, o.pieces / 2, o.pieces - 1, o.pieces} {
		full := &told{broken: at}
		if err := p.SealTo(full); !errors.Is(err, errTold) || full.pieces != at {
			t.Fatalf("piece %d of %d could not be written: %v, and %d were tried", at, o.pieces, err, full.pieces)
		}
	}
	p.Hosts = append(p.Hosts, p.Hosts[0])
	if err := p.SealTo(&told{}); err == nil {
		t.Error("a host twice")
	}
	p.Hosts[0], p.Hosts[len(p.Hosts)-1] = PlanHost{Host: "zz"}, PlanHost{Host: "zz"}
	if err := p.validate(); err == nil {
		t.Error("a host twice, not sorted")
	}
}

// TestSafePath: every path that a repository may have is one that a plan may have, those with other spaces than the usual one too.
func TestSafePath(t *testing.T) {
	for path, want := range map[string]bool{
		"a b.rpm": true, "a\u00a0b.rpm": true, "a\u3000b.rpm": true, "a\ue000b.rpm": true, "core:/stable:/a.rpm": true,
		"a\nb.rpm": false, "a\x1b[0mb.rpm": false, "a\u202eb.rpm": false, "a\u2028b.rpm": false, "a\u009bb.rpm": false, "../a.rpm": false, "/a.rpm": false, "": false,
	} {
		if safePath(path) != want {
			t.Errorf("%q: %v", path, !want)
		}
	}
}
