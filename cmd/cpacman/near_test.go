package main

import (
	"strings"
	"testing"
)

func TestNearNames(t *testing.T) {
	names := []string{"bash", "bash-completion", "openssl", "openssl-libs", "openssh-server", "compat-openssl11", "zsh", "zip", "bash"}
	for word, want := range map[string]string{
		"bahs":                   "bash",
		"openssl1*":              "openssl compat-openssl11",
		"completion":             "bash-completion",
		"*":                      "",
		"zzz*":                   "",
		"":                       "",
		strings.Repeat("x", 300): "",
	} {
		if got := strings.Join(nearNames(word, names), " "); !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}
