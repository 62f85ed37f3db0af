# SPDX-License-Identifier: Apache-2.0
# The client against a segment and a daemon of the test's own making. The objects
# are linked as they are, so that tests may also look inside.
add_library(client_stage STATIC client_stage.c client_fake.c client_shm.c)
target_link_libraries(client_stage PUBLIC breaker_objects PkgConfig::CMOCKA)
target_sources(client_stage PUBLIC $<TARGET_OBJECTS:breaker_objects>)

function(client_unit name labels)
    add_executable(test_client_${name} test_client_${name}.c)
    target_link_libraries(test_client_${name} PRIVATE client_stage)
    add_test(NAME client_${name} COMMAND test_client_${name})
    set_tests_properties(client_${name} PROPERTIES
        LABELS "client;${labels}" TIMEOUT 120
        ENVIRONMENT BREAKERD_TRANSPORT=zmtp)
endfunction()

# By the other ways of telling and asking.
function(client_by_ways name)
    by_ways(client_${name} "${ARGN}" 120 "" test_client_${name})
endfunction()

# What has to do with the connection runs by libzmq as well.
function(client_by_libzmq name labels)
    add_test(NAME client_${name}_libzmq COMMAND test_client_${name})
    set_tests_properties(client_${name}_libzmq PROPERTIES
        LABELS "client;${labels}" TIMEOUT 120
        ENVIRONMENT BREAKERD_TRANSPORT=libzmq)
endfunction()

client_unit(gate fast)
client_unit(session "")
client_unit(telling "")
foreach(name session telling)
    target_sources(test_client_${name} PRIVATE client_talk.c)
endforeach()
client_unit(attach "")
client_unit(local fast)
client_unit(fork fast)
client_unit(peer fast)
client_unit(connection fast)
foreach(name peer connection)
    target_sources(test_client_${name} PRIVATE client_peer.c)
endforeach()
client_unit(host "")
client_by_libzmq(session "")
client_by_libzmq(telling "")
client_by_libzmq(fork fast)
client_by_libzmq(host "")

# Knows the library by its file only.
add_executable(test_client_load test_client_load.c)
target_include_directories(test_client_load PRIVATE ${PROJECT_SOURCE_DIR}/include)
target_compile_definitions(test_client_load
    PRIVATE LIBRARY="$<TARGET_FILE:breaker>")
target_link_libraries(test_client_load
    PRIVATE PkgConfig::CMOCKA ${CMAKE_DL_LIBS})
add_dependencies(test_client_load breaker)
add_test(NAME client_load COMMAND test_client_load)
set_tests_properties(client_load PROPERTIES LABELS "client;fast" TIMEOUT 60)

# The real daemon, in a directory of the test's own.
function(client_live name labels)
    client_unit(${name} "${labels}")
    target_sources(test_client_${name} PRIVATE client_live.c client_breakerd.c)
    target_compile_definitions(test_client_${name}
        PRIVATE BREAKERD="$<TARGET_FILE:breakerd>")
    add_dependencies(test_client_${name} breakerd)
endfunction()
client_live(daemon "daemon")
client_live(prefork "daemon;fast")
client_live(loop "daemon")
client_live(ring "daemon")
client_by_libzmq(daemon "daemon")
client_by_libzmq(prefork "daemon;fast")
client_by_libzmq(loop "daemon")

# The table of classification.
add_executable(test_classify test_classify.c)
target_link_libraries(test_classify PRIVATE client_stage)
add_test(NAME client_classify COMMAND test_classify)
set_tests_properties(client_classify PROPERTIES LABELS "client;fast" TIMEOUT 60)

# Whole calls: the machine in virtual time.
client_unit(call "fast")
client_unit(call_chain "fast")
client_unit(call_lease "fast")
foreach(name call call_chain)
    target_sources(test_client_${name} PRIVATE client_call_play.c)
endforeach()
# And with the real daemon.
foreach(name call_daemon call_fleet)
    client_unit(${name} "daemon")
    target_sources(test_client_${name} PRIVATE client_breakerd.c)
    target_compile_definitions(test_client_${name}
        PRIVATE BREAKERD="$<TARGET_FILE:breakerd>")
    add_dependencies(test_client_${name} breakerd)
endforeach()

foreach(name session telling fork daemon prefork loop)
    client_by_ways(${name} ring_off)
endforeach()
foreach(name call_daemon call_fleet)
    client_by_ways(${name} ring_off libzmq)
endforeach()
