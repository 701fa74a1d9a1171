package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	crand "crypto/rand"

	"golang.org/x/sys/cpu"
)

// remoteDir is where uploads go on the host: /var of a lab host is a file system in memory,
// so that the disk of this machine is not what is measured.
const remoteDir = "/var/tmp/cpacman-bench"

// upload measures one large file to one host, at each round-trip time.
func (b *bench) upload(ctx context.Context) error {
	for _, rtt := range b.o.rtts {
		if err := b.uploadAt(ctx, rtt); err != nil {
			return fmt.Errorf("round trip of %s: %w", delayWords(rtt), err)
		}
	}
	return nil
}

// uploader is one contestant of an upload at one round-trip time.
type uploader struct {
	series  *series
	program func(f *payload) program
}

// payload is the file of one round.
type payload struct {
	path, sha256 string
	size         int64
}

func (b *bench) uploadAt(ctx context.Context, rtt time.Duration) error {
	const n = 0 // the host
	way, err := b.delayed(ctx, n, rtt)
	if err != nil {
		return err
	}
	defer way.end()
	if rtt > 0 {
		b.report.note("Uploads at %s: the round trip is made by %s.", delayWords(rtt), way.how)
	}
	list, err := b.uploaders(n, rtt, way)
	if err != nil {
		return err
	}
	// A delay costs much time and makes the result steady, so fewer rounds do.
	rounds := b.o.rounds
	if rtt > 0 {
		rounds = max(1, rounds-1)
	}
	var details []sent
	for r := range rounds {
		f, err := b.newPayload()
		if err != nil {
			return err
		}
		for i := range list {
			u := list[(i+r)%len(list)]
			s, err := b.uploadOnce(ctx, b.hosts[n].Name, u, f)
			if err != nil {
				return err
			}
			u.series.samples = append(u.series.samples, s)
			if u.series.ours {
				d, err := b.readSent(u.series, rtt)
				if err != nil {
					return err
				}
				details = append(details, d)
			}
			b.say("round %d of %d: %s: %.2f s", r+1, rounds, u.series.name, s.wall.Seconds())
		}
	}
	b.compareUploads(rtt, list, details)
	return nil
}

// uploaders are cpacman's transport, and the peers that are installed.
func (b *bench) uploaders(n int, rtt time.Duration, way path) ([]*uploader, error) {
	h := b.hosts[n]
	config := filepath.Join(b.o.work, "ssh_config."+rtt.String())
	alias := labHost{Name: h.Name, Address: way.address, Port: way.port, IdentityFile: h.IdentityFile, KnownHosts: h.KnownHosts}
	text := sshConfig([]labHost{alias}) + "  HostKeyAlias " + h.Name + "\n  Ciphers " + cipher() + "\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	name := func(who string) string { return fmt.Sprintf("%s %d MB at %s", who, b.o.sizeMB, delayWords(rtt)) }
	ours := &uploader{series: b.report.newSeries("upload", name("cpacman/transport")), program: func(f *payload) program {
		return program{argv: []string{b.tool("bench"), "send", "-address", way.address, "-port", strconv.Itoa(way.port), "-alias", h.Name,
			"-identity", h.IdentityFile, "-known-hosts", h.KnownHosts, "-local", f.path, "-size", strconv.FormatInt(f.size, 10),
			"-sha256", f.sha256, "-remote", remoteDir + "/" + filepath.Base(f.path)}}
	}}
	ours.series.ours = true
	list := []*uploader{ours}
	if scp, found := b.peer("scp"); found {
		list = append(list, &uploader{series: b.report.newSeries("upload", name("scp")), program: func(f *payload) program {
			return program{argv: []string{scp, "-q", "-F", config, f.path, h.Name + ":" + remoteDir + "/"}}
		}})
	}
	if rsync, found := b.peer("rsync"); found {
		list = append(list, &uploader{series: b.report.newSeries("upload", name("rsync")), program: func(f *payload) program {
			return program{argv: []string{rsync, "-W", "-e", "ssh -F " + config, f.path, h.Name + ":" + remoteDir + "/"}}
		}})
	}
	for _, u := range list {
		b.report.command(u.series.name, u.program(&payload{path: b.payloadPath(), sha256: "SHA256", size: b.o.sizeMB * 1e6}).line())
	}
	return list, nil
}

// cipher is the one that cpacman's transport prefers on this processor; the peers are told
// to use the same.
func cipher() string {
	if cpu.X86.HasAES && cpu.X86.HasPCLMULQDQ || cpu.ARM64.HasAES && cpu.ARM64.HasPMULL {
		return "aes128-gcm@openssh.com"
	}
	return "chacha20-poly1305@openssh.com"
}

// uploadOnce measures one upload into an empty directory and removes it again.
func (b *bench) uploadOnce(ctx context.Context, host string, u *uploader, f *payload) (sample, error) {
	if _, err := b.onHost(ctx, host, "mkdir", "-p", "-m", "700", remoteDir); err != nil {
		return sample{}, err
	}
	s, err := b.time(ctx, u.series.file(), u.program(f))
	if err != nil {
		return s, err
	}
	size, err := b.onHost(ctx, host, "stat", "-c", "%s", remoteDir+"/"+filepath.Base(f.path))
	if err != nil {
		return s, fmt.Errorf("look at what %s left: %w", u.series.name, err)
	}
	if strings.TrimSpace(size) != strconv.FormatInt(f.size, 10) {
		return s, fmt.Errorf("%s left %s bytes of %d", u.series.name, strings.TrimSpace(size), f.size)
	}
	_, err = b.onHost(ctx, host, "rm", "-rf", remoteDir)
	return s, err
}

func (b *bench) payloadPath() string { return filepath.Join(b.o.work, "payload.bin") }

// newPayload writes a file that no tool can compress and none has seen, and waits until it
// is on disk: else the disk would be busy with it while the first contestant runs.
func (b *bench) newPayload() (*payload, error) {
	var seed [32]byte
	_, _ = crand.Read(seed[:]) // never fails since Go 1.24
	f := &payload{path: b.payloadPath(), size: b.o.sizeMB * 1e6}
	out, err := os.Create(f.path)
	if err != nil {
		return nil, fmt.Errorf("write the file to send: %w", err)
	}
	defer out.Close()
	digest := sha256.New()
	random := io.LimitReader(rand.NewChaCha8(seed), f.size)
	if _, err := io.CopyBuffer(io.MultiWriter(out, digest), random, make([]byte, 1<<20)); err != nil {
		return nil, fmt.Errorf("write the file to send: %w", err)
	}
	if err := out.Sync(); err != nil {
		return nil, fmt.Errorf("write the file to send: %w", err)
	}
	f.sha256 = hex.EncodeToString(digest.Sum(nil))
	return f, nil
}

// readSent reads what `bench send` told about the last upload.
func (b *bench) readSent(s *series, rtt time.Duration) (sent, error) {
	var d sent
	data, err := os.ReadFile(filepath.Join(b.o.work, "out", s.file()+".out"))
	if err == nil {
		err = json.Unmarshal(data, &d)
	}
	switch {
	case err != nil:
		return d, fmt.Errorf("read what bench send told: %w", err)
	case d.Bytes != b.o.sizeMB*1e6:
		return d, fmt.Errorf("bench send sent %d bytes of %d", d.Bytes, b.o.sizeMB*1e6)
	case d.RTT < rtt*9/10:
		return d, fmt.Errorf("the round trip is %v and should be %v: the delay does not work here", d.RTT, rtt)
	}
	return d, nil
}

// compareUploads adds the ratios of rates at one round-trip time. What cpacman takes to have
// its bytes checked on the host is left out of "on the wire", since scp does not check; the
// connection, the login and the look at what is there are in it, as they are for the peers.
func (b *bench) compareUploads(rtt time.Duration, list []*uploader, details []sent) {
	ours := list[0].series
	wire := make([]float64, len(details))
	for i, d := range details {
		wire[i] = (ours.samples[i].wall - d.Verify).Seconds()
	}
	wireRate, allRate := b.rate(median(wire)), b.rate(ours.median())
	b.detail(rtt, ours, details, wireRate)
	what := fmt.Sprintf("upload of %d MB at %s, ", b.o.sizeMB, delayWords(rtt))
	for _, u := range list[1:] {
		who, _, _ := strings.Cut(u.series.name, " ")
		var goal *target
		if who == "scp" {
			switch rtt {
			case 0:
				goal = &target{limit: 1.1}
			case 50 * time.Millisecond:
				goal = &target{limit: 3}
			}
		}
		peer := b.rate(u.series.median())
		b.report.compare(comparison{what: what + "bytes on the wire / " + who, ours: rateWords(wireRate), peer: rateWords(peer), ratio: wireRate / peer, target: goal})
		b.report.compare(comparison{what: what + "verification included / " + who, ours: rateWords(allRate), peer: rateWords(peer), ratio: allRate / peer})
	}
}

// rate is MB/s for a time in seconds.
func (b *bench) rate(s float64) float64 { return float64(b.o.sizeMB) / s }

// detail notes where the time of our uploads went.
func (b *bench) detail(rtt time.Duration, ours *series, details []sent, wireRate float64) {
	phase := func(of func(sent) time.Duration) float64 {
		v := make([]float64, len(details))
		for i, d := range details {
			v[i] = of(d).Seconds()
		}
		return median(v)
	}
	transfer := phase(func(d sent) time.Duration { return d.Transfer })
	b.report.phases = append(b.report.phases, phases{
		rtt: rtt, measured: phase(func(d sent) time.Duration { return d.RTT }), all: ours.median(),
		dial: phase(func(d sent) time.Duration { return d.Dial }), prepare: phase(func(d sent) time.Duration { return d.Prepare }),
		transfer: transfer, verify: phase(func(d sent) time.Duration { return d.Verify }),
		channels: details[len(details)-1].Channels, wireRate: wireRate, transferRate: b.rate(transfer), allRate: b.rate(ours.median()),
	})
}
