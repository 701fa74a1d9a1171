package lab

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"golang.org/x/sync/errgroup"
)

// repositories builds every package and publishes it below site/repos.
func publishRepositories(ctx context.Context, site string, list []published, signer Signer) error {
	repos := []string{repoBase, repoUpdates, repoTrouble}
	for _, repo := range repos {
		if err := os.MkdirAll(filepath.Join(site, "repos", repo), 0o755); err != nil {
			return fmt.Errorf("make repository %s: %w", repo, err)
		}
	}
	if err := buildAll(ctx, site, list, signer); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for i, repo := range repos {
		group.Go(func() error { return writeMetadata(ctx, filepath.Join(site, "repos", repo), repo, i) })
	}
	return group.Wait()
}

func buildAll(ctx context.Context, site string, list []published, signer Signer) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.NumCPU())
	for _, p := range list {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			by := signer
			if p.Unsigned {
				by = nil
			}
			data, err := BuildSignedPackage(p.Spec, by)
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(site, "repos", p.Repo, p.Spec.FileName()), data, 0o644)
		})
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("build packages: %w", err)
	}
	return nil
}

// writeMetadata runs createrepo_c and adds the advisories. The compression differs from
// repository to repository, so that readers meet all kinds.
func writeMetadata(ctx context.Context, dir, repo string, number int) error {
	general := []string{"--compress-type=gz"}
	if number%2 == 1 {
		general = []string{"--general-compress-type=xz"}
	}
	args := append([]string{"--quiet", "--no-database", "--workers=2"}, general...)
	if err := run(ctx, nil, "createrepo_c", append(args, dir)...); err != nil {
		return fmt.Errorf("metadata of %s: %w", repo, err)
	}
	advisories := updateinfo(repo)
	if advisories == nil {
		return nil
	}
	tmp, err := os.MkdirTemp(dir, ".updateinfo-")
	if err != nil {
		return fmt.Errorf("metadata of %s: %w", repo, err)
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	file := filepath.Join(tmp, "updateinfo.xml")
	if err := os.WriteFile(file, advisories, 0o644); err != nil {
		return fmt.Errorf("metadata of %s: %w", repo, err)
	}
	if err := run(ctx, nil, "modifyrepo_c", "--mdtype=updateinfo", "--compress-type=gz", file, filepath.Join(dir, "repodata")); err != nil {
		return fmt.Errorf("metadata of %s: %w", repo, err)
	}
	return nil
}

// run runs a program of the machine; its output is in the error when it fails.
func run(ctx context.Context, stdin []byte, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		const most = 2000
		if len(out) > most {
			out = out[len(out)-most:]
		}
		return fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(out))
	}
	return nil
}
