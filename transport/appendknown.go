package transport

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// AppendKnownHosts adds keys to a known_hosts file, which is made with mode 0600
// if it is absent. Keys that are there already are passed over. If any key
// contradicts the file, nothing is written and the error wraps a
// KnownHostsConflict. The file is replaced as a whole, never half written, and
// two programs adding at once do not lose each other's lines.
func AppendKnownHosts(file string, keys []ScannedKey, hash bool) (added int, err error) {
	if real, err := filepath.EvalSymlinks(file); err == nil {
		file = real
	}
	unlock, err := lockDir(filepath.Dir(file))
	if err != nil {
		return 0, fmt.Errorf("known hosts: %w", err)
	}
	defer unlock()
	old, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("known hosts: %w", err)
	}
	mode := fs.FileMode(0o600)
	if info, err := os.Stat(file); err == nil {
		mode = info.Mode().Perm()
	}
	known, err := parseKnownHosts(bytes.NewReader(old), file)
	if err != nil {
		return 0, err
	}
	var text strings.Builder
	text.Write(old)
	if len(old) > 0 && !bytes.HasSuffix(old, []byte("\n")) {
		text.WriteByte('\n')
	}
	byHost := make(map[string][]ScannedKey)
	for _, k := range keys {
		if k.Key == nil || k.Host == "" || strings.ContainsAny(k.Host, " \t\r\n,*?!|#") {
			return 0, fmt.Errorf("known hosts: %q cannot be written as a host name", SanitizeLine(k.Host, 80))
		}
		byHost[k.Host] = append(byHost[k.Host], k)
	}
	for host, scanned := range byHost {
		if c := known.conflict(host, scanned); c != nil {
			return 0, fmt.Errorf("known hosts: %w", c)
		}
	}
	for _, k := range keys {
		if known.has(k) {
			continue
		}
		known.lines = append(known.lines, knownLine{KnownKey: KnownKey{Key: k.Key, File: file}, patterns: []string{k.Host}})
		line := k.Line()
		if hash {
			line = k.HashedLine()
		}
		text.WriteString(line + "\n")
		added++
	}
	if added == 0 {
		return 0, nil
	}
	if err := replaceFile(file, []byte(text.String()), mode); err != nil {
		return 0, fmt.Errorf("known hosts: %w", err)
	}
	return added, nil
}

// replaceFile writes beside the file and renames.
func replaceFile(file string, data []byte, mode fs.FileMode) error {
	tmp, err := os.CreateTemp(filepath.Dir(file), ".known_hosts-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // fails when it was renamed
	_, err = tmp.Write(data)
	if err == nil {
		err = tmp.Chmod(mode)
	}
	if err == nil {
		err = tmp.Sync()
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), file)
}
