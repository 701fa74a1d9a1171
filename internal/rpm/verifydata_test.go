package rpm

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// allKeys reads every key file below dir, for us and into a new rpm database.
func allKeys(t *testing.T, dir string) (ring Keyring, db string) {
	t.Helper()
	db = t.TempDir()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(data, []byte("BEGIN PGP PUBLIC")) && filepath.Ext(path) != ".pgp" {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		one, err := ReadKeys(bytes.NewReader(data))
		out, rpmErr := exec.Command("rpmkeys", "--dbpath", db, "--import", path).CombinedOutput()
		if (err == nil) != (rpmErr == nil) || len(one.Skipped) > 0 {
			t.Logf("key %s: ours %v (skipped %v), rpm %v %.200s", name, err, one.Skipped, rpmErr, lastLine(out))
		}
		ring = ring.Join(one)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return ring, db
}

func lastLine(b []byte) string {
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return lines[len(lines)-1]
}

var rpmVerdict = regexp.MustCompile(`(?m)^ +(.*(?:Signature|digest).*)$`)

// TestRealSignatures compares our verdict on every real package with that of rpmkeys at the strictest level.
func TestRealSignatures(t *testing.T) {
	dir := dataDir(t)
	if _, err := exec.LookPath("rpmkeys"); err != nil {
		t.Skip("needs rpm: ", err)
	}
	ring, db := allKeys(t, filepath.Join(dir, "rpms"))
	count := map[string]int{}
	for _, path := range packageFiles(t, filepath.Join(dir, "rpms")) {
		name, _ := filepath.Rel(dir, path)
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		pkg, err := ReadPackageFile(f)
		f.Close()
		var v Verification
		if err == nil {
			v, err = pkg.Verify(ring, Policy{})
		}
		out, rpmErr := exec.Command("rpmkeys", "--dbpath", db, "--define", "_pkgverify_level all", "-Kv", path).CombinedOutput()
		verdicts := strings.Join(rpmVerdict.FindAllString(string(out), -1), "\n")
		kind := errorKind(err)
		count[fmt.Sprintf("%s; rpm accepts: %v", kind, rpmErr == nil)]++
		switch {
		case (err == nil) == (rpmErr == nil):
		case err != nil:
			t.Errorf("%s: rpm accepts what we refuse: %v", name, err)
		case strings.Contains(verdicts, "BAD") || strings.Contains(verdicts, "Signature") && !strings.Contains(verdicts, "NOKEY"):
			t.Errorf("%s: accepted, and rpm says\n%s", name, verdicts)
		default: // rpm could not check it: a kind of key or signature that is newer than this rpm
			t.Logf("%s: signed by %+v; rpm knows no such signature or key:\n%s", name, v.Signer, verdicts)
		}
	}
	legacyPackages(t, dir, ring)
	unsignedPackages(t, dir)
	for k, n := range count {
		t.Logf("%3d %s", n, k)
	}
}

// legacyPackages checks that everything CentOS ever signed is accepted by the policy that is there for it.
func legacyPackages(t *testing.T, dir string, ring Keyring) {
	for _, path := range packageFiles(t, filepath.Join(dir, "rpms", "centos-signed")) {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		pkg, err := ReadPackageFile(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		if v, err := pkg.Verify(ring, Policy{Legacy: true}); err != nil || v.Signer == nil {
			t.Errorf("legacy %s: %v", filepath.Base(path), err)
		}
	}
}

// errorKind names the sentinel behind a refusal.
func errorKind(err error) string {
	if err == nil {
		return "accepted"
	}
	for _, kind := range []error{ErrUnsigned, ErrUnknownKey, ErrBadSignature, ErrDigest, ErrNoModernDigest, ErrUnsupportedSignature, ErrWeakSignature, ErrKeyInvalid, ErrHeader, ErrNotPackage} {
		if errors.Is(err, kind) {
			return kind.Error()
		}
	}
	return "refused"
}

// unsignedPackages compares our verdict on packages without a signature with that of rpm at the level that looks at digests.
func unsignedPackages(t *testing.T, dir string) {
	t.Helper()
	all, db := 0, t.TempDir()
	for _, path := range packageFiles(t, filepath.Join(dir, "rpms")) {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		pkg, err := ReadPackageFile(f)
		f.Close()
		if err != nil {
			continue
		}
		v, err := pkg.Verify(Keyring{}, Policy{Unsigned: true})
		if len(v.Signatures) > 0 {
			continue
		}
		all++
		rpmErr := exec.Command("rpmkeys", "--dbpath", db, "-K", path).Run()
		if (err == nil) != (rpmErr == nil) {
			t.Logf("unsigned %s: ours %v with %s/%s, rpm %v", filepath.Base(path), err, v.HeaderProof, v.PayloadProof, rpmErr)
		}
	}
	t.Logf("%d unsigned packages", all)
}
