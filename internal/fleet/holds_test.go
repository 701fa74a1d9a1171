package fleet

import (
	"slices"
	"testing"

	"cpacman/internal/host"
	"cpacman/planner"
)

func TestAddHolds(t *testing.T) {
	var got planner.Host
	addHolds(&got, []host.Hold{
		{Kind: "versionlock", Pattern: "bash-0:4.2.46-33.el7.*"},
		{Kind: "versionlock", Pattern: "0:bash-4.2.46-33.el7.*"},
		{Kind: "versionlock", Pattern: "python3-dnf-plugin"},
		{Kind: "versionlock", Pattern: "kernel*"},
		{Kind: "versionlock", Pattern: "!evil-1:6.6-1.*"},
		{Kind: "zypper-lock", Pattern: "postgresql*"},
		{Kind: "exclude", Pattern: "nginx*"},
		{Kind: "protected", Pattern: "systemd"},
	})
	if want := []string{"bash", "kernel*", "postgresql*", "python3-dnf-plugin"}; !slices.Equal(got.Hold, want) {
		t.Errorf("held %q, want %q", got.Hold, want)
	}
	if want := []string{"rpm", "systemd"}; !slices.Equal(got.Protected, want) {
		t.Errorf("protected %q, want %q", got.Protected, want)
	}
	if want := []string{"evil", "nginx*"}; !slices.Equal(got.Exclude, want) {
		t.Errorf("excluded %q, want %q", got.Exclude, want)
	}
}
