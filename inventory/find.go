package inventory

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// MainFile is the name of the file that makes a directory a site.
const MainFile = "cpacman.toml"

// InventoryDir is the directory of a site with the files of hosts.
const InventoryDir = "inventory"

// SystemSite is the site that is used when no other is found.
const SystemSite = "/etc/cpacman"

// ErrNoSite means that no directory with cpacman.toml was found.
var ErrNoSite = errors.New("no site found")

// FindOptions say where to look for a site.
type FindOptions struct {
	Flag    string // --site; "" when not given
	Env     string // $CPACMAN_SITE; "" when not set
	WorkDir string // where the search upwards begins; "" leaves it out
	System  string // the last resort; "" means SystemSite
	// Owners whose cpacman.toml is taken in the search upwards; nil means the
	// caller, root and the user behind sudo.
	Owners Owners
}

// Find gives the directory of the site: the flag, else the environment, else
// the nearest directory upwards that has a cpacman.toml, else /etc/cpacman. One
// that is found upwards but could have been placed there by somebody else is
// refused with *UnsafeError; it is not passed over, because a command would then
// work on another fleet than the one the operator stands in. Nothing found is
// ErrNoSite.
func Find(opts FindOptions) (string, error) {
	if opts.System == "" {
		opts.System = SystemSite
	}
	if opts.Owners == nil {
		opts.Owners = CurrentOwners(os.Getenv("SUDO_UID"))
	}
	for _, given := range []struct{ from, dir string }{{"--site", opts.Flag}, {"$CPACMAN_SITE", opts.Env}} {
		if given.dir == "" {
			continue
		}
		if ok, err := hasSite(given.dir); err != nil {
			return "", fmt.Errorf("site of %s: %w", given.from, err)
		} else if !ok {
			return "", fmt.Errorf("%w: %s is %q, which has no %s; `cpacman init` writes one", ErrNoSite, given.from, given.dir, MainFile)
		}
		return given.dir, nil
	}
	dir, err := findUpwards(opts)
	if err != nil || dir != "" {
		return dir, err
	}
	if ok, err := hasSite(opts.System); err != nil {
		return "", fmt.Errorf("site: %w", err)
	} else if ok {
		return opts.System, nil
	}
	return "", fmt.Errorf("%w: no %s in this directory or above it, nor in %s; name one with --site or $CPACMAN_SITE, or write one with `cpacman init`",
		ErrNoSite, MainFile, opts.System)
}

// findUpwards gives the nearest directory with a cpacman.toml, or "".
func findUpwards(opts FindOptions) (string, error) {
	if opts.WorkDir == "" {
		return "", nil
	}
	dir, err := filepath.Abs(opts.WorkDir)
	if err != nil {
		return "", fmt.Errorf("look for a site upwards: %w", err)
	}
	for {
		ok, err := hasSite(dir)
		if err != nil && !errors.Is(err, fs.ErrPermission) {
			return "", fmt.Errorf("look for a site upwards: %w", err)
		}
		if ok {
			if err := checkFound(dir, opts.Owners); err != nil {
				return "", err
			}
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", nil
		}
		dir = up
	}
}

// checkFound refuses a site whose directory or main file is not safe.
func checkFound(dir string, owners Owners) error {
	for _, path := range []string{dir, filepath.Join(dir, MainFile)} {
		f, _, err := owners.openSafe(path)
		if err != nil {
			return fmt.Errorf("site found upwards: %w", err)
		}
		f.Close()
	}
	return nil
}

// hasSite reports whether a directory has a cpacman.toml.
func hasSite(dir string) (bool, error) {
	_, err := os.Stat(filepath.Join(dir, MainFile))
	if err == nil {
		return true, nil
	}
	if errors.Is(err, fs.ErrNotExist) || isNotDir(err) {
		return false, nil
	}
	return false, err
}
