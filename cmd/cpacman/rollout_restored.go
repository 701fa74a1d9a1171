package main

import "cpacman/internal/rollout"

// rolloutWord is the state of a rollout for people. After a restore, what the journal says of it is only what it was when the backup
// was made (OPS-1).
func rolloutWord(r rollout.Rollout) string {
	if r.Unreconciled {
		return "unreconciled (was " + string(r.State) + ")"
	}
	return string(r.State)
}
