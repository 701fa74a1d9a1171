package transport

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cpacman/transport/sshtest"

	"golang.org/x/crypto/ssh"
)

// TestUploadManyChannels: at a long round trip one channel moves 2 MiB per round
// trip; a single file must go faster than that, by several channels.
func TestUploadManyChannels(t *testing.T) {
	t.Parallel()
	const rtt, size = 150 * time.Millisecond, 20 * mib
	var busy atomic.Int64 // channels that carried more than a MiB
	e := inProcess(t, sshtest.Config{WrapSFTP: func(ch ssh.Channel) ssh.Channel { return &countingChannel{Channel: ch, busy: &busy} }})
	target := e.through(t, startProxy(t, e.server.Addr(), rtt))
	local := writeLocal(t, size, 1)
	counts := []int{1, maxChannels - 1}
	stats := make([]UploadStats, len(counts))
	var wg sync.WaitGroup
	for i, n := range counts {
		d := newDialer(t, Options{})
		if n == 1 {
			d.dataChannels = func(time.Duration) int { return 1 }
		}
		wg.Go(func() {
			c, err := d.Dial(testContext(t), target)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			f := Upload{Path: filepath.Join(e.dir, "big"+strconv.Itoa(n)), Size: size, Local: local}
			if stats[i], err = c.Upload(testContext(t), []Upload{f}); err != nil {
				t.Error(err)
				return
			}
			if c.RTT() < rtt {
				t.Errorf("round trip %v, want %v", c.RTT(), rtt)
			}
			sameFile(t, f.Local, f.Path)
		})
	}
	wg.Wait()
	if got := e.server.SFTP.Load(); got != maxChannels || stats[0].Channels != 1 || stats[1].Channels != maxChannels-1 {
		t.Errorf("%d channels in all; %d and %d by the stats", got, stats[0].Channels, stats[1].Channels)
	}
	if n := busy.Load(); n != maxChannels {
		t.Errorf("%d channels carried data, want all %d", n, maxChannels)
	}
	// Ten windows one after another take 1.5 s and five at once 0.3 s, with about
	// 0.5 s around both; on a busy machine less of the difference is left.
	one, many := stats[0].Transfer, stats[1].Transfer
	t.Logf("20 MiB at %v: one channel %v, %d channels %v", rtt, one, maxChannels-1, many)
	if one > 4*time.Second {
		t.Log("the machine is too busy to compare times")
	} else if many > one*9/10 {
		t.Errorf("one channel %v, %d channels %v", one, maxChannels-1, many)
	}
}

// countingChannel notes when it has read more than a MiB.
type countingChannel struct {
	ssh.Channel
	n    int64
	busy *atomic.Int64
}

func (c *countingChannel) Read(p []byte) (int, error) {
	n, err := c.Channel.Read(p)
	if c.n <= mib && c.n+int64(n) > mib {
		c.busy.Add(1)
	}
	c.n += int64(n)
	return n, err
}

// TestChannelLimit: an upload and commands together stay below MaxSessions.
func TestChannelLimit(t *testing.T) {
	e := inProcess(t, sshtest.Config{})
	d := newDialer(t, Options{})
	d.dataChannels = func(time.Duration) int { return maxChannels - 1 }
	c := dial(t, d, e.target)
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			f := Upload{Path: filepath.Join(e.dir, strconv.Itoa(i)), Size: 18 * mib, Local: writeLocal(t, 18*mib, byte(i))}
			if _, err := c.Upload(testContext(t), []Upload{f}); err != nil {
				t.Error(err)
				return
			}
			sameFile(t, f.Local, f.Path)
		})
		wg.Go(func() {
			if _, err := c.Run(testContext(t), Command{Argv: []string{"true"}}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	// The server refuses the eleventh; it counts a close a moment after the client.
	if n := e.server.Sessions.Most(); n > maxChannels+3 {
		t.Errorf("%d session channels at once, the limit is %d", n, maxChannels)
	}
}

// TestUploadResume: the connection is cut in the middle; the next attempt sends
// only what is not proven to be there.
func TestUploadResume(t *testing.T) {
	t.Parallel()
	for name, noSFTP := range map[string]bool{"SFTP": false, "cat": true} {
		t.Run(name, func(t *testing.T) {
			const size = 24*mib + 12345
			e := inProcess(t, sshtest.Config{NoSFTP: noSFTP})
			d := newDialer(t, Options{})
			p := startProxy(t, e.server.Addr(), 0)
			p.cutAfter = 14 * mib
			c := dial(t, d, e.through(t, p))
			f := Upload{Path: filepath.Join(e.dir, "big"), Size: size, Local: writeLocal(t, size, 3)}
			_, err := c.Upload(testContext(t), []Upload{f})
			wantKind(t, err, KindUnreachable)
			if !Retryable(err) {
				t.Errorf("%v is not retryable", err)
			}
			if _, err := os.Stat(f.Path); err == nil {
				t.Error("half a file has its final name")
			}
			parts, _ := filepath.Glob(f.Path + ".*.part")
			if len(parts) != 1 {
				t.Fatalf("parts: %v", parts)
			}
			waitQuiet(t, parts[0])
			damage(t, parts[0])
			st, err := dial(t, d, e.target).Upload(testContext(t), []Upload{f})
			if err != nil {
				t.Fatal(err)
			}
			sameFile(t, f.Local, f.Path)
			if st.Reused < 2*mib || st.Reused+st.Bytes != size {
				t.Errorf("reused %d and sent %d of %d bytes", st.Reused, st.Bytes, size)
			}
			t.Logf("%d bytes reused, %d sent", st.Reused, st.Bytes)
		})
	}
}

// waitQuiet waits until a server that was cut off has stopped writing.
func waitQuiet(t *testing.T, file string) {
	t.Helper()
	for last := int64(-1); ; {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() == last {
			return
		}
		last = info.Size()
		time.Sleep(50 * time.Millisecond)
	}
}

// damage flips a byte in the third block, and makes the file as long as the
// whole: its size then says that nothing is missing.
func damage(t *testing.T, part string) {
	t.Helper()
	f, err := os.OpenFile(part, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, 2*mib+77); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1
	if _, err := f.WriteAt(b, 2*mib+77); err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(24*mib + 12345); err != nil {
		t.Fatal(err)
	}
}

// TestUploadPartTooLong: a part file that is longer than the file.
func TestUploadPartTooLong(t *testing.T) {
	e := inProcess(t, sshtest.Config{})
	c := dial(t, newDialer(t, Options{}), e.target)
	f := Upload{Path: filepath.Join(e.dir, "f"), Size: 3 * mib, Local: writeLocal(t, 3*mib, 4)}
	data, err := os.ReadFile(f.Local)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	part := f.Path + "." + hex.EncodeToString(sum[:])[:12] + ".part"
	if err := os.WriteFile(part, append(data, "more"...), 0o600); err != nil {
		t.Fatal(err)
	}
	st, err := c.Upload(testContext(t), []Upload{f})
	if err != nil || st.Bytes != 0 || st.Reused != 3*mib {
		t.Fatalf("%+v, %v", st, err)
	}
	sameFile(t, f.Local, f.Path)
	if err := os.Symlink(filepath.Join(e.dir, "elsewhere"), part); err != nil {
		t.Fatal(err)
	}
	os.Remove(f.Path)
	_, err = c.Upload(testContext(t), []Upload{f})
	wantKind(t, err, KindRemoteCommand)
	if _, err := os.Lstat(filepath.Join(e.dir, "elsewhere")); err == nil {
		t.Error("wrote through a symbolic link")
	}
}

func TestUploadIntegrity(t *testing.T) {
	for name, cfg := range map[string]sshtest.Config{"SFTP": {}, "cat": {NoSFTP: true}, "no commands": {NoExec: true}} {
		t.Run(name, func(t *testing.T) {
			e := inProcess(t, cfg)
			c := dial(t, newDialer(t, Options{}), e.target)
			f := Upload{Path: filepath.Join(e.dir, "f"), Size: 100000, Local: writeLocal(t, 100000, 5), SHA256: strings.Repeat("0", 64)}
			_, err := c.Upload(testContext(t), []Upload{f})
			wantKind(t, err, KindIntegrity)
			if !strings.Contains(err.Error(), "the local file's sha256 is") {
				t.Errorf("%v", err)
			}
			if left, _ := filepath.Glob(f.Path + "*"); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
			f.SHA256, f.Size = "", 99999
			_, err = c.Upload(testContext(t), []Upload{f})
			wantKind(t, err, KindIntegrity)
			f.Size = 100001
			_, err = c.Upload(testContext(t), []Upload{f})
			wantKind(t, err, KindIntegrity)
			f.Size = 100000
			if _, err = c.Upload(testContext(t), []Upload{f}); err != nil {
				t.Error(err)
			}
			sameFile(t, f.Local, f.Path)
		})
	}
}

func TestUploadWithoutBoth(t *testing.T) {
	e := inProcess(t, sshtest.Config{NoExec: true, NoSFTP: true})
	_, err := dial(t, newDialer(t, Options{}), e.target).Upload(testContext(t), []Upload{{Path: "/x", Size: 1, Local: writeLocal(t, 1, 1)}})
	wantKind(t, err, KindRemoteCommand)
}

func TestUploadCanceled(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]sshtest.Config{"SFTP": {}, "cat": {NoSFTP: true}} {
		t.Run(name, func(t *testing.T) {
			e := inProcess(t, cfg)
			c := dial(t, newDialer(t, Options{}), e.target)
			ctx, cancel := context.WithCancel(testContext(t))
			f := Upload{Path: filepath.Join(e.dir, "f"), Size: 50 * mib, Local: writeLocal(t, 50*mib, 6), Limit: NewLimiter(4 * mib)}
			time.AfterFunc(100*time.Millisecond, cancel)
			start := time.Now()
			_, err := c.Upload(ctx, []Upload{f})
			wantKind(t, err, KindCanceled)
			if d := time.Since(start); d > 2*time.Second {
				t.Errorf("giving up took %v", d)
			}
		})
	}
}

// TestUploadFrozen: the host stops in the middle of a transfer.
func TestUploadFrozen(t *testing.T) {
	t.Parallel()
	e := inProcess(t, sshtest.Config{})
	c := dial(t, newDialer(t, Options{KeepAliveInterval: 50 * time.Millisecond}), e.target)
	f := Upload{Path: filepath.Join(e.dir, "f"), Size: 20 * mib, Local: writeLocal(t, 20*mib, 6)}
	var once atomic.Bool
	f.Progress = func(n int64) {
		if n > 2*mib && once.CompareAndSwap(false, true) {
			e.server.Freeze()
		}
	}
	start := time.Now()
	_, err := c.Upload(testContext(t), []Upload{f})
	wantKind(t, err, KindUnreachable)
	if d := time.Since(start); d > 3*time.Second {
		t.Errorf("it took %v to notice", d)
	}
}

func TestUploadLimits(t *testing.T) {
	t.Parallel()
	e := inProcess(t, sshtest.Config{})
	e.target.Limit = NewLimiter(2 * mib)
	c := dial(t, newDialer(t, Options{Bandwidth: NewLimiter(100 * mib)}), e.target)
	var files []Upload
	for i := range 3 {
		files = append(files, Upload{Path: filepath.Join(e.dir, strconv.Itoa(i)), Size: mib / 2, Local: writeLocal(t, mib/2, byte(i))})
	}
	start := time.Now()
	if _, err := c.Upload(testContext(t), files); err != nil {
		t.Fatal(err)
	}
	// 1.5 MiB at 2 MiB/s, less the bucket that is full at first.
	if d := time.Since(start); d < 500*time.Millisecond || d > 3*time.Second {
		t.Errorf("took %v, want about 0.65 s", d)
	}
}

func TestUploadManySmall(t *testing.T) {
	t.Parallel()
	e := inProcess(t, sshtest.Config{})
	c := dial(t, newDialer(t, Options{}), e.through(t, startProxy(t, e.server.Addr(), 40*time.Millisecond)))
	if _, err := c.Run(testContext(t), Command{Argv: []string{"true"}}); err != nil {
		t.Fatal(err)
	}
	var files []Upload
	for i := range 100 {
		data := []byte("file number " + strconv.Itoa(i))
		files = append(files, Upload{Path: filepath.Join(e.dir, "f"+strconv.Itoa(i)), Size: int64(len(data)),
			Open: func() (io.ReadSeekCloser, error) { return memory{bytes.NewReader(data)}, nil }})
	}
	start := time.Now()
	if _, err := c.Upload(testContext(t), files); err != nil {
		t.Fatal(err)
	}
	for i, f := range files {
		if got, err := os.ReadFile(f.Path); err != nil || string(got) != "file number "+strconv.Itoa(i) {
			t.Errorf("%s: %q, %v", f.Path, got, err)
		}
	}
	// Each costs about five round trips; one by one that would be 20 s.
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("100 small files at 40 ms took %v", d)
	} else {
		t.Logf("100 small files at 40 ms: %v", d)
	}
}

type memory struct{ *bytes.Reader }

func (memory) Close() error { return nil }

func TestUploadRefusals(t *testing.T) {
	e := inProcess(t, sshtest.Config{})
	c := dial(t, newDialer(t, Options{}), e.target)
	local := writeLocal(t, 1, 1)
	ok := Upload{Path: "/tmp/x", Size: 1, Local: local}
	for name, change := range map[string]func(*Upload){
		"relative": func(u *Upload) { u.Path = "x" },
		"dots":     func(u *Upload) { u.Path = "/tmp/../etc/passwd" },
		"newline":  func(u *Upload) { u.Path = "/tmp/a\nb" },
		"nul":      func(u *Upload) { u.Path = "/tmp/a\x00b" },
		"negative": func(u *Upload) { u.Size = -1 },
		"digest":   func(u *Upload) { u.SHA256 = "abc" },
		"no file":  func(u *Upload) { u.Local = "" },
		"setuid":   func(u *Upload) { u.Mode = os.ModeSetuid | 0o755 },
		"absent":   func(u *Upload) { u.Local += ".absent" },
	} {
		u := ok
		change(&u)
		if _, err := c.Upload(testContext(t), []Upload{u}); KindOf(err) != KindInternal {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.Upload(testContext(t), []Upload{ok, ok}); KindOf(err) != KindInternal {
		t.Errorf("twice: %v", err)
	}
	if st, err := c.Upload(testContext(t), nil); err != nil || st.Files != 0 {
		t.Errorf("nothing: %+v, %v", st, err)
	}
	dir := filepath.Join(e.dir, "d")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	u := ok
	u.Path = dir
	_, err := c.Upload(testContext(t), []Upload{u})
	wantKind(t, err, KindRemoteCommand)
	u.Path = filepath.Join(e.dir, "absent", "x")
	_, err = c.Upload(testContext(t), []Upload{u})
	wantKind(t, err, KindRemoteCommand)
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "directory "+filepath.Dir(u.Path)+" does not exist") {
		t.Errorf("a directory that is not there: %v", err)
	}
}
