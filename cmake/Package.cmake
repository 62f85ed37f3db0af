# SPDX-License-Identifier: Apache-2.0
# Debian packages: breakerd (the service and its tools), libbreaker0 (for workers),
# libbreaker-dev, and python3-breaker with BREAKERD_INSTALL_PYTHON. The preset deb configures for /usr, which it must be:
#
#     cmake --preset deb && cmake --build --preset deb --target package
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME breakerd)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY
    "circuit breakers and retry budgets for a fleet of processes")
set(CPACK_PACKAGE_CONTACT "The breakerd maintainers <maintainers@breakerd.invalid>")
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR}/packages)
set(CPACK_COMPONENTS_ALL breakerd client client-dev)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING IGNORE)
# The configuration's path is absolute.
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_CURRENT_LIST_DIR}/PackageFiles.cmake)
# For that script, which runs as part of cpack.
set(CPACK_BREAKERD_SOURCE ${PROJECT_SOURCE_DIR})

set(deb_version ${PROJECT_VERSION}-1)
set(deb_folder ${PROJECT_SOURCE_DIR}/deploy/debian)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${PROJECT_BINARY_DIR}/client)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

set(CPACK_DEBIAN_BREAKERD_PACKAGE_NAME breakerd)
set(CPACK_DEBIAN_BREAKERD_PACKAGE_SECTION net)
set(CPACK_DEBIAN_BREAKERD_DESCRIPTION
"One daemon keeps a circuit breaker for each upstream service, and a retry
budget, for all worker processes of a machine. Workers read verdicts from
shared memory or ask over ZeroMQ; state survives crashes and reboots.

This package has the daemon, its tools and its web page.")
set(CPACK_DEBIAN_BREAKERD_PACKAGE_DEPENDS
    "systemd | systemd-standalone-sysusers, systemd | systemd-standalone-tmpfiles")
set(CPACK_DEBIAN_BREAKERD_PACKAGE_CONTROL_EXTRA
    "${deb_folder}/conffiles;${deb_folder}/postinst;${deb_folder}/prerm;${deb_folder}/postrm")

set(CPACK_DEBIAN_CLIENT_PACKAGE_NAME libbreaker0)
set(CPACK_DEBIAN_CLIENT_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_CLIENT_PACKAGE_SUGGESTS breakerd)
set(CPACK_DEBIAN_CLIENT_PACKAGE_CONTROL_EXTRA ${deb_folder}/triggers)
set(CPACK_DEBIAN_CLIENT_DESCRIPTION
"Asks breakerd before a call is made and reports what came of it; decides from
shared memory, and by itself while breakerd is away.

This package has libbreaker, libbreaker-curl and libbreaker-cache.")

set(CPACK_DEBIAN_CLIENT-DEV_PACKAGE_NAME libbreaker-dev)
set(CPACK_DEBIAN_CLIENT-DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_CLIENT-DEV_PACKAGE_DEPENDS
    "libbreaker0 (= ${deb_version}), libzmq3-dev, libcurl4-openssl-dev, libsqlite3-dev")
set(CPACK_DEBIAN_CLIENT-DEV_DESCRIPTION
"Headers, static libraries, manual pages and examples of libbreaker,
libbreaker-curl and libbreaker-cache, with which a worker asks breakerd
before it makes a call.")

if(BREAKERD_INSTALL_PYTHON)
    list(APPEND CPACK_COMPONENTS_ALL python)
endif()
set(CPACK_DEBIAN_PYTHON_PACKAGE_NAME python3-breaker)
set(CPACK_DEBIAN_PYTHON_PACKAGE_SECTION python)
set(CPACK_DEBIAN_PYTHON_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_PYTHON_PACKAGE_SHLIBDEPS OFF)
set(CPACK_DEBIAN_PYTHON_PACKAGE_DEPENDS
    "python3 (>= 3.9), libbreaker0 (>= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_PYTHON_PACKAGE_CONTROL_EXTRA
    "${deb_folder}/python/postinst;${deb_folder}/python/prerm")
set(CPACK_DEBIAN_PYTHON_DESCRIPTION
"Decorators, context managers, attempts and hooks for HTTP clients, on
libbreaker: what one process of a machine learns about a service holds for all
of them.")
include(CPack)
