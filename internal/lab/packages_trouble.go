package lab

import (
	"fmt"
	"math/rand/v2"
)

// servicePackages are the versions of the lab service; its newest is sick.
func servicePackages() []published {
	list := in(repoBase, service("1.0", "ok", "greeting = hello\n"))
	list = append(list, in(repoUpdates, service("1.1", "ok", "greeting = hello\n"))...)
	return append(list, in(repoTrouble, service("2.0", "broken: version 2.0 cannot read its data", "greeting = hello\ncolour = red\n"))...)
}

// service is one version of labsvc. The daemon itself is part of the host; the package
// decides whether it is well. In a sick version the daemon refuses its configuration, so
// that the unit fails under systemd, and answers with status 500 without systemd.
func service(version, health, config string) PackageSpec {
	s := pkg("labsvc", version, "1", "x86_64")
	s.Summary = "A small web service"
	s.Requires = []string{"systemd", "bash"}
	s.Files = append(s.Files,
		PackageFile{Path: "/etc/labsvc.conf", Body: []byte(config), Config: true},
		file("/usr/share/labsvc/health", health+"\n"),
		file("/usr/lib/systemd/system/labsvc.service", `[Unit]
Description=Lab service

[Service]
ExecStart=/usr/libexec/labsvcd

[Install]
WantedBy=multi-user.target
`),
		PackageFile{Path: "/usr/bin/labsvc-check", Mode: 0o755, Body: []byte(`#!/bin/sh
# Says whether the lab service is well, with a reason if it is not.
health=$(cat /usr/share/labsvc/health)
[ "$health" = ok ] || { echo "labsvc: $health"; exit 1; }
if [ -d /run/systemd/system ]; then
    systemctl is-active --quiet labsvc.service || { echo "labsvc: the unit is not active"; exit 1; }
fi
echo ok
`)},
	)
	s.Post = `if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl try-restart labsvc.service || :
fi
`
	return s
}

// troublePackages go wrong in one way each. Their first version is in labos-base and
// installed, so that they are updates, and their second in labos-trouble.
func troublePackages(o Options) []published {
	var list []published
	add := func(name, version, release, arch string, change func(*PackageSpec)) {
		list = append(list, in(repoBase, pkg(name, "1.0", "1", "noarch"))...)
		list = append(list, in(repoTrouble, pkg(name, version, release, arch).with(change))...)
	}
	add("lab-badpost", "2.0", "1", "noarch", func(s *PackageSpec) {
		s.Post = "echo 'lab-badpost: cannot migrate the data' >&2\nexit 1\n"
	})
	add("lab-badpre", "2.0", "1", "noarch", func(s *PackageSpec) {
		s.Pre = "echo 'lab-badpre: refusing to be installed' >&2\nexit 1\n"
	})
	add("lab-asks", "2.0", "1", "noarch", func(s *PackageSpec) {
		s.Post = `echo "lab-asks: may I change the configuration? [y/N]"
if ! read -r answer; then
    echo "lab-asks: nobody answered" >&2
    exit 1
fi
[ "$answer" = y ]
`
	})
	// the scriptlets leave a trail, so that a test can tell whether they ran to the end
	add("lab-slow", "2.0", "1", "noarch", func(s *PackageSpec) { s.Post = slowScript("post", o.SlowSeconds) })
	add("lab-slowpre", "2.0", "1", "noarch", func(s *PackageSpec) { s.Pre = slowScript("pre", o.SlowSeconds) })
	list = append(list, in(repoTrouble, brokenSSH())...)
	list = append(list, in(repoBase, pkg("lab-unsigned", "1.0", "1", "noarch"))...)
	list = append(list, published{Repo: repoTrouble, Spec: pkg("lab-unsigned", "2.0", "1", "noarch"), Unsigned: true})
	if o.Big > 0 {
		add("lab-big", "2.0", "1", "noarch", func(s *PackageSpec) {
			s.Files = append(s.Files, PackageFile{Path: "/usr/share/labos/lab-big-noarch/data", Body: noise(o.Big)})
			s.Compression = "zstd:1"
		})
	}
	// never installed at first: holds rpm's lock for as long as /run/lab/hold-lock says,
	// then gives up without having changed anything
	holder := pkg(lockHolder, "1.0", "1", "noarch")
	holder.PreTrans = `read -r seconds </run/lab/hold-lock
touch /run/lab/hold-lock.held
while [ "$seconds" -gt 0 ] && [ -e /run/lab/hold-lock ]; do
    sleep 1
    seconds=$((seconds - 1))
done
rm -f /run/lab/hold-lock /run/lab/hold-lock.held
exit 1
`
	return append(list, published{Repo: repoTrouble, Spec: holder, Extra: true})
}

// brokenSSH is a version of the SSH server that refuses to start: it brings a configuration it does not know, and restarts the daemon.
func brokenSSH() PackageSpec {
	return pkg("openssh-server", "9.9p1", "1", "x86_64").with(requires("openssh", "systemd")).with(func(s *PackageSpec) {
		s.Files = append(s.Files, PackageFile{Path: "/etc/ssh/sshd_config.d", Dir: true},
			file("/etc/ssh/sshd_config.d/50-labos.conf", "KexAlgorithms none-that-exists\n"))
		s.Post = `if [ -d /run/systemd/system ]; then
    systemctl restart sshd.service || :
elif [ -e /run/sshd.pid ]; then
    kill "$(cat /run/sshd.pid)"
fi
`
	})
}

// lockHolder is the package whose installation holds rpm's lock.
const lockHolder = "lab-lock-holder"

// slowScript takes so many seconds, and longer while /run/lab-slow.stay is there, five minutes in all.
func slowScript(name string, seconds int) string {
	return fmt.Sprintf(`log=/var/log/lab-slow.log
echo "%[1]s begins $$" >>$log
i=0
while [ $i -lt %[2]d ]; do
    i=$((i + 1))
    sleep 1
    echo "lab-slow: second $i of %[2]d"
done
while [ -e /run/lab-slow.stay ] && [ $i -lt 300 ]; do
    i=$((i + 1))
    sleep 1
done
echo "%[1]s ends $$" >>$log
`, name, seconds)
}

// noise gives bytes that no compression shortens, the same every time.
func noise(n int64) []byte {
	source := rand.NewChaCha8([32]byte{1: 'l', 2: 'a', 3: 'b'})
	out := make([]byte, n)
	_, _ = source.Read(out) // never fails
	return out
}
