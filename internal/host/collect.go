package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// CollectOptions of Collect.
type CollectOptions struct {
	Host string
	Sudo bool // read with root's rights; without, what only root may read is nil in Facts
	// Previous facts of the same host let the listing be skipped when the database did not change (FACT-2). Their packages may be
	// left out: Packages is then asked for them where they matter, and an unchanged result comes without.
	Previous *Facts
	Packages func() ([]Package, error)
	Force    bool      // list in any case; always set right before a transaction
	Spool    string    // directory whose free space is reported too; "" is /var/lib/cpacman
	Random   io.Reader // of the mark; nil: crypto/rand
	Now      func() time.Time
	// Answered is called when the whole answer has come, before it is read; it may wait, so that not all hosts' answers are read at once. It
	// is called again when the host has to be asked a second time. May be nil.
	Answered func()
}

// trustAge is how old a database file must be, in seconds by the host's clock, for a fingerprint to prove anything: a second
// write within the time stamp's resolution would leave it the same.
const trustAge = 2

// Collect reads the facts in one round trip. When the fingerprint of Previous still holds, packages and keys are those of
// Previous and unchanged is true; kernel, boot, failed units, lock and disk are fresh in any case. An error that is
// ErrUnreadable or ErrNoRPM is final; the returned facts are then nil.
func Collect(ctx context.Context, c Conn, opt CollectOptions) (f *Facts, unchanged bool, err error) {
	now := opt.Now
	if now == nil {
		now = time.Now
	}
	k := collectCall(opt)
	a, err := do(ctx, c, k)
	if err != nil {
		return nil, false, fmt.Errorf("host %s: %w", opt.Host, err)
	}
	f = &Facts{Host: opt.Host, CollectedAt: now().UTC(), Source: "ssh"}
	readVolatile(f, a)
	if _, same := a.last("same"); same {
		if opt.Previous == nil || opt.Force {
			return nil, false, fmt.Errorf("host %s: %w: skipped a listing that was asked for", opt.Host, ErrProtocol)
		}
		if f.MachineID != opt.Previous.MachineID {
			opt.Force = true // another machine behind the same name
			return Collect(ctx, c, opt)
		}
		keepListing(f, opt.Previous)
	} else if err := readListing(f, a); err != nil {
		return nil, false, fmt.Errorf("host %s: %w", opt.Host, err)
	} else {
		f.InstalledDigest = InstalledDigest(f.Packages)
	}
	_, unchanged = a.last("same")
	if err := f.judgeReboot(a, opt, unchanged); err != nil {
		return nil, false, fmt.Errorf("host %s: %w", opt.Host, err)
	}
	return f, unchanged, nil
}

// judgeReboot finds out whether the host runs older code than it has. The same boot and the same packages give the same answer.
func (f *Facts) judgeReboot(a *answer, opt CollectOptions, unchanged bool) error {
	whole := *f
	if unchanged && f.Packages == nil {
		if p := opt.Previous; p.Reboot != nil && p.BootID == f.BootID && f.BootID != "" {
			f.Reboot = &Reboot{Reasons: marks(slices.DeleteFunc(slices.Clone(p.Reboot.Reasons), isMark), a)}
			f.Reboot.Needed = len(f.Reboot.Reasons) > 0
			return nil
		}
		if opt.Packages == nil {
			return errors.New("the packages of the previous facts are not given")
		}
		var err error
		if whole.Packages, err = opt.Packages(); err != nil {
			return err
		}
	}
	reboot := rebootNeeded(&whole, restartNames(a))
	reboot.Reasons = marks(reboot.Reasons, a)
	reboot.Needed = len(reboot.Reasons) > 0
	f.Reboot = &reboot
	return nil
}

// collectCall is the call; its arguments are the fingerprint to compare with, its path, and directories.
func collectCall(opt CollectOptions) call {
	have, path := "", ""
	if p := opt.Previous; p != nil && !opt.Force && len(p.Database.Fingerprint) < 16<<10 && p.Source == "ssh" {
		have, path = p.Database.Fingerprint, p.Database.Path
	}
	spool := opt.Spool
	if spool == "" {
		spool = defaultDir
	}
	return call{op: "query facts", program: program("config", "facts"), sudo: opt.Sudo, random: opt.Random, timeout: 10 * time.Minute, answered: opt.Answered,
		args: []string{have, path, "/", "/boot", "/usr", "/opt", "/var", "/var/tmp", "/var/lib", spool}}
}

// keepListing takes over what belongs to the unchanged database.
func keepListing(f, p *Facts) {
	f.Database, f.Packages, f.Keys, f.InstalledDigest = p.Database, p.Packages, p.Keys, p.InstalledDigest
	f.Arch, f.RPMVersion = p.Arch, p.RPMVersion
}

// readVolatile reads all but the database.
func readVolatile(f *Facts, a *answer) {
	f.MachineID = bounded(a.get("machine"), 64)
	f.Kernel = bounded(a.get("kernel"), 256)
	f.BootID = bounded(a.get("boot"), 64)
	f.BootTime = bootTime(a)
	f.OS = readOS(a)
	readDisks(f, a)
	_, f.Systemd = a.last("systemd")
	if _, ok := a.last("unitsok"); ok {
		f.FailedUnits = failedUnits(a.all("unit"))
	}
	f.Lock = readLock(a.get("lock"))
	f.Updaters = append([]string{}, a.all("updater")...)
	f.Managers = append([]string{}, a.all("manager")...)
	readConfig(f, a)
}

// bootTime is the kernel's boot time plus the start of process 1, which is later in a container: that one counts, as in
// needs-restarting. Process times count in 1/100 s (USER_HZ).
func bootTime(a *answer) int64 {
	boot, err := strconv.ParseInt(a.get("btime"), 10, 64)
	if err != nil || boot < 0 {
		return 0
	}
	if ticks, err := strconv.ParseInt(a.get("pid1"), 10, 64); err == nil && ticks > 0 {
		boot += ticks / 100
	}
	return boot
}

// readOS reads the lines of os-release, or the one line that older hosts have.
func readOS(a *answer) OS {
	var o OS
	for _, l := range a.all("os") {
		k, v, _ := strings.Cut(l, "=")
		v = bounded(strings.Trim(strings.TrimSpace(v), `"'`), 64)
		switch k {
		case "ID":
			o.ID = v
		case "VERSION_ID":
			o.VersionID = v
		}
	}
	if o.ID != "" {
		return o
	}
	return oldOS(a.get("osrel"))
}

// oldOS reads the first line of redhat-release, of oracle-release, beside which Oracle's redhat-release says Red Hat, or of SuSE-release: "CentOS release
// 6.10 (Final)", "SUSE Linux Enterprise Server 11 (x86_64)". Where the system has an os-release today, its ID is the one that stands there.
func oldOS(line string) OS {
	name, version, found := strings.Cut(line, " release ")
	if rest, suse := strings.CutPrefix(line, "SUSE Linux Enterprise "); suse {
		name, version, found = strings.Cut(rest, " ")
	}
	if !found {
		return OS{}
	}
	var o OS
	o.VersionID, _, _ = strings.Cut(bounded(version, 64), " ")
	word, _, _ := strings.Cut(strings.ToLower(bounded(name, 64)), " ")
	switch word {
	case "red":
		o.ID = "rhel"
	case "oracle":
		o.ID = "ol"
	case "server":
		o.ID = "sles"
	case "desktop":
		o.ID = "sled"
	default:
		o.ID = word
	}
	return o
}

// readDisks reads "FSID FREE BLOCKSIZE INODES PATH"; paths on a file system that was already seen are left out.
func readDisks(f *Facts, a *answer) {
	seen := map[string]bool{}
	for _, l := range a.all("disk") {
		p := strings.SplitN(l, " ", 5)
		if len(p) != 5 {
			continue
		}
		blocks, err1 := strconv.ParseInt(p[1], 10, 64)
		size, err2 := strconv.ParseInt(p[2], 10, 64)
		inodes, err3 := strconv.ParseInt(p[3], 10, 64)
		if errors.Join(err1, err2, err3) != nil || blocks < 0 || size <= 0 || size > 1<<30 || blocks > 1<<62/size {
			continue
		}
		// Without a file system id nothing tells two of them apart, so both are kept.
		if p[0] != "0" && seen[p[0]] {
			continue
		}
		seen[p[0]] = true
		f.Disk = append(f.Disk, Disk{Mount: bounded(p[4], 256), FreeBytes: blocks * size, FreeInodes: inodes})
	}
}

// failedUnits takes the first word of each line of systemctl. Our own units do not count.
func failedUnits(lines []string) []string {
	out := []string{}
	for _, l := range lines {
		w := strings.Fields(l)
		if len(w) > 0 && !strings.ContainsRune(w[0], '.') { // a bullet
			w = w[1:]
		}
		if len(w) > 0 && !strings.HasPrefix(w[0], "cpacman-") {
			out = append(out, bounded(w[0], 256))
		}
	}
	return out
}

// readLock reads "free", "held PID COMMAND" or "unknown".
func readLock(s string) *Lock {
	state, rest, _ := strings.Cut(s, " ")
	switch state {
	case "free":
		return &Lock{}
	case "held":
		pid, cmd, _ := strings.Cut(rest, " ")
		n, err := strconv.Atoi(pid)
		if err != nil || n <= 0 {
			return nil
		}
		return &Lock{Held: true, PID: n, Command: bounded(strings.TrimSpace(cmd), 300)}
	}
	return nil
}
