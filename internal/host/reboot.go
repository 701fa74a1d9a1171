package host

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"cpacman/internal/rpm"
)

// rebootNames are the packages that only a reboot makes effective, beside kernels: the list of dnf-plugins-core's needs_restarting.py with the
// names SUSE uses.
var rebootNames = []string{"glibc", "linux-firmware", "kernel-firmware", "systemd", "dbus", "dbus-1", "dbus-broker", "dbus-daemon", "microcode_ctl", "ucode-intel", "ucode-amd"}

// kernelName matches the names of packages with a kernel in them: of RHEL and its rebuilds, Oracle, ELRepo, CentOS Plus, SUSE, Amazon (kernel6.12), Azure Linux,
// Mageia (its version is in the name) and Photon. kernel-devel, -headers, -tools and -modules are none.
var kernelName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(?:kernel[0-9.]*(?:-(?:16k|64k|64kb|PAE|automotive|azure|bigsmp|debug|default|default-base|desktop|desktop586|ec2|hugemem|hwe|largesmp|linus|longterm|lpae|lt|ml|` +
		`mshv|pae|plus|rt|rt-64k|rt_debug|server|smp|trace|uek|uek64k|vanilla|xen)(?:-debug)?)?(?:-core)?(?:-[0-9]+\.[0-9].*)?|linux(?:-(?:aws|esx|generic|rt|secure))?)$`)
})

func isKernelName(name string) bool {
	return (strings.HasPrefix(name, "kernel") || strings.HasPrefix(name, "linux")) && kernelName().MatchString(name)
}

// NeedsReboot tells whether only a reboot makes a package effective, by its name.
func NeedsReboot(name string) bool { return slices.Contains(rebootNames, name) || isKernelName(name) }

// restartNames are what the host's own drop-in files name beside.
func restartNames(a *answer) []string {
	var names []string
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

// rebootNeeded compares the running kernel with the newest installed one, and install times with the boot time. names are what the host wants to be
// booted for beside what always counts.
func rebootNeeded(f *Facts, names []string) Reboot {
	r := Reboot{Reasons: []string{}}
	if reason := kernelBehind(f); reason != "" {
		r.Reasons = append(r.Reasons, reason)
	}
	if f.BootTime > 0 {
		for _, p := range f.Packages {
			if p.InstallTime > f.BootTime && (NeedsReboot(p.Name) || slices.Contains(names, p.Name)) {
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
	// Variants of RHEL's kernel are of the same build and have their names behind a plus: 5.14.0-503.el9.x86_64+rt is kernel-rt-core, not kernel-core.
	_, variant, plus := strings.Cut(f.Kernel, "+")
	if plus {
		variant = "-" + variant
	}
	var running *Package
	for i, p := range f.Packages {
		if isKernelName(p.Name) && strings.Contains(p.Name, variant) && rpm.RunsAs(p.NEVRA(), f.Kernel) {
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
