"""The installed sets and repositories that are compared, and what is asked of each."""
import fnmatch
import os
import random
import re
from xml.etree import ElementTree

import draw
import metadata
import synthetic
from peers import Request


class Population:
    """Installed sets before one view. sets() yields (name, packages, requests)."""

    def __init__(self, name, arch, repos, sets, plain=None):
        self.name, self.arch, self.repos, self.sets = name, arch, repos, sets
        self.loyal = False  # whether a package stays with its vendor
        self.excludes, self.keep = {}, {}  # of a set: globs that the package manager excludes, and how many install-only builds it keeps; 0 is all
        self.enabled, self.streams = {}, {}  # modules: the streams of each set, by module; those of each build, as (module, stream)
        self.group = re.sub(r"-\d+$", "", name) if name.startswith("synthetic") else name  # in the account
        self.plain = plain or repos  # the same repositories with notices as cpacman reads them
        self.advisories = [a for r in self.plain for a in advisories(r["path"])]
        found, self.whole = {}, {}  # as the metadata has them; with the files that some package requires, as rpm knows them
        read = [(metadata.read_packages(metadata.metadata_file(r["path"], "primary")), metadata.metadata_file(r["path"], "filelists")) for r in repos]
        self.priorities = {}  # of the builds; the smaller is preferred
        for r, (packages, _) in zip(repos, read):
            for p in packages:
                if any(excluded(g, p) for g in r.get("exclude", ())):
                    continue
                found.setdefault(p.nevra, p)
                self.priorities[p.nevra] = min(r["priority"], self.priorities.get(p.nevra, r["priority"]))
        self.packages = list(found.values())
        for packages, lists in read:
            for p in metadata.with_required_files(packages, lists, self.packages) if lists else packages:
                self.whole.setdefault(p.nevra, p)
        self.newest = {}
        for p in self.packages:
            if p.na not in self.newest or metadata.compare(p.evr, self.newest[p.na].evr) > 0:
                self.newest[p.na] = p

    def upgradable(self, installed):
        """Names of the set that have a newer build of the same arch."""
        return sorted({p.name for p in installed if p.na in self.newest and metadata.compare(self.newest[p.na].evr, p.evr) > 0})

    def lower(self, installed):
        """Builds of the view next below an installed package of one arch that is not install-only."""
        best = {}
        have = {p.name: p for p in installed}
        twice = {p.name for p in installed if have[p.name] is not p}
        for p in self.packages:
            i = have.get(p.name)
            if i and p.name not in twice and p.arch == i.arch and not i.only() and metadata.compare(p.evr, i.evr) < 0 and (
                    p.name not in best or metadata.compare(p.evr, best[p.name].evr) > 0):
                best[p.name] = p
        return sorted(p.nevra for p in best.values())

    def applicable(self, installed):
        """Advisories that list a build newer than an installed one."""
        have = {p.na: p for p in installed}
        return sorted({a["id"] for a in self.advisories for name, evr, arch in a["packages"]
                       if (name, arch) in have and metadata.compare(evr, have[name, arch].evr) > 0})


def advisories(path):
    """The advisories of a repository, in few words."""
    out = []
    for text in metadata.all_updateinfo(path):
        for u in ElementTree.fromstring(text.encode()).iter("update"):
            pkgs = [(p.get("name"), (p.get("epoch") or "0", p.get("version"), p.get("release")), p.get("arch")) for p in u.iter("package")]
            out.append({"id": u.findtext("id"), "type": (u.get("type") or "").lower(), "status": (u.get("status") or "").lower(), "packages": pkgs,
                        "severity": u.findtext("severity") or "", "cves": [r.get("id") for r in u.iter("reference") if r.get("type") == "cve"]})
    return out


def some(rnd, what, count):
    return sorted(rnd.sample(what, min(count, len(what))))


def repo(ident, path, priority=99):
    return {"id": ident, "path": os.path.abspath(path), "priority": priority}


class Maker:
    """Makes populations from the data directory; work is a directory for repositories that it writes. Sets whose name does not begin with
    pick are not drawn."""

    def __init__(self, data, work, seed, pick=""):
        self.data, self.work, self.seed, self.pick = data, work, seed, pick
        base = os.path.join(data, "el7-72-to-73")
        self.el7 = [repo("server", os.path.join(base, "rhel-7.3-beta/Server")), repo("optional", os.path.join(base, "rhel-7.3-beta/Server-optional"))]
        self.el6 = [repo("el6", os.path.join(data, "el6-63z/rhel-6server"))]
        self._plain = {}

    def numbers(self, name, count):
        """The numbers of the sets to draw: all, or the one that was picked."""
        return [i for i in range(count) if self.pick in ("", name, f"{name}-{i}")]

    def plain(self, repos):
        """Copies of repositories with notices as cpacman reads them; those without notices are the same."""
        out = []
        for r in repos:
            if metadata.all_updateinfo(r["path"]):
                if r["path"] not in self._plain:
                    self._plain[r["path"]] = os.path.join(self.work, f"plain-{len(self._plain)}")
                    packages = metadata.read_packages(metadata.metadata_file(r["path"], "primary"))
                    metadata.with_epochs(r["path"], packages, self._plain[r["path"]])
                r = {**r, "path": self._plain[r["path"]]}
            out.append(r)
        return out

    def host(self, name, path, arch, repos, names, notices):
        """One real host; names and notices bound how many single packages and advisories are asked for, None is all."""
        installed = metadata.read_packages(os.path.join(self.data, path))

        def sets():
            rnd = random.Random(f"{self.seed} {name}")
            pick = self.population.upgradable(installed)
            ids = self.population.applicable(installed)
            requests = [Request("all")] + ([Request(k) for k in ("security", "security-newest", "bugfix")] if ids else [])
            requests += [Request("package", n) for n in (pick if names is None else some(rnd, pick, names))]
            for i in ids if notices is None else some(rnd, ids, notices):
                requests += [Request("advisory", i), Request("advisory-newest", i)]
            yield name, installed, requests

        self.population = Population(name, arch, repos, sets, self.plain(repos))
        return self.population

    def random_el7(self, count):
        """Sets from CentOS 7.2 before RHEL 7.3; a quarter with i686 packages, a quarter broken."""
        old = os.path.join(self.data, "el7-72-to-73/centos-7.2.1511-os")
        primary = metadata.metadata_file(old, "primary")

        def sets():
            drawer = draw.Drawer(metadata.read_packages(primary), [(primary, None)], "x86_64")
            for i in self.numbers("el7", count):
                rnd = random.Random(f"{self.seed} el7 {i}")
                pkgs = drawer.draw(rnd, 50, 3000, foreign=0.15 if i % 4 == 1 else 0.0)
                if i % 4 == 2:
                    pkgs = draw.damage(rnd, pkgs, rnd.randint(1, 5))
                yield f"el7-{i}", pkgs, [Request("all")] + [Request("package", n) for n in some(rnd, pop.upgradable(pkgs), 4)]

        pop = Population("el7-random", "x86_64", self.el7, sets)
        return pop

    def down_el7(self, count):
        """Sets from RHEL 7.3 with CentOS 7.2 in the view: everything is up to date, and single packages go back."""
        old = self.centos72()

        def sets():
            for name, pkgs, rnd in self.down_sets("el7-down", count):
                yield name, pkgs, [Request("all"), Request("sync")] + [Request("downgrade", n) for n in some(rnd, pop.lower(pkgs), 8)]

        pop = Population("el7-down", "x86_64", self.el7 + [repo("centos72", old)], sets)
        return pop

    def centos72(self):
        """The repository of CentOS 7.2, with the files that its primary metadata have."""
        path = os.path.join(self.work, "centos72")
        if not os.path.exists(path):
            packages = metadata.read_packages(metadata.metadata_file(os.path.join(self.data, "el7-72-to-73/centos-7.2.1511-os"), "primary"))
            metadata.write_repo(path, {"primary": metadata.primary(packages), "filelists": metadata.filelists(packages)})
        return path

    def down_sets(self, name, count):
        """Sets drawn from RHEL 7.3, with their names and what more is drawn from."""
        parts = [(metadata.metadata_file(r["path"], "primary"), metadata.metadata_file(r["path"], "filelists")) for r in self.el7]
        packages = {}
        for primary, lists in parts:
            packages.update((p.nevra, p) for p in metadata.with_required_files(metadata.read_packages(primary), lists))
        drawer = draw.Drawer(packages.values(), parts, "x86_64")
        for i in self.numbers(name, count):
            rnd = random.Random(f"{self.seed} down {i}")
            pkgs = drawer.draw(rnd, 50, 1500, foreign=0.15 if i % 4 == 1 else 0.0)
            yield f"{name}-{i}", draw.damage(rnd, pkgs, rnd.randint(1, 5)) if i % 4 == 2 else pkgs, rnd

    def back_el7(self, count):
        """Sets from RHEL 7.3 that are to go back to the repository as it was before, CentOS 7.2."""
        old = self.centos72()

        def sets():
            for name, pkgs, _ in self.down_sets("el7-back", count):
                yield name, pkgs, [Request("sync")]

        return Population("el7-back", "x86_64", [repo("centos72", old)], sets)

    def aged(self, name, source, arch, count, most):
        """Sets from a repository with one build of everything, part of them at a build that is made older."""
        primary = metadata.metadata_file(source["path"], "primary")

        def sets():
            lists = metadata.metadata_file(source["path"], "filelists")
            drawer = draw.Drawer(metadata.with_required_files(metadata.read_packages(primary), lists), [(primary, lists)], arch)
            for i in self.numbers(name, count):
                rnd = random.Random(f"{self.seed} {name} {i}")
                pkgs = drawer.draw(rnd, 50, most, foreign=0.15 if i % 4 == 1 else 0.0)
                pkgs = draw.age(rnd, pkgs, rnd.uniform(0.1, 0.9))
                if i % 4 == 2:
                    pkgs = draw.damage(rnd, pkgs, rnd.randint(1, 5))
                yield f"{name}-{i}", pkgs, self.kinds(rnd, pop, pkgs)

        pop = Population(name, arch, [source], sets, self.plain([source]))
        return pop

    @staticmethod
    def kinds(rnd, pop, pkgs):
        requests = [Request("all")]
        if pop.advisories:
            requests += [Request("security"), Request("security-newest"), Request("bugfix")]
        requests += [Request("package", n) for n in some(rnd, pop.upgradable(pkgs), 4)]
        for i in some(rnd, pop.applicable(pkgs), 5):
            requests += [Request("advisory", i), Request("advisory-newest", i)]
        return requests

    @staticmethod
    def fixes(rnd, pop, pkgs):
        """Requests by CVE, by severity, and by several notices."""
        ids = pop.applicable(pkgs)
        cves = sorted({c for a in pop.advisories if a["id"] in ids for c in a["cves"]})
        requests = [Request(rnd.choice(("cve", "cve-newest")), c) for c in some(rnd, cves, 3)]
        if ids:
            requests += [Request(rnd.choice(("severity", "severity-newest")), rnd.choice(("Critical", "Important", "Low")))]
            requests += [Request(rnd.choice(("advisory", "advisory-newest")), " ".join(some(rnd, ids, 3)))]
        return requests

    @staticmethod
    def ruled(rnd, pop, pkgs):
        """Requests with a policy: a name is held, pinned to a version, or to be installed."""
        names = [n for n in pop.upgradable(pkgs) if not any(p.only() for p in pkgs if p.name == n)]
        requests = [Request("hold", n) for n in some(rnd, names, 2)]
        for n in some(rnd, names, 2):
            versions = sorted({p.version for p in pop.packages if p.name == n})
            requests.append(Request("pin", f"{n} {rnd.choice(versions)}"))
        have = {p.name for p in pkgs}
        fresh = sorted({p.name for p in pop.packages if p.arch != "i686"} - have)
        requests += [Request("install", n) for n in some(rnd, fresh, 2)] + [Request("remove", n) for n in some(rnd, sorted(have), 3)]
        requests += [Request("allow_arch_change", "*"), Request("allow_downgrade", "*"), Request("arches", "*-libs x86_64 i686")]
        return requests + [Request("instead", f"{n} {rnd.choice(fresh)}") for n in some(rnd, fresh, 1)]

    def middle(self, count, most):
        """Sets two builds behind, the build between them in a second repository with advisories of its own: the version that
        fixes is not the newest."""
        source = self.el6[0]
        primary, lists = (metadata.metadata_file(source["path"], k) for k in ("primary", "filelists"))
        packages = metadata.with_required_files(metadata.read_packages(primary), lists)
        rnd = random.Random(f"{self.seed} middle")
        between = draw.age(rnd, packages, 1.0, "0.")
        between = [p for p in between if p.release.startswith("0.")]
        path = os.path.join(self.work, "middle")
        metadata.write_repo(path, {"primary": metadata.primary(between), "filelists": metadata.filelists(between),
                                   "updateinfo": notices(rnd, between)})

        def sets():
            drawer = draw.Drawer(packages, [(primary, lists)], "x86_64")
            for i in self.numbers("el6-middle", count):
                rnd = random.Random(f"{self.seed} middle {i}")
                pkgs = drawer.draw(rnd, 50, most, foreign=0.15 if i % 4 == 1 else 0.0)
                pkgs = draw.age(rnd, pkgs, rnd.uniform(0.2, 0.9), "0.0.")
                if i % 4 == 2:
                    pkgs = draw.damage(rnd, pkgs, rnd.randint(1, 5))
                yield f"el6-middle-{i}", pkgs, self.kinds(rnd, pop, pkgs)

        pop = Population("el6-middle", "x86_64", [self.el6[0], repo("middle", path)], sets, self.plain([self.el6[0], repo("middle", path)]))
        return pop

    def open_sets(self, name, source, count, arch="x86_64", names=None):
        """Sets from a repository that is not closed: nearly every package is broken before, which the plan must take as given."""
        packages = metadata.read_packages(metadata.metadata_file(source["path"], "primary"))

        def sets():
            for i in self.numbers(name, count):
                rnd = random.Random(f"{self.seed} {name} {i}")
                pkgs = [p for p in packages if p.arch in (arch, "noarch") and (names is None or p.name in names)]
                pkgs = rnd.sample(pkgs, min(len(pkgs), rnd.randint(50, 400)))
                seen = {}
                for p in sorted(pkgs, key=lambda p: p.nevra):
                    seen[p.na] = p
                pkgs = draw.age(rnd, list(seen.values()), rnd.uniform(0.2, 0.9))
                yield f"{name}-{i}", pkgs, self.kinds(rnd, pop, pkgs)

        pop = Population(name, arch, [source], sets, self.plain([source]))
        return pop

    def drawn(self, number, count, back=False):
        """Installed sets before repositories that are drawn from nothing: older builds in one, newer ones in the other. back: the view has the
        older ones alone, as before the newer ones came."""
        rnd = random.Random(f"{self.seed} synthetic {number}")
        world = synthetic.World(rnd, rnd.randint(8, 70))
        cut = {s.number: rnd.randint(0, len(s.builds) - 1) for s in world.sources}
        paths = [os.path.join(self.work, f"synthetic-{'back-' if back else ''}{number}-{part}") for part in ("base", "updates", "all")]
        world.write(paths[0], lambda s, b: b.number <= cut[s.number])
        world.write(paths[1], lambda s, b: b.number > cut[s.number])
        packages = world.write(paths[2], lambda s, b: True)
        repos = [repo("base", paths[0], rnd.choice((99, 99, 99, 50))), repo("updates", paths[1], rnd.choice((99, 99, 99, 50)))]
        repos = repos[:1] if back else repos
        for r in repos:
            if rnd.random() < 0.15:
                r["exclude"] = globs(rnd, packages, packages)
        name = f"synthetic-{'back-' if back else ''}{number}"

        def sets():
            drawn = {}
            older, whole = (draw.Drawer(packages, [[metadata.metadata_file(path, k) for k in ("primary", "filelists")]], "x86_64")
                            for path in (paths[0], paths[2]))
            for i in range(count):
                rnd = random.Random(f"{self.seed} {name} {i}")
                try:
                    pkgs = (whole if back or i % 3 == 2 else older).draw(rnd, 1, 400, foreign=0.15)
                except ValueError:  # a small world in which nothing can be installed
                    continue
                pkgs += more_kernels(rnd, packages, pkgs) + more_arches(rnd, packages, pkgs)
                drawn[i] = rnd, draw.damage(rnd, pkgs, rnd.randint(1, 5)) if i % 4 == 2 else pkgs
            for i, (rnd, pkgs) in drawn.items():
                if i not in self.numbers(name, count):
                    continue
                requests = self.kinds(rnd, pop, pkgs) + self.fixes(rnd, pop, pkgs) + [Request("weak"), Request("repair")]
                requests += [Request("downgrade", n) for n in some(rnd, pop.lower(pkgs), 4)] + [Request("sync")]
                requests += self.ruled(rnd, pop, pkgs)
                requests += [Request("lock", j, [p.nevra for p in other]) for j, (_, other) in drawn.items() if j != i]
                pop.enabled[f"{name}-{i}"] = world.enabled(rnd)
                pop.keep[f"{name}-{i}"] = rnd.choice((0, 2, 3))
                if rnd.random() < 0.3:
                    pop.excludes[f"{name}-{i}"] = globs(rnd, pop.packages, pkgs)
                yield f"{name}-{i}", pkgs, requests

        pop = Population(name, "x86_64", repos, sets, self.plain(repos))
        pop.loyal = rnd.random() < 0.3
        pop.streams = {p.nevra: (s.name, world.modular[s.number, b.number]) for s, b, (p, _) in world.packages
                       if (s.number, b.number) in world.modular and not (back and b.number > cut[s.number])}  # of builds that no view has nobody knows it
        return pop

    def names_of(self, listing):
        """The package names of an rpm -qa listing."""
        with open(os.path.join(self.data, listing)) as f:
            return {line.strip().rsplit("-", 2)[0] for line in f if line.strip()}

    def f25(self):
        return repo("f25", os.path.join(self.data, "rpmmd-formats/f25-override"))


def more_kernels(rnd, packages, pkgs):
    """Other builds of the kernels that a set has, to be installed beside them."""
    names, have = {p.name for p in pkgs if p.only()}, {p.nevra for p in pkgs}
    evrs = {p.evr for p in packages if p.name in names and rnd.random() < 0.5}
    return [p for p in packages if p.name in names and p.evr in evrs and p.nevra not in have]


def more_arches(rnd, packages, pkgs):
    """The i686 builds of half of the libraries that a set has: seeds alone hardly ever meet in both arches."""
    have, evrs = {p.nevra for p in pkgs}, {(p.name, p.evr) for p in pkgs if rnd.random() < 0.5}
    return [p for p in packages if p.arch == "i686" and (p.name, p.evr) in evrs and p.nevra not in have]


def globs(rnd, *lists):
    """A few globs as people write them to exclude packages, after packages of the lists."""
    out = []
    for packages in lists[:rnd.randint(1, len(lists))]:
        p = rnd.choice(packages)
        epoch = "" if p.epoch == "0" else p.epoch + ":"
        out.append(rnd.choice((p.name, p.name, p.name + "*", p.name[:-1] + "?", f"{p.name}.{p.arch}", "*-libs", f"{p.name}-{p.version}*", f"{p.name}-{p.version}-{p.release}",
                               p.nevra, f"{p.name}-{epoch}{p.version}-{p.release}.{p.arch}", f"*-{p.version}-{p.release}", f"{p.name}*.{p.arch}")))
    return out


def excluded(glob, p):
    """Whether a glob of a package manager's configuration names a package, in one of the forms that dnf(8) gives under Specifying packages."""
    evrs = [f"{p.version}-{p.release}", f"{p.epoch}:{p.version}-{p.release}"]
    versions = [p.version, f"{p.epoch}:{p.version}"]
    forms = [p.name, f"{p.name}.{p.arch}", *(f"{p.name}-{v}" for v in evrs + versions), *(f"{p.name}-{e}.{p.arch}" for e in evrs)]
    return any(fnmatch.fnmatchcase(f, glob) for f in forms)


def notices(rnd, packages):
    """An updateinfo in which a third of the source packages has an advisory, half of them security."""
    groups = {}
    for p in packages:
        groups.setdefault(p.source, []).append(p)
    return metadata.updateinfo([(f"MID-{n}", rnd.choice(("security", "bugfix")), groups[source])
                                for n, source in enumerate(sorted(groups)) if rnd.random() >= 0.67])
