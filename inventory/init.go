package inventory

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/template"
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
	if err := initSite(CurrentOwners(os.Getenv("SUDO_UID")), dir, nil); err != nil {
		return fmt.Errorf("write a site into %q: %w", dir, err)
	}
	return nil
}

// initSite also takes features that are switched on early, see Loader.Preview.
func initSite(owners Owners, dir string, preview map[string]bool) error {
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
		if err := writeNew(f.path, f.template, preview); err != nil {
			return err
		}
	}
	return nil
}

// writeNew writes a template into a file that must not exist.
func writeNew(path, name string, preview map[string]bool) error {
	text, err := renderTemplate(name, preview)
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
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// renderTemplate gives the text of a template. What it says of a feature that is
// refused is left out.
func renderTemplate(name string, preview map[string]bool) (string, error) {
	parsed, err := template.ParseFS(templates, name)
	if err != nil {
		return "", err
	}
	on := make(map[string]bool)
	off := refused(preview)
	for _, f := range []string{FeaturePolicy, FeatureOnly, FeatureVendorChange, FeatureWeak} {
		on[f] = !off[f]
	}
	var b strings.Builder
	err = parsed.Execute(&b, on)
	return b.String(), err
}
