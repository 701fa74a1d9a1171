package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

// labID is what a lab's id looks like. Interface names are built from it: the bridge is
// cpl-ID, the port of host n is cpl-ID-n, within the kernel's 15 characters.
var labID = regexp.MustCompile(`^[0-9a-f]{6}$`)

// Each lab has a /20 of 198.18.0.0/15, the range set aside for benchmarks (RFC 2544), which
// no real network uses.
const (
	blockBits  = 20
	blockCount = 32
	firstHost  = 16 // of the block; the bridge has 1
)

// block is the address range of one lab.
type block struct{ number int }

func (b block) prefix() netip.Prefix { return netip.PrefixFrom(b.address(0), blockBits) }

// address gives the n-th address of the block.
func (b block) address(n int) netip.Addr {
	v := uint32(198)<<24 | uint32(18)<<16
	v += uint32(b.number)<<(32-blockBits) + uint32(n)
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}

// mac is the hardware address of host n: locally administered, different in each block.
func (b block) mac(n int) string {
	return fmt.Sprintf("02:6c:61:%02x:%02x:%02x", b.number, n>>8&0xff, n&0xff)
}

// claimNetwork finds a free block and makes the bridge, under a lock that all labs of this
// network namespace share, so that two that start at once do not take the same.
func claimNetwork(ctx context.Context, bridge string, claimed func(block) error) (block, error) {
	unlock, err := lockNetwork(ctx)
	if err != nil {
		return block{}, err
	}
	defer unlock()
	free, err := freeBlock()
	if err != nil {
		return block{}, err
	}
	if err := claimed(free); err != nil {
		return block{}, err
	}
	batch := fmt.Sprintf("link add %[1]s type bridge forward_delay 0\naddr add %[2]s/%[3]d dev %[1]s\nlink set %[1]s up\n", bridge, free.address(1), blockBits)
	if err := ipBatch(ctx, batch); err != nil {
		return block{}, fmt.Errorf("make bridge %s: %w", bridge, err)
	}
	return free, nil
}

// lockNetwork holds an abstract socket, which leaves nothing behind whatever happens.
func lockNetwork(ctx context.Context) (func(), error) {
	const wait = 30 * time.Second
	deadline := time.Now().Add(wait)
	for {
		listener, err := net.Listen("unix", "@cpacman-lab-network")
		if err == nil {
			return func() { _ = listener.Close() }, nil
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("claim a network: another lab has been claiming one for %s: %w", wait, err)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func freeBlock() (block, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return block{}, fmt.Errorf("list addresses: %w", err)
	}
	var used []netip.Prefix
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			used = append(used, p.Masked())
		}
	}
	for n := range blockCount {
		b := block{n}
		free := true
		for _, p := range used {
			free = free && !p.Overlaps(b.prefix())
		}
		if free {
			return b, nil
		}
	}
	return block{}, errors.New("claim a network: all 32 ranges of 198.18.0.0/15 are in use: take down a lab that is no longer needed (ip -brief address)")
}

// plugIn makes the network card of host n, whose namespaces pid runs in. The neighbour
// entry is permanent so that a cut link looks as in a routed network: silence, not an error
// after three seconds.
func plugIn(ctx context.Context, s *state, b block, n, pid int) error {
	port := fmt.Sprintf("%s-%d", s.Bridge, n)
	batch := fmt.Sprintf("link add %[1]s type veth peer name eth0 address %[2]s netns %[3]d\nlink set %[1]s master %[4]s up\nneigh replace %[5]s lladdr %[2]s dev %[4]s nud permanent\n",
		port, b.mac(n), pid, s.Bridge, b.address(firstHost+n))
	if err := ipBatch(ctx, batch); err != nil {
		return fmt.Errorf("connect %s to the network: %w", s.Hosts[n].Name, err)
	}
	return nil
}

// setLink cuts (up = false) or restores the link of host n.
func setLink(ctx context.Context, bridge string, n int, up bool) error {
	word := "down"
	if up {
		word = "up"
	}
	return run(ctx, nil, "ip", "link", "set", fmt.Sprintf("%s-%d", bridge, n), word)
}

// removeLinks deletes the bridge and all ports of a lab. What is not there is no error.
func removeLinks(ctx context.Context, bridge string) error {
	interfaces, err := net.Interfaces()
	if err != nil {
		return fmt.Errorf("list interfaces: %w", err)
	}
	var failed []error
	for _, i := range interfaces {
		if i.Name == bridge || strings.HasPrefix(i.Name, bridge+"-") {
			if err := run(ctx, nil, "ip", "link", "delete", i.Name); err != nil {
				// a port goes by itself when its namespace ends, perhaps just now
				if _, gone := net.InterfaceByName(i.Name); gone == nil {
					failed = append(failed, err)
				}
			}
		}
	}
	return errors.Join(failed...)
}

func ipBatch(ctx context.Context, lines string) error {
	cmd := exec.CommandContext(ctx, "ip", "-batch", "-")
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.Stdin = strings.NewReader(lines)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}
