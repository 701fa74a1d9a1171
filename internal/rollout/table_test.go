package rollout

import (
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files")

// TestTableIsComplete checks the table as data. That the engine takes no other step is ensured by run.move, which looks every
// step up; that it takes each of them, by TestMain.
func TestTableIsComplete(t *testing.T) {
	info := map[State]StateInfo{}
	for _, i := range States() {
		if info[i.State].State != "" {
			t.Errorf("%s is listed twice", i.State)
		}
		info[i.State] = i
		if i.Means == "" || i.OnHost == "" {
			t.Errorf("%s is not explained", i.State)
		}
	}
	if len(info) != 30 {
		t.Errorf("%d states; there are to be 30", len(info))
	}
	lines := map[[2]string]bool{}
	out, in := map[State]int{}, map[State]int{}
	for _, tr := range Transitions() {
		key := [2]string{string(tr.From), string(tr.On)}
		if lines[key] {
			t.Errorf("%s on %s is listed twice", tr.From, tr.On)
		}
		lines[key] = true
		for _, s := range []State{tr.From, tr.To} {
			if _, ok := info[s]; !ok {
				t.Errorf("%s on %s to %s: %s is unknown", tr.From, tr.On, tr.To, s)
			}
		}
		if info[tr.From].Phase == PhaseEnd && info[tr.To].Phase != PhaseEnd && tr.By != ByOperator && tr.On != OnRollBack {
			t.Errorf("%s is left on %s by %s; only an operator may, and a rollback", tr.From, tr.On, tr.By)
		}
		if !info[tr.From].Touched && info[tr.To].Phase == PhaseWay && info[tr.To].Touched &&
			tr.On != OnStart && tr.On != OnReboot && tr.On != OnServices && tr.On != OnAlreadyThere && tr.On != OnReattach {
			t.Errorf("%s on %s: a host is changed only after start, reboot or services", tr.From, tr.On)
		}
		out[tr.From]++
		in[tr.To]++
	}
	for s, i := range info {
		switch {
		case in[s] == 0:
			t.Errorf("nothing leads to %s", s)
		case i.Phase != PhaseEnd && out[s] == 0:
			t.Errorf("nothing leads out of %s", s)
		}
	}
}

func TestMarkdownIsTheGoldenPage(t *testing.T) {
	const file = "testdata/states.md"
	if *update {
		if err := os.WriteFile(file, []byte(Markdown()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != Markdown() {
		t.Errorf("the table has changed: it is a contract; if that is meant, run go test ./internal/rollout -update and say so in the change log")
	}
}
