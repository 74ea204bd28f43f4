# Programs that measure; built into build/PRESET/bench, never installed.
porch_program(mqtt_load bench/mqtt_load.c bench wire crypto os)
porch_program(tls_edge bench/tls_edge.c bench wire crypto os)
porch_program(access bench/access.c bench cloud/broker access wire base)
porch_program(delta bench/delta.c bench base crypto os ota/author ota/client)
porch_program(ota_verify bench/ota_verify.c bench base crypto os ota/client ota/port/linux)

# The hub whose every decision is yes, to measure what decisions cost. No part of `programs`: `make bench-access` asks for it.
if(NOT PORCH_FUZZ)
    add_executable(porchlightd_allow_all EXCLUDE_FROM_ALL src/programs/porchlightd.c bench/allow_all.c)
    target_link_libraries(porchlightd_allow_all PRIVATE porch_flags porch_cloud_api porch_cloud_signer
        porch_cloud_supervisor ${porch_ports})
    foreach(name access_can_publish access_can_subscribe access_can_receive access_may_deny_receive session_decide)
        target_link_options(porchlightd_allow_all PRIVATE -Wl,--wrap=porch_${name})
    endforeach()
    set_target_properties(porchlightd_allow_all PROPERTIES OUTPUT_NAME porchlightd
        RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench/allow_all/bin)
endif()
