# SPDX-License-Identifier: Apache-2.0
# breakerweb: what breakerd publishes, over HTTP. Only with libmicrohttpd.
pkg_check_modules(MICROHTTPD IMPORTED_TARGET libmicrohttpd>=0.9.71)
if(NOT MICROHTTPD_FOUND)
    message(STATUS "breakerweb is left out: libmicrohttpd is missing "
                   "(Debian: libmicrohttpd-dev)")
    return()
endif()

foreach(file index.html style.css app.js icon.svg openapi.yaml)
    string(REPLACE "." "_" symbol web_${file})
    add_custom_command(
        OUTPUT ${symbol}.c
        COMMAND ${CMAKE_COMMAND} -DIN=${CMAKE_CURRENT_SOURCE_DIR}/web/${file}
                -DOUT=${CMAKE_CURRENT_BINARY_DIR}/${symbol}.c -DNAME=${symbol}
                -P ${PROJECT_SOURCE_DIR}/cmake/Embed.cmake
        DEPENDS web/${file} ${PROJECT_SOURCE_DIR}/cmake/Embed.cmake
        VERBATIM)
    list(APPEND web_files ${CMAKE_CURRENT_BINARY_DIR}/${symbol}.c)
endforeach()

add_executable(breakerweb ${web_files}
    breakerweb.c web_answer.c web_api.c web_clock.c web_live.c web_manager.c
    web_options.c web_paths.c web_request.c web_server.c web_socket.c web_stream.c
    web_view.c
    ctl_document.c ctl_out.c ctl_past.c ctl_place.c ctl_view.c link_probe.c)
target_link_libraries(breakerweb PRIVATE bk_metrics bk_core PkgConfig::MICROHTTPD)
install(TARGETS breakerweb RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
