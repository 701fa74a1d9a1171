package rollout

import (
	"fmt"
	"os"
	"runtime/pprof"
	"syscall"
	"time"
)

// simLimit is how long one simulation may take in real time. The slowest needs some seconds on an idle core.
const simLimit = 4 * time.Minute

// watch ends the process when what it names is not over in real time: virtual time stands still while a goroutine is busy, so that a
// livelock in it never comes to a timeout of its own. It tells which simulation it was, what every goroutine does, and how much processor
// time was used meanwhile: little of it means that the machine had none to give. The caller calls what it returns when it is over.
func watch(name string, limit time.Duration) (over func()) {
	before := cpuTime()
	timer := time.AfterFunc(limit, func() {
		fmt.Fprintf(os.Stderr, "%s is not over after %v; %v of processor time were used meanwhile. Goroutines:\n", name, limit, cpuTime()-before)
		_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 2)
		os.Exit(2)
	})
	return func() { timer.Stop() }
}

// cpuTime is what this process has used so far.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
