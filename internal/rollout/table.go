package rollout

import (
	"fmt"
	"strings"
)

// States lists every state with what it counts as. It is the contract that budgets, gates and exit statuses read.
func States() []StateInfo {
	const none, spool, tx, done = "nothing", "spool", "spool, lock, transaction record", "transaction record, log"
	return []StateInfo{
		{StatePending, PhaseWay, CountsNeither, false, false, "perhaps spool", "not begun"},
		{StateDeferred, PhaseWay, CountsNeither, false, false, none, "not reachable; tried again at the end of its wave"},
		{StateConnecting, PhaseWay, CountsNeither, false, false, none, "admitted, is being dialled"},
		{StatePreflight, PhaseWay, CountsNeither, false, false, none, "is read and compared with the plan"},
		{StateDraining, PhaseWay, CountsNeither, false, false, none, "before-hooks run"},
		{StateStaging, PhaseWay, CountsNeither, false, false, spool, "packages are sent and proven"},
		{StateTesting, PhaseWay, CountsNeither, false, false, spool, "rpm's test with the real files"},
		{StateReady, PhaseWay, CountsNeither, false, false, spool, "tested, waits for a transaction slot"},
		{StateWaitingLock, PhaseWay, CountsNeither, false, false, "spool, perhaps the lock", "waits for the host's locks and its clusters"},
		{StateTransacting, PhaseWay, CountsNeither, true, false, tx, "the transaction was asked for; the host knows more"},
		{StateVerifying, PhaseWay, CountsNeither, true, false, tx, "the installed set is compared"},
		{StateRestarting, PhaseWay, CountsNeither, true, false, tx, "services that run files which are gone are restarted; or the plan stops or starts some"},
		{StateRebooting, PhaseWay, CountsNeither, true, false, tx, "boots; proof is another boot id"},
		{StateConfirming, PhaseWay, CountsNeither, true, false, tx, "is reached over a new connection, which disarms its dead man's switch"},
		{StateChecking, PhaseWay, CountsNeither, true, false, tx, "health checks, then step (c)"},
		{StateRollingBack, PhaseWay, CountsNeither, true, false, tx, "goes back to the set before"},
		{StateOK, PhaseEnd, CountsNeither, true, false, done, "updated and healthy"},
		{StateNoop, PhaseEnd, CountsNeither, false, false, none, "nothing was to be changed, or a dry run passed"},
		{StateRolledBack, PhaseEnd, CountsFailure, true, false, done, "back at the set before"},
		{StateRollbackFailed, PhaseEnd, CountsFailure, true, true, done, "could not go back, or was not tried; the reason says which"},
		{StateStageFailed, PhaseEnd, CountsFailure, false, false, spool, "untouched: packages could not be sent or proven"},
		{StateTestFailed, PhaseEnd, CountsFailure, false, false, spool, "untouched: the test on the host failed"},
		{StateTxFailed, PhaseEnd, CountsFailure, true, false, done, "the transaction ended, the installed set is what it was; or services could not be stopped or started"},
		{StateTxPartial, PhaseEnd, CountsFailure, true, false, done, "neither the old nor the new set, or scriptlets were cut"},
		{StateHealthFailed, PhaseEnd, CountsFailure, true, false, done, "updated, and a check is not green"},
		{StateSkipped, PhaseEnd, CountsNeither, false, false, "perhaps spool", "left out by an operator, or not begun at an abort"},
		{StateHeld, PhaseResting, CountsNeither, false, false, "perhaps spool", "untouched by this attempt; the reason says why"},
		{StateUnreachable, PhaseResting, CountsUnreachable, false, false, "perhaps spool", "untouched by this attempt, could not be reached"},
		{StateLost, PhaseResting, CountsFailure, true, true, tx, "a transaction may have begun and the host does not answer"},
		{StateUnreconciled, PhaseResting, CountsFailure, true, true, "unknown", "the host does not know a transaction that had begun"},
	}
}

// beforeTx are the states in which a host has been admitted and no transaction was asked for.
var beforeTx = [...]State{StateConnecting, StatePreflight, StateStaging, StateTesting, StateReady, StateWaitingLock, StateDraining}

// Transitions is the table: every step a host can make. What is not here cannot happen.
func Transitions() []Transition {
	t := []Transition{
		{StatePending, OnAdmitted, StateConnecting, ByEngine},
		{StateDeferred, OnAdmitted, StateConnecting, ByEngine},
		{StateConnecting, OnConnected, StatePreflight, ByNetwork},
		{StatePending, OnRefused, StateHeld, ByEngine}, // a cluster at its floor
		{StateConnecting, OnRefused, StateHeld, ByHost},
		{StatePreflight, OnRefused, StateHeld, ByHost},
		{StatePreflight, OnUnchanged, StateStaging, ByHost},
		{StatePreflight, OnNothingToDo, StateNoop, ByHost},
		{StatePreflight, OnAlreadyThere, StateChecking, ByHost},
		{StatePreflight, OnRebootDue, StateReady, ByHost},
		{StatePreflight, OnServicesDue, StateReady, ByHost},
		{StatePreflight, OnDryRunPassed, StateNoop, ByHost}, // of a rollout of reboots or services
		{StateStaging, OnRefused, StateHeld, ByHost},
		{StateStaging, OnStaged, StateTesting, ByHost},
		{StateStaging, OnStageFailed, StateStageFailed, ByHost},
		{StateTesting, OnRefused, StateHeld, ByHost},
		{StateTesting, OnTested, StateReady, ByHost},
		{StateTesting, OnTestFailed, StateTestFailed, ByHost},
		{StateTesting, OnMoved, StatePreflight, ByHost},
		{StateTesting, OnDryRunPassed, StateNoop, ByHost},
		{StateReady, OnSlot, StateWaitingLock, ByEngine},
		{StateReady, OnWindowClosed, StatePending, ByEngine},
		{StateWaitingLock, OnWindowClosed, StatePending, ByEngine},
		{StateWaitingLock, OnRefused, StateHeld, ByEngine},
		{StateWaitingLock, OnLockExpired, StateHeld, ByHost},
		{StateWaitingLock, OnMoved, StatePreflight, ByHost},
		{StateWaitingLock, OnStart, StateTransacting, ByEngine},
		{StateWaitingLock, OnDrain, StateDraining, ByEngine},
		{StateWaitingLock, OnReboot, StateRebooting, ByEngine},
		{StateWaitingLock, OnServices, StateRestarting, ByEngine},
		{StateDraining, OnRefused, StateHeld, ByHost},
		{StateDraining, OnWindowClosed, StatePending, ByEngine},
		{StateDraining, OnStart, StateTransacting, ByEngine},
		{StateDraining, OnReboot, StateRebooting, ByEngine},
		{StateDraining, OnServices, StateRestarting, ByEngine},
		{StateTransacting, OnRefused, StateHeld, ByHost}, // its switch cannot be armed, or it changed after its last look
		{StateTransacting, OnTxDone, StateVerifying, ByHost},
		{StateTransacting, OnTxInterrupted, StateVerifying, ByHost},
		{StateTransacting, OnRetestFailed, StateTestFailed, ByHost},
		{StateTransacting, OnLockExpired, StateHeld, ByHost},
		{StateTransacting, OnStartFailed, StateTxFailed, ByHost},
		{StateTransacting, OnTxUnknown, StateUnreconciled, ByHost},
		{StateTransacting, OnNeverStarted, StatePending, ByHost},
		{StateTransacting, OnLost, StateLost, ByNetwork},
		{StateVerifying, OnVerified, StateChecking, ByHost},
		{StateVerifying, OnVerifyOld, StateTxFailed, ByHost},
		{StateVerifying, OnVerifyPartial, StateTxPartial, ByHost},
		{StateVerifying, OnTxUnknown, StateUnreconciled, ByHost},
		{StateVerifying, OnLost, StateLost, ByNetwork},
		{StateVerifying, OnVerifiedArmed, StateConfirming, ByHost},
		{StateVerifying, OnReboot, StateRebooting, ByHost},
		{StateVerifying, OnRestart, StateRestarting, ByEngine},
		{StateVerifying, OnRollBack, StateRollingBack, ByEngine},
		{StateVerifying, OnWentBack, StateRollingBack, ByHost},
		{StateRestarting, OnRestarted, StateConfirming, ByHost},
		{StateRestarting, OnReboot, StateRebooting, ByHost},
		{StateRestarting, OnNeverStarted, StatePending, ByEngine}, // stopped, or its window closed, before it was told to
		{StateRestarting, OnServicesFailed, StateTxFailed, ByHost},
		{StateRestarting, OnTxUnknown, StateUnreconciled, ByHost},
		{StateRestarting, OnLost, StateLost, ByNetwork},
		{StateRebooting, OnNeverStarted, StatePending, ByEngine}, // stopped, or its window closed, before it was told to
		{StateRebooting, OnRebooted, StateConfirming, ByHost},
		{StateRebooting, OnLost, StateLost, ByNetwork},
		{StateConfirming, OnConfirmed, StateChecking, ByHost},
		{StateConfirming, OnWentBack, StateRollingBack, ByHost},
		{StateConfirming, OnTxUnknown, StateUnreconciled, ByHost},
		{StateConfirming, OnLost, StateLost, ByNetwork},
		{StateChecking, OnRollBack, StateRollingBack, ByEngine},
		{StateOK, OnRollBack, StateRollingBack, ByEngine},
		{StateHealthFailed, OnRollBack, StateRollingBack, ByEngine},
		{StateTxPartial, OnRollBack, StateRollingBack, ByEngine},
		{StateRollbackFailed, OnRollBack, StateRollingBack, ByOperator}, // what was in the way may be gone
		{StateRollingBack, OnRolledBack, StateRolledBack, ByHost},
		{StateRollingBack, OnBackFailed, StateRollbackFailed, ByHost},
		{StateRollingBack, OnLost, StateLost, ByNetwork},
		{StateLost, OnReattachBack, StateRollingBack, ByOperator},
		{StateLost, OnReattachBoot, StateRebooting, ByOperator},
		{StateLost, OnReattachServices, StateRestarting, ByOperator},
		{StateChecking, OnErase, StateChecking, ByHealth},
		{StateChecking, OnHealthy, StateOK, ByHealth},
		{StateChecking, OnUnhealthy, StateHealthFailed, ByHealth},
		{StateChecking, OnEraseFailed, StateTxPartial, ByHost},
		{StateChecking, OnTxUnknown, StateUnreconciled, ByHost},
		{StateChecking, OnLost, StateLost, ByNetwork},
		{StateOK, OnSoakRed, StateHealthFailed, ByHealth},
		{StateLost, OnReattach, StateTransacting, ByOperator},
		{StateHeld, OnReleased, StatePending, ByOperator},
		{StateUnreachable, OnReleased, StatePending, ByOperator},
	}
	for _, s := range beforeTx {
		if s != StateReady && s != StateDraining { // nothing is asked of the host itself in these
			t = append(t, Transition{s, OnDeferred, StateDeferred, ByNetwork}, Transition{s, OnGaveUp, StateUnreachable, ByNetwork})
		}
		t = append(t,
			Transition{s, OnNeverStarted, StatePending, ByHost},
			Transition{s, OnReattach, StateTransacting, ByHost},
			Transition{s, OnStopped, StateHeld, ByEngine},
			Transition{s, OnAborted, StateSkipped, ByOperator},
		)
	}
	t = append(t,
		Transition{StatePending, OnStopped, StateHeld, ByEngine},
		Transition{StateDeferred, OnStopped, StateHeld, ByEngine},
		Transition{StateDeferred, OnRefused, StateHeld, ByEngine}, // a cluster at its floor
	)
	// After a restore the host may know a transaction that the journal does not, whatever that has.
	for _, s := range [...]State{StatePending, StateDeferred, StateHeld, StateUnreachable, StateUnreconciled, StateTransacting, StateVerifying,
		StateRestarting, StateRebooting, StateConfirming, StateRollingBack, StateChecking} {
		t = append(t, Transition{s, OnReattach, StateTransacting, ByHost})
	}
	for _, s := range [...]State{StatePending, StateDeferred, StateHeld, StateUnreachable} {
		t = append(t, Transition{s, OnAborted, StateSkipped, ByOperator}, Transition{s, OnSkip, StateSkipped, ByOperator})
	}
	for _, s := range [...]State{StateStageFailed, StateTestFailed, StateTxFailed, StateTxPartial, StateHealthFailed,
		StateRolledBack, StateRollbackFailed, StateSkipped, StateHeld, StateUnreachable, StateUnreconciled} {
		t = append(t, Transition{s, OnRetry, StatePending, ByOperator})
	}
	return t
}

// machine is the table in the form the engine looks things up in.
type machine struct {
	next map[State]map[Trigger]State
	info map[State]StateInfo
}

// table is made once and never changed.
var table = newMachine()

func newMachine() machine {
	m := machine{next: map[State]map[Trigger]State{}, info: map[State]StateInfo{}}
	for _, i := range States() {
		m.info[i.State] = i
		m.next[i.State] = map[Trigger]State{}
	}
	for _, t := range Transitions() {
		m.next[t.From][t.On] = t.To
	}
	return m
}

// TransitionError is a step that is not in the table: a defect of the engine, never of a host.
type TransitionError struct {
	Host string
	From State
	On   Trigger
}

func (e *TransitionError) Error() string {
	return fmt.Sprintf("host %s: no transition for %q in state %q", e.Host, e.On, e.From)
}

// Next gives the state that a trigger leads to, or false when the table has no such line.
func Next(from State, on Trigger) (State, bool) {
	to, ok := table.next[from][on]
	return to, ok
}

// Info tells what a state is. The zero StateInfo means that it is not a state.
func (s State) Info() StateInfo { return table.info[s] }

// Final tells whether the host is done as far as its wave is concerned: at an end or resting.
func (s State) Final() bool { return s.Info().Phase != PhaseWay && s.Info().Phase != "" }

// Markdown renders states and transitions for the documentation. A test compares the page with it.
func Markdown() string {
	var b strings.Builder
	b.WriteString("| state | phase | counts as | stops at once | touched by the attempt | on the host | means |\n|---|---|---|---|---|---|---|\n")
	for _, i := range States() {
		name := "`" + string(i.State) + "`"
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", name, i.Phase, i.Counts, yesNo(i.Stops), yesNo(i.Touched), i.OnHost, i.Means)
	}
	b.WriteString("\n| in state | on | goes to | decided by |\n|---|---|---|---|\n")
	byState := map[State][]Transition{}
	for _, t := range Transitions() {
		byState[t.From] = append(byState[t.From], t)
	}
	for _, i := range States() {
		for _, t := range byState[i.State] {
			fmt.Fprintf(&b, "| `%s` | %s | `%s` | %s |\n", t.From, t.On, t.To, t.By)
		}
	}
	return b.String()
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
