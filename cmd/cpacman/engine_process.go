package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// engineProcess is an engine that was started outside of the login session (ROLL-16).
type engineProcess struct {
	what string // for people: a unit or a process
	log  string
	from int64                      // where its part of the log begins
	gone func(context.Context) bool // it has ended
	hint string
}

// engineVariables are what an engine gets of the environment: what decides how hosts are reached and files are trusted.
var engineVariables = []string{
	"PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "SUDO_UID", "SUDO_GID", "SUDO_USER", "SSH_AUTH_SOCK", "XDG_RUNTIME_DIR",
	"HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR",
}

// engineEnvironment gives those that are set.
func (s *session) engineEnvironment() []string {
	var out []string
	for _, name := range engineVariables {
		if v := s.getenv(name); v != "" {
			out = append(out, name+"="+v)
		}
	}
	return out
}

// spawn starts the engine of a rollout: as a transient unit where systemd takes it, else as a session of its own.
func (s *session) spawn(id string, adopt bool) (*engineProcess, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start the engine of %s: %w", id, err)
	}
	if _, err := os.Stat(exe); err != nil {
		return nil, &statusError{status: statusFailed, err: fmt.Errorf("start the engine of %s: %w", id, err), hint: "the program was replaced while it ran; cpacman rollout resume " + id}
	}
	log := engineLogPath(s.site.StateDir, id)
	args := []string{"--site", s.site.Dir, "rollout", "engine", "--log", log}
	if adopt {
		args = append(args, "--adopt")
	}
	if s.c.Bool("verbose") {
		args = append(args, "--verbose")
	}
	args = append(args, id)
	if manager, ok := s.serviceManager(); ok {
		from := logSize(log)
		p, err := s.spawnUnit(manager, id, exe, args)
		if err == nil {
			p.log, p.from = log, from
			return p, nil
		}
		var starting *unitBusyError
		if errors.As(err, &starting) {
			return nil, &statusError{status: statusFailed, err: err, hint: "cpacman rollout status " + id}
		}
		s.say("warning: systemd did not take the engine: %v; it becomes a process of its own", err)
	}
	p, err := s.spawnSession(exe, args, log)
	if err != nil {
		return nil, fmt.Errorf("start the engine of %s: %w", id, err)
	}
	return p, nil
}

// spawnSession starts a process in a session of its own: no terminal, no signal of one, and its parent may go.
func (s *session) spawnSession(exe string, args []string, log string) (*engineProcess, error) {
	cmd := exec.Command(exe)
	cmd.Args = append([]string{"cpacman"}, args...)
	cmd.Dir, cmd.Env = s.site.Dir, s.engineEnvironment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	from := logSize(log)
	if err := cmd.Start(); err != nil { // standard streams are /dev/null: the engine opens its log itself
		return nil, err
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	return &engineProcess{
		what: "a session of its own", log: log, from: from,
		gone: func(context.Context) bool {
			select {
			case <-ended:
				return true
			default:
				return false
			}
		},
	}, nil
}

// serviceManager is the systemd that outlives the login session: the system's for root, the user's own where it lingers. What it
// says is arguments for systemctl and systemd-run.
func (s *session) serviceManager() ([]string, bool) {
	if info, err := os.Stat("/run/systemd/system"); err != nil || !info.IsDir() { // sd_booted(3)
		return nil, false
	}
	if os.Geteuid() == 0 {
		return nil, true
	}
	u, err := user.Current()
	if err != nil {
		return nil, false
	}
	if _, err := os.Stat(filepath.Join("/var/lib/systemd/linger", u.Username)); err != nil {
		s.say("warning: where logind ends the processes of users who log out, it ends this engine too; loginctl enable-linger %s keeps it", u.Username)
		return nil, false
	}
	return []string{"--user"}, true
}

// unitBusyError says that an engine of that rollout is under way already.
type unitBusyError struct{ unit string }

func (e *unitBusyError) Error() string {
	return "unit " + e.unit + " is there already: an engine is starting"
}

// systemTimeout bounds one call of systemctl or systemd-run.
const systemTimeout = 30 * time.Second

// spawnUnit has systemd run the engine as a transient unit.
func (s *session) spawnUnit(manager []string, id, exe string, args []string) (*engineProcess, error) {
	unit := "cpacman-engine-" + id + ".service"
	if unitActive(s.ctx, manager, unit) {
		return nil, &unitBusyError{unit}
	}
	run := append(append([]string{}, manager...), "--quiet", "--collect", "--unit="+unit, "--description=cpacman: engine of rollout "+id,
		"-p", "WorkingDirectory="+s.site.Dir)
	for _, v := range s.engineEnvironment() {
		if strings.Contains(v, "://") && strings.Contains(v, "@") {
			s.say("warning: %s holds a password and is not passed on: arguments can be read by others", v[:strings.Index(v, "=")])
			continue
		}
		run = append(run, "--setenv="+v)
	}
	run = append(append(run, "--", exe), args...)
	if out, err := systemCommand(s.ctx, "systemd-run", run...); err != nil {
		return nil, fmt.Errorf("systemd-run: %w: %s", err, strings.TrimSpace(out))
	}
	user := ""
	if len(manager) > 0 {
		user = "--user "
	}
	return &engineProcess{
		what: "unit " + unit,
		gone: func(ctx context.Context) bool { return ctx.Err() == nil && !unitActive(ctx, manager, unit) },
		hint: "journalctl " + user + "-u " + unit + " has what systemd saw",
	}, nil
}

// unitActive tells whether a unit runs or begins to.
func unitActive(ctx context.Context, manager []string, unit string) bool {
	out, err := systemCommand(ctx, "systemctl", append(append([]string{}, manager...), "show", "-p", "ActiveState", unit)...)
	state := strings.TrimPrefix(strings.TrimSpace(out), "ActiveState=")
	return err == nil && (state == "active" || state == "activating" || state == "reloading" || state == "deactivating")
}

// systemCommand runs a program of systemd; a user's manager is found at its usual place where the environment does not say.
func systemCommand(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, systemTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = os.Environ()
	if os.Getenv("XDG_RUNTIME_DIR") == "" && os.Geteuid() != 0 {
		cmd.Env = append(cmd.Env, "XDG_RUNTIME_DIR=/run/user/"+strconv.Itoa(os.Getuid()))
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}
