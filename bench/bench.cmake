# Programs that measure; built into build/PRESET/bench, never installed.
porch_program(mqtt_load bench/mqtt_load.c bench wire crypto os)
porch_program(tls_edge bench/tls_edge.c bench wire crypto os)
porch_program(access bench/access.c bench access wire base)
porch_program(delta bench/delta.c bench base crypto os ota/author ota/client)
porch_program(ota_verify bench/ota_verify.c bench base crypto os ota/client ota/port/linux)
