package fleet

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cpacman/internal/rollout"
	"cpacman/inventory"
)

// boundSite is a site with one host, a check and a hook.
func boundSite(t *testing.T, url, script string) *inventory.Site {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string, mode os.FileMode) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("hook", "#!/bin/sh\nexit 0\n", 0o700)
	write("cpacman.toml", "[health.web]\nhttp = \""+url+"\"\n[hook.drain]\nwhen = \"before-host\"\n"+strings.ReplaceAll(script, "HOOK", filepath.Join(dir, "hook"))+"\n", 0o600)
	write("inventory/h.toml", "[host.a]\naddress = \"127.0.0.1\"\n", 0o600)
	site, err := inventory.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return site
}

// TestWhatWasApprovedIsRun: a check is the one that the rollout was started with, whatever the site has by then.
func TestWhatWasApprovedIsRun(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/health" {
			w.WriteHeader(http.StatusTeapot)
		}
	}))
	defer srv.Close()
	was, err := rollout.FromSite(boundSite(t, srv.URL+"/health", `program = ["HOOK"]`))
	if err != nil {
		t.Fatal(err)
	}
	f := &Fleet{Site: boundSite(t, srv.URL+"/other", `program = ["HOOK"]`), now: time.Now}
	d := &Deployment{fleet: f}
	run := func() rollout.CheckResult {
		return d.RunChecks(context.Background(), "a", []string{"web"}, []rollout.CheckResult{})[0]
	}
	if got := run(); got.Verdict != rollout.Red {
		t.Errorf("as the site has it: %+v", got)
	}
	d.Bind([]rollout.Check{was.Checks["web"]})
	if got := run(); got.Verdict != rollout.Green {
		t.Errorf("as it was started: %+v", got)
	}
	d.Bind([]rollout.Check{{Name: "web", Definition: json.RawMessage(`{"timeout":1}`)}})
	if got := run(); got.Verdict != rollout.Unknown {
		t.Errorf("with a damaged record: %+v", got)
	}
}

// TestHookOfTheRecord: a hook that was changed since is not run, be it by its arguments or by becoming a command on the host.
func TestHookOfTheRecord(t *testing.T) {
	first := boundSite(t, "http://a/", `program = ["HOOK"]`)
	was, err := rollout.FromSite(first)
	if err != nil {
		t.Fatal(err)
	}
	f := &Fleet{Site: first, now: time.Now}
	if err := f.HookDigests(&was); err != nil {
		t.Fatal(err)
	}
	hook := rollout.HookRun{Hook: rollout.HookPlan{Name: "drain", When: inventory.BeforeHost, Definition: was.Hooks["drain"].Definition, Digest: was.Hooks["drain"].Digest}, Host: "a"}
	d := &Deployment{fleet: f}
	if err := d.RunHook(context.Background(), hook); err != nil {
		t.Errorf("as it was: %v", err)
	}
	for _, now := range []string{`command = ["/bin/true"]`, `program = ["HOOK", "--now"]`} {
		f.Site = boundSite(t, "http://a/", now)
		if err := d.RunHook(context.Background(), hook); err == nil || !strings.Contains(err.Error(), "it is not what it was when the rollout was made") {
			t.Errorf("%s: %v", now, err)
		}
	}
}
