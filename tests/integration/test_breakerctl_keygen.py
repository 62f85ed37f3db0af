# SPDX-License-Identifier: Apache-2.0
"""breakerctl keygen: a pair that CURVE takes, a secret that nobody sees, files that
are not overwritten."""
import json
import os
import shutil
import stat
import tempfile

import zmq

from ctl_case import DONE, FAILED, CtlCase, run
from harness import main


def read(path):
    with open(path, encoding="ascii") as text:
        return text.read()


class Keygen(CtlCase):
    def setUp(self):
        self.place = tempfile.mkdtemp(prefix="breakerd-test-")
        self.addCleanup(shutil.rmtree, self.place)
        self.file = os.path.join(self.place, "server.key")

    def test_makes_a_pair_that_fits(self):
        result = self.assert_exit(run("keygen", self.file), DONE)
        secret, public = read(self.file), read(self.file + ".pub")
        self.assertEqual(result.out, public)
        for key in (secret, public):
            self.assertRegex(key, r"^\S{40}\n$")
        self.assertEqual(zmq.curve_public(secret.strip().encode()).decode(),
                         public.strip())
        self.assertNotIn(secret.strip(), result.out + result.err)
        self.assertEqual(sorted(os.listdir(self.place)),
                         ["server.key", "server.key.pub"])

    def test_modes_do_not_depend_on_the_umask(self):
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        run("keygen", self.file)
        self.assertEqual(stat.S_IMODE(os.stat(self.file).st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(self.file + ".pub").st_mode),
                         0o644)

    def test_overwrites_nothing_without_force(self):
        for there in (self.file, self.file + ".pub"):
            with open(there, "w", encoding="ascii") as old:
                old.write("old\n")
            result = self.assert_exit(run("keygen", self.file), FAILED)
            self.assertIn(there, result.err)
            self.assertIn("--force", result.err)
            self.assertEqual(result.out, "")
            self.assertEqual(read(there), "old\n")
            os.unlink(there)
            self.assertEqual(os.listdir(self.place), [])
        # Not even through a link that leads nowhere.
        os.symlink(os.path.join(self.place, "elsewhere"), self.file)
        self.assert_exit(run("keygen", self.file), FAILED)
        self.assertEqual(os.listdir(self.place), ["server.key"])

    def test_force_replaces_and_closes_an_open_file(self):
        with open(self.file, "w", encoding="ascii") as old:
            old.write("old\n")
        os.chmod(self.file, 0o644)
        self.assert_exit(run("keygen", self.file, "--force"), DONE)
        self.assertNotEqual(read(self.file), "old\n")
        self.assertEqual(stat.S_IMODE(os.stat(self.file).st_mode), 0o600)

    def test_json(self):
        result = self.assert_exit(run("keygen", self.file, "--json"), DONE)
        self.assertEqual(json.loads(result.out), {
            "file": self.file,
            "public_key": read(self.file + ".pub").strip()})

    def test_no_place_is_one_sentence(self):
        result = self.assert_exit(run("keygen", "/no/such/place"), FAILED)
        self.assertIn("/no/such/place", result.err)
        self.assertEqual(result.out, "")


if __name__ == "__main__":
    main()
