package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// machine is where the run took place and what it was run against, a line each.
func (b *bench) machine(ctx context.Context) []string {
	out := []string{
		fmt.Sprintf("%d cores, %s, %s of memory", runtime.NumCPU(), field("/proc/cpuinfo", "model name"), field("/proc/meminfo", "MemTotal")),
		"kernel " + strings.TrimSpace(read("/proc/sys/kernel/osrelease")) + ", " + strings.Trim(field("/etc/os-release", "PRETTY_NAME"), `"`),
		"built with " + runtime.Version() + "; control side and all hosts share this machine",
		fmt.Sprintf("%d hosts, %d filler packages in each rpm database, all as root; %d hosts at once; cipher of the uploads %s", b.o.hosts, b.o.packages, b.o.forks, cipher()),
	}
	for _, v := range [][]string{
		{b.tool("cpacman"), "version"}, {"ssh", "-V"}, {"rpm", "--version"}, {"clush", "--version"}, {"parallel-ssh", "--version"},
		{"ansible", "--version"}, {"rsync", "--version"}, {"dnf", "--version"},
	} {
		if text := b.version(ctx, v); text != "" {
			out = append(out, text)
		}
	}
	return out
}

// version is the first line that a program prints about itself, with its name; empty when
// it is not there.
func (b *bench) version(ctx context.Context, argv []string) string {
	if _, err := exec.LookPath(argv[0]); err != nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = b.environment()
	text, err := cmd.CombinedOutput()
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	first = strings.Join(strings.Fields(first), " ")
	name := argv[0][strings.LastIndex(argv[0], "/")+1:]
	if strings.Contains(strings.ToLower(first), name) {
		return first
	}
	return name + " " + first
}

// field is the value of the first "key: value" or "key=value" line of a file.
func field(file, key string) string {
	for line := range strings.Lines(read(file)) {
		k, v, found := strings.Cut(line, ":")
		if !found {
			k, v, found = strings.Cut(line, "=")
		}
		if found && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return "unknown " + key
}

func read(file string) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	return string(data)
}

// loadAverage is of one, five and fifteen minutes.
func loadAverage() string {
	w := strings.Fields(read("/proc/loadavg"))
	if len(w) < 3 {
		return "unknown"
	}
	return strings.Join(w[:3], " ")
}
