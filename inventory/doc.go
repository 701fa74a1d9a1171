// Package inventory reads a site: the directory with cpacman.toml and
// inventory/ that an operator writes. It knows hosts, classes, levels, groups,
// clusters, locations, repositories, health checks and package policies, answers
// selectors, and resolves the settings and policies in force for each host
// together with their origin.
//
// Priorities have two directions: of policies the larger wins, of repositories
// the smaller, as in dnf. Two policies of equal priority that disagree are an
// error, never a silent pick.
//
// Reading is strict. An unknown key is an error, a key whose feature is not
// built yet is an error, and every fault of every file is reported at once
// (type Problems), with file and line. A site is refused unless it and its
// files belong to the caller, to root, or to the user behind sudo, and nobody
// else can write them (SEC-1).
//
// The package opens no connection and runs no program. A loaded Site is never
// changed again, so any number of goroutines may read it.
package inventory
