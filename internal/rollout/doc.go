// Package rollout executes a plan: classes, in them levels, in them waves, in them hosts, with gates and budgets between.
//
// It is a state machine that sees only interfaces and a clock. The hosts, the health checks, the journal, the operators at
// other terminals and the screen are behind ports.go; the package imports neither a network nor a disk. What a host may go
// through is data: the table in states.go is the contract, and the engine can make no step that is not in it.
//
// The promises, in the order in which they are worth keeping:
//
//   - A change of state is in the journal before it takes effect (ROLL-6). A journal that cannot write stops the engine.
//   - A transaction id runs once. A new id needs a retry, and the host is read first (PUSH-4).
//   - After a connection is lost past the start of a transaction, the host is asked; nothing is inferred.
//   - No host of a wave starts before the gate of the wave before it has passed (ROLL-2). Unknown is not green.
//   - When a budget is exceeded no new host starts; those at work finish; the rest are held (ROLL-3). It is exceeded by no more than was
//     in flight then.
//   - No host begins outside of its maintenance windows; what has started finishes (ROLL-10).
//   - Of no cluster are more members unavailable at a time than its limit, by what cpacman does (INV-5).
//   - Every host ends in exactly one final state, and a rollout that was resumed ends as one that was never interrupted.
//
// The tests watch each of them from outside (promises_test.go), after every event of a thousand seeded rollouts and of one of 100,000
// hosts; and each has an engine that breaks it on purpose, which they must notice (mutants_test.go, by way of rules).
//
// What is done for one event does not grow with the fleet: where the engine must look at all hosts of a wave, it does so when the wave
// begins, ends, is stopped, or its windows open.
//
// Time: the engine takes a Clock. SystemClock uses package time, so that a test may also run the real engine under
// testing/synctest, where a soak of a day takes no time at all. The tests of this package do exactly that.
package rollout
