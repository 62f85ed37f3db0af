# SPDX-License-Identifier: Apache-2.0
# breakerctl, the operator's tool.
add_executable(breakerctl
    breakerctl.c ctl_args.c ctl_ask.c ctl_backup.c ctl_backup_file.c ctl_check.c
    ctl_config.c ctl_config_file.c ctl_doctor.c ctl_doctor_daemon.c ctl_doctor_files.c ctl_document.c ctl_events.c ctl_evidence.c
    ctl_explain.c ctl_fetch.c ctl_history.c ctl_history_db.c ctl_history_filter.c
    ctl_json.c ctl_metrics.c ctl_options.c ctl_order.c
    ctl_out.c ctl_place.c ctl_raw.c ctl_reset.c ctl_run.c ctl_run_child.c
    ctl_run_status.c ctl_signal.c ctl_status.c ctl_story.c ctl_story_now.c ctl_view.c
    ctl_wait.c link.c link_probe.c)
target_compile_definitions(breakerctl PRIVATE
    BREAKERD_VERSION="${PROJECT_VERSION}")
target_link_libraries(breakerctl PRIVATE
    breaker_static bk_metrics bk_core PkgConfig::ZMQ PkgConfig::SQLITE PkgConfig::JANSSON)
install(TARGETS breakerctl RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
