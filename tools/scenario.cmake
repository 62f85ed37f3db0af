# SPDX-License-Identifier: Apache-2.0
add_executable(breaker-scenario
    breaker-scenario.c scenario_file.c scenario_declare.c scenario_step.c scenario_option.c
    scenario_expect.c scenario_answer.c scenario_lines.c scenario_late.c scenario_play.c
    scenario_values.c scenario_serve.c scenario_core.c scenario_daemon.c
    scenario_actor.c scenario_worker.c scenario_segment.c scenario_breakerd.c scenario_place.c scenario_signal.c
    link.c link_probe.c)
target_link_libraries(breaker-scenario PRIVATE
    breaker_static bk_core PkgConfig::JANSSON PkgConfig::ZMQ m)
install(TARGETS breaker-scenario RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
