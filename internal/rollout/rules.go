package rollout

// rules are the decisions on which the promises of the engine rest, and what it takes the states to mean. They are fields so that the
// tests of the promises can take one of them away and see that this is noticed; nothing else sets them.
type rules struct {
	nextWave func(r *run) (wave int, ok bool)                 // the first wave whose gate is not open
	tripped  func(r *run, wave int, gate bool) *StopReason    // which budget is exceeded
	inStrict func(r *run, wave int) bool                      // strict allows one more host at work
	shutOut  func(r *run, host string) bool                   // the windows of a host are closed
	keptBy   func(r *run, host string) (cluster string)       // which cluster cannot spare a host, by our own records
	floor    func(r *run, host string) (why string)           // the same, the other members asked
	unvoted  func(r *run, wave int) (scope string)            // whose approval keeps a wave shut, and the amended hosts in it
	leave    func(r *run, on Trigger, why Reason, s ...State) // takes hosts out at a stop or an abort
	reattach func(h *hostRun)                                 // takes a host up again after the engine was gone
	machine  machine
}

// soundRules are the rules.
var soundRules = rules{
	nextWave: (*run).firstShut,
	tripped:  (*run).exceededBudget,
	inStrict: (*run).withinStrict,
	shutOut:  (*run).outsideWindows,
	keptBy:   (*run).clusterAgainst,
	floor:    (*run).askFloor,
	unvoted:  (*run).withoutApproval,
	leave:    (*run).takeOut,
	reattach: (*hostRun).askAgain,
	machine:  table,
}
