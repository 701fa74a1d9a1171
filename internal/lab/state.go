package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// SudoMode is how a host's account becomes root.
type SudoMode string

// The sudo modes of lab hosts.
const (
	SudoNever    SudoMode = "never"    // the account is root
	SudoNopasswd SudoMode = "nopasswd" // sudo without a password, for /bin/sh only
	SudoPassword SudoMode = "password" // sudo asks for the account's password
)

// Host is one host of a lab, as a test or a site needs to know it.
type Host struct {
	Name         string   `json:"name"`
	Address      string   `json:"address"` // IPv4
	Port         int      `json:"port"`
	User         string   `json:"user"`
	Sudo         SudoMode `json:"sudo"`
	SudoPassword string   `json:"-"` // for mode password
	IdentityFile string   `json:"identity_file"`
	KnownHosts   string   `json:"known_hosts"`
	HostKey      string   `json:"host_key"` // a public key line: type and base64
	MachineID    string   `json:"machine_id"`
	Systemd      bool     `json:"systemd"`
	Class        string   `json:"class"`
	Level        string   `json:"level"`
	Groups       []string `json:"groups"`
	Clusters     []string `json:"clusters"`
	Variant      string   `json:"variant"` // which installed set it started with
}

// stateFile is the lab's record in its directory. It is written before each step that
// changes anything outside of the directory, so that a later `down` knows what to look for.
const stateFile = "lab.json"

// stateFormat is the number in the record; others are refused.
const stateFormat = 1

// phase is how far a lab has come.
type phase string

const (
	phaseMaking phase = "making"
	phaseUp     phase = "up"
	phaseEnding phase = "ending"
)

type state struct {
	Format     int       `json:"format"`
	ID         string    `json:"id"`
	Phase      phase     `json:"phase"`
	Intent     string    `json:"intent"` // what was about to be done
	CreatedDir bool      `json:"created_dir"`
	Work       string    `json:"work"` // images and hosts; usually below Dir
	Bridge     string    `json:"bridge"`
	Gateway    string    `json:"gateway"`
	Prefix     int       `json:"prefix"`
	Options    Options   `json:"options"`
	Hosts      []Host    `json:"hosts"`
	StartedAt  time.Time `json:"started_at"`
	TookMS     int64     `json:"took_ms"`
}

// ErrNoLab says that a directory holds no lab.
var ErrNoLab = errors.New("no lab")

// readState reads the record of the lab in dir.
func readState(dir string) (*state, error) {
	file := filepath.Join(dir, stateFile)
	data, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w in %s: make one with: cpacman-lab up --dir %s", ErrNoLab, dir, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("read lab record: %w", err)
	}
	var s state
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("read lab record %s: %w", file, err)
	}
	if s.Format != stateFormat {
		return nil, fmt.Errorf("lab record %s has format %d, this program knows %d: use the program that made it", file, s.Format, stateFormat)
	}
	if !labID.MatchString(s.ID) {
		return nil, fmt.Errorf("lab record %s: id %q is not one of a lab", file, s.ID)
	}
	return &s, nil
}

// writeState replaces the record so that a crash leaves either the old or the new one.
func writeState(dir string, s *state) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("write lab record: %w", err)
	}
	file := filepath.Join(dir, stateFile)
	tmp, err := os.OpenFile(file+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write lab record: %w", err)
	}
	_, err = tmp.Write(append(data, '\n'))
	if err == nil {
		err = tmp.Sync()
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(file+".new", file)
	}
	if err != nil {
		return fmt.Errorf("write lab record: %w", err)
	}
	return nil
}
