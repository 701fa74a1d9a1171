package rpm

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadKeys(t *testing.T) {
	a, b := edKey(t), rsaKey(t, 2048)
	var binaryKeys bytes.Buffer
	a.Serialize(&binaryKeys)
	b.Serialize(&binaryKeys)
	var private bytes.Buffer
	a.SerializePrivate(&private, nil)
	broken := strings.Replace(armored(t, b), "\n\n", "\n\nAAAA", 1)
	for _, c := range []struct {
		name    string
		text    string
		keys    int
		skipped int
	}{
		{"one", armored(t, a), 1, 0},
		{"two and text", "# comment\n" + armored(t, a) + "between\n" + armored(t, b) + "end", 2, 0},
		{"twice the same", armored(t, a) + armored(t, a), 1, 0},
		{"binary", binaryKeys.String(), 2, 0},
		{"one broken", armored(t, a) + broken, 1, 1},
		{"private", private.String(), 0, 0},
		{"empty", "", 0, 0},
		{"text", "hello", 0, 0},
		{"half a block", armored(t, a)[:200], 0, 0},
	} {
		r, err := ReadKeys(strings.NewReader(c.text))
		if c.keys == 0 {
			if !errors.Is(err, ErrNoKey) {
				t.Errorf("%s: %d keys, %v", c.name, len(r.Keys()), err)
			}
		} else if err != nil || len(r.Keys()) != c.keys || (len(r.Skipped) > 0) != (c.skipped > 0) {
			t.Errorf("%s: %d keys, skipped %v, %v", c.name, len(r.Keys()), r.Skipped, err)
		}
	}
	if _, err := ReadKeys(io.LimitReader(zeros{}, 1<<30)); !errors.Is(err, ErrNoKey) {
		t.Error("endless file:", err)
	}
	if _, err := exec.LookPath("rpmkeys"); err != nil {
		t.Skip("needs rpm: ", err)
	}
	db := t.TempDir()
	file := filepath.Join(db, "key")
	if err := os.WriteFile(file, []byte(armored(t, b)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("rpmkeys", "--dbpath", db, "--import", file).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := exec.Command("rpm", "--dbpath", db, "-q", "--qf", "%{VERSION} %{RELEASE}", PubkeyName).Output()
	version, release, _ := strings.Cut(string(out), " ")
	if k := ring(t, b).Keys()[0]; err != nil || version != k.ShortID() || release != k.CreatedHex() || !k.MatchesPubkey(version, release) ||
		!k.MatchesPubkey(k.Fingerprint(), release) || k.MatchesPubkey("00000000", release) || k.MatchesPubkey(version, "00000000") {
		t.Errorf("rpm calls the key %s-%s, we %s-%s: %v", version, release, k.ShortID(), k.CreatedHex(), err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func FuzzReadKeys(f *testing.F) {
	f.Add([]byte(armored(f, edKey(f))))
	var b bytes.Buffer
	rsaKey(f, 2048).Serialize(&b)
	f.Add(b.Bytes())
	f.Fuzz(func(_ *testing.T, b []byte) {
		r, _ := ReadKeys(bytes.NewReader(b))
		for _, k := range r.Keys() {
			k.MatchesPubkey(k.ShortID(), k.CreatedHex())
			k.UserIDs()
		}
	})
}
