# SPDX-License-Identifier: Apache-2.0
# The upstream that fails on demand; quickstart and the tests use it.
add_executable(flaky-upstream
    flaky-upstream.c upstream_script.c upstream_tally.c upstream_http.c
    upstream_conn.c upstream_port.c upstream_play.c upstream_server.c)
target_link_libraries(flaky-upstream PRIVATE bk_core)
