# SPDX-License-Identifier: Apache-2.0
# The shared library as hosts of other languages load it: an interpreter cannot load
# one that a sanitizer was built into. Without sanitizers it is the library itself.
if(NOT BREAKERD_SANITIZE)
    add_library(breaker_plain ALIAS breaker)
    return()
endif()
list(TRANSFORM CLIENT_SOURCES PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/
     OUTPUT_VARIABLE plain_sources)
get_target_property(core_sources bk_core_client SOURCES)
list(TRANSFORM core_sources PREPEND ${PROJECT_SOURCE_DIR}/core/)
add_library(breaker_plain SHARED ${plain_sources} ${core_sources})
target_include_directories(breaker_plain
    PRIVATE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
target_compile_definitions(breaker_plain
    PRIVATE BREAKER_VERSION="${PROJECT_VERSION}" BK_BUG_HOOK=1)
target_compile_options(breaker_plain PRIVATE -fno-sanitize=all -O2)
target_link_options(breaker_plain PRIVATE -fno-sanitize=all
    -Wl,--version-script=${CMAKE_CURRENT_SOURCE_DIR}/breaker.map -Wl,-z,nodelete)
target_link_libraries(breaker_plain
    PRIVATE PkgConfig::ZMQ Threads::Threads ${CMAKE_DL_LIBS})
# Each source is to be looked at once by what reads compile_commands.json.
set_target_properties(breaker_plain PROPERTIES
    C_VISIBILITY_PRESET hidden EXPORT_COMPILE_COMMANDS OFF)
