package rollout

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"cpacman/inventory"
)

// TestCheckOfTheRecord: a check that a schedule has recorded is the check that the site had.
func TestCheckOfTheRecord(t *testing.T) {
	was := &inventory.HealthCheck{
		Name: "web", HTTP: "https://{address}/<a>&b", Status: 204, Body: "ok", Timeout: 3 * time.Second, Interval: time.Second, Passes: 2, Deadline: time.Minute,
	}
	settings, err := FromSite(&inventory.Site{Health: map[string]*inventory.HealthCheck{"web": was}})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(settings.Checks["web"])
	if err != nil {
		t.Fatal(err)
	}
	var c Check
	if err := json.Unmarshal(raw, &c); err != nil {
		t.Fatal(err)
	}
	got, err := c.Recorded()
	if err != nil {
		t.Fatal(err)
	}
	a, _ := json.Marshal(was)
	b, _ := json.Marshal(got)
	if string(a) != string(b) {
		t.Errorf("%s\nwas %s", b, a)
	}
	if _, err := (Check{Name: "x", Definition: json.RawMessage(`{"timeout":"soon"}`)}).Recorded(); err == nil {
		t.Error("a damaged record is a check")
	}
	if got, err := (Check{Name: "basic"}).Recorded(); err != nil || got.HTTP != "" || got.Name != "basic" {
		t.Errorf("%+v: %v", got, err)
	}
}

// TestChangedSettings: what the site has otherwise than the rollout was started with is told.
func TestChangedSettings(t *testing.T) {
	r := newRig(t)
	r.hosts("broad", 2, plain)
	r.window("nightly", "01:00", time.Hour, "broad00")
	r.s.Hooks = map[string]HookSettings{"drain": {When: inventory.BeforeWave, Definition: json.RawMessage(`{"program":["/a"]}`), Digest: "d"}}
	sch, err := Resolve(r.plan, r.s)
	if err != nil {
		t.Fatal(err)
	}
	if got := ChangedSettings(&sch, r.s); len(got) != 0 {
		t.Errorf("%q", got)
	}
	w := r.s.Windows["nightly"]
	w.Start = "02:00"
	r.s.Windows["nightly"] = w
	r.s.Checks["web"] = Check{Name: "web", Definition: json.RawMessage(`{"tcp":"a:1"}`), Interval: 5 * time.Second, Passes: 2, Deadline: time.Minute}
	r.s.Levels[1].Soak = time.Hour
	delete(r.s.Hooks, "drain")
	hs := r.s.Hosts["broad01"]
	hs.Windows = []string{"nightly"}
	r.s.Hosts["broad01"] = hs
	got := strings.Join(ChangedSettings(&sch, r.s), "; ")
	if want := "check web; window nightly; the windows of broad01; the soak of level prod/broad; hook drain"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}
