"""Compares two transactions and explains what differs, by rules that code re-checks.

Two things explain a difference. A hard rule: the peer's transaction does something that cpacman forbids; the peer is asked again
with just that excluded, until it does nothing forbidden. A preference: both transactions obey every rule, and ours comes first in
the written order of preferences. What neither explains is unexplained."""
import itertools
import re
from functools import cmp_to_key

import metadata
import recommended
from peers import Request
from preferences import Preferences

LINES = {"x86_64": ("x86_64", "i686", "i586", "i486", "i386"), "i686": ("i686", "i586", "i486", "i386")}
MISSED = 200  # builds that we did not bring and dnf is to try, at most
ROUNDS = 40  # re-askings of one case, at most
GROUPS = 500  # of kernels that rpm is asked about, at most

SAME_ARCH, LOCKSTEP = "same arch (PLAN-2)", "lockstep: rpm works by name (PLAN-3)"
NOTICES = "notices without an epoch take the repository's (internal/repo)"
CLOSED = "a notice is about the streams of the builds that it lists (PLAN-6)"
EXCLUDES = "an exclude keeps a build out, and does not hold what is installed (PLAN-8)"
NEWER = "only a newer build replaces one: no reinstall, nothing lowered (PLAN-3)"
MODULES = "out-of-tree modules hold the kernel (PLAN-5)"
STEPS, OBSOLETES = "install-only in its own step (design 5)", "obsoletes as rpm executes them (PLAN-4)"
ITSELF = "a rich conflict counts for the package itself (rpm)"
ALL_OR_NOTHING = "what can be is planned; dnf refuses the whole (PLAN-4)"
TRIMMED = "keep-N removes what is one too many with what it needs; dnf keeps all (PLAN-5)"
PARTS = "libsolv brings a part of what was split without what that requires, and rpm refuses it"
TOGETHER = "what was split comes whole, and waits for what a hold keeps out of it (PLAN-4)"
SPARED = "a kernel stays that something needs (PLAN-5)"
MENDED = "what was broken before is not mended unasked (PLAN-16)"
WEAKLY = "what is recommended changes nothing of what comes without it (planner/weak.go)"
CHAIN = "of recommendations that exclude each other ours is followed (planner/weak.go)"
VENDOR = "a package stays with its vendor (PLAN-15)"
STREAMS = "modular packages from enabled streams only (PLAN-6)"
PRIORITY = "for each name only the repository of the best priority that has it (PLAN-8)"
AGAIN = "rpm looks again at a rich dependency that was broken before (PLAN-4)"
CIRCLE = "a name that was given up and taken again stays (PLAN-4)"
ONE_ARCH = "several arches of a name at the same version stand beside each other (PLAN-3); zypper has one arch of a name"
BY_FAULT = {"arch": SAME_ARCH, "lockstep": LOCKSTEP, "obsoletes": OBSOLETES, "obsoleted": OBSOLETES, "hold": "hold", "execution": LOCKSTEP,
            "module": MODULES}
PREFERENCES = ("preference 1: more of what was asked for moves", "preference 2: replaced by all that replace it",
               "preference 3: the best target", "preference 4: new packages at their newest, native first",
               "preference 5: fewer new packages", "preference 6: fewer packages moved that nobody asked for")
TIE = "tie: equal in every preference"


class Host:
    """An installed set before a view: what the rules need to know of both."""

    def __init__(self, installed, candidates, arch, advisories=(), broken=(), priorities=None, modular=frozenset(), opened=frozenset(), loyal=False):
        self.made_of = installed, candidates, arch, advisories, broken, priorities, modular, opened, loyal
        self.arch, self.installed, self.broken = arch, installed, broken
        self.advisories = [{**a, "packages": [b for b in a["packages"] if (n := metadata.nevra(*b)) not in modular or n in opened]} for a in advisories]
        self.closed = {a["id"] for a, mine in zip(advisories, self.advisories) if a["packages"] and not mine["packages"]}  # about other streams alone
        self.inst = {}
        for p in installed:
            self.inst.setdefault(p.name, []).append(p)
        self.modular, self.opened, self.loyal = modular, opened, loyal  # builds of streams; of those, the ones of enabled streams
        self.streamed = {n.rsplit("-", 2)[0] for n in opened}
        self.strong = frozenset()  # what comes when nothing is recommended
        self.excluded = False  # whether an exclude names something installed
        self.hidden = []  # what is excluded
        self.keep, self.objects = 0, lambda change: ()  # how many builds of install-only names the peer leaves, 0 is all; what rpm has against a transaction
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
        host.one_arch, host.excluded, host.keep, host.objects = self.one_arch, self.excluded, self.keep, self.objects
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


def narrowed(host, request):
    """A request by notices without those that are about streams which the host has not; None where it is the same."""
    if not request.by_notices() or not host.closed:
        return None
    order = Preferences(host, request)
    every = [a for a in host.advisories if order.selects(a)]
    left = [a["id"] for a in every if a["id"] not in host.closed]
    if len(left) == len(every):
        return None
    return Request("advisory-newest" if request.kind.endswith("-newest") else "advisory", " ".join(left) or "none")


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
        if not rule and objections and f["Kind"] == "requires" and names and (group := split_of(host, change, host.by_nevra[names[0]])):
            out += [(PARTS, n) for n in group]
            continue
        if not rule or not names or rule == MODULES and not waits(host, change, names[0], text):
            return None
        out.append((rule, names[0]))
    first = next((r for r in (MODULES, LOCKSTEP, OBSOLETES) if any(r == rule for rule, _ in out)), None)
    return [o for o in out if first is None or o[0] == first]


def split_of(host, change, part):
    """What has an Obsoletes entry for something installed in common with a package that comes in, where more of it comes; () else."""
    entries = {e for e in part.deps("obsoletes") for i in host.inst.get(e[0], []) if metadata.within(i.evr, e[1], e[2])}
    group = {c.nevra for l in host.cands.values() for c in l if not entries.isdisjoint(c.deps("obsoletes"))}
    return sorted(group) if len(group & change[0]) > 1 else ()


def parts_of(host, closed):
    """Of builds that a request keeps out: those that what it lets in of another name was split into. They come with that."""
    there = [p for p in host.by_nevra.values() if p.nevra not in closed]
    def part(c):
        entries = {e for e in c.deps("obsoletes") for i in host.inst.get(e[0], []) if metadata.within(i.evr, e[1], e[2])}
        return any(p.name == e[0] != c.name and e in p.deps("obsoletes") for e in entries for p in there)
    return {n for n in closed if part(host.by_nevra[n])}


def siblings_of(host, closed):
    """Of builds that a request keeps out: what else takes the place of something installed with the same entry. It would come without them."""
    out = set()
    for c in (host.by_nevra[n] for n in closed if n in host.by_nevra):
        entries = {e for e in c.deps("obsoletes") for i in host.inst.get(e[0], []) if e[0] != c.name and metadata.within(i.evr, e[1], e[2])}
        out |= {p.nevra for p in host.by_nevra.values() if p.name != c.name and not entries.isdisjoint(p.deps("obsoletes"))}
    return out - closed


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


def explain(host, request, ours, theirs, ask, check, possible, objects=lambda change: (), insist=lambda builds, exclude: None):
    """How two transactions compare: ("same" | "explained" | "unexplained", rules, detail). ask(exclude) asks the peer again,
    check(change) lists the faults that our checker finds, possible(builds, exclude) lets the peer try builds together,
    objects(change) says what rpm has against them, and insist(builds, exclude) asks the peer again where it has to bring builds."""
    if ours == theirs:
        return "same", [], {}
    verdict, rules, detail = weighed(host, request, ours, theirs, ask, check, possible, objects, insist)
    if verdict == "explained":
        better = missed(host, request, ours, check, objects, insist)
        if better:
            return "unexplained", rules, {**detail, "missed": difference(ours, better)}
    return verdict, rules, detail


def weighed(host, request, ours, theirs, ask, check, possible, objects, insist):
    """explain of two that differ, before the question what we missed."""
    now, found, stuck = obey(host, request, theirs, ask, check, objects)
    rules, exclude = sorted({rule for rule, _ in found}), {what for _, what in found}
    if stuck:
        return "unexplained", rules, difference(ours, now, exclude=exclude, **stuck)
    if now is None:
        return alone(host, request, ours, rules, exclude, check, possible)
    together_too = lockstep_missed(ours, [(what, together(host, what)) for rule, what in found if rule == LOCKSTEP], exclude, check, possible)
    if together_too:
        return "unexplained", rules, difference(ours, now, exclude=exclude, together=together_too)
    if now == ours:
        return "explained", rules, {"excluded": sorted(map(str, exclude))}
    verdict = by_preference(host, request, ours, now, rules, exclude, possible)
    if request.kind == "weak" and "worse" in verdict[2] and host.strong <= ours[0] and not host.strong <= now[0]:
        verdict = weakly(host, request, ours, rules, exclude, possible, lambda x: insist(sorted(host.strong), x), check, objects)
    return other_chain(host, ours, verdict, check, possible) if request.kind == "weak" and "worse" in verdict[2] else verdict


def other_chain(host, ours, verdict, check, possible):
    """Both bring all that comes when nothing is recommended, and follow different recommendations. dnf must take ours as it is, all of it must have somebody who
    needs or recommends it, and nothing that something of both recommends may come beside ours, or in the place of another build of its name."""
    _, rules, detail = verdict
    mine, other = ({n[1:] for n in detail[k] if n[0] == "+"} for k in ("only_ours", "only_theirs"))
    if not host.strong <= ours[0] - mine or any(n[0] == "-" for n in detail["only_ours"] + detail["only_theirs"]):
        return verdict
    rule, told = told_ours(host, ours, CHAIN, possible)
    if not rule:
        return "unexplained", rules, {**detail, "told": difference(ours, told) if told else "impossible"}
    baseless = recommended.baseless(host, ours, possible)
    if baseless:
        return "unexplained", rules, {**detail, "baseless": baseless}
    for n, builds in recommended.untaken(host, ours, ours[0] - mine | other):
        got = possible(builds, ())
        if got and host.strong <= got[0] and not forbidden(host, got) and not check(got):
            return "unexplained", rules, {**detail, "chain": n}
    return "explained", sorted({*rules, *rule}), {k: v for k, v in detail.items() if k != "worse"}


def obey(host, request, now, ask, check, objects):
    """Asks the peer again until it does nothing forbidden: its transaction, [(rule, what it excluded)], and what it did not come to an end for."""
    found = []
    for _ in range(ROUNDS):
        if now is None:
            return None, found, None
        more = forbidden(host, now, request.kind in ("downgrade", "sync"))
        if not more:
            faults = check(now)
            more = from_faults(faults, host, now, objects(now)) if faults else []
            if more is None:
                return now, found, {"refused": [f["Text"] for f in faults][:5]}
        if not more:
            return now, found, None
        found += more
        now = ask({what for _, what in found})
    return now or (frozenset(), frozenset()), found, {"rounds": ROUNDS}


def missed(host, request, ours, check, objects, insist):
    """What the peer does beside ours, or better, where it has to bring our builds and is otherwise free: no rule forbids it, and it comes before ours in
    the preferences. Whatever was excluded to explain the difference is open to it again. Of what is recommended nothing may be left; what moves for it
    something installed, and is not liked better, is no recommendation, and hides none."""
    exclude, order = set(), Preferences(host, request)
    for _ in range(ROUNDS):
        got = insist(sorted(ours[0]), exclude)
        if got is None or got == ours:
            return None
        found = forbidden(host, got, request.kind in ("downgrade", "sync"))
        if not found:
            faults = check(got)
            found = from_faults(faults, host, got, objects(got)) if faults else []
        if found == [] and request.kind == "weak" and order.vector(got) >= order.vector(ours):
            found = [(WEAKLY, p.nevra) for p in host.incoming(got) if p.nevra not in ours[0] and any(
                i.nevra in got[1] - ours[1] and (p.name == i.name or p.obsoletes(i)) for i in host.installed)]
        if not found:
            break
        more = {what for _, what in found} - ours[0] - exclude
        if not more:
            return None
        exclude |= more
    if found is None or mends(host, ours, got):  # it does what is refused, or mends what it was not asked to
        return None
    return got if order.vector(got) < order.vector(ours) or request.kind == "weak" and ours[0] < got[0] and recommended.unfollowed(host, ours, got) else None


def weakly(host, request, ours, rules, exclude, possible, ask, check, objects):
    """Ours has all that comes when nothing is recommended, and the peer gave some of that up for what is: it is asked again where it may not."""
    now, found, stuck = obey(host, request, ask(exclude), lambda x: ask(exclude | x), check, objects)
    rules = sorted({*rules, WEAKLY, *(rule for rule, _ in found)})
    if stuck or now is None:
        return "unexplained", rules, difference(ours, now or (frozenset(), frozenset()), exclude=exclude, **(stuck or {"strong": "impossible"}))
    if now == ours:
        return "explained", rules, {"excluded": sorted(map(str, exclude))}
    return by_preference(host, request, ours, now, rules, exclude, possible)


def alone(host, request, ours, rules, exclude, check, possible):
    """dnf does nothing at all where one package cannot be as the repositories have it; we do all that can be. Told to bring just our builds it must
    come to our transaction, and with one more of those that we did not bring it must fail, or come to what we may not do, or like less."""
    rule, told = told_ours(host, ours, ALL_OR_NOTHING, possible) if ours[0] else ([ALL_OR_NOTHING], ours)
    if ONE_ARCH in rule:
        return "explained", sorted({*rules, ONE_ARCH}), difference(ours, told or (frozenset(), frozenset()))
    if not rule:
        return "unexplained", rules, {"told": difference(ours, told) if told else "impossible"}
    order = Preferences(host, request)
    best, untried = order.vector(ours), list(better_builds(order, ours))
    for build in untried[:MISSED]:
        rest = [n for n in sorted(ours[0]) if host.by_nevra[n].na != host.by_nevra[build].na]
        got = possible([*rest, build], exclude)
        if got and not forbidden(host, got, True) and not check(got) and order.vector(got) < best:
            return "unexplained", rules, difference(ours, got, exclude=exclude, missed=build)
    return "explained", sorted({*rules, *rule}), {"tried": min(MISSED, len(untried)), "of": len(untried)}


def better_builds(order, ours):
    """The builds that a request would rather have of what is installed than those of a transaction: better targets, and what replaces it."""
    host = order.host
    coming = {p.na: p.evr for p in host.incoming(ours)}
    for na, targets in order.targets.items():
        if order.wanted(na) and order.items[na][0].nevra not in ours[1] or coming.get(na) in targets:
            better = targets[:targets.index(coming[na])] if coming.get(na) in targets else targets
            yield from (c.nevra for e in better for c in host.cands[na[0]] if c.arch == na[1] and c.evr == e)
            yield from (c.nevra for l in host.cands.values() for c in l if c.name != na[0] and c.nevra not in ours[0] and order.replaces(c, na))


def spares(host, ours, theirs, unlimited):
    """Whether two transactions differ in the kernels that leave alone, and in what libsolv does for those: it looks for other packages when something
    needs one of them, we let that one stay. unlimited: the peer's transaction where none leaves."""
    mine, other = ({n for n in change[1] if host.installed_by[n].only()} for change in (ours, theirs))
    return mine < other and unlimited == (ours[0], ours[1] - mine)


def needless(host, ours, theirs, objects):
    """The kernels that the peer removes and we let stay although nothing needs them, and there are more of their name than are kept: rpm has nothing against
    their leaving too."""
    spared = sorted(n for n in theirs[1] - ours[1] if host.installed_by[n].only() and builds_left(host, ours, host.installed_by[n].name) > host.keep)
    groups = (g for k in range(1, len(spared) + 1) for g in itertools.combinations(spared, k))
    return next((g for g in itertools.islice(groups, GROUPS) if not objects((ours[0], ours[1] | set(g)))), None)


def trims(host, ours, theirs):
    """Whether two transactions differ in kernels alone that leave in ours, each of a name of which enough stay. dnf gives its limit up as a whole where it cannot
    remove one, as when another that it would keep, for it moves only some or an exclude keeps its new build out, needs that."""
    more = ours[1] - theirs[1]
    return more and ours[0] == theirs[0] and theirs[1] < ours[1] and all(
        host.installed_by[n].only() and builds_left(host, ours, host.installed_by[n].name) >= host.keep for n in more)


def builds_left(host, change, name):
    return sum(p.name == name for p in host.incoming(change)) + sum(p.nevra not in change[1] for p in host.inst.get(name, []))


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
        if mine > other:
            return "unexplained", rules, difference(ours, now, exclude=exclude, worse=kind)
        if mine < other:
            name = kind
            break
    rule, told = told_ours(host, ours, name, possible)
    if not rule and name == TIE and host.keep and (request.kind == "package" or host.excluded) and trims(host, ours, now):
        rule = [TRIMMED]
    if not rule:
        return "unexplained", rules, difference(ours, now, exclude=exclude, ahead=name, told=difference(ours, told) if told else "impossible")
    return "explained", sorted({*rules, *rule}), difference(ours, now, exclude=exclude)


def told_ours(host, ours, name, possible):
    """The rules by which the peer, told to bring just our builds, comes to our transaction, or cannot for a reason that has a name; and what it comes to."""
    told = possible(sorted(ours[0]), ())
    if told == ours:
        return [name], told
    if mends(host, ours, told):
        return [MENDED], told
    if told and told[0] == ours[0] and ours[1] < told[1] and all(host.installed_by[n].only() for n in told[1] - ours[1]) and not needless(host, ours, told, host.objects):
        return [name, SPARED], told
    parts = {n for p in host.incoming(ours) for n in split_of(host, told, p)} - ours[0] if told else set()
    if parts and told[0] - ours[0] <= parts and host.objects(told) and possible(sorted(ours[0]), parts) == ours:
        return [name, PARTS], told
    idle = idle_parts(host, ours)
    if idle and possible(sorted(ours[0]), idle) == ours:
        return [name, PRIORITY], told
    return [name, ONE_ARCH] if arches_beside(host, ours) else [], told


def idle_parts(host, ours):
    """Candidates that have an Obsoletes entry in common with what comes, for an installed package that a better repository has: they are no choice for it
    here, and libsolv demands them."""
    order, out = Preferences(host, Request("all")), set()
    for p in host.incoming(ours):
        for i in host.installed:
            if p.name != i.name and p.obsoletes(i) and order.outranked(p, i):
                out |= set(split_of(host, (ours[0] | {c.nevra for l in host.cands.values() for c in l}, ours[1]), p))
    return out - ours[0]


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


def difference(ours, theirs, exclude=(), **more):
    """The two transactions without what they share."""
    out = {"only_ours": sorted("+" + n for n in ours[0] - theirs[0]) + sorted("-" + n for n in ours[1] - theirs[1]),
           "only_theirs": sorted("+" + n for n in theirs[0] - ours[0]) + sorted("-" + n for n in theirs[1] - ours[1])}
    if exclude:
        out["excluded"] = sorted(map(str, exclude))
    return {**out, **more}
