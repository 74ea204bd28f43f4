# Products see include/porchlight and what they bring themselves; they link the SDK's Linux port.
porch_program(porchlight-camera products/camera/camera.c bin device/port/linux)
if(TARGET porchlight-camera)
    target_sources(porchlight-camera PRIVATE
        products/camera/motion.c products/camera/recorder.c products/camera/report.c
        products/camera/source.c products/camera/thumbnail.c)
    foreach(package libavformat libavcodec libswscale libavutil)
        porch_package(porchlight-camera ${package})
    endforeach()
endif()
if(BUILD_TESTING AND NOT PORCH_FUZZ)
    add_executable(products_camera_motion_test products/camera/motion_test.c products/camera/motion.c)
    target_link_libraries(products_camera_motion_test PRIVATE porch_flags PkgConfig::cmocka)
    set_target_properties(products_camera_motion_test PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
    add_test(NAME products_camera_motion_test COMMAND products_camera_motion_test WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    set_property(GLOBAL APPEND PROPERTY porch_unit_tests products_camera_motion_test)
endif()
