package planner

import (
	"reflect"
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
		want, err := canonical(p)
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.canonical()
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), string(got)); d != "" {
			t.Fatal(d)
		}
	})
}

// TestHostFields: a field that is new in a plan's hosts must be written there and drawn above.
func TestHostFields(t *testing.T) {
	for of, want := range map[reflect.Type]int{reflect.TypeFor[PlanHost](): 13, reflect.TypeFor[Impact](): 6, reflect.TypeFor[RollbackInfo](): 4} {
		if of.NumField() != want {
			t.Errorf("%s has %d fields; file_hosts.go and its test know %d", of, of.NumField(), want)
		}
	}
}
