// Package solvcases asks the planner the questions of other people's tests and compares the answers: libsolv's test cases, the
// scenarios of dnf's behave features, and the version tables of rpm and libsolv. The cases themselves are reference data outside
// of the project; what stands here is how they are read, which of them fall in cpacman's domain, and the list of differences
// with the rule that explains each (expected.tsv).
//
// A libsolv case may ask for things that cpacman does not do. Such a case is out of domain, with the reason; the decision is made by
// the reader from the words of the case, never by its name. "job install" is in domain by a detour: cpacman brings a new
// package only where something needs it (PLAN-4), so a case that installs gets an installed package "wish" whose update needs
// what the job selects. The wish and its update are left out of the comparison.
package solvcases
