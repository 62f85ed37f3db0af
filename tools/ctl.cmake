# SPDX-License-Identifier: Apache-2.0
# breakerctl, the operator's tool.
add_executable(breakerctl
    breakerctl.c ctl_args.c ctl_ask.c ctl_backup.c ctl_backup_file.c ctl_check.c
    ctl_completion.c ctl_config.c ctl_config_file.c ctl_doctor.c ctl_doctor_daemon.c
    ctl_doctor_files.c ctl_document.c ctl_events.c ctl_evidence.c ctl_explain.c
    ctl_fetch.c ctl_history.c ctl_history_db.c ctl_history_filter.c
    ctl_json.c ctl_keygen.c ctl_metrics.c ctl_options.c ctl_order.c
    ctl_out.c ctl_past.c ctl_place.c ctl_raw.c ctl_reset.c ctl_run.c ctl_run_child.c
    ctl_run_status.c ctl_signal.c ctl_status.c ctl_story.c ctl_story_now.c ctl_story_seen.c ctl_top.c
    ctl_top_column.c ctl_top_draw.c ctl_top_key.c ctl_top_list.c ctl_top_look.c
    ctl_top_page.c ctl_top_terminal.c ctl_view.c
    ctl_wait.c link.c link_probe.c)
# The shells' scripts: installed, and in the program for who installs by hand.
foreach(shell bash zsh fish)
    set(script ${CMAKE_CURRENT_SOURCE_DIR}/completion/breakerctl.${shell})
    set(embedded ${CMAKE_CURRENT_BINARY_DIR}/completion_${shell}.c)
    add_custom_command(OUTPUT ${embedded}
        COMMAND ${CMAKE_COMMAND} -DIN=${script} -DOUT=${embedded}
                -DNAME=completion_${shell} -P ${PROJECT_SOURCE_DIR}/cmake/Embed.cmake
        DEPENDS ${script} ${PROJECT_SOURCE_DIR}/cmake/Embed.cmake VERBATIM)
    target_sources(breakerctl PRIVATE ${embedded})
endforeach()
install(FILES completion/breakerctl.bash RENAME breakerctl
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES completion/breakerctl.zsh RENAME _breakerctl
        DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)
install(FILES completion/breakerctl.fish
        DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
target_compile_definitions(breakerctl PRIVATE
    BREAKERD_VERSION="${PROJECT_VERSION}")
target_link_libraries(breakerctl PRIVATE
    breaker_static bk_metrics bk_core PkgConfig::ZMQ PkgConfig::SQLITE PkgConfig::JANSSON)
install(TARGETS breakerctl RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
