"""`scripts/bench [NAME…]`: run the benchmarks; exit 1 when a bound is missed."""

import argparse
import asyncio
import sys

from tests.bench import brain, campaign, channels, delivery, exchange, receive, sockets, start, tenants, work

ALL = {
    "receive": (receive.run, "webhooks a second through the whole receive path, against a bare handler"),
    "exchange": (exchange.run, "a message in, a reply out: round trips, processor time, latency, throughput"),
    "tenants": (tenants.run, "the same with 10 and with 5,000 tenants; memory a tenant"),
    "channels": (channels.run, "reading a body on each channel; memory of a thousand accounts of each kind"),
    "limits": (delivery.limits, "one hit of a rate limit, in one process and on Redis"),
    "campaign": (campaign.run, "100,000 recipients prepared: seconds, memory; one decision, its round trips"),
    "sweeper": (delivery.sweeper, "one look for what is due, with a short and with a long history"),
    "fairness": (delivery.fairness, "a tenant's replies while another has a campaign queued"),
    "work": (work.run, "the same over Redis, with one and with two workers; the shared queue alone"),
    "sockets": (sockets.run, "memory of an idle widget connection"),
    "brain": (brain.run, "question to answer with 2,000 and 50,000 passages; memory of an index; eviction"),
    "start": (start.run, "seconds until ready, memory at rest"),
}


def main() -> int:
    options = argparse.ArgumentParser(prog="scripts/bench", description=__doc__.split(":", 1)[1].strip())
    options.add_argument(
        "name", nargs="*", metavar="NAME", help="; ".join(f"{n}: {t}" for n, (_, t) in ALL.items())
    )
    options.add_argument("--quick", action="store_true", help="a tenth of the load, to see that it runs")
    chosen = options.parse_args()
    if wrong := [n for n in chosen.name if n not in ALL]:
        options.error(f"no benchmark {', '.join(wrong)}: there are {', '.join(ALL)}")
    held = True
    for name in chosen.name or ALL:
        held &= asyncio.run(ALL[name][0](0.1 if chosen.quick else 1.0))
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
