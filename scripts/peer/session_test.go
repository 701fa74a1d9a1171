package main

import (
	"encoding/json"
	"strings"
	"testing"

	"cpacman/internal/rpm"
	"cpacman/planner"

	"github.com/google/go-cmp/cmp"
)

func TestServeAnswersErrorsAndGoesOn(t *testing.T) {
	in := `{"op":"dance"}` + "\n" + `{"op":"plan"}` + "\n" + `{"op":"host","database":"/does/not/exist"}` + "\n"
	var out strings.Builder
	if err := serve(strings.NewReader(in), &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	want := []string{`unknown question "dance"`, "plan before view and host", "/does/not/exist"}
	if len(lines) != len(want) {
		t.Fatalf("%d answers: %q", len(lines), lines)
	}
	for i, line := range lines {
		var a answer
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(a.Error, want[i]) {
			t.Errorf("answer %d: %q does not say %q", i, a.Error, want[i])
		}
	}
}

func TestServeStopsAtWhatIsNoQuestion(t *testing.T) {
	var out strings.Builder
	if err := serve(strings.NewReader("hello\n"), &out); err == nil || out.String() != "" {
		t.Errorf("error %v, output %q", err, out.String())
	}
}

// TestSetOf writes a peer's transaction as a set: the checker judges nothing else.
func TestSetOf(t *testing.T) {
	nevra := func(s string) rpm.NEVRA {
		n, err := rpm.ParseNEVRA(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	kernel := &rpm.Package{NEVRA: nevra("kernel-1-1.x86_64")}
	s := session{host: planner.Host{Installed: []*rpm.Package{kernel}}}
	got, err := s.setOf([]string{"up-2-1.noarch", "down-1-1.noarch", "new-1-1.noarch", "kernel-2-1.x86_64"},
		[]string{"up-1-1.noarch", "down-2-1.noarch", "gone-1-1.noarch"})
	if err != nil {
		t.Fatal(err)
	}
	want := planner.Set{
		Upgrade:   []planner.Move{{From: nevra("up-1-1.noarch"), To: nevra("up-2-1.noarch")}},
		Downgrade: []planner.Move{{From: nevra("down-2-1.noarch"), To: nevra("down-1-1.noarch")}},
		Remove:    []planner.Remove{{NEVRA: nevra("gone-1-1.noarch"), Rule: planner.RuleObsoleted, Because: "the peer removes it"}},
		Install: []planner.Install{
			{NEVRA: nevra("new-1-1.noarch"), NeededBy: []string{"the peer"}},
			{NEVRA: nevra("kernel-2-1.x86_64"), NeededBy: []string{"the peer"}, InstallOnly: true},
		},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if _, err := s.setOf([]string{"no nevra"}, nil); err == nil {
		t.Error("what is no NEVRA was taken")
	}
}
