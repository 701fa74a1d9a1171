// Package rpm holds the words of RPM that every other package speaks: EVR order, NEVRA, dependencies with ranges and
// boolean expressions, package headers and their signatures.
//
// It reads bytes and strings that others fetched, never a network or a host, and treats all of them as hostile: sizes are
// bounded before memory is taken, and damaged input is an error, never a panic.
package rpm
