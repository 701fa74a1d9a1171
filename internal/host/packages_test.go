package host

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/google/rpmpack"

	"cpacman/internal/rpm"
)

// signer makes one key for a test.
type signer struct {
	entity *openpgp.Entity
	public []byte
}

func newSigner(t testing.TB) *signer {
	t.Helper()
	e, err := openpgp.NewEntity("lab", "", "lab@example.invalid", &packet.Config{RSABits: 2048, Time: func() time.Time { return time.Unix(1700000000, 0) }})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w, err := armor.Encode(&b, openpgp.PublicKeyType, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Serialize(w); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &signer{entity: e, public: append(b.Bytes(), '\n')}
}

// sharedSigner is one key for all hosts: making one costs more than a host.
func sharedSigner(t testing.TB) *signer {
	t.Helper()
	shared.Do(func() { sharedKey = newSigner(t) })
	return sharedKey
}

var (
	shared    sync.Once
	sharedKey *signer
)

func (s *signer) sign(b []byte) ([]byte, error) {
	var out bytes.Buffer
	err := openpgp.DetachSign(&out, s.entity, bytes.NewReader(b), nil)
	return out.Bytes(), err
}

// pkg describes a package to build.
type pkg struct {
	nevra                         string
	pre, post, preun              string
	requires, provides, obsoletes []string
	files                         map[string]string // path: content; config files by "!path"
	unsigned                      bool
	by                            *signer
}

// build makes the package and its File.
func build(t testing.TB, by *signer, p pkg) File {
	t.Helper()
	n, err := rpm.ParseNEVRA(p.nevra)
	if err != nil {
		t.Fatal(err)
	}
	relations := func(words []string) (out rpmpack.Relations) {
		for _, w := range words {
			r, err := rpmpack.NewRelation(w)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, r)
		}
		return out
	}
	r, err := rpmpack.NewRPM(rpmpack.RPMMetaData{Name: n.Name, Summary: "test", Version: n.Version, Release: n.Release, Arch: n.Arch, OS: "linux",
		Epoch: n.Epoch, Vendor: "Lab", Compressor: "gzip", Requires: relations(p.requires), Provides: relations(p.provides), Obsoletes: relations(p.obsoletes)})
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range p.files {
		f := rpmpack.RPMFile{Name: name, Body: []byte(body), Mode: 0o644, Owner: "root", Group: "root", MTime: 1700000000}
		if rest, ok := strings.CutPrefix(name, "!"); ok {
			f.Name, f.Type = rest, rpmpack.ConfigFile
		}
		r.AddFile(f)
	}
	for text, add := range map[string]func(string){p.pre: r.AddPrein} {
		if text != "" {
			add(text)
		}
	}
	if p.post != "" {
		r.AddPostin(p.post)
	}
	if p.preun != "" {
		r.AddPreun(p.preun)
	}
	if !p.unsigned {
		if p.by != nil {
			by = p.by
		}
		r.SetPGPSigner(by.sign)
	}
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	d := sha256.Sum256(b.Bytes())
	local := write(t, p.nevra+".rpm", b.Bytes())
	return File{NEVRA: n, Name: path.Base(local), SHA256: hex.EncodeToString(d[:]), Size: int64(b.Len()), Local: local}
}

// lab is a host with its session, a key, and packages that are installed.
type lab struct {
	t    testing.TB
	host *realHost
	key  *signer
	s    *Session
	own  Owner
}

func newLab(t testing.TB, installed ...pkg) *lab {
	t.Helper()
	l := &lab{t: t, host: newRealHost(t), key: sharedSigner(t), own: Owner{ID: "r1@ctl", Control: "ctl", User: "op", Rollout: "r1"}}
	if err := os.WriteFile(l.host.path("/etc/key.asc"), l.key.public, 0o600); err != nil {
		t.Fatal(err)
	}
	l.host.sh("rpm --import /etc/key.asc")
	l.install(append([]pkg{{nevra: "base-1-1.noarch", files: map[string]string{"/opt/base": "1"}}}, installed...)...)
	l.s = NewSession(l.host, SessionOptions{Host: "h1"})
	return l
}

// install puts packages on the host with rpm alone, each beside what is there.
func (l *lab) install(ps ...pkg) {
	l.t.Helper()
	for _, p := range ps {
		f := build(l.t, l.key, p)
		b, err := os.ReadFile(f.Local)
		if err != nil {
			l.t.Fatal(err)
		}
		if err := os.WriteFile(l.host.path("/opt/in.rpm"), b, 0o600); err != nil {
			l.t.Fatal(err)
		}
		l.host.sh("rpm -i --nodeps --noscripts --replacefiles /opt/in.rpm 2>&1 && rm /opt/in.rpm")
	}
}

// prepare stages the packages, takes the lock and returns the transaction bound to the host as it is.
func (l *lab) prepare(id string, tx Transaction) (Transaction, Preflight) {
	l.t.Helper()
	ctx := context.Background()
	if _, err := l.s.Acquire(ctx, l.own); err != nil {
		l.t.Fatal(err)
	}
	pre, err := l.s.Preflight(ctx, PreflightOptions{Unmet: true})
	if err != nil {
		l.t.Fatal(err)
	}
	if len(pre.Facts.Keys) != 1 {
		l.t.Fatalf("keys on the host: %+v", pre.Facts.Keys)
	}
	tx.ID, tx.MachineID = id, pre.Facts.MachineID
	tx.ExpectBefore, tx.ExpectCount = pre.Facts.InstalledDigest, len(pre.Facts.Packages)
	if tx.LockWait == 0 {
		tx.LockWait = 20 * time.Second
	}
	if _, err := l.s.Stage(ctx, append(append([]File{}, tx.Upgrade...), tx.InstallOnly...), nil); err != nil {
		l.t.Fatal(err)
	}
	return tx, pre
}

// start is prepare and Start.
func (l *lab) start(id string, tx Transaction) (Transaction, Preflight) {
	l.t.Helper()
	tx, pre := l.prepare(id, tx)
	if err := l.s.Start(context.Background(), tx); err != nil {
		l.t.Fatal(err)
	}
	return tx, pre
}

func nevras(t testing.TB, names ...string) (out []rpm.NEVRA) {
	t.Helper()
	for _, s := range names {
		n, err := rpm.ParseNEVRA(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, n)
	}
	return out
}
