"""/metrics: numbers for a service with the grant, in a form that Prometheus takes; a reason for everybody else."""

import json
import pathlib
import re
import ssl
import time
import unittest

import case
import lab
import mqtt

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf'({NAME})(\{{{NAME}="[^"\\\n]*"(?:,{NAME}="[^"\\\n]*")*\}})? ([0-9.eE+-]+)')
DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"


def parse(text):
    """{series: value} of the text format 0.0.4; raises ValueError at what promtool would not take either."""
    if not text.endswith("\n"):
        raise ValueError("the last line has no end")
    helped, types, series, current = set(), {}, {}, None
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            current = line.split(" ", 3)[2]
            if current in helped or not line.split(" ", 3)[3]:
                raise ValueError(f"help twice or empty: {line}")
            helped.add(current)
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            if name != current or name in types or kind not in ("counter", "gauge"):
                raise ValueError(f"type out of place: {line}")
            if (kind == "counter") != name.endswith("_total"):
                raise ValueError(f"a counter ends in _total and nothing else does: {line}")
            types[name] = kind
        else:
            match = SAMPLE.fullmatch(line)
            if not match or match[1] != current or current not in types:
                raise ValueError(f"no sample of {current}: {line}")
            if match[1] + (match[2] or "") in series:
                raise ValueError(f"twice: {line}")
            series[match[1] + (match[2] or "")] = float(match[3])
    return series


class Metrics(case.HubCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.device = cls.hub.device("front-door")
        cls.reader = cls.hub.service("prometheus", allow=["read:metrics"])
        cls.other = cls.hub.service("lights", allow=["publish,subscribe:#"])

    def ask(self, folder):
        context = self.hub.device_tls(folder) if folder else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if not folder:
            context.load_verify_locations(self.device / "ca.pem")
        return lab.request(self.hub.ports["device"], context, "GET", "/metrics")

    def read(self):
        answer = self.ask(self.reader)
        self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual(answer.headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
        return parse(answer.body.decode())

    def refused(self, folder):
        answer = self.ask(folder)
        self.assertEqual(answer.status, 403, answer.body)
        self.assertEqual(answer.headers["Content-Type"], "application/problem+json")
        self.assertNotIn(b"porchlight_mqtt", answer.body)
        return answer.json()

    def test_a_service_with_the_grant_reads_and_the_counters_move(self):
        before = self.read()
        for certificate in ("root", "issuing", "hub", "people", "web-ca"):
            self.assertGreater(before[f'porchlight_certificate_ends_seconds{{certificate="{certificate}"}}'], time.time())
        self.assertIn('porchlight_connections{door="mqtt"}', before)
        self.assertEqual([before[f"porchlight_{name}"] for name in ("store_up", "signer_up", "analyst_up", "devices", "services")],
                         [1, 1, 1, 1, 2])
        with mqtt.Client(self.hub, self.hub.device_tls(self.device)) as client:
            client.connect("front-door")
            self.assertEqual(client.publish("d/front-door/telemetry/t", "1", 1).reason, 0)
            self.assertEqual(client.publish("d/other/telemetry/t", "1", 1, packet_id=2).reason, 0x87)
            self.assertEqual(self.read()["porchlight_devices_online"], 1)
        after = self.read()
        moved = {name.removeprefix("porchlight_"): after[name] - before[name] for name in before if after[name] != before[name]}
        self.assertGreaterEqual(moved["mqtt_messages_received_total"], 1, moved)
        self.assertEqual(moved["mqtt_stored_total"], 1, moved)
        self.assertEqual(moved["store_messages_total"], 1, moved)
        self.assertEqual(moved["mqtt_publishes_refused_total"], 1, moved)
        self.assertEqual(moved["mqtt_connects_total"], 1, moved)
        self.assertGreaterEqual(moved["http_requests_total"], 2, moved)

    def test_a_service_without_the_grant_is_refused_whatever_topics_it_has(self):
        self.assertIn("read:metrics", self.refused(self.other)["detail"])
        self.logged("metrics.refused", "name=lights", "grant read:metrics")

    def test_a_device_is_refused(self):
        self.refused(self.device)
        self.logged("metrics.refused", "name=front-door", "only services")

    def test_without_a_certificate_it_is_refused(self):
        self.refused(None)

    def test_people_find_no_metrics_at_their_door(self):
        answer = lab.request(self.hub.ports["https"], self.hub.people_tls(), "GET", "/metrics")
        self.assertNotIn(b"porchlight_mqtt", answer.body)

    def test_the_grant_can_be_denied_and_names_one_resource(self):
        both = self.hub.service("both", allow=["read:metrics"], deny=["read:metrics"])
        self.refused(both)
        self.logged("metrics.refused", "name=both", "forbids it")
        for wrong in ("read:#", "read:metric", "publish,read:metrics", "read:${service.name}"):
            code, _, err = self.hub.cli("service", "add", "wrong", "--out", self.hub.top / "wrong", "--allow", wrong, check=False)
            self.assertEqual(code, 1, wrong)
            self.assertIn("read:metrics", err)

    def test_a_grant_taken_back_ends_the_reading(self):
        folder = self.hub.service("passing", allow=["read:metrics"])
        self.assertEqual(self.ask(folder).status, 200)
        self.hub.cli("service", "remove", "passing")
        self.refused(folder)

    def test_dashboard_and_alerts_name_only_what_there_is(self):
        names = {series.split("{")[0] for series in self.read()}
        dashboard = (DOCS / "grafana-dashboard.json").read_text()
        json.loads(dashboard)
        for text in (dashboard, (DOCS / "operations.md").read_text()):
            used = set(re.findall(r"porchlight_[a-z_]+", text))
            self.assertTrue(used)
            self.assertEqual(used - names, set())


if __name__ == "__main__":
    unittest.main()
