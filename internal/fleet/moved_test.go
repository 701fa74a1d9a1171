package fleet

import (
	"fmt"
	"testing"
	"time"

	"cpacman/internal/host"
	"cpacman/internal/rpm"
)

// TestLastOther: of the transactions in a ledger the last one counts that changed the host, is of another rollout, and is not from before.
func TestLastOther(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2026, 1, 2, 3, minute, 0, 0, time.UTC) }
	entry := func(id string, phase host.Phase, minute int) host.LedgerEntry {
		return host.LedgerEntry{ID: id, Phase: phase, Changed: at(minute)}
	}
	old, own, back := entry("r0_web_1", host.Verified, 1), entry("r1_web_1", host.Verified, 10), entry("r1_web_1-back", host.Done, 30)
	for want, entries := range map[string][]host.LedgerEntry{
		"":                                   {old, own, back},
		"transaction r2_web_2 of rollout r2": {old, entry("r2_web_2", host.Done, 20), own, entry("r2_web_1", host.Verified, 11)},
		"transaction r2_www_1":               {entry("r2_www_1", host.Interrupted, 10), own}, // another inventory has another name for it
		"transaction r3_web_1 of rollout r3": {own, entry("r3_web_1", host.Running, 12), entry("r2_web_1", host.Refused, 13), entry("r2_web_1-back", host.Armed, 13)},
		"transaction r2_web_1-back of rollout r2": {entry("r2_web_1", host.Verified, 12), own, entry("r2_web_1-back", host.Done, 13)},
	} {
		e, ok := lastOther(entries, "r1", "web", ended(entries, "r1/web/1"))
		if got := entryWords(e, "web"); ok != (want != "") || ok && got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if !ended([]host.LedgerEntry{old}, "r1/web/1").IsZero() {
		t.Error("a transaction that is not in the ledger has ended")
	}
}

// TestStrangers: only what the way back would replace is looked at.
func TestStrangers(t *testing.T) {
	list := func(words ...string) (out []host.Package) {
		for _, w := range words {
			n := nevra(t, w)
			out = append(out, host.Package{Name: n.Name, Epoch: &n.Epoch, Version: n.Version, Release: n.Release, Arch: n.Arch})
		}
		return out
	}
	files := func(words ...string) (out []host.File) {
		for _, w := range words {
			out = append(out, host.File{NEVRA: nevra(t, w)})
		}
		return out
	}
	before := list("a-1-1.x86_64", "b-1-1.x86_64", "k-1-1.x86_64")
	tx, back := host.Transaction{Upgrade: files("a-2-1.x86_64", "n-1-1.x86_64"), InstallOnly: files("k-2-1.x86_64")}, host.Transaction{Upgrade: files("a-1-1.x86_64")}
	for want, now := range map[string][]host.Package{
		"[]":                            list("a-2-1.x86_64", "b-1-1.x86_64", "n-1-1.x86_64", "k-1-1.x86_64", "k-2-1.x86_64"),
		"[ ]":                           list("a-1-1.x86_64", "b-9-1.x86_64", "k-3-1.x86_64"), // half way back; others have other packages
		"[a-3-1.x86_64]":                list("a-3-1.x86_64", "b-1-1.x86_64"),
		"[a-1.5-1.x86_64 n-2-1.x86_64]": list("a-1.5-1.x86_64", "n-2-1.x86_64", "a-2-1.i686"),
	} {
		if want == "[ ]" {
			want = "[]"
		}
		if got := fmt.Sprint(strangers(now, before, tx, back)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if got := nameNEVRAs([]rpm.NEVRA{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}, {Name: "e"}, {Name: "f"}, {Name: "g"}}); got[len(got)-10:] != "and 2 more" {
		t.Error(got)
	}
}

func nevra(t *testing.T, s string) rpm.NEVRA {
	t.Helper()
	n, err := rpm.ParseNEVRA(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
