# SPDX-License-Identifier: Apache-2.0
# The cache, as a library of its own.
add_executable(test_cache test_cache.c)
target_link_libraries(test_cache PRIVATE
    breaker_cache PkgConfig::SQLITE PkgConfig::CMOCKA Threads::Threads)
add_test(NAME client_cache COMMAND test_cache)
set_tests_properties(client_cache PROPERTIES LABELS "client;fast" TIMEOUT 60)
