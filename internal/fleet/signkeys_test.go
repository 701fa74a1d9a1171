package fleet

import (
	"slices"
	"testing"

	"cpacman/internal/host"
	"cpacman/planner"
)

// What a host has after a step is compared with what the plan does to its keys.
func TestKeyFaults(t *testing.T) {
	const in, out = "1111111111111111111111111111111122222222", "3333333333333333333333333333333344444444"
	lines := planner.KeyLines{Import: []string{in}, Retire: []planner.RetiredKey{{Entry: "gpg-pubkey-44444444-5", Fingerprint: out}}}
	came, stays := host.Key{ID: "22222222", Created: "6", Fingerprint: in}, host.Key{ID: "44444444", Created: "5", Fingerprint: out}
	for _, c := range []struct {
		name    string
		keys    []host.Key
		retired bool
		want    []string
	}{
		{"before the step", []host.Key{came, stays}, false, nil},
		{"after it", []host.Key{came}, true, nil},
		{"not retired", []host.Key{came, stays}, true, []string{"the signing key " + out + " was not retired"}},
		{"not imported", []host.Key{stays}, false, []string{"the signing key " + in + " was not imported"}},
	} {
		if got := keyFaults(c.keys, lines, c.retired); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
