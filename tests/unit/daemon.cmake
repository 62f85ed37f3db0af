# SPDX-License-Identifier: Apache-2.0
# A program for each module of the daemon. Those that touch files and threads are
# no part of the inner loop.
function(daemon_unit name label)
    add_executable(test_${name} test_${name}.c ${ARGN})
    target_link_libraries(test_${name} PRIVATE bk_daemon PkgConfig::CMOCKA)
    add_test(NAME unit_${name} COMMAND test_${name})
    set_tests_properties(unit_${name} PROPERTIES LABELS "${label}" TIMEOUT 120)
endfunction()

daemon_unit(log "fast;daemon")
daemon_unit(prober_parts "fast;daemon")
daemon_unit(webhook_parts "fast;daemon")
target_link_libraries(test_webhook_parts PRIVATE PkgConfig::JANSSON)
# What it tests is core's, but for reading the disk.
daemon_unit(config "fast;daemon;core")
foreach(module watch events)
    daemon_unit(${module} "fast;daemon")
endforeach()
foreach(module callers reply)
    daemon_unit(${module} "fast;daemon" calling.c scratch.c)
endforeach()
foreach(module rundir publish)
    daemon_unit(${module} "fast;daemon" scratch.c)
endforeach()
foreach(part store store_history store_roll store_hostile store_damage)
    daemon_unit(${part} "daemon" stores.c)
endforeach()
target_link_libraries(test_store_history PRIVATE PkgConfig::JANSSON)
daemon_unit(segment_race "daemon" fleets.c policies.c)
daemon_unit(store_faults "daemon" stores.c fault_vfs.c)
daemon_unit(shm_doc "fast;daemon")
target_compile_definitions(test_shm_doc
    PRIVATE SHM_DOC="${PROJECT_SOURCE_DIR}/docs/shm.md")
