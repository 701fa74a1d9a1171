package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Variants of the installed set. Hosts of one variant start with the same packages.
const (
	variantFull    = "full"    // everything of labos-base
	variantLean    = "lean"    // without the i686 packages
	variantKernels = "kernels" // with an older kernel beside
)

func variants() []string { return []string{variantFull, variantLean, variantKernels} }

// accounts of every host beside root, with their user ids.
const (
	nopasswdUser = "deploy"
	passwordUser = "ops"
	firstUser    = 1000
)

// hiddenDirs are directories of the machine below that a host does not see.
func hiddenDirs() []string {
	return []string{"/etc/ssh", "/etc/sudoers.d", "/etc/systemd/system", "/etc/yum.repos.d", "/etc/apt", "/etc/dnf", "/etc/cron.d",
		"/etc/rpm", "/root", "/home", "/srv", "/opt", "/mnt", "/boot", "/usr/lib/modules", "/usr/local"}
}

// maskedUnits would change the machine below, or fail in a host.
func maskedUnits() []string {
	return []string{"systemd-sysctl.service", "systemd-modules-load.service", "systemd-udevd.service", "systemd-udev-trigger.service",
		"systemd-udevd-control.socket", "systemd-udevd-kernel.socket", "systemd-binfmt.service", "proc-sys-fs-binfmt_misc.automount",
		"systemd-remount-fs.service", "systemd-random-seed.service", "systemd-update-utmp.service", "systemd-sysusers.service",
		"systemd-firstboot.service", "systemd-machine-id-commit.service", "systemd-pstore.service", "systemd-hwdb-update.service",
		"dev-hugepages.mount", "dev-mqueue.mount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount", "sys-kernel-config.mount",
		"sys-fs-fuse-connections.mount", "kmod-static-nodes.service", "systemd-tmpfiles-setup-dev.service", "apparmor.service",
		"keyboard-setup.service", "console-setup.service", "systemd-ask-password-wall.path", "systemd-ask-password-console.path",
		"systemd-network-generator.service", "systemd-boot-system-token.service", "getty.target", "tmp.mount"}
}

const osRelease = `NAME="Lab OS"
VERSION="9.1 (Throwaway)"
ID="labos"
ID_LIKE="rhel fedora"
VERSION_ID="9.1"
PLATFORM_ID="platform:el9"
PRETTY_NAME="Lab OS 9.1 (Throwaway)"
CPE_NAME="cpe:/o:lab:labos:9::baseos"
`

// rpmMacros are the macros of a host. Debian's rpm keeps its database in $HOME unless told
// otherwise.
const rpmMacros = `%_dbpath /var/lib/rpm
%_pkgverify_level digest
%_transaction_color 3
%_prefer_color 2
`

const targetUnit = `[Unit]
Description=Lab host
Requires=basic.target
Wants=systemd-user-sessions.service
After=basic.target
AllowIsolate=yes
`

const sshdUnit = `[Unit]
Description=OpenSSH server
After=basic.target

[Service]
ExecStart=/usr/sbin/sshd -D -e
ExecReload=/bin/kill -HUP $MAINPID
KillMode=process
Restart=on-failure
RestartSec=1
RuntimeDirectory=sshd
RuntimeDirectoryMode=0755
RuntimeDirectoryPreserve=yes

[Install]
WantedBy=multi-user.target
`

// writeImage fills image/upper and image/var with what every host has before packages, over
// the system in root.
func writeImage(root, image string) error {
	upper := filepath.Join(image, "upper")
	for _, dir := range hiddenDirs() {
		path := filepath.Join(upper, dir)
		if err := os.MkdirAll(path, 0o755); err != nil {
			return fmt.Errorf("make image: %w", err)
		}
		if err := unix.Setxattr(path, "trusted.overlay.opaque", []byte("y"), 0); err != nil {
			return fmt.Errorf("make image: hide %s of the machine: %w", dir, err)
		}
	}
	if err := hideStrangers(root, upper); err != nil {
		return fmt.Errorf("make image: %w", err)
	}
	files, err := imageFiles(root)
	if err != nil {
		return fmt.Errorf("make image: %w", err)
	}
	for _, f := range files {
		if err := f.put(upper); err != nil {
			return fmt.Errorf("make image: %w", err)
		}
	}
	if err := os.Chmod(filepath.Join(upper, "root"), 0o700); err != nil {
		return fmt.Errorf("make image: %w", err)
	}
	if err := copyFile(filepath.Join(root, "usr/bin/uname"), filepath.Join(upper, "usr/lib/labos/uname"), 0o755); err != nil {
		return fmt.Errorf("make image: %w", err)
	}
	return writeVar(filepath.Join(image, "var"))
}

// hideStrangers removes from the hosts' view whatever lies in / and does not belong to a
// system: work trees, data, keys of the machine. A whiteout of overlayfs is a character
// device 0/0.
func hideStrangers(root, upper string) error {
	entries, err := os.ReadDir(root)
	if err != nil {
		return err
	}
	system := []string{"bin", "boot", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "media", "mnt", "opt", "proc",
		"root", "run", "sbin", "srv", "sys", "tmp", "usr", "var"}
	for _, e := range entries {
		if slices.Contains(system, e.Name()) {
			continue
		}
		if err := unix.Mknod(filepath.Join(upper, e.Name()), unix.S_IFCHR, 0); err != nil {
			return fmt.Errorf("hide /%s: %w", e.Name(), err)
		}
	}
	return nil
}

// imageFile is a file, or a link, of an image or of one host.
type imageFile struct {
	path  string
	body  string
	mode  os.FileMode
	owner int
	link  string
	dir   bool
}

func (f imageFile) put(root string) error {
	path := filepath.Join(root, f.path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	switch {
	case f.link != "":
		return os.Symlink(f.link, path)
	case f.dir:
		if err := os.MkdirAll(path, f.mode); err != nil {
			return err
		}
	default:
		if err := os.WriteFile(path, []byte(f.body), f.mode); err != nil {
			return err
		}
	}
	if err := os.Chmod(path, f.mode); err != nil { // whatever the umask
		return err
	}
	return os.Chown(path, f.owner, f.owner)
}

func imageFiles(root string) ([]imageFile, error) {
	accounts, err := accountFiles(root)
	if err != nil {
		return nil, err
	}
	files := append(accounts,
		imageFile{path: "/etc/os-release", body: osRelease, mode: 0o644},
		imageFile{path: "/usr/lib/os-release", body: osRelease, mode: 0o644},
		imageFile{path: "/etc/redhat-release", body: "Lab OS release 9.1 (Throwaway)\n", mode: 0o644},
		imageFile{path: "/etc/rpm/macros", body: rpmMacros, mode: 0o644},
		imageFile{path: "/etc/motd", mode: 0o644},
		imageFile{path: "/usr/libexec/labsvcd", mode: 0o755},
		imageFile{path: "/usr/lib/labos/init", body: string(script("hostinit.sh")), mode: 0o755},
		imageFile{path: "/usr/bin/uname", body: string(script("uname.sh")), mode: 0o755},
		imageFile{path: "/etc/sudoers", mode: 0o440, body: "Defaults env_reset\nDefaults secure_path=\"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\"\nroot ALL=(ALL) ALL\n@includedir /etc/sudoers.d\n"},
		imageFile{path: "/etc/systemd/system/labos.target", body: targetUnit, mode: 0o644},
		imageFile{path: "/etc/systemd/system/sshd.service", body: sshdUnit, mode: 0o644},
		imageFile{path: "/etc/systemd/system/labos.target.wants/sshd.service", link: "../sshd.service"},
		imageFile{path: "/etc/systemd/system/labos.target.wants/labsvc.service", link: "/usr/lib/systemd/system/labsvc.service"},
		imageFile{path: "/etc/systemd/system/default.target", link: "labos.target"},
		imageFile{path: "/etc/systemd/journald.conf", body: "[Journal]\nStorage=volatile\nRuntimeMaxUse=8M\n", mode: 0o644},
	)
	if _, err := os.Stat(filepath.Join(root, "usr/lib/systemd/system/dbus.socket")); err == nil {
		files = append(files, imageFile{path: "/etc/systemd/system/labos.target.wants/dbus.socket", link: "/usr/lib/systemd/system/dbus.socket"})
	}
	for _, unit := range maskedUnits() {
		files = append(files, imageFile{path: "/etc/systemd/system/" + unit, link: "/dev/null"})
	}
	return files, nil
}

// accountFiles are the system's accounts without their passwords, and ours.
func accountFiles(root string) ([]imageFile, error) {
	keep := func(name string) (string, error) {
		data, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return "", err
		}
		var out strings.Builder
		for _, line := range strings.Split(string(data), "\n") {
			fields := strings.Split(line, ":")
			var id int
			if len(fields) > 3 {
				if _, err := fmt.Sscanf(fields[2], "%d", &id); err == nil && (id < firstUser || id == 65534) {
					out.WriteString(line + "\n")
				}
			}
		}
		return out.String(), nil
	}
	passwd, err := keep("/etc/passwd")
	if err != nil {
		return nil, err
	}
	group, err := keep("/etc/group")
	if err != nil {
		return nil, err
	}
	shadow := ""
	for _, line := range strings.Split(strings.TrimSpace(passwd), "\n") {
		name, _, _ := strings.Cut(line, ":")
		shadow += name + ":*:19700:0:99999:7:::\n"
	}
	files := []imageFile{}
	for i, user := range []string{nopasswdUser, passwordUser} {
		id := firstUser + i
		passwd += fmt.Sprintf("%s:x:%d:%d:lab account:/home/%s:/bin/bash\n", user, id, id, user)
		group += fmt.Sprintf("%s:x:%d:\n", user, id)
		shadow += user + ":*:19700:0:99999:7:::\n"
		files = append(files, imageFile{path: "/home/" + user, dir: true, mode: 0o700, owner: id})
	}
	return append(files,
		imageFile{path: "/etc/passwd", body: passwd, mode: 0o644},
		imageFile{path: "/etc/group", body: group, mode: 0o644},
		imageFile{path: "/etc/shadow", body: shadow, mode: 0o640}), nil
}

// writeVar makes the directories that programs expect under /var.
func writeVar(dir string) error {
	for _, d := range []struct {
		path string
		mode os.FileMode
	}{{"lib/rpm", 0o755}, {"lib/misc", 0o755}, {"lib/systemd", 0o755}, {"log", 0o755}, {"cache", 0o755}, {"spool", 0o755}, {"tmp", 0o777 | os.ModeSticky},
		{"lib/sudo/lectured", 0o700}, {"lib/dbus", 0o755}, {"empty", 0o755}} {
		path := filepath.Join(dir, d.path)
		if err := os.MkdirAll(path, 0o755); err != nil {
			return fmt.Errorf("make image: %w", err)
		}
		if err := os.Chmod(path, d.mode); err != nil {
			return fmt.Errorf("make image: %w", err)
		}
	}
	for name, target := range map[string]string{"run": "/run", "lock": "/run/lock"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("make image: %w", err)
		}
	}
	return nil
}

// copyFile copies a program.
func copyFile(from, to string, mode os.FileMode) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, data, mode)
}

// inImage runs a shell script inside an image, with rpm's database at /var/lib/rpm and the
// site at /run/site. All its processes end with it.
func (l *Lab) inImage(ctx context.Context, image, text string) error {
	for _, dir := range []string{"work", "root"} {
		if err := os.MkdirAll(filepath.Join(image, dir), 0o755); err != nil {
			return err
		}
	}
	cmd := exec.CommandContext(ctx, "/bin/sh", filepath.Join(l.state.Work, "lib/image.sh"))
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "IMAGE=" + image, "ROOT=" + l.state.Options.Root, "SITE=" + l.SiteDir(), processMark + l.state.ID + "/image"}
	cmd.Stdin = strings.NewReader(text)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID, Unshareflags: syscall.CLONE_NEWNS, Setsid: true}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("install packages with rpm: %w: %s", err, bytes.TrimSpace(out))
	}
	if bytes.Contains(out, []byte("scriptlet failed")) {
		return errors.New("install packages with rpm: " + string(bytes.TrimSpace(out)))
	}
	return nil
}
