package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReorder(t *testing.T) {
	app := newApp(nil, nil, nil)
	for name, tc := range map[string]struct{ in, want string }{
		"flag after argument":  {"x fault fill-disk lab01 --leave 4096 --dir /d", "x fault --leave 4096 --dir /d -- fill-disk lab01"},
		"equals":               {"x status --output=json", "x status --output=json --"},
		"boolean":              {"x fault remove lab01 --nodeps pkg", "x fault --nodeps -- remove lab01 pkg"},
		"exec keeps the rest":  {"x exec lab01 ls -l --dir /x", "x exec -- lab01 ls -l --dir /x"},
		"exec flags before":    {"x exec --dir /d lab01 ls -l", "x exec --dir /d -- lab01 ls -l"},
		"double dash":          {"x fault --dir /d -- cut -odd-", "x fault --dir /d -- cut -odd-"},
		"no command":           {"x --help", "x --help"},
		"unknown command":      {"x statsu --dir /d", "x statsu --dir /d"},
		"negative flag values": {"x up --seed -5 --hosts 3", "x up --seed -5 --hosts 3 --"},
	} {
		t.Run(name, func(t *testing.T) {
			got := strings.Join(reorder(app, strings.Fields(tc.in)), " ")
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestExitStatusAndMessage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	for name, tc := range map[string]struct {
		args   string
		status int
		want   string
	}{
		"no lab":           {"status --dir " + dir, 1, "cpacman-lab up --dir " + dir},
		"down without lab": {"down --dir " + dir, 0, "no lab in"},
		"unknown command":  {"statsu", 2, `no command "statsu"`},
		"unknown flag":     {"up --host 3", 2, "-host"},
		"unknown fault":    {"fault explode lab01", 2, "hold-lock"},
		"missing argument": {"fault downgrade lab01", 2, "PACKAGE"},
		"spare argument":   {"path here", 2, `"here"`},
		"bad format":       {"status --output xml", 2, "table or json"},
		"no hosts":         {"up --hosts 0", 2, "at least one"},
		"too many hosts":   {"up --hosts 5000", 2, "5000 hosts"},
		"exec nothing":     {"exec lab01", 2, "HOST COMMAND"},
		"help":             {"--help", 0, "fault"},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			args := append([]string{"cpacman-lab"}, strings.Fields(tc.args)...)
			if got := run(t.Context(), args, strings.NewReader(""), &stdout, &stderr); got != tc.status {
				t.Errorf("exit status %d, want %d; stderr: %s", got, tc.status, stderr.String())
			}
			if all := stdout.String() + stderr.String(); !strings.Contains(all, tc.want) {
				t.Errorf("output lacks %q: %s", tc.want, all)
			}
			if tc.status != 0 && stdout.Len() > 0 && name != "help" {
				t.Errorf("an error wrote on stdout: %s", stdout.String())
			}
		})
	}
}
