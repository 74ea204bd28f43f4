# The thin front of the build. `make` lists the targets; `make demo` and `make test` need nothing before them.
SHELL := /bin/bash
JOBS ?= $(shell nproc)
export JOBS

.DEFAULT_GOAL := help
.PHONY: help setup build app demo test test-deb deb lint fuzz sweep soak bench bench-mqtt bench-mqtt-scale bench-revoke bench-access bench-slow bench-ota testssl clean

help:
	@echo "make setup          install the Debian and npm packages (sudo when not root)"
	@echo "make build          programs into build/release/bin, helpers into build/release/libexec"
	@echo "make demo           a camera, a hub and a phone page; ONCE=1 runs it headless and prints one JSON line;"
	@echo "                    KEY=tpm keeps the camera's key in an emulated TPM; ACT=update: two cameras follow their team's releases"
	@echo "make test           everything CI runs: unit, integration and browser tests under ASan and UBSan"
	@echo "make deb            Debian packages into build/deb; make test-deb tries them in a fresh Debian 12 (root, minutes)"
	@echo "make lint           include arrows, style, clang-format, clang-tidy, cppcheck, gcc -fanalyzer"
	@echo "make fuzz           every fuzz target, SECONDS_EACH=60"
	@echo "make sweep          ThreadSanitizer, then kills of each process (RUNS=10), hostile clips (CLIPS=1000), a disk that fails"
	@echo "                    under MQTT load (FAULTS=100), a rollout to a million devices"
	@echo "make soak           5,000 connections that come and go, MINUTES=20: memory by quarters; then a short one under ASan for leaks"
	@echo "make bench          the figures that the README quotes"
	@echo "make bench-mqtt     the hub beside Debian's mosquitto: throughput, handshakes, memory (ROUNDS=3)"
	@echo "make bench-mqtt-scale  what a message costs beside a million subscriptions, 10,000 connections, on two shards (ROUNDS=3)"
	@echo "make bench-revoke   how long a revoked device still has (CONNECTIONS=1000)"
	@echo "make bench-access   what access costs: decisions, proofs, a broker's messages beside mosquitto's dynamic-security plugin, changes, enrolments (PARTS=...)"
	@echo "make bench-slow     what others feel while slowhttptest holds a thousand connections"
	@echo "make bench-ota      deltas beside bsdiff, xdelta3 and zstd on Debian packages that apt fetches; a release's way beside nginx; verifying it; the core's size"
	@echo "make testssl        testssl.sh against the three listeners"
	@echo "make clean          remove build/ and the app's output"

setup:
	@tools/setup test

build: 
	@tools/setup build
	@tools/build release programs

app:
	@tools/build app

demo:
	@tools/setup run >&2
	@tools/build release programs $(if $(filter update,$(ACT)),porchlight-camera-2 porchlight-camera-3) >&2
	@exec /usr/bin/python3 tools/demo/demo.py $(if $(ONCE),--once) $(if $(VIDEO),--video $(VIDEO)) $(if $(KEY),--key $(KEY)) $(if $(ACT),--act $(ACT)) $(if $(KEEP),--keep $(KEEP))

test:
	@tools/setup test
	@tools/test

deb:
	@tools/setup deb
	@tools/deb/build

test-deb: deb
	@tests/packages/test_deb $(ROOT)

lint:
	@tools/setup test
	@tools/lint/run

fuzz:
	@tools/setup test
	@tools/fuzz $(or $(SECONDS_EACH),60)

sweep:
	@tools/setup test
	@tools/build release programs access_prove_test cloud_rollout_rollout_scale_test
	@tools/test tsan
	@PORCH_SWEEP_CASES=$(or $(POLICIES),1000000) build/release/tests/access_prove_test
	@PORCH_SWEEP=1 build/release/tests/cloud_rollout_rollout_scale_test
	@PORCHLIGHT_ACCESS_DEVICES=$(or $(DEVICES),200) PORCHLIGHT_BUILD=$(CURDIR)/build/release /usr/bin/python3 -m unittest discover -s tests/integration -p 'test_access.py' -k Isolation
	@/usr/bin/python3 tests/integration/sweep.py --runs $(or $(RUNS),10) --clips $(or $(CLIPS),1000)
	@/usr/bin/python3 tests/integration/mqtt_crash.py --crashes $(or $(CRASHES),200)
	@/usr/bin/python3 tests/integration/mqtt_disk.py --faults $(or $(FAULTS),100)
	@ENROL_KILLS=$(or $(ENROLMENTS),1000) /usr/bin/python3 tests/integration/test_enrol_killed.py
	@UPDATE_KILLS=$(or $(UPDATES),50) /usr/bin/python3 tests/integration/test_update_killed.py

soak:
	@tools/setup test
	@tools/build release programs
	@/usr/bin/python3 tests/integration/soak.py --minutes $(or $(MINUTES),20) --connections $(or $(CONNECTIONS),5000)
	@tools/build asan programs
	@PORCHLIGHT_BUILD=$(CURDIR)/build/asan /usr/bin/python3 tests/integration/soak.py --minutes 1 --connections 300 --leaks

bench:
	@tools/setup bench
	@tools/build release programs
	@/usr/bin/python3 bench/journey.py
	@/usr/bin/python3 bench/http2.py

bench-ota:
	@tools/setup bench
	@tools/build release delta ota_verify programs
	@/usr/bin/python3 bench/ota.py
	@/usr/bin/python3 bench/ota_fetch.py
	@/usr/bin/python3 bench/ota_verify.py
	@/usr/bin/python3 bench/ota_size.py

bench-mqtt-scale:
	@tools/setup bench
	@tools/build release programs
	@/usr/bin/python3 bench/mqtt_scale.py --rounds $(or $(ROUNDS),3) $(addprefix --part ,$(PARTS))

bench-mqtt:
	@tools/setup bench
	@tools/build release programs
	@/usr/bin/python3 bench/mqtt.py --rounds $(or $(ROUNDS),3)

bench-revoke:
	@tools/setup bench
	@tools/build release programs
	@/usr/bin/python3 bench/revoke.py --connections $(or $(CONNECTIONS),1000)

bench-access:
	@tools/setup bench
	@tools/build release access programs porchlightd_allow_all
	@build/release/bench/access
	@/usr/bin/python3 bench/access_broker.py $(PARTS)

bench-slow:
	@tools/setup bench
	@tools/build release programs
	@/usr/bin/python3 bench/slow.py

testssl:
	@tools/setup bench
	@tools/build release programs
	@/usr/bin/python3 tests/integration/testssl.py

clean:
	rm -rf build app/dist
