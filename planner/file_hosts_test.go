package planner

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"cpacman/internal/rpm"
)

// TestHostsAreWrittenAsJSONWrites: the writer of hosts gives the bytes of encoding/json, whatever is in a host.
func TestHostsAreWrittenAsJSONWrites(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "web01", "a<b>&c", "\"quoted\"", `back\slash`, "line\nbreak", "\x00\x1b\x7f", "\u2028ü", "\xff", "\n  \"hosts\": []"}))
	texts := rapid.SliceOfN(text, 0, 3)
	nevra := rapid.Custom(func(t *rapid.T) rpm.NEVRA {
		return rpm.NEVRA{Name: rapid.SampledFrom([]string{"a", "b-c"}).Draw(t, "name"), Arch: "noarch",
			EVR: rpm.EVR{Epoch: uint32(rapid.IntRange(0, 2).Draw(t, "epoch")), Version: "1", Release: "2"}}
	})
	host := rapid.Custom(func(t *rapid.T) PlanHost {
		h := PlanHost{
			Bytes: rapid.Int64().Draw(t, "bytes"), Class: text.Draw(t, "class"), Detail: text.Draw(t, "detail"), Host: text.Draw(t, "host"),
			InstalledDigest: text.Draw(t, "digest"), Level: text.Draw(t, "level"), MachineID: text.Draw(t, "machine"),
			PreBroken: texts.Draw(t, "broken"), Set: text.Draw(t, "set"), Status: HostStatus(text.Draw(t, "status")),
			CollectedAt: time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "at"), rapid.Int64Range(0, 1e9-1).Draw(t, "ns")).UTC(),
			Impact: Impact{ConfigFiles: texts.Draw(t, "config"), Reboot: rapid.Bool().Draw(t, "reboot"), RebootReasons: texts.Draw(t, "reasons"),
				Scriptlets: texts.Draw(t, "scriptlets"), Services: texts.Draw(t, "services"), Unread: rapid.IntRange(0, 2).Draw(t, "unread")},
			Rollback: RollbackInfo{Because: text.Draw(t, "because"), Complete: rapid.Bool().Draw(t, "complete"), Set: text.Draw(t, "back")},
		}
		if rapid.Bool().Draw(t, "owes") {
			h.Reboot = &OwedReboot{Boot: text.Draw(t, "boot"), Host: texts.Draw(t, "says"), Recorded: texts.Draw(t, "recorded")}
		}
		if rapid.Bool().Draw(t, "missing") {
			h.Rollback.Missing = rapid.SliceOfN(nevra, 0, 2).Draw(t, "nevras")
		}
		return h
	})
	rapid.Check(t, func(t *rapid.T) {
		p := &Plan{Format: PlanFormat, Hosts: rapid.SliceOfN(host, 0, 4).Draw(t, "hosts"), Requested: Requested{Selector: text.Draw(t, "selector")}}
		if p.Hosts == nil {
			p.Hosts = []PlanHost{}
		}
		for i := range p.Hosts { // hosts of one solution share what is long
			if j := rapid.IntRange(0, i).Draw(t, "like"); j < i {
				h, like := &p.Hosts[i], &p.Hosts[j]
				h.PreBroken, h.Rollback = like.PreBroken, like.Rollback
				if rapid.Bool().Draw(t, "impact") {
					h.Impact = like.Impact
				} else {
					h.Impact.Services = like.Impact.Services
				}
			}
		}
		want, err := canonical(p)
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.wholeText()
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), string(got)); d != "" {
			t.Fatal(d)
		}
	})
}

// TestPackagesAreWrittenAsJSONWrites: the writer of packages gives the bytes of encoding/json, whatever is in a package.
func TestPackagesAreWrittenAsJSONWrites(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "a<b>&c", "\"quoted\"", "line\nbreak", "\u2028ü", "\xff", "\n  \"sets\": []", "\n  \"packages\": []"}))
	pkg := rapid.Custom(func(t *rapid.T) PlanPackage {
		p := PlanPackage{Checksum: Checksum{text.Draw(t, "type"), text.Draw(t, "value")}, Path: text.Draw(t, "path"), Repo: text.Draw(t, "repo"),
			SHA256: text.Draw(t, "sha256"), Size: rapid.Int64().Draw(t, "size"), Vendor: text.Draw(t, "vendor"),
			NEVRA: rpm.NEVRA{Name: text.Draw(t, "name"), EVR: rpm.EVR{Epoch: rapid.Uint32().Draw(t, "epoch"), Version: text.Draw(t, "version"), Release: "1"}, Arch: "noarch"}}
		if rapid.Bool().Draw(t, "listed") {
			p.Advisories = append([]string{}, rapid.SliceOfN(text, 0, 3).Draw(t, "advisories")...)
		}
		return p
	})
	rapid.Check(t, func(t *rapid.T) {
		p := &Plan{Format: PlanFormat, Hosts: []PlanHost{}, Sets: []Set{}, Packages: rapid.SliceOfN(pkg, 0, 3).Draw(t, "packages"), MissingFiles: []string{text.Draw(t, "missing")}}
		p.RollbackPackages = rapid.SliceOfN(pkg, 0, 2).Draw(t, "back")
		if rapid.Bool().Draw(t, "has a host") {
			p.Hosts = append(p.Hosts, PlanHost{Host: text.Draw(t, "host"), Rollback: RollbackInfo{Missing: []rpm.NEVRA{}}})
		}
		want, err := canonical(p)
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.wholeText()
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), string(got)); d != "" {
			t.Fatal(d)
		}
	})
}

// TestSetsAreWrittenAsJSONWrites: the writer of sets gives the bytes of encoding/json with its keys sorted, alone and in a plan.
func TestSetsAreWrittenAsJSONWrites(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "web01", "a<b>&c", "\"quoted\"", "line\nbreak", "\u2028ü", "\xff", "\n  \"sets\": []", "\n  \"id\": \""}))
	nevra := rapid.Custom(func(t *rapid.T) rpm.NEVRA {
		return rpm.NEVRA{Name: rapid.SampledFrom([]string{"a", "b-c", "<&>"}).Draw(t, "name"), Arch: "noarch",
			EVR: rpm.EVR{Epoch: uint32(rapid.IntRange(0, 2).Draw(t, "epoch")), Version: "1", Release: "2"}}
	})
	set := rapid.Custom(func(t *rapid.T) Set { return drawSet(t, text, nevra) })
	rapid.Check(t, func(t *rapid.T) {
		p := &Plan{Format: PlanFormat, Hosts: []PlanHost{}, Sets: rapid.SliceOfN(set, 0, 3).Draw(t, "sets"), Requested: Requested{Selector: "\n  \"id\": \""}}
		p.Rollbacks = rapid.SliceOfN(set, 0, 1).Draw(t, "rollbacks")
		if rapid.Bool().Draw(t, "has a host") {
			p.Hosts = append(p.Hosts, PlanHost{Host: "\n  \"sets\": []", Rollback: RollbackInfo{Missing: []rpm.NEVRA{}}})
		}
		for i := range p.Sets {
			got, err := p.Sets[i].text()
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(slowJSON(t, &p.Sets[i])), string(got)); d != "" {
				t.Fatal(d)
			}
		}
		got, err := p.wholeText()
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(slowJSON(t, p))+"\n", string(got)); d != "" {
			t.Fatal(d)
		}
		if strings.Count(string(got), keyOfID) != 1 {
			t.Fatal("the key of the id is not there once")
		}
	})
}

// drawSet draws a set with anything in any of its fields.
func drawSet(t *rapid.T, text *rapid.Generator[string], nevra *rapid.Generator[rpm.NEVRA]) Set {
	texts := rapid.SliceOfN(text, 0, 2)
	s := Set{ID: text.Draw(t, "id")}
	for range rapid.IntRange(0, 2).Draw(t, "moves") {
		s.Upgrade = append(s.Upgrade, Move{nevra.Draw(t, "from"), nevra.Draw(t, "to"), text.Draw(t, "policy"), rapid.Bool().Draw(t, "again"), texts.Draw(t, "fixes")})
		s.Remove = append(s.Remove, Remove{nevra.Draw(t, "gone"), text.Draw(t, "rule"), text.Draw(t, "because")})
		s.VendorChanges = append(s.VendorChanges, VendorChange{nevra.Draw(t, "from"), nevra.Draw(t, "to"), text.Draw(t, "vendor"), text.Draw(t, "other")})
		s.Overridden = append(s.Overridden, Overridden{nevra.Draw(t, "held"), text.Draw(t, "rule"), text.Draw(t, "because")})
	}
	for range rapid.IntRange(0, 2).Draw(t, "others") {
		s.Downgrade = append(s.Downgrade, Move{nevra.Draw(t, "from"), nevra.Draw(t, "to"), text.Draw(t, "policy"), rapid.Bool().Draw(t, "again"), texts.Draw(t, "fixes")})
		s.Install = append(s.Install, Install{nevra.Draw(t, "new"), texts.Draw(t, "needed"), rapid.Bool().Draw(t, "only"), texts.Draw(t, "fixes")})
		s.Held = append(s.Held, Held{nevra.Draw(t, "held"), nevra.Draw(t, "to"), texts.Draw(t, "because")})
		s.Blocked = append(s.Blocked, Blocked{nevra.Draw(t, "blocked"), nevra.Draw(t, "to"), text.Draw(t, "rule"), text.Draw(t, "because")})
	}
	if rapid.Bool().Draw(t, "empty") {
		s.Blocked, s.Upgrade = nonNil(s.Blocked), nonNil(s.Upgrade)
	}
	return s
}

// slowJSON writes a value by way of a tree of maps, whose keys encoding/json sorts.
func slowJSON(t *rapid.T, v any) []byte {
	type plain Set
	sorted := func(v any) any {
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.UseNumber()
		var tree any
		if err := dec.Decode(&tree); err != nil {
			t.Fatal(err)
		}
		return tree
	}
	tree := sorted(v)
	if s, ok := v.(*Set); ok {
		tree = sorted(plain(*s))
	}
	if p, ok := v.(*Plan); ok {
		sets := func(list []Set) any {
			if list == nil {
				return nil
			}
			out := []any{}
			for _, s := range list {
				out = append(out, sorted(plain(s)))
			}
			return out
		}
		m := tree.(map[string]any)
		m["sets"] = sets(p.Sets)
		if len(p.Rollbacks) > 0 {
			m["rollbacks"] = sets(p.Rollbacks)
		}
	}
	out, err := canonical(tree)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSuffix(out, []byte("\n"))
}

// wholeText is what written writes, in one piece.
func (p *Plan) wholeText() ([]byte, error) {
	var head []byte
	rest, err := p.written(func(piece []byte) []byte {
		head = append(head, piece...)
		return piece[:0]
	})
	return append(head, rest...), err
}

// TestSealToIsWhatEncodeWrites: the short way gives the same bytes.
func TestSealToIsWhatEncodeWrites(t *testing.T) {
	at := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	for _, hosts := range [][]PlanHost{nil, {{Host: "a", CollectedAt: at}, {Host: "b", CollectedAt: at, Detail: "\n  \"id\": \"\""}}} {
		p := &Plan{CreatedAt: at, Hosts: hosts}
		o := &told{}
		if err := p.SealTo(o); err != nil {
			t.Fatal(err)
		}
		var want bytes.Buffer
		if err := p.Encode(&want); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want.String(), o.text.String()); d != "" {
			t.Error(d)
		}
	}
}

// TestHostFields: a field that is new in a plan's hosts must be written there and drawn above.
func TestHostFields(t *testing.T) {
	for of, want := range map[reflect.Type]int{reflect.TypeFor[PlanHost](): 15, reflect.TypeFor[Impact](): 6, reflect.TypeFor[RollbackInfo](): 4,
		reflect.TypeFor[Set](): 9, reflect.TypeFor[Install](): 4, reflect.TypeFor[Move](): 5, reflect.TypeFor[Remove](): 3, reflect.TypeFor[Held](): 3,
		reflect.TypeFor[Blocked](): 4, reflect.TypeFor[Overridden](): 3, reflect.TypeFor[VendorChange](): 4} {
		if of.NumField() != want {
			t.Errorf("%s has %d fields; file_hosts.go, file_sets.go and their test know %d", of, of.NumField(), want)
		}
	}
}
