package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"syscall"
	"time"
)

// Webhook posts JSON to a URL. Certificates are always verified, redirects are not followed: the token is for one place.
type Webhook struct {
	URL    string
	Token  func() ([]byte, error) // the header Authorization, read at each try; nil: none
	Client *http.Client
}

// NewClient makes the client for webhooks. roots nil are those of the system.
func NewClient(roots *x509.CertPool) *http.Client {
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:             http.ProxyFromEnvironment,
			TLSClientConfig:   &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			DisableKeepAlives: true, // messages are minutes apart
			ForceAttemptHTTP2: true,
		},
	}
}

// Send implements Sender. Errors name the host of the URL, never its path: that may be a secret.
func (w *Webhook) Send(ctx context.Context, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(body))
	if err != nil {
		return &FinalError{errors.New("the URL cannot be used")}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "cpacman")
	if w.Token != nil {
		token, err := w.Token()
		if err != nil {
			return &FinalError{err}
		}
		req.Header.Set("Authorization", string(token))
	}
	resp, err := w.Client.Do(req)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		if errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("post to %s: no answer in time", req.URL.Host)
		}
		var unknown x509.UnknownAuthorityError
		var name x509.HostnameError
		if err = fmt.Errorf("post to %s: %w", req.URL.Host, err); errors.As(err, &unknown) || errors.As(err, &name) {
			return &FinalError{err}
		}
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // what it says is of no use to anybody
	switch {
	case resp.StatusCode >= 200 && resp.StatusCode < 300:
		return nil
	case resp.StatusCode >= 500, resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode == http.StatusRequestTimeout:
		return fmt.Errorf("%s answered %s", req.URL.Host, resp.Status)
	}
	if resp.StatusCode >= 300 && resp.StatusCode < 400 { // where to is not told: it may be a secret too
		return &FinalError{fmt.Errorf("%s answered %s; redirects are not followed: write the address that it leads to", req.URL.Host, resp.Status)}
	}
	return &FinalError{fmt.Errorf("%s answered %s", req.URL.Host, resp.Status)}
}

// Command runs a program on the control host with the JSON on its standard input: no shell, hardly any environment, its output
// kept for the error only. It is run once: what it did half cannot be known.
type Command struct {
	Args   []string
	Verify func(path string) error // asked right before it is run (SEC-1)
}

// The bounds of a command.
const (
	maxOutput    = 1000        // bytes of its output in an error
	commandGrace = time.Second // for a child that it left to let go of its output
)

// Send implements Sender. At the end of ctx the program is killed with its process group.
func (c *Command) Send(ctx context.Context, body []byte) error {
	if err := c.Verify(c.Args[0]); err != nil {
		return &FinalError{err}
	}
	var out opening
	cmd := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(append(body, '\n')), &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = commandGrace
	err := cmd.Run()
	switch {
	case cmd.ProcessState != nil && cmd.ProcessState.Success():
		return nil // whether it read its input is its own business
	case errors.Is(err, syscall.ENOEXEC):
		return &FinalError{fmt.Errorf("run %s: it is no program for this machine, and its first line names none (#!/bin/sh)", c.Args[0])}
	case cmd.ProcessState == nil && errors.Is(err, syscall.ENOENT):
		return &FinalError{fmt.Errorf("run %s: it is not there, or the program that its first line names (#!) is not there", c.Args[0])}
	case cmd.ProcessState == nil:
		return &FinalError{fmt.Errorf("run %s: %w", c.Args[0], err)}
	case ctx.Err() != nil:
		return &FinalError{fmt.Errorf("%s did not end in time and was killed", c.Args[0])}
	}
	return &FinalError{fmt.Errorf("%s: %s: %s", c.Args[0], cmd.ProcessState, clean(string(out.b)))}
}

// opening keeps the first bytes and takes the rest without a word.
type opening struct{ b []byte }

func (o *opening) Write(p []byte) (int, error) {
	if room := maxOutput - len(o.b); room > 0 {
		o.b = append(o.b, p[:min(room, len(p))]...)
	}
	return len(p), nil
}
