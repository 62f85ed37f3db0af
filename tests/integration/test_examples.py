# SPDX-License-Identifier: Apache-2.0
"""The examples, built as a stranger builds them: against what is installed, with
the CMake package and with pkg-config, and run beside a real daemon and a server
that fails."""
import os
import subprocess
import tempfile

from harness import Case, main
from test_glitch import Upstream

SOURCE = os.environ["BREAKERD_SOURCE"]
BUILD = os.environ["BREAKERD_BUILD"]
COMPILER = os.environ["COMPILER"]
FLAGS = os.environ["COMPILER_FLAGS"]
EXAMPLES = os.path.join(SOURCE, "examples")
PATIENCE_S = 60


def do(*words, env=None, stdin="", status=0):
    done = subprocess.run(words, input=stdin, text=True, env=env,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=PATIENCE_S, check=False)
    if status is not None and done.returncode != status:
        raise AssertionError(f"{words} ended {done.returncode}\n{done.stdout}"
                             f"\n{done.stderr}")
    return done


class Examples(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.place = tempfile.TemporaryDirectory(prefix="breakerd-examples-")
        cls.addClassCleanup(cls.place.cleanup)
        cls.prefix = os.path.join(cls.place.name, "installed")
        cls.build = os.path.join(cls.place.name, "build")
        do("cmake", "--install", BUILD, "--prefix", cls.prefix)
        do("cmake", "-S", EXAMPLES, "-B", cls.build,
           f"-DCMAKE_PREFIX_PATH={cls.prefix}", f"-DCMAKE_C_COMPILER={COMPILER}",
           f"-DCMAKE_C_FLAGS={FLAGS} -Wall -Wextra -Werror")
        do("cmake", "--build", cls.build)

    def setUp(self):
        self.breakerd = self.daemon("[defaults]\nbase_delay = 200ms\n"
                                    "jitter = none\n").start()
        self.env = dict(os.environ, BREAKERD_DIR=self.breakerd.dir)

    def upstream(self, script):
        upstream = Upstream(script)
        self.addCleanup(upstream.close)
        return upstream

    def url(self, upstream):
        return f"http://127.0.0.1:{upstream.port}/"

    def example(self, name, *words, **kwargs):
        return do(os.path.join(self.build, name), *words, env=self.env,
                  **kwargs)

    def test_the_worker(self):
        good = self.upstream("down 300ms; ok")
        good.ask("POST", "/start")
        self.example("worker", "gpt-4", self.url(good))
        self.assertGreater(good.stats()["hits"], 1)

    def test_the_worker_says_why_not(self):
        bad = self.upstream("404")
        said = self.example("worker", "gpt-4", self.url(bad), status=1)
        self.assertIn("not_retryable after 1 attempts", said.stderr)

    def packages(self):
        """Where the .pc files are; they say their place relative to that."""
        for below, _, files in os.walk(self.prefix):
            if below.endswith("/pkgconfig"):
                self.assertEqual(len(files), 3)
                return below
        self.fail("no pkgconfig was installed")

    def test_the_worker_with_pkg_config(self):
        env = dict(os.environ, PKG_CONFIG_PATH=self.packages())
        for package, symbol in (("breaker", "breaker_open"),
                                ("breaker-cache", "breaker_cache_open")):
            flags = do("pkg-config", "--cflags", "--libs", package, env=env)
            source = os.path.join(self.place.name, "one.c")
            header = "cache" if package == "breaker-cache" else "breaker"
            with open(source, "w", encoding="ascii") as f:
                f.write(f"#include <breaker/{header}.h>\n"
                        f"int main(void) {{ return {symbol} == 0; }}\n")
            do(COMPILER, *FLAGS.split(), source, *flags.stdout.split(), "-o",
               os.path.join(self.place.name, "one"))
        flags = do("pkg-config", "--cflags", "--libs", "breaker-curl", env=env)
        do(COMPILER, *FLAGS.split(), os.path.join(EXAMPLES, "worker.c"),
           *flags.stdout.split(), "-o", os.path.join(self.place.name, "worker"))

    def chat(self, *upstreams, questions="What is the time?\n"):
        names = ("gpt-4", "gpt-3.5", "ollama")
        models = [f"{n}={self.url(u)}" for n, u in zip(names, upstreams)]
        return self.example("chat-bot",
                            os.path.join(self.breakerd.home, "answers.db"),
                            *models, stdin=questions)

    def test_the_chat_bot_takes_the_next_model(self):
        bad, good = self.upstream("down"), self.upstream("ok")
        said = self.chat(bad, good)
        self.assertEqual(said.stdout, "fine\n\n")
        self.assertGreater(bad.stats()["hits"], 0)
        self.assertEqual(good.stats()["hits"], 1)

    def test_the_chat_bot_remembers_its_last_good_answer(self):
        good, bad = self.upstream("ok"), self.upstream("down")
        fresh = self.chat(good).stdout
        old = self.chat(bad).stdout
        self.assertTrue(old.startswith(fresh.rstrip("\n")), old)
        self.assertRegex(old, r"\(This answer is \d+ s old\.\)")

    def test_the_chat_bot_apologises(self):
        first, second = self.upstream("down"), self.upstream("reset")
        said = self.chat(first, second, questions="Who are you?\n")
        self.assertRegex(said.stdout, r"^Sorry, I cannot answer now\..*\n$")
        self.assertIn("gpt-4: ", said.stderr)
        self.assertIn("gpt-3.5: ", said.stderr)

    def test_the_event_loop(self):
        good, bad = self.upstream("ok"), self.upstream("404")
        jobs = "".join(f"good {self.url(good)}\n" for _ in range(20))
        said = self.example("event-loop",
                            stdin=jobs + f"bad {self.url(bad)}\n")
        lines = said.stdout.splitlines()
        self.assertEqual(len(lines), 21, said.stderr)
        self.assertEqual(sum(line.startswith("good: success, ")
                             for line in lines), 20)
        self.assertEqual(sum(line.startswith("bad: not_retryable, ")
                             for line in lines), 1)


if __name__ == "__main__":
    main()
