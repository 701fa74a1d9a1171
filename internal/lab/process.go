package lab

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// processMark is the variable in the environment of every process that makes up a host from
// outside, and of its PID 1: CPACMAN_LAB=ID/HOST. It is how a lab's processes are found
// without trusting a recorded number.
const processMark = "CPACMAN_LAB="

// marked tells whether process pid carries the mark of this lab, and for which host.
func marked(pid int, id string) (host string, ok bool) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return "", false
	}
	for _, entry := range bytes.Split(data, []byte{0}) {
		if rest, found := strings.CutPrefix(string(entry), processMark+id+"/"); found {
			return rest, true
		}
	}
	return "", false
}

// labProcesses lists the processes that carry the lab's mark.
func labProcesses(id string) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		if _, ok := marked(pid, id); ok {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// killProcesses ends all processes of a lab and waits until they are gone. A host's other
// processes end with its PID 1.
func killProcesses(id string) error {
	const patience = time.Minute // a loaded machine takes long to tear down namespaces
	deadline := time.Now().Add(patience)
	for {
		pids, err := labProcesses(id)
		if err != nil {
			return err
		}
		if len(pids) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("processes %v of lab %s did not end within %s of SIGKILL: look at them with ps, then run down again", pids, id, patience)
		}
		for _, pid := range pids {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("end process %d: %w", pid, err)
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// initOf gives the process number of a host's PID 1, 0 when the host is off.
func (l *Lab) initOf(host string) int {
	data, err := os.ReadFile(filepath.Join(l.hostDir(host), "init"))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return 0
	}
	if name, ok := marked(pid, l.state.ID); !ok || name != host {
		return 0
	}
	return pid
}
