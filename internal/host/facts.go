package host

import (
	"time"

	"cpacman/internal/rpm"
)

// Facts is what a host reported about itself, with the time (design 5). A nil pointer or nil slice that has a comment saying so
// means "could not be read", which is never the same as "none".
type Facts struct {
	Host            string     `json:"host"`
	CollectedAt     time.Time  `json:"collected_at"`
	Source          string     `json:"source"` // "ssh", "import-listing", "import-rpmdb"
	MachineID       string     `json:"machine_id"`
	OS              OS         `json:"os"`
	Arch            string     `json:"arch"` // rpm's native arch (uname -m where rpm cannot tell)
	Kernel          string     `json:"kernel"`
	BootID          string     `json:"boot_id"`
	BootTime        int64      `json:"boot_time"` // seconds since 1970; 0 unknown
	RPMVersion      string     `json:"rpm_version"`
	Database        Database   `json:"database"`
	InstalledDigest string     `json:"installed_digest"` // sha256 over the sorted lines "NEVRA header"
	Packages        []Package  `json:"packages"`         // sorted by CompareNEVRA
	Keys            []Key      `json:"keys"`             // nil: not readable
	FailedUnits     []string   `json:"failed_units"`     // nil: no systemd or not readable
	Systemd         bool       `json:"systemd"`
	Reboot          *Reboot    `json:"reboot"` // nil: not known, of an import
	Disk            []Disk     `json:"disk"`
	Modules         []Module   `json:"modules"`
	Holds           []Hold     `json:"holds"`        // nil: not readable
	Repositories    []HostRepo `json:"repositories"` // nil: not readable
	Updaters        []string   `json:"updaters"`     // nil: not readable
	Managers        []string   `json:"managers"`     // nil: not readable
	Lock            *Lock      `json:"lock"`         // nil: not readable
	Notes           []string   `json:"notes,omitempty"`
	Unread          []string   `json:"unread,omitempty"` // files of locks, excludes and module streams that could not be read or made sense of
}

// OS is from os-release(5).
type OS struct {
	ID        string `json:"id"`
	VersionID string `json:"version_id"`
}

// Database tells apart states of the rpm database (FACT-2).
type Database struct {
	Fingerprint string `json:"fingerprint"` // empty: not to be trusted
	Path        string `json:"path,omitempty"`
}

// Package is one installed package as listed.
type Package struct {
	Name        string    `json:"name"`
	Epoch       *uint32   `json:"epoch"` // nil only in an imported listing: not known
	Version     string    `json:"version"`
	Release     string    `json:"release"`
	Arch        string    `json:"arch"`
	Header      string    `json:"header"`
	InstallTime int64     `json:"install_time"`
	Vendor      string    `json:"vendor"`
	Color       rpm.Color `json:"color"`
}

// NEVRA of the package; an unknown epoch counts as 0.
func (p Package) NEVRA() rpm.NEVRA {
	e := rpm.EVR{Version: p.Version, Release: p.Release}
	if p.Epoch != nil {
		e.Epoch = *p.Epoch
	}
	return rpm.NEVRA{Name: p.Name, EVR: e, Arch: p.Arch}
}

// Key is a signing key in the rpm database (a gpg-pubkey entry).
type Key struct {
	ID      string `json:"id"`      // version of gpg-pubkey: last 8 hex digits of the key id
	Created string `json:"created"` // release of gpg-pubkey: creation time, hex
	Summary string `json:"summary"`
	// Read from the key itself; empty where the host's rpm does not show it, or where it is of a kind that cannot be read here.
	Fingerprint string `json:"fingerprint,omitempty"` // lower-case hex
	Owner       string `json:"owner,omitempty"`       // first user id
	Expires     int64  `json:"expires,omitempty"`     // seconds since 1970; 0: never
}

// Reboot says whether the host runs older code than it has installed.
type Reboot struct {
	Needed  bool     `json:"needed"`
	Reasons []string `json:"reasons"`
}

// Disk is the free space of one file system that matters.
type Disk struct {
	Mount      string `json:"mount"`
	FreeBytes  int64  `json:"free_bytes"`
	FreeInodes int64  `json:"free_inodes"`
}

// Module is an enabled module stream (dnf).
type Module struct {
	Name   string `json:"name"`
	Stream string `json:"stream"`
	State  string `json:"state"`
}

// Hold is something on the host that keeps packages as they are.
type Hold struct {
	Kind    string     `json:"kind"` // versionlock, zypper-lock, exclude, protected, or same-vendor: vendors with commas between them, each meaning all that begin so
	Pattern string     `json:"pattern"`
	Source  string     `json:"source"`          // file on the host
	Match   string     `json:"match,omitempty"` // how the pattern of a zypper-lock names packages: MatchExact …; "" is as a glob
	Fold    bool       `json:"fold,omitempty"`  // capital letters are as good as small ones
	When    []HoldWhen `json:"when,omitempty"`  // what a build has to be, all of it, for a lock to mean it
}

// HoldWhen is a condition of a lock on a build, as versionlock.toml and zypper write it.
type HoldWhen struct {
	Key   string `json:"key"` // evr, epoch or arch of versionlock.toml; edition or arch of zypper
	Op    string `json:"op"`  // = != < <= > >=
	Value string `json:"value"`
}

// How the pattern of a zypper-lock names packages (locks(5) of libzypp, match_type).
const (
	MatchExact     = "exact"
	MatchSubstring = "substring"
	MatchWord      = "word"
	MatchRegex     = "regex"
	MatchNothing   = "nothing" // it is about other things than names, and holds nothing here
)

// HostRepo is a repository configured on the host.
type HostRepo struct {
	ID      string `json:"id"`
	Enabled bool   `json:"enabled"`
	URL     string `json:"url"`
}

// Lock is who holds the rpm lock now.
type Lock struct {
	Held    bool   `json:"held"`
	PID     int    `json:"pid,omitempty"`
	Command string `json:"command,omitempty"`
}
