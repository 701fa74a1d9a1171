package fleet

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"cpacman/internal/health"
	"cpacman/internal/rollout"
	"cpacman/inventory"
	"cpacman/transport"
)

// maxHookOutput bounds what is kept of a hook's output, in bytes.
const maxHookOutput = 4096

// HookDigests adds to settings what the programs of hooks are now, so that an approval binds their bytes too (PLAN-10).
func (f *Fleet) HookDigests(s *rollout.Settings) error {
	var bad error
	for name, h := range s.Hooks {
		def := f.Site.Hooks[name]
		if def == nil || len(def.Program) == 0 {
			continue
		}
		digest, err := f.programDigest(def.Program[0])
		if err != nil {
			bad = errors.Join(bad, fmt.Errorf("hook %s: %w", name, err))
			continue
		}
		h.Digest = digest
		s.Hooks[name] = h
	}
	return bad
}

// programDigest is sha256 of a program that may be run.
func (f *Fleet) programDigest(path string) (string, error) {
	if err := f.Site.VerifyProgram(path); err != nil {
		return "", err
	}
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", fmt.Errorf("read program %q: %w", path, err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// RunHook implements rollout.Hooks: a program on the control host, which must be the one that was there when the rollout was resolved, or a
// command on the host with root's rights.
func (d *Deployment) RunHook(ctx context.Context, run rollout.HookRun) error {
	f := d.fleet
	def := f.Site.Hooks[run.Hook.Name]
	if def == nil {
		return errors.New("it is no longer in the site")
	}
	if !d.fleet.sameHook(run.Hook) {
		return errors.New("it is not what it was when the rollout was made, and approved: it is not run; put it back into the site as it was, or make a new plan")
	}
	v := inventory.HookValues{Class: run.Class, Level: run.Level, Wave: strconv.Itoa(run.Wave), Rollout: run.Rollout, ID: run.ID, State: string(run.State)}
	flags := make([]string, len(run.Flags))
	for i, f := range run.Flags {
		flags[i] = string(f)
	}
	v.Flags = strings.Join(flags, ",")
	h := f.Site.Host(run.Host)
	if h != nil {
		v.Host, v.Address = h.Name, h.Address
	} else if run.Host != "" {
		return errors.New("the host is no longer in the inventory")
	}
	if len(def.Command) > 0 {
		return f.hookCommand(ctx, h, def, def.Args(v))
	}
	digest, err := f.programDigest(def.Program[0])
	if err != nil {
		return err
	}
	if digest != run.Hook.Digest {
		return fmt.Errorf("program %s is not what it was when the rollout was made: it is not run", def.Program[0])
	}
	r := f.Checker().Run(ctx, health.Host{Name: v.Host, Address: v.Address},
		[]health.Check{{Name: run.Hook.Name, Program: def.Args(v), Timeout: def.Timeout}}, nil)[0]
	if r.Verdict != health.Green {
		return errors.New(r.Output)
	}
	return nil
}

// sameHook tells whether the site has a hook as it was when the rollout was made: what it runs, with which arguments, where and when.
func (f *Fleet) sameHook(was rollout.HookPlan) bool {
	is, err := rollout.HookOf(f.Site.Hooks[was.Name])
	return err == nil && is.Is(was)
}

// hookCommand runs a hook on the host.
func (f *Fleet) hookCommand(ctx context.Context, h *inventory.Host, def *inventory.Hook, argv []string) error {
	if h == nil {
		return errors.New("a command needs a host")
	}
	conn, err := f.Dial(ctx, h)
	if err != nil {
		return err
	}
	defer conn.Close()
	res, err := conn.Run(ctx, transport.Command{Argv: argv, Sudo: f.Target(h).Sudo != transport.SudoNever, Timeout: def.Timeout,
		MaxStdout: maxHookOutput, MaxStderr: maxHookOutput})
	if err != nil {
		return err
	}
	if !res.OK() {
		return fmt.Errorf("exit status %d: %s", res.ExitStatus, strings.TrimSpace(string(res.Stdout)+string(res.Stderr)))
	}
	return nil
}
