package lab

import (
	"context"
	"fmt"
	"net"
	"os"
)

// HostStatus is a host and how it is now.
type HostStatus struct {
	Host
	State string `json:"state"` // up, no-sshd, cut, off; several joined by +
}

// Status looks at every host, without connecting to it.
func (l *Lab) Status(context.Context) ([]HostStatus, error) {
	out := make([]HostStatus, 0, len(l.state.Hosts))
	for n, h := range l.state.Hosts {
		st := HostStatus{Host: h}
		pid := l.initOf(h.Name)
		switch {
		case pid == 0:
			st.State = "off"
		case !sshdListens(pid):
			st.State = "no-sshd"
		default:
			st.State = "up"
		}
		port, err := net.InterfaceByName(fmt.Sprintf("%s-%d", l.state.Bridge, n))
		if err != nil || port.Flags&net.FlagUp == 0 {
			if st.State == "up" {
				st.State = "cut"
			} else {
				st.State += "+cut"
			}
		}
		out = append(out, st)
	}
	return out, nil
}

// sshdListens tells whether something listens on port 22 in the network of process pid.
func sshdListens(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/tcp", pid))
	return err == nil && listensOn(string(data), 22)
}
