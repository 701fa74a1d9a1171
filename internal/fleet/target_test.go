package fleet

import (
	"strings"
	"testing"
)

func TestReadLock(t *testing.T) {
	got, err := ReadLock(strings.NewReader("# what stands\nbash-5.1-2.el9.x86_64\n\n  bind-32:9.16-1.el9.x86_64 # with epoch\ngpg-pubkey-1-2\nbash-5.1-2.el9.x86_64\n"))
	if err != nil || len(got) != 2 || got[0].String() != "bash-5.1-2.el9.x86_64" || got[1].Epoch != 32 {
		t.Errorf("ReadLock: %v, %v", got, err)
	}
	for text, want := range map[string]string{"": "names no package", "# only\n": "names no package", "bash-5.1-2.el9.x86_64\nfoo\n": "line 2"} {
		if _, err := ReadLock(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ReadLock(%q): %v, want %q", text, err, want)
		}
	}
}
