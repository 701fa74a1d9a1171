package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"cpacman/internal/host"
	"cpacman/internal/repo"
	"cpacman/internal/rpm"
	"cpacman/inventory"
	"cpacman/planner"
)

// Provisioned is the package files of a plan, each read whole and proven on the control host (PUSH-2).
type Provisioned struct {
	files    map[string]ProvenFile // by repository and path
	Bytes    int64
	NoBack   []string // NEVRAs of packages of ways back that could not be proven
	Warnings []string // sorted: unsigned packages that are allowed, weak checksums
}

// ProvenFile is one package file whose digest, name and signature are right.
type ProvenFile struct {
	host.File
	SignerKey string // fingerprint of the key, empty for an allowed unsigned package
}

// fileKey names a package of a plan.
func fileKey(p planner.PlanPackage) string { return p.Repo + "\x00" + p.Path }

// PackageError is a package of the plan that must not be pushed.
type PackageError struct {
	Package planner.PlanPackage
	Err     error
}

// Error names repository, file and fault.
func (e *PackageError) Error() string {
	return fmt.Sprintf("package %s of repository %s (%s): %v", e.Package.NEVRA, e.Package.Repo, e.Package.Path, e.Err)
}

// Unwrap returns the fault.
func (e *PackageError) Unwrap() error { return e.Err }

// errChangedFile marks a package file that is not the one the plan was made of.
var errChangedFile = errors.New("the file is not the one the plan was made of")

// Provision reads and proves every package of the plan. What is wrong is reported for all packages together, beside what is right:
// a rollout that is taken up again can still ask the hosts at work, and sends nothing that was not proven.
func (f *Fleet) Provision(ctx context.Context, repos *Repos, p *planner.Plan) (*Provisioned, error) {
	keys, err := f.keyrings(p)
	if err != nil {
		return nil, err
	}
	out := &Provisioned{files: map[string]ProvenFile{}}
	var mu sync.Mutex
	var faults []error
	work := errgroup.Group{}
	work.SetLimit(runtime.GOMAXPROCS(0))
	for _, one := range p.Packages {
		work.Go(func() error {
			proven, warnings, err := f.prove(ctx, repos, one, keys[one.Repo])
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				faults = append(faults, &PackageError{one, err})
				return nil
			}
			out.files[fileKey(one)] = proven
			out.Bytes += proven.Size
			out.Warnings = append(out.Warnings, warnings...)
			return nil
		})
	}
	if err := errors.Join(work.Wait(), ctx.Err()); err != nil {
		return nil, err
	}
	f.provisionBack(ctx, repos, p, keys, out)
	slices.Sort(out.Warnings)
	slices.SortFunc(faults, func(a, b error) int { return compareText(a.Error(), b.Error()) })
	return out, errors.Join(faults...)
}

// provisionBack proves the packages of the ways back. One that is not right takes the way back of its hosts away, and nothing else.
func (f *Fleet) provisionBack(ctx context.Context, repos *Repos, p *planner.Plan, keys map[string]rpm.Keyring, out *Provisioned) {
	for _, one := range p.RollbackPackages {
		if _, known := out.files[fileKey(one)]; known {
			continue
		}
		proven, warnings, err := f.prove(ctx, repos, one, keys[one.Repo])
		if err != nil {
			out.Warnings = append(out.Warnings, fmt.Sprintf("no way back over this package: %v", &PackageError{one, err}))
			out.NoBack = append(out.NoBack, one.NEVRA.String())
			continue
		}
		out.files[fileKey(one)] = proven
		out.Warnings = append(out.Warnings, warnings...)
	}
}

func compareText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// keyrings reads the keys of every repository of a plan.
func (f *Fleet) keyrings(p *planner.Plan) (map[string]rpm.Keyring, error) {
	out := map[string]rpm.Keyring{}
	for _, r := range p.Repos {
		ring, err := f.Keyring(r.ID)
		if err != nil {
			return nil, err
		}
		out[r.ID] = ring
	}
	return out, nil
}

// Keyring reads the keys that may sign packages of a repository.
func (f *Fleet) Keyring(id string) (rpm.Keyring, error) {
	var ring rpm.Keyring
	cfg := f.Site.Repo(id)
	if cfg == nil {
		return ring, fmt.Errorf("repository %s is not in the site", id)
	}
	for _, path := range cfg.Keys {
		file, err := os.Open(path)
		if err != nil {
			return ring, fmt.Errorf("read a key of repository %s: %w", id, err)
		}
		one, err := rpm.ReadKeys(file)
		file.Close()
		if err != nil {
			return ring, fmt.Errorf("read the key %s of repository %s: %w", path, id, err)
		}
		ring = ring.Join(one)
	}
	return ring, nil
}

// prove reads one package file to its end.
func (f *Fleet) prove(ctx context.Context, repos *Repos, p planner.PlanPackage, keys rpm.Keyring) (ProvenFile, []string, error) {
	var out ProvenFile
	located, err := repos.At(ctx, p.Repo, p.Path)
	if err != nil {
		return out, nil, err
	}
	if planner.Checksum(located.Package.Checksum) != p.Checksum || located.Package.NEVRA != p.NEVRA {
		return out, nil, fmt.Errorf("%w: the repository's metadata changed", errChangedFile)
	}
	file, sum, err := readProven(ctx, located)
	if err != nil {
		return out, nil, err
	}
	var warnings []string
	if located.Package.Checksum.Weak() {
		warnings = append(warnings, fmt.Sprintf("%s: repository %s names it by %s only", p.NEVRA, p.Repo, located.Package.Checksum.Type))
	}
	if p.SHA256 != "" && p.SHA256 != sum {
		return out, warnings, fmt.Errorf("%w: sha256 is %s", errChangedFile, sum)
	}
	header, err := file.Header.Package()
	if err != nil {
		return out, warnings, err
	}
	if header.NEVRA != p.NEVRA {
		return out, warnings, fmt.Errorf("metadata says %s and the signed header says %s", p.NEVRA, header.NEVRA)
	}
	diff := compareHeader(located.Package.Package, header)
	if f.Site.Repo(p.Repo).MinAge > 0 {
		diff = append(diff, madeOlder(located.Package.Package, header)...)
	}
	if len(diff) > 0 {
		return out, warnings, fmt.Errorf("metadata and signed header disagree: %s", strings.Join(diff[:min(len(diff), 3)], "; "))
	}
	signer, err := verifyPackage(file, keys, f.Site.Repo(p.Repo).Signed)
	if err != nil {
		return out, warnings, err
	}
	if signer == "" {
		warnings = append(warnings, fmt.Sprintf("%s: not signed; allowed by signed = \"optional\" of repository %s", p.NEVRA, p.Repo))
	}
	path, err := located.File()
	if err != nil {
		return out, warnings, err
	}
	out.File = host.File{NEVRA: p.NEVRA, Name: filepath.Base(p.Path), SHA256: sum, Size: file.Size, Local: path}
	out.SignerKey = signer
	return out, warnings, nil
}

// readProven verifies size and checksum by metadata and reads the package.
func readProven(ctx context.Context, l Located) (*rpm.File, string, error) {
	sum, err := l.Repo.VerifyPackage(ctx, l.Package)
	if err != nil {
		return nil, "", err
	}
	in, err := l.Repo.OpenPackage(l.Package)
	if err != nil {
		return nil, "", err
	}
	defer in.Close()
	file, err := rpm.ReadPackageFile(io.Reader(in))
	if err != nil {
		return nil, "", err
	}
	if file.SHA256 != sum {
		return nil, "", fmt.Errorf("%w: it changed while it was read", errChangedFile)
	}
	return file, sum, nil
}

// verifyPackage demands a good signature by an allowed key; unsigned passes only where the repository says optional.
func verifyPackage(file *rpm.File, keys rpm.Keyring, signed inventory.SignedMode) (signer string, err error) {
	v, err := file.Verify(keys, rpm.Policy{Unsigned: signed == inventory.SignedOptional})
	if err != nil {
		return "", err
	}
	if v.Signer == nil {
		return "", nil
	}
	return v.Signer.Fingerprint, nil
}

// CheckRepo verifies one repository: its metadata, its files, and if asked every digest and signature.
func (f *Fleet) CheckRepo(ctx context.Context, repos *Repos, id string, full, signatures bool) ([]repo.Problem, error) {
	cfg := f.Site.Repo(id)
	opt := repos.opt
	opt.Full = full
	problems, err := repo.Check(ctx, repo.Config{ID: id, Path: cfg.Path}, opt)
	if err != nil || !signatures {
		return problems, err
	}
	keys, err := f.Keyring(id)
	if err != nil {
		return problems, err
	}
	one, err := repos.Open(ctx, id)
	if err != nil {
		return problems, nil // the damage is among the problems
	}
	for _, p := range one.Packages() {
		if err := ctx.Err(); err != nil {
			return problems, err
		}
		file, _, err := readProven(ctx, Located{one, p})
		if err == nil {
			_, err = verifyPackage(file, keys, cfg.Signed)
		}
		if err != nil {
			problems = append(problems, repo.Problem{Repo: id, File: p.Location, Package: p.NEVRA.String(), What: err.Error()})
		}
	}
	return problems, nil
}
