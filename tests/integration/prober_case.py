# SPDX-License-Identifier: Apache-2.0
"""What tests of health probes and webhooks share."""
from harness import Case, until
from upstream import Upstream
from web import Rogue


class ProberCase(Case):
    def upstream(self, *args, **kwargs):
        upstream = Upstream(*args, **kwargs)
        self.addCleanup(upstream.close)
        return upstream

    def rogue(self, *acts):
        rogue = Rogue(*acts)
        self.addCleanup(rogue.close)
        return rogue

    def started(self, config, **kwargs):
        daemon = self.daemon(config=config, **kwargs)
        log = daemon.log  # of the prober, too; read before it is removed
        self.addCleanup(lambda: self.assertNotRegex(
            log(), r"Sanitizer|runtime error"))
        return daemon.start()

    def await_state(self, client, service, state):
        until(lambda: client.service(service)["state"] == state,
              f"{service} to be {state}")

    def await_probes(self, daemon, service, count=2):
        """Until this many failed probes are evidence."""
        if not daemon.clients:
            daemon.worker()
        client = daemon.clients[0]
        until(lambda: len(client.service(service)["evidence"]) >= count,
              f"{count} failed probes of {service}")
        return client.service(service)
