package inventory

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

//go:embed template/cpacman.toml template/example.toml
var templates embed.FS

// ErrSiteExists means that Init found a file that it would have to overwrite.
var ErrSiteExists = errors.New("there is a site already")

// Init writes a commented site into a directory, which is made if needed: a
// cpacman.toml and inventory/example.toml. Nothing is ever overwritten: when one
// of the files is there, nothing is written and the error is ErrSiteExists. A
// directory that others can write is refused with *UnsafeError.
func Init(dir string) error {
	if err := initSite(CurrentOwners(os.Getenv("SUDO_UID")), dir); err != nil {
		return fmt.Errorf("write a site into %q: %w", dir, err)
	}
	return nil
}

// initSite is Init for some owners.
func initSite(owners Owners, dir string) error {
	sub := filepath.Join(dir, InventoryDir)
	files := []struct{ path, template string }{
		{filepath.Join(dir, MainFile), "template/cpacman.toml"},
		{filepath.Join(sub, "example.toml"), "template/example.toml"},
	}
	for _, f := range files {
		if _, err := os.Lstat(f.path); err == nil {
			return fmt.Errorf("%w: %q", ErrSiteExists, f.path)
		} else if !errors.Is(err, fs.ErrNotExist) && !isNotDir(err) {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Dir(filepath.Clean(dir)), 0o755); err != nil {
		return err
	}
	for _, d := range []string{dir, sub} {
		// Whatever the umask, others must not be able to write.
		if err := os.Mkdir(d, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		f, _, err := owners.openSafe(d)
		if err != nil {
			return err
		}
		f.Close()
	}
	for _, f := range files {
		if err := writeNew(f.path, f.template); err != nil {
			return err
		}
	}
	return nil
}

// writeNew writes a template into a file that must not exist.
func writeNew(path, name string) error {
	text, err := templates.ReadFile(name)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: %q", ErrSiteExists, path)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}
