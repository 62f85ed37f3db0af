# SPDX-License-Identifier: Apache-2.0
# Warnings, hardening and sanitizers, for every target. Asserts stay on in every
# build type: a bug must stop the daemon, not corrupt the fleet's state.
foreach(type RELEASE RELWITHDEBINFO MINSIZEREL)
    string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_${type} "${CMAKE_C_FLAGS_${type}}")
endforeach()
string(REPLACE "-O3" "-O2" CMAKE_C_FLAGS_RELEASE "${CMAKE_C_FLAGS_RELEASE}")

add_compile_options(
    -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wdouble-promotion
    -Wshadow -Wundef -Wvla -Wwrite-strings -Wpointer-arith -Wcast-qual
    -Wcast-align -Wformat=2 -Wswitch-enum -Wimplicit-fallthrough
    -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wlogical-op -Wduplicated-cond -Wduplicated-branches)
elseif(CMAKE_C_COMPILER_ID STREQUAL "Clang")
    add_compile_options(-Wunreachable-code)
endif()
if(BREAKERD_WERROR)
    add_compile_options(-Werror)
endif()

include(CheckCCompilerFlag)
add_compile_options(-fstack-protector-strong -fno-strict-overflow)
if(BREAKERD_SANITIZE)
    add_compile_options(-fsanitize=${BREAKERD_SANITIZE}
                        -fno-sanitize-recover=all -fno-omit-frame-pointer)
    add_link_options(-fsanitize=${BREAKERD_SANITIZE})
else()
    check_c_compiler_flag(-fstack-clash-protection HAVE_STACK_CLASH)
    check_c_compiler_flag(-ftrivial-auto-var-init=zero HAVE_AUTO_VAR_INIT)
    if(HAVE_STACK_CLASH)
        add_compile_options(-fstack-clash-protection)
    endif()
    if(HAVE_AUTO_VAR_INIT)
        add_compile_options(-ftrivial-auto-var-init=zero)
    endif()
    # A struct of some hundred octets is copied by the C library, which knows the
    # processor: "rep movs" takes as long to start as the copy does.
    set(by_library "unrolled_loop:128:noalign,libcall:-1:noalign")
    check_c_compiler_flag(-mmemcpy-strategy=${by_library} HAVE_COPY_STRATEGY)
    if(HAVE_COPY_STRATEGY)
        add_compile_options(-mmemcpy-strategy=${by_library}
                            -mmemset-strategy=${by_library})
    endif()
    if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|i.86")
        add_compile_options(-fcf-protection=full)
    endif()
    add_link_options(-Wl,-z,relro,-z,now,-z,noexecstack)
    # Fortified calls need optimisation.
    add_compile_options($<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE>
                        $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=3>)
endif()
add_link_options($<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>:-pie>)
