package lab

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// shelved is a package as faults find it again.
type shelved struct {
	Name string `json:"name"`
	EVR  string `json:"evr"`
	Arch string `json:"arch"`
	Repo string `json:"repo"`
	File string `json:"file"`
}

// NEVRA is the full name; rpm prints it the same way with %{NEVRA}.
func (p shelved) NEVRA() string { return p.Name + "-" + p.EVR + "." + p.Arch }

func (l *Lab) catalogueFile() string { return filepath.Join(l.state.Work, "packages.json") }

// writeCatalogue keeps the order of the catalogue: oldest first within a name.
func writeCatalogue(file string, list []published) error {
	out := make([]shelved, 0, len(list))
	for _, p := range list {
		out = append(out, shelved{p.Spec.Name, p.Spec.EVR(), p.Spec.arch(), p.Repo, p.Spec.FileName()})
	}
	data, err := json.Marshal(out)
	if err != nil {
		return fmt.Errorf("write package list: %w", err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return fmt.Errorf("write package list: %w", err)
	}
	return nil
}

func (l *Lab) readCatalogue() ([]shelved, error) {
	data, err := os.ReadFile(l.catalogueFile())
	if err != nil {
		return nil, fmt.Errorf("read package list: %w", err)
	}
	var out []shelved
	if err := json.Unmarshal(data, &out); err != nil {
		return nil, fmt.Errorf("read package list %s: %w", l.catalogueFile(), err)
	}
	return out, nil
}
