# SPDX-License-Identifier: Apache-2.0
"""The Debian packages: made, judged by lintian, installed, used, upgraded, removed
and purged; on a throw-away layer over this machine's files."""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

BUILD = os.environ["BREAKERD_BUILD"]
HERE = os.path.dirname(os.path.abspath(__file__))
PATIENCE_S = 240
# The whole file system is seen through a layer in memory, which goes with the
# namespace; /run is empty, so no manager is found.
LAYER = """
set -e
layer=$1
shift
mount -t tmpfs tmpfs "$layer"
mkdir "$layer/upper" "$layer/work" "$layer/root"
mount -t overlay overlay "$layer/root" \
    -o "lowerdir=/,upperdir=$layer/upper,workdir=$layer/work"
mount --rbind /proc "$layer/root/proc"
mount --rbind /dev "$layer/root/dev"
mount -t tmpfs tmpfs "$layer/root/run"
mount -t tmpfs tmpfs "$layer/root/tmp"
rm -f "$layer/root/var/lib/man-db/auto-update" # minutes for other pages
mkdir "$layer/root/tmp/packages"
cp "$1"/*.deb "$layer/root/tmp/packages"
cp "$2" "$layer/root/tmp/resident.py"
exec chroot "$layer/root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    DEBIAN_FRONTEND=noninteractive /usr/bin/python3 -B /tmp/resident.py
"""
ENTER = ["unshare", "--mount", "--propagation", "private", "--net", "--pid",
         "--fork", "--kill-child", "/bin/sh", "-c", LAYER, "sh"]


def run(*command, **kwargs):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=PATIENCE_S, check=False, **kwargs)
    return done.returncode, done.stdout


class Packages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not shutil.which("dpkg-shlibdeps"):
            raise unittest.SkipTest("no dpkg-shlibdeps")
        cls.place = tempfile.mkdtemp(prefix="breakerd-test-")
        cls.addClassCleanup(shutil.rmtree, cls.place, ignore_errors=True)
        status, said = run("cpack", "--config",
                           os.path.join(BUILD, "CPackConfig.cmake"),
                           "-B", cls.place, cwd=BUILD)
        assert status == 0, said
        cls.debs = {os.path.basename(path).split("_")[0]: path
                    for path in glob.glob(os.path.join(cls.place, "*.deb"))}

    def test_are_four(self):
        self.assertEqual(sorted(self.debs),
                         ["breakerd", "libbreaker-dev", "libbreaker0",
                          "python3-breaker"])

    @unittest.skipUnless(shutil.which("lintian"), "no lintian")
    def test_lintian_finds_no_error(self):
        known = ("initial-upload-closes-no-bugs", "maintscript-calls-ldconfig")
        _, said = run("lintian", "--allow-root", "--tag-display-limit", "0",
                      "--suppress-tags", ",".join(known), *self.debs.values(),
                      env=dict(os.environ, LC_ALL="C.UTF-8"))
        # The tags of warnings are told too: a new one is looked at.
        self.assertEqual(re.findall(r"(?m)^[EW]: .*$", said), [], said)

    def test_programs_are_hardened_and_say_no_path(self):
        with tempfile.TemporaryDirectory() as root:
            for path in self.debs.values():
                run("dpkg-deb", "-x", path, root)
            programs = [path for folder in ("bin", "sbin", "libexec/breakerd",
                                            "lib/*")
                        for path in glob.glob(f"{root}/usr/{folder}/*")
                        if os.path.isfile(path) and not os.path.islink(path)
                        and re.search(r"bin/|libexec/|\.so\.", path)]
            self.assertGreater(len(programs), 5)
            for path in programs:
                with self.subTest(program=path[len(root):]):
                    _, said = run("readelf", "-dlW", path)
                    self.assertNotRegex(said, "RPATH|RUNPATH|TEXTREL")
                    self.assertIn("GNU_RELRO", said)
                    self.assertRegex(said, "BIND_NOW|FLAGS_1.* NOW")
                    self.assertIn("DYN", run("readelf", "-hW", path)[1])

    def test_installed_used_and_removed(self):
        layer = os.path.join(self.place, "layer")
        os.mkdir(layer)
        status, said = run(
            "unshare", "--mount", "--propagation", "private", "/bin/sh", "-c",
            'mount -t tmpfs tmpfs "$1" && mkdir "$1/u" "$1/w" "$1/r" && mount '
            '-t overlay overlay "$1/r" -o "lowerdir=/,upperdir=$1/u,'
            'workdir=$1/w"', "sh", layer)
        if status != 0:
            self.skipTest("no overlay of the file system: " + said.strip())
        status, said = run(*ENTER, layer, self.place,
                           os.path.join(HERE, "resident.py"))
        self.assertEqual(status, 0, said)
        self.assertEqual(said.strip().split("\n")[-1], "OK", said)


def main():
    result = unittest.main(module="__main__", exit=False, verbosity=2).result
    if not result.wasSuccessful():
        sys.exit(1)
    sys.exit(77 if len(result.skipped) == result.testsRun else 0)


if __name__ == "__main__":
    main()
