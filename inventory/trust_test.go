package inventory

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// strangers trusts somebody who is not running the test, and root only if that
// is not who runs it: every file of the test belongs to a stranger.
func strangers() *Loader { return &Loader{Owners: Owners{uint32(os.Geteuid()) + 4242}} }

func TestSiteOfStranger(t *testing.T) {
	dir := writeSite(t, map[string]string{MainFile: "", "inventory/a.toml": ""})
	_, err := strangers().Load(dir)
	if err == nil || !strings.Contains(err.Error(), "it belongs neither to you nor to root; owner ") ||
		!strings.Contains(err.Error(), fmt.Sprintf("(uid %d), mode 0755 (drwxr-xr-x)", os.Geteuid())) ||
		!strings.Contains(err.Error(), fmt.Sprintf("hint: after looking at what it holds: chown %d %s", os.Geteuid()+4242, dir)) {
		t.Errorf("%v", err)
	}
}

// TestOthersCanWrite: each part of a site that others can write is refused, all
// of them at once, with the mode and the command that helps.
func TestOthersCanWrite(t *testing.T) {
	files := map[string]string{MainFile: "state = 5", "inventory/a.toml": "x = 1", "inventory/b.toml": "[host.b]\ny = 1", "inventory/sub/c.toml": "z = 1", "inventory/sub/d/e.toml": ""}
	dir := writeSite(t, files)
	for path, mode := range map[string]os.FileMode{MainFile: 0o664, "inventory/a.toml": 0o646, "inventory/sub": 0o777} {
		if err := os.Chmod(filepath.Join(dir, path), mode); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, p := range problemsOf(t, dir) {
		got = append(got, strings.TrimPrefix(p.where(), dir+"/"))
		if p.Line == 0 && (!strings.Contains(p.Message, "others can write it") || !strings.Contains(p.Hint, "chmod go-w "+p.File)) {
			t.Errorf("%v", p)
		}
	}
	if s := strings.Join(got, " "); s != "cpacman.toml inventory/a.toml inventory/b.toml:2 inventory/sub" {
		t.Errorf("problems at %s", s)
	}
	for path, want := range map[string]string{".": "0775", "inventory": "0757"} {
		dir := writeSite(t, map[string]string{MainFile: "", "inventory/a.toml": ""})
		var mode uint32
		fmt.Sscanf(want, "%o", &mode)
		if err := os.Chmod(filepath.Join(dir, path), os.FileMode(mode)); err != nil {
			t.Fatal(err)
		}
		if ps := problemsOf(t, dir); len(ps) != 1 || !strings.Contains(ps[0].Message, "mode "+want) {
			t.Errorf("%s: %v", path, ps)
		}
	}
}

// TestLinkToUnsafeFile: it is the target of a link that counts.
func TestLinkToUnsafeFile(t *testing.T) {
	dir := writeSite(t, map[string]string{MainFile: "", "inventory/a.toml": "", "else/b.toml": "[host.b]\n"})
	target := filepath.Join(dir, "else/b.toml")
	if err := os.Symlink(target, filepath.Join(dir, "inventory/b.toml")); err != nil {
		t.Fatal(err)
	}
	if ps := problemsOf(t, dir); len(ps) != 0 {
		t.Errorf("safe target: %v", ps)
	}
	if err := os.Chmod(target, 0o666); err != nil {
		t.Fatal(err)
	}
	if ps := problemsOf(t, dir); len(ps) != 1 || !strings.Contains(ps[0].Message, "mode 0666") {
		t.Errorf("unsafe target: %v", ps)
	}
}

// TestPipeDoesNotBlock: a named pipe where a file should be is refused at once.
func TestPipeDoesNotBlock(t *testing.T) {
	dir := writeSite(t, map[string]string{MainFile: "", "inventory/a.toml": ""})
	if err := syscall.Mkfifo(filepath.Join(dir, "inventory/p.toml"), 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan Problems, 1)
	go func() { done <- problemsOf(t, dir) }()
	select {
	case ps := <-done:
		if len(ps) != 1 || !strings.Contains(ps[0].Message, "is not a regular file") {
			t.Errorf("%v", ps)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("reading a pipe blocks")
	}
}

func TestForeignFileAsRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: to make a file that belongs to somebody else")
	}
	dir := writeSite(t, map[string]string{MainFile: "", "inventory/a.toml": "", "inventory/b.toml": ""})
	if err := os.Chown(filepath.Join(dir, "inventory/a.toml"), 4242, 0); err != nil {
		t.Fatal(err)
	}
	if ps := problemsOf(t, dir); len(ps) != 1 || !strings.Contains(ps[0].Message, "owner 4242, mode 0644") {
		t.Errorf("%v", ps)
	}
	// The user behind sudo may own it.
	if _, err := (&Loader{Owners: CurrentOwners("4242")}).Load(dir); err != nil {
		t.Errorf("behind sudo: %v", err)
	}
	if _, err := (&Loader{Owners: CurrentOwners("4243")}).Load(dir); err == nil {
		t.Error("a stranger's file is used")
	}
}

func TestCurrentOwners(t *testing.T) {
	uid := uint32(os.Geteuid())
	for _, sudo := range []string{"", "x", "-1", "0", "99999999999"} {
		for _, o := range CurrentOwners(sudo) {
			if o != 0 && o != uid {
				t.Errorf("SUDO_UID=%q: trusts %d", sudo, o)
			}
		}
	}
	if got := CurrentOwners("4242"); (len(got) == 2 && got[1] == 4242) != (uid == 0) {
		t.Errorf("SUDO_UID of uid %d: %v", uid, got)
	}
}

func TestVerifyProgram(t *testing.T) {
	dir := writeSite(t, map[string]string{"good": "#!/bin/true\n", "open": "", "plain": "", "sub/in-open-dir": ""})
	path := func(p string) string { return filepath.Join(dir, p) }
	for p, mode := range map[string]os.FileMode{"good": 0o755, "open": 0o775, "plain": 0o644, "sub/in-open-dir": 0o755, "sub": 0o777} {
		if err := os.Chmod(path(p), mode); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{"link": "good", "link-open": "open", "link-dir": "sub/in-open-dir", "link-gone": "gone"} {
		if err := os.Symlink(target, path(link)); err != nil {
			t.Fatal(err)
		}
	}
	owners := CurrentOwners("")
	for p, want := range map[string]string{
		path("good"): "", path("link"): "",
		path("open"): "others can write it", path("link-open"): "others can write it",
		path("plain"): "not an executable file", path("sub"): "not an executable file",
		path("sub/in-open-dir"): `directory`, path("link-dir"): `directory`,
		path("gone"): "no such file", path("link-gone"): "no such file",
		"good": "not an absolute path", "": "not an absolute path",
	} {
		err := owners.VerifyProgram(p)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", p, err, want)
		}
	}
	var unsafe *UnsafeError
	if err := strangers().Owners.VerifyProgram(path("good")); !errors.As(err, &unsafe) || unsafe.Kind != "program" {
		t.Errorf("a stranger's program: %v", err)
	}
}

func TestShellQuote(t *testing.T) {
	for in, want := range map[string]string{"/a/b.toml": "/a/b.toml", "/a b": "'/a b'", "it's": `'it'\''s'`, "-x": "'-x'", "": "''", "$(x)": "'$(x)'"} {
		if got := shellQuote(in); got != want {
			t.Errorf("%q: %s", in, got)
		}
	}
}

func TestFind(t *testing.T) {
	root := writeSite(t, map[string]string{"site/cpacman.toml": "", "site/inventory/a/x": "", "other/cpacman.toml": "", "empty/x": "", "open/cpacman.toml": "", "open/sub/x": ""})
	at := func(p string) string { return filepath.Join(root, p) }
	if err := os.Chmod(at("open/cpacman.toml"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		opts FindOptions
		want string
	}{
		{"flag first", FindOptions{Flag: at("site"), Env: at("other"), WorkDir: at("other")}, at("site")},
		{"then the environment", FindOptions{Env: at("other"), WorkDir: at("site")}, at("other")},
		{"here", FindOptions{WorkDir: at("site")}, at("site")},
		{"upwards", FindOptions{WorkDir: at("site/inventory/a")}, at("site")},
		{"the system's", FindOptions{WorkDir: at("empty"), System: at("other")}, at("other")},
		{"the system's without a directory", FindOptions{System: at("other")}, at("other")},
	} {
		c.opts.Owners = CurrentOwners("")
		if got, err := Find(c.opts); err != nil || got != c.want {
			t.Errorf("%s: %q, %v", c.name, got, err)
		}
	}
	for _, opts := range []FindOptions{
		{Flag: at("empty"), WorkDir: at("site")}, {Env: at("none")}, {Flag: at("site/cpacman.toml")}, {WorkDir: at("empty"), System: at("none")},
	} {
		if got, err := Find(opts); !errors.Is(err, ErrNoSite) {
			t.Errorf("%+v: %q, %v", opts, got, err)
		}
	}
	var unsafe *UnsafeError
	if got, err := Find(FindOptions{WorkDir: at("open/sub"), System: at("other")}); !errors.As(err, &unsafe) || unsafe.Mode.Perm() != 0o666 || got == at("other") {
		t.Errorf("open to others: %q, %v", got, err)
	}
	if _, err := Find(FindOptions{WorkDir: at("site"), Owners: strangers().Owners}); !errors.As(err, &unsafe) {
		t.Errorf("a stranger's: %v", err)
	}
}
