package lab

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// serviceName is the argument 0 by which a program becomes the lab service.
const serviceName = "labsvcd"

// The host's copy of this program serves as the lab service, so that neither a compiler
// nor an interpreter is needed on a host: whatever program made the lab has the service
// built in and finds it here, before its own main starts.
func init() {
	if filepath.Base(os.Args[0]) == serviceName {
		if err := runService("/"); err != nil {
			fmt.Fprintln(os.Stderr, "labsvcd:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// servicePort is where the lab service of each host listens.
const servicePort = 8080

// runService answers HTTP on port 8080 with the contents of usr/share/labsvc/health under
// root: "ok" with status 200, anything else with status 500. It refuses to start with an
// option it does not know in etc/labsvc.conf. SIGTERM ends it without an error.
func runService(root string) error {
	if err := checkServiceConfig(filepath.Join(root, "etc/labsvc.conf")); err != nil {
		return err
	}
	server := &http.Server{
		Addr:              fmt.Sprintf(":%d", servicePort),
		Handler:           serviceHandler(root),
		ReadHeaderTimeout: 5 * time.Second,
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func serviceHandler(root string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		health, err := os.ReadFile(filepath.Join(root, "usr/share/labsvc/health"))
		if err != nil {
			http.Error(w, "no health file", http.StatusInternalServerError)
			return
		}
		if text := strings.TrimSpace(string(health)); text != "ok" {
			http.Error(w, text, http.StatusInternalServerError)
			return
		}
		fmt.Fprintln(w, "ok")
	})
}

// checkServiceConfig reads "key = value" lines; greeting is the only key.
func checkServiceConfig(file string) error {
	data, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for i, line := range strings.Split(string(data), "\n") {
		key, _, found := strings.Cut(strings.TrimSpace(line), "=")
		if key == "" || strings.HasPrefix(key, "#") {
			continue
		}
		if !found || strings.TrimSpace(key) != "greeting" {
			return fmt.Errorf("%s:%d: unknown option %q", file, i+1, strings.TrimSpace(key))
		}
	}
	return nil
}
