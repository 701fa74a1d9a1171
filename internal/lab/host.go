package lab

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	mrand "math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"
)

// planHosts decides names, addresses, roles and variants of the hosts of a lab.
func planHosts(o Options, b block) []Host {
	random := mrand.New(mrand.NewPCG(uint64(o.Seed), 1))
	width := max(2, len(strconv.Itoa(o.Hosts)))
	hosts := make([]Host, o.Hosts)
	inClass := map[string]int{}
	for i := range hosts {
		class := o.Classes[i*len(o.Classes)/o.Hosts]
		hosts[i] = Host{
			Name:    fmt.Sprintf("lab%0*d", width, i+1),
			Address: b.address(firstHost + i).String(),
			Port:    22,
			Class:   class,
			Systemd: (i+1)*o.Systemd/o.Hosts != i*o.Systemd/o.Hosts,
			Sudo:    []SudoMode{SudoNever, SudoNopasswd, SudoPassword}[(i+i/4)%3],
			Groups:  []string{"svc"},
			Variant: variants()[random.IntN(len(variants()))],
		}
		inClass[class]++
		switch hosts[i].Sudo {
		case SudoNever:
			hosts[i].User = "root"
		case SudoNopasswd:
			hosts[i].User = nopasswdUser
			hosts[i].Groups = append(hosts[i].Groups, "sudo-nopasswd")
		case SudoPassword:
			hosts[i].User = passwordUser
			hosts[i].Groups = append(hosts[i].Groups, "sudo-password")
		}
		if hosts[i].Systemd {
			hosts[i].Groups = append(hosts[i].Groups, "systemd")
		}
	}
	seen := map[string]int{}
	for i := range hosts {
		class := hosts[i].Class
		hosts[i].Level = levelOf(o.Levels, seen[class], inClass[class])
		if n := seen[class]; n/2*2+1 < inClass[class] { // the last of an odd number has nobody to stand in
			hosts[i].Clusters = []string{fmt.Sprintf("%s-%d", class, n/2+1)}
		}
		seen[class]++
	}
	return hosts
}

// levelOf puts host n of a class of size hosts into a level: the first is always in the
// first level, and each level has about twice the hosts of the one before.
func levelOf(levels []string, n, size int) string {
	if n == 0 {
		return levels[0]
	}
	total := 1<<len(levels) - 1
	for k := range levels {
		if (2*n+1)*total < 2*size*(1<<(k+1)-1) {
			return levels[k]
		}
	}
	return levels[len(levels)-1]
}

// hostKey makes an ed25519 key: the private half as OpenSSH writes it, the public half as
// a line of known_hosts without the name.
func hostKey(comment string) (private []byte, public string, err error) {
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, "", fmt.Errorf("make SSH key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(priv, comment)
	if err != nil {
		return nil, "", fmt.Errorf("make SSH key: %w", err)
	}
	key, err := ssh.NewPublicKey(pub)
	if err != nil {
		return nil, "", fmt.Errorf("make SSH key: %w", err)
	}
	return pem.EncodeToMemory(block), strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))), nil
}

// randomHex gives n random bytes in hexadecimal.
func randomHex(n int) string {
	buf := make([]byte, n)
	_, _ = rand.Read(buf) // never fails since Go 1.24
	return hex.EncodeToString(buf)
}

const sshdConfig = `Include /etc/ssh/sshd_config.d/*.conf
Port 22
HostKey /etc/ssh/ssh_host_ed25519_key
PidFile /run/sshd.pid
PermitRootLogin %s
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
PrintMotd no
AuthorizedKeysFile .ssh/authorized_keys
Subsystem sftp internal-sftp
`

// seedHost writes what makes one host different from the others below hostDir/seed, and
// fills in the host's keys and identity.
func (l *Lab) seedHost(h *Host, authorized string) error {
	dir := l.hostDir(h.Name)
	for _, d := range []string{"rw", "root", "var", "seed", "cgroup"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return fmt.Errorf("make host %s: %w", h.Name, err)
		}
	}
	private, public, err := hostKey("root@" + h.Name)
	if err != nil {
		return fmt.Errorf("make host %s: %w", h.Name, err)
	}
	h.HostKey = public
	h.MachineID = randomHex(16)
	h.IdentityFile = filepath.Join(l.SiteDir(), "ssh", identityFile)
	h.KnownHosts = filepath.Join(l.SiteDir(), "ssh", "known_hosts")
	h.SudoPassword = l.password
	for _, f := range hostFiles(*h, string(private), authorized) {
		if err := f.put(filepath.Join(dir, "seed")); err != nil {
			return fmt.Errorf("make host %s: %w", h.Name, err)
		}
	}
	return nil
}

func hostFiles(h Host, private, authorized string) []imageFile {
	rootLogin, home, owner := "prohibit-password", "/root", 0
	switch h.Sudo {
	case SudoNopasswd:
		rootLogin, home, owner = "no", "/home/"+nopasswdUser, firstUser
	case SudoPassword:
		rootLogin, home, owner = "no", "/home/"+passwordUser, firstUser+1
	}
	files := []imageFile{
		{path: "/etc/hostname", body: h.Name + "\n", mode: 0o644},
		{path: "/etc/hosts", body: "127.0.0.1 localhost\n::1 localhost\n" + h.Address + " " + h.Name + "\n", mode: 0o644},
		{path: "/etc/machine-id", body: h.MachineID + "\n", mode: 0o444},
		{path: "/etc/ssh/ssh_host_ed25519_key", body: private, mode: 0o600},
		{path: "/etc/ssh/ssh_host_ed25519_key.pub", body: h.HostKey + "\n", mode: 0o644},
		{path: "/etc/ssh/sshd_config", body: fmt.Sprintf(sshdConfig, rootLogin), mode: 0o600},
		{path: home, dir: true, mode: 0o700, owner: owner},
		{path: home + "/.ssh", dir: true, mode: 0o700, owner: owner},
		{path: home + "/.ssh/authorized_keys", body: authorized + "\n", mode: 0o600, owner: owner},
	}
	switch h.Sudo {
	case SudoNopasswd:
		files = append(files, imageFile{path: "/etc/sudoers.d/lab", body: nopasswdUser + " ALL=(root) NOPASSWD: /bin/sh\n", mode: 0o440})
	case SudoPassword:
		files = append(files, imageFile{path: "/etc/sudoers.d/lab", body: passwordUser + " ALL=(root) PASSWD: /bin/sh\n", mode: 0o440})
	}
	if !h.Systemd {
		for _, name := range []string{"reboot", "poweroff", "halt", "shutdown"} {
			files = append(files, imageFile{path: "/usr/sbin/" + name, body: string(script("shutdown.sh")), mode: 0o755})
		}
	}
	return files
}

// hostEnvironment is what supervisor.sh and init.sh work with.
func (l *Lab) hostEnvironment(h Host) []string {
	init, args, systemd := "/usr/lib/labos/init", "", "0"
	if h.Systemd {
		init, args, systemd = systemdPath, "--unit=labos.target", "1"
	}
	timeNamespace := "0"
	if l.timeNamespace {
		timeNamespace = "1"
	}
	return []string{
		"PATH=" + os.Getenv("PATH"), "LC_ALL=C",
		processMark + l.state.ID + "/" + h.Name,
		"ROOT=" + l.state.Options.Root, "H=" + l.hostDir(h.Name), "NAME=" + h.Name, "LAB=" + l.dir, "WORK=" + l.state.Work, "LAB_ID=" + l.state.ID,
		"IMAGE=" + filepath.Join(l.state.Work, "images", h.Variant),
		"ADDRESS=" + h.Address, "PREFIX=" + strconv.Itoa(l.state.Prefix), "GATEWAY=" + l.state.Gateway,
		"DISK=" + strconv.FormatInt(l.state.Options.DiskBytes, 10),
		"KERNEL_SUFFIX=" + kernelSuffix + ".x86_64",
		"SYSTEMD=" + systemd, "INIT=" + init, "INIT_ARGS=" + args, "TIME_NAMESPACE=" + timeNamespace,
	}
}
