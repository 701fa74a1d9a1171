package inventory

import (
	"sort"
	"time"
)

// Site is a loaded site. Nothing in it may be changed.
type Site struct {
	Dir      string // absolute
	StateDir string // absolute; may not exist yet
	SSH      SSH
	Limits   Limits
	Facts    FactsSettings
	Rollout  Rollout
	Trail    Trail
	Repos    []Repo  // in the order of the file
	Classes  []Class // in the order of the file, which is their order
	Levels   []Level // in the order of the file, which is their order

	Health    map[string]*HealthCheck // "basic" is always there
	Hooks     map[string]*Hook
	Notify    map[string]*Notify
	Windows   map[string]*Window
	Groups    map[string]*Group
	Clusters  map[string]*Cluster
	Locations map[string]*Location
	People    map[string]*Person // none: everybody is the operating system's user and may do everything
	Hosts     []*Host            // sorted by name, without those that are retired
	Retired   []*Host            // sorted by name; Host finds them too

	top     Source // of cpacman.toml
	owners  Owners
	byName  map[string]*Host
	meta    map[string]bool // every meta key of the site
	ignored []string        // files below inventory/ that are not read

	policies []*Policy    // sorted by name
	resolved *policyCache // by the policies that apply together
	settings *settingsCache
	views    *viewCache
}

// SSH is how hosts are reached. Paths are absolute.
type SSH struct {
	Source
	User                string        `toml:"user"`
	Port                int           `toml:"port"`
	Identity            []string      `toml:"identity"`     // none: the agent
	Certificates        []string      `toml:"certificates"` // of identities or of the agent's keys
	KnownHosts          string        `toml:"known_hosts"`
	Profile             SSHProfile    `toml:"profile"`
	Jump                []Hop         `toml:"jump"` // in the order they are passed
	Sudo                SudoMode      `toml:"sudo"`
	SudoPasswordCommand []string      `toml:"sudo_password_command"`
	ConnectTimeout      time.Duration `toml:"connect_timeout"`
}

// Hop is one jump host.
type Hop struct {
	Address  string   `json:"address"`
	User     string   `json:"user,omitempty"` // "" means the user of the host behind it
	Port     int      `json:"port"`
	Identity []string `json:"identity,omitempty"` // none: those of the host behind it
}

// SSHOverride are the SSH settings that a group or host writes; IsSet tells
// which. The others are zero.
type SSHOverride struct{ SSH }

// Limits bound the work of one control host.
type Limits struct {
	Source
	Connections  int           `toml:"connections"`  // hosts worked on at once
	Starts       int           `toml:"starts"`       // SSH handshakes at once
	Transfers    int           `toml:"transfers"`    // hosts that receive files at once
	Transactions int           `toml:"transactions"` // hosts that run rpm at once
	Reboots      int           `toml:"reboots"`      // hosts that boot at once
	Bandwidth    Rate          `toml:"bandwidth"`    // of all transfers together
	LockWait     time.Duration `toml:"lock_wait"`    // for the rpm lock of a host
	Staged       time.Duration `toml:"staged"`       // how long packages stay on a host that nothing there counts on; 0 is until clean
}

// FactsSettings say how facts are treated.
type FactsSettings struct {
	Source
	MaxAge time.Duration `toml:"max_age"` // older facts are stale
}

// Repo is a repository or a directory of packages on local disk.
type Repo struct {
	Source
	ID       string        `toml:"id"`
	Path     string        `toml:"path"`     // absolute
	Priority int           `toml:"priority"` // the smaller wins
	Auto     bool          `toml:"auto"`     // false: only what is asked for by name comes from it
	Only     []string      `toml:"only"`     // globs of package names it is limited to; empty: no limit
	Exclude  []string      `toml:"exclude"`  // globs of package names
	MinAge   time.Duration `toml:"min_age"`  // since they were built, of the builds that are taken from it; 0: any
	Signed   SignedMode    `toml:"signed"`
	Keys     []string      `toml:"keys"`  // absolute paths of public keys
	Hosts    Selector      `toml:"hosts"` // the zero selector is every host
	Place    int           `toml:"-"`     // in the file, from 0
}

// Class owns a view of the repositories.
type Class struct {
	Source
	Name            string         `toml:"name"`
	Repos           []string       `toml:"repos"` // nil: every repository whose selector matches
	PreBroken       PreBrokenMode  `toml:"pre_broken"`
	HostSignatures  SignaturesMode `toml:"host_signatures"`
	Executor        ExecutorMode   `toml:"executor"`
	InstallOnlyKeep int            `toml:"install_only_keep"` // kernels and the like to keep; 1 counts as 2
	InstallOnly     []string       `toml:"install_only"`      // more globs of names that are installed beside
	KernelModules   []string       `toml:"kernel_modules"`    // globs of names of out-of-tree modules; nil: told by what they require and are called
	Exclude         []string       `toml:"exclude"`           // globs of package names
	VendorChange    VendorChange   `toml:"allow_vendor_change"`
	SameVendor      [][]string     `toml:"same_vendor"` // globs of vendors; those of one list count as one
	Weak            bool           `toml:"weak"`        // follow weak dependencies
	Approve         int            `toml:"approve"`     // people needed at the gate
	NotStarter      bool           `toml:"approve_not_starter"`
	Ticket          string         `toml:"ticket"`       // pattern of the whole ticket; see CompileTicket
	TicketCheck     []string       `toml:"ticket_check"` // program on the control host, no shell; {ticket} is replaced
	Window          WindowNames    `toml:"window"`       // of its hosts, unless they or their groups have others
}

// Level is a step of the order of a rollout.
type Level struct {
	Source
	Name        string        `toml:"name"`
	Waves       []Amount      `toml:"waves"` // of the level's hosts, not cumulative; the last repeats
	MaxFailures Amount        `toml:"max_failures"`
	Soak        time.Duration `toml:"soak"`
	Health      []string      `toml:"health"`
	Approve     int           `toml:"approve"`
}

// Rollout are the settings of every rollout.
type Rollout struct {
	Source
	MaxFailures    Amount          `toml:"max_failures"`
	MaxUnreachable Amount          `toml:"max_unreachable"`
	MinSample      int             `toml:"min_sample"` // below it percentages of budgets do not trip
	Quorum         Amount          `toml:"quorum"`     // of hosts that must be reachable before the start
	Unreachable    UnreachableMode `toml:"unreachable"`
	Scriptlets     ScriptletMode   `toml:"scriptlet_errors"`
	ConfigFiles    ScriptletMode   `toml:"config_files"`
	Strict         bool            `toml:"strict"` // a wave has at most its budget + 1 hosts at work
	Order          OrderMode       `toml:"order"`
	Rollback       RollbackMode    `toml:"rollback"`
	Detach         bool            `toml:"detach"`      // start and resume hand over to an engine of its own
	NoRollback     []string        `toml:"no_rollback"` // globs of names: a set with one of them never goes back by itself
	Confirm        time.Duration   `toml:"confirm"`     // the dead man's switch fires after it; 0: none is armed
	ConfirmFor     []string        `toml:"confirm_for"` // globs of names that can cut a host off
	WithoutSwitch  SwitchMode      `toml:"without_switch"`
	Reboot         RebootMode      `toml:"reboot"`
	RebootTimeout  time.Duration   `toml:"reboot_timeout"`
	Restart        RestartMode     `toml:"restart"`
	NoRestart      []string        `toml:"no_restart"`     // globs of unit names
	EmergencySoak  time.Duration   `toml:"emergency_soak"` // the longest soak of an emergency rollout
}

// Hook is a program that a rollout runs before or after its steps (ROLL-9). Exactly one of Program and Command is set. Placeholders are
// not expanded: see Args.
type Hook struct {
	Source
	Name    string        `toml:"-"`
	When    HookWhen      `toml:"when"`
	Program []string      `toml:"program"` // on the control host, no shell
	Command []string      `toml:"command"` // on the host, no shell
	Timeout time.Duration `toml:"timeout"`
	Hosts   Selector      `toml:"hosts"` // of hooks of hosts; the zero selector is every host
}

// HealthCheck is one named check. Exactly one of HTTP, TCP, Command, Program
// and Systemd is set; none for the check "basic", which asks for a reachable
// host without a newly failed unit. Placeholders are not expanded: see For.
type HealthCheck struct {
	Source
	Name     string        `toml:"-"`
	HTTP     string        `toml:"http"`    // URL, asked from the control host
	TCP      string        `toml:"tcp"`     // address:port, dialled from the control host
	Command  []string      `toml:"command"` // run on the host, no shell
	Program  []string      `toml:"program"` // run on the control host, no shell
	Systemd  Units         `toml:"systemd"` // units that must be active on the host
	Status   int           `toml:"status"`  // of the HTTP answer
	Body     string        `toml:"body"`    // text the HTTP answer must contain
	Interval time.Duration `toml:"interval"`
	Timeout  time.Duration `toml:"timeout"`  // of one try
	Passes   int           `toml:"passes"`   // in a row
	Deadline time.Duration `toml:"deadline"` // for all of it
}

// Group is a named set of hosts with settings. It has the hosts that name it
// and, when Groups is not empty, those that are in all groups of that list and
// in none of those that it has with a "!" (INV-4).
type Group struct {
	Source
	Name    string            `toml:"-"`
	Groups  []string          `toml:"groups"`
	Health  []string          `toml:"health"`
	Exclude []string          `toml:"exclude"`
	Window  WindowNames       `toml:"window"`
	Meta    map[string]string `toml:"meta"`
	SSH     *SSHOverride      `toml:"ssh"`
}

// Cluster is a set of hosts that stand in for each other.
type Cluster struct {
	Source
	Name           string `toml:"-"`
	MaxUnavailable Amount `toml:"max_unavailable"`
}

// Location is where hosts stand.
type Location struct {
	Source
	Name      string `toml:"-"`
	Bandwidth Rate   `toml:"bandwidth"` // of transfers to it, all together
}

// Host is one machine. After loading Address is never empty, Meta has the fields
// of the groups too, and Groups has every group the host is in, the nearest
// first: those it names in their order, then those that have it by their own
// list.
type Host struct {
	Source
	Name     string            `toml:"-"`
	Address  string            `toml:"address"`
	Class    string            `toml:"class"`
	Level    string            `toml:"level"`
	Groups   []string          `toml:"groups"`
	Clusters []string          `toml:"clusters"`
	Location string            `toml:"location"`
	OS       string            `toml:"os"`   // "rocky9"; "" is unknown
	Arch     string            `toml:"arch"` // "" is unknown
	Health   []string          `toml:"health"`
	Exclude  []string          `toml:"exclude"`
	Window   WindowNames       `toml:"window"`
	Meta     map[string]string `toml:"meta"`
	SSH      *SSHOverride      `toml:"ssh"`
	State    HostState         `toml:"state"` // "" is active
	Until    Expiry            `toml:"until"` // end of a maintenance
	Reason   string            `toml:"reason"`

	distance []int // of Groups: 1 for those it names; see nesting.go
}

// Host gives the host of that name, or nil.
func (s *Site) Host(name string) *Host { return s.byName[name] }

// Class gives the class of that name, or nil.
func (s *Site) Class(name string) *Class {
	if i := s.ClassIndex(name); i >= 0 {
		return &s.Classes[i]
	}
	return nil
}

// Level gives the level of that name, or nil.
func (s *Site) Level(name string) *Level {
	if i := s.LevelIndex(name); i >= 0 {
		return &s.Levels[i]
	}
	return nil
}

// Repo gives the repository of that id, or nil.
func (s *Site) Repo(id string) *Repo {
	for i := range s.Repos {
		if s.Repos[i].ID == id {
			return &s.Repos[i]
		}
	}
	return nil
}

// ClassIndex gives the place of a class in the order of classes, or -1.
func (s *Site) ClassIndex(name string) int {
	for i := range s.Classes {
		if s.Classes[i].Name == name {
			return i
		}
	}
	return -1
}

// LevelIndex gives the place of a level in the order of levels, or -1.
func (s *Site) LevelIndex(name string) int {
	for i := range s.Levels {
		if s.Levels[i].Name == name {
			return i
		}
	}
	return -1
}

// Members gives the hosts of a cluster, sorted by name.
func (s *Site) Members(cluster string) []*Host {
	var out []*Host
	for _, h := range s.Hosts {
		for _, c := range h.Clusters {
			if c == cluster {
				out = append(out, h)
				break
			}
		}
	}
	return out
}

// VerifyProgram checks a program of the site right before it is run; see
// Owners.VerifyProgram.
func (s *Site) VerifyProgram(path string) error { return s.owners.VerifyProgram(path) }

// sortedKeys gives the keys of a map in order.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
