package rollout

// Exit is how a run of the engine ended, in the words of design 4.
type Exit string

// The ways a run can end.
const (
	ExitDone        Exit = "done"        // every host is updated, or had nothing to do, or was skipped
	ExitFailed      Exit = "failed"      // ended with failures within budget, with held hosts, or aborted
	ExitStopped     Exit = "stopped"     // by a gate or a budget
	ExitUnreachable Exit = "unreachable" // only unreachable hosts are missing
	ExitWaiting     Exit = "waiting"     // paused, waiting for an approval, or drained
	ExitInterrupted Exit = "interrupted" // hosts go on by themselves; resume picks up
)

// Status is the exit status of the process.
func (e Exit) Status() int {
	switch e {
	case ExitDone:
		return 0
	case ExitStopped:
		return 3
	case ExitUnreachable:
		return 5
	case ExitWaiting:
		return 6
	case ExitInterrupted:
		return 130
	}
	return 1
}

// Outcome is what a run of the engine came to.
type Outcome struct {
	Exit    Exit
	Rollout Rollout
	Hosts   map[State]int
}
