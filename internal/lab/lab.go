package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Lab is a fleet that is up, or being made. Its methods may be called from several
// goroutines; faults on one host are not ordered among each other.
type Lab struct {
	dir           string
	password      string // of the account that asks sudo for one
	timeNamespace bool

	mu    sync.Mutex // guards state while the lab is being made
	state state
}

// Dir is the lab's directory.
func (l *Lab) Dir() string { return l.dir }

// SiteDir is the ready site: cpacman.toml, inventory, keys, repositories.
func (l *Lab) SiteDir() string { return filepath.Join(l.dir, "site") }

// ID is the lab's id, which its interface names start with.
func (l *Lab) ID() string { return l.state.ID }

// Hosts lists the hosts in the order of their names.
func (l *Lab) Hosts() []Host { return slices.Clone(l.state.Hosts) }

// Host finds a host by name.
func (l *Lab) Host(name string) (Host, error) {
	for _, h := range l.state.Hosts {
		if h.Name == name {
			return h, nil
		}
	}
	return Host{}, fmt.Errorf("%w: no host %q in the lab at %s: `cpacman-lab status --dir %s` lists them", ErrUsage, name, l.dir, l.dir)
}

// Took is how long it took to bring the lab up.
func (l *Lab) Took() time.Duration { return time.Duration(l.state.TookMS) * time.Millisecond }

func (l *Lab) hostDir(name string) string { return filepath.Join(l.state.Work, "hosts", name) }

func (l *Lab) index(name string) int {
	return slices.IndexFunc(l.state.Hosts, func(h Host) bool { return h.Name == name })
}

// record notes what is about to be done, before it is done.
func (l *Lab) record(intent string, change func(*state)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if change != nil {
		change(&l.state)
	}
	l.state.Intent = intent
	return writeState(l.dir, &l.state)
}

// Open finds the lab in dir. The error is ErrNoLab when there is none, or when it was left
// half-made.
func Open(dir string) (*Lab, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("lab directory: %w", err)
	}
	s, err := readState(dir)
	if err != nil {
		return nil, err
	}
	if s.Phase != phaseUp {
		return nil, fmt.Errorf("%w: the lab in %s is not complete (%s: %s): take it away with: cpacman-lab down --dir %s", ErrNoLab, dir, s.Phase, s.Intent, dir)
	}
	l := &Lab{dir: dir, state: *s}
	password, err := os.ReadFile(filepath.Join(l.SiteDir(), "ssh", passwordFile))
	if err != nil {
		return nil, fmt.Errorf("open lab: %w", err)
	}
	l.password = strings.TrimSpace(string(password))
	for i := range l.state.Hosts {
		l.state.Hosts[i].SudoPassword = l.password
	}
	return l, nil
}

// Down takes a lab away: its processes, interfaces, control groups and files. It is no
// error when there is none, so that it may be called again. It also takes away what an
// interrupted Up left.
func Down(ctx context.Context, dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("lab directory: %w", err)
	}
	s, err := readState(dir)
	if errors.Is(err, ErrNoLab) {
		return nil
	}
	if err != nil {
		return err
	}
	l := &Lab{dir: dir, state: *s}
	return l.Down(ctx)
}

// Down takes this lab away; see the function of the same name.
func (l *Lab) Down(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(l.dir, stateFile)); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err := l.record("end processes, delete interfaces, remove files", func(s *state) { s.Phase = phaseEnding }); err != nil {
		return err
	}
	for _, h := range l.state.Hosts {
		// a supervisor that is just between two boots must not start another
		if _, err := os.Stat(l.hostDir(h.Name)); err == nil {
			if err := os.WriteFile(filepath.Join(l.hostDir(h.Name), "stop"), nil, 0o600); err != nil {
				return fmt.Errorf("stop host %s: %w", h.Name, err)
			}
		}
	}
	if err := killProcesses(l.state.ID); err != nil {
		return fmt.Errorf("take down lab: %w", err)
	}
	if err := removeLinks(ctx, l.state.Bridge); err != nil {
		return fmt.Errorf("take down lab: %w", err)
	}
	if err := l.removeCgroups(ctx); err != nil {
		return fmt.Errorf("take down lab: %w", err)
	}
	return l.removeFiles()
}

// removeFiles removes all the lab made, the record last.
func (l *Lab) removeFiles() error {
	if work := l.state.Work; work != "" {
		if base := filepath.Base(work); base != workDir && !strings.HasPrefix(base, outsideWork) {
			return fmt.Errorf("take down lab: %s does not look like the work directory of a lab: not removed", work)
		}
		if err := removeTree(work); err != nil {
			return fmt.Errorf("take down lab: %w", err)
		}
	}
	if err := removeTree(l.SiteDir()); err != nil {
		return fmt.Errorf("take down lab: %w", err)
	}
	for _, name := range []string{stateFile + ".new", stateFile} {
		if err := os.Remove(filepath.Join(l.dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("take down lab: %w", err)
		}
	}
	if l.state.CreatedDir {
		if err := os.Remove(l.dir); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("take down lab: files that are not the lab's are left in %s: %w", l.dir, err)
		}
	}
	return nil
}

// removeTree removes a directory. It tries again for a while: a program that an interrupted
// Up had started (createrepo_c, cp) may still be writing its last files.
func removeTree(dir string) error {
	const tries = 50
	for i := 1; ; i++ {
		err := os.RemoveAll(dir)
		if err == nil || i == tries {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// removeCgroups removes the control groups of hosts with systemd. The hierarchy is mounted
// in a namespace of its own, since the machine may have it anywhere or nowhere.
func (l *Lab) removeCgroups(ctx context.Context) error {
	if !slices.ContainsFunc(l.state.Hosts, func(h Host) bool { return h.Systemd }) {
		return nil
	}
	const text = `mount -t cgroup2 cgroup2 /mnt || exit 0
[ -d "/mnt/$1" ] || exit 0
for try in 1 2 3 4 5 6 7 8 9 10; do
    find "/mnt/$1" -depth -type d -exec rmdir {} + 2>/dev/null
    [ -d "/mnt/$1" ] || exit 0
    sleep 0.1
done
echo "control group $1 is still in use" >&2
exit 1
`
	return run(ctx, nil, "unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", text, "sh", "cpl-"+l.state.ID)
}
