# SPDX-License-Identifier: Apache-2.0
# The cache, as a library of its own.
foreach(part cache cache_file)
    add_executable(test_${part} test_${part}.c caches.c)
    target_link_libraries(test_${part} PRIVATE
        breaker_cache PkgConfig::SQLITE PkgConfig::CMOCKA Threads::Threads)
    add_test(NAME client_${part} COMMAND test_${part})
    set_tests_properties(client_${part} PROPERTIES
        LABELS "client;fast" TIMEOUT 60)
endforeach()
