package lab

import "fmt"

// Repositories of a lab.
const (
	repoBase    = "labos-base"    // what hosts have at the start
	repoUpdates = "labos-updates" // what a plain update takes
	repoTrouble = "labos-trouble" // packages that go wrong; only taken by name
)

// kernelSuffix ends the release of every kernel of the lab; the host's image uses it to
// tell the lab's kernels from what the machine below has.
const kernelSuffix = ".lab9"

// published is a package in a repository.
type published struct {
	Repo     string
	Spec     PackageSpec
	Unsigned bool
	Variants []string // of installed sets that have it; empty: all, when in labos-base
	Extra    bool     // never part of an installed set
}

// pkg starts a spec of this distribution.
func pkg(name, version, release, arch string) PackageSpec {
	return PackageSpec{
		Name: name, Version: version, Release: release + ".lab9", Arch: arch,
		Files: []PackageFile{
			{Path: "/usr/share/labos/" + name + "-" + arch, Dir: true},
			{Path: "/usr/share/labos/" + name + "-" + arch + "/version", Body: []byte(version + "-" + release + "\n")},
		},
	}
}

// with changes a spec in place of a long literal.
func (s PackageSpec) with(change func(*PackageSpec)) PackageSpec {
	change(&s)
	return s
}

func requires(names ...string) func(*PackageSpec) {
	return func(s *PackageSpec) { s.Requires = append(s.Requires, names...) }
}

func provides(names ...string) func(*PackageSpec) {
	return func(s *PackageSpec) { s.Provides = append(s.Provides, names...) }
}

func file(path, body string) PackageFile { return PackageFile{Path: path, Body: []byte(body)} }

// catalogue is every package of the lab's repositories, oldest first within a name.
func catalogue(o Options) []published {
	list := basePackages()
	list = append(list, updatePackages()...)
	list = append(list, pairPackages()...)
	list = append(list, servicePackages()...)
	list = append(list, troublePackages(o)...)
	list = append(list, fillerPackages(o.Packages)...)
	// xz sets up large tables for each package, so only some get it
	compressions := []string{"gzip", "zstd:1", "gzip", "zstd:1", "gzip", "zstd:1", "gzip", "xz"}
	for i := range list {
		if list[i].Spec.Compression == "" {
			list[i].Spec.Compression = compressions[i%len(compressions)]
		}
	}
	return list
}

func in(repo string, specs ...PackageSpec) []published {
	out := make([]published, 0, len(specs))
	for _, s := range specs {
		out = append(out, published{Repo: repo, Spec: s})
	}
	return out
}

// basePackages is a small distribution with names that tools and policies look for.
func basePackages() []published {
	list := in(repoBase,
		pkg("lab-release", "9.1", "1", "noarch").with(provides("system-release = 9.1", "system-release(releasever) = 9")),
		pkg("filesystem", "3.16", "2", "x86_64"),
		pkg("bash", "5.1.8", "6", "x86_64").with(provides("/bin/sh", "/usr/bin/sh", "/bin/bash")),
		glibcCommon("2.34", "60"),
		pkg("systemd-libs", "252", "14", "x86_64").with(provides("libsystemd.so.0()(64bit)")),
		pkg("systemd", "252", "14", "x86_64").with(requires("systemd-libs = 252-14.lab9", "filesystem >= 3")),
		pkg("rpm-libs", "4.16.1.3", "25", "x86_64"),
		pkg("rpm", "4.16.1.3", "25", "x86_64").with(requires("rpm-libs = 4.16.1.3-25.lab9")),
		pkg("openssh", "8.7p1", "34", "x86_64"),
		pkg("openssh-server", "8.7p1", "34", "x86_64").with(requires("openssh = 8.7p1-34.lab9", "systemd")),
		pkg("linux-firmware", "20230310", "135", "noarch"),
		pkg("lab-lib", "1.0", "1", "x86_64").with(provides("liblab.so.1()(64bit)")),
		pkg("lab-app", "1.0", "1", "x86_64").with(requires("lab-lib >= 1.0", "glibc >= 2.34")),
		pkg("lab-app-plugins", "1.0", "1", "x86_64").with(requires("lab-app = 1.0-1.lab9", "(lab-tools if lab-app)")),
		pkg("lab-old", "1.4", "1", "x86_64"),
		pkg("lab-epoch", "5.0", "1", "noarch"),
		pkg("lab-candidate", "2.0~rc1", "1", "noarch"),
		pkg("lab-snapshot", "1.0", "1", "noarch"),
		pkg("lab-config", "1.0", "1", "noarch").with(config("colour = blue\n")),
		pkg("lab-held", "1.0", "1", "noarch"),
		pkg("lab-tools", "1.0", "1", "x86_64").with(requires("/usr/bin/lab-interpreter")),
		pkg("lab-interpreter", "3.9", "1", "x86_64").with(func(s *PackageSpec) {
			s.Files = append(s.Files, PackageFile{Path: "/usr/bin/lab-interpreter", Body: []byte("#!/bin/sh\n"), Mode: 0o755})
		}),
		pkg("lab-retracted", "1.0", "1", "noarch"),
		pkg("lab-doc", "1.0", "1", "noarch"),
		kernel("362.8.1"),
	)
	list = append(list, published{Repo: repoBase, Spec: kernel("284.11.1"), Variants: []string{variantKernels}})
	return list
}

// updatePackages are the newer versions that a plain update takes, all of them healthy.
func updatePackages() []published {
	return in(repoUpdates,
		pkg("lab-release", "9.1", "2", "noarch").with(provides("system-release = 9.1", "system-release(releasever) = 9")),
		glibcCommon("2.34", "83"),
		pkg("systemd-libs", "252", "18", "x86_64").with(provides("libsystemd.so.0()(64bit)")),
		pkg("systemd", "252", "18", "x86_64").with(requires("systemd-libs = 252-18.lab9", "filesystem >= 3")),
		pkg("openssh", "8.7p1", "38", "x86_64"),
		pkg("openssh-server", "8.7p1", "38", "x86_64").with(requires("openssh = 8.7p1-38.lab9", "systemd")).with(restartSSH),
		pkg("linux-firmware", "20240115", "141", "noarch"),
		kernel("427.13.1").with(requires("linux-firmware >= 20240111")),
		pkg("lab-lib", "2.0", "1", "x86_64").with(provides("liblab.so.1()(64bit)", "liblab.so.2()(64bit)")),
		pkg("lab-app", "2.0", "1", "x86_64").with(requires("lab-lib >= 2.0", "glibc >= 2.34", "lab-app-data = 2.0")),
		pkg("lab-app-data", "2.0", "1", "noarch"),
		pkg("lab-app-plugins", "2.0", "1", "x86_64").with(requires("lab-app = 2.0-1.lab9", "(lab-tools if lab-app)")),
		pkg("lab-new", "2.0", "1", "x86_64").with(provides("lab-old = 2.0-1.lab9")).with(obsoletes("lab-old < 2.0")),
		pkg("lab-new-extras", "2.0", "1", "x86_64").with(requires("lab-new = 2.0-1.lab9")).with(obsoletes("lab-old < 2.0")),
		pkg("lab-epoch", "4.0", "1", "noarch").with(func(s *PackageSpec) { s.Epoch = 1 }),
		pkg("lab-candidate", "2.0", "1", "noarch"),
		pkg("lab-snapshot", "1.0^20240501gitabc", "1", "noarch"),
		pkg("lab-config", "1.1", "1", "noarch").with(config("colour = green\nshape = round\n")),
		pkg("lab-held", "2.0", "1", "noarch").with(requires("lab-not-published >= 3")),
		pkg("lab-tools", "1.1", "1", "x86_64").with(requires("/usr/bin/lab-interpreter")),
		pkg("lab-tools", "1.2", "1", "x86_64").with(requires("/usr/bin/lab-interpreter")),
		pkg("lab-retracted", "1.1", "1", "noarch"),
		pkg("lab-doc", "2.0", "1", "x86_64"),
	)
}

func obsoletes(names ...string) func(*PackageSpec) {
	return func(s *PackageSpec) { s.Obsoletes = append(s.Obsoletes, names...) }
}

func config(body string) func(*PackageSpec) {
	return func(s *PackageSpec) {
		s.Files = append(s.Files, PackageFile{Path: "/etc/lab-config.conf", Body: []byte(body), Keep: true})
	}
}

func glibcCommon(version, release string) PackageSpec {
	return pkg("glibc-common", version, release, "x86_64").with(requires(fmt.Sprintf("glibc = %s-%s.lab9", version, release)))
}

// restartSSH is what makes an update of the SSH server interesting: it restarts the
// daemon through which the update came.
func restartSSH(s *PackageSpec) {
	s.Post = `if [ -d /run/systemd/system ]; then
    systemctl try-restart sshd.service
elif [ -e /run/sshd.pid ]; then
    kill -HUP "$(cat /run/sshd.pid)"
fi
`
}

// kernel is an install-only package: several versions stay side by side.
func kernel(build string) PackageSpec {
	version, release := "5.14.0", build+kernelSuffix
	uname := version + "-" + release + ".x86_64"
	return PackageSpec{
		Name: "kernel", Version: version, Release: release, Arch: "x86_64",
		Summary:  "The kernel of the lab, as far as packages go",
		Requires: []string{"linux-firmware >= 20230310", "filesystem"},
		Provides: []string{"installonlypkg(kernel)", "kernel-uname-r = " + uname, "kernel-x86_64 = " + version + "-" + release},
		Files: []PackageFile{
			{Path: "/usr/lib/modules/" + uname, Dir: true},
			file("/usr/lib/modules/"+uname+"/modules.builtin", "kernel/none.ko\n"),
			file("/usr/lib/modules/"+uname+"/vmlinuz", "not a kernel\n"),
		},
		Post:  bootEntry(uname) + "cp /usr/lib/modules/" + uname + "/vmlinuz \"/boot/vmlinuz-" + uname + "\"\nprintf 'title Lab OS (%s)\\nversion %s\\nlinux /vmlinuz-%s\\n' " + uname + " " + uname + " " + uname + " >\"$entry\"\ngrub-editenv /boot/grub/grubenv set \"saved_entry=$id\"\n",
		PreUn: bootEntry(uname) + "rm -f \"$entry\" /boot/vmlinuz-" + uname + "\n",
	}
}

// bootEntry begins the scriptlets of a kernel on hosts that have a boot loader (see supervisor.sh): what kernel-install and UPDATEDEFAULT=yes
// do on real ones.
func bootEntry(uname string) string {
	return "[ -f /boot/grub/grub.cfg ] || exit 0\nread -r id </etc/machine-id\nid=$id-" + uname + "\nentry=/boot/loader/entries/$id.conf\n"
}

// pairPackages are two architectures of one name: with ELF files, as rpm tells them
// apart, and without, where rpm takes one for the other.
func pairPackages() []published {
	var list []published
	for _, v := range []struct{ repo, glibc, multi, plain string }{{repoBase, "60", "1.0", "1.0"}, {repoUpdates, "83", "1.1", "2.0"}} {
		for _, arch := range []string{"x86_64", "i686"} {
			variants := []string{variantFull, variantKernels}
			if arch == "x86_64" {
				variants = nil
			}
			for _, s := range []PackageSpec{
				library("glibc", "2.34", v.glibc, arch).with(provides("libc.so.6" + map[string]string{"x86_64": "()(64bit)", "i686": ""}[arch])),
				library("lab-multi", v.multi, "1", arch),
				pkg("lab-plain", v.plain, "1", arch),
			} {
				list = append(list, published{Repo: v.repo, Spec: s, Variants: variants})
			}
		}
	}
	return list
}

// library has an ELF file of its architecture, in the directory of that architecture.
func library(name, version, release, arch string) PackageSpec {
	dir, color := "/usr/lib64", 2
	if arch == "i686" {
		dir, color = "/usr/lib", 1
	}
	return pkg(name, version, release, arch).with(func(s *PackageSpec) {
		s.Files = append(s.Files,
			PackageFile{Path: dir + "/labos/" + name + ".so.1", Body: ELF(color), Mode: 0o755, Color: color})
	})
}

// fillerPackages make databases as large as those of real hosts. Every fifth has an
// update; they require one another in a tree.
func fillerPackages(n int) []published {
	var list []published
	for i := 1; i <= n; i++ {
		name := fmt.Sprintf("filler-%04d", i)
		base := pkg(name, "1.0", "1", "noarch")
		base.Files = []PackageFile{file("/usr/share/labos/filler/"+name, name+"\n")}
		if i > 1 {
			base.Requires = []string{fmt.Sprintf("filler-%04d >= 1.0", (i+8)/10)}
		}
		base.Provides = []string{"filler(" + name + ") = 1.0"}
		base.Compression = "gzip:1"
		list = append(list, published{Repo: repoBase, Spec: base})
		if i%5 == 0 {
			newer := base
			newer.Version = "1.1"
			newer.Provides = []string{"filler(" + name + ") = 1.1"}
			list = append(list, published{Repo: repoUpdates, Spec: newer})
		}
	}
	return list
}
