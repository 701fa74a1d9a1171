package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"cpacman/internal/host"
)

// TestFactsAreReadAsJSONReads: the reader of many facts gives what encoding/json gives, of facts, of damaged ones and of what is no facts.
func TestFactsAreReadAsJSONReads(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "web01", "a<b>", "\"", "\\", "],}", "ü", "\u2028"}))
	texts := rapid.SliceOfN(text, 0, 2)
	rapid.Check(t, func(t *rapid.T) {
		var r factsReader
		var bodies [][]byte
		for range rapid.IntRange(1, 4).Draw(t, "hosts") {
			bodies = append(bodies, drawBody(t, text, texts))
		}
		if rapid.Bool().Draw(t, "like the first") {
			bodies = append(bodies, alike(t, bodies[0]), alike(t, bodies[0]))
		}
		for range 2 { // the second time all is known
			for _, body := range bodies {
				var want host.Facts
				wantErr := json.Unmarshal(body, &want)
				got, err := r.read(body)
				if (err == nil) != (wantErr == nil) {
					t.Fatalf("%s: got %v, want %v", body, err, wantErr)
				}
				if err != nil {
					continue
				}
				if d := cmp.Diff(&want, got); d != "" {
					t.Fatalf("%s: %s", body, d)
				}
			}
		}
	})
}

// alike is a body with some values of another, as those of hosts of one kind are, or with a few bytes that are not.
func alike(t *rapid.T, body []byte) []byte {
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
		return body
	}
	for _, key := range []string{"host", "boot_time", "disk", "keys", "notes", "arch"} {
		if old, there := fields[key]; there && rapid.Bool().Draw(t, "other "+key) {
			now := rapid.SampledFrom([]string{`"other"`, "7", "70", "null", "[]", `["one"]`, `[{"mount":"/x"}]`, `[{"id":"k"}]`, string(old) + "0", string(old) + ","}).Draw(t, "value")
			body = bytes.Replace(body, []byte(`"`+key+`":`+string(old)), []byte(`"`+key+`":`+now), 1)
		}
	}
	return body
}

// TestFactsOfHostsAreTheirOwn: what is read of one host changes nothing of those before.
func TestFactsOfHostsAreTheirOwn(t *testing.T) {
	var r factsReader
	var got []*host.Facts
	var want []host.Facts
	for i := range 20 {
		f := host.Facts{Host: fmt.Sprint("h", i), BootTime: int64(i % 3), OS: host.OS{ID: fmt.Sprint("os", i%2)}, Keys: []host.Key{{ID: fmt.Sprint("k", i%4)}},
			Disk: []host.Disk{{Mount: "/", FreeBytes: int64(i)}}, Reboot: &host.Reboot{Needed: i%2 == 0, Reasons: []string{fmt.Sprint("r", i%5)}},
			Lock: &host.Lock{PID: i % 2}, Database: host.Database{Fingerprint: fmt.Sprint("p", i)}}
		body, err := json.Marshal(&f)
		if err != nil {
			t.Fatal(err)
		}
		one, err := r.read(body)
		if err != nil {
			t.Fatal(err)
		}
		got, want = append(got, one), append(want, f)
	}
	for i := range got {
		if d := cmp.Diff(&want[i], got[i]); d != "" {
			t.Errorf("host %d: %s", i, d)
		}
	}
}

// drawBody draws the JSON of facts, and sometimes damages it.
func drawBody(t *rapid.T, text *rapid.Generator[string], texts *rapid.Generator[[]string]) []byte {
	f := host.Facts{
		Host: text.Draw(t, "host"), CollectedAt: time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "at"), 7).UTC(), Source: text.Draw(t, "source"),
		MachineID: text.Draw(t, "machine"), OS: host.OS{ID: text.Draw(t, "os"), VersionID: "9.3"}, Arch: text.Draw(t, "arch"),
		Kernel: text.Draw(t, "kernel"), BootID: text.Draw(t, "boot"), BootTime: rapid.Int64().Draw(t, "booted"), RPMVersion: "4.16.1",
		Database: host.Database{Fingerprint: text.Draw(t, "print")}, InstalledDigest: text.Draw(t, "digest"), FailedUnits: texts.Draw(t, "failed"),
		Systemd: rapid.Bool().Draw(t, "systemd"), Updaters: texts.Draw(t, "updaters"), Notes: texts.Draw(t, "notes"), Unread: texts.Draw(t, "unread"),
	}
	if rapid.Bool().Draw(t, "more") {
		f.Keys = []host.Key{{ID: text.Draw(t, "key")}}
		f.Reboot = &host.Reboot{Needed: true, Reasons: texts.Draw(t, "reasons")}
		f.Disk = []host.Disk{{Mount: text.Draw(t, "mount"), FreeBytes: rapid.Int64().Draw(t, "free")}}
		f.Modules = []host.Module{{Name: text.Draw(t, "module"), State: "enabled"}}
		f.Holds = []host.Hold{{Kind: "exclude", Pattern: text.Draw(t, "hold")}}
		f.Repositories = []host.HostRepo{{ID: text.Draw(t, "repo"), Enabled: true}}
		f.Lock = &host.Lock{Held: true, PID: 3}
	}
	if rapid.IntRange(0, 4).Draw(t, "with packages") == 0 {
		f.Packages = []host.Package{{Name: "a"}}
	}
	body, err := json.Marshal(&f)
	if err != nil {
		t.Fatal(err)
	}
	switch rapid.IntRange(0, 5).Draw(t, "damage") {
	case 0:
		body = body[:rapid.IntRange(0, len(body)).Draw(t, "cut")]
	case 1:
		body[rapid.IntRange(0, len(body)-1).Draw(t, "place")] = rapid.SampledFrom([]byte("\",:{}[]0 x\\\x01\xff")).Draw(t, "byte")
	case 2:
		body = append([]byte(rapid.SampledFrom([]string{`{"arch":"x","arch":"y",`, `{"other":[1,{"a":"]"}],`, `{"Host":"upper",`, `{"boot_time":007,`, `{"boot_time":1.5,`,
			`{"arch":null,`, ` {`, `{ `}).Draw(t, "before")), body[1:]...)
	case 3:
		body = append(body, rapid.SampledFrom([]string{" ", "}", "x", "{}"}).Draw(t, "behind")...)
	}
	return body
}

// TestFactsFields: a field that is new in facts must be read in facts_read.go; until it is, that reads nothing faster.
func TestFactsFields(t *testing.T) {
	var r factsReader
	body, err := json.Marshal(&host.Facts{Notes: []string{"one"}, Unread: []string{"one"}})
	if err != nil {
		t.Fatal(err)
	}
	if n := reflect.TypeFor[host.Facts]().NumField(); n != 26 || !r.fields(new(factsBase), body, new(host.Facts)) {
		t.Errorf("facts have %d fields; facts_read.go knows 26", n)
	}
}

// TestPackagesAreReadAsJSONReads: the reader of package lists gives what encoding/json gives, or leaves the list to it.
func TestPackagesAreReadAsJSONReads(t *testing.T) {
	text := rapid.OneOf(rapid.StringMatching(`[ -!#-\[\]-~]{0,8}`), rapid.SampledFrom([]string{"", "a<b>", "\"", "\\", `{"name":"`, "ü"}))
	one := rapid.Custom(func(t *rapid.T) host.Package {
		p := host.Package{Name: text.Draw(t, "name"), Version: text.Draw(t, "version"), Release: "1", Arch: "noarch", Header: text.Draw(t, "header"),
			InstallTime: rapid.Int64Range(-1, 1<<54).Draw(t, "at"), Vendor: text.Draw(t, "vendor"), Color: 2}
		if rapid.Bool().Draw(t, "known") {
			p.Epoch = rapid.Ptr(rapid.Uint32(), false).Draw(t, "epoch")
		}
		return p
	})
	rapid.Check(t, func(t *rapid.T) {
		body, err := json.Marshal(rapid.SliceOfN(one, 0, 3).Draw(t, "packages"))
		if err != nil {
			t.Fatal(err)
		}
		if rapid.IntRange(0, 2).Draw(t, "damage") == 0 {
			body[rapid.IntRange(0, len(body)-1).Draw(t, "place")] = rapid.SampledFrom([]byte("\",:{}[]0 -x\\\x01\xff")).Draw(t, "byte")
		}
		got, ok := readPackages(string(body))
		if !ok {
			return
		}
		var want []host.Package
		if err := json.Unmarshal(body, &want); err != nil {
			t.Fatalf("%s is taken: %v", body, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("%s: %s", body, d)
		}
	})
}

// TestPackageFields: what is stored is read the fast way.
func TestPackageFields(t *testing.T) {
	epoch := uint32(1)
	want := []host.Package{{Name: "a", Epoch: &epoch, Version: "1", Release: "2", Arch: "noarch", Header: "ab", Vendor: "v", Color: 1}, {Name: "b"}}
	body, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got, ok := readPackages(string(body))
	if d := cmp.Diff(want, got); !ok || d != "" {
		t.Errorf("%v %s: a field that is new in packages must be read in packages_read.go", ok, d)
	}
}
