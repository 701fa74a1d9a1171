package inventory

import (
	"fmt"
	"regexp"
	"strings"
)

// maxApprove bounds the people of a gate.
const maxApprove = 100

// maxPattern bounds a pattern of tickets, in bytes.
const maxPattern = 1000

// CompileTicket compiles the pattern of a class's tickets: the whole ticket must match.
func CompileTicket(pattern string) (*regexp.Regexp, error) {
	// Alone first: "a)|(b" would close the brackets below and match the beginning of a ticket.
	if _, err := regexp.Compile(pattern); err != nil {
		return nil, err
	}
	return regexp.Compile(`\A(?:` + pattern + `)\z`)
}

// checkPeople validates the people of the site and fills in what they did not write.
func (ld *loading) checkPeople() {
	users, keys := make(map[string]string), make(map[string]string)
	for _, name := range sortedKeys(ld.site.People) {
		p := ld.site.People[name]
		fault := ld.at(&p.Source)
		if err := checkName(name, maxName); err != nil {
			fault("", "", "person %s", err)
			continue
		}
		switch {
		case !p.IsSet("os_user"):
			p.OSUser = name
		case checkOSUser(p.OSUser) != nil:
			fault("os_user", "", "key \"os_user\" in [person.%s]: %s", name, checkOSUser(p.OSUser))
		}
		if other := users[p.OSUser]; other != "" {
			fault("os_user", "one person for each user", "[person.%s] and [person.%s] are the same operating system user, %q", other, name, clip(p.OSUser))
		}
		users[p.OSUser] = name
		ld.readKeys(p)
		for i := range p.keys {
			k := &p.keys[i]
			if other := keys[string(k.blob)]; other != "" && other != name {
				fault("keys", "a key is one person's alone", "[person.%s] and [person.%s] have the same key, %s", other, name, k.Fingerprint)
			}
			keys[string(k.blob)] = name
		}
	}
}

// uidName is how a user is named whom /etc/passwd does not have.
var uidName = regexp.MustCompile(`^uid (0|[1-9][0-9]{0,9})$`)

func checkOSUser(s string) error {
	if uidName.MatchString(s) {
		return nil
	}
	if err := checkUser(s); err != nil {
		return fmt.Errorf("%w; a user whom /etc/passwd does not have is written \"uid 1234\"", err)
	}
	return nil
}

// checkApprovals validates what a class asks of approvals.
func (ld *loading) checkApprovals(c *Class) {
	fault := ld.at(&c.Source)
	ld.inRange(&c.Source, "[class]", "approve", c.Approve, 0, maxApprove)
	if c.IsSet("ticket") {
		_, err := CompileTicket(c.Ticket)
		switch {
		case c.Ticket == "":
			fault("ticket", "leave it out for no ticket", "key \"ticket\" in [[class]] is empty")
		case len(c.Ticket) > maxPattern:
			fault("ticket", "", "key \"ticket\" in [[class]] is longer than %d characters", maxPattern)
		case err != nil:
			fault("ticket", "", "key \"ticket\" in [[class]]: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		}
	}
	if len(c.TicketCheck) == 0 {
		return
	}
	if err := checkProgramArgs(c.TicketCheck); err != nil {
		fault("ticket_check", "", "key \"ticket_check\" in [[class]]: %s", err)
		return
	}
	given := false
	for _, arg := range c.TicketCheck[1:] {
		for _, p := range placeholder.FindAllString(arg, -1) {
			if p != "{ticket}" {
				fault("ticket_check", "", "key \"ticket_check\" in [[class]]: placeholder %q is not {ticket}", p)
			}
			given = given || p == "{ticket}"
		}
	}
	if !given {
		fault("ticket_check", "", "key \"ticket_check\" in [[class]]: the program is not told the ticket: write \"{ticket}\" among its arguments")
	}
}

// checkRightClasses refuses rights for classes that the site does not have.
func (ld *loading) checkRightClasses(classes *known) {
	for _, name := range sortedKeys(ld.site.People) {
		p := ld.site.People[name]
		for _, r := range p.Rights {
			if r.Class != "" {
				ld.refer(&p.Source, "rights", classes, r.Class)
			}
		}
	}
}

// people warns of gates that nobody can open, and of settings without one.
func (c *checker) people() {
	s := c.site
	for i := range s.Classes {
		cl := &s.Classes[i]
		if len(cl.TicketCheck) > 0 {
			if err := s.owners.VerifyProgram(cl.TicketCheck[0]); err != nil {
				c.unsafe(&cl.Source, "ticket_check", "program", cl.TicketCheck[0], err)
			}
		}
		need := cl.Approve
		src, key := &cl.Source, "approve"
		for j := range s.Levels {
			if l := &s.Levels[j]; l.Approve > need {
				need, src = l.Approve, &l.Source
			}
		}
		for _, k := range []string{"ticket", "ticket_check", "approve_not_starter"} {
			if need == 0 && cl.IsSet(k) {
				c.warn(cl.File, cl.LineOf(k), `write approve = 1`, "class %q: %q has no effect: neither the class nor a level has a gate", cl.Name, k)
			}
		}
		c.gate(cl, src, key, need)
	}
}

// gate compares the people a gate of a class wants with those who may open it.
func (c *checker) gate(cl *Class, src *Source, key string, need int) {
	s := c.site
	if len(s.People) == 0 {
		if need > 1 {
			c.warn(src.File, src.LineOf(key), "write [person.NAME] tables", "approve = %d without people: operating system users are counted, and everybody who becomes root by sudo is one", need)
		}
		return
	}
	able := s.WhoMay(RightApprove, cl.Name)
	switch {
	case len(able) < need:
		c.fail(src, key, "give the right \"approve\" to more people", "class %q: approve = %d and %d may approve: %s", cl.Name, need, len(able), some(orNobody(able)))
	case need > 0 && cl.NotStarter && len(able) == need:
		for _, name := range able {
			if s.May(s.People[name], RightPush, cl.Name) {
				c.warn(src.File, src.LineOf(key), "give the right \"approve\" to one more", "class %q: when %s starts a rollout, too few are left for approve = %d", cl.Name, name, need)
				return
			}
		}
	}
}

func orNobody(names []string) []string {
	if len(names) == 0 {
		return []string{"nobody"}
	}
	return names
}
