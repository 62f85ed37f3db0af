# SPDX-License-Identifier: Apache-2.0
# Parts of the tools that need no daemon and no terminal.
set(tools ${PROJECT_SOURCE_DIR}/tools)
add_executable(test_top test_top.c ${tools}/ctl_top_column.c
    ${tools}/ctl_top_draw.c ${tools}/ctl_top_key.c ${tools}/ctl_top_list.c
    ${tools}/ctl_top_page.c ${tools}/ctl_out.c)
target_link_libraries(test_top PRIVATE bk_core PkgConfig::CMOCKA)
add_test(NAME unit_top COMMAND test_top)
set_tests_properties(unit_top PROPERTIES LABELS "fast;tools" TIMEOUT 60)
