# SPDX-License-Identifier: Apache-2.0
"""The files for containers: well-formed, and true to the programs and the tree. No
engine is needed, and none is tried."""
import os
import re
import shlex
import shutil
import subprocess
import sys
import unittest

try:
    import yaml
except ImportError:
    sys.exit(77)

SOURCE = os.environ["BREAKERD_SOURCE"]
FOLDER = os.path.join(SOURCE, "deploy/docker")
PROGRAMS = dict(pair.split("=", 1)
                for pair in os.environ["BREAKERD_PROGRAMS"].split(","))
RULES = "{extends: default, rules: {line-length: {max: 88}}}"


def read(name):
    with open(os.path.join(FOLDER, name), encoding="utf-8") as text:
        return text.read()


def programs_in(words):
    """Each call of one of our programs in a command, with its options."""
    if words[:2] == ["sh", "-c"]:
        words = shlex.split(words[2])
    for at, word in enumerate(words):
        if word in PROGRAMS:
            options = []
            for option in words[at + 1:]:
                if option == "--":
                    break
                options += [option] if option.startswith("-") else []
            yield word, options


class Compose(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.compose = yaml.safe_load(read("compose.yaml"))
        cls.services = cls.compose["services"]

    @unittest.skipUnless(shutil.which("yamllint"), "no yamllint")
    def test_is_well_formed(self):
        done = subprocess.run(
            ["yamllint", "-s", "-d", RULES,
             os.path.join(FOLDER, "compose.yaml")],
            capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.stdout + done.stderr, "")

    def test_all_share_one_directory_on_tmpfs(self):
        run = self.compose["volumes"]["run"]["driver_opts"]
        self.assertEqual(run["type"], "tmpfs")
        for name, service in self.services.items():
            mounts = [volume for volume in service["volumes"]
                      if volume.split(":")[1] == "/run/breakerd"]
            self.assertEqual(len(mounts), 1, name)
            # Only the daemon makes files in it.
            self.assertEqual(mounts[0].endswith(":ro"), name != "breakerd")

    def test_all_are_shut_in(self):
        for name, service in self.services.items():
            self.assertIs(service["read_only"], True, name)
            self.assertEqual(service["cap_drop"], ["ALL"], name)
            self.assertNotIn("privileged", service)

    def test_users_are_those_of_the_image(self):
        group, = re.findall(r"groupadd --system --gid (\d+) breakerd",
                            read("Dockerfile"))
        users = dict(re.findall(r"useradd --system --uid (\d+) --gid breakerd "
                                r"--no-create-home (\w+)", read("Dockerfile")))
        for name, service in self.services.items():
            user, of = service["user"].split(":")
            self.assertEqual(of, group, name)
            self.assertEqual(users.get(user, "a worker"),
                             name if name in PROGRAMS else "a worker")

    def test_commands_have_options_that_are_there(self):
        image = re.findall(r'(?m)^CMD (\[.*\])$', read("Dockerfile"))
        commands = [yaml.safe_load(image[0])]
        for service in self.services.values():
            if "command" in service:
                commands.append(service["command"])
            if "healthcheck" in service:
                commands.append(service["healthcheck"]["test"][1:])
        calls = [call for words in commands for call in programs_in(words)]
        self.assertGreaterEqual(len(calls), len(commands))
        for program, options in calls:
            said = subprocess.run([PROGRAMS[program], "--help"], text=True,
                                  capture_output=True, timeout=60,
                                  check=True).stdout
            for option in options:
                self.assertIn(option, said, program)


class Dockerfile(unittest.TestCase):
    def test_names_what_the_tree_has(self):
        text = read("Dockerfile")
        self.assertTrue(os.access(os.path.join(
            SOURCE, "tools/install-packages"), os.X_OK))
        with open(os.path.join(SOURCE, "CMakePresets.json"),
                  encoding="utf-8") as presets:
            names = set(re.findall(r'"name": "([\w-]+)"', presets.read()))
        self.assertLessEqual(set(re.findall(r"--preset (\w+)", text)), names)
        self.assertRegex(text, r"(?m)^USER breakerd$")


if __name__ == "__main__":
    unittest.main(verbosity=2)
