package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/ssh"
	"pgregory.net/rapid"
)

// TestQuoteProperty: a real shell gives back what was quoted.
func TestQuoteProperty(t *testing.T) {
	shells := [][]string{{"/bin/sh", "-c"}}
	for _, name := range []string{"bash", "dash", "ksh", "mksh", "zsh", "busybox"} {
		if path, err := exec.LookPath(name); err == nil {
			args := []string{path, "-c"}
			if name == "busybox" {
				args = []string{path, "sh", "-c"}
			}
			shells = append(shells, args)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		args := rapid.SliceOfN(rapid.Custom(argument), 1, 40).Draw(t, "args")
		line := "printf '%s\\0'"
		for _, a := range args {
			line += " " + Quote(a)
		}
		sh := rapid.SampledFrom(shells).Draw(t, "shell")
		out, err := exec.Command(sh[0], append(slices.Clone(sh[1:]), line)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"); !slices.Equal(got, args) {
			t.Fatalf("%q came back as %q", args, got)
		}
	})
}

// argument draws bytes without NUL, special characters more often.
func argument(t *rapid.T) string {
	b := rapid.SliceOf(rapid.OneOf(
		rapid.SampledFrom([]byte("'\"\\$`!\n\t *?[]{}()<>|&;~#=%^-x")),
		rapid.ByteRange(1, 255),
	)).Draw(t, "bytes")
	return string(b)
}

func TestQuoteTable(t *testing.T) {
	for in, want := range map[string]string{
		"":           "''",
		"plain-1.0_": "plain-1.0_",
		"a b":        "'a b'",
		"it's":       `'it'\''s'`,
		"~root":      "'~root'",
		"a=b":        "'a=b'",
		"-rf":        "-rf",
		"a\nb":       "'a\nb'",
	} {
		if got := Quote(in); got != want {
			t.Errorf("Quote(%q) = %s, want %s", in, got, want)
		}
	}
	out, err := exec.Command("/bin/sh", "-c", "echo "+Quote("a\x00b")+"; echo still here").CombinedOutput()
	if err == nil || strings.Contains(string(out), "still here") {
		t.Errorf("an argument with NUL did not stop the shell: %q", out)
	}
}

// TestLoginLineProperty: the wrapped program runs as it is, also through a login
// shell, and holds nothing that csh or fish see in single quotes.
func TestLoginLineProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		arg := rapid.Custom(argument).Draw(t, "arg")
		line, err := loginLine("printf %s " + Quote(arg))
		if err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(line, "!\n") {
			t.Fatalf("%q cannot pass csh", line)
		}
		shell := rapid.SampledFrom([]string{"/bin/sh", "/bin/bash"}).Draw(t, "login shell")
		out, err := exec.Command(shell, "-c", line).Output()
		if err != nil || string(out) != arg {
			t.Fatalf("%q came back as %q, %v", arg, out, err)
		}
	})
}

// TestLoginLineOtherShells runs where the shells are installed.
func TestLoginLineOtherShells(t *testing.T) {
	program := "printf '%s\\n' 'a!b' \"c'd\" '\\\\' \"$HOME\" 'e\nf' '(' \"\u00e9\"; echo `echo x`; exit 3"
	want, _ := exec.Command("/bin/sh", "-c", program).Output()
	line, err := loginLine(program)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := loginLine("printf %s \"it's\"; exit 3")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"dash", "bash", "ksh", "mksh", "zsh", "tcsh", "csh", "fish", "yash"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		t.Run(name, func(t *testing.T) {
			for l, w := range map[string]string{line: string(want), plain: "it's"} {
				out, err := exec.Command(path, "-c", l).Output()
				var ee *exec.ExitError
				if !errors.As(err, &ee) || ee.ExitCode() != 3 || string(out) != w {
					t.Errorf("%q: got %q, %v; want %q", l, out, err, w)
				}
			}
		})
	}
}

// TestFrameProperty: however a stream is cut into pieces, the same comes out.
func TestFrameProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, err := newMarks(bytes.NewReader(make([]byte, 12)))
		if err != nil {
			t.Fatal(err)
		}
		// Pieces of marks in the noise and the output are what could go wrong.
		text := func(label string) string {
			parts := rapid.SliceOf(rapid.OneOf(rapid.StringN(0, 20, 40),
				rapid.SampledFrom([]string{"000000000000", "-000000000000", "000000000000-00000000000", "<", ">", ">0", "\n"}))).Draw(t, label)
			s := strings.Join(parts, "")
			for _, mark := range [][]byte{m.begin(), m.end(), m.ask()} {
				s = strings.ReplaceAll(s, string(mark), "")
			}
			return s
		}
		noise, out, after := text("noise"), text("out"), text("after")
		whole := noise + string(m.begin()) + out + string(m.end()) + "42;" + after
		if strings.Index(whole, string(m.begin())) != len(noise) || strings.Index(whole[len(noise):], string(m.end())) != len(m.begin())+len(out) {
			t.Skip("the pieces make a mark where they meet")
		}
		limit := rapid.Int64Range(1, 60).Draw(t, "limit")
		f := newFrame(m, limit, nil)
		for rest := []byte(whole); len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "n")
			f.Write(rest[:n])
			rest = rest[n:]
		}
		f.finish()
		want := out[:min(int64(len(out)), limit)]
		if !f.complete() || f.status != 42 || f.out.String() != want || f.truncated != (int64(len(out)) > limit) {
			t.Fatalf("got %q (%v), status %d, complete %v; want %q", f.out.String(), f.truncated, f.status, f.complete(), want)
		}
		if f.noise.String() != noise {
			t.Fatalf("noise %q, want %q", f.noise.String(), noise)
		}
	})
}

func TestFrameIncomplete(t *testing.T) {
	m := marks{left: "l", right: "r"}
	for in, want := range map[string]string{
		"noise":                        "",
		"noise l-r<out":                "out",
		"l-r<out l-r>":                 "out ",
		"l-r<out l-r>x;":               "out ",
		"l-r<out l-r>1234567890123456": "out ",
	} {
		f := newFrame(m, 100, nil)
		io.WriteString(f, in)
		f.finish()
		if f.complete() || f.out.String() != want {
			t.Errorf("%q: complete %v, %q", in, f.complete(), f.out.String())
		}
	}
}

func TestSanitize(t *testing.T) {
	for in, want := range map[string]string{
		"plain ünïcode 漢字\n\ttext":       "plain ünïcode 漢字\n\ttext",
		"\x1b[31mred\x1b[0m":             `\x1b[31mred\x1b[0m`,
		"a\rb\x00\x07\x7f":               `a\x0db\x00\x07\x7f`,
		"\u009b31m":                      `\u009b31m`,
		"admin\u202etxt.exe":             `admin\u202etxt.exe`,
		"\u2066\u200b\ufeff\u00ad\u2028": `\u2066\u200b\ufeff\u00ad\u2028`,
		"bad \xff\xc3 utf8":              `bad \xff\xc3 utf8`,
		"\U000e0041":                     `\U000e0041`,
		"�":                              "�",
	} {
		if got := Sanitize(in); got != want {
			t.Errorf("Sanitize(%q) = %q, want %q", in, got, want)
		}
	}
	if got := SanitizeLine("a\n\tb", 0); got != `a\n\tb` {
		t.Errorf("got %q", got)
	}
	if got := SanitizeLine("ääää", 5); got != "ää…" {
		t.Errorf("got %q", got)
	}
}

func FuzzSanitize(f *testing.F) {
	f.Add("a\x1b[0m\u202e\xff")
	f.Fuzz(func(t *testing.T, s string) {
		got := Sanitize(s)
		if !utf8.ValidString(got) || Sanitize(got) != got {
			t.Errorf("%q gives %q", s, got)
		}
		for _, r := range got {
			if r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 {
				t.Errorf("%q keeps %U", s, r)
			}
		}
		if l := SanitizeLine(s, 10); strings.ContainsAny(l, "\n\t") || !utf8.ValidString(l) {
			t.Errorf("%q gives the line %q", s, l)
		}
	})
}

func FuzzKnownHosts(f *testing.F) {
	key := "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJq7uQ7bAbTsuEkJrFqXfL0oKkYSn9sSPhGDnHEfBbeN"
	f.Add("host,!h*,[a]:22,[b]:2222 "+key+" comment\n@revoked * "+key+"\n|1|aaaa|bbbb "+key, "host")
	f.Add("@cert-authority * x\n\n#\n@\n a", "a")
	f.Fuzz(func(t *testing.T, text, name string) {
		file, err := parseKnownHosts(strings.NewReader(text), "f")
		if err != nil {
			return // a line that is too long
		}
		for i := range file.lines {
			l := &file.lines[i]
			l.matches(name)
			if l.Key == nil || l.Line < 1 {
				t.Errorf("line %+v", l)
			}
		}
		h := &hostKeys{name: name}
		for _, l := range file.lines {
			h.known = append(h.known, l.KnownKey)
		}
		h.algorithms(false)
	})
}

func TestGlob(t *testing.T) {
	for _, tc := range []struct {
		p, s string
		want bool
	}{
		{"*", "", true}, {"*", "x", true}, {"a*c", "abbc", true}, {"a*c", "abbd", false}, {"?", "", false}, {"?b", "ab", true},
		{"*.example.com", "a.b.example.com", true}, {"*.example.com", "example.com", false}, {"a**b", "ab", true}, {"", "", true}, {"", "a", false},
		{strings.Repeat("*a", 50), strings.Repeat("a", 5000), true}, {strings.Repeat("a*", 50) + "b", strings.Repeat("a", 5000), false},
	} {
		if got := globMatch(tc.p, tc.s); got != tc.want {
			t.Errorf("globMatch(%.20q, %.20q) = %v", tc.p, tc.s, got)
		}
	}
}

func TestAlgorithms(t *testing.T) {
	h := &hostKeys{known: []KnownKey{{Key: fakeKey("ssh-rsa")}}}
	if got := h.algorithms(false); !slices.Equal(got, []string{"rsa-sha2-512", "rsa-sha2-256"}) {
		t.Errorf("ssh-rsa gives %v", got)
	}
	cfg := clientConfig(Target{}, h)
	for _, list := range [][]string{cfg.Ciphers, cfg.KeyExchanges, cfg.MACs} {
		for _, a := range list {
			if strings.Contains(a, "cbc") || strings.Contains(a, "group1-") || strings.Contains(a, "arcfour") || a == "diffie-hellman-group14-sha1" {
				t.Errorf("%s is offered", a)
			}
		}
	}
	if hasAES() && cfg.Ciphers[0] != ssh.CipherAES128GCM {
		t.Errorf("the first cipher is %s", cfg.Ciphers[0])
	}
}

// fakeKey is a key of which only the type matters.
type fakeKey string

func (k fakeKey) Type() string                        { return string(k) }
func (k fakeKey) Marshal() []byte                     { return []byte(k) }
func (k fakeKey) Verify([]byte, *ssh.Signature) error { return errors.New("no") }

func TestErrors(t *testing.T) {
	inner := &Error{Host: "h\x1b", Op: "dial", Kind: KindAuth, Err: errors.New("no\nway")}
	err := fmt.Errorf("outer: %w", inner)
	if KindOf(err) != KindAuth || Retryable(err) || inner.Error() != `h\x1b: dial: no\nway` {
		t.Errorf("%v, %s", err, KindOf(err))
	}
	if KindOf(nil) != "" || KindOf(io.EOF) != KindInternal || KindOf(context.Canceled) != KindCanceled {
		t.Error("kinds of other errors")
	}
}

func TestLimiter(t *testing.T) {
	if NewLimiter(0) != nil || NewLimiter(-1) != nil {
		t.Error("0 must mean no limit")
	}
	if err := (*Limiter)(nil).wait(context.Background(), 1<<30); err != nil {
		t.Error(err)
	}
	l := NewLimiter(1000)
	if b := l.bucket.Burst(); b != minBurst {
		t.Errorf("burst %d", b)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := l.wait(ctx, minBurst+1000); err == nil {
		t.Error("a second's worth came at once")
	}
}

func TestSegments(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Int64Range(0, 3<<30).Draw(t, "size")
		it, err := newItem(Upload{Path: "/f", Size: size, Local: "x"})
		if err != nil {
			t.Fatal(err)
		}
		it.verified = rapid.SliceOfN(rapid.Bool(), 0, 40).Draw(t, "verified")
		blocks := (size + it.block - 1) / it.block
		if int64(len(it.verified)) > blocks {
			it.verified = it.verified[:blocks]
		}
		if blocks > maxBlocks {
			t.Fatalf("%d blocks", blocks)
		}
		it.cut(rapid.SampledFrom([]int{2, 4, 10}).Draw(t, "workers"))
		sent, end := it.sent, int64(0)
		for i, s := range it.segs {
			if s.index != i || s.off < end || s.off+s.len > size || s.off%mib != 0 || s.len > maxSegment+it.block {
				t.Fatalf("segment %d: %+v", i, s)
			}
			sent, end = sent+s.len, s.off+s.len
		}
		if sent != size || len(it.segs) == 0 {
			t.Fatalf("%d bytes of %d, %d segments", sent, size, len(it.segs))
		}
		for i, s := range it.segs {
			if there, _ := it.contiguous(); there > s.off {
				t.Fatalf("%d bytes are said to be there before segment %d at %d", there, i, s.off)
			}
			it.finished(s)
		}
		if there, _ := it.contiguous(); there != size {
			t.Fatalf("%d of %d at the end", there, size)
		}
	})
}

// FuzzSurvey: a host may answer whatever it likes; at worst all is sent.
func FuzzSurvey(f *testing.F) {
	f.Add("final 0 other\npart 0 1048577\nblock 0 aa\nblock 0 bb\nfinal 1 same " + strings.Repeat("0", 64))
	f.Add("part 0 odd")
	f.Add("final 99999999999999999999 same x\nblock -1 x\nnodigest")
	f.Fuzz(func(t *testing.T, out string) {
		u := &upload{conn: &Conn{}}
		for _, name := range []string{"/a", "/b"} {
			it, err := newItem(Upload{Path: name, Size: 100, SHA256: strings.Repeat("0", 64),
				Open: func() (io.ReadSeekCloser, error) { return memory{bytes.NewReader(make([]byte, 100))}, nil }})
			if err != nil {
				t.Fatal(err)
			}
			u.items = append(u.items, it)
		}
		todo := slices.Clone(u.items)
		if err := u.readSurvey(context.Background(), todo, out); err != nil {
			return
		}
		for _, it := range todo {
			if it != nil {
				it.cut(4)
			}
		}
	})
}

// A small file gets no more requests, and goroutines, than it has packets; a large one as many as a channel's window takes.
func TestRequestsFor(t *testing.T) {
	for size, want := range map[int64]int{0: 1, 1: 1, sftpPacket: 1, sftpPacket + 1: 2, 10 * sftpPacket: 10, maxSegment: sftpRequests} {
		if got := requestsFor(size); got != want {
			t.Errorf("%d bytes: %d requests, want %d", size, got, want)
		}
	}
}
