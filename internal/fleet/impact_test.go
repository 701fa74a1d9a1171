package fleet

import (
	"slices"
	"testing"
)

func TestRestarts(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"systemctl try-restart sshd.service >/dev/null 2>&1 || :", []string{"sshd.service"}},
		{"if [ $1 -ge 1 ]; then\n  /usr/lib/systemd/systemd-update-helper mark-restart-system-units a.service b@1.service || :\nfi", []string{"a.service", "b@1.service"}},
		{"/sbin/service httpd condrestart", []string{"httpd"}},
		{"systemctl --no-reload preset x.service", nil},
		{"systemctl daemon-reload; systemctl restart labsvc", []string{"labsvc"}},
		{"echo systemctl is not here\nrestart me", nil},
		{"if true; then\n\tsystemctl restart sshd\nelif false; then :; fi", []string{"sshd"}},
		{"", nil},
	} {
		if got := restarts(c.text); !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, want %q", c.text, got, c.want)
		}
	}
}
