package transport

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the format of hashed names in known_hosts
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// Bounds of known_hosts files.
const (
	maxKnownHostsFile = 64 << 20 // bytes
	maxKnownHostsLine = 64 << 10 // bytes
)

// KnownKey is a key from a known_hosts file.
type KnownKey struct {
	Key  ssh.PublicKey
	File string
	Line int // from 1
}

// String is file:line, type and fingerprint.
func (k KnownKey) String() string {
	return fmt.Sprintf("%s %s (%s line %d)", k.Key.Type(), ssh.FingerprintSHA256(k.Key), k.File, k.Line)
}

// knownLine is one line of a known_hosts file.
type knownLine struct {
	KnownKey
	revoked   bool
	authority bool
	patterns  []string // as written; nil when hashed
	salt      []byte
	hash      []byte
}

// knownFile is a parsed file.
type knownFile struct {
	lines []knownLine
	bad   []int // lines that were not understood; they are passed over, as ssh does
}

// hostName is the form in which ssh looks a host up: the name alone for port 22,
// else [name]:port, in lower case.
func hostName(address string, port int) string {
	address = strings.ToLower(strings.Trim(address, "[]"))
	if port == DefaultPort {
		return address
	}
	return "[" + address + "]:" + strconv.Itoa(port)
}

// lookupName is the name a target's key is filed under.
func (t Target) lookupName() string {
	if t.HostKeyAlias != "" {
		return strings.ToLower(t.HostKeyAlias)
	}
	return hostName(t.Address, t.Port)
}

// parseKnownHosts reads a file in OpenSSH's format (sshd(8), "SSH_KNOWN_HOSTS
// FILE FORMAT").
func parseKnownHosts(r io.Reader, name string) (*knownFile, error) {
	f := &knownFile{}
	sc := bufio.NewScanner(io.LimitReader(r, maxKnownHostsFile))
	sc.Buffer(make([]byte, 4096), maxKnownHostsLine)
	for n := 1; sc.Scan(); n++ {
		line := bytes.TrimSpace(sc.Bytes())
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		l, ok := parseKnownLine(string(line))
		switch {
		case !ok:
			f.bad = append(f.bad, n)
		default:
			l.File, l.Line = name, n
			f.lines = append(f.lines, l)
		}
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return f, nil
}

// parseKnownLine reads one line.
func parseKnownLine(line string) (l knownLine, ok bool) {
	fields := strings.Fields(line)
	if strings.HasPrefix(fields[0], "@") {
		switch fields[0] {
		case "@revoked":
			l.revoked = true
		case "@cert-authority":
			l.authority = true
		default:
			return l, false
		}
		fields = fields[1:]
	}
	if len(fields) < 3 {
		return l, false
	}
	if strings.HasPrefix(fields[0], "|") {
		if l.salt, l.hash, ok = parseHashed(fields[0]); !ok {
			return l, false
		}
	} else {
		l.patterns = strings.Split(strings.ToLower(fields[0]), ",")
	}
	blob, err := base64.StdEncoding.DecodeString(fields[2])
	if err != nil {
		return l, false
	}
	key, err := ssh.ParsePublicKey(blob)
	if err != nil || key.Type() != fields[1] {
		return l, false
	}
	l.Key = key
	return l, true
}

// parseHashed reads |1|salt|hash.
func parseHashed(s string) (salt, hash []byte, ok bool) {
	part := strings.Split(s, "|")
	if len(part) != 4 || part[1] != "1" {
		return nil, nil, false
	}
	salt, err1 := base64.StdEncoding.DecodeString(part[2])
	hash, err2 := base64.StdEncoding.DecodeString(part[3])
	return salt, hash, err1 == nil && err2 == nil && len(salt) > 0 && len(hash) == sha1.Size
}

// matches follows ssh: patterns with * and ? over the whole name, an excluded
// name wins, a hash is of the name as looked up.
func (l *knownLine) matches(name string) bool {
	if l.patterns == nil {
		mac := hmac.New(sha1.New, l.salt)
		io.WriteString(mac, name) //nolint:errcheck // a hash does not fail
		return hmac.Equal(mac.Sum(nil), l.hash)
	}
	found := false
	for _, p := range l.patterns {
		exclude := strings.HasPrefix(p, "!")
		p = strings.TrimPrefix(p, "!")
		if h, port, err := net.SplitHostPort(p); err == nil && port == "22" && strings.HasPrefix(p, "[") {
			p = h // ssh writes it without the port
		}
		if p == "" || !globMatch(p, name) {
			continue
		}
		if exclude {
			return false
		}
		found = true
	}
	return found
}

// globMatch knows * and ?; it takes time proportional to the product of the
// lengths at worst.
func globMatch(pattern, s string) bool {
	p, i, star, mark := 0, 0, -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]) && pattern[p] != '*':
			p++
			i++
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// hostKeys is what several files say of one host.
type hostKeys struct {
	name    string
	known   []KnownKey
	revoked []KnownKey // of every host: a revoked key is never accepted

	authorities []KnownKey // for this host
	plainOnly   bool       // its certificate was not accepted; it may have a plain key that is known

	files []string
	notes []string // files that are absent, lines that were not understood
}

// lookup collects the keys of one host.
func (s *knownHostsCache) lookup(files []string, name string) (*hostKeys, error) {
	h := &hostKeys{name: name, files: files}
	for _, path := range files {
		f, err := s.load(path)
		if errors.Is(err, fs.ErrNotExist) {
			h.notes = append(h.notes, path+" does not exist")
			continue
		}
		if err != nil {
			return nil, err
		}
		if len(f.bad) > 0 {
			h.notes = append(h.notes, fmt.Sprintf("%s: %d lines not understood, the first is line %d", path, len(f.bad), f.bad[0]))
		}
		for i := range f.lines {
			l := &f.lines[i]
			switch {
			case l.revoked:
				h.revoked = append(h.revoked, l.KnownKey)
			case l.authority && l.matches(name):
				h.authorities = append(h.authorities, l.KnownKey)
			case l.authority:
			case l.matches(name):
				h.known = append(h.known, l.KnownKey)
			}
		}
	}
	return h, nil
}

// knownHostsCache keeps parsed files until they change.
type knownHostsCache struct {
	mu    sync.Mutex
	files map[string]cachedFile
}

type cachedFile struct {
	size    int64
	modTime time.Time
	file    *knownFile
}

func (s *knownHostsCache) load(path string) (*knownFile, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("known hosts: %w", err)
	}
	defer r.Close()
	info, err := r.Stat()
	if err != nil {
		return nil, fmt.Errorf("known hosts: %w", err)
	}
	if info.IsDir() {
		return nil, fmt.Errorf("known hosts: %s is a directory", path)
	}
	if mode := info.Mode().Perm(); info.Mode().IsRegular() && mode&0o002 != 0 { // who may write it decides who is trusted; a group of one's own is usual
		return nil, fmt.Errorf("known hosts: %s: everybody can write it (mode %04o); hint: after looking at what it holds: chmod go-w %s", path, mode, Quote(path))
	}
	if info.Size() > maxKnownHostsFile {
		return nil, fmt.Errorf("known hosts: %s has %d bytes, %d is the limit", path, info.Size(), maxKnownHostsFile)
	}
	c, ok := s.files[path]
	if ok && c.size == info.Size() && c.modTime.Equal(info.ModTime()) {
		return c.file, nil
	}
	f, err := parseKnownHosts(r, path)
	if err != nil {
		return nil, err
	}
	if s.files == nil {
		s.files = make(map[string]cachedFile)
	}
	s.files[path] = cachedFile{info.Size(), info.ModTime(), f}
	return f, nil
}
