package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"cpacman/internal/people"
	"cpacman/internal/rollout"
	"cpacman/internal/store"
)

func stateCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:  "state",
		Usage: "back up and restore what cpacman knows",
		Subcommands: []*cli.Command{
			{
				Name: "backup", Usage: "write a consistent copy of the state database, also while rollouts run", ArgsUsage: "FILE",
				Description: "Beside it stands FILE.json: format, time, sha256, the head of the audit trail, and the rollouts that are open.",
				Flags: outputFlags(
					&cli.BoolFlag{Name: "force", Usage: "replace FILE"},
					&cli.BoolFlag{Name: "dry-run", Usage: "only say what would be written"},
				),
				Action: e.stateBackup,
			},
			{
				Name: "restore", Usage: "put a backup in the place of the state database", ArgsUsage: "FILE",
				Description: "The file is compared with FILE.json and checked; the replaced database is kept beside. Every open rollout is unreconciled\n" +
					"then: rollout resume asks its hosts what they know of it before anything is done. Refused while an engine runs a rollout.",
				Flags: outputFlags(
					&cli.BoolFlag{Name: "force", Usage: "although an engine seems to live, the database is in use, or it cannot be read any more"},
					&cli.BoolFlag{Name: "dry-run", Usage: "check everything and change nothing"},
					&cli.BoolFlag{Name: "yes", Usage: "do not ask"},
				),
				Action: e.stateRestore,
			},
		},
	}
}

func (e *env) stateBackup(c *cli.Context) error {
	if c.Args().Len() != 1 {
		return usagef("state backup wants one file to write")
	}
	if err := checkPlace(c.Args().First()); err != nil {
		return err
	}
	site, err := e.loadSite(c)
	if err != nil {
		return err
	}
	if err := e.checkVerb(site, c); err != nil {
		return err
	}
	file := c.Args().First()
	if c.Bool("dry-run") {
		e.say("would write a copy of %s to %s, and %s%s", filepath.Join(site.StateDir, store.FileName), file, file, store.ManifestSuffix)
		return nil
	}
	st, err := store.Open(e.ctx, site.StateDir)
	if err != nil {
		return err
	}
	defer st.Close()
	m, err := st.Backup(e.ctx, file, version, c.Bool("force"))
	if errors.Is(err, fs.ErrExist) {
		return inputError{err: err, hint: "name another file, or give --force to replace it"}
	}
	if err != nil {
		return err
	}
	d := data{columns: []string{"file", "format", "bytes", "sha256", "open_rollouts"}, value: m}
	d.rows = [][]string{{file, strconv.Itoa(m.Format), strconv.FormatInt(m.Bytes, 10), m.SHA256, strconv.Itoa(len(m.Open))}}
	if err := e.emit(c, d); err != nil {
		return err
	}
	for _, r := range m.Open {
		e.say("rollout %s is open (%s): after a restore its hosts are asked first", r.ID, r.State)
	}
	e.say("keep %s and %s%s together; next: cpacman state restore %s --dry-run checks them", file, file, store.ManifestSuffix, file)
	return nil
}

func (e *env) stateRestore(c *cli.Context) error {
	if c.Args().Len() != 1 {
		return usagef("state restore wants one file that state backup wrote")
	}
	site, err := e.loadSite(c)
	if err != nil {
		return err
	}
	if err := e.checkVerb(site, c); err != nil {
		return err
	}
	file := c.Args().First()
	opt := store.RestoreOptions{Force: c.Bool("force"), DryRun: true, User: people.ProcessUser(), Now: e.now}
	out, err := store.Restore(e.ctx, site.StateDir, file, opt)
	if err == nil && !c.Bool("dry-run") {
		e.tellRestore(file, out)
		if err := e.confirm(c, fmt.Sprintf("replace the state database of %s?", site.Dir)); err != nil {
			return err
		}
		opt.DryRun = false
		out, err = store.Restore(e.ctx, site.StateDir, file, opt)
	}
	if err != nil {
		return restoreError(err)
	}
	made := "unknown"
	if out.Manifest != nil {
		made = out.Manifest.CreatedAt.Format(time.RFC3339)
	}
	d := data{columns: []string{"file", "made", "format", "unreconciled", "kept"}, value: out}
	d.rows = [][]string{{file, made, strconv.Itoa(out.Format), strconv.Itoa(len(out.Unreconciled)), out.Kept}}
	if err := e.emit(c, d); err != nil {
		return err
	}
	if opt.DryRun {
		e.tellRestore(file, out)
		e.say("it was a dry run: nothing was changed")
		return nil
	}
	if out.Kept != "" {
		e.say("the replaced database is kept as %s", out.Kept)
	}
	for _, id := range out.Unreconciled {
		e.say("next: cpacman rollout resume %s asks its hosts what they know, before anything is done", id)
	}
	if len(out.Unreconciled) == 0 {
		e.say("next: cpacman facts; no rollout is open")
	}
	return nil
}

// tellRestore says what a restore means.
func (e *env) tellRestore(file string, out store.Restored) {
	for _, w := range out.Warnings {
		e.say("warning: %s", w)
	}
	if out.Manifest != nil {
		e.say("%s was made at %s; what cpacman learnt since then is not in it", file, out.Manifest.CreatedAt.Format(time.RFC3339))
	}
	e.say("%d %s would be unreconciled, with %d hosts to be asked", len(out.Unreconciled), plural(len(out.Unreconciled), "rollout", "rollouts"), out.Hosts)
}

// restoreError says which exit status a refusal has, and what to do.
func restoreError(err error) error {
	var held *rollout.LeaseHeldError
	var bad *store.BackupError
	var newer *store.NewerError
	switch {
	case errors.As(err, &held):
		return &statusError{status: statusFailed, err: err, hint: "end that engine first (Ctrl-C there, or cpacman rollout pause " + held.Rollout +
			"); --force if it is certain that it is gone"}
	case errors.Is(err, store.ErrInUse):
		return &statusError{status: statusFailed, err: err, hint: "end it first; --force replaces the file under it, and what it writes then is lost"}
	case errors.As(err, &bad), errors.As(err, &newer):
		return inputError{err: err, hint: "nothing was changed"}
	}
	return err
}
