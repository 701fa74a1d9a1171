package planner

import (
	"slices"
	"time"

	"cpacman/internal/rpm"
)

// PlanFormat is the version of the plan file. A reader refuses a larger one by name.
const PlanFormat = 1

// Plan is the upgrade sets of many hosts, bound by digests to what they were computed from: the file that people review and
// the only thing a rollout takes (PLAN-10). The same facts, repositories and request give the same bytes. The fields of the types here
// stand in the order of their keys, which makes that the order of the file; Set sorts its own.
type Plan struct {
	CreatedAt time.Time  `json:"created_at"` // the newest collected_at used, never the wall clock
	ExpiresAt time.Time  `json:"expires_at"` // from then on nothing starts it
	Format    int        `json:"format"`
	Hosts     []PlanHost `json:"hosts"`
	ID        string     `json:"id"` // sha256 of the rest, lower-case hex
	// Keys are the signing keys that hosts of the plan import (PUSH-9), with their text: what is reviewed is what is imported.
	Keys         []PlanKey     `json:"keys,omitempty"`
	MissingFiles []string      `json:"missing_files"` // packages that are missing below their repositories, or not as long as the metadata says: the plan can be read and not started
	Packages     []PlanPackage `json:"packages"`
	Repos        []PlanRepo    `json:"repos"`
	Requested    Requested     `json:"requested"`
	// RollbackPackages are the files that Rollbacks need; one that is not at hand takes its rollback away and nothing else.
	RollbackPackages []PlanPackage `json:"rollback_packages,omitempty"`
	// Rollbacks are the sets that take hosts back by themselves (ROLL-7, ROLL-8): PlanHost.Rollback names one.
	Rollbacks []Set     `json:"rollbacks,omitempty"`
	Services  *Services `json:"services,omitempty"` // of a plan of type services, and of no other
	Sets      []Set     `json:"sets"`               // each once, however many hosts have it
	Type      PlanType  `json:"type"`               // update, downgrade, rollback, repair, lock, reboot or services
}

// PlanType says what a plan is for; only rollback, downgrade and lock plans may lower an EVR, and moves that a policy allows (SEC-6).
type PlanType string

// The types of plan.
const (
	TypeUpdate    PlanType = "update"
	TypeDowngrade PlanType = "downgrade"
	TypeRollback  PlanType = "rollback"
	TypeRepair    PlanType = "repair"
	TypeLock      PlanType = "lock"
	TypeReboot    PlanType = "reboot"   // changes no package: hosts that owe a reboot are booted (ROLL-17)
	TypeServices  PlanType = "services" // changes no package: services are stopped, or are again as they were (ROLL-11)
)

// PackageFree tells that a plan of this type changes no package, so that nothing is staged, tested or installed.
func (t PlanType) PackageFree() bool { return t == TypeReboot || t == TypeServices }

// Requested is what the operator asked for, in the words of the command line.
type Requested struct {
	Filter   Filter        `json:"filter"`
	Force    string        `json:"force,omitempty"` // of a plan of reboots: why hosts are booted that owe nothing; of services: why
	Keys     RequestedKeys `json:"keys,omitzero"`
	Selector string        `json:"selector"`
	Weak     bool          `json:"weak,omitempty"` // recommendations are followed
}

// Filter is the selection of updates (PLAN-7). The zero value selects everything.
type Filter struct {
	Advisories []string `json:"advisories,omitempty"`
	Bugfix     bool     `json:"bugfix,omitempty"`
	CVEs       []string `json:"cves,omitempty"`
	Exclude    []string `json:"exclude,omitempty"` // globs over names, or NEVRAs
	Newest     bool     `json:"newest,omitempty"`  // the newest version instead of the one that fixes
	// OverrideHolds are names of packages that no hold, pin or exclude of inventory, policy or host keeps as they are: an emergency (ROLL-11).
	OverrideHolds []string `json:"override_holds,omitempty"`
	Packages      []string `json:"packages,omitempty"` // globs over names, or NEVRAs
	Security      bool     `json:"security,omitempty"`
	Severities    []string `json:"severities,omitempty"` // lower case
}

// PlanRepo binds a plan to one repository as it was read.
type PlanRepo struct {
	At     string `json:"at,omitempty"` // directory it was read from, where that is not the one of the site
	Digest string `json:"digest"`
	ID     string `json:"id"`
	Kind   string `json:"kind"` // repomd or directory
}

// Set is what hosts of one configuration are to install, upgrade, downgrade and remove. All lists are sorted.
type Set struct {
	ID        string    `json:"id"` // digest of the set's content
	Install   []Install `json:"install"`
	Upgrade   []Move    `json:"upgrade"`
	Downgrade []Move    `json:"downgrade"`
	Remove    []Remove  `json:"remove"`
	Held      []Held    `json:"held"`
	Blocked   []Blocked `json:"blocked"`

	// Overridden lists the holds of packages that are installed or come in that do not count, because the request names them (ROLL-11).
	Overridden []Overridden `json:"overridden,omitempty"`

	// VendorChanges lists every package that is replaced by one of another vendor (PLAN-15).
	VendorChanges []VendorChange `json:"vendor_changes,omitempty"`
}

// Overridden is a hold, a pin or an exclude that would keep an installed package as it is, or a new one out, and does not count.
type Overridden struct {
	NEVRA   rpm.NEVRA `json:"nevra"`
	Rule    string    `json:"rule"` // hold, pin or exclude
	Because string    `json:"because"`
}

// VendorChange is a package that is replaced by one of another vendor.
type VendorChange struct {
	From       rpm.NEVRA `json:"from"`
	To         rpm.NEVRA `json:"to"`
	FromVendor string    `json:"from_vendor"`
	ToVendor   string    `json:"to_vendor"`
}

// Install is a package that comes in new: because something needs it, or beside older builds when it is install-only.
type Install struct {
	NEVRA       rpm.NEVRA `json:"nevra"`
	NeededBy    []string  `json:"needed_by"` // NEVRAs or "obsoletes NEVRA" or "requested"; never empty
	InstallOnly bool      `json:"install_only,omitempty"`

	// Fixes are the IDs of the advisories that the host has with it and lacked with what it stands beside or replaces; sorted.
	Fixes []string `json:"fixes,omitempty"`
}

// Move replaces one installed package by another build of the same name and arch. Where a policy allows more, another arch or a
// lower EVR in a plan that is not for going back, Policy names it.
type Move struct {
	From   rpm.NEVRA `json:"from"`
	To     rpm.NEVRA `json:"to"`
	Policy string    `json:"policy,omitempty"`

	// Again: To is installed beside From, as a transaction that was cut leaves two builds, and is put in again. Its files may be those of From.
	Again bool `json:"again,omitempty"`

	// Fixes are the IDs of the advisories that the host has with To and lacked with From, those of builds between them among these; sorted.
	Fixes []string `json:"fixes,omitempty"`
}

// Remove is a package that leaves the host, with the rule that allows it: "obsoleted" in the transaction itself,
// "target-first" by rpm -e --nodeps before it, "keep-n", "policy", "target" and "repair" by rpm -e in a step of its own after it.
type Remove struct {
	NEVRA   rpm.NEVRA `json:"nevra"`
	Rule    string    `json:"rule"`
	Because string    `json:"because"`
}

// Held is an installed package that could go higher and does not because of dependencies: Available is the newest candidate, Because the chain of
// reasons, in the words of packages.
type Held struct {
	NEVRA     rpm.NEVRA `json:"nevra"`
	Available rpm.NEVRA `json:"available"`
	Because   []string  `json:"because"`
}

// Blocked is an update that exists and that a rule of cpacman forbids: Rule names it ("arch", "exclude", "lockstep", …).
type Blocked struct {
	NEVRA     rpm.NEVRA `json:"nevra"`
	Available rpm.NEVRA `json:"available"`
	Rule      string    `json:"rule"`
	Because   string    `json:"because"`
}

// MayLower tells whether a plan of this type may have a move to a lower EVR: those that go back may, a repair may where the lower one is
// installed already, others where a policy allows it (SEC-6).
func (t PlanType) MayLower(m Move) bool {
	return t == TypeDowngrade || t == TypeRollback || t == TypeLock || m.Policy != "" || t == TypeRepair && m.Again
}

// Empty tells whether the set changes nothing on a host.
func (s Set) Empty() bool {
	return len(s.Install) == 0 && len(s.Upgrade) == 0 && len(s.Downgrade) == 0 && len(s.Remove) == 0
}

// PlanHost binds one host to its set and to the facts the set was computed from.
type PlanHost struct {
	Bytes           int64        `json:"bytes"` // to transfer if nothing is there yet
	Class           string       `json:"class"`
	CollectedAt     time.Time    `json:"collected_at"`     // of its facts; year 1 where there are none
	Detail          string       `json:"detail,omitempty"` // for people
	Host            string       `json:"host"`
	Impact          Impact       `json:"impact"`
	InstalledDigest string       `json:"installed_digest"`
	Keys            KeyLines     `json:"keys,omitzero"`
	Level           string       `json:"level"`
	MachineID       string       `json:"machine_id"`
	PreBroken       []string     `json:"pre_broken,omitempty"`
	Reboot          *OwedReboot  `json:"reboot,omitempty"` // of a planned host in a plan of type reboot, and of no other
	Rollback        RollbackInfo `json:"rollback"`
	Set             string       `json:"set,omitempty"` // ID of a Set; empty when the host is not planned
	Status          HostStatus   `json:"status"`        // planned, nothing, or why it is not planned
}

// HostStatus says whether a host is part of the plan's work. Only StatusPlanned hosts are changed by a rollout.
type HostStatus string

// The states a host can have in a plan (FACT-4, FACT-5).
const (
	StatusPlanned     HostStatus = "planned"
	StatusNothing     HostStatus = "nothing"     // up to date within the request; blocked and held updates may remain
	StatusNoFacts     HostStatus = "no_facts"    // never collected
	StatusStale       HostStatus = "stale"       // facts older than facts.max_age
	StatusUnreachable HostStatus = "unreachable" // asked now, did not answer
	StatusNoView      HostStatus = "no_view"     // no repository matches
	StatusPreBroken   HostStatus = "pre_broken"  // held by pre_broken = "hold"
	StatusMismatch    HostStatus = "mismatch"    // the inventory's os or arch is not what the host reports
	StatusUnreadable  HostStatus = "unreadable"  // the package listing could not be read
	StatusNoHeaders   HostStatus = "no_headers"  // dependencies of installed packages are not known
	StatusPolicy      HostStatus = "policy"      // policies of equal priority disagree about it (INV-4)
	StatusNoTarget    HostStatus = "no_target"   // a plan that goes back, and nothing to go back to is known
	StatusMaintenance HostStatus = "maintenance" // by the inventory: in no plan, no rollout and no quorum (INV-9)
	StatusRetired     HostStatus = "retired"     // since the plan was made
	StatusDuplicate   HostStatus = "duplicate"   // its machine-id is that of another host of the inventory
	StatusUnsolved    HostStatus = "unsolved"    // the checker refused the result: a defect, reported as such
)

// OwedReboot says why a host is to be booted. One of the lists is not empty.
type OwedReboot struct {
	Boot     string   `json:"boot"`               // the boot it was in: boot id, or "time-SECONDS"
	Host     []string `json:"host,omitempty"`     // what the host itself says; asked again before it is booted
	Recorded []string `json:"recorded,omitempty"` // what only the control host knows; it holds while the host is in that boot
}

// Reasons lists why.
func (o *OwedReboot) Reasons() []string { return slices.Concat(o.Host, o.Recorded) }

// RollbackInfo says whether the packages to go back are at hand.
type RollbackInfo struct {
	Because  string      `json:"because,omitempty"` // what else is in the way
	Complete bool        `json:"complete"`
	Missing  []rpm.NEVRA `json:"missing"`
	Set      string      `json:"set,omitempty"` // ID of one of Plan.Rollbacks, where the way back was computed and is complete
}

// Impact is what the set touches on the host beside packages.
type Impact struct {
	ConfigFiles   []string `json:"config_files,omitempty"`
	Reboot        bool     `json:"reboot"`
	RebootReasons []string `json:"reboot_reasons,omitempty"`
	Scriptlets    []string `json:"scriptlets,omitempty"`
	// Services are the units that scriptlets of the set restart, ConfigFiles the configuration files whose content changes,
	// Scriptlets the packages whose scriptlets differ from those installed, "NEVRA: post, postun".
	Services []string `json:"services,omitempty"`
	// Unread counts packages whose file or installed header could not be read: of those the three lists say nothing.
	Unread int `json:"unread,omitempty"`
}

// PlanPackage is one file that the plan needs, with where it comes from.
type PlanPackage struct {
	Advisories []string  `json:"advisories"` // those that list this very build
	Checksum   Checksum  `json:"checksum"`
	NEVRA      rpm.NEVRA `json:"nevra"`
	Path       string    `json:"path"` // relative to the repository
	Repo       string    `json:"repo"`
	SHA256     string    `json:"sha256,omitempty"` // from metadata of that type; rollout start computes it otherwise
	Size       int64     `json:"size"`             // bytes, as metadata says, else as the file has; 0 where there is none either
	Vendor     string    `json:"vendor"`
}

// Checksum is a digest as repository metadata gives it.
type Checksum struct {
	Type  string `json:"type"` // sha256, sha512, sha1 ("sha" in old metadata), md5
	Value string `json:"value"`
}
