# Products see include/porchlight and what they bring themselves; they link the SDK's Linux port.
set(camera_packages libavformat libavcodec libswscale libavutil)
porch_program(porchlight-camera products/camera/camera.c bin device/port/linux)
if(TARGET porchlight-camera)
    target_sources(porchlight-camera PRIVATE
        products/camera/motion.c products/camera/recorder.c products/camera/report.c products/camera/sandbox.c
        products/camera/source.c products/camera/stream.c products/camera/thumbnail.c products/camera/v4l2.c
        products/camera/wish.c)
    porch_package(porchlight-camera libseccomp)
    foreach(package IN LISTS camera_packages)
        porch_package(porchlight-camera ${package})
    endforeach()
endif()
if(BUILD_TESTING AND NOT PORCH_FUZZ)
    # What each test needs beside its own source; the SDK's calls are played by the test itself.
    set(products_source_test_more products/camera/stream.c products/camera/v4l2.c)
    set(products_v4l2_test_more products/camera/source.c products/camera/stream.c)
    foreach(stem motion recorder report sandbox source thumbnail v4l2 wish)
        set(name products_camera_${stem}_test)
        add_executable(${name} products/camera/${stem}_test.c products/camera/${stem}.c ${products_${stem}_test_more})
        target_link_libraries(${name} PRIVATE porch_flags PkgConfig::cmocka)
        foreach(package ${camera_packages} libseccomp)
            porch_package(${name} ${package})
        endforeach()
        set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
        add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
        set_property(GLOBAL APPEND PROPERTY porch_unit_tests ${name})
    endforeach()
endif()
