#!/usr/bin/python3
"""Runs the planner, dnf and libsolv over the same repositories and installed sets, and prints agreement and every difference with
the rule that explains it. README.md says how to read the result."""
import argparse
import collections
import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

AGREE = 0.99  # of the cases that are not explained by a rule
POPULATIONS = ("rhel72-a", "centos60", "el7-random", "el6-aged", "el6-i686", "el6-middle", "el7-down", "el7-back", "f25-open", "synthetic", "synthetic-back")


def arguments():
    p = argparse.ArgumentParser(prog="scripts/peer/run", description=__doc__, epilog="The reference data are in $CPACMAN_DATA, else in ../shared/data.")
    p.add_argument("--data", required=True, help=argparse.SUPPRESS)  # these two are given by run
    p.add_argument("--program", required=True, help=argparse.SUPPRESS)
    p.add_argument("--out", default="peer.json", help="JSON with every difference; written line by line into FILE.lines as they come")
    p.add_argument("--sets", type=positive, default=200, help="random sets of el7 and of each synthetic population, four for a world; a fifth of it of others, one at least")
    p.add_argument("--seed", default="1", help="the same seed draws the same sets")
    p.add_argument("--only", default="", type=known, help="populations, by comma, of " + ", ".join(POPULATIONS))
    p.add_argument("--set", default="", help="only the set of this name, with --only its population")
    p.add_argument("--request", default="", help="only requests whose words begin so")
    p.add_argument("--no-solv", action="store_true", help="do not ask libsolv without dnf")
    p.add_argument("--dnf", choices=("4", "5"), default="4", help="which dnf; 5 wants python3-libdnf5")
    p.add_argument("--zypper", action="store_true", help="ask zypper instead of dnf")
    return p.parse_args()


def positive(text):
    """A number of sets."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of sets")
    return int(text)


def known(text):
    """Names of populations; one that nobody knows would be compared without a word."""
    strange = [n for n in text.split(",") if n and n not in POPULATIONS]
    if strange:
        raise argparse.ArgumentTypeError(f"no population {', '.join(strange)}")
    return text


def populations(maker, count, only):
    """The populations in the order in which they are run; each is made when its turn comes."""
    part, worlds = max(1, count // 5), max(1, count // 4)
    return [(name, make) for name, make in (
        ("rhel72-a", lambda: maker.host("rhel72-a", "el7-72-to-73/installed/rhel72-a.primary.xml.gz", "x86_64", maker.el7, None, 0)),
        ("centos60", lambda: maker.host("centos60", "el6-63z/installed/centos60.primary.xml.gz", "x86_64", maker.el6, 40, 40)),
        ("el7-random", lambda: maker.random_el7(count)),
        ("el6-aged", lambda: maker.aged("el6-aged", maker.el6[0], "x86_64", part, 2000)),
        ("el6-i686", lambda: maker.open_sets("el6-i686", maker.el6[0], max(1, part // 2), "i686",
                                             maker.names_of("el6-63z/hosts/rhel64-i686-a.rpmqa"))),
        ("el6-middle", lambda: maker.middle(part, 1500)),
        ("el7-down", lambda: maker.down_el7(part)),
        ("el7-back", lambda: maker.back_el7(part)),
        ("f25-open", lambda: maker.open_sets("f25-open", maker.f25(), max(1, part // 2))),
        *(("synthetic", lambda i=i: maker.drawn(i, 4)) for i in range(worlds)),
        *(("synthetic-back", lambda i=i: maker.drawn(i, 4, back=True)) for i in range(worlds)),
    ) if not only or name in only.split(",")]


class Runner:
    """Runs populations and keeps the account."""

    def __init__(self, args, work):
        from peers import Ours
        self.args, self.work = args, work
        self.ours = Ours(args.program)
        self.stream = open(args.out + ".lines", "w")
        self.cases, self.seconds = [], collections.Counter()

    def run(self, pop):
        from peers import Rpm, Solv
        self.ours.ask("view", repos=pop.repos, cache=os.path.join(self.work, "index"))
        solver = None if self.args.no_solv else Solv(pop.repos, pop.arch)
        root = os.path.join(self.work, "root")
        judge = Rpm(root, tool(self.args.data), pop.whole)
        for name, installed, requests in pop.sets():
            wanted = [r for r in requests if str(r).startswith(self.args.request)]
            shutil.rmtree(root, ignore_errors=True)
            os.makedirs(root)
            try:
                self.one_set(pop, name, installed, wanted, root, solver, judge)
            except Exception as e:  # one set that cannot be asked must not end a run of hours; it counts as unexplained
                self.note({"population": pop.group, "set": name, "peer": "dnf", "request": "-", "verdict": "unexplained", "rules": [],
                           "detail": {"failed": f"{type(e).__name__}: {e}"}})

    def one_set(self, pop, name, installed, requests, root, solver, judge):
        import metadata
        from populations import excluded
        from weigh import Host
        primary = os.path.join(root, "primary.xml")
        with open(primary, "wb") as f:
            f.write(metadata.primary(installed))
        make_database(self.args.data, root, installed)
        enabled = pop.enabled.get(name, {})
        enable(root, enabled)
        dnf = importlib.import_module("zypper" if self.args.zypper else "dnf" + self.args.dnf).Dnf
        more = {"loyal": pop.loyal, "keep": pop.keep.get(name, 0) if dnf.limits else 0, "exclude": pop.excludes.get(name, [])}
        told = self.ours.ask("host", database=os.path.join(root, "var/lib/rpm/rpmdb.sqlite"), arch=pop.arch, kernel="none",
                             modules=sorted(f"{m}:{stream}" for m, stream in enabled.items()), **more)
        start = time.time()
        theirs = dnf(root, pop.repos, pop.arch, os.path.join(self.work, "dnf-" + pop.name), **more)
        plain = []  # dnf with notices as cpacman reads them; opened when a difference asks for it
        if pop.plain != pop.repos:
            plain = [lambda: dnf(root, pop.plain, pop.arch, os.path.join(self.work, "plain-dnf-" + pop.name), **more)]
        self.seconds["dnf sack"] += time.time() - start
        if told["count"] != len(installed) or theirs.installed not in (None, len(installed)):
            raise ValueError(f"{len(installed)} packages, of which cpacman reads {told['count']} and dnf {theirs.installed}")
        opened = {n for n, (m, stream) in pop.streams.items() if enabled.get(m) == stream}
        open_to_it = [p for p in pop.packages if not any(excluded(g, p) for g in more["exclude"])]
        host = Host(installed, open_to_it, pop.arch, pop.advisories, broken=[f["Text"] for f in told.get("faults") or []],
                    priorities=pop.priorities, modular=set(pop.streams), opened=opened, loyal=pop.loyal)
        if self.args.zypper:
            theirs.leaving_out(p.nevra for p in pop.packages if not host.streams(p))
            plain = [lambda make=make: make().leaving_out(theirs.unknown) for make in plain]
            requests = [r for r in requests if dnf.answers(r)]
            host.one_arch = True
        host.keep, host.objects = theirs.keep, judge.objects
        host.excluded = any(excluded(g, p) for g in more["exclude"] for p in installed)
        seen = {p.nevra for p in open_to_it}
        host.hidden = [p for n, p in pop.whole.items() if n not in seen]
        common = {"population": pop.group, "set": name, "packages": len(installed), "pre_broken": len(told.get("faults") or [])}
        for request in requests:
            self.one_request(host, request, theirs, common, plain, judge)
        if solver and any(r.kind == "all" for r in requests):
            solver.host(primary)
            self.second(host, solver, common, theirs)
        for d in [theirs] + [d for d in plain if not callable(d)]:
            d.close()

    def one_request(self, host, request, theirs, common, plain, judge):
        from peers import OURS_ALONE, Failed, Request
        from weigh import CLOSED, EXCLUDES, NOTICES, SPARED, TOGETHER, explain, narrowed, needless, parts_of, siblings_of, spares
        case = {**common, "peer": "dnf", "request": str(request)}
        if request.kind in OURS_ALONE:
            self.judged(request, judge, {**case, "peer": "rpm"})
            return
        try:
            start = time.time()
            mine = self.ours.plan(request)
            if request.kind == "weak":
                host.strong = self.ours.plan(Request("all"))[0]
            middle = time.time()
            closed = {p.nevra for p in host.by_nevra.values() if request.closes(p, host.installed)}
            closed -= parts_of(host, closed)
            if closed:
                host = host.without(lambda p: p.nevra in closed and p.name == request.value.split()[0])  # what would replace it stays a candidate
            other = theirs.ask(request, closed)
            self.seconds["planner"] += middle - start
            self.seconds["dnf"] += time.time() - middle
            self.seconds["requests"] += 1
            case["in"], case["out"] = len(mine[0]), len(mine[1])
            first = []
            if mine != other and plain and request.by_notices():
                if callable(plain[0]):
                    plain[0] = plain[0]()
                again = plain[0].ask(request)
                if again != other:
                    first, theirs, other = [NOTICES], plain[0], again
            asked = request
            if mine != other and (narrow := narrowed(host, request)):
                again = theirs.ask(narrow, closed)
                if again != other:
                    first, asked, other = [*first, CLOSED], narrow, again
            if mine != other and (siblings := siblings_of(host, closed)):
                again = theirs.ask(asked, closed | siblings)
                if again != other:
                    first, closed, other = [*first, TOGETHER], closed | siblings, again
            if mine != other and host.excluded and theirs.lets is not None:
                theirs.lets = True
                again = theirs.ask(asked, closed)
                theirs.lets = again != other
                if theirs.lets:
                    first, other = [*first, EXCLUDES], again
            if mine != other and other and theirs.keep and spares(host, mine, other, theirs.keeping_all(lambda: theirs.ask(asked, closed))):
                useless = needless(host, mine, other, judge.objects)
                verdict, rules, detail = ("unexplained", [], {"needless": useless}) if useless else ("explained", [SPARED], {})
            else:
                verdict, rules, detail = explain(host, request, mine, other, lambda x: theirs.ask(asked, x | closed),
                                                 lambda c: self.ours.check(request, c), theirs.possible, judge.objects,
                                                 lambda builds, x: theirs.insist(asked, builds, x | closed))
            if first:
                verdict, rules = "explained" if verdict == "same" else verdict, first + rules
            start = time.time()
            objections = judge.objects(mine, erases=False) if mine[0] else []
            self.seconds["rpm"] += time.time() - start
            self.seconds["judged by rpm"] += bool(mine[0])
            if objections:
                verdict, detail = "unexplained", {"rpm": objections[:5], **detail}
        except Failed as e:
            verdict, rules, detail = "unexplained", [], {"failed": str(e)}
        finally:
            theirs.lets = theirs.lets and False
        self.note({**case, "verdict": verdict, "rules": rules, "detail": detail})

    def judged(self, request, judge, case):
        """A plan of a kind that dnf has not: rpm alone says what it thinks of it."""
        from peers import Failed
        try:
            mine = self.ours.plan(request)
            objections = judge.objects(mine)
            self.seconds["judged by rpm"] += bool(mine[0] or mine[1])
        except Failed as e:
            objections = [str(e)]
        verdict = "unexplained" if objections else "accepted"
        self.note({**case, "verdict": verdict, "rules": [], "detail": {"rpm": objections[:5]} if objections else {}})

    def second(self, host, solver, common, theirs):
        """libsolv without dnf, upgrade all: only sets that dnf answers in the same way count for us, the rest is between the two."""
        from peers import Failed, Request
        request = Request("all")
        try:
            mine, other = self.ours.plan(request), solver.upgrade_all()
            same = mine == other
            verdict = "same" if same else "as dnf" if other == theirs.ask(request) else "differs from dnf too"
        except Failed as e:
            verdict = "failed: " + str(e)
        self.note({**common, "peer": "solv", "request": "all", "verdict": verdict, "rules": [], "detail": {}})

    def note(self, case):
        self.cases.append(case)
        self.stream.write(json.dumps(case) + "\n")
        self.stream.flush()
        if case["verdict"] == "unexplained":
            print(f"UNEXPLAINED {case['set']} {case['request']}: {json.dumps(case['detail'])[:600]}", flush=True)


def tool(data):
    """The script beside the data that makes headers and rpm databases."""
    return os.path.join(data, "..", "scripts", "mkrpmdb.py")


def enable(root, streams):
    """Writes the streams of modules that a host has enabled as dnf keeps them."""
    states = os.path.join(root, "etc/dnf/modules.d")
    os.makedirs(states)
    for name, stream in streams.items():
        with open(os.path.join(states, name + ".module"), "w") as f:
            f.write(f"[{name}]\nname={name}\nstream={stream}\nprofiles=\nstate=enabled\n")


def make_database(data, root, packages):
    """Makes the rpm database of an installed set."""
    from peers import MAGIC, Rpm
    maker = Rpm(root, tool(data), {p.nevra: p for p in packages})
    database = os.path.join(root, "var/lib/rpm")
    os.makedirs(database)
    blob = b"".join(MAGIC + maker.header(p.nevra).unload() for p in packages)
    subprocess.run(["rpmdb", "--initdb", "--dbpath", database], check=True)
    subprocess.run(["rpmdb", "--importdb", "--dbpath", database], input=blob, check=True)


def table(cases):
    """Lines: for each population its sets, and for each kind of request what came of it and by which rules."""
    pops = collections.OrderedDict()
    for c in cases:
        pops.setdefault(c["population"], []).append(c)
    lines = [f"{'population':12} {'request':16} {'cases':>6} {'same':>6} {'by rule':>8} {'unexplained':>12}   (rpm: it alone judged, and had nothing against it)"]
    for pop, mine in pops.items():
        sets = {c["set"]: c for c in mine if "packages" in c}
        if sets:
            sizes = [c["packages"] for c in sets.values()]
            broken = sum(c["pre_broken"] > 0 for c in sets.values())
            lines.append(f"{pop}: {len(sets)} sets of {min(sizes)} to {max(sizes)} packages, {broken} broken before")
        kinds = collections.OrderedDict()
        for c in mine:
            if c["peer"] in ("dnf", "rpm"):
                kinds.setdefault(c["request"].split(" ")[0], []).append(c)
        for kind, l in kinds.items():
            n = collections.Counter(c["verdict"] for c in l)
            same = "rpm" if l[0]["peer"] == "rpm" else n["same"]
            lines.append(f"{'':12} {kind:16} {len(l):6} {same:>6} {n['explained']:8} {n['unexplained']:12}")
            rules = collections.Counter(" + ".join(c["rules"]) for c in l if c["verdict"] == "explained")
            lines += [f"{'':15} {count:5}  {rule}" for rule, count in rules.most_common()]
        second = collections.Counter(c["verdict"] for c in mine if c["peer"] == "solv")
        lines += [f"{'':12} {'libsolv, all:':16} " + ", ".join(f"{n} {verdict}" for verdict, n in second.most_common())] if second else []
    return lines


def prepare_home(work):
    """Debian's rpm keeps its database in HOME unless told: dnf and rpm must find the one of the installroot."""
    home = os.path.join(work, "home")
    os.makedirs(home)
    with open(os.path.join(home, ".rpmmacros"), "w") as f:
        f.write("%_dbpath /var/lib/rpm\n")
    os.environ["HOME"] = home


def main():
    args = arguments()
    work = tempfile.mkdtemp(prefix="cpacman-peer.")
    prepare_home(work)  # before rpm is loaded
    from populations import Maker
    runner = Runner(args, work)
    try:
        for name, make in populations(Maker(args.data, work, args.seed, args.set), args.sets, args.only):
            start = time.time()
            runner.run(make())
            print(f"{name}: {time.time() - start:.0f} s", flush=True)
    finally:
        runner.ours.close()
        shutil.rmtree(work, ignore_errors=True)
    return report(args, runner)


def report(args, runner):
    print("\n".join(table(runner.cases)))
    asked = [c for c in runner.cases if c["peer"] == "dnf"]
    counts, alone = (collections.Counter(c["verdict"] for c in l) for l in (asked, [c for c in runner.cases if c["peer"] == "rpm"]))
    agree = counts["same"] / max(1, counts["same"] + counts["unexplained"])
    print("\n".join(account(asked, counts, agree, alone)))
    print("seconds in all: " + ", ".join(f"{k} {v:.1f}" for k, v in runner.seconds.items()))
    with open(args.out, "w") as f:
        json.dump({"seed": args.seed, "sets": args.sets, "counts": counts, "agreement": agree, "rpm_alone": alone, "seconds": runner.seconds,
                   "cases": runner.cases}, f, indent=1)
    if not asked and not alone:
        print("peer: nothing was compared", file=sys.stderr)
    return 1 if not asked and not alone or counts["unexplained"] or alone["unexplained"] or asked and agree < AGREE else 0


def account(asked, counts, agree, alone):
    """Lines: in how many cases each rule has a part, and the totals. What rpm alone judged is compared with nobody, and counts for no agreement."""
    rules = collections.Counter(r for c in asked if c["verdict"] == "explained" for r in set(c["rules"]))
    lines = ["rules, and the cases in which each has a part:"] if rules else []
    lines += [f"{n:8}  {rule}" for rule, n in rules.most_common()]
    still = sum(c["verdict"] == "same" and not c.get("in") and not c.get("out") for c in asked)
    plain, whole = counts["same"] / max(1, len(asked)), max(1, len(asked) - still)
    return lines + [
        f"{len(asked)} cases: {counts['same']} same, {counts['explained']} explained by a rule, {counts['unexplained']} unexplained; agreement {agree:.2%}",
        f"without any rule {plain:.2%} are the same, {(counts['same'] - still) / whole:.2%} of the {len(asked) - still} in which something moves",
        f"judged by rpm alone: {sum(alone.values())}, {alone['unexplained']} of them refused"]


if __name__ == "__main__":
    sys.exit(main())
