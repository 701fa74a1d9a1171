package rollout

import (
	"encoding/json"
	"time"

	"cpacman/inventory"
)

// Settings is what a site says about rollouts, in plain values: what Resolve makes a schedule of.
type Settings struct {
	Classes  []ClassSettings // in order
	Levels   []LevelSettings // in order
	Rollout  RolloutSettings
	Limits   Limits
	Checks   map[string]Check
	Hosts    map[string]HostSettings
	Clusters map[string]ClusterSettings
	Windows  map[string]WindowPlan
	Hooks    map[string]HookSettings
	Left     map[string]Excluded // hosts that are left out whatever the plan says: in maintenance or retired since
	NoBack   []string            // NEVRAs of packages of ways back that cannot be had
}

// HookSettings is a hook as the site defines it.
type HookSettings struct {
	When       inventory.HookWhen
	Definition json.RawMessage // what it does, for the digest
	Digest     string          // sha256 of a program on the control host, "" for a command on the host
}

// ClassSettings is a class and its gate.
type ClassSettings struct {
	Name        string
	Approve     int      // people who must say yes before the class is entered
	NotStarter  bool     // at its gates and those of its levels the one who started does not count
	Ticket      string   // pattern of the tickets of its approvals; "": none is wanted
	TicketCheck []string // program that knows tickets; {ticket} is replaced
}

// LevelSettings is a level: its waves, its budget, its gate.
type LevelSettings struct {
	Name        string
	Waves       []inventory.Amount // of the level's hosts in the plan, not cumulative; the last repeats
	MaxFailures inventory.Amount   // of each wave, and of the level
	Soak        time.Duration
	Checks      []string
	Approve     int // people who must say yes before the level is entered
}

// RolloutSettings holds for the whole rollout.
type RolloutSettings struct {
	MaxFailures    inventory.Amount
	MaxUnreachable inventory.Amount
	MinSample      int
	Quorum         inventory.Amount
	Unreachable    inventory.UnreachableMode
	Strict         bool
	Order          inventory.OrderMode
	Rollback       inventory.RollbackMode
	Scriptlets     inventory.ScriptletMode
	ConfigFiles    inventory.ScriptletMode
	NoRollback     []string // globs of names: a set with one never goes back by itself
	Confirm        time.Duration
	ConfirmFor     []string // globs of names that can cut a host off
	WithoutSwitch  inventory.SwitchMode
	Reboot         inventory.RebootMode
	RebootTimeout  time.Duration
}

// HostSettings is what the inventory says of one host.
type HostSettings struct {
	Checks   []string // beside those of its level
	Clusters []string
	Before   []string // hooks
	After    []string
	Windows  []string // it may begin while one of them is open; none: at any time
}

// ClusterSettings is a cluster with all its members, in the plan or not.
type ClusterSettings struct {
	MaxUnavailable inventory.Amount
	Members        []string
}

// Limits bound what is done at once, and how long things may take. They are no part of what an approval binds.
type Limits struct {
	Connections  int           `json:"connections"`
	Transfers    int           `json:"transfers"`
	Transactions int           `json:"transactions"`
	LockWait     time.Duration `json:"lock_wait"`
}

// Check is what the engine knows of a health check. What it does is behind Health; Definition is there to be bound by the
// digest and shown.
type Check struct {
	Name       string          `json:"name"`
	Definition json.RawMessage `json:"definition,omitempty"`
	Interval   time.Duration   `json:"interval"` // between two tries
	Passes     int             `json:"passes"`   // in a row
	Deadline   time.Duration   `json:"deadline"` // for all tries; red or unknown then is red or unknown for good
}

// Timing is how the engine waits. The zero value of each field means its default.
type Timing struct {
	CommandPoll  time.Duration // how often commands are asked for; 1 s
	PollMin      time.Duration // first wait between two polls of a transaction; 500 ms
	PollMax      time.Duration // longest wait between two polls; 5 s
	ReconnectMin time.Duration // first wait before a reconnection after the start; 1 s
	ReconnectMax time.Duration // longest; 30 s
	LostAfter    time.Duration // without an answer after the start, the host is lost; 10 min
	OverdueAfter time.Duration // a transaction is flagged overdue, never killed; 30 min
	SoakEvery    time.Duration // between two rounds of checks during a soak; 1 min, at most the soak
	ClusterEvery time.Duration // between two looks at a cluster at its floor; 10 s
	SettleWithin time.Duration // for clean-up calls (unlock, discard) after the work; 30 s
}

func (t Timing) withDefaults() Timing {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&t.CommandPoll, time.Second)
	def(&t.PollMin, 500*time.Millisecond)
	def(&t.PollMax, 5*time.Second)
	def(&t.ReconnectMin, time.Second)
	def(&t.ReconnectMax, 30*time.Second)
	def(&t.LostAfter, 10*time.Minute)
	def(&t.OverdueAfter, 30*time.Minute)
	def(&t.SoakEvery, time.Minute)
	def(&t.ClusterEvery, 10*time.Second)
	def(&t.SettleWithin, 30*time.Second)
	return t
}
