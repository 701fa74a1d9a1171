package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"cpacman/internal/fleet"
	"cpacman/internal/host"
	"cpacman/planner"
)

func keysCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:  "keys",
		Usage: "the signing keys that the hosts' rpm trusts",
		Subcommands: []*cli.Command{{
			Name: "list", Usage: "list signing keys, who has them and who lacks them", ArgsUsage: "[SELECTOR]",
			Description: "Asks the hosts first (--stored: tells from stored facts). A line is one key: `used` is named by the repositories of a host that\n" +
				"has it, `unused` by none of them; `lacking` are hosts whose repositories name it and whose rpm does not have it.\n" +
				"`plan --keys` imports what hosts lack, `plan --retire-key` takes keys out, both as lines of a plan.",
			Flags: outputFlags(
				&cli.BoolFlag{Name: "stored", Usage: "tell from stored facts; ask nobody"},
				&cli.BoolFlag{Name: "unused", Usage: "only keys that no repository of a host that has them names"},
				&cli.BoolFlag{Name: "lacking", Usage: "only keys that hosts lack"},
			),
			Action: func(c *cli.Context) error {
				s, err := e.open(c)
				if err != nil {
					return err
				}
				defer s.Close()
				return s.keysList()
			},
		}},
	}
}

// keyRow is one signing key over many hosts.
type keyRow struct {
	Entry       string   `json:"entry"`       // in rpm's keyring; "" for a key that no host has
	Fingerprint string   `json:"fingerprint"` // "" where a host's rpm does not show the key itself
	Owner       string   `json:"owner"`
	Created     string   `json:"created"` // RFC 3339
	Expires     string   `json:"expires"` // RFC 3339; "" for never or not known
	Expired     bool     `json:"expired"`
	Use         string   `json:"use"`   // used, unused
	Repos       []string `json:"repos"` // of the site that name it
	Hosts       []string `json:"hosts"` // that have it
	Unused      []string `json:"unused"`
	Lacking     []string `json:"lacking"`
}

func (s *session) keysList() error {
	hosts, _, err := s.selected(s.c.Args().Slice(), false)
	if err != nil {
		return err
	}
	var away error
	if !s.c.Bool("stored") {
		results, err := s.collect(hosts, true)
		if err != nil {
			return err
		}
		silent := 0
		for _, r := range results {
			if _, excused := r.Host.Maintenance(s.now()); r.Err != nil && !excused {
				silent++
			}
		}
		if silent > 0 {
			away = &statusError{status: statusUnreachable, err: fmt.Errorf("%d of %d hosts gave no facts; of them the list has what is stored", silent, len(hosts))}
		}
		s.facts = nil
	}
	facts, err := s.storedFacts()
	if err != nil {
		return err
	}
	ids := make([]string, len(s.site.Repos))
	for i := range s.site.Repos {
		ids[i] = s.site.Repos[i].ID
	}
	site, err := s.fleet.SiteKeys(ids)
	if err != nil {
		return inputError{err: err, hint: "cpacman inventory check"}
	}
	rows := map[string]*keyRow{}
	unknown := 0
	for _, h := range hosts {
		f := facts[h.Name]
		if f == nil {
			unknown++
			continue
		}
		view := map[string]bool{}
		for _, r := range s.fleet.View(h, f) {
			view[r.ID] = true
		}
		addKeys(rows, h.Name, f, view, site)
	}
	var list []*keyRow
	for _, k := range slices.Sorted(maps.Keys(rows)) {
		r := rows[k]
		r.finish(s.now())
		if s.c.Bool("unused") && len(r.Unused) == 0 || s.c.Bool("lacking") && len(r.Lacking) == 0 {
			continue
		}
		list = append(list, r)
	}
	if err := s.emit(s.c, keysTable(list)); err != nil {
		return err
	}
	s.keysVerdict(list, unknown)
	return away
}

// addKeys adds what one host has and lacks.
func addKeys(rows map[string]*keyRow, name string, f *host.Facts, view map[string]bool, site map[string]*fleet.SiteKey) {
	row := func(id string) *keyRow {
		if rows[id] == nil {
			rows[id] = &keyRow{Repos: []string{}, Hosts: []string{}, Unused: []string{}, Lacking: []string{}}
		}
		return rows[id]
	}
	named := func(k *fleet.SiteKey) bool {
		return slices.ContainsFunc(k.Repos, func(r string) bool { return view[r] })
	}
	for _, k := range f.Keys {
		id := k.Fingerprint
		if id == "" {
			id = k.Entry()
			for fp, one := range site { // facts of before keys were read
				if one.Key.MatchesPubkey(k.ID, k.Created) {
					id = fp
				}
			}
		}
		r := row(id)
		if r.Entry == "" {
			r.fromHost(k)
		}
		if !slices.Contains(r.Hosts, name) {
			r.Hosts = append(r.Hosts, name)
			if one := site[id]; one == nil || !named(one) {
				r.Unused = append(r.Unused, name)
			}
		}
	}
	for fp, one := range site {
		if named(one) && !fleet.HostHasKey(f.Keys, one.Key) {
			row(fp).Lacking = append(row(fp).Lacking, name)
		}
	}
	for fp, one := range site {
		if r := rows[fp]; r != nil {
			r.fromSite(one)
		}
	}
}

func (r *keyRow) fromHost(k host.Key) {
	r.Entry, r.Fingerprint, r.Owner = k.Entry(), k.Fingerprint, k.Owner
	if r.Owner == "" {
		r.Owner = strings.TrimSuffix(k.Summary, " public key")
	}
	if n, err := strconv.ParseInt(k.Created, 16, 64); err == nil && n > 0 && n < 1<<33 {
		r.Created = time.Unix(n, 0).UTC().Format(time.RFC3339)
	}
	if k.Expires > 0 {
		r.Expires = time.Unix(k.Expires, 0).UTC().Format(time.RFC3339)
	}
}

func (r *keyRow) fromSite(k *fleet.SiteKey) {
	r.Fingerprint, r.Created, r.Repos = k.Key.Fingerprint(), k.Key.Created().Format(time.RFC3339), k.Repos
	if ids := k.Key.UserIDs(); len(ids) > 0 && r.Owner == "" {
		r.Owner = ids[0]
	}
	if e := k.Key.Expires(); !e.IsZero() && r.Expires == "" {
		r.Expires = e.UTC().Format(time.RFC3339)
	}
}

func (r *keyRow) finish(now time.Time) {
	r.Use = "used"
	if len(r.Unused) > 0 && len(r.Unused) == len(r.Hosts) {
		r.Use = "unused"
	}
	if e, err := time.Parse(time.RFC3339, r.Expires); err == nil {
		r.Expired = !now.Before(e)
	}
}

func keysTable(list []*keyRow) data {
	const shown = 5
	d := data{columns: []string{"fingerprint", "owner", "created", "expires", "use", "repositories", "hosts", "on", "lacking"}, value: list}
	if list == nil {
		d.value = []*keyRow{}
	}
	day := func(s string) string { return s[:min(len(s), len("2006-01-02"))] }
	for _, r := range list {
		expires := day(r.Expires)
		switch {
		case r.Expired:
			expires += " (expired)"
		case expires == "":
			expires = "never"
		}
		id := r.Fingerprint
		if id == "" {
			id = r.Entry
		}
		lacking := ""
		if n := len(r.Lacking); n > 0 {
			lacking = fmt.Sprintf("%d: %s", n, someOf(r.Lacking, shown))
		}
		d.rows = append(d.rows, []string{id, r.Owner, day(r.Created), expires, r.Use, strings.Join(r.Repos, " "), strconv.Itoa(len(r.Hosts)), someOf(r.Hosts, shown), lacking})
	}
	return d
}

// keysVerdict says what to do next.
func (s *session) keysVerdict(list []*keyRow, unknown int) {
	lacking, unused := 0, ""
	for _, r := range list {
		lacking += len(r.Lacking)
		if r.Use == "unused" && r.Fingerprint != "" && unused == "" {
			unused = r.Fingerprint
		}
	}
	if unknown > 0 {
		s.say("%d %s without facts: their keys are not known", unknown, plural(unknown, "host is", "hosts are"))
	}
	if lacking > 0 {
		s.say("next: cpacman plan --keys --keys-only --out keys.json imports what hosts lack")
	}
	if unused != "" {
		s.say("no repository of the hosts that have it names %s; cpacman plan --retire-key %s --keys-only --out keys.json retires it", unused, unused)
	}
}

// keyFlags ask for lines about signing keys in a plan (PUSH-9).
func keyFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "keys", Usage: "import the signing keys that hosts lack of their repositories (keys of [[repo]])"},
		&cli.StringSliceFlag{Name: "retire-key", Usage: "take the signing key with this `FINGERPRINT` (or its last 16 digits) out, when the host is healthy; repeatable"},
		&cli.BoolFlag{Name: "keys-only", Usage: "with --keys or --retire-key: change no package"},
	}
}

// minKeyDigits is how much of a fingerprint must be said: eight digits are easily forged.
const minKeyDigits = 16

// askedKeys reads keyFlags.
func (s *session) askedKeys(r *fleet.PlanRequest) error {
	r.Keys = planner.RequestedKeys{Import: s.c.Bool("keys"), Only: s.c.Bool("keys-only")}
	for _, w := range s.c.StringSlice("retire-key") {
		one := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(w, "0x"), " ", ""))
		if len(one) < minKeyDigits || len(one) > 64 || strings.Trim(one, "0123456789abcdef") != "" {
			return usagef("--retire-key wants a fingerprint, or at least its last %d digits, not %q; cpacman keys list shows them", minKeyDigits, w)
		}
		if !slices.Contains(r.Keys.Retire, one) {
			r.Keys.Retire = append(r.Keys.Retire, one)
		}
	}
	if r.Keys.Only && !r.Keys.Asked() {
		return usagef("--keys-only goes with --keys or --retire-key")
	}
	f := r.Request.Filter
	if r.Keys.Only && (r.Request.Type != planner.TypeUpdate || r.Request.Weak || f.Security || f.Bugfix || f.Newest ||
		len(f.Severities)+len(f.Advisories)+len(f.CVEs)+len(f.Packages)+len(f.Exclude) > 0) {
		return usagef("--keys-only changes no package: leave the flags out that select some")
	}
	return nil
}

// keyPlanError says what to do when a key cannot be retired.
func keyPlanError(err error) error {
	var used *fleet.KeyInUseError
	if errors.As(err, &used) {
		return inputError{err: err, hint: "take it out of keys of those repositories first, once nothing in them is signed with it"}
	}
	return repoError(err)
}

// addKeyLines prints the lines of one host about signing keys.
func addKeyLines(p *planner.Plan, lines planner.KeyLines, add func(cells ...string)) {
	for _, fp := range lines.Import {
		k, _ := p.Key(fp)
		expires := ""
		if k.Expires != nil {
			expires = ", expires " + k.Expires.Format("2006-01-02")
		}
		add("import key", fp, "", fmt.Sprintf("%s, made %s%s, of %s, sha256 %s", k.Owner, k.Created.Format("2006-01-02"), expires, strings.Join(k.Repos, " "), k.SHA256))
	}
	for _, r := range lines.Retire {
		add("retire key", r.Fingerprint, "", r.Owner+", "+r.Entry+", when the host is healthy")
	}
}

// planKeysOf are the keys that a host imports.
func planKeysOf(p *planner.Plan, lines planner.KeyLines) []planner.PlanKey {
	var out []planner.PlanKey
	for _, fp := range lines.Import {
		if k, ok := p.Key(fp); ok {
			out = append(out, k)
		}
	}
	return out
}
