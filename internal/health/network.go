package health

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// tcp dials a port from the control host: a connection is green.
func (c *Checker) tcp(ctx context.Context, check Check) Result {
	ctx, cancel := context.WithTimeout(ctx, check.timeout())
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", check.TCP)
	if err != nil {
		return Result{Verdict: Red, Output: err.Error()}
	}
	_ = conn.Close()
	return Result{Verdict: Green}
}

// http asks one address from the control host, over a fresh connection, without a proxy and without following redirects.
func (c *Checker) http(ctx context.Context, check Check) Result {
	ctx, cancel := context.WithTimeout(ctx, check.timeout())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, check.HTTP, nil)
	if err != nil {
		return Result{Verdict: Unknown, Output: err.Error()}
	}
	req.Header.Set("User-Agent", "cpacman-health")
	tr := &http.Transport{
		DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: 64 << 10,
		TLSClientConfig: &tls.Config{RootCAs: c.RootCAs, MinVersion: tls.VersionTLS12},
	}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if errors.Is(err, context.DeadlineExceeded) {
		return Result{Verdict: Red, Output: "no answer within " + check.timeout().String()}
	}
	if err != nil {
		return Result{Verdict: Red, Output: err.Error()}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxBody))
	want := check.Status
	if want == 0 {
		want = http.StatusOK
	}
	switch to := resp.Header.Get("Location"); {
	case resp.StatusCode != want && to != "":
		return Result{Verdict: Red, Output: fmt.Sprintf("status %d, want %d: it leads to %q, and redirects are not followed", resp.StatusCode, want, head([]byte(to)))}
	case resp.StatusCode != want:
		return Result{Verdict: Red, Output: fmt.Sprintf("status %d, want %d: %s", resp.StatusCode, want, head(body))}
	case check.Body != "" && !strings.Contains(string(body), check.Body) && errors.Is(err, context.DeadlineExceeded):
		return Result{Verdict: Red, Output: fmt.Sprintf("status %d, but after %s the answer does not contain %q and has not ended: %s", resp.StatusCode, check.timeout(), check.Body, head(body))}
	case check.Body != "" && !strings.Contains(string(body), check.Body):
		return Result{Verdict: Red, Output: fmt.Sprintf("status %d, but the answer does not contain %q: %s", resp.StatusCode, check.Body, head(body))}
	case err != nil && check.Body == "":
		return Result{Verdict: Red, Output: fmt.Sprintf("status %d, then: %v", resp.StatusCode, err)}
	}
	return Result{Verdict: Green, Output: fmt.Sprintf("status %d", resp.StatusCode)}
}

// head is enough of a body to recognise it.
func head(body []byte) string {
	const enough = 512
	if len(body) > enough {
		body = body[:enough]
	}
	return string(body)
}
