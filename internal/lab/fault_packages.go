package lab

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// packageFile finds a package by name, name and version-release, or full name, newest
// first, and reads its file. When below is not empty, only versions older than that EVR
// are looked at.
func (l *Lab) packageFile(name, below string) (shelved, []byte, error) {
	list, err := l.readCatalogue()
	if err != nil {
		return shelved{}, nil, err
	}
	var found *shelved
	for i, p := range list {
		if name != p.Name && name != p.NEVRA() && name != p.Name+"-"+p.EVR {
			continue
		}
		if name == p.Name && p.Arch == "i686" {
			continue // only by its full name
		}
		if below != "" && p.EVR == below {
			break
		}
		found = &list[i]
	}
	if found == nil {
		older := ""
		if below != "" {
			older = " older than " + below
		}
		return shelved{}, nil, fmt.Errorf("%w: no package %s%s in the lab's repositories: they are in %s", ErrUsage, name, older, filepath.Join(l.SiteDir(), "repos"))
	}
	data, err := os.ReadFile(filepath.Join(l.SiteDir(), "repos", found.Repo, found.File))
	if err != nil {
		return shelved{}, nil, fmt.Errorf("read package: %w", err)
	}
	return *found, data, nil
}

// byHand runs rpm inside a host on a package that cpacman did not send.
func (l *Lab) byHand(ctx context.Context, host string, p shelved, data []byte, options string) error {
	const text = `file=/run/lab/$1
cat >"$file"
shift
rpm "$@" "$file" </dev/null
status=$?
rm -f "$file"
exit $status
`
	args := append([]string{p.File}, strings.Fields(options)...)
	_, err := l.shell(ctx, host, bytes.NewReader(data), text, args...)
	return err
}

// Add installs or updates a package on a host by hand, the newest of the lab's repositories
// unless a version is given (NAME, NAME-VERSION-RELEASE or the full name).
func (l *Lab) Add(ctx context.Context, host, name string) (nevra string, err error) {
	p, data, err := l.packageFile(name, "")
	if err != nil {
		return "", err
	}
	options := "-U"
	if p.Name == "kernel" {
		options = "-i"
	}
	if err := l.byHand(ctx, host, p, data, options); err != nil {
		return "", fmt.Errorf("add %s: %w", p.NEVRA(), err)
	}
	return p.NEVRA(), nil
}

// Downgrade puts the next older version of an installed package on a host by hand,
// dependencies or not.
func (l *Lab) Downgrade(ctx context.Context, host, name string) (nevra string, err error) {
	evr, err := l.shell(ctx, host, nil, `rpm -q --qf '%{EVR}\n' "$1" | tail -n 1`, name)
	if err != nil {
		return "", fmt.Errorf("downgrade %s: %w", name, err)
	}
	evr = strings.TrimSpace(evr)
	if strings.Contains(evr, "not installed") {
		return "", fmt.Errorf("%w: downgrade %s: %s is not installed on %s", ErrUsage, name, name, host)
	}
	p, data, err := l.packageFile(name, evr)
	if err != nil {
		return "", err
	}
	if p.EVR == evr {
		return "", fmt.Errorf("%w: no older %s", ErrUsage, name)
	}
	if err := l.byHand(ctx, host, p, data, "-U --oldpackage --nodeps"); err != nil {
		return "", fmt.Errorf("downgrade to %s: %w", p.NEVRA(), err)
	}
	return p.NEVRA(), nil
}

// Remove erases a package from a host by hand. With nodeps it does so although others
// need it, which leaves the host broken.
func (l *Lab) Remove(ctx context.Context, host, name string, nodeps bool) error {
	args := []string{"-e"}
	if nodeps {
		args = append(args, "--nodeps")
	}
	if _, err := l.shell(ctx, host, nil, `exec rpm "$@"`, append(args, name)...); err != nil {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	return nil
}

// corruptDir is where files are damaged unless a path is given.
const corruptDir = "/var/lib/cpacman"

// Corrupt changes bytes in the middle of files of a host: those below corruptDir whose name
// matches the glob, or, when the glob starts with a slash, those at that path. It returns
// their paths.
func (l *Lab) Corrupt(ctx context.Context, host, glob string) ([]string, error) {
	if glob == "" {
		glob = "*.rpm"
	}
	dir, pattern := corruptDir, glob
	if strings.HasPrefix(glob, "/") {
		dir, pattern = filepath.Dir(glob), filepath.Base(glob)
	}
	const text = `[ -d "$1" ] || { echo "no directory $1"; exit 1; }
# a file with several names is changed once: twice would put it right again
find "$1" -type f -name "$2" -size +0 -printf '%i %p\n' | sort -u -k 1,1 | while IFS= read -r file; do
    file=${file#* }
    size=$(stat -c %s "$file")
    # the complement of a byte is never that byte
    old=$(od -An -tu1 -j $((size / 2)) -N 1 "$file" | tr -d ' ')
    printf "\\$(printf %o $((old ^ 255)))" | dd of="$file" bs=1 seek=$((size / 2)) conv=notrunc status=none
    echo "$file"
done
`
	out, err := l.shell(ctx, host, nil, text, dir, pattern)
	if err != nil {
		return nil, fmt.Errorf("corrupt %s: %w", glob, err)
	}
	files := strings.Fields(out)
	if len(files) == 0 {
		return nil, fmt.Errorf("corrupt: no file on %s in %s matches %q", host, dir, pattern)
	}
	return files, nil
}
