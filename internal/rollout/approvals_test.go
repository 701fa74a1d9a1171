package rollout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// crowd is people for tests. A signature is "KEY signs " and the text.
type crowd struct {
	users   map[string]string   // operating system user → person
	keys    map[string]string   // key → person
	rights  map[string][]string // person → classes
	issued  map[string]string   // nonce → text
	tickets map[string]error    // what the program says; others are unknown
	asked   []string            // of the program
	down    time.Time           // until then nothing can be looked up
}

func newCrowd() *crowd {
	return &crowd{
		users:  map[string]string{"ann": "ann", "bob": "bob", "cron": "robot", "eve": "eve", "dan": "dan"},
		keys:   map[string]string{"k-ann": "ann", "k-bob": "bob", "k-kim": "kim", "k-eve": "eve"},
		rights: map[string][]string{"ann": {"prod"}, "bob": {"prod", "test"}, "kim": {"prod"}, "eve": {"test"}, "dan": {"prod"}},
		issued: map[string]string{}, tickets: map[string]error{},
	}
}

func (c *crowd) Person(osUser string) string { return c.users[osUser] }

func (c *crowd) MayApprove(person, class string) bool {
	return slices.Contains(c.rights[person], class)
}

func (c *crowd) Signer(text, signature string) (string, string, error) {
	key, signed, ok := strings.Cut(signature, " signs ")
	if !ok || signed != text {
		return "", "", errors.New("does not fit the text")
	}
	if c.keys[key] == "" {
		return "", "", errors.New("is by a key of nobody")
	}
	return c.keys[key], key, nil
}

func (c *crowd) Issued(_ context.Context, nonce string) (string, error) {
	if time.Now().Before(c.down) {
		return "", errors.New("disk")
	}
	return c.issued[nonce], nil
}

func (c *crowd) CheckTicket(_ context.Context, program []string, ticket string) error {
	c.asked = append(c.asked, program[0]+" "+ticket)
	err, known := c.tickets[ticket]
	if !known {
		return errors.New("not known")
	}
	return err
}

// issue makes a request for a gate, as the site would.
func (c *crowd) issue(rollout, digest, scope string, expires time.Time) string {
	var random [32]byte
	random[0], random[1] = byte(len(c.issued)), byte(len(c.issued)>>8)
	q := NewRequest(rollout, digest, scope, expires, random)
	c.issued[q.Nonce] = q.Text()
	return q.Text()
}

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

const prodGate = "class prod"

// newBallot is a rollout that ann started, with a gate for two at class prod and one for one at level prod/broad.
func newBallot(c *crowd) Ballot {
	return Ballot{
		Rollout: Rollout{ID: "r1", Digest: "d1", User: "ann", Person: "ann"},
		Schedule: &Schedule{
			Levels: []LevelPlan{{Class: "prod", Level: "canary", ClassApprove: 2}, {Class: "prod", Level: "broad", Approve: 1}},
			Waves:  []WavePlan{{Index: 0, Level: 0}, {Index: 1, Level: 1}, {Index: 2, Level: 1}},
		},
		Waves:  []WaveRecord{{Index: 0, State: WavePending}, {Index: 1, State: WavePending}, {Index: 2, State: WavePending}},
		People: c,
	}
}

func asUser(user string) Command {
	return Command{Kind: CommandApprove, Scope: prodGate, Digest: "d1", User: user}
}

// TestJudge holds every reason why an approval cannot count.
func TestJudge(t *testing.T) {
	type world struct {
		c *crowd
		b *Ballot
	}
	signed := func(key string) func(world) Command {
		return func(w world) Command {
			text := w.c.issue("r1", "d1", prodGate, noon.Add(time.Hour))
			return Command{Kind: CommandApprove, Digest: "d1", User: "cron", Request: text, Signature: key + " signs " + text}
		}
	}
	with := func(cmd func(world) Command, spoil func(world, *Command)) func(world) Command {
		return func(w world) Command {
			c := cmd(w)
			spoil(w, &c)
			return c
		}
	}
	user := func(name string) func(world) Command { return func(world) Command { return asUser(name) } }
	request := func(rollout, digest, scope string, expires time.Time) func(world) Command {
		return func(w world) Command {
			text := w.c.issue(rollout, digest, scope, expires)
			return Command{Kind: CommandApprove, Scope: prodGate, Digest: "d1", User: "cron", Request: text, Signature: "k-bob signs " + text}
		}
	}
	ticket := func(b *Ballot) {
		b.Schedule.Levels[0].Ticket, b.Schedule.Levels[0].TicketCheck = "CHG-[0-9]+", []string{"/bin/ticket", "{ticket}"}
	}
	for _, c := range []struct {
		name string
		set  func(world)
		cmd  func(world) Command
		want string // "" is a yes
	}{
		{"user", nil, user("bob"), ""},
		{"the starter, where that is allowed", nil, user("ann"), ""},
		{"signature", nil, signed("k-bob"), ""},
		{"signature of somebody without an account", nil, signed("k-kim"), ""},
		{"nobody", nil, user("root"), "user root is no person of this site"},
		{"no user at all", nil, user(""), "is no person"},
		{"no right for the class", nil, user("eve"), "eve may not approve in class prod"},
		{"no right by key", nil, signed("k-eve"), "eve may not approve in class prod"},
		{"key of nobody", nil, signed("k-joe"), "the signature is by a key of nobody"},
		{"the person the record claims", nil, with(user("eve"), func(_ world, c *Command) { c.Claimed = "bob" }), "eve may not approve"},
		{"the starter", func(w world) { w.b.Schedule.Levels[0].NotStarter = true }, user("ann"), "ann started the rollout"},
		{"the starter by key", func(w world) { w.b.Schedule.Levels[0].NotStarter = true }, signed("k-ann"), "ann started the rollout"},
		{"the starter by sudo", func(w world) { w.b.Schedule.Levels[0].NotStarter, w.b.Rollout.Claimed = true, "bob" }, signed("k-bob"), "bob started the rollout"},
		{"the starter, renamed since", func(w world) { w.b.Schedule.Levels[0].NotStarter, w.b.Rollout.Person = true, "anna" }, user("ann"), "ann started"},
		{"the starter, whose account is somebody else's now", func(w world) {
			w.b.Schedule.Levels[0].NotStarter, w.b.Rollout.User, w.b.Rollout.Person = true, "gone", "bob"
		}, user("bob"), "bob started"},
		{"somebody else than the starter", func(w world) { w.b.Schedule.Levels[0].NotStarter = true }, user("bob"), ""},
		{"another digest", nil, with(user("bob"), func(_ world, c *Command) { c.Digest = "d0" }), "is for digest d0, the rollout has d1"},
		{"another gate", nil, with(user("bob"), func(_ world, c *Command) { c.Scope = "class test" }), `"class test" is no class or level`},
		{"gate that wants nothing", nil, with(user("bob"), func(_ world, c *Command) { c.Scope = "level prod/canary" }), "is no class or level"},
		{"changed text", nil, with(signed("k-bob"), func(_ world, c *Command) { c.Request = strings.Replace(c.Request, "2026", "2036", 1) }), "does not fit the text"},
		{"no text", nil, with(signed("k-bob"), func(_ world, c *Command) { c.Request = "" }), "does not begin with"},
		{"no signature", nil, with(signed("k-bob"), func(_ world, c *Command) { c.Signature = "" }), "does not fit the text"},
		{"request for another rollout", nil, request("r2", "d1", prodGate, noon.Add(1)), "is for rollout r2"},
		{"request for another digest", nil, request("r1", "d2", prodGate, noon.Add(time.Hour)), "is for digest d2"},
		{"request for another gate", nil, request("r1", "d1", "level prod/broad", noon.Add(time.Hour)), "is for level prod/broad, not for class prod"},
		{"expired", nil, request("r1", "d1", prodGate, noon), "expired at 2026-11-21 12:00Z"},
		{"not made here", nil, with(signed("k-bob"), func(w world, _ *Command) { clear(w.c.issued) }), "was not made here"},
		{"given in time, taken later", nil, with(request("r1", "d1", prodGate, noon.Add(-time.Hour)), func(_ world, c *Command) { c.At = noon.Add(-2 * time.Hour) }), ""},
		{"given in the future", nil, with(request("r1", "d1", prodGate, noon), func(_ world, c *Command) { c.At = noon.Add(time.Hour) }), "expired"},
		{"clock ahead of the engine's", nil, with(signed("k-bob"), func(_ world, c *Command) { c.At = noon.Add(time.Minute) }), ""},
		{"no ticket", func(w world) { ticket(w.b) }, user("bob"), "wants a ticket"},
		{"another ticket", func(w world) { ticket(w.b) }, with(user("bob"), func(_ world, c *Command) { c.Ticket = "OPS-1" }), "does not match"},
		{"ticket nobody knows", func(w world) { ticket(w.b) }, with(user("bob"), func(_ world, c *Command) { c.Ticket = "CHG-1" }), `ticket "CHG-1": not known`},
		{"good ticket", func(w world) { ticket(w.b); w.c.tickets["CHG-1"] = nil }, with(user("bob"), func(_ world, c *Command) { c.Ticket = "CHG-1" }), ""},
		{"ticket that is an option", nil, with(user("bob"), func(_ world, c *Command) { c.Ticket = "--all" }), "is not a ticket"},
		{"ticket of two lines", nil, with(user("bob"), func(_ world, c *Command) { c.Ticket = "a\nb" }), "is not a ticket"},
		{"ticket where none is wanted", nil, with(user("bob"), func(_ world, c *Command) { c.Ticket = "OPS 1" }), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			people := newCrowd()
			b := newBallot(people)
			w := world{people, &b}
			if c.set != nil {
				c.set(w)
			}
			cmd := c.cmd(w)
			a, err := b.Judge(context.Background(), cmd, noon)
			var refused *ApprovalError
			switch {
			case c.want == "" && err != nil:
				t.Fatalf("refused: %v", err)
			case c.want != "" && (!errors.As(err, &refused) || !strings.Contains(err.Error(), c.want)):
				t.Fatalf("error %v, want one with %q", err, c.want)
			case c.want != "":
				return
			}
			if a.At.After(noon) || a.At.IsZero() {
				t.Errorf("given at %s", a.At)
			}
			b.Approvals = append(b.Approvals, a)
			if v, _ := b.Votes(prodGate); len(v.Given) != 1 || len(v.Void) != 0 {
				t.Errorf("what was judged good is not counted: %+v", v)
			}
			if _, err := b.Judge(context.Background(), cmd, noon); err == nil {
				t.Error("the same again is accepted")
			}
		})
	}
}

// TestReplays: a request works once, for whoever signs it.
func TestReplays(t *testing.T) {
	people := newCrowd()
	b := newBallot(people)
	text := people.issue("r1", "d1", prodGate, noon.Add(time.Hour))
	first, err := b.Judge(context.Background(), Command{Kind: CommandApprove, User: "cron", Request: text, Signature: "k-bob signs " + text, Digest: "d1"}, noon)
	if err != nil {
		t.Fatal(err)
	}
	b.Approvals = append(b.Approvals, first)
	for _, key := range []string{"k-bob", "k-kim"} {
		_, err := b.Judge(context.Background(), Command{Kind: CommandApprove, User: "cron", Request: text, Signature: key + " signs " + text, Digest: "d1"}, noon)
		if err == nil || !strings.Contains(err.Error(), "was used already") {
			t.Errorf("%s with the same request: %v", key, err)
		}
	}
	// A record that somebody copied is the same person's, and counts once.
	b.Approvals = append(b.Approvals, first)
	if v, _ := b.Votes(prodGate); len(v.Given) != 1 || len(v.Void) != 1 {
		t.Errorf("a copied record: %+v", v)
	}
	people.down = time.Now().Add(time.Hour)
	fresh := people.issue("r1", "d1", prodGate, noon.Add(time.Hour))
	var refused *ApprovalError
	_, err = b.Judge(context.Background(), Command{Kind: CommandApprove, User: "cron", Request: fresh, Signature: "k-kim signs " + fresh, Digest: "d1"}, noon)
	if err == nil || errors.As(err, &refused) {
		t.Errorf("a look-up that fails is no refusal: %v", err)
	}
}

// TestWhatIsRecordedIsNotBelieved: a forged record, a person who lost the right or is gone, and another site's people.
func TestWhatIsRecordedIsNotBelieved(t *testing.T) {
	people := newCrowd()
	b := newBallot(people)
	good := Approval{Scope: prodGate, Digest: "d1", User: "bob", At: noon}
	text := people.issue("r1", "d1", prodGate, noon.Add(time.Hour))
	for name, a := range map[string]Approval{
		"a person in the record": {Scope: prodGate, Digest: "d1", User: "root", Person: "bob", How: HowOSUser, At: noon},
		"another way":            {Scope: prodGate, Digest: "d1", User: "bob", Person: "bob", How: "web", At: noon},
		"no signature":           {Scope: prodGate, Digest: "d1", User: "bob", Person: "kim", How: HowSignature, Key: "k-kim", Request: text, At: noon},
		"after it expired":       {Scope: prodGate, Digest: "d1", How: HowSignature, Request: text, Signature: "k-kim signs " + text, At: noon.Add(time.Hour)},
		"an older digest":        {Scope: prodGate, Digest: "d0", User: "bob", At: noon},
	} {
		b.Approvals = []Approval{good, a}
		if v, _ := b.Votes(prodGate); fmt.Sprint(v.Persons()) != "[bob]" || len(v.Void) != 1 || v.Void[0].Why == "" {
			t.Errorf("%s: %+v", name, v)
		}
	}
	b.Approvals = []Approval{good, {Scope: prodGate, Digest: "d1", User: "cron", How: HowSignature, Request: text, Signature: "k-kim signs " + text, At: noon}}
	if v, _ := b.Votes(prodGate); !v.Open() || fmt.Sprint(v.Persons()) != "[bob kim]" || v.Given[1].Key != "k-kim" {
		t.Errorf("two good ones: %+v", v)
	}
	delete(people.keys, "k-kim")
	people.rights["bob"] = nil
	if v, _ := b.Votes(prodGate); len(v.Given) != 0 || len(v.Void) != 2 {
		t.Errorf("of people without key and right: %+v", v)
	}
}

// TestNextGate: the gates are come to in order, and each opens by itself.
func TestNextGate(t *testing.T) {
	b := newBallot(newCrowd())
	var got []string
	for _, user := range []string{"bob", "ann", "bob"} {
		scope := b.Next()
		a, err := b.Judge(context.Background(), Command{Kind: CommandApprove, Digest: "d1", User: user}, noon)
		if err != nil {
			t.Fatal(err)
		}
		b.Approvals = append(b.Approvals, a)
		got = append(got, scope+" "+a.Scope)
	}
	if want := "[class prod class prod class prod class prod level prod/broad level prod/broad]"; fmt.Sprint(got) != want || b.Next() != "" {
		t.Errorf("%v then %q, want %s", got, b.Next(), want)
	}
	if _, err := b.Judge(context.Background(), Command{Kind: CommandApprove, Digest: "d1", User: "dan"}, noon); err == nil {
		t.Error("an approval of nothing is accepted")
	}
	if all := b.All(); len(all) != 2 || all[0].Scope != prodGate || !all[0].Open() || all[1].Scope != "level prod/broad" {
		t.Errorf("gates %+v", all)
	}
}

// TestExpect: what others have just recorded counts before the engine has taken it.
func TestExpect(t *testing.T) {
	b := newBallot(newCrowd())
	pending := []Command{{Kind: CommandPause}, asUser("bob"), asUser("root"), asUser("bob")}
	later := b.Expect(context.Background(), pending, noon)
	if len(b.Approvals) != 0 || len(later.Approvals) != 1 {
		t.Fatalf("%d before, %d expected", len(b.Approvals), len(later.Approvals))
	}
	if _, err := later.Judge(context.Background(), asUser("bob"), noon); err == nil || !strings.Contains(err.Error(), "bob has approved class prod already") {
		t.Errorf("bob again: %v", err)
	}
}

// TestOnePersonOneVote: whatever is recorded, each person who counts is known, has the right, did not start it where that matters,
// and counts once; and nobody who said a good yes is left out.
func TestOnePersonOneVote(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		people := newCrowd()
		b := newBallot(people)
		l := &b.Schedule.Levels[0]
		l.NotStarter = rapid.Bool().Draw(rt, "not starter")
		b.Rollout.Claimed = rapid.SampledFrom([]string{"", "bob", "root"}).Draw(rt, "claimed")
		good := map[string]bool{}
		for range rapid.IntRange(0, 12).Draw(rt, "approvals") {
			user := rapid.SampledFrom([]string{"ann", "bob", "cron", "dan", "eve", "root", ""}).Draw(rt, "user")
			digest := rapid.SampledFrom([]string{"d1", "d1", "d0"}).Draw(rt, "digest")
			a := Approval{Scope: prodGate, Digest: digest, User: user, At: noon, Person: "dan", Claimed: "dan"}
			person := people.users[user]
			if rapid.Bool().Draw(rt, "signed") {
				key := rapid.SampledFrom([]string{"k-ann", "k-bob", "k-kim", "k-eve", "k-joe"}).Draw(rt, "key")
				a.How, a.Request = HowSignature, people.issue("r1", "d1", prodGate, noon.Add(time.Hour))
				a.Signature = key + " signs " + a.Request
				person = people.keys[key]
			}
			b.Approvals = append(b.Approvals, a)
			started := l.NotStarter && (person == "ann" || person == "bob" && b.Rollout.Claimed == "bob")
			if digest == "d1" && slices.Contains(people.rights[person], "prod") && !started {
				good[person] = true
			}
		}
		v, _ := b.Votes(prodGate)
		seen := map[string]bool{}
		for _, a := range v.Given {
			if seen[a.Person] || !good[a.Person] {
				rt.Fatalf("%s counts: %+v", a.Person, v)
			}
			seen[a.Person] = true
		}
		if len(seen) != len(good) || v.Open() != (len(good) >= 2) || len(v.Given)+len(v.Void) != len(b.Approvals) {
			rt.Fatalf("%v of %v count: %+v", v.Persons(), sortedKeys(good), v)
		}
	})
}
