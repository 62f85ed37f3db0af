# SPDX-License-Identifier: Apache-2.0
# The upstream that fails on demand, and the programs of quickstart.
add_executable(flaky-upstream
    flaky-upstream.c upstream_script.c upstream_tally.c upstream_http.c
    upstream_conn.c upstream_port.c upstream_play.c upstream_server.c)
target_link_libraries(flaky-upstream PRIVATE bk_core)
install(TARGETS flaky-upstream RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

add_executable(quickstart_report quickstart_report.c)
target_link_libraries(quickstart_report PRIVATE PkgConfig::JANSSON)

add_executable(quickstart_worker
    quickstart_worker.c quickstart_options.c quickstart_schedule.c
    quickstart_tally.c quickstart_guard.c quickstart_calls.c
    quickstart_fleet.c quickstart_remote.c)
target_link_libraries(quickstart_worker
    PRIVATE breaker bk_core PkgConfig::CURL PkgConfig::JANSSON)
