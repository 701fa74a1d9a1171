package rollout

// State is what one host of a rollout is in. A host has exactly one (design 5).
type State string

// The states on the way.
const (
	StatePending     State = "pending"      // not begun
	StateDeferred    State = "deferred"     // could not be reached; is tried again at the end of its wave
	StateConnecting  State = "connecting"   // admitted: it is being dialled
	StatePreflight   State = "preflight"    // the host is read and compared with the plan
	StateDraining    State = "draining"     // its before-hooks run
	StateStaging     State = "staging"      // packages are sent
	StateTesting     State = "testing"      // rpm's own test on the host
	StateReady       State = "ready"        // tested, waits for a transaction slot
	StateWaitingLock State = "waiting_lock" // waits for the host's locks and for its clusters
	StateTransacting State = "transacting"  // the transaction was asked for; only the host knows more
	StateVerifying   State = "verifying"    // the installed set is compared with the expected one
	StateRestarting  State = "restarting"   // services that run files which are gone are restarted
	StateRebooting   State = "rebooting"    // it was told to boot; proof is another boot id
	StateConfirming  State = "confirming"   // a new connection proves that it can be reached; disarms its dead man's switch
	StateChecking    State = "checking"     // health checks, then what is to be erased when they are green
	StateRollingBack State = "rolling_back" // goes back to the packages it had
)

// The ends.
const (
	StateOK             State = "ok"
	StateNoop           State = "noop"            // nothing was to be changed, or a dry run passed
	StateRolledBack     State = "rolled_back"     // has the packages it had
	StateRollbackFailed State = "rollback_failed" // it could not go back, or not all the way
	StateStageFailed    State = "stage_failed"    // untouched: packages could not be sent or proven
	StateTestFailed     State = "test_failed"     // untouched: the test on the host failed
	StateTxFailed       State = "tx_failed"       // the transaction ended and the installed set is what it was
	StateTxPartial      State = "tx_partial"      // the installed set is neither the old nor the new one, or scriptlets were cut
	StateHealthFailed   State = "health_failed"   // updated, and a check is not green
	StateSkipped        State = "skipped"         // by an operator, or never begun when the rollout was aborted
)

// The resting states, which retry or resume may leave.
const (
	StateHeld         State = "held"         // untouched by this attempt; the reason says why
	StateUnreachable  State = "unreachable"  // untouched by this attempt: it could not be reached
	StateLost         State = "lost"         // a transaction may have begun and the host does not answer
	StateUnreconciled State = "unreconciled" // the host contradicts the journal: it no longer knows a transaction that had begun
)

// Phase sorts states: on the way, end, resting.
type Phase string

// The phases.
const (
	PhaseWay     Phase = "on the way"
	PhaseEnd     Phase = "end"
	PhaseResting Phase = "resting"
)

// Counts says to which budget a state belongs.
type Counts string

// What a state counts as.
const (
	CountsFailure     Counts = "failure"
	CountsUnreachable Counts = "unreachable"
	CountsNeither     Counts = "neither"
)

// StateInfo is one line of the list of states.
type StateInfo struct {
	State   State
	Phase   Phase
	Counts  Counts
	Touched bool // a transaction of this attempt may have changed the host
	Stops   bool // one such host stops the rollout whatever the budget (the worst class)
	OnHost  string
	Means   string
}

// Trigger is what moves a host from one state to another.
type Trigger string

// The triggers.
const (
	OnAdmitted         Trigger = "admitted"          // the wave has room, budgets and clusters allow it
	OnConnected        Trigger = "connected"         // a connection stands
	OnDeferred         Trigger = "deferred"          // not reachable, first time in this wave, policy defer
	OnGaveUp           Trigger = "gave_up"           // not reachable, and no further try in this wave
	OnRefused          Trigger = "refused"           // the host is not to be touched; the reason says why
	OnMoved            Trigger = "moved"             // the host changed since this attempt has read it: it is read again
	OnUnchanged        Trigger = "unchanged"         // the host is what the plan was made from, or its set is the same
	OnNothingToDo      Trigger = "nothing_to_do"     // the set's result is already there
	OnAlreadyThere     Trigger = "already_there"     // the same, after an earlier attempt: only health is left
	OnStaged           Trigger = "staged"            // every package is on the host and proven
	OnStageFailed      Trigger = "stage_failed"      //
	OnTested           Trigger = "tested"            //
	OnTestFailed       Trigger = "test_failed"       //
	OnDryRunPassed     Trigger = "dry_run_passed"    // the test passed and a dry run goes no further
	OnSlot             Trigger = "slot"              // a transaction slot is free and the baseline is taken
	OnDrain            Trigger = "drain"             // locks held, clusters allow it: its before-hooks run next
	OnStart            Trigger = "start"             // locks held, clusters allow it: the transaction is asked for next
	OnWindowClosed     Trigger = "window_closed"     // the host's maintenance window closed before its transaction
	OnLockExpired      Trigger = "lock_expired"      // the host's lock stayed with somebody else
	OnRetestFailed     Trigger = "retest_failed"     // the test under the lock failed; nothing was changed
	OnStartFailed      Trigger = "start_failed"      // the host did not take the transaction; nothing was changed
	OnTxDone           Trigger = "tx_done"           // the host says the transaction ended
	OnTxInterrupted    Trigger = "tx_interrupted"    // the host says it was cut (process gone, or another boot)
	OnTxUnknown        Trigger = "tx_unknown"        // the host does not know the id, and it had begun
	OnNeverStarted     Trigger = "never_started"     // after a resume: the host does not know the id, and it had not begun
	OnLost             Trigger = "lost"              // no answer past the limit after the start
	OnReattach         Trigger = "reattach"          // a lost host is asked again; after a restore: the host knows a transaction that the journal does not
	OnVerified         Trigger = "verified"          // the installed set is the expected one
	OnVerifyOld        Trigger = "verify_old"        // the installed set is what it was before
	OnVerifyPartial    Trigger = "verify_partial"    // neither; or complete after an interruption
	OnVerifiedArmed    Trigger = "verified_armed"    // the same, and a dead man's switch waits to be disarmed
	OnReboot           Trigger = "reboot"            // the same, and what was updated becomes effective only after a boot; or a boot is all there is to do
	OnRebootDue        Trigger = "reboot_due"        // in a rollout of reboots: the host owes one
	OnServicesDue      Trigger = "services_due"      // in a rollout of services: some are not as the plan wants them
	OnServices         Trigger = "services"          // locks held, clusters allow it: the services are asked for next
	OnServicesFailed   Trigger = "services_failed"   // they are not as the plan wants them
	OnRestart          Trigger = "restart"           // the same as verified, and services may run files that are gone
	OnRestarted        Trigger = "restarted"         // they were restarted, or it is known which were not
	OnRebooted         Trigger = "rebooted"          // the host says another boot id
	OnConfirmed        Trigger = "confirmed"         // reached over a new connection; its switch, if any, is disarmed
	OnRollBack         Trigger = "roll_back"         // policy or an operator takes it back
	OnWentBack         Trigger = "went_back"         // the host's switch had decided to go back
	OnRolledBack       Trigger = "rolled_back"       // the installed set is what it was before
	OnBackFailed       Trigger = "back_failed"       // it is not
	OnReattachBack     Trigger = "reattach_back"     // a host that was lost on its way back is asked again
	OnReattachBoot     Trigger = "reattach_boot"     // a host that was lost in a rollout of reboots is asked again which boot it is in
	OnReattachServices Trigger = "reattach_services" // a host that was lost in a rollout of services is asked again
	OnErase            Trigger = "erase"             // checks are green; step (c) follows
	OnEraseFailed      Trigger = "erase_failed"      // step (c) did not do what it should
	OnHealthy          Trigger = "healthy"           // checks green (and step (c) done)
	OnUnhealthy        Trigger = "unhealthy"         // a check red or unknown at its deadline
	OnSoakRed          Trigger = "soak_red"          // a check red or unknown during the soak of its wave
	OnStopped          Trigger = "stopped"           // a budget, a gate or the plan's expiry stopped the rollout
	OnAborted          Trigger = "aborted"           // the rollout was aborted
	OnSkip             Trigger = "skip"              // an operator leaves the host out
	OnReleased         Trigger = "released"          // resume: what the engine held goes on, what was unreachable is tried again
	OnRetry            Trigger = "retry"             // an operator wants a new attempt
)

// Decider says who decides a transition.
type Decider string

// Who decides.
const (
	ByEngine   Decider = "engine"
	ByHost     Decider = "host"
	ByHealth   Decider = "health"
	ByOperator Decider = "operator"
	ByNetwork  Decider = "network"
)

// Transition is one line of the table: in From, On leads to To.
type Transition struct {
	From State
	On   Trigger
	To   State
	By   Decider
}
