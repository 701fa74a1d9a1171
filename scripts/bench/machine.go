package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
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

// busy is the share of processor time that is in use, watched for a while.
func busy(ctx context.Context, watch time.Duration) (float64, error) {
	used, all, err := ticks(read("/proc/stat"))
	if err != nil {
		return 0, err
	}
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(watch):
	}
	used2, all2, err := ticks(read("/proc/stat"))
	if err != nil {
		return 0, err
	}
	if all2 <= all {
		return 0, nil
	}
	return float64(used2-used) / float64(all2-all), nil
}

// ticks are those of all processors in /proc/stat: in use or taken by the machine below, and
// in all. The first eight are user, nice, system, idle, iowait, irq, softirq, steal; what
// follows is counted in user and nice already.
func ticks(stat string) (used, all int64, err error) {
	first, _, _ := strings.Cut(stat, "\n")
	w := strings.Fields(first)
	if len(w) < 9 || w[0] != "cpu" {
		return 0, 0, fmt.Errorf("/proc/stat begins with %q", first)
	}
	for i, word := range w[1:9] {
		n, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("/proc/stat begins with %q", first)
		}
		all += n
		if i != 3 && i != 4 {
			used += n
		}
	}
	return used, all, nil
}
