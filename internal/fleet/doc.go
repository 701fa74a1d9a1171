// Package fleet does to many hosts what internal/host does to one: it turns the inventory into connections, collects facts at
// fleet cost, plans every host against its view, and gives the rollout engine its hosts and checks.
//
// It is the one place where inventory, transport, host, repo, planner, store and rollout meet; the command line above it only
// reads flags and prints.
package fleet
