# The migrations travel inside the program: a hub never looks for SQL files on disk.
set(here ${CMAKE_SOURCE_DIR}/src/cloud/store)
file(GLOB migrations CONFIGURE_DEPENDS ${here}/migrations/*.sql)
set(embedded ${CMAKE_BINARY_DIR}/generated/store_migrations.c)
add_custom_command(OUTPUT ${embedded}
    COMMAND ${CMAKE_COMMAND} -DFOLDER=${here}/migrations -DOUT=${embedded} -P ${here}/embed.cmake
    DEPENDS ${migrations} ${here}/embed.cmake
    COMMENT "Embedding migrations")
target_sources(${target} PRIVATE ${embedded})
