# SPDX-License-Identifier: Apache-2.0
# libbreaker-curl: whole calls made with libcurl. It knows libbreaker by its public
# headers alone.
add_library(breaker_curl_objects OBJECT
    curl_loop.c curl_multi.c curl_sink.c curl_transfer.c)
target_include_directories(breaker_curl_objects
    PUBLIC ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
target_link_libraries(breaker_curl_objects
    PUBLIC PkgConfig::CURL Threads::Threads)
set_target_properties(breaker_curl_objects PROPERTIES
    C_VISIBILITY_PRESET hidden)

add_library(breaker_curl SHARED $<TARGET_OBJECTS:breaker_curl_objects>)
target_link_libraries(breaker_curl PUBLIC breaker
    $<BUILD_INTERFACE:PkgConfig::CURL> $<INSTALL_INTERFACE:curl>
    PRIVATE Threads::Threads)
target_link_options(breaker_curl PRIVATE
    -Wl,--version-script=${CMAKE_CURRENT_SOURCE_DIR}/breaker-curl.map)
if(NOT BREAKERD_SANITIZE)
    target_link_options(breaker_curl PRIVATE -Wl,-z,defs)
endif()
# It finds the libbreaker that it was installed with.
set_target_properties(breaker_curl PROPERTIES INSTALL_RPATH "$ORIGIN"
    OUTPUT_NAME breaker-curl VERSION ${PROJECT_VERSION} SOVERSION 0
    LINK_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/breaker-curl.map)

# Inner names made local, as in libbreaker.a.
set(curl_object ${CMAKE_CURRENT_BINARY_DIR}/breaker_curl_whole.o)
add_custom_command(OUTPUT ${curl_object}
    COMMAND ${CMAKE_LINKER} -r -o ${curl_object}.all
            $<TARGET_OBJECTS:breaker_curl_objects>
    COMMAND ${CMAKE_OBJCOPY} --localize-hidden ${curl_object}.all
            ${curl_object}
    COMMAND ${CMAKE_COMMAND} -E rm ${curl_object}.all
    DEPENDS breaker_curl_objects $<TARGET_OBJECTS:breaker_curl_objects>
    COMMAND_EXPAND_LISTS VERBATIM)
add_library(breaker_curl_static STATIC ${curl_object})
set_source_files_properties(${curl_object} PROPERTIES
    EXTERNAL_OBJECT ON GENERATED ON)
target_link_libraries(breaker_curl_static INTERFACE breaker_static
    $<BUILD_INTERFACE:PkgConfig::CURL> $<INSTALL_INTERFACE:curl>
    Threads::Threads)
set_target_properties(breaker_curl_static PROPERTIES
    LINKER_LANGUAGE C OUTPUT_NAME breaker-curl)

install(TARGETS breaker_curl breaker_curl_static EXPORT breakerTargets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT client
            NAMELINK_COMPONENT client-dev
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT client-dev)
install(FILES ${PROJECT_SOURCE_DIR}/include/breaker/curl.h
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/breaker COMPONENT client-dev)
configure_file(breaker-curl.pc.in breaker-curl.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/breaker-curl.pc
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT client-dev)
