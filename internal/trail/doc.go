// Package trail is the chain of the audit trail (AUDIT-8): lines, each of which carries a digest over itself and the digest of
// the line before, the check of such a chain, and its form in a file. It touches neither disk nor database: internal/store
// keeps the lines.
//
// What the chain proves: whoever holds a Head (the number and digest of a line, written down elsewhere) can tell whether any
// line up to it was changed, removed, inserted or reordered since. What it does not prove: who holds the database and every
// place where a head was written can compute a new chain.
package trail
