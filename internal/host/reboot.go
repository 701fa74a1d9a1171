package host

import (
	"fmt"
	"slices"
	"strings"

	"cpacman/internal/rpm"
)

// RebootNames are the packages that only a reboot makes effective: the list of dnf-plugins-core's needs_restarting.py with
// the names SUSE uses.
func RebootNames() []string {
	return []string{"kernel", "kernel-core", "kernel-rt", "kernel-rt-core", "kernel-PAE", "kernel-default", "kernel-default-base", "kernel-azure", "kernel-64kb",
		"kernel-uek", "kernel-uek-core", "glibc", "linux-firmware", "kernel-firmware", "systemd", "dbus", "dbus-1", "dbus-broker", "dbus-daemon", "microcode_ctl",
		"ucode-intel", "ucode-amd"}
}

// restartNames are RebootNames and what the host's own drop-in files name.
func restartNames(a *answer) []string {
	names := RebootNames()
	kind := ""
	for _, l := range a.lines {
		switch {
		case l[0] == "file":
			kind, _, _ = strings.Cut(l[1], " ")
		case l[0] == "line" && kind == "restart" && len(names) < 1000:
			names = append(names, strings.TrimSpace(l[1]))
		}
	}
	return names
}

// markText begins the reason that a file of the host gives.
const markText = "the host wants it: "

// marks adds the file by which other tools say that the host is to be booted (zypper's /run/reboot-needed and the like).
func marks(reasons []string, a *answer) []string {
	if reasons == nil {
		reasons = []string{}
	}
	if f := a.get("rebootmark"); f != "" {
		reasons = append(reasons, markText+bounded(f, 200))
	}
	return reasons
}

func isMark(reason string) bool { return strings.HasPrefix(reason, markText) }

// kernelNames are packages that uname -r tells the build of.
var kernelNames = []string{"kernel-core", "kernel", "kernel-rt-core", "kernel-rt", "kernel-PAE", "kernel-default", "kernel-uek-core", "kernel-uek"}

// rebootNeeded compares the running kernel with the newest installed one, and install times with the boot time.
func rebootNeeded(f *Facts, names []string) Reboot {
	r := Reboot{Reasons: []string{}}
	if reason := kernelBehind(f); reason != "" {
		r.Reasons = append(r.Reasons, reason)
	}
	if f.BootTime > 0 {
		for _, p := range f.Packages {
			if p.InstallTime > f.BootTime && slices.Contains(names, p.Name) {
				r.Reasons = append(r.Reasons, fmt.Sprintf("%s was installed after the boot", p.NEVRA()))
			}
		}
	}
	r.Needed = len(r.Reasons) > 0
	return r
}

// kernelBehind returns the reason when an installed kernel of the running one's name is newer. A running kernel that no
// package owns (a container, a lab host) says nothing.
func kernelBehind(f *Facts) string {
	var running *Package
	for i, p := range f.Packages {
		if slices.Contains(kernelNames, p.Name) && rpm.RunsAs(p.NEVRA(), f.Kernel) {
			running = &f.Packages[i]
			break
		}
	}
	if running == nil {
		return ""
	}
	newest := running
	for i, p := range f.Packages {
		if p.Name == running.Name && rpm.Compare(p.NEVRA().EVR, newest.NEVRA().EVR) > 0 {
			newest = &f.Packages[i]
		}
	}
	if newest == running {
		return ""
	}
	return fmt.Sprintf("kernel %s runs, %s is installed", f.Kernel, newest.NEVRA())
}
