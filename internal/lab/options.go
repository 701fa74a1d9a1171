package lab

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Options say what fleet to make. The zero value of a field means its default.
type Options struct {
	// Dir holds everything the lab makes. It must not exist, or be empty.
	Dir string `json:"dir"`
	// Root is the directory with the system that the hosts run, as debootstrap or `dnf
	// --installroot` make it: with OpenSSH, rpm, sudo and, where asked for, systemd.
	// Default: what the environment names in CPACMAN_LAB_ROOT, else /, the machine's own.
	Root string `json:"root"`
	// Hosts is the number of hosts, 1 to 1000. Default 12.
	Hosts int `json:"hosts"`
	// Classes and Levels name the classes and levels, in order; hosts are spread over
	// them. Default: development, testing, production; canary, early, broad.
	Classes []string `json:"classes"`
	Levels  []string `json:"levels"`
	// Systemd is the number of hosts that run systemd as PID 1. Default: a quarter of
	// four hosts or more. -1 means none.
	Systemd int `json:"systemd"`
	// Packages is the number of filler packages in each rpm database, for benchmarks.
	Packages int `json:"packages"`
	// Big adds a package with this many incompressible bytes to labos-trouble.
	Big int64 `json:"big"`
	// Seed decides which variant of the installed set a host gets.
	Seed int64 `json:"seed"`
	// DiskBytes is the size of each host's /var. Default 256 MB. It is memory, used as
	// far as it is filled.
	DiskBytes int64 `json:"disk_bytes"`
	// SlowSeconds is how long %post of lab-slow in labos-trouble takes. Default 20.
	SlowSeconds int `json:"slow_seconds"`
	// Soak of the levels in the site. Default 2s.
	Soak time.Duration `json:"soak"`
	// ServiceProgram is the program that hosts run as the lab service, called with its
	// name labsvcd as argument 0. Default: this program, which has the service built in.
	ServiceProgram string `json:"-"`
	// Log gets a line for each step; nil means nowhere.
	Log io.Writer `json:"-"`
}

// ErrUsage is in the chain of errors about wrong options.
var ErrUsage = errors.New("usage")

const (
	maxHosts    = 1000
	maxPackages = 5000
	minDisk     = 16 << 20
	defaultDisk = 256 << 20
)

// nameRule is what class, level and host names may look like.
var nameRule = regexp.MustCompile(`^[a-z][a-z0-9-]{0,30}$`)

// withDefaults fills in defaults and refuses what cannot work.
func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" {
		return o, fmt.Errorf("%w: a lab needs a directory: say --dir DIR", ErrUsage)
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return o, fmt.Errorf("lab directory %q: %w", o.Dir, err)
	}
	o.Dir = dir
	if strings.ContainsAny(dir, unmountable) {
		return o, fmt.Errorf("%w: lab directory %q: overlay mounts do not take colons, commas, quotes or blanks; choose another with --dir", ErrUsage, dir)
	}
	if o.Root, err = wholeRoot(o.Root); err != nil {
		return o, err
	}
	if o.Hosts == 0 {
		o.Hosts = 12
	}
	if o.Hosts < 1 || o.Hosts > maxHosts {
		return o, fmt.Errorf("%w: %d hosts: must be 1 to %d", ErrUsage, o.Hosts, maxHosts)
	}
	if len(o.Classes) == 0 {
		o.Classes = []string{"development", "testing", "production"}
	}
	if len(o.Levels) == 0 {
		o.Levels = []string{"canary", "early", "broad"}
	}
	if err := checkNames("class", o.Classes); err != nil {
		return o, err
	}
	if err := checkNames("level", o.Levels); err != nil {
		return o, err
	}
	if o.Systemd == 0 && o.Hosts >= 4 {
		o.Systemd = o.Hosts / 4
	}
	if o.Systemd < 0 {
		o.Systemd = 0
	}
	if o.Systemd > o.Hosts {
		return o, fmt.Errorf("%w: %d hosts with systemd of %d hosts in all", ErrUsage, o.Systemd, o.Hosts)
	}
	return o.withDefaultSizes()
}

func (o Options) withDefaultSizes() (Options, error) {
	if o.Packages < 0 || o.Packages > maxPackages {
		return o, fmt.Errorf("%w: %d filler packages: must be 0 to %d", ErrUsage, o.Packages, maxPackages)
	}
	if o.DiskBytes == 0 {
		o.DiskBytes = defaultDisk
	}
	if o.DiskBytes < minDisk {
		return o, fmt.Errorf("%w: disk of %d bytes: at least %d are needed for the rpm database", ErrUsage, o.DiskBytes, minDisk)
	}
	if o.Big < 0 || o.Big > 1<<30 {
		return o, fmt.Errorf("%w: big package of %d bytes: must be 0 to 1 GiB", ErrUsage, o.Big)
	}
	if o.SlowSeconds == 0 {
		o.SlowSeconds = 20
	}
	if o.Soak == 0 {
		o.Soak = 2 * time.Second
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	return o, nil
}

// unmountable are the characters that the options of an overlay mount do not take.
const unmountable = ":,\\\"' \t\n$"

// wholeRoot gives the absolute path of the system that hosts run, and refuses what is none.
func wholeRoot(root string) (string, error) {
	if root == "" {
		root = os.Getenv("CPACMAN_LAB_ROOT")
	}
	if root == "" {
		return "/", nil
	}
	root, err := filepath.Abs(root)
	if err != nil {
		return "", fmt.Errorf("system of the hosts %q: %w", root, err)
	}
	if strings.ContainsAny(root, unmountable) {
		return "", fmt.Errorf("%w: system of the hosts %q: overlay mounts do not take colons, commas, quotes or blanks", ErrUsage, root)
	}
	if info, err := os.Stat(filepath.Join(root, "etc/passwd")); err != nil || !info.Mode().IsRegular() {
		return "", fmt.Errorf("%w: system of the hosts %q: it has no etc/passwd: give the directory of a whole system, as debootstrap makes one", ErrUsage, root)
	}
	return root, nil
}

func checkNames(kind string, names []string) error {
	seen := map[string]bool{}
	for _, name := range names {
		if !nameRule.MatchString(name) {
			return fmt.Errorf("%w: %s %q: use lower-case letters, digits and dashes, starting with a letter", ErrUsage, kind, name)
		}
		if seen[name] {
			return fmt.Errorf("%w: %s %q is named twice", ErrUsage, kind, name)
		}
		seen[name] = true
	}
	return nil
}
