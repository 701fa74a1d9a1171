package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// makeVariants installs the packages with the real rpm, once, and makes the variants of
// the installed set from copies of that.
func (l *Lab) makeVariants(ctx context.Context, list []published) error {
	work := l.state.Work
	full := filepath.Join(work, "images", variantFull)
	if err := writeImage(l.state.Options.Root, full); err != nil {
		return err
	}
	install := "mkdir -p /var/lib/rpm\nrpm --initdb\nrpm --import /run/site/keys/" + keyFile + "\n"
	install += "cd /run/site/repos/" + repoBase + "\n"
	install += "rpm -U --define '_pkgverify_level all' " + strings.Join(installedFiles(list, variantFull), " ") + "\n"
	install += "echo '" + passwordUser + ":" + l.password + "' | chpasswd\n"
	install += "rm -f /etc/shadow- /etc/passwd- /etc/group- /etc/.pwd.lock\n"
	if err := l.inImage(ctx, full, install); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.NumCPU())
	for _, variant := range variants()[1:] {
		group.Go(func() error {
			image := filepath.Join(work, "images", variant)
			if err := os.MkdirAll(image, 0o755); err != nil {
				return err
			}
			for _, part := range []string{"upper", "var"} {
				if err := run(ctx, nil, "cp", "-a", filepath.Join(full, part), image); err != nil {
					return fmt.Errorf("copy image: %w", err)
				}
			}
			return l.inImage(ctx, image, changeScript(list, variant))
		})
	}
	return group.Wait()
}

// changeScript turns the full set into that of a variant.
func changeScript(list []published, variant string) string {
	had, want := installedFiles(list, variantFull), installedFiles(list, variant)
	var gone, came []string
	for _, f := range had {
		if !slices.Contains(want, f) {
			gone = append(gone, strings.TrimSuffix(f, ".rpm"))
		}
	}
	for _, f := range want {
		if !slices.Contains(had, f) {
			came = append(came, f)
		}
	}
	text := "cd /run/site/repos/" + repoBase + "\n"
	if len(gone) > 0 {
		text += "rpm -e " + strings.Join(gone, " ") + "\n"
	}
	if len(came) > 0 {
		// -i and --oldpackage: the only additions are install-only ones
		text += "rpm -i --oldpackage --define '_pkgverify_level all' " + strings.Join(came, " ") + "\n"
	}
	return text
}

// installedFiles are the package files of labos-base that a variant starts with.
func installedFiles(list []published, variant string) []string {
	var files []string
	for _, p := range list {
		if p.Repo != repoBase || p.Extra || len(p.Variants) > 0 && !slices.Contains(p.Variants, variant) {
			continue
		}
		files = append(files, p.Spec.FileName())
	}
	slices.Sort(files)
	return files
}
