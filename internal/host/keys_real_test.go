package host

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	"cpacman/internal/rpm"
)

// keyFile is a key as a plan has it.
func keyFile(t testing.TB, public []byte) KeyFile {
	t.Helper()
	ring, err := rpm.ReadKeys(strings.NewReader(string(public)))
	if err != nil {
		t.Fatal(err)
	}
	text, err := ring.Keys()[0].Armor()
	if err != nil {
		t.Fatal(err)
	}
	return KeyFile{Fingerprint: ring.Keys()[0].Fingerprint(), Armor: text, SHA256: digestOf([]byte(text))}
}

// policed makes the host's rpmkeys refuse one key as a crypto policy does.
func policed(l *lab, f KeyFile) {
	l.host.sh("cp /usr/bin/rpmkeys /usr/bin/rpmkeys.real")
	line := strings.Split(f.Armor, "\n")[3]
	wrapper := "#!/bin/sh\nfor a; do [ ! -f \"$a\" ] || ! grep -q -F -e '" + line + "' \"$a\" || {\n" +
		"echo 'error: Certificate 1234: Policy rejects 1234: SHA1 is not considered secure' >&2\nexit 1\n}\ndone\nexec /usr/bin/rpmkeys.real \"$@\"\n"
	if err := os.WriteFile(l.host.path("/usr/bin/rpmkeys.new"), []byte(wrapper), 0o755); err != nil {
		l.t.Fatal(err)
	}
	l.host.sh("mv /usr/bin/rpmkeys.new /usr/bin/rpmkeys")
}

// A rotation under each shell: the test proves packages of the new key although the host does not have it and changes nothing; the
// transaction imports it, the step after it retires the old one, and the way back undoes both.
func TestRotateKeys(t *testing.T) {
	t.Parallel()
	next := newSigner(t)
	for name, shell := range shells {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, pkg{nevra: "app-1-1.noarch"})
			l.host.shell = shell
			l.host.sh("ln -sf " + shell[0] + " /bin/sh")
			ctx := context.Background()
			old := build(t, l.key, pkg{nevra: "app-1-1.noarch"})
			tx := Transaction{Upgrade: []File{build(t, next, pkg{nevra: "app-2-1.noarch"})}, Removes: nevras(t, "app-1-1.noarch"),
				Import: []KeyFile{keyFile(t, next.public)}}
			tx, pre := l.prepare("r1/h1/1", tx)
			had := pre.Facts.Keys[0]
			if want := keyFile(t, l.key.public); had.Fingerprint != want.Fingerprint || !strings.Contains(had.Owner, "lab@example.invalid") || had.Expires != 0 {
				t.Errorf("the host's key is %+v, want %s", had, want.Fingerprint)
			}
			tx.Retire = []string{had.Entry()}
			keys := func() string { return strings.TrimSpace(l.host.sh("/usr/bin/rpm -qa gpg-pubkey | sort")) }
			before := keys()

			bare := tx
			bare.Import = nil
			if res, err := l.s.Test(ctx, bare); err != nil || res.OK || len(res.MissingKeys) != 1 {
				t.Errorf("test without the key: %+v, %v", res, err)
			}
			if res, err := l.s.Test(ctx, tx); err != nil || !res.OK {
				t.Fatalf("test: %+v, %v", res, err)
			}
			if refused, err := l.s.TryKeys(ctx, tx.Import); err != nil || len(refused) > 0 {
				t.Errorf("try: %q, %v", refused, err)
			}
			if got := keys(); got != before {
				t.Fatalf("a test changed the keys: %s", got)
			}

			if err := l.s.Start(ctx, tx); err != nil {
				t.Fatal(err)
			}
			if st := await(t, l.s, tx.ID, Done); st.Phase != Done || st.RC["k"] != 0 || st.RC["u"] != 0 || len(st.RC) != 2 {
				t.Fatalf("status %+v", st)
			}
			v, err := l.s.Verify(ctx, tx, pre.Facts, pre.Unmet, false)
			if err != nil || !v.OK || !slices.ContainsFunc(v.After.Keys, func(k Key) bool { return k.Fingerprint == tx.Import[0].Fingerprint }) {
				t.Fatalf("verify: %+v, %v", v, err)
			}
			if err := l.s.RunErase(ctx, tx); err != nil {
				t.Fatal(err)
			}
			if st := await(t, l.s, tx.ID, Done); st.Phase != Done || st.Mode != "erase" || st.RC["r"] != 0 {
				t.Fatalf("retire %+v", st)
			}
			if got := keys(); strings.Contains(got, had.Entry()) || strings.Count(got, "gpg-pubkey") != 1 {
				t.Errorf("keys after: %s", got)
			}

			back := Transaction{ID: BackID(tx.ID), MachineID: tx.MachineID, OldPackage: true, Upgrade: []File{old}, UndoKeys: true}
			if _, err := l.s.Stage(ctx, back.Upgrade, nil); err != nil {
				t.Fatal(err)
			}
			if err := l.s.StartBack(ctx, back); err != nil {
				t.Fatal(err)
			}
			if st := await(t, l.s, back.ID, Done); st.Phase != Done || st.RC["k"] != 0 || st.RC["u"] != 0 || st.RC["r"] != 0 {
				t.Fatalf("back %+v", st)
			}
			if got := keys(); got != before {
				t.Errorf("keys after the way back: %s, before %s", got, before)
			}
			l.host.sh("/usr/bin/rpm -q app-1-1")
		})
	}
}

// Keys alone are a transaction too. What is there already is passed over, on the way and on the way back.
func TestKeysAlone(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	ctx := context.Background()
	tx, pre := l.prepare("r1/h1/1", Transaction{Import: []KeyFile{keyFile(t, l.key.public)}})
	if res, err := l.s.Test(ctx, tx); err != nil || !res.OK {
		t.Fatalf("test: %+v, %v", res, err)
	}
	if err := l.s.Start(ctx, tx); err != nil {
		t.Fatal(err)
	}
	if st := await(t, l.s, tx.ID, Done); st.Phase != Done || st.RC["k"] != 0 {
		t.Fatalf("status %+v", st)
	}
	if v, err := l.s.Verify(ctx, tx, pre.Facts, pre.Unmet, false); err != nil || !v.OK || len(v.After.Keys) != 1 {
		t.Errorf("verify: %+v, %v", v, err)
	}
	back := Transaction{ID: BackID(tx.ID), UndoKeys: true}
	if err := l.s.StartBack(ctx, back); err != nil {
		t.Fatal(err)
	}
	if st := await(t, l.s, back.ID, Done); st.Phase != Done || len(st.RC) != 0 {
		t.Errorf("back %+v", st)
	}
	l.host.sh("/usr/bin/rpm -q gpg-pubkey")
}

// A key that crypto policy refuses is named before anything is changed, and a transaction with it is refused and leaves the keys as
// they were, those that came in beside it too.
func TestKeyRefused(t *testing.T) {
	t.Parallel()
	l := newLab(t, pkg{nevra: "app-1-1.noarch"})
	ctx := context.Background()
	good, weak := keyFile(t, newSigner(t).public), keyFile(t, newSigner(t).public)
	tx, _ := l.prepare("r1/h1/1", Transaction{Upgrade: []File{build(t, l.key, pkg{nevra: "app-2-1.noarch"})}, Import: []KeyFile{good, weak}})
	policed(l, weak)
	refused, err := l.s.TryKeys(ctx, tx.Import)
	if err != nil || len(refused) != 1 || !strings.Contains(refused[weak.Fingerprint], "Policy rejects") {
		t.Errorf("try: %q, %v", refused, err)
	}
	res, err := l.s.Test(ctx, tx)
	if err != nil || res.OK || !strings.Contains(strings.Join(res.Problems, "\n"), "Policy rejects") {
		t.Errorf("test: %+v, %v", res, err)
	}
	if err := l.s.Start(ctx, tx); err != nil {
		t.Fatal(err)
	}
	if st := await(t, l.s, tx.ID, Refused); st.Phase != Refused || st.Reason != RefusedKey || !strings.Contains(strings.Join(st.Log, "\n"), "Policy rejects") {
		t.Errorf("status %+v", st)
	}
	l.host.sh("/usr/bin/rpm -q app-1-1")
	if got := l.host.sh("/usr/bin/rpm -qa gpg-pubkey | wc -l"); strings.TrimSpace(got) != "1" {
		t.Errorf("%s keys", got)
	}
}

// A transaction that is refused after the keys came in leaves them as they were.
func TestKeysUndoneWhenRefused(t *testing.T) {
	t.Parallel()
	l := newLab(t, pkg{nevra: "app-1-1.noarch"})
	ctx := context.Background()
	next := newSigner(t)
	tx, _ := l.prepare("r1/h1/1", Transaction{Upgrade: []File{build(t, next, pkg{nevra: "app-2-1.noarch", requires: []string{"nowhere"}})},
		Import: []KeyFile{keyFile(t, next.public)}})
	if err := l.s.Start(ctx, tx); err != nil {
		t.Fatal(err)
	}
	if st := await(t, l.s, tx.ID, Refused); st.Phase != Refused || st.Reason != RefusedTest || st.RC["k"] != 0 {
		t.Errorf("status %+v", st)
	}
	if got := l.host.sh("/usr/bin/rpm -qa gpg-pubkey | wc -l"); strings.TrimSpace(got) != "1" {
		t.Errorf("%s keys", got)
	}
}

// Keys that could steer an order or a command are never sent.
func TestBadKeys(t *testing.T) {
	good := KeyFile{Fingerprint: "abcd", Armor: "a\n", SHA256: digestOf([]byte("a\n"))}
	for name, tx := range map[string]Transaction{
		"fingerprint": {ID: "x", Import: []KeyFile{{Fingerprint: "a b", Armor: good.Armor, SHA256: good.SHA256}}},
		"digest":      {ID: "x", Import: []KeyFile{{Fingerprint: "ab", Armor: "b\n", SHA256: good.SHA256}}},
		"control":     {ID: "x", Import: []KeyFile{{Fingerprint: "ab", Armor: "\x1b\n", SHA256: digestOf([]byte("\x1b\n"))}}},
		"no end":      {ID: "x", Import: []KeyFile{{Fingerprint: "ab", Armor: "b", SHA256: digestOf([]byte("b"))}}},
		"entry":       {ID: "x", Retire: []string{"gpg-pubkey-*"}},
		"package":     {ID: "x", Retire: []string{"bash-5-1"}},
	} {
		if tx.Validate() == nil {
			t.Errorf("%s: valid", name)
		}
	}
	if err := (Transaction{ID: "x", Import: []KeyFile{good}, Retire: []string{"gpg-pubkey-0123abcd-5f5e1000"}}).Validate(); err != nil {
		t.Error(err)
	}
}

// What a host sends for its keys is read as far as it is one, and never taken for another.
func TestKeyPackets(t *testing.T) {
	s := sharedSigner(t)
	keys := []Key{{ID: "aaaaaaaa", Created: "1"}, {ID: "bbbbbbbb", Created: "2"}}
	body := strings.Join(strings.Split(strings.TrimSpace(string(s.public)), "\n")[2:], "\n")
	for _, text := range []string{"", "????", body, strings.Repeat("A", 1<<20)} {
		readKeyPackets(keys, parseAnswer("m", []byte("@m k aaaaaaaa 1\n"+text+"\n@m ke\n")))
		if keys[0].Fingerprint != "" || keys[1].Fingerprint != "" {
			t.Errorf("%.20q was taken for the key of the entry", text)
		}
	}
}
