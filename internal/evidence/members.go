package evidence

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"

	"cpacman/internal/host"
	"cpacman/internal/rollout"
	"cpacman/internal/store"
	"cpacman/internal/trail"
	"cpacman/transport"
)

// all adds every member.
func (c *collection) all() error {
	for _, step := range []func() error{c.readTrail, c.plan, c.amendments, c.records, c.events, c.commands, c.hostKeys, c.transactions, c.trail} {
		if err := step(); err != nil {
			return err
		}
	}
	return c.spool.text("README.txt", c.readme())
}

// plain is a JSON text that is safe for a terminal.
func plain(v any, indent bool) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if indent {
		enc.SetIndent("", "  ")
	}
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return trail.EscapeJSON(b.Bytes()), nil
}

// json adds a member that is one value.
func (c *collection) json(name string, v any) error {
	return c.spool.add(name, func(w io.Writer) error {
		b, err := plain(v, true)
		if err != nil {
			return err
		}
		_, err = w.Write(b)
		return err
	})
}

// lines adds a member of one value a line; each calls put for every value.
func (c *collection) lines(name string, each func(put func(any) error) error) error {
	return c.spool.add(name, func(w io.Writer) error {
		buf := bufio.NewWriter(w)
		err := each(func(v any) error {
			b, err := plain(v, false)
			if err == nil {
				_, err = buf.Write(b)
			}
			return err
		})
		return errors.Join(err, buf.Flush())
	})
}

// plan adds the bytes of the plan, as they were stored before the start.
func (c *collection) plan() error {
	body, err := c.st.Plan(c.ctx, c.snap.Rollout.PlanID)
	if errors.Is(err, store.ErrNotFound) {
		c.remark("plan %.12s is not in the state database: plan.json is missing", c.snap.Rollout.PlanID)
		return nil
	}
	if err != nil {
		return err
	}
	return c.spool.text("plan.json", string(body))
}

// amendments adds the bytes of the plans that amended hosts follow.
func (c *collection) amendments() error {
	for _, id := range c.snap.Schedule.Plans()[1:] {
		body, err := c.st.Plan(c.ctx, id)
		switch {
		case !safeID().MatchString(id):
			c.remark("the plan of an amendment has an id that is none")
		case errors.Is(err, store.ErrNotFound):
			c.remark("plan %.12s of an amendment is not in the state database", id)
		case err != nil:
			return err
		default:
			if err := c.spool.text("amendments/"+id+".json", string(body)); err != nil {
				return err
			}
		}
	}
	return nil
}

// records adds what the journal has of the rollout and its hosts.
func (c *collection) records() error {
	s, err := withoutDefinitions(c.snap.Schedule)
	if err != nil {
		return err
	}
	return errors.Join(
		c.json("rollout.json", c.snap.Rollout),
		c.json("schedule.json", s),
		c.json("waves.json", notNil(c.snap.Waves)),
		c.json("approvals.json", notNil(c.snap.Approvals)),
		c.lines("hosts.jsonl", func(put func(any) error) error {
			for _, h := range c.snap.Hosts {
				if err := put(h); err != nil {
					return err
				}
			}
			return nil
		}),
	)
}

// withoutDefinitions is a value as JSON with every "definition" replaced by its sha256: what a check or a hook does is configuration, and
// its arguments may say more than they should.
func withoutDefinitions(v any) (any, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	in := json.NewDecoder(bytes.NewReader(b))
	in.UseNumber()
	var out any
	if err := in.Decode(&out); err != nil {
		return nil, err
	}
	return out, hideDefinitions(out)
}

func hideDefinitions(v any) error {
	var err error
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			err = errors.Join(err, hideDefinitions(e))
		}
	case map[string]any:
		for key, e := range v {
			if key != "definition" {
				err = errors.Join(err, hideDefinitions(e))
				continue
			}
			b, failed := json.Marshal(e)
			err = errors.Join(err, failed)
			v[key] = map[string]any{"sha256": trail.DigestOf(b)}
		}
	}
	return err
}

func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// events adds everything that happened, in its order.
func (c *collection) events() error {
	return c.lines("events.jsonl", func(put func(any) error) error {
		for after := int64(0); ; {
			page, err := c.st.Events(c.ctx, c.id, after)
			if err != nil || len(page) == 0 {
				return err
			}
			for _, e := range page {
				if err := put(e); err != nil {
					return err
				}
				after = e.Seq
			}
		}
	})
}

// commands adds what operators wanted.
func (c *collection) commands() error {
	return c.lines("commands.jsonl", func(put func(any) error) error {
		for after := int64(0); ; {
			page, err := c.st.Pending(c.ctx, c.id, after)
			if err != nil || len(page) == 0 {
				return err
			}
			for _, cmd := range page {
				if err := put(cmd); err != nil {
					return err
				}
				after = cmd.Seq
			}
		}
	})
}

// seenKey is a host key as the trail tells it.
type seenKey struct {
	store.HostKey
	Line int64  `json:"trail_line,omitempty"`
	At   string `json:"at,omitempty"`
}

// hostKeysOf says which keys a host had, and how that is known.
type hostKeysOf struct {
	Host   string    `json:"host"`
	Source string    `json:"source"` // recorded, known_hosts_now, none
	Keys   []seenKey `json:"keys"`
}

// hostKeys adds the keys that hosts proved to have. A host that was never connected to has none; one of before keys were recorded
// gets what known_hosts says now, marked as that.
func (c *collection) hostKeys() error {
	now := 0
	err := c.lines("host-keys.jsonl", func(put func(any) error) error {
		for _, h := range c.snap.Hosts {
			k := hostKeysOf{Host: h.Host, Source: "recorded", Keys: c.keys[h.Host]}
			if len(k.Keys) == 0 {
				k = c.keysOfNow(h)
			}
			if k.Source == "known_hosts_now" {
				now++
			}
			if err := put(k); err != nil {
				return err
			}
		}
		return nil
	})
	if now > 0 {
		c.remark("host keys of %d hosts were not recorded during the rollout: host-keys.jsonl has what known_hosts said when this bundle was made (source known_hosts_now)", now)
	}
	return err
}

// keysOfNow is the fallback of hostKeys. A host that nobody connected to proved nothing, so nothing is said of it.
func (c *collection) keysOfNow(h rollout.HostRecord) hostKeysOf {
	k := hostKeysOf{Host: h.Host, Source: "none", Keys: []seenKey{}}
	if h.Started.IsZero() && h.TxID == "" || c.opt.KnownKeys == nil {
		return k
	}
	keys, err := c.opt.KnownKeys(h.Host)
	if err != nil {
		c.remark("known_hosts could not be read for %s: %s", h.Host, err)
		return k
	}
	for _, one := range keys {
		k.Source = "known_hosts_now"
		k.Keys = append(k.Keys, seenKey{HostKey: one})
	}
	return k
}

// result is what a host was found to have after a transaction.
type result struct {
	Line    int64    `json:"trail_line"`
	At      string   `json:"at"`
	After   string   `json:"after"` // digest of the installed set
	Added   []string `json:"added"`
	Removed []string `json:"removed"`
}

// transaction is one transaction with what the host had before and after.
type transaction struct {
	store.Transaction
	Results []result `json:"results"` // none: the host was never read after it
}

// transactions adds them, and the installed sets they refer to.
func (c *collection) transactions() error {
	all, err := c.st.Transactions(c.ctx, c.id)
	if err != nil {
		return err
	}
	digests := map[string]bool{}
	err = c.lines("transactions.jsonl", func(put func(any) error) error {
		for _, t := range all {
			digests[t.Before] = true
			for _, r := range c.results[t.ID] {
				digests[r.After] = true
			}
			if err := put(transaction{t, notNil(c.results[t.ID])}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	var order []string
	for d := range digests {
		order = append(order, d)
	}
	slices.Sort(order)
	for _, d := range order {
		if err := c.installed(d); err != nil {
			return err
		}
	}
	return nil
}

// installed adds a package list so that the sha256 of the file is the digest that facts, plan and trail know it by.
func (c *collection) installed(digest string) error {
	packages, err := c.st.Installed(c.ctx, digest)
	if errors.Is(err, store.ErrNotFound) {
		c.remark("installed set %.12s is not in the state database", digest)
		return nil
	}
	if err != nil {
		return err
	}
	if host.InstalledDigest(packages) != digest {
		c.remark("the stored package list of installed set %.12s is not what its digest says: it was changed or is damaged", digest)
	}
	lines := make([]string, len(packages))
	for i, p := range packages {
		lines[i] = p.NEVRA().String() + " " + p.Header + "\n"
	}
	slices.Sort(lines)
	text := strings.Join(lines, "")
	if safe := transport.Sanitize(text); safe != text {
		text = safe
		c.remark("names in installed set %.12s have characters that were escaped here: the file's sha256 is not the digest", digest)
	}
	name := digest
	if !safeID().MatchString(name) {
		c.remark("an installed set has a digest that is none")
		return nil
	}
	return c.spool.text("installed/"+name+".txt", text)
}
