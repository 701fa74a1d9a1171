package lab

import (
	"embed"
	"fmt"
	"os"
	"path/filepath"
)

// scripts are the shell programs that make and run hosts. They are shell because a Go
// process cannot enter new namespaces by itself once it has threads.
//
//go:embed scripts/*.sh
var scripts embed.FS

func script(name string) []byte {
	data, err := scripts.ReadFile("scripts/" + name)
	if err != nil {
		panic("embedded script: " + err.Error()) // the file is part of the program
	}
	return data
}

// installScripts puts the programs that run on the control side into the work directory.
func installScripts(lib string) error {
	if err := os.MkdirAll(lib, 0o700); err != nil {
		return fmt.Errorf("make %s: %w", lib, err)
	}
	for _, name := range []string{"supervisor.sh", "init.sh", "image.sh"} {
		if err := os.WriteFile(filepath.Join(lib, name), script(name), 0o600); err != nil {
			return fmt.Errorf("install lab script: %w", err)
		}
	}
	return nil
}
