#!/usr/bin/python3
"""Proves that the classification cannot be talked into agreement: each case has a difference and the only verdict that it may get.
Run by itself: /usr/bin/python3 scripts/peer/weigh_test.py"""
import re
import unittest

from metadata import Package
from peers import Request
from weigh import (ALL_OR_NOTHING, CHAIN, LOCKSTEP, MODULES, NEWER, PARTS, SAME_ARCH, STEPS, TIE, TRIMMED, Host, by_preference, explain, from_faults, narrowed,
                   needless, parts_of, siblings_of, split_of, told_ours, trims)


def package(text, requires=(), obsoletes=(), recommends=(), supplements=()):
    """A package from its NEVRA."""
    name, evr, arch = re.fullmatch(r"(.+)-([^-]+-[^-]+)\.([a-z0-9_]+)", text).groups()
    version, release = evr.split("-")
    def entries(kind, names):
        return f"<rpm:{kind}>" + "".join(f'<rpm:entry name="{n}"/>' for n in names) + f"</rpm:{kind}>"
    return Package(f'<package type="rpm"><name>{name}</name><arch>{arch}</arch><version epoch="0" ver="{version}" rel="{release}"/>'
                   f'<format>{entries("requires", requires)}{entries("obsoletes", obsoletes)}{entries("recommends", recommends)}{entries("supplements", supplements)}</format></package>')


def change(text):
    words = text.split()
    return frozenset(w[1:] for w in words if w[0] == "+"), frozenset(w[1:] for w in words if w[0] == "-")


class Explain(unittest.TestCase):
    def verdict(self, installed, available, ours, theirs, again=None, faults=(), together=None, request=None, insisted=None, strong=""):
        """again: what the peer answers to each further question, a function of what is excluded. insisted: what it does where it has to bring builds, a
        function of these and of what is excluded."""
        def packages(l):
            return [package(*p) if isinstance(p, tuple) else package(p) for p in l]
        host = Host(packages(installed), packages(available), "x86_64")
        host.strong = change(strong)[0]
        def ask(exclude):
            return change(again(exclude))
        found, rules, _ = explain(host, request or Request("all"), change(ours), change(theirs), ask, lambda c: list(faults),
                                  lambda builds, exclude: change(t) if (t := together(builds) if callable(together) else together) is not None else None,
                                  insist=lambda builds, exclude: change(insisted(builds, exclude)) if insisted else None)
        return found, rules

    def test_same(self):
        self.assertEqual(self.verdict(["a-1-1.noarch"], ["a-2-1.noarch"], "+a-2-1.noarch -a-1-1.noarch", "-a-1-1.noarch +a-2-1.noarch"),
                         ("same", []))

    def test_an_update_that_we_miss(self):
        self.assertEqual(self.verdict(["a-1-1.noarch"], ["a-2-1.noarch"], "", "-a-1-1.noarch +a-2-1.noarch")[0], "unexplained")

    def test_an_older_target(self):
        got = self.verdict(["a-1-1.noarch"], ["a-2-1.noarch", "a-3-1.noarch"], "-a-1-1.noarch +a-2-1.noarch", "-a-1-1.noarch +a-3-1.noarch")
        self.assertEqual(got[0], "unexplained")

    def test_a_package_too_many(self):
        got = self.verdict(["a-1-1.noarch"], ["a-2-1.noarch", "b-1-1.noarch"], "-a-1-1.noarch +a-2-1.noarch +b-1-1.noarch",
                           "-a-1-1.noarch +a-2-1.noarch")
        self.assertEqual(got[0], "unexplained")

    def test_a_package_moved_that_nobody_asked_for(self):
        got = self.verdict(["a-1-1.noarch", "b-1-1.noarch"], ["a-2-1.noarch", "b-2-1.noarch"],
                           "-a-1-1.noarch +a-2-1.noarch -b-1-1.noarch +b-2-1.noarch", "-a-1-1.noarch +a-2-1.noarch", request=Request("package", "a"))
        self.assertEqual(got[0], "unexplained")

    def test_an_obsoleted_package_that_we_keep(self):
        got = self.verdict(["a-1-1.noarch"], [("b-1-1.noarch", (), ("a",))], "", "-a-1-1.noarch +b-1-1.noarch")
        self.assertEqual(got[0], "unexplained")

    def two_providers(self, together):
        return self.verdict(["a-1-1.noarch"], ["a-2-1.noarch", "b-1-1.noarch", "c-1-1.noarch"], "-a-1-1.noarch +a-2-1.noarch +b-1-1.noarch",
                            "-a-1-1.noarch +a-2-1.noarch +c-1-1.noarch", together=together)

    def test_two_providers(self):
        self.assertEqual(self.two_providers("-a-1-1.noarch +a-2-1.noarch +b-1-1.noarch"), ("explained", [TIE]))

    def test_two_providers_of_which_ours_is_none(self):
        self.assertEqual(self.two_providers(None)[0], "unexplained")
        self.assertEqual(self.two_providers("-a-1-1.noarch +a-2-1.noarch +b-1-1.noarch +c-1-1.noarch")[0], "unexplained")

    def test_another_arch(self):
        got = self.verdict(["a-1-1.noarch"], ["a-2-1.x86_64"], "", "-a-1-1.noarch +a-2-1.x86_64",
                           lambda x: "" if ("a", "x86_64") in x else "-a-1-1.noarch +a-2-1.x86_64")
        self.assertEqual(got, ("explained", [SAME_ARCH]))

    def test_another_arch_and_an_update_that_we_miss(self):
        got = self.verdict(["a-1-1.noarch", "b-1-1.noarch"], ["a-2-1.x86_64", "b-2-1.noarch"], "",
                           "-a-1-1.noarch +a-2-1.x86_64 -b-1-1.noarch +b-2-1.noarch", lambda x: "-b-1-1.noarch +b-2-1.noarch")
        self.assertEqual(got[0], "unexplained")

    def test_a_reinstall(self):
        got = self.verdict(["a-1-1.noarch"], ["a-1-1.noarch"], "", "-a-1-1.noarch +a-1-1.noarch", lambda x: "")
        self.assertEqual(got, ("explained", [NEWER]))

    lockstep = ["l-1-1.i686", "l-1-1.x86_64"], ["l-2-1.x86_64"], "", "-l-1-1.x86_64 +l-2-1.x86_64", lambda x: ""

    def test_lockstep(self):
        self.assertEqual(self.verdict(*self.lockstep), ("explained", [LOCKSTEP]))

    def test_lockstep_where_both_could_move(self):
        installed, available, *rest = self.lockstep
        got = self.verdict(installed, available + ["l-2-1.i686"], *rest, together="-l-1-1.i686 -l-1-1.x86_64 +l-2-1.i686 +l-2-1.x86_64")
        self.assertEqual(got[0], "unexplained")

    def test_a_package_lowered_that_the_repositories_have(self):
        self.assertEqual(self.lowered("-b-1-1.noarch +b-2-1.noarch -a-2-1.noarch +a-1-1.noarch", "")[0], "unexplained")

    def test_a_package_that_the_peer_lowers(self):
        got = self.lowered("", "-b-1-1.noarch +b-2-1.noarch -a-2-1.noarch +a-1-1.noarch")
        self.assertEqual(got, ("explained", ["preference 1: more of what was asked for moves"]))

    def lowered(self, ours, theirs):
        return self.verdict(["a-2-1.noarch", "b-1-1.noarch"], ["a-1-1.noarch", "a-2-1.noarch", "b-2-1.noarch"], ours, theirs, together=ours,
                            request=Request("sync"))

    def test_a_peer_that_gives_up(self):
        self.assertEqual(self.gives_up("-a-2-1.noarch +a-1-1.noarch", None), ("explained", [ALL_OR_NOTHING]))
        self.assertEqual(self.gives_up("-a-2-1.noarch +a-1-1.noarch", "-a-2-1.noarch +a-1-1.noarch -b-2-1.noarch +b-1-1.noarch")[0], "unexplained")
        self.assertEqual(self.gives_up(None, None)[0], "unexplained")

    def gives_up(self, alone, with_one_more):
        """alone: what the peer makes of our builds; with_one_more: of those and another that we left."""
        host = Host([package("a-2-1.noarch"), package("b-2-1.noarch")], [package("a-1-1.noarch"), package("b-1-1.noarch")], "x86_64")
        answers = {1: alone, 2: with_one_more}
        return explain(host, Request("sync"), change("-a-2-1.noarch +a-1-1.noarch"), None, lambda x: None, lambda c: [],
                       lambda builds, exclude: change(answers[len(builds)]) if answers[len(builds)] else None)[:2]

    def ahead(self, insisted):
        """The peer leaves a where we move it, and moves b where we do not: a comes first."""
        ours = "-a-1-1.noarch +a-2-1.noarch"
        return self.verdict(["a-1-1.noarch", "b-1-1.noarch"], ["a-2-1.noarch", "b-2-1.noarch"], ours, "-b-1-1.noarch +b-2-1.noarch", together=ours,
                            insisted=lambda builds, exclude: insisted)

    def test_a_preference_hides_no_update_that_we_miss(self):
        self.assertEqual(self.ahead("-a-1-1.noarch +a-2-1.noarch"), ("explained", ["preference 1: more of what was asked for moves"]))
        self.assertEqual(self.ahead("-a-1-1.noarch +a-2-1.noarch -b-1-1.noarch +b-2-1.noarch")[0], "unexplained")

    def test_a_rule_hides_no_update_that_it_does_not_forbid(self):
        """Without a-3 the peer leaves a; a-2 was open to us all the time."""
        def case(insisted):
            return self.verdict(["a-1-1.noarch", "b-1-1.noarch"], ["a-2-1.noarch", "a-2-1.x86_64"], "", "-a-1-1.noarch +a-2-1.x86_64", lambda x: "",
                                insisted=insisted)
        self.assertEqual(case(lambda builds, exclude: "")[0], "explained")
        self.assertEqual(case(lambda builds, exclude: "-a-1-1.noarch +a-2-1.noarch")[0], "unexplained")
        self.assertEqual(case(lambda builds, exclude: "" if ("a", "x86_64") in exclude else "-a-1-1.noarch +a-2-1.x86_64")[0], "explained")

    def weak(self, ours, theirs, insisted):
        recommends = ("a-2-1.noarch", (), (), ("r", "s"))
        return self.verdict(["a-1-1.noarch"], [recommends, "r-1-1.noarch", "s-1-1.noarch"], ours, theirs, together=ours, request=Request("weak"),
                            insisted=lambda builds, exclude: insisted, strong="+a-2-1.noarch")[0]

    def test_what_is_recommended_and_we_leave(self):
        without, whole = "-a-1-1.noarch +a-2-1.noarch", "-a-1-1.noarch +a-2-1.noarch +r-1-1.noarch"
        self.assertEqual(self.weak(without, whole, whole), "unexplained")  # fewer new packages explain nothing

    def test_what_is_recommended_instead_of_what_is_asked_for(self):
        ours = "-a-1-1.noarch +a-2-1.noarch +r-1-1.noarch +s-1-1.noarch"
        self.assertEqual(self.weak(ours, "+r-1-1.noarch", ours), "explained")
        self.assertEqual(self.weak("-a-1-1.noarch +a-2-1.noarch", "+r-1-1.noarch", ours), "unexplained")

    def test_another_chain_of_recommendations(self):
        """r and s exclude each other, and ours has r, at an older build than it might be: dnf must be unable to bring what it has beside ours, or a newer r."""
        old = "-a-1-1.noarch +a-2-1.noarch"
        def case(recommends, can, other="s-1-1.noarch"):
            def together(builds):
                if set(builds) == {"a-2-1.noarch", "r-1-1.noarch"}:
                    return f"{old} +r-1-1.noarch"
                return f"{old} " + " ".join("+" + b for b in builds if b[0] != "a") if set(builds) in can else None
            available = [("a-2-1.noarch", (), (), recommends), "r-1-1.noarch", "r-2-1.noarch", "s-1-1.noarch"]
            return self.verdict(["a-1-1.noarch"], available, f"{old} +r-1-1.noarch", f"{old} +{other}", together=together, request=Request("weak"),
                                insisted=lambda builds, exclude: f"{old} +r-1-1.noarch", strong="+a-2-1.noarch")
        self.assertEqual(case("rs", []), ("explained", [CHAIN]))
        self.assertEqual(case("rs", [{"a-2-1.noarch", "r-1-1.noarch", "s-1-1.noarch"}])[0], "unexplained")  # both can be
        self.assertEqual(case("rs", [], other="r-2-1.noarch"), ("explained", [CHAIN]))
        self.assertEqual(case("rs", [{"a-2-1.noarch", "r-2-1.noarch"}], other="r-2-1.noarch")[0], "unexplained")
        self.assertEqual(case("s", [{"a-2-1.noarch"}])[0], "unexplained")  # nobody recommends r

    def test_a_recommendation_that_we_miss(self):
        """Whatever explains the difference, what ours recommends must not be left; what dnf brings beside it for another reason is none."""
        def case(name):
            whole = "-a-1-1.noarch +a-2-1.noarch +r-1-1.noarch +" + name
            available = [("a-2-1.noarch", (), (), ("r",)), ("r-1-1.noarch", (), (), ("s",)), ("t-1-1.noarch", (), (), (), ("r",)), "s-1-1.noarch", "u-1-1.noarch"]
            ours = "-a-1-1.noarch +a-2-1.noarch +r-1-1.noarch"
            return self.verdict(["a-1-1.noarch"], available, ours, whole, together=ours, request=Request("weak"), insisted=lambda builds, exclude: whole,
                                strong="+a-2-1.noarch")[0]
        self.assertEqual([case(n) for n in ("s-1-1.noarch", "t-1-1.noarch", "u-1-1.noarch")], ["unexplained", "unexplained", "explained"])

    def test_a_notice_of_another_stream(self):
        """What lists nothing but builds of streams that are not enabled is not asked of dnf, if the builds are known to be of those."""
        notices = [{"id": f"N-{n}", "type": "security", "status": "final", "severity": "", "cves": [],
                    "packages": [("a", ("0", str(n), "1"), arch) for arch in ("noarch", "x86_64")]} for n in (2, 3)]

        def asked(request, *modular, opened=()):
            host = Host([package("a-1-1.noarch")], [package("a-4-1.noarch")], "x86_64", notices, modular=set(modular), opened=set(opened))
            narrow = narrowed(host, request)
            return narrow and str(narrow)
        every = ("a-2-1.noarch", "a-2-1.x86_64")
        self.assertEqual(asked(Request("security-newest"), *every), "advisory-newest N-3")
        self.assertEqual(asked(Request("advisory", "N-2"), *every), "advisory none")
        self.assertIsNone(asked(Request("advisory", "N-3"), *every))
        self.assertIsNone(asked(Request("security"), *every, opened=["a-2-1.noarch"]))
        self.assertIsNone(asked(Request("security"), "a-2-1.noarch"))
        self.assertIsNone(asked(Request("all"), *every))

    def test_parts_of_a_split(self):
        """Only what comes together with another part explains that rpm refuses the peer's transaction; parts of what may come are let in with it."""
        split = [package(n, (), ("c",)) for n in ("c-2-1.noarch", "c-doc-2-1.noarch")]
        host = Host([package("c-1-1.noarch")], [*split, package("d-1-1.noarch")], "x86_64")
        both, doc = change("+c-2-1.noarch +c-doc-2-1.noarch -c-1-1.noarch"), host.by_nevra["c-doc-2-1.noarch"]
        faults = [{"Kind": "requires", "Text": "after the upgrade: c-doc-2-1.noarch requires x, which nothing provides"}]
        self.assertEqual(from_faults(faults, host, both, ["x is needed by c-doc"]), [(PARTS, "c-2-1.noarch"), (PARTS, "c-doc-2-1.noarch")])
        self.assertIsNone(from_faults(faults, host, both))  # rpm has nothing against it
        self.assertEqual(split_of(host, change("+c-doc-2-1.noarch -c-1-1.noarch"), doc), ())
        self.assertEqual(parts_of(host, {"c-doc-2-1.noarch"}), {"c-doc-2-1.noarch"})
        self.assertEqual(parts_of(host, {"c-doc-2-1.noarch", "c-2-1.noarch"}), set())
        alone = change("+c-2-1.noarch -c-1-1.noarch")
        told = lambda builds, exclude: alone if exclude else both
        host.objects = lambda c: ["x is needed by c-doc"]
        self.assertEqual(told_ours(host, alone, TIE, told), ([TIE, PARTS], both))
        host.objects = lambda c: []
        self.assertEqual(told_ours(host, alone, TIE, told), ([], both))
        new = Host([package("c-1-1.noarch")], [package("d-2-1.noarch", (), ("c",)), package("e-2-1.noarch", (), ("c",))], "x86_64")
        self.assertEqual(siblings_of(new, {"d-2-1.noarch", "not-there-1-1.noarch"}), {"e-2-1.noarch"})
        self.assertEqual(siblings_of(new, {"d-2-1.noarch", "e-2-1.noarch"}), set())

    def test_a_kernel_that_stays(self):
        """Of what the peer removes and we do not: only what rpm has something against may stay."""
        host = Host([package(f"kernel-{n}-1.x86_64") for n in (1, 2, 3)], [package("kernel-4-1.x86_64")], "x86_64")
        ours, theirs = change("+kernel-4-1.x86_64 -kernel-1-1.x86_64"), change("+kernel-4-1.x86_64 -kernel-1-1.x86_64 -kernel-2-1.x86_64")
        self.assertIsNone(needless(host, ours, theirs, lambda c: ["x requires kernel = 2"]))
        self.assertEqual(needless(host, ours, theirs, lambda c: []), ("kernel-2-1.x86_64",))
        self.assertTrue(trims(host, theirs, ours))
        self.assertFalse(trims(host, ours, theirs))
        host.keep, host.excluded = 1, True
        self.assertEqual(by_preference(host, Request("all"), theirs, ours, [], (), lambda builds, exclude: None)[:2], ("explained", [TRIMMED]))
        host.excluded = False  # and the request is for all
        self.assertEqual(by_preference(host, Request("all"), theirs, ours, [], (), lambda builds, exclude: None)[0], "unexplained")
        host.keep = 3  # no more of that name are there
        self.assertFalse(trims(host, theirs, ours))
        self.assertIsNone(needless(host, ours, theirs, lambda c: []))

    def test_refused_for_no_rule(self):
        got = self.verdict(["a-1-1.noarch"], ["a-2-1.noarch"], "", "-a-1-1.noarch +a-2-1.noarch",
                           faults=[{"Kind": "requires", "Text": "after the upgrade: a-2-1.noarch requires b, which nothing provides"}])
        self.assertEqual(got[0], "unexplained")

    def test_the_step_of_install_only(self):
        faults = [{"Kind": "requires", "Text": "after the upgrade: a-2-1.noarch requires kernel >= 2, which nothing provides"}]
        host = ["a-1-1.noarch", "kernel-1-1.x86_64"], ["a-2-1.noarch", "kernel-2-1.x86_64"]
        asked = []

        def again(exclude):
            asked.append(exclude)
            faults.clear()
            return "+kernel-2-1.x86_64"
        got = self.verdict(*host, "+kernel-2-1.x86_64", "-a-1-1.noarch +a-2-1.noarch +kernel-2-1.x86_64", again, faults)
        self.assertEqual((got, asked), (("explained", [STEPS]), [{"a-2-1.noarch"}]))

    def kernel_case(self, *module):
        """dnf brings a kernel, the checker says that an installed module has no build for it."""
        faults = [{"Kind": "module", "Text": "kernel-2-1.x86_64 has no build of kmod-m-1-1.x86_64"}]

        def again(exclude):
            faults.clear()
            return ""
        return self.verdict(["kernel-1-1.x86_64", ("kmod-m-1-1.x86_64", *module)], ["kernel-2-1.x86_64"], "", "+kernel-2-1.x86_64", again, faults)

    def test_a_module_without_a_build(self):
        self.assertEqual(self.kernel_case(["kernel(gone)"]), ("explained", [MODULES]))

    def test_no_module_at_all(self):
        self.assertEqual(self.kernel_case()[0], "unexplained")


if __name__ == "__main__":
    unittest.main()
