"""Compares two transactions and explains what differs, by rules that code re-checks.

Two things explain a difference. A hard rule: the peer's transaction does something that cpacman forbids; the peer is asked again
with just that excluded, until it does nothing forbidden. A preference: both transactions obey every rule, and ours comes first in
the written order of preferences. What neither explains is unexplained."""
import re
from functools import cmp_to_key

import metadata

LINES = {"x86_64": ("x86_64", "i686", "i586", "i486", "i386"), "i686": ("i686", "i586", "i486", "i386")}
MISSED = 25  # packages that we did not bring and dnf is to try, at most
WHOLE = ("all", "weak", "sync", "hold", "pin", "install")  # requests for everything
ROUNDS = 40  # re-askings of one case, at most

SAME_ARCH, LOCKSTEP = "same arch (PLAN-2)", "lockstep: rpm works by name (PLAN-3)"
NOTICES = "notices without an epoch take the repository's (internal/repo)"
NEWER = "only a newer build replaces one: no reinstall, nothing lowered (PLAN-3)"
MODULES = "out-of-tree modules hold the kernel (PLAN-5)"
STEPS, OBSOLETES = "install-only in its own step (design 5)", "obsoletes as rpm executes them (PLAN-4)"
ITSELF = "a rich conflict counts for the package itself (rpm)"
ALL_OR_NOTHING = "what can be is planned; dnf refuses the whole (PLAN-4)"
SPARED = "a kernel stays that something needs (PLAN-5)"
MENDED = "what was broken before is not mended unasked (PLAN-16)"
WEAKLY = "what is recommended changes nothing of what comes without it (planner/weak.go)"
VENDOR = "a package stays with its vendor (PLAN-15)"
STREAMS = "modular packages from enabled streams only (PLAN-6)"
PRIORITY = "for each name only the repository of the best priority that has it (PLAN-8)"
AGAIN = "rpm looks again at a rich dependency that was broken before (PLAN-4)"
CIRCLE = "a name that was given up and taken again stays (PLAN-4)"
SPLIT = "a part may come without the rest of what a package was split into (PLAN-4)"
ONE_ARCH = "several arches of a name at the same version stand beside each other (PLAN-3); zypper has one arch of a name"
BY_FAULT = {"arch": SAME_ARCH, "lockstep": LOCKSTEP, "obsoletes": OBSOLETES, "obsoleted": OBSOLETES, "hold": "hold", "execution": LOCKSTEP,
            "module": MODULES}
PREFERENCES = ("preference 1: more of what was asked for moves", "preference 2: replaced by all that replace it",
               "preference 3: the best target", "preference 4: new packages at their newest, native first",
               "preference 5: fewer new packages", "preference 6: fewer packages moved that nobody asked for")
DEPTH = 30  # builds that a build may be behind
TIE = "tie: equal in every preference"


class Host:
    """An installed set before a view: what the rules need to know of both."""

    def __init__(self, installed, candidates, arch, advisories=(), broken=(), priorities=None, modular=frozenset(), opened=frozenset(), loyal=False):
        self.made_of = installed, candidates, arch, advisories, broken, priorities, modular, opened, loyal
        self.arch, self.installed, self.advisories, self.broken = arch, installed, advisories, broken
        self.inst = {}
        for p in installed:
            self.inst.setdefault(p.name, []).append(p)
        self.modular, self.opened, self.loyal = modular, opened, loyal  # builds of streams; of those, the ones of enabled streams
        self.streamed = {n.rsplit("-", 2)[0] for n in opened}
        self.strong = frozenset()  # what comes when nothing is recommended
        self.hidden = []  # what is excluded
        self.one_arch = False  # whether the peer wants one arch of a name
        self.priorities, self.best = priorities or {}, {}
        for p in candidates:
            if self.streams(p):
                at = self.priorities.get(p.nevra, 0)
                self.best[p.name] = min(at, self.best.get(p.name, at))
        self.cands = {}
        for p in candidates:
            if self.rank(p.arch) is not None and self.preferred(p) and self.streams(p) and self.stays(p):
                self.cands.setdefault(p.name, []).append(p)
        self.by_nevra = {p.nevra: p for p in candidates}
        self.installed_by = {p.nevra: p for p in installed}

    def without(self, closed):
        """The same host where some candidates are not there."""
        installed, candidates, *rest = self.made_of
        host = Host(installed, [p for p in candidates if not closed(p)], *rest)
        host.hidden = self.hidden + [p for p in candidates if closed(p)]
        host.one_arch = self.one_arch
        return host

    def stays(self, p):
        """Whether a build is of the vendor that its name is installed from, where that counts."""
        return not self.loyal or not self.inst.get(p.name) or any(i.vendor == p.vendor for i in self.inst[p.name])

    def streams(self, p):
        """Whether modules let a build in: of an enabled stream, or of none where no enabled stream has what it is named and provides, and what is
        installed of it is of none either."""
        if p.nevra in self.modular:
            return p.nevra in self.opened
        names = {p.name} | ({d[0] for d in p.deps("provides")} if self.streamed else set())
        return names.isdisjoint(self.streamed) and not any(i.nevra in self.modular for i in self.inst.get(p.name, []))

    def preferred(self, p):
        return self.priorities.get(p.nevra, 0) <= self.best.get(p.name, 0)

    def rank(self, arch):
        line = ("noarch",) + LINES.get(self.arch, (self.arch,))
        return max(0, line.index(arch) - 1) if arch in line else None

    def only(self, name):
        return any(p.only() for p in self.inst.get(name, []) + self.cands.get(name, []))

    def incoming(self, change):
        return [self.by_nevra[n] for n in sorted(change[0])]

    def outgoing(self, change):
        return [self.installed_by[n] for n in sorted(change[1]) if n in self.installed_by]


def forbidden(host, change, lower=False):
    """What a transaction does against the rules that need no search: [(rule, what to exclude)]. lower: builds may go down."""
    out = []
    coming, leaving = host.incoming(change), host.outgoing(change)
    for p in coming:
        arches = {i.arch for i in host.inst.get(p.name, [])}
        if not host.streams(p):
            out.append((STREAMS, p.nevra))
        elif not host.preferred(p):
            out.append((PRIORITY, p.nevra))
        elif not host.stays(p):
            out.append((VENDOR, p.nevra))
        elif arches and p.arch not in arches:
            out.append((SAME_ARCH, p.na))
        elif any(i.arch == p.arch and metadata.compare(p.evr, i.evr) <= (-2 if lower else 0) or p.nevra == i.nevra
                 for i in host.inst.get(p.name, [])):
            out.append((NEWER, p.nevra))
    for q in leaving:
        by = [p for p in coming if p.name != q.name and p.obsoletes(q)]
        if by and not any(p.na == q.na for p in coming) and not any(host.rank(p.arch) == 0 or p.arch == q.arch for p in by):
            out += [(SAME_ARCH, p.nevra) for p in by]
        if host.loyal and not any(p.na == q.na for p in coming):
            out += [(VENDOR, p.nevra) for p in by if p.vendor != q.vendor]
        if q.nevra in host.modular:
            out += [(STREAMS, p.nevra) for p in by if p.nevra not in host.modular]
        out += [(CIRCLE, p.nevra) for p in by if any(d.name == q.name and d.obsoletes(p) for d in host.cands.get(q.name, []))]
    for name in sorted({p.name for p in coming}):
        if host.only(name):
            continue
        builds = [p for p in coming if p.name == name]
        stay = [p for p in host.inst.get(name, []) if p.nevra not in change[1]]
        out += [(LOCKSTEP, p.nevra) for p in builds if any(i.evr == p.evr and i.arch != p.arch for i in stay)]
        if len({p.evr for p in builds + stay}) > 1:
            top = max((p.evr for p in builds), key=cmp_to_key(metadata.compare))
            out += [(LOCKSTEP, p.nevra) for p in builds if p.evr == top]
    return out


def from_faults(faults, host, change, objections=()):
    """The rule by which our checker refuses a peer's transaction, with what to exclude; None when a fault has no rule. Of several rules the
    first: the others may follow from it."""
    out = []
    only = any(host.only(p.name) for p in host.incoming(change))
    for f in faults:
        text = re.sub(r"^after [^:]*: ", "", f["Text"])
        names = [n for n in re.findall(r"[^\s,]+-[^\s,]+-[^\s,]+\.[a-z0-9_]+", text) if n in change[0]]
        rule = BY_FAULT.get(f["Kind"])
        if not rule and objections and text.endswith(", and rpm looks at it again"):
            rule, names = AGAIN, touching(host, change, text)
        if not rule and f["Kind"] == "conflicts" and names and itself(host.by_nevra[names[0]], text):
            rule = ITSELF
        if not rule and only and f["Text"].startswith("after the upgrade: "):
            rule = STEPS
            names = names or serving(host, change, text)
        if not rule or not names or rule == MODULES and not waits(host, change, names[0], text):
            return None
        out.append((rule, names[0]))
    first = next((r for r in (MODULES, LOCKSTEP, OBSOLETES) if any(r == rule for rule, _ in out)), None)
    return [o for o in out if first is None or o[0] == first]


def touching(host, change, text):
    """What comes in of the names in a rich dependency that the checker speaks of."""
    words = metadata.words(re.split(" (?:requires|conflicts with) ", text, 1)[-1])
    return [p.nevra for p in host.incoming(change) if p.name in words or any(d[0] in words for d in p.deps("provides"))]


def serving(host, change, text):
    """The install-only packages of a transaction that have what the checker misses before they come."""
    need = text.split(" requires ", 1)[-1].split(",")[0].split(" ")[0]
    return [p.nevra for p in host.incoming(change) if host.only(p.name) and (p.name == need or any(d[0] == need for d in p.deps("provides")))]


def itself(package, text):
    """Whether a rich conflict, at the end of what the checker says, names the package that has it. libsolv passes over such a one; rpm 4.18
    refuses the package (rpm -U --test)."""
    rich = text.split(" conflicts with ", 1)[-1]
    own = {package.name} | {d[0] for d in package.deps("provides")}
    return rich.startswith("(") and not own.isdisjoint(metadata.words(rich))


def waits(host, change, kernel, text):
    """Whether metadata prove what the checker says of a kernel: no build of a module, before or in the transaction, serves it."""
    k = host.by_nevra[kernel]
    after = [p for p in host.installed if p.nevra not in change[1]] + host.incoming(change)
    module = host.installed_by.get(text.rsplit(" ", 1)[-1])
    return bool(module) and not any(serves(p, k, after) for p in after if p.name == module.name)


def serves(module, kernel, after):
    """Whether a build of a module is for a kernel: everything that it needs of kernels and other modules is there, or its range of
    kernel-modules takes the kernel in, or its files say so. What has none of these signs is no module."""
    needs = [d for d in module.deps("requires") if d[0].startswith(("kernel(", "ksym(")) or d[0] == "kernel-uname-r"]
    if needs:
        there = [d for p in after if p is kernel or not p.only() for d in p.deps("provides")]
        return all(any(name == n and (not f or within_exact(evr, f, e)) for n, _, evr in there) for name, f, e in needs)
    build = ("0", kernel.version, f"{kernel.release}.{kernel.arch}")
    if any(name == "kernel-modules" and metadata.within(build, flags, evr) for name, flags, evr in module.deps("provides")):
        return True
    trees = [f.removeprefix("/usr").split("/")[3] for f in module.files() if f.removeprefix("/usr").startswith("/lib/modules/")]
    return not trees or any(t.startswith(f"{kernel.version}-{kernel.release}") for t in trees)


def within_exact(evr, flags, bound):
    return metadata.within(evr, flags, bound) if evr[1] else True


class Preferences:
    """The written order (planner/search.go, design 7), derived here from the metadata alone."""

    def __init__(self, host, request):
        self.host, self.request = host, request
        self.items = {}
        for p in host.installed:
            self.items.setdefault(p.na, []).append(p)
        self.targets = {na: self.of(na) for na in sorted(self.items)}
        self.replaceable = {p.na for c in self.replacing() for p in host.installed
                            if p.name != c.name and c.obsoletes(p) and not self.overtaken(c, p) and not self.outranked(c, p)}

    def replacing(self):
        """The candidates that may replace an installed package by Obsoletes, as far as the request asks for them."""
        names = set(self.host.inst)
        for l in self.host.cands.values():
            for c in l:
                if any(d[0] in names for d in c.deps("obsoletes")) and (self.request.kind in (*WHOLE, "package") or self.fixes(c)):
                    yield c

    def overtaken(self, c, p):
        """Whether what would replace a package is of an installed name that is asked for, and a newer build of it does not replace it any more."""
        named = self.request.kind != "package" or self.request.value in (c.name, ".".join(c.na))
        return named and c.name in self.host.inst and not c.only() and any(
            d.arch == c.arch and metadata.compare(d.evr, c.evr) > 0 and not d.obsoletes(p) for d in self.host.cands[c.name])

    def outranked(self, c, p):
        """Whether a better repository has what a build would replace, or a newer build of it (PLAN-8): it is no choice then."""
        at = self.host.priorities
        return any(d.arch == p.arch and metadata.compare(d.evr, p.evr) >= 0 and at.get(d.nevra, 0) < at.get(c.nevra, 0)
                   for d in self.host.cands.get(p.name, []))

    def replaces(self, c, na):
        """Whether a build replaces an item as the request has it and for good: not only old builds of it (libsolv), and not only in passing."""
        builds = [d for d in self.host.cands.get(na[0], []) if d.arch == na[1]]
        top = max(builds, key=cmp_to_key(lambda a, b: metadata.compare(a.evr, b.evr)), default=None)
        if not any(c.obsoletes(i) and not self.overtaken(c, i) and not self.outranked(c, i) for i in self.items[na]) or top is not None and not c.obsoletes(top):
            return False
        return self.asked(c, na)

    def asked(self, c, na):
        """Whether the request has a build replace an item."""
        kind, value = self.request.kind, self.request.value
        if kind == "package":
            return value in (na[0], ".".join(na), c.name, ".".join(c.na))
        return kind in WHOLE or self.fixes(c)

    def replaced(self, na, coming):
        """Whether an item is replaced: what has the same entry is a split and comes whole, of different entries one is enough."""
        parts = {}
        for l in self.host.cands.values():
            for c in l:
                if c.name != na[0] and self.replaces(c, na):
                    for e in c.deps("obsoletes"):
                        if e[0] == na[0] and any(metadata.within(i.evr, e[1], e[2]) for i in self.items[na]):
                            parts.setdefault(e, set()).add(c.name)
        names = {p.name for p in coming if p.name != na[0] and self.replaces(p, na)}
        return any(whole <= names for whole in parts.values())

    def fixes(self, c):
        """Whether a candidate is in a notice that the request selects."""
        return any(self.selects(a) and (name, arch) == c.na and metadata.compare(c.evr, evr) >= 0
                   for a in self.host.advisories for name, evr, arch in a["packages"])

    def wanted(self, na):
        named = self.request.kind != "package" or self.request.value in (na[0], ".".join(na))
        return bool(self.targets[na]) or named and na in self.replaceable

    def of(self, na):
        """The builds that the request accepts for an item, best first."""
        have = self.have(na)
        mine = [c for c in self.host.cands.get(na[0], []) if c.arch == na[1]]
        down = self.request.kind == "sync" and not self.host.only(na[0]) and not any(metadata.compare(c.evr, have) == 0 for c in mine)
        best = {c.evr: c for c in mine if down or metadata.compare(c.evr, have) > 0}
        newest = sorted(best, key=cmp_to_key(metadata.compare), reverse=True)
        kind = self.request.kind
        if kind in WHOLE:
            return newest
        if kind == "downgrade":
            return [c.evr for c in self.host.cands.get(na[0], []) if c.na == na and c.nevra == self.request.value][:1]
        if kind == "package":
            return newest if self.request.value in (na[0], ".".join(na)) else []
        fixes = [evr for a in self.host.advisories if self.selects(a) for name, evr, arch in a["packages"]
                 if (name, arch) == na and metadata.compare(evr, have) > 0]
        count = {e: sum(metadata.compare(e, f) >= 0 for f in fixes) for e in newest}
        fixing = [e for e in newest if count[e]]
        if kind.endswith("-newest"):
            return fixing
        return sorted(reversed(fixing), key=lambda e: -count[e])

    def have(self, na):
        return max((p.evr for p in self.items[na]), key=cmp_to_key(metadata.compare))

    def sinks(self, na):
        """Whether the request lets an item go down."""
        return any(metadata.compare(e, self.have(na)) < 0 for e in self.targets[na])

    def below(self, na):
        """The builds, lowest first, of an item that the repositories have, and that may go down for the sake of others alone."""
        have, mine = self.have(na), [c.evr for c in self.host.cands.get(na[0], []) if c.arch == na[1]]
        if self.request.kind not in ("sync", "downgrade") or self.host.only(na[0]) or self.sinks(na) or have not in mine:
            return []
        return sorted({e for e in mine if metadata.compare(e, have) < 0}, key=cmp_to_key(metadata.compare))

    def selects(self, a):
        kind = self.request.kind
        if a["status"] == "retracted" or kind == "downgrade":
            return False
        kind = kind.split("-")[0]
        if kind in ("advisory", "cve"):
            return not {a["id"], *a["cves"]}.isdisjoint(self.request.value.split())
        return self.request.value == a["severity"] if kind == "severity" else a["type"] == kind

    def vector(self, change):
        """One comparable value for each preference; smaller is better."""
        coming = self.host.incoming(change)
        new = [p for p in coming if p.name not in self.host.inst]
        sunk, lowered, moved, replaced, place, unasked = [], [], [], [], [], 0
        for na, targets in self.targets.items():
            own = [targets.index(p.evr) for p in coming if p.na == na and p.evr in targets]
            gone = all(p.nevra in change[1] for p in self.items[na])
            by = [p for p in coming if p.name != na[0] and any(p.obsoletes(i) and not self.outranked(p, i) for i in self.items[na]) and self.asked(p, na)]
            lowered += [e in {p.evr for p in coming if p.na == na} for e in self.below(na)]
            if self.wanted(na):
                (sunk if self.sinks(na) else moved).append(0 if own or gone and by else 1)
                place.append(own[0] if own else len(targets))
                replaced.append(0 if self.replaced(na, coming) else 1)
            elif gone:
                unasked += 1
        if self.request.kind == "install":  # any of the builds, then the better ones
            builds = sorted((c.evr for c in self.host.cands.get(self.request.value, [])), key=cmp_to_key(metadata.compare), reverse=True)
            moved.append(min((builds.index(p.evr) for p in coming if p.name == self.request.value), default=len(builds)))
            coming = [p for p in coming if p.name != self.request.value]
        loose = [p for p in coming if p.na not in self.items or p.evr not in self.targets[p.na] and p.evr not in self.below(p.na)]
        disliked = [sum(self.behind(p) == k for p in loose) for k in range(DEPTH, 0, -1)]
        foreign = sum(p in new and self.host.rank(p.arch) > 0 for p in loose)
        return ((sunk, lowered, moved), replaced, place, (disliked, foreign), len(new), unasked)

    def behind(self, p):
        """How many builds are newer; what is installed counts too, where the package takes its place."""
        there = [] if self.host.only(p.name) else self.host.inst.get(p.name, [])
        return sum(c.arch == p.arch and metadata.compare(c.evr, p.evr) > 0 for c in [*there, *self.host.cands.get(p.name, [])])


def explain(host, request, ours, theirs, ask, check, possible, objects=lambda change: ()):
    """How two transactions compare: ("same" | "explained" | "unexplained", rules, detail). ask(exclude) asks the peer again,
    check(change) lists the faults that our checker finds, possible(builds, exclude) lets the peer try builds together, and
    objects(change) says what rpm has against them."""
    if ours == theirs:
        return "same", [], {}
    rules, exclude, now, tried = [], set(), theirs, []
    for _ in range(ROUNDS):
        if now is None:
            return alone(host, request, ours, rules, exclude, check, possible)
        found = forbidden(host, now, request.kind in ("downgrade", "sync"))
        if not found:
            faults = check(now)
            found = from_faults(faults, host, now, objects(now)) if faults else []
            if found is None:
                return "unexplained", rules, difference(ours, now, exclude=exclude, refused=[f["Text"] for f in faults][:5])
        if not found:
            break
        for rule, what in found:
            if rule == LOCKSTEP:
                tried.append((what, together(host, what)))
            rules.append(rule)
            exclude.add(what)
        now = ask(exclude)
    else:
        return "unexplained", rules, difference(ours, now, rounds=ROUNDS)
    missed = lockstep_missed(ours, tried, exclude, check, possible)
    if missed:
        return "unexplained", rules, difference(ours, now, exclude=exclude, together=missed)
    rules = sorted(set(rules))
    if now == ours:
        return "explained", rules, {"excluded": sorted(map(str, exclude))}
    return by_preference(host, request, ours, now, rules, exclude, possible)


def alone(host, request, ours, rules, exclude, check, possible):
    """dnf does nothing at all where one package cannot be as the repositories have it; we do all that can be. Told to bring just our builds it must
    come to our transaction, and with one more of those that we did not bring it must fail, or come to what we may not do, or like less."""
    told = possible(sorted(ours[0]), ()) if ours[0] else ours
    if told != ours and arches_beside(host, ours):
        return "explained", sorted({*rules, ONE_ARCH}), difference(ours, told or (frozenset(), frozenset()))
    if told != ours:
        return "unexplained", rules, {"told": difference(ours, told) if told else "impossible"}
    order = Preferences(host, request)
    coming, best = {p.na: p.evr for p in host.incoming(ours)}, order.vector(ours)
    missed = [na for na, targets in order.targets.items() if targets and coming.get(na) != targets[0] and order.items[na][0].nevra not in ours[1]]
    for name, arch in missed[:MISSED]:
        build = next(c.nevra for c in host.cands[name] if c.arch == arch and c.evr == order.targets[name, arch][0])
        got = possible([*sorted(ours[0]), build], exclude)
        if got and not forbidden(host, got, True) and not check(got) and order.vector(got) < best:
            return "unexplained", rules, difference(ours, got, exclude=exclude, missed=build)
    return "explained", sorted({*rules, ALL_OR_NOTHING}), {"tried": len(missed[:MISSED])}


def spares(host, ours, theirs, unlimited):
    """Whether two transactions differ in the kernels that leave alone, and in what libsolv does for those: it looks for other packages when something
    needs one of them, we let that one stay. unlimited: the peer's transaction where none leaves."""
    mine, other = ({n for n in change[1] if host.installed_by[n].only()} for change in (ours, theirs))
    return mine < other and unlimited == (ours[0], ours[1] - mine)


def together(host, what):
    """The builds of every installed arch of a name at the EVR of one build, or None where there are not all."""
    p = host.by_nevra[what]
    arches = {i.arch for i in host.inst.get(p.name, [])}
    builds = {c.arch: c.nevra for c in host.cands.get(p.name, []) if c.evr == p.evr and c.arch in arches}
    return sorted(builds.values()) if len(builds) == len(arches) and len(arches) > 1 else None


def lockstep_missed(ours, tried, exclude, check, possible):
    """Builds that lockstep took from the peer although all arches could have moved together, and we did not move them."""
    for _, builds in tried:
        if not builds or set(builds) <= ours[0]:
            continue
        got = possible(builds, {e for e in exclude if e not in builds})
        if got and not check(got):
            return builds
    return None


def by_preference(host, request, ours, now, rules, exclude, possible):
    """Both obey the rules: the first preference in which they differ must be for ours, and the peer, told to bring just these builds, must
    come to the same transaction."""
    order = Preferences(host, request)
    name = TIE
    for kind, mine, other in zip(PREFERENCES, order.vector(ours), order.vector(now)):
        if mine > other and request.kind == "weak" and host.strong <= ours[0] and not host.strong <= now[0]:
            return "explained", sorted({*rules, WEAKLY}), difference(ours, now, exclude=exclude)
        if mine > other:
            return "unexplained", rules, difference(ours, now, exclude=exclude, worse=kind)
        if mine < other:
            name = kind
            break
    told = possible(sorted(ours[0]), ())
    if told != ours and mends(host, ours, told):
        return "explained", sorted({*rules, MENDED}), difference(ours, now, exclude=exclude)
    if told != ours and (not told or ours[0] <= told[0] and ours[1] <= told[1]) and splits(host, ours):
        return "explained", sorted({*rules, name, SPLIT}), difference(ours, now, exclude=exclude)
    if told != ours and arches_beside(host, ours):
        return "explained", sorted({*rules, name, ONE_ARCH}), difference(ours, now, exclude=exclude)
    if told != ours:
        return "unexplained", rules, difference(ours, now, exclude=exclude, ahead=name, told=difference(ours, told) if told else "impossible")
    return "explained", sorted({*rules, name}), difference(ours, now, exclude=exclude)


def arches_beside(host, ours):
    """Whether a transaction brings a name of which another arch is there or comes too, which not every peer has."""
    stay = [p for p in host.installed if p.nevra not in ours[1]]
    return host.one_arch and any(p.name == q.name and p.arch != q.arch for p in host.incoming(ours) for q in [*stay, *host.incoming(ours)])


def mends(host, ours, theirs):
    """Whether the peer, told to do all that we do, besides changes what a rich dependency names that was broken before, or can do nothing at
    all where we touch one. libsolv lets other broken dependencies be, but not these."""
    more = (theirs[0] - ours[0]) | (theirs[1] - ours[1]) if theirs else ours[0]
    names = {n.rsplit("-", 2)[0] for n in more}
    broken = [re.split(" (?:requires|conflicts with) ", f, 1)[-1] for f in host.broken if " requires (" in f or " conflicts with (" in f]
    return (not theirs or ours[0] <= theirs[0] and ours[1] <= theirs[1]) and any(names.intersection(metadata.words(b)) for b in broken)


def splits(host, ours):
    """Whether a package leaves while a build comes that obsoletes it by an entry that a package of another name has too, of which no such build
    comes: libsolv demands both."""
    coming = host.incoming(ours)
    candidates = [*(c for l in host.cands.values() for c in l), *host.hidden]  # excluded or not
    for q in host.outgoing(ours):
        entries = {e for p in coming for e in p.deps("obsoletes") if e[0] == q.name != p.name and metadata.within(q.evr, e[1], e[2])}
        for e in entries:
            here, there = ({p.name for p in l if e in p.deps("obsoletes")} for l in (coming, candidates))
            if there - here:
                return True
    return False


def difference(ours, theirs, exclude=(), **more):
    """The two transactions without what they share."""
    out = {"only_ours": sorted("+" + n for n in ours[0] - theirs[0]) + sorted("-" + n for n in ours[1] - theirs[1]),
           "only_theirs": sorted("+" + n for n in theirs[0] - ours[0]) + sorted("-" + n for n in theirs[1] - ours[1])}
    if exclude:
        out["excluded"] = sorted(map(str, exclude))
    return {**out, **more}
