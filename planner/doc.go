// Package planner computes upgrade sets: facts and a view of repositories and rules go in, what to install, upgrade and
// remove comes out, with reasons. It is pure: no network, no disk, no clock.
package planner
