// Package store is cpacman's memory on the control host: one SQLite file with the facts of hosts, the headers of packages,
// plans, and the journal of rollouts.
//
// A value that a later step relies on is on disk before that step is taken: the journal commits with synchronous=FULL, so a
// row that was written survives the loss of power. The file and its directory are for their owner only (SEC-3).
//
// A Store may be used by many goroutines; several processes may open the same file. Errors of a full disk come back as they
// are: nothing is kept in memory to be written later.
package store
