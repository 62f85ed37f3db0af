# SPDX-License-Identifier: Apache-2.0
# Run by cpack when the files of the packages are in place: what Debian asks of
# every package's folder of documents, manual pages compressed, no library that says
# where others lie.
foreach(component ${CPACK_COMPONENTS_ALL})
    string(TOUPPER ${component} upper)
    set(package ${CPACK_DEBIAN_${upper}_PACKAGE_NAME})
    set(root ${CPACK_TEMPORARY_DIRECTORY}/${component}/usr/share)
    if(NOT EXISTS ${CPACK_TEMPORARY_DIRECTORY}/${component})
        message(FATAL_ERROR "there is no component ${component}")
    endif()
    set(doc ${root}/doc/${package})
    file(MAKE_DIRECTORY ${doc})
    configure_file(${CPACK_BREAKERD_SOURCE}/deploy/debian/copyright
                   ${doc}/copyright COPYONLY)
    configure_file(${CPACK_BREAKERD_SOURCE}/CHANGELOG.md
                   ${doc}/changelog COPYONLY)
    configure_file(${CPACK_BREAKERD_SOURCE}/deploy/debian/changelog
                   ${doc}/changelog.Debian COPYONLY)
    file(GLOB pages ${root}/man/man*/*)
    execute_process(
        COMMAND gzip -9n ${pages} ${doc}/changelog ${doc}/changelog.Debian
        COMMAND_ERROR_IS_FATAL ANY)
endforeach()
file(GLOB libraries ${CPACK_TEMPORARY_DIRECTORY}/client/usr/lib/*/*.so.*.*)
foreach(library ${libraries})
    file(RPATH_REMOVE FILE ${library})
endforeach()
