package rollout

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"cpacman/inventory"
	"cpacman/planner"
)

// Schedule is a plan resolved against the settings of a site: every percentage an integer, every host in its wave, in the
// order in which it will be admitted. It is recorded before the start and never computed again; Amend gives single hosts another set.
type Schedule struct {
	PlanID    string              `json:"plan_id"`
	Hosts     int                 `json:"hosts"`
	Levels    []LevelPlan         `json:"levels"` // in order of execution: classes, in them levels
	Waves     []WavePlan          `json:"waves"`  // in order of execution, over all levels
	Host      map[string]HostPlan `json:"host"`
	Clusters  []ClusterPlan       `json:"clusters,omitempty"` // those with a member in the plan, by name
	Windows   []WindowPlan        `json:"windows,omitempty"`  // those in use, by name
	Checks    []Check             `json:"checks"`             // those in use, by name
	Budget    Budget              `json:"budget"`             // of the rollout
	Unreached Budget              `json:"unreached"`          // of the rollout
	MinSample int                 `json:"min_sample"`
	Quorum    int                 `json:"quorum"` // hosts that must be reachable before anything starts

	Unreachable inventory.UnreachableMode `json:"unreachable"`
	Strict      bool                      `json:"strict"`
	Order       inventory.OrderMode       `json:"order"`
	Rollback    inventory.RollbackMode    `json:"rollback"`
	Scriptlets  inventory.ScriptletMode   `json:"scriptlet_errors,omitempty"` // fail: a failed scriptlet fails its host
	ConfigFiles inventory.ScriptletMode   `json:"config_files,omitempty"`     // fail: so does a .rpmnew or .rpmsave file

	Confirm       time.Duration         `json:"confirm,omitempty"` // of the dead man's switch, on hosts that have one
	Unarmed       []Unarmed             `json:"unarmed,omitempty"` // hosts that should have a switch and can have none, by name
	Reboot        inventory.RebootMode  `json:"reboot,omitempty"`
	RebootTimeout time.Duration         `json:"reboot_timeout,omitempty"`
	RebootOnly    bool                  `json:"reboot_only,omitempty"` // of a plan of reboots: hosts are booted and nothing is installed
	Services      *planner.Services     `json:"services,omitempty"`    // of a plan of services: they are changed and nothing is installed
	Restart       inventory.RestartMode `json:"restart,omitempty"`
	NoRestart     []string              `json:"no_restart,omitempty"`
	Hooks         []HookPlan            `json:"hooks,omitempty"` // those in use, by name

	// Emergency is set on the schedule of an emergency, with all that it leaves out (ROLL-11).
	Emergency *EmergencyPlan `json:"emergency,omitempty"`

	Excluded []Excluded `json:"excluded,omitempty"` // hosts of the plan that are no part of the rollout, by name
	Warnings []string   `json:"warnings,omitempty"`
	Amended  []Amended  `json:"amended,omitempty"` // what was changed since the start, in order (PLAN-10)
	Limits   Limits     `json:"-"`                 // not bound: how fast, not what

	// Digest is sha256 over all of the above: what an approval binds (PLAN-10).
	Digest string `json:"digest"`
}

// LevelPlan is one level of one class.
type LevelPlan struct {
	Class        string        `json:"class"`
	Level        string        `json:"level"`
	Hosts        int           `json:"hosts"`
	Budget       Budget        `json:"budget"`
	Soak         time.Duration `json:"soak"`
	ClassApprove int           `json:"class_approve,omitempty"` // set on the first level of a class
	Approve      int           `json:"approve,omitempty"`
	NotStarter   bool          `json:"approve_not_starter,omitempty"` // of a level or class with a gate, like the next two
	Ticket       string        `json:"ticket,omitempty"`              // pattern
	TicketCheck  []string      `json:"ticket_check,omitempty"`        // program; {ticket} is replaced
}

// ClassScope names the gate of the class for an approval.
func (l LevelPlan) ClassScope() string { return "class " + l.Class }

// Scope names the gate of the level for an approval.
func (l LevelPlan) Scope() string { return "level " + l.Class + "/" + l.Level }

// WavePlan is one wave: its hosts in the order of admission.
type WavePlan struct {
	Index  int      `json:"index"` // from 0, over the rollout
	Level  int      `json:"level"` // index into Schedule.Levels
	Of     string   `json:"of"`    // the amount as written: "25%"
	Hosts  []string `json:"hosts"`
	Budget Budget   `json:"budget"`
}

// HostPlan is what the schedule knows of one host.
type HostPlan struct {
	Wave            int      `json:"wave"`
	Plan            string   `json:"plan,omitempty"` // of the amendment that it follows; "": the schedule's
	MachineID       string   `json:"machine_id"`
	InstalledDigest string   `json:"installed_digest"`
	Set             string   `json:"set"`
	Empty           bool     `json:"empty,omitempty"` // the set changes nothing
	Checks          []string `json:"checks"`
	Clusters        []string `json:"clusters,omitempty"`
	Windows         []string `json:"windows,omitempty"` // none: it may begin at any time
	PreBroken       bool     `json:"pre_broken,omitempty"`
	Back            string   `json:"back,omitempty"`      // the set that takes it back by itself
	NoBack          string   `json:"no_back,omitempty"`   // why there is none, where one would be of use
	Confirm         bool     `json:"confirm,omitempty"`   // a dead man's switch is armed with its transaction
	BootOnce        bool     `json:"boot_once,omitempty"` // its new kernel becomes the default when it is confirmed
	Before          []string `json:"before,omitempty"`    // hooks
	After           []string `json:"after,omitempty"`
	Boot            string   `json:"boot,omitempty"`     // of a host to be booted: the boot that the plan saw it in
	Recorded        string   `json:"recorded,omitempty"` // why it owes a reboot in that boot, whatever the host says
}

// HookPlan is a hook that the rollout uses.
type HookPlan struct {
	Name       string             `json:"name"`
	When       inventory.HookWhen `json:"when"`
	Definition json.RawMessage    `json:"definition"`
	Digest     string             `json:"digest,omitempty"`
}

// Unarmed is a host whose update can cut it off, and that can have no dead man's switch.
type Unarmed struct {
	Host    string `json:"host"`
	Package string `json:"package"` // what can cut it off
	Why     string `json:"why"`     // why there is no switch
}

// ClusterPlan is a cluster with its floor as an integer.
type ClusterPlan struct {
	Name           string   `json:"name"`
	Members        []string `json:"members"` // all, sorted
	MaxUnavailable int      `json:"max_unavailable"`
}

// Budget is how many hosts may fail; it trips when exceeded.
type Budget struct {
	Max     int    `json:"max"`
	Of      string `json:"of"`      // as written
	Percent bool   `json:"percent"` // a share: within a wave it trips only from MinSample on
}

// Excluded is a host of the plan that is not touched.
type Excluded struct {
	Host   string             `json:"host"`
	Status planner.HostStatus `json:"status"`
	Detail string             `json:"detail,omitempty"`
}

// Resolve makes the schedule of a plan. It is pure: the same arguments give the same schedule. Errors are *PlanError.
func Resolve(plan *planner.Plan, s Settings) (Schedule, error) {
	if err := checkSettings(s); err != nil {
		return Schedule{}, err
	}
	r := resolver{plan: plan, s: s, checks: map[string]bool{}, clusters: map[string]bool{}}
	r.out = Schedule{
		PlanID: plan.ID, Host: map[string]HostPlan{}, Limits: s.Limits,
		MinSample: s.Rollout.MinSample, Unreachable: s.Rollout.Unreachable, Strict: s.Rollout.Strict,
		Order: s.Rollout.Order, Rollback: s.Rollout.Rollback, Scriptlets: s.Rollout.Scriptlets, ConfigFiles: s.Rollout.ConfigFiles,
		Confirm: s.Rollout.Confirm, Reboot: s.Rollout.Reboot, RebootTimeout: s.Rollout.RebootTimeout,
		RebootOnly: plan.Type == planner.TypeReboot,
	}
	if err := r.services(); err != nil {
		return Schedule{}, err
	}
	if s.Rollout.Restart != inventory.RestartNever && !r.out.packageFree() {
		r.out.Restart, r.out.NoRestart = s.Rollout.Restart, s.Rollout.NoRestart
	}
	if err := r.emergency(); err != nil {
		return Schedule{}, err
	}
	if err := r.hosts(); err != nil {
		return Schedule{}, err
	}
	r.levels()
	if err := r.checkWaived(); err != nil {
		return Schedule{}, err
	}
	n := len(r.out.Host)
	r.out.Hosts = n
	r.out.Budget = budgetOf(s.Rollout.MaxFailures, n)
	r.out.Unreached = budgetOf(s.Rollout.MaxUnreachable, n)
	r.out.Quorum = s.Rollout.Quorum.AtLeast(n)
	if s.Rollout.Quorum.IsZero() {
		r.out.Quorum = 0
	}
	r.finish()
	r.out.Digest = r.out.digest()
	return r.out, nil
}

func budgetOf(a inventory.Amount, n int) Budget {
	return Budget{Max: a.Budget(n), Of: a.String(), Percent: a.IsPercent()}
}

func checkSettings(s Settings) error {
	switch s.Rollout.Rollback {
	case inventory.RollbackNever, inventory.RollbackHost, inventory.RollbackWave, inventory.RollbackLevel:
	default:
		return &PlanError{fmt.Sprintf("rollback = %q is not never, host, wave or level", s.Rollout.Rollback)}
	}
	for _, l := range s.Levels {
		if len(l.Waves) == 0 {
			return &PlanError{fmt.Sprintf("level %s has no waves", l.Name)}
		}
	}
	switch s.Rollout.Unreachable {
	case inventory.UnreachableDefer, inventory.UnreachableFail, inventory.UnreachableIgnore:
	default:
		return &PlanError{fmt.Sprintf("unreachable = %q is not defer, fail or ignore", s.Rollout.Unreachable)}
	}
	if s.Limits.Connections < 1 || s.Limits.Transfers < 1 || s.Limits.Transactions < 1 {
		return &PlanError{"limits: connections, transfers and transactions must be at least 1"}
	}
	return nil
}

// resolver carries the state of one Resolve.
type resolver struct {
	plan     *planner.Plan
	s        Settings
	out      Schedule
	byLevel  map[[2]string][]string // class, level → hosts, in rank order
	checks   map[string]bool
	clusters map[string]bool
}

// hosts sorts the hosts of the plan into levels and those that are no part of the rollout.
func (r *resolver) hosts() error {
	sets := map[string]planner.Set{}
	for _, set := range r.plan.Sets {
		sets[set.ID] = set
	}
	levelAt := map[string]int{}
	for i, l := range r.s.Levels {
		levelAt[l.Name] = i
	}
	classKnown := map[string]bool{}
	for _, c := range r.s.Classes {
		classKnown[c.Name] = true
	}
	r.byLevel = map[[2]string][]string{}
	seen := map[string]bool{}
	for _, h := range r.plan.Hosts {
		if seen[h.Host] {
			return &PlanError{fmt.Sprintf("plan %s lists host %s twice", short(r.plan.ID), h.Host)}
		}
		seen[h.Host] = true
		if h.Status != planner.StatusPlanned {
			r.out.Excluded = append(r.out.Excluded, Excluded{h.Host, h.Status, h.Detail})
			continue
		}
		if left, ok := r.s.Left[h.Host]; ok {
			r.out.Excluded = append(r.out.Excluded, left)
			continue
		}
		level, ok := levelAt[h.Level]
		switch {
		case !ok:
			return &PlanError{fmt.Sprintf("host %s: the plan has it in level %q, which the site does not define", h.Host, h.Level)}
		case !classKnown[h.Class]:
			return &PlanError{fmt.Sprintf("host %s: the plan has it in class %q, which the site does not define", h.Host, h.Class)}
		}
		set, known := sets[h.Set]
		if !known {
			return &PlanError{fmt.Sprintf("host %s: the plan has no set %q", h.Host, h.Set)}
		}
		hs := r.s.Hosts[h.Host]
		hp := HostPlan{
			MachineID: h.MachineID, InstalledDigest: h.InstalledDigest, Set: h.Set, Empty: set.Empty() && h.Keys.Empty() && !r.out.packageFree(),
			Checks: r.without(union(r.s.Levels[level].Checks, hs.Checks)), Clusters: union(nil, hs.Clusters),
			Windows:   union(nil, hs.Windows),
			PreBroken: len(h.PreBroken) > 0, Before: hs.Before, After: hs.After,
		}
		if h.Reboot != nil {
			hp.Boot, hp.Recorded = h.Reboot.Boot, boundText(strings.Join(h.Reboot.Recorded, "; "))
		}
		r.wayBack(h, set, &hp)
		if err := r.use(h.Host, hp); err != nil {
			return err
		}
		r.out.Host[h.Host] = hp
		key := [2]string{h.Class, h.Level}
		r.byLevel[key] = append(r.byLevel[key], h.Host)
	}
	slices.SortFunc(r.out.Excluded, func(a, b Excluded) int { return strings.Compare(a.Host, b.Host) })
	return nil
}

// use notes the checks and clusters of a host and refuses unknown ones.
func (r *resolver) use(host string, hp HostPlan) error {
	for _, c := range hp.Checks {
		if _, ok := r.s.Checks[c]; !ok {
			return &PlanError{fmt.Sprintf("host %s: health check %q is not defined", host, c)}
		}
		r.checks[c] = true
	}
	for _, c := range hp.Clusters {
		if _, ok := r.s.Clusters[c]; !ok {
			return &PlanError{fmt.Sprintf("host %s: cluster %q is not defined", host, c)}
		}
		r.clusters[c] = true
	}
	return r.useWindows(host, hp.Windows)
}

// union is a without repetition, then what b adds, in order.
func union(a, b []string) []string {
	out := []string{}
	for _, s := range slices.Concat(a, b) {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// levels cuts every level of every class into waves.
func (r *resolver) levels() {
	for _, class := range r.s.Classes {
		first := true
		for _, level := range r.s.Levels {
			hosts := r.byLevel[[2]string{class.Name, level.Name}]
			if len(hosts) == 0 {
				continue
			}
			lp := LevelPlan{
				Class: class.Name, Level: level.Name, Hosts: len(hosts), Soak: level.Soak, Approve: level.Approve,
				Budget: budgetOf(level.MaxFailures, len(hosts)),
			}
			if first {
				lp.ClassApprove, first = class.Approve, false
			}
			r.hasten(&lp)
			if lp.ClassApprove > 0 || lp.Approve > 0 {
				lp.NotStarter, lp.Ticket, lp.TicketCheck = class.NotStarter, class.Ticket, class.TicketCheck
			}
			r.out.Levels = append(r.out.Levels, lp)
			r.waves(len(r.out.Levels)-1, level, r.ordered(hosts))
		}
	}
}

func (r *resolver) waves(level int, ls LevelSettings, hosts []string) {
	total := len(hosts)
	for i := 0; len(hosts) > 0; i++ {
		of := ls.Waves[min(i, len(ls.Waves)-1)]
		n := min(of.AtLeast(total), len(hosts))
		if n > 1 && r.firstOfClass(level) {
			of, n, i = inventory.Count(1), 1, i-1 // and then the waves of the level, as written
			r.out.Emergency.FirstWave = append(r.out.Emergency.FirstWave, len(r.out.Waves))
		}
		w := WavePlan{Index: len(r.out.Waves), Level: level, Of: of.String(), Hosts: hosts[:n:n], Budget: budgetOf(ls.MaxFailures, n)}
		for _, h := range w.Hosts {
			hp := r.out.Host[h]
			hp.Wave = w.Index
			r.out.Host[h] = hp
		}
		r.out.Waves = append(r.out.Waves, w)
		hosts = hosts[n:]
	}
}

// ordered ranks the hosts of a level: by hash or by name, and in rounds of one member of each cluster (INV-5).
func (r *resolver) ordered(hosts []string) []string {
	ranked := slices.Clone(hosts)
	if r.s.Rollout.Order == inventory.OrderInventory {
		slices.Sort(ranked)
	} else {
		slices.SortFunc(ranked, func(a, b string) int {
			ra, rb := rank(a, r.plan.ID), rank(b, r.plan.ID)
			if ra != rb {
				if ra < rb {
					return -1
				}
				return 1
			}
			return strings.Compare(a, b)
		})
	}
	placed := map[string]int{} // members of a cluster placed so far
	round := map[string]int{}
	for _, h := range ranked {
		n := 0
		for _, c := range r.out.Host[h].Clusters {
			n = max(n, placed[c])
		}
		round[h] = n
		for _, c := range r.out.Host[h].Clusters {
			placed[c] = n + 1
		}
	}
	slices.SortStableFunc(ranked, func(a, b string) int { return round[a] - round[b] })
	return ranked
}

// rank orders hosts by a hash of host and plan: the same plan picks the same canaries, another plan picks others (ROLL-1).
func rank(host, plan string) uint64 {
	sum := sha256.Sum256([]byte(host + "\x00" + plan))
	return binary.BigEndian.Uint64(sum[:8])
}

// finish adds checks, clusters and warnings.
func (r *resolver) finish() {
	for _, name := range sortedKeys(r.checks) {
		c := r.s.Checks[name]
		c.Name = name
		c.Passes = max(c.Passes, 1)
		r.out.Checks = append(r.out.Checks, c)
	}
	for _, name := range sortedKeys(r.clusters) {
		c := r.s.Clusters[name]
		members := slices.Clone(c.Members)
		slices.Sort(members)
		limit := c.MaxUnavailable.Budget(len(members))
		r.out.Clusters = append(r.out.Clusters, ClusterPlan{Name: name, Members: members, MaxUnavailable: limit})
		if limit == 0 {
			r.out.Warnings = append(r.out.Warnings, fmt.Sprintf("cluster %s allows no member to be unavailable: its hosts will be held", name))
		}
	}
	r.hooks()
	r.warnBack()
	var unchecked []string
	for h, hp := range r.out.Host {
		if len(hp.Checks) == 0 {
			unchecked = append(unchecked, h)
		}
	}
	if len(unchecked) > 0 {
		r.out.Warnings = append(r.out.Warnings, fmt.Sprintf("%d hosts have no health check, so nothing will say whether their update is good: first %s",
			len(unchecked), slices.Min(unchecked)))
	}
	slices.Sort(r.out.Warnings)
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// digest is sha256 over the schedule without its digest, in JSON with sorted keys.
func (s Schedule) digest() string {
	s.Digest = ""
	b, err := json.Marshal(s)
	if err != nil {
		// Only a Definition that is no JSON can do this; it must not become the digest of something else.
		b = []byte("unencodable: " + err.Error())
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Valid tells whether the schedule is what its digest says, and each of its amendments what it says of the schedule before.
func (s Schedule) Valid() bool {
	if s.Digest == "" || s.Digest != s.digest() {
		return false
	}
	_, err := s.Reviewed()
	return err == nil
}

// Check gives a check by name.
func (s Schedule) Check(name string) (Check, bool) {
	i, ok := slices.BinarySearchFunc(s.Checks, name, func(c Check, n string) int { return strings.Compare(c.Name, n) })
	if !ok {
		return Check{}, false
	}
	return s.Checks[i], true
}
