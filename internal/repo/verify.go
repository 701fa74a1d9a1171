package repo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"cpacman/internal/rpm"
)

// nonblock keeps an open from waiting on a pipe that took a package's place.
const nonblock = syscall.O_NONBLOCK

// FilePath returns the absolute path of a package's file. The file is there and has the right size; no symbolic link leads out of the
// repository. OpenPackage is safer where the file is read.
func (r *Repo) FilePath(p *Package) (string, error) {
	d, err := r.OpenDir()
	if err != nil {
		return "", err
	}
	defer d.Close()
	f, err := d.OpenPackage(p)
	if err != nil {
		return "", err
	}
	if err := f.Close(); err != nil {
		return "", &Damage{r.id, p.Location, "cannot be read", err}
	}
	return filepath.Join(r.path, filepath.FromSlash(d.k.place(p))), nil
}

// place is where a package's file is. Some programs write locations as parts of a URL are written (%5E for ^, %2B for +), and who mirrors by URL has the
// characters themselves on disk: such a file counts where there is none at the location as it stands. Like every other it is proven by its checksum.
func (k *disk) place(p *Package) string {
	if strings.IndexByte(p.Location, '%') < 0 {
		return p.Location
	}
	text, err := url.PathUnescape(p.Location)
	if err == nil {
		text, err = cleanLocation(text)
	}
	if err != nil {
		return p.Location
	}
	if _, err := k.root.Stat(p.Location); !errors.Is(err, fs.ErrNotExist) {
		return p.Location
	}
	if _, err := k.root.Stat(text); err != nil {
		return p.Location
	}
	return text
}

// OpenPackage opens a package's file for reading; the caller closes it. It is a regular file below the repository, of the right
// size. Missing is a *Damage that wraps fs.ErrNotExist, and also ErrNotLocal when the metadata says that the file is elsewhere.
func (r *Repo) OpenPackage(p *Package) (*os.File, error) {
	d, err := r.OpenDir()
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.OpenPackage(p)
}

// Dir is the directory of a repository, held open for who looks at many of its files. It may be used by many goroutines.
type Dir struct{ k *disk }

// OpenDir opens the directory; the caller closes it.
func (r *Repo) OpenDir() (*Dir, error) {
	k, err := r.disk()
	if err != nil {
		return nil, err
	}
	return &Dir{k}, nil
}

// Close releases the directory.
func (d *Dir) Close() { d.k.root.Close() } //nolint:errcheck,gosec // opened for reading

// OpenPackage is that of Repo.
func (d *Dir) OpenPackage(p *Package) (*os.File, error) { return d.k.openPackage(p) }

// SizeOf gives the bytes of a package's file: as metadata have them, else as the file has. It is false where neither tells.
func (r *Repo) SizeOf(p *Package) (size int64, known bool) {
	if p.Size >= 0 {
		return p.Size, true
	}
	d, err := r.OpenDir()
	if err != nil {
		return 0, false
	}
	defer d.Close()
	id, err := d.FileID(p)
	return id.Size, err == nil
}

// FileID tells whether the file of a package is the one that was looked at before, without opening it; its errors are those of OpenPackage.
func (d *Dir) FileID(p *Package) (FileID, error) {
	st, err := d.k.root.Stat(d.k.place(p))
	if err != nil {
		return FileID{}, d.k.absent(p, err)
	}
	if err := d.k.unfit(p, st); err != nil {
		return FileID{}, err
	}
	return identity(st), nil
}

func (k *disk) openPackage(p *Package) (*os.File, error) {
	f, err := k.root.OpenFile(k.place(p), os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, k.absent(p, err)
	}
	st, err := f.Stat()
	if err != nil {
		err = &Damage{k.id, p.Location, "cannot be read", err}
	} else {
		err = k.unfit(p, st)
	}
	if err != nil {
		f.Close() //nolint:errcheck,gosec // the first error counts
		return nil, err
	}
	return f, nil
}

// absent says why a package's file cannot be opened.
func (k *disk) absent(p *Package, err error) error {
	if errors.Is(err, fs.ErrNotExist) && p.Base != "" {
		return &Damage{k.id, p.Location, "package missing here, the metadata has it at " + quoted(p.Base) + "; mirror the repository first", errors.Join(ErrNotLocal, fs.ErrNotExist)}
	}
	what, cause := missing(err)
	return &Damage{k.id, p.Location, "package " + what, cause}
}

// unfit says what is wrong with a package's file before it is read; nil: nothing.
func (k *disk) unfit(p *Package, st fs.FileInfo) error {
	what := ""
	switch {
	case !st.Mode().IsRegular():
		what = "is not a regular file"
	case p.Size >= 0 && st.Size() < p.Size:
		what = fmt.Sprintf("truncated: %d bytes, the metadata says %d", st.Size(), p.Size)
	case p.Size >= 0 && st.Size() != p.Size:
		what = fmt.Sprintf("%d bytes, the metadata says %d", st.Size(), p.Size)
	default:
		return nil
	}
	return &Damage{k.id, p.Location, what, nil}
}

// VerifyPackage reads a package's file and proves it: size and checksum as the metadata has them; in a directory of RPMs the header
// that was read when it was opened, and the digests that the package carries. It returns the sha256 of the file as lower-case
// hex. Signatures are not looked at.
func (r *Repo) VerifyPackage(ctx context.Context, p *Package) (string, error) {
	k, err := r.disk()
	if err != nil {
		return "", err
	}
	defer k.root.Close() //nolint:errcheck // opened for reading
	return k.verifyPackage(ctx, p)
}

func (k *disk) verifyPackage(ctx context.Context, p *Package) (string, error) {
	f, err := k.openPackage(p)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	if p.Checksum.Type == "" {
		return k.verifyFile(ctx, p, f)
	}
	sha := sha256.New()
	var own hash.Hash = sha
	w := io.Writer(sha)
	if p.Checksum.Type != "sha256" {
		own = newHash(p.Checksum.Type)
		w = io.MultiWriter(sha, own)
	}
	if _, err := io.CopyBuffer(w, struct{ io.Reader }{contextReader{ctx, f}}, make([]byte, 256<<10)); err != nil {
		return "", &Damage{k.id, p.Location, "cannot be read", err}
	}
	if got := sum(own); got != p.Checksum.Value {
		return "", &Damage{k.id, p.Location, fmt.Sprintf("checksum mismatch: %s is %s, the metadata says %s", p.Checksum.Type, got, p.Checksum.Value), nil}
	}
	return hex.EncodeToString(sha.Sum(nil)), nil
}

// verifyFile proves a package of a directory, for which no metadata speaks, by the digests in it.
func (k *disk) verifyFile(ctx context.Context, p *Package, f *os.File) (string, error) {
	sha := sha256.New()
	in := io.TeeReader(contextReader{ctx, f}, sha)
	file, err := rpm.ReadPackageFile(in)
	if err == nil {
		_, err = io.Copy(io.Discard, in)
	}
	if err != nil {
		return "", &Damage{k.id, p.Location, "damaged", err}
	}
	if err = checkHeader(file); err == nil {
		err = checkPayload(file)
	}
	if err == nil {
		err = checkMD5(ctx, file, f)
	}
	if err != nil {
		return "", &Damage{k.id, p.Location, "damaged", err}
	}
	if got := file.Header.SHA256(); got != p.Package.Header {
		return "", &Damage{k.id, p.Location, fmt.Sprintf("changed since it was indexed: header %s was %s", got, p.Package.Header), nil}
	}
	return hex.EncodeToString(sha.Sum(nil)), nil
}

// Tags of the digests that packages carry (rpm: rpmtag.h). Signatures are the business of whoever has the keys.
const (
	tagSHA1Header        = 269  // in the signature header: SHA-1 of the main header
	tagSHA256Header      = 273  // in the signature header: SHA-256 of the main header
	tagSize              = 1000 // in the signature header: bytes of main header and payload together
	tagLongSize          = 270  // the same, for large packages
	tagMD5               = 1004 // in the signature header: MD5 of main header and payload together
	tagPayloadDigest     = 5092 // of the compressed payload
	tagPayloadDigestAlgo = 5093
	algoSHA256           = 8 // OpenPGP's number
)

// checkHeader compares a package's main header with the SHA digests beside it.
func checkHeader(f *rpm.File) error {
	for _, d := range []struct{ what, want, got string }{
		{"header has SHA-1", f.Signature.Text(tagSHA1Header), f.Header.SHA1()},
		{"header has SHA-256", f.Signature.Text(tagSHA256Header), f.Header.SHA256()},
	} {
		if d.want != "" && !strings.EqualFold(d.want, d.got) {
			return fmt.Errorf("%s %s where the package says %s", d.what, d.got, quoted(d.want))
		}
	}
	return nil
}

// declaredSize is how many bytes main header and payload have, by the signature header; false where it does not say.
func declaredSize(f *rpm.File) (uint64, bool) {
	if size, ok := f.Signature.Number(tagLongSize); ok {
		return size, true
	}
	return f.Signature.Number(tagSize)
}

// checkWhole tells a file of so many bytes that ends within its payload, without reading that.
func checkWhole(f *rpm.File, bytes int64) error {
	size, ok := declaredSize(f)
	if there := uint64(max(0, bytes-f.Start)); ok && size > there { //nolint:gosec // not negative
		return fmt.Errorf("truncated: %d bytes, the package says %d", bytes, uint64(f.Start)+size) //nolint:gosec // as above
	}
	return nil
}

// checkPayload compares the payload with the SHA-256 in the header. Packages made before rpm 4.14 have none.
func checkPayload(f *rpm.File) error {
	if algo, ok := f.Header.Number(tagPayloadDigestAlgo); ok && algo == algoSHA256 {
		if want := f.Header.Texts(tagPayloadDigest); len(want) > 0 && !strings.EqualFold(want[0], f.PayloadSHA256) {
			return fmt.Errorf("payload has SHA-256 %s where the header says %s", f.PayloadSHA256, quoted(want[0]))
		}
	}
	return nil
}

// checkMD5 compares main header and payload with their MD5, which is all that packages made before rpm 4.14 have of the payload.
func checkMD5(ctx context.Context, f *rpm.File, file io.ReaderAt) error {
	want := hex.EncodeToString(f.Signature.Binary(tagMD5))
	size, ok := declaredSize(f)
	if len(f.Header.Texts(tagPayloadDigest)) > 0 || want == "" || !ok {
		return nil
	}
	if size > uint64(f.Size) { //nolint:gosec // a size is not negative
		return fmt.Errorf("truncated: %d bytes, the package says %d and more", f.Size, size)
	}
	h := newHash("md5")
	part := io.NewSectionReader(file, f.Size-int64(size), int64(size)) //nolint:gosec // bounded above
	if _, err := io.Copy(h, contextReader{ctx, part}); err != nil {
		return err
	}
	if got := sum(h); got != want {
		return fmt.Errorf("header and payload have MD5 %s where the package says %s", got, want)
	}
	return nil
}
