package transport

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// tcpControl sets TCP_USER_TIMEOUT, so that the kernel gives up on data nobody
// acknowledges: a second net under the keepalives.
func tcpControl(dead time.Duration) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) {
			// Best effort: an old kernel without it still has the keepalives.
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(dead.Milliseconds()))
		})
	}
}
