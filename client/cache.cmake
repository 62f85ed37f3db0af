# SPDX-License-Identifier: Apache-2.0
# libbreaker-cache, the last good answer: optional, on SQLite, and without need
# of libbreaker itself.
add_library(breaker_cache_objects OBJECT cache.c cache_file.c cache_rows.c)
target_include_directories(breaker_cache_objects
    PUBLIC ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
target_link_libraries(breaker_cache_objects
    PUBLIC PkgConfig::SQLITE Threads::Threads)
set_target_properties(breaker_cache_objects PROPERTIES
    C_VISIBILITY_PRESET hidden)

add_library(breaker_cache SHARED $<TARGET_OBJECTS:breaker_cache_objects>)
target_link_libraries(breaker_cache PRIVATE PkgConfig::SQLITE Threads::Threads)
target_link_options(breaker_cache PRIVATE
    -Wl,--version-script=${CMAKE_CURRENT_SOURCE_DIR}/cache.map)
if(NOT BREAKERD_SANITIZE)
    target_link_options(breaker_cache PRIVATE -Wl,-z,defs)
endif()
set_target_properties(breaker_cache PROPERTIES
    OUTPUT_NAME breaker-cache
    VERSION ${PROJECT_VERSION} SOVERSION 0 C_VISIBILITY_PRESET hidden
    LINK_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/cache.map)

# As with libbreaker: one object, whose inner names are made local.
set(cache_object ${CMAKE_CURRENT_BINARY_DIR}/cache_whole.o)
add_custom_command(OUTPUT ${cache_object}
    COMMAND ${CMAKE_LINKER} -r -o ${cache_object}.all
            $<TARGET_OBJECTS:breaker_cache_objects>
    COMMAND ${CMAKE_OBJCOPY} --localize-hidden ${cache_object}.all
            ${cache_object}
    COMMAND ${CMAKE_COMMAND} -E rm ${cache_object}.all
    DEPENDS breaker_cache_objects $<TARGET_OBJECTS:breaker_cache_objects>
    COMMAND_EXPAND_LISTS VERBATIM)
add_library(breaker_cache_static STATIC ${cache_object})
set_source_files_properties(${cache_object} PROPERTIES
    EXTERNAL_OBJECT ON GENERATED ON)
target_link_libraries(breaker_cache_static INTERFACE
    $<BUILD_INTERFACE:PkgConfig::SQLITE> $<INSTALL_INTERFACE:sqlite3>
    Threads::Threads)
set_target_properties(breaker_cache_static PROPERTIES
    LINKER_LANGUAGE C OUTPUT_NAME breaker-cache)

foreach(library breaker_cache breaker_cache_static)
    target_include_directories(${library} PUBLIC
        $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
        $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endforeach()
install(TARGETS breaker_cache breaker_cache_static EXPORT breakerTargets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT client
            NAMELINK_COMPONENT client-dev
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT client-dev)
install(FILES ${PROJECT_SOURCE_DIR}/include/breaker/cache.h
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/breaker COMPONENT client-dev)
configure_file(breaker-cache.pc.in breaker-cache.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/breaker-cache.pc
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT client-dev)
