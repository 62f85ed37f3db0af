# SPDX-License-Identifier: Apache-2.0
# Parts of the tools that need no daemon and no terminal.
set(tools ${PROJECT_SOURCE_DIR}/tools)
add_executable(test_top test_top.c ${tools}/ctl_top_column.c
    ${tools}/ctl_top_draw.c ${tools}/ctl_top_key.c ${tools}/ctl_top_list.c
    ${tools}/ctl_top_page.c ${tools}/ctl_out.c)
target_link_libraries(test_top PRIVATE bk_core PkgConfig::CMOCKA)
add_test(NAME unit_top COMMAND test_top)
set_tests_properties(unit_top PROPERTIES LABELS "fast;tools" TIMEOUT 60)

add_executable(test_metrics test_metrics.c maps.c fleets.c policies.c
    ${tools}/ctl_out.c ${tools}/ctl_place.c ${tools}/ctl_view.c
    ${tools}/link_probe.c)
target_link_libraries(test_metrics PRIVATE bk_metrics PkgConfig::CMOCKA)
add_test(NAME unit_metrics COMMAND test_metrics)
set_tests_properties(unit_metrics PROPERTIES LABELS "fast;tools" TIMEOUT 60)
