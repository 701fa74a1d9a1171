package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// ErrMachine says that this machine cannot run a lab as it is.
var ErrMachine = errors.New("cannot run a lab here")

// tool is a program that the lab needs and the package it comes with.
type tool struct{ name, debian, fedora string }

func tools() []tool {
	return []tool{
		{"/usr/sbin/sshd", "openssh-server", "openssh-server"},
		{"rpm", "rpm", "rpm"},
		{"createrepo_c", "createrepo-c", "createrepo_c"},
		{"modifyrepo_c", "createrepo-c", "createrepo_c"},
		{"sudo", "sudo", "sudo"},
		{"unshare", "util-linux", "util-linux"},
		{"nsenter", "util-linux", "util-linux"},
		{"setpriv", "util-linux", "util-linux"},
		{"pivot_root", "util-linux", "util-linux"},
		{"mount", "mount", "util-linux"},
		{"ip", "iproute2", "iproute"},
		{"chpasswd", "passwd", "shadow-utils"},
	}
}

// checkMachine says all that is missing at once.
func checkMachine(o Options) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: it needs root: run it with sudo", ErrMachine)
	}
	needed := tools()
	if o.Systemd > 0 {
		needed = append(needed, tool{systemdPath, "systemd", "systemd"})
	}
	var missing, debian, fedora []string
	for _, t := range needed {
		if _, err := exec.LookPath(t.name); err != nil {
			missing = append(missing, t.name)
			debian = append(debian, t.debian)
			fedora = append(fedora, t.fedora)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%w: not found: %s: install with `apt-get install %s` or `dnf install %s`", ErrMachine,
			strings.Join(missing, ", "), strings.Join(debian, " "), strings.Join(fedora, " "))
	}
	return checkRootFileSystem()
}

// checkRootFileSystem: hosts are overlays over the file system of /, and see nothing of
// others that are mounted below it.
func checkRootFileSystem() error {
	device := func(path string) (uint64, error) {
		var st syscall.Stat_t
		if err := syscall.Stat(path, &st); err != nil {
			return 0, fmt.Errorf("%w: %s: %w", ErrMachine, path, err)
		}
		return st.Dev, nil
	}
	root, err := device("/")
	if err != nil {
		return err
	}
	for _, path := range []string{"/usr", "/usr/bin", "/usr/lib", "/etc"} {
		dev, err := device(path)
		if err != nil {
			return err
		}
		if dev != root {
			return fmt.Errorf("%w: %s is a file system of its own, and lab hosts only see that of /: use a machine or container where /usr and /etc are on /", ErrMachine, path)
		}
	}
	return nil
}

// TB is the part of testing.TB that Need uses.
type TB interface {
	Helper()
	Skipf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Need skips a test where no lab can be made, with the reason; where the environment says
// that it must be possible (CI=true or CPACMAN_LAB=required), the test fails instead.
func Need(t TB) {
	t.Helper()
	err := checkMachine(Options{Systemd: 1})
	if err == nil {
		return
	}
	if os.Getenv("CI") == "true" || os.Getenv("CPACMAN_LAB") == "required" {
		t.Fatalf("needs root: %v, and the environment says that lab tests must run", err)
	}
	t.Skipf("needs root: %v", err)
}
