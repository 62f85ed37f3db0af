# SPDX-License-Identifier: Apache-2.0
# Run at installation, when the prefix is known: the services' units, and the
# configuration, which for /usr lies in /etc.
set(etcdir "${CMAKE_INSTALL_PREFIX}/etc")
if(CMAKE_INSTALL_PREFIX STREQUAL "/usr")
    set(etcdir /etc)
endif()
foreach(service ${services})
    configure_file(${from}/systemd/${service}.service.in
                   ${work}/${service}.service @ONLY)
    file(INSTALL ${work}/${service}.service
         DESTINATION "${CMAKE_INSTALL_PREFIX}/lib/systemd/system")
endforeach()
# What somebody wrote stays.
if(NOT EXISTS "$ENV{DESTDIR}${etcdir}/breakerd/breakerd.conf")
    file(INSTALL ${from}/breakerd.conf DESTINATION "${etcdir}/breakerd")
endif()
