"""Those that are asked: cpacman's planner in its own process, python3-solv, and, in files of their own, dnf4 and dnf5. All answer with
(in, out): the NEVRAs that come to the host and those that leave it, as frozensets. And rpm, which judges an answer."""
import importlib.util
import json
import os
import re
import struct
import subprocess
from xml.etree import ElementTree

import rpm
import solv

import metadata


POLICIES = ("hold", "pin", "install", "remove", "allow_arch_change", "arches", "instead", "allow_downgrade")
OURS_ALONE = ("repair", "lock", *POLICIES[3:])
MAGIC = b"\x8e\xad\xe8\x01\0\0\0\0"  # before a header in a file
IMAGE, IMMUTABLE = 61, 63  # tags of regions
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


def of_today(header):
    """A header that was made, as packages have it: all of it in a region. rpm's Python interface makes those of packages of rpm 3, which rpm 6 takes no more."""
    blob = bytearray(rpm.hdr(header.unload()).unload())
    entries, _ = struct.unpack(">II", blob[:8])
    tag, _, offset, _ = struct.unpack(">IIiI", blob[8:24])
    if tag == IMAGE:
        for at in (8, 8 + 16 * entries + offset):  # its entry, and its end
            blob[at:at + 4] = struct.pack(">I", IMMUTABLE)
    return rpm.hdr(bytes(blob))


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
        return of_today(header)

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
