package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// ErrMachine says that this machine cannot run a lab as it is.
var ErrMachine = errors.New("cannot run a lab here")

// tool is a program that the lab needs and the package it comes with.
type tool struct {
	name, debian, fedora string
	inside               bool // needed in the system of the hosts, not beside them
}

func tools() []tool {
	return []tool{
		{"/usr/sbin/sshd", "openssh-server", "openssh-server", true},
		{"rpm", "rpm", "rpm", true},
		{"createrepo_c", "createrepo-c", "createrepo_c", false},
		{"modifyrepo_c", "createrepo-c", "createrepo_c", false},
		{"sudo", "sudo", "sudo", true},
		{"unshare", "util-linux", "util-linux", false},
		{"nsenter", "util-linux", "util-linux", false},
		{"setpriv", "util-linux", "util-linux", true},
		{"pivot_root", "util-linux", "util-linux", false},
		{"mount", "mount", "util-linux", false},
		{"ip", "iproute2", "iproute", false},
		{"chpasswd", "passwd", "shadow-utils", true},
	}
}

// checkMachine says all that is missing at once. The system of the hosts must be set in o.
func checkMachine(o Options) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: it needs root: run it with sudo", ErrMachine)
	}
	needed := tools()
	if o.Systemd > 0 {
		needed = append(needed, tool{systemdPath, "systemd", "systemd", true})
	}
	for _, where := range []struct {
		root   string
		inside bool
	}{{"/", false}, {o.Root, true}} {
		if err := checkTools(where.root, needed, where.inside); err != nil {
			return err
		}
	}
	return checkRootFileSystem(o.Root)
}

// checkTools looks for the tools that belong into the system root.
func checkTools(root string, needed []tool, inside bool) error {
	var missing, debian, fedora []string
	for _, t := range needed {
		if t.inside == inside && !hasTool(root, t.name) {
			missing = append(missing, t.name)
			debian = append(debian, t.debian)
			fedora = append(fedora, t.fedora)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	where := ""
	if root != "/" {
		where = " in " + root
	}
	return fmt.Errorf("%w: not found%s: %s: install with `apt-get install %s` or `dnf install %s`", ErrMachine, where,
		strings.Join(missing, ", "), strings.Join(debian, " "), strings.Join(fedora, " "))
}

// hasTool tells whether a program is in a system: anywhere on our PATH in ours, else where
// distributions put programs. Links are not followed: they may lead to absolute paths.
func hasTool(root, name string) bool {
	if root == "/" {
		_, err := exec.LookPath(name)
		return err == nil
	}
	for _, dir := range []string{"", "/usr/bin", "/usr/sbin", "/bin", "/sbin"} {
		if _, err := os.Lstat(filepath.Join(root, dir, name)); err == nil {
			return true
		}
	}
	return false
}

// checkRootFileSystem: hosts are overlays over the file system of their root, and see nothing
// of others that are mounted below it.
func checkRootFileSystem(root string) error {
	device := func(path string) (uint64, error) {
		var st syscall.Stat_t
		if err := syscall.Stat(path, &st); err != nil {
			return 0, fmt.Errorf("%w: %s: %w", ErrMachine, path, err)
		}
		return st.Dev, nil
	}
	whole, err := device(root)
	if err != nil {
		return err
	}
	for _, path := range []string{"/usr", "/usr/bin", "/usr/lib", "/etc"} {
		dev, err := device(filepath.Join(root, path))
		if err != nil {
			return err
		}
		if dev != whole {
			return fmt.Errorf("%w: %s is a file system of its own, and lab hosts only see that of %s: use a machine or container where /usr and /etc are on it", ErrMachine, filepath.Join(root, path), root)
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
	root, err := wholeRoot("")
	if err == nil {
		err = checkMachine(Options{Root: root, Systemd: 1})
	}
	if err == nil {
		return
	}
	if os.Getenv("CI") == "true" || os.Getenv("CPACMAN_LAB") == "required" {
		t.Fatalf("needs root: %v, and the environment says that lab tests must run", err)
	}
	t.Skipf("needs root: %v", err)
}
