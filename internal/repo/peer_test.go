package repo

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

// TestColdOpenAgainstLibsolv compares the processor time and the elapsed time of parsing a real repository with libsolv's
// repo2solv on the same files. Processor time is what a busy machine does not distort; it decides.
func TestColdOpenAgainstLibsolv(t *testing.T) {
	tool, err := exec.LookPath("repo2solv")
	if err != nil {
		t.Skip("needs repo2solv: install libsolv-tools")
	}
	dir := filepath.Join(dataDir(t), benchRepos[0])
	if testing.Short() {
		t.Skip("needs time: not with -short")
	}
	const rounds = 5
	var ours, theirs, oursWall, theirsWall []time.Duration
	for range rounds {
		before, began := cpuTime(t, syscall.RUSAGE_SELF), time.Now()
		if _, err := Open(context.Background(), Config{"peer", dir}, Options{}); err != nil {
			t.Fatal(err)
		}
		oursWall = append(oursWall, time.Since(began))
		ours = append(ours, cpuTime(t, syscall.RUSAGE_SELF)-before)
		out := filepath.Join(t.TempDir(), "x.solv")
		cmd := exec.Command(tool, "-o", out, dir)
		cmd.Stderr = os.Stderr
		began = time.Now()
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		theirsWall = append(theirsWall, time.Since(began))
		theirs = append(theirs, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
	}
	opt := Options{CacheDir: t.TempDir()}
	var warm, warmWall []time.Duration
	for range rounds + 1 {
		before, began := cpuTime(t, syscall.RUSAGE_SELF), time.Now()
		r, err := Open(context.Background(), Config{"peer", dir}, opt)
		if err != nil || len(r.Packages()) == 0 {
			t.Fatal(err)
		}
		warmWall = append(warmWall, time.Since(began))
		warm = append(warm, cpuTime(t, syscall.RUSAGE_SELF)-before)
	}
	t.Logf("from the cache: processor time %v, elapsed %v", median(warm[1:]), median(warmWall[1:]))
	t.Logf("processor time: cpacman %v, repo2solv %v; elapsed: cpacman %v, repo2solv %v (medians of %d)",
		median(ours), median(theirs), median(oursWall), median(theirsWall), rounds)
	if median(ours) > median(theirs) {
		t.Errorf("cold open takes %v of processor time, repo2solv %v", median(ours), median(theirs))
	}
}

func cpuTime(t *testing.T, who int) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func median(d []time.Duration) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return d[len(d)/2]
}
