package planner

import (
	"bytes"
	"sync"
	"testing"

	"cpacman/internal/rpm"
)

// TestSharedUniverse plans many hosts over one universe at once: run with -race it shows that nothing in it changes.
func TestSharedUniverse(t *testing.T) {
	u, c := oneCase(t, explainWorld)
	c.host.Installed[0].Requires = append(c.host.Installed[0].Requires, mustDep(t, "/only/the/host/asks"))
	want, err := u.Solve(c.host, c.request)
	if err != nil {
		t.Fatal(err)
	}
	bytesOf := func(r *Result) []byte {
		b, err := canonical(r)
		if err != nil {
			t.Error(err)
		}
		return b
	}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			got, err := u.Solve(c.host, c.request)
			if err != nil {
				t.Error(err)
				return
			}
			if !bytes.Equal(bytesOf(got), bytesOf(want)) {
				t.Error("another result")
			}
		})
	}
	wg.Wait()
}

func TestKey(t *testing.T) {
	_, c := oneCase(t, explainWorld)
	base := Key(c.host, "view", c.request)
	changes := map[string]func(*Host, *string, *Request){
		"view":      func(_ *Host, v *string, _ *Request) { *v = "other" },
		"kernel":    func(h *Host, _ *string, _ *Request) { h.RunningKernel = "x" },
		"arch":      func(h *Host, _ *string, _ *Request) { h.Arch = "i686" },
		"rpm":       func(h *Host, _ *string, _ *Request) { h.RPMVersion = "4.18" },
		"keep":      func(h *Host, _ *string, _ *Request) { h.KeepInstallOnly = 7 },
		"exclude":   func(h *Host, _ *string, _ *Request) { h.Exclude = nil },
		"hold":      func(h *Host, _ *string, _ *Request) { h.Exclude, h.Hold = h.Hold, h.Exclude },
		"modules":   func(h *Host, _ *string, _ *Request) { h.Modules = []string{"a:1"} },
		"installed": func(h *Host, _ *string, _ *Request) { h.Installed = h.Installed[1:] },
		"security":  func(_ *Host, _ *string, r *Request) { r.Filter.Security = true },
		"package":   func(_ *Host, _ *string, r *Request) { r.Filter.Packages = []string{"a"} },
		"policies":  func(h *Host, _ *string, _ *Request) { h.Policies = []Rule{{Action: ActionHold, Pattern: "a"}} },
		"value": func(h *Host, _ *string, _ *Request) {
			h.Policies = []Rule{{Action: ActionHold, Pattern: "a", Reason: "b"}}
		},
		"arches": func(h *Host, _ *string, _ *Request) {
			h.Policies = []Rule{{Action: ActionHold, Pattern: "a", Arches: []string{"b"}}}
		},
		"protected": func(h *Host, _ *string, _ *Request) { h.Protected = []string{"a"} },
		"vendor":    func(h *Host, _ *string, _ *Request) { h.ForbidVendorChange = true },
		"vendors":   func(h *Host, _ *string, _ *Request) { h.SameVendors = [][]string{{"a", "b"}} },
		"no kmods":  func(h *Host, _ *string, _ *Request) { h.ModulePatterns = []string{} },
		"kmods":     func(h *Host, _ *string, _ *Request) { h.ModulePatterns = []string{"a"} },
		"type":      func(_ *Host, _ *string, r *Request) { r.Type = TypeDowngrade },
		"target":    func(_ *Host, _ *string, r *Request) { r.Target = []rpm.NEVRA{{Name: "a"}} },
		"weak":      func(_ *Host, _ *string, r *Request) { r.Weak = true },
		"without":   func(_ *Host, _ *string, r *Request) { r.Filter.Exclude = []string{"a"} },
	}
	seen := map[string]string{base: "nothing"}
	for name, change := range changes {
		h, v, r := c.host, "view", c.request
		change(&h, &v, &r)
		k := Key(h, v, r)
		if other, ok := seen[k]; ok {
			t.Errorf("%s and %s have one key", name, other)
		}
		seen[k] = name
	}
	again := c.request
	again.Type = TypeUpdate
	if Key(c.host, "view", again) != base {
		t.Error("the default type has another key")
	}
}
