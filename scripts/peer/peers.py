"""Those that are asked: cpacman's planner in its own process, dnf through its Python interface, python3-solv. All answer with
(in, out): the NEVRAs that come to the host and those that leave it, as frozensets. And rpm, which judges an answer."""
import importlib.util
import json
import logging
import os
import re
import subprocess
from xml.etree import ElementTree

import dnf
import hawkey
import rpm
import solv

import metadata

logging.getLogger("dnf").setLevel(logging.CRITICAL)


POLICIES = ("hold", "pin", "install", "remove", "allow_arch_change", "arches", "instead", "allow_downgrade")
OURS_ALONE = ("repair", "lock", *POLICIES[3:])
MAGIC = b"\x8e\xad\xe8\x01\0\0\0\0"  # before a header in a file
FIRST_TAG = 1000  # below are regions and signatures


class Failed(Exception):
    """A peer that could not answer."""


class Ours:
    """The planner, asked line by line."""

    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, "GOMAXPROCS": "1"})

    def ask(self, op, **fields):
        self.process.stdin.write(json.dumps({"op": op, **fields}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("peer: the planner's process ended: this is a defect of the planner or of the harness")
        answer = json.loads(line)
        if answer.get("error"):
            raise Failed(answer["error"])
        return answer

    def plan(self, request):
        answer = self.ask("plan", **request.words())
        return frozenset(answer.get("in", ())), frozenset(answer.get("out", ()))

    def check(self, request, change):
        answer = self.ask("check", **request.words(), **{"in": sorted(change[0]), "out": sorted(change[1])})
        return answer.get("faults") or []

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Request:
    """What is asked, in everybody's words."""

    def __init__(self, kind, value=None, target=()):
        # all, weak, security, security-newest, bugfix, advisory, advisory-newest, cve and severity like advisory, package, downgrade, sync, one of POLICIES;
        # repair and lock, which dnf has not
        self.kind, self.value, self.target = kind, value, target

    def __str__(self):
        return self.kind + (f" {self.value}" if self.value else "")

    def filter(self):
        f = {}
        if self.kind.startswith("security"):
            f["security"] = True
        elif self.kind == "bugfix":
            f["bugfix"] = True
        elif self.kind.startswith("advisory"):
            f["advisories"] = self.value.split()
        elif self.kind.startswith("cve"):
            f["cves"] = [self.value]
        elif self.kind.startswith("severity"):
            f["severities"] = [self.value]
        elif self.kind in ("package", "downgrade"):
            f["packages"] = [self.value]
        if self.kind.endswith("-newest"):
            f["newest"] = True
        return f

    def words(self):
        """The planner's fields."""
        kind = {"sync": "downgrade"}.get(self.kind, self.kind)
        return {"filter": self.filter(), "type": kind if kind in ("downgrade", "repair", "lock") else "", "weak": self.kind == "weak",
                "target": list(self.target), "policies": self.policies()}

    def by_notices(self):
        return self.kind.split("-")[0] in ("security", "bugfix", "advisory", "cve", "severity")

    def policies(self):
        """The rules of a policy that a request stands for."""
        if self.kind not in POLICIES:
            return []
        name, _, value = self.value.partition(" ")
        rule = {"Action": self.kind, "Pattern": name, "Policy": "p", "Priority": 1}
        return [{**rule, "Arches": value.split()} if self.kind == "arches" else {**rule, "Value": value}]

    def closes(self, p, installed):
        """Whether the request keeps a build out: what is held, or pinned to another version, and what would replace that."""
        if self.kind not in ("hold", "pin"):
            return False
        name, _, version = self.value.partition(" ")
        return p.name == name and p.version != version or any(i.name == name != p.name and p.obsoletes(i) for i in installed)


class Dnf:
    """dnf over one installed set. The rpm database is found through HOME/.rpmmacros, which the harness has written."""

    def __init__(self, root, repos, arch, cache, loyal=False, keep=0, exclude=()):
        conf = dnf.conf.Conf()
        conf.allow_vendor_change = not loyal
        conf.excludepkgs = list(exclude)
        conf.installroot, conf.cachedir = root, cache
        conf.substitutions.update({"arch": arch, "basearch": "i386" if arch == "i686" else arch, "releasever": "7"})
        for key, value in (("install_weak_deps", False), ("best", False), ("obsoletes", True), ("gpgcheck", False), ("plugins", False),
                           ("installonly_limit", keep), ("metadata_expire", -1), ("clean_requirements_on_remove", False),
                           ("protect_running_kernel", False), ("ignorearch", False), ("module_platform_id", "platform:el9")):
            setattr(conf, key, value)
        if hasattr(conf, "optional_metadata_types"):  # dnf from 4.19 on knows no files beyond those in primary unless told
            conf.optional_metadata_types = ["filelists"]
        conf.persistdir, conf.logdir = os.path.join(root, "persist"), os.path.join(root, "log")
        os.makedirs(conf.logdir, exist_ok=True)
        self.base, self.keep = dnf.Base(conf), keep
        for r in repos:
            added = self.base.repos.add_new_repo(r["id"], conf, baseurl=["file://" + r["path"]], priority=r["priority"])
            added.excludepkgs = r.get("exclude", [])
        self.base.fill_sack(load_system_repo=True)
        self.installed = len(self.base.sack.query(hawkey.IGNORE_EXCLUDES).installed())

    def mark(self, request):
        base = self.base
        if request.kind.startswith("security"):
            base.add_security_filters("gte" if request.kind.endswith("-newest") else "eq", types=["security"])
        elif request.kind == "bugfix":
            base.add_security_filters("eq", types=["bugfix"])
        elif request.kind.startswith(("advisory", "cve", "severity")):
            word = {"cve": "cves"}.get(request.kind.split("-")[0], request.kind.split("-")[0])
            base.add_security_filters("gte" if request.kind.endswith("-newest") else "eq", **{word: request.value.split()})
        if request.kind == "package":
            base.upgrade(request.value)
        elif request.kind == "downgrade":
            base.downgrade_to(request.value, strict=True)
        elif request.kind == "sync":
            base.distro_sync()
        elif request.kind == "install":
            base.upgrade_all()
            base.install(request.value, strict=False)
        else:
            base.upgrade_all()

    def ask(self, request, exclude=()):
        """What dnf would do; None where it refuses all of a distro-sync because one package cannot be where it should."""
        base = self.base
        self.reset(exclude)
        base.conf.install_weak_deps = request.kind == "weak"
        try:
            self.mark(request)
            base.resolve()
        except dnf.exceptions.MarkingError:
            return frozenset(), frozenset()
        except dnf.exceptions.DepsolveError as e:
            if self.keep and request.kind == "package":  # it cannot do without a kernel that it would remove
                return self.keeping_all(lambda: self.ask(request, exclude))
            if request.kind == "sync":
                return None
            if request.kind != "downgrade":  # an upgrade leaves out what cannot be; this is asked for strictly
                raise Failed(f"dnf: {e}") from e
            return frozenset(), frozenset()
        except dnf.exceptions.Error as e:
            raise Failed(f"dnf: {e}") from e
        return self.answer()

    def answer(self):
        t = self.base.transaction
        return frozenset(named(p) for p in t.install_set), frozenset(named(p) for p in t.remove_set)

    def keeping_all(self, do):
        """The answer where no kernel is removed to make room for another."""
        keep, self.keep, self.base.sack.installonly_limit = self.keep, 0, 0
        try:
            return do()
        finally:
            self.keep = self.base.sack.installonly_limit = keep

    def reset(self, exclude):
        """Forgets the last request; besides what the configuration excludes, the builds and name.arches given are."""
        base = self.base
        base.reset(goal=True)
        base.reset_security_filters()
        base.sack.reset_excludes()
        base._setup_excludes_includes()
        if exclude:
            base.sack.add_excludes([p for p in base.sack.query().available() if named(p) in exclude or (p.name, p.arch) in exclude])

    def possible(self, wanted, exclude=()):
        """Whether dnf can bring all of the given builds at once, strictly and without erasing anything."""
        base = self.base
        self.reset(exclude)
        base.conf.install_weak_deps = False
        for n in wanted:
            hits = [p for p in base.sack.query().available().filter(name=n.rsplit("-", 2)[0]) if named(p) == n]
            if not hits:
                return None
            base.goal.install(hits[0])
        try:
            base.resolve(allow_erasing=False)
        except dnf.exceptions.Error:
            return None
        return self.answer()

    def close(self):
        self.base.close()


def named(p):
    return metadata.nevra(p.name, (str(p.epoch), p.version, p.release), p.arch)


class Rpm:
    """rpm itself, over one installed set: what `rpm -U --test` would say of the dependencies of a transaction, from headers alone."""

    METADATA = '<metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm">%s</metadata>'

    def __init__(self, root, tool, packages):
        spec = importlib.util.spec_from_file_location("mkrpmdb", tool)
        self.maker = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.maker)
        self.root, self.packages, self.headers = root, packages, {}

    def header(self, nevra):
        if nevra not in self.headers:
            element = ElementTree.fromstring(self.METADATA % self.packages[nevra].text)[0]
            self.headers[nevra] = self.complete(rpm.hdr(self.maker.header(element)[len(MAGIC):]), self.packages[nevra])
        return self.headers[nevra]

    def complete(self, old, package):
        """The header with what the tool leaves out, weak dependencies without their versions. It is made anew: what is added to one that was read is outside its region,
        and nobody's word."""
        header = rpm.hdr()
        for tag in old.keys():
            if tag >= FIRST_TAG:
                header[tag] = old[tag]
        for kind in ("recommend", "supplement"):
            names = [d[0] for d in package.deps(kind + "s")]
            if names:
                tag = "RPMTAG_" + kind.upper()
                header[getattr(rpm, tag + "NAME")] = names
                header[getattr(rpm, tag + "FLAGS")] = [0] * len(names)
                header[getattr(rpm, tag + "VERSION")] = [""] * len(names)
        return rpm.hdr(header.unload())

    def objects(self, change, erases=True):
        """What rpm has against a transaction: unmet dependencies, conflicts, and packages that it would erase, or keep, against our word.
        erases: what it keeps leaves by rpm -e."""
        ts = rpm.TransactionSet(self.root)
        ts.setVSFlags(-1)
        for n in sorted(change[0]):
            ts.addInstall(self.header(n), n, "i" if self.packages[n].only() else "u")
        gone = {metadata.nevra(e.N(), (e.E() or "0", e.V(), e.R()), e.A()) for e in ts if e.Type() == rpm.TR_REMOVED}
        for n in sorted(change[1] - gone):
            if erases or self.packages[n].only():  # of these what is one too many leaves in a step of its own
                ts.addErase(n)
        out = [str(p) for p in ts.check() or ts.problems() or []]
        ts.clean()
        ts.closeDB()
        out += [f"rpm erases {n}" for n in sorted(gone - change[1])]
        return out if erases else out + [f"rpm keeps {n}" for n in sorted(change[1] - gone) if not self.packages[n].only()]


class Solv:
    """libsolv itself, with the flags that make it answer as dnf does."""

    FLAGS = ("ALLOW_VENDORCHANGE", "YUM_OBSOLETES", "BEST_OBEY_POLICY", "KEEP_ORPHANS", "IGNORE_RECOMMENDED")

    def __init__(self, repos, arch):
        self.pool = solv.Pool()
        self.pool.setdisttype(solv.Pool.DISTTYPE_RPM)
        self.pool.setarch(arch)
        for r in repos:
            repo = self.pool.add_repo(r["id"])
            repo.priority = -r["priority"]
            repo.add_rpmmd(solv.xfopen(metadata.metadata_file(r["path"], "primary")), None, 0)
            lists = metadata.metadata_file(r["path"], "filelists")
            if lists:
                repo.add_rpmmd(solv.xfopen(lists), "FL", solv.Repo.REPO_LOCALPOOL | solv.Repo.REPO_EXTEND_SOLVABLES)
        self.system = None

    def host(self, primary_path):
        """Takes another installed set; the repositories stay."""
        if self.system:
            self.system.free(True)
        self.system = self.pool.add_repo("@system")
        self.system.add_rpmmd(solv.xfopen(primary_path), None, 0)
        self.pool.installed = self.system
        self.pool.addfileprovides()
        self.pool.createwhatprovides()

    def upgrade_all(self):
        solver = self.pool.Solver()
        for f in self.FLAGS:
            solver.set_flag(getattr(solv.Solver, "SOLVER_FLAG_" + f), 1)
        jobs = []
        for text in ("kernel", "kernel-PAE", "installonlypkg(kernel)"):
            dep = self.pool.str2id(text)
            jobs.append(self.pool.Job(solv.Job.SOLVER_MULTIVERSION | solv.Job.SOLVER_SOLVABLE_PROVIDES, dep))
        jobs += self.pool.Selection_all().jobs(solv.Job.SOLVER_UPDATE)
        problems = solver.solve(jobs)
        if problems:
            raise Failed("solv: " + "; ".join(str(p) for p in problems)[:300])
        t = solver.transaction()
        inn = {solvable(s) for s in t.newsolvables()}
        kept = {s.id for s in t.keptsolvables()}
        out = {solvable(s) for s in self.system.solvables if s.id not in kept}
        return frozenset(inn), frozenset(out)


def solvable(s):
    epoch, rest = re.fullmatch(r"(?:(\d+):)?(.*)", s.evr).groups()
    version, release = rest.rsplit("-", 1)
    return metadata.nevra(s.name, (epoch or "0", version, release), s.arch)
