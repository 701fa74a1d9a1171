package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	workDir     = "work"         // below the lab's directory
	outsideWork = "cpacman-lab-" // starts the name of a work directory elsewhere
	memoryDir   = "/dev/shm"     // where that is
	systemdPath = "/lib/systemd/systemd"
)

// ErrExists says that there is a lab already, or something else, where one was to be made.
var ErrExists = errors.New("cannot make a lab there")

// Up makes a lab. When it fails or ctx ends, what it had made is taken away again.
func Up(ctx context.Context, o Options) (*Lab, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := checkMachine(o); err != nil {
		return nil, err
	}
	started := time.Now()
	l, err := create(o)
	if err != nil {
		return nil, err
	}
	if err := l.make(ctx); err != nil {
		const patience = time.Minute
		cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		if derr := l.Down(cleanup); derr != nil {
			return nil, errors.Join(fmt.Errorf("bring up lab: %w", err), derr)
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("bring up lab: interrupted, what was made is gone again: %w", ctx.Err())
		}
		return nil, fmt.Errorf("bring up lab: %w", err)
	}
	err = l.record("", func(s *state) {
		s.Phase = phaseUp
		s.TookMS = time.Since(started).Milliseconds()
	})
	if err != nil {
		return nil, errors.Join(err, l.Down(context.WithoutCancel(ctx)))
	}
	return l, nil
}

// create claims the directory: the record is created exclusively.
func create(o Options) (*Lab, error) {
	created := false
	if err := os.Mkdir(o.Dir, 0o700); err == nil {
		created = true
	} else if !errors.Is(err, os.ErrExist) {
		if !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("make lab directory: %w", err)
		}
		return nil, fmt.Errorf("make lab directory: %w: make %s first", err, filepath.Dir(o.Dir))
	}
	entries, err := os.ReadDir(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("read lab directory: %w", err)
	}
	if s, err := readState(o.Dir); err == nil {
		if s.Phase == phaseUp {
			return nil, fmt.Errorf("%w: a lab of %d hosts is up in %s: use it, or take it away first with: cpacman-lab down --dir %s", ErrExists, len(s.Hosts), o.Dir, o.Dir)
		}
		return nil, fmt.Errorf("%w: the lab in %s is not complete (%s: %s): take it away first with: cpacman-lab down --dir %s", ErrExists, o.Dir, s.Phase, s.Intent, o.Dir)
	}
	if len(entries) > 0 {
		return nil, fmt.Errorf("%w: %s is not empty (%s) and holds no lab: give another directory with --dir", ErrExists, o.Dir, entries[0].Name())
	}
	id := randomHex(3)
	s := state{Format: stateFormat, ID: id, Phase: phaseMaking, Intent: "begin", CreatedDir: created,
		Bridge: "cpl-" + id, Prefix: blockBits, Options: o, StartedAt: time.Now().UTC()}
	data, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("write lab record: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(o.Dir, stateFile), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%w: another lab is being made in %s: %w", ErrExists, o.Dir, err)
	}
	_, err = f.Write(data)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, fmt.Errorf("write lab record: %w", err)
	}
	return &Lab{dir: o.Dir, state: s, password: randomHex(8)}, nil
}

// make does the work of Up on a claimed directory.
func (l *Lab) make(ctx context.Context) error {
	o := l.state.Options
	say := func(format string, args ...any) { fmt.Fprintf(o.Log, format+"\n", args...) }
	if err := l.chooseWork(ctx, say); err != nil {
		return err
	}
	l.timeNamespace = run(ctx, nil, "unshare", "--time", "--fork", "--boottime", "1", "true") == nil
	if err := l.installPrograms(o.ServiceProgram); err != nil {
		return err
	}
	var b block
	_, err := claimNetwork(ctx, l.state.Bridge, func(free block) error {
		b = free
		return l.record("make bridge "+l.state.Bridge, func(s *state) {
			s.Gateway = b.address(1).String()
			s.Hosts = planHosts(o, b)
		})
	})
	if err != nil {
		return err
	}
	if err := l.writeKeys(); err != nil {
		return err
	}
	list := catalogue(o)
	say("building %d packages in 3 repositories", len(list))
	signer, err := l.writeSigningKey()
	if err != nil {
		return err
	}
	if err := publishRepositories(ctx, l.SiteDir(), list, signer); err != nil {
		return err
	}
	if err := writeCatalogue(l.catalogueFile(), list); err != nil {
		return err
	}
	say("installing the first packages with rpm")
	if err := l.makeVariants(ctx, list); err != nil {
		return err
	}
	if err := l.seedHosts(); err != nil {
		return err
	}
	if err := l.writeSite(); err != nil {
		return err
	}
	say("starting %d hosts (%d with systemd), 198.18.0.0/15, bridge %s", len(l.state.Hosts), o.Systemd, l.state.Bridge)
	if err := l.record("start hosts", nil); err != nil {
		return err
	}
	return l.startHosts(ctx, b)
}

// chooseWork puts the work directory into the lab's directory, or, where overlayfs cannot
// write there (as on an overlay), into memory.
func (l *Lab) chooseWork(ctx context.Context, say func(string, ...any)) error {
	work := filepath.Join(l.dir, workDir)
	for _, candidate := range []string{work, filepath.Join(memoryDir, outsideWork+l.state.ID)} {
		if err := l.record("make "+candidate, func(s *state) { s.Work = candidate }); err != nil {
			return err
		}
		if err := os.Mkdir(candidate, 0o700); err != nil {
			return fmt.Errorf("make work directory: %w", err)
		}
		err := probeOverlay(ctx, candidate)
		if err == nil {
			if candidate != work {
				say("overlayfs cannot write in %s: hosts are kept in memory, in %s", l.dir, candidate)
			}
			return nil
		}
		if rerr := os.RemoveAll(candidate); rerr != nil {
			return fmt.Errorf("remove work directory: %w", rerr)
		}
		if candidate != work {
			return fmt.Errorf("overlayfs can write neither in %s nor in %s: give a directory on ext4, xfs or a tmpfs with --dir: %w", l.dir, memoryDir, err)
		}
	}
	return nil
}

// probeOverlay makes the kind of mount that hosts will have.
func probeOverlay(ctx context.Context, dir string) error {
	const text = `set -e
cd "$1"
mkdir probe probe/upper probe/work probe/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/probe/upper,workdir=$1/probe/work" probe/root
rm -f probe/root/etc/passwd
umount probe/root
rm -rf probe
`
	return run(ctx, nil, "unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", text, "sh", dir)
}

// installPrograms puts the scripts and the lab service where hosts find them.
func (l *Lab) installPrograms(service string) error {
	lib := filepath.Join(l.state.Work, "lib")
	if err := installScripts(lib); err != nil {
		return err
	}
	if service == "" {
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find this program, which is also the lab service: %w", err)
		}
		service = self
	}
	if err := copyFile(service, filepath.Join(lib, serviceName), 0o755); err != nil {
		return fmt.Errorf("copy the lab service: %w", err)
	}
	return nil
}

// startHosts starts every host and waits until each answers.
func (l *Lab) startHosts(ctx context.Context, b block) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4 * runtime.NumCPU())
	for i := range l.state.Hosts {
		group.Go(func() error {
			if err := l.startHost(ctx, b, i); err != nil {
				return err
			}
			return l.WaitReady(ctx, l.state.Hosts[i].Name)
		})
	}
	return group.Wait()
}

// startHost starts the supervisor of a host, which outlives this process, and connects it.
func (l *Lab) startHost(ctx context.Context, b block, n int) error {
	h := l.state.Hosts[n]
	console, err := os.OpenFile(filepath.Join(l.hostDir(h.Name), "console.log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("start host %s: %w", h.Name, err)
	}
	defer func() { _ = console.Close() }()
	read, write, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("start host %s: %w", h.Name, err)
	}
	defer func() { _ = write.Close() }()
	cmd := exec.Command("/bin/sh", filepath.Join(l.state.Work, "lib", "supervisor.sh"))
	cmd.Env = l.hostEnvironment(h)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = read, console, console
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Unshareflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET}
	err = cmd.Start()
	_ = read.Close()
	if err != nil {
		return fmt.Errorf("start host %s: make its namespaces: %w", h.Name, err)
	}
	go func() { _ = cmd.Wait() }() // collects it if this process outlives it; ends with Down
	if err := plugIn(ctx, &l.state, b, n, cmd.Process.Pid); err != nil {
		return err
	}
	if _, err := write.WriteString("go\n"); err != nil {
		return fmt.Errorf("start host %s: %w: %s", h.Name, err, l.console(h.Name))
	}
	return nil
}

// WaitReady waits until a host's sshd listens and, on a host with systemd, until its
// start is complete.
func (l *Lab) WaitReady(ctx context.Context, host string) error {
	const patience = 60 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	h, err := l.Host(host)
	if err != nil {
		return err
	}
	for {
		if pid := l.initOf(host); pid != 0 {
			if _, err := os.Lstat(fmt.Sprintf("/proc/%d/root/run/sshd.pid", pid)); err == nil {
				break
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("host %s did not come up: %w: %s", host, ctx.Err(), l.console(host))
		case <-time.After(30 * time.Millisecond):
		}
	}
	if h.Systemd {
		// "degraded" counts as up: it is for a health check to judge failed units
		if _, stderr, _, err := l.Exec(ctx, host, "systemctl", "is-system-running", "--wait"); err != nil {
			return fmt.Errorf("wait for systemd of host %s: %w: %s", host, err, stderr)
		}
	}
	return nil
}

// console gives the last lines that a host's start printed.
func (l *Lab) console(host string) string {
	data, err := os.ReadFile(filepath.Join(l.hostDir(host), "console.log"))
	if err != nil {
		return ""
	}
	const most = 1500
	if len(data) > most {
		data = data[len(data)-most:]
	}
	return string(data)
}
