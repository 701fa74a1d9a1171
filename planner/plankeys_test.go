package planner

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"
)

// Lines about signing keys must lead somewhere, and show the bytes that are imported.
func TestPlanKeys(t *testing.T) {
	fp, other := strings.Repeat("ab", 20), strings.Repeat("cd", 20)
	sum := sha256.Sum256([]byte("key\n"))
	plan := func(change func(*Plan)) error {
		var set Set
		if err := set.Seal(); err != nil {
			t.Fatal(err)
		}
		p := &Plan{CreatedAt: time.Unix(1700000000, 0), Sets: []Set{set},
			Keys: []PlanKey{{Fingerprint: fp, Armor: "key\n", SHA256: hex.EncodeToString(sum[:])}},
			Hosts: []PlanHost{{Host: "web01", Status: StatusPlanned, Set: set.ID,
				Keys: KeyLines{Import: []string{fp}, Retire: []RetiredKey{{Entry: "gpg-pubkey-0123abcd-5f5e1000", Fingerprint: other}}}}}}
		change(p)
		return p.Seal()
	}
	if err := plan(func(*Plan) {}); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Plan){
		"other bytes":         func(p *Plan) { p.Keys[0].Armor = "kez\n" },
		"no fingerprint":      func(p *Plan) { p.Keys[0].Fingerprint = "ab" },
		"twice":               func(p *Plan) { p.Keys = append(p.Keys, p.Keys[0]) },
		"escape":              func(p *Plan) { p.Keys[0].Armor = "\x1b\n" },
		"not in the plan":     func(p *Plan) { p.Hosts[0].Keys.Import = []string{other} },
		"imported twice":      func(p *Plan) { p.Hosts[0].Keys.Import = []string{fp, fp} },
		"in and out":          func(p *Plan) { p.Hosts[0].Keys.Retire[0].Fingerprint = fp },
		"a package to retire": func(p *Plan) { p.Hosts[0].Keys.Retire[0].Entry = "bash-5-1" },
		"a pattern to retire": func(p *Plan) { p.Hosts[0].Keys.Retire[0].Entry = "gpg-pubkey-*-1" },
	} {
		if plan(change) == nil {
			t.Errorf("%s: sealed", name)
		}
	}
}
