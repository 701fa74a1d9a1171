"""Installed sets drawn at random from a repository and closed under dependencies by python3-solv, so that they owe nothing to
cpacman; made older, or broken, where a population asks for it."""
import math

import solv

import metadata


class Drawer:
    """Draws for one architecture from repositories taken together: (primary, filelists or None) for each."""

    def __init__(self, packages, repos, arch):
        self.arch = arch
        self.packages = {p.nevra: p for p in packages}
        self.pool = solv.Pool()
        self.pool.setdisttype(solv.Pool.DISTTYPE_RPM)
        self.pool.setarch(arch)
        self.repo = self.pool.add_repo("from")
        for primary, filelists in repos:
            self.repo.add_rpmmd(solv.xfopen(primary), None, 0)
            if filelists:
                self.repo.add_rpmmd(solv.xfopen(filelists), "FL", solv.Repo.REPO_LOCALPOOL | solv.Repo.REPO_EXTEND_SOLVABLES)
        self.pool.addfileprovides()
        self.pool.createwhatprovides()
        self.all = [s for s in self.repo.solvables if s.arch not in ("src", "nosrc") and self.pool.isknownarch(s.archid)]

    def key(self, s):
        evr = s.evr if ":" in s.evr else "0:" + s.evr
        epoch, rest = evr.split(":", 1)
        version, release = rest.rsplit("-", 1)
        return metadata.nevra(s.name, (epoch, version, release), s.arch)

    def close(self, seeds):
        """The packages of the smallest system that libsolv makes of the seeds; what cannot be had together is left out."""
        solver = self.pool.Solver()
        solver.set_flag(solv.Solver.SOLVER_FLAG_IGNORE_RECOMMENDED, 1)
        jobs = [self.pool.Job(solv.Job.SOLVER_INSTALL | solv.Job.SOLVER_WEAK | solv.Job.SOLVER_SOLVABLE, s.id) for s in seeds]
        if solver.solve(jobs):
            return []
        return [self.packages[self.key(s)] for s in solver.transaction().newsolvables() if self.key(s) in self.packages]

    def draw(self, rnd, least, most, foreign=0.0):
        """A closed set of at least `least` and at most `most` packages. foreign is the share of seeds of other than the native
        arch and noarch."""
        pool = self.all
        native = [s for s in pool if s.arch in (self.arch, "noarch")]
        other = [s for s in pool if s.arch not in (self.arch, "noarch")]
        for _ in range(1000):
            count = round(math.exp(rnd.uniform(math.log(2), math.log(max(3, min(len(pool), most // 2))))))
            seeds = [rnd.choice(other) if other and rnd.random() < foreign else rnd.choice(native) for _ in range(count)]
            out = self.close(seeds)
            if least <= len(out) <= most:
                return sorted(out, key=lambda p: p.nevra)
        raise ValueError(f"a thousand draws gave no set of {least} to {most} packages")


def age(rnd, packages, share, prefix="0."):
    """The set with a share of its source packages at an older build."""
    groups = {}
    for p in packages:
        groups.setdefault(p.source, []).append(p)
    out = []
    for source in sorted(groups):
        old = metadata.older(groups[source], prefix) if rnd.random() < share else None
        out += old or groups[source]
    return sorted(out, key=lambda p: p.nevra)


def damage(rnd, packages, count):
    """The set without some packages, whoever needs them."""
    gone = set(rnd.sample(range(len(packages)), min(count, len(packages) // 10)))
    return [p for i, p in enumerate(packages) if i not in gone]
