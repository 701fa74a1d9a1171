package rollout

import (
	"strconv"
	"time"
)

// Reason is why a host is held, failed or skipped, or why a rollout stopped: a code for programs, a sentence for people.
type Reason struct {
	Code ReasonCode `json:"code,omitempty"`
	Text string     `json:"text,omitempty"` // bounded by MaxText; from a host: to be sanitised where it is shown
}

// ReasonCode names a reason. The list may grow.
type ReasonCode string

// The reasons. The first group is given by the engine, the second by what a host answered.
const (
	ReasonStopped        ReasonCode = "stopped"         // the rollout was stopped before this host began
	ReasonAborted        ReasonCode = "aborted"         //
	ReasonBudget         ReasonCode = "budget"          // failures exceed a budget
	ReasonUnreachables   ReasonCode = "max_unreachable" // unreachable hosts exceed their budget
	ReasonWorst          ReasonCode = "worst_class"     // a host is lost or unreconciled
	ReasonProvedNothing  ReasonCode = "proved_nothing"  // no host of the wave shows that the plan is good
	ReasonQuorum         ReasonCode = "quorum"          // too few hosts can be reached to begin
	ReasonExpired        ReasonCode = "plan_expired"    //
	ReasonApproval       ReasonCode = "approval"        // waits for an approval
	ReasonWindow         ReasonCode = "window"          // waits for its maintenance window
	ReasonOperator       ReasonCode = "operator"        // pause, skip, drain
	ReasonClusterFloor   ReasonCode = "cluster_floor"   // too many of a cluster are unavailable
	ReasonDryRun         ReasonCode = "dry_run"         //
	ReasonRedBefore      ReasonCode = "red_before"      //
	ReasonHealth         ReasonCode = "health"          // a check is red
	ReasonHealthUnknown  ReasonCode = "health_unknown"  // a check could not be judged by its deadline
	ReasonUnanswered     ReasonCode = "no_answer"       // no answer after the start
	ReasonForgotten      ReasonCode = "id_forgotten"    // the host does not know a transaction that had begun
	ReasonInterrupted    ReasonCode = "interrupted"     // the transaction was cut on the host
	ReasonInternal       ReasonCode = "internal"        // a defect or a fault of the control host
	ReasonChanged        ReasonCode = "changed"         // the host is not what the plan was made from
	ReasonRebuilt        ReasonCode = "rebuilt"         // another machine answers under this name
	ReasonBusy           ReasonCode = "busy"            // an earlier transaction is unfinished, or a shutdown is due
	ReasonLocked         ReasonCode = "locked"          // a lock stayed with somebody else
	ReasonKeyMissing     ReasonCode = "key_missing"     //
	ReasonExecutor       ReasonCode = "no_executor"     // the host has no dnf, and its class wants it
	ReasonKeyRefused     ReasonCode = "key_refused"     // the host's rpm does not take a signing key, as by crypto policy
	ReasonSpace          ReasonCode = "space"           //
	ReasonAuth           ReasonCode = "auth"            // the host refuses our identity or sudo
	ReasonHostKey        ReasonCode = "host_key"        //
	ReasonStage          ReasonCode = "stage"           //
	ReasonTest           ReasonCode = "test"            //
	ReasonTransaction    ReasonCode = "transaction"     //
	ReasonUnreachable    ReasonCode = "unreachable"     //
	ReasonAlreadyUpdated ReasonCode = "already_updated" //
	ReasonRollback       ReasonCode = "rollback"        // taken back, and why
	ReasonNoSwitch       ReasonCode = "no_switch"       // a dead man's switch is wanted and cannot be had
	ReasonKernel         ReasonCode = "kernel"          // its new kernel did not come up
	ReasonHook           ReasonCode = "hook"            // a before-hook failed
	ReasonReboot         ReasonCode = "reboot"          // did not come back from its reboot
	ReasonNotDue         ReasonCode = "not_due"         // owes no reboot, or its services are as the plan wants them
	ReasonRestart        ReasonCode = "restart"         // what the restart of services came to
	ReasonServices       ReasonCode = "services"        // what came of services that were to be stopped or started
	ReasonMaintenance    ReasonCode = "maintenance"     // the inventory has it in maintenance, or retired, by now
	ReasonRestored       ReasonCode = "restored"        // the journal came out of a backup
)

// MaxText bounds a reason's text, a check's output and a detail, in bytes: a journal row stays small whatever a host prints.
const MaxText = 4096

// Flag is something worth showing beside a state (design 5).
type Flag string

// The flags.
const (
	FlagOverdue         Flag = "overdue"          // the transaction takes longer than expected; it is never killed
	FlagScriptletErrors Flag = "scriptlet_errors" //
	FlagConfigFiles     Flag = "config_files"     // .rpmnew or .rpmsave files were made
	FlagPreBroken       Flag = "pre_broken"       //
	FlagRechecked       Flag = "rechecked"        // the host had changed, and its set computed again was the same
	FlagRedBefore       Flag = "red_before"       // a check was red before the update and does not blame it
	FlagRebootDue       Flag = "reboot_due"       // what was updated becomes effective only after a boot, and none was asked for
	FlagRestartDue      Flag = "restart_due"      // services run files that are gone, and were not restarted
	FlagRestartFailed   Flag = "restart_failed"   // a service that was restarted did not come back
	FlagHookFailed      Flag = "hook_failed"      // an after-hook failed
	FlagAmended         Flag = "amended"          // it follows an amendment of the plan
)

// Verdict is the result of a check. Unknown is never green.
type Verdict string

// The verdicts.
const (
	Green   Verdict = "green"
	Red     Verdict = "red"
	Unknown Verdict = "unknown"
)

// CheckResult is one run of one check on one host.
type CheckResult struct {
	Check     string        `json:"check"`
	Verdict   Verdict       `json:"verdict"`
	Output    string        `json:"output,omitempty"`     // for people, bounded by MaxText
	RedBefore bool          `json:"red_before,omitempty"` // red in the baseline too: reported, not blamed on the update
	Evidence  string        `json:"evidence,omitempty"`   // opaque to the engine: what the check compares later runs with
	Took      time.Duration `json:"took,omitempty"`
	At        time.Time     `json:"at"`
}

// HostRecord is everything the journal keeps of one host of one rollout.
type HostRecord struct {
	Host     string        `json:"host"`
	State    State         `json:"state"`
	Reason   Reason        `json:"reason,omitzero"`
	Flags    []Flag        `json:"flags,omitempty"`     // sorted, no duplicates
	Wave     int           `json:"wave"`                // index into Schedule.Waves
	Attempt  int           `json:"attempt"`             // from 1; a retry adds one
	TxID     string        `json:"tx_id,omitempty"`     // of this attempt, once a transaction was asked for
	Began    bool          `json:"began,omitempty"`     // the host has confirmed that it knows TxID
	Cut      bool          `json:"cut,omitempty"`       // the host said the transaction was interrupted
	EraseDue bool          `json:"erase_due,omitempty"` // step (c) has something to do once checks are green
	Erasing  bool          `json:"erasing,omitempty"`   // step (c) was asked for
	Deferred int           `json:"deferred,omitempty"`  // how often in this attempt
	Touched  bool          `json:"touched,omitempty"`   // an earlier attempt asked for a transaction
	Unasked  int           `json:"unasked,omitempty"`   // after a restore, until the host was asked: the first attempt that the journal cannot vouch for
	Remark   string        `json:"remark,omitempty"`    // what the last transaction left to know: failed scriptlets, configuration files
	Back     bool          `json:"back,omitempty"`      // on the way back, or was
	BackWhy  Reason        `json:"back_why,omitzero"`   // what took it back
	Boot     string        `json:"boot,omitempty"`      // the boot it was in when its reboot was asked for
	Owed     []string      `json:"owed,omitempty"`      // after-hooks that are still to be run
	Locked   bool          `json:"locked,omitempty"`    // the host's lock may be held: it is given back once the host is at rest
	Baseline []CheckResult `json:"baseline,omitempty"`  // taken before the transaction
	Checks   []CheckResult `json:"checks,omitempty"`    // the latest results
	Started  time.Time     `json:"started,omitzero"`    // admitted, this attempt
	TxAt     time.Time     `json:"tx_at,omitzero"`      // when the transaction was asked for
	Updated  time.Time     `json:"updated"`
}

// TxID is the id of a host's transaction: rollout/host/attempt (design 5). Attempts count from 1.
func TxID(rollout, host string, attempt int) string {
	return rollout + "/" + host + "/" + strconv.Itoa(attempt)
}

// RolloutState is what a rollout as a whole is in.
type RolloutState string

// The states of a rollout.
const (
	RolloutCreated RolloutState = "created" // recorded; the quorum is not yet met
	RolloutRunning RolloutState = "running"
	RolloutPaused  RolloutState = "paused"  // by an operator or by the first Ctrl-C
	RolloutWaiting RolloutState = "waiting" // for an approval, or for a maintenance window
	RolloutStopped RolloutState = "stopped" // by a gate, a budget, the quorum or the plan's expiry
	RolloutAborted RolloutState = "aborted" // never to go on
	RolloutDone    RolloutState = "done"    // every host is final; a retry may open it again
)

// StopReason says what stopped a rollout, in enough detail for `rollout status`: which check, on which host, its output.
type StopReason struct {
	Reason
	Scope  string `json:"scope,omitempty"` // "wave 3", "level canary", "rollout"
	Host   string `json:"host,omitempty"`
	Check  string `json:"check,omitempty"`
	Output string `json:"output,omitempty"`
	// Back lists the waves whose hosts go back with it, by index.
	Back []int `json:"back,omitempty"`
}

// IsZero tells that nothing stopped the rollout.
func (s StopReason) IsZero() bool { return s.Code == "" && s.Text == "" && s.Scope == "" }

// Rollout is the record of one execution of a plan.
type Rollout struct {
	ID         string       `json:"id"`
	PlanID     string       `json:"plan_id"`
	PlanType   string       `json:"plan_type"`
	Digest     string       `json:"digest"` // of plan and resolved settings: what an approval binds
	ExpiresAt  time.Time    `json:"expires_at"`
	State      RolloutState `json:"state"`
	Stop       StopReason   `json:"stop,omitzero"`         // why stopped, paused, waiting or aborted
	WaitingFor string       `json:"waiting_for,omitempty"` // scope of the missing approval
	DryRun     bool         `json:"dry_run,omitempty"`
	KeepStaged bool         `json:"keep_staged,omitempty"`
	Staging    bool         `json:"staging,omitempty"` // a dry run whose purpose is what it leaves on the hosts (PUSH-3)
	Again      bool         `json:"again,omitempty"`   // the plan had been started before
	// WithoutSwitch: started although hosts that should have a dead man's switch can have none.
	WithoutSwitch bool `json:"without_switch,omitempty"`
	IgnoreWindow  bool `json:"ignore_window,omitempty"` // maintenance windows do not limit it; Reason says why
	// Emergency: its schedule is one of an emergency; Reason says why, the schedule what is left out.
	Emergency bool `json:"emergency,omitempty"`
	// Unreconciled: the journal was restored from a backup and the hosts have not been asked since (OPS-1).
	Unreconciled bool   `json:"unreconciled,omitempty"`
	Reason       string `json:"reason,omitempty"`
	User         string `json:"user"`
	Person       string `json:"person,omitempty"`  // of User, when it was started
	Claimed      string `json:"claimed,omitempty"` // what sudo says of User
	QuorumMet    bool   `json:"quorum_met,omitempty"`
	CommandSeq   int64  `json:"command_seq"` // the last command taken
	// Hooked: the before-hooks of the rollout have run, and Owed are its after-hooks; LevelHooked and OwedLevel are the same of the
	// level of that number, from 1. Its negative: they were begun, and not all have run.
	Hooked      bool      `json:"hooked,omitempty"`
	Owed        []string  `json:"owed,omitempty"`
	LevelHooked int       `json:"level_hooked,omitempty"`
	OwedLevel   []string  `json:"owed_level,omitempty"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
	EndedAt     time.Time `json:"ended_at,omitzero"`
}

// WaveState is what a wave is in.
type WaveState string

// The states of a wave.
const (
	WavePending WaveState = "pending"
	WaveRunning WaveState = "running" // hosts may be admitted
	WaveSoaking WaveState = "soaking" // every host is final; checks go on until SoakUntil
	WavePassed  WaveState = "passed"  // its gate is open
	WaveFailed  WaveState = "failed"  // its gate stays shut
)

// WaveWord is what people are told of a wave: one that came to its end without any host that was updated has passed nothing.
func WaveWord(s WaveState, verdict Reason) string {
	if s == WavePassed && verdict.Code == ReasonProvedNothing {
		return "unproven"
	}
	return string(s)
}

// WaveRecord is what the journal keeps of a wave.
type WaveRecord struct {
	Index     int           `json:"index"`
	State     WaveState     `json:"state"`
	StartedAt time.Time     `json:"started_at,omitzero"`
	SoakUntil time.Time     `json:"soak_until,omitzero"` // absolute, so that it survives a restart
	SoakLeft  time.Duration `json:"soak_left,omitempty"` // while paused
	Prepared  bool          `json:"prepared,omitempty"`  // its before-hooks have run
	Owed      []string      `json:"owed,omitempty"`      // its after-hooks that are still to be run
	PassedAt  time.Time     `json:"passed_at,omitzero"`  // the first time; a retry may run the wave again
	Verdict   Reason        `json:"verdict,omitzero"`
}

// Approval is a yes of one person to entering one scope, for exactly one digest.
type Approval struct {
	Scope  string    `json:"scope"` // "class production" or "level production/broad"
	User   string    `json:"user"`
	Reason string    `json:"reason"`
	Digest string    `json:"digest"`
	At     time.Time `json:"at"`

	Person    string `json:"person,omitempty"`    // who counts; decided again each time it is counted
	How       How    `json:"how,omitempty"`       // "" is HowOSUser
	Key       string `json:"key,omitempty"`       // fingerprint, of a signature
	Claimed   string `json:"claimed,omitempty"`   // what sudo says of User; never counts
	Ticket    string `json:"ticket,omitempty"`    //
	Nonce     string `json:"nonce,omitempty"`     // of Request
	Request   string `json:"request,omitempty"`   // the text that was signed
	Signature string `json:"signature,omitempty"` // of it, armoured
}

// CommandKind is what an operator at another terminal wants.
type CommandKind string

// The commands.
const (
	CommandPause   CommandKind = "pause"
	CommandResume  CommandKind = "resume"
	CommandAbort   CommandKind = "abort"
	CommandApprove CommandKind = "approve"
	CommandRetry   CommandKind = "retry"
	CommandSkip    CommandKind = "skip"
	CommandBack    CommandKind = "rollback"
)

// Command is an operator's wish, written by any process and carried out by the engine that holds the lease.
type Command struct {
	Seq    int64       `json:"seq"` // given by the store, increasing within a rollout, from 1
	Kind   CommandKind `json:"kind"`
	Host   string      `json:"host,omitempty"`   // retry, skip; retry without a host: every failed, held or unreachable one
	Scope  string      `json:"scope,omitempty"`  // approve; empty: what is being waited for
	Digest string      `json:"digest,omitempty"` // approve
	User   string      `json:"user"`
	Reason string      `json:"reason,omitempty"`
	At     time.Time   `json:"at"`

	Claimed   string `json:"claimed,omitempty"`   // what sudo says of User
	Ticket    string `json:"ticket,omitempty"`    // approve
	Request   string `json:"request,omitempty"`   // approve: the text that was signed
	Signature string `json:"signature,omitempty"` // approve: of it, armoured
}

// EventKind sorts events.
type EventKind string

// The kinds of event. Progress is not journalled.
const (
	EventRollout  EventKind = "rollout"  // the rollout changed its state
	EventWave     EventKind = "wave"     // a wave changed its state
	EventHost     EventKind = "host"     // a host changed its state
	EventFlag     EventKind = "flag"     // a flag or detail of a host changed, not its state
	EventCommand  EventKind = "command"  // a command was taken or refused
	EventProgress EventKind = "progress" // bytes of a transfer
	EventWarning  EventKind = "warning"  // something an operator should know
)

// Event is one line of the progress of a rollout: what observers see and the journal keeps.
type Event struct {
	Seq     int64     `json:"seq,omitempty"` // given by the store
	At      time.Time `json:"at"`
	Rollout string    `json:"rollout"`
	Kind    EventKind `json:"kind"`
	Wave    int       `json:"wave"`
	Host    string    `json:"host,omitempty"`
	From    string    `json:"from,omitempty"`
	To      string    `json:"to,omitempty"`
	On      Trigger   `json:"on,omitempty"`
	Attempt int       `json:"attempt,omitempty"`
	TxID    string    `json:"tx_id,omitempty"`
	Reason  Reason    `json:"reason,omitzero"`
	Done    int64     `json:"done,omitempty"`  // bytes, of a progress event
	Total   int64     `json:"total,omitempty"` // bytes
	User    string    `json:"user,omitempty"`
	Refused bool      `json:"refused,omitempty"` // a command that was not carried out
}

// Owner is who runs the engine of a rollout.
type Owner struct {
	User   string    `json:"user"`
	Host   string    `json:"host"`
	PID    int       `json:"pid"`
	BootID string    `json:"boot_id"`
	Since  time.Time `json:"since"`
}

// Change is one atomic write of the journal: all of it or nothing. Records are whole and replace what was there.
type Change struct {
	Rollout  *Rollout     // when it changed
	Waves    []WaveRecord // those that changed
	Hosts    []HostRecord // those that changed
	Approval *Approval    // when one was given
	Events   []Event      // what happened, for history
}

// Snapshot is a rollout as the journal has it.
type Snapshot struct {
	Rollout   Rollout
	Schedule  Schedule
	Waves     []WaveRecord // by index, all of them
	Hosts     []HostRecord // all of them, any order
	Approvals []Approval
}
