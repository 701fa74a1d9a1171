//go:build !linux

package transport

import (
	"syscall"
	"time"
)

// tcpControl does nothing here: TCP_USER_TIMEOUT is Linux's.
func tcpControl(time.Duration) func(network, address string, c syscall.RawConn) error { return nil }
