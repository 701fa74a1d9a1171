// Package health runs the checks that say whether a host is well (ROLL-4): reachable over a fresh connection with no newly
// failed systemd unit, a command on the host, units that must be active, a TCP port, an HTTP(S) answer, a program on the
// control host.
//
// It runs each check once. Baseline, repetition, deadline and soak belong to the rollout. A check has three results: green,
// red, and unknown, which means that it could not be judged and is never taken for green.
package health
