package lab

import (
	"fmt"
	"strings"
)

// listensOn reads the text of /proc/net/tcp and tells whether port is listened on.
func listensOn(table string, port int) bool {
	const listening = "0A"
	suffix := fmt.Sprintf(":%04X", port)
	for _, line := range strings.Split(table, "\n") {
		fields := strings.Fields(line)
		if len(fields) > 3 && fields[3] == listening && strings.HasSuffix(fields[1], suffix) {
			return true
		}
	}
	return false
}
